"""Memory by the number of rows: windows of one scene, embedded by a model that does next to nothing.

    cargo build --release -p satmip-cli
    pip install numpy rasterio onnx
    python benches/rows.py OUT [--satmip target/release/satmip] [--rows 10000,100000,1000000,10000000] [--plan]

Makes OUT/scene.tif (benches/scenes.py) and OUT/stub, a bundle whose graph takes 16 numbers of a picture for its vector. Windows of 64
pixels are cut at the stride that gives so many rows. Prints seconds, rows a second and the most memory of `satmip embed`, and with
`--plan` of `plan`, `embed --plan`, `plan status` and `plan verify` over the same windows.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

from scenes import TILE, made, measured

SIDE = 10980
WIDTH = 16
MODEL = Path(__file__).parent.parent / "zoo/satmip-nano-simclr"


def stub(folder):
    """A bundle of a model whose vector of a picture is 16 of its samples."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    import numpy as np

    graph = onnx.load(MODEL / "image.onnx")
    constant = [("start", [0, 0]), ("end", [1, 6]), ("axes", [1, 2]), ("shape", [-1, 18]), ("first", [0]), ("last", [WIDTH]), ("one", [1])]
    constants = [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constant]
    constants.append(numpy_helper.from_array(np.array([1.0], np.float32), "least"))
    nodes = [
        helper.make_node("Slice", ["image", "start", "end", "axes"], ["some"]),
        helper.make_node("Reshape", ["some", "shape"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["numbers", "first", "last", "one"], ["few"]),
        helper.make_node("Add", ["few", "least"], ["image_features"]),
        helper.make_node("LpNormalization", ["image_features"], ["image_embeds"], axis=1, p=2),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in ("image_features", "image_embeds")]
    graph.graph.CopyFrom(helper.make_graph(nodes, "stub", graph.graph.input, outputs, constants))
    manifest = json.loads((MODEL / "bundle.json").read_text())
    manifest["id"] = "stub"
    manifest["arch"]["embed_dim"] = WIDTH
    manifest["arch"]["image"]["widths"] = [WIDTH] * 3
    del graph.metadata_props[:]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    onnx.save(graph, folder / "image.onnx")
    contents = (folder / "image.onnx").read_bytes()
    manifest["files"] = {"image.onnx": {"size": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}}
    (folder / "bundle.json").write_text(json.dumps(manifest))


def stride_of(rows):
    """The largest step from window to window that gives so many rows."""
    return next(step for step in range(SIDE, 0, -1) if ((SIDE - TILE) // step + 1) ** 2 >= rows)


def clear(out):
    """Removes what a turn wrote."""
    for name in ("rows", "blocks"):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "plan.parquet").unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        stub(options.out)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    scene, model = options.out / "scene.tif", options.out / "stub"
    made(scene, SIDE)
    # In a process of its own: what this one needed before counts as its children's.
    measured([sys.executable, __file__, model, "--make"])
    print("| rows | command | s | rows/s | MB |\n|---|---|---|---|---|")
    for wanted in map(int, options.rows.split(",")):
        stride = stride_of(wanted)
        rows = ((SIDE - TILE) // stride + 1) ** 2
        windows = [scene, "-q", "--tile", TILE, "--stride", stride, "--edge", "drop", "--scale", "0,3000", "--images-only", "-m", model]
        out, plan = options.out / "rows", options.out / "plan.parquet"
        ways = {"embed": ["embed", *windows, "-o", out, "--workers", options.workers]}
        if options.plan:
            blocks = options.out / "blocks"
            ways |= {
                "plan": ["plan", *windows, "-o", plan],
                "embed --plan": ["embed", "--plan", plan, "-q", "-m", model, "-o", blocks, "--workers", options.workers],
                "plan status": ["plan", "status", blocks, "-q"],
                "plan verify": ["plan", "verify", blocks, "-q"],
            }
        clear(options.out)
        for name, command in ways.items():
            seconds, memory = measured([options.satmip, *command])
            print(f"| {rows:,} | {name} | {seconds:.1f} | {rows / seconds:,.0f} | {memory:.0f} |", flush=True)
        clear(options.out)


if __name__ == "__main__":
    main()
