"""Places by PROJ, for the coordinate systems that satmip reads: writes tests/data/crs/places.csv.

    pip install pyproj
    python make_crs.py DEFS

DEFS is `src/defs.rs` of the crate crs-definitions (0.6), whose codes are asked for. For each code: a
point near the centre of its area of use, its coordinates, what PROJ makes of them on WGS84 by the code,
and by the definition of the crate (the two differ where the definition's shift of the datum is another
than the one that PROJ takes there), and the metres on the ground of one unit along x and along y, over
2 km on the ellipsoid. Written are the named codes and every 40th of all the others. PROJ's network and
grids are off.
"""
import csv, os, re, sys, warnings
import pyproj
from pyproj import CRS, Geod, Transformer

warnings.filterwarnings("ignore")
pyproj.network.set_network_enabled(False)
NAMED = [2154, 3035, 27700, 3031, 3857, 5070, 2193, 32631, 32733, 4326, 2263, 3413, 6933, 5041, 3577, 2056, 28992, 31370,
         4322, 4807, 5514, 3395, 3832, 2163, 3411, 25832, 26910, 4269, 4258, 7844, 3976, 3408, 21781, 29903, 2065, 3978, 102100]
definitions = {int(m[1]): m[2] for m in re.finditer(r'^EPSG_(\d+)\|\d+\|"([^"]*)"', open(sys.argv[1]).read(), re.M)}
geod = Geod(ellps="WGS84")
rows = []
for number, code in enumerate(NAMED + sorted(set(definitions) - set(NAMED))):
    named = code in NAMED
    if not named and (number % 40 or "geocent" in definitions[code]):
        continue
    try:
        crs = CRS.from_user_input(f"ESRI:{code}" if code == 102100 else f"EPSG:{code}")
        west, south, east, north = crs.area_of_use.bounds if crs.area_of_use else (-170, -70, 170, 70)
        east += 360 if east < west else 0
        lon, lat = (west + east) / 2 + 0.06 * (east - west), (south + north) / 2 + 0.05 * (north - south)
        to = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        x, y = to.transform(lon - 360 if lon > 180 else lon, lat, direction="INVERSE")
        x, y = float(f"{x:.8g}"), float(f"{y:.8g}")
        lon, lat = to.transform(x, y)
        by_definition, fixed = ("", ""), to
        if "+nadgrids" not in definitions.get(code, "+nadgrids") and "NAD27" not in definitions[code] and not "+pm" in definitions[code]:
            fixed = Transformer.from_crs(CRS.from_proj4(definitions[code]), "EPSG:4326", always_xy=True)
            by_definition = [f"{v:.9f}" if abs(v) < 1e3 else "" for v in fixed.transform(x, y)]
        sizes = ("", "")
        if crs.is_projected:
            step = 1000 / crs.axis_info[0].unit_conversion_factor
            def ground(dx, dy):
                # By the definition where it can be: by the code PROJ may take another shift at the next point.
                a, b = fixed.transform(x - dx * step, y - dy * step), fixed.transform(x + dx * step, y + dy * step)
                return geod.inv(*a, *b)[2] / (2 * step)
            sizes = (repr(ground(1, 0)), repr(ground(0, 1)))
        if all(abs(v) < 1e12 for v in (x, y, lon, lat)):
            rows.append([code, repr(x), repr(y), f"{lon:.9f}", f"{lat:.9f}", *by_definition, *sizes])
    except Exception as error:  # a code that PROJ lacks, or cannot transform
        print(code, error, file=sys.stderr)
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/crs/places.csv")
os.makedirs(os.path.dirname(out), exist_ok=True)
with open(out, "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["code", "x", "y", "lon", "lat", "lon_by_definition", "lat_by_definition", "metres_x", "metres_y"])
    writer.writerows(sorted(rows))
print(len(rows), "places, PROJ", pyproj.proj_version_str)
