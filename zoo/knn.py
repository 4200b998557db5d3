"""Weighted kNN accuracy of stored vectors, with the protocol of DINO: cosine, votes exp(s / 0.07).

    satmip embed chips.tar --features features -o chips.npy
    python zoo/knn.py chips.npy chips.csv [--k 20] [--random-split]

Neighbours come from the split `train` of the index, queries from `test`. The ids beside the vectors
(`chips.ids.jsonl`) are matched with the index's column `file`. `--colours chips.tar` measures colour
means over 8 x 8 cells instead of stored vectors. `--random-split` ignores the index's split and draws 15 %
of the chips for the test: neighbouring chips share their scene, so that figure leaks.

Needs numpy, and Pillow for `--colours`.
"""

import argparse
import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np


def read_vectors(path):
    """The vectors and their ids."""
    lines = Path(str(path).removesuffix(".npy") + ".ids.jsonl").read_text().splitlines()
    return np.load(path), [Path(json.loads(line)["id"]) for line in lines]


def colour_means(path):
    """Means of R, G, B over 8 x 8 cells, centred as the images' mid grey."""
    from PIL import Image

    rows, ids = [], []
    with tarfile.open(path) as archive:
        for member in archive:
            data = archive.extractfile(member).read()
            image = Image.open(io.BytesIO(data)).convert("RGB").resize((8, 8), Image.Resampling.BOX)
            rows.append(np.asarray(image, dtype=np.float32).ravel() - 100)
            ids.append(Path(member.name))
    return np.stack(rows), ids


def knn(bank, bank_labels, queries, labels, k, classes):
    """Share of queries whose weighted vote is right."""
    right = 0
    for start in range(0, len(queries), 1000):
        similarity = queries[start : start + 1000] @ bank.T
        near = np.argpartition(-similarity, min(k, len(bank) - 1), axis=1)[:, :k]
        weight = np.exp(np.take_along_axis(similarity, near, axis=1) / 0.07)
        votes = np.zeros((len(near), classes))
        for column in range(near.shape[1]):
            np.add.at(
                votes,
                (np.arange(len(near)), bank_labels[near[:, column]]),
                weight[:, column],
            )
        right += (votes.argmax(axis=1) == labels[start : start + 1000]).sum()
    return right / len(queries)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("vectors", help=".npy of `satmip embed`, or with --colours a tar archive")
    parser.add_argument("index", help="CSV with file, label, split")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--colours", action="store_true")
    parser.add_argument("--random-split", action="store_true")
    arguments = parser.parse_args()

    vectors, ids = (colour_means if arguments.colours else read_vectors)(arguments.vectors)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    with open(arguments.index, newline="") as file:
        index = {row["file"]: row for row in csv.DictReader(file)}
    # An id of an archive's member may begin with the archive's name.
    rows = [index.get(str(i)) or index[str(Path(*i.parts[1:]))] for i in ids]
    names = sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    if arguments.random_split:
        test = np.random.default_rng(0).random(len(rows)) < 0.15
        train = ~test
    else:
        train = np.array([row["split"] == "train" for row in rows])
        test = np.array([row["split"] == "test" for row in rows])
    share = knn(
        vectors[train], labels[train], vectors[test], labels[test], arguments.k, len(names)
    )
    print(f"kNN k={arguments.k}: {100 * share:.2f} % of {test.sum()} ({train.sum()} neighbours)")


if __name__ == "__main__":
    main()
