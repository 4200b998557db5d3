"""The compiled half of the package; `satmip.Embedder` is what people call."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

class SatmipError(Exception):
    """What went wrong, and with which item."""

    kind: str
    """About what: argument, device, download, engine, file, image, metadata, model, panic, unsupported or other."""
    hint: str | None
    """What to do about it, where there is something."""

def similarity(a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
    """The cosine of each row of `a` with each row of `b`: [len(a), len(b)], 0 where a row is all zeros."""

def nearest(a: ArrayLike, b: ArrayLike, k: int) -> tuple[NDArray[np.uintp], NDArray[np.float32]]:
    """For each row of `a` the `k` rows of `b` with the largest cosines, nearest first: positions and cosines."""

@final
class Pairs:
    """Pictures and their records, embedded: what `Embedder.embed_pairs` gives.

    Pair `i` is row `i` of `images` and element `i` of `records`. A pair of which nothing is known that the model
    reads has no row in `metadata`.
    """

    def __len__(self) -> int: ...
    @property
    def images(self) -> NDArray[np.float32]:
        """The pictures, one unit row for each pair; a new array at each call."""
    @property
    def metadata(self) -> NDArray[np.float32]:
        """The records that have a field which the model reads, one unit row for each; a new array at each call."""
    @property
    def rows(self) -> list[int]:
        """For each row of `metadata` the pair that it belongs to, ascending."""
    @property
    def records(self) -> list[dict[str, Any] | None]:
        """The records as the model saw them, of its input pixels; None where nothing is known that it reads."""
    @property
    def similarities(self) -> list[float | None]:
        """The cosine of each picture with its own record; None where it has none."""

def cores() -> int: ...
def metadata_columns(names: Sequence[str]) -> list[str]: ...
def program(arguments: Sequence[str]) -> int: ...

_Path = str | os.PathLike[str]
_Told = Callable[[int, int, int | None, int], Any] | None

def plan_create(session: Session, given: dict[str, Any], output: _Path, progress: _Told) -> dict[str, Any]: ...
def plan_embed(session: Session, plan: _Path, out: _Path, shard: str, progress: _Told) -> dict[str, Any]: ...
def plan_status(out: _Path) -> dict[str, Any]: ...
def plan_verify(out: _Path) -> dict[str, Any]: ...
def plan_merge(out: _Path) -> dict[str, Any]: ...

@final
class Options:
    def __new__(cls, given: dict[str, Any]) -> Options: ...
    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int | None: ...

_Exceptions = list[SatmipError | None]

@final
class Session:
    def __new__(cls, options: Options, threads: int, library: str | os.PathLike[str] | None) -> Session: ...
    def forked(self) -> Session: ...
    @property
    def id(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def input_size(self) -> int: ...
    @property
    def fields(self) -> list[str]: ...
    @property
    def device(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    def images(
        self, pictures: Iterable[Any], features: bool, tolerant: bool
    ) -> tuple[NDArray[np.float32], _Exceptions]: ...
    def metadata(
        self, given: Iterable[Any], features: bool, tolerant: bool
    ) -> tuple[NDArray[np.float32], _Exceptions]: ...
    def both(
        self, pictures: Iterable[Any], given: Iterable[Any] | None, tolerant: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_], _Exceptions]: ...
    def pairs(self, pictures: Iterable[Any], given: Iterable[Any], tolerant: bool) -> tuple[Pairs, _Exceptions]: ...
    def query(
        self, images: ArrayLike, field: str, values: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    def audit(self, pairs: Pairs) -> list[dict[str, Any]]: ...
    def fitted_metadata(self, given: Any, width: int, height: int) -> dict[str, Any]: ...
