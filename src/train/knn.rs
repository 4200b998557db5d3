//! Weighted k nearest neighbours, as a gauge while training.

/// Share of queries that a weighted kNN classifies rightly, with DINO's protocol (Caron et al. 2021):
/// cosine similarity, votes weighted by `exp(s / 0.07)`. `bank` and `queries` hold unit rows of
/// width `dim`; with fewer than `k` rows in the bank, all vote. 0 without queries.
pub fn weighted_knn(
    bank: &[f32],
    bank_labels: &[usize],
    queries: &[f32],
    query_labels: &[usize],
    dim: usize,
    k: usize,
) -> f64 {
    const TEMPERATURE: f32 = 0.07;
    if query_labels.is_empty() || dim == 0 {
        return 0.0;
    }
    let classes = bank_labels.iter().max().map_or(0, |m| m + 1);
    let right = queries
        .chunks_exact(dim)
        .zip(query_labels)
        .filter(|(query, label)| {
            let mut near: Vec<(f32, usize)> = bank
                .chunks_exact(dim)
                .zip(bank_labels)
                .map(|(row, label)| (row.iter().zip(*query).map(|(a, b)| a * b).sum(), *label))
                .collect();
            let k = k.min(near.len());
            if k > 0 && k < near.len() {
                near.select_nth_unstable_by(k - 1, |a, b| b.0.total_cmp(&a.0));
            }
            let mut votes = vec![0.0f32; classes];
            for (similarity, label) in &near[..k] {
                votes[*label] += (similarity / TEMPERATURE).exp();
            }
            let best = votes.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.is_some_and(|(class, _)| class == **label)
        })
        .count();
    right as f64 / query_labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearer_neighbours_weigh_more() {
        // Two far neighbours of class 0 against one near neighbour of class 1.
        let bank = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0];
        let queries = [1.0, 0.0];
        let labels = [0, 0, 1];
        assert_eq!(weighted_knn(&bank, &labels, &queries, &[1], 2, 3), 1.0);
        assert_eq!(weighted_knn(&bank, &labels, &queries, &[0], 2, 3), 0.0);
        assert_eq!(weighted_knn(&bank, &labels, &queries, &[1], 2, 100), 1.0);
        assert_eq!(weighted_knn(&[], &[], &queries, &[1], 2, 3), 0.0);
    }
}
