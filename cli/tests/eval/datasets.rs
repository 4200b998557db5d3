//! Descriptions, splits and labels.

use super::*;
use satmip_eval::DESCRIPTIONS;

fn refused(root: &Path, text: &str, part: &str) {
    let error = open(root, text).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

fn table(root: &Path, change: impl Fn(&str) -> String) {
    let path = root.join("chips.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(&text)).unwrap();
}

#[test]
fn the_descriptions_that_come_along_are_sound() {
    for (name, text) in DESCRIPTIONS {
        let description = Description::parse(text, name).unwrap();
        assert_eq!(description.name, name);
        assert!(!description.about.is_empty() && !description.licence.is_empty());
    }
    let folder = crate::fixture::root().join("eval/datasets");
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "toml"));
    assert_eq!(files.count(), DESCRIPTIONS.len());
}

#[test]
fn folders_of_classes_are_a_data_set() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    let text = "name = \"drawn\"\nsource = { classes = \".\" }\nsplit = { kind = \"random\", val = 0.1, test = 0.2 }\n";
    let data = open(root.path(), text).unwrap();
    let counts = Split::ALL.map(|split| data.rows(split).len());
    assert_eq!((data.len(), counts), (30, [21, 3, 6]));
    assert_eq!(data.classes(), ["forest", "sea", "town"]);
    assert_eq!((data.id(0), data.labels(0)), ("forest/000.png", &[0][..]));
    assert!(data.metadata(0).is_empty());
    // A table beside them tells where and when.
    let with = text.replace("\".\" }", "\".\", table = \"chips.csv\" }");
    let data = open(root.path(), &with).unwrap();
    assert!(data.metadata(29).location().is_some() && data.len() == 30);

    // Each split in a folder of its own, whose pictures may have the same names.
    let parted = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        write_set(&parted.path().join(split), 5);
    }
    let text = "name = \"parted\"\nsource = { classes = \"{split}\" }\n";
    let data = open(parted.path(), text).unwrap();
    assert_eq!(Split::ALL.map(|split| data.rows(split).len()), [15, 0, 15]);
    assert_eq!(data.id(0), "train/forest/000.png");
}

#[test]
fn labels_may_be_named_and_several() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 25);
    table(root.path(), |text| {
        text.replace(",town,", ",1; 2,")
            .replace(",sea,", ",1,")
            .replace(",forest,", ",2,")
    });
    let text = format!("{DESCRIPTION}[labels]\nseparator = \";\"\nnames = {{ 1 = \"wet\" }}\n");
    let data = open(root.path(), &text).unwrap();
    assert_eq!(data.classes(), ["2", "wet"]);
    assert!(data.is_multi_label());
    assert_eq!((data.labels(0), data.labels(74)), (&[0][..], &[0, 1][..]));
    let evaluation = evaluation(&data, FeatureKind::Image);
    for report in [
        evaluation.knn(&[5]).unwrap(),
        evaluation.linear(&LinearConfig::default()).unwrap(),
    ] {
        let metric = &report.scores[0].metrics[0];
        assert_eq!(
            (metric.name.as_str(), metric.value),
            ("mAP", 100.0),
            "{:?}",
            report.task
        );
    }
    assert!(evaluation.few_shot(&[1], 0, 1).is_err());
}

#[test]
fn chips_of_other_splits_and_without_labels_are_counted() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    table(root.path(), |text| {
        text.replacen(",sea,train,", ",sea,Train,", 2)
            .replacen(",town,train,", ",,train,", 1)
    });
    let data = open(root.path(), DESCRIPTION).unwrap();
    assert_eq!(Split::ALL.map(|split| data.rows(split).len()), [15, 6, 6]);
    let notes = data.notes(Split::Test).join("; ");
    for part in ["2 chips of the split `Train`", "1 chips without a label"] {
        assert!(notes.contains(part), "{notes}");
    }
    let description = Description::parse(DESCRIPTION, "test").unwrap();
    let data = DataSet::open_unlabelled(&description, root.path()).unwrap();
    assert_eq!(data.len(), 28);
    let bare = (0..data.len()).filter(|row| data.labels(*row).is_empty());
    assert_eq!(bare.count(), 1);
}

#[test]
fn a_broken_chip_is_named_and_costs_no_other() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    fs::copy(
        root.path().join("sea/000.png"),
        root.path().join("sea/extra.png"),
    )
    .unwrap();
    let text = "name = \"drawn\"\nsource = { classes = \".\", table = \"chips.csv\" }\n";
    let data = open(root.path(), text).unwrap();
    assert_eq!(Split::ALL.map(|split| data.rows(split).len()), [18, 6, 6]);
    let found = features(&data, Encoder::Raw(fields()), FeatureKind::Image);
    assert_eq!((found.rows.len(), found.bad.len()), (30, 1));
    let evaluation = Evaluation::new(&data, found, FeatureKind::Image, Split::Test, about());
    let notes = evaluation.unwrap().knn(&[5]).unwrap().notes.join("; ");
    for part in ["1 of 31 chips", "`sea/extra.png`", "no row"] {
        assert!(notes.contains(part), "{notes}");
    }
    // Nothing but broken chips.
    fs::write(
        root.path().join("empty.csv"),
        "file,split\nsea/000.png,train\n",
    )
    .unwrap();
    for class in ["sea", "town", "forest"] {
        for i in 0..10 {
            let _ = fs::remove_file(root.path().join(format!("{class}/{i:03}.png")));
        }
    }
    fs::write(root.path().join("sea/000.png"), "").unwrap();
    let text = text.replace("chips.csv", "empty.csv");
    refused(root.path(), &text, "no chip of the split `test`");
}

#[test]
fn what_cannot_be_evaluated_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10);
    let whole = fs::read_to_string(root.path().join("chips.csv")).unwrap();
    let with = |change: &dyn Fn(&str) -> String, part: &str| {
        fs::write(root.path().join("chips.csv"), change(&whole)).unwrap();
        refused(root.path(), DESCRIPTION, part);
    };
    with(
        &|t| t.replacen("000.png,forest", "000.png,froest", 1),
        "`froest` occurs once, at `forest/000.png`",
    );
    with(
        &|t| {
            t.replace("4.png,sea,", "4.png,lake,")
                .replace("9.png,sea,", "9.png,lake,")
        },
        "the class `lake`",
    );
    with(
        &|t| t.replace(",test,", ",val,"),
        "`drawn` has no chip of the split `test`",
    );
    with(
        &|t| t.replace(",train,", ",learn,"),
        "no chip of the split `train`",
    );
    with(&|t| t.replacen("file,", "number,", 1), "file");
    with(
        &|t| t.replacen("sea/001.png", "sea/000.png", 1),
        "`sea/000.png` occurs twice",
    );
    with(
        &|t| {
            t.replace(",val,", ",dev,")
                .replace(",train,", ",learn,")
                .replace(",test,", ",dev,")
        },
        "no chip of the split `train`, only of `dev`, `learn`",
    );
    with(
        &|t| t.replace(",sea,", ",town,").replace(",forest,", ",town,"),
        "all chips are of the class `town`",
    );
    // Without labels there is nothing to tell apart.
    with(&|t| t.replacen("label", "colour", 1), "no chip has a label");
    fs::write(root.path().join("chips.csv"), &whole).unwrap();
    refused(
        root.path(),
        "name = \"a\"\nsource = { classes = \"none\" }\n",
        "none",
    );
    let lists = "split = { kind = \"lists\", train = \"a.txt\", test = \"b.txt\" }";
    refused(root.path(), &format!("{DESCRIPTION}{lists}\n"), "a.txt");
}
