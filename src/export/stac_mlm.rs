//! `stac-mlm.json`: the model as a STAC Item of the Machine Learning Model extension.

use serde_json::{Value, json};

use crate::arch::{Arch, ImageTower, MetadataTower, ResizeFilter, weight_shapes};
use crate::bundle::{BundleManifest, Graphs, IMAGE_GRAPH, METADATA_GRAPH, TOKENIZER};
use crate::metadata::Field;

/// The extension's schema, which the item is valid against.
const SCHEMA: &str = "https://stac-extensions.github.io/mlm/v1.5.2/schema.json";

/// The version of ONNX that brought [`OPSET`](super::OPSET).
const ONNX: &str = "1.15.0";

/// The item of a bundle whose graphs are these, by precision. Place and time are all there
/// are: a model has neither, and STAC demands both.
pub(super) fn item(manifest: &BundleManifest, graphs: &[(String, Graphs)]) -> Value {
    let arch = &manifest.arch;
    let mut assets = serde_json::Map::new();
    for (precision, graphs) in graphs {
        let files = [
            (IMAGE_GRAPH, Some(&graphs.image)),
            (METADATA_GRAPH, graphs.metadata.as_ref()),
        ];
        for (kind, file) in files {
            let Some(file) = file else { continue };
            let kind = kind.trim_end_matches(".onnx");
            assets.insert(
                format!("{kind}-{precision}"),
                json!({
                    "href": format!("./{file}"),
                    "type": "application/octet-stream; framework=onnx",
                    "title": format!("{kind} tower, {precision}"),
                    "roles": ["mlm:model", "data"],
                    "mlm:artifact_type": "onnx",
                }),
            );
        }
    }
    if is_text(arch) {
        assets.insert(
            "tokenizer".into(),
            json!({
                "href": format!("./{TOKENIZER}"),
                "type": "application/json",
                "title": "tokenizer of the captions, as the library `tokenizers` reads it",
                "roles": ["metadata"],
            }),
        );
    }
    let corners = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]];
    json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [SCHEMA],
        "id": format!("{}-{}", manifest.id, manifest.version),
        "geometry": { "type": "Polygon", "coordinates": [corners] },
        "bbox": [-180, -90, 180, 90],
        "properties": {
            "description": "Satellite images and what is known of their acquisition, in one embedding space",
            "license": manifest.licence,
            "datetime": null,
            "start_datetime": "1900-01-01T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "mlm:name": manifest.id,
            "mlm:architecture": architecture(arch),
            "mlm:tasks": ["similarity-search"],
            "mlm:framework": "ONNX",
            "mlm:framework_version": ONNX,
            "mlm:total_parameters": parameters(arch),
            "mlm:pretrained": true,
            "mlm:accelerator_constrained": false,
            "mlm:input": inputs(manifest),
            "mlm:output": outputs(arch),
            "mlm:hyperparameters": { "logit_scale": manifest.logit_scale, "training": manifest.training },
        },
        "assets": assets,
        "links": [],
    })
}

fn is_text(arch: &Arch) -> bool {
    let side = arch.metadata.as_ref();
    side.is_some_and(|side| matches!(side.tower, MetadataTower::Text(_)))
}

fn architecture(arch: &Arch) -> String {
    let image = match &arch.image {
        ImageTower::Vit(c) => format!("ViT, {} wide, {} blocks, patch {}", c.dim, c.depth, c.patch),
        ImageTower::ResNet(c) => format!("ResNet, widths {:?}, depths {:?}", c.widths, c.depths),
        ImageTower::EfficientNetLite(c) => {
            let (widths, depths) = (c.widths(), c.depths());
            format!("EfficientNet-Lite, widths {widths:?}, depths {depths:?}")
        }
    };
    match arch.metadata.as_ref().map(|side| &side.tower) {
        None => image,
        Some(MetadataTower::Text(c)) => {
            format!(
                "{image}; text Transformer, {} wide, {} blocks",
                c.dim, c.depth
            )
        }
        Some(MetadataTower::Tabular(c)) => {
            format!(
                "{image}; FT-Transformer, {} wide, {} blocks",
                c.dim, c.depth
            )
        }
    }
}

fn parameters(arch: &Arch) -> usize {
    let shapes = weight_shapes(arch).into_iter();
    shapes
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

fn inputs(manifest: &BundleManifest) -> Vec<Value> {
    let images = &manifest.arch.preprocessing;
    let resize = match images.filter {
        ResizeFilter::Bilinear => "interpolation-linear",
        ResizeFilter::Bicubic => "interpolation-cubic",
        ResizeFilter::Lanczos => "interpolation-lanczos4",
    };
    let input = |name: &str, description: String, shape: Value, order: Value, element: &str| {
        json!({
            "name": name,
            "description": description,
            "bands": [],
            "input": { "shape": shape, "dim_order": order, "data_type": element },
        })
    };
    let size = images.size;
    let mut image = input(
        "image",
        "Red, green, blue, 0 to 255; the graph normalises them. Resized with antialiasing, as Pillow does".into(),
        json!([-1, size, size, 3]),
        json!(["batch", "height", "width", "channel"]),
        "uint8",
    );
    image["resize_type"] = json!(resize);
    let mut all = vec![image];
    let Some(side) = &manifest.arch.metadata else {
        return all;
    };
    let names: Vec<&str> = side.fields.iter().map(Field::name).collect();
    let names = names.join(", ");
    match &side.tower {
        MetadataTower::Text(c) => all.push(input(
            "input_ids",
            format!(
                "Token ids of a caption of at most {} tokens, of the fields {names}",
                c.context
            ),
            json!([-1, -1]),
            json!(["batch", "token"]),
            "int64",
        )),
        MetadataTower::Tabular(c) => {
            let (n, m) = (c.columns.numbers.len(), c.columns.categories.len());
            let columns = json!(["batch", "variables"]);
            let parts = [
                ("numbers", "Standardised numbers", n, "float32"),
                (
                    "categories",
                    "Places in vocabularies, 0 for unknown",
                    m,
                    "int64",
                ),
                (
                    "present",
                    "Whether a field is known; boolean",
                    side.fields.len(),
                    "other",
                ),
            ];
            for (name, text, width, element) in parts {
                let text = format!("{text}, of the fields {names}");
                all.push(input(
                    name,
                    text,
                    json!([-1, width]),
                    columns.clone(),
                    element,
                ));
            }
        }
    }
    all
}

fn outputs(arch: &Arch) -> Vec<Value> {
    let output = |name: &str, description: &str, width: usize| {
        json!({
            "name": name,
            "description": description,
            "tasks": ["similarity-search"],
            "result": { "shape": [-1, width], "dim_order": ["batch", "embedding"], "data_type": "float32" },
        })
    };
    let features = "What the tower gives before its projector, for probes and classifiers";
    let embeds = "Unit rows of the space that images and metadata share";
    let mut all = vec![
        output("image_features", features, arch.image.features()),
        output("image_embeds", embeds, arch.embed_dim),
    ];
    if let Some(side) = &arch.metadata {
        all.push(output("metadata_features", features, side.tower.features()));
        all.push(output("metadata_embeds", embeds, arch.embed_dim));
    }
    all
}
