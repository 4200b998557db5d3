"""Embeds archives with two builds of the program, in turn: speed, and whether the vectors are the same bytes.

    python benches/two_builds.py OLD NEW ARCHIVE.. [--rounds 5] [--device rten] [--workers 2]

OLD and NEW are programs built in the same way of two commits. Prints the median images per second of each, the median of the ratios of
neighbouring runs, and whether the vectors (npy) and the ids are equal. Exits with 1 where vectors differ.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from embed_archive import run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="rten")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    programs = {"old": options.old, "new": options.new}
    differ = False
    for archive in options.archives:
        # The first pass over the archive fetches it from the disk.
        archive.read_bytes()
        seconds, rows, outputs = {"old": [], "new": []}, 0, {}
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(options.rounds):
                for name in ("old", "new") if turn % 2 == 0 else ("new", "old"):
                    out = Path(folder) / f"{name}-{turn}.npy"
                    done = run(programs[name], archive, out, options.device, options.workers)
                    if not done:
                        sys.exit(f"{programs[name]} failed on {archive}")
                    seconds[name].append(done[0])
                    rows = done[2]["rows"]
                    outputs[name] = [out.read_bytes(), out.with_suffix(".ids.jsonl").read_bytes()]
        same = [a == b for a, b in zip(outputs["old"], outputs["new"])]
        differ |= not same[0]
        speeds = {name: rows / statistics.median(times) for name, times in seconds.items()}
        ratio = statistics.median(old / new for old, new in zip(seconds["old"], seconds["new"]))
        words = [f"{what} {'equal' if equal else 'DIFFER'}" for what, equal in zip(("vectors", "ids"), same)]
        print(f"{archive.stem}: {rows} images, {speeds['old']:.0f} and {speeds['new']:.0f} images/s, {ratio:.3f} times; {', '.join(words)}", flush=True)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
