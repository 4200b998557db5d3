"""The program that comes in the package: its output, its exit codes, and how it is stopped."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import satmip
from conftest import CHIPS

SCRIPT = Path(sysconfig.get_path("scripts")) / "satmip"
MODULE = [sys.executable, "-m", "satmip"]


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", [[SCRIPT], MODULE], ids=["script", "module"])
def test_it_is_the_command_line(command):
    assert run(*command, "--version") == (0, f"satmip {satmip.__version__}\n", "")
    code, out, err = run(*command, "embed", "--no-such-option")
    assert (code, out) == (2, "") and "--no-such-option" in err and "Usage: satmip embed" in err
    code, out, err = run(*command, "embed", "missing", "-o", "-")
    assert (code, out) == (1, "") and "missing" in err and "Traceback" not in err
    code, out, err = run(*command, "doctor")
    assert code == 0 and "satmip-lite" in out


def test_an_argument_that_is_no_text_arrives(tmp_path):
    folder = os.fsencode(tmp_path) + b"/no-utf8-\xff"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "a.jpg").write_bytes(next(CHIPS.glob("*.jpg")).read_bytes())
    done = subprocess.run([*MODULE, "embed", "--dry-run", folder, "-o", tmp_path / "out"], capture_output=True)
    assert done.returncode == 0 and b"1 image" in done.stdout, done.stderr


def test_items_that_are_left_out_are_an_exit_code(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no picture")
    code, _, err = run(*MODULE, "embed", tmp_path / "in", "-o", tmp_path / "out", "--device", "rten")
    assert code == 3 and "1 left out" in err


def test_what_python_said_before_comes_first():
    code = "import sys; sys.argv = ['x', '--version']; sys.stdout.write('before, '); from satmip.program import main; main()"
    assert run(sys.executable, "-c", code) == (0, f"before, satmip {satmip.__version__}\n", "")


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen(
        [*MODULE, "completions", "bash"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        # Gone before the program begins to write.
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 0 and said == b""


def test_no_output_at_all_is_no_error():
    code, _, err = run("sh", "-c", 'exec "$0" -m satmip zoo list >&-', sys.executable)
    assert (code, err) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_stopped_as_the_program_is(tmp_path, number):
    pictures = tmp_path / "in"
    pictures.mkdir()
    chips = sorted(CHIPS.glob("*.jpg"))
    for at in range(20_000):
        (pictures / f"{at:05}.jpg").symlink_to(chips[at % len(chips)])
    command = [*MODULE, "embed", pictures, "-o", tmp_path / "out", "--device", "rten", "--workers", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        begun = time.monotonic()
        while not (tmp_path / "out" / "job.json").exists() and time.monotonic() - begun < 60:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted" in err and "Traceback" not in err and "KeyboardInterrupt" not in err


def test_a_command_that_watches_no_signal_ends_by_it():
    # It waits for a table that never comes.
    command = [*MODULE, "caption", "/dev/stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
        assert process.returncode in (-signal.SIGINT, 130) and "Traceback" not in process.stderr.read()
