//! An ONNX file for people.

use std::path::Path;

use serde_json::Value;

use super::onnx::Onnx;
use super::{Output, count};
use satmip::Result;

/// Most characters of a text of the file that people are shown.
const MOST_SHOWN: usize = 72;

impl Onnx {
    pub(super) fn print(&self, path: &Path, out: &mut Output) -> Result<()> {
        out.table(&["ONNX", &path.display().to_string()], &self.rows())?;
        for (heading, ports) in [("input", &self.inputs), ("output", &self.outputs)] {
            let rows = ports.iter().map(|port| {
                let shape = port.shape.as_deref().map(shown_shape);
                let shape = shape.unwrap_or_else(|| "no shape stated".to_owned());
                vec![line(&port.name), port.element_type.clone(), shape]
            });
            out.line("")?;
            out.table(&[heading, "type", "shape"], &rows.collect::<Vec<_>>())?;
        }
        out.line("")?;
        let rows = self.operators.iter().map(|(name, nodes)| {
            let macs = match (
                self.macs.by_operator.get(name),
                self.macs.uncounted.get(name),
            ) {
                (Some(macs), None) => macs.to_string(),
                (Some(macs), Some(_)) => format!("at least {macs}"),
                (None, Some(left_out)) => format!("unknown: {}", left_out.reason),
                (None, None) => String::new(),
            };
            vec![line(name), nodes.to_string(), macs]
        });
        out.table(&["operator", "nodes", "MACs"], &rows.collect::<Vec<_>>())?;
        if !self.properties.is_empty() {
            out.line("")?;
            let rows = self.properties.iter().map(|(key, value)| {
                let shown = line(value);
                let shown = match value.chars().count() > MOST_SHOWN {
                    true => format!("{shown} ({} bytes; `--json` has all)", value.len()),
                    false => shown,
                };
                vec![line(key), shown]
            });
            out.table(&["property", "value"], &rows.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let opsets = self.opsets.iter();
        let opsets = opsets.map(|(name, version)| format!("{} {version}", line(name)));
        let constants = self.constants.iter().map(|(element_type, c)| {
            let tensors = count(c.tensors as usize, "tensor");
            format!(
                "{element_type}: {tensors}, {} elements, {} bytes",
                c.elements, c.bytes
            )
        });
        let macs = match self.macs.certainty {
            "unknown" => "unknown".to_owned(),
            "exact" => self.macs.counted.to_string(),
            certainty => format!("{certainty} {}", self.macs.counted),
        };
        let dimensions = self.macs.dimensions.iter();
        let dimensions = dimensions.map(|(name, value)| format!("{} = {value}", line(name)));
        let with = dimensions.collect::<Vec<_>>().join(", ");
        let macs = match with.is_empty() {
            true => macs,
            false => format!("{macs}, with {with}"),
        };
        let mut rows = vec![
            ("file", format!("{} bytes", self.bytes)),
            ("graph", line(&self.graph)),
            ("producer", line(&self.producer)),
            ("IR version", self.ir_version.to_string()),
            ("operator sets", opsets.collect::<Vec<_>>().join(", ")),
            ("precision", self.precision.to_owned()),
            ("parameters", self.parameters.to_string()),
            ("multiply-accumulates", macs),
        ];
        rows.extend(constants.map(|text| ("constants", text)));
        rows.extend(self.side_files.iter().map(|(name, file)| {
            let found = match file.found {
                None => "it is missing".to_owned(),
                Some(found) if found < file.needed => format!("it has {found}"),
                Some(_) => "it is there".to_owned(),
            };
            let needed = file.needed;
            (
                "side file",
                format!("{}: {needed} bytes are needed, {found}", line(name)),
            )
        }));
        if self.functions > 0 {
            rows.push(("functions", self.functions.to_string()));
        }
        if self.sparse_constants > 0 {
            rows.push(("sparse constants", self.sparse_constants.to_string()));
        }
        let rows = rows.into_iter();
        rows.map(|(name, text)| vec![name.to_owned(), text])
            .collect()
    }
}

/// `[batch, 64, 64, 3]`; `?` where nothing is said.
fn shown_shape(dims: &[Value]) -> String {
    let dims = dims.iter().map(|dim| match dim {
        Value::Null => "?".to_owned(),
        Value::String(name) => line(name),
        number => number.to_string(),
    });
    format!("[{}]", dims.collect::<Vec<_>>().join(", "))
}

/// A text of the file on one line without control characters, cut where it is long.
fn line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    match text.chars().count() > MOST_SHOWN {
        true => {
            let start: String = text.chars().take(MOST_SHOWN - 3).map(plain).collect();
            format!("{start}...")
        }
        false => text.chars().map(plain).collect(),
    }
}
