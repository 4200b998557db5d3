//! Reports for the tests of this folder.

use super::found::*;

pub(super) fn metric(name: &str, value: f64) -> Metric {
    Metric::plain(name, value)
}

pub(super) fn score(setting: &str, value: &str, metrics: Vec<Metric>) -> Score {
    Score {
        setting: setting.into(),
        value: value.into(),
        metrics,
    }
}

/// kNN on EuroSAT's ten classes with five values of k and intervals.
pub(super) fn knn() -> Report {
    let classes = [
        "AnnualCrop",
        "Forest",
        "HerbaceousVegetation",
        "Highway",
        "Industrial",
        "Pasture",
        "PermanentCrop",
        "Residential",
        "River",
        "SeaLake",
    ];
    let scores = [(1, 71.3), (5, 74.6), (20, 76.08), (50, 75.4), (200, 72.9)];
    let scores = scores.map(|(k, accuracy)| {
        let mut headline = metric("accuracy", accuracy);
        headline.interval = Some([accuracy - 1.9, accuracy + 1.8]);
        let f1 = metric("macro F1", accuracy - 1.234);
        score("k", &k.to_string(), vec![headline, f1])
    });
    Report {
        task: Task::Knn,
        data: DataSummary {
            name: "eurosat_rgb".into(),
            split: "blocks of 1 degree".into(),
            evaluated: "test".into(),
            chips: [19_202, 3_899, 3_899],
            classes: classes.map(String::from).to_vec(),
        },
        features: FeatureSummary {
            kind: "image".into(),
            encoder: "trained".into(),
            model: "satmip-nano".into(),
            dim: 256,
        },
        scores: scores.to_vec(),
        headline: 2,
        confusion: Some(confusion(10)),
        notes: vec!["12 chips could not be read".into()],
    }
}

/// A few-shot report with seeds.
pub(super) fn few_shot(encoder: &str, base: f64) -> Report {
    let shots = [
        (1, 0.0, 3.9),
        (5, 14.0, 1.6),
        (10, 20.5, 0.9),
        (100, 27.0, 0.4),
    ];
    let scores = shots.map(|(shots, gain, deviation)| {
        let mut accuracy = metric("accuracy", base + gain);
        (accuracy.deviation, accuracy.seeds) = (Some(deviation), 5);
        score("shots", &shots.to_string(), vec![accuracy])
    });
    let mut report = knn();
    report.task = Task::FewShot;
    report.features.encoder = encoder.into();
    report.scores = scores.to_vec();
    report.confusion = None;
    report
}

/// Counts with a strong diagonal, the same on every run.
pub(super) fn confusion(classes: usize) -> Confusion {
    let count = |truth: usize, answer: usize| {
        let mixed = (truth * 31 + answer * 17 + truth * answer * 7) % 23;
        match truth == answer {
            true => 250 + 13 * mixed as u64,
            false if truth.abs_diff(answer) <= 2 => 3 * mixed as u64,
            false => u64::from(mixed < 4) * mixed as u64,
        }
    };
    let row = |truth| (0..classes).map(|answer| count(truth, answer)).collect();
    Confusion {
        counts: (0..classes).map(row).collect(),
    }
}
