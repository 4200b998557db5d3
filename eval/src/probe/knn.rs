//! Weighted k nearest neighbours with DINO's protocol (Caron et al. 2021, section 4.1 and its
//! `eval_knn.py`): cosine similarity `s` of unit rows, votes of weight `exp(s / 0.07)`.

use ndarray::{Array2, ArrayView2};

use super::{check_classes, first_largest, reason};
use satmip::Result;
use satmip::parts::search::{Bank, Neighbour};

/// DINO's temperature.
const TEMPERATURE: f64 = 0.07;

/// A bank of rows with one class each.
#[derive(Debug, Clone)]
pub struct Knn {
    bank: Bank,
    labels: Vec<usize>,
    classes: usize,
}

impl Knn {
    /// A bank `[n, d]` with its rows' classes, each below `classes`. Rows are brought to length 1; rows of
    /// zeros stay zero.
    ///
    /// # Errors
    /// Without rows or columns, when a value is not finite, and when labels do not fit.
    pub fn new(bank: ArrayView2<f32>, labels: &[usize], classes: usize) -> Result<Self> {
        check_classes("the bank", bank.nrows(), labels, classes)?;
        Ok(Knn {
            bank: Bank::new(bank)?,
            labels: labels.to_vec(),
            classes,
        })
    }

    /// For each of `ks` the votes `[queries, classes]` of the k nearest rows; all rows vote where there are
    /// fewer than k. Neighbours of equal similarity: the lower row first.
    ///
    /// # Errors
    /// Without queries, when their width is another than the bank's or a value is not finite, or when
    /// a k is 0.
    pub fn scores(&self, queries: ArrayView2<f32>, ks: &[usize]) -> Result<Vec<Array2<f64>>> {
        let found = self.visit(queries, ks, |votes| votes)?;
        by_k(found, ks.len())
            .into_iter()
            .map(|rows| table(rows, self.classes))
            .collect()
    }

    /// For each of `ks` the class with most votes of each query, the lowest of equal ones.
    ///
    /// # Errors
    /// As [`Knn::scores`].
    pub fn predict(&self, queries: ArrayView2<f32>, ks: &[usize]) -> Result<Vec<Vec<usize>>> {
        Ok(by_k(self.visit(queries, ks, first_largest)?, ks.len()))
    }

    /// What `visit` makes of the votes, for each query and each k.
    fn visit<R: Send>(
        &self,
        queries: ArrayView2<f32>,
        ks: &[usize],
        visit: impl Fn(Vec<f64>) -> R + Sync,
    ) -> Result<Vec<Vec<R>>> {
        let most = largest(ks)?;
        self.bank.nearest(queries, most, |near| {
            let of_k = |k: &usize| {
                let mut votes = vec![0.0; self.classes];
                for neighbour in near.iter().take(*k) {
                    votes[self.labels[neighbour.row as usize]] += weight(neighbour);
                }
                visit(votes)
            };
            ks.iter().map(of_k).collect()
        })
    }
}

/// A bank of rows with any number of labels each.
#[derive(Debug, Clone)]
pub struct LabelKnn {
    bank: Bank,
    labels: Array2<bool>,
}

impl LabelKnn {
    /// A bank `[n, d]` and which labels its rows have, `[n, labels]`.
    ///
    /// # Errors
    /// As [`Knn::new`].
    pub fn new(bank: ArrayView2<f32>, labels: ArrayView2<bool>) -> Result<Self> {
        let (rows, found) = (bank.nrows(), labels.nrows());
        if rows != found {
            return Err(reason(format!(
                "the bank: {rows} rows, but labels of {found}"
            )));
        }
        Ok(LabelKnn {
            bank: Bank::new(bank)?,
            labels: labels.to_owned(),
        })
    }

    /// For each of `ks` scores `[queries, labels]`: the share of the weight of the k nearest rows that is
    /// with rows that have the label, 0 to 1. The share is our choice: DINO has classes only.
    ///
    /// # Errors
    /// As [`Knn::scores`].
    pub fn scores(&self, queries: ArrayView2<f32>, ks: &[usize]) -> Result<Vec<Array2<f64>>> {
        let most = largest(ks)?;
        let width = self.labels.ncols();
        let found = self.bank.nearest(queries, most, |near| {
            let of_k = |k: &usize| {
                let (mut votes, mut sum) = (vec![0.0; width], 0.0);
                for neighbour in near.iter().take(*k) {
                    let (weight, row) = (weight(neighbour), neighbour.row as usize);
                    sum += weight;
                    for (vote, has) in votes.iter_mut().zip(self.labels.row(row)) {
                        *vote += if *has { weight } else { 0.0 };
                    }
                }
                votes.iter().map(|vote| vote / sum).collect::<Vec<_>>()
            };
            ks.iter().map(of_k).collect::<Vec<_>>()
        })?;
        let rows = by_k(found, ks.len());
        rows.into_iter().map(|rows| table(rows, width)).collect()
    }
}

fn weight(neighbour: &Neighbour) -> f64 {
    (neighbour.similarity / TEMPERATURE).exp()
}

fn largest(ks: &[usize]) -> Result<usize> {
    match ks.iter().min() {
        Some(0) => Err(reason("k is 0; at least one neighbour must vote")),
        None => Err(reason("no k is given")),
        Some(_) => Ok(ks.iter().copied().max().unwrap_or(1)),
    }
}

/// From [query][k] to [k][query].
fn by_k<R>(found: Vec<Vec<R>>, ks: usize) -> Vec<Vec<R>> {
    let mut turned: Vec<Vec<R>> = (0..ks).map(|_| Vec::with_capacity(found.len())).collect();
    for query in found {
        for (all, one) in turned.iter_mut().zip(query) {
            all.push(one);
        }
    }
    turned
}

/// Scores of each query, all of one length, as an array `[queries, width]`.
fn table(rows: Vec<Vec<f64>>, width: usize) -> Result<Array2<f64>> {
    let shape = (rows.len(), width);
    let values = rows.into_iter().flatten().collect();
    Array2::from_shape_vec(shape, values).map_err(|e| reason(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn;
    use super::*;
    use ndarray::array;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-6 * expected.abs().max(1.0),
            "{found}, expected {expected}"
        );
    }

    #[test]
    fn nearer_neighbours_weigh_more() {
        // Two orthogonal rows of class 0 against one equal row of class 1.
        let bank = array![[0.0, 1.0], [0.0, 3.0], [2.0, 0.0]];
        let knn = Knn::new(bank.view(), &[0, 0, 1], 3).unwrap();
        let queries = array![[5.0, 0.0]];
        let scores = knn.scores(queries.view(), &[3, 1, 100]).unwrap();
        for (of_k, first) in scores.iter().zip([2.0, 0.0, 2.0]) {
            close(of_k[[0, 0]], first);
            close(of_k[[0, 1]], (1.0f64 / 0.07).exp());
            close(of_k[[0, 2]], 0.0);
        }
        let found = knn.predict(queries.view(), &[3, 1, 100]).unwrap();
        assert_eq!(found, [[1], [1], [1]]);
    }

    #[test]
    fn more_neighbours_outvote_a_nearer_one() {
        // Cosines 1, 0.98, 0.98: exp(0.02 / 0.07) = 1.33 is less than 2.
        let far = (1.0f32 - 0.98 * 0.98).sqrt();
        let bank = array![[1.0, 0.0], [0.98, far], [0.98, -far]];
        let knn = Knn::new(bank.view(), &[0, 1, 1], 2).unwrap();
        let found = knn.predict(array![[1.0, 0.0]].view(), &[1, 2, 3]).unwrap();
        assert_eq!(found, [[0], [0], [1]]);
    }

    #[test]
    fn equal_votes_go_to_the_lowest_class() {
        let bank = array![[1.0, 0.0], [1.0, 0.0]];
        let knn = Knn::new(bank.view(), &[2, 1], 3).unwrap();
        let queries = array![[1.0, 0.0], [0.0, 0.0]];
        let found = knn.predict(queries.view(), &[2, 1]).unwrap();
        assert_eq!(found, [[1, 1], [2, 2]]);
    }

    #[test]
    fn one_label_of_each_row_gives_the_shares_of_the_classes() {
        let (bank, queries) = (drawn(500, 8, 1), drawn(300, 8, 2));
        let labels: Vec<usize> = (0..500).map(|row| row * 7 % 5).collect();
        let has = Array2::from_shape_fn((500, 5), |(row, label)| labels[row] == label);
        let ks = [10, 500];
        let classes = Knn::new(bank.view(), &labels, 5).unwrap();
        let classes = classes.scores(queries.view(), &ks).unwrap();
        let shares = LabelKnn::new(bank.view(), has.view()).unwrap();
        let shares = shares.scores(queries.view(), &ks).unwrap();
        for (votes, shares) in classes.iter().zip(&shares) {
            for (votes, shares) in votes.outer_iter().zip(shares.outer_iter()) {
                let sum = votes.sum();
                votes
                    .iter()
                    .zip(shares)
                    .for_each(|(v, s)| close(*s, v / sum));
            }
        }
    }

    #[test]
    fn a_row_may_have_several_labels_or_none() {
        let bank = array![[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let has = array![[true, true], [true, false], [false, false], [false, true]];
        let knn = LabelKnn::new(bank.view(), has.view()).unwrap();
        let scores = knn.scores(array![[1.0, 0.0]].view(), &[3]).unwrap();
        close(scores[0][[0, 0]], 2.0 / 3.0);
        close(scores[0][[0, 1]], 1.0 / 3.0);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let bank = array![[1.0, 0.0], [0.0, 1.0]];
        assert!(Knn::new(bank.view(), &[0], 1).is_err());
        assert!(Knn::new(bank.view(), &[0, 1], 1).is_err());
        assert!(LabelKnn::new(bank.view(), Array2::default((1, 2)).view()).is_err());
        let knn = Knn::new(bank.view(), &[0, 1], 2).unwrap();
        assert!(knn.predict(bank.view(), &[0]).is_err());
        assert!(knn.predict(bank.view(), &[]).is_err());
    }
}
