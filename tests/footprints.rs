//! A raster has the same place and pixels on the ground in whichever direction it is stored.
#![cfg(feature = "geotiff")]

use std::path::Path;

use satmip::Metadata;

fn metadata(name: &str) -> Metadata {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rasters");
    Metadata::from_geotiff(folder.join(format!("{name}.tif"))).unwrap()
}

#[test]
fn place_and_gsd_are_those_of_the_picture_north_up() {
    let north_up = metadata("zstd");
    let place = north_up.location().unwrap();
    assert!((place.lon() - 3.0).abs() < 0.01 && (place.lat() - 48.75).abs() < 0.01);
    for name in ["south_up", "west_up", "turned"] {
        let stored = metadata(name);
        assert_eq!(stored.gsd(), north_up.gsd(), "{name}");
        assert_eq!(stored.utm_zone(), north_up.utm_zone(), "{name}");
        let found = stored.location().unwrap();
        let apart = (found.lon() - place.lon())
            .abs()
            .max((found.lat() - place.lat()).abs());
        assert!(apart < 1e-9, "{name}: {apart}");
    }
}
