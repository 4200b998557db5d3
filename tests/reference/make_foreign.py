"""Makes tests/data/foreign: narrow torchvision ResNets with random weights, an input and their features, and
position embeddings that timm resampled. Prints the parameters of the standard towers without a classifier.

    pip install torch torchvision timm safetensors numpy
    python tests/reference/make_foreign.py

The weights are drawn from a fixed seed and exact in 16 bits, in which they are stored.
"""

from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.layers import resample_abs_pos_embed
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


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    resnets()
    positions()
    count()
