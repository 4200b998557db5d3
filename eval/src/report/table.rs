//! A report as a table for the terminal.

use super::found::{Metric, Report, Score};
use super::words;

/// Decimals of a value.
const DECIMALS: usize = 2;
/// What a cell without a value says.
const NONE: &str = "-";

/// A column: the setting, a metric, or the interval of that metric.
#[derive(Clone, Copy)]
enum Column<'a> {
    Setting(&'a str),
    Value(&'a str),
    Interval(&'a str),
}

/// The columns in their order: the setting, then every metric that any score has, each with its
/// interval behind it where any has one.
fn columns(report: &Report) -> Vec<Column<'_>> {
    let setting = report.scores.first().map_or("", |s| s.setting.as_str());
    let mut columns = vec![Column::Setting(setting)];
    let mut names: Vec<&str> = Vec::new();
    let all = || report.scores.iter().flat_map(|s| &s.metrics);
    for metric in all() {
        if !names.contains(&metric.name.as_str()) {
            names.push(&metric.name);
        }
    }
    for name in names {
        columns.push(Column::Value(name));
        if all().any(|m| m.name == name && m.interval.is_some()) {
            columns.push(Column::Interval(name));
        }
    }
    columns
}

/// Headings of the table of a report: `k`, `accuracy`, `95 %`, `macro F1`.
#[must_use]
pub fn headings(report: &Report) -> Vec<&str> {
    columns(report)
        .into_iter()
        .map(|column| match column {
            Column::Setting(name) | Column::Value(name) => name,
            Column::Interval(_) => "95 %",
        })
        .collect()
}

/// Rows below [`headings`], one for each score: values with two decimals, intervals as
/// `74.1 to 77.9`, means over seeds as `75.2 ± 0.4`, `-` where there is none. Cells that are no
/// plain number are padded on the left to one width, so that their decimals stand in a column.
#[must_use]
pub fn rows(report: &Report) -> Vec<Vec<String>> {
    let columns = columns(report);
    let row = |score: &Score| columns.iter().map(|c| cell(score, *c)).collect();
    let mut rows: Vec<Vec<String>> = report.scores.iter().map(row).collect();
    for c in 1..columns.len() {
        let cells = || rows.iter().map(|row| row[c].as_str());
        if cells().all(|cell| cell.parse::<f64>().is_ok()) {
            continue;
        }
        let width = cells().map(|cell| cell.chars().count()).max();
        let width = width.unwrap_or(0);
        for row in &mut rows {
            row[c] = format!("{:>width$}", row[c]);
        }
    }
    rows
}

fn cell(score: &Score, column: Column<'_>) -> String {
    let find = |name: &str| score.metrics.iter().find(|m| m.name == name);
    let bounds = |metric: &Metric| metric.interval.map(words::interval);
    let text = match column {
        Column::Setting(_) => Some(score.value.clone()),
        Column::Value(name) => find(name).map(|m| words::value(m, DECIMALS)),
        Column::Interval(name) => find(name).and_then(bounds),
    };
    text.unwrap_or_else(|| NONE.into())
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn values_have_their_interval_behind_them() {
        let report = samples::knn();
        assert_eq!(headings(&report), ["k", "accuracy", "95 %", "macro F1"]);
        let rows = rows(&report);
        assert_eq!(rows[2], ["20", "76.08", "74.2 to 77.9", "74.85"]);
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn seeds_have_their_deviation() {
        let report = samples::few_shot("trained", 9.0);
        assert_eq!(headings(&report), ["shots", "accuracy"]);
        let rows = rows(&report);
        assert_eq!(rows[0], ["1", " 9.0 ± 3.9"]);
        assert_eq!(rows[3], ["100", "36.0 ± 0.4"]);
    }

    #[test]
    fn scores_may_lack_a_metric() {
        let mut report = samples::knn();
        report.scores[1].metrics.truncate(1);
        report.scores[1].metrics[0].interval = None;
        let rows_of = rows(&report);
        assert_eq!(rows_of[1], ["5", "74.60", "           -", "    -"]);
        assert!(
            rows_of
                .iter()
                .all(|row| row.len() == headings(&report).len())
        );
        report.scores.clear();
        assert_eq!(headings(&report), [""]);
        assert!(rows(&report).is_empty());
    }
}
