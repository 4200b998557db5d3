"""Compares embed.py with the golden vectors. `python check.py [FOLDER]`; exits with 1 where they differ."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from embed import Model, read


def differences(found, expected):
    """The least cosine of two rows and the largest difference of two numbers."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return ((found * expected).sum(axis=1) / norms).min(), np.abs(found - expected).max()


def main(folder):
    golden = json.loads((folder / "golden.json").read_text())
    model = Model(folder / "bundle")
    chips, texts = golden["chips"], golden["texts"]
    failed = False
    for item in chips + texts:
        ids = model.ids([item["caption"]])[0].tolist()
        if ids != item["ids"]:
            print(f"ids differ: {item['caption']!r}: {ids}")
            failed = True
    for fit in golden["fits"]:
        pixels = read(folder / fit["file"], fit["preprocessing"])
        if hashlib.sha256(pixels.tobytes()).hexdigest() != fit["sha256"]:
            print(f"pixels differ: {fit['preprocessing']}")
            failed = True
    images = model.embed_images([folder / chip["file"] for chip in chips])
    metadata = model.embed_captions([chip["caption"] for chip in chips])
    for name, rows in [("image_embeds", images), ("metadata_embeds", metadata)]:
        cosine, most = differences(rows, [chip[name] for chip in chips])
        failed |= not (cosine >= golden["tolerance"]["cosine"])
        failed |= not (most <= golden["tolerance"]["absolute"])
        print(f"{name}: least cosine {cosine:.8f}, largest difference {most:.1e}")
    most = np.abs(images @ metadata.T - np.array(golden["cosines"])).max()
    failed |= not (most <= golden["tolerance"]["absolute"])
    print(f"cosines: largest difference {most:.1e}")
    print(f"ids of {len(chips) + len(texts)} captions, pixels of {len(golden['fits'])} fits compared")
    return failed


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else here.parent / "golden"))
