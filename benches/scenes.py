"""How fast windows of a scene are embedded, beside a careful program in Python with the same graph.

    cargo build --release -p satmip-cli
    pip install numpy rasterio onnxruntime pyarrow
    python benches/scenes.py OUT [--satmip target/release/satmip] [--model satmip-lite] [--side 10980] [--turns 3]
                             [--workers 2] [--what speed|memory|http|jp2]

Makes OUT/scene.tif, a synthetic Sentinel-2 tile (three bands of uint16, deflate with predictor 2, tiles of 512 pixels), and
embeds its windows of 64 pixels with the built-in model: by satmip with ONNX Runtime and with rten, and by Python (rasterio, a
thread for each worker that reads whole rows of tiles, one session of ONNX Runtime with one thread each, Parquet at the end).
Prints seconds, windows a second and the most memory of each, medians of turns that alternate. `--what memory` embeds scenes of
1,000 to 40,000 pixels a side with satmip, every window of a sparse lattice, and prints the most memory of each. `--what http`
embeds the tile from this machine's disk and, in turn, from a server on it that waits 50 ms before each answer, and prints how
many bytes the server sent beside those of the file's tiles. `--what jp2` embeds an item of three bands of 4,096 pixels a side,
files of JPEG 2000 each as ESA has them, with one worker and with two, in turn.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

TILE = 64
# Pictures that are run at a time, as satmip does.
BATCH = 16


def scene(path, side, block=512):
    """A picture of fields, with the noise of an instrument, written once."""
    if path.exists():
        return
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    random = np.random.default_rng(7)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint16", "crs": "EPSG:32633",
               "transform": from_origin(399960, 5400000, 10, 10), "tiled": True, "blockxsize": block, "blockysize": block,
               "compress": "deflate", "predictor": 2, "nodata": 0, "interleave": "band", "bigtiff": "if_safer"}
    aside = path.with_suffix(".part.tif")
    with rasterio.open(aside, "w", **profile) as file:
        for top in range(0, side, block):
            rows = min(block, side - top)
            y, x = np.mgrid[top : top + rows, 0:side].astype(np.float32)
            fields = ((x // 37).astype(np.int64) * 7919 + (y // 23).astype(np.int64) * 104729) % 997
            for band in range(3):
                light = 500 + 100 * band + fields * (1.5 + 0.3 * band) + 200 * np.sin(x / 300) * np.cos(y / 500)
                values = np.clip(light + random.normal(0, 25, light.shape), 1, 10000).astype(np.uint16)
                file.write(values, band + 1, window=Window(0, top, side, rows))
    aside.rename(path)


def serve(path):
    """A server of one file that waits 50 ms before each answer. It says its port, and on /sent how many bytes it sent."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    size, sent = path.stat().st_size, [0, 0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/sent":
                body = f"{sent[0]} {sent[1]}".encode()
                self.send_response(200)
            else:
                time.sleep(0.05)
                first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
                last = min(last, size - 1)
                with open(path, "rb") as file:
                    file.seek(first)
                    body = file.read(last + 1 - first)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
                self.send_header("ETag", '"1"')
                sent[0] += len(body)
                sent[1] += 1
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def over_http(options, path):
    """The same windows from the disk and from a server, in turn."""
    import urllib.request

    server = subprocess.Popen([sys.executable, __file__, options.out, "--serve", path], stdout=subprocess.PIPE, text=True)
    try:
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        times = {"disk": [], "server": []}
        for turn in range(options.turns):
            for name in ("disk", "server")[:: 1 if turn % 2 == 0 else -1]:
                source = path if name == "disk" else f"{address}/{path.name}"
                times[name].append(measured(by_satmip(options, source, options.out / "http.parquet", "onnxruntime")))
        bytes_sent, requests = map(int, urllib.request.urlopen(f"{address}/sent").read().split())
    finally:
        server.kill()
    windows = (options.side // TILE) ** 2
    print("| from | s | windows/s | MB of memory |\n|---|---|---|---|")
    for name, turns in times.items():
        seconds = statistics.median(turn[0] for turn in turns)
        print(f"| {name} | {seconds:.1f} | {windows / seconds:.0f} | {max(turn[1] for turn in turns):.0f} |")
    ratio = bytes_sent / options.turns / path.stat().st_size
    print(f"\n{requests / options.turns:.0f} requests a turn, {ratio:.3f} of the file's bytes")


def over_bands(options, path):
    """An item of three files of JPEG 2000, with one worker and with two."""
    import json

    import rasterio
    import rasterio.shutil

    made(path, 4096)
    assets = {}
    for band, name in enumerate(["red", "green", "blue"], 1):
        target = options.out / f"{name}.jp2"
        assets[name] = {"href": target.name}
        if not target.exists():
            with rasterio.open(path) as file:
                profile = {**file.profile, "driver": "GTiff", "count": 1, "nodata": None}
                with rasterio.MemoryFile() as memory:
                    with memory.open(**profile) as one:
                        one.write(file.read(band), 1)
                    rasterio.shutil.copy(memory.name, target, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES",
                                         BLOCKXSIZE=1024, BLOCKYSIZE=1024)
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "bands", "geometry": None, "links": [], "assets": assets,
            "properties": {"datetime": "2024-05-01T10:00:00Z"}}
    source = options.out / "bands.json"
    source.write_text(json.dumps(item))
    ways = {}
    for workers in (1, 2):
        command = by_satmip(options, source, options.out / "bands.parquet", "onnxruntime")
        command[command.index("--workers") + 1] = workers
        ways[f"{workers} workers"] = [*command, "--images-only"]
    print("| three bands of JPEG 2000 | s | windows/s | MB |\n|---|---|---|---|")
    for name, seconds, memory in in_turn(ways, options.turns):
        print(f"| {name} | {seconds:.1f} | {(4096 // TILE) ** 2 / seconds:.0f} | {memory:.0f} |")


def made(path, side):
    """Makes a scene in a process of its own: what a process needed before it became another one counts as the other's."""
    subprocess.run([sys.executable, __file__, path, "--make", "--side", str(side)], check=True)


def by_satmip(options, path, out, device):
    library = []
    if device == "onnxruntime":
        import glob

        import onnxruntime
        found = glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so*"))
        library = ["--onnxruntime", found[0]]
    return [options.satmip, "embed", path, "-q", "--tile", TILE, "--edge", "drop", "--scale", "0,3000", "-o", out, "--overwrite",
            "-m", options.model, "--workers", options.workers, "--device", device, *library]


def by_python(options, path, out):
    return [sys.executable, __file__, out, "--python", path, "--workers", options.workers, "--model", options.model]


def embed_in_python(scene, graph, out, workers):
    """The careful program."""
    from concurrent.futures import ThreadPoolExecutor
    import threading

    import numpy as np
    import onnxruntime
    import pyarrow
    import pyarrow.parquet
    import rasterio
    from rasterio.windows import Window

    own = threading.local()

    def tools():
        if not hasattr(own, "file"):
            settings = onnxruntime.SessionOptions()
            settings.intra_op_num_threads = settings.inter_op_num_threads = 1
            own.session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
            own.file = rasterio.open(scene)
        return own.file, own.session

    with rasterio.open(scene) as file:
        width, height, block = file.width, file.height, file.block_shapes[0][0]
    across, down = width // TILE, height // TILE
    rows_at_once = max(1, block // TILE)

    def strip(first):
        file, session = tools()
        rows = min(rows_at_once, down - first)
        data = file.read(window=Window(0, first * TILE, across * TILE, rows * TILE))
        there = (data != 0).all(0)
        pixels = np.clip(data * np.float32(255 / 3000) + np.float32(0.5), 0, 255).astype(np.uint8)
        chips = pixels.reshape(3, rows, TILE, across, TILE).transpose(1, 3, 2, 4, 0).reshape(-1, TILE, TILE, 3)
        valid = there.reshape(rows, TILE, across, TILE).mean((1, 3)).ravel()
        vectors = [session.run(["image_embeds"], {"image": chips[at : at + BATCH]})[0] for at in range(0, len(chips), BATCH)]
        names = [f"{column * TILE},{(first + row) * TILE}" for row in range(rows) for column in range(across)]
        return names, valid.astype(np.float32), np.concatenate(vectors)

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(strip, range(0, down, rows_at_once)))
    vectors = np.concatenate([part[2] for part in parts])
    lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1])
    table = pyarrow.table({"id": sum((part[0] for part in parts), []), "valid": np.concatenate([part[1] for part in parts]),
                           "image_embedding": lists})
    pyarrow.parquet.write_table(table, out, compression="zstd")


def measured(command):
    """Seconds, and the most memory in MB."""
    begun = time.perf_counter()
    child = subprocess.Popen(list(map(str, command)))
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def in_turn(ways, turns):
    """Of each command, by its name, the median of seconds and the most memory in MB, over turns that alternate."""
    times = {name: [] for name in ways}
    for turn in range(turns):
        for name in ways if turn % 2 == 0 else reversed(ways):
            times[name].append(measured(ways[name]))
    return [(name, statistics.median(seconds for seconds, _ in found), max(memory for _, memory in found))
            for name, found in times.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--model", default="satmip-lite", help="of the zoo")
    parser.add_argument("--side", type=int, default=10980)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--what", choices=["speed", "memory", "http", "jp2"], default="speed")
    parser.add_argument("--python", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        scene(options.out, options.side)
        return
    if options.serve:
        serve(options.serve)
        return
    if options.python:
        embed_in_python(options.python, f"zoo/{options.model}/image.onnx", options.out, options.workers)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "memory":
        for side in [1000, 5000, 10980, 20000, 40000]:
            path = options.out / f"scene-{side}.tif"
            made(path, side)
            stride = max(TILE, side // 40)
            command = [*by_satmip(options, path, options.out / "memory", "onnxruntime"), "--stride", stride]
            seconds, memory = measured(command)
            print(f"{side} px a side: {memory:.0f} MB, {seconds:.1f} s", flush=True)
        return
    if options.what == "jp2":
        over_bands(options, options.out / "small.tif")
        return
    path = options.out / "scene.tif"
    made(path, options.side)
    if options.what == "http":
        over_http(options, path)
        return
    windows = (options.side // TILE) ** 2
    ways = {
        "satmip, ONNX Runtime": by_satmip(options, path, options.out / "onnxruntime.parquet", "onnxruntime"),
        "satmip, ONNX Runtime, without metadata": [
            *by_satmip(options, path, options.out / "images.parquet", "onnxruntime"), "--images-only"],
        "Python": by_python(options, path, options.out / "python.parquet"),
        "satmip, rten": by_satmip(options, path, options.out / "rten.parquet", "rten"),
    }
    print(f"| {windows} windows, {options.workers} workers | s | windows/s | MB |\n|---|---|---|---|")
    for name, seconds, memory in in_turn(ways, options.turns):
        print(f"| {name} | {seconds:.1f} | {windows / seconds:.0f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
