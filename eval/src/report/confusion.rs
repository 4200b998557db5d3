//! The confusion matrix as a figure.

use super::found::Report;
use super::matrix::{Layout, share, total};
use super::words::{self, refused};
use crate::figure;
use satmip::Result;

/// Classes above which a figure would have no cell that can be seen.
const MOST: usize = 250;

/// The confusion matrix in percent of each row (truth), with the counts where there is room: 12
/// classes have both in each cell, 40 the percent, 80 the names and the total of each row, and
/// 250, the most, the colours alone. Right answers are blue, wrong ones orange.
///
/// # Errors
/// [`satmip::Error::Evaluation`] where the report has no matrix, an empty one, one that is not
/// square or does not fit the classes, or one of over 250 classes.
pub fn confusion_svg(report: &Report) -> Result<String> {
    let counts = checked(report)?;
    let layout = Layout::new(&report.data.classes, counts);
    let right: Vec<u64> = counts.iter().enumerate().map(|(i, row)| row[i]).collect();
    let right = total(&right);
    let all = total(&counts.concat());
    let (common, _) = words::common_and_names(std::slice::from_ref(report));
    let (title, about) = words::heading(common);
    let setting = report.scores.get(report.headline);
    let setting = setting.map(|score| format!(", {} = {}", score.setting, score.value));
    let below = format!(
        "{:.1} % of {} answers right{}",
        share(right, all) * 100.0,
        words::count(all),
        setting.unwrap_or_default()
    );
    let drawn = figure::svg(layout.size, |root| {
        figure::titles(root, &title, &about)?;
        layout.cells(root, counts)?;
        layout.names(root, counts)?;
        layout.key(root, &below)
    });
    drawn.map_err(|e| refused(format!("the confusion matrix cannot be drawn: {e}")))
}

/// The counts, square and of as many classes as there are names.
fn checked(report: &Report) -> Result<&[Vec<u64>]> {
    let of = &report.data.name;
    let Some(confusion) = &report.confusion else {
        return Err(refused(format!("`{of}` has no confusion matrix")));
    };
    let counts = confusion.counts.as_slice();
    let (classes, names) = (counts.len(), report.data.classes.len());
    if counts.iter().flatten().all(|count| *count == 0) {
        return Err(refused(format!("the confusion matrix of `{of}` is empty")));
    }
    if classes != names || counts.iter().any(|row| row.len() != classes) {
        return Err(refused(format!(
            "the confusion matrix of `{of}` is not of {names} times {names} classes"
        )));
    }
    if classes > MOST {
        return Err(refused(format!(
            "a confusion matrix of {classes} classes; {MOST} can be drawn"
        )));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::super::found::Confusion;
    use super::super::samples;
    use super::*;

    fn of(classes: usize) -> Report {
        let mut report = samples::knn();
        report.data.classes = (0..classes).map(|i| format!("class number {i}")).collect();
        report.confusion = Some(samples::confusion(classes));
        report
    }

    #[test]
    fn two_to_many_classes_are_sound() {
        for classes in [1, 2, 4, 10, 15, 30, 62, 100, 250] {
            let svg = confusion_svg(&of(classes)).unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(
                svg.contains("answers right") && svg.contains("truth"),
                "{classes}"
            );
            let last = format!("class number {}\n", classes - 1);
            assert_eq!(svg.contains(&last), classes <= 80, "{classes}");
            assert!(
                !svg.contains("NaN") && svg.len() < 5_000_000,
                "{}",
                svg.len()
            );
        }
    }

    #[test]
    fn cells_hold_percent_of_the_row_and_counts() {
        let mut report = of(2);
        let counts = vec![vec![1_500, 500], vec![0, 0]];
        report.confusion = Some(Confusion { counts });
        let svg = confusion_svg(&report).unwrap();
        for text in [
            "\n75.0\n",
            "\n25.0\n",
            "\n1,500\n",
            "\n2,000\n",
            "75.0 % of 2,000",
        ] {
            assert!(svg.replace('>', ">\n").contains(text), "{text}");
        }
        // Counts whose sum is beyond u64.
        report.confusion = Some(Confusion {
            counts: vec![vec![u64::MAX; 2]; 2],
        });
        confusion_svg(&report).unwrap();
        // A class without chips has no cell: two cells, two counts that are not 0.
        assert!(!svg.contains("NaN") && svg.matches("\n0.0\n").count() == 0);
    }

    #[test]
    fn names_are_escaped_and_shortened() {
        let mut report = of(2);
        report.data.classes = vec!["<script>x</script>".into(), "y".repeat(300)];
        report.data.name = "</svg>\u{0}".into();
        let svg = confusion_svg(&report).unwrap();
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
        assert_eq!(svg.matches("</svg>").count(), 1);
        assert!(!svg.contains('\u{0}') && !svg.contains(&"y".repeat(30)));
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        let reason = |report: Report| confusion_svg(&report).unwrap_err().to_string();
        let with = |counts: Vec<Vec<u64>>| Report {
            confusion: Some(Confusion { counts }),
            ..of(2)
        };
        let none = Report {
            confusion: None,
            ..of(2)
        };
        assert!(reason(none).contains("no confusion matrix"));
        assert!(reason(with(vec![])).contains("is empty"));
        assert!(reason(with(vec![vec![0, 0], vec![0, 0]])).contains("is empty"));
        assert!(reason(with(vec![vec![1, 2], vec![3]])).contains("2 times 2"));
        assert!(reason(with(vec![vec![1]])).contains("2 times 2"));
        assert!(reason(of(251)).contains("251 classes"));
    }
}
