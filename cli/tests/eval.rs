//! Data sets, features and evaluations, on drawn chips.
#![cfg(feature = "eval")]

mod fixture;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use fixture::{fields, run, satmip, write_bundle};
use ndarray::ArrayView2;
use satmip::{Bundle, Embedder, Error, FieldSet};
use satmip_eval::probe::Sgd;
use satmip_eval::report::FeatureSummary;
use satmip_eval::{
    Asked, DataSet, Description, Encoder, Evaluation, Extracted, Extraction, FeatureKind,
    LinearConfig, Solver, Split, extract, read_stored, retrieval, zero_shot,
};

#[path = "eval/audits.rs"]
mod audits;
#[path = "eval/datasets.rs"]
mod datasets;
#[path = "eval/program.rs"]
mod program;

/// Chips of three classes that differ in colour, in `ROOT/CLASS/NAME.png`, with a table of them: three of five are
/// `train`, one `val`, one `test`. Classes lie in different countries.
fn write_set(root: &Path, per_class: usize) {
    let mut table = String::from("file,label,split,lon,lat,gsd\n");
    for (class, colour, (lon, lat)) in [
        ("forest", [20, 90, 30], (10.0, 50.0)),
        ("sea", [10, 30, 120], (-74.0, -8.0)),
        ("town", [150, 140, 130], (37.0, 0.5)),
    ] {
        fs::create_dir_all(root.join(class)).unwrap();
        for i in 0..per_class {
            let shade = (i % 7) as u8;
            let picture = image::RgbImage::from_fn(20, 20, |x, y| {
                image::Rgb(colour.map(|c: u8| c + shade + ((x * 3 + y * 5) % 9) as u8))
            });
            let name = format!("{class}/{i:03}.png");
            picture.save(root.join(&name)).unwrap();
            let split = ["train", "train", "train", "val", "test"][i % 5];
            let gsd = if class == "sea" { 3.0 } else { 10.0 };
            let east = lon + i as f64 / 100.0;
            table += &format!("{name},{class},{split},{east},{lat},{gsd}\n");
        }
    }
    fs::write(root.join("chips.csv"), table).unwrap();
}

const DESCRIPTION: &str = "name = \"drawn\"\nsource = { folder = \".\", table = \"chips.csv\" }\n";

fn open(root: &Path, text: &str) -> satmip::Result<DataSet> {
    DataSet::open(&Description::parse(text, "test")?, root)
}

fn features(data: &DataSet, encoder: Encoder<'_>, kind: FeatureKind) -> Extracted {
    extract(data, encoder, &Extraction::of(kind), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

fn about() -> FeatureSummary {
    FeatureSummary {
        kind: String::new(),
        encoder: "raw".into(),
        model: String::new(),
        dim: 0,
    }
}

fn evaluation(data: &DataSet, kind: FeatureKind) -> Evaluation<'_> {
    let found = features(data, Encoder::Raw(fields()), kind);
    Evaluation::new(data, found, kind, Split::Test, about()).unwrap()
}

#[test]
fn every_classifier_tells_colours_and_places_apart() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 25);
    let data = open(root.path(), DESCRIPTION).unwrap();
    for kind in [FeatureKind::Image, FeatureKind::Metadata, FeatureKind::Both] {
        let evaluation = evaluation(&data, kind);
        let sgd = LinearConfig {
            solver: Solver::Sgd(Sgd {
                epochs: 30,
                ..Sgd::default()
            }),
            seed: 1,
            seeds: 3,
        };
        for report in [
            evaluation.knn(&[5, 20, 1000]).unwrap(),
            evaluation.linear(&LinearConfig::default()).unwrap(),
            evaluation.linear(&sgd).unwrap(),
            evaluation.few_shot(&[1, 5], 0, 3).unwrap(),
        ] {
            let best = report.scores[report.headline].metrics[0].value;
            assert_eq!(best, 100.0, "{kind} {:?}", report.task);
            assert_eq!(report.data.chips, [45, 15, 15]);
            if let Some(confusion) = report.confusion {
                assert_eq!(confusion.counts, [[5, 0, 0], [0, 5, 0], [0, 0, 5]]);
            }
        }
    }
    let knn = evaluation(&data, FeatureKind::Image).knn(&[5, 20]).unwrap();
    assert_eq!((knn.headline, knn.scores[1].value.as_str()), (1, "20"));
    assert_eq!(knn.features.dim, 192);
    // Chips of one class lie within a kilometre of one another.
    assert!(
        knn.notes.iter().any(|n| n.contains("leaks")),
        "{:?}",
        knn.notes
    );
    let few = evaluation(&data, FeatureKind::Image)
        .few_shot(&[16], 0, 2)
        .unwrap_err();
    assert!(few.to_string().contains("`forest` of `drawn`"), "{few}");
    assert!(evaluation(&data, FeatureKind::Image).knn(&[]).is_err());
    assert!(evaluation(&data, FeatureKind::Image).knn(&[0]).is_err());
}

#[test]
fn without_a_validation_split_training_chips_choose() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 25);
    let text = format!("{DESCRIPTION}split = {{ kind = \"given\", val = \"\" }}\n");
    let data = open(root.path(), &text).unwrap();
    let report = evaluation(&data, FeatureKind::Image)
        .linear(&LinearConfig::default())
        .unwrap();
    assert_eq!(report.data.chips, [45, 0, 15]);
    assert!(
        report.notes.iter().any(|n| n.contains("C was chosen on 9")),
        "{:?}",
        report.notes
    );
    assert_eq!(report.scores[0].metrics[0].value, 100.0);
}

/// Embeds the set with the model in its folder `bundle`; the exit code and what was said.
fn embed(root: &Path, table: &str, out: &Path) -> (i32, String) {
    let (code, _, said) = run(satmip()
        .current_dir(root)
        .args(["embed", "forest", "sea", "town", "--metadata", table])
        .args(["-q", "--features", "features", "-m", "bundle", "-o"])
        .arg(out));
    (code, said)
}

/// The largest difference of two arrays.
fn apart(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> f32 {
    (&a - &b).iter().fold(0.0, |most, d| most.max(d.abs()))
}

#[test]
fn a_model_gives_the_same_features_as_its_stored_vectors() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    let bundle = root.path().join("bundle");
    write_bundle(&bundle, 3, true);
    let data = open(root.path(), DESCRIPTION).unwrap();
    let model = Embedder::from_bundle(Bundle::open(&bundle).unwrap(), Default::default()).unwrap();
    let direct = features(&data, Encoder::Features(&model), FeatureKind::Both);
    assert_eq!(direct.rows.len(), 30);
    for out in ["stored.npy", "stored.parquet", "stored"] {
        let out = root.path().join(out);
        let (code, said) = embed(root.path(), "chips.csv", &out);
        assert_eq!(code, 0, "{said}");
        let stored = read_stored(&data, &out, FeatureKind::Both).unwrap();
        assert_eq!(
            (stored.rows, stored.bad.len()),
            (direct.rows.clone(), 0),
            "{}",
            out.display()
        );
        for (a, b) in stored.blocks.iter().zip(&direct.blocks) {
            let most = apart(a.rows.view(), b.rows.view());
            assert!(a.name == b.name && most < 1e-5, "{} {most}", a.name);
        }
    }
    // The first chip has no metadata; nothing but metadata is asked for.
    let table = fs::read_to_string(root.path().join("chips.csv")).unwrap();
    let fewer = table.lines().filter(|line| !line.starts_with("forest/000"));
    let fewer: String = fewer.flat_map(|line| [line, "\n"]).collect();
    fs::write(root.path().join("fewer.csv"), fewer).unwrap();
    for out in ["fewer.npy", "fewer.parquet", "fewer"] {
        let out = root.path().join(out);
        let (_, said) = embed(root.path(), "fewer.csv", &out);
        for kind in [FeatureKind::Metadata, FeatureKind::Both] {
            let stored = read_stored(&data, &out, kind).unwrap();
            assert_eq!(stored.rows, direct.rows[1..], "{said}");
            assert_eq!(stored.bad[0].0, "forest/000.png");
            let (found, expected) = (stored.blocks.last().unwrap(), &direct.blocks[1]);
            let expected = expected.rows.slice(ndarray::s![1.., ..]);
            let most = apart(found.rows.view(), expected);
            assert!(
                found.name == "metadata" && most < 1e-5,
                "{}: {most}",
                out.display()
            );
        }
    }
    // A model of images alone has no metadata to offer.
    let alone = root.path().join("alone");
    write_bundle(&alone, 3, false);
    let alone = Embedder::from_bundle(Bundle::open(&alone).unwrap(), Default::default()).unwrap();
    let mut go = |_| ControlFlow::Continue(());
    let error = extract(
        &data,
        Encoder::Features(&alone),
        &Extraction::of(FeatureKind::Both),
        &mut go,
    )
    .unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn stored_vectors_that_do_not_fit_are_refused() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    let data = open(root.path(), DESCRIPTION).unwrap();
    let base = root.path().join("a.npy");
    let write = |ids: &[&str], rows: usize, width: usize| {
        let header =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend((0..ids.len() * 2).flat_map(|v| (v as f32).to_le_bytes()));
        fs::write(&base, bytes).unwrap();
        let lines: Vec<String> = ids
            .iter()
            .map(|id| format!("{{\"id\": \"{id}\"}}\n"))
            .collect();
        fs::write(root.path().join("a.ids.jsonl"), lines.concat()).unwrap();
    };
    let refused = |part: &str| {
        let error = read_stored(&data, &base, FeatureKind::Image)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part) && error.contains("a."), "{error}");
    };
    write(&["sea/000.png", "sea/000.png"], 2, 2);
    refused("`sea/000.png` occurs twice");
    write(&["lake/000.png"], 1, 2);
    refused("none of its ids (`lake/000.png` first)");
    // A header that promises more than the file has.
    write(&["sea/000.png"], 1_000_000_000, 1_000_000);
    refused("a.npy");
    write(&["sea/000.png"], 1, 2);
    let found = read_stored(&data, &base, FeatureKind::Image).unwrap();
    assert_eq!((found.rows.len(), found.bad.len()), (1, 29));
    let about = FeatureSummary {
        model: "a.npy".into(),
        ..about()
    };
    let error = Evaluation::new(&data, found, FeatureKind::Image, Split::Test, about).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("has features of `a.npy`"), "{error}");
    fs::write(&base, b"no array").unwrap();
    refused("no array of rows");
    fs::write(root.path().join("b.parquet"), b"PAR1").unwrap();
    let path = root.path().join("b.parquet");
    let error = read_stored(&data, &path, FeatureKind::Image).unwrap_err();
    assert!(error.to_string().contains("b.parquet"), "{error}");
}

#[test]
fn chips_that_cannot_be_read_are_left_out_and_named() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    fs::write(root.path().join("sea/003.png"), b"no picture").unwrap();
    let data = open(root.path(), DESCRIPTION).unwrap();
    let found = features(&data, Encoder::Raw(FieldSet::ALL), FeatureKind::Both);
    assert_eq!(
        (found.rows.len(), found.records.len(), found.bad.len()),
        (29, 29, 1)
    );
    assert_eq!(found.bad[0].0, "sea/003.png");
    assert!(found.blocks.iter().all(|block| block.rows.nrows() == 29));
    let evaluation =
        Evaluation::new(&data, found, FeatureKind::Both, Split::Test, about()).unwrap();
    let report = evaluation.knn(&[20]).unwrap();
    assert!(
        report
            .notes
            .iter()
            .any(|n| n.contains("1 of 30 chips") && n.contains("sea/003.png"))
    );
    let stop = &mut |_| ControlFlow::Break(());
    let error = extract(
        &data,
        Encoder::Raw(FieldSet::ALL),
        &Extraction::of(FeatureKind::Image),
        stop,
    )
    .unwrap_err();
    assert!(matches!(error, Error::Interrupted));
}

#[test]
fn values_and_partners_are_asked_of_a_model() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    let bundle = root.path().join("bundle");
    write_bundle(&bundle, 3, true);
    let data = open(root.path(), DESCRIPTION).unwrap();
    let model = Embedder::from_bundle(Bundle::open(&bundle).unwrap(), Default::default()).unwrap();
    let found = features(&data, Encoder::Embeds(&model), FeatureKind::Both);
    // Nothing is asked about labels, nor about other chips.
    fs::write(
        root.path().join("chips.csv"),
        fs::read_to_string(root.path().join("chips.csv"))
            .unwrap()
            .replacen("label", "colour", 1),
    )
    .unwrap();
    let description = Description::parse(DESCRIPTION, "test").unwrap();
    let unlabelled = DataSet::open_unlabelled(&description, root.path()).unwrap();
    let alone = extract(
        &unlabelled,
        Encoder::Embeds(&model),
        &Extraction {
            splits: vec![Split::Test],
            ..Extraction::of(FeatureKind::Both)
        },
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    assert_eq!(alone.rows.len(), 6);
    let bare = retrieval(&unlabelled, &alone, Split::Test, about()).unwrap();
    assert!(retrieval(&unlabelled, &alone, Split::Val, about()).is_err());
    let ranks = retrieval(&data, &found, Split::Test, about()).unwrap();
    for score in &ranks.scores {
        let value = |name: &str| score.metrics.iter().find(|m| m.name == name).unwrap().value;
        assert!(value("recall@1") <= value("recall@5") && value("recall@10") == 100.0);
        assert!(
            (1.0..=6.0).contains(&value("median rank")),
            "{}",
            value("median rank")
        );
        assert_eq!(value("of"), 6.0);
    }
    let values = |report: &satmip_eval::Report| -> Vec<f64> {
        let metrics = report.scores.iter().flat_map(|score| &score.metrics);
        metrics.map(|metric| metric.value).collect()
    };
    assert_eq!(values(&bare), values(&ranks));
    let asked = ["country_code", "gsd"].map(|f| f.parse::<Asked>().unwrap());
    let report = zero_shot(&data, &found, &model, &asked, Split::Test, about()).unwrap();
    let value = |score: usize, name: &str| {
        let metrics = &report.scores[score].metrics;
        metrics.iter().find(|m| m.name == name).unwrap().value
    };
    assert!((value(0, "chance") - 100.0 / 3.0).abs() < 1e-9 && value(1, "chance") == 50.0);
    assert!((value(1, "most frequent") - 200.0 / 3.0).abs() < 1e-9);
    // Always the same answer: the most frequent value of the training chips, not of those that are asked about.
    let table = fs::read_to_string(root.path().join("chips.csv")).unwrap();
    let swapped = table.lines().map(|line| match line.contains(",test,") {
        true if line.ends_with(",10") => line.replace(",10", ",3") + "\n",
        true => line.replace(",3", ",10") + "\n",
        false => line.to_owned() + "\n",
    });
    fs::write(root.path().join("chips.csv"), swapped.collect::<String>()).unwrap();
    let other = DataSet::open_unlabelled(&description, root.path()).unwrap();
    let found = features(&other, Encoder::Embeds(&model), FeatureKind::Image);
    let report = zero_shot(&other, &found, &model, &asked[1..], Split::Test, about()).unwrap();
    let metrics = &report.scores[0].metrics;
    let most = metrics.iter().find(|m| m.name == "most frequent").unwrap();
    assert!((most.value - 100.0 / 3.0).abs() < 1e-9, "{}", most.value);
    let none = zero_shot(
        &data,
        &found,
        &model,
        &[Asked::Season],
        Split::Test,
        about(),
    );
    assert!(
        none.unwrap_err()
            .to_string()
            .contains("fewer than two values")
    );
    let field = "off_nadir_angle".parse().unwrap();
    assert!(zero_shot(&data, &found, &model, &[field], Split::Test, about()).is_err());
}
