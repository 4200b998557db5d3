//! Classification from a few labelled rows of each class.

use ndarray::Axis;
use rand::seq::index::sample;

use super::draws::{Purpose, stream};
use super::logistic::Logistic;
use super::metrics::Confusion;
use super::{Split, check_classes, reason};
use satmip::Result;

/// Accuracies of several draws.
#[derive(Debug, Clone, PartialEq)]
pub struct FewShot {
    /// Rows of each class that were drawn.
    pub shots: usize,
    /// Accuracy of each seed, in the order of the seeds, 0 to 1.
    pub accuracies: Vec<f64>,
}

/// The mean of some values, and their sample standard deviation (over one less than there are), none of one value.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (
        mean,
        (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
    )
}

/// For each seed draws `shots` rows of each class from `train`, fits a regression to them and measures its
/// accuracy on `test`. A draw depends on seed and class alone. Features are taken as they are:
/// [`super::Standardise`] them by all training rows before, which needs no labels.
///
/// # Errors
/// When a class has fewer than `shots` rows (our choice: with all of them the figure would mix numbers of
/// shots), without shots or seeds, and as [`Logistic::fit`].
pub fn few_shot(
    train: Split,
    test: Split,
    classes: usize,
    shots: usize,
    logistic: &Logistic,
    seeds: &[u64],
) -> Result<FewShot> {
    check_classes(
        "the training rows",
        train.features.nrows(),
        train.labels,
        classes,
    )?;
    if shots == 0 || seeds.is_empty() {
        let seeds = seeds.len();
        return Err(reason(format!(
            "{shots} shots and {seeds} draws; one at least of each"
        )));
    }
    let mut of_class = vec![Vec::new(); classes];
    for (row, label) in train.labels.iter().enumerate() {
        of_class[*label].push(row);
    }
    if let Some(class) = of_class.iter().position(|rows| rows.len() < shots) {
        let found = of_class[class].len();
        return Err(reason(format!(
            "class {class} has {found} training rows, fewer than {shots} shots"
        )));
    }
    let one = |seed: &u64| {
        let rows = draw(&of_class, shots, *seed);
        let labels: Vec<usize> = rows.iter().map(|row| train.labels[*row]).collect();
        let features = train.features.select(Axis(0), &rows);
        let model = logistic.fit(features.view(), &labels, classes)?.model;
        let predicted = model.predict(test.features)?;
        Ok(Confusion::new(test.labels, &predicted, classes)?.accuracy())
    };
    Ok(FewShot {
        shots,
        accuracies: seeds.iter().map(one).collect::<Result<_>>()?,
    })
}

/// `shots` rows of each class, class by class.
fn draw(of_class: &[Vec<usize>], shots: usize, seed: u64) -> Vec<usize> {
    let draw = |(class, rows): (usize, &Vec<usize>)| {
        let mut rng = stream(seed, Purpose::Shots, class as u64);
        let drawn = sample(&mut rng, rows.len(), shots).into_vec();
        drawn
            .into_iter()
            .map(|index| rows[index])
            .collect::<Vec<_>>()
    };
    of_class.iter().enumerate().flat_map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::super::drawn::drawn;
    use super::*;
    use ndarray::Array2;

    fn rows(count: usize, seed: u64) -> (Array2<f32>, Vec<usize>) {
        let mut features = drawn(count, 6, seed);
        let labels: Vec<usize> = (0..count).map(|row| row % 3).collect();
        for (mut row, label) in features.outer_iter_mut().zip(&labels) {
            row[*label] += 1.0;
        }
        (features, labels)
    }

    fn split<'a>((features, labels): &'a (Array2<f32>, Vec<usize>)) -> Split<'a> {
        let features = features.view();
        Split { features, labels }
    }

    #[test]
    fn draws_have_each_class_and_no_row_twice() {
        let of_class = vec![(0..10).collect(), (10..14).collect(), (20..90).collect()];
        let found = draw(&of_class, 4, 1);
        for (class, rows) in found.chunks(4).enumerate() {
            assert!(rows.iter().all(|row| of_class[class].contains(row)));
            assert!((1..4).all(|i| !rows[..i].contains(&rows[i])));
        }
        assert_eq!(found, draw(&of_class, 4, 1));
        assert_ne!(found, draw(&of_class, 4, 2));
        // What one class has does not change another's draw.
        let fewer = vec![(0..5).collect(), (10..14).collect(), (20..90).collect()];
        assert_eq!(found[4..], draw(&fewer, 4, 1)[4..]);
    }

    #[test]
    fn all_rows_are_the_regression_itself() {
        let (train, test) = (rows(60, 1), rows(600, 2));
        let logistic = Logistic::default();
        let found = few_shot(split(&train), split(&test), 3, 20, &logistic, &[1, 2]).unwrap();
        let model = logistic.fit(train.0.view(), &train.1, 3).unwrap().model;
        let predicted = model.predict(test.0.view()).unwrap();
        let all = Confusion::new(&test.1, &predicted, 3).unwrap().accuracy();
        assert!(
            found.accuracies.iter().all(|a| (a - all).abs() < 0.005),
            "{found:?}, {all}"
        );
    }

    #[test]
    fn more_shots_do_better() {
        let (train, test) = (rows(300, 1), rows(600, 2));
        let (train, test) = (split(&train), split(&test));
        let seeds = [0, 1, 2, 3, 4];
        let of = |shots| few_shot(train, test, 3, shots, &Logistic::default(), &seeds).unwrap();
        let (one, many) = (of(1), of(50));
        assert_eq!((one.shots, one.accuracies.len()), (1, 5));
        let [(few, wide), (better, narrow)] =
            [one, many].map(|f| mean_and_deviation(&f.accuracies));
        assert!(better > few + 0.1, "{few} {better}");
        assert!(narrow < wide);
    }

    #[test]
    fn mean_and_deviation_by_hand() {
        let (mean, deviation) = mean_and_deviation(&[0.5, 0.7, 0.9]);
        assert!((mean - 0.7).abs() < 1e-15 && (deviation.unwrap() - 0.2).abs() < 1e-15);
        assert_eq!(mean_and_deviation(&[0.5]), (0.5, None));
    }

    #[test]
    fn a_class_with_too_few_rows_is_named() {
        let train = rows(59, 1);
        let of = |shots, seeds: &[u64]| {
            few_shot(
                split(&train),
                split(&train),
                3,
                shots,
                &Logistic::default(),
                seeds,
            )
        };
        let text = of(20, &[1]).unwrap_err().to_string();
        assert!(text.contains("class 2 has 19 training rows"), "{text}");
        assert!(of(0, &[1]).is_err());
        assert!(of(5, &[]).is_err());
    }
}
