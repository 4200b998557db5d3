//! What every figure shares: colours, text, legend, ticks, and the SVG around them.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use satmip::Cause;

/// Colours that colour-blind readers can tell apart (Okabe and Ito), without its yellow.
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
/// Text and axes.
pub const INK: RGBColor = RGBColor(60, 60, 60);
/// Text that says less.
pub const FAINT: RGBColor = RGBColor(110, 110, 110);
/// Lines behind a figure.
pub const GRID: RGBColor = RGBColor(225, 225, 225);

/// Space on the left of titles and legends, and height of a row of the legend, in pixels.
pub const LEFT: i32 = 16;
const LEGEND_ROW: i32 = 20;
/// Pixels of a legend's line, and from there to its name.
const SAMPLE: i32 = 22;
const LEGEND_SIZE: i32 = 12;

/// What is drawn on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A figure, or a part of one.
pub type Drawn = Result<(), Cause>;

/// An SVG of this size in pixels, white before `draw`.
pub fn svg(size: (i32, i32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Cause> {
    let mut svg = String::new();
    let size = (size.0.max(1) as u32, size.1.max(1) as u32);
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    draw(&root)?;
    root.present()?;
    drop(root);
    Ok(svg)
}

/// A font of so many pixels; plotters' own sizes are 1.24 times what it writes.
pub fn font(pixels: i32) -> FontDesc<'static> {
    ("sans-serif", f64::from(pixels) * 1.24).into_font()
}

/// Text of so many pixels whose point is at the given side of it.
pub fn text(pixels: i32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    font(pixels).color(&colour).pos(Pos::new(h, v))
}

/// Two lines above a figure: what it shows, and of what. Each is cut to the width.
pub fn titles(area: &Area<'_>, title: &str, below: &str) -> Drawn {
    let room = area.dim_in_pixel().0 as i32 - 2 * LEFT;
    let bold = font(16).style(FontStyle::Bold).color(&INK);
    let bold = bold.pos(Pos::new(HPos::Left, VPos::Center));
    // Bold letters are about a tenth wider.
    area.draw(&Text::new(fit(title, 16, room * 10 / 11), (LEFT, 24), bold))?;
    let style = text(12, FAINT, HPos::Left, VPos::Center);
    area.draw(&Text::new(fit(below, 12, room), (LEFT, 46), style))?;
    Ok(())
}

/// A name without what XML forbids and without marks that turn the direction of writing; every
/// run of white space is one space. The backend escapes the rest.
pub fn clean(name: &str) -> String {
    let allowed = |c: &char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !turns && !matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let spaced = |c: char| if c.is_control() { ' ' } else { c };
    let kept: String = name.chars().filter(allowed).map(spaced).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A clean name of at most so many letters; of a longer one the middle goes, as the two ends
/// tell names apart.
pub fn shorten(name: &str, most: usize) -> String {
    let letters: Vec<char> = clean(name).chars().collect();
    if letters.len() <= most {
        return letters.into_iter().collect();
    }
    let kept = most.max(3) - 1;
    let (head, tail) = (kept - kept / 3, kept / 3);
    let last = &letters[letters.len() - tail..];
    let ends = letters[..head].iter().chain(&['…']).chain(last);
    ends.collect()
}

/// The name, shortened until it takes at most so many pixels.
pub fn fit(name: &str, size: i32, room: i32) -> String {
    let whole = clean(name);
    // No letter is narrower than three pixels: a name of a megabyte is cut at once.
    let mut letters = whole.chars().count().min(room.max(0) as usize / 3 + 4);
    let mut fitting = shorten(&whole, letters);
    while letters > 3 && width(&fitting, size) > room {
        letters -= 1;
        fitting = shorten(&fitting, letters);
    }
    fitting
}

/// About the pixels that a text takes, rather too many than too few: nobody but the reader's
/// program knows its font. Widths are those of DejaVu Sans, a wide one.
pub fn width(text: &str, size: i32) -> i32 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' => 0.34,
        'f' | 'r' | 't' | '(' | ')' | '/' | '-' | '_' => 0.45,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.98,
        'A'..='Z' => 0.72,
        '\u{1100}'.. if c != '…' => 1.05,
        _ => 0.63,
    };
    let ems: f64 = text.chars().map(em).sum();
    (ems * f64::from(size)).ceil() as i32
}

/// One entry of a legend.
#[derive(Debug, Clone)]
pub struct Key {
    /// What it stands for.
    pub name: String,
    /// Of its line.
    pub colour: RGBColor,
    /// Whether the line is dashed.
    pub dashed: bool,
}

/// Where each key goes in a legend of this width, and the legend's height.
pub fn place(keys: &[Key], room: i32) -> (Vec<(i32, i32)>, i32) {
    let (mut x, mut y) = (LEFT, LEGEND_ROW / 2);
    let mut places = Vec::with_capacity(keys.len());
    for key in keys {
        let wide = SAMPLE + 6 + width(&key.name, LEGEND_SIZE);
        if x > LEFT && x + wide > room - LEFT {
            (x, y) = (LEFT, y + LEGEND_ROW);
        }
        places.push((x, y));
        x += wide + 18;
    }
    let height = if keys.is_empty() {
        0
    } else {
        y + LEGEND_ROW / 2
    };
    (places, height)
}

/// Draws the keys from this height on; returns the height below them.
pub fn legend(area: &Area<'_>, keys: &[Key], top: i32) -> Result<i32, Cause> {
    let room = area.dim_in_pixel().0 as i32;
    let (places, height) = place(keys, room);
    for (key, (x, y)) in keys.iter().zip(places) {
        let y = top + y;
        let parts: &[(i32, i32)] = if key.dashed {
            &[(0, 6), (8, 14), (16, SAMPLE)]
        } else {
            &[(0, SAMPLE)]
        };
        for (from, to) in parts {
            let ends = [(x + from, y - 1), (x + to, y + 2)];
            area.draw(&Rectangle::new(ends, key.colour.filled()))?;
        }
        let style = text(LEGEND_SIZE, INK, HPos::Left, VPos::Center);
        let name = fit(&key.name, LEGEND_SIZE, room - x - SAMPLE - 6 - LEFT);
        area.draw(&Text::new(name, (x + SAMPLE + 6, y), style))?;
    }
    Ok(top + height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_keep_both_ends() {
        assert_eq!(clean("a\u{0}b\n\tc \u{202e}d\u{ffff}"), "a b c d");
        assert_eq!(shorten("short", 8), "short");
        let (a, b) = (
            shorten("annual crop, field 1", 12),
            shorten("annual crop, field 2", 12),
        );
        assert_eq!(a.chars().count(), 12);
        assert!(
            a.starts_with("annual") && a.ends_with('1') && a != b,
            "{a} {b}"
        );
        assert_eq!(shorten("ÄÖÜäöü", 4), "ÄÖ…ü");
        assert!(width(&fit(&"W".repeat(1_000_000), 12, 200), 12) <= 200);
        assert!(fit("", 12, 0).is_empty() && shorten("abcdef", 0).chars().count() <= 3);
    }

    #[test]
    fn a_legend_breaks_its_rows() {
        let key = |name: &str| Key {
            name: name.into(),
            colour: INK,
            dashed: false,
        };
        let keys = [
            key("first of them"),
            key("second of them"),
            key("third of them"),
        ];
        let (one, height) = place(&keys, 1000);
        assert!(height == LEGEND_ROW && one[2].0 > one[1].0);
        let (rows, height) = place(&keys, 300);
        assert_eq!((rows[2].0, height), (LEFT, 2 * LEGEND_ROW));
        assert_eq!(place(&[], 300).1, 0);
        // One name that is too wide for any row stays alone and is cut when drawn.
        assert_eq!(
            place(&[key(&"x".repeat(999)), key("y")], 300).0[1],
            (LEFT, 30)
        );
    }
}
