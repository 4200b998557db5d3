//! Scores over their setting.

use super::chart::{self, Chart, Line, Point};
use super::found::{Report, Score};
use super::words::{self, refused};
use satmip::Result;

/// The headline metric over the setting, one line for each report, with its interval of 95 %, or
/// plus and minus one standard deviation, as a band. The legend names what differs between the
/// reports. The axis is logarithmic unless a value of the setting is 0 or less; settings that are
/// no numbers (`all` shots) are left out.
///
/// # Errors
/// [`satmip::Error::Evaluation`] without a report or over 12 of them; where a report has no
/// numeric setting; where settings or headlines differ; for a value that is not a number.
pub fn scores_svg(reports: &[Report]) -> Result<String> {
    let (common, names) = words::common_and_names(reports);
    let mut lines = Vec::with_capacity(reports.len());
    let mut axes: Option<(&str, &str)> = None;
    for (report, name) in reports.iter().zip(names) {
        let of = &report.data.name;
        let points: Vec<(&Score, f64)> = report
            .scores
            .iter()
            .filter_map(|score| Some((score, score.value.parse::<f64>().ok()?)))
            .collect();
        let mut line = Line {
            name,
            points: Vec::new(),
        };
        for (score, x) in points {
            let Some(headline) = score.metrics.first() else {
                continue;
            };
            words::check(headline, of)?;
            let found = (score.setting.as_str(), headline.name.as_str());
            let wanted = *axes.get_or_insert(found);
            if found != wanted {
                let ((a, b), (c, d)) = (found, wanted);
                return Err(refused(format!(
                    "`{of}` has the {b} over {a}, another report the {d} over {c}"
                )));
            }
            let spread = headline.deviation.unwrap_or(0.0);
            let around = [headline.value - spread, headline.value + spread];
            let [low, high] = headline.interval.unwrap_or(around);
            let y = headline.value;
            line.points.push(Point { x, y, low, high });
        }
        if line.points.is_empty() {
            return Err(refused(format!("`{of}` has no score over a number")));
        }
        lines.push(line);
    }
    let Some((setting, metric)) = axes else {
        return Err(refused("there is no report to draw"));
    };
    let share = if words::is_share(metric) { " (%)" } else { "" };
    let log = lines.iter().flat_map(|l| &l.points).all(|p| p.x > 0.0);
    let shown = |score: &&Score| score.value.parse::<f64>().is_ok();
    let shown = reports.iter().flat_map(|r| r.scores.iter().filter(shown));
    let (title, below) = words::heading(common);
    chart::draw(Chart {
        title,
        below,
        foot: spread_words(shown).unwrap_or_default(),
        x: axis_name(setting),
        y: &format!("{metric}{share}"),
        log,
        lines,
    })
}

/// What an axis of this setting is called.
fn axis_name(setting: &str) -> &str {
    match setting {
        "k" => "k, neighbours that vote",
        "shots" => "shots, chips of each class",
        other => other,
    }
}

/// What the bands are, where all are of one kind.
fn spread_words<'a>(scores: impl Iterator<Item = &'a Score>) -> Option<String> {
    let mut found: Option<&str> = None;
    for metric in scores.filter_map(|s| s.metrics.first()) {
        let kind = match (metric.interval, metric.deviation) {
            (Some(_), _) => "range: 95 % interval",
            (None, Some(_)) => "range: ± 1 deviation over seeds",
            (None, None) => continue,
        };
        match found {
            Some(known) if known != kind => return None,
            _ => found = Some(kind),
        }
    }
    found.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::found::Task;
    use super::super::samples;
    use super::*;

    fn sound(svg: &str) {
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    fn reason(result: Result<String>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn scores_have_ticks_bands_and_a_legend() {
        let reports = [
            samples::few_shot("trained", 41.0),
            samples::few_shot("untrained", 30.0),
        ];
        let svg = scores_svg(&reports).unwrap();
        sound(&svg);
        for text in [
            "trained",
            "untrained",
            "shots",
            "accuracy (%)",
            "\n100\n",
            "± 1 deviation",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("<polygon").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 8);
        let alone = scores_svg(&[samples::knn()]).unwrap();
        assert!(alone.contains("95 % interval") && alone.contains("satmip-nano"));
        // Log axis: 1 to 5 takes more room than 50 to 200.
        let xs: Vec<i32> = alone
            .split("cx=\"")
            .skip(1)
            .filter_map(|part| part.split('"').next()?.parse().ok())
            .collect();
        assert!(xs.len() == 5 && xs[1] - xs[0] > xs[4] - xs[3], "{xs:?}");
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(reason(scores_svg(&[])).contains("no report"));
        let mut fields = samples::knn();
        fields.scores[0].value = "gsd".into();
        fields.scores.truncate(1);
        assert!(reason(scores_svg(&[fields.clone()])).contains("no score over a number"));
        fields.scores[0].value = "NaN".into();
        assert!(reason(scores_svg(&[fields])).contains("cannot be drawn"));
        let mixed = [samples::knn(), samples::few_shot("raw", 9.0)];
        assert!(reason(scores_svg(&mixed)).contains("over shots"));
        let mut nan = samples::knn();
        nan.scores[2].metrics[0].value = f64::NAN;
        assert!(reason(scores_svg(&[nan])).contains("not a number"));
        assert!(reason(scores_svg(&vec![samples::knn(); 13])).contains("13 lines"));
    }

    #[test]
    fn one_point_and_equal_points_are_sound() {
        let mut one = samples::knn();
        one.scores.truncate(1);
        sound(&scores_svg(&[one.clone()]).unwrap());
        (one.scores[0].setting, one.scores[0].value) = ("l2".into(), "0".into());
        (
            one.scores[0].metrics[0].value,
            one.scores[0].metrics[0].interval,
        ) = (0.0, None);
        one.task = Task::Linear;
        sound(&scores_svg(&[one.clone(), one]).unwrap());
        sound(&scores_svg(&vec![samples::knn(); 12]).unwrap());
    }
}
