//! `satmip inspect`.

mod catalogue;
mod onnx;
mod scene;
mod show;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::caption::RecordJson;
use super::output::Output;
use super::reading::ReadArgs;
use super::terminal::Terminal;
use super::zoo::ZooArgs;
use satmip::arch::{ImageTower, MetadataTower};
use satmip::bundle::BundleManifest;
use satmip::image::{self, Picture, Reading, Region};
use satmip::metadata::Metadata;
use satmip::metadata::read::geotiff::GeoTiffOptions;
use satmip::metadata::read::{self, Record, Records};
use satmip::parts::guard::guarded;
use satmip::{Error, ImageFault, Result};
use satmip_archive::EXTENSIONS;

/// Records of a table that are shown to people, where nothing else is said.
const RECORDS: usize = 5;

/// Show what is in a model, an ONNX file, an image or a file of metadata
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Folder of a bundle, name of a model, ONNX file, image, or file of metadata
    #[arg(value_name = "WHAT")]
    what: PathBuf,
    /// Records of a table to show [default: 5, as JSON all]
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Take a TIFF's DateTime for the time of the acquisition: it is that of the file's writing
    #[arg(long)]
    datetime_tag: bool,
    /// Take a TIFF, a STAC item, a catalogue, a table of scenes or an address for scenes, of which the headers alone are
    /// read, and count their windows of so many pixels a side
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    tile: Option<u32>,
    /// Assets of STAC items, as `satmip embed` takes them
    #[arg(long, value_name = "NAMES", requires = "tile", value_delimiter = ',')]
    assets: Vec<String>,
    /// What is added to samples of Sentinel-2 items, as `satmip embed` takes it
    #[arg(long, value_name = "auto|0|-1000", requires = "tile", default_value = "auto", allow_hyphen_values = true,
          value_parser = clap::builder::PossibleValuesParser::new(["auto", "0", "-1000"]))]
    offset: String,
    /// Write a picture as the model would see it, at most 1,024 pixels a side
    #[arg(long, value_name = "FILE.png")]
    preview: Option<PathBuf>,
    /// Replace a preview that exists
    #[arg(long, requires = "preview")]
    overwrite: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    zoo: ZooArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
enum Found<'a> {
    Bundle {
        manifest: &'a BundleManifest,
    },
    Image {
        width: u32,
        height: u32,
        /// The share of all pixels that are there.
        valid: f32,
        /// How its bands and samples become a picture, and why.
        reading: &'a Reading,
        records: Vec<RecordJson<'a>>,
    },
    Onnx(Box<onnx::Onnx>),
    Metadata {
        total: usize,
        unreadable: usize,
        records: Vec<RecordJson<'a>>,
    },
}

pub(super) fn run(args: InspectArgs, terminal: &Terminal) -> Result<Exit> {
    let mut out = Output::open();
    if let Some(tile) = args.tile.filter(|_| catalogue::is_one(&args)) {
        let exit = catalogue::show(&args, tile, &mut out)?;
        out.finish()?;
        return Ok(exit);
    }
    if args.what.to_string_lossy().contains("://") {
        return Err(Error::Argument {
            what: "WHAT",
            reason: "an address is of scenes: say how large their windows are (`--tile 64`)".into(),
        });
    }
    if args.what.is_file() && onnx::is_onnx(&args.what)? {
        onnx::show(&args.what, args.json, &mut out)?;
    } else if args.what.is_file() {
        let unreadable = file(&args, &mut out)?;
        out.finish()?;
        return Ok(Exit::of(unreadable as u64));
    } else if is_path(&args.what) {
        return Err(Error::Input {
            input: args.what.display().to_string(),
            reason: "there is no such file or folder".into(),
            source: None,
        });
    } else {
        let bundle = args
            .zoo
            .open(terminal)
            .open(&args.what.to_string_lossy(), None)?;
        let manifest = bundle.manifest();
        match args.json {
            true => out.json(&Found::Bundle { manifest })?,
            false => out.table(&["bundle", &manifest.id], &bundle_rows(manifest))?,
        }
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Whether what is not there was meant as a file, and not as a model's name.
fn is_path(what: &Path) -> bool {
    const OTHERS: [&str; 9] = [
        "json",
        "geojson",
        "jsonl",
        "ndjson",
        "csv",
        "tsv",
        "parquet",
        "geoparquet",
        "onnx",
    ];
    let ending = what.extension().and_then(|ending| ending.to_str());
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    let known = EXTENSIONS
        .iter()
        .chain(&OTHERS)
        .any(|known| *known == ending);
    known && !what.exists()
}

/// Shows a picture or a file of metadata; how many records could not be read.
fn file(args: &InspectArgs, out: &mut Output) -> Result<usize> {
    let path = &args.what;
    if let Some(preview) = &args.preview {
        scene::preview(args, is_tiff(path) || is_jpeg_2000(path), preview)?;
    }
    if let Some(tile) = args.tile {
        scene::show(args, tile, out)?;
        return Ok(0);
    }
    let picture = match image::read(path, &args.reading.options()?) {
        Ok(picture) => Some(picture),
        Err(Error::Image {
            fault: ImageFault::UnknownFormat,
            ..
        }) if !args.reading.are_given() => None,
        Err(Error::Image {
            fault: ImageFault::UnknownFormat,
            ..
        }) => {
            return Err(Error::Argument {
                what: "--scale, --bands or --min-valid",
                reason: format!("`{}` is no image", path.display()),
            });
        }
        Err(Error::Image {
            fault: ImageFault::Option(reason),
            ..
        }) if args.reading.are_given() => {
            return Err(Error::Argument {
                what: "bands or scale",
                reason: format!("`{}`: {reason}", path.display()),
            });
        }
        Err(error) => {
            // What is known helps to say the rest.
            if is_tiff(path) && !args.json {
                known(args, out)?;
            }
            return Err(error);
        }
    };
    let options = args.geotiff();
    let found = match (read::records_with(path, &options), &picture) {
        (Ok(records), _) => Listed::of(records, args.shown()),
        // Of pictures, GeoTIFFs alone have records; others lack nothing without.
        (Err(error), Some(_)) => {
            if is_tiff(path) {
                tracing::warn!("no metadata: {error}");
            }
            Listed::default()
        }
        (Err(error), None) => return Err(error),
    };
    let shown = &found.shown;
    if args.json {
        let jsons = shown
            .iter()
            .map(|r| RecordJson::of(&r.key, &r.metadata))
            .collect();
        out.json(&match &picture {
            Some(picture) => Found::Image {
                width: picture.image().width(),
                height: picture.image().height(),
                valid: valid(picture),
                reading: picture.reading(),
                records: jsons,
            },
            None => Found::Metadata {
                total: found.total,
                unreadable: found.unreadable,
                records: jsons,
            },
        })?;
        return Ok(found.unreadable);
    }
    if let Some(picture) = &picture {
        let (width, height) = (picture.image().width(), picture.image().height());
        let size = format!("{width} x {height} pixels");
        out.table(&["image", &size], &picture_rows(picture))?;
    } else {
        let name = path.display();
        out.line(&format!(
            "{} of metadata in `{name}`",
            count(found.total, "record")
        ))?;
    }
    if found.unreadable > 0 {
        let unreadable = count(found.unreadable, "record");
        out.line(&format!("{unreadable} could not be read"))?;
    }
    for record in shown {
        out.line("")?;
        out.table(&["key", &record.key], &record_rows(&record.metadata))?;
    }
    if shown.len() < found.total {
        let more = count(found.total - shown.len(), "more record");
        out.line(&format!("\n{more}; `--records` shows them"))?;
    }
    Ok(found.unreadable)
}

/// Shows what a TIFF says of itself, and its metadata, where it cannot be read as a picture.
fn known(args: &InspectArgs, out: &mut Output) -> Result<()> {
    let limits = args.reading.options()?.limits;
    let bytes = std::fs::read(&args.what).map_err(|e| Error::io(&args.what, e))?;
    let Ok(Ok(facts)) = guarded(|| image::tiff_facts(&bytes, &limits)) else {
        return Ok(());
    };
    let rows: Vec<Vec<String>> = facts
        .into_iter()
        .map(|(name, text)| vec![name.to_owned(), text])
        .collect();
    let (head, rest) = (&rows[0], &rows[1..]);
    out.table(&[&head[0], &head[1]], rest)?;
    if let Ok(records) = read::records_with(&args.what, &args.geotiff()) {
        for record in Listed::of(records, args.shown()).shown {
            out.line("")?;
            out.table(&["key", &record.key], &record_rows(&record.metadata))?;
        }
    }
    Ok(())
}

/// The records of a file: how many, and the first of them with what they imply.
#[derive(Default)]
struct Listed {
    total: usize,
    unreadable: usize,
    shown: Vec<Record>,
}

impl Listed {
    fn of(records: Records, most: usize) -> Self {
        /// Bad records that are named.
        const LOUD: usize = 5;
        let mut listed = Listed::default();
        for record in records {
            match record {
                Ok(record) => {
                    listed.total += 1;
                    if listed.shown.len() < most {
                        listed.shown.push(Record {
                            key: record.key,
                            metadata: record.metadata.derive_missing(),
                        });
                    }
                }
                Err(error) => {
                    listed.unreadable += 1;
                    if listed.unreadable <= LOUD {
                        tracing::error!("{error}");
                    }
                }
            }
        }
        listed
    }
}

fn is_tiff(path: &Path) -> bool {
    let start = first_bytes(path);
    matches!(
        start,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]
    )
}

fn is_jpeg_2000(path: &Path) -> bool {
    let start = first_bytes(path);
    start == *b"\0\0\0\x0cjP  " || start.starts_with(b"\xff\x4f\xff\x51")
}

/// The first bytes of a file; zeros of one that has fewer, or cannot be read.
fn first_bytes(path: &Path) -> [u8; 8] {
    let mut start = [0; 8];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.map_or([0; 8], |()| start)
}

fn valid(picture: &Picture) -> f32 {
    let (width, height) = (picture.image().width(), picture.image().height());
    picture.valid_share(Region::whole(width, height))
}

impl InspectArgs {
    fn geotiff(&self) -> GeoTiffOptions {
        GeoTiffOptions {
            date_time: self.datetime_tag,
        }
    }

    /// Records to show.
    fn shown(&self) -> usize {
        self.records.unwrap_or(match self.json {
            true => usize::MAX,
            false => RECORDS,
        })
    }
}

/// How a picture was read, and how much of it is there.
fn picture_rows(picture: &Picture) -> Vec<Vec<String>> {
    let mut rows = reading_rows(picture.reading());
    let share = format!("{:.1} %", 100.0 * valid(picture));
    rows.push(vec!["valid pixels".to_owned(), share]);
    rows
}

fn reading_rows(reading: &Reading) -> Vec<Vec<String>> {
    let [red, green, blue] = reading.rgb;
    let bands = format!("{red}, {green}, {blue} of {}", reading.bands);
    let mut rows = vec![
        ("format", reading.format.to_owned()),
        ("samples", reading.samples.clone()),
        (
            "red, green, blue",
            format!("bands {bands}: {}", reading.rgb_why),
        ),
    ];
    let range = match reading.range {
        None => reading.range_why.clone(),
        Some(_) => format!(
            "{} become 0 to 255: {}",
            reading.ranges(),
            reading.range_why
        ),
    };
    rows.push(("radiometry", range));
    if !reading.nodata.is_empty() {
        let nodata: Vec<String> = reading.nodata.iter().map(f64::to_string).collect();
        rows.push(("nodata", nodata.join(", ")));
    }
    if reading.mask {
        rows.push(("mask", "it says which pixels are there".to_owned()));
    }
    if let Some(alpha) = reading.alpha {
        rows.push(("alpha", alpha.to_owned()));
    }
    if let Some(turned) = &reading.turned {
        rows.push(("turned", turned.clone()));
    }
    rows.into_iter()
        .map(|(name, text)| vec![name.to_owned(), text])
        .collect()
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn record_rows(metadata: &Metadata) -> Vec<Vec<String>> {
    let fields = metadata.fields();
    let row = |field| {
        let mut text: String = metadata.text(field).unwrap_or_default();
        if metadata.derived().contains(field) {
            text.push_str(" (derived)");
        }
        vec![field.to_string(), text]
    };
    fields.iter().map(row).collect()
}

fn bundle_rows(manifest: &BundleManifest) -> Vec<Vec<String>> {
    let arch = &manifest.arch;
    let image = match &arch.image {
        ImageTower::Vit(c) => format!("ViT, width {}, depth {}, patch {}", c.dim, c.depth, c.patch),
        ImageTower::ResNet(c) => format!("ResNet, widths {:?}, depths {:?}", c.widths, c.depths),
        ImageTower::EfficientNetLite(c) => {
            let (widths, depths) = (c.widths(), c.depths());
            format!("EfficientNet-Lite, widths {widths:?}, depths {depths:?}")
        }
    };
    let (metadata, fields) = match &arch.metadata {
        None => ("none".to_owned(), String::new()),
        Some(side) => {
            let tower = match &side.tower {
                MetadataTower::Text(c) => format!(
                    "text, width {}, depth {}, at most {} tokens",
                    c.dim, c.depth, c.context
                ),
                MetadataTower::Tabular(c) => {
                    format!("tabular, width {}, depth {}", c.dim, c.depth)
                }
            };
            (tower, side.fields.to_string())
        }
    };
    let mut rows = vec![
        ("version", manifest.version.clone()),
        ("licence", manifest.licence.clone()),
        ("precision", manifest.precision.clone()),
        (
            "input",
            format!("{0} x {0} pixels", arch.preprocessing.size),
        ),
        ("image tower", image),
        ("metadata tower", metadata),
        ("fields", fields),
        ("common space", format!("{} numbers", arch.embed_dim)),
        ("logit scale", format!("{:.3}", manifest.logit_scale)),
    ];
    for (name, file) in &manifest.files {
        rows.push((name, format!("{} bytes", file.size)));
    }
    rows.into_iter()
        .map(|(name, text)| vec![name.to_owned(), text])
        .collect()
}
