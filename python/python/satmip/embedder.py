"""The class that people call: its arguments, and what its calls take and give."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import sessions
from ._satmip import Options, Pairs, SatmipError, Session

if TYPE_CHECKING:
    import pyarrow as pa

    Batch = TypeVar("Batch", pa.RecordBatch, pa.Table)

Window = tuple[str | os.PathLike[str], Sequence[int]]
"""A window of a scene: its path or address (https, s3, gs, az), and x, y, width and height in pixels as stored."""
Image = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[np.uint8] | Window
"""A picture: a path, the bytes of a file, pixels (uint8 [height, width, 3], RGB), or a window of a scene."""
Records = Iterable[Mapping[str, Any]] | Any
"""Dictionaries with a key for each field, STAC items, or a table of Arrow, pandas or polars."""

Vectors = NDArray[np.float32]
Errors = list[SatmipError | None]
Tolerant = tuple[list[Vectors | None], Errors]


@dataclass(frozen=True)
class Query:
    """Which value of a field fits each picture: what `Embedder.query` gives."""

    field: str
    """The field that was asked about."""
    values: list[str]
    """The values that were offered."""
    similarities: Vectors
    """[images, values]: the cosine of each picture with each value."""
    probabilities: Vectors
    """[images, values]: the softmax of the cosines; each row sums to 1."""

    def best(self, image: int) -> tuple[str, float]:
        """The most probable value for a picture and its probability; of equal ones the first."""
        row = self.probabilities[image]
        best = int(row.argmax())
        return self.values[best], float(row[best])


class Embedder:
    """Embeds pictures and metadata with one model.

    The model is loaded when it is first used, once in each process, whatever the number of embedders with the same
    arguments; a process that was forked goes on with the model of its parent. An embedder is pickled by its
    arguments, so that it goes to the workers of an engine as it is. It serves any number of threads, and the
    interpreter is free for others while it works.

    `gsd`, `multispectral_gsd`, `pixel_size` and `location` of a record are those of the pixels that the model sees,
    as in training: a picture of 512 pixels of 0.5 m, brought to 64, has a gsd of 4 m. `embed_pairs` and
    `embed_batch` take the records of files and follow what the fit does; `embed_metadata` and `query` take values as
    they are, and `fitted_metadata` brings a file's record there.

    Calls with many items take `errors`. With "raise" the first bad item is a `SatmipError`. With "none" it costs no
    other: its place is empty, and the second result has its `SatmipError`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        batch_size: int | None = None,
        onnxruntime: str | os.PathLike[str] | None = None,
        precision: str | None = None,
        scale: str | tuple[float, float] | None = None,
        bands: str | tuple[int, ...] | None = None,
        min_valid: float | None = None,
        nodata: float | None = None,
        max_pixels: int | None = None,
        gsd: float | None = None,
        overview: int | None = None,
    ) -> None:
        """Checks the arguments, which are those of the command line; nothing is loaded yet.

        - `model`: the id of a model or the folder of a bundle; the built-in model where it is None.
        - `device`: auto, rten, onnxruntime, cuda:N or tensorrt:N.
        - `threads`: that decode and embed; as many as the engine around the process and its control group give.
        - `batch_size`: images that run at a time; 8, on a GPU 64.
        - `onnxruntime`: the library of ONNX Runtime; else that of this interpreter's package `onnxruntime`, if it is
          there.
        - `precision`: of the model's graphs: f32, f16, f16-weights, int8, int8-weights.
        - `scale`, `bands`: what samples mean, and which bands are red, green and blue: "s2", "0,3000" or (0, 3000);
          "4,3,2" or (4, 3, 2).
        - `min_valid`, `nodata`, `max_pixels`: the least share of valid pixels, a sample that marks missing ones
          besides the one that the file states, and the largest width times height.
        - `gsd`, `overview`: which copy of a scene is read: with pixels of about so many metres, or by its number from
          1.
        """
        self._arguments = {
            "model": None if model is None else os.fspath(model),
            "device": device,
            "threads": threads,
            "batch_size": batch_size,
            "onnxruntime": None if onnxruntime is None else os.fspath(onnxruntime),
            "precision": precision,
            "scale": _joined(scale),
            "bands": _joined(bands),
            "min_valid": min_valid,
            "nodata": nodata,
            "max_pixels": max_pixels,
            "gsd": gsd,
            "overview": overview,
        }
        Options(self._arguments)
        self._slot: sessions.Slot | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self._arguments)

    def __repr__(self) -> str:
        given = {name: value for name, value in self._arguments.items() if value is not None}
        return f"satmip.{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @property
    def _session(self) -> Session:
        if self._slot is None or self._slot.process != os.getpid():
            self._slot = sessions.slot(self._arguments)
        return self._slot.session()

    @property
    def id(self) -> str:
        """The model's id."""
        return self._session.id

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._session.dim

    @property
    def input_size(self) -> int:
        """Height and width in pixels of the pictures that the model sees."""
        return self._session.input_size

    @property
    def fields(self) -> list[str]:
        """Fields that the model reads; none for a model of images alone."""
        return self._session.fields

    @property
    def engine(self) -> str:
        """The runtime: onnxruntime or rten."""
        return self._session.engine

    @property
    def device(self) -> str:
        """Where the model runs; never auto."""
        return self._session.device

    @property
    def precision(self) -> str:
        """The precision of the graphs that run."""
        return self._session.precision

    @property
    def threads(self) -> int:
        """Threads that decode and embed in this process."""
        return self._session.threads

    @property
    def batch_size(self) -> int:
        """Images that run at a time."""
        return self._session.batch_size

    @overload
    def embed_images(self, images: Iterable[Image], *, errors: Literal["raise"] = "raise") -> Vectors: ...
    @overload
    def embed_images(self, images: Iterable[Image], *, errors: Literal["none"]) -> Tolerant: ...
    def embed_images(self, images: Iterable[Image], *, errors: str = "raise") -> Vectors | Tolerant:
        """Embeds pictures of any sizes: float32 [pictures, dim], unit rows.

        With errors="none": a list with a row for each picture, None where it is bad, and a list of what is wrong.
        """
        return _rows(self._session.images, images, False, errors)

    @overload
    def image_features(self, images: Iterable[Image], *, errors: Literal["raise"] = "raise") -> Vectors: ...
    @overload
    def image_features(self, images: Iterable[Image], *, errors: Literal["none"]) -> Tolerant: ...
    def image_features(self, images: Iterable[Image], *, errors: str = "raise") -> Vectors | Tolerant:
        """What the image tower sees before the projector, as `embed_images`: what probes and classifiers use."""
        return _rows(self._session.images, images, True, errors)

    @overload
    def embed_metadata(self, records: Records, *, errors: Literal["raise"] = "raise") -> Vectors: ...
    @overload
    def embed_metadata(self, records: Records, *, errors: Literal["none"]) -> Tolerant: ...
    def embed_metadata(self, records: Records, *, errors: str = "raise") -> Vectors | Tolerant:
        """Embeds metadata, whose values are those of the model's input pixels: float32 [records, dim], unit rows.

        Missing fields are missing, and a record without any has a vector as well. `errors` as in `embed_images`.
        """
        return _rows(self._session.metadata, _listed(records), False, errors)

    @overload
    def metadata_features(self, records: Records, *, errors: Literal["raise"] = "raise") -> Vectors: ...
    @overload
    def metadata_features(self, records: Records, *, errors: Literal["none"]) -> Tolerant: ...
    def metadata_features(self, records: Records, *, errors: str = "raise") -> Vectors | Tolerant:
        """What the metadata tower makes of records before the projector, as `embed_metadata`."""
        return _rows(self._session.metadata, _listed(records), True, errors)

    @overload
    def embed_pairs(
        self, images: Iterable[Image], records: Records, *, errors: Literal["raise"] = "raise"
    ) -> Pairs: ...
    @overload
    def embed_pairs(
        self, images: Iterable[Image], records: Records, *, errors: Literal["none"]
    ) -> tuple[Pairs, Errors]: ...
    def embed_pairs(
        self, images: Iterable[Image], records: Records, *, errors: str = "raise"
    ) -> Pairs | tuple[Pairs, Errors]:
        """Embeds pictures with the records of their files, which follow what the fit does to the picture.

        A picture of which nothing is known has `{}`. With errors="none" bad pairs are left out, and the second result
        has what is wrong for each pair that was given, None for those that are there.
        """
        tolerant = _tolerant(errors)
        pairs, faults = self._session.pairs(images, _listed(records), tolerant)
        return (pairs, faults) if tolerant else pairs

    def embed_batch(self, batch: Batch, *, errors: Literal["raise", "none"] = "raise") -> Batch:
        """Embeds the rows of a batch (or table) of Arrow, for engines that pass such on. Needs pyarrow.

        The picture of a row is its `bytes`, or the window `window` ([x, y, width, height]) of `scene`, a path or an
        address (https, s3, gs, az), or the file `path`. Columns that are named as fields are its record, which is that
        of its file; windows have the place of their scene as well.

        The result has the columns of the batch but `bytes`, and `image_embedding` and `metadata_embedding`: lists of
        float32 of a fixed size, as the command line writes them. The latter is there where the model reads metadata
        and the batch has some; it is null where nothing is known of a row. With errors="none" bad rows have nulls,
        and the column `error` says what is wrong. A batch without rows tells the schema of the result.
        """
        from . import arrow

        return arrow.embed_batch(self._session, batch, _tolerant(errors))

    def query(self, images: ArrayLike, field: str, values: Iterable[Any]) -> Query:
        """Which of the values of a field fits each picture, of which `images` has the vectors.

        Values are written as in a caption, and are those of the model's input pixels. Their probabilities are
        relative to each other: when none fits, one of them still comes first.
        """
        if isinstance(values, str):
            raise _refused("values", "a list is wanted, not a str")
        texts = [str(value) for value in values]
        return Query(field, texts, *self._session.query(images, field, texts))

    def audit(self, pairs: Pairs) -> list[dict[str, Any]]:
        """How well each picture fits its own record: a dictionary for each pair that has one.

        `index` is the pair, `similarity` its cosine, `rank` 1 where no other of the `records` of the set fits the
        picture better, and `fields` what the cosine would gain were each field left out, the worst first.
        """
        return self._session.audit(pairs)

    def fitted_metadata(self, record: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
        """The record of a file of `width` x `height` pixels as the model sees it, for `embed_metadata`."""
        return self._session.fitted_metadata(record, width, height)


def _again(kind: type[Embedder], arguments: dict[str, Any]) -> Embedder:
    return kind(**arguments)


def _rows(
    run: Callable[[Iterable[Any], bool, bool], tuple[Vectors, Errors]],
    items: Iterable[Any],
    features: bool,
    errors: str,
) -> Vectors | Tolerant:
    tolerant = _tolerant(errors)
    rows, faults = run(items, features, tolerant)
    if not tolerant:
        return rows
    return [row if fault is None else None for row, fault in zip(rows, faults)], faults


def _tolerant(errors: str) -> bool:
    if errors not in ("raise", "none"):
        raise _refused("errors", f"{errors!r} is neither 'raise' nor 'none'")
    return errors == "none"


def _refused(what: str, reason: str) -> SatmipError:
    error = SatmipError(f"{what}: {reason}")
    error.kind = "argument"
    return error


def _listed(records: Records) -> Iterable[Any]:
    """Records one by one, those of a table as dictionaries."""
    if hasattr(records, "__arrow_c_stream__") or hasattr(records, "__arrow_c_array__"):
        from . import arrow

        return arrow.records(records)
    return records


def _joined(value: Any) -> Any:
    """What the command line writes with commas."""
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else value
