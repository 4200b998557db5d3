//! Rows of numbers that stand for chips.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use crate::probe::Standardise;
use satmip::{Error, Result};

/// What is known of a chip when its class is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// The picture.
    Image,
    /// The metadata.
    Metadata,
    /// The picture and the metadata.
    Both,
}

impl FeatureKind {
    /// `image`, `metadata` or `both`.
    pub fn name(self) -> &'static str {
        match self {
            FeatureKind::Image => "image",
            FeatureKind::Metadata => "metadata",
            FeatureKind::Both => "both",
        }
    }

    /// Whether pictures are needed.
    pub fn has_image(self) -> bool {
        self != FeatureKind::Metadata
    }

    /// Whether metadata are needed.
    pub fn has_metadata(self) -> bool {
        self != FeatureKind::Image
    }
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FeatureKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [FeatureKind::Image, FeatureKind::Metadata, FeatureKind::Both];
        let found = all.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| Error::Argument {
            what: "features",
            reason: format!("`{text}` is none of image, metadata and both"),
        })
    }
}

/// Features of one side of a set of chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// `image` or `metadata`.
    pub name: &'static str,
    /// `[chips, width]`.
    pub rows: Array2<f32>,
}

/// Features of a set of chips, ready for a classifier: `[chips, width]`, every number finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    kind: FeatureKind,
    rows: Array2<f32>,
}

impl Features {
    /// Joins the blocks. One block stays as it is. Of two, each is standardised by the mean and deviation of
    /// the rows `train` and divided by the square root of its width, so that both weigh the same whatever
    /// their widths (our choice), and then they stand side by side.
    ///
    /// # Errors
    /// [`Error::Evaluation`] for blocks of different length, without columns, or with a number that is
    /// not finite; `id` names its row.
    pub fn join(
        kind: FeatureKind,
        mut blocks: Vec<Block>,
        train: &[usize],
        id: impl Fn(usize) -> String,
    ) -> Result<Self> {
        for block in &blocks {
            let rows = block.rows.rows();
            if let Some(row) = rows
                .into_iter()
                .position(|r| r.iter().any(|v| !v.is_finite()))
            {
                return Err(Error::Evaluation {
                    reason: format!(
                        "the {} features of `{}` have a number that is not finite",
                        block.name,
                        id(row)
                    ),
                });
            }
        }
        let lengths: Vec<usize> = blocks.iter().map(|b| b.rows.nrows()).collect();
        if lengths.windows(2).any(|two| two[0] != two[1])
            || blocks.iter().any(|b| b.rows.ncols() == 0)
        {
            return Err(Error::Evaluation {
                reason: format!("blocks of features of {lengths:?} rows cannot be joined"),
            });
        }
        let rows = match (blocks.pop(), blocks.pop()) {
            (Some(one), None) => one.rows,
            (Some(second), Some(first)) => {
                let even = |block: Block| -> Result<Array2<f32>> {
                    let known = block.rows.select(Axis(0), train);
                    let mut rows = Standardise::fit(known.view())?.apply(block.rows.view())?;
                    rows /= (rows.ncols() as f32).sqrt();
                    Ok(rows)
                };
                let (first, second) = (even(first)?, even(second)?);
                concatenate(Axis(1), &[first.view(), second.view()]).map_err(|e| {
                    Error::Evaluation {
                        reason: e.to_string(),
                    }
                })?
            }
            (None, _) => {
                return Err(Error::Evaluation {
                    reason: "there are no features".into(),
                });
            }
        };
        Ok(Self { kind, rows })
    }

    /// What the features are of.
    pub fn kind(&self) -> FeatureKind {
        self.kind
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.rows.ncols()
    }

    /// All rows, `[chips, width]`.
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.rows.view()
    }

    /// Some of the rows, in the order given.
    pub fn select(&self, rows: &[usize]) -> Array2<f32> {
        self.rows.select(Axis(0), rows)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn block(name: &'static str, rows: Array2<f32>) -> Block {
        Block { name, rows }
    }

    #[test]
    fn one_block_stays_and_two_weigh_the_same() {
        let images = array![[1.0, 5.0], [3.0, 9.0], [100.0, 0.0]];
        let records = array![[10.0], [20.0], [15.0]];
        let id = |row: usize| row.to_string();
        let one = vec![block("image", images.clone())];
        let one = Features::join(FeatureKind::Image, one, &[0, 1], id).unwrap();
        assert_eq!(one.view(), images);
        let two = vec![block("image", images), block("metadata", records)];
        let two = Features::join(FeatureKind::Both, two, &[0, 1], id).unwrap();
        let half = 0.5_f32.sqrt();
        assert!(
            (two.select(&[0]) - array![[-half, -half, -1.0]])
                .iter()
                .all(|d| d.abs() < 1e-5)
        );
        assert!((two.view()[[2, 0]] - 98.0 * half).abs() < 1e-3);
        assert_eq!((two.view()[[2, 2]], two.dim()), (0.0, 3));
    }

    #[test]
    fn what_cannot_be_joined_is_named() {
        let id = |row: usize| format!("chip {row}");
        let join = |blocks| {
            Features::join(FeatureKind::Both, blocks, &[0], id)
                .unwrap_err()
                .to_string()
        };
        let nan = block("image", array![[0.0], [f32::NAN]]);
        let error = join(vec![nan]);
        assert!(error.contains("image features of `chip 1`"), "{error}");
        let longer = block("metadata", Array2::zeros((3, 1)));
        let error = join(vec![block("image", Array2::zeros((2, 1))), longer]);
        assert!(error.contains("[2, 3]"), "{error}");
        assert!(join(Vec::new()).contains("no features"));
        assert!(join(vec![block("image", Array2::zeros((2, 0)))]).contains("[2]"));
    }
}
