//! Embeds what is known of three acquisitions, and prints the captions that the model reads.
//!
//! ```text
//! cargo run --release --features builtin-model --example embed_metadata
//! ```

use satmip::{Embedder, Metadata};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Embedder::builder("satmip-lite").load()?;

    // Any subset of the 15 fields; what follows from others (country, UTM zone) is derived.
    let files = [
        Metadata::new().with_gsd(10.0)?.with_location(2.35, 48.85)?,
        Metadata::new().with_gsd(10.0)?.with_location(2.45, 48.95)?,
        Metadata::new()
            .with_gsd(3.0)?
            .with_location(-122.37, 37.62)?
            .with_timestamp("2016-08-09T18:11:03Z")?,
    ];
    // These are records of files of 128 x 128 pixels. The model sees 64 x 64, of twice the gsd.
    let records = files
        .iter()
        .map(|record| model.fitted_metadata(record, 128, 128))
        .collect::<satmip::Result<Vec<_>>>()?;
    let rows = model.embed_metadata(&records)?;
    let cosines = rows.similarity(&rows)?;
    for (i, record) in records.iter().enumerate() {
        println!("{}", record.caption(model.fields()));
        println!("  cosines with all three: {:.3}", cosines.row(i));
    }
    Ok(())
}
