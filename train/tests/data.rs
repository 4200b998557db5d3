//! Chips from every kind of source, and batches that depend on nothing but their seed and step.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use satmip::arch::Preprocessing;
use satmip::{Error, Field, FieldSet, Metadata};
use satmip_eval::chips::{ChipSet, ChipSource};
use satmip_train::data::{Batch, Loader, LoaderConfig, ViewConfig};

#[path = "data/sources.rs"]
mod sources;
#[path = "data/views.rs"]
mod views;

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
        metadata_follow_views: true,
        field_dropout: 0.3,
        per_epoch: vec![30, 40],
        workers: 2,
        cache_bytes: 0,
        max_bad_items: 5,
    }
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
    // Crops that leave metadata as they are: those of the whole chip, at the input's size.
    let untouched = LoaderConfig {
        views: vec![ViewConfig::default(); 2],
        metadata_follow_views: false,
        ..whole.clone()
    };
    for batch in draw(&sets, untouched) {
        for (record, (set, chip)) in batch.metadata.iter().zip(&batch.items) {
            let source = sets[*set].metadata(*chip);
            assert_eq!(record.gsd().unwrap().x, 15.0);
            assert_eq!(record.location(), source.location());
        }
    }
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
