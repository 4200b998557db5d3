"""Plans: the same files as the command line's, done by any number of shares, and what is refused."""

import functools
import multiprocessing
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import satmip
from conftest import CHIPS, RASTERS, ROOT
from satmip import SatmipError, plan

CUT = {"tile": 8, "stride": 5}


@pytest.fixture(scope="module")
def scaled():
    """The built-in model for the rasters, whose samples need a scale."""
    return satmip.Embedder(device="rten", scale=(0, 3000))


@pytest.fixture
def scenes(tmp_path):
    """A folder with four scenes of 48 windows each, and a file that is no picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    for at in range(4):
        (folder / f"s{at}.tif").write_bytes((RASTERS / "u16.tif").read_bytes())
    (folder / "bad.tif").write_bytes(b"no picture")
    return folder


@pytest.fixture
def planned(scaled, scenes, tmp_path):
    """A plan of five blocks."""
    path = tmp_path / "plan.parquet"
    found = plan.create([scenes], path, model=scaled, **CUT, block_items=40)
    assert found == plan.Planned(items=193, blocks=5, ignored=0, outside=0, metadata=None)
    return path


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_plans_and_parts_are_those_of_the_command_line(satmip_program, scaled, scenes, planned, tmp_path):
    def run(*arguments):
        done = subprocess.run([*satmip_program, *map(str, arguments), "-q"], capture_output=True, text=True)
        assert done.returncode in (0, 3), done.stderr

    options = ["--tile", 8, "--stride", 5, "--scale", "0,3000", "--block-items", 40, "--device", "rten"]
    run("plan", scenes, "-o", tmp_path / "other.parquet", *options)
    assert planned.read_bytes() == (tmp_path / "other.parquet").read_bytes()
    for shard in ((2, 3), "0/3", (1, 3)):
        plan.embed(planned, tmp_path / "out", shard=shard, model=scaled)
    run("embed", "--plan", planned, "-o", tmp_path / "whole", "--device", "rten")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    found = plan.merge(tmp_path / "out")
    run("plan", "merge", tmp_path / "whole")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert found == plan.Status(5, 5, [], [], items=193, rows=192, skipped=1, merged=True) == plan.status(tmp_path / "whole")
    table = pq.read_table(sorted((tmp_path / "out").glob("part-*.parquet")))
    sides = ("window_x", "window_y", "window_width", "window_height")
    first = table.filter([str(name).startswith("s0") for name in table["id"].to_pylist()])
    windows = list(zip(*(first[side].to_pylist() for side in sides)))
    expected = scaled.embed_images([(scenes / "s0.tif", window) for window in windows])
    found = np.stack(first["image_embedding"].to_numpy(zero_copy_only=False))
    assert len(windows) == 48
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_done_is_told_and_passed_over(scaled, planned, tmp_path):
    out, told = tmp_path / "out", []
    with pytest.raises(SatmipError, match="no plan was begun"):
        plan.status(out)
    found = plan.embed(planned, out, shard="1/2", model=scaled, progress=told.append)
    assert (found.blocks, found.done_before, found.items) == (3, 0, 97)
    assert [told.items for told in told] == sorted({told.items for told in told}) and told[-1].items == 97
    assert told[0].total == 97 and told[-1].resumed == 0
    found = plan.status(out)
    assert not found.complete and (found.done, found.missing, found.under_way) == (3, [(0, 1)], [])
    with pytest.raises(SatmipError, match="3 of 5 blocks") as error:
        plan.merge(out)
    assert error.value.kind == "file" and str(out) in str(error.value)
    found = plan.embed(planned, out, model=scaled, progress=told.append)
    assert (found.blocks, found.done_before, found.items) == (5, 3, 96)
    assert plan.status(out).complete and plan.verify(out) == plan.Verified(parts=5, rows=192, faults=[])
    part = out / "part-00003.parquet"
    part.write_bytes(part.read_bytes()[:-9] + b"123456789")
    [fault] = plan.verify(out).faults
    assert "part-00003" in fault


def test_pictures_are_planned_too(model, chips, tmp_path):
    path, told = tmp_path / "plan.parquet", []
    found = plan.create([CHIPS], path, model=model, features="both", vectors="f16", block_items=16)
    assert (found.items, found.blocks) == (len(chips), 2)
    plan.embed(path, tmp_path / "out", model=model, progress=lambda now: told.append(now.items))
    plan.merge(tmp_path / "out")
    table = pq.read_table(sorted((tmp_path / "out").glob("part-*.parquet")))
    assert told[-1] == table.num_rows == len(chips)
    assert {"image_embedding", "image_features"} <= set(table.schema.names)
    rows = np.stack(table["image_embedding"].to_numpy(zero_copy_only=False)).astype(np.float32)
    np.testing.assert_allclose(rows, model.embed_images(sorted(chips)), atol=1e-3)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_do_a_share_each(scaled, planned, tmp_path, method):
    share = functools.partial(plan.embed, planned, tmp_path / "out", model=scaled)
    with multiprocessing.get_context(method).Pool(2) as pool:
        done = [pool.apply_async(share, kwds={"shard": (at, 4)}) for at in range(4)]
        assert sum(share.get(120).items for share in done) == 193
    assert plan.merge(tmp_path / "out").rows == 192


def test_shares_of_array_jobs(scaled, planned, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "1")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_SIZE", "5")
    assert plan.embed(planned, tmp_path / "out", shard="auto", model=scaled).blocks == 1
    assert plan.status(tmp_path / "out").missing == [(0, 0), (2, 4)]
    monkeypatch.delenv("AWS_BATCH_JOB_ARRAY_INDEX")
    for shard, reason in [
        ("auto", "no variable"),
        ("auto/x", "no number"),
        ("2/2", "counted from 0"),
        ((5, 5), "counted from 0"),
        ("x", "K/N"),
        ((1,), "neither"),
        (3, "neither"),
    ]:
        with pytest.raises(SatmipError, match=f"shard: .*{reason}") as error:
            plan.embed(planned, tmp_path / "out", shard=shard, model=scaled)
        assert error.value.kind == "argument"


def test_what_does_not_fit_is_refused(model, scaled, planned, scenes, tmp_path):
    create = functools.partial(plan.create, output=tmp_path / "new.parquet", model=model)
    for arguments, reason in [
        ({"inputs": []}, "inputs: none"),
        ({"inputs": str(scenes)}, "inputs: a list"),
        ({"inputs": [3]}, "inputs: "),
        ({"inputs": [tmp_path / "missing"]}, "missing"),
        ({"stride": 5}, "stride: .*tile"),
        ({"bbox": (1, 2, 3, 4)}, "bbox: .*tile"),
        ({"tile": 0}, "tile: 0"),
        ({"tile": 1 << 20}, "tile: 1048576"),
        ({"tile": 8, "edge": "cut"}, "edge: `cut`"),
        ({"tile": 8, "bbox": (3, 2, 1)}, "bbox"),
        ({"tile": 8, "assets": "red"}, "assets: a list"),
        ({"tile": 8, "datetime": "soon"}, "soon"),
        ({"tile": 8, "max_cloud": 0.5}, "max cloud"),
        ({"block_items": 0}, "block_items: 0"),
        ({"features": "all"}, "features: `all`"),
        ({"vectors": "f8"}, "f8"),
        ({"images_only": "no"}, "images_only"),
        ({"model": satmip.Embedder(device="rten", gsd=10)}, "gsd"),
        ({"output": planned}, "plan.parquet"),
    ]:
        with pytest.raises(SatmipError, match=reason) as error:
            create(**{"inputs": [scenes], **arguments})
        assert error.value.kind in ("argument", "file"), error.value
    assert plan.create([scenes], planned, model=scaled, tile=8, overwrite=True).items == 81
    assert not (tmp_path / "new.parquet").exists()


def test_parts_of_something_else_are_refused(model, scaled, planned, scenes, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(SatmipError, match="out.parquet.*no folder"):
        plan.embed(planned, tmp_path / "out.parquet", model=scaled)
    with pytest.raises(SatmipError, match="chips"):
        plan.embed(next(CHIPS.glob("*.jpg")), out, model=scaled)
    with pytest.raises(SatmipError, match="satmip-lite.*satmip-nano-simclr"):
        plan.embed(planned, out, model=satmip.Embedder(ROOT / "zoo" / "satmip-nano-simclr", device="rten"))
    plan.embed(planned, out, shard="0/5", model=scaled)
    plan.create([scenes], tmp_path / "other.parquet", model=scaled, tile=8)
    with pytest.raises(SatmipError, match="another plan") as error:
        plan.embed(tmp_path / "other.parquet", out, model=scaled)
    assert error.value.kind == "file"


def test_what_progress_raises_ends_the_call(scaled, planned, tmp_path):
    def full(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan.embed(planned, tmp_path / "out", model=scaled, progress=full)
    assert plan.embed(planned, tmp_path / "out", model=scaled).blocks == 5
    assert plan.status(tmp_path / "out").complete


def test_ctrl_c_ends_a_share_which_then_goes_on(scaled, scenes, tmp_path):
    path, out = tmp_path / "plan.parquet", tmp_path / "out"
    found = plan.create([scenes], path, model=scaled, tile=8, stride=1, block_items=200)
    assert found.blocks > 5
    code = (
        "import sys, satmip; model = satmip.Embedder(device='rten', threads=1)\n"
        "say = lambda now: print(now.items, flush=True)\n"
        "satmip.plan.embed(*sys.argv[1:], model=model, progress=say)"
    )
    command = [sys.executable, "-c", code, path, out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # It is in the middle of the second block.
        while int(process.stdout.readline()) <= 200:
            pass
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in said
    assert 0 < plan.status(out).done < found.blocks
    assert plan.embed(path, out, model=scaled).done_before > 0
    assert plan.status(out).complete and plan.verify(out).faults == []


def test_a_table_is_joined_when_the_plan_is_made(tmp_path):
    model = satmip.Embedder(device="rten", threads=1)
    table = tmp_path / "chips.csv"
    table.write_text((CHIPS / "metadata.csv").read_text())
    path, out = tmp_path / "plan.parquet", tmp_path / "out"
    found = plan.create([CHIPS], path, model=model, metadata=table, columns={"note": "none"})
    assert found.metadata["joined"] == found.items == 24
    table.unlink()
    plan.embed(path, out, model=model)
    rows = pq.read_table(out / "part-00000.parquet")
    assert rows["metadata_embedding"].null_count == 0
    with pytest.raises(SatmipError, match="there is no table"):
        plan.create([CHIPS], tmp_path / "x", model=model, columns={"a": "none"})
