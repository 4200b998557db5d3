//! Embeds the images of a folder with what its `metadata.csv` says of them, and prints which are alike and how well each
//! fits its own record.
//!
//! ```text
//! cargo run --release --features builtin-model --example embed_folder -- examples/chips
//! ```

use std::collections::HashMap;
use std::path::PathBuf;

use satmip::metadata::read;
use satmip::{Device, Embedder, Metadata};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("examples/chips".into()));
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| {
        let extension = path.extension().and_then(|e| e.to_str());
        extension.is_some_and(|e| ["jpg", "png", "tif", "webp"].contains(&e))
    });
    files.sort();
    let table = folder.join("metadata.csv");
    let mut records: HashMap<String, Metadata> = match table.is_file() {
        true => read::from_file(&table)?
            .into_iter()
            .map(|record| (record.key, record.metadata))
            .collect(),
        false => HashMap::new(),
    };
    // A picture of which nothing is known has an empty record.
    let mut record = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        records.remove(&*name).unwrap_or_default()
    };
    let pairs: Vec<(PathBuf, Metadata)> = files
        .into_iter()
        .map(|path| (path.clone(), record(&path)))
        .collect();

    let model = Embedder::builder("satmip-lite")
        .device(Device::Auto)
        .load()?;
    // The table's gsd is that of the files; here it follows each picture to the model's 64 pixels.
    let embedded = model.embed_pairs(&pairs)?;
    let cosines = embedded.images().similarity(embedded.images())?;
    for (row, own) in embedded.similarities().into_iter().enumerate() {
        let name = |row: usize| pairs[row].0.display();
        let nearest = (0..pairs.len())
            .filter(|other| *other != row)
            .max_by(|a, b| cosines[[row, *a]].total_cmp(&cosines[[row, *b]]));
        if let Some(nearest) = nearest {
            let cosine = cosines[[row, nearest]];
            println!(
                "{} is most like {} (cosine {cosine:.3})",
                name(row),
                name(nearest)
            );
        }
        if let (Some(own), Some(record)) = (own, &embedded.records()[row]) {
            println!("  cosine {own:.3} with {}", record.caption(model.fields()));
        }
    }
    Ok(())
}
