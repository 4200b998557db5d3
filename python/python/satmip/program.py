"""The program `satmip`, which `pip install` puts beside the interpreter; `python -m satmip` is the same."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from . import _satmip, sessions


def main() -> int:
    """Does what this process's command line asks for and gives the exit code. The process must end with it: signals
    stay the program's. What it says goes to the process's standard output and error, whatever `sys.stdout` is."""
    for stream in (sys.stdout, sys.stderr):
        # None where the process has none.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    # Python's own handler would only note that there was a signal, for when the program has ended.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    library = sessions.library()
    if library is not None:
        os.environ["SATMIP_ORT_DYLIB"] = library
    return _satmip.program(["satmip", *sys.argv[1:]])
