//! What one of our tensors is made of.

use super::MOST_NAMED;
use super::report::Applied;
use super::source::WeightsFile;
use satmip::Result;

/// Tensors of the file that make one of ours, and how.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Names in the file, whole, and shapes, in the order in which they are joined.
    pub(super) sources: Vec<(String, Vec<usize>)>,
    pub(super) transpose: bool,
    /// Which of how many parts it is.
    pub(super) cut: Option<(usize, usize)>,
    /// The shape that results.
    pub(super) shape: Vec<usize>,
}

/// The shape of each part after turning, joining and cutting.
pub(super) fn made_shape(
    sources: &[(String, Vec<usize>)],
    transpose: bool,
    parts: usize,
) -> Result<Vec<usize>, String> {
    let turned = |shape: &[usize]| match (transpose, shape) {
        (false, shape) => Ok(shape.to_vec()),
        (true, [rows, columns]) => Ok(vec![*columns, *rows]),
        (true, shape) => Err(format!(
            "has shape {shape:?}, and only a matrix can be transposed"
        )),
    };
    let mut shape = turned(&sources[0].1)?;
    for (name, other) in &sources[1..] {
        let other = turned(other)?;
        let misfit =
            || format!("has shape {shape:?}, which cannot be joined with {other:?} of `{name}`");
        let same = other.len() == shape.len() && !shape.is_empty() && other[1..] == shape[1..];
        let sum = same.then(|| shape[0].checked_add(other[0])).flatten();
        shape[0] = sum.ok_or_else(misfit)?;
    }
    if parts > 1 {
        match shape.first() {
            Some(rows) if rows.is_multiple_of(parts) => shape[0] = rows / parts,
            _ => {
                return Err(format!(
                    "has shape {shape:?}, which cannot be cut into {parts} parts"
                ));
            }
        }
    }
    Ok(shape)
}

impl Piece {
    /// What is told of it, where it fits the shape that the architecture says.
    ///
    /// # Errors
    /// [`satmip::Error::Weights`] for another shape; dimensions of 1 do not matter.
    pub(super) fn applied(
        &self,
        source: &WeightsFile,
        name: &str,
        shape: &[usize],
    ) -> Result<Applied> {
        let plain =
            |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|n| *n != 1).collect() };
        if plain(shape) != plain(&self.shape) {
            let names = self.sources.iter().map(|(name, _)| name.as_str());
            let names = names.take(MOST_NAMED).collect::<Vec<_>>().join("`, `");
            let reason = format!(
                "gives shape {:?} to `{name}`, expected {shape:?}",
                self.shape
            );
            return Err(source.fault(&names, reason));
        }
        let joined = self.sources.len() > 1;
        let how = [
            (self.transpose, "transposed"),
            (joined, "joined"),
            (self.cut.is_some(), "cut"),
        ];
        Ok(Applied {
            name: name.to_owned(),
            from: self.sources.iter().map(|(name, _)| name.clone()).collect(),
            shape: shape.to_vec(),
            how: how
                .into_iter()
                .filter(|(is, _)| *is)
                .map(|(_, how)| how)
                .collect(),
        })
    }

    /// The numbers, in row-major order of the resulting shape.
    ///
    /// # Errors
    /// [`satmip::Error::Weights`] names the tensor that cannot be read or has a number that is not
    /// finite.
    pub(super) fn numbers(&self, source: &WeightsFile) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for (name, shape) in &self.sources {
            let numbers = source.numbers(name)?;
            match (self.transpose, shape.as_slice()) {
                (true, [rows, columns]) => {
                    for column in 0..*columns {
                        all.extend((0..*rows).map(|row| numbers[row * columns + column]));
                    }
                }
                _ => all.extend(numbers),
            }
        }
        if let Some((part, parts)) = self.cut {
            let size = all.len() / parts;
            all = all[part * size..(part + 1) * size].to_vec();
        }
        Ok(all)
    }
}
