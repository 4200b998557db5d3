"""Jobs for many machines: a plan cuts the inputs into blocks, and each machine embeds its share of them.

>>> from satmip import Embedder, plan
>>> model = Embedder(scale="s2")
>>> plan.create(["scenes"], "plan.parquet", model=model, tile=64)
>>> plan.embed("plan.parquet", "out", shard="0/8", model=model)  # on each of eight machines
>>> plan.status("out").complete
>>> plan.merge("out")

Plans and parts are those of the command line (`satmip plan`, `satmip embed --plan`): what one began the other goes on
with. Where the parts are may be a folder that all machines see, or a place in a store (`s3://bucket/out`). Each call
raises a `SatmipError` that names what is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from . import _satmip
from .embedder import Embedder, _joined, _refused

__all__ = ["Planned", "Progress", "Share", "Status", "Verified", "create", "embed", "merge", "status", "verify"]

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class Progress:
    """How far a call is: what its `progress` is called with, on the thread of the call."""

    items: int
    """Items done, those of an earlier run included."""
    resumed: int
    """Items of an earlier run."""
    total: int | None
    """All items; None while they are counted."""
    skipped: int
    """Items left out so far."""


@dataclass(frozen=True)
class Planned:
    """What `create` planned."""

    items: int
    """Windows or pictures, bad ones included."""
    blocks: int
    """Blocks that they are cut into."""
    ignored: int
    """Files in folders and archives whose name is no image's."""
    outside: int
    """Scenes of another time or place than was asked for."""
    metadata: dict[str, int] | None
    """How a table and the items fitted together: `rows`, `joined`, `items_without_row` and others; None without a table."""


@dataclass(frozen=True)
class Share:
    """What `embed` did."""

    blocks: int
    """Blocks of the share."""
    done_before: int
    """Those that were there when their turn came."""
    by_others: int
    """Those that another machine completed first."""
    items: int
    """Items of the blocks that were embedded."""
    rows: int
    """Their rows."""
    skipped: int
    """Items left out, or whose metadata were: lines of the files of errors."""


@dataclass(frozen=True)
class Status:
    """How far the parts of a plan are."""

    blocks: int
    """All blocks."""
    done: int
    """Those whose parts are complete."""
    under_way: list[int]
    """Those that somebody writes, or was lost while it did."""
    missing: list[tuple[int, int]]
    """Those that nobody has begun, as first and last."""
    items: int
    """Items of those that are done."""
    rows: int
    """Their rows: items that are embedded."""
    skipped: int
    """Their lines of errors: items without a row, and items of whose metadata something is wrong."""
    merged: bool
    """Whether the parts are one job's already."""

    @property
    def complete(self) -> bool:
        """Whether all blocks are done."""
        return self.done == self.blocks


@dataclass(frozen=True)
class Verified:
    """What `verify` found."""

    parts: int
    """Parts that were read."""
    rows: int
    """Rows of those that are sound."""
    faults: list[str]
    """What is wrong, by part; empty where nothing is."""


def create(
    inputs: Iterable[Path],
    output: Path,
    *,
    model: Embedder | None = None,
    tile: int | None = None,
    stride: int | None = None,
    edge: Literal["shift", "drop", "pad"] | None = None,
    assets: Sequence[str] | None = None,
    offset: Literal["auto", "0", "-1000"] | None = None,
    cloud_asset: str | None = None,
    max_cloud: float | None = None,
    bbox: str | tuple[float, float, float, float] | None = None,
    intersects: Path | None = None,
    grid: str | None = None,
    datetime: str | None = None,
    metadata: Path | None = None,
    columns: Mapping[str, str] | None = None,
    features: Literal["embeds", "features", "both"] = "embeds",
    vectors: Literal["f32", "f16", "int8"] = "f32",
    images_only: bool = False,
    block_items: int = 10_000,
    overwrite: bool = False,
    progress: Callable[[Progress], Any] | None = None,
) -> Planned:
    """Lists inputs (folders, lists, archives, images, scenes, catalogues, addresses) into the file `output`, cut into
    blocks of `block_items`. Of scenes the headers are read, of pictures nothing.

    How pictures are read and how many are in a batch says `model`, by default `Embedder()`. The other arguments are
    the options of `satmip plan`; those from `stride` to `datetime` are of windows and need `tile`. `metadata` is a table
    (CSV or Parquet) that is joined by path or unique file name, `columns` which of its columns is which field (or
    `key`, `none`), as `--map` has it; the table is not needed after that.

    A call that was broken off is gone on with by the same call: what was learned of scenes is kept beside `output` until
    it is there.
    """
    given = {
        "inputs": _listed(inputs),
        "tile": tile,
        "stride": stride,
        "edge": edge,
        "assets": None if assets is None else _listed(assets, "assets"),
        "offset": offset,
        "cloud_asset": cloud_asset,
        "max_cloud": max_cloud,
        "bbox": _joined(bbox),
        "intersects": None if intersects is None else os.fspath(intersects),
        "grid": grid,
        "datetime": datetime,
        "metadata": None if metadata is None else os.fspath(metadata),
        "columns": None if columns is None else dict(columns),
        "features": features,
        "vectors": vectors,
        "images_only": images_only,
        "block_items": block_items,
        "overwrite": overwrite,
    }
    return Planned(**_satmip.plan_create(_session(model), given, output, _telling(progress)))


def embed(
    plan: Path,
    out: Path,
    *,
    shard: str | tuple[int, int] | None = None,
    model: Embedder | None = None,
    progress: Callable[[Progress], Any] | None = None,
) -> Share:
    """Embeds a share of a plan's blocks into parts in `out`; those that are there are passed over, so that the same
    call goes on where a machine was lost.

    `shard` is "K/N" or (K, N), counted from 0; "auto" takes it from the variables of an array job of Slurm or AWS
    Batch, "auto/N" of an indexed job of Kubernetes; None is all blocks. `model` must be the one that was planned with;
    how pictures are read says the plan. Ctrl-C ends it after the batches that were begun.
    """
    share = shard if isinstance(shard, str) else _share(shard)
    return Share(**_satmip.plan_embed(_session(model), plan, out, share, _telling(progress)))


def status(out: Path) -> Status:
    """How far the parts in `out` are, by their names and a small file for each."""
    return _status(_satmip.plan_status(out))


def verify(out: Path) -> Verified:
    """Reads every part in `out`: its bytes as they were written, its vectors finite and of length 1."""
    return Verified(**_satmip.plan_verify(out))


def merge(out: Path) -> Status:
    """Makes the parts in `out` one job's folder, without copying them. All blocks must be done."""
    return _status(_satmip.plan_merge(out))


def _status(found: dict[str, Any]) -> Status:
    missing = [(first, last) for first, last in found.pop("missing")]
    return Status(missing=missing, **found)


def _session(model: Embedder | None) -> _satmip.Session:
    return (Embedder() if model is None else model)._session


def _listed(given: Iterable[Path], what: str = "inputs") -> list[Path]:
    if isinstance(given, (str, bytes, os.PathLike)):
        raise _refused(what, f"a list is wanted, not a {type(given).__name__}")
    return list(given)


def _share(shard: tuple[int, int] | None) -> str:
    if shard is None:
        return "0/1"
    try:
        index, count = shard
    except (TypeError, ValueError):
        raise _refused("shard", f'{shard!r} is neither "K/N" nor (K, N)') from None
    return f"{index}/{count}"


def _telling(progress: Callable[[Progress], Any] | None) -> Callable[..., Any] | None:
    return None if progress is None else lambda *told: progress(Progress(*told))
