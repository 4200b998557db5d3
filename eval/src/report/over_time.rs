//! Accuracy over training time.

use super::chart::{self, Chart, Line, Point};
use super::words::refused;
use satmip::Result;

/// From so many minutes on, the time axis is in hours.
const HOURS_FROM: f64 = 600.0;

/// A named curve of [`over_time_svg`].
#[derive(Debug, Clone, PartialEq)]
pub struct TimeCurve {
    /// What the legend calls it.
    pub name: String,
    /// Its points, in any order.
    pub points: Vec<TimePoint>,
}

/// A point of a [`TimeCurve`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimePoint {
    /// Training time in minutes, from 0 on.
    pub minutes: f64,
    /// Accuracy in percent.
    pub accuracy: f64,
    /// Standard deviation over seeds, in percent.
    pub deviation: Option<f64>,
}

/// Accuracy over training time, one curve for each name, with a band of plus and minus one
/// standard deviation where there is one. `title` says what was trained, `below` on what it was
/// measured. The axis is in hours from 600 minutes on.
///
/// # Errors
/// [`satmip::Error::Evaluation`] without a point or over 12 curves; for a curve without points;
/// for a number that is not finite, a negative time or a negative deviation.
pub fn over_time_svg(title: &str, below: &str, curves: &[TimeCurve]) -> Result<String> {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let last = all().map(|p| p.minutes).fold(0.0, f64::max);
    let (unit, minutes) = match last >= HOURS_FROM {
        true => ("hours", 60.0),
        false => ("minutes", 1.0),
    };
    let mut lines = Vec::with_capacity(curves.len());
    for curve in curves {
        let name = &curve.name;
        if curve.points.is_empty() {
            return Err(refused(format!("the curve `{name}` has no point")));
        }
        let mut points = Vec::with_capacity(curve.points.len());
        for p in &curve.points {
            let spread = p.deviation.unwrap_or(0.0);
            // Written so that NaN fails too.
            if !(p.minutes >= 0.0 && spread >= 0.0 && p.accuracy.is_finite()) {
                return Err(refused(format!(
                    "the curve `{name}` has a point that cannot be drawn: {p:?}"
                )));
            }
            points.push(Point {
                x: p.minutes / minutes,
                y: p.accuracy,
                low: p.accuracy - spread,
                high: p.accuracy + spread,
            });
        }
        let name = name.clone();
        lines.push(Line { name, points });
    }
    chart::draw(Chart {
        title: title.to_owned(),
        below: below.to_owned(),
        foot: String::new(),
        x: &format!("training time ({unit})"),
        y: "accuracy (%)",
        log: false,
        lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(svg: &str) {
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    fn reason(result: Result<String>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn names_are_escaped() {
        let curve = TimeCurve {
            name: "<script>alert(1)</script>\u{1}\"&".into(),
            points: vec![TimePoint {
                minutes: 3.0,
                accuracy: 50.0,
                deviation: None,
            }],
        };
        let svg = over_time_svg("a<b>", "</svg>", &[curve]).unwrap();
        sound(&svg);
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
        assert!(!svg.contains('\u{1}') && svg.matches("</svg>").count() == 1);
    }

    #[test]
    fn time_is_in_minutes_or_hours() {
        let curve = |minutes: f64, accuracy: f64, deviation| TimeCurve {
            name: "SatMIPS".into(),
            points: vec![
                TimePoint {
                    minutes: 0.0,
                    accuracy: 10.0,
                    deviation: None,
                },
                TimePoint {
                    minutes,
                    accuracy,
                    deviation,
                },
            ],
        };
        let draw = |curve: TimeCurve| over_time_svg("t", "b", &[curve]);
        let minutes = draw(curve(58.0, 76.2, Some(0.4))).unwrap();
        assert!(minutes.contains("(minutes)") && minutes.contains("<polygon"));
        assert!(draw(curve(900.0, 76.2, None)).unwrap().contains("(hours)"));
        for bad in [
            curve(f64::NAN, 1.0, None),
            curve(-1.0, 1.0, None),
            curve(1.0, f64::INFINITY, None),
            curve(1.0, 1.0, Some(-1.0)),
            curve(1.0, 1e300, None),
            curve(1.0, 1.0, Some(f64::NAN)),
        ] {
            assert!(reason(draw(bad)).contains("cannot be drawn"));
        }
        let none = TimeCurve {
            name: "empty".into(),
            points: vec![],
        };
        assert!(reason(draw(none)).contains("`empty` has no point"));
        assert!(reason(over_time_svg("t", "b", &[])).contains("no point"));
    }
}
