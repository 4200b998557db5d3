"""A plan of `satmip plan` by Dask: a task for each shard, which runs the program; what is lost is run again.

    satmip plan FOLDER -o plan.parquet
    python examples/distributed/dask_shards.py plan.parquet OUT [SHARDS] [WORKERS]

OUT is a folder that all workers see.
"""

import subprocess
import sys

from dask.distributed import Client, as_completed


def shard(plan, out, number, shards):
    """Exit code 3 says that inputs were left out, which the rows' errors name."""
    command = ["satmip", "embed", "--plan", plan, "--shard", f"{number}/{shards}", "-o", out, "--workers", "1"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    return done.stderr.strip().splitlines()[-1]


def main(plan, out, shards=4, workers=2):
    client = Client(n_workers=int(workers), threads_per_worker=1)
    tasks = [client.submit(shard, plan, out, number, int(shards), retries=2) for number in range(int(shards))]
    for task in as_completed(tasks):
        print(task.result())
    client.close()
    subprocess.run(["satmip", "plan", "merge", out], check=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
