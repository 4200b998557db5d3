"""Runs the examples with real engines on one machine, compares their vectors with the command line's, and counts how
often a model was loaded.

    pip install ./python[arrow] ray[data] pyspark daft 'dask[distributed]'
    python examples/distributed/check.py [--copies 20] [--more 100] [--satmip target/release/satmip]
                                         [slurm|ray|spark|daft|dask ..]

The folder is examples/chips, each picture so many times. Prints a table: seconds, images a second, the most memory of a
process, loads of the model; with `--more` also images a second without the engine's start. In Slurm's place this runs
two tasks of its script at once. An engine that this Python lacks is left out and named.
"""

import argparse
import contextlib
import csv
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet

HERE = Path(__file__).resolve().parent
CHIPS = HERE.parent / "chips"
SCRIPTS = {
    "slurm": "slurm.sh", "ray": "ray_data.py", "spark": "spark.py", "daft": "daft_udf.py", "dask": "dask_shards.py",
}
PLANNED = ("slurm", "dask")
BARE = "the command line, 2 workers"
PACKAGES = {"ray": "ray", "spark": "pyspark", "daft": "daft", "dask": "distributed"}

# Two tasks of an array job, as Slurm starts them.
SLURM = """
export SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=1 SLURM_ARRAY_TASK_STEP=1 SLURM_CPUS_PER_TASK=1
SLURM_ARRAY_TASK_ID=0 bash "$@" &
SLURM_ARRAY_TASK_ID=1 bash "$@"
wait
"""

# Put before everything else into each Python: writes a line for each model that is loaded.
COUNTER = '''
import importlib.util, os, sys
class Counter:
    def find_spec(self, name, path=None, target=None):
        if name != "satmip.sessions":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def counted(module):
            execute(module)
            load = module._load
            def logged(arguments):
                with open(os.environ["SATMIP_LOADS"], "a") as file:
                    file.write(f"{os.getpid()}\\n")
                return load(arguments)
            module._load = logged
        spec.loader.exec_module = counted
        return spec
sys.meta_path.insert(0, Counter())
'''


def pictures(folder, copies):
    """The chips, each several times under names of their own, and their table."""
    folder.mkdir()
    with open(CHIPS / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(folder / "metadata.csv", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        for copy in range(copies):
            for row in rows:
                name = f"{copy:04}_{row['file']}"
                shutil.copy(CHIPS / row["file"], folder / name)
                table.writerow(row | {"file": name})
    return copies * len(rows)


def vectors(path, key):
    """By file name, one row after the other."""
    table = pyarrow.parquet.read_table(path)
    order = np.argsort([Path(name).name for name in table[key].to_pylist()])
    stacked = [np.array([row for row in table[name].to_pylist()], dtype=np.float32)[order]
               for name in ("image_embedding", "metadata_embedding") if name in table.column_names]
    return stacked


# Runs a command from a small process: what a process needed before it became another one counts as the other's.
MEASURE = """
import os, subprocess, sys, time
begun = time.perf_counter()
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{time.perf_counter() - begun} {usage.ru_maxrss / 1024}")
sys.exit(bool(status))
"""


def timed(command, environment):
    """Seconds, and the most memory of a process in MB."""
    with tempfile.NamedTemporaryFile() as found:
        subprocess.run([sys.executable, "-c", MEASURE, found.name, *map(str, command)], check=True, env=environment)
        seconds, memory = Path(found.name).read_text().split()
    return float(seconds), float(memory)


@contextlib.contextmanager
def cluster(engine, environment):
    """Ray's own tasks need cores beside the actors, and it believes what it is told of them."""
    if engine != "ray":
        yield {}
        return
    ray = Path(sys.executable).parent / "ray"
    own = environment | {"RAY_AUTH_MODE": "disabled"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": own}
    start = [ray, "start", "--head", "--num-cpus", "6", "--include-dashboard=false"]
    subprocess.run(start, check=True, **quiet)
    try:
        yield {"RAY_ADDRESS": "auto", "RAY_AUTH_MODE": "disabled"}
    finally:
        subprocess.run([ray, "stop", "--force"], check=False, **quiet)


def measured(root, options, copies):
    """Rows of a table, and the seconds of each engine."""
    program = options.satmip.resolve()
    count = pictures(root / "in", copies)
    (root / "first").mkdir()
    (root / "first/sitecustomize.py").write_text(COUNTER)
    (root / "first/satmip").symlink_to(program)
    loads = root / "loads"
    environment = os.environ | {
        "PYTHONPATH": str(root / "first"), "SATMIP_LOADS": str(loads),
        "PATH": f"{root / 'first'}{os.pathsep}{os.environ['PATH']}", "RAY_USAGE_STATS_ENABLED": "0",
        "PYSPARK_PYTHON": sys.executable,
    }
    found = importlib.util.find_spec("onnxruntime")
    if found:
        # One library of ONNX Runtime for all, if there is one.
        library = next(Path(found.origin).parent.glob("capi/libonnxruntime.*"))
        environment["SATMIP_ORT_DYLIB"] = str(library)
    bare = root / "bare.parquet"
    table = root / "in/metadata.csv"
    command = [program, "embed", root / "in", "--metadata", table, "-o", bare, "--workers", 2, "-q"]
    seconds, memory = timed(command, environment)
    print(f"| {BARE} | {seconds:.1f} | {count / seconds:.0f} | {memory:.0f} | 1 |", flush=True)
    times = {BARE: seconds}
    expected = vectors(bare, "id")
    for engine in options.engines or SCRIPTS:
        if engine in PACKAGES and importlib.util.find_spec(PACKAGES[engine]) is None:
            print(f"| {engine} | left out: this Python lacks {PACKAGES[engine]} | | | |", flush=True)
            continue
        loads.write_text("")
        out, key = root / engine, "path"
        command = [sys.executable, HERE / SCRIPTS[engine], root / "in", out, 2]
        if engine in PLANNED:
            plan = root / f"{engine}.plan.parquet"
            block = ["--block-items", str(-(-count // 64) * 8)]
            subprocess.run([program, "plan", root / "in", "--metadata", table, "-o", plan, *block, "-q"], check=True)
            start = ["bash", "-c", SLURM, "slurm"] if engine == "slurm" else [sys.executable]
            command = [*start, HERE / SCRIPTS[engine], plan, out]
        with cluster(engine, environment) as more:
            seconds, memory = timed(command, environment | more)
        if engine in PLANNED:
            out, key = sorted(out.glob("part-*.parquet")), "id"
        found = vectors(out, key)
        for one, other in zip(expected, found):
            assert one.shape == other.shape, (engine, one.shape, other.shape)
            far = np.abs(one - other).max()
            assert far < 1e-5, (engine, far)
        loaded = "one a shard" if engine in PLANNED else len(loads.read_text().split())
        print(f"| {engine} | {seconds:.1f} | {count / seconds:.0f} | {memory:.0f} | {loaded} |", flush=True)
        times[engine] = seconds
    return count, times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("engines", nargs="*", default=[])
    parser.add_argument("--copies", type=int, default=2)
    more = "a second, larger number of copies: images/s of what it has more, without the start"
    parser.add_argument("--more", type=int, help=more)
    parser.add_argument("--satmip", type=Path, default=Path("target/release/satmip"))
    options = parser.parse_args()
    turns = []
    for copies in filter(None, [options.copies, options.more]):
        print(f"\n| engine, {copies} copies | s | images/s | MB | loads |\n|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as root:
            turns.append(measured(Path(root), options, copies))
    if options.more:
        (few, first), (many, second) = turns
        rates = {engine: (many - few) / (second[engine] - first[engine]) for engine in second}
        print("\n| engine | images/s after the start | beside the command line |\n|---|---|---|")
        for engine, rate in rates.items():
            print(f"| {engine} | {rate:.0f} | {rate / rates[BARE]:.2f} |")


if __name__ == "__main__":
    main()
