//! An ONNX file, ours or anybody's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use satmip_export::check::Limits;
use satmip_export::summary::{Extent, Port, Summary, SymbolValues, skim};
use serde::Serialize;
use serde_json::Value;

use super::Output;
use satmip::{Error, Result};

/// Longest text that is believed.
const LONGEST_CONTEXT: u64 = 1 << 20;

/// An ONNX file as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Onnx {
    pub(super) bytes: u64,
    pub(super) graph: String,
    pub(super) producer: String,
    pub(super) ir_version: i64,
    pub(super) opsets: BTreeMap<String, i64>,
    pub(super) inputs: Vec<PortJson>,
    pub(super) outputs: Vec<PortJson>,
    pub(super) operators: BTreeMap<String, u64>,
    pub(super) parameters: u64,
    pub(super) precision: &'static str,
    pub(super) constants: BTreeMap<String, ConstantsJson>,
    pub(super) side_files: BTreeMap<String, SideFile>,
    pub(super) functions: usize,
    pub(super) sparse_constants: usize,
    pub(super) macs: MacsJson,
    pub(super) properties: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(super) struct PortJson {
    pub(super) name: String,
    pub(super) element_type: String,
    /// Numbers, names, and null where nothing is said; none where no shape is stated.
    pub(super) shape: Option<Vec<Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConstantsJson {
    pub(super) tensors: u64,
    pub(super) elements: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct SideFile {
    /// Bytes that it must at least have.
    pub(super) needed: u64,
    /// Bytes that it has; none where it is not there.
    pub(super) found: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct MacsJson {
    /// `exact`, `at least` or `unknown`.
    pub(super) certainty: &'static str,
    pub(super) counted: u64,
    pub(super) by_operator: BTreeMap<String, u64>,
    pub(super) uncounted: BTreeMap<String, Uncounted>,
    /// The numbers that stand for named dimensions; unnamed ones are 1.
    pub(super) dimensions: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Uncounted {
    pub(super) nodes: u64,
    pub(super) reason: &'static str,
}

/// Whether a file is to be read as ONNX: by its name, or by the version of the format with which
/// such files begin (no text and no picture begins with these bytes).
pub(super) fn is_onnx(path: &Path) -> Result<bool> {
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
    {
        return Ok(true);
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(2).read_to_end(&mut start))
        .map_err(|e| Error::io(path, e))?;
    Ok(matches!(start[..], [8, 1..32]))
}

/// Reads a file without its weights and shows what is in it.
pub(super) fn show(path: &Path, json: bool, out: &mut Output) -> Result<()> {
    let fault = |e: satmip_export::Error| Error::Graph {
        graph: path.display().to_string(),
        reason: reasons(&e),
    };
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let bytes = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let model = skim(file, bytes, &Limits::default()).map_err(fault)?;
    let about = model.metadata_props.iter();
    let about = about.filter(|p| p.key == "satmip.bundle").map(|p| &p.value);
    let context = about.filter_map(|text| context(text)).next();
    let symbols = match context {
        Some(context) => SymbolValues::ones().with("length", context),
        None => SymbolValues::ones(),
    };
    let summary = Summary::of(&model, &symbols).map_err(fault)?;
    drop(model);
    let found = Onnx::new(summary, bytes, &symbols, path);
    match json {
        true => out.json(&super::Found::Onnx(Box::new(found))),
        false => found.print(path, out),
    }
}

/// An error with its causes on one line.
fn reasons(error: &satmip_export::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The context of a text tower, where the manifest in the file says so.
fn context(manifest: &str) -> Option<u64> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    let context = manifest.pointer("/arch/metadata/tower/context")?.as_u64()?;
    (1..=LONGEST_CONTEXT).contains(&context).then_some(context)
}

impl Onnx {
    fn new(summary: Summary, bytes: u64, symbols: &SymbolValues, path: &Path) -> Self {
        let macs = &summary.macs;
        let macs = MacsJson {
            certainty: match (macs.is_unknown(), macs.is_exact()) {
                (true, _) => "unknown",
                (_, true) => "exact",
                (_, false) => "at least",
            },
            counted: macs.counted,
            by_operator: macs.by_operator.clone(),
            uncounted: macs
                .uncounted
                .iter()
                .map(|(op, (nodes, reason))| {
                    let (nodes, reason) = (*nodes, *reason);
                    (op.clone(), Uncounted { nodes, reason })
                })
                .collect(),
            dimensions: summary
                .inputs
                .iter()
                .flat_map(|port| port.shape.iter().flatten())
                .filter_map(|dim| match dim {
                    Extent::Name(name) => Some((name.clone(), symbols.get(name))),
                    _ => None,
                })
                .collect(),
        };
        let size = |name: &str| {
            let metadata = path.with_file_name(name).metadata().ok()?;
            metadata.is_file().then_some(metadata.len())
        };
        let side_files = summary.side_files.into_iter().map(|(name, needed)| {
            let found = size(&name);
            (name, SideFile { needed, found })
        });
        let constants = summary.constants.into_iter().map(|(name, c)| {
            let (tensors, elements, bytes) = (c.tensors, c.elements, c.bytes);
            let constants = ConstantsJson {
                tensors,
                elements,
                bytes,
            };
            (name, constants)
        });
        Onnx {
            bytes,
            graph: summary.name,
            producer: summary.producer,
            ir_version: summary.ir_version,
            opsets: summary.opsets.into_iter().collect(),
            inputs: summary.inputs.into_iter().map(port).collect(),
            outputs: summary.outputs.into_iter().map(port).collect(),
            operators: summary.operators,
            parameters: summary.parameters,
            precision: summary.precision.name(),
            constants: constants.collect(),
            side_files: side_files.collect(),
            functions: summary.functions,
            sparse_constants: summary.sparse,
            macs,
            properties: summary.properties.into_iter().collect(),
        }
    }
}

fn port(port: Port) -> PortJson {
    let extent = |dim| match dim {
        Extent::Number(n) => Value::from(n),
        Extent::Name(name) => Value::from(name),
        Extent::Unknown => Value::Null,
    };
    PortJson {
        name: port.name,
        element_type: port.element_type,
        shape: port
            .shape
            .map(|dims| dims.into_iter().map(extent).collect()),
    }
}
