"""Our graphs of a ViT against PyTorch's export of the same weights, in ONNX Runtime on the CPU.

    cargo build --release -p satmip-cli --features train
    python benches/onnx_graphs.py [--satmip PROGRAM] [--model vit_small_patch16_224] [--batches 1,8,32] [--rounds 5] [--threads 2] [--only TEXT]

Needs torch, timm, onnx, onnxscript, onnxruntime, safetensors, sympy. Weights are timm's random ones, made less regular. Rivals: torch.onnx's
export as it is and after onnxruntime.transformers.optimizer; our graphs with ONNX Runtime's fused attention (com.microsoft.MultiHeadAttention),
and the f32 one after its dynamic quantiser. All sessions stay loaded and take turns, forwards and
backwards; a figure is the least of the rounds. Ours also normalise the pixels and project the features, the rivals do not.
"""

import argparse
import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from safetensors.torch import save_file

PRECISIONS = ["f32", "f16-weights", "int8", "int8-weights"]
MEAN, STD = (0.4182, 0.4215, 0.3991), (0.2877, 0.2754, 0.2764)


def weights_of(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 2:
                value.mul_(2.0)
            elif "bias" in name:
                value.copy_(torch.randn_like(value) * 0.02)
    return model.eval()


def checkpoint(model, size, folder):
    """The folder that `satmip export` reads."""
    width = model.embed_dim
    arch = {
        "preprocessing": {"size": size, "fit": "crop", "filter": "bicubic", "mean": MEAN, "std": STD},
        "image": {
            "kind": "vit",
            "patch": model.patch_embed.patch_size[0],
            "dim": width,
            "depth": len(model.blocks),
            "heads": model.blocks[0].attn.num_heads,
            "mlp_ratio": 4,
            "pool": "cls",
            "norm_eps": 1e-6,
        },
        "image_projector": {"kind": "linear"},
        "metadata": None,
        "embed_dim": 256,
    }
    folder.mkdir()
    (folder / "arch.json").write_text(json.dumps(arch))
    (folder / "card.json").write_text(json.dumps({"id": "bench", "version": "1", "licence": "CC0-1.0"}))
    tensors = {f"image.{name}": value.contiguous() for name, value in model.state_dict().items()}
    tensors["image_projector.layers.0.weight"] = torch.randn(256, width) * width**-0.5
    save_file(tensors, folder / "weights.safetensors")


def rivals(model, size, folder):
    example = torch.randn(2, 3, size, size)
    raw = folder / "torch.onnx"
    torch.onnx.export(
        model,
        (example,),
        raw,
        input_names=["pixels"],
        output_names=["features"],
        opset_version=20,
        dynamo=True,
        dynamic_shapes={"x": {0: torch.export.Dim("batch", min=1, max=1024)}},
        external_data=False,
        verbose=False,
    )
    from onnxruntime.transformers import optimizer

    heads, width = model.blocks[0].attn.num_heads, model.embed_dim
    better = optimizer.optimize_model(str(raw), model_type="vit", num_heads=heads, hidden_size=width, opt_level=0)
    optimised = folder / "torch-optimised.onnx"
    better.save_model_to_file(str(optimised))
    print("onnxruntime.transformers fused", {k: v for k, v in better.get_fused_operator_statistics().items() if v})
    return {"torch.onnx": raw, "torch.onnx, optimised": optimised}


def fused(path, heads, folder):
    """Our graph with each attention, from its queries, keys and values to the heads side by side, as one node."""
    model = onnx.load(path)
    graph = model.graph
    for first in [node for node in graph.node if ".attn.q.Add" in node.output[0]]:
        block = first.output[0].split(".q.Add")[0]
        inside = [node for node in graph.node if node.output[0].startswith(block + ".")]
        inputs = [next(node.output[0] for node in inside if f"{block}.{part}.Add" in node.output[0]) for part in "qkv"]
        linear = tuple(f"{block}.{part}." for part in ("q", "k", "v", "proj"))
        core = [node for node in inside if not node.output[0].startswith(linear) and node.op_type != "DynamicQuantizeLinear"]
        one = onnx.helper.make_node("MultiHeadAttention", inputs, core[-1].output, domain="com.microsoft", num_heads=heads)
        graph.node.insert(list(graph.node).index(core[-1]), one)
        for node in core:
            graph.node.remove(node)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    output = folder / f"{Path(path).stem}-fused.onnx"
    onnx.save(model, output)
    return output


def quantised(path, folder):
    """Our graph in f32 after ONNX Runtime's own dynamic quantiser, matrices per channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    output = folder / "quantised.onnx"
    quantize_dynamic(path, output, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    return output


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def engines(options, scratch, size):
    """Seconds for a picture more, of `satmip embed` with one worker: start and loading fall out."""
    from PIL import Image

    random = np.random.default_rng(0)
    few, many = 8, 40
    for count in (few, many):
        folder = scratch / f"pictures-{count}"
        folder.mkdir()
        for i in range(count):
            coarse = Image.fromarray(random.integers(0, 256, (14, 14, 3), np.uint8))
            coarse.resize((size, size), Image.BICUBIC).save(folder / f"{i:03}.png")
    for device in ("rten", "onnxruntime"):
        seconds = {}
        for turn in range(options.rounds):
            for precision in ("f32", "int8"):
                spent = []
                for count in (few, many):
                    out = scratch / f"{device}-{precision}-{count}-{turn}"
                    command = [options.satmip, "embed", scratch / f"pictures-{count}", "-o", out, "-q", "--workers", "1"]
                    command += ["-m", scratch / "bundle", "--device", device, "--precision", precision]
                    start = time.perf_counter()
                    subprocess.run(list(map(str, command)), check=True)
                    spent.append(time.perf_counter() - start)
                seconds.setdefault(precision, []).append((spent[1] - spent[0]) / (many - few))
        f32, int8 = (min(seconds[p]) for p in ("f32", "int8"))
        print(f"{device}: f32 {1 / f32:.1f} images/s, int8 {1 / int8:.1f} images/s, ratio {f32 / int8:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--model", default="vit_small_patch16_224")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="f32 against graphs whose name has this in it")
    parser.add_argument("--export-only", action="store_true", help="seconds, memory and sizes of the export alone")
    parser.add_argument("--engines", action="store_true", help="f32 against int8 in satmip's engines instead")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = weights_of(timm.create_model(options.model, num_classes=0))
    size = model.patch_embed.img_size[0]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        checkpoint(model, size, scratch / "run")
        start = time.perf_counter()
        command = [options.satmip, "export", scratch / "run", "-o", scratch / "bundle", "--precision", ",".join(PRECISIONS)]
        subprocess.run(list(map(str, command)), check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"export of {len(PRECISIONS)} precisions: {time.perf_counter() - start:.1f} s, {peak / 1024:.0f} MB at most")
        files = {"f32": "image.onnx"} | {p: f"image.{p}.onnx" for p in PRECISIONS[1:]}
        paths = {name: scratch / "bundle" / file for name, file in files.items()}
        sizes = {name: path.stat().st_size for name, path in paths.items()}
        for name, bytes_ in sizes.items():
            print(f"{name}: {bytes_ / 1e6:.1f} MB, {bytes_ / sizes['f32']:.3f} of f32")
        if options.export_only:
            return
        if options.engines:
            engines(options, scratch, size)
            return
        if options.only in "torch.onnx, optimised":
            paths |= rivals(model, size, scratch)
        for name in ["f32", "int8"]:
            paths[f"{name}, fused attention"] = fused(paths[name], model.blocks[0].attn.num_heads, scratch)
        paths["f32, quantize_dynamic"] = quantised(paths["f32"], scratch)
        paths = {name: path for name, path in paths.items() if name == "f32" or options.only in name}
        sessions = {name: session(path, options.threads) for name, path in paths.items()}

        batches = [int(b) for b in options.batches.split(",")]
        random = np.random.default_rng(0)
        # Smooth pictures with some noise, nearer to photographs than noise alone.
        coarse = random.integers(0, 256, (max(batches), 3, 14, 14)).astype(np.float32)
        smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), size, mode="bicubic").numpy()
        pictures = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        channels = (1, 3, 1, 1)
        pixels = (pictures / 255 - np.reshape(MEAN, channels)) / np.reshape(STD, channels)
        pixels, pictures = pixels.astype(np.float32), np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))

        def run(name, batch):
            if name.startswith("torch"):
                return sessions[name].run(None, {"pixels": pixels[:batch]})[0]
            return sessions[name].run(["image_features", "image_embeds"], {"image": pictures[:batch]})[0]

        with torch.no_grad():
            reference = model(torch.from_numpy(pixels[:8])).numpy()
        near = {name: cosines(run(name, 8), reference) for name in sessions}
        times = {name: {b: [] for b in batches} for name in sessions}
        for batch in batches:
            for turn in range(options.rounds * (4 if batch == 1 else 1)):
                names = list(sessions)
                for name in names if turn % 2 else reversed(names):
                    start = time.perf_counter()
                    run(name, batch)
                    times[name][batch].append(time.perf_counter() - start)
        print(f"\n{options.model}, onnxruntime {onnxruntime.__version__}, {options.threads} threads; images/s (ratio to ours in f32)")
        print("| graph | " + " | ".join(f"batch {b}" for b in batches) + " | cosine, least | mean |")
        print("|---" * (len(batches) + 3) + "|")
        for name in sessions:
            cells = [f"{b / min(times[name][b]):.1f} ({min(times['f32'][b]) / min(times[name][b]):.2f})" for b in batches]
            print(f"| {name} | " + " | ".join(cells) + f" | {near[name].min():.6f} | {near[name].mean():.6f} |")


if __name__ == "__main__":
    main()
