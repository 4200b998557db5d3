#!/usr/bin/env bash
# A plan of `satmip plan` by an array job of AWS Batch: the command of the job's container. OUT may be a place in S3, as
# may the scenes be, which the job's role lets the program read and write; or a folder that all containers see.
#
#   aws batch submit-job --job-name satmip --job-queue QUEUE --job-definition satmip --array-properties size=64 \
#       --container-overrides 'command=["aws_batch.sh","plan.parquet","s3://BUCKET/OUT"]'
set -euo pipefail
plan=$1
out=$2

# A job whose array has a size of 1 is no array: it does all of the plan.
shard=()
if [ -n "${AWS_BATCH_JOB_ARRAY_INDEX:-}" ]; then
    shard=(--shard auto)
fi

code=0
satmip embed --plan "$plan" "${shard[@]}" -o "$out" || code=$?

# 3: some inputs were left out, which errors name.
[ "$code" -eq 3 ] && code=0
exit "$code"
