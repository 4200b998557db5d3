"""What becomes of real items and files: a line for each STAC document, and one for all files of a folder that fare alike.

    cargo build --release -p satmip-cli
    python benches/fixtures.py FOLDER [--satmip target/release/satmip]

Goes through FOLDER: documents of STAC are read for their metadata (`satmip inspect`) and cut into windows (`satmip embed
--dry-run`), as they are and with the product's rule for samples; pictures and rasters are read, too. Files that a document
names and that are not there are said to be missing.
"""

import argparse
import collections
import json
import re
import subprocess
from pathlib import Path

PICTURES = {".tif", ".jp2", ".png", ".jpg", ".jpeg"}
# By a part of a name: the rule for its samples. Digital numbers (L1TP) and radar have none.
RULES = [("l1tp", None), ("sentinel1", None), ("l1c", "s2-l1c"), ("sentinel2", "s2"), ("bigearthnet", "s2"), ("landsat", "landsat-c2"),
         ("_l2s", "landsat-c2"), ("planet", "planet-sr")]


def rule(path):
    name = str(path).lower()
    return next((rule for part, rule in RULES if part in name), None)


def run(options, *arguments):
    """Exit code, what was written as JSON, and the reason of an error."""
    command = [options.satmip, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    reason = re.sub(r"^error: |\n.*", "", done.stderr.strip(), flags=re.DOTALL)
    try:
        return json.loads(done.stdout), reason
    except ValueError:
        return None, reason


def short(reason, path):
    """A reason without what is one file's alone."""
    reason = reason.replace(str(path), "it")
    reason = re.sub(r"cannot read image `it`: ", "", reason)
    reason = re.sub(r"`https?://([^/`]*)/[^`]*`", r"a file of `\1`", reason)
    reason = re.sub(r"`s3://([^/`]*)/[^`]*`", r"an object of the bucket `\1`", reason)
    reason = re.sub(r": (failed to lookup|the store: no cred|error sending|No such file).*", " is not here", reason)
    reason = re.sub(r"`[^`]*/([^/`]*)`", r"`\1`", reason)
    reason = reason.replace(", nor one of a band with this common name", "").replace("|", "/")
    return reason if len(reason) <= 110 else reason[:110].rsplit(",", 1)[0] + ", ..)"


def windows(options, path, *more):
    found, reason = run(options, "embed", path, "--tile", 64, "--dry-run", "-o", "unused", *more)
    if found is None:
        return short(reason, path)
    refused = collections.Counter(short(refused["reason"], path) for refused in found["first_refused"])
    said = [f"{found['items']} windows of {found['scenes']} scenes"] if found["items"] else []
    return "; ".join(said + [f"{count} times: {reason}" if count > 1 else reason for reason, count in refused.items()])


def document(options, path):
    found, reason = run(options, "inspect", path)
    records = found["records"] if found else []
    fields = [len(record["metadata"]) for record in records if "metadata" in record]
    each = " each" if len(fields) > 1 else ""
    metadata = f"{len(fields)} of {max(fields)} fields{each}" if fields else short(reason, path)
    scale = rule(path.name)
    ruled = f"`{scale}`: {windows(options, path, '--scale', scale)}" if scale else ""
    return f"| {path.name} | {metadata} | {windows(options, path)} | {ruled} |"


def picture(options, path):
    def read(*more):
        found, reason = run(options, "inspect", path, *more)
        if found is None or "reading" not in found:
            return short(reason, path)
        reading = found["reading"]
        place = any({"location", "gsd"} & set(record.get("metadata", {})) for record in found.get("records", []))
        return f"{reading['format']}, {reading['samples']}: {reading['rgb_why']}; {reading['range_why']}" + (
            "; with its place" if place else "")

    plain = read()
    scale = rule(path)
    if scale and "what they mean" in plain:
        plain += f" | `--scale {scale}`: {read('--scale', scale)}"
    else:
        plain += " | "
    return plain


def is_document(path):
    text = path.read_text(errors="replace")[:200_000] if path.suffix in {".json", ".geojson"} else ""
    return '"stac_version"' in text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--satmip", default="target/release/satmip")
    options = parser.parse_args()
    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    print("| document | records of metadata | windows | with the product's rule |\n|---|---|---|---|")
    for path in filter(is_document, files):
        print(document(options, path), flush=True)
    alike = collections.Counter()
    for path in (path for path in files if path.suffix.lower() in PICTURES):
        folder = path.relative_to(options.folder).parts[:2][-1] if len(path.relative_to(options.folder).parts) > 2 else ""
        alike[folder, path.suffix.lower(), picture(options, path)] += 1
    print("\n| folder | files | as they are | with the product's rule |\n|---|---|---|---|")
    for (folder, suffix, fate), count in sorted(alike.items()):
        print(f"| {folder} | {count} `{suffix}` | {fate} |")


if __name__ == "__main__":
    main()
