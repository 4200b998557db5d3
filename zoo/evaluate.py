"""Evaluates a bundle for its card: tables between the marks of its README.md (`<!-- eval:start -->`, `<!-- audit:start -->`), and the headline and the
figures of audits in bundle.json.

    python zoo/evaluate.py DATA zoo/satmip-nano OUT [--satmip target/release/satmip] [--only TEXT] [--present]

DATA holds eurosat_rgb, planesnet, shipsnet, sen2ports and nrt_romania_s2 (.tar and .csv); the free network's weights are in first-weights/
(`python zoo/first_weights.py`). OUT gets a report for each question; what is there is not asked again. All figures
are of the test splits, with bootstrap intervals of 95 %; notes say which of them lie near training chips. A version that was published stays as it is: figures that are
new need a new version of the bundle.
"""

import argparse
import json
import subprocess
from pathlib import Path

KNN = ["knn", "-k", "20"]
LINEAR = ["linear", "--grid", "0.0003,0.001,0.003,0.01,0.03,0.1,0.3,1"]
UNTRAINED = ["--encoder", "untrained"]
RAW = ["--encoder", "raw"]
# What a user has for free (`python zoo/first_weights.py`), at the model's input size.
IMAGENET = ["--encoder", "imagenet-lite0"]
FEW_SHOT = ["fewshot", "--shots", "5", "--seeds", "20"]

# Name, task, data set, features, options.
QUESTIONS = [
    ("knn", KNN, "eurosat-rgb", "image", []),
    ("knn-untrained", KNN, "eurosat-rgb", "image", UNTRAINED),
    ("knn-raw", KNN, "eurosat-rgb", "image", RAW),
    ("knn-imagenet", KNN, "eurosat-rgb", "image", IMAGENET),
    ("knn-random", KNN, "eurosat-rgb", "image", ["--split", "random"]),
    ("linear", LINEAR, "eurosat-rgb", "image", []),
    ("linear-imagenet", LINEAR, "eurosat-rgb", "image", IMAGENET),
    ("fewshot", FEW_SHOT, "eurosat-rgb", "image", []),
    ("fewshot-imagenet", FEW_SHOT, "eurosat-rgb", "image", IMAGENET),
    ("linear-metadata", LINEAR, "eurosat-rgb", "metadata", []),
    ("linear-metadata-raw", LINEAR, "eurosat-rgb", "metadata", RAW),
    ("linear-both", LINEAR, "eurosat-rgb", "both", []),
    ("ships", KNN, "shipsnet", "image", []),
    ("ships-raw", KNN, "shipsnet", "image", RAW),
    ("ships-imagenet", KNN, "shipsnet", "image", IMAGENET),
    ("ships-linear", LINEAR, "shipsnet", "image", []),
    ("ships-linear-imagenet", LINEAR, "shipsnet", "image", IMAGENET),
    ("planes", KNN, "planesnet", "image", []),
    ("planes-raw", KNN, "planesnet", "image", RAW),
    ("planes-imagenet", KNN, "planesnet", "image", IMAGENET),
    ("planes-linear", LINEAR, "planesnet", "image", []),
    ("planes-linear-imagenet", LINEAR, "planesnet", "image", IMAGENET),
    ("retrieval", ["retrieval"], "eurosat-rgb", None, []),
    ("country", ["zeroshot", "--field", "country_code"], "eurosat-rgb", None, []),
    ("platform-ships", ["zeroshot", "--field", "sensor_platform"], "shipsnet", None, []),
    ("platform-planes", ["zeroshot", "--field", "sensor_platform"], "planesnet", None, []),
    ("season", ["zeroshot", "--field", "season"], "nrt-romania-s2", None, []),
]
# What lists of models show, accuracies in percent.
HEADLINE = {
    "knn": "eurosat-rgb, kNN",
    "linear": "eurosat-rgb, linear",
    "linear-both": "eurosat-rgb, linear, image and metadata",
    "ships": "shipsnet, kNN",
    "planes": "planesnet, kNN",
    "fewshot": "eurosat-rgb, 5 of each class",
}
# Which sets an audit is measured on. The test ports of sen2ports' given split are two, others than those of training: two scenes are no evidence about a field,
# so their figures are shown and not written into the bundle.
AUDITS = [
    ("audit-eurosat", "eurosat-rgb", ["--write-bundle"]),
    ("audit-ships", "shipsnet", ["--write-bundle"]),
    ("audit-planes", "planesnet", ["--write-bundle"]),
    ("audit-forest", "nrt-romania-s2", ["--write-bundle"]),
    ("audit-ports", "sen2ports", ["--split", "given"]),
]
AUDIT_MARKS = ("<!-- audit:start -->", "<!-- audit:end -->")
NEEDS_METADATA = {"linear-metadata", "linear-metadata-raw", "linear-both", "retrieval", "country", "platform-ships", "platform-planes", "season"}


def ask(options, path, task, data, extra):
    """The report at a path, asked for where it is not there."""
    if not path.exists():
        command = [options.satmip, "eval", *task, "-q", "--json", "--data", data, "--root", options.data]
        command += ["-m", options.bundle, *extra]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
        path.write_bytes(done.stdout)
    return json.loads(path.read_text())


def figure(metric):
    """A share in percent, 0.5 being chance, as 0.61 (0.59 to 0.63)."""
    value, (low, high) = metric["value"], metric["interval"]
    return f"{value / 100:.2f} ({low / 100:.2f} to {high / 100:.2f})"


def audit_table(reports):
    """A row for each set and field: AUC of what an audit shows, of the cosine, and of random weights."""
    lines = [
        "| data set | split | swapped | chips | AUC | AUC of the cosine | AUC, random weights |",
        "|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        data = report["data"]
        for score in report["scores"]:
            metrics = {metric["name"]: metric for metric in score["metrics"]}
            cells = [data["name"], f"{data['evaluated']}, {data['split']}", score["value"]]
            cells.append(f"{int(metrics['chips']['value']):,}")
            cells += [figure(metrics[name]) for name in ("AUC", "AUC, cosine", "AUC, untrained")]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def put_between(path, marks, text):
    """Replaces what is between two marks of a file."""
    before, rest = path.read_text().split(marks[0])
    _, after = rest.split(marks[1])
    path.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--only", default="", help="questions whose name has this in it; tables that lack others stay")
    parser.add_argument("--present", action="store_true", help="ask nothing: tables of the reports that OUT has")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    reports, headline = [], {}
    has_metadata = (options.bundle / "metadata.onnx").exists()
    for name, task, data, features, extra in QUESTIONS:
        if options.only not in name:
            continue
        if name in NEEDS_METADATA and not has_metadata:
            continue
        path = options.out / f"{name}.json"
        if options.present and not path.exists():
            continue
        report = ask(options, path, task, data, [*extra, *(["--features", features] if features else [])])
        reports.append(path)
        if name in HEADLINE:
            value = report["scores"][report["headline"]]["metrics"][0]["value"]
            headline[HEADLINE[name]] = round(value, 2)
    card = options.bundle / "README.md"
    audits = []
    for name, data, extra in AUDITS if has_metadata else []:
        path = options.out / f"{name}.json"
        if options.only not in name or (options.present and not path.exists()):
            continue
        # A report that is there already was written into the bundle when it was asked for.
        audits.append(ask(options, path, ["audit", "--chips", 1000], data, extra))
    if audits and len(audits) == len(AUDITS):
        put_between(card, AUDIT_MARKS, audit_table(audits))
    if options.only:
        return
    command = [options.satmip, "eval", "summary", "--card", card, *reports]
    subprocess.run(list(map(str, command)), check=True)
    path = options.bundle / "bundle.json"
    manifest = json.loads(path.read_text())
    manifest["metrics"] = {"headline": headline}
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
