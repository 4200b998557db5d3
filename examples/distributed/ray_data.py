"""Embeddings by Ray Data: an actor for each model, paths and metadata through the engine, never pixels.

    python examples/distributed/ray_data.py FOLDER OUT [ACTORS]

FOLDER holds pictures and `metadata.csv` with a column `file`; OUT becomes a folder of Parquet.
"""

import sys
from pathlib import Path

import pyarrow.csv
import ray

import satmip


class Embed:
    """An actor: its model is loaded once, and uses as many threads as Ray gives it cores (OMP_NUM_THREADS)."""

    def __init__(self):
        self.model = satmip.Embedder()

    def __call__(self, batch):
        return self.model.embed_batch(batch)


def main(folder, out, actors=2):
    folder = Path(folder).resolve()
    table = pyarrow.csv.read_csv(folder / "metadata.csv")
    paths = [str(folder / name) for name in table["file"].to_pylist()]
    rows = ray.data.from_arrow(table.append_column("path", [paths])).repartition(8 * int(actors))
    pool = ray.data.ActorPoolStrategy(size=int(actors))
    found = rows.map_batches(Embed, batch_format="pyarrow", batch_size=256, num_cpus=1, compute=pool)
    found.write_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
