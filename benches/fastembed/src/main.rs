//! `fastembed-bench GRAPH PREPROCESSOR FOLDER BATCH`: embeds the files of a folder and says how many vectors there are.

use std::path::PathBuf;

use fastembed::{ImageEmbedding, ImageInitOptionsUserDefined, UserDefinedImageEmbeddingModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [graph, preprocessor, folder, batch] = arguments.as_slice() else {
        return Err("usage: fastembed-bench GRAPH PREPROCESSOR FOLDER BATCH".into());
    };
    let model = UserDefinedImageEmbeddingModel::new(std::fs::read(graph)?, std::fs::read(preprocessor)?);
    let mut model = ImageEmbedding::try_new_from_user_defined(model, ImageInitOptionsUserDefined::default())?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let batch: usize = batch.parse()?;
    // In pieces, as one would with more files than fit into memory.
    let mut count = 0;
    for some in files.chunks(batch) {
        count += model.embed(some, Some(batch))?.len();
    }
    println!("{count} vectors");
    Ok(())
}
