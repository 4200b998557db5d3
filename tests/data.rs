//! Chips from every kind of source, and batches that depend on nothing but their seed and step.
#![cfg(feature = "train")]

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use satmip::arch::Preprocessing;
use satmip::data::{
    Batch, ChipSet, ChipSource, Loader, LoaderConfig, ViewConfig, centre_view, draw_view, rng_for,
};
use satmip::image::RgbImage;
use satmip::{Error, Field, FieldSet, Metadata};
use serde_json::{Value, json};

/// A PNG of one colour but for its upper left pixel, which is white.
fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut picture = image::RgbImage::from_pixel(width, height, image::Rgb(colour));
    picture.put_pixel(0, 0, image::Rgb([255; 3]));
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn write_tar(path: &Path, members: &[(&str, Vec<u8>)]) {
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    archive.finish().unwrap();
}

fn source(toml: &str) -> ChipSource {
    toml::from_str(toml).unwrap()
}

fn open(folder: &Path, toml: &str, split: &str) -> satmip::Result<ChipSet> {
    ChipSet::open(&source(toml), folder, split)
}

/// What opening says is wrong.
fn refused(folder: &Path, toml: &str, split: &str, parts: &[&str]) {
    let error = open(folder, toml, split).unwrap_err();
    let text = format!("{error}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// What is wrong with a chip.
fn fault(set: &ChipSet, chip: usize) -> String {
    let error = set.image(chip).unwrap_err();
    assert!(matches!(error, Error::Image { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(set.name(chip)), "{text}");
    text
}

const ARCHIVE: &str = "archive = \"chips.tar\"\nindex = \"chips.csv\"";

/// 40 chips of 12 x 12 pixels, each of its own colour; those of `broken` are no pictures.
fn make_archive(folder: &Path, broken: &[u8]) {
    let mut members = Vec::new();
    let mut index = String::from("file,label,split,lon,lat,timestamp,gsd\n");
    for i in 0..40u8 {
        let name = format!("{}/{i}.png", i % 3);
        let bytes = if broken.contains(&i) {
            b"no picture".to_vec()
        } else {
            png(12, 12, [i * 6, 255 - i * 6, 100])
        };
        index += &format!(
            "{name},{},train,{},45.5,2020-06-01T10:00:00Z,10\n",
            i % 3,
            i
        );
        members.push((name, bytes));
    }
    let members: Vec<_> = members
        .iter()
        .map(|(n, b)| (n.as_str(), b.clone()))
        .collect();
    write_tar(&folder.join("chips.tar"), &members);
    write(&folder.join("chips.csv"), index);
}

fn config() -> LoaderConfig {
    LoaderConfig {
        seed: 7,
        batch_size: 18,
        steps: 0..7,
        views: vec![
            ViewConfig::default(),
            ViewConfig {
                blur: 0.5,
                ..ViewConfig::default()
            },
        ],
        metadata_view: 1,
        preprocessing: Preprocessing {
            size: 8,
            fit: Default::default(),
            filter: Default::default(),
            mean: [0.4; 3],
            std: [0.25; 3],
        },
        fields: FieldSet::ALL,
        field_dropout: 0.3,
        per_epoch: vec![30, 40],
        workers: 2,
        cache_bytes: 0,
        max_bad_items: 5,
    }
}

/// Pixels as they are, as bytes.
fn plain_preprocessing(size: usize) -> Preprocessing {
    Preprocessing {
        size,
        fit: Default::default(),
        filter: Default::default(),
        mean: [0.0; 3],
        std: [1.0 / 255.0; 3],
    }
}

#[test]
fn pixels_of_a_view_are_where_its_geometry_says() {
    // Red grows to the right and green downwards, by 4 for each pixel.
    let pixels = (0..64 * 64u32).flat_map(|i| [(i % 64 * 4) as u8, (i / 64 * 4) as u8, 7]);
    let image = RgbImage::new(64, 64, pixels.collect()).unwrap();
    let config = ViewConfig {
        jitter: 0.0,
        grey: 0.0,
        ..ViewConfig::default()
    };
    let mut orientations = Vec::new();
    for index in 0..60 {
        let mut rng = rng_for(5, 0, 0, index);
        let size = [64, 16][index as usize % 2];
        let preprocessing = plain_preprocessing(size);
        let view = draw_view(&image, &Metadata::new(), &config, &preprocessing, &mut rng).unwrap();
        assert_eq!(view.geometry.size(), (size as u32, size as u32));
        let (first, right) = (
            view.geometry.to_source(0.0, 0.0),
            view.geometry.to_source(1.0, 0.0),
        );
        let below = view.geometry.to_source(0.0, 1.0);
        let way = |to: (f64, f64)| {
            // Source pixels along x and y, one of which is none.
            let along = |v: f64| i8::from(v > 1e-9) - i8::from(v < -1e-9);
            (along(to.0 - first.0), along(to.1 - first.1))
        };
        orientations.push((way(right), way(below)));
        // Away from the edges, where the filter sees less.
        for (row, column) in [(5, 5), (5, size - 6), (size - 6, 5), (size / 2, size / 3)] {
            let (u, v) = view
                .geometry
                .to_source(column as f64 + 0.5, row as f64 + 0.5);
            let at =
                |channel: usize| f64::from(view.pixels[(channel * size + row) * size + column]);
            assert!(
                (at(0) - 4.0 * (u - 0.5)).abs() < 3.0,
                "{index}: {} at {u}",
                at(0)
            );
            assert!(
                (at(1) - 4.0 * (v - 0.5)).abs() < 3.0,
                "{index}: {} at {v}",
                at(1)
            );
            assert!((at(2) - 7.0).abs() < 1e-3);
        }
    }
    orientations.sort();
    orientations.dedup();
    assert_eq!(orientations.len(), 8, "{orientations:?}");
}

#[test]
fn the_centre_view_is_the_embedders() {
    let pixels: Vec<u8> = (0..20 * 12 * 3u32).map(|i| (i * i % 256) as u8).collect();
    let image = RgbImage::new(20, 12, pixels).unwrap();
    let preprocessing = plain_preprocessing(7);
    let fitted = satmip::image::fit(&image, &preprocessing).unwrap();
    let view = centre_view(&image, &preprocessing).unwrap();
    for (i, value) in view.iter().enumerate() {
        let byte = fitted[i % 49 * 3 + i / 49];
        assert!((value - f32::from(byte)).abs() < 1e-3);
    }
}

#[test]
fn blur_flattens_and_keeps_the_mean() {
    let pixels = (0..32 * 32u32).flat_map(|i| [if (i + i / 32) % 2 == 0 { 255 } else { 0 }; 3]);
    let image = RgbImage::new(32, 32, pixels.collect()).unwrap();
    let drawn = |blur| {
        let config = ViewConfig {
            crop_area: [1.0, 1.0],
            crop_aspect: [1.0, 1.0],
            jitter: 0.0,
            grey: 0.0,
            blur,
            blur_sigma: [2.0, 2.0],
            ..ViewConfig::default()
        };
        let mut rng = rng_for(1, 0, 0, 0);
        let preprocessing = plain_preprocessing(32);
        let view = draw_view(&image, &Metadata::new(), &config, &preprocessing, &mut rng).unwrap();
        let mean = view.pixels.iter().sum::<f32>() / view.pixels.len() as f32;
        let spread = view
            .pixels
            .iter()
            .map(|v| (v - mean).abs())
            .fold(0.0, f32::max);
        (mean, spread)
    };
    let ((mean, spread), (blurred, flat)) = (drawn(0.0), drawn(1.0));
    assert!(
        (mean - 127.5).abs() < 0.1 && (mean - blurred).abs() < 0.5,
        "{mean} {blurred}"
    );
    assert!(
        (spread - 127.5).abs() < 0.1 && flat < 45.0,
        "{spread} {flat}"
    );
}

/// The archive twice, as two sets.
fn sets(folder: &Path) -> Arc<Vec<ChipSet>> {
    let open = || open(folder, ARCHIVE, "train").unwrap();
    Arc::new(vec![open(), open()])
}

fn draw(sets: &Arc<Vec<ChipSet>>, config: LoaderConfig) -> Vec<Batch> {
    let loader = Loader::start(Arc::clone(sets), config).unwrap();
    loader.map(Result::unwrap).collect()
}

#[test]
fn workers_cache_and_resuming_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[3, 17]);
    let sets = sets(folder.path());
    let all = draw(&sets, config());
    assert_eq!(all.len(), 7);
    for workers in [0, 1, 5] {
        let again = draw(
            &sets,
            LoaderConfig {
                workers,
                ..config()
            },
        );
        assert!(again == all, "{workers} workers draw other batches");
    }
    // Bytes for one picture, and for all.
    for cache_bytes in [500, 1 << 20] {
        let cached = LoaderConfig {
            cache_bytes,
            ..config()
        };
        assert!(draw(&sets, cached) == all, "{cache_bytes} bytes of cache");
    }
    // An epoch has 3 batches: 2 is in its middle, 3 at its start.
    for start in [2, 3, 6] {
        let resumed = LoaderConfig {
            steps: start..7,
            ..config()
        };
        assert!(draw(&sets, resumed) == all[start..], "resumed at {start}");
    }
    let other = draw(
        &sets,
        LoaderConfig {
            seed: 8,
            ..config()
        },
    );
    assert!(other.iter().zip(&all).all(|(a, b)| a.items != b.items));
    assert!(
        draw(
            &sets,
            LoaderConfig {
                steps: 4..4,
                ..config()
            }
        )
        .is_empty()
    );
}

#[test]
fn an_epoch_draws_each_chip_once_and_its_share_of_each_set() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[]);
    let sets = sets(folder.path());
    let batches = draw(
        &sets,
        LoaderConfig {
            steps: 0..6,
            ..config()
        },
    );
    for epoch in batches.chunks(3) {
        let mut items: Vec<_> = epoch.iter().flat_map(|b| b.items.clone()).collect();
        let of_first = items.iter().filter(|(set, _)| *set == 0).count();
        // 54 of 70 are drawn, 30 of which are of the first set.
        assert!((14..=30).contains(&of_first), "{of_first}");
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), 3 * 18);
    }
    assert!(batches[0].items != batches[3].items);
    for (step, batch) in batches.iter().enumerate() {
        assert_eq!((batch.step, batch.views.len()), (step, 2));
        assert!(batch.views.iter().all(|v| v.len() == 18 * 3 * 8 * 8));
        assert_eq!((batch.metadata.len(), batch.items.len()), (18, 18));
        assert!(batch.metadata.iter().all(|m| !m.is_empty()));
    }
}

#[test]
fn the_first_view_does_not_depend_on_the_others() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[]);
    let sets = sets(folder.path());
    let two = draw(&sets, config());
    let one = LoaderConfig {
        views: vec![ViewConfig::default()],
        metadata_view: 0,
        ..config()
    };
    for (one, two) in draw(&sets, one).iter().zip(&two) {
        assert!(one.views[0] == two.views[0] && one.items == two.items);
    }
}

#[test]
fn metadata_are_of_their_view_and_fields_drop_out() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[]);
    let sets = sets(folder.path());
    // Nothing but the resize from 12 to 8 pixels is left.
    let plain = ViewConfig {
        crop_area: [1.0, 1.0],
        crop_aspect: [1.0, 1.0],
        flips: false,
        quarter_turns: false,
        jitter: 0.0,
        grey: 0.0,
        ..ViewConfig::default()
    };
    let whole = LoaderConfig {
        views: vec![ViewConfig::default(), plain],
        field_dropout: 0.0,
        ..config()
    };
    for batch in draw(&sets, whole.clone()) {
        for (record, (set, chip)) in batch.metadata.iter().zip(&batch.items) {
            let source = sets[*set].metadata(*chip);
            assert_eq!(record.gsd().unwrap().x, 15.0);
            assert_eq!(record.location(), source.location());
            assert_eq!(record.fields(), source.fields());
        }
    }
    let dropping = LoaderConfig {
        field_dropout: 0.5,
        ..whole.clone()
    };
    let (mut present, mut records) = (0, 0);
    for batch in draw(&sets, dropping) {
        present += batch
            .metadata
            .iter()
            .map(|m| m.fields().len())
            .sum::<usize>();
        records += batch.metadata.len();
    }
    // 8 fields, of which one stays and seven are tossed for: 4.5 on average.
    let mean = present as f64 / records as f64;
    assert!((4.0..5.0).contains(&mean), "{mean}");
    let none = LoaderConfig {
        fields: FieldSet::NONE,
        ..whole
    };
    let batch = &draw(&sets, none)[0];
    assert!(batch.metadata.iter().all(Metadata::is_empty));
}

#[test]
fn bad_chips_are_replaced_and_named_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[3, 17, 30]);
    let sets = sets(folder.path());
    let strict = |max_bad_items, workers| {
        let config = LoaderConfig {
            max_bad_items,
            workers,
            steps: 0..60,
            ..config()
        };
        Loader::start(Arc::clone(&sets), config).unwrap()
    };
    let mut loader = strict(6, 2);
    for batch in loader.by_ref() {
        for (set, chip) in batch.unwrap().items {
            assert!(sets[set].image(chip).is_ok());
        }
    }
    let bad = loader.bad_items();
    assert_eq!(bad.len(), 6, "{bad:?}");
    let mut names: Vec<_> = bad.iter().map(|item| item.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names,
        [
            "chips.tar: 0/3.png",
            "chips.tar: 0/30.png",
            "chips.tar: 2/17.png"
        ]
    );
    assert!(bad.iter().all(|item| item.reason.contains("known format")));

    let stopped = |workers| {
        let mut loader = strict(4, workers);
        let mut good = 0;
        let error = loop {
            match loader.next().unwrap() {
                Ok(_) => good += 1,
                Err(error) => break error.to_string(),
            }
        };
        assert!(loader.next().is_none());
        assert_eq!(loader.bad_items().len(), 5);
        let last = loader.bad_items()[4].name.clone();
        assert!(
            error.contains("more than 4") && error.contains(&last),
            "{error}"
        );
        (good, error)
    };
    assert_eq!(stopped(1), stopped(5));
}

#[test]
fn a_set_without_a_usable_chip_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &(0..40).collect::<Vec<_>>());
    let sets = Arc::new(vec![open(folder.path(), ARCHIVE, "train").unwrap()]);
    let config = LoaderConfig {
        per_epoch: vec![40],
        max_bad_items: 1000,
        ..config()
    };
    let mut loader = Loader::start(sets, config).unwrap();
    let error = loader.next().unwrap().unwrap_err().to_string();
    assert!(
        error.contains("chips.tar") && error.contains("bad"),
        "{error}"
    );
    assert!(loader.next().is_none());
}

#[test]
fn fields_that_cannot_follow_are_counted_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[]);
    let index = folder.path().join("chips.csv");
    // Without a gsd nobody knows how far a crop moves the centre.
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace(",10\n", ",\n")).unwrap();
    let sets = sets(folder.path());
    let mut loader = Loader::start(Arc::clone(&sets), config()).unwrap();
    assert!(loader.dropped_fields().is_empty());
    let batch = loader.next().unwrap().unwrap();
    let dropped = loader.dropped_fields();
    assert_eq!((dropped.len(), dropped[0].field), (1, Field::Location));
    assert!(dropped[0].reason.contains("gsd"), "{dropped:?}");
    let placed = batch.metadata.iter().filter(|m| m.has(Field::Location));
    assert!(dropped[0].chips > 9 && placed.count() as u64 + dropped[0].chips <= 18);
    // Fields that the model does not read are not missed.
    let without = LoaderConfig {
        fields: FieldSet::TIME,
        ..config()
    };
    let mut loader = Loader::start(sets, without).unwrap();
    loader.next().unwrap().unwrap();
    assert!(loader.dropped_fields().is_empty());
}

#[test]
fn dropping_the_loader_ends_its_threads() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[]);
    let sets = sets(folder.path());
    let mut loader = Loader::start(Arc::clone(&sets), config()).unwrap();
    loader.next().unwrap().unwrap();
    assert!(Arc::strong_count(&sets) > 1);
    drop(loader);
    // Each thread would still hold the sets.
    assert_eq!(Arc::strong_count(&sets), 1);
}

#[test]
fn impossible_configurations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    make_archive(folder.path(), &[]);
    let sets = sets(folder.path());
    let refused = |change: &dyn Fn(&mut LoaderConfig), part: &str| {
        let mut config = config();
        change(&mut config);
        let error = Loader::start(Arc::clone(&sets), config).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(&|c| c.batch_size = 71, "no batch of 71");
    refused(&|c| c.batch_size = 0, "no batch of 0");
    refused(&|c| c.per_epoch = vec![1], "per_epoch");
    refused(&|c| c.metadata_view = 2, "view 2");
    refused(&|c| c.field_dropout = f64::NAN, "field_dropout");
    refused(&|c| c.preprocessing.size = 0, "preprocessing.size");
    refused(&|c| c.views[1].jitter = 1.5, "view 1: `jitter`");
    refused(&|c| c.views[0].blur_sigma = [0.0, 1.0], "blur_sigma");
    refused(&|c| c.views[0].crop_area = [f64::NAN, 1.0], "crop_area");
}

#[test]
fn an_index_may_have_any_field() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_tar(&folder.join("chips.tar"), &[("a.png", png(4, 4, [9; 3]))]);
    let mut record = Metadata::new();
    let (mut header, mut row) = (
        String::from("file,label,split"),
        String::from("a.png,x,test"),
    );
    for (field, text) in Field::ALL.into_iter().zip([
        "11.4546,9.1344",
        "41.1896",
        "1.03e-4,8.23e-5",
        "2015-09-21T15:30:08Z",
        "-73.310776,-3.785814",
        "18M",
        "PER",
        "14",
        "Reverse",
        "661,545,477",
        "39.12",
        "77.28",
        "70.44",
        "27.7",
        "GEOEYE01",
    ]) {
        record.set_text(field, text).unwrap();
        header += &format!(",{field}");
        row += &format!(",\"{text}\"");
    }
    write(&folder.join("chips.csv"), format!("{header}\n{row}\n"));
    let set = open(folder, ARCHIVE, "test").unwrap();
    assert_eq!((set.len(), set.label(0), set.name(0)), (1, "x", "a.png"));
    assert_eq!(*set.metadata(0), record);
}

#[test]
fn archives_that_do_not_fit_their_index_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_archive(folder, &[]);
    let index = folder.join("chips.csv");
    let good = fs::read_to_string(&index).unwrap();
    refused(folder, ARCHIVE, "val", &["chips.csv", "split `val`"]);
    for (text, parts) in [
        (good.replace("label", "klass"), ["chips.csv", "`label`"]),
        (good.replace(",10\n", ",nan\n"), ["line 2", "gsd"]),
        (good.replace("0/39.png", "0/36.png"), ["line 41", "twice"]),
        (
            good.replace("0/39.png", "../0/39.png"),
            ["lacks 1", "../0/39.png"],
        ),
        (String::new(), ["chips.csv", "empty"]),
    ] {
        write(&index, text);
        refused(folder, ARCHIVE, "train", &parts);
    }
    write(&index, good);
    write(&folder.join("chips.tar"), vec![b'z'; 4096]);
    refused(folder, ARCHIVE, "train", &["chips.tar", "no tar archive"]);
    fs::remove_file(folder.join("chips.tar")).unwrap();
    refused(folder, ARCHIVE, "train", &["chips.tar"]);
}

#[test]
fn truncated_archives_lose_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let noise: Vec<u8> = (0..3000u32).map(|i| (i * i % 251) as u8).collect();
    let members = [("a.png", png(4, 4, [9; 3])), ("b.png", noise)];
    write_tar(&folder.join("chips.tar"), &members);
    write(
        &folder.join("chips.csv"),
        "file,label,split,gsd\na.png,x,train,1\nb.png,x,train,1\n",
    );
    let whole = fs::read(folder.join("chips.tar")).unwrap();
    // Within the second member: it alone is bad.
    write(&folder.join("chips.tar"), &whole[..512 + 512 + 512 + 700]);
    let set = open(folder, ARCHIVE, "train").unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!(set.image(0).unwrap().width(), 4);
    assert!(fault(&set, 1).contains("the archive ends inside"));
    // Within its header: the index names a chip that is not there.
    write(&folder.join("chips.tar"), &whole[..512 + 512 + 100]);
    refused(folder, ARCHIVE, "train", &["lacks 1", "b.png"]);
}

#[test]
fn a_header_that_lies_about_its_size_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (size, part) in [(1u64 << 40, "over the limit"), (1 << 29, "ends inside")] {
        let mut header = tar::Header::new_gnu();
        header.set_path("huge.png").unwrap();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 512]);
        write(&folder.join("chips.tar"), bytes);
        write(
            &folder.join("chips.csv"),
            "file,label,split,gsd\nhuge.png,x,train,1\n",
        );
        let set = open(folder, ARCHIVE, "train").unwrap();
        assert!(fault(&set, 0).contains(part), "{}", fault(&set, 0));
    }
}

fn stac() -> Value {
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "s", "assets": {},
        "bbox": [10.0, 20.0, 10.2, 20.2],
        "geometry": null,
        "properties": {"datetime": "2021-05-06T07:08:09Z", "platform": "sentinel-2a", "gsd": 10},
    })
}

#[test]
fn shards_of_samples() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = |value: Value| value.to_string().into_bytes();
    write_tar(
        &folder.join("train-00.tar"),
        &[
            ("a.png", png(5, 4, [1; 3])),
            ("a.json", text(stac())),
            ("a.cls", b"7\n".to_vec()),
            ("a.txt", b"a caption".to_vec()),
            (
                "b.json",
                text(json!({"lon": 8.5, "lat": 47.0, "gsd": 0.5, "caption": "x"})),
            ),
            ("b.png", png(6, 4, [2; 3])),
            ("b.seg.png", png(9, 9, [2; 3])),
            ("readme.md", b"x".to_vec()),
        ],
    );
    write_tar(
        &folder.join("train-01.tar"),
        &[
            ("v1.5/c.PNG", png(7, 4, [3; 3])),
            ("v1.5/c.json", b"{\"gsd\": 1".to_vec()),
            ("v1.5/d.png", png(8, 4, [3; 3])),
            ("v1.5/d.json", text(json!({"gsd": "NaN"}))),
            ("v1.5/e.json", text(json!({"gsd": 1}))),
            ("v1.5/f.png", png(8, 4, [3; 3])),
            (
                "v1.5/f.json",
                text(json!({"img_filename": "f", "gsd": 0.6, "cloud_cover": 3})),
            ),
            ("v1.5/g.png", png(8, 4, [3; 3])),
            ("v1.5/g.jpg", png(8, 4, [3; 3])),
        ],
    );
    let shards = "shards = \"{split}-{00..01}.tar\"";
    let set = open(folder, shards, "train").unwrap();
    let names: Vec<_> = (0..set.len()).map(|i| set.name(i)).collect();
    let expected = [
        "train-00.tar/a.png",
        "train-00.tar/b.png",
        "train-01.tar/v1.5/c.PNG",
        "train-01.tar/v1.5/d.png",
        "train-01.tar/v1.5/e",
        "train-01.tar/v1.5/f.png",
        "train-01.tar/v1.5/g.png",
    ];
    assert_eq!(names, expected);
    assert_eq!((set.label(0), set.label(1)), ("7", ""));
    assert_eq!(set.metadata(0).sensor_platform(), Some("SENTINEL-2A"));
    assert_eq!(set.metadata(1).location().unwrap().lon, 8.5);
    assert!(set.metadata(1).derived().contains(Field::CountryCode));
    assert_eq!(set.metadata(5).cloud_cover(), Some(3.0));
    assert_eq!(set.image(1).unwrap().width(), 6);
    for (chip, part) in [
        (2, "not valid JSON"),
        (3, "gsd"),
        (4, "no picture"),
        (6, "beside"),
    ] {
        assert!(fault(&set, chip).contains(part), "{}", fault(&set, chip));
        assert!(set.metadata(chip).is_empty());
    }
    refused(folder, shards, "val", &["val-00.tar"]);
    refused(
        folder,
        "shards = \"train-00.tar\"",
        "val",
        &["`train`, not `val`"],
    );
    refused(folder, "shards = \"train-{00\"", "train", &["not closed"]);
}

#[test]
fn shards_with_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_tar(
        &folder.join("s.tar"),
        &[
            ("a.png", png(5, 4, [1; 3])),
            ("a.json", b"no JSON, and not read".to_vec()),
            ("d/b.png", png(5, 4, [1; 3])),
            ("d/c.png", png(5, 4, [1; 3])),
            ("e.png", png(5, 4, [1; 3])),
        ],
    );
    let table = "file,label,split,gsd\na,x,train,1\nb.png,y,val,2\nd/c.png,z,train,3\n";
    write(&folder.join("t.csv"), table);
    let shards = "shards = \"s.tar\"\ntable = \"t.csv\"";
    let set = open(folder, shards, "train").unwrap();
    assert_eq!((set.len(), set.label(0), set.label(1)), (3, "x", "z"));
    assert_eq!(set.metadata(1).gsd().unwrap().x, 3.0);
    assert!(fault(&set, 2).contains("no row"), "{}", fault(&set, 2));
    let set = open(folder, shards, "val").unwrap();
    assert_eq!(
        (set.len(), set.label(0), set.name(0)),
        (2, "y", "s.tar/d/b.png")
    );
    write(&folder.join("t.csv"), format!("{table}lost,y,train,1\n"));
    refused(folder, shards, "train", &["lacks 1", "lost"]);
}

#[test]
fn damaged_shards_are_named_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = folder.join("s.tar");
    write_tar(&path, &[("a.png", png(5, 4, [1; 3]))]);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(1024);
    bytes.extend_from_slice(&[b'z'; 2048]);
    write(&path, bytes);
    let set = open(folder, "shards = [\"s.tar\"]", "train").unwrap();
    assert_eq!(set.len(), 2);
    assert!(set.image(0).is_ok());
    assert!(fault(&set, 1).contains("damaged after `a.png`"));
}

#[test]
fn folders_with_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("in/a.png"), png(5, 4, [1; 3]));
    write(&folder.join("in/sub/b.png"), png(6, 4, [1; 3]));
    write(&folder.join("outside.png"), png(6, 4, [1; 3]));
    write(
        &folder.join("t.csv"),
        "file,gsd\n./sub/b.png,2\na.png,1\nlost.png,1\n../outside.png,1\n",
    );
    let toml = "folder = \"in\"\ntable = \"t.csv\"";
    let set = open(folder, toml, "train").unwrap();
    assert_eq!((set.len(), set.name(0), set.label(0)), (4, "sub/b.png", ""));
    assert_eq!(set.image(0).unwrap().width(), 6);
    assert_eq!(set.metadata(1).gsd().unwrap().x, 1.0);
    fault(&set, 2);
    assert!(fault(&set, 3).contains("leaves the folder"));
    refused(folder, toml, "val", &["t.csv", "split `val`"]);
    write(&folder.join("t.csv"), "file,label,split\nx.png,k,val\n");
    refused(folder, toml, "val", &["none of the first 1", "x.png"]);
    refused(folder, "folder = \"no\"\ntable = \"t.csv\"", "val", &["no"]);
}

#[cfg(feature = "parquet")]
#[test]
fn tables_in_parquet() {
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("in/a.png"), png(5, 4, [1; 3]));
    // `label` stands before the key, and `notes` is not read.
    let columns: [(&str, ArrayRef); 5] = [
        ("label", Arc::new(StringArray::from(vec!["k", "l"]))),
        ("notes", Arc::new(StringArray::from(vec!["x", "y"]))),
        ("gsd", Arc::new(Float64Array::from(vec![Some(2.5), None]))),
        ("split", Arc::new(StringArray::from(vec!["val", "train"]))),
        ("file", Arc::new(StringArray::from(vec!["a.png", "b.png"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(folder.join("t.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let set = open(folder, "folder = \"in\"\ntable = \"t.parquet\"", "val").unwrap();
    assert_eq!((set.len(), set.name(0), set.label(0)), (1, "a.png", "k"));
    assert_eq!(set.metadata(0).gsd().unwrap().x, 2.5);
}

#[test]
fn tables_in_labels_and_splits_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("in/a.png"), png(5, 4, [1; 3]));
    write(&folder.join("t.csv"), "file,label,split\na.png,k,val\n");
    let set = open(folder, "folder = \"in\"\ntable = \"t.csv\"", "val").unwrap();
    assert_eq!((set.len(), set.label(0)), (1, "k"));
    assert!(set.metadata(0).is_empty());
}

/// A record of a picture of 40 x 20 pixels of 1 m around (10, 0).
fn fmow(boxes: Value) -> Value {
    json!({
        "img_filename": "x_0_0_rgb.jpg", "img_width": 40, "img_height": 20, "gsd": 1.0,
        "mean_pixel_width": 9e-6, "mean_pixel_height": 9e-6,
        "geometry": {"type": "Polygon", "coordinates": [[
            [9.9, -0.1], [10.1, -0.1], [10.1, 0.1], [9.9, 0.1], [9.9, -0.1],
        ]]},
        "cloud_cover": 5, "bounding_boxes": boxes,
    })
}

#[test]
fn the_layout_of_fmow() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("fmow/train");
    let put = |name: &str, record: Option<Value>| {
        let stem = root.join(name);
        write(&stem.with_extension("jpg"), png(40, 20, [50; 3]));
        if let Some(record) = record {
            write(&stem.with_extension("json"), record.to_string());
        }
    };
    let two = json!([
        {"ID": -1, "category": "pond", "box": [30, 5, 10, 10]},
        {"ID": 5, "category": "pond", "box": [30, 5, 10, 10]},
        {"ID": 6, "category": "false_detection", "box": [0, 0, 4, 2]},
    ]);
    put("pond/pond_0/pond_0_0_rgb", Some(fmow(two)));
    put("pond/pond_0/pond_0_0_msrgb", Some(fmow(json!([]))));
    put("pond/pond_1/pond_1_0_rgb", None);
    put(
        "pond/pond_2/pond_2_0_rgb",
        Some(fmow(json!({"box": [0, 0, 40, 20]}))),
    );
    put(
        "dam/dam_0/dam_0_0_rgb",
        Some(fmow(json!([{"box": [0, 0, 0, 5]}, {"box": [41, 0, 5, 5]}]))),
    );
    let mut wide = fmow(json!([{"box": [0, 0, 5, 5]}]));
    wide["img_width"] = json!(41);
    put("dam/dam_1/dam_1_0_rgb", Some(wide.clone()));
    wide["img_width"] = json!(-1);
    put("dam/dam_2/dam_2_0_rgb", Some(wide));
    write(
        &root.join("dam/dam_3/dam_3_0_rgb.jpg"),
        png(40, 20, [50; 3]),
    );
    write(&root.join("dam/dam_3/dam_3_0_rgb.json"), "{\"gsd\":");
    put("dam/dam_4/dam_4_0_rgb", Some(fmow(json!([]))));

    let set = open(folder.path(), "fmow = \"fmow\"\ncontext = 1.0", "train").unwrap();
    let names: Vec<_> = (0..set.len()).map(|i| set.name(i)).collect();
    let expected = [
        "train/dam/dam_0/dam_0_0_rgb.jpg#0",
        "train/dam/dam_0/dam_0_0_rgb.jpg#1",
        "train/dam/dam_1/dam_1_0_rgb.jpg#0",
        "train/dam/dam_2/dam_2_0_rgb.jpg",
        "train/dam/dam_3/dam_3_0_rgb.jpg",
        "train/dam/dam_4/dam_4_0_rgb.jpg",
        "train/pond/pond_0/pond_0_0_rgb.jpg#0",
        "train/pond/pond_0/pond_0_0_rgb.jpg#1",
        "train/pond/pond_1/pond_1_0_rgb.jpg",
        "train/pond/pond_2/pond_2_0_rgb.jpg#0",
    ];
    assert_eq!(names, expected);
    for (chip, part) in [
        (0, "0 x 5"),
        (1, "outside"),
        (2, "41 x 20"),
        (3, "img_width"),
        (4, "not valid JSON"),
        (5, "bounding_boxes"),
        (8, "its JSON"),
    ] {
        assert!(fault(&set, chip).contains(part), "{}", fault(&set, chip));
    }
    // The box's right half of the picture: 15 m east of the centre.
    let image = set.image(6).unwrap();
    assert_eq!(
        (image.width(), image.height(), set.label(6)),
        (10, 10, "pond")
    );
    let place = set.metadata(6).location().unwrap();
    assert!((place.lon - (10.0 + 15.0 * 9e-6)).abs() < 1e-12 && place.lat.abs() < 1e-12);
    assert_eq!(set.metadata(6).gsd().unwrap().x, 1.0);
    // A square of 4 pixels around a box of 4 x 2 at the corner, cut off above.
    let image = set.image(7).unwrap();
    assert_eq!((image.width(), image.height()), (4, 3));
    assert_eq!(image.get(0, 0), Some([255; 3]));
    assert_eq!((set.label(7), set.label(9)), ("false_detection", "pond"));
    assert_eq!(set.image(9).unwrap().width(), 40);
    let wide = open(folder.path(), "fmow = \"fmow\"\ncontext = 2.0", "train").unwrap();
    assert_eq!(
        (
            wide.image(6).unwrap().width(),
            wide.image(6).unwrap().height()
        ),
        (15, 20)
    );

    refused(folder.path(), "fmow = \"fmow\"", "val", &["val"]);
    fs::create_dir_all(folder.path().join("fmow/test")).unwrap();
    refused(
        folder.path(),
        "fmow = \"fmow\"",
        "test",
        &["no chip", "`test`"],
    );
}
