//! JSON lines: `{"id": .., "valid": 1.0, "image_embedding": [..], "metadata_embedding": [..] or null}`.

use std::io::Write;
use std::path::Path;

use super::{ColumnSpec, OutputFile, PartWriter, Rows, Schema, failed, with_suffix};
use satmip::Result;
use satmip::parts::aside::Aside;

/// Writes JSON lines into a file, or into any stream.
pub(crate) struct JsonLines {
    columns: Vec<ColumnSpec>,
    sink: Sink,
    line: Vec<u8>,
}

enum Sink {
    File(OutputFile),
    Stream(Box<dyn Write>),
}

impl JsonLines {
    pub(super) fn create(base: &Path, schema: &Schema) -> Result<Self> {
        let file = OutputFile::create(&with_suffix(base, ".jsonl"))?;
        Ok(JsonLines {
            columns: schema.columns.clone(),
            sink: Sink::File(file),
            line: Vec::new(),
        })
    }

    /// Writes into a stream, which is flushed after each push.
    pub(crate) fn stream(stream: Box<dyn Write>, schema: &Schema) -> Self {
        JsonLines {
            columns: schema.columns.clone(),
            sink: Sink::Stream(stream),
            line: Vec::new(),
        }
    }
}

impl PartWriter for JsonLines {
    fn push(&mut self, rows: &Rows) -> Result<()> {
        self.line.clear();
        for (i, id) in rows.ids.iter().enumerate() {
            self.line.extend_from_slice(b"{\"id\":");
            append(&mut self.line, id);
            self.line.extend_from_slice(b",\"valid\":");
            append(&mut self.line, &rows.valid[i]);
            for (c, column) in self.columns.iter().enumerate() {
                self.line.extend_from_slice(b",\"");
                self.line.extend_from_slice(column.name.as_bytes());
                self.line.extend_from_slice(b"\":");
                append(&mut self.line, &rows.vector(i, c, column.dim));
            }
            if let Some(window) = rows.windows.get(i) {
                let mut known = serde_json::Map::new();
                window.describe(&mut known);
                for (name, value) in known {
                    self.line.push(b',');
                    append(&mut self.line, &name);
                    self.line.push(b':');
                    append(&mut self.line, &value);
                }
            }
            self.line.extend_from_slice(b"}\n");
        }
        match &mut self.sink {
            Sink::File(file) => file.write(&self.line),
            Sink::Stream(stream) => stream
                .write_all(&self.line)
                .and_then(|()| stream.flush())
                .map_err(|e| failed(Path::new("-"), e)),
        }
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aside>> {
        match self.sink {
            Sink::File(file) => Ok(vec![file.finish()?]),
            Sink::Stream(_) => Ok(Vec::new()),
        }
    }
}

/// Appends a value as JSON; into memory, of strings and numbers, which cannot fail.
fn append(line: &mut Vec<u8>, value: &impl serde::Serialize) {
    let written = serde_json::to_writer(&mut *line, value);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::super::tests::{rows, schema};
    use super::*;

    #[test]
    fn a_line_has_the_id_and_every_column() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Box::new(JsonLines::create(&dir.path().join("x"), &schema()).unwrap());
        writer.push(&rows(0, 2)).unwrap();
        let files = writer.finish().unwrap();
        super::super::commit(files, satmip::parts::aside::Existing::Keep).unwrap();
        let text = std::fs::read_to_string(dir.path().join("x.jsonl")).unwrap();
        assert_eq!(
            text,
            "{\"id\":\"i0\\n.jpg\",\"valid\":1.0,\"image_embedding\":[0.25,0.25],\
             \"metadata_embedding\":[0.25,0.25,0.25]}\n\
             {\"id\":\"i1\\n.jpg\",\"valid\":0.75,\"image_embedding\":[1.25,1.25],\"metadata_embedding\":null}\n"
        );
    }
}
