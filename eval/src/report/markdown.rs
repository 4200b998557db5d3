//! Reports as a block of a model card.

use std::fmt::Write as _;

use super::found::{MOST_FREQUENT, Metric, Report, Score, Task};
use super::words::{self, refused};
use satmip::Result;

/// Decimals of a value without seeds.
const DECIMALS: usize = 1;
/// Characters of a line of text.
const WIDTH: usize = 120;

/// A table of the reports and their notes below it, in Markdown. Each score has a row with its
/// headline metric; of kNN, the headline alone. A note that every report shares
/// stands once, others name their data set.
///
/// # Errors
/// [`satmip::Error::Evaluation`] without a report, for a report without a score, a score without
/// a metric, and a value that is not a number.
pub fn card_block(reports: &[Report]) -> Result<String> {
    if reports.is_empty() {
        return Err(refused("there is no report for the card"));
    }
    let mut text = String::from(
        "| data set | split | features | encoder | task | result |\n|---|---|---|---|---|---|\n",
    );
    let first = &reports[0].features.model;
    let models = reports.iter().any(|r| r.features.model != *first);
    for report in reports {
        for cells in card_rows(report, models)? {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    let notes = notes(reports);
    if !notes.is_empty() {
        let _ = write!(text, "\n{notes}");
    }
    Ok(text)
}

fn card_rows(report: &Report, models: bool) -> Result<Vec<[String; 6]>> {
    let of = &report.data.name;
    let (data, features) = (&report.data, &report.features);
    let at = ["train", "val", "test"]
        .iter()
        .position(|s| *s == data.evaluated);
    let chips = at.map(|at| format!(" ({} chips)", words::count(data.chips[at] as u64)));
    let chips = chips.unwrap_or_default();
    let encoder = match models && !features.model.is_empty() {
        true => format!("{}, {}", features.encoder, features.model),
        false => features.encoder.clone(),
    };
    let scores: Vec<&Score> = match report.task {
        Task::Knn => report.scores.get(report.headline).into_iter().collect(),
        _ => report.scores.iter().collect(),
    };
    if scores.is_empty() {
        return Err(refused(format!("the report on `{of}` has no score")));
    }
    let row = |score: &&Score| {
        let Some(headline) = score.metrics.first() else {
            return Err(refused(format!("a score of `{of}` has no metric")));
        };
        words::check(headline, of)?;
        let task = words::task(report.task);
        Ok([
            escape(of),
            escape(&format!("{}{chips}, {}", data.evaluated, data.split)),
            escape(&format!("{}, {} wide", features.kind, features.dim)),
            escape(&encoder),
            escape(&format!("{task}, {} = {}", score.setting, score.value)),
            result(headline) + &beside(score),
        ])
    };
    scores.iter().map(row).collect()
}

/// `accuracy **76.1 %** (74.2 to 77.8)`.
fn result(metric: &Metric) -> String {
    let share = if words::is_share(&metric.name) {
        " %"
    } else {
        ""
    };
    let value = words::value(metric, DECIMALS);
    let bounds = metric.interval.map(words::interval);
    let bounds = bounds.map(|text| format!(" ({text})"));
    let seeds = match metric.seeds {
        0 | 1 => String::new(),
        seeds => format!(", {seeds} seeds"),
    };
    let bounds = bounds.unwrap_or_default();
    format!("{} **{value}{share}**{bounds}{seeds}", escape(&metric.name))
}

/// What a question about metadata is held against: `; most frequent 11.2 %`.
fn beside(score: &Score) -> String {
    let frequent = score.metrics.iter().find(|m| m.name == MOST_FREQUENT);
    let text = frequent.map(|m| format!("; {} {} %", m.name, words::value(m, DECIMALS)));
    text.unwrap_or_default()
}

fn notes(reports: &[Report]) -> String {
    let shared = |note: &String| reports.iter().all(|r| r.notes.contains(note));
    let mut lines: Vec<String> = Vec::new();
    for report in reports {
        for note in &report.notes {
            let line = match shared(note) {
                true => escape(note),
                false => escape(&format!(
                    "{}, {}: {note}",
                    report.data.name, report.data.split
                )),
            };
            if !lines.contains(&line) && !line.is_empty() {
                lines.push(line);
            }
        }
    }
    lines.iter().map(|line| item(line)).collect()
}

/// An item of a list in lines of at most [`WIDTH`] characters, where its words allow. A line begins with a letter or
/// a backslash, so that none is an item, a heading or a quotation of its own.
fn item(text: &str) -> String {
    let (mut item, mut width) = (String::from("-"), 1);
    for word in text.split(' ') {
        let letters = word.chars().count();
        let plain = word.starts_with(|c: char| c.is_alphabetic() || c == '\\');
        if width + 1 + letters > WIDTH && plain {
            item.push_str("\n  ");
            width = 2 + letters;
        } else {
            item.push(' ');
            width += 1 + letters;
        }
        item.push_str(word);
    }
    item.push('\n');
    item
}

/// Text that stays text wherever Markdown puts it: one line, no pipe that ends a cell, no tag or
/// comment, no emphasis or link, and no list or heading at its start.
fn escape(text: &str) -> String {
    let line = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line: Vec<&str> = line.filter(|word| !word.is_empty()).collect();
    let line = line.join(" ");
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let mut escaped = String::with_capacity(line.len());
    let mut before = ' ';
    let mut letters = line.chars().enumerate().peekable();
    while let Some((i, c)) = letters.next() {
        let after = letters.peek().map_or(' ', |(_, next)| *next);
        let inside_word = before.is_alphanumeric() && after.is_alphanumeric();
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            // A backslash before a pipe would be read in two ways.
            '\\' => escaped.push_str("&#92;"),
            '|' | '*' | '`' | '[' | ']' => escaped.extend(['\\', c]),
            '_' | '~' if !inside_word => escaped.extend(['\\', c]),
            '#' | '>' | '+' | '-' | '=' if i == 0 => escaped.extend(['\\', c]),
            '.' | ')' if i == digits && i > 0 && after == ' ' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_block_has_a_row_for_each_score_and_the_notes() {
        let mut other = samples::few_shot("untrained", 30.0);
        other.notes = vec![
            "12 chips could not be read".into(),
            "2 classes left out".into(),
        ];
        let block = card_block(&[samples::knn(), other]).unwrap();
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(
            lines[2],
            "| eurosat_rgb | test (3,899 chips), blocks of 1 degree | image, 256 wide | trained \
             | kNN, k = 20 | accuracy **76.1 %** (74.2 to 77.9) |"
        );
        assert!(lines[3].ends_with("| few-shot, shots = 1 | accuracy **30.0 ± 3.9 %**, 5 seeds |"));
        assert_eq!(
            lines[7..],
            [
                "",
                "- 12 chips could not be read",
                "- eurosat_rgb, blocks of 1 degree: 2 classes left out"
            ]
        );
    }

    #[test]
    fn a_question_about_metadata_is_beside_the_most_frequent_answer() {
        let mut report = samples::knn();
        report.scores[2]
            .metrics
            .push(Metric::plain(MOST_FREQUENT, 20.04));
        let block = card_block(&[report]).unwrap();
        assert!(
            block.contains("(74.2 to 77.9); most frequent 20.0 % |"),
            "{block}"
        );
    }

    #[test]
    fn names_cannot_break_the_block() {
        let mut report = samples::knn();
        report.data.name = "a|b\nc\\|<!-- eval:end -->".into();
        report.features.kind = "*_bold_* `x` [l](u)".into();
        report.notes = vec![
            "# heading\n\n- item | `".into(),
            "1. one".into(),
            "eurosat_rgb".into(),
        ];
        let block = card_block(&[report]).unwrap();
        assert_eq!(block.lines().count(), 7, "{block}");
        let row = block.lines().nth(2).unwrap();
        assert!(row.contains(r"a\|b c&#92;\|&lt;!-- eval:end -->"), "{row}");
        assert!(row.contains(r"\*\_bold\_\* \`x\` \[l\](u)"), "{row}");
        let pipes = row.replace(r"\|", "").matches('|').count();
        assert_eq!(pipes, 7);
        assert!(block.contains("- \\# heading - item \\| \\`\n- 1\\. one\n- eurosat_rgb\n"));
        super::super::replace_block("<!-- eval:start --><!-- eval:end -->", &block).unwrap();
    }

    #[test]
    fn long_notes_are_lines_of_one_item() {
        let note = format!("{} 1. - # two", ["word"; 40].join(" "));
        let text = item(&escape(&note));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("- word") && lines[1].starts_with("  word"));
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
        // What could begin something of its own stays behind a word.
        let text = item(&format!("{} - 1. # end", "x".repeat(117)));
        assert_eq!(text, format!("- {} - 1. #\n  end\n", "x".repeat(117)));
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let reason = |reports: &[Report]| card_block(reports).unwrap_err().to_string();
        assert!(reason(&[]).contains("no report"));
        let mut report = samples::knn();
        report.scores[2].metrics[0].value = f64::NAN;
        assert!(reason(&[report.clone()]).contains("not a number"));
        report.scores[2].metrics.clear();
        assert!(reason(&[report.clone()]).contains("no metric"));
        report.scores.clear();
        assert!(reason(&[report]).contains("no score"));
    }
}
