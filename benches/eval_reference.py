"""`satmip eval` against NumPy and scikit-learn, on the same stored features of real chips.

    cargo build --release -p satmip-cli --features eval
    python benches/eval_reference.py DATA [-m MODEL] [--set eurosat_rgb] [--satmip target/release/satmip]

DATA holds the set's .tar and .csv (columns file, label, split). Needs numpy and scikit-learn. kNN is DINO's in float64, the lower row first of equal
neighbours; the probe is scikit-learn's logistic regression on standardised features; each side chooses its C from the same grid on the validation
split. Exits with 1 where the kNN of any item or k differs, or the probe by more than 0.1 points
(one item, where there are so few that one is more).
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

NEIGHBOURS = [10, 20, 100, 200]
GRID = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


def unit(rows):
    """As float32, the rows that are compared."""
    rows = rows.astype(np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def knn(bank, labels, queries, classes):
    """For each k the class of each query."""
    bank, queries, found = unit(bank), unit(queries), {k: [] for k in NEIGHBOURS}
    for start in range(0, len(queries), 256):
        similarities = queries[start : start + 256] @ bank.T
        order = np.argsort(-similarities, axis=1, kind="stable")[:, : max(NEIGHBOURS)]
        near = np.take_along_axis(similarities, order, axis=1)
        for k in NEIGHBOURS:
            votes = np.zeros((len(order), classes))
            rows = np.arange(len(order))[:, None]
            np.add.at(votes, (rows, labels[order[:, :k]]), np.exp(near[:, :k] / 0.07))
            found[k].append(votes.argmax(axis=1))
    return {k: np.concatenate(parts) for k, parts in found.items()}


def confusion(truth, predicted, classes):
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-m", "--model", default="satmip-nano")
    parser.add_argument("--set", default="eurosat_rgb")
    parser.add_argument("--satmip", default="target/release/satmip")
    options = parser.parse_args()

    def satmip(*arguments):
        return subprocess.run([options.satmip, *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout

    with tempfile.TemporaryDirectory() as scratch:
        stored = Path(scratch, "features.npy")
        satmip("embed", options.data / f"{options.set}.tar", "-m", options.model, "--features", "features", "-o", stored, "-q")
        vectors = np.load(stored)
        ids = [json.loads(line)["id"] for line in stored.with_name("features.ids.jsonl").read_text().splitlines()]
        common = ["--data", options.set.replace("_", "-"), "--root", options.data, "--embeddings", stored, "-q", "--json"]
        ours = [json.loads(satmip("eval", "knn", "-k", k, *common)) for k in NEIGHBOURS]
        probe = json.loads(satmip("eval", "linear", "--grid", ",".join(map(str, GRID)), *common))

    with open(options.data / f"{options.set}.csv", newline="") as index:
        chips = {row["file"]: row for row in csv.DictReader(index)}
    rows = [chips[name] if name in chips else chips[name.split("/", 1)[1]] for name in ids]
    names = sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    split = np.array([row["split"] for row in rows])
    train, val, test = (split == part for part in ("train", "val", "test"))
    failed = False

    theirs = knn(vectors[train], labels[train], vectors[test], len(names))
    for k, report in zip(NEIGHBOURS, ours):
        expected = confusion(labels[test], theirs[k], len(names))
        places = [report["data"]["classes"].index(name) for name in names]
        found = np.array(report["confusion"]["counts"])[np.ix_(places, places)]
        moved = int(np.abs(found - expected).sum() // 2)
        accuracy = [100 * np.trace(matrix) / matrix.sum() for matrix in (found, expected)]
        print(f"kNN, k = {k}: satmip {accuracy[0]:.4f}, NumPy {accuracy[1]:.4f}; {moved} of {test.sum()} items in another cell")
        failed |= moved > 0

    scaler = StandardScaler().fit(vectors[train].astype(np.float64))
    inputs = {name: scaler.transform(vectors[part].astype(np.float64)) for name, part in (("train", train), ("val", val), ("test", test))}

    def fit(c):
        return LogisticRegression(C=c, max_iter=5000, tol=1e-6).fit(inputs["train"], labels[train])

    fits = {c: fit(c) for c in GRID}
    best = max(GRID, key=lambda c: (fits[c].score(inputs["val"], labels[val]), -c))
    found = probe["scores"][probe["headline"]]["metrics"][0]["value"]
    chosen = float(probe["scores"][probe["headline"]]["value"])
    theirs = 100 * fits[best].score(inputs["test"], labels[test])
    print(f"probe: satmip {found:.3f} (C = {chosen:g}), scikit-learn {theirs:.3f} (C = {best:g})")
    failed |= abs(found - theirs) > max(0.1, 100.1 / test.sum())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
