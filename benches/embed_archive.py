"""Embeds an archive with 1 and 2 workers and with both engines, in turn: speed, memory, equality.

    cargo build --release -p satmip-cli
    python benches/embed_archive.py target/release/satmip chips.tar

Each of the four runs ROUNDS times, in turn. Prints the median images per second and the peak memory, whether 1 and 2 workers wrote the same bytes, and
the least cosine between the vectors of rten and ONNX Runtime. Needs numpy; without ONNX Runtime its runs
are left out.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 2


def run(program, archive, out, device, workers):
    """One run: seconds, peak memory in MB, the report."""
    command = [program, "embed", archive, "-o", out, "--device", device]
    command += ["--workers", str(workers), "--json", "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    report = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        return None
    return seconds, usage.ru_maxrss / 1024, json.loads(report)


def main(program, archive):
    with tempfile.TemporaryDirectory() as folder:
        outputs, found = {}, {}
        # The first pass over the archive fetches it from the disk.
        Path(archive).read_bytes()
        for _ in range(ROUNDS):
            for device in ("rten", "onnxruntime"):
                for workers in (1, 2):
                    out = Path(folder) / f"{device}-{workers}.npy"
                    out.unlink(missing_ok=True)
                    done = run(program, archive, out, device, workers)
                    if done:
                        outputs[device, workers] = out
                        found.setdefault((device, workers), []).append(done)
        for (device, workers), runs in found.items():
            seconds = statistics.median(seconds for seconds, _, _ in runs)
            memory, rows = max(memory for _, memory, _ in runs), runs[0][2]["rows"]
            print(f"{device}, {workers} workers: {rows} images, {rows / seconds:.0f} images/s, peak {memory:.0f} MB")
        for device in ("rten", "onnxruntime"):
            pair = [outputs.get((device, workers)) for workers in (1, 2)]
            if all(pair):
                first, second = (hashlib.sha256(p.read_bytes()).hexdigest() for p in pair)
                print(f"{device}: 1 and 2 workers wrote", "the same bytes" if first == second else "DIFFERENT bytes")
        if ("rten", 1) in outputs and ("onnxruntime", 1) in outputs:
            a, b = np.load(outputs["rten", 1]), np.load(outputs["onnxruntime", 1])
            cosines = (a.astype(np.float64) * b).sum(axis=1)
            print(f"rten against ONNX Runtime: least cosine {cosines.min():.8f}, greatest difference {abs(a - b).max():.1e}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
