"""Files of GDAL's, and what windows of them are: for tests/scenes.rs.

    python tests/scene_files.py FOLDER

Needs numpy, rasterio and tifffile. Writes FOLDER/*.tif, FOLDER/windows.json (a list of files, windows, scale, and shares of valid
pixels) and FOLDER/pixels.bin: the windows' red, green and blue bytes, one window after the other, as satmip's rule makes
them of the samples that rasterio reads. Pixels that are missing are 0 there.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from rasterio.windows import Window

WIDTH, HEIGHT = 150, 110
WINDOWS = [(0, 0, 64, 64), (40, 30, 64, 64), (100, 60, 32, 48), (149, 109, 1, 1), (0, 0, WIDTH, HEIGHT), (7, 64, 33, 17)]
RANGES = {"uint8": None, "uint16": (500, 3500), "int16": (-1000, 2000), "float32": (0, 0.3), "uint32": (0, 60000)}


def samples(dtype, bands, seed):
    """Smooth pictures with some noise, so that all compressions have something to do."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(x / (9 + 3 * band)) * np.cos(y / (7 + 2 * band)) for band in range(bands)]
    picture = np.stack(waves) * 0.4 + 0.5 + random.normal(0, 0.02, (bands, HEIGHT, WIDTH))
    low, high = RANGES[dtype] or (0, 255)
    values = low + picture * (high - low)
    if dtype != "float32":
        limits = np.iinfo(dtype)
        values = np.clip(np.round(values), max(limits.min, low - 300), min(limits.max, high + 300))
    return values.astype(dtype)


def files(folder):
    """Name, and the options of each file."""
    tiled = {"tiled": True, "blockxsize": 32, "blockysize": 48}
    strips = {"blockysize": 7}
    cases = []
    for dtype, layout, interleave in itertools.product(["uint8", "uint16"], ["tiled", "strips"], ["pixel", "band"]):
        options = tiled if layout == "tiled" else strips
        for compress in ["none", "deflate", "lzw", "zstd", "packbits"]:
            cases.append((dtype, {**options, "interleave": interleave, "compress": compress}))
        for compress in ["deflate", "lzw", "zstd"]:
            cases.append((dtype, {**options, "interleave": interleave, "compress": compress, "predictor": 2}))
    for dtype in ["float32", "int16", "uint32"]:
        for layout in [tiled, strips]:
            cases.append((dtype, {**layout, "compress": "deflate", "interleave": "pixel"}))
    cases.append(("float32", {**tiled, "compress": "deflate", "predictor": 3, "interleave": "pixel"}))
    cases.append(("float32", {**strips, "compress": "zstd", "predictor": 3, "interleave": "band"}))
    cases.append(("uint16", {**tiled, "compress": "lerc", "max_z_error": 0, "interleave": "band"}))
    cases.append(("float32", {**tiled, "compress": "lerc", "max_z_error": 0, "interleave": "pixel"}))
    cases.append(("uint8", {**tiled, "blockysize": 32, "compress": "webp", "webp_lossless": True, "interleave": "pixel"}))
    for more in [{"bigtiff": "yes"}, {"endianness": "big"}, {"endianness": "big", "bigtiff": "yes", "compress": "deflate", "predictor": 2}]:
        cases.append(("uint16", {**tiled, **more, "interleave": "pixel"}))
        cases.append(("uint16", {**strips, **more, "interleave": "band"}))
    cases.append(("uint16", {**tiled, "sparse_ok": True, "nodata": 0, "compress": "deflate", "interleave": "pixel"}))
    cases.append(("uint16", {**strips, "nodata": 0, "interleave": "pixel"}))
    cases.append(("float32", {**tiled, "nodata": float("nan"), "interleave": "pixel"}))
    cases.append(("uint8", {**tiled, "mask": True, "compress": "deflate", "interleave": "pixel"}))
    cases.append(("uint16", {**tiled, "overviews": True, "compress": "deflate", "interleave": "pixel"}))
    cases.append(("uint16", {**strips, "overviews": True, "interleave": "band", "nodata": 0}))
    cases.append(("uint8", {**tiled, "overviews": True, "mask": True, "compress": "deflate", "interleave": "pixel"}))
    for number, (dtype, options) in enumerate(cases):
        words = [str(value) for key, value in options.items() if key not in ("blockxsize", "tiled", "sparse_ok")]
        layout = "tiled" if options.get("tiled") else "strips"
        yield folder / ("-".join([f"{number:02}", dtype, layout, *words]).replace(".", "") + ".tif"), dtype, options


def write(path, dtype, options, seed):
    """Writes a file and gives its samples, and which pixels are there."""
    options = dict(options)
    mask, overviews = options.pop("mask", False), options.pop("overviews", False)
    data = samples(dtype, 3, seed)
    there = np.ones((HEIGHT, WIDTH), bool)
    nodata = options.get("nodata")
    if nodata is not None or mask:
        there[20:70, 30:80] = False
        there[0, 0] = False
    if nodata is not None:
        data[:, ~there] = nodata
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": dtype, "crs": "EPSG:32633",
               "transform": from_origin(500000, 5400000, 10, 10), **options}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        if nodata == 0 and options.get("sparse_ok"):
            # Only blocks that have something are written.
            for _, window in file.block_windows(1):
                part = data[:, window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width]
                if part.any():
                    file.write(part, window=window)
        else:
            file.write(data)
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        if mask:
            file.write_mask(there)
    if overviews:
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4])
    return there


def picture(data, dtype):
    """Bytes of samples by satmip's rule."""
    limits = RANGES[dtype]
    if limits is None:
        return data
    low, high = limits
    return np.clip(np.floor((data.astype(np.float64) - low) * 255 / (high - low) + 0.5), 0, 255).astype(np.uint8)


def shares(there, cloud, says=None):
    """The share of clouds of each window's pixels with data; none where none of its pixels says anything of clouds."""
    found = []
    for left, top, width, height in WINDOWS:
        part = np.s_[top : top + height, left : left + width]
        data = there[part].sum()
        known = data and (says is None or says[part].any())
        found.append(float((there & cloud)[part].sum() / data) if known else None)
    return found


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    list_of_files = []
    with open(folder / "pixels.bin", "wb") as pixels:

        def expect(files, scale, data, there, windows, dtype, **more):
            shares = []
            for left, top, width, height in windows:
                part = np.nan_to_num(data[:, top : top + height, left : left + width])
                rgb = picture(part, dtype).transpose(1, 2, 0).copy()
                here = there[top : top + height, left : left + width]
                rgb[~here] = 0
                pixels.write(rgb.tobytes())
                shares.append(float(here.mean()))
            list_of_files.append({"files": files, "scale": scale, "windows": windows, "valid": shares, **more})

        for seed, (path, dtype, options) in enumerate(files(folder)):
            there = write(path, dtype, options, seed)
            with rasterio.open(path) as file:
                data = file.read()
            limits = RANGES[dtype]
            scale = "auto" if limits is None else f"{limits[0]},{limits[1]}"
            expect([path.name], scale, data, there, WINDOWS, dtype)
            if options.get("overviews"):
                for level in (0, 1):
                    with rasterio.open(path, overview_level=level) as file:
                        data, there = file.read(), file.dataset_mask() != 0
                    width, height = data.shape[2], data.shape[1]
                    windows = [(0, 0, width, height), (3, 5, 20, 11), (width - 1, height - 1, 1, 1)]
                    expect([path.name], scale, data, there, windows, dtype, overview=level + 1)
                    expect([path.name], scale, data, there, windows, dtype, gsd=[22, 36][level])

        # Smaller copies as tags of the picture (sub-IFDs), which microscopes and GIS programs write.
        data = samples("uint16", 3, 2000)
        with tifffile.TiffWriter(folder / "sub-ifds.tif") as file:
            more = {"photometric": "rgb", "tile": (32, 32), "compression": "deflate", "metadata": None}
            file.write(data.transpose(1, 2, 0), subifds=1, **more)
            file.write(data[:, ::2, ::2].transpose(1, 2, 0), subfiletype=1, **more)
        expect(["sub-ifds.tif"], "500,3500", data, np.ones((HEIGHT, WIDTH), bool), WINDOWS, "uint16")
        half = data[:, ::2, ::2]
        windows = [(0, 0, half.shape[2], half.shape[1]), (30, 20, 40, 16)]
        expect(["sub-ifds.tif"], "500,3500", half, np.ones(half.shape[1:], bool), windows, "uint16", overview=1)

        # Files that store each of six bands by itself, of which three are asked for; blocks of one are left out.
        for number, more in enumerate([{"tiled": True, "blockxsize": 32, "blockysize": 32}, {"blockysize": 7},
                                       {"tiled": True, "blockxsize": 32, "blockysize": 32, "sparse_ok": True, "nodata": 0}]):
            data = samples("uint16", 6, 3000 + number)
            there = np.ones((HEIGHT, WIDTH), bool)
            path = folder / f"six-bands-{number}.tif"
            profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 6, "dtype": "uint16",
                       "crs": "EPSG:32633", "transform": from_origin(500000, 5400000, 10, 10), "interleave": "band",
                       "compress": "deflate", "predictor": 2, **more}
            if more.get("sparse_ok"):
                # Of green, the third band, and of the first, which nobody asks for.
                data[[2, 0], :32, :32] = 0
                there[:32, :32] = False
            with rasterio.open(path, "w", **profile) as file:
                for band in range(6):
                    for _, window in file.block_windows(band + 1):
                        part = np.s_[window.row_off : window.row_off + window.height,
                                     window.col_off : window.col_off + window.width]
                        if data[band][part].any():
                            file.write(data[band][part], band + 1, window=window)
            expect([path.name], "500,3500", data[[4, 2, 1]], there, WINDOWS, "uint16", bands="5,3,2")

        # JPEG 2000 in tiles, as Sentinel-2's archive at ESA has it.
        for number, (dtype, bands, more) in enumerate([
            ("uint16", 3, {}), ("uint16", 3, {"GMLJP2": "NO", "PROGRESSION": "RPCL"}), ("uint16", 6, {"GEOJP2": "NO", "NBITS": "15"}),
            ("uint8", 3, {"YCC": "NO", "PLT": "YES", "TLM": "YES"}), ("uint16", 1, {"CODEC": "J2K"}), ("uint8", 4, {"ALPHA": "YES"}),
        ]):
            data = samples(dtype, bands, 4000 + number)
            there = np.ones((HEIGHT, WIDTH), bool)
            alpha = more.pop("ALPHA", None)
            path = folder / f"{number}-{dtype}-{bands}.{'j2k' if 'CODEC' in more else 'jp2'}"
            if alpha:
                data[3] = 255
                there[10:40, 20:90] = False
                data[3][~there] = 0
            profile = {"driver": "JP2OpenJPEG", "width": WIDTH, "height": HEIGHT, "count": bands, "dtype": dtype,
                       "crs": "EPSG:32633", "transform": from_origin(500000, 5400000, 10, 10), "tiled": True, "blockxsize": 64,
                       "blockysize": 32, "resolutions": 3, "reversible": "YES", "quality": 100, **more}
            with rasterio.open(path, "w", **profile) as file:
                if alpha:
                    file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
                file.write(data)
            # A bare codestream has no place; GDAL would write it beside.
            path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)
            shown = {1: [0, 0, 0], 6: [4, 2, 1]}.get(bands, [0, 1, 2])
            more = {"bands": "1"} if bands == 1 else {"bands": "5,3,2"} if bands == 6 else {}
            scale = "auto" if dtype == "uint8" else "500,3500"
            place = "CODEC" not in profile
            expect([path.name], scale, data[shown], there, WINDOWS, dtype, place=place, **more)

        # Bands whose colours stand in another order.
        data = samples("uint8", 3, 5000)
        profile = {"driver": "JP2OpenJPEG", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8", "tiled": True,
                   "blockxsize": 64, "blockysize": 64, "reversible": "YES", "quality": 100}
        with rasterio.open(folder / "bgr.jp2", "w", **profile) as file:
            file.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
            file.write(data)
        expect(["bgr.jp2"], "auto", data[[2, 1, 0]], np.ones((HEIGHT, WIDTH), bool), WINDOWS, "uint8")

        # Smaller copies are halvings; GDAL offers those of more than 128 pixels a side.
        data = np.random.default_rng(8).integers(500, 3500, (3, 530, 611)).astype(np.uint16)
        profile = {"driver": "JP2OpenJPEG", "width": 611, "height": 530, "count": 3, "dtype": "uint16", "tiled": True,
                   "crs": "EPSG:32633", "transform": from_origin(500000, 5400000, 10, 10), "blockxsize": 128,
                   "blockysize": 64, "resolutions": 4, "reversible": "YES", "quality": 100}
        with rasterio.open(folder / "halvings.jp2", "w", **profile) as file:
            file.write(data)
        for level in (0, 1):
            with rasterio.open(folder / "halvings.jp2", overview_level=level) as file:
                data = file.read()
            width, height = data.shape[2], data.shape[1]
            windows = [(0, 0, width, height), (3, 5, 20, 11), (width - 1, height - 1, 1, 1)]
            there = np.ones((height, width), bool)
            more = {"overview": level + 1} if level else {"gsd": 20}
            expect(["halvings.jp2"], "500,3500", data, there, windows, "uint16", **more)

        # Red, green and blue in files of their own, blue with pixels twice as large.
        data = samples("uint16", 3, 1000)
        coarse = data[2, ::2, ::2]
        names = []
        for band, (name, part) in enumerate({"red": data[0], "green": data[1], "blue": coarse}.items()):
            size = 20 if name == "blue" else 10
            profile = {"driver": "GTiff", "width": part.shape[1], "height": part.shape[0], "count": 1, "dtype": "uint16",
                       "crs": "EPSG:32633", "transform": from_origin(500000, 5400000, size, size), "tiled": True,
                       "blockxsize": 32, "blockysize": 32, "compress": "deflate", "predictor": 2, "nodata": 0}
            names.append(f"band-{name}.tif")
            with rasterio.open(folder / names[-1], "w", **profile) as file:
                file.write(part, 1)
        data[2] = coarse.repeat(2, 0).repeat(2, 1)
        expect(names, "500,3500", data, np.ones((HEIGHT, WIDTH), bool), WINDOWS, "uint16")

        # A scene classification of 20 m with a table of colours, as some catalogues have it.
        classes = np.random.default_rng(5).integers(0, 12, coarse.shape, dtype=np.uint8)
        profile |= {"dtype": "uint8", "nodata": 0, "predictor": 1}
        with rasterio.open(folder / "classes.tif", "w", **profile) as file:
            file.write(classes, 1)
            file.write_colormap(1, {value: (20 * value, 255 - 20 * value, 99, 255) for value in range(12)})
        fine = classes.repeat(2, 0).repeat(2, 1)
        clouds = shares(fine != 0, np.isin(fine, [8, 9, 10]), fine > 1)
        bands = list_of_files[-1] | {"classes": "classes.tif", "cloud": clouds}
        pixels_of_bands = data, np.ones((HEIGHT, WIDTH), bool), WINDOWS, "uint16"
        list_of_files[-1] = bands

        # Landsat's bits, of pixels as large as the picture's.
        bits = np.random.default_rng(6).integers(0, 64, data[0].shape, dtype=np.uint16)
        bits |= np.where(bits & 0b1010, 0, 1 << 6).astype(np.uint16)
        # How sure the clouds are.
        bits |= 1 << 8
        bits[bits & 1 == 1] = 1
        profile |= {"dtype": "uint16", "nodata": 1, "width": WIDTH, "height": HEIGHT,
                    "transform": from_origin(500000, 5400000, 10, 10)}
        with rasterio.open(folder / "qa_pixel.tif", "w", **profile) as file:
            file.write(bits, 1)
        expect(names, "500,3500", *pixels_of_bands, classes="qa_pixel.tif",
               cloud=shares(bits & 1 == 0, bits & 0b1110 != 0))

        # PlanetScope's mask.
        mask = np.random.default_rng(7).integers(0, 2, (8, *data[0].shape), dtype=np.uint8)
        profile |= {"dtype": "uint8", "nodata": None, "count": 8}
        with rasterio.open(folder / "udm2.tif", "w", **profile) as file:
            file.write(mask)
        expect(names, "500,3500", *pixels_of_bands, classes="udm2.tif", cloud=shares(mask[7] & 1 == 0, mask[5] == 1))
    (folder / "windows.json").write_text(json.dumps(list_of_files))


if __name__ == "__main__":
    main()
