"""Embeds chips and captions with the exported graphs alone: no code of satmip is used.

    pip install onnxruntime tokenizers numpy pillow
    python examples/embed_onnx.py zoo/satmip-nano examples/chips/*.png

bundle.json says what the graphs expect: the input size, how a picture is fitted, the fields.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from tokenizers import Tokenizer

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def read_chip(path, preprocessing):
    """A picture as u8 [size, size, 3], the way bundle.json says."""
    image = Image.open(path).convert("RGB")
    if preprocessing["fit"] == "crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    size = preprocessing["size"]
    return np.asarray(image.resize((size, size), FILTERS[preprocessing["filter"]]))


def main(bundle, files):
    bundle = Path(bundle)
    manifest = json.loads((bundle / "bundle.json").read_text())
    image_tower = onnxruntime.InferenceSession(bundle / "image.onnx")
    metadata_tower = onnxruntime.InferenceSession(bundle / "metadata.onnx")
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=0)

    chips = np.stack([read_chip(f, manifest["arch"]["preprocessing"]) for f in files])
    images = image_tower.run(["image_embeds"], {"image": chips})[0]

    captions = [
        "GSD: (10.0, 10.0); Location: (2.3500, 48.8500); Country code: FRA",
        "GSD: (3.00, 3.00); Location: (-122.3700, 37.6200); Country code: USA",
    ]
    ids = np.array([e.ids for e in tokenizer.encode_batch(captions)], dtype=np.int64)
    metadata = metadata_tower.run(["metadata_embeds"], {"input_ids": ids})[0]

    logits = manifest["logit_scale"] * images @ metadata.T
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    for file, row in zip(files, shares):
        print(file, *(f"{share:.2f}" for share in row))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
