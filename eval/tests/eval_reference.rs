//! Measures and probes give what NumPy and scikit-learn give. `eval/tests/reference/make_eval.py` made the data.

use std::path::Path;

use ndarray::{Array2, Axis};
use satmip_eval::probe::{
    Confusion, Knn, LabelKnn, Logistic, Standardise, average_precision, mean_average_precision,
};
use serde_json::Value;

const DATA: &str = "tests/data/eval";
const CLASSES: usize = 4;
const LABELS: usize = 3;

/// A split of `rows.csv`.
struct Rows {
    features: Array2<f32>,
    classes: Vec<usize>,
    labels: Array2<bool>,
}

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(DATA);
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn expected() -> Value {
    serde_json::from_str(&text("expected.json")).unwrap()
}

fn rows(split: &str) -> Rows {
    let text = text("rows.csv");
    let lines = text.lines().filter_map(|line| line.strip_prefix(split));
    let values: Vec<Vec<i32>> = lines
        .map(|line| line[1..].split(',').map(|v| v.parse().unwrap()).collect())
        .collect();
    let dim = values[0].len() - 1 - LABELS;
    let at = |(row, column): (usize, usize)| values[row][1 + LABELS + column] as f32 / 16.0;
    Rows {
        features: Array2::from_shape_fn((values.len(), dim), at),
        classes: values.iter().map(|v| v[0] as usize).collect(),
        labels: Array2::from_shape_fn((values.len(), LABELS), |(row, label)| {
            values[row][1 + label] == 1
        }),
    }
}

/// Both splits' features, standardised by the training rows.
fn standardised(train: &Rows, test: &Rows) -> (Array2<f32>, Array2<f32>) {
    let of = Standardise::fit(train.features.view()).unwrap();
    let apply = |rows: &Rows| of.apply(rows.features.view()).unwrap();
    (apply(train), apply(test))
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn indices(value: &Value) -> Vec<usize> {
    numbers(value).iter().map(|v| *v as usize).collect()
}

fn close<'a>(what: &str, found: impl IntoIterator<Item = &'a f64>, expected: &Value, within: f64) {
    let (found, expected): (Vec<_>, _) = (found.into_iter().collect(), numbers(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.into_iter().zip(expected) {
        let far = (found - expected).abs();
        assert!(far <= within, "{what}: {found}, expected {expected}");
    }
}

#[test]
fn every_item_of_knn_is_numpys() {
    let (train, test, expected) = (rows("train"), rows("test"), expected());
    let ks = [1, 10, 20, 200, 1000];
    let knn = Knn::new(train.features.view(), &train.classes, CLASSES).unwrap();
    let classes = knn.predict(test.features.view(), &ks).unwrap();
    let labels = LabelKnn::new(train.features.view(), train.labels.view()).unwrap();
    let labels = labels.scores(test.features.view(), &ks).unwrap();
    for (i, k) in ks.iter().enumerate() {
        let expected = &expected["knn"][k.to_string()];
        assert_eq!(classes[i], indices(&expected["classes"]), "k {k}");
        let found = mean_average_precision(labels[i].view(), test.labels.view()).unwrap();
        let expected = &expected["mean_average_precision"];
        close(&format!("k {k}"), [&found.mean], expected, 1e-12);
    }
}

#[test]
fn logistic_regression_is_scikit_learns() {
    let (train, test, expected) = (rows("train"), rows("test"), expected());
    let (a, b) = standardised(&train, &test);
    for (c, expected) in expected["logistic"].as_object().unwrap() {
        let logistic = Logistic {
            c: c.parse().unwrap(),
            tolerance: 1e-8,
            max_iterations: 10_000,
        };
        let fit = logistic.fit(a.view(), &train.classes, CLASSES).unwrap();
        assert!(fit.converged, "C {c}: {fit:?}");
        let what = format!("C {c}");
        close(&what, &fit.model.weights, &expected["weights"], 1e-4);
        close(&what, &fit.model.bias, &expected["bias"], 1e-4);
        let predicted = fit.model.predict(b.view()).unwrap();
        assert_eq!(predicted, indices(&expected["classes"]), "{what}");
    }
}

#[test]
fn two_classes_are_one_sigmoid() {
    let (train, test, expected) = (rows("train"), rows("test"), expected());
    let (a, b) = standardised(&train, &test);
    let two: Vec<usize> = (0..a.nrows()).filter(|r| train.classes[*r] < 2).collect();
    let classes: Vec<usize> = two.iter().map(|row| train.classes[*row]).collect();
    let logistic = Logistic {
        c: 0.3,
        tolerance: 1e-8,
        ..Logistic::default()
    };
    let fit = logistic.fit(a.select(Axis(0), &two).view(), &classes, 2);
    let model = fit.unwrap().model;
    let expected = &expected["two"];
    close("two", model.weights.row(1), &expected["weights"], 1e-4);
    close("two", [&model.bias[1]], &expected["bias"], 1e-4);
    let predicted = model.predict(b.view()).unwrap();
    assert_eq!(predicted, indices(&expected["classes"]));
}

#[test]
fn labels_and_their_average_precision_are_scikit_learns() {
    let (train, test, expected) = (rows("train"), rows("test"), expected());
    let (a, b) = standardised(&train, &test);
    let logistic = Logistic {
        c: 0.3,
        tolerance: 1e-8,
        ..Logistic::default()
    };
    let fit = logistic.fit_labels(a.view(), train.labels.view());
    let model = fit.unwrap().model;
    close(
        "labels",
        &model.weights,
        &expected["labels"]["weights"],
        1e-4,
    );
    close("labels", &model.bias, &expected["labels"]["bias"], 1e-4);
    let coarse = model.scores(b.view()).unwrap().mapv(f64::round_ties_even);
    let expected = &expected["average_precision"];
    let each: Vec<f64> = (0..LABELS)
        .map(|label| {
            let (scores, truth) = (coarse.column(label), test.labels.column(label));
            average_precision(&scores.to_vec(), &truth.to_vec())
                .unwrap()
                .unwrap()
        })
        .collect();
    close("average precision", &each, &expected["coarse"], 1e-12);
    let mean = mean_average_precision(coarse.view(), test.labels.view()).unwrap();
    close("mean", [&mean.mean], &expected["mean"], 1e-12);
}

#[test]
fn measures_are_scikit_learns() {
    let (truth, expected) = (rows("test").classes, expected());
    let predicted = indices(&expected["logistic"]["0.001"]["classes"]);
    let found = Confusion::new(&truth, &predicted, CLASSES).unwrap();
    let expected = &expected["measures"];
    close(
        "accuracy",
        [&found.accuracy()],
        &expected["accuracy"],
        1e-12,
    );
    close("F1", [&found.macro_f1()], &expected["macro_f1"], 1e-12);
    let counts: Vec<usize> = found.counts().iter().map(|c| *c as usize).collect();
    assert_eq!(counts, indices(&expected["confusion"]));
    let truth: Vec<usize> = truth.iter().map(|class| (*class).min(2)).collect();
    let other = |class: &usize| if *class == 3 { 4 } else { *class };
    let predicted: Vec<usize> = predicted.iter().map(other).collect();
    let found = Confusion::new(&truth, &predicted, 6).unwrap();
    close(
        "F1",
        [&found.macro_f1()],
        &expected["macro_f1_of_six"],
        1e-12,
    );
}

#[test]
fn standardised_rows_are_scikit_learns() {
    let (train, test, expected) = (rows("train"), rows("test"), expected());
    let (mean, deviation) = (numbers(&expected["mean"]), numbers(&expected["deviation"]));
    let (_, found) = standardised(&train, &test);
    for ((row, column), value) in found.indexed_iter() {
        let raw = f64::from(test.features[[row, column]]);
        let expected = (raw - mean[column]) / deviation[column];
        assert!((f64::from(*value) - expected).abs() < 1e-6);
    }
}
