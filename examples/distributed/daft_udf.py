"""Embeddings by Daft: a class as a function of columns, paths and metadata, never pixels.

    python examples/distributed/daft_udf.py FOLDER OUT

FOLDER holds pictures and `metadata.csv` with a column `file`; OUT becomes a folder of Parquet.
"""

import sys
from pathlib import Path

import daft
import pyarrow as pa
from daft import DataType

import satmip

VECTOR = DataType.list(DataType.float32())
FIELDS = ["lon", "lat", "gsd", "sensor_platform"]


@daft.cls(max_concurrency=2, use_process=True)
class Embed:
    """A process of Daft's: its model is loaded once."""

    def __init__(self):
        self.model = satmip.Embedder(threads=1)

    @daft.method.batch(
        return_dtype=DataType.struct({"image_embedding": VECTOR, "metadata_embedding": VECTOR}), batch_size=256
    )
    def vectors(self, *columns):
        batch = pa.RecordBatch.from_arrays([column.to_arrow() for column in columns], names=["path", *FIELDS])
        found = self.model.embed_batch(batch).select(["image_embedding", "metadata_embedding"])
        # Vectors as Arrow has them: lists of Python take longer than the model.
        lists = pa.schema([(name, pa.list_(pa.float32())) for name in found.schema.names])
        return found.cast(lists).to_struct_array()


def main(folder, out):
    folder = Path(folder).resolve()
    rows = daft.read_csv(str(folder / "metadata.csv"))
    rows = rows.with_column("path", daft.lit(f"{folder}/") + rows["file"])
    rows = rows.with_column("found", Embed().vectors(rows["path"], *(rows[name] for name in FIELDS)))
    for name in ["image_embedding", "metadata_embedding"]:
        rows = rows.with_column(name, rows["found"][name])
    rows.exclude("found").write_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:3])
