"""Evaluates a bundle for its card, and puts the table between the marks of its README.md (`<!-- eval:start -->`).

    python zoo/evaluate.py DATA zoo/satmip-nano OUT [--satmip target/release/satmip] [--only TEXT]

DATA holds eurosat_rgb, planesnet and shipsnet (.tar and .csv). OUT gets a report for each question; what is there is not asked again. All figures are of the
test splits, whose places are apart from those of training, with bootstrap intervals of 95 %.
"""

import argparse
import subprocess
from pathlib import Path

KNN = ["knn", "-k", "20"]
LINEAR = ["linear", "--grid", "0.003,0.01,0.03,0.1,0.3,1"]
UNTRAINED = ["--encoder", "untrained"]
RAW = ["--encoder", "raw"]

# Name, task, data set, features, options.
QUESTIONS = [
    ("knn", KNN, "eurosat-rgb", "image", []),
    ("knn-untrained", KNN, "eurosat-rgb", "image", UNTRAINED),
    ("knn-raw", KNN, "eurosat-rgb", "image", RAW),
    ("knn-random", KNN, "eurosat-rgb", "image", ["--split", "random"]),
    ("linear", LINEAR, "eurosat-rgb", "image", []),
    ("linear-untrained", LINEAR, "eurosat-rgb", "image", UNTRAINED),
    ("linear-metadata", LINEAR, "eurosat-rgb", "metadata", []),
    ("linear-both", LINEAR, "eurosat-rgb", "both", []),
    ("ships", KNN, "shipsnet", "image", []),
    ("ships-raw", KNN, "shipsnet", "image", RAW),
    ("planes", KNN, "planesnet", "image", []),
    ("planes-raw", KNN, "planesnet", "image", RAW),
    ("retrieval", ["retrieval"], "eurosat-rgb", None, []),
    ("country", ["zeroshot", "--field", "country_code"], "eurosat-rgb", None, []),
]
NEEDS_METADATA = {"linear-metadata", "linear-both", "retrieval", "country"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--only", default="", help="questions whose name has this in it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    reports = []
    for name, task, data, features, extra in QUESTIONS:
        if options.only not in name:
            continue
        if name in NEEDS_METADATA and not (options.bundle / "metadata.onnx").exists():
            continue
        path = options.out / f"{name}.json"
        if not path.exists():
            command = [options.satmip, "eval", *task, "-q", "--json", "--data", data, "--root", options.data]
            command += ["-m", options.bundle, *extra, *(["--features", features] if features else [])]
            done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
            path.write_bytes(done.stdout)
        reports.append(path)
    card = options.bundle / "README.md"
    command = [options.satmip, "eval", "summary", "--card", card, *reports]
    subprocess.run(list(map(str, command)), check=True)


if __name__ == "__main__":
    main()
