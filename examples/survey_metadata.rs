//! Runs the metadata readers over real files and checks what they give against what the files
//! state, looked up here in the plainest way: by JSON pointer, by column, by TIFF tag.
//!
//! ```text
//! cargo run --example survey_metadata --features geotiff -- FOLDER_OR_FILE..
//! ```
//! Tables must be unpacked CSV (`gunzip -k x.csv.gz`). Exit 1 when anything differs.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use satmip::metadata::read::{self, ColumnMap, CsvReader, table};
use satmip::{Field, FieldSet, Metadata};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

/// What a file states of a field.
#[derive(Debug, Clone)]
enum Stated {
    /// Numbers, and how far the reader's may be off.
    Numbers(Vec<f64>, f64),
    Text(String),
}

type Expected = BTreeMap<Field, Stated>;

/// What was seen of one kind of source.
#[derive(Default)]
struct Tally {
    files: usize,
    records: usize,
    fields: [usize; 15],
    values: usize,
    mismatches: Vec<String>,
}

impl Tally {
    fn check(&mut self, name: &str, read: Result<Metadata, satmip::Error>, expected: &Expected) {
        let metadata = match read {
            Ok(metadata) => metadata,
            Err(error) => return self.mismatches.push(format!("{name}: {error}")),
        };
        self.records += 1;
        for (i, field) in FieldSet::ALL.iter().enumerate() {
            let text = metadata.text(field);
            self.fields[i] += usize::from(text.is_some());
            let (same, stated) = match (&text, expected.get(&field)) {
                (None, None) => continue,
                (Some(text), Some(stated)) => (agree(text, stated), Some(stated)),
                (_, stated) => (false, stated),
            };
            self.values += 1;
            if !same {
                let line = format!("{name}: {field}: read {text:?}, stated {stated:?}");
                self.mismatches.push(line);
            }
        }
    }
}

fn agree(text: &str, stated: &Stated) -> bool {
    match stated {
        Stated::Text(stated) => text == stated,
        Stated::Numbers(stated, off) => {
            let numbers: Vec<f64> = text.split(',').filter_map(|n| n.parse().ok()).collect();
            // One number stands for two that are equal.
            let numbers = match (numbers.as_slice(), stated.len()) {
                ([both], 2) => vec![*both; 2],
                _ => numbers,
            };
            numbers.len() == stated.len()
                && numbers
                    .iter()
                    .zip(stated)
                    .all(|(a, b)| (a - b).abs() <= *off)
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if arguments.is_empty() {
        eprintln!("usage: survey_metadata FOLDER_OR_FILE..");
        return ExitCode::from(2);
    }
    match survey(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("survey_metadata: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Number of mismatches.
fn survey(arguments: &[PathBuf]) -> Result<usize, Failure> {
    let mut files = Vec::new();
    for path in arguments {
        list(path, &mut files)?;
    }
    files.sort();
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut unread: BTreeMap<String, usize> = BTreeMap::new();
    for path in &files {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let known = match extension.as_str() {
            "json" | "geojson" => json(path, &mut tallies)?,
            "tif" | "tiff" => geotiff(path, &mut tallies)?,
            "csv" => csv(path, &mut tallies)?,
            _ => false,
        };
        if !known {
            *unread.entry(extension).or_default() += 1;
        }
    }
    Ok(report(&tallies, &unread))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        list(&entry?.path(), files)?;
    }
    Ok(())
}

fn report(tallies: &BTreeMap<&'static str, Tally>, unread: &BTreeMap<String, usize>) -> usize {
    println!(
        "{:<24}{:>9}{:>9}{:>9}{:>11}",
        "source", "files", "records", "values", "mismatches"
    );
    for (kind, tally) in tallies {
        let (files, records, values) = (tally.files, tally.records, tally.values);
        println!(
            "{kind:<24}{files:>9}{records:>9}{values:>9}{:>11}",
            tally.mismatches.len()
        );
    }
    println!("\nrecords that state a field");
    print!("{:<24}", "field");
    tallies
        .keys()
        .for_each(|kind| print!("{:>18}", kind.split(' ').next().unwrap_or(kind)));
    println!();
    for (i, field) in FieldSet::ALL.iter().enumerate() {
        print!("{field:<24}");
        tallies
            .values()
            .for_each(|tally| print!("{:>18}", tally.fields[i]));
        println!();
    }
    let unread: Vec<String> = unread.iter().map(|(e, n)| format!("{n} .{e}")).collect();
    println!("\nof other kinds, not read: {}", unread.join(", "));
    let mismatches: Vec<&String> = tallies.values().flat_map(|t| &t.mismatches).collect();
    for line in mismatches.iter().take(50) {
        println!("MISMATCH {line}");
    }
    println!("{} mismatches", mismatches.len());
    mismatches.len()
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

// JSON: fMoW and STAC

fn json(path: &Path, tallies: &mut BTreeMap<&'static str, Tally>) -> Result<bool, Failure> {
    let document: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    if document.get("img_filename").is_some() {
        let tally = tallies.entry("fMoW record").or_default();
        tally.files += 1;
        tally.check(
            &name(path),
            Metadata::from_fmow(&document),
            &fmow(&document)?,
        );
        return Ok(true);
    }
    let items = match document.get("features").and_then(Value::as_array) {
        Some(items) => items.clone(),
        None => vec![document],
    };
    if items.iter().any(|item| item.get("stac_version").is_none()) {
        return Ok(false);
    }
    let tally = tallies.entry("STAC item").or_default();
    tally.files += 1;
    for item in &items {
        let id = item["id"].as_str().unwrap_or_default();
        tally.check(
            &format!("{} {id}", name(path)),
            Metadata::from_stac(item),
            &stac(item),
        );
    }
    let through_file = read::from_file(path)?;
    if through_file.len() != items.len() {
        let line = format!(
            "{}: from_file gives {} records",
            name(path),
            through_file.len()
        );
        tally.mismatches.push(line);
    }
    Ok(true)
}

fn fmow(record: &Value) -> Result<Expected, Failure> {
    let number = |key: &str| record[key].as_f64().ok_or(format!("no {key}"));
    let text = |key: &str| {
        record[key]
            .as_str()
            .map(str::to_owned)
            .ok_or(format!("no {key}"))
    };
    let coordinates: Vec<f64> = serde_json::from_str(&text("coordinates")?)?;
    let wavelengths: Vec<f64> = serde_json::from_value(record["approximate_wavelengths"].clone())?;
    let gsd = number("gsd")?;
    let pixel = vec![number("mean_pixel_width")?, number("mean_pixel_height")?];
    let one = |key: &str| Ok::<_, Failure>(Stated::Numbers(vec![number(key)?], 0.0));
    Ok(BTreeMap::from([
        (Field::Gsd, Stated::Numbers(vec![gsd, gsd], 0.0)),
        (Field::MultispectralGsd, one("multi_resolution_dbl")?),
        (Field::PixelSize, Stated::Numbers(pixel, 0.0)),
        (Field::Timestamp, Stated::Text(text("timestamp")?)),
        (Field::Location, Stated::Numbers(coordinates, 1e-9)),
        (Field::UtmZone, Stated::Text(text("utm")?)),
        (Field::CountryCode, Stated::Text(text("country_code")?)),
        (Field::CloudCover, one("cloud_cover")?),
        (Field::ScanDirection, Stated::Text(text("scan_direction")?)),
        (Field::Wavelengths, Stated::Numbers(wavelengths, 0.0)),
        (Field::TargetAzimuthAngle, one("target_azimuth_dbl")?),
        (Field::SunAzimuthAngle, one("sun_azimuth_dbl")?),
        (Field::SunElevationAngle, one("sun_elevation_dbl")?),
        (Field::OffNadirAngle, one("off_nadir_angle_dbl")?),
        (
            Field::SensorPlatform,
            Stated::Text(text("sensor_platform_name")?),
        ),
    ]))
}

/// What an item states at the places that the producers of these files use.
fn stac(item: &Value) -> Expected {
    let at = |pointers: &[&str]| {
        pointers
            .iter()
            .find_map(|pointer| item.pointer(pointer).and_then(Value::as_f64))
    };
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
    let mut expected = Expected::new();
    let mut numbers = |field, values: Option<Vec<f64>>, off| {
        if let Some(values) = values {
            expected.insert(field, Stated::Numbers(values, off));
        }
    };
    let one = |value: Option<f64>| value.map(|v| vec![v]);
    let gsd = at(&[
        "/assets/red/gsd",
        "/assets/B04/gsd",
        "/assets/red/eo:bands/0/gsd",
        "/properties/eo:bands/3/gsd",
        "/properties/gsd",
        "/assets/VNIR/raster:bands/0/spatial_resolution",
    ]);
    let projected =
        text("/stac_version") == Some("1.0.0") && item.pointer("/assets/asset").is_some();
    let gsd = gsd.or_else(|| at(&["/properties/proj:transform/0"]).filter(|_| projected));
    let gsd = gsd.or_else(|| at(&["/properties/sar:pixel_spacing_azimuth"]));
    // VNIR of ASTER and the file of NAIP state both axes alike.
    numbers(Field::Gsd, gsd.map(|g| vec![g, g]), 0.0);
    numbers(
        Field::CloudCover,
        one(at(&["/properties/eo:cloud_cover"])),
        0.0,
    );
    numbers(
        Field::TargetAzimuthAngle,
        one(at(&["/properties/view:azimuth"])),
        0.0,
    );
    let off_nadir = at(&["/properties/view:off_nadir", "/properties/eo:off_nadir"]);
    numbers(Field::OffNadirAngle, one(off_nadir.map(f64::abs)), 0.0);
    let azimuth = at(&[
        "/properties/view:sun_azimuth",
        "/properties/s2:mean_solar_azimuth",
        "/properties/eo:sun_azimuth",
    ]);
    numbers(Field::SunAzimuthAngle, one(azimuth), 0.0);
    let zenith = at(&["/properties/s2:mean_solar_zenith"]);
    let elevation = at(&[
        "/properties/view:sun_elevation",
        "/properties/eo:sun_elevation",
    ]);
    let elevation = elevation.or(zenith.map(|z| 90.0 - z));
    numbers(Field::SunElevationAngle, one(elevation), 0.0);
    let centre = at(&["/bbox/0"])
        .zip(at(&["/bbox/1"]))
        .zip(at(&["/bbox/2"]).zip(at(&["/bbox/3"])));
    let centre = centre.map(|((west, south), (east, north))| {
        let east = if east < west { east + 360.0 } else { east };
        [(west + east) / 2.0, (south + north) / 2.0]
    });
    numbers(Field::Location, centre.map(Vec::from), 1e-9);
    let wavelength = |asset: &str, number: &str, listed: usize| {
        let micrometres = at(&[
            &format!("/assets/{asset}/eo:bands/0/center_wavelength"),
            &format!("/assets/{number}/eo:bands/0/center_wavelength"),
            // The four items of version 0.7 list red, green and blue as their bands 4, 3 and 2.
            &format!("/properties/eo:bands/{listed}/center_wavelength"),
        ]);
        micrometres.map(|micrometres| micrometres * 1000.0)
    };
    let red = wavelength("red", "B04", 3);
    let (green, blue) = (wavelength("green", "B03", 2), wavelength("blue", "B02", 1));
    let rgb = red.zip(green).zip(blue).map(|((r, g), b)| vec![r, g, b]);
    numbers(Field::Wavelengths, rgb, 1e-3);
    if let Some(time) = text("/properties/datetime") {
        expected.insert(Field::Timestamp, Stated::Text(time.to_owned()));
    }
    // Tiles of Sentinel-2 name their zone and band, others the zone alone.
    let tile = text("/properties/s2:mgrs_tile").or(text("/properties/grid:code"));
    let tile = tile.map(|tile| {
        tile.trim_start_matches("MGRS-")[..3]
            .trim_start_matches('0')
            .to_owned()
    });
    let code = at(&["/properties/proj:epsg"]).zip(centre);
    if let Some(zone) = tile.or(code.and_then(|(code, [_, lat])| zone_of(code as u32, lat))) {
        expected.insert(Field::UtmZone, Stated::Text(zone));
    }
    if let Some(platform) = text("/properties/platform").or(text("/properties/eo:platform")) {
        let platform = platform.to_uppercase().replace('_', "-");
        let planetscope = text("/properties/constellation") == Some("planetscope");
        let prefix = if planetscope { "PLANETSCOPE-" } else { "" };
        expected.insert(
            Field::SensorPlatform,
            Stated::Text(format!("{prefix}{platform}")),
        );
    }
    expected
}

/// The UTM zone of an EPSG code of WGS84 or NAD83, with its band.
fn zone_of(code: u32, latitude: f64) -> Option<String> {
    let number = match code {
        32601..=32660 | 32701..=32760 | 26901..=26923 => code % 100,
        _ => return None,
    };
    let band = b"CDEFGHJKLMNPQRSTUVWX"[((latitude + 80.0) / 8.0).floor().min(19.0) as usize];
    Some(format!("{number}{}", char::from(band)))
}

// GeoTIFF

fn geotiff(path: &Path, tallies: &mut BTreeMap<&'static str, Tally>) -> Result<bool, Failure> {
    let bytes = std::fs::read(path)?;
    let tags = tags(&bytes).ok_or(format!("{}: no TIFF", path.display()))?;
    let tally = tallies.entry("GeoTIFF").or_default();
    tally.files += 1;
    let scale = &tags.doubles[&33550];
    let tie = &tags.doubles[&33922];
    let keys = &tags.shorts[&34735];
    let key = |id: u16| {
        keys[4..]
            .chunks(4)
            .find(|entry| entry[0] == id)
            .map(|entry| entry[3])
    };
    // Where a tiepoint is the centre of a pixel, the picture's centre lies half a pixel back.
    let point = if key(1025) == Some(2) { 0.5 } else { 0.0 };
    let (width, height) = (
        f64::from(tags.shorts[&256][0]),
        f64::from(tags.shorts[&257][0]),
    );
    let x = tie[3] + (width / 2.0 - point - tie[0]) * scale[0];
    let y = tie[4] - (height / 2.0 - point - tie[1]) * scale[1];
    let code = u32::from(key(3072).ok_or("no ProjectedCSType")?);
    let (lon, lat) = inverse_utm(f64::from(code % 100), x, y);
    let mut expected = Expected::from([
        (Field::Gsd, Stated::Numbers(vec![scale[0], scale[1]], 0.0)),
        (Field::Location, Stated::Numbers(vec![lon, lat], 1e-8)),
        (
            Field::UtmZone,
            Stated::Text(zone_of(code, lat).ok_or("no UTM")?),
        ),
    ]);
    if let Some(time) = tags.date_time {
        let (date, clock) = time.split_once(' ').ok_or("DateTime has no time")?;
        let date = date.replace(':', "-");
        expected.insert(Field::Timestamp, Stated::Text(format!("{date}T{clock}Z")));
    }
    // The time of the file, which is compared here as any other tag.
    let options = read::geotiff::GeoTiffOptions { date_time: true };
    let found = read::geotiff::read(path, &options);
    tally.check(&name(path), found, &expected);
    Ok(true)
}

#[derive(Default)]
struct Tags {
    doubles: HashMap<u16, Vec<f64>>,
    shorts: HashMap<u16, Vec<u16>>,
    date_time: Option<String>,
}

/// The tags of the first directory of a little-endian classic TIFF.
fn tags(bytes: &[u8]) -> Option<Tags> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at =
        |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let mut tags = Tags::default();
    let directory = (bytes.get(..4)? == b"II*\0").then(|| u32_at(4)).flatten()?;
    for i in 0..usize::from(u16_at(directory)?) {
        let entry = directory + 2 + i * 12;
        let (tag, kind, count) = (u16_at(entry)?, u16_at(entry + 2)?, u32_at(entry + 4)?);
        let size = count * [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8].get(usize::from(kind))?;
        let start = if size <= 4 {
            entry + 8
        } else {
            u32_at(entry + 8)?
        };
        let value = bytes.get(start..start + size)?;
        match kind {
            2 if tag == 306 => {
                let text = String::from_utf8_lossy(value);
                tags.date_time = Some(text.trim_end_matches('\0').to_owned());
            }
            3 => {
                let shorts = value.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
                tags.shorts.insert(tag, shorts.collect());
            }
            12 => {
                let doubles = value
                    .chunks(8)
                    .filter_map(|b| Some(f64::from_le_bytes(b.try_into().ok()?)));
                tags.doubles.insert(tag, doubles.collect());
            }
            _ => {}
        }
    }
    Some(tags)
}

/// Longitude and latitude of northern UTM coordinates on WGS84 by Snyder's series (Map
/// Projections, USGS Professional Paper 1395, formulas 8-17 to 8-25).
fn inverse_utm(zone: f64, x: f64, y: f64) -> (f64, f64) {
    let (a, e2, k0) = (6_378_137.0, 0.006_694_379_990_141_316_f64, 0.9996);
    let ep2 = e2 / (1.0 - e2);
    let mu = y / k0 / (a * (1.0 - e2 / 4.0 - 3.0 * e2 * e2 / 64.0 - 5.0 * e2.powi(3) / 256.0));
    let e1 = (1.0 - (1.0 - e2).sqrt()) / (1.0 + (1.0 - e2).sqrt());
    let phi = mu
        + (1.5 * e1 - 27.0 / 32.0 * e1.powi(3)) * (2.0 * mu).sin()
        + (21.0 / 16.0 * e1 * e1 - 55.0 / 32.0 * e1.powi(4)) * (4.0 * mu).sin()
        + 151.0 / 96.0 * e1.powi(3) * (6.0 * mu).sin()
        + 1097.0 / 512.0 * e1.powi(4) * (8.0 * mu).sin();
    let (sin, cos, tan) = (phi.sin(), phi.cos(), phi.tan());
    let (c, t) = (ep2 * cos * cos, tan * tan);
    let n = a / (1.0 - e2 * sin * sin).sqrt();
    let r = a * (1.0 - e2) / (1.0 - e2 * sin * sin).powf(1.5);
    let d = (x - 500_000.0) / (n * k0);
    let lat = phi
        - n * tan / r
            * (d.powi(2) / 2.0
                - (5.0 + 3.0 * t + 10.0 * c - 4.0 * c * c - 9.0 * ep2) * d.powi(4) / 24.0
                + (61.0 + 90.0 * t + 298.0 * c + 45.0 * t * t - 252.0 * ep2 - 3.0 * c * c)
                    * d.powi(6)
                    / 720.0);
    let lon = (d - (1.0 + 2.0 * t + c) * d.powi(3) / 6.0
        + (5.0 - 2.0 * c + 28.0 * t - 3.0 * c * c + 8.0 * ep2 + 24.0 * t * t) * d.powi(5) / 120.0)
        / cos;
    (zone * 6.0 - 183.0 + lon.to_degrees(), lat.to_degrees())
}

// CSV: Maxar's catalogue, and tables with a column `file`

fn csv(path: &Path, tallies: &mut BTreeMap<&'static str, Tally>) -> Result<bool, Failure> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let maxar = header.contains(&"catalog_id");
    let chips = header.contains(&"file") && header.contains(&"lon");
    let (kind, map) = match (maxar, chips) {
        (true, _) => ("Maxar row", ColumnMap::maxar()),
        (false, true) => ("chip row", ColumnMap::default()),
        (false, false) => return Ok(false),
    };
    let tally = tallies.entry(kind).or_default();
    tally.files += 1;
    let mut rows = CsvReader::open(path, &map)?;
    for line in lines {
        let cells: HashMap<&str, &str> = header.iter().copied().zip(line.split(',')).collect();
        let (key, expected) = match maxar {
            true => (
                format!("{}/{}", cells["catalog_id"], cells["quadkey"]),
                maxar_row(&cells)?,
            ),
            false => (cells["file"].to_owned(), chip_row(&cells)?),
        };
        let Some(row) = rows.next() else {
            tally
                .mismatches
                .push(format!("{}: no row for {key}", name(path)));
            continue;
        };
        if row.as_ref().is_ok_and(|row| row.key != key) {
            tally
                .mismatches
                .push(format!("{}: another key than {key}", name(path)));
        }
        tally.check(&key, row.map(|row| row.metadata), &expected);
    }
    if rows.next().is_some() {
        tally
            .mismatches
            .push(format!("{}: more rows than lines", name(path)));
    }
    let table = table::MetadataTable::open(path, &map, read::BadRows::Refuse)?;
    println!("{}: {} rows by key", name(path), table.len());
    Ok(true)
}

fn maxar_row(cells: &HashMap<&str, &str>) -> Result<Expected, Failure> {
    let number = |column: &str| cells[column].parse::<f64>();
    let one = |column: &str| Ok::<_, Failure>(Stated::Numbers(vec![number(column)?], 0.0));
    let lat = number("lat")?;
    let zone = zone_of(number("proj:epsg")? as u32, lat).ok_or("no UTM")?;
    let platform = match cells["platform"] {
        "WV01" => "WORLDVIEW01",
        "WV02" => "WORLDVIEW02",
        "WV03" => "WORLDVIEW03",
        "WV04" => "WORLDVIEW04",
        "GE01" => "GEOEYE01",
        other => other,
    };
    let time = cells["datetime"].replace(' ', "T").replace("+00:00", "Z");
    let (gsd, cloud) = (number("gsd")?, number("tile:clouds_percent")?.min(100.0));
    Ok(BTreeMap::from([
        (Field::Gsd, Stated::Numbers(vec![gsd, gsd], 0.0)),
        (Field::Timestamp, Stated::Text(time)),
        (
            Field::Location,
            Stated::Numbers(vec![number("lon")?, lat], 0.0),
        ),
        (Field::UtmZone, Stated::Text(zone)),
        (Field::CloudCover, Stated::Numbers(vec![cloud], 0.0)),
        (Field::TargetAzimuthAngle, one("view:azimuth")?),
        (Field::SunAzimuthAngle, one("view:sun_azimuth")?),
        (Field::SunElevationAngle, one("view:sun_elevation")?),
        (Field::OffNadirAngle, one("view:off_nadir")?),
        (Field::SensorPlatform, Stated::Text(platform.to_owned())),
    ]))
}

fn chip_row(cells: &HashMap<&str, &str>) -> Result<Expected, Failure> {
    let mut expected = Expected::new();
    let known = |column: &str| cells.get(column).copied().filter(|cell| !cell.is_empty());
    if let (Some(lon), Some(lat)) = (known("lon"), known("lat")) {
        let location = vec![lon.parse()?, lat.parse()?];
        expected.insert(Field::Location, Stated::Numbers(location, 0.0));
    }
    if let Some(percent) = known("cloud_cover") {
        let percent = Stated::Numbers(vec![percent.parse()?], 0.0);
        expected.insert(Field::CloudCover, percent);
    }
    if let Some(gsd) = known("gsd") {
        let gsd = gsd.parse()?;
        expected.insert(Field::Gsd, Stated::Numbers(vec![gsd, gsd], 0.0));
    }
    for (field, column) in [
        (Field::Timestamp, "timestamp"),
        (Field::SensorPlatform, "sensor_platform"),
    ] {
        if let Some(text) = known(column) {
            expected.insert(field, Stated::Text(text.to_owned()));
        }
    }
    Ok(expected)
}
