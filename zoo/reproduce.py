"""Trains and evaluates everything that zoo/REPORT.md tells of, and writes its tables.

    cargo build --release -p satmip-cli --features train
    python zoo/reproduce.py DATA OUT [--scale 1.0] [--seeds 1,2,3] [--only NAME,..] [--sets NAME,..] [--jobs 1] [--stage train|cost|memory|figures] [--satmip PROGRAM]
                                     [--device DEVICE]

Runs named `lite-..` are EfficientNet-Lite0 on libtorch, from ImageNet's weights or from fresh ones; they are not among those that run when
nothing is named:

    python zoo/first_weights.py
    zoo/with-libtorch cargo build --release -p satmip-cli --features libtorch
    zoo/with-libtorch python zoo/reproduce.py DATA OUT --satmip target/libtorch/release/satmip --device libtorch --only \
        lite-imagenet-satmips,lite-imagenet-simclr,lite-satmips,lite-simclr

DATA holds eurosat_rgb, planesnet, shipsnet and sen2ports (.tar and .csv). Runs train a small network on the train
split of eurosat_rgb, or on those of all four sets. A budget is the time of so many steps of SimCLR (STEPS): other methods get as many steps as their
step costs less or more (COST), so that all of them take the same time on a quiet machine. What is done is skipped and
what was interrupted goes on, so that the script can be killed and run again. Nothing but Python and satmip is needed.
OUT/figures.jsonl has a line for each report and each finished run (zoo/report-figures.jsonl is such a file).
"""

import argparse
import csv
import json
import os
import queue
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Step time over SimCLR's, of `--stage cost`; 0.99 and 1.49 are rounded, and a batch twice as large is taken to cost twice as much.
COST = {
    "simclr": 1.0,
    "satmip-text": 0.56,
    "satmips-text": 1.06,
    "satmip": 0.52,
    "satmips": 1.0,
    "uncoupled": 1.5,
    "batch-256": 2.0,
    "simclr-256": 2.0,
    # Over SimCLR's from ImageNet, which takes 1.29 s on libtorch and two cores of an AMD EPYC (one turn).
    "lite-imagenet-simclr": 1.0,
    "lite-imagenet-satmips": 1.05,
    "lite-simclr": 1.16,
    "lite-satmips": 1.26,
}

# Seconds of SimCLR's step there, one core of an Intel Xeon (AVX-512).
SECONDS = 0.80

# Half as wide as nano's, which learns as much in a step and takes half as long (benches/TRAINING.md); the metadata towers shrink with it.
IMAGE = ["image.widths=[32,64,128]"]
TEXT = [*IMAGE, "metadata.dim=64"]
TABULAR = [*IMAGE, 'metadata.tokens="field"']
# The views of nano-satmip.
ALONE = ['method="satmip"', "views.crop_area=[0.5,1.0]", "views.jitter=0.0", "views.grey=0.0"]
# EuroSAT has a location and nothing else that varies. Its towers drop nothing out: they see each place a few times.
EUROSAT = ['data=[{archive="eurosat_rgb.tar",index="eurosat_rgb.csv"}]']
PLACE = [*EUROSAT, 'fields=["location"]', "field_dropout=0.0"]
PLACES = [*PLACE, "metadata.attention_dropout=0.0", "metadata.hidden_dropout=0.0"]
# Views that change less of the place, and such as hide the light and the haze of a scene: SLIP's jitter.
GENTLE = ["views.crop_area=[0.5,1.0]"]
COLOURS = ["views.saturation=0.4", "views.hue=0.1", "views.grey=0.2"]
# Locations to a tenth of a degree, some 10 km (`coarse_places` writes the index).
COARSE = 'data=[{archive="eurosat_rgb.tar",index="OUT/eurosat_rgb-coarse.csv"}]'
FOUR = ["field_dropout=0.1"]

# Hierarchical pretraining: the zoo's recipe on EuroSAT's places, with its teacher, and the same tower with fresh weights.
LITE = ['image={kind="efficientnet-lite0"}', "preprocessing.mean=[0.498039,0.498039,0.498039]", "preprocessing.std=[0.501961,0.501961,0.501961]"]
IMAGENET = [
    'init={weights="first-weights/efficientnet-lite0-57934424.pth",sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",distill=10.0}',
    'image_norms="frozen"',
    "optimizer.tower_learning_rate=3e-4",
]

# Steps of SimCLR whose time is the budget: of runs on EuroSAT, on all four sets, and of those named `lite-..` (from ImageNet).
STEPS = {"eurosat": 300, "four": 400, "lite": 120}

# Name: recipe, whose cost, budget, changes.
RUNS = {
    "simclr": ("nano-simclr", "simclr", "eurosat", [*IMAGE, *EUROSAT]),
    "satmips-tabular": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES]),
    "satmip-tabular": ("nano-satmips-tabular", "satmip", "eurosat", [*TABULAR, *PLACES, *ALONE]),
    "satmips-text": ("nano-satmips", "satmips-text", "eurosat", [*TEXT, *PLACE]),
    "satmip-text": ("nano-satmip", "satmip-text", "eurosat", [*TEXT, *PLACE]),
    "uncoupled": ("nano-satmips-tabular", "uncoupled", "eurosat", [*TABULAR, *PLACES, "view_coupling=false"]),
    "untouched-metadata": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, "metadata_follow_views=false"]),
    "lambda-0.3": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, "lambda=0.3"]),
    "lambda-3": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, "lambda=3.0"]),
    "batch-256": ("nano-satmips-tabular", "batch-256", "eurosat", [*TABULAR, *PLACES, "batch_size=256"]),
    "simclr-256": ("nano-simclr", "simclr-256", "eurosat", [*IMAGE, *EUROSAT, "batch_size=256"]),
    "temperature-0.2": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, "temperature=0.2"]),
    "mlp-projector": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, 'image_projector={kind="mlp",hidden=[256]}']),
    "gentle-crops": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, *GENTLE]),
    "simclr-gentle-crops": ("nano-simclr", "simclr", "eurosat", [*IMAGE, *EUROSAT, *GENTLE]),
    "strong-colours": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, *COLOURS]),
    "simclr-strong-colours": ("nano-simclr", "simclr", "eurosat", [*IMAGE, *EUROSAT, *COLOURS]),
    "coarse-places": ("nano-satmips-tabular", "satmips", "eurosat", [*TABULAR, *PLACES, COARSE]),
    "fields-all": ("nano-satmips-tabular", "satmip", "four", [*TABULAR, *FOUR, *ALONE]),
    "fields-all-no-dropout": ("nano-satmips-tabular", "satmip", "four", [*TABULAR, *ALONE, "field_dropout=0.0"]),
    "fields-gsd": ("nano-satmips-tabular", "satmip", "four", [*TABULAR, *FOUR, *ALONE, 'fields=["gsd"]']),
    "fields-time": ("nano-satmips-tabular", "satmip", "four", [*TABULAR, *FOUR, *ALONE, 'fields=["timestamp"]']),
    "fields-location": ("nano-satmips-tabular", "satmip", "four", [*TABULAR, *FOUR, *ALONE, 'fields=["location"]']),
    "four-simclr": ("nano-simclr", "simclr", "four", IMAGE),
    "four-tabular": ("nano-satmips-tabular", "satmips", "four", [*TABULAR, *FOUR]),
    "four-text": ("nano-satmips", "satmips-text", "four", [*TEXT, *FOUR]),
    "four-no-field-dropout": ("nano-satmips-tabular", "satmips", "four", [*TABULAR, "field_dropout=0.0"]),
    "four-gsd": ("nano-satmips-tabular", "satmips", "four", [*TABULAR, *FOUR, 'fields=["gsd"]']),
    "four-time": ("nano-satmips-tabular", "satmips", "four", [*TABULAR, *FOUR, 'fields=["timestamp"]']),
    "four-location": ("nano-satmips-tabular", "satmips", "four", [*TABULAR, *FOUR, 'fields=["location"]']),
}
LITE_RUNS = {
    "lite-imagenet-satmips": ("nano-satmips", "lite-imagenet-satmips", "lite", [*LITE, *PLACE, *IMAGENET]),
    "lite-imagenet-simclr": ("nano-simclr", "lite-imagenet-simclr", "lite", [*LITE, *EUROSAT, *IMAGENET]),
    "lite-satmips": ("nano-satmips", "lite-satmips", "lite", [*LITE, *PLACE]),
    "lite-simclr": ("nano-simclr", "lite-simclr", "lite", [*LITE, *EUROSAT]),
}
# What a set of pictures keeps of what ImageNet taught when it is trained on, and when it is not: the zoo's recipe in short, on all its sets and on all
# but one.
SETS = ["eurosat_rgb", "planesnet", "shipsnet", "sen2ports", "nrt_romania_s2"]
WITHOUT_CLOUDS = (
    'fields=["gsd","timestamp","location","utm_zone","country_code","sun_azimuth_angle","sun_elevation_angle","sensor_platform"]'
)
LITE_RUNS |= {
    "lite-all-sets" if left_out is None else f"lite-without-{left_out.split('_')[0]}": (
        "satmip-lite",
        "lite-imagenet-satmips",
        "lite",
        ["data=[" + ",".join(f'{{archive="{name}.tar",index="{name}.csv",chips_per_epoch={6000 if name == "planesnet" else 0}}}'.replace(",chips_per_epoch=0", "")
                             for name in SETS if name != left_out) + "]",
         # The forest alone has cloud covers.
         *([WITHOUT_CLOUDS] if left_out == "nrt_romania_s2" else [])],
    )
    for left_out in [None, *SETS[1:]]
}
SMALL_RUNS = ",".join(RUNS)
RUNS |= LITE_RUNS

# Random weights: the towers of which runs.
UNTRAINED = {"untrained-tabular": "satmips-tabular", "untrained-text": "satmips-text"}
# ImageNet's weights as they are, at the input size of the runs named `lite-..`.
FROZEN = ["imagenet-lite0"]

# Data set, its options, features, tasks. The probe chooses its C on `val`, so that it has nothing to say there.
BOTH = ("knn", "probe")
QUESTIONS = [
    ("eurosat-rgb", [], "image", BOTH),
    ("eurosat-rgb", [], "metadata", BOTH),
    ("eurosat-rgb", [], "both", BOTH),
    ("eurosat-rgb", [], "both", ("retrieval",)),
    ("eurosat-rgb", ["--on", "val"], "image", ("knn",)),
    ("eurosat-rgb", ["--split", "random"], "image", ("knn",)),
    ("shipsnet", [], "image", BOTH),
    ("planesnet", [], "image", BOTH),
]
# Of runs named `lite-..`: whether what ImageNet taught is kept on pictures that no run was shown.
LITE_QUESTIONS = [
    ("eurosat-rgb", [], "image", (*BOTH, "fewshot")),
    ("eurosat-rgb", ["--on", "val"], "image", ("knn",)),
    ("eurosat-rgb", ["--split", "random"], "image", BOTH),
    ("shipsnet", [], "image", (*BOTH, "fewshot")),
    ("planesnet", [], "image", (*BOTH, "fewshot")),
    ("sen2ports", ["--split", "random"], "image", ("knn",)),
    ("nrt-romania-s2", [], "image", ("knn",)),
]
TASKS = {
    "knn": ["knn", "-k", "20"],
    "probe": ["linear", "--grid", "0.003,0.01,0.03,0.1,0.3,1"],
    "fewshot": ["fewshot", "--shots", "5", "--seeds", "20"],
    "retrieval": ["retrieval"],
}
# What a report is about, if not the accuracy: where a chip's own place comes among those of all test chips.
FIGURE = {"retrieval": "median rank"}


def coarse_places(options):
    """EuroSAT's index with its locations rounded to a tenth of a degree."""
    with open(Path(options.data) / "eurosat_rgb.csv", newline="") as index, open(options.out / "eurosat_rgb-coarse.csv", "w", newline="") as coarse:
        rows = csv.DictReader(index)
        writer = csv.DictWriter(coarse, rows.fieldnames)
        writer.writeheader()
        for row in rows:
            for axis in ("lon", "lat"):
                row[axis] = row[axis] and f"{float(row[axis]):.1f}"
            writer.writerow(row)


def pretrain(options, name, out, changes):
    """The command of a run."""
    recipe, _, _, own = RUNS[name]
    own = [change.replace("OUT/", f"{options.out.resolve()}/") for change in own]
    command = [options.satmip, "pretrain", "-q", "-c", f"zoo/recipes/{recipe}.toml", "--data", options.data, "-o", out]
    command += [word for change in [*own, *changes] for word in ("--set", change)]
    command += ["--device", options.device] if options.device else []
    return list(map(str, command))


def run_folder(options, name, seed):
    return options.out / "runs" / f"{name}-s{seed}"


def train(options, name, seed, cores=None):
    """Finishes a run, on these cores alone."""
    _, cost, budget, _ = RUNS[name]
    steps = round(options.scale * STEPS[budget] / COST[cost])
    out = run_folder(options, name, seed)
    if (out / "weights.safetensors").exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    # The large tower is looked at once, at the end: that takes as long as some ten of its steps.
    watched = steps if name in LITE_RUNS else max(1, steps // 10)
    changes = [
        f"seed={seed}",
        f"steps={steps}",
        f"optimizer.warmup_steps={steps // 10}",
        f"validation.every={watched}",
        f"checkpoint.every={max(1, steps // 5)}",
    ]
    command = pretrain(options, name, out, changes) + (["--resume"] if out.exists() else [])
    subprocess.run(on_cores(command, cores), check=True)


def on_cores(command, cores):
    """A command that keeps to some of the processor's cores (Linux)."""
    return command if cores is None else ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]


def train_all(options, names, seeds):
    """All runs, --jobs of them at a time, each with its share of the cores."""
    shares = queue.SimpleQueue()
    cores = sorted(os.sched_getaffinity(0))
    for job in range(options.jobs):
        shares.put(cores[job :: options.jobs] if options.jobs > 1 else None)

    def one(run):
        share = shares.get()
        try:
            train(options, *run, share)
        finally:
            shares.put(share)

    with ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(one, (name, seed)) for seed in seeds for name in names]:
            done.result()


STEPS_OF_A_COST = 8


def step_costs(options, names, rounds=3):
    """Seconds between the steps of short runs, in turn, on one core or with libtorch on all: the median of the steps after the second."""
    seconds = {name: [] for name in names}
    core = None if set(names) <= set(LITE_RUNS) else sorted(os.sched_getaffinity(0))[:1]
    for turn in range(rounds):
        for name in names if turn % 2 else reversed(names):
            changes = [f"steps={STEPS_OF_A_COST}", "optimizer.warmup_steps=1", "validation.every=1000", "validation.chips=200"]
            with tempfile.TemporaryDirectory() as out:
                subprocess.run(on_cores(pretrain(options, name, f"{out}/run", changes), core), stderr=subprocess.DEVNULL, check=True)
                lines = [json.loads(line) for line in Path(out, "run", "metrics.jsonl").read_text().splitlines()]
            times = [line["seconds"] for line in lines[:-1]]
            seconds[name] += [after - before for before, after in zip(times[1:], times[2:])]
    return {name: statistics.median(steps) for name, steps in seconds.items()}


def peak_memory(options, name):
    """The most memory, in MB, that three steps of a run take (Linux counts in KiB)."""
    changes = ["steps=3", "optimizer.warmup_steps=1", "validation.chips=200"]
    with tempfile.TemporaryDirectory() as out:
        run = subprocess.Popen(pretrain(options, name, f"{out}/run", changes), stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(run.pid, 0)
    if status != 0:
        raise SystemExit(f"{name}: the run failed")
    return usage.ru_maxrss / 1024


def evaluate(options, label, arguments, question, task):
    """The report of one question, asked once."""
    data, extra, features = question[:3]
    name = "-".join([label, data, *[word.strip("-") for word in extra], features, task])
    path = options.out / "reports" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [options.satmip, "eval", *TASKS[task], "-q", "--json", "--data", data, "--root", options.data, *extra]
        command += [*([] if task == "retrieval" else ["--features", features]), *arguments]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
        path.write_bytes(done.stdout)
    return figure(json.loads(path.read_text()))["value"]


def figure(report):
    """The metric of a report that it is about."""
    metrics = report["scores"][report["headline"]]["metrics"]
    name = FIGURE.get(report["task"])
    return next(metric for metric in metrics if name in (None, metric["name"]))


def write_figures(out, scale):
    """figures.jsonl: the headline of each report with its interval, and what each finished run took."""
    lines = []
    for path in sorted((out / "reports").glob("*.json")):
        best = figure(json.loads(path.read_text()))
        line = {"scale": scale, "report": path.stem, best["name"]: round(best["value"], 2)}
        if best["interval"]:
            line["interval"] = [round(bound, 2) for bound in best["interval"]]
        lines.append(line)
    for path in sorted((out / "runs").glob("*/summary.json")):
        run = json.loads(path.read_text())
        lines.append({"scale": scale, "run": path.parent.name, "steps": run["steps"], "seconds": round(run["seconds"]), "loss": round(run["loss"], 3)})
    (out / "figures.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def paced(options, name, seed):
    """The metrics of a run as if each step had taken its time on a quiet core, for the figure over time."""
    seconds = SECONDS * COST[RUNS[name][1]]
    lines = (run_folder(options, name, seed) / "metrics.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in lines]
    folder = options.out / "paced" / f"{name}-s{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(line | {"seconds": seconds * line["step"]}) + "\n" for line in lines]
    (folder / "metrics.jsonl").write_text("".join(lines))
    return folder


def cell(values):
    """Mean and sample deviation."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="of all budgets")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", default=SMALL_RUNS)
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--device", help="of training")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--sets", help="only these questions: data sets with their options, as eurosat-rgb or 'eurosat-rgb --split random'")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each on its share of the cores; a budget is then of so many cores")
    stages = ["train", "cost", "memory", "figures", "all"]
    parser.add_argument("--stage", choices=stages, default="all", help="train: no evaluation yet; cost, memory, figures: nothing else")
    options = parser.parse_args()
    seeds, names, tasks = (text.split(",") for text in (options.seeds, options.only, options.tasks))

    if options.stage == "figures":
        write_figures(options.out, options.scale)
        return

    options.out.mkdir(parents=True, exist_ok=True)
    coarse_places(options)
    if options.stage == "train":
        train_all(options, names, seeds)
        return

    if options.stage == "cost":
        costs = step_costs(options, names)
        for name, seconds in costs.items():
            print(f"{name}: {1000 * seconds:.0f} ms a step, {seconds / costs[names[0]]:.2f} of {names[0]}")
        return

    if options.stage == "memory":
        peaks = {name: peak_memory(options, name) for name in names}
        for name, peak in peaks.items():
            print(f"{name}: {peak:.0f} MB, {peak / peaks[names[0]]:.2f} of {names[0]}")
        return

    questions = LITE_QUESTIONS if set(names) <= set(LITE_RUNS) else QUESTIONS
    sets = options.sets.split(",") if options.sets else None
    questions = [question for question in questions if sets is None or " ".join([question[0], *question[1]]) in sets]
    asked = [(question, task) for question in questions for task in question[3] if task in tasks]

    def column(question, task):
        return (question[0], *question[1], question[2], task)

    rows = {}
    untrained = [pair for pair in asked if pair[1] != "retrieval"]
    rows["colours and raw metadata"] = {column(*pair): [evaluate(options, "colours", ["--encoder", "raw"], *pair)] for pair in untrained}
    train_all(options, names, seeds)
    runs = [paced(options, name, seed) for seed in seeds for name in names]
    random = {label: (name, ["--encoder", "untrained"]) for label, name in UNTRAINED.items() if name in names}
    frozen = {label: (names[0], ["--encoder", label]) for label in FROZEN if set(names) <= set(LITE_RUNS)}
    for label, (name, arguments) in {**random, **frozen, **{name: (name, []) for name in names}}.items():
        row = rows[label] = {}
        # There is one ImageNet network.
        for seed in seeds[:1] if label in FROZEN else seeds:
            model = ["-m", run_folder(options, name, seed), "--seed", seed, *arguments]
            for pair in untrained if arguments else asked:
                if pair[0][2] == "image" or "simclr" not in name:
                    value = evaluate(options, f"{label}-s{seed}", model, *pair)
                    row.setdefault(column(*pair), []).append(value)

    columns = [column(*pair) for pair in asked]
    lines = ["| | " + " | ".join(" ".join(k).replace("--split ", "") for k in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for label, row in rows.items():
        lines.append(f"| {label} | " + " | ".join(cell(row.get(k, [])) for k in columns) + " |")
    table = "\n".join(lines) + "\n"
    (options.out / "tables.md").write_text(table)
    print(table)
    write_figures(options.out, options.scale)
    figure = options.out / "over-time.svg"
    subprocess.run([options.satmip, "curves", "--over-time", "--overwrite", "-o", figure, *runs], check=True)


if __name__ == "__main__":
    main()
