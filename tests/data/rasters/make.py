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
    mask, colors = options.pop("mask", None), options.pop("colors", None)
    ending = {"JP2OpenJPEG": "jp2"}.get(options.get("driver"), "tif")
    profile = dict(driver="GTiff", count=bands.shape[0], height=bands.shape[1], width=bands.shape[2],
                   dtype=bands.dtype, crs="EPSG:32631", transform=transform)
    profile.update(options)
    inside = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with inside, rasterio.open(HERE / f"{name}.{ending}", "w", **profile) as d:
        d.write(bands)
        if mask is not None:
            d.write_mask(mask)
        if colors:
            d.write_colormap(1, colors)
        if interp:
            d.colorinterp = interp
        for key, value in extra.items():
            setattr(d, key, value)


if __name__ == "__main__":
    for old in [*HERE.glob("*.tif"), *HERE.glob("*.jp2")]:
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

    # Bits that fill no bytes: 12 of them hold ten times the picture, 4 a sixteenth of its green band.
    write("nbits12", ten, nbits=12)
    write("nbits12_nodata", half, nbits=12, nodata=0, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    write("nbits12_stated", (rgb / 255 * 3000).round().astype(np.uint16), nbits=12, scales=[1e-4] * 3)
    few = rgb[1:2] // 17
    few[:, :, 20:] = 15
    write("nbits4_nodata", few, nbits=4, nodata=15)

    # Masks that GDAL keeps as pages, of the picture and of one that has smaller copies as well.
    hidden = np.full((HEIGHT, WIDTH), 255, np.uint8)
    hidden[:, :10] = 0
    write("mask", rgb, mask=hidden)
    write("mask_u16", ten, mask=hidden, compress="deflate")
    write("mask_jpeg", rgb, mask=hidden, compress="jpeg", photometric="ycbcr", interleave="pixel", jpeg_quality=100)
    write("mask_all", rgb, mask=hidden * 0)
    write("mask_copies", rgb, mask=hidden, compress="deflate")
    inside = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_TIFF_OVR_BLOCKSIZE=64)
    with inside, rasterio.open(HERE / "mask_copies.tif", "r+") as d:
        d.build_overviews([2])
    # Bands as pages, which GDAL calls subdatasets.
    write("pages", rgb[:1])
    write("pages", rgb[1:2], APPEND_SUBDATASET=True)

    # Tables of colours, which GDAL writes beside PhotometricInterpretation 1.
    index = np.where(rgb[:1] % 2 == 0, 2, 3).astype(np.uint8)
    index[:, :, :10] = 1
    table = {0: (0, 0, 0, 255), 1: (250, 0, 250, 255), 2: (10, 200, 30, 255), 3: (0, 0, 0, 255)}
    write("palette_by_interp", index, colors=table)
    write("palette_nodata", index, colors=table, nodata=1)
    write("palette_unused_nodata", index, colors=table, nodata=0)
    write("palette_without_table", rgb[:1], [C.palette])

    # The least is white.
    left = ten[:1].copy()
    left[:, :, :10] = 0
    white = dict(photometric="miniswhite")
    write("white_u8", rgb[:1], **white)
    write("white_u16_nodata", left, nodata=0, **white)
    write("white_i16", ten[:1].astype(np.int16), **white)
    write("white_f32", rgb[:1].astype(np.float32) / 255, **white)

    # Alpha that is full at 1 or 255 of 16 bits, and a soft edge.
    rgba = [C.red, C.green, C.blue, C.alpha]
    write("alpha_of_one", np.concatenate([rgb, mask // 255]), rgba)
    write("alpha_255_of_u16", np.concatenate([ten, mask.astype(np.uint16)]), rgba)
    soft = mask.copy()
    soft[:, :, 10] = 99
    write("alpha_soft", np.concatenate([rgb, soft]), rgba)

    # Blocks that are not there, of a file with a nodata value and of one without.
    for name, nodata in (("sparse_nodata", 251), ("sparse", None)):
        profile = dict(driver="GTiff", count=3, height=HEIGHT, width=WIDTH, dtype="uint8", sparse_ok=True,
                       tiled=True, blockxsize=16, blockysize=16, nodata=nodata)
        with rasterio.open(HERE / f"{name}.tif", "w", **profile) as d:
            d.write(rgb[:, :, 16:], window=((0, HEIGHT), (16, WIDTH)))

    # One band of which nothing says what it measures.
    write("index_i16", ten[:1].astype(np.int16), scales=[1e-4])
    # Not of all bands, none that can be used, and another for each.
    write("stated_partly", ten, scales=[1e-4, 1, 1])
    write("stated_negative", ten, scales=[-1e-4] * 3, offsets=[0.3] * 3)
    write("stated_three", ten, scales=[1e-4, 2e-4, 1e-4])
    opaque = np.concatenate([rgb, mask * 0 + 255])
    write("webp_opaque", opaque, rgba, compress="webp", WEBP_LOSSLESS=True, interleave="pixel")

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
    small = dict(tiled=True, blockxsize=32, blockysize=32, resolutions=2)
    write("jpeg2000_u16", ten, driver="JP2OpenJPEG", reversible="YES", quality=100, **small)

    # The same ground, stored in other directions.
    write("south_up", rgb[:, ::-1], transform=Affine(10, 0, 500000, 0, 10, 5400000 - 10 * HEIGHT))
    write("west_up", rgb[:, :, ::-1], transform=Affine(-10, 0, 500000 + 10 * WIDTH, 0, -10, 5400000))
    write("turned", rgb.transpose(0, 2, 1), transform=Affine(0, 10, 500000, -10, 0, 5400000))
    write("askew", rgb, transform=Affine.translation(500000, 5400000) * Affine.rotation(20) * Affine.scale(10, -10))
    print(len(list(HERE.glob("*.tif"))), "files,", sum(f.stat().st_size for f in HERE.glob("*.tif")), "bytes")
