"""Whether a run is the same on every device: losses of one recipe and seed, side by side.

    python benches/parity.py STEP_COST DEVICE [DEVICE ..] [--steps 20] [--towers resnet,vit] [--batch 32]

STEP_COST is the benchmark's binary, built with the devices' features (`cargo bench -p satmip-train --bench step_cost --no-run` prints where it is; for
libtorch through zoo/with-libtorch, for wgpu in a target folder of its own). Each device is compared with `cpu`, which is asked by the same
binary. First weights, views and dropout are drawn on the CPU, so that only rounding differs: the first loss may differ by 1e-4, the others
by 1e-3. Beyond that it exits with 1. Software adapters of wgpu need SATMIP_ALLOW_SOFTWARE_GPU=1, and take a minute a step.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parent.parent / "zoo/recipes/nano-satmips.toml"
TOWERS = {
    "resnet": 'image={kind="resnet",block="basic",widths=[16,32],depths=[1,1],stem={kernel=7,stride=4,max_pool=false}}',
    "vit": 'image={kind="vit",patch=8,dim=96,depth=2,heads=3}',
    "lite0": 'image={kind="efficientnet-lite0"}',
}
FIRST, LATER = 1e-4, 1e-3
# At higher rates the first steps of a fresh network are chaotic: at 1e-4 rounding of 1e-7 became up to 6e-2 within twenty steps.
RATE = 1e-5


def losses(options, tower, device):
    command = [options.step_cost, RECIPE, "--once", "satmips", "--losses", "--device", device, "--steps", options.steps]
    command += ["--set", TOWERS[tower], "--set", f"batch_size={options.batch}", "--set", f"optimizer.learning_rate={RATE}"]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True)
    report = json.loads(done.stdout)
    return report["losses"], report["ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("step_cost")
    parser.add_argument("devices", nargs="+")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--towers", default="resnet,vit")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    print("tower    device          first loss   difference   largest difference   at step   ms a step")
    wrong = False
    for tower in options.towers.split(","):
        expected, ms = losses(options, tower, "cpu")
        print(f"{tower:8} {'cpu':14} {expected[0]:11.6f} {'':12} {'':20} {'':9} {ms:11.0f}")
        for device in options.devices:
            found, ms = losses(options, tower, device)
            apart = [abs(a - b) for a, b in zip(expected, found, strict=True)]
            most = max(range(len(apart)), key=apart.__getitem__)
            print(f"{tower:8} {device:14} {found[0]:11.6f} {apart[0]:12.1e} {apart[most]:20.1e} {most + 1:9} {ms:11.0f}")
            wrong |= not (apart[0] <= FIRST and apart[most] <= LATER)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
