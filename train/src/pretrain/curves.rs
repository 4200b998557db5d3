//! Curves of a training run, or of several, as one SVG.

use std::fs;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Progress;
use satmip::{Error, Result};
use satmip_eval::figure::{self, Area, COLOURS, Drawn, GRID, INK, Key};
use satmip_eval::report::{TimeCurve, TimePoint, over_time_svg};

/// Points of a curve in the figure; of more, each is the mean of its neighbours (our choice).
const POINTS: usize = 400;
/// Curves of at most so many points show them as dots too.
const DOTS: usize = 40;
/// Width and height of a panel, and of the title, in pixels.
const PANEL: (i32, i32) = (460, 260);
const TITLE: i32 = 36;
/// What a panel shows of a line.
type Quantity = fn(&Progress) -> Option<f64>;

const TOTAL: Quantity = |p| Some(p.loss);
const SIMCLR: Quantity = |p| p.simclr;
const SATMIP: Quantity = |p| p.satmip;
const OTHERS: [(&str, Quantity); 4] = [
    ("kNN accuracy on the validation split (%)", |p| p.knn),
    ("learning rate", |p| Some(p.learning_rate)),
    ("gradient norm before clipping", |p| Some(p.gradient_norm)),
    ("1 / temperature of SatMIP", |p| {
        p.satmip.map(|_| p.logit_scale)
    }),
];

/// Reads a run's `metrics.jsonl`. A last line that a crash cut off is left out; where a run went
/// on from an earlier step, what it did again takes the place of what it had done.
///
/// # Errors
/// Where the file cannot be read, and for a line that is none of ours, with its number.
pub fn read_metrics(path: &Path) -> Result<Vec<Progress>> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let whole = text.ends_with('\n');
    let count = text.lines().count();
    let mut lines: Vec<Progress> = Vec::with_capacity(count);
    for (i, line) in text.lines().enumerate() {
        match serde_json::from_str::<Progress>(line) {
            Ok(progress) => {
                let kept = lines.partition_point(|p| p.step < progress.step);
                lines.truncate(kept);
                lines.push(progress);
            }
            Err(_) if i + 1 == count && !whole => {}
            Err(error) => {
                return Err(Error::Training {
                    reason: format!("`{}`, line {}: no step of a run", path.display(), i + 1),
                    source: Some(error.into()),
                });
            }
        }
    }
    Ok(lines)
}

/// The curves of one run: loss and its parts, kNN, learning rate, gradient norm and temperature.
/// Panels without a point are left out.
///
/// # Errors
/// [`Error::Training`] where the figure cannot be drawn.
pub fn curves_svg(lines: &[Progress]) -> Result<String> {
    let parts = [("loss", TOTAL), ("SimCLR", SIMCLR), ("SatMIP", SATMIP)];
    let loss = parts.iter().zip(COLOURS).map(|((name, of), colour)| Curve {
        name: (*name).to_owned(),
        colour,
        points: points(lines, *of),
    });
    let mut curves: Vec<Curve> = loss.filter(|c| !c.points.is_empty()).collect();
    // A loss with one part is that part.
    if curves.len() == 2 {
        curves.truncate(1);
    }
    let mut panels = vec![Panel {
        title: "loss",
        curves,
    }];
    panels.extend(OTHERS.map(|(title, of)| Panel {
        title,
        curves: vec![Curve {
            name: String::new(),
            colour: INK,
            points: points(lines, of),
        }],
    }));
    let steps = lines.last().map_or(0, |p| p.step);
    draw(&format!("{steps} steps"), panels)
}

/// The curves of several named runs over one another, each in its colour. Losses of different
/// methods are sums of different parts: compare the parts, and the kNN accuracy.
///
/// # Errors
/// As [`curves_svg`].
pub fn compare_svg(runs: &[(String, Vec<Progress>)]) -> Result<String> {
    let losses = [
        ("loss", TOTAL),
        ("SimCLR's part of the loss", SIMCLR),
        ("SatMIP's part of the loss, before lambda", SATMIP),
    ];
    let panels = losses.into_iter().chain(OTHERS).map(|(title, of)| Panel {
        title,
        curves: runs
            .iter()
            .zip(COLOURS.iter().cycle())
            .map(|((name, lines), colour)| Curve {
                name: name.clone(),
                colour: *colour,
                points: points(lines, of),
            })
            .collect(),
    });
    draw(&format!("{} runs", runs.len()), panels.collect())
}

/// kNN accuracy over training time. Runs of one name but for an ending `-sN`, the number of a seed, are one
/// curve: its points are means over the steps that all of them measured, with the sample deviation.
/// Steps count from 0 minutes on, without the time of a run's interruptions.
///
/// # Errors
/// [`Error::Evaluation`] where no run has measured an accuracy, or there are over 12 curves.
pub fn accuracy_over_time_svg(runs: &[(String, Vec<Progress>)]) -> Result<String> {
    let mut groups: Vec<(&str, Vec<&[Progress]>)> = Vec::new();
    for (name, lines) in runs {
        let (stem, seed) = name.rsplit_once("-s").unwrap_or((name, "-"));
        let is_seed = !seed.is_empty() && seed.bytes().all(|b| b.is_ascii_digit());
        let name = if is_seed { stem } else { name.as_str() };
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, runs)) => runs.push(lines),
            None => groups.push((name, vec![lines])),
        }
    }
    let curves: Vec<TimeCurve> = groups
        .into_iter()
        .map(|(name, runs)| TimeCurve {
            name: match runs.len() {
                1 => name.to_owned(),
                seeds => format!("{name} ({seeds} seeds)"),
            },
            points: mean_points(&runs),
        })
        .filter(|curve| !curve.points.is_empty())
        .collect();
    let below = "kNN accuracy on the validation split";
    over_time_svg("Accuracy over training time", below, &curves)
}

fn mean_points(runs: &[&[Progress]]) -> Vec<TimePoint> {
    let Some((first, others)) = runs.split_first() else {
        return Vec::new();
    };
    let point = |line: &Progress| {
        let mut found = vec![(line.seconds, line.knn?)];
        for run in others {
            let same = run.iter().find(|other| other.step == line.step)?;
            found.push((same.seconds, same.knn?));
        }
        let n = found.len() as f64;
        let mean = |part: fn(&(f64, f64)) -> f64| found.iter().map(part).sum::<f64>() / n;
        let accuracy = mean(|p| p.1);
        let squares: f64 = found.iter().map(|p| (p.1 - accuracy).powi(2)).sum();
        Some(TimePoint {
            minutes: mean(|p| p.0) / 60.0,
            accuracy,
            deviation: (found.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
        })
    };
    first.iter().filter_map(point).collect()
}

struct Panel {
    title: &'static str,
    curves: Vec<Curve>,
}

struct Curve {
    name: String,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// (step, value) of the lines that have the quantity, at most [`POINTS`].
fn points(lines: &[Progress], of: Quantity) -> Vec<(f64, f64)> {
    let all: Vec<(f64, f64)> = lines
        .iter()
        .filter_map(|line| Some((line.step as f64, of(line)?)))
        .filter(|point| point.1.is_finite())
        .collect();
    let size = all.len().div_ceil(POINTS).max(1);
    let mean = |group: &[(f64, f64)]| {
        let n = group.len() as f64;
        let sum = |part: fn(&(f64, f64)) -> f64| group.iter().map(part).sum::<f64>();
        (sum(|p| p.0) / n, sum(|p| p.1) / n)
    };
    all.chunks(size).map(mean).collect()
}

fn draw(title: &str, mut panels: Vec<Panel>) -> Result<String> {
    panels.retain(|panel| panel.curves.iter().any(|c| !c.points.is_empty()));
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns).max(1);
    let width = PANEL.0 * columns as i32;
    let keys = keys(&panels);
    let strip = TITLE + figure::place(&keys, width).1;
    let drawn = figure::svg((width, strip + PANEL.1 * rows as i32), |root| {
        let style = figure::text(15, INK, HPos::Left, VPos::Center);
        root.draw(&Text::new(
            title.to_owned(),
            (figure::LEFT, TITLE / 2),
            style,
        ))?;
        figure::legend(root, &keys, TITLE)?;
        let (_, rest) = root.split_vertically(strip);
        for (area, panel) in rest.split_evenly((rows, columns)).iter().zip(&panels) {
            draw_panel(area, panel)?;
        }
        Ok(())
    });
    drawn.map_err(|source| Error::Training {
        reason: "the curves cannot be drawn".into(),
        source: Some(source),
    })
}

/// Names of the colours, each once.
fn keys(panels: &[Panel]) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let curves = panels.iter().flat_map(|panel| &panel.curves);
    for curve in curves.filter(|c| !c.name.is_empty()) {
        let (name, colour) = (figure::clean(&curve.name), curve.colour);
        if !keys.iter().any(|k| k.name == name && k.colour == colour) {
            keys.push(Key {
                name,
                colour,
                dashed: false,
            });
        }
    }
    keys
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Drawn {
    let all = || panel.curves.iter().flat_map(|c| &c.points);
    let last = all().map(|p| p.0).fold(1.0, f64::max);
    let low = all().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = all().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = match high - low {
        0.0 => low.abs().max(1e-9) * 0.1,
        span => span * 0.05,
    };
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 15).into_font().color(&INK))
        .margin(8)
        .margin_right(20)
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .x_desc("step")
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| tick(*y, high - low))
        .label_style(("sans-serif", 12).into_font().color(&INK))
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .draw()?;
    for curve in &panel.curves {
        let style = curve.colour.stroke_width(2);
        chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
        if curve.points.len() <= DOTS {
            let dot = |point: &(f64, f64)| Circle::new(*point, 3, curve.colour.filled());
            chart.draw_series(curve.points.iter().map(dot))?;
        }
    }
    Ok(())
}

/// A value of an axis that spans this much: as many decimals as tell its ticks apart.
fn tick(value: f64, span: f64) -> String {
    let span = if span > 0.0 { span } else { value.abs() };
    if value.abs() < span * 1e-6 {
        return "0".into();
    }
    if span > 0.0 && !(1e-3..1e5).contains(&span) {
        return format!("{value:.1e}");
    }
    let decimals = (1.0 - span.max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: usize) -> Progress {
        let text = format!(
            r#"{{"step": {step}, "steps": 1000, "loss": {}, "simclr": 2.5, "satmip": 3.5,
                "logit_scale": 14.3, "gradient_norm": 1.0, "learning_rate": 1e-3, "seconds": 1.0}}"#,
            6.0 / step as f64
        );
        serde_json::from_str(&text).unwrap()
    }

    fn lines(steps: usize) -> Vec<Progress> {
        let with_knn = |step: usize| Progress {
            knn: step
                .is_multiple_of(100)
                .then_some(50.0 + step as f64 / 50.0),
            ..line(step)
        };
        (1..=steps).map(with_knn).collect()
    }

    #[test]
    fn curves_are_a_sound_figure() {
        let svg = curves_svg(&lines(1000)).unwrap();
        for text in [
            "1000 steps",
            "SimCLR",
            "SatMIP",
            "kNN",
            "learning rate",
            "1 / temp",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.len() < 100_000, "{} bytes", svg.len());
        // No loss of its own kind, no kNN, no temperature: no panel and no name of them.
        let alone = Progress {
            satmip: None,
            distill: None,
            ..line(1)
        };
        let svg = curves_svg(&[alone]).unwrap();
        assert!(svg.contains("learning rate") && !svg.contains("SatMIP") && !svg.contains("kNN"));
        curves_svg(&[]).unwrap();
    }

    #[test]
    fn several_runs_share_panels() {
        let runs = [
            ("a<b>&".to_owned(), lines(300)),
            ("second".to_owned(), lines(30)),
        ];
        let svg = compare_svg(&runs).unwrap();
        assert!(svg.contains("a&lt;b&gt;&amp;") && svg.contains("second"));
        for colour in ["#0072B2", "#D55E00"] {
            assert!(svg.contains(colour), "{colour}");
        }
        let bad = Progress {
            loss: f64::NAN,
            ..line(1)
        };
        compare_svg(&[("bad".into(), vec![bad]), ("none".into(), vec![])]).unwrap();
    }

    #[test]
    fn seeds_are_one_curve_over_time() {
        let run = |seconds: f64, knn: f64| {
            let measured = |step: usize| Progress {
                seconds: seconds * step as f64,
                knn: (step != 2).then_some(knn + step as f64),
                ..line(step)
            };
            (1..=3).map(measured).collect::<Vec<_>>()
        };
        let (one, two) = (run(60.0, 50.0), run(120.0, 54.0));
        let points = mean_points(&[&one, &two]);
        let found: Vec<_> = points.iter().map(|p| (p.minutes, p.accuracy)).collect();
        assert_eq!(found, [(1.5, 53.0), (4.5, 55.0)]);
        assert!((points[0].deviation.unwrap() - 8.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(mean_points(&[&one])[0].deviation, None);
        let runs = [
            ("a-s1".to_owned(), one.clone()),
            ("a-s2".to_owned(), two),
            ("b-small".to_owned(), one),
        ];
        let svg = accuracy_over_time_svg(&runs).unwrap();
        assert!(
            svg.contains("a (2 seeds)") && svg.contains("b-small"),
            "{svg}"
        );
        assert!(accuracy_over_time_svg(&[("a".into(), vec![line(1)])]).is_err());
    }

    #[test]
    fn long_curves_keep_their_mean() {
        let points = points(&lines(1001), TOTAL);
        assert!(points.len() <= POINTS);
        assert_eq!(points[0], (2.0, (6.0 + 3.0 + 2.0) / 3.0));
        assert_eq!(tick(0.0002, 1e-3), "0.0002");
        assert_eq!(tick(7.25, 3.0), "7.2");
        assert_eq!(tick(12000.0, 20000.0), "12000");
        assert_eq!(tick(2e-7, 1e-6), "2.0e-7");
        assert_eq!(tick(-2e-20, 1e-3), "0");
    }

    #[test]
    fn metrics_read_back_over_a_crash_and_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let json = |step: usize, loss: f64| {
            serde_json::to_string(&Progress { loss, ..line(step) }).unwrap()
        };
        let rows = [
            json(1, 9.0),
            json(2, 8.0),
            json(3, 7.0),
            json(2, 5.0),
            json(3, 4.0),
        ];
        fs::write(
            &path,
            format!("{}\n{}", rows.join("\n"), &json(4, 1.0)[..20]),
        )
        .unwrap();
        let read = read_metrics(&path).unwrap();
        let found: Vec<(usize, f64)> = read.iter().map(|p| (p.step, p.loss)).collect();
        assert_eq!(found, [(1, 9.0), (2, 5.0), (3, 4.0)]);
        fs::write(&path, format!("{}\n{{}}\n{}\n", rows[0], rows[1])).unwrap();
        let error = read_metrics(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(matches!(
            read_metrics(&folder.path().join("none")),
            Err(Error::Io { .. })
        ));
    }
}
