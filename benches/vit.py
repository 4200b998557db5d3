"""Images a second and memory with a ViT-S/16 of 224 pixels, beside fastembed and a careful program in Python.

    cargo build --release -p satmip-cli --features train
    cargo build --release --manifest-path benches/fastembed/Cargo.toml
    pip install torch timm safetensors onnxruntime pillow numpy
    python benches/vit.py OUT [--satmip target/release/satmip] [--fastembed benches/fastembed/target/release/fastembed-bench] [--turns 3]

Makes in OUT timm's vit_small_patch16_224 with random weights (seeded), as a bundle (`satmip import --export`) and as PyTorch's own
graph for fastembed, and 200 JPEGs of 512 pixels a side. Each embeds them with ONNX Runtime on two threads: satmip with two workers,
fastembed as it comes, Python with a thread for each of two sessions (Pillow's resize, the bundle's graph). Medians of turns that
alternate, start and loading included; the most memory.
"""

import argparse
import glob
import os
import subprocess
import sys
from pathlib import Path

from scenes import in_turn

SIDE, COUNT = 512, 200


def make(out, satmip):
    """Weights, graphs and pictures, once."""
    if (out / "done").exists():
        return
    import numpy as np
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=0).eval()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, out / "vits.safetensors")
    subprocess.run([satmip, "import", out / "vits.safetensors", "--export", "--id", "vits", "--model-version", "0.1.0",
                    "--licence", "MIT", "-o", out / "bundle"], check=True)
    torch.onnx.export(model, torch.zeros(1, 3, 224, 224), out / "torch.onnx", input_names=["pixel_values"],
                      output_names=["image_embeds"], dynamic_axes={"pixel_values": {0: "n"}, "image_embeds": {0: "n"}}, dynamo=False)
    (out / "preprocessor_config.json").write_text("""{"do_resize": true, "size": {"height": 224, "width": 224}, "resample": 3,
        "do_center_crop": false, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "image_processor_type": "CLIPImageProcessor"}""")
    (out / "jpegs").mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in range(COUNT):
        waves = [np.sin(x / (9 + number % 17 + 3 * band)) * np.cos(y / (7 + number % 13 + 2 * band)) for band in range(3)]
        picture = 127 + 80 * np.stack(waves, -1) + random.normal(0, 12, (SIDE, SIDE, 3))
        Image.fromarray(picture.clip(0, 255).astype("uint8")).save(out / "jpegs" / f"{number:03}.jpg", quality=90)
    (out / "done").touch()


def in_python(folder, graph):
    """The careful program."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import onnxruntime
    from PIL import Image

    own = threading.local()

    def embed(path):
        if not hasattr(own, "session"):
            settings = onnxruntime.SessionOptions()
            settings.intra_op_num_threads = settings.inter_op_num_threads = 1
            own.session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        picture = Image.open(path).convert("RGB").resize((224, 224), Image.BICUBIC)
        return own.session.run(["image_embeds"], {"image": np.asarray(picture)[None]})[0]

    with ThreadPoolExecutor(2) as pool:
        print(len(list(pool.map(embed, sorted(Path(folder).iterdir())))), "vectors")


def library():
    """ONNX Runtime of this Python."""
    import onnxruntime

    return glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so*"))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--fastembed", default="benches/fastembed/target/release/fastembed-bench")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--python", help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = options.out
    if options.make:
        make(out, options.satmip)
        return
    if options.python:
        in_python(options.python, out / "bundle/image.onnx")
        return
    out.mkdir(parents=True, exist_ok=True)
    # In processes of their own: what this one needed before counts as its children's.
    subprocess.run([sys.executable, __file__, out, "--make", "--satmip", options.satmip], check=True)
    asked = subprocess.run([sys.executable, "-c", "import vit; print(vit.library())"], cwd=Path(__file__).parent, check=True,
                           stdout=subprocess.PIPE, text=True).stdout.strip()
    os.environ["ORT_DYLIB_PATH"] = asked
    jpegs = out / "jpegs"
    embed = [options.satmip, "embed", jpegs, "-q", "-m", out / "bundle", "--workers", 2, "--device", "onnxruntime", "--onnxruntime", asked,
             "-o", out / "satmip.parquet", "--overwrite"]
    beside = [options.fastembed, out / "torch.onnx", out / "preprocessor_config.json", jpegs]
    ways = {
        "satmip": embed,
        "fastembed, batches of 8": [*beside, 8],
        "fastembed, batches of 1": [*beside, 1],
        "Python": [sys.executable, __file__, out, "--python", jpegs],
    }
    print(f"| {COUNT} JPEGs of {SIDE} pixels, ViT-S/16 | s | images/s | MB |\n|---|---|---|---|")
    for name, seconds, memory in in_turn(ways, options.turns):
        print(f"| {name} | {seconds:.1f} | {COUNT / seconds:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
