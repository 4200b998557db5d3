"""Embeddings by Spark: batches of Arrow to the Python workers, paths and metadata, never pixels.

    python examples/distributed/spark.py FOLDER OUT [CORES]

FOLDER holds pictures and `metadata.csv` with a column `file`; OUT becomes a folder of Parquet.
"""

import sys
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession, functions

VECTORS = ["image_embedding", "metadata_embedding"]


def embed(batches):
    """A worker is a process: however many tasks it gets, its model is loaded once."""
    import satmip

    model = satmip.Embedder(threads=1)
    for batch in batches:
        batch = model.embed_batch(batch)
        # Spark knows no lists of a fixed length.
        lists = [batch[name].cast(pa.list_(pa.float32())) if name in VECTORS else batch[name]
                 for name in batch.schema.names]
        yield pa.RecordBatch.from_arrays(lists, names=batch.schema.names)


def main(folder, out, cores=2):
    folder = Path(folder).resolve()
    spark = SparkSession.builder.master(f"local[{cores}]").config("spark.ui.enabled", "false").getOrCreate()
    rows = spark.read.csv(str(folder / "metadata.csv"), header=True, inferSchema=True)
    rows = rows.withColumn("path", functions.concat(functions.lit(f"{folder}/"), "file")).repartition(2 * int(cores))
    columns = ", ".join(f"`{name}` {kind}" for name, kind in rows.dtypes)
    schema = ", ".join([columns, *(f"{name} array<float>" for name in VECTORS)])
    rows.mapInArrow(embed, schema).write.parquet(out)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
