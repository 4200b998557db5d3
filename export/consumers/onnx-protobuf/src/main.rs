//! Prints inputs, outputs and operators of graphs.
//!
//! ```sh
//! cargo run -- ../golden/bundle/image.onnx ../golden/bundle/metadata.onnx
//! ```

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        return Err("give files of graphs".into());
    }
    for file in files {
        println!(
            "{file}\n{}",
            satmip_consumer_onnx_protobuf::Summary::read(Path::new(&file))?
        );
    }
    Ok(())
}
