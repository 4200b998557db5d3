"""Embeds chips and captions with onnxruntime, tokenizers and pillow.

    pip install -r requirements.txt
    python embed.py ../golden/bundle --images ../golden/chips/*.png --captions "GSD: (10.00, 10.00)"

Prints the cosine of each image with each caption, and how likely each caption is. A gsd or pixel size in a caption is that of
the model's input pixels: a picture of 512 pixels of 0.5 m has a gsd of 4 m at 64. ../../../examples/embed_onnx.py writes
captions of records that follow their pictures.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from tokenizers import Tokenizer


def read(path, how):
    """A picture as u8 [size, size, 3], upright, fitted as bundle.json's `preprocessing` says. Samples must have 8 bits."""
    image = Image.open(path)
    layouts = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in image.tile]
    # Pillow reads some deeper samples as 8 bits without a word: what it unpacks tells, and TIFF's BitsPerSample.
    deep = any(re.search(";(12|16|32|64)", layout) for layout in layouts)
    if deep or image.mode[0] in "IF" or max(getattr(image, "tag_v2", {}).get(258, [8])) > 8:
        raise ValueError(f"{path}: its samples are not of 8 bits; scale them to 0 to 255 first")
    image = ImageOps.exif_transpose(image).convert("RGB")
    if how["fit"] == "crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    filter = Image.Resampling[how["filter"].upper()]
    return np.asarray(image.resize((how["size"], how["size"]), filter))


class Model:
    """A bundle: two graphs, a tokenizer, and bundle.json, which says how to prepare inputs."""

    def __init__(self, folder):
        folder = Path(folder)
        self.manifest = json.loads((folder / "bundle.json").read_text())
        self.image_tower = onnxruntime.InferenceSession(folder / "image.onnx")
        self.metadata_tower = onnxruntime.InferenceSession(folder / "metadata.onnx")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def embed_images(self, paths):
        """Unit rows, f32 [paths, d]."""
        how = self.manifest["arch"]["preprocessing"]
        chips = np.stack([read(path, how) for path in paths])
        return self.image_tower.run(["image_embeds"], {"image": chips})[0]

    def ids(self, captions):
        """Token ids, i64 [captions, longest]; tokenizer.json says how to pad."""
        rows = np.array([e.ids for e in self.tokenizer.encode_batch(captions)], np.int64)
        context = self.manifest["arch"]["metadata"]["tower"]["context"]
        if rows.shape[1] > context:
            raise ValueError(f"a caption has {rows.shape[1]} tokens, the model reads {context}")
        return rows

    def embed_captions(self, captions):
        """Unit rows, f32 [captions, d]."""
        return self.metadata_tower.run(["metadata_embeds"], {"input_ids": self.ids(captions)})[0]

    def shares(self, cosines):
        """Softmax of each row, at the temperature that the model was trained with."""
        logits = self.manifest["logit_scale"] * cosines
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--captions", nargs="+", required=True)
    args = parser.parse_args()
    model = Model(args.bundle)
    cosines = model.embed_images(args.images) @ model.embed_captions(args.captions).T
    for path, cosine, share in zip(args.images, cosines, model.shares(cosines)):
        print(path, *(f"{c:+.4f} ({s:.0%})" for c, s in zip(cosine, share)))


if __name__ == "__main__":
    main()
