//! Compares what burn gives with the golden vectors.

use std::error::Error;
use std::path::Path;

use burn::prelude::Device;
use satmip_consumer_burn::embed_images;
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn compare(name: &str, rows: &[Vec<f32>], golden: &Value) {
    let chips = golden["chips"].as_array().expect("chips");
    assert_eq!(rows.len(), chips.len());
    for (row, chip) in rows.iter().zip(chips) {
        let (row, expected): (Vec<f64>, _) = (
            row.iter().map(|x| f64::from(*x)).collect(),
            numbers(&chip[name]),
        );
        assert_eq!(row.len(), expected.len());
        let near = cosine(&row, &expected);
        let far = row
            .iter()
            .zip(&expected)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f64::max);
        println!(
            "{name} of {}: cosine {near:.8}, largest difference {far:.1e}",
            chip["file"]
        );
        assert!(
            near >= golden["tolerance"]["cosine"].as_f64().expect("a number"),
            "{name}: {near}"
        );
        assert!(
            far <= golden["tolerance"]["absolute"].as_f64().expect("a number"),
            "{name}: {far}"
        );
    }
}

#[test]
fn vectors_are_the_golden_ones() -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden");
    let read = |name: &str| -> Outcome<Value> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(name))?)?)
    };
    let golden = read("golden.json")?;
    let size = read("bundle/bundle.json")?["arch"]["preprocessing"]["size"]
        .as_u64()
        .expect("a size");
    let chips = golden["chips"].as_array().expect("chips");

    let mut pictures = Vec::new();
    for chip in chips {
        let picture = image::open(folder.join(chip["file"].as_str().expect("a file")))?.into_rgb8();
        assert_eq!(
            (u64::from(picture.width()), u64::from(picture.height())),
            (size, size)
        );
        pictures.push(picture.into_raw());
    }
    let images = embed_images(&pictures, usize::try_from(size)?, &Device::flex())
        .map_err(|e| format!("{e:?}"))?;
    compare("image_embeds", &images, &golden);
    Ok(())
}
