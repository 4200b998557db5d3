"""Processes, threads and engines around an embedder."""

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import satmip
from satmip import sessions

PICTURES = [np.full((64, 64, 3), shade, np.uint8) for shade in range(0, 256, 16)]


def test_pickled_by_its_arguments(model, chips):
    given = satmip.Embedder("satmip-lite", device="rten", threads=2, batch_size=4, bands=(1, 2, 3), min_valid=0.25)
    assert repr(given) == (
        "satmip.Embedder(model='satmip-lite', device='rten', threads=2, batch_size=4, bands='1,2,3', min_valid=0.25)"
    )
    assert len(pickle.dumps(model)) < 500
    for again in (pickle.loads(pickle.dumps(given)), copy.copy(given)):
        assert repr(again) == repr(given)
        np.testing.assert_array_equal(again.embed_images(chips[:2]), model.embed_images(chips[:2]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_give_the_same_vectors(model, method):
    expected = model.embed_images(PICTURES)
    with multiprocessing.get_context(method).Pool(2) as pool:
        halves = pool.map(model.embed_images, [PICTURES[:8], PICTURES[8:]])
    np.testing.assert_array_equal(np.concatenate(halves), expected)


def test_a_fork_while_threads_embed_has_a_session_of_its_own(model):
    expected = model.embed_images(PICTURES)
    busy = threading.Thread(target=model.embed_images, args=(PICTURES * 20,))
    busy.start()
    child = multiprocessing.get_context("fork").Process(target=_same, args=(model, expected))
    child.start()
    child.join(60)
    busy.join()
    assert child.exitcode == 0


def _same(model, expected):
    np.testing.assert_array_equal(model.embed_images(PICTURES), expected)


def test_errors_come_back_from_processes(model):
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(satmip.SatmipError) as told:
        pool.map(model.embed_images, [["missing.jpg"]])
    assert told.value.kind == "image"


def test_the_interpreter_is_free_while_pictures_are_embedded(model):
    done = threading.Event()

    def embed():
        model.embed_images(PICTURES * 30)
        done.set()

    model.embed_images(PICTURES)
    worker = threading.Thread(target=embed)
    start, ticks = time.monotonic(), 0
    worker.start()
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    # Were it not free, there would be one.
    assert ticks > 20 * (time.monotonic() - start)


def test_a_process_loads_a_model_once(monkeypatch):
    loads, load = [], sessions._load
    monkeypatch.setattr(sessions, "_load", lambda arguments: loads.append(1) or load(arguments))
    given, found = {"device": "rten", "threads": 2, "batch_size": 5}, [None] * 6

    def embed(at):
        # As an engine does that sends an embedder with each task.
        model = pickle.loads(pickle.dumps(satmip.Embedder(**given)))
        found[at] = model.embed_images(PICTURES)

    for at in range(2):
        embed(at)
    threads = [threading.Thread(target=embed, args=(at,)) for at in range(2, len(found))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(loads) == 1 and all((rows == found[0]).all() for rows in found)


def test_a_fork_that_needs_another_model_of_rten_is_told(model):
    model.embed_images(PICTURES[:1])
    other = satmip.Embedder("satmip-nano", device="rten")
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(satmip.SatmipError) as told:
        pool.map(other.embed_images, [PICTURES])
    assert told.value.kind == "engine" and "spawn" in told.value.hint


def test_ctrl_c_ends_a_call():
    code = (
        "import numpy, satmip; model = satmip.Embedder(device='rten')\n"
        "picture = numpy.zeros((64, 64, 3), numpy.uint8)\n"
        "model.embed_images([picture]); print('ready', flush=True); model.embed_images([picture] * 1_000_000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert b"KeyboardInterrupt" in said


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"SLURM_CPUS_PER_TASK": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4", "SLURM_CPUS_PER_TASK": "2"}, 1),
        ({"OMP_NUM_THREADS": "4096"}, None),
        ({"OMP_NUM_THREADS": "", "SLURM_CPUS_PER_TASK": "none"}, None),
    ],
)
def test_as_many_threads_as_the_engine_gave(monkeypatch, variables, threads):
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert sessions._threads() == (threads or len(os.sched_getaffinity(0)))
    assert satmip.Embedder(threads=3, device="rten").threads == 3


def test_onnxruntime_of_this_interpreter_is_found(chips):
    runtime = pytest.importorskip("onnxruntime")
    model = satmip.Embedder()
    assert (model.engine, model.device) == ("onnxruntime", "onnxruntime")
    expected = model.embed_images(chips)
    np.testing.assert_allclose(expected, satmip.Embedder(device="rten").embed_images(chips), atol=2e-2)
    library = next(Path(runtime.__file__).parent.glob("capi/libonnxruntime.*"))
    given = satmip.Embedder(onnxruntime=library, device="onnxruntime")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for same in (given.embed_images(chips), *pool.map(model.embed_images, [chips])):
            np.testing.assert_array_equal(same, expected)


def test_scenes_that_are_replaced_are_read_again(model, tmp_path):
    rasters = Path(__file__).resolve().parents[2] / "tests" / "data" / "rasters"
    scene, window = tmp_path / "scene.tif", (0, 0, 16, 16)
    found = []
    for name in ("bigtiff.tif", "nodata_u8.tif"):
        scene.write_bytes((rasters / name).read_bytes())
        found.append(model.embed_images([(scene, window)]))
        np.testing.assert_array_equal(found[-1], model.embed_images([(rasters / name, window)]))
    assert (found[0] != found[1]).any()
