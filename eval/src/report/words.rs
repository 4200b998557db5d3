//! Words and numbers that table, card and figures share.

use super::found::{Metric, Report, Task};
use satmip::{Error, Result};

/// What the tasks are called in text.
pub(super) fn task(task: Task) -> &'static str {
    match task {
        Task::Knn => "kNN",
        Task::Linear => "linear",
        Task::FewShot => "few-shot",
        Task::ZeroShot => "zero-shot",
        Task::Retrieval => "retrieval",
        Task::Audit => "audit",
    }
}

/// Whether a metric is a share in percent; ranks are not.
pub(super) fn is_share(metric: &str) -> bool {
    !metric.contains("rank")
}

/// A metric as `75.2 ± 0.4` where there were seeds, as its value elsewhere.
pub(super) fn value(metric: &Metric, decimals: usize) -> String {
    match metric.deviation {
        Some(deviation) => format!("{:.1} ± {deviation:.1}", metric.value),
        None => format!("{:.decimals$}", metric.value),
    }
}

/// Bounds as `74.1 to 77.9`.
pub(super) fn interval([low, high]: [f64; 2]) -> String {
    format!("{low:.1} to {high:.1}")
}

/// A count with commas: `27,000`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An [`Error::Evaluation`].
pub(super) fn refused(reason: impl Into<String>) -> Error {
    Error::Evaluation {
        reason: reason.into(),
    }
}

/// Refuses a metric that has no number to show, or bounds that are none.
pub(super) fn check(metric: &Metric, of: &str) -> Result<()> {
    let [low, high] = metric.interval.unwrap_or([metric.value; 2]);
    let deviation = metric.deviation.unwrap_or(0.0);
    let numbers = [metric.value, low, high, deviation];
    if numbers.iter().any(|n| !n.is_finite()) {
        let name = &metric.name;
        return Err(refused(format!("the {name} of `{of}` is not a number")));
    }
    if low > high || deviation < 0.0 {
        let name = &metric.name;
        return Err(refused(format!(
            "the {name} of `{of}` has bounds the wrong way round"
        )));
    }
    Ok(())
}

/// What a report is about, one word for each thing that may tell it from others.
fn parts(report: &Report) -> [String; 7] {
    let features = &report.features;
    let kind = match features.kind.as_str() {
        "both" => "image and metadata",
        kind => kind,
    };
    [
        report.data.name.clone(),
        task(report.task).to_owned(),
        format!("{kind} features"),
        features.encoder.clone(),
        features.model.clone(),
        format!("{} split", report.data.evaluated),
        report.data.split.clone(),
    ]
}

/// What all of the reports have in common, and the name of each: what it does not share.
pub(super) fn common_and_names(reports: &[Report]) -> (Vec<String>, Vec<String>) {
    let all: Vec<[String; 7]> = reports.iter().map(parts).collect();
    let Some(first) = all.first() else {
        return (Vec::new(), Vec::new());
    };
    let same: Vec<bool> = (0..first.len())
        .map(|i| all.iter().all(|parts| parts[i] == first[i]))
        .collect();
    let pick = |parts: &[String; 7], wanted: bool| -> Vec<String> {
        let of = parts.iter().zip(&same);
        of.filter(|(part, same)| **same == wanted && !part.is_empty())
            .map(|(part, _)| part.clone())
            .collect()
    };
    let names = all.iter().map(|parts| pick(parts, false).join(", "));
    (pick(first, true), told_apart(names.collect()))
}

/// Two titles out of what reports have in common: the first two things, and the rest.
pub(super) fn heading(mut common: Vec<String>) -> (String, String) {
    let rest = common.split_off(common.len().min(2));
    (common.join(", "), rest.join(", "))
}

/// Numbers the names that occur again.
fn told_apart(names: Vec<String>) -> Vec<String> {
    let number = |i: usize| names[..=i].iter().filter(|n| **n == names[i]).count();
    let numbered = |(i, name): (usize, &String)| match number(i) {
        1 => name.clone(),
        n => format!("{name} ({n})").trim().to_owned(),
    };
    names.iter().enumerate().map(numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [count(7), count(999), count(27_000)],
            ["7", "999", "27,000"]
        );
        assert_eq!(count(1_234_567), "1,234,567");
        let mut metric = samples::metric("accuracy", 75.234);
        assert_eq!(value(&metric, 2), "75.23");
        metric.deviation = Some(0.36);
        assert_eq!(value(&metric, 2), "75.2 ± 0.4");
        assert_eq!(interval([74.12, 77.88]), "74.1 to 77.9");
        assert!(is_share("recall@1") && !is_share("median rank"));
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let good = samples::metric("accuracy", 75.0);
        check(&good, "x").unwrap();
        let mut nan = good.clone();
        nan.value = f64::NAN;
        let mut open = good.clone();
        open.interval = Some([70.0, f64::INFINITY]);
        let mut crossed = good.clone();
        crossed.interval = Some([80.0, 70.0]);
        let mut negative = good;
        negative.deviation = Some(-1.0);
        for bad in [nan, open, crossed, negative] {
            let text = check(&bad, "euro").unwrap_err().to_string();
            assert!(text.contains("accuracy of `euro`"), "{text}");
        }
    }

    #[test]
    fn reports_are_named_by_what_differs() {
        let trained = samples::knn();
        let mut untrained = samples::knn();
        untrained.features.encoder = "untrained".into();
        let (common, names) = common_and_names(&[trained.clone(), untrained]);
        assert_eq!(names, ["trained", "untrained"]);
        assert!(common.contains(&"eurosat_rgb".to_owned()) && !common.contains(&"trained".into()));
        let (_, names) = common_and_names(&[trained.clone(), trained]);
        assert_eq!(names, ["", "(2)"]);
        assert!(common_and_names(&[]).1.is_empty());
    }
}
