"""What the tests share: example chips, their records, and the program to hold vectors against."""

import csv
import http.server
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import satmip
from satmip import sessions

# Tests make more embedders than a process keeps models, and fork after them.
sessions._KEPT = 100

# A shell's background jobs ignore Ctrl-C, and so would what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
def satmip_program():
    """The program satmip, as the start of a command: that of the package, or the one that SATMIP_PROGRAM names."""
    given = os.environ.get("SATMIP_PROGRAM")
    return [given] if given else [sys.executable, "-m", "satmip"]


@pytest.fixture(scope="session")
def program(satmip_program):
    """Runs the program satmip and gives the rows that it wrote."""

    def run(folder, *arguments):
        out = folder / "out.parquet"
        command = [*satmip_program, "embed", *arguments, "-o", out, "--device", "rten", "-q"]
        # 3 is done, with items left out.
        assert subprocess.run(command, cwd=ROOT).returncode in (0, 3)
        return pq.read_table(out)

    return run


class Files(http.server.BaseHTTPRequestHandler):
    """Serves the files of a folder in ranges; below /whole as a whole only."""

    protocol_version = "HTTP/1.1"
    root: Path
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        path = self.path.split("?")[0]
        try:
            body = (self.root / path.removeprefix("/whole").lstrip("/")).read_bytes()
        except OSError:
            return self.send_error(404)
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part is None or path.startswith("/whole"):
            self.send_response(200)
        else:
            first, last = int(part[1]), min(int(part[2]), len(body) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, the address at which its files are served, and what was asked for."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Served", (Files,), {"root": folder, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()


@pytest.fixture(scope="session")
def raster():
    """Bytes of a TIFF of random pixels in strips of 16 rows, larger than what is read of an address at once."""
    side, rows = 512, 16
    pixels = np.random.default_rng(7).integers(0, 256, (side, side, 3), np.uint8).tobytes()
    count, strip = side // rows, side * rows * 3
    # Width, height, bits, compression, interpretation, offsets of strips, samples, rows of a strip, bytes of strips.
    values = {
        256: [side],
        257: [side],
        258: [8, 8, 8],
        259: [1],
        262: [2],
        273: None,
        277: [3],
        278: [rows],
        279: [strip] * count,
    }
    directory = 8
    extra = directory + 2 + 12 * len(values) + 4
    first = extra + 12 + 8 * count
    values[273] = [first + strip * at for at in range(count)]
    entries, behind = b"", b""
    for tag, numbers in values.items():
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        place = packed if len(packed) == 4 else struct.pack("<I", extra + len(behind))
        behind += packed if len(packed) > 4 else b""
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + place
    head = struct.pack("<2sHI", b"II", 42, directory) + struct.pack("<H", len(values)) + entries + bytes(4)
    assert len(head + behind) == first
    return head + behind + pixels
