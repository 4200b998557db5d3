"""The step cost of the same model in PyTorch, alone or in turn with satmip.

    python benches/step_cost.py zoo/recipes/nano-satmips.toml [--satmip BENCH] [--device cuda] [--bf16] [--compile]

BENCH is the binary that `cargo bench -p satmip-train --bench step_cost --no-run ..` names; with it each variant runs in turn in
both, in one sitting, and the last column is PyTorch's time over satmip's. Pixels are noise. Time is the median step,
memory the process's peak (on a GPU the allocator's). Needs torch and timm.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import tomllib

VARIANTS = ("simclr", "satmip", "satmips", "uncoupled")


def build(recipe, device):
    """Image tower, text tower and heads of a recipe."""
    import timm
    import torch
    from torch import nn
    from torch.nn import functional as F

    image, text = recipe["image"], recipe["metadata"]
    size = recipe["preprocessing"]["size"]

    class Residual(nn.Module):
        def __init__(self, inside, outside, stride):
            super().__init__()
            convolution = lambda i, o, k, s: nn.Conv2d(i, o, k, s, k // 2, bias=False)
            self.body = nn.Sequential(
                convolution(inside, outside, 3, stride), nn.BatchNorm2d(outside), nn.ReLU(),
                convolution(outside, outside, 3, 1), nn.BatchNorm2d(outside),
            )
            changes = stride != 1 or inside != outside
            self.short = nn.Sequential(convolution(inside, outside, 1, stride), nn.BatchNorm2d(outside)) if changes else nn.Identity()

        def forward(self, x):
            return F.relu(self.body(x) + self.short(x))

    class Block(nn.Module):
        def __init__(self, dim, heads):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
            self.heads = heads

        def forward(self, x):
            b, n, d = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(mixed.transpose(1, 2).reshape(b, n, d))
            return x + self.mlp(self.norm2(x))

    class Text(nn.Module):
        def __init__(self, vocabulary, context, dim, depth, heads):
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, dim)
            self.positions = nn.Parameter(torch.randn(context, dim) * 0.01)
            self.blocks = nn.Sequential(*[Block(dim, heads) for _ in range(depth)])
            self.norm = nn.LayerNorm(dim)

        def forward(self, ids):
            return self.norm(self.blocks(self.tokens(ids) + self.positions))[:, -1]

    if image["kind"] == "vit":
        tower = timm.models.VisionTransformer(
            img_size=size, patch_size=image["patch"], embed_dim=image["dim"],
            depth=image["depth"], num_heads=image["heads"], num_classes=0,
        )
        features = image["dim"]
    elif image.get("block") == "basic" and not image["stem"]["max_pool"]:
        stem, widths = image["stem"], image["widths"]
        layers = [nn.Conv2d(3, widths[0], stem["kernel"], stem["stride"], stem["kernel"] // 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        width = widths[0]
        for stage, (wide, depth) in enumerate(zip(widths, image["depths"])):
            for index in range(depth):
                layers.append(Residual(width, wide, 2 if stage and not index else 1))
                width = wide
        tower = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        features = width
    elif image["kind"].startswith("efficientnet-lite") and "stages" not in image:
        tower = timm.create_model(f"tf_{image['kind'].replace('-', '_')}", num_classes=0)
        features = tower.num_features
    else:
        sys.exit("this image tower is not compared")
    if recipe.get("image_norms") == "frozen":
        for module in tower.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    if text["kind"] != "text":
        sys.exit("only text towers are compared")
    words = Text(text["vocabulary"], recipe["context"], text["dim"], text["depth"], text["heads"])
    head, width = [], features
    for hidden in recipe["simclr"]["hidden"]:
        head += [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
        width = hidden
    head.append(nn.Linear(width, recipe["simclr"]["output"], bias=False))
    parts = nn.ModuleDict({
        "image": tower, "text": words, "head": nn.Sequential(*head),
        "image_projector": nn.Linear(features, recipe["embed_dim"], bias=False),
        "text_projector": nn.Linear(text["dim"], recipe["embed_dim"], bias=False),
    })
    return parts.to(device)


def once(variant, recipe, options):
    import torch
    from torch.nn import functional as F

    device = torch.device(options.device)
    torch.manual_seed(0)
    parts = build(recipe, device)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=device.type == "cuda")
    batch, size = recipe["batch_size"], recipe["preprocessing"]["size"]
    scale = torch.tensor(1 / 0.07).log().to(device).requires_grad_()
    image, text = parts["image"], parts["text"]
    if options.compile:
        image, text = torch.compile(image), torch.compile(text)
    unit = lambda x: F.normalize(x.float(), dim=1)

    def satmip_loss(picture, words):
        a, b = unit(parts["image_projector"](picture)), unit(parts["text_projector"](words))
        logits, own = scale.exp() * a @ b.T, torch.arange(batch, device=device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

    def simclr_loss(first, second):
        both = torch.cat([unit(parts["head"](first)), unit(parts["head"](second))])
        logits = (both @ both.T / recipe["simclr"]["temperature"]).fill_diagonal_(-1e9)
        other = torch.arange(2 * batch, device=device).roll(batch)
        return F.cross_entropy(logits, other)

    count = {"simclr": 2, "satmip": 1, "satmips": 2, "uncoupled": 3}[variant]
    times = []
    for _ in range(options.steps):
        views = [torch.randn(batch, 3, size, size, device=device) for _ in range(count)]
        ids = torch.randint(0, recipe["metadata"]["vocabulary"], (batch, recipe["context"]), device=device)
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            features = [image(view) for view in views]
            loss = 0.0
            if variant != "satmip":
                loss = loss + simclr_loss(features[0], features[1])
            if variant != "simclr":
                loss = loss + satmip_loss(features[2 if variant == "uncoupled" else 0], text(ids))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 5.0)
        optimizer.step()
        loss.item()
        times.append(1e3 * (time.perf_counter() - start))
    peak = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"variant": variant, "ms": statistics.median(times[2:]), "peak_mb": peak, "batch": batch}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--satmip", help="binary of the Rust bench")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--satmip-device", help="satmip's name of it, if it is another: libtorch")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--set", action="append", default=[], help="for satmip alone")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--context", type=int, default=96, help="tokens of a caption")
    parser.add_argument("--once", choices=VARIANTS)
    options = parser.parse_args()
    with open(options.recipe, "rb") as file:
        recipe = tomllib.load(file)
    recipe["context"] = options.context
    if options.batch:
        recipe["batch_size"] = options.batch
    if options.once:
        print(json.dumps(once(options.once, recipe, options)))
        return
    ours = [options.satmip, options.recipe, "--device", options.satmip_device or options.device, "--steps", str(options.steps)]
    ours += [word for change in options.set for word in ("--set", change)]
    variants = options.variants.split(",")
    if options.batch:
        ours += ["--set", f"batch_size={options.batch}"]
    if options.bf16:
        ours += ["--set", "precision='bf16'"]
    theirs = [sys.executable, *sys.argv]
    found = {}
    for _ in range(options.rounds):
        for variant in variants:
            for name, command in (("torch", theirs), ("satmip", ours)):
                if command[0]:
                    output = subprocess.run([*command, "--once", variant], stdout=subprocess.PIPE, check=True)
                    found.setdefault((name, variant), []).append(json.loads(output.stdout))
    print(f"batch {recipe['batch_size']}, {options.device}; ms a step, over {variants[0]}'s; peak MB, over {variants[0]}'s")
    for name in ("torch", "satmip"):
        for variant in variants:
            runs, base = found.get((name, variant)), found.get((name, variants[0]))
            if runs:
                ms, first = (statistics.median(r["ms"] for r in all) for all in (runs, base))
                mb, least = (max(r["peak_mb"] for r in all) for all in (runs, base))
                other = found.get(("torch", variant))
                ratio = f"{statistics.median(r['ms'] for r in other) / ms:6.2f}" if name == "satmip" and other else ""
                print(f"{name:7} {variant:10} {ms:8.1f} {ms / first:5.2f} {mb:8.0f} {mb / least:5.2f} {ratio}")


if __name__ == "__main__":
    main()
