//! The C that does best on the validation split.

use super::linear::LinearModel;
use super::logistic::{Fit, Logistic};
use super::metrics::Confusion;
use super::precision::mean_average_precision;
use super::{LabelSplit, Split, reason};
use satmip::Result;

/// A fit with the C that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The C.
    pub c: f64,
    /// The fit on the training split.
    pub fit: Fit,
    /// Its accuracy on the validation split (labels: mean average precision), 0 to 1.
    pub score: f64,
    /// All C with their scores, in the order in which they were tried.
    pub tried: Vec<(f64, f64)>,
}

/// 10^-4 to 10^2 in half decades (our choice).
pub fn default_grid() -> Vec<f64> {
    (-8..=4)
        .map(|half| 10f64.powf(f64::from(half) / 2.0))
        .collect()
}

/// Fits each C of the grid on the training split, from the smallest up and each from the one before, and
/// takes the one of largest accuracy on the validation split, the smallest C of equal ones. `base` gives
/// tolerance and iterations.
///
/// # Errors
/// As [`Logistic::fit`], and when the grid is empty or the validation split does not fit.
pub fn choose_c(
    train: Split,
    validation: Split,
    classes: usize,
    grid: &[f64],
    base: &Logistic,
) -> Result<Chosen> {
    let fit = |c: f64, start: Option<&LinearModel>| {
        base.with_c(c)
            .fit_from(train.features, train.labels, classes, start)
    };
    choose(grid, fit, |model| {
        let predicted = model.predict(validation.features)?;
        Ok(Confusion::new(validation.labels, &predicted, classes)?.accuracy())
    })
}

/// As [`choose_c`], for labels of which a row may have any number, by mean average precision.
///
/// # Errors
/// As [`choose_c`], and when no row of the validation split has a label.
pub fn choose_c_labels(
    train: LabelSplit,
    validation: LabelSplit,
    grid: &[f64],
    base: &Logistic,
) -> Result<Chosen> {
    let fit = |c: f64, start: Option<&LinearModel>| {
        base.with_c(c)
            .fit_labels_from(train.features, train.labels, start)
    };
    choose(grid, fit, |model| {
        let scores = model.scores(validation.features)?;
        Ok(mean_average_precision(scores.view(), validation.labels)?.mean)
    })
}

fn choose(
    grid: &[f64],
    fit: impl Fn(f64, Option<&LinearModel>) -> Result<Fit>,
    score: impl Fn(&LinearModel) -> Result<f64>,
) -> Result<Chosen> {
    let mut grid = grid.to_vec();
    grid.sort_by(f64::total_cmp);
    let mut tried = Vec::with_capacity(grid.len());
    let mut best: Option<Chosen> = None;
    let mut before: Option<Fit> = None;
    for c in grid {
        let fit = fit(c, before.as_ref().map(|fit| &fit.model))?;
        let score = score(&fit.model)?;
        tried.push((c, score));
        before = Some(fit.clone());
        if best.as_ref().is_none_or(|best| score > best.score) {
            let tried = Vec::new();
            best = Some(Chosen {
                c,
                fit,
                score,
                tried,
            });
        }
    }
    let mut best = best.ok_or_else(|| reason("no C to choose from"))?;
    best.tried = tried;
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn;
    use super::*;
    use ndarray::{Array2, Axis, s};

    /// Rows whose class shows in the first two columns, with errors in the training rows alone.
    fn rows(count: usize, seed: u64, wrong: bool) -> (Array2<f32>, Vec<usize>) {
        let features = drawn(count, 30, seed);
        let class = |row: usize| {
            let right =
                usize::from(features[[row, 0]] > 0.0) + usize::from(features[[row, 1]] > 0.3);
            if wrong && row.is_multiple_of(4) {
                (right + 1) % 3
            } else {
                right
            }
        };
        let labels = (0..count).map(class).collect();
        (features, labels)
    }

    fn split<'a>((features, labels): &'a (Array2<f32>, Vec<usize>)) -> Split<'a> {
        let features = features.view();
        Split { features, labels }
    }

    #[test]
    fn the_best_on_the_validation_split_is_taken() {
        let (train, validation) = (rows(120, 1, true), rows(400, 2, false));
        let base = Logistic::default();
        let grid = default_grid();
        let found = choose_c(split(&train), split(&validation), 3, &grid, &base).unwrap();
        assert_eq!(found.tried.len(), 13);
        let best = found.tried.iter().map(|t| t.1).fold(0.0, f64::max);
        assert_eq!(found.score, best);
        assert_eq!(found.tried.iter().find(|t| t.1 == best).unwrap().0, found.c);
        // Neither end: strong penalties guess, weak ones learn the errors.
        assert!(found.c > 1e-4 && found.c < 1e2, "{:?}", found.tried);
        // What was tried is what a fit without a start finds.
        for (c, score) in [found.tried[2], found.tried[12]] {
            let cold = base.with_c(c).fit(train.0.view(), &train.1, 3).unwrap();
            let predicted = cold.model.predict(validation.0.view()).unwrap();
            let cold = Confusion::new(&validation.1, &predicted, 3).unwrap();
            assert!((cold.accuracy() - score).abs() < 0.011);
        }
    }

    #[test]
    fn equal_scores_take_the_smaller_c() {
        let train = rows(120, 1, false);
        // Any C knows a row far from the border.
        let far = Array2::from_shape_fn((1, 30), |(_, column)| if column < 2 { 9.0 } else { 0.0 });
        let validation = (far, vec![2]);
        let (train, validation) = (split(&train), split(&validation));
        let found = choose_c(
            train,
            validation,
            3,
            &[10.0, 0.1, 1.0],
            &Logistic::default(),
        )
        .unwrap();
        assert_eq!((found.c, found.score), (0.1, 1.0));
        assert_eq!(
            found.tried.iter().map(|t| t.0).collect::<Vec<_>>(),
            [0.1, 1.0, 10.0]
        );
        assert!(choose_c(train, validation, 3, &[], &Logistic::default()).is_err());
    }

    #[test]
    fn labels_are_chosen_by_mean_average_precision() {
        let features = drawn(300, 30, 3);
        let signs = features.slice(s![.., ..2]).mapv(|v| v > 0.4);
        let part = |range: std::ops::Range<usize>| {
            let indices: Vec<usize> = range.collect();
            (
                features.select(Axis(0), &indices),
                signs.select(Axis(0), &indices),
            )
        };
        let ((a, b), (c, d)) = (part(0..100), part(100..300));
        let train = LabelSplit {
            features: a.view(),
            labels: b.view(),
        };
        let validation = LabelSplit {
            features: c.view(),
            labels: d.view(),
        };
        let base = Logistic::default();
        let found = choose_c_labels(train, validation, &default_grid(), &base).unwrap();
        let scores = found.fit.model.scores(c.view()).unwrap();
        let expected = mean_average_precision(scores.view(), d.view())
            .unwrap()
            .mean;
        assert_eq!(found.score, expected);
        assert!(found.score > 0.9 && found.c > 1e-4, "{found:?}");
    }
}
