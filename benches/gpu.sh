#!/usr/bin/env bash
# Training on an NVIDIA GPU: does it run, does it equal the CPU, how fast is it beside PyTorch. Run in the root of a clone:
#
#   benches/gpu.sh OUT [satmip binary] [step_cost binary]
#
# OUT gets one text file for each question. Without the binaries they are built here (`--features ..,cuda`; CONTRIBUTING.md says
# what that needs). PYTHON names a Python with torch and timm; without it PyTorch's rows are left out. The first file has the
# device's name: a figure without it means nothing.
set -euo pipefail
OUT=${1:?usage: benches/gpu.sh OUT [satmip binary] [step_cost binary]}
FEATURES=cli,builtin-model,train,cuda
mkdir -p "$OUT"

if [ $# -ge 3 ]; then
    SATMIP=$(realpath "$2") BENCH=$(realpath "$3")
else
    cargo build --release --features "$FEATURES" --bin satmip
    SATMIP=$PWD/target/release/satmip
    BENCH=$(cargo bench --features "$FEATURES" --bench step_cost --no-run --message-format=json |
        sed -n 's/.*"name":"step_cost".*"executable":"\([^"]*\)".*/\1/p')
fi

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv >"$OUT/device.csv"

# 1. The same recipe, seed and noise on both devices, three steps: the losses side by side.
TINY=(--set 'image={kind="vit",patch=8,dim=192,depth=4,heads=3}' --set batch_size=32)
for device in cpu cuda; do
    "$BENCH" zoo/recipes/nano-satmips.toml "${TINY[@]}" --steps 4 --device "$device" --once satmips --losses
done >"$OUT/parity.txt" 2>&1 || echo "parity did not run" >>"$OUT/parity.txt"

# 2. Time and memory of the three methods at ViT-S/16, 224 pixels, as large a batch as fits.
for batch in 64 128 256 512; do
    for precision in f32 bf16; do
        "$BENCH" zoo/recipes/fmow-vit-s16-satmips.toml --device cuda --steps 12 --rounds 1 \
            --set "batch_size=$batch" --set "precision='$precision'" >"$OUT/step-$precision-$batch.txt" 2>&1 ||
            echo "did not run: out of memory at batch $batch?" >>"$OUT/step-$precision-$batch.txt"
    done
done

# 3. In turn with PyTorch: bf16, SDPA, torch.compile.
if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" benches/step_cost.py zoo/recipes/fmow-vit-s16-satmips.toml --satmip "$BENCH" --device cuda --bf16 --compile \
        --batch 256 --rounds 2 >"$OUT/torch.txt" 2>&1 || echo "PyTorch did not run" >>"$OUT/torch.txt"
fi

# 4. Serving: the built-in model through CUDA and TensorRT, where this build of satmip has them.
"$SATMIP" doctor >"$OUT/doctor.txt" 2>&1 || true
tail -n +1 "$OUT"/*
