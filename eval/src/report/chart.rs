//! Lines with their uncertainty over one quantity: the figure behind every plot of scores.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{self, Axis};
use super::words::refused;
use crate::figure::{self, COLOURS, Drawn, FAINT, GRID, INK, Key};
use satmip::Result;

/// Width of the figure and height of its panel, in pixels.
const WIDTH: i32 = 640;
const PANEL: i32 = 320;
/// Height of the two titles.
const TITLES: i32 = 62;
/// Lines of at most so many points show them as dots too.
const DOTS: usize = 40;
/// Lines in a figure: each colour twice, whole and dashed.
const LINES: usize = 2 * COLOURS.len();
/// Values beyond this are no measurement, and break the axes.
const LARGEST: f64 = 1e9;

/// A figure to draw.
pub(super) struct Chart<'a> {
    pub(super) title: String,
    pub(super) below: String,
    /// What stands small in the lower right corner.
    pub(super) foot: String,
    /// What the axes show.
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    /// Whether x, which must be above 0 then, has a log axis with its ticks at the points.
    pub(super) log: bool,
    pub(super) lines: Vec<Line>,
}

/// A line; without a name it has no place in the legend.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// A point with the bounds of what it may be; both are `y` where nothing is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Draws a chart. Points are put in order; a band lies between their bounds.
///
/// # Errors
/// Where there is no point, or too many lines, or a number that cannot be drawn.
pub(super) fn draw(mut chart: Chart<'_>) -> Result<String> {
    check(&chart)?;
    for point in chart.lines.iter_mut().flat_map(|l| &mut l.points) {
        point.x = if chart.log { point.x.log10() } else { point.x };
    }
    for line in &mut chart.lines {
        line.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    let named = chart.lines.iter().enumerate();
    let keys: Vec<Key> = named
        .filter(|(_, line)| !line.name.is_empty())
        .map(|(i, line)| Key {
            name: figure::clean(&line.name),
            colour: COLOURS[i % COLOURS.len()],
            dashed: i >= COLOURS.len(),
        })
        .collect();
    let strip = TITLES + figure::place(&keys, WIDTH).1;
    let drawn = figure::svg((WIDTH, strip + PANEL), |root| {
        let (head, rest) = root.split_vertically(strip);
        figure::titles(&head, &chart.title, &chart.below)?;
        figure::legend(&head, &keys, TITLES)?;
        panel(&rest, &chart)?;
        let style = figure::text(11, FAINT, HPos::Right, VPos::Center);
        let corner = (WIDTH - 22, PANEL - 16);
        rest.draw(&Text::new(chart.foot.clone(), corner, style))?;
        Ok(())
    });
    drawn.map_err(|e| refused(format!("the figure cannot be drawn: {e}")))
}

fn check(chart: &Chart<'_>) -> Result<()> {
    let all = || chart.lines.iter().flat_map(|line| &line.points);
    if all().next().is_none() {
        return Err(refused("there is no point to draw"));
    }
    if chart.lines.len() > LINES {
        let lines = chart.lines.len();
        return Err(refused(format!(
            "{lines} lines in one figure; {LINES} can be told apart"
        )));
    }
    let drawable = |n: f64| n.is_finite() && n.abs() <= LARGEST;
    for p in all() {
        let numbers = [p.x, p.y, p.low, p.high].into_iter().all(drawable);
        if !numbers || p.low > p.high || (chart.log && p.x <= 0.0) {
            let (x, y) = (p.x, p.y);
            return Err(refused(format!("the point ({x}, {y}) cannot be drawn")));
        }
    }
    Ok(())
}

fn panel(area: &figure::Area<'_>, chart: &Chart<'_>) -> Drawn {
    let all = || chart.lines.iter().flat_map(|line| &line.points);
    let (low, high) = bounds(all().flat_map(|p| [p.low, p.high, p.y]));
    let none_below = low >= 0.0;
    let margin = ((high - low) * 0.06).max(high.abs().max(1.0) * 0.005);
    let low = if none_below {
        (low - margin).max(0.0)
    } else {
        low - margin
    };
    let high = high + margin;
    let (first, last) = bounds(all().map(|p| p.x));
    let margin = match last - first {
        0.0 => 0.5,
        span => span * 0.03,
    };
    // Time begins at 0; a log axis has no 0.
    let x = match chart.log {
        true => Axis::log(
            all().map(|p| p.x),
            (first - margin, last + margin),
            WIDTH - 110,
        ),
        false => Axis::round(first.min(0.0), last + margin, 8),
    };
    let y = Axis::round(low, high, 8);
    let (x_step, y_step) = (x.spacing(), y.spacing());
    let mut context = ChartBuilder::on(area)
        .margin(10)
        .margin_right(22)
        .margin_top(8)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)?;
    context
        .configure_mesh()
        .x_desc(figure::fit(chart.x, 12, 230))
        .y_desc(figure::fit(chart.y, 12, 250))
        .x_label_formatter(&|x| match chart.log {
            true => axis::number(10f64.powf(*x)),
            false => axis::tick(*x, x_step),
        })
        .y_label_formatter(&|y| axis::tick(*y, y_step))
        .axis_desc_style(figure::font(12).color(&INK))
        .label_style(figure::font(12).color(&INK))
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .draw()?;
    let bounds = |p: &Point| p.high > p.low;
    // All bands lie below all lines.
    for (i, line) in chart.lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        if line.points.len() > 1 && line.points.iter().any(bounds) {
            let upper = line.points.iter().map(|p| (p.x, p.high));
            let lower = line.points.iter().rev().map(|p| (p.x, p.low));
            let band = Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour.mix(0.14));
            context.draw_series([band])?;
        }
    }
    for (i, line) in chart.lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        if let [p] = line.points.as_slice() {
            let bar = PathElement::new([(p.x, p.low), (p.x, p.high)], colour.stroke_width(2));
            context.draw_series([bar])?;
        }
        let points = line.points.iter().map(|p| (p.x, p.y));
        let style = colour.stroke_width(2);
        if i < COLOURS.len() {
            context.draw_series(LineSeries::new(points, style))?;
        } else {
            context.draw_series(DashedLineSeries::new(points, 12, 6, style))?;
        }
        if line.points.len() <= DOTS {
            let dot = |p: &Point| Circle::new((p.x, p.y), 4, colour.filled());
            context.draw_series(line.points.iter().map(dot))?;
        }
    }
    Ok(())
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    })
}
