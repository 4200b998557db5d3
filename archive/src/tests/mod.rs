//! The job with a model whose vectors can be worked out by hand: the mean colour.

mod items;
mod plans;
#[cfg(feature = "remote")]
mod remote;
mod scenes;
#[cfg(feature = "remote")]
#[path = "../../../tests/zoo/server.rs"]
#[allow(unreachable_pub)]
mod server;

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView4, Axis};

use super::job::{Facts, run_with};
use super::join::Table;
use super::ledger::{Ledger, ModelRecord};
use super::worker::{Model, Vectors};
use super::*;
use satmip::arch::{Fit, ImageTower, MetadataSide, MetadataTower, Pool, Preprocessing, Projector};
use satmip::arch::{ResizeFilter, TextConfig, VitConfig};
use satmip::metadata::{FieldSet, Metadata};
use satmip::{Error, Result};

struct MeanColour {
    arch: Arch,
}

impl Model for MeanColour {
    fn preprocessing(&self) -> &Preprocessing {
        &self.arch.preprocessing
    }

    fn images(&self, pictures: ArrayView4<'_, u8>) -> Result<Vectors> {
        let mut embeds = Array2::zeros((pictures.len_of(Axis(0)), 3));
        for (picture, mut row) in pictures.outer_iter().zip(embeds.outer_iter_mut()) {
            for pixel in picture.rows() {
                row.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, v)| *sum += f32::from(*v));
            }
            // White is a colour that this model cannot take.
            if row.iter().all(|v| *v == 4.0 * 4.0 * 255.0) {
                return Err(Error::Engine {
                    engine: "none",
                    graph: "mean".into(),
                    reason: "white".into(),
                });
            }
        }
        let features = embeds.mapv(|v| v / 16.0);
        Ok(Vectors { features, embeds })
    }

    fn fields(&self) -> FieldSet {
        FieldSet::GSD
    }

    fn metadata(&self, records: &[Metadata]) -> Result<Vectors> {
        let mut embeds = Array2::zeros((records.len(), 3));
        for (record, mut row) in records.iter().zip(embeds.outer_iter_mut()) {
            let Some(gsd) = record.gsd().filter(|gsd| gsd.x < 9000.0) else {
                return Err(Error::CaptionTooLong {
                    tokens: 100,
                    limit: 10,
                });
            };
            row.fill(gsd.x as f32);
        }
        let features = embeds.clone();
        Ok(Vectors { features, embeds })
    }
}

fn model() -> (MeanColour, Facts) {
    let arch = Arch {
        preprocessing: Preprocessing {
            size: 4,
            fit: Fit::Crop,
            filter: ResizeFilter::Bilinear,
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        image: ImageTower::Vit(VitConfig {
            patch: 4,
            dim: 3,
            depth: 1,
            heads: 1,
            mlp_ratio: 4,
            pool: Pool::Cls,
            norm_eps: 1e-6,
        }),
        image_projector: Projector::Linear,
        metadata: Some(MetadataSide {
            fields: FieldSet::GSD,
            tower: MetadataTower::Text(TextConfig {
                vocabulary: 10,
                context: 10,
                end_token: 2,
                dim: 3,
                depth: 1,
                heads: 1,
                norm_eps: 1e-6,
            }),
            projector: Projector::Linear,
        }),
        embed_dim: 3,
    };
    let facts = Facts {
        record: ModelRecord {
            id: "mean-colour".into(),
            version: "1".into(),
            precision: "f32".into(),
            bundle_sha256: "00".into(),
        },
        engine: "none".into(),
        batch_size: 1000,
        arch: arch.clone(),
    };
    (MeanColour { arch }, facts)
}

fn chip(path: &Path, rgb: [u8; 3]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = ::image::RgbImage::from_pixel(4, 4, ::image::Rgb(rgb));
    picture
        .save_with_format(path, ::image::ImageFormat::Png)
        .unwrap();
}

/// 23 pictures, of which every seventh is damaged.
fn archive(dir: &Path) -> PathBuf {
    let folder = dir.join("in");
    for i in 0..23_u8 {
        let path = folder.join(format!("{}/c{i:02}.png", i % 3));
        chip(&path, [i, 2 * i, 100]);
        if i % 7 == 3 {
            std::fs::write(&path, b"no picture").unwrap();
        }
    }
    folder
}

fn embed(config: &JobConfig) -> Result<JobReport> {
    let (model, facts) = model();
    run_with(config, &model, &facts, &mut |_| ControlFlow::Continue(()))
}

fn config(input: &Path, out: &Path) -> JobConfig {
    let mut config = JobConfig::new([input], Destination::Folder(out.to_owned()));
    config.format = Format::Jsonl;
    config.batch_size = 2;
    config.rows_per_part = 5;
    config.workers = 3;
    config
}

/// Names and contents of everything in a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap();
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, std::fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn rows_come_in_order_and_bad_items_go_aside() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let report = embed(&config(&archive(dir.path()), &out)).unwrap();
    assert_eq!((report.items, report.rows, report.skipped), (23, 20, 3));
    let files = contents(&out);
    // 5 rows are rounded up to 3 batches of 2 items.
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let parts = [
        "part-00000.jsonl",
        "part-00001.jsonl",
        "part-00002.jsonl",
        "part-00003.jsonl",
    ];
    assert_eq!(
        names,
        [&["errors.jsonl", "job.json", "ledger.jsonl"][..], &parts].concat()
    );
    let text: String = parts
        .iter()
        .map(|p| String::from_utf8_lossy(&files[*p]))
        .collect();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.len() == 20);
    assert_eq!(rows[1]["id"], "0/c06.png");
    assert_eq!(
        rows[1]["image_embedding"],
        serde_json::json!([96.0, 192.0, 1600.0])
    );
    let errors = String::from_utf8_lossy(&files["errors.jsonl"]).into_owned();
    let first: Skipped = serde_json::from_str(errors.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first.id.as_str(), first.kind),
        ("0/c03.png", SkipKind::UnknownFormat)
    );
}

#[test]
fn any_number_of_workers_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let mut outputs = Vec::new();
    for workers in [1, 2, 8] {
        let out = dir.path().join(format!("out{workers}"));
        let mut config = config(&input, &out);
        config.workers = workers;
        embed(&config).unwrap();
        outputs.push(contents(&out));
    }
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
}

/// Names in a folder that are temporary.
fn temporary(folder: &Path) -> Vec<String> {
    let names = contents(folder).into_keys();
    names.filter(|name| name.contains(".tmp")).collect()
}

/// Breaks the job off after each batch in turn, and runs it again.
#[test]
fn a_job_broken_off_anywhere_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let whole = dir.path().join("whole");
    embed(&config(&input, &whole)).unwrap();
    let whole = contents(&whole);
    let (model, facts) = model();
    for stop in 1..=12 {
        let out = dir.path().join(format!("stop{stop}"));
        let (mut batches, mut items) = (0, 0);
        let result = run_with(&config(&input, &out), &model, &facts, &mut |progress| {
            batches += 1;
            items = progress.items;
            match batches == stop {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(
            matches!(result, Err(Error::Interrupted)),
            "{stop}: {result:?}"
        );
        assert!(temporary(&out).is_empty());
        // What a kill leaves behind besides: a part begun, one that is not in the ledger yet, errors.
        let parts = Ledger::open(&out).unwrap().parts.len();
        assert_eq!(parts, usize::try_from(items).unwrap() / 6);
        std::fs::write(out.join("part-00009.jsonl.tmp"), b"begun").unwrap();
        std::fs::write(out.join("part-00009.jsonl.tmp-1-2"), b"begun").unwrap();
        let named = out.join(format!("part-{parts:05}.jsonl"));
        std::fs::write(named, b"named, not entered").unwrap();
        let mut errors = File::options()
            .append(true)
            .open(out.join("errors.jsonl"))
            .unwrap();
        std::io::Write::write_all(&mut errors, b"{\"id\":\"twice").unwrap();
        let report = embed(&config(&input, &out)).unwrap();
        // All that was written counts.
        assert!(items >= (stop * 2).min(23));
        assert_eq!(report.resumed, items, "{stop}");
        assert_eq!((report.items, report.rows, report.skipped), (23, 20, 3));
        assert_eq!(contents(&out), whole, "{stop}");
        // Done is done: nothing is written again.
        let report = embed(&config(&input, &out)).unwrap();
        assert_eq!((report.resumed, report.rows, report.skipped), (23, 20, 3));
        assert_eq!(contents(&out), whole, "{stop}");
    }
}

/// Stops the job from outside after every batch until it is done.
#[test]
fn a_job_stopped_again_and_again_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let (model, facts) = model();
    for format in [Format::Parquet, Format::Npy, Format::Jsonl] {
        let with = |out: &str| {
            let mut config = config(&input, &dir.path().join(format!("{out}-{format}")));
            config.format = format;
            config.features = Features::Both;
            // So that few batches are under way when it is stopped.
            config.workers = 1;
            config
        };
        let whole = with("whole");
        embed(&whole).unwrap();
        let folder = |config: &JobConfig| match &config.destination {
            Destination::Folder(path) => path.clone(),
            other => panic!("{other:?}"),
        };
        let mut stops = 0;
        loop {
            let config = with("stopped");
            let stop = Arc::clone(&config.stop);
            let result = run_with(&config, &model, &facts, &mut |_| {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                ControlFlow::Continue(())
            });
            match result {
                Err(Error::Interrupted) => stops += 1,
                Ok(report) => {
                    assert_eq!((report.items, report.rows, report.skipped), (23, 20, 3));
                    break;
                }
                Err(error) => panic!("{error}"),
            }
            assert!(temporary(&folder(&config)).is_empty());
        }
        assert!(stops > 1, "{format}: {stops}");
        let (stopped, whole) = (folder(&with("stopped")), folder(&whole));
        assert_eq!(contents(&stopped), contents(&whole), "{format}");
    }
}

#[test]
fn rows_that_were_kept_and_are_damaged_are_embedded_again() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let config = |out: &str| {
        let mut config = config(&input, &dir.path().join(out));
        config.workers = 1;
        config.rows_per_part = 20;
        config
    };
    embed(&config("whole")).unwrap();
    let whole = dir.path().join("whole");
    let (model, facts) = model();
    for (name, spoil) in [("flipped", true), ("lost", false)] {
        let out = dir.path().join(name);
        let mut batches = 0;
        let result = run_with(&config(name), &model, &facts, &mut |_| {
            batches += 1;
            match batches == 2 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        let kept = out.join("part-00000.partial");
        let mut bytes = std::fs::read(&kept).unwrap();
        if spoil {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&kept, bytes).unwrap();
        } else {
            std::fs::remove_file(&kept).unwrap();
        }
        let report = embed(&config(name)).unwrap();
        assert_eq!(report.resumed, 0, "{name}");
        assert_eq!(contents(&out), contents(&whole), "{name}");
    }
}

#[test]
fn one_file_that_is_stopped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let (model, facts) = model();
    for name in ["out.parquet", "out.npy", "out.jsonl"] {
        let folder = dir.path().join(name.replace('.', "-"));
        std::fs::create_dir(&folder).unwrap();
        let mut config = JobConfig::new([&input], Destination::from_path(folder.join(name)));
        config.batch_size = 2;
        let mut batches = 0;
        let result = run_with(&config, &model, &facts, &mut |_| {
            batches += 1;
            match batches == 3 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        assert!(contents(&folder).is_empty(), "{name}");
    }
}

#[test]
fn another_job_is_refused_with_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (archive(dir.path()), dir.path().join("out"));
    embed(&config(&input, &out)).unwrap();
    let before = contents(&out);
    let refused = |config: &JobConfig, facts: &Facts, named: &str| {
        let (model, _) = model();
        let error =
            run_with(config, &model, facts, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
        assert_eq!(contents(&out), before);
    };
    let same = config(&input, &out);
    let (_, mut facts) = model();
    facts.record.bundle_sha256 = "ff".into();
    refused(
        &same,
        &facts,
        "`model.bundle_sha256` was \"00\", is now \"ff\"",
    );
    let (_, mut facts) = model();
    facts.arch.preprocessing.filter = ResizeFilter::Lanczos;
    refused(
        &same,
        &facts,
        "`preprocessing.filter` was \"bilinear\", is now \"lanczos\"",
    );
    let (_, facts) = model();
    let mut other = same.clone();
    other.batch_size = 3;
    refused(&other, &facts, "`output.batch_size` was 2, is now 3");
    chip(&input.join("new.png"), [1, 1, 1]);
    refused(&same, &facts, "`input.items` was 23, is now 24");
    // Asked to, it replaces the other job, and leaves other files alone.
    std::fs::write(out.join("notes.txt"), b"mine").unwrap();
    let mut other = same;
    other.overwrite = true;
    let report = embed(&other).unwrap();
    assert_eq!((report.items, report.resumed), (24, 0));
    assert_eq!(std::fs::read(out.join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn damaged_output_is_noticed_and_can_be_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (archive(dir.path()), dir.path().join("out"));
    embed(&config(&input, &out)).unwrap();
    let whole = contents(&out);
    for name in [
        "part-00001.jsonl",
        "errors.jsonl",
        "ledger.jsonl",
        "job.json",
    ] {
        let mut bytes = whole[name].clone();
        bytes[0] = b'X';
        bytes.truncate(bytes.len() - 1);
        std::fs::write(out.join(name), bytes).unwrap();
        if name == "errors.jsonl" {
            std::fs::write(out.join(name), b"").unwrap();
        }
        let mut config = config(&input, &out);
        let error = embed(&config).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{name}: {error}");
        config.overwrite = true;
        embed(&config).unwrap();
        assert_eq!(contents(&out), whole, "{name}");
    }
}

/// Results of a job whose description is lost are somebody's.
#[test]
fn results_without_a_description_stay_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (archive(dir.path()), dir.path().join("out"));
    let config = config(&input, &out);
    embed(&config).unwrap();
    let whole = contents(&out);
    std::fs::remove_file(out.join("job.json")).unwrap();
    // One after the other is what is left, until nothing that holds a result is.
    for file in [
        "errors.jsonl",
        "ledger.jsonl",
        "part-00000.jsonl",
        "part-00001.jsonl",
        "part-00002.jsonl",
        "part-00003.jsonl",
    ] {
        let before = contents(&out);
        let error = embed(&config).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("--overwrite") && text.contains("out/"),
            "{text}"
        );
        assert_eq!(contents(&out), before);
        std::fs::remove_file(out.join(file)).unwrap();
    }
    // What a process leaves that was killed at its start may go.
    for (name, text) in [
        ("ledger.jsonl", ""),
        ("errors.jsonl", ""),
        ("part-00000.jsonl.tmp-17-0", "begun"),
        ("job.json.tmp", "{"),
    ] {
        std::fs::write(out.join(name), text).unwrap();
    }
    embed(&config).unwrap();
    assert_eq!(contents(&out), whole);
    // Asked to, it replaces results.
    std::fs::remove_file(out.join("job.json")).unwrap();
    let mut config = config;
    config.overwrite = true;
    embed(&config).unwrap();
    assert_eq!(contents(&out), whole);
}

#[test]
fn a_part_that_the_job_never_wrote_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (archive(dir.path()), dir.path().join("out"));
    let mut config = config(&input, &out);
    embed(&config).unwrap();
    let whole = contents(&out);
    for name in ["part-00004.jsonl", "part-00017.parquet", "part-00001.npy"] {
        std::fs::write(out.join(name), b"another's").unwrap();
        let error = embed(&config).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("move it away"),
            "{error}"
        );
        assert_eq!(std::fs::read(out.join(name)).unwrap(), b"another's");
        std::fs::remove_file(out.join(name)).unwrap();
        embed(&config).unwrap();
    }
    std::fs::write(out.join("part-00017.parquet"), b"another's").unwrap();
    config.overwrite = true;
    embed(&config).unwrap();
    assert_eq!(contents(&out), whole);
}

/// A job that never came to a result binds nobody.
#[test]
fn a_description_without_a_result_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (archive(dir.path()), dir.path().join("out"));
    let mut config = config(&input, &out);
    embed(&config).unwrap();
    for (name, _) in contents(&out) {
        match name.as_str() {
            "job.json" => {}
            "ledger.jsonl" | "errors.jsonl" => std::fs::write(out.join(name), b"").unwrap(),
            _ => std::fs::remove_file(out.join(name)).unwrap(),
        }
    }
    config.batch_size = 3;
    assert_eq!(embed(&config).unwrap().resumed, 0);
}

#[test]
fn no_file_beside_one_file_is_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let cases = [
        ("a.parquet", "a.errors.jsonl"),
        ("b.npy", "b.errors.jsonl"),
        ("c.npy", "c.ids.jsonl"),
        ("d.npy", "d.metadata_embedding.npy"),
        ("e.jsonl", "e.errors.jsonl"),
        ("f.jsonl", "f.jsonl"),
    ];
    for (output, there) in cases {
        let folder = dir.path().join(output.replace('.', "-"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(there), b"mine").unwrap();
        let mut config = JobConfig::new([&input], Destination::from_path(folder.join(output)));
        let error = embed(&config).unwrap_err().to_string();
        assert!(
            error.contains(there) && error.contains("--overwrite"),
            "{error}"
        );
        assert_eq!(
            contents(&folder),
            [(there.to_owned(), b"mine".to_vec())].into()
        );
        config.overwrite = true;
        embed(&config).unwrap();
        // What is replaced, or would be taken for a file of this output, is gone.
        let after = contents(&folder);
        assert!(after.values().all(|bytes| bytes != b"mine"), "{output}");
    }
}

/// Runs something that must end by itself.
fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || done.send(work()));
    let minute = std::time::Duration::from_secs(60);
    ended.recv_timeout(minute).expect("it hangs")
}

/// As [`MeanColour`], and panics where it is told to.
struct Panics {
    inner: MeanColour,
    /// On the picture whose first number is this.
    picture: Option<u8>,
    metadata: bool,
    preprocessing: bool,
}

impl Model for Panics {
    fn preprocessing(&self) -> &Preprocessing {
        assert!(!self.preprocessing, "no preprocessing");
        self.inner.preprocessing()
    }

    fn images(&self, pictures: ArrayView4<'_, u8>) -> Result<Vectors> {
        let is = |first: u8| {
            pictures
                .outer_iter()
                .any(|picture| picture[[0, 0, 0]] == first)
        };
        assert!(!self.picture.is_some_and(is), "picture of doom");
        self.inner.images(pictures)
    }

    fn fields(&self) -> FieldSet {
        self.inner.fields()
    }

    fn metadata(&self, records: &[Metadata]) -> Result<Vectors> {
        assert!(!self.metadata, "record of doom");
        self.inner.metadata(records)
    }
}

#[test]
fn a_panic_of_the_model_is_an_error_and_never_a_hang() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let table = dir.path().join("table.csv");
    let rows = (0..23).map(|i| format!("c{i:02}.png,{}\n", i + 1));
    std::fs::write(&table, format!("key,gsd\n{}", rows.collect::<String>())).unwrap();
    let panics = |picture, metadata, preprocessing| Panics {
        inner: model().0,
        picture,
        metadata,
        preprocessing,
    };
    for workers in [1, 2, 8] {
        for (model, words) in [
            (panics(Some(0), false, false), "picture of doom"),
            (panics(Some(11), false, false), "picture of doom"),
            (panics(None, true, false), "record of doom"),
            (panics(None, false, true), "no preprocessing"),
        ] {
            let out = tempfile::tempdir_in(dir.path()).unwrap();
            let mut config = config(&input, out.path());
            config.workers = workers;
            config.metadata = Some(TableConfig {
                path: table.clone(),
                ..TableConfig::default()
            });
            let result = within_a_minute(move || {
                let (_, facts) = super::tests::model();
                run_with(&config, &model, &facts, &mut |_| ControlFlow::Continue(()))
            });
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Panic { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(words) && text.contains(".png"), "{text}");
            assert!(temporary(out.path()).is_empty());
        }
    }
}

/// An archive whose reader panics in the middle.
#[test]
fn a_panic_of_the_input_is_an_error_and_never_a_hang() {
    struct Doomed(std::io::Cursor<Vec<u8>>);
    impl Read for Doomed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(self.0.position() < 20_000, "pipe of doom");
            let most = buffer.len().min(1000);
            self.0.read(&mut buffer[..most])
        }
    }
    let mut builder = ::tar::Builder::new(Vec::new());
    for i in 0..200_u8 {
        let mut png = io::Cursor::new(Vec::new());
        let picture = ::image::RgbImage::from_pixel(4, 4, ::image::Rgb([i; 3]));
        picture
            .write_to(&mut png, ::image::ImageFormat::Png)
            .unwrap();
        let png = png.into_inner();
        let mut header = ::tar::Header::new_gnu();
        header.set_size(png.len() as u64);
        header.set_mode(0o644);
        let name = format!("c{i:03}.png");
        builder
            .append_data(&mut header, name, png.as_slice())
            .unwrap();
    }
    let bytes = builder.into_inner().unwrap();
    let result = within_a_minute(move || {
        let stop = super::stop::Stop::default();
        let doomed = Box::new(Doomed(io::Cursor::new(bytes)));
        let inputs = super::input::Inputs::of_stream(doomed, &stop).unwrap();
        let (model, facts) = model();
        let columns = Features::Embeds.columns(&facts.arch, false);
        let work = super::worker::Work {
            remote: inputs.remote(),
            model: &model,
            table: None,
            features: Features::Embeds,
            columns: &columns,
            reading: ReadOptions::default(),
            max_cloud: None,
            grid: None,
        };
        let mut producer = super::pipeline::Producer {
            batch_size: 2,
            skip: 0,
            fingerprint: None,
            table: None,
            counter: None,
            escaped: 0,
            sent: 0,
        };
        let mut items = 0;
        let mut write = |done: super::worker::Done| {
            items += done.items;
            Ok(())
        };
        let found = super::pipeline::pipeline(2, &inputs, &mut producer, &work, &stop, &mut write);
        (found.map(|listing| listing.items), items)
    });
    let (found, items) = result;
    let error = found.unwrap_err();
    assert!(matches!(error, Error::Panic { .. }), "{error}");
    assert!(error.to_string().contains("pipe of doom"), "{error}");
    assert!(items > 0);
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (archive(dir.path()), dir.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    let mut config = config(&input, &out);
    embed(&config).unwrap();
    let foreign = dir.path().join("foreign");
    chip(&foreign.join("thesis.png"), [0; 3]);
    config.destination = Destination::Folder(foreign.clone());
    let error = embed(&config).unwrap_err();
    assert!(
        error.to_string().contains("is no output of a job"),
        "{error}"
    );
    // A description of something else is not one of a job that has nothing yet.
    let theirs = dir.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    for text in ["{\"my\": \"config\"}", "{\"format\": 2}", "", "[]"] {
        std::fs::write(theirs.join("job.json"), text).unwrap();
        config.destination = Destination::Folder(theirs.clone());
        let error = embed(&config).unwrap_err();
        assert!(error.to_string().contains("no job of satmip"), "{error}");
        assert_eq!(
            std::fs::read_to_string(theirs.join("job.json")).unwrap(),
            text
        );
    }
    config.destination = Destination::Folder(foreign.join("thesis.png"));
    let error = embed(&config).unwrap_err();
    assert!(error.to_string().contains("is a file"), "{error}");
    config.destination = Destination::Folder(foreign.clone());
    config.overwrite = true;
    embed(&config).unwrap();
    assert!(foreign.join("thesis.png").exists());
}

#[test]
fn one_file_is_written_aside_and_never_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let out = dir.path().join("out.npy");
    let mut config = JobConfig::new([&input], Destination::from_path(&out));
    assert_eq!(config.format, Format::Npy);
    config.features = Features::Both;
    let report = embed(&config).unwrap();
    assert_eq!(report.rows, 20);
    let names = [
        "out.errors.jsonl",
        "out.ids.jsonl",
        "out.image_features.npy",
        "out.npy",
    ];
    for name in names {
        assert!(dir.path().join(name).is_file(), "{name}");
    }
    let before = std::fs::read(&out).unwrap();
    assert_eq!(before.len(), 128 + 20 * 3 * 4);
    let error = embed(&config).unwrap_err();
    assert!(error.to_string().contains("exists already"), "{error}");
    config.overwrite = true;
    config.features = Features::Features;
    embed(&config).unwrap();
    assert_ne!(std::fs::read(&out).unwrap(), before);
    let left = std::fs::read_dir(dir.path()).unwrap();
    let names: Vec<_> = left
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|n| !n.contains(".tmp")), "{names:?}");
}

#[test]
fn metadata_join_and_bad_rows_cost_only_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    for name in ["a.png", "b.png", "c.png", "d.png", "white.png"] {
        chip(
            &folder.join(name),
            if name == "white.png" {
                [255; 3]
            } else {
                [9; 3]
            },
        );
    }
    let inputs = super::input::Inputs::open(&[folder]).unwrap();
    let mut table = Table::reading(FieldSet::GSD);
    let gsd = |metres: f64| Metadata::new().with_gsd(metres).unwrap();
    table.add("a.png", Ok(gsd(2.0)), "line 2");
    table.add(
        "b.png",
        Err("column `gsd`: `NaN` is not finite".into()),
        "line 3",
    );
    // This one overflows the model's context.
    table.add("c.png", Ok(gsd(9000.0)), "line 4");
    // This one says nothing that the model reads.
    table.add(
        "d.png",
        Ok(Metadata::new().with_cloud_cover(1.0).unwrap()),
        "line 6",
    );
    table.add("white.png", Ok(gsd(3.0)), "line 5");
    let (model, facts) = model();
    let columns = Features::Both.columns(&facts.arch, true);
    let names: Vec<_> = columns.iter().map(|c| c.name).collect();
    let expected = [
        "image_embedding",
        "image_features",
        "metadata_embedding",
        "metadata_features",
    ];
    assert_eq!(names, expected);
    let work = super::worker::Work {
        remote: inputs.remote(),
        model: &model,
        table: Some(&table),
        features: Features::Both,
        columns: &columns,
        reading: ReadOptions::default(),
        max_cloud: None,
        grid: None,
    };
    let mut items = Vec::new();
    inputs
        .visit(&mut |item| {
            let found = table.find(&item);
            items.push((item, found));
            ControlFlow::Continue(())
        })
        .unwrap();
    let done = work.run(super::worker::Batch { index: 0, items }).unwrap();
    assert_eq!(done.rows.ids, ["a.png", "b.png", "c.png", "d.png"]);
    let metadata = &done.rows.columns[2];
    assert_eq!(metadata.present, [true, false, false, false]);
    assert_eq!(metadata.values[..3], [2.0; 3]);
    let kinds: Vec<_> = done
        .skipped
        .iter()
        .map(|s| (s.id.as_str(), s.kind))
        .collect();
    let expected = [
        ("white.png", SkipKind::Model),
        ("b.png", SkipKind::Metadata),
        ("c.png", SkipKind::Metadata),
    ];
    assert_eq!(kinds, expected);
    assert!(done.skipped[1].reason.contains("NaN"));
    assert!(done.skipped[2].reason.contains("100 tokens"));
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let input = archive(dir.path());
    let good = config(&input, &dir.path().join("out"));
    let mut bad = good.clone();
    bad.batch_size = 0;
    assert!(embed(&bad).unwrap_err().to_string().contains("batch size"));
    let mut bad = good.clone();
    bad.destination = Destination::Stdout;
    bad.format = Format::Npy;
    assert!(
        embed(&bad)
            .unwrap_err()
            .to_string()
            .contains("standard output")
    );
    for (name, reason) in [
        ("x.csv", "such files"),
        ("x.tar.gz", "such files"),
        ("x.PARQUET", "small letters"),
    ] {
        let mut bad = good.clone();
        bad.destination = Destination::from_path(dir.path().join(name));
        bad.format = Format::Parquet;
        let error = embed(&bad).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(!dir.path().join(name).exists());
    }
    let mut bad = good.clone();
    bad.inputs = vec![dir.path().join("empty")];
    std::fs::create_dir(&bad.inputs[0]).unwrap();
    let error = embed(&bad).unwrap_err();
    assert!(error.to_string().contains("no image there"), "{error}");
    assert!(!dir.path().join("out").exists());
}
