//! Which of several countries fits a picture: image and metadata in one space.
//!
//! ```text
//! cargo run --release --features builtin-model --example similarity -- examples/chips/*.jpg
//! ```

use satmip::{Embedder, Field};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let model = Embedder::builder("satmip-lite").load()?;
    let images = model.embed_images(&files)?;
    let countries = ["ESP", "FIN", "GBR", "GRC", "USA"];
    let guess = model.query(&images, Field::CountryCode, countries)?;
    for (row, file) in files.iter().enumerate() {
        println!("{file}");
        for (country, probability) in countries.iter().zip(guess.probabilities.row(row)) {
            println!("  {country} {probability:.2}");
        }
    }
    Ok(())
}
