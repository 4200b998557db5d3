//! Data sets, features and evaluations, on drawn chips.
#![cfg(feature = "cli")]

mod fixture;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use fixture::{fields, run, satmip, write_bundle};
use satmip::eval::probe::Sgd;
use satmip::eval::report::FeatureSummary;
use satmip::eval::{
    Asked, DataSet, Description, Encoder, Evaluation, Extracted, FeatureKind, LinearConfig, Solver,
    Split, extract, read_stored, retrieval, zero_shot,
};
use satmip::{Bundle, Embedder, Error, FieldSet};

#[path = "eval/datasets.rs"]
mod datasets;

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
    extract(data, encoder, kind, &Split::ALL, &mut |_| {
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
            evaluation.few_shot(&[1, 5], 3).unwrap(),
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
        .few_shot(&[16], 2)
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
        let (code, _, said) = run(satmip()
            .current_dir(root.path())
            .args(["embed", "forest", "sea", "town", "--metadata", "chips.csv"])
            .args(["-q", "--features", "features", "-m"])
            .arg(&bundle)
            .arg("-o")
            .arg(&out));
        assert_eq!(code, 0, "{said}");
        let stored = read_stored(&data, &out, FeatureKind::Both).unwrap();
        assert_eq!(
            (stored.rows, stored.bad.len()),
            (direct.rows.clone(), 0),
            "{}",
            out.display()
        );
        for (a, b) in stored.blocks.iter().zip(&direct.blocks) {
            let most = (&a.rows - &b.rows)
                .iter()
                .fold(0.0f32, |m, d| m.max(d.abs()));
            assert!(a.name == b.name && most < 1e-5, "{} {most}", a.name);
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
        FeatureKind::Both,
        &Split::ALL,
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
    let error =
        Evaluation::new(&data, found, FeatureKind::Image, Split::Test, about()).unwrap_err();
    assert!(matches!(error, Error::EmptySplit { .. }), "{error}");
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
        FeatureKind::Image,
        &Split::ALL,
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
        FeatureKind::Both,
        &[Split::Test],
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
    let values = |report: &satmip::eval::Report| -> Vec<f64> {
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

#[test]
fn the_program_reports_for_people_and_machines() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 25);
    let path = |name: &str| root.path().join(name);
    fs::write(path("drawn.toml"), DESCRIPTION).unwrap();
    fs::write(
        path("card.md"),
        "# Card\n<!-- eval:start -->\nold\n<!-- eval:end -->\nend\n",
    )
    .unwrap();
    let (code, stdout, said) = run(satmip()
        .args(["eval", "knn", "--encoder", "raw", "-k", "5,20", "--data"])
        .arg(path("drawn.toml"))
        .args(["--confusion".as_ref(), path("confusion.svg").as_os_str()])
        .args(["--figure".as_ref(), path("k.svg").as_os_str()]));
    assert_eq!(code, 0, "{said}");
    let first: Vec<&str> = stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first[..3], ["k", "accuracy", "95"]);
    assert!(
        stdout.contains("100.00") && said.contains("45 train, 15 val, 15 test"),
        "{said}"
    );
    assert!(said.contains("note: this split leaks"), "{said}");
    for figure in ["confusion.svg", "k.svg"] {
        assert!(
            fs::read_to_string(path(figure))
                .unwrap()
                .starts_with("<svg")
        );
    }
    // A checkpoint, and the same towers with random weights.
    fixture::write_checkpoint(&path("checkpoint"), 5);
    for encoder in ["trained", "untrained"] {
        let (code, stdout, said) = run(satmip()
            .args([
                "eval",
                "linear",
                "--json",
                "--features",
                "both",
                "--encoder",
                encoder,
                "--data",
            ])
            .arg(path("drawn.toml"))
            .arg("-m")
            .arg(path("checkpoint")));
        assert_eq!(code, 0, "{said}");
        let report: satmip::eval::Report = serde_json::from_str(&stdout).unwrap();
        assert_eq!(
            (report.features.encoder.as_str(), report.features.dim),
            (encoder, 32)
        );
        assert_eq!(report.data.classes, ["forest", "sea", "town"]);
        fs::write(path(&format!("{encoder}.json")), stdout).unwrap();
    }
    // Both reports in a card.
    let (code, stdout, said) = run(satmip()
        .args(["eval", "summary", "--card"])
        .args(["card.md", "trained.json", "untrained.json"].map(path)));
    assert_eq!((code, stdout.as_str()), (0, ""), "{said}");
    let card = fs::read_to_string(path("card.md")).unwrap();
    assert_eq!(card.matches("| drawn |").count(), 2, "{card}");
    assert!(!card.contains("old") && card.ends_with("end\n"), "{card}");
    let (code, _, said) = run(satmip().args(["eval", "summary"]).arg(path("drawn.toml")));
    assert_eq!(code, 1);
    assert!(said.contains("drawn.toml` is no report"), "{said}");
    let (code, _, said) = run(satmip().args(["eval", "knn", "--data", "imagenet"]));
    assert_eq!(code, 2);
    assert!(said.contains("none of eurosat,"), "{said}");
    let (code, ..) = run(satmip()
        .args(["eval", "knn", "--encoder", "raw", "--on", "train", "--data"])
        .arg(path("drawn.toml")));
    assert_eq!(code, 2);
}
