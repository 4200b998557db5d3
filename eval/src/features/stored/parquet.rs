//! Parquet with a column of ids and columns of lists.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::{Stored, refuse};
use satmip::{Error, Result};

/// Reads one side.
pub(super) fn read(path: &Path, side: &str) -> Result<Stored> {
    // The decoder asserts inside, and the file may be anybody's.
    satmip::parts::guard::guarded(|| columns(path, side))
        .unwrap_or_else(|said| Err(refuse(path, format!("the decoder panicked: {said}"))))
}

fn columns(path: &Path, side: &str) -> Result<Stored> {
    let fail = |reason: String| refuse(path, reason);
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let file = SerializedFileReader::new(file).map_err(|e| fail(e.to_string()))?;
    let schema = file.metadata().file_metadata().schema();
    let names = ["features", "embedding"].map(|kind| format!("{side}_{kind}"));
    let column = |name: &str| schema.get_fields().iter().find(|f| f.name() == name);
    let vectors = names.iter().find_map(|name| column(name));
    let (Some(id), Some(vectors)) = (column("id"), vectors) else {
        return Err(fail(format!(
            "it has no column `id`, or neither `{}` nor `{}`",
            names[0], names[1]
        )));
    };
    let wanted = Type::group_type_builder(schema.name())
        .with_fields(vec![Arc::clone(id), Arc::clone(vectors)])
        .build();
    let rows =
        wanted.and_then(|wanted| RowIter::from_file_into(Box::new(file)).project(Some(wanted)));
    let mut found = Columns::default();
    for row in rows.map_err(|e| fail(e.to_string()))? {
        let mut cells = row
            .map_err(|e| fail(e.to_string()))?
            .into_columns()
            .into_iter();
        let mut cell = || cells.next().map_or(Field::Null, |(_, cell)| cell);
        let (id, vector) = (cell(), cell());
        found.push(id, &vector).map_err(fail)?;
    }
    let shape = (found.vectors, found.width.unwrap_or(0));
    let rows = Array2::from_shape_vec(shape, found.numbers).map_err(|e| fail(e.to_string()))?;
    Ok(Stored {
        ids: found.ids,
        places: found.places,
        rows,
    })
}

/// What was read of the two columns.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    /// Which vector each id has.
    places: Vec<Option<usize>>,
    /// The vectors, one behind the other, their number and width.
    numbers: Vec<f32>,
    vectors: usize,
    width: Option<usize>,
}

impl Columns {
    fn push(&mut self, id: Field, vector: &Field) -> Result<(), String> {
        self.ids.push(match id {
            Field::Str(text) => text,
            Field::Null => return Err(format!("row {} has no id", self.ids.len() + 1)),
            Field::Bytes(_) | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
                return Err(format!("the id of row {} is no text", self.ids.len() + 1));
            }
            number => number.to_string(),
        });
        let row = self.ids.len();
        let list = match vector {
            Field::Null => {
                self.places.push(None);
                return Ok(());
            }
            Field::ListInternal(list) => list,
            _ => {
                return Err(format!(
                    "its vectors: row {row} has something else than a list"
                ));
            }
        };
        self.places.push(Some(self.vectors));
        self.vectors += 1;
        let before = self.numbers.len();
        self.numbers.reserve(self.width.unwrap_or(0));
        for value in list.elements() {
            self.numbers
                .push(number(value).map_err(|reason| format!("row {row} has {reason}"))?);
        }
        let width = self.numbers.len() - before;
        if *self.width.get_or_insert(width) != width {
            return Err(format!("row {row} has a vector of {width} numbers"));
        }
        Ok(())
    }
}

fn number(value: &Field) -> Result<f32, &'static str> {
    Ok(match value {
        Field::Float16(number) => number.to_f32(),
        Field::Float(number) => *number,
        Field::Double(number) => *number as f32,
        Field::Byte(number) => f32::from(*number),
        Field::Short(number) => f32::from(*number),
        Field::Int(number) => *number as f32,
        Field::Long(number) => *number as f32,
        Field::UByte(number) => f32::from(*number),
        Field::UShort(number) => f32::from(*number),
        Field::Null => return Err("a number that is missing"),
        _ => return Err("something else than numbers in its vector"),
    })
}
