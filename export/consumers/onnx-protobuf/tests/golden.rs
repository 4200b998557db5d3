//! The graphs of the golden bundle have the ports that their documentation states.

use std::path::{Path, PathBuf};

use satmip_consumer_onnx_protobuf::Summary;
use serde_json::Value;

fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/bundle")
}

fn arch() -> Value {
    let text = std::fs::read(bundle().join("bundle.json")).expect("bundle.json");
    serde_json::from_slice::<Value>(&text).expect("JSON")["arch"].take()
}

#[test]
fn the_image_graph() {
    let (arch, found) = (
        arch(),
        Summary::read(&bundle().join("image.onnx")).expect("a graph"),
    );
    let (size, dim) = (&arch["preprocessing"]["size"], &arch["embed_dim"]);
    let features = &arch["image"]["dim"];
    assert_eq!(found.opset, 20);
    assert_eq!(
        found.inputs,
        [format!("image UINT8 [batch, {size}, {size}, 3]")]
    );
    assert_eq!(
        found.outputs,
        [
            format!("image_features FLOAT [batch, {features}]"),
            format!("image_embeds FLOAT [batch, {dim}]"),
        ]
    );
    assert_eq!(
        found.operators["Gelu"].to_string(),
        arch["image"]["depth"].to_string()
    );
}

#[test]
fn the_metadata_graph() {
    let (arch, found) = (
        arch(),
        Summary::read(&bundle().join("metadata.onnx")).expect("a graph"),
    );
    let tower = &arch["metadata"]["tower"];
    assert_eq!(found.inputs, ["input_ids INT64 [batch, length]"]);
    assert_eq!(
        found.outputs,
        [
            format!("metadata_features FLOAT [batch, {}]", tower["dim"]),
            format!("metadata_embeds FLOAT [batch, {}]", arch["embed_dim"]),
        ]
    );
    assert_eq!(
        found.operators["Gelu"].to_string(),
        tower["depth"].to_string()
    );
}
