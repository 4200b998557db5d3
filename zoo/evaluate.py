"""Evaluates a bundle for its card: a table between the marks of its README.md (`<!-- eval:start -->`), and the headline of bundle.json.

    python zoo/evaluate.py DATA zoo/satmip-nano OUT [--satmip target/release/satmip] [--only TEXT]

DATA holds eurosat_rgb, planesnet and shipsnet (.tar and .csv). OUT gets a report for each question; what is there is not asked again. All figures are of the
test splits, whose places are apart from those of training, with bootstrap intervals of 95 %.
"""

import argparse
import json
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
# What lists of models show, accuracies in percent.
HEADLINE = {
    "knn": "eurosat-rgb, kNN",
    "linear": "eurosat-rgb, linear",
    "linear-both": "eurosat-rgb, linear, image and metadata",
    "ships": "shipsnet, kNN",
    "planes": "planesnet, kNN",
}
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
    reports, headline = [], {}
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
        if name in HEADLINE:
            report = json.loads(path.read_text())
            value = report["scores"][report["headline"]]["metrics"][0]["value"]
            headline[HEADLINE[name]] = round(value, 2)
    card = options.bundle / "README.md"
    command = [options.satmip, "eval", "summary", "--card", card, *reports]
    subprocess.run(list(map(str, command)), check=True)
    path = options.bundle / "bundle.json"
    manifest = json.loads(path.read_text())
    manifest["metrics"] = {"headline": headline}
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
