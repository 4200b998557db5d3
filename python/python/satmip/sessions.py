"""Models that are loaded: one for each process and set of arguments, whoever asks for it."""

from __future__ import annotations

import importlib.util
import os
import threading
from pathlib import Path
from typing import Any

from . import _satmip
from ._satmip import Options, SatmipError, Session

# Models that a process keeps though no embedder is left (our choice): engines send an embedder with each task.
_KEPT = 4
# By which engines say how many cores a worker has: the first is set by Ray, Spark and Dask.
_CORES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
# By which people say where ONNX Runtime is.
_LIBRARIES = ("ORT_DYLIB_PATH", "SATMIP_ORT_DYLIB")

Key = tuple[Any, ...]


class Slot:
    """The model of a process and a set of arguments, loaded when it is first asked for."""

    def __init__(self, process: int, arguments: dict[str, Any], inherited: Session | None) -> None:
        self.process = process
        self._arguments = arguments
        self._inherited = inherited
        self._session: Session | None = None
        self._lock = threading.Lock()

    def session(self) -> Session:
        with self._lock:
            if self._session is None:
                inherited = self._inherited
                self._session = _load(self._arguments) if inherited is None else inherited.forked()
            return self._session

    def loaded(self) -> Session | None:
        """The session, without waiting for it."""
        return self._session


# By process, because a fork copies those of its parent: locks that somebody holds, and threads that are not there.
_slots: dict[tuple[int, Key], Slot] = {}
# The process that was the first to load a model into rten, which keeps threads for the loading of others.
_first_rten: int | None = None


def slot(arguments: dict[str, Any]) -> Slot:
    """The slot of this process for these arguments."""
    process, key = os.getpid(), tuple(arguments.values())
    found = _slots.get((process, key))
    if found is None:
        others = [slot.loaded() for (_, other), slot in list(_slots.items()) if other == key]
        inherited = next((session for session in others if session is not None), None)
        found = _slots.setdefault((process, key), Slot(process, arguments, inherited))
        for old in [place for place in list(_slots) if place[0] == process][:-_KEPT]:
            _slots.pop(old, None)
    return found


def _load(arguments: dict[str, Any]) -> Session:
    global _first_rten
    session = _open(arguments)
    if session.engine == "rten" and _first_rten is None:
        _first_rten = os.getpid()
    return session


def _open(arguments: dict[str, Any]) -> Session:
    options, given = Options(arguments), arguments["onnxruntime"]
    threads = options.threads or _threads()
    if _first_rten not in (None, os.getpid()):
        options = _without_rten(arguments, options)
    if given is not None or options.device == "rten":
        return Session(options, threads, given)
    found = library()
    try:
        return Session(options, threads, found)
    except SatmipError as error:
        if found is None or error.kind != "device":
            raise
        # It cannot be used, or the process has another one already.
        return Session(options, threads, None)


def _without_rten(arguments: dict[str, Any], options: Options) -> Options:
    """The options for a process that was forked from one with models in rten: loading another one there would wait
    for threads that the fork did not copy."""
    if options.device == "rten":
        reason = "the process was forked from one in which it had loaded another"
        error = SatmipError(f"rten cannot load a model here: {reason}")
        error.kind = "engine"
        error.hint = "load the model before the fork, start processes by `spawn`, or install onnxruntime"
        raise error
    return Options({**arguments, "device": "onnxruntime"}) if options.device == "auto" else options


def _threads() -> int:
    """Threads for this process: the fewest of what its control group, its affinity and the engine around it give."""
    given = [_satmip.cores()]
    for name in _CORES:
        first = os.environ.get(name, "").split(",")[0].strip()
        if first.isdecimal() and int(first) > 0:
            given.append(int(first))
    return min(given)


def library() -> str | None:
    """The library of this interpreter's package onnxruntime; None without one, or where a variable names another."""
    if any(os.environ.get(name) for name in _LIBRARIES):
        return None
    package = importlib.util.find_spec("onnxruntime")
    for folder in (package and package.submodule_search_locations) or ():
        for pattern in ("libonnxruntime.so*", "libonnxruntime.*dylib", "onnxruntime.dll"):
            for library in sorted(Path(folder, "capi").glob(pattern)):
                return str(library)
    return None
