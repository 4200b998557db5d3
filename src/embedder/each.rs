//! Pictures one after the other, each with a result of its own.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ndarray::Array2;

use super::picture::PictureInput;
use super::{Embedder, Wanted};
use crate::error::{Error, Result};

/// The results of [`Embedder::embed_each`], in the order of the pictures.
#[derive(Debug)]
pub struct EmbedEach<'a, I> {
    embedder: &'a Embedder,
    pictures: I,
    ready: VecDeque<Result<Vec<f32>>>,
    /// Nothing more comes: the pictures are at their end, or the engine failed.
    ended: bool,
}

impl Embedder {
    /// Embeds any number of pictures, one result for each, in their order: a unit vector of [`Embedder::dim`] numbers,
    /// or what is wrong with that picture. Memory does not depend on how many there are: as many are taken at a time as
    /// all sessions run ([`EmbedderBuilder::batch_size`](super::EmbedderBuilder::batch_size) each).
    ///
    /// A picture has the vector that [`Embedder::embed_images`] gives it, whatever is wrong with others. When the engine
    /// fails, its error is the last result.
    ///
    /// ```no_run
    /// # fn main() -> satmip::Result<()> {
    /// use satmip::Embedder;
    /// let model = Embedder::builder("satmip-lite").load()?;
    /// let files = std::fs::read_dir("chips").into_iter().flatten().flatten().map(|entry| entry.path());
    /// for result in model.embed_each(files) {
    ///     match result {
    ///         Ok(vector) => println!("{:?}", &vector[..3]),
    ///         Err(error) => eprintln!("left out: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn embed_each<I>(&self, pictures: I) -> EmbedEach<'_, I::IntoIter>
    where
        I: IntoIterator<Item: PictureInput>,
    {
        EmbedEach {
            embedder: self,
            pictures: pictures.into_iter(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// One result for each picture. A bad one keeps its place in its batch, so that the vectors of the others do not
    /// depend on it.
    fn embed_some<P: PictureInput>(&self, pictures: &[P]) -> Result<Vec<Result<Vec<f32>>>> {
        let bad: Mutex<Vec<Option<Error>>> = Mutex::new(pictures.iter().map(|_| None).collect());
        let size = self.input_size();
        let rows: Array2<f32> = self.run_rows(pictures.len(), Wanted::Embeds, |i| {
            Ok(match pictures[i].fitted(self) {
                Ok((pixels, _)) => pixels,
                Err(error) => {
                    bad.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(error);
                    vec![0; size * size * 3]
                }
            })
        })?;
        let bad = bad.into_inner().unwrap_or_else(PoisonError::into_inner);
        let results = rows.outer_iter().zip(bad);
        Ok(results
            .map(|(row, bad)| bad.map_or_else(|| Ok(row.to_vec()), Err))
            .collect())
    }
}

impl<P: PictureInput, I: Iterator<Item = P>> Iterator for EmbedEach<'_, I> {
    type Item = Result<Vec<f32>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.ended {
            let batches = &self.embedder.batches;
            let most = batches.size.saturating_mul(batches.threads);
            let pictures: Vec<P> = self.pictures.by_ref().take(most).collect();
            self.ended = pictures.len() < most;
            match self.embedder.embed_some(&pictures) {
                Ok(results) => self.ready.extend(results),
                Err(error) => {
                    self.ended = true;
                    self.ready.push_back(Err(error));
                }
            }
        }
        self.ready.pop_front()
    }
}
