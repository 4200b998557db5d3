"""Makes the bundles of this folder ready for a static host, and renews registry.toml.

    python zoo/publish.py [--dist target/dist] [--release zoo-1] [--satmip target/release/satmip]

A bundle's list of files gets the present length and sha256 of its card; everything else of a bundle is as `satmip export` wrote it. Then all bundles are packed
for a release (`satmip zoo pack --flat`), and the registry that this makes is the one that is compiled into the program.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

ZOO = Path(__file__).parent
CARD = "README.md"


def seal(bundle):
    """Puts the card into the bundle's list of files."""
    path = bundle / "bundle.json"
    manifest = json.loads(path.read_text())
    card = (bundle / CARD).read_bytes()
    manifest["files"][CARD] = {"size": len(card), "sha256": hashlib.sha256(card).hexdigest()}
    manifest["files"] = dict(sorted(manifest["files"].items()))
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--dist", type=Path, default=Path("target/dist"))
    parser.add_argument("--release", default="zoo-1")
    parser.add_argument("--repository", default="https://github.com/satmip/satmip")
    parser.add_argument("--satmip", default="target/release/satmip")
    options = parser.parse_args()
    shutil.rmtree(options.dist, ignore_errors=True)
    base = f"{options.repository}/releases/download/{options.release}"
    for manifest in sorted(ZOO.glob("*/bundle.json")):
        seal(manifest.parent)
        command = [options.satmip, "zoo", "pack", manifest.parent, "-o", options.dist, "--flat", "--base", base]
        subprocess.run(list(map(str, command)), check=True)
    shutil.copyfile(options.dist / "registry.toml", ZOO / "registry.toml")


if __name__ == "__main__":
    main()
