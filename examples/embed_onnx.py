"""Embeds pictures and what is known of them with the exported graphs alone: no code of satmip is used.

    pip install onnxruntime tokenizers numpy pillow
    python examples/embed_onnx.py zoo/satmip-lite examples/chips/records.jsonl examples/chips/*.jpg

bundle.json says what the graphs expect: the input size, how a picture is fitted, the fields. A line of the records is
{"key": name of the picture, "metadata": {..}}, as `satmip caption --derive --json TABLE` writes it. There, gsd, pixel size and
location are those of the file; here they follow the picture to the model's size, as they do in satmip.

Prints the caption of each picture, the cosine of both, and how many of the records fit the picture better.
"""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from tokenizers import Tokenizer


def read_picture(path):
    """A file as upright 8-bit RGB. Other samples are refused: nobody but their owner knows what is black and white."""
    image = Image.open(path)
    layouts = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in image.tile]
    # Pillow reads some deeper samples as 8 bits without a word: what it unpacks tells, and TIFF's BitsPerSample.
    deep = any(re.search(";(12|16|32|64)", layout) for layout in layouts)
    if deep or image.mode[0] in "IF" or max(getattr(image, "tag_v2", {}).get(258, [8])) > 8:
        raise ValueError(f"{path}: its samples are not of 8 bits; scale them to 0 to 255 first")
    return ImageOps.exif_transpose(image).convert("RGB")


def fitted_box(width, height, preprocessing):
    """The part of a picture that the model sees: left, top, width, height."""
    if preprocessing["fit"] == "stretch":
        return 0, 0, width, height
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def fit_picture(image, preprocessing):
    """u8 [size, size, 3], cut or stretched as bundle.json says."""
    left, top, width, height = fitted_box(*image.size, preprocessing)
    image = image.crop((left, top, left + width, top + height))
    size = preprocessing["size"]
    return np.asarray(image.resize((size, size), Image.Resampling[preprocessing["filter"].upper()]))


def fit_record(record, size, preprocessing):
    """The record of a file of this size as that of the model's pixels; what leaves its range is dropped."""
    left, top, width, height = fitted_box(*size, preprocessing)
    scale = width / preprocessing["size"], height / preprocessing["size"]
    fitted = dict(record)

    def follow(name, value, least, most):
        if all(least <= v <= most for v in value):
            fitted[name] = value
        else:
            del fitted[name]

    for name, least, most in [("gsd", 1e-4, 1e4), ("pixel_size", 1e-10, 10)]:
        if name in record:
            x, y = axes(record[name])
            follow(name, (x * scale[0], y * scale[1]), least, most)
    if "multispectral_gsd" in record:
        both = record["multispectral_gsd"] * math.sqrt(scale[0] * scale[1])
        follow("multispectral_gsd", (both,), 1e-4, 1e4)
    if "location" in record and "pixel_size" in record:
        # Cutting an odd rest moves the centre by half a pixel.
        east, south = left + width / 2 - size[0] / 2, top + height / 2 - size[1] / 2
        (lon, lat), (x, y) = record["location"], axes(record["pixel_size"])
        fitted["location"] = (lon + east * x, lat - south * y)
    return fitted


def axes(value):
    """One number for both axes, or one for each."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value, value)


def metres(value):
    """At least 2 decimals and 3 significant digits, less the zeros at the end."""
    more = max(0, -int(f"{value:.2e}".split("e")[1]))
    whole, decimals = f"{value:.{2 + more}f}".split(".")
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def fixed(value, decimals):
    """A fixed number of decimals, without a sign on zero."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def azimuth(value):
    return fixed(float(fixed(value, 2)) % 360, 2)


def pair(show):
    return lambda value: "({}, {})".format(*(show(v) for v in axes(value)))


def listed(values):
    return "[{}]".format(", ".join(fixed(v, 0) for v in values))


# The fields in the order of captions, each with its label and how its value is written.
FIELDS = {
    "gsd": ("GSD", pair(metres)),
    "multispectral_gsd": ("Multispectral GSD", lambda v: metres(axes(v)[0])),
    "pixel_size": ("Pixel size", pair("{:.2e}".format)),
    "timestamp": ("Timestamp", lambda text: re.sub(r"\.\d+", "", text)),
    "location": ("Location", pair(lambda v: fixed(v, 4))),
    "utm_zone": ("UTM zone", str),
    "country_code": ("Country code", str),
    "cloud_cover": ("Cloud cover", lambda v: fixed(v, 0)),
    "scan_direction": ("Scan direction", str),
    "wavelengths": ("Wavelengths", listed),
    "target_azimuth_angle": ("Target azimuth angle", azimuth),
    "sun_azimuth_angle": ("Sun azimuth angle", azimuth),
    "sun_elevation_angle": ("Sun elevation angle", lambda v: fixed(v, 2)),
    "off_nadir_angle": ("Off-nadir angle", lambda v: fixed(v, 2)),
    "sensor_platform": ("Sensor platform", str),
}


def caption(record, fields):
    """The fields that are known, as `Label: value; Label: value`; empty where there is none."""
    known = [(name, FIELDS[name]) for name in FIELDS if name in fields and name in record]
    return "; ".join(f"{label}: {show(record[name])}" for name, (label, show) in known)


class Model:
    """A bundle: two graphs, a tokenizer, and bundle.json, which says how to prepare inputs."""

    def __init__(self, folder):
        folder = Path(folder)
        arch = json.loads((folder / "bundle.json").read_text())["arch"]
        self.preprocessing = arch["preprocessing"]
        self.fields = arch["metadata"]["fields"]
        self.context = arch["metadata"]["tower"]["context"]
        self.image_tower = onnxruntime.InferenceSession(folder / "image.onnx")
        self.metadata_tower = onnxruntime.InferenceSession(folder / "metadata.onnx")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def embed_pairs(self, paths, records):
        """Unit rows of the pictures, f32 [n, d]; captions, empty where nothing is known that the model reads; and unit
        rows of the captions that are not empty."""
        pictures = [read_picture(path) for path in paths]
        chips = np.stack([fit_picture(picture, self.preprocessing) for picture in pictures])
        images = self.image_tower.run(["image_embeds"], {"image": chips})[0]
        fitted = [fit_record(r, p.size, self.preprocessing) for r, p in zip(records, pictures)]
        captions = [caption(record, self.fields) for record in fitted]
        return images, captions, self.embed_captions([text for text in captions if text])

    def embed_captions(self, captions):
        """Unit rows, f32 [n, d]. A gsd in a caption is that of the model's pixels."""
        if not captions:
            return np.zeros((0, 0), np.float32)
        ids = np.array([e.ids for e in self.tokenizer.encode_batch(captions)], np.int64)
        if ids.shape[1] > self.context:
            raise ValueError(f"a caption has {ids.shape[1]} tokens, the model reads {self.context}")
        return self.metadata_tower.run(["metadata_embeds"], {"input_ids": ids})[0]


def main(bundle, records, files):
    lines = [json.loads(line) for line in Path(records).read_text().splitlines()]
    known = {line["key"]: line["metadata"] for line in lines}
    images, captions, metadata = Model(bundle).embed_pairs(files, [known.get(Path(f).name, {}) for f in files])
    row = 0
    for file, image, text in zip(files, images, captions):
        if not text:
            print(file, "nothing is known of it")
            continue
        cosines = metadata @ image
        better = int((cosines > cosines[row]).sum())
        print(f"{file} {cosines[row]:+.3f}, {better} of {len(metadata)} records fit better: {text}")
        row += 1


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
