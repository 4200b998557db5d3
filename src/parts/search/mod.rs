//! The k nearest rows of a bank, exactly.

mod scan;

pub use scan::{Scan, UnitRows, error_bound, exact, scan};

use crate::error::{Error, Result};
use crate::parts::threads::cores;

fn reason(reason: impl Into<String>) -> Error {
    Error::Argument {
        what: "rows",
        reason: reason.into(),
    }
}

/// A row of the bank near a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Cosine similarity, by [`exact`].
    pub similarity: f64,
    /// Its row in the bank.
    pub row: u32,
}

/// Rows in which neighbours are looked for.
#[derive(Debug, Clone)]
pub struct Bank {
    rows: UnitRows,
}

impl Bank {
    /// Rows of any length; they are compared by their cosines.
    ///
    /// # Errors
    /// Without rows or columns, or when a value is not finite.
    pub fn new(rows: ndarray::ArrayView2<f32>) -> Result<Self> {
        let rows = UnitRows::new("the bank", rows)?;
        if u32::try_from(rows.len()).is_err() {
            let n = rows.len();
            return Err(reason(format!(
                "a bank of {n} rows; at most 2^32 can be searched"
            )));
        }
        Ok(Bank { rows })
    }

    /// Number of rows, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there is a row")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// What `visit` makes of each query's `k` nearest rows: the largest cosine first, of equal ones the
    /// lower row first. All rows, where there are fewer than `k`.
    ///
    /// # Errors
    /// Where `k` is 0, the widths differ, there is no query, or a number of one is not finite.
    pub fn nearest<R: Send>(
        &self,
        queries: ndarray::ArrayView2<f32>,
        k: usize,
        visit: impl Fn(&[Neighbour]) -> R + Sync,
    ) -> Result<Vec<R>> {
        self.nearest_on(cores(), queries, k, visit)
    }

    fn nearest_on<R: Send>(
        &self,
        threads: usize,
        queries: ndarray::ArrayView2<f32>,
        k: usize,
        visit: impl Fn(&[Neighbour]) -> R + Sync,
    ) -> Result<Vec<R>> {
        if k == 0 {
            return Err(reason("k is 0; at least one neighbour must vote"));
        }
        let queries = UnitRows::new("the queries", queries)?;
        let search = Search {
            queries: &queries,
            bank: &self.rows,
            k: k.min(self.len()),
            bound: error_bound(queries.dim()),
            visit,
        };
        scan(&queries, &self.rows, threads, &search)
    }
}

struct Search<'a, V> {
    queries: &'a UnitRows,
    bank: &'a UnitRows,
    k: usize,
    /// Error of a similarity.
    bound: f64,
    visit: V,
}

/// The rows that may still be among the k nearest.
struct Candidates {
    /// Similarity in f32 and row.
    list: Vec<(f32, u32)>,
    /// Rows with a lower similarity in f32 are surely not among them.
    floor: f32,
    /// The length at which the list is shortened.
    full: usize,
}

impl<V> Search<'_, V> {
    /// Takes out what k others surely surpass.
    ///
    /// With `t` the k-th largest similarity in f32, k rows are exactly at least `t - bound`. A row of the true
    /// k nearest is no lower than that, so that its similarity in f32 is at least `t - 2 bound`.
    fn shorten(&self, candidates: &mut Candidates, query: usize) {
        let list = &mut candidates.list;
        if list.len() <= self.k {
            return;
        }
        let (_, least, _) = list.select_nth_unstable_by(self.k - 1, |a, b| b.0.total_cmp(&a.0));
        let floor = (f64::from(least.0) - 2.0 * self.bound) as f32;
        candidates.floor = candidates.floor.max(floor);
        list.retain(|(similarity, _)| *similarity >= candidates.floor);
        // Many that are nearly equal: they are told apart now, so that the list stays short.
        if list.len() > candidates.full / 2 {
            let nearest = self.sorted(list, query);
            list.clear();
            list.extend(nearest.iter().map(|n| (n.similarity as f32, n.row)));
            if let Some(last) = nearest.last() {
                let floor = (last.similarity - self.bound) as f32;
                candidates.floor = candidates.floor.max(floor);
            }
        }
    }

    /// The k nearest of the candidates.
    fn sorted(&self, list: &[(f32, u32)], query: usize) -> Vec<Neighbour> {
        let query = self.queries.row(query);
        let mut nearest: Vec<_> = list
            .iter()
            .map(|(_, row)| Neighbour {
                similarity: exact(query, self.bank.row(*row as usize)),
                row: *row,
            })
            .collect();
        let order = |a: &Neighbour, b: &Neighbour| {
            b.similarity
                .total_cmp(&a.similarity)
                .then(a.row.cmp(&b.row))
        };
        if nearest.len() > self.k {
            nearest.select_nth_unstable_by(self.k - 1, order);
            nearest.truncate(self.k);
        }
        nearest.sort_unstable_by(order);
        nearest
    }
}

impl<V: Fn(&[Neighbour]) -> R + Sync, R: Send> Scan for Search<'_, V> {
    type State = Candidates;
    type Found = R;

    fn start(&self, _: usize) -> Candidates {
        let full = 4 * self.k + 256;
        Candidates {
            list: Vec::with_capacity(full),
            floor: f32::NEG_INFINITY,
            full,
        }
    }

    fn take(&self, candidates: &mut Candidates, query: usize, first: usize, similarities: &[f32]) {
        // Lanes of 16 that hold nothing near are passed over at once.
        for (lane, values) in similarities.chunks(16).enumerate() {
            let floor = candidates.floor;
            if !values.iter().fold(false, |any, s| any | (*s >= floor)) {
                continue;
            }
            let rows = (first + 16 * lane) as u32..;
            let near = values.iter().zip(rows).filter(|(s, _)| **s >= floor);
            candidates.list.extend(near.map(|(s, row)| (*s, row)));
            if candidates.list.len() + 16 > candidates.full {
                self.shorten(candidates, query);
            }
        }
    }

    fn finish(&self, mut candidates: Candidates, query: usize) -> R {
        self.shorten(&mut candidates, query);
        (self.visit)(&self.sorted(&candidates.list, query))
    }
}

#[cfg(test)]
mod tests {
    use super::scan::tests::drawn;
    use super::*;
    use ndarray::{Array2, Axis, array, concatenate};

    /// All rows compared and sorted.
    fn plain(queries: &Array2<f32>, bank: &Array2<f32>, k: usize) -> Vec<Vec<Neighbour>> {
        let queries = UnitRows::new("queries", queries.view()).unwrap();
        let bank = UnitRows::new("bank", bank.view()).unwrap();
        let one = |q: usize| {
            let mut all: Vec<_> = (0..bank.len())
                .map(|b| Neighbour {
                    similarity: exact(queries.row(q), bank.row(b)),
                    row: b as u32,
                })
                .collect();
            // A stable sort: equal ones stay in the bank's order.
            all.sort_by(|a, b| b.similarity.partial_cmp(&a.similarity).unwrap());
            all.truncate(k);
            all
        };
        (0..queries.len()).map(one).collect()
    }

    fn check(queries: &Array2<f32>, bank: &Array2<f32>, k: usize) {
        let expected = plain(queries, bank, k);
        let bank = Bank::new(bank.view()).unwrap();
        for threads in [1, 2, 5] {
            let found = bank.nearest_on(threads, queries.view(), k, <[_]>::to_vec);
            assert_eq!(found.unwrap(), expected, "k {k}, {threads} threads");
        }
    }

    #[test]
    fn drawn_rows_equal_a_full_sort() {
        for (queries, bank, dim, k) in [(1, 1, 1, 1), (300, 5000, 16, 20), (40, 900, 3, 200)] {
            check(&drawn(queries, dim, 3), &drawn(bank, dim, 4), k);
        }
        check(&drawn(20, 5, 3), &drawn(30, 5, 4), 100);
    }

    #[test]
    fn rows_that_differ_in_the_last_bit_are_told_apart() {
        // A collapsed model: all within the error of a product in f32, and many equal.
        let noise = drawn(6000, 24, 5) * 3e-7;
        let bank = noise + 1.0;
        check(&(drawn(30, 24, 6) * 3e-7 + 1.0), &bank, 10);
        check(&drawn(30, 24, 6), &bank, 50);
    }

    #[test]
    fn sorted_banks_are_searched_wholly() {
        // The nearest come last, so that the floor rises all the time.
        let angles = Array2::from_shape_fn((9000, 1), |(row, _)| 1.5 - row as f32 / 6000.0);
        let bank = concatenate![Axis(1), angles.mapv(f32::cos), angles.mapv(f32::sin)];
        check(&array![[1.0, 0.0], [0.0, 0.0], [-1.0, 0.1]], &bank, 20);
    }

    #[test]
    fn equal_rows_are_in_the_banks_order() {
        let bank = array![[0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.0]];
        let rows = |near: &[Neighbour]| near.iter().map(|n| n.row).collect::<Vec<_>>();
        let bank = Bank::new(bank.view()).unwrap();
        let found = bank.nearest(array![[5.0, 0.0], [0.0, 0.0]].view(), 3, rows);
        assert_eq!(found.unwrap(), [[1, 2, 3], [0, 1, 2]]);
    }

    #[test]
    fn impossible_searches_are_errors() {
        let bank = Bank::new(array![[1.0, 0.0]].view()).unwrap();
        assert!(bank.nearest(array![[1.0, 0.0]].view(), 0, |_| ()).is_err());
        assert!(bank.nearest(array![[1.0]].view(), 1, |_| ()).is_err());
        assert!(
            bank.nearest(Array2::zeros((0, 2)).view(), 1, |_| ())
                .is_err()
        );
        assert!(Bank::new(array![[f32::INFINITY]].view()).is_err());
    }
}
