#!/usr/bin/env bash
# A run that is killed twice and resumed ends with the weights of an unbroken run, byte for byte:
#
#   benches/killed_run.sh SATMIP RECIPE DATA OUT [--set key=value]..
set -euo pipefail
SATMIP=$1 RECIPE=$2 DATA=$3 OUT=$4
shift 4
pretrain() { "$SATMIP" pretrain -c "$RECIPE" --data "$DATA" --quiet "$@"; }
mkdir -p "$OUT"
pretrain -o "$OUT/whole" "$@"
# kill -9 after so many lines of metrics, then once more, then to the end.
for lines in 13 27; do
    pretrain -o "$OUT/parts" --resume "$@" &
    run=$!
    until [ "$(cat "$OUT/parts/metrics.jsonl" 2>/dev/null | wc -l)" -ge "$lines" ]; do sleep 0.2; done
    kill -9 $run
    wait $run 2>/dev/null || true
    echo "killed after $(wc -l <"$OUT/parts/metrics.jsonl") steps; checkpoints: $(ls "$OUT/parts/checkpoints" | tr '\n' ' ')"
done
pretrain -o "$OUT/parts" --resume "$@"
sha256sum "$OUT/whole/weights.safetensors" "$OUT/parts/weights.safetensors"
cmp "$OUT/whole/weights.safetensors" "$OUT/parts/weights.safetensors" && echo "the same weights"
