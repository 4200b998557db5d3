"""Makes the rasters of this folder with GDAL (needs rasterio and numpy).

    python tests/data/rasters/make.py

Almost all show the same picture of 40 x 30 pixels, which tests/rasters.rs draws by the same formula; samples that
are not bytes hold ten times its values, so that 0 to 2550 is what becomes 0 to 255.
"""

import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp as C
from rasterio.transform import Affine

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
WIDTH, HEIGHT = 40, 30


def picture():
    """uint8 [3, height, width], 1 to 250: never 0, which some files call nodata."""
    band, y, x = np.meshgrid(*(np.arange(n, dtype=np.uint32) for n in (3, HEIGHT, WIDTH)), indexing="ij")
    return (1 + (x * 7 + y * 13 + band * 57 + (x // 8) * (y // 8) * 31) % 250).astype(np.uint8)


def write(name, bands, interp=None, transform=Affine(10, 0, 500000, 0, -10, 5400000), **options):
    """bands: [count, height, width]."""
    extra = {key: options.pop(key) for key in ("scales", "offsets", "units") if key in options}
    profile = dict(driver="GTiff", count=bands.shape[0], height=bands.shape[1], width=bands.shape[2],
                   dtype=bands.dtype, crs="EPSG:32631", transform=transform)
    profile.update(options)
    with rasterio.open(HERE / f"{name}.tif", "w", **profile) as d:
        d.write(bands)
        if interp:
            d.colorinterp = interp
        for key, value in extra.items():
            setattr(d, key, value)


if __name__ == "__main__":
    for old in HERE.glob("*.tif"):
        old.unlink()
    rgb = picture()
    ten = rgb.astype(np.uint16) * 10
    nir = 255 - rgb[:1]
    bgrn = [C.blue, C.green, C.red, C.undefined]

    # What bands and samples mean.
    write("bgrn_u8", np.concatenate([rgb[::-1], nir]), bgrn)
    write("bgrn_u16", np.concatenate([ten[::-1], ten[:1]]), bgrn)
    write("thirteen_u16", np.concatenate([ten[:1] * 0, ten[::-1]] + [ten[:1]] * 9))
    write("two_u8", rgb[:2], photometric="minisblack")
    write("four_silent_u8", np.concatenate([rgb, nir]), [C.gray] + [C.undefined] * 3, photometric="minisblack")
    # Near infrared that the file calls alpha, as GDAL does by default, and a mask that is one.
    write("nir_called_alpha", np.concatenate([rgb, nir]), [C.red, C.green, C.blue, C.alpha])
    mask = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    mask[:, :, :10] = 0
    write("alpha_mask", np.concatenate([rgb, mask]), [C.red, C.green, C.blue, C.alpha])
    write("u16", ten)
    write("i16", ten.astype(np.int16))
    write("u32", ten.astype(np.uint32))
    write("f32", rgb.astype(np.float32) / 255)
    write("f64", rgb.astype(np.float64) / 255)
    stated = ((rgb / 255 * 0.3 + 0.1) / 0.0001).round().astype(np.uint16)
    write("stated_reflectance", stated, scales=[1e-4] * 3, offsets=[-0.1] * 3)
    write("stated_kelvin", ten, scales=[0.01] * 3, offsets=[149.0] * 3, units=["K"] * 3)

    # What is missing.
    half = ten.copy()
    half[:, :, 20:] = 0
    write("half_nodata", half, nodata=0)
    write("all_nodata", ten * 0, nodata=0)
    holes = rgb.astype(np.float32) / 255
    holes[0, :, 0], holes[1, :, 1], holes[2, :, 2] = np.nan, np.inf, -9999
    write("holes_f32", holes, nodata=-9999)
    black = rgb.copy()
    black[:, :3], black[0, 10] = 0, 0
    write("nodata_u8", black, nodata=0)

    # Layouts and compressions.
    tiled = dict(tiled=True, blockxsize=16, blockysize=16)
    write("planes_tiled", rgb, interleave="band", **tiled)
    write("planes_strips_u16", ten, interleave="band", compress="lzw", predictor=2, blockysize=7)
    write("zstd", rgb, compress="zstd", **tiled)
    write("webp", rgb, compress="webp", WEBP_LOSSLESS=True, interleave="pixel", **tiled)
    write("lerc", rgb, compress="lerc")
    write("lerc_zstd_f32", rgb.astype(np.float32) / 255, compress="lerc_zstd", MAX_Z_ERROR=0)
    write("packbits", rgb, compress="packbits")
    write("deflate_f32", rgb.astype(np.float32) / 255, compress="deflate", predictor=3, **tiled)
    write("big_endian_u16", ten, ENDIANNESS="BIG", compress="deflate", predictor=2)
    write("bigtiff", rgb, BIGTIFF="YES", **tiled)
    write("lzma", rgb, compress="lzma")

    # The same ground, stored in other directions.
    write("south_up", rgb[:, ::-1], transform=Affine(10, 0, 500000, 0, 10, 5400000 - 10 * HEIGHT))
    write("west_up", rgb[:, :, ::-1], transform=Affine(-10, 0, 500000 + 10 * WIDTH, 0, -10, 5400000))
    write("turned", rgb.transpose(0, 2, 1), transform=Affine(0, 10, 500000, -10, 0, 5400000))
    write("askew", rgb, transform=Affine.translation(500000, 5400000) * Affine.rotation(20) * Affine.scale(10, -10))
    print(len(list(HERE.glob("*.tif"))), "files,", sum(f.stat().st_size for f in HERE.glob("*.tif")), "bytes")
