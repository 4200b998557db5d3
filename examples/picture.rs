//! Draws the README's picture: chips, what the model finds near them, and which fit a record.
//!
//! ```sh
//! cargo run --release --features builtin-model --example picture -- examples/chips examples/picture.svg
//! ```

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use satmip::{Embedder, Embeddings, Metadata};

/// Chips whose nearest are shown.
const ASKED: [&str; 4] = [
    "River_396.jpg",
    "Residential_2381.jpg",
    "Pasture_857.jpg",
    "Forest_2297.jpg",
];
/// The country whose chips are looked for by a record that says nothing else.
const COUNTRY: &str = "NLD";
/// Answers in a row.
const ANSWERS: usize = 5;
/// Sides in pixels: a chip, and the way from one to the next.
const SIDE: usize = 96;
const STEP: usize = 128;
const LEFT: usize = 170;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let folder = arguments.next().unwrap_or("examples/chips".into());
    let out = arguments.next().unwrap_or("examples/picture.svg".into());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "jpg"));
    files.sort();

    let model = Embedder::builder("satmip-lite").load()?;
    // Pictures are compared by what the tower sees in them, a record with a picture in the space of both.
    let features = model.image_features(&files)?;
    let images = model.embed_images(&files)?;
    let record = Metadata::new().with_country_code(COUNTRY)?;
    let records = model.embed_metadata(&[record])?;

    let rows = ASKED.len() + 1;
    let (width, height) = (LEFT + STEP * (ANSWERS + 1) + 20, 60 + rows * (STEP + 24));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"14\" fill=\"#333\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"34\">asked</text>\
         <text x=\"{}\" y=\"34\">nearest of the other chips, with the cosine</text>\n",
        LEFT + STEP
    );
    for (row, name) in ASKED.iter().enumerate() {
        let own = files.iter().position(|file| file.ends_with(name));
        let own = own.ok_or_else(|| format!("{name} is not in {}", folder.display()))?;
        let top = 50 + row * (STEP + 24);
        label(&mut svg, top, &["by a picture", &class(&files[own])])?;
        chip(&mut svg, 0, top, &files[own], "")?;
        let query = Embeddings::new(features.view().select(satmip::ndarray::Axis(0), &[own]))?;
        answers(&mut svg, top, &files, &query, &features, Some(own))?;
    }
    let top = 50 + ASKED.len() * (STEP + 24);
    label(
        &mut svg,
        top,
        &["by a record", &format!("country_code: {COUNTRY}")],
    )?;
    answers(&mut svg, top, &files, &records, &images, None)?;
    svg.push_str("</svg>\n");
    fs::write(&out, svg)?;
    println!("{}", out.display());
    Ok(())
}

/// The nearest chips to a vector, from the second column on.
fn answers(
    svg: &mut String,
    top: usize,
    files: &[PathBuf],
    query: &Embeddings,
    images: &Embeddings,
    own: Option<usize>,
) -> Result<(), Box<dyn Error>> {
    let found = query.nearest(images, ANSWERS + 1)?;
    let found = found.indices.iter().zip(&found.similarities);
    let others = found.filter(|(index, _)| Some(**index) != own);
    for (column, (index, cosine)) in others.take(ANSWERS).enumerate() {
        let file = &files[*index];
        chip(
            svg,
            column + 1,
            top,
            file,
            &format!("{} {cosine:.2}", class(file)),
        )?;
    }
    Ok(())
}

/// What a file's name says of the ground.
fn class(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let class = name.split('_').next().unwrap_or_default();
    class.trim_end_matches("Vegetation").to_owned()
}

fn label(svg: &mut String, top: usize, lines: &[&str]) -> std::fmt::Result {
    for (i, line) in lines.iter().enumerate() {
        let y = top + SIDE / 2 + i * 20;
        writeln!(svg, "<text x=\"20\" y=\"{y}\">{line}</text>")?;
    }
    Ok(())
}

fn chip(
    svg: &mut String,
    column: usize,
    top: usize,
    file: &Path,
    below: &str,
) -> Result<(), Box<dyn Error>> {
    let x = LEFT + column * STEP;
    let data = base64(&fs::read(file)?);
    writeln!(
        svg,
        "<image x=\"{x}\" y=\"{top}\" width=\"{SIDE}\" height=\"{SIDE}\" href=\"data:image/jpeg;base64,{data}\"/>\
         <text x=\"{x}\" y=\"{}\" font-size=\"11\">{below}</text>",
        top + SIDE + 15
    )?;
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut all = [0; 4];
        all[1..=three.len()].copy_from_slice(three);
        let number = u32::from_be_bytes(all);
        for digit in 0..4 {
            let value = number >> (18 - 6 * digit) & 63;
            text.push(match digit <= three.len() {
                true => DIGITS[value as usize].into(),
                false => '=',
            });
        }
    }
    text
}
