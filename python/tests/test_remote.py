"""Windows of scenes at addresses: the vectors of the same windows of files, and what becomes of bad ones."""

import multiprocessing
import os

import numpy as np
import pyarrow as pa
import pytest
import satmip
from conftest import RASTERS

WINDOWS = [(x, y, 64, 64) for y in range(0, 449, 64) for x in (0, 100, 448)]


def test_windows_have_the_vectors_of_the_file(model, served, raster):
    folder, address, asked = served
    (folder / "scene.tif").write_bytes(raster)
    expected = model.embed_images([(folder / "scene.tif", window) for window in WINDOWS])
    scene = f"{address}/scene.tif?signature=hidden"
    np.testing.assert_array_equal(model.embed_images([(scene, window) for window in WINDOWS]), expected)
    # Not one request for each window, and what is decoded is kept for the next call.
    assert 2 <= len(asked) <= len(WINDOWS) and all("signature=hidden" in path for path in asked)
    batch = pa.record_batch({"scene": [scene] * 3, "window": [list(window) for window in WINDOWS[:3]]})
    found = model.embed_batch(batch)["image_embedding"]
    np.testing.assert_array_equal(np.stack(found.to_numpy(zero_copy_only=False)), expected[:3])


def test_the_place_of_a_scene_is_read(served):
    folder, address, _ = served
    name, window = "u16.tif", (0, 0, 16, 16)
    (folder / name).write_bytes((RASTERS / name).read_bytes())
    model = satmip.Embedder(device="rten", scale=(0, 3000))
    here, there = (
        model.embed_batch(pa.record_batch({"scene": [scene], "window": [list(window)]}))
        for scene in (str(folder / name), f"{address}/{name}")
    )
    assert there["metadata_embedding"][0].is_valid and here["metadata_embedding"] == there["metadata_embedding"]


def test_bad_addresses_are_told_without_their_secrets(model, served, raster):
    folder, address, _ = served
    (folder / "scene.tif").write_bytes(raster)
    (folder / "text.tif").write_bytes(b"no picture" * 100)
    user = address.replace("//", "//me:hidden@")
    window = (0, 0, 64, 64)
    bad = [
        ((f"{address}/none.tif?key=hidden", window), "404"),
        ((f"{user}/none.tif", window), "404"),
        ((f"{address}/text.tif?key=hidden", window), "TIFF"),
        ((f"{address}/whole/scene.tif?key=hidden", window), "no ranges"),
        ((f"{address}/scene.tif?key=hidden", (600, 0, 64, 64)), "column 600"),
        (("ftp://me:hidden@host/a.tif?key=hidden", window), "none of https"),
        (("s3:///a.tif?key=hidden", window), "host or bucket"),
        (f"{address}/scene.tif?key=hidden", "of addresses windows are read"),
    ]
    good = (f"{address}/scene.tif", window)
    rows, errors = model.embed_images([good, *(picture for picture, _ in bad), good], errors="none")
    assert errors[0] is errors[-1] is None and (rows[0] == rows[-1]).all()
    for (picture, reason), error in zip(bad, errors[1:]):
        assert error.kind == "image" and reason in str(error), (picture, error)
        assert "hidden" not in str(error) and "tif" in str(error)


def test_what_was_not_there_is_asked_for_again(model, served, raster):
    folder, address, _ = served
    window = (f"{address}/scene.tif", WINDOWS[0])
    with pytest.raises(satmip.SatmipError, match="404"):
        model.embed_images([window])
    (folder / "scene.tif").write_bytes(raster)
    assert model.embed_images([window]).shape == (1, model.dim)


def test_a_fork_has_connections_of_its_own(model, served, raster):
    folder, address, _ = served
    (folder / "scene.tif").write_bytes(raster)
    windows = [(f"{address}/scene.tif", window) for window in WINDOWS]
    expected = model.embed_images(windows)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found in pool.map_async(model.embed_images, [windows, windows]).get(60):
            np.testing.assert_array_equal(found, expected)


def test_windows_of_a_store(model, raster, tmp_path, monkeypatch):
    pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "hidden",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ALLOW_HTTP": "true",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        import boto3

        store = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
        store.create_bucket(Bucket="archive")
        store.put_object(Bucket="archive", Key="a/scene.tif", Body=raster)
        (tmp_path / "scene.tif").write_bytes(raster)
        own = satmip.Embedder(device="rten", batch_size=7)
        expected = own.embed_images([(tmp_path / "scene.tif", window) for window in WINDOWS])
        found = own.embed_images([("s3://archive/a/scene.tif", window) for window in WINDOWS])
        np.testing.assert_array_equal(found, expected)
        with pytest.raises(satmip.SatmipError, match="none.tif"):
            own.embed_images([("s3://archive/a/none.tif", WINDOWS[0])])
        # A job's parts may be in a store as well.
        plan = tmp_path / "plan.parquet"
        satmip.plan.create(["s3://archive/a/scene.tif"], plan, model=own, tile=64, block_items=35)
        for shard in ((0, 2), (1, 2)):
            satmip.plan.embed(plan, "s3://archive/out", shard=shard, model=own)
        assert satmip.plan.verify("s3://archive/out").faults == []
        assert satmip.plan.merge("s3://archive/out").merged
    finally:
        server.stop()
