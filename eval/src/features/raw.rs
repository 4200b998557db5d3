//! Features that nothing was learned for: what a model must be better than.

use ndarray::{Array2, s};

use satmip::arch::{CategoryColumn, ResizeFilter, TabularColumns};
use satmip::image::{Region, RgbImage, resize};
use satmip::metadata::{FieldSet, Metadata};
use satmip::{Error, Result};

/// Cells of the colour means along a side (our choice).
const CELLS: u32 = 8;
/// Most values of a category (our choice): each is a column.
const MOST_VALUES: usize = 1000;
/// Grey that colours are measured from (our choice; the sets' means are near 100 of 255).
const GREY: f32 = 100.0;

/// Mean red, green and blue of 8 x 8 cells, less 100: 192 numbers.
///
/// # Errors
/// Where the picture cannot be resized.
pub fn colour_means(picture: &RgbImage) -> Result<Vec<f32>> {
    let whole = Region::whole(picture.width(), picture.height());
    let cells = resize(picture, whole, CELLS, CELLS, ResizeFilter::Bilinear)?;
    Ok(cells
        .pixels()
        .iter()
        .map(|v| f32::from(*v) - GREY)
        .collect())
}

/// Metadata as they are ("identity" in the paper), `[records, width]`: standardised numbers, 0 where missing; a
/// column for each value of a category; a column that says whether the field is known. Statistics and
/// vocabularies are of the records `train`.
///
/// # Errors
/// Without a field, and [`Error::Evaluation`] for a category of over 1000 values.
pub fn raw_metadata(
    records: &[Metadata],
    train: &[usize],
    fields: FieldSet,
) -> Result<Array2<f32>> {
    let known: Vec<Metadata> = train.iter().map(|row| records[*row].clone()).collect();
    let columns = TabularColumns::fit(&known, fields)?;
    let values = |c: &&CategoryColumn| c.vocabulary.len() > MOST_VALUES;
    if let Some(column) = columns.categories.iter().find(values) {
        return Err(Error::Evaluation {
            reason: format!(
                "`{}` has {} values; raw metadata have a column for each of {MOST_VALUES} at most",
                column.name,
                column.vocabulary.len()
            ),
        });
    }
    let batch = columns.encode(records, fields)?;
    let numbers = batch.numbers.ncols();
    let values: Vec<usize> = columns
        .categories
        .iter()
        .map(|c| c.vocabulary.len())
        .collect();
    let width = numbers + values.iter().sum::<usize>() + batch.present.ncols();
    let mut rows = Array2::zeros((records.len(), width));
    rows.slice_mut(s![.., ..numbers]).assign(&batch.numbers);
    let mut start = numbers;
    for (column, count) in batch.categories.columns().into_iter().zip(values) {
        for (row, place) in column.iter().enumerate() {
            // 0 is missing or unknown.
            if let Some(value) = usize::try_from(*place).ok().and_then(|p| p.checked_sub(1)) {
                rows[[row, start + value]] = 1.0;
            }
        }
        start += count;
    }
    let present = batch.present.mapv(|there| f32::from(u8::from(there)));
    rows.slice_mut(s![.., start..]).assign(&present);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_of_too_many_values_is_named() {
        let record = |i: usize| {
            Metadata::new()
                .with_sensor_platform(&format!("S{i}"))
                .unwrap()
        };
        let records: Vec<Metadata> = (0..=MOST_VALUES).map(record).collect();
        let train: Vec<usize> = (0..records.len()).collect();
        let of = |train: &[usize]| raw_metadata(&records, train, FieldSet::ALL);
        assert!(of(&train[1..]).is_ok());
        let error = of(&train).unwrap_err().to_string();
        assert!(
            error.contains("`sensor_platform` has 1001 values"),
            "{error}"
        );
    }

    #[test]
    fn colours_are_means_of_cells() {
        let pixels = (0..16 * 16).flat_map(|i| match i % 16 < 8 {
            true => [100, 0, 0],
            false => [200, 0, 255],
        });
        let picture = RgbImage::new(16, 16, pixels.collect()).unwrap();
        let means = colour_means(&picture).unwrap();
        assert_eq!(means.len(), 192);
        assert_eq!(means[..3], [0.0, -100.0, -100.0]);
        assert_eq!(means[189..], [100.0, -100.0, 155.0]);
    }

    #[test]
    fn metadata_are_numbers_values_and_presence() {
        let record = |country: &str, gsd: f64| {
            let record = Metadata::new().with_country_code(country).unwrap();
            record.with_gsd(gsd).unwrap()
        };
        let records = [
            record("FRA", 1.0),
            record("PER", 100.0),
            record("KEN", 10.0),
            Metadata::new(),
        ];
        let fields = FieldSet::of(&[satmip::Field::Gsd, satmip::Field::CountryCode]);
        let rows = raw_metadata(&records, &[0, 1], fields).unwrap();
        // gsd.x, gsd.y, FRA, PER, two presences
        assert_eq!(rows.ncols(), 6);
        assert_eq!(rows.row(0).to_vec(), [-1.0, -1.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(rows.row(1).to_vec(), [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
        assert!(rows.row(2).iter().take(2).all(|v| v.abs() < 1e-5));
        assert_eq!(rows.row(2).to_vec()[2..], [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(rows.row(3).to_vec(), [0.0; 6]);
        assert!(raw_metadata(&records, &[0], FieldSet::NONE).is_err());
    }
}
