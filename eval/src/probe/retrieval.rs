//! Retrieval of each row's own partner, from images to metadata and back.

use ndarray::ArrayView2;

use super::reason;
use satmip::Result;
use satmip::parts::search::{Scan, UnitRows, error_bound, exact, scan};
use satmip::parts::threads::cores;

/// Where the own partners stand among all, one rank for each query.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// From 1, the best; a half where an odd number of others is as similar as the partner.
    pub ranks: Vec<f64>,
}

impl Ranks {
    /// Share of the queries whose partner's rank is at most `k`, 0 to 1.
    pub fn recall_at(&self, k: usize) -> f64 {
        let found = self.ranks.iter().filter(|rank| **rank <= k as f64).count();
        found as f64 / self.ranks.len() as f64
    }

    /// The median of the ranks, the mean of the middle two where there are two.
    pub fn median(&self) -> f64 {
        let mut sorted = self.ranks.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[half],
            _ => (sorted[half - 1] + sorted[half]) / 2.0,
        }
    }
}

/// Retrieval in both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieval {
    /// Images are the queries; each looks for its metadata.
    pub image_to_metadata: Ranks,
    /// Metadata are the queries; each looks for its image.
    pub metadata_to_image: Ranks,
}

/// Ranks each row's own partner by cosine similarity among all `n`, where row i of `images` `[n, d]` belongs to
/// row i of `metadata` `[n, d]`. Others that are exactly as similar count half, as many chips may share
/// their metadata: `1 + greater + equal / 2`, the mean over all orders of the equal ones. Rows are brought
/// to length 1. Similarities are held for a block of rows at a time.
///
/// # Errors
/// Without rows or columns, when a value is not finite, or when the shapes differ.
pub fn retrieval(images: ArrayView2<f32>, metadata: ArrayView2<f32>) -> Result<Retrieval> {
    if images.dim() != metadata.dim() {
        let (images, metadata) = (images.dim(), metadata.dim());
        return Err(reason(format!(
            "images of shape {images:?}, metadata of shape {metadata:?}"
        )));
    }
    let images = UnitRows::new("the images", images)?;
    let metadata = UnitRows::new("the metadata", metadata)?;
    let threads = cores();
    Ok(Retrieval {
        image_to_metadata: ranks(&images, &metadata, threads)?,
        metadata_to_image: ranks(&metadata, &images, threads)?,
    })
}

fn ranks(queries: &UnitRows, bank: &UnitRows, threads: usize) -> Result<Ranks> {
    let search = Partners {
        queries,
        bank,
        same: same_rows(bank),
        bound: error_bound(bank.dim()),
    };
    Ok(Ranks {
        ranks: scan(queries, bank, threads, &search)?,
    })
}

/// A number for each row, the same for rows of the same bits.
fn same_rows(rows: &UnitRows) -> Vec<u32> {
    let bits = |row: usize| rows.row(row).iter().map(|v| v.to_bits());
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by(|a, b| bits(*a).cmp(bits(*b)));
    let mut same = vec![0; rows.len()];
    for pair in order.windows(2) {
        let step = u32::from(!bits(pair[0]).eq(bits(pair[1])));
        same[pair[1]] = same[pair[0]] + step;
    }
    same
}

struct Partners<'a> {
    queries: &'a UnitRows,
    bank: &'a UnitRows,
    same: Vec<u32>,
    /// Error of a similarity.
    bound: f64,
}

struct Count {
    /// The partner's similarity.
    own: f64,
    /// What is below is surely less similar, what is above surely more.
    below: f32,
    above: f32,
    greater: usize,
    equal: usize,
}

impl Partners<'_> {
    /// Compares a row that is nearly as similar as the partner.
    fn compare(&self, count: &mut Count, query: usize, row: usize) {
        if row == query {
            return;
        }
        if self.same[row] == self.same[query] {
            count.equal += 1;
            return;
        }
        let similarity = exact(self.queries.row(query), self.bank.row(row));
        count.greater += usize::from(similarity > count.own);
        count.equal += usize::from(similarity == count.own);
    }
}

impl Scan for Partners<'_> {
    type State = Count;
    type Found = f64;

    fn start(&self, query: usize) -> Count {
        let own = exact(self.queries.row(query), self.bank.row(query));
        Count {
            own,
            below: (own - self.bound) as f32,
            above: (own + self.bound) as f32,
            greater: 0,
            equal: 0,
        }
    }

    fn take(&self, count: &mut Count, query: usize, first: usize, similarities: &[f32]) {
        let (below, above) = (count.below, count.above);
        for (lane, values) in similarities.chunks(16).enumerate() {
            let greater: u32 = values.iter().map(|s| u32::from(*s > above)).sum();
            let least: u32 = values.iter().map(|s| u32::from(*s >= below)).sum();
            count.greater += greater as usize;
            if least > greater {
                let rows = first + 16 * lane..;
                for (similarity, row) in values.iter().zip(rows) {
                    if (below..=above).contains(similarity) {
                        self.compare(count, query, row);
                    }
                }
            }
        }
    }

    fn finish(&self, count: Count, _: usize) -> f64 {
        1.0 + count.greater as f64 + count.equal as f64 / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn;
    use super::*;
    use ndarray::{Array2, array};

    /// All similarities compared.
    fn plain(queries: &UnitRows, bank: &UnitRows) -> Vec<f64> {
        let one = |q: usize| {
            let similarity = |b: usize| exact(queries.row(q), bank.row(b));
            let others = (0..bank.len()).filter(|b| *b != q);
            1.0 + others
                .map(|b| match similarity(b).total_cmp(&similarity(q)) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                })
                .sum::<f64>()
        };
        (0..queries.len()).map(one).collect()
    }

    #[test]
    fn three_pairs_by_hand() {
        let images = array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
        let metadata = array![[2.0, 0.0], [2.0, 0.0], [0.0, 1.0]];
        let found = retrieval(images.view(), metadata.view()).unwrap();
        // Image 0 ties with metadata 1, image 1 has its partner behind 2 and beside 0, image 2 is equally
        // far from all.
        assert_eq!(found.image_to_metadata.ranks, [1.5, 2.5, 2.0]);
        // Metadata 1 looks for image 1, behind 0 and 2.
        assert_eq!(found.metadata_to_image.ranks, [1.0, 3.0, 2.0]);
        assert_eq!(found.image_to_metadata.recall_at(1), 0.0);
        assert_eq!(found.image_to_metadata.recall_at(2), 2.0 / 3.0);
        assert_eq!(found.metadata_to_image.recall_at(1), 1.0 / 3.0);
        assert_eq!(found.metadata_to_image.median(), 2.0);
    }

    #[test]
    fn drawn_rows_equal_all_comparisons() {
        let noise = |rows, seed| drawn(rows, 9, seed) * 2e-7 + 1.0;
        let cases = [
            (drawn(1, 5, 1), drawn(1, 5, 2)),
            (drawn(700, 5, 1), drawn(700, 5, 2)),
            (drawn(5000, 2, 1), drawn(5000, 2, 2)),
            (noise(600, 1), noise(600, 2)),
        ];
        for (images, metadata) in cases {
            let queries = UnitRows::new("queries", images.view()).unwrap();
            let bank = UnitRows::new("bank", metadata.view()).unwrap();
            let expected = plain(&queries, &bank);
            for threads in [1, 3] {
                assert_eq!(ranks(&queries, &bank, threads).unwrap().ranks, expected);
            }
        }
    }

    #[test]
    fn metadata_that_all_share_give_a_guess() {
        let images = drawn(101, 4, 1);
        let metadata = Array2::ones((101, 4));
        let found = retrieval(images.view(), metadata.view()).unwrap();
        assert!(
            found
                .image_to_metadata
                .ranks
                .iter()
                .all(|rank| *rank == 51.0)
        );
    }

    #[test]
    fn own_partners_are_found() {
        let rows = Array2::from_shape_fn((40, 40), |(i, j)| f32::from(u8::from(i == j)));
        let found = retrieval(rows.view(), rows.view()).unwrap();
        assert_eq!(found.image_to_metadata.recall_at(1), 1.0);
        assert_eq!(found.metadata_to_image.median(), 1.0);
    }

    #[test]
    fn medians_of_two() {
        let ranks = Ranks {
            ranks: vec![4.0, 1.0, 2.5, 9.0],
        };
        assert_eq!((ranks.median(), ranks.recall_at(5)), (3.25, 0.75));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let rows = array![[1.0, 0.0]];
        assert!(retrieval(rows.view(), array![[1.0]].view()).is_err());
        assert!(retrieval(rows.view(), array![[f32::NAN, 0.0]].view()).is_err());
        assert!(retrieval(Array2::zeros((0, 2)).view(), Array2::zeros((0, 2)).view()).is_err());
    }
}
