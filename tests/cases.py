"""Runs the program over inputs that once got a wrong answer, and prints a table: case, right, found.

    python tests/cases.py CASES [--satmip target/release/satmip]

CASES is a folder of small files: rasters, tables and STAC items, each with one difficulty of real archives. The names
below say what must be there; a file that is missing is a failed case. Cosines are those of `satmip embed` with the
built-in model. Exit code 1 where a case is not right. Needs Python alone.
"""

import argparse
import json
import math
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = []


def case(name, right, found, holds):
    ROWS.append((name, right, found, holds))


class Satmip:
    def __init__(self, program, folder):
        self.program, self.folder = str(program), folder

    def run(self, *arguments):
        command = [self.program, *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300)

    def vectors(self, *arguments):
        """Id to row of `embed`, its exit code, and what it said."""
        with tempfile.TemporaryDirectory() as out:
            path = Path(out) / "v.jsonl"
            done = self.run("embed", *arguments, "-o", path, "--json")
            rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
            errors = path.with_name("v.errors.jsonl")
            left = [json.loads(line) for line in errors.read_text().splitlines()] if errors.exists() else []
            report = json.loads(done.stdout) if done.stdout.strip() else {}
        return {row["id"]: row for row in rows}, left, done, report

    def records(self, *arguments):
        """Records of `caption --json`, and what it said."""
        done = self.run("caption", "--json", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()], done


def axes(value):
    """Both axes of a gsd, which is written as one number where they are the same."""
    return value if isinstance(value, list) else [value, value]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def pictures(satmip):
    reference = {}
    for name in ["right.png", "odd.png"]:
        rows, *_ = satmip.vectors(name)
        reference[name] = rows[name]["image_embedding"]

    def shows(name, wanted, least, *options):
        rows, left, done, _ = satmip.vectors(name, *options)
        title = " ".join([name, *options])
        if name not in rows:
            said = left[0]["reason"] if left else done.stderr.strip().splitlines()[0]
            return case(title, f"cosine {least} or more", said, False)
        found = cosine(rows[name]["image_embedding"], reference[wanted])
        case(title, f"cosine {least} or more", f"{found:.5f}", found >= least)

    def refused(name, word, *options, code=None):
        rows, left, done, _ = satmip.vectors(name, *options)
        said = done.stderr + json.dumps(left)
        holds = name not in rows and word in said and done.returncode != 0
        holds = holds and (code is None or done.returncode == code) and "panicked at" not in said
        first = left[0]["reason"] if left else done.stderr.strip().splitlines()[0]
        wanted = f"refused, says `{word}`" + ("" if code is None else f", exit {code}")
        case(" ".join([name, *options]), wanted, f"{first} (exit {done.returncode})", holds)

    almost, same = 0.9999, 0.999999
    for name in ["s2-reflectance-u16.tif", "s2-reflectance-u16-offset.tif", "landsat-c2-u16.tif", "reflectance-f32.tif",
                 "reflectance-i16.tif"]:
        refused(name, "--scale s2")
    shows("s2-reflectance-u16.tif", "right.png", almost, "--scale", "0,3000")
    shows("s2-reflectance-u16.tif", "right.png", almost, "--scale", "s2:0,0.3")
    shows("s2-reflectance-u16-offset.tif", "right.png", almost, "--scale", "1000,4000")
    shows("s2-reflectance-u16-offset.tif", "right.png", almost, "--scale", "s2-offset:0,0.3")
    shows("landsat-c2-u16.tif", "right.png", almost, "--scale", "landsat-c2:0,0.3")
    shows("reflectance-f32.tif", "right.png", almost, "--scale", "0,0.3")
    shows("reflectance-i16.tif", "right.png", almost, "--scale", "0,3000")
    shows("bgrn-u8.tif", "right.png", same)
    refused("s2-13-bands-u16.tif", "--bands", "--scale", "0,3000")
    shows("bgrn-u16.tif", "right.png", almost, "--scale", "0,3000")
    shows("bgrn-u16.tif", "right.png", almost, "--bands", "3,2,1", "--scale", "0,3000")
    shows("s2-13-bands-u16.tif", "right.png", almost, "--bands", "4,3,2", "--scale", "0,3000")
    refused("half-nodata.tif", "50.0 % of the pixels are valid", "--scale", "0,3000", "--min-valid", "0.6")
    rows, *_ = satmip.vectors("half-nodata.tif", "--scale", "0,3000")
    share = rows.get("half-nodata.tif", {}).get("valid")
    case("half-nodata.tif --scale 0,3000", "valid 0.5", f"valid {share}", share == 0.5)
    refused("all-nodata.tif", "no pixel is valid", "--scale", "0,3000")
    for name in ["planar-tiled-32.tif", "zstd.tif", "webp-lossless.tif", "lerc.tif", "south-up.tif"]:
        shows(name, "odd.png", same)
    for options in [("--scale", "3000,0"), ("--bands", "0,1,2"), ("--min-valid", "2"), ("--scale", "nonsense")]:
        refused("s2-reflectance-u16.tif", options[1].split(",")[0], *options, code=2)
    refused("s2-13-bands-u16.tif", "no band 14", "--bands", "14,3,2", "--scale", "0,3000", code=2)
    refused("right.png", "8 bits", "--scale", "s2", code=2)
    rows, left, done, _ = satmip.vectors("right.png", "s2-reflectance-u16.tif", "odd.png")
    found = f"rows {sorted(rows)}, left out {[row['kind'] for row in left]}, exit {done.returncode}"
    holds = sorted(rows) == ["odd.png", "right.png"] and [r["kind"] for r in left] == ["needs-scale"] and done.returncode == 3
    case("8 and 16 bits in one job", "the former embedded, the latter named", found, holds)


def metadata(satmip):
    def record(title, right, check, *arguments):
        records, done = satmip.records(*arguments)
        found = "; ".join(r["caption"] for r in records) or done.stderr.strip().splitlines()[0]
        case(title, right, found, bool(records) and check([r["metadata"] for r in records]))

    near = lambda place, lon, lat: place is not None and abs(place[0] - lon) < 1e-5 and abs(place[1] - lat) < 1e-5
    # What pyproj 3.7 gives for the centre, EPSG:2154 (652320, 6861680).
    record("lambert93.tif", "location (2.350209, 48.853394)",
           lambda m: near(m[0].get("location"), *LAMBERT93_CENTRE), "lambert93.tif")
    record("south-up.tif", "the location of the picture north-up",
           lambda m: near(m[0].get("location"), *satmip.records("zstd.tif")[0][0]["metadata"]["location"]), "south-up.tif")
    record("datetime-tag.tif", "no timestamp unless asked for", lambda m: "timestamp" not in m[0], "datetime-tag.tif")
    record("asset-proj-code.json", "zone 31U, gsd 10",
           lambda m: m[0].get("utm_zone") == "31U" and axes(m[0].get("gsd")) == [10, 10], "asset-proj-code.json")
    record("items.ndjson", "two records", lambda m: len(m) == 2, "items.ndjson")
    item = satmip.records("asset-proj-code.json")[0]
    same = lambda m: item and {k: m[0].get(k) for k in item[0]["metadata"]} == item[0]["metadata"]
    record("items.parquet", "as the item", same, "items.parquet")
    record("leap-second.csv", "2016-12-31T23:59:59Z", lambda m: m[0].get("timestamp") == "2016-12-31T23:59:59Z", "leap-second.csv")
    record("angles.csv", "315 and 12",
           lambda m: m[0].get("sun_azimuth_angle") == 315 and m[0].get("off_nadir_angle") == 12, "angles.csv")
    records, done = satmip.records("decimal-comma.csv")
    found = records[0]["caption"] if records else done.stderr.strip().splitlines()[0]
    case("decimal-comma.csv", "1.5, or refused", found, axes(records[0]["metadata"].get("gsd")) == [1.5, 1.5] if records else done.returncode != 0)
    days = lambda m: [r.get("timestamp") for r in m] == ["2021-06-05", "2021-06-06"]
    record("midnights.csv", "two days", days, "midnights.csv")
    record("midnights.parquet", "two days, as in CSV", days, "midnights.parquet")


def jobs(satmip):
    rows, _, _, report = satmip.vectors("twins/A", "twins/B", "--metadata", "twins.csv")
    joined = report.get("metadata") or {}
    case("twins/A twins/B", "ambiguous 2", f"joined {joined.get('joined')}, ambiguous {joined.get('ambiguous')}",
         joined.get("joined") == 0 and joined.get("ambiguous") == 2)
    rows, left, done, report = satmip.vectors("right.png", "odd.png", "bgrn-u8.tif", "--metadata", "ragged.csv")
    with_metadata = sorted(name for name, row in rows.items() if row.get("metadata_embedding"))
    said = done.stderr + json.dumps(left)
    case("ragged.csv", "line 3 is named and left out", f"metadata of {with_metadata}, exit {done.returncode}",
         with_metadata == ["bgrn-u8.tif", "right.png"] and "line 3" in said)
    rows, left, done, report = satmip.vectors("right.png", "odd.png", "--metadata", "no-usable-field.csv")
    vector = rows.get("right.png", {}).get("metadata_embedding", "none")
    case("no-usable-field.csv", "null, counted apart", f"{'null' if vector is None else 'a vector'}, {report.get('metadata')}",
         vector is None and rows["odd.png"]["metadata_embedding"] is not None)
    done = satmip.run("audit", "right.png", "odd.png", "--metadata", "no-usable-field.csv", "--json")
    ids = [row["id"] for row in json.loads(done.stdout or "[]")]
    case("audit with no-usable-field.csv", "right.png is not ranked", f"ranked {ids}", ids == ["odd.png"])


def files(satmip):
    with tempfile.TemporaryDirectory() as out:
        folder = Path(out) / "earlier"
        folder.mkdir()
        kept = {"part-00000.parquet": "mine", "errors.jsonl": "mine too"}
        for name, text in kept.items():
            (folder / name).write_text(text)
        done = satmip.run("embed", "right.png", "-o", folder)
        left = {f.name: f.read_text(errors="replace") for f in folder.iterdir()}
        case("a folder with parts and no job.json", "refused, nothing touched", f"exit {done.returncode}, {sorted(left)}",
             done.returncode != 0 and left == kept)
        (Path(out) / "new.errors.jsonl").write_text("mine")
        done = satmip.run("embed", "right.png", "-o", Path(out) / "new.parquet")
        text = (Path(out) / "new.errors.jsonl").read_text() if (Path(out) / "new.errors.jsonl").exists() else "gone"
        case("new.parquet beside new.errors.jsonl", "refused, nothing touched", f"exit {done.returncode}, {text}",
             done.returncode != 0 and text == "mine" and not (Path(out) / "new.parquet").exists())
        interrupted(satmip, Path(out))


def interrupted(satmip, out):
    chips = out / "chips"
    chips.mkdir()
    for i in range(6000):
        shutil.copy(satmip.folder / "right.png", chips / f"{i:05}.png")
    whole, broken = out / "whole", out / "broken"
    satmip.run("embed", chips, "-o", whole, "--rows-per-part", "1000")
    for number in [signal.SIGINT, signal.SIGTERM]:
        shutil.rmtree(broken, ignore_errors=True)
        command = [satmip.program, "embed", str(chips), "-o", str(broken), "--rows-per-part", "1000"]
        job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2000):
            if (broken / "part-00000.parquet").exists() or job.poll() is not None:
                break
            time.sleep(0.005)
        job.send_signal(number)
        _, said = job.communicate(timeout=60)
        aside = [f.name for f in broken.iterdir() if f.name.endswith(".tmp")]
        lines = (broken / "ledger.jsonl").read_bytes()
        again = satmip.run("embed", chips, "-o", broken, "--rows-per-part", "1000")
        parts = lambda folder: {f.name: f.read_bytes() for f in folder.iterdir() if f.name.startswith("part-")}
        same = parts(whole) == parts(broken)
        case(f"{number.name} in mid-job", "130, ledger whole, the same command goes on to the same bytes",
             f"exit {job.returncode}, {len(aside)} temporary files, again exit {again.returncode}, same bytes: {same}",
             job.returncode == 130 and not aside and lines.endswith(b"\n") and again.returncode == 0 and same)


LAMBERT93_CENTRE = (2.3502089, 48.8533942)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("--satmip", type=Path, default=Path("target/release/satmip"))
    arguments = parser.parse_args()
    satmip = Satmip(arguments.satmip.resolve(), arguments.cases.resolve())
    for part in [pictures, metadata, jobs, files]:
        part(satmip)
    widths = [max(len(row[i]) for row in ROWS) for i in (0, 1)]
    for name, right, found, holds in ROWS:
        print(f"{'right' if holds else 'WRONG'}  {name:{widths[0]}}  {right:{widths[1]}}  {found[:140]}")
    wrong = sum(not row[3] for row in ROWS)
    print(f"{len(ROWS)} cases, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
