//! Makes code of burn from the image graph. `SATMIP_BUNDLE` names another bundle than the golden one.

use std::env;
use std::path::Path;

use burn_onnx::{LoadStrategy, ModelGen};

fn main() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/bundle");
    let bundle = env::var_os("SATMIP_BUNDLE").map_or(golden, Into::into);
    let graph = bundle.join("image.onnx");
    println!("cargo::rerun-if-env-changed=SATMIP_BUNDLE");
    println!("cargo::rerun-if-changed={}", graph.display());
    ModelGen::new()
        .input(&graph.to_string_lossy())
        .out_dir("model/")
        .load_strategy(LoadStrategy::Embedded)
        .run_from_script();
}
