"""Bad input: an error that names the item and the reason, and costs no other item where that is asked for."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import satmip
from conftest import RASTERS
from satmip import SatmipError

BLACK = np.zeros((8, 8, 3), np.uint8)


def test_bad_pictures_are_told_one_by_one(model, chips):
    whole = Path(chips[0]).read_bytes()
    scene = str(RASTERS / "bigtiff.tif")
    bad = [
        ("missing.jpg", "No such file"),
        ("no-utf8-\udcff.jpg", "No such file"),
        ("nul\0.jpg", "nul"),
        (Path(chips[0]).parent, "not a regular file"),
        (b"", "empty"),
        (b"no picture", "known format"),
        (whole[: len(whole) // 2], "truncated"),
        (None, "None is no picture"),
        (7, "7 is no picture"),
        (BLACK.astype(np.float32), "array of float32"),
        (BLACK.astype(np.uint16), "array of uint16"),
        (BLACK[0], r"array of uint8 \[8, 3\]"),
        (np.zeros((8, 8, 4), np.uint8), "8, 8, 4"),
        (np.zeros((0, 8, 3), np.uint8), "no pixel"),
        (str(RASTERS / "u16.tif"), "neither the file nor an option"),
        ((scene, (0, 0, 0, 8)), "0 x 8 pixels"),
        ((scene, (4000, 0, 8, 8)), "column 4000"),
        ((scene, (-1, 0, 8, 8)), "no window"),
        ((scene, (0, 0, 8)), "no window"),
        (("missing.tif", (0, 0, 8, 8)), "No such file"),
    ]
    rows, errors = model.embed_images([chips[0], *(picture for picture, _ in bad), BLACK], errors="none")
    assert rows[0] is not None and rows[-1] is not None and errors[0] is errors[-1] is None
    for (picture, reason), row, error in zip(bad, rows[1:], errors[1:]):
        assert row is None and error.kind == "image", picture
        with pytest.raises(SatmipError, match=reason):
            raise error
        with pytest.raises(SatmipError, match=reason):
            model.embed_images([BLACK, picture])


def test_a_path_that_is_no_utf8_is_read(model, chips, tmp_path):
    path = str(tmp_path / "no-utf8-\udcff.jpg")
    Path(path).write_bytes(Path(chips[0]).read_bytes())
    np.testing.assert_array_equal(model.embed_images([path]), model.embed_images(chips[:1]))


def test_bad_records_are_told_one_by_one(model):
    bad = [
        ({"gsd": float("nan")}, "`gsd`: `NaN`"),
        ({"gsd": -3}, "outside"),
        ({"lon": 8.0}, "longitude and latitude"),
        ({"gsd": {1, 2}}, "a set is no text"),
        ({3: 4}, "the key 3"),
        (None, "no object"),
        ("gsd", "no object"),
        ({"type": "Feature"}, "no STAC item"),
        ({"timestamp": "soon"}, "soon"),
    ]
    nested = {}
    nested["gsd"] = nested
    bad.append((nested, "deep"))
    rows, errors = model.embed_metadata([{"gsd": 1}, *(record for record, _ in bad), {}], errors="none")
    assert rows[0] is not None and rows[-1] is not None
    for at, ((record, reason), row, error) in enumerate(zip(bad, rows[1:], errors[1:])):
        assert row is None and error.kind == "metadata" and f"records[{at + 1}]" in str(error), record
        with pytest.raises(SatmipError, match=reason):
            raise error
        with pytest.raises(SatmipError, match=reason):
            model.embed_metadata([record])


def test_bad_pairs_are_left_out(model, chips):
    given = [(chips[0], {"gsd": 10}), ("missing.jpg", {}), (chips[1], {"gsd": -1}), (chips[2], {})]
    images, records = zip(*given)
    pairs, errors = model.embed_pairs(images, records, errors="none")
    assert len(pairs) == 2 and pairs.rows == [0]
    assert [error and error.kind for error in errors] == [None, "image", "metadata", None]
    with pytest.raises(SatmipError, match=r"records\[2\]"):
        model.embed_pairs(images, records)
    with pytest.raises(SatmipError, match="records: 1 for 4 images"):
        model.embed_pairs(images, [{}])


def test_bad_rows_of_a_batch_are_null_and_say_why(model, chips):
    batch = pa.record_batch({"path": [*chips[:3], "missing.jpg", None], "gsd": [1.0, None, -2.0, 3.0, 4.0]})
    found = model.embed_batch(batch, errors="none").to_pylist()
    assert [row["image_embedding"] is None for row in found] == [False, False, False, True, True]
    assert [row["metadata_embedding"] is None for row in found] == [False, True, True, True, True]
    assert [row["error"] is None for row in found] == [True, True, False, False, False]
    with pytest.raises(SatmipError, match=r"records\[2\]"):
        model.embed_batch(batch)
    encoded = pa.record_batch({"bytes": [Path(chips[0]).read_bytes(), b"", None]})
    errors = model.embed_batch(encoded, errors="none").column("error").to_pylist()
    assert errors[0] is None and "empty" in errors[1] and "None" in errors[2]
    with pytest.raises(SatmipError, match="none of the columns .* it has x"):
        model.embed_batch(pa.record_batch({"x": [1]}))


def test_nothing_gives_nothing(model):
    empty = (0, model.dim)
    assert model.embed_images([]).shape == model.embed_metadata([]).shape == empty
    assert model.embed_images([], errors="none") == model.embed_metadata([], errors="none") == ([], [])
    pairs = model.embed_pairs([], [])
    assert pairs.images.shape == empty and model.audit(pairs) == []
    assert model.query(np.zeros(empty), "gsd", ["1"]).similarities.shape == (0, 1)


def test_what_is_no_list_is_refused(model, chips):
    for call in (model.embed_images, model.embed_metadata):
        for single in ("a.jpg", b"bytes", {"gsd": 1}, 7):
            with pytest.raises(SatmipError, match="a list is wanted") as told:
                call(single)
            assert told.value.kind == "argument"
    with pytest.raises(SatmipError, match="a list is wanted"):
        model.query(np.eye(model.dim), "country_code", "FRA")
    with pytest.raises(SatmipError, match="'ignore' is neither"):
        model.embed_images(chips, errors="ignore")


def test_bad_questions_are_refused(model):
    for images, field, values, reason in [
        (np.eye(3), "gsd", ["1"], "rows have 3 numbers"),
        (np.zeros(model.dim), "gsd", ["1"], "vectors are wanted"),
        (np.full((1, model.dim), np.nan), "gsd", ["1"], "not finite"),
        (np.eye(model.dim), "gsd", [], "none to choose from"),
        (np.eye(model.dim), "gsd", ["1", 1], "given twice"),
        (np.eye(model.dim), "gsd", ["x"], "`x`"),
        (np.eye(model.dim), "size", ["1"], "`size`"),
        (np.eye(model.dim), "wavelengths", ["500"], "query `wavelengths`"),
    ]:
        with pytest.raises(SatmipError, match=reason):
            model.query(images, field, values)
    with pytest.raises(SatmipError, match="rows have 2 and 3 numbers"):
        satmip.similarity(np.eye(2), np.eye(3))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"threads": 0}, "threads: 0 is outside"),
        ({"threads": -1}, "threads: -1"),
        ({"device": "gpu"}, "`gpu` is none of"),
        ({"batch_size": "many"}, "batch_size: 'many'"),
        ({"scale": (3, 1)}, "3 is not below 1"),
        ({"bands": (1, 2)}, "has 2 bands"),
        ({"min_valid": 2}, "no share"),
        ({"gsd": 10, "overview": 1}, "which copy"),
        ({"overview": 0}, "counted from 1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_loaded(arguments, reason):
    with pytest.raises(SatmipError, match=reason) as told:
        satmip.Embedder(**arguments)
    assert told.value.kind == "argument"


def test_errors_say_what_helps_and_travel(tmp_path):
    with pytest.raises(SatmipError, match="no model `satmip-enormous`") as told:
        satmip.Embedder("satmip-enormous").embed_images([BLACK])
    error = told.value
    assert error.kind == "model" and "satmip-nano" in error.hint and error.__notes__ == [f"hint: {error.hint}"]
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.kind, again.hint) == (str(error), error.kind, error.hint)
    with pytest.raises(SatmipError, match="nowhere") as told:
        satmip.Embedder(onnxruntime=tmp_path / "nowhere.so").dim
    assert told.value.kind == "device"
    assert (SatmipError().kind, SatmipError().hint) == ("other", None)
