//! STAC items of versions 0.x to 1.x.

use satmip::{Field, FieldSet, Metadata};
use serde_json::{Value, json};

use super::{assert_source_error, document, texts};

#[test]
fn stac_item_of_version_1() {
    let metadata = Metadata::from_stac(document("stac_1.json")).unwrap();
    let expected = [
        // The finest of red, green and blue, not of the near infrared.
        (Field::Gsd, "10"),
        (Field::Timestamp, "2020-07-17T22:19:41.024000Z"),
        (Field::Location, "180,-16"),
        (Field::UtmZone, "1L"),
        (Field::CloudCover, "5.5"),
        (Field::Wavelengths, "665,560,490"),
        (Field::TargetAzimuthAngle, "139.4"),
        (Field::SunAzimuthAngle, "36.2"),
        (Field::SunElevationAngle, "44.75"),
        (Field::SensorPlatform, "SENTINEL-2B"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
}

#[test]
fn stac_item_of_version_0() {
    let metadata = Metadata::from_stac(document("stac_0.json")).unwrap();
    let expected = [
        (Field::Gsd, "30"),
        (Field::Timestamp, "2015-01-02T15:49:05Z"),
        (Field::Location, "-64.4,-77.6"),
        (Field::Wavelengths, "650,560,480"),
        (Field::TargetAzimuthAngle, "90"),
        (Field::SunAzimuthAngle, "279.5"),
        (Field::SunElevationAngle, "24.5"),
        (Field::OffNadirAngle, "0.5"),
        (Field::SensorPlatform, "LANDSAT-8"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
}

pub fn item(properties: Value, assets: Value) -> Value {
    json!({"type": "Feature", "stac_version": "1.0.0", "id": "it", "bbox": [8, 47, 10, 49],
        "properties": properties, "assets": assets})
}

fn field_of(properties: Value, assets: Value, field: Field) -> Option<String> {
    Metadata::from_stac(item(properties, assets))
        .unwrap()
        .text(field)
}

#[test]
fn stac_gsd_has_an_order() {
    let gsd = |properties, assets| field_of(properties, assets, Field::Gsd);
    let red = |more: Value| {
        let mut asset = json!({"eo:bands": [{"common_name": "red"}]});
        asset
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"red": asset})
    };
    let transform = json!({"proj:epsg": 26919, "proj:transform": [0.6, 0, 3, 0, -0.5, 4]});
    assert_eq!(
        gsd(json!({"gsd": 15}), red(json!({"gsd": 30}))).as_deref(),
        Some("30")
    );
    assert_eq!(
        gsd(json!({"gsd": 15}), json!({"pan": {"gsd": 7}})).as_deref(),
        Some("15")
    );
    let resolution = red(json!({"raster:bands": [{"spatial_resolution": 2.5}]}));
    assert_eq!(gsd(json!({}), resolution).as_deref(), Some("2.5"));
    assert_eq!(gsd(transform, json!({})).as_deref(), Some("0.6,0.5"));
    let degrees = json!({"proj:epsg": 4326, "proj:transform": [0.001, 0, 3, 0, -0.001, 4]});
    assert_eq!(gsd(degrees, json!({})), None);
    let radar = json!({"sar:pixel_spacing_range": 10, "sar:pixel_spacing_azimuth": 12});
    assert_eq!(gsd(radar, json!({})).as_deref(), Some("(10,12)"));
    // Version 1.1 has `bands` with prefixed names.
    let bands = json!({"rgb": {"bands": [
        {"eo:common_name": "red", "eo:center_wavelength": 0.66, "gsd": 4},
        {"eo:common_name": "green", "eo:center_wavelength": 0.55},
        {"eo:common_name": "blue", "eo:center_wavelength": 485}]}});
    assert_eq!(gsd(json!({}), bands.clone()).as_deref(), Some("4"));
    assert_eq!(
        field_of(json!({}), bands, Field::Wavelengths).as_deref(),
        Some("660,550,485")
    );
}

#[test]
fn stac_grids_of_assets() {
    let grid = |code: &str, size: f64| json!({"proj:code": code, "proj:transform": [size, 0, 500000, 0, -size, 5400000], "proj:shape": [64, 64]});
    let read = |properties, assets| Metadata::from_stac(item(properties, assets)).unwrap();
    let zone_and_gsd = |m: &Metadata| (m.text(Field::UtmZone), m.text(Field::Gsd));
    let some = |zone: &str, gsd: &str| (Some(zone.to_owned()), Some(gsd.to_owned()));
    // By name, by role, and the best kind before the finest grid.
    for assets in [
        json!({"red": grid("EPSG:32632", 10.0), "nir": grid("EPSG:32632", 5.0)}),
        json!({"visual": grid("EPSG:32632", 10.0)}),
        json!({"x": {"roles": ["data"], "proj:epsg": 32632, "proj:transform": [10, 0, 5e5, 0, -10, 5.4e6]}}),
        json!({"x": {"roles": ["data"], "gsd": 10, "proj:projjson": {"id": {"authority": "EPSG", "code": 32632}}}}),
    ] {
        assert_eq!(
            zone_and_gsd(&read(json!({}), assets.clone())),
            some("32U", "10"),
            "{assets}"
        );
    }
    // Data that disagree say nothing, nor do quicklooks.
    for assets in [
        json!({"a": {"roles": ["data"], "gsd": 10}, "b": {"roles": ["data"], "gsd": 20}}),
        json!({"preview": {"roles": ["overview", "visual"], "gsd": 320}}),
    ] {
        assert_eq!(read(json!({}), assets).gsd(), None);
    }
    // The projection of the item, the grid of the asset; Web Mercator is brought to the ground.
    let asset = json!({"red": {"proj:transform": [10, 0, 0, 0, -10, 0]}});
    let gsd = read(json!({"proj:epsg": 3857}), asset).gsd();
    #[cfg(feature = "geotiff")]
    assert!(gsd.is_some_and(|gsd| (gsd.x - 6.7).abs() < 0.1), "{gsd:?}");
    #[cfg(not(feature = "geotiff"))]
    assert_eq!(gsd, None);
    // Radar pictures have such a grid and lie on none.
    let degrees = json!({"proj:epsg": 4326, "proj:transform": [0.001, 0, 3, 0, -0.002, 4]});
    assert_eq!(read(degrees, json!({})).fields(), FieldSet::LOCATION);
    // A place by the grid alone.
    let mut placeless = item(json!({}), json!({"red": grid("EPSG:32632", 10.0)}));
    placeless["bbox"] = Value::Null;
    let place = Metadata::from_stac(&placeless).unwrap().location();
    #[cfg(feature = "geotiff")]
    assert!(
        place.is_some_and(|p| (p.lon() - 9.004).abs() < 1e-3 && (p.lat() - 48.75).abs() < 0.01)
    );
    #[cfg(not(feature = "geotiff"))]
    assert_eq!(place, None);
}

#[test]
fn stac_documents_that_are_no_items() {
    for (document, kind) in [
        (
            json!({"type": "Collection", "stac_version": "1.0.0", "id": "c", "extent": {}}),
            "a STAC collection",
        ),
        (
            json!({"type": "Catalog", "stac_version": "1.0.0", "id": "c", "links": []}),
            "a STAC catalogue",
        ),
        (
            json!({"stac_version": "0.9.0", "id": "c", "extent": {}, "links": []}),
            "a STAC collection",
        ),
        (
            json!({"stac_version": "0.9.0", "id": "c", "links": []}),
            "a STAC catalogue",
        ),
    ] {
        for read in [Metadata::from_stac, satmip::metadata::read::json_record] {
            assert_source_error(&read(&document).unwrap_err(), "c", None, kind);
        }
    }
}

#[test]
fn stac_values_have_one_reading() {
    let read = |properties| Metadata::from_stac(item(properties, json!({}))).unwrap();
    let metadata = read(
        json!({"view:sun_azimuth": -45, "view:off_nadir": -12, "eo:cloud_cover": -1,
        "datetime": "2016-12-31T23:59:60Z", "created": "2024-11-05T03:00:00Z"}),
    );
    let expected = [
        (Field::Timestamp, "2016-12-31T23:59:59Z"),
        (Field::Location, "9,48"),
        (Field::SunAzimuthAngle, "315"),
        (Field::OffNadirAngle, "12"),
    ];
    assert_eq!(
        texts(&metadata),
        expected.map(|(field, text)| (field, text.to_owned()))
    );
    for (properties, reason) in [
        (json!({"platform": 5}), "`platform` is no text"),
        (json!({"datetime": 2020}), "`datetime` is no text"),
    ] {
        let error = Metadata::from_stac(item(properties, json!({}))).unwrap_err();
        assert_source_error(&error, "it", None, reason);
    }
}

#[test]
fn stac_times_of_intervals() {
    let time = |properties| field_of(properties, json!({}), Field::Timestamp);
    let interval =
        |start, end| json!({"datetime": null, "start_datetime": start, "end_datetime": end});
    let short = interval("2021-08-09T17:39:53Z", "2021-08-09T17:40:18Z");
    assert_eq!(time(short).as_deref(), Some("2021-08-09T17:40:05Z"));
    assert_eq!(
        time(interval("2021-08-01T00:00:00Z", "2021-08-31T00:00:00Z")),
        None
    );
    assert_eq!(
        time(interval("2021-08-09T17:40:18Z", "2021-08-09T17:39:53Z")),
        None
    );
    assert_eq!(time(json!({"datetime": null})), None);
    assert_eq!(time(json!({})), None);
}

#[test]
fn stac_zones() {
    let zone = |properties| field_of(properties, json!({}), Field::UtmZone);
    assert_eq!(zone(json!({"proj:epsg": 32632})).as_deref(), Some("32U"));
    assert_eq!(
        zone(json!({"proj:code": "EPSG:32732"})).as_deref(),
        Some("32U")
    );
    assert_eq!(
        zone(json!({"mgrs:utm_zone": 31, "mgrs:latitude_band": "T", "proj:epsg": 32632}))
            .as_deref(),
        Some("31T")
    );
    assert_eq!(
        zone(json!({"grid:code": "MGRS-32UMU"})).as_deref(),
        Some("32U")
    );
    // The zone of a grid is that of its system, whatever its place in it; one that is stated is held against the place.
    assert_eq!(zone(json!({"proj:epsg": 26919})).as_deref(), Some("19U"));
    let far = item(json!({"grid:code": "MGRS-05QKB"}), json!({}));
    let error = Metadata::from_stac(&far).unwrap_err();
    assert_source_error(&error, "it", None, "contradicts the longitude 9");
    assert_eq!(
        zone(json!({"s2:mgrs_tile": "T32TMT"})).as_deref(),
        Some("32T")
    );
    for other in [
        json!({"proj:epsg": null}),
        json!({"proj:epsg": 3031}),
        json!({"proj:epsg": -1e300}),
        json!({"grid:code": "WRS2-1"}),
    ] {
        assert_eq!(zone(other), None);
    }
}

#[test]
fn stac_bad_items_are_named() {
    let bad = |properties| Metadata::from_stac(item(properties, json!({}))).unwrap_err();
    assert_source_error(
        &bad(json!({"view:off_nadir": 91})),
        "it",
        None,
        "off_nadir_angle",
    );
    assert_source_error(
        &bad(json!({"view:sun_azimuth": true})),
        "it",
        None,
        "`view:sun_azimuth` is no number",
    );
    assert_source_error(
        &bad(json!({"datetime": "2020-13-01T00:00:00Z"})),
        "it",
        None,
        "timestamp",
    );
    assert_source_error(
        &bad(json!({"start_datetime": "soon", "end_datetime": "later"})),
        "it",
        None,
        "timestamp",
    );
    assert_source_error(
        &bad(json!({"s2:mean_solar_zenith": -91})),
        "it",
        None,
        "sun_elevation_angle",
    );
    assert_source_error(&bad(json!({"gsd": 1e9})), "it", None, "gsd");

    let swapped = json!({"type": "Feature", "stac_version": "1.0.0", "id": "it", "bbox": [47, 108, 49, 110], "properties": {}});
    assert_source_error(
        &Metadata::from_stac(&swapped).unwrap_err(),
        "it",
        None,
        "swapped",
    );
    for (other, reason) in [
        (
            json!({"type": "FeatureCollection", "features": []}),
            "collection",
        ),
        (json!({"type": "Feature", "properties": {}}), "no STAC item"),
        (
            json!({"type": "Feature", "stac_version": "1.0.0"}),
            "no `properties`",
        ),
        (json!("Feature"), "no STAC item"),
        (json!(null), "no STAC item"),
    ] {
        assert_source_error(
            &Metadata::from_stac(&other).unwrap_err(),
            "STAC item",
            None,
            reason,
        );
    }
}
