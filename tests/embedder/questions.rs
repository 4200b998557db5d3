//! `query` and `audit`.

use super::*;

#[test]
fn a_query_is_the_softmax_of_the_scaled_cosines() {
    let model = load(Side::Text, Device::Rten, 1, 4);
    let images = model.embed_images(&pictures(5)).unwrap();
    let values = ["GEOEYE01", "QUICKBIRD02", "LANDSAT8"];
    let query = model.query(&images, Field::SensorPlatform, values).unwrap();
    assert_eq!(query.values, values);
    let records: Vec<Metadata> = values
        .iter()
        .map(|v| Metadata::new().with_sensor_platform(v).unwrap())
        .collect();
    let cosines = images
        .similarity(&model.embed_metadata(&records).unwrap())
        .unwrap();
    assert_eq!(query.similarities, cosines);
    for i in 0..5 {
        let weights: Vec<f64> = (0..3)
            .map(|j| (14.0 * f64::from(cosines[[i, j]])).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        for (j, weight) in weights.iter().enumerate() {
            let p = f64::from(query.probabilities[[i, j]]);
            assert!((p - weight / sum).abs() < 1e-5);
        }
        let best = query.best(i).unwrap();
        assert!(query.probabilities.row(i).iter().all(|p| *p <= best.1));
    }
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    let model = load(Side::Text, Device::Rten, 1, 4);
    let images = model.embed_images(&pictures(2)).unwrap();
    let none: [&str; 0] = [];
    let refused = |field, values: &[&str]| model.query(&images, field, values).unwrap_err();
    let error = refused(Field::CountryCode, &["PER"]);
    assert!(error.to_string().contains("country_code"), "{error}");
    assert!(matches!(error, Error::Unsupported { .. }));
    let error = refused(Field::CloudCover, &["5", "101"]);
    assert!(matches!(
        error,
        Error::InvalidField {
            field: "cloud_cover",
            ..
        }
    ));
    let error = refused(Field::CloudCover, &none);
    assert!(matches!(error, Error::Argument { what: "values", .. }));
    let error = refused(Field::CloudCover, &["5", "5.0"]);
    assert!(matches!(error, Error::Argument { what: "values", .. }));
    let other = Embeddings::new(ndarray::Array2::ones((2, DIM + 1))).unwrap();
    let error = model.query(&other, Field::CloudCover, ["5"]).unwrap_err();
    assert!(matches!(error, Error::Argument { what: "images", .. }));
}

#[test]
fn an_audit_holds_each_pair_against_the_set() {
    for side in [Side::Text, Side::Tabular] {
        let model = load(side, Device::Rten, 2, 4);
        let records = records();
        let pictures = pictures(records.len());
        let pairs: Vec<_> = pictures.iter().zip(&records).collect();
        let pairs = model.embed_pairs(&pairs).unwrap();
        let rows = model.audit(&pairs).unwrap();
        let images = pairs.images();
        // What the model saw: of its own pixels.
        let records: Vec<Metadata> = pairs.records().iter().flatten().cloned().collect();
        let texts = model.embed_metadata(&records).unwrap();
        let cosines = images.similarity(&texts).unwrap();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!((row.index, row.records), (i, records.len()));
            let own = cosines[[i, i]];
            assert_eq!(row.similarity, own);
            let better = cosines.row(i).iter().filter(|c| **c > own).count();
            assert_eq!(row.rank, better + 1);
            let fields: FieldSet = row.fields.iter().map(|fit| fit.field).collect();
            assert_eq!(fields, records[i].fields());
            assert!(
                row.fields
                    .is_sorted_by(|a, b| a.gain_without >= b.gain_without)
            );
            for fit in &row.fields {
                let others = FIELDS.difference(FieldSet::of(&[fit.field]));
                let without = model.embed_metadata(&[records[i].only(others)]).unwrap();
                let cosine = images.similarity(&without).unwrap()[[i, 0]];
                assert!((fit.gain_without - (cosine - own)).abs() < 1e-5);
            }
        }
    }
}
