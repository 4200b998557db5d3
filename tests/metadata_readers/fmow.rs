//! fMoW records.

use satmip::{Field, FieldSet, Metadata};
use serde_json::json;

use super::{assert_source_error, document, texts};

#[test]
fn fmow_record() {
    let metadata = Metadata::from_fmow(document("fmow.json")).unwrap();
    let expected = [
        (Field::Gsd, "0.52"),
        (Field::MultispectralGsd, "2.08"),
        (Field::PixelSize, "0.0000047,0.0000046"),
        (Field::Timestamp, "2014-05-04T14:10:29Z"),
        (Field::Location, "-77.12,28.729999999999997"),
        (Field::UtmZone, "18R"),
        (Field::CountryCode, "BHS"),
        (Field::CloudCover, "14"),
        (Field::ScanDirection, "Forward"),
        (Field::Wavelengths, "661,545,477"),
        (Field::TargetAzimuthAngle, "39.12"),
        // The sun's azimuth is `NA` there.
        (Field::SunElevationAngle, "70.44"),
        (Field::OffNadirAngle, "27.7"),
        (Field::SensorPlatform, "GEOEYE01"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
    assert!(metadata.derived().is_empty());
}

#[test]
fn fmow_junk_is_absent_and_impossible_values_are_errors() {
    let junk = json!({
        "img_filename": "x.tif", "gsd": "NA", "pan_resolution_dbl": "0.7", "cloud_cover": null,
        "country_code": "ZZZ", "utm": "NA", "scan_direction": "", "timestamp": "N/A",
        "approximate_wavelengths": ["NA", 545], "off_nadir_angle_dbl": [1], "raw_location": "POLYGON EMPTY",
        "bounding_boxes": [{"box": [1]}, {"raw_location": "POLYGON ((10 20, 12 20, 12 24))"}],
    });
    let metadata = Metadata::from_fmow(&junk).unwrap();
    assert_eq!(
        metadata.fields(),
        FieldSet::of(&[Field::Gsd, Field::Location])
    );
    assert_eq!(metadata.text(Field::Gsd).as_deref(), Some("0.7"));
    assert_eq!(metadata.text(Field::Location).as_deref(), Some("11,22"));

    let normalised = json!({"img_filename": "x.tif", "cloud_cover": -1, "sun_azimuth_dbl": -45,
        "off_nadir_angle_dbl": "-12", "timestamp": "2016-12-31T23:59:60Z"});
    let metadata = Metadata::from_fmow(&normalised).unwrap();
    assert_eq!(metadata.cloud_cover(), None);
    assert_eq!(metadata.sun_azimuth_angle(), Some(315.0));
    assert_eq!(metadata.off_nadir_angle(), Some(12.0));
    assert_eq!(
        metadata.text(Field::Timestamp).as_deref(),
        Some("2016-12-31T23:59:59Z")
    );

    let text_pair = json!({"img_filename": "x.tif", "coordinates": "[8.5, 47.5]"});
    let metadata = Metadata::from_fmow(&text_pair).unwrap();
    assert_eq!(metadata.text(Field::Location).as_deref(), Some("8.5,47.5"));

    for (key, value, field) in [
        ("off_nadir_angle_dbl", json!(120), "off_nadir_angle"),
        ("cloud_cover", json!(101), "cloud_cover"),
        ("timestamp", json!("yesterday"), "timestamp"),
        ("coordinates", json!("[47.5, 108.5]"), "location"),
    ] {
        let mut record = json!({"img_filename": "x.tif"});
        record[key] = value;
        assert_source_error(
            &Metadata::from_fmow(&record).unwrap_err(),
            "x.tif",
            None,
            field,
        );
    }
    for other in [
        json!(null),
        json!([]),
        json!({"a": 1}),
        document("stac_1.json"),
    ] {
        assert_source_error(
            &Metadata::from_fmow(&other).unwrap_err(),
            "fMoW",
            None,
            "no key of fMoW",
        );
    }
}
