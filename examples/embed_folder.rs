//! Embeds the images of a folder and prints how similar they are.
//!
//! ```text
//! cargo run --release --features builtin-model --example embed_folder -- examples/chips
//! ```

use std::path::PathBuf;

use satmip::{Device, Embedder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or("examples/chips".into());
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| {
        let extension = path.extension().and_then(|e| e.to_str());
        extension.is_some_and(|e| ["jpg", "png", "tif", "webp"].contains(&e))
    });
    files.sort();

    let model = Embedder::builder("satmip-nano")
        .device(Device::Auto)
        .load()?;
    let images = model.embed_images(&files)?;
    let cosines = images.similarity(&images)?;
    for (row, file) in files.iter().enumerate() {
        let nearest = (0..files.len())
            .filter(|other| *other != row)
            .max_by(|a, b| cosines[[row, *a]].total_cmp(&cosines[[row, *b]]));
        if let Some(nearest) = nearest {
            println!(
                "{} is most like {} (cosine {:.3})",
                file.display(),
                files[nearest].display(),
                cosines[[row, nearest]]
            );
        }
    }
    Ok(())
}
