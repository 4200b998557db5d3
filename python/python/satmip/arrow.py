"""Batches and tables of Arrow. Needs pyarrow, which the rest of the package does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from . import _satmip

if TYPE_CHECKING:
    from .embedder import Batch

# Columns that say what a row's picture is, in the order in which they are looked for; the last two belong together.
BYTES, SCENE, WINDOW, PATH = "bytes", "scene", "window", "path"
# Columns of the result.
IMAGE, METADATA, ERROR = "image_embedding", "metadata_embedding", "error"


def embed_batch(session: _satmip.Session, batch: Batch, tolerant: bool) -> Batch:
    """Embeds the rows of a batch or table; see `Embedder.embed_batch`."""
    pictures, windows = _pictures(batch)
    names = _metadata_columns(batch) if session.fields else []
    given = batch.select(names).to_pylist() if names else None
    images, seen, vectors, known, faults = session.both(pictures, given, tolerant)
    added: dict[str, pa.Array] = {IMAGE: _column(images, seen)}
    if session.fields and (names or windows):
        added[METADATA] = _column(vectors, known)
    if tolerant:
        added[ERROR] = pa.array([None if fault is None else str(fault) for fault in faults], pa.string())
    kept = [field for field in batch.schema if field.name not in (BYTES, *added)]
    fields = kept + [pa.field(name, column.type) for name, column in added.items()]
    columns = [batch.column(field.name) for field in kept] + list(added.values())
    return type(batch).from_arrays(columns, schema=pa.schema(fields, batch.schema.metadata))


def records(table: Any) -> list[dict[str, Any]]:
    """The metadata of a table's rows, of anything that has Arrow's C interface."""
    table = pa.table(table)
    rows: list[dict[str, Any]] = table.select(_metadata_columns(table)).to_pylist()
    return rows


def _metadata_columns(batch: Any) -> list[str]:
    names = [name for name in batch.schema.names if name not in (BYTES, SCENE, WINDOW, PATH)]
    return _satmip.metadata_columns(names)


def _pictures(batch: Any) -> tuple[Iterable[Any], bool]:
    """The rows' pictures, and whether they are windows of scenes."""
    names = batch.schema.names
    if BYTES in names:
        # Lent as they lie in Arrow's memory.
        buffers = (cell.as_buffer() for cell in batch.column(BYTES).cast(pa.large_binary()))
        return [None if buffer is None else np.frombuffer(buffer, np.uint8) for buffer in buffers], False
    if SCENE in names and WINDOW in names:
        return list(zip(batch.column(SCENE).to_pylist(), batch.column(WINDOW).to_pylist())), True
    if PATH in names:
        return batch.column(PATH).to_pylist(), False
    error = _satmip.SatmipError(
        f"batch: none of the columns `{BYTES}`, `{SCENE}` with `{WINDOW}`, `{PATH}` is there; it has "
        f"{', '.join(names) or 'none'}"
    )
    error.kind = "argument"
    raise error


def _column(rows: np.ndarray, there: np.ndarray) -> pa.FixedSizeListArray:
    """Rows as lists of a fixed size, null where they are not there. The numbers are not copied."""
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False), rows.shape[1])
    mask = None if there.all() else pa.array(~there)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), type=kind, mask=mask)
