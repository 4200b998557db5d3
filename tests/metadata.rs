//! Metadata as a user of the crate meets it.

#[cfg(feature = "serve")]
use satmip::metadata::CaptionTokenizer;
use satmip::{Error, Field, FieldSet, Metadata, TimePrecision};

/// The example of the paper's poster.
fn poster() -> satmip::Result<Metadata> {
    Metadata::new()
        .with_gsd((11.4546, 9.1344))?
        .with_multispectral_gsd(41.1896)?
        .with_pixel_size((1.03e-4, 8.23e-5))?
        .with_timestamp("2015-09-21T15:30:08Z")?
        .with_location(-73.310776, -3.785814)?
        .with_utm_zone("18M")?
        .with_country_code("PER")?
        .with_cloud_cover(14.0)?
        .with_scan_direction("Reverse")?
        .with_wavelengths(&[661.0, 545.0, 477.0])?
        .with_target_azimuth_angle(39.12)?
        .with_sun_azimuth_angle(77.28)?
        .with_sun_elevation_angle(70.44)?
        .with_off_nadir_angle(27.70)?
        .with_sensor_platform("GEOEYE01")
}

const CAPTION: &str = "GSD: (11.45, 9.13); Multispectral GSD: 41.19; \
    Pixel size: (1.03e-04, 8.23e-05); Timestamp: 2015-09-21T15:30:08Z; \
    Location: (-73.3108, -3.7858); UTM zone: 18M; Country code: PER; Cloud cover: 14; \
    Scan direction: Reverse; Wavelengths: [661, 545, 477]; Target azimuth angle: 39.12; \
    Sun azimuth angle: 77.28; Sun elevation angle: 70.44; Off-nadir angle: 27.70; \
    Sensor platform: GEOEYE01";

#[test]
fn the_posters_caption() {
    let record = poster().unwrap();
    assert_eq!(record.caption(FieldSet::ALL), CAPTION);
    assert_eq!(
        Metadata::from_caption(CAPTION)
            .unwrap()
            .caption(FieldSet::ALL),
        CAPTION
    );
}

#[test]
fn json_there_and_back() {
    let record = poster().unwrap();
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Metadata>(&json).unwrap(), record);
}

#[test]
fn errors_name_field_value_and_reason() {
    let error = Metadata::new().with_location(-3.79, -173.31).unwrap_err();
    match &error {
        Error::InvalidField {
            field,
            value,
            reason,
        } => {
            assert_eq!((*field, value.as_str()), ("location", "(-3.79, -173.31)"));
            assert!(reason.contains("swapped"));
        }
        other => panic!("{other}"),
    }
    let long = "x".repeat(100_000);
    let error = Metadata::new().with_sensor_platform(&long).unwrap_err();
    assert!(error.to_string().len() < 300);
}

#[test]
fn a_date_stays_a_date() {
    let record = Metadata::new().with_timestamp("2020-06-21").unwrap();
    assert_eq!(record.timestamp().unwrap().precision(), TimePrecision::Day);
    let record = record.with_location(5.32, 60.39).unwrap().derive_missing();
    assert_eq!(record.caption(FieldSet::TIME), "Timestamp: 2020-06-21");
    assert_eq!(record.text(Field::UtmZone).as_deref(), Some("32V"));
    assert_eq!(record.sun_elevation_angle(), None);
}

#[cfg(feature = "serve")]
#[test]
fn captions_become_ids() {
    let tokenizer = CaptionTokenizer::train([CAPTION.to_owned()].into_iter(), 512).unwrap();
    let context = tokenizer.context_for(FieldSet::ALL);
    let ids = tokenizer.encode_batch(&[CAPTION.to_owned(), "GSD: (1.00, 1.00)".into()], context);
    let ids = ids.unwrap();
    for row in ids.rows() {
        assert_eq!(row[0], 1);
        assert_eq!(
            row.iter()
                .filter(|id| **id == tokenizer.end_token())
                .count(),
            1
        );
    }
    let short = tokenizer.encode(CAPTION, 77).unwrap_err();
    assert!(matches!(short, Error::CaptionTooLong { limit: 77, .. }));
    assert!(short.hint().is_some());
}

#[test]
fn shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Metadata>();
    #[cfg(feature = "serve")]
    shared::<CaptionTokenizer>();
}
