"""Makes train/tests/data/timm: a small timm ViT with random weights, an input and its features.

    pip install torch timm safetensors numpy
    python train/tests/reference/make_timm.py

The weights are drawn from a fixed seed and rounded to multiples of 2^-12, so that they compress.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

OUT = Path(__file__).parent.parent / "data" / "timm"


def main():
    torch.manual_seed(7)
    OUT.mkdir(parents=True, exist_ok=True)
    for pool in ("token", "avg"):
        model = VisionTransformer(
            img_size=32,
            patch_size=8,
            embed_dim=32,
            depth=2,
            num_heads=4,
            num_classes=5,
            global_pool=pool,
            fc_norm=False,
        ).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                # Far from initial values: norms off 1, biases off 0, so that a swap shows.
                spread = 0.3 if parameter.ndim > 1 else 0.5
                parameter.copy_(parameter + spread * torch.randn_like(parameter))
                parameter.copy_((parameter * 4096).round() / 4096)
            images = torch.randn(3, 3, 32, 32)
            features = model.forward_head(model.forward_features(images), pre_logits=True)
        tensors = {f"visual.trunk.{k}": v.contiguous() for k, v in model.state_dict().items()}
        save_file(tensors, OUT / f"vit_{pool}.safetensors")
        save_file(
            {"images": images, "features": features.contiguous()},
            OUT / f"vit_{pool}_reference.safetensors",
        )
        if pool == "token":
            torch.save({"state_dict": tensors}, OUT / "vit_token.pt")


if __name__ == "__main__":
    main()
