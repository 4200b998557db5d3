#!/usr/bin/env bash
# A plan of `satmip plan` by an array job of Slurm. OUT is a folder that all nodes see.
#
#   satmip plan items.ndjson --tile 64 --scale s2 -o plan.parquet
#   sbatch --array=0-63 examples/distributed/slurm.sh plan.parquet OUT
#   satmip plan status OUT     # run sbatch again for what is missing, then: satmip plan merge OUT
#
#SBATCH --job-name=satmip
#SBATCH --cpus-per-task=8
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail
plan=$1
out=$2

# SIGTERM some seconds before the end lets the program finish its batches; blocks that are done stay.
code=0
satmip embed --plan "$plan" --shard auto -o "$out" --workers "${SLURM_CPUS_PER_TASK:-1}" || code=$?

# 3: some inputs were left out, which errors name.
[ "$code" -eq 3 ] && code=0
exit "$code"
