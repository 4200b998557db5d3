//! `satmip eval audit`: false values told from true ones.

use super::*;
use ndarray::Array2;
use satmip::bundle::AuditEvidence;
use satmip::{Embeddings, Field, Metadata};
use satmip_eval::{AuditConfig, AuditSide, Block, Report, audit};

struct Asked {
    root: tempfile::TempDir,
    data: DataSet,
    model: Embedder,
    found: Extracted,
}

fn asked() -> Asked {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 25);
    let bundle = root.path().join("model");
    write_bundle(&bundle, 3, true);
    let model = Embedder::from_bundle(Bundle::open(&bundle).unwrap(), Default::default()).unwrap();
    let data = open(root.path(), DESCRIPTION).unwrap();
    let wanted = Extraction {
        splits: vec![Split::Test],
        ..Extraction::of(FeatureKind::Image)
    };
    let found = extract(&data, Encoder::Embeds(&model), &wanted, &mut |_| {
        ControlFlow::Continue(())
    });
    Asked {
        found: found.unwrap(),
        root,
        data,
        model,
    }
}

fn ask(asked: &Asked, extracted: &Extracted, fields: &[Field]) -> satmip::Result<Report> {
    let side = AuditSide {
        model: &asked.model,
        extracted,
    };
    let wanted = AuditConfig {
        fields: FieldSet::of(fields),
        chips: usize::MAX,
        draws: 3,
        seed: 0,
    };
    let about = FeatureSummary {
        encoder: "trained".into(),
        model: "tiny".into(),
        ..about()
    };
    audit(&asked.data, side, Some(side), &wanted, Split::Test, about)
}

fn metric(report: &Report, row: &str, name: &str) -> f64 {
    let score = report.scores.iter().find(|s| s.value == row).unwrap();
    let metric = score.metrics.iter().find(|m| m.name == name).unwrap();
    if let Some([low, high]) = metric.interval {
        assert!(low <= metric.value && metric.value <= high, "{metric:?}");
    }
    metric.value
}

/// The other of the two gsds of the set.
fn false_gsd(asked: &Asked, record: &Metadata) -> Metadata {
    let mut others = asked.found.records.iter();
    let other = others.find(|r| r.gsd() != record.gsd()).unwrap();
    let mut made = record.clone();
    made.set_text(Field::Gsd, &other.text(Field::Gsd).unwrap())
        .unwrap();
    made
}

/// The chips with these rows in place of what the model made of their pictures.
fn planted(asked: &Asked, rows: Array2<f32>) -> Extracted {
    Extracted {
        blocks: vec![Block {
            name: "image",
            rows,
        }],
        rows: asked.found.rows.clone(),
        records: asked.found.records.clone(),
        bad: Vec::new(),
    }
}

#[test]
fn an_audit_of_a_field_is_that_of_the_embedder() {
    let asked = asked();
    let report = ask(&asked, &asked.found, &[Field::Gsd]).unwrap();
    // The set has two gsds, so that every draw gives the other one.
    let truth = &asked.found.records;
    let made: Vec<Metadata> = truth.iter().map(|r| false_gsd(&asked, r)).collect();
    let images = Embeddings::new(asked.found.blocks[0].rows.clone()).unwrap();
    let shown = |records: &[Metadata]| -> Vec<(f32, f32)> {
        let records: Vec<_> = records.iter().cloned().map(Some).collect();
        let pairs = asked.model.pairs_of(images.clone(), &records).unwrap();
        let rows = asked.model.audit(&pairs).unwrap();
        rows.iter()
            .map(|row| {
                let fit = row.fields.iter().find(|f| f.field == Field::Gsd).unwrap();
                (-fit.gain_without, row.similarity)
            })
            .collect()
    };
    let (truth, made) = (shown(truth), shown(&made));
    let by_hand = |of: fn(&(f32, f32)) -> f32| {
        let pairs = truth
            .iter()
            .flat_map(|t| made.iter().map(move |f| (of(t), of(f))));
        let won =
            pairs.map(|(t, f)| f64::from(u8::from(t > f)) + 0.5 * f64::from(u8::from(t == f)));
        100.0 * won.sum::<f64>() / (truth.len() * made.len()) as f64
    };
    // A pair that is equal to the last digit may be so in one batch and not in another.
    let near = |a: f64, b: f64| (a - b).abs() < 0.5;
    assert!(near(metric(&report, "gsd", "AUC"), by_hand(|s| s.0)));
    assert!(near(
        metric(&report, "gsd", "AUC, cosine"),
        by_hand(|s| s.1)
    ));
    assert_eq!(
        metric(&report, "gsd", "AUC"),
        metric(&report, "gsd", "AUC, untrained"),
        "the same model on both sides"
    );
    assert_eq!(metric(&report, "gsd", "chips"), 15.0);
    assert_eq!(report.headline, 1);
    assert_eq!(report, ask(&asked, &asked.found, &[Field::Gsd]).unwrap());
}

#[test]
fn pictures_that_are_their_records_find_all_and_their_opposites_none() {
    let asked = asked();
    let embed = |records: &[Metadata]| asked.model.embed_metadata(records).unwrap().into_array();
    let truth = embed(&asked.found.records);
    let all = planted(&asked, truth.clone());
    let report = ask(
        &asked,
        &all,
        &[Field::Gsd, Field::Location, Field::CountryCode],
    )
    .unwrap();
    for row in ["gsd", "location", "country_code", "all fields"] {
        assert_eq!(metric(&report, row, "AUC, cosine"), 100.0, "{row}");
    }
    // A donor may be the nearest of the others, and as first as the own record.
    assert!(metric(&report, "all fields", "AUC") > 90.0);
    let made: Vec<Metadata> = asked
        .found
        .records
        .iter()
        .map(|r| false_gsd(&asked, r))
        .collect();
    let none = planted(&asked, embed(&made));
    let report = ask(&asked, &none, &[Field::Gsd]).unwrap();
    assert_eq!(metric(&report, "gsd", "AUC, cosine"), 0.0);
    // What is opposite to its own record ranks it last, and any other before it.
    let opposite = planted(&asked, -truth);
    let report = ask(&asked, &opposite, &[Field::Gsd]).unwrap();
    assert_eq!(metric(&report, "all fields", "AUC"), 0.0);
}

#[test]
fn pictures_that_say_nothing_are_at_chance() {
    let asked = asked();
    // All pictures are one, and each of the two gsds has as many chips: true and false scores are the same ones.
    let mut records = Vec::new();
    for i in 0..asked.found.rows.len() {
        let gsd = [3.0, 10.0][i % 2];
        records.push(Metadata::new().with_gsd(gsd).unwrap());
    }
    records.pop();
    let rows = Array2::from_shape_fn((records.len(), 8), |(_, j)| {
        [0.6, 0.8, 0.0, 0.0][j % 4] / 2f32.sqrt()
    });
    let extracted = Extracted {
        rows: asked.found.rows[..records.len()].to_vec(),
        records,
        ..planted(&asked, rows)
    };
    let report = ask(&asked, &extracted, &[Field::Gsd, Field::Timestamp]).unwrap();
    assert_eq!(metric(&report, "gsd", "AUC"), 50.0);
    assert_eq!(metric(&report, "gsd", "AUC, cosine"), 50.0);
    assert_eq!(report.scores.len(), 2);
    assert!(
        report
            .notes
            .iter()
            .any(|n| n == "timestamp was not asked about: no chip has it"),
        "{:?}",
        report.notes
    );
    let error = ask(&asked, &extracted, &[Field::OffNadirAngle]).unwrap_err();
    assert!(error.to_string().contains("off_nadir_angle"), "{error}");
    let error = ask(&asked, &extracted, &[Field::Timestamp]);
    // The whole records still differ.
    assert_eq!(error.unwrap().scores.len(), 1);
}

#[test]
fn the_program_tells_people_machines_and_bundles() {
    let asked = asked();
    let path = |name: &str| asked.root.path().join(name);
    fs::write(path("drawn.toml"), DESCRIPTION).unwrap();
    let eval = |more: &[&str]| {
        run(satmip()
            .args(["eval", "audit", "--data"])
            .arg(path("drawn.toml"))
            .arg("-m")
            .arg(path("model"))
            .args(more))
    };
    let (code, _, said) = eval(&["--chips", "7", "--draws", "1"]);
    assert!(
        code == 0 && said.contains("7 of the 15 `test` chips were drawn"),
        "{said}"
    );
    let (code, stdout, said) = eval(&[]);
    assert_eq!(code, 0, "{said}");
    let first: Vec<&str> = stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first[..2], ["swapped", "AUC"]);
    for row in ["gsd ", "location ", "country_code ", "all fields "] {
        assert!(stdout.lines().any(|line| line.starts_with(row)), "{stdout}");
    }
    assert!(said.contains("timestamp was not asked about"), "{said}");
    // Nothing is known yet to an audit of pictures.
    let audit = || {
        run(satmip()
            .current_dir(asked.root.path())
            .args(["audit", "forest", "sea"])
            .args(["--metadata", "chips.csv", "-m", "model"]))
    };
    let (code, _, said) = audit();
    assert!(code == 0 || code == 3, "{said}");
    assert!(
        said.contains("was not measured: gsd, location, country_code"),
        "{said}"
    );
    // The figures go into the bundle, those of one set once.
    for _ in 0..2 {
        let (code, stdout, said) = eval(&["--json", "--write-bundle", "--field", "gsd,location"]);
        assert_eq!(code, 0, "{said}");
        let report: Report = serde_json::from_str(&stdout).unwrap();
        let bundle = Bundle::open(path("model")).unwrap();
        let manifest = bundle.manifest();
        let keys: Vec<&str> = manifest.audit.keys().map(String::as_str).collect();
        assert_eq!(keys, ["all fields", "gsd", "location"]);
        let [figure] = &manifest.audit["gsd"][..] else {
            panic!("{:?}", manifest.audit)
        };
        assert!((100.0 * figure.auc - metric(&report, "gsd", "AUC")).abs() < 0.006);
        assert_eq!(
            (figure.data.as_str(), figure.chips),
            ("drawn, test (given split)", 15)
        );
        assert_eq!(
            manifest.audit_evidence(Field::CountryCode),
            AuditEvidence::Unmeasured
        );
        let evidence = manifest.audit_evidence(Field::Gsd);
        assert_eq!(evidence == AuditEvidence::Found, figure.finds());
    }
    let (_, _, said) = audit();
    assert!(said.contains("was not measured: country_code"), "{said}");
    let card = Bundle::open(path("model")).unwrap();
    let again = satmip::export::Checkpoint::of_bundle(&card).unwrap();
    let again = again
        .named("again")
        .export(satmip::export::Precision::F32)
        .unwrap();
    let again = again.in_memory("again").unwrap();
    assert_eq!(again.manifest().audit, card.manifest().audit);
    let (code, _, said) = run(satmip()
        .args([
            "eval",
            "audit",
            "--write-bundle",
            "-m",
            "satmip-lite",
            "--data",
        ])
        .arg(path("drawn.toml")));
    assert!(
        code == 2 && said.contains("no folder of a bundle"),
        "{code} {said}"
    );
}
