"""What the tests share: example chips, their records, and the program to hold vectors against."""

import csv
import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import satmip

ROOT = Path(__file__).resolve().parents[2]
CHIPS = ROOT / "examples" / "chips"
RASTERS = ROOT / "tests" / "data" / "rasters"


@pytest.fixture(scope="session")
def model():
    """The built-in model on the built-in engine, whatever else is installed."""
    return satmip.Embedder(device="rten")


@pytest.fixture(scope="session")
def chips():
    """Paths of the example chips."""
    return sorted(str(path) for path in CHIPS.glob("*.jpg"))


@pytest.fixture(scope="session")
def records(chips):
    """What is known of each chip."""
    with open(CHIPS / "metadata.csv", newline="") as table:
        known = {row.pop("file"): row for row in csv.DictReader(table)}
    return [known[Path(chip).name] for chip in chips]


@pytest.fixture(scope="session")
def program():
    """Runs the program satmip and gives the rows that it wrote; `SATMIP_PROGRAM` names it, else a build is taken."""
    built = [ROOT / "target" / profile / "satmip" for profile in ("release", "debug")]
    given = os.environ.get("SATMIP_PROGRAM")
    found = [path for path in ([given] if given else built) if Path(path).is_file()]
    if not found:
        pytest.skip("there is no program satmip to compare with: set SATMIP_PROGRAM, or build satmip-cli")

    def run(folder, *arguments):
        out = folder / "out.parquet"
        command = [found[0], "embed", *arguments, "-o", out, "--device", "rten", "-q"]
        # 3 is done, with items left out.
        assert subprocess.run(command, cwd=ROOT).returncode in (0, 3)
        return pq.read_table(out)

    return run
