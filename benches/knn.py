"""Weighted kNN in NumPy, alone or in turn with satmip.

    python benches/knn.py 27000 27000 192 [--satmip BENCH] [--rounds 3]

BENCH is the binary that `cargo bench -p satmip-eval --bench knn --no-run` names; with it both run in turn, in one sitting, and the
last column is NumPy's time over satmip's. NumPy multiplies float32 in chunks, takes the largest 200 with argpartition
and votes for k 10, 20, 100 and 200. Features are drawn around one centre for each class. Time is the median of the
rounds, memory the process's peak. Set OPENBLAS_NUM_THREADS to compare on fewer cores.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

KS = (10, 20, 100, 200)


def knn(bank, labels, queries, classes, chunk=1024):
    """The predicted classes of each k, by DINO's protocol."""
    import numpy as np

    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
    bank, queries = unit(bank), unit(queries)
    most = min(max(KS), len(bank))
    found = {k: [] for k in KS}
    for first in range(0, len(queries), chunk):
        similarities = queries[first : first + chunk] @ bank.T
        near = np.argpartition(-similarities, most - 1, axis=1)[:, :most]
        values = np.take_along_axis(similarities, near, axis=1)
        order = np.argsort(-values, axis=1)
        near, values = np.take_along_axis(near, order, axis=1), np.take_along_axis(values, order, axis=1)
        weights = np.exp(values / 0.07)
        for k in KS:
            votes = np.zeros((len(near), classes), np.float32)
            rows = np.repeat(np.arange(len(near)), min(k, most))
            np.add.at(votes, (rows, labels[near[:, :k]].ravel()), weights[:, :k].ravel())
            found[k].append(votes.argmax(axis=1))
    return {k: np.concatenate(parts) for k, parts in found.items()}


def once(options):
    import numpy as np

    rng = np.random.default_rng(1)
    centres = rng.uniform(-1, 1, (options.classes, options.dim))

    def draw(count):
        classes = np.arange(count) % options.classes
        rows = 0.3 * centres[classes] + rng.uniform(-1, 1, (count, options.dim))
        return rows.astype(np.float32), classes

    (bank, labels), (queries, truth) = draw(options.rows), draw(options.queries)
    start = time.perf_counter()
    found = knn(bank, labels, queries, options.classes)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "accuracy": float((found[20] == truth).mean())}))


def main():
    parser = argparse.ArgumentParser()
    for name in ("rows", "queries", "dim"):
        parser.add_argument(name, type=int)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--satmip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args()
    if options.once:
        return once(options)
    sizes = [str(v) for v in (options.rows, options.queries, options.dim, "--classes", options.classes)]
    commands = {"numpy": [sys.executable, __file__, *sizes, "--once"]}
    if options.satmip:
        commands["satmip"] = [options.satmip, *sizes, "--rounds", "1"]
    found = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found[name].append(json.loads(output.stdout))
    print(f"{options.rows} rows, {options.queries} queries, width {options.dim}, k {KS}")
    seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    for name, runs in found.items():
        peak = max(run["peak_mb"] for run in runs)
        ratio = f"{seconds['numpy'] / seconds[name]:6.2f}" if name == "satmip" else ""
        print(f"{name:7} {seconds[name]:8.2f} s {peak:8.0f} MB  accuracy {runs[0]['accuracy']:.4f} {ratio}")


if __name__ == "__main__":
    main()
