"""Makes the pictures of this folder and what Pillow makes of them (needs Pillow and numpy).

    python tests/data/images/make.py

`wanted_X.png` is what Pillow decodes X to; `fit_WxH_FIT_FILTER_SIZE.png` is what Pillow resizes
the test pattern of that size to. tests/images.rs draws the same pattern by the same formula.
"""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def noise(width, height):
    """Noise, in every other tile of 16 pixels of black and white alone: uint8 [height, width, 3]."""
    y, x, c = np.meshgrid(*(np.arange(n, dtype=np.uint32) for n in (height, width, 3)), indexing="ij")
    h = x * np.uint32(374761393) + y * np.uint32(668265263) + c * np.uint32(2246822519)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    value = (h ^ (h >> np.uint32(16))) & np.uint32(255)
    extreme = (x // 16 + y // 16) % 2 == 1
    return np.where(extreme, (value >= 128) * 255, value).astype(np.uint8)


def smooth(width, height):
    """Slow waves and a bright box in the top left, as JPEG likes it: uint8 [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(x / 9 + 1.3 * c) * np.cos(y / 7 - c) for c in range(3)]
    rgb = np.stack(waves, -1)
    rgb[2 : height // 3, 2 : width // 3] = (230, 220, 60)
    return rgb.round().astype(np.uint8)


def golden_fits():
    cases = [(300, 200, "crop", 32), (300, 200, "stretch", 32), (37, 53, "crop", 48), (5, 3, "stretch", 32),
             (1000, 701, "stretch", 48), (64, 65, "crop", 56), (1, 1, "crop", 8)]
    for width, height, fit, size in cases:
        picture = Image.fromarray(noise(width, height))
        if fit == "crop":
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            picture = picture.crop((left, top, left + side, top + side))
        for name, resample in FILTERS.items():
            out = picture.resize((size, size), resample)
            out.save(HERE / f"fit_{width}x{height}_{fit}_{name}_{size}.png", optimize=True)


def wanted(name):
    """What Pillow makes of a file, as a PNG beside it."""
    with Image.open(HERE / name) as picture:
        ImageOps.exif_transpose(picture).convert("RGB").save(HERE / f"wanted_{name}.png", optimize=True)


def jpegs():
    picture = Image.fromarray(smooth(45, 31))
    kinds = {
        "baseline444.jpg": dict(quality=92, subsampling="4:4:4"),
        "baseline420.jpg": dict(quality=92, subsampling="4:2:0"),
        "baseline422.jpg": dict(quality=92, subsampling="4:2:2"),
        "restarts.jpg": dict(quality=92, restart_marker_blocks=2),
        "progressive.jpg": dict(quality=92, progressive=True),
        "rgb.jpg": dict(quality=92, keep_rgb=True),
    }
    for name, options in kinds.items():
        picture.save(HERE / name, **options)
    picture.convert("L").save(HERE / "grey.jpg", quality=92)

    inks = np.stack([*np.moveaxis(smooth(45, 31), -1, 0), np.linspace(0, 120, 45 * 31).reshape(31, 45)], -1)
    Image.fromarray(inks.astype(np.uint8), "CMYK").save(HERE / "cmyk.jpg", quality=92)
    # The same scan with another word on how to read it.
    data = bytearray((HERE / "cmyk.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2
    (HERE / "ycck.jpg").write_bytes(data)
    # And with the Adobe segment taken out.
    start = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[start + 2 : start + 4])[0]
    del data[start : start + 2 + length]
    (HERE / "cmyk_plain.jpg").write_bytes(data)
    for name in [*kinds, "grey.jpg", "cmyk.jpg", "ycck.jpg", "cmyk_plain.jpg"]:
        wanted(name)

    # Wider than many decoders' default limit and yet few pixels.
    Image.new("L", (20_000, 24), 77).save(HERE / "wide.jpg", quality=50)


TURN_BACK = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def orientations():
    """One upright picture of four colours, stored in the eight ways; 48 x 32."""
    rgb = np.zeros((32, 48, 3), np.uint8)
    rgb[:16, :24], rgb[:16, 24:] = (220, 40, 40), (40, 200, 60)
    rgb[16:, :24], rgb[16:, 24:] = (50, 70, 210), (230, 220, 50)
    upright = Image.fromarray(rgb)
    upright.save(HERE / "upright.png")
    for value, turn in TURN_BACK.items():
        stored = upright if turn is None else upright.transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = value
        stored.save(HERE / f"orientation{value}.jpg", quality=95, subsampling="4:4:4", exif=exif)
        if value == 6:
            stored.save(HERE / "orientation6.png", exif=exif)
            stored.save(HERE / "orientation6.webp", lossless=True, exif=exif)
            stored.save(HERE / "orientation6.tif", tiffinfo={0x0112: value})
        reread = ImageOps.exif_transpose(Image.open(HERE / f"orientation{value}.jpg"))
        assert np.abs(np.asarray(reread).astype(int) - rgb).max() < 12, value


def png(path, array):
    """A PNG of 16 bits per sample, of 1, 2, 3 or 4 channels (Pillow writes few of them)."""
    height, width, channels = array.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    (HERE / path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(path, array, photometric, planar=False, extra=(), sample_format=1):
    """An uncompressed little-endian TIFF of any number of bands: array [height, width, bands]."""
    height, width, bands = array.shape
    planes = [array[:, :, band] for band in range(bands)] if planar else [array]
    strips = [np.ascontiguousarray(plane).tobytes() for plane in planes]
    bits = array.dtype.itemsize * 8
    entries = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * bands), (259, 3, [1]), (262, 3, [photometric]),
        (273, 4, None), (277, 3, [bands]), (278, 4, [height]), (279, 4, [len(s) for s in strips]),
        (284, 3, [2 if planar else 1]),
    ]
    if extra:
        entries.append((338, 3, list(extra)))
    entries.append((339, 3, [sample_format] * bands))
    at = 8 + 2 + 12 * len(entries) + 4
    tail = b""
    code = {3: "H", 4: "I"}

    def value(kind, values):
        nonlocal tail
        data = struct.pack(f"<{len(values)}{code[kind]}", *values)
        if len(data) <= 4:
            return data.ljust(4, b"\0")
        offset = at + len(tail)
        tail += data
        return struct.pack("<I", offset)

    # The places of the strips are known only after every other value has its place.
    fields = {tag: value(kind, values) for tag, kind, values in entries if values is not None}
    start = at + len(tail) + (4 * len(strips) if len(strips) > 1 else 0)
    places = [start + sum(len(s) for s in strips[:i]) for i in range(len(strips))]
    fields[273] = value(4, places)
    count = {tag: len(values) if values is not None else len(strips) for tag, _, values in entries}
    body = b"".join(struct.pack("<HHI", tag, kind, count[tag]) + fields[tag] for tag, kind, _ in entries)
    (HERE / path).write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + b"\0" * 4 + tail + b"".join(strips))


def rasters():
    rgb = noise(19, 13)
    alpha = (np.arange(19 * 13).reshape(13, 19, 1) % 256).astype(np.uint8)
    picture = Image.fromarray(rgb)
    grey = Image.fromarray(rgb[:, :, 0])
    picture.save(HERE / "rgb.png")
    picture.save(HERE / "rgb.webp", lossless=True)
    picture.save(HERE / "rgb.tif")
    picture.save(HERE / "lzw.tif", compression="tiff_lzw")
    picture.save(HERE / "deflate.tif", compression="tiff_adobe_deflate")
    picture.save(HERE / "big.tif", big_tiff=True)
    picture.save(HERE / "pages.tif", save_all=True, append_images=[grey.resize((40, 40))])
    with_alpha = Image.fromarray(np.concatenate([rgb, alpha], -1))
    with_alpha.save(HERE / "alpha.png")
    with_alpha.save(HERE / "alpha.tif")
    with_alpha.save(HERE / "alpha.webp", lossless=True, exact=True)
    grey.save(HERE / "grey.png")
    grey.save(HERE / "grey.tif")
    Image.fromarray(np.concatenate([rgb[:, :, :1], alpha], -1), "LA").save(HERE / "grey_alpha.png")

    few = picture.quantize(11)
    few.save(HERE / "palette.png", bits=4)
    few.save(HERE / "palette_clear.png", bits=4, transparency=3)
    few.save(HERE / "palette.tif")
    grey.convert("1").save(HERE / "bits.png")
    grey.convert("1").save(HERE / "bits.tif")
    Image.fromarray(np.stack([*np.moveaxis(rgb, -1, 0), alpha[:, :, 0]], -1), "CMYK").save(HERE / "cmyk.tif")
    for name in ["palette.png", "palette_clear.png", "bits.png", "bits.tif", "cmyk.tif"]:
        wanted(name)

    lossy = Image.fromarray(smooth(45, 31))
    lossy.save(HERE / "lossy.webp", quality=90)
    lossy.save(HERE / "jpeg.tif", compression="jpeg", quality=92)
    wanted("lossy.webp")
    wanted("jpeg.tif")

    # 16 bits: v * 257 + 100 is v again after the stated scaling, at most 65535.
    wide = np.minimum(rgb.astype(np.uint32) * 257 + 100, 65535).astype(np.uint16)
    wide_alpha = alpha.astype(np.uint16) * 257
    png("rgb16.png", wide)
    png("rgba16.png", np.concatenate([wide, wide_alpha], -1))
    png("grey16.png", wide[:, :, :1])
    png("grey_alpha16.png", np.concatenate([wide[:, :, :1], wide_alpha], -1))
    tiff("rgb16.tif", wide, 2)
    tiff("grey16.tif", wide[:, :, :1], 1)
    tiff("planes16.tif", wide, 2, planar=True)
    tiff("planes.tif", rgb, 2, planar=True)
    tiff("rgbn.tif", np.concatenate([rgb, alpha], -1), 2, extra=[0])
    tiff("bands6.tif", np.concatenate([rgb, alpha, alpha, alpha], -1), 1, extra=[0] * 5)
    tiff("bands2.tif", np.concatenate([rgb[:, :, :1], alpha], -1), 1, extra=[0])
    tiff("white_is_zero.tif", 255 - rgb[:, :, :1], 0)
    tiff("float.tif", rgb[:, :, :1].astype(np.float32), 1, sample_format=3)
    tiff("signed.tif", rgb[:, :, :1].astype(np.int16), 1, sample_format=2)
    tiff("grey32.tif", rgb[:, :, :1].astype(np.uint32), 1)


def giants():
    """Headers of huge pictures, with next to nothing behind them."""
    side = 30_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    (HERE / "giant.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 5000)))
    small = BytesIO()
    Image.new("RGB", (16, 16)).save(small, "JPEG")
    data = bytearray(small.getvalue())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    (HERE / "giant.jpg").write_bytes(data)
    tiff("giant.tif", np.zeros((1, 1, 3), np.uint8), 2)
    data = bytearray((HERE / "giant.tif").read_bytes())
    for entry in (0, 1, 7):  # width, height, rows in the strip
        data[10 + 12 * entry + 8 : 10 + 12 * entry + 12] = struct.pack("<I", side)
    (HERE / "giant.tif").write_bytes(data)
    # The longest side of a WebP that is read is 16,383, which is still over the default limit.
    bits = struct.pack("<I", 16382 | 16382 << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 5 + 8) + b"\x2f" + bits + b"\0" * 8 + b"\0"
    (HERE / "giant.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


if __name__ == "__main__":
    for old in HERE.iterdir():
        if old.suffix != ".py":
            old.unlink()
    golden_fits()
    jpegs()
    orientations()
    rasters()
    giants()
    total = sum(file.stat().st_size for file in HERE.iterdir())
    print(f"{len(list(HERE.iterdir()))} files, {total} bytes")
