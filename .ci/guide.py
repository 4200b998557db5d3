"""Runs the commands of a document and holds their output against what the document says.

    python .ci/guide.py [--write] DOCUMENT.. [--path FOLDER]

A block ```sh is run by bash in the root of the clone, with FOLDER (where the program is) first in PATH. A block ```text
behind it is its output, standard output and error together: `…` stands for anything within a line, a line that is `…`
alone for any lines. With --write the document gets the output that came, in place of blocks that no longer fit.
Blocks of other languages, and ```sh blocks that no ```text follows, are not run.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
STEP = re.compile(r"```sh\n((?:(?!```).)*)```\n\n```text\n((?:(?!```).)*)```", re.S)


def fits(expected, found):
    """Whether an output is the one that a document shows."""
    lines = [".*?".join(map(re.escape, line.split("…"))) + "\n" for line in expected.splitlines()]
    lines = ["(?:.*\n)*?" if line == ".*?\n" else line for line in lines]
    return re.fullmatch("".join(lines), found) is not None


def run(command, environment):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200,
    )
    # Lines end with spaces in tables.
    return done.returncode, "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--path", type=Path, default=Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    environment = {**os.environ, "PATH": f"{options.path.resolve()}:{os.environ['PATH']}", "COLUMNS": "100"}
    wrong = 0
    for path in options.documents:
        text = path.read_text()
        for step in STEP.finditer(text):
            command, expected = step.groups()
            code, found = run(command, environment)
            if code == 0 and fits(expected, found):
                print(f"{path}: as it says: {command.splitlines()[0]}")
            elif code == 0 and options.write:
                block = step.group(0).replace(f"```text\n{expected}```", f"```text\n{found}```")
                path.write_text(path.read_text().replace(step.group(0), block))
                print(f"{path}: written: {command.splitlines()[0]}")
            else:
                wrong += 1
                print(f"{path}: exit code {code}: {command}--- the document says\n{expected}--- it said\n{found}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
