"""So2Sat LCZ42 as satmip reads it: RGB chips in a tar archive with an index.

    python eval/datasets/so2sat.py FOLDER [--out FOLDER] [--limit N]

FOLDER holds training.h5, validation.h5 and testing.h5 (version 2 or 3 of the data set), each with `sen2`
[n, 32, 32, 10] (reflectance, bands B2 B3 B4 B5 B6 B7 B8 B8a B11 B12) and `label` [n, 17], one-hot. Written are
so2sat_rgb.tar (PNG of B4, B3, B2, a reflectance of 0 to 0.28 as 0 to 255) and so2sat_rgb.csv (file, label, split, gsd);
the data set has no coordinates. The range is a choice of ours. Needs h5py, numpy and Pillow.
"""

import argparse
import csv
import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

RED, GREEN, BLUE = 2, 1, 0
BRIGHTEST = 0.28
BLOCK = 1024


def chips(path, limit):
    """Pictures and classes (1 to 17) of one file, block by block."""
    with h5py.File(path) as file:
        count = len(file["label"]) if limit is None else min(limit, len(file["label"]))
        for start in range(0, count, BLOCK):
            end = min(start + BLOCK, count)
            bands = file["sen2"][start:end][..., [RED, GREEN, BLUE]]
            pixels = np.clip(np.rint(bands / BRIGHTEST * 255), 0, 255).astype(np.uint8)
            yield from zip(pixels, file["label"][start:end].argmax(axis=1) + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="folder to write to; FOLDER without it")
    parser.add_argument("--limit", type=int, help="chips of each file")
    arguments = parser.parse_args()
    out = arguments.out or arguments.folder
    with (
        tarfile.open(out / "so2sat_rgb.tar", "w") as archive,
        open(out / "so2sat_rgb.csv", "w", newline="") as table,
    ):
        index = csv.writer(table)
        index.writerow(["file", "label", "split", "gsd"])
        for split, name in [("train", "training"), ("val", "validation"), ("test", "testing")]:
            for number, (pixels, label) in enumerate(chips(arguments.folder / f"{name}.h5", arguments.limit)):
                data = io.BytesIO()
                Image.fromarray(pixels).save(data, "PNG")
                member = tarfile.TarInfo(f"{split}/{number:06}.png")
                member.size = len(data.getvalue())
                archive.addfile(member, io.BytesIO(data.getvalue()))
                index.writerow([member.name, f"LCZ {label}", split, 10])


if __name__ == "__main__":
    main()
