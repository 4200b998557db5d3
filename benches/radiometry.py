"""Which linear mapping of Sentinel-2 surface reflectance to 8 bits looks as EuroSAT's RGB chips do?

    python benches/radiometry.py DATA ZOO CUBE [--patch FOLDER] [--also -200,2550,-250,2500,-600,2150]

DATA    holds eurosat_rgb.tar and eurosat_rgb.csv (columns file, label, split, group, lon, lat).
ZOO     holds satmip-nano/image.onnx and satmip-tiny/image.onnx.
CUBE    sentinel2_cube_subset_romania_10m.nc of the PyPI package nrt 0.0.5 (unpack the wheel: nrt/data/): Sentinel-2 L2A of a forest in Romania.
FOLDER  a BigEarthNet patch (*_B02.tif, _B03, _B04, _B08; L2A) of Irish pastures, S2A_MSIL2A_20170617T113321_36_85: a place that nothing is fitted to.

A mapping is v = clip((DN - LO) / (HI - LO)) * 255 in each band. Clear summer dates of CUBE, cut where the forest is closed, are set beside EuroSAT's
Forest chips nearby. For each mapping:
  W1      Wasserstein distance of the pixels' histograms, red green blue, in grey levels; in brackets their mean, 90 % of a bootstrap
  Frechet distance of the models' unit vectors in the first 8 principal components of EuroSAT's train split
  kNN     k = 20, DINO's weights, over the train split without the chips compared with: what the mapped chips are called
Fits minimise the mean W1, or the sum of both models' Frechet distances; "90 %" is the bootstrap (dates, and EuroSAT's 1-degree blocks) of a fit.
EuroSAT's own rule, 1 + 254 * DN / 2750 of L1C (its maintainer's, told in issue 1 of jensleitloff/CNN-Sentinel), is checked against band ranges in issue 1
of phelber/EuroSAT.
Needs numpy, scipy, xarray with netCDF4, pillow, onnxruntime, and rasterio for --patch. Some four minutes on two cores.
"""

import argparse
import csv
import io
import tarfile
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
import xarray
from PIL import Image
from scipy.linalg import sqrtm

DRAWS, QUANTILES = 200, np.linspace(0.0025, 0.9975, 200)
CUBE_AT, PATCH_AT, NEAR = (22.1525, 45.2064), (-6.8907, 52.3084), 3.0  # lon, lat of both sites; EuroSAT's chips within so many degrees
YEARS = (2015, 2018)  # later, clearings are cut into the south-west of the cube, where the crops lie
CROPS = [(36, 0), (36, 12)]  # row and column of the crops of 64 pixels
LOWS, WIDTHS, OWN = np.arange(-2000, 401, 50), np.arange(1000, 4501, 50), 2750  # the grid of LO and of HI - LO, and EuroSAT's own width
NAMED = {
    "0-2000 (ESA TCI of L2A)": (0, 2000),
    "0-2750 (EuroSAT, of L1C)": (0, 2750),
    "0-3000": (0, 3000),
    "0-3558 (ESA TCI of L1C)": (0, 3558),
    "0-4000 (Major TOM)": (0, 4000),
    "0-10000": (0, 10000),
}
# Band ranges of EuroSAT's L1C chips, in DN (phelber/EuroSAT issue 1): file, channel of the RGB chip, least, greatest.
PINS = [("AnnualCrop/AnnualCrop_1.jpg", 2, 1002, 1534), ("AnnualCrop/AnnualCrop_1.jpg", 1, 905, 1664), ("Forest/Forest_1.jpg", 2, 776, 1009)]


def eurosat(folder):
    """The rows of the index, and the chips in the same order."""
    rows = list(csv.DictReader(open(folder / "eurosat_rgb.csv")))
    with tarfile.open(folder / "eurosat_rgb.tar") as tar:
        chips = {m.name.removeprefix("./"): np.asarray(Image.open(io.BytesIO(tar.extractfile(m).read()))) for m in tar if m.isfile()}
    return rows, np.stack([chips[row["file"]] for row in rows])


def near(rows, at, label):
    """Places in the index of the chips of a class around a site."""
    lon, lat = np.array([[float(row["lon"]), float(row["lat"])] for row in rows]).T
    apart = np.hypot((lon - at[0]) * np.cos(np.radians(at[1])), lat - at[1])
    return np.flatnonzero((apart < NEAR) & (np.array([row["label"] for row in rows]) == label))


def cube_chips(path):
    """DN of the crops of the cube's clear May to September dates, the number of each crop's date, and the dates."""
    cube = xarray.open_dataset(path)
    rgb, scenes, days = np.stack([cube[band].values for band in ("B4", "B3", "B2")], -1), cube.SCL.values, []
    for d, time in enumerate(cube.time.values.astype("datetime64[D]").tolist()):
        classes, blue = scenes[d, 36:, :76], rgb[d, 36:, :76, 2]  # 4 is vegetation; haze that the classification missed is bright in blue
        if YEARS[0] <= time.year <= YEARS[1] and 5 <= time.month <= 9 and (classes == 4).mean() > 0.99 and np.percentile(blue, 95) < 560:
            days.append((d, str(time)))
    chips = np.stack([rgb[d, y : y + 64, x : x + 64] for d, _ in days for y, x in CROPS])
    return chips, np.repeat(np.arange(len(days)), len(CROPS)), [name for _, name in days]


def patch_chips(folder):
    """25 overlapping crops of the patch, and its pixels with NDVI > 0.7, in DN."""
    import rasterio

    red, green, blue, infrared = (rasterio.open(next(folder.glob(f"*_B{band}.tif"))).read(1).astype(float) for band in ("04", "03", "02", "08"))
    rgb = np.stack([red, green, blue], -1)
    return np.stack([rgb[y : y + 64, x : x + 64] for y, x in product(range(0, 57, 14), repeat=2)]), rgb[infrared - red > 0.7 * (infrared + red)]


def mapped(dn, pairs):
    """8-bit pictures of `dn`; `pairs` has LO and HI of red, green and blue."""
    low, high = np.asarray(pairs, float).T
    return np.rint(np.clip((dn - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def quantiles(pixels):
    return np.quantile(pixels.reshape(-1, 3), QUANTILES, axis=0)


def w1(source, target, pairs):
    """W1 of each band from quantiles of DN and of EuroSAT's values (a mapping that rises keeps quantiles)."""
    low, high = np.asarray(pairs, float).T
    return np.abs(np.clip((source - low) / (high - low), 0, 1) * 255 - target).mean(0)


def fits(source, target):
    """The mappings of each kind with the least mean W1, as LO and HI of each band."""
    table = np.stack([np.abs(np.clip((source - LOWS[:, None, None, None]) / w, 0, 1) * 255 - target).mean(2)[:, 0] for w in WIDTHS], 1)
    pair = lambda i, j: (int(LOWS[i]), int(LOWS[i] + WIDTHS[j]))
    best = lambda part: np.unravel_index(part.argmin(), part.shape)
    zero, own = int(np.flatnonzero(LOWS == 0)[0]), int(np.flatnonzero(WIDTHS == OWN)[0])
    return {
        "fit: one pair, LO = 0": [pair(zero, table[zero].mean(1).argmin())] * 3,
        "fit: one pair": [pair(*best(table.mean(2)))] * 3,
        f"fit: LO per band, width {OWN}": [pair(table[:, own, b].argmin(), own) for b in range(3)],
        "fit: LO and HI per band": [pair(*best(table[..., b])) for b in range(3)],
    }


class Model:
    """An image tower, with EuroSAT's train split embedded."""

    def __init__(self, path, chips, labels):
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.bank, self.classes = self.embed(chips), sorted(set(labels))
        self.onehot = np.array([[label == c for c in self.classes] for label in labels], np.float32)
        self.middle = self.bank.mean(0)
        self.axes = np.linalg.svd(self.bank - self.middle, full_matrices=False)[2][:8].T

    def embed(self, chips):
        vectors = np.concatenate([self.session.run(["image_features"], {"image": chips[i : i + 256]})[0] for i in range(0, len(chips), 256)])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def frechet(self, a, b):
        a, b = ((x - self.middle) @ self.axes for x in (a, b))
        cov_a, cov_b = np.cov(a.T), np.cov(b.T)
        return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real))

    def knn(self, vectors):
        """How often each class is found, the most frequent first, in percent."""
        cosines = vectors @ self.bank.T
        nearest = np.argpartition(-cosines, 20, axis=1)[:, :20]
        votes = (np.exp(np.take_along_axis(cosines, nearest, 1) / 0.07)[..., None] * self.onehot[nearest]).sum(1)
        counts = Counter(self.classes[i] for i in votes.argmax(1))
        return ", ".join(f"{name} {100 * n / len(vectors):.0f} %" for name, n in counts.most_common(3))


def main(args):
    rng = np.random.default_rng(1)
    rows, chips = eurosat(args.data)
    index = {row["file"]: i for i, row in enumerate(rows)}
    for name, band, *ends in PINS:
        seen, rule = chips[index[name]][..., band], [round(1 + 254 * dn / 2750, 1) for dn in ends]
        print(f"{name}, channel {band}: L1C DN {ends}, by EuroSAT's rule {rule}, in the JPEG {[int(seen.min()), int(seen.max())]}")
    woods, meadows = near(rows, CUBE_AT, "Forest"), near(rows, PATCH_AT, "Pasture")
    train = sorted({i for i, row in enumerate(rows) if row["split"] == "train"} - set(woods) - set(meadows))
    models = {name: Model(args.zoo / name / "image.onnx", chips[train], [rows[i]["label"] for i in train]) for name in ("satmip-nano", "satmip-tiny")}
    dn, day, dates = cube_chips(args.cube)
    forest, pasture, blocks = chips[woods], chips[meadows], np.array([rows[i]["group"] for i in woods])
    names, pick = np.unique(blocks), lambda of, chosen: np.concatenate([np.flatnonzero(of == c) for c in chosen])
    print(f"{len(dates)} dates, {' '.join(dates)}; {len(forest)} Forest chips in {len(names)} blocks within {NEAR} degrees")
    reference = {name: model.embed(forest) for name, model in models.items()}
    for name, model in models.items():  # what EuroSAT's own chips reach: the scale for the figures below
        half = model.frechet(reference[name][np.isin(blocks, names[::2])], reference[name][~np.isin(blocks, names[::2])])
        print(f"EuroSAT's own, {name}: Frechet between halves of the blocks {half:.3f}; Forest: {model.knn(reference[name])}")
        print(f"  Pasture around the patch: {model.knn(model.embed(pasture))}")

    source, target = quantiles(dn), quantiles(forest)
    found = {name: [pair] * 3 for name, pair in NAMED.items()} | fits(source, target)
    apart = lambda pairs: sum(model.frechet(model.embed(mapped(dn, pairs)), reference[name]) for name, model in models.items())
    found["Frechet fit: one pair"] = min(([(low, low + width)] * 3 for low, width in product(range(-1600, 201, 200), range(2000, 6001, 500))), key=apart)
    steps = product(range(-500, 51, 100), range(-600, -49, 100), range(-1000, -199, 100))
    found[f"Frechet fit: LO per band, width {OWN}"] = min(([(low, low + OWN) for low in lows] for lows in steps), key=apart)
    for text in args.also:
        numbers = [int(n) for n in text.split(",")]
        found["also: " + text] = [tuple(numbers[i : i + 2]) for i in range(0, len(numbers), 2)] * (3 if len(numbers) == 2 else 1)

    thin = lambda pictures, of, chosen: quantiles(pictures[pick(of, chosen)][:, ::4, ::4])  # every 16th pixel is enough
    draws = [(thin(dn, day, rng.integers(0, len(dates), len(dates))), thin(forest, blocks, rng.choice(names, len(names)))) for _ in range(DRAWS)]
    again = [fits(*draw) for draw in draws]
    there, grass = patch_chips(args.patch) if args.patch else (None, None)
    for name, pairs in found.items():
        low, high = np.percentile([w1(*draw, pairs).mean() for draw in draws], [5, 95])
        print(f"\n{name}: LO, HI of red, green, blue {pairs}\n  W1 {w1(source, target, pairs).round(1)} ({low:.1f} to {high:.1f})")
        if name in again[0]:
            ends = np.percentile([fit[name] for fit in again], [5, 95], axis=0)
            print("  90 %:", *(f"LO {a[0]:.0f} to {b[0]:.0f}, HI {a[1]:.0f} to {b[1]:.0f};" for a, b in zip(*ends)))
        if args.patch:
            print(f"  patch: W1 of green pixels to EuroSAT's Pasture nearby {w1(quantiles(grass), quantiles(pasture), pairs).round(1)}")
        for model_name, model in models.items():
            vectors = model.embed(mapped(dn, pairs))
            print(f"  {model_name}: Frechet {model.frechet(vectors, reference[model_name]):.3f}; kNN: {model.knn(vectors)}")
            if args.patch:
                print(f"    patch: {model.knn(model.embed(mapped(there, pairs)))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for argument in ("data", "zoo", "cube", "--patch"):
        parser.add_argument(argument, type=Path)
    parser.add_argument("--also", action="append", default=[], help="one more mapping: LO,HI or six numbers, red, green, blue; with = before a minus")
    main(parser.parse_args())
