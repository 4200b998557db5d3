"""What `satmip export resize`'s graph costs, and how far its bytes are from Pillow's.

    cargo satmip export resize -o resize.onnx
    python benches/onnx_resize.py resize.onnx [--image zoo/satmip-nano/image.onnx] [--rounds 30]

Needs onnxruntime, numpy, Pillow. One thread; Pillow, the graph and the model's image graph take turns; milliseconds are the least of the rounds, for one picture.
"""

import argparse
import time

import numpy as np
import onnxruntime
from PIL import Image


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("resize")
    parser.add_argument("--image", default="zoo/satmip-nano/image.onnx")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    resize, model = session(options.resize), session(options.image)
    size = resize.get_outputs()[0].shape[1]
    random = np.random.default_rng(0)
    print("| picture | Pillow ms | graph ms | image graph ms | largest difference of 255 | bytes that differ |")
    print("|---" * 6 + "|")
    for side in (32, 64, 128, 256, 512, 1024):
        coarse = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
        picture = np.asarray(coarse.resize((side, side), Image.BICUBIC)).astype(int)
        picture = np.clip(picture + random.integers(-20, 21, picture.shape), 0, 255).astype(np.uint8)
        image = Image.fromarray(picture)
        ways = {
            "Pillow": lambda: np.asarray(image.resize((size, size), Image.BICUBIC))[None],
            "graph": lambda: resize.run(None, {"picture": picture[None]})[0],
        }
        made = {name: way() for name, way in ways.items()}
        ways["image graph"] = lambda: model.run(None, {"image": made["graph"]})
        spent = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                spent[name].append(time.perf_counter() - start)
        apart = np.abs(made["Pillow"].astype(int) - made["graph"])
        cells = " | ".join(f"{1e3 * min(spent[name]):.2f}" for name in ways)
        print(f"| {side} x {side} | {cells} | {apart.max()} | {100 * (apart > 0).mean():.3f} % |")


if __name__ == "__main__":
    main()
