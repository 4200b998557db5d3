#!/usr/bin/env bash
# Training on an NVIDIA GPU: does it run, does it equal the CPU, how fast is it beside PyTorch. Run in the root of a clone:
#
#   [DEVICE=libtorch-cuda] benches/gpu.sh OUT [satmip binary] [step_cost binary]
#
# OUT gets one text file for each question. DEVICE is `cuda` (burn's own) or `libtorch-cuda` (PyTorch's library, the one of TORCH_PYTHON if that
# is given; see zoo/with-libtorch). Without the binaries they are built here (CONTRIBUTING.md says what that needs). PYTHON names a Python
# with torch and timm; without it PyTorch's rows are left out. The first file has the device's name: a figure without it means nothing.
set -euo pipefail
OUT=${1:?usage: benches/gpu.sh OUT [satmip binary] [step_cost binary]}
DEVICE=${DEVICE:-cuda}
case $DEVICE in
    cuda) FEATURE=cuda WITH=() TARGET=$PWD/target ;;
    libtorch-cuda) FEATURE=libtorch WITH=(zoo/with-libtorch) TARGET=$PWD/target/libtorch ;;
    *) echo "DEVICE is \`$DEVICE\`: cuda or libtorch-cuda" >&2; exit 2 ;;
esac
mkdir -p "$OUT"

if [ $# -ge 3 ]; then
    SATMIP=$(realpath "$2") BENCH=$(realpath "$3")
else
    "${WITH[@]}" cargo build --release -p satmip-cli --features "$FEATURE"
    SATMIP=$TARGET/release/satmip
    BENCH=$("${WITH[@]}" cargo bench -p satmip-train --features "$FEATURE" --bench step_cost --no-run --message-format=json |
        sed -n 's/.*"name":"step_cost".*"executable":"\([^"]*\)".*/\1/p')
fi

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv >"$OUT/device.csv"

# 1. The same recipe, seed and noise on both devices: the losses side by side.
"${WITH[@]}" python3 benches/parity.py "$BENCH" "$DEVICE" --towers resnet,vit,lite0 >"$OUT/parity.txt" 2>&1 ||
    echo "parity does not hold, or did not run" >>"$OUT/parity.txt"

# 2. Time and memory of the three methods at ViT-S/16, 224 pixels, as large a batch as fits.
for batch in 64 128 256 512; do
    for precision in f32 bf16; do
        "${WITH[@]}" "$BENCH" zoo/recipes/fmow-vit-s16-satmips.toml --device "$DEVICE" --steps 12 --rounds 1 \
            --set "batch_size=$batch" --set "precision='$precision'" >"$OUT/step-$precision-$batch.txt" 2>&1 ||
            echo "did not run: out of memory at batch $batch?" >>"$OUT/step-$precision-$batch.txt"
    done
done

# 3. In turn with PyTorch: bf16, SDPA, torch.compile.
if [ -n "${PYTHON:-}" ]; then
    "${WITH[@]}" "$PYTHON" benches/step_cost.py zoo/recipes/fmow-vit-s16-satmips.toml --satmip "$BENCH" --device cuda \
        --satmip-device "$DEVICE" --bf16 --compile --batch 256 --rounds 2 >"$OUT/torch.txt" 2>&1 || echo "PyTorch did not run" >>"$OUT/torch.txt"
fi

# 4. Serving: the built-in model through CUDA and TensorRT, where this build of satmip has them.
"$SATMIP" doctor >"$OUT/doctor.txt" 2>&1 || true
tail -n +1 "$OUT"/*
