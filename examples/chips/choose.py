"""Chooses the chips of this folder from EuroSAT: writes them and metadata.csv.

    python examples/chips/choose.py EUROSAT.tar EUROSAT.csv

EUROSAT.tar has EuroSAT's RGB chips as published (CLASS/CLASS_N.jpg), EUROSAT.csv their index with file, label, split,
group (a block of one degree), lon, lat, gsd and sensor_platform. Of the test split each class gives two chips or three
of different blocks: those whose sha256 of the name is least, so that nobody's taste has a say.
"""

import csv
import hashlib
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = ["file", "lon", "lat", "gsd", "sensor_platform"]
THREE = {"Residential", "River", "Industrial", "SeaLake"}


def choose(rows):
    order = sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())
    blocks = set()
    for label in sorted({row["label"] for row in rows}):
        left = 3 if label in THREE else 2
        for row in order:
            if left and row["label"] == label and row["group"] not in blocks:
                blocks.add(row["group"])
                left -= 1
                yield row


def main():
    archive, index = sys.argv[1:]
    with open(index) as file:
        chosen = list(choose([row for row in csv.DictReader(file) if row["split"] == "test"]))
    with tarfile.open(archive) as tar, open(HERE / "metadata.csv", "w", newline="") as table:
        out = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        for row in chosen:
            chip = tar.extractfile(row["file"]).read()
            row["file"] = Path(row["file"]).name
            row["lon"], row["lat"] = (f"{float(row[name]):.4f}" for name in ["lon", "lat"])
            (HERE / row["file"]).write_bytes(chip)
            out.writerow(row)


if __name__ == "__main__":
    main()
