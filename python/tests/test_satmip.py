"""What calls give: the vectors of the command line, in the shapes that are promised."""

import datetime
import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import satmip
from conftest import CHIPS, RASTERS, ROOT


def matrix(column):
    """A column of vectors, none of them null."""
    assert column.null_count == 0
    return np.stack(column.to_numpy(zero_copy_only=False))


def by_name(table, paths):
    """The rows of a table in the order of the files that they are of."""
    ids = table["id"].to_pylist()
    return table.take([ids.index(Path(path).name) for path in paths])


@pytest.fixture(scope="module")
def written(program, tmp_path_factory, chips):
    """The chips and their records as the command line embeds them."""
    folder = tmp_path_factory.mktemp("chips")
    return by_name(program(folder, CHIPS, "--metadata", CHIPS / "metadata.csv"), chips)


def test_pictures_have_the_vectors_of_the_command_line(model, chips, written):
    expected = matrix(written["image_embedding"])
    found = model.embed_images(chips)
    assert found.dtype == np.float32 and found.shape == (len(chips), model.dim)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for same in (map(Path, chips), (Path(chip).read_bytes() for chip in chips)):
        np.testing.assert_array_equal(model.embed_images(same), found)


def test_pairs_and_batches_have_the_vectors_of_the_command_line(model, chips, records, written):
    images, metadata = matrix(written["image_embedding"]), matrix(written["metadata_embedding"])
    pairs = model.embed_pairs(chips, records)
    assert len(pairs) == len(chips) and pairs.rows == list(range(len(chips)))
    np.testing.assert_allclose(pairs.images, images, atol=1e-6)
    np.testing.assert_allclose(pairs.metadata, metadata, atol=1e-6)
    columns = pa.Table.from_pylist(records)
    given = {"path": chips, "bytes": [Path(chip).read_bytes() for chip in chips]}
    for name, pictures in given.items():
        table = columns.append_column(name, pa.array(pictures))
        for batch in (table, table.combine_chunks().to_batches()[0]):
            found = model.embed_batch(batch)
            assert type(found) is type(batch) and found.schema == model.embed_batch(batch.slice(0, 0)).schema
            kept = [column for column in batch.schema.names if column != "bytes"]
            assert found.schema.names == [*kept, "image_embedding", "metadata_embedding"]
            for column, expected in (("image_embedding", images), ("metadata_embedding", metadata)):
                assert found.schema.field(column).type == written.schema.field(column).type
                np.testing.assert_allclose(matrix(found.column(column)), expected, atol=1e-6)


@pytest.mark.parametrize("scene", ["u16.tif", "f32.tif", "half_nodata.tif"])
def test_windows_of_scenes_have_the_vectors_of_the_command_line(program, tmp_path, scene):
    scene = str(RASTERS / scene)
    expected = program(tmp_path, scene, "--tile", "16", "--scale", "0,3000")
    sides = [expected[f"window_{side}"].to_pylist() for side in ("x", "y", "width", "height")]
    windows = [list(window) for window in zip(*sides)]
    assert windows
    model = satmip.Embedder(device="rten", scale=(0, 3000))
    batch = pa.record_batch({"scene": [scene] * len(windows), "window": windows})
    found = model.embed_batch(batch)
    for column in ("image_embedding", "metadata_embedding"):
        np.testing.assert_allclose(matrix(found.column(column)), matrix(expected[column]), atol=1e-6)
    alone = model.embed_images([(scene, window) for window in windows])
    np.testing.assert_array_equal(alone, matrix(found.column("image_embedding")))


def test_pixels_are_taken_as_they_lie(model):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    turned = np.asfortranarray(pixels)
    views = [pixels, turned, pixels[:, ::-1][:, ::-1], np.concatenate([pixels, pixels])[:50]]
    found = model.embed_images(views)
    assert (found == found[0]).all()
    assert (model.embed_images(np.stack([pixels, pixels])) == found[0]).all()
    assert model.image_features([pixels]).shape == (1, 1280)


def test_results_do_not_depend_on_threads_and_neighbours(chips):
    one, many = satmip.Embedder(device="rten", threads=1), satmip.Embedder(device="rten", threads=5)
    np.testing.assert_array_equal(one.embed_images(chips), many.embed_images(chips))
    rows, errors = many.embed_images([*chips[:3], "missing.jpg", *chips[4:]], errors="none")
    assert rows[3] is None and errors[3].kind == "image" and "missing.jpg" in str(errors[3])
    for at, row in enumerate(one.embed_images(chips)):
        assert at == 3 or (row == rows[at]).all() and errors[at] is None


def test_records_are_read_in_every_form(model):
    moment = datetime.datetime(2015, 9, 21, 15, 30, 8, tzinfo=datetime.timezone.utc)
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "a",
        "geometry": None,
        "links": [],
        "assets": {},
        "bbox": [8.5, 47.4, 8.7, 47.6],
        "properties": {"datetime": moment.isoformat(), "gsd": 0.5},
    }
    point = np.array([8.6, 47.5])
    same = [
        item,
        {"gsd": 0.5, "lon": 8.6, "lat": 47.5, "datetime": moment},
        {"gsd": "0.5", "location": [8.6, 47.5], "timestamp": "2015-09-21T15:30:08Z", "other": object},
        {"gsd": np.float32(0.5), "location": point, "timestamp": np.datetime64("2015-09-21T15:30:08")},
        {"gsd": decimal.Decimal("0.5"), "location": tuple(point), "timestamp": moment.replace(tzinfo=None)},
        {"gsd": 0.5, "geometry": bytes.fromhex("0101000000" + point.tobytes().hex()), "datetime": moment},
    ]
    same[2].pop("other")
    found = model.embed_metadata(same)
    assert found.shape == (len(same), model.dim)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-6)
    table = pa.Table.from_pylist([{"GSD": 0.5, "lon": 8.6, "lat": 47.5, "datetime": moment, "label": "x"}])
    np.testing.assert_allclose(model.embed_metadata(table), found[:1], atol=1e-6)
    assert model.metadata_features([{}, {"gsd": 3}]).shape == (2, 128)


def test_pairs_follow_the_fit_and_tell_what_they_saw(model, chips):
    wide = np.zeros((512, 512, 3), np.uint8)
    pairs = model.embed_pairs([wide, chips[0]], [{"gsd": 0.5}, {}])
    assert pairs.records == [{"gsd": 4.0}, None]
    assert pairs.records[0] == model.fitted_metadata({"gsd": 0.5}, 512, 512)
    assert pairs.rows == [0] and pairs.similarities[1] is None
    np.testing.assert_allclose(pairs.metadata, model.embed_metadata([{"gsd": 4.0}]), atol=1e-6)
    assert repr(pairs) == "<satmip.Pairs: 2 pairs, 1 with a record>"


def test_query_and_audit(model, chips, records):
    pairs = model.embed_pairs(chips, records)
    query = model.query(pairs.images, "country_code", ["FRA", "KEN", "PER"])
    assert query.probabilities.shape == (len(chips), 3)
    np.testing.assert_allclose(query.probabilities.sum(axis=1), 1, atol=1e-5)
    assert query.best(0)[0] == query.values[query.similarities[0].argmax()]
    assert model.query(pairs.images, "gsd", [1, 10.0]).values == ["1", "10.0"]
    rows = model.audit(pairs)
    assert [row["index"] for row in rows] == pairs.rows
    assert rows[0]["similarity"] == pytest.approx(pairs.similarities[0])
    assert {fit["field"] for fit in rows[0]["fields"]} <= set(model.fields)


def test_cosines_of_arrays_and_lists():
    np.testing.assert_allclose(satmip.similarity([[3, 4]], np.eye(2)), [[0.6, 0.8]], atol=1e-6)
    indices, cosines = satmip.nearest(np.eye(3), np.eye(3)[::-1], 1)
    assert indices.tolist() == [[2], [1], [0]] and (cosines == 1).all()
    assert satmip.similarity(np.zeros((0, 2)), np.eye(2)).shape == (0, 2)


def test_a_model_by_its_folder_says_what_it_is():
    model = satmip.Embedder(ROOT / "zoo" / "satmip-nano-simclr", device="rten", batch_size=3)
    assert (model.id, model.dim, model.fields, model.batch_size) == ("satmip-nano-simclr", 256, [], 3)
    assert (model.engine, model.device, model.precision, model.input_size) == ("rten", "rten", "f16-weights", 64)
    batch = model.embed_batch(pa.record_batch({"path": [str(RASTERS / "bigtiff.tif")], "gsd": [1.0]}))
    assert batch.schema.names == ["path", "gsd", "image_embedding"]
    with pytest.raises(satmip.SatmipError, match="metadata tower") as told:
        model.embed_metadata([{"gsd": 1}])
    assert told.value.kind == "unsupported"
