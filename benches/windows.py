"""The reader of scenes alone beside rasterio, in turn: windows a second on one thread and on two.

    cargo bench -p satmip --bench windows --features geotiff,jpeg2000 --no-run    # names the binary
    python benches/windows.py SCENE BINARY [TILE] [TURNS]

rasterio reads whole rows of tiles once, as satmip does, scales them to bytes and cuts windows; each thread has the file open
by itself. SCENE has bands of uint16 (benches/scenes.py makes one); where it ends in `.jp2` and is not there, it is made of the
`.tif` beside it: JPEG 2000 without loss in tiles of 1,024 pixels, as ESA's archive of Sentinel-2 has them.
"""

import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window


def by_rasterio(path, tile, threads):
    """Windows a second."""
    begun = time.perf_counter()
    with rasterio.open(path) as file:
        width, height, block = file.width, file.height, file.block_shapes[0][0]
    across, down, at_once = width // tile, height // tile, max(1, block // tile)
    strips = iter(range(0, down, at_once))
    lock = threading.Lock()

    def work():
        with rasterio.open(path) as file:
            while True:
                with lock:
                    first = next(strips, None)
                if first is None:
                    return
                rows = min(at_once, down - first)
                data = file.read(window=Window(0, first * tile, across * tile, rows * tile))
                pixels = np.clip(data * np.float32(255 / 3000) + np.float32(0.5), 0, 255).astype(np.uint8)
                chips = pixels.reshape(3, rows, tile, across, tile).transpose(1, 3, 2, 4, 0)
                np.ascontiguousarray(chips)

    pool = [threading.Thread(target=work) for _ in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    return across * down / (time.perf_counter() - begun)


def by_satmip(binary, path, tile, threads):
    run = subprocess.run([binary, path, str(tile), str(threads), "0,3000"], stdout=subprocess.PIPE, check=True, text=True)
    return float(run.stdout)


def main(path, binary, tile="64", turns="3"):
    tile = int(tile)
    if path.endswith(".jp2") and not Path(path).exists():
        rasterio.shutil.copy(Path(path).with_suffix(".tif"), path, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES",
                             BLOCKXSIZE=1024, BLOCKYSIZE=1024)
        # Nodata beside the file, which satmip refuses and this does not ask for.
        Path(f"{path}.aux.xml").unlink(missing_ok=True)
    print("| threads | satmip | rasterio | ratio |\n|---|---|---|---|")
    for threads in (1, 2):
        ours, theirs = [], []
        for _ in range(int(turns)):
            ours.append(by_satmip(binary, path, tile, threads))
            theirs.append(by_rasterio(path, tile, threads))
        own, other = statistics.median(ours), statistics.median(theirs)
        print(f"| {threads} | {own:.0f} | {other:.0f} | {own / other:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
