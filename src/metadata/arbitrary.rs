//! Random records for property tests.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::place::{Location, UtmZone};
use super::record::Metadata;
use super::sensor::{PerAxis, ScanDirection};
use super::time::Timestamp;

/// Numbers spread evenly over the range's orders of magnitude.
fn spread(low: f64, high: f64) -> impl Strategy<Value = f64> {
    (low.ln()..=high.ln()).prop_map(move |v| v.exp().clamp(low, high))
}

fn axes(low: f64, high: f64) -> impl Strategy<Value = PerAxis> {
    prop_oneof![
        spread(low, high).prop_map(PerAxis::from),
        (spread(low, high), spread(low, high)).prop_map(PerAxis::from),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (-946_771_200_i64..4_133_980_800, 0..12_usize, any::<u32>()).prop_map(|(s, shape, fraction)| {
        let second = Timestamp::from_unix_seconds(s).unwrap().to_string();
        let text = match shape {
            0 => second[..10].to_owned(),
            1 => format!("{}Z", &second[..16]),
            2 => second,
            digits => {
                let fraction = format!("{:09}", fraction % 1_000_000_000);
                format!("{}.{}Z", &second[..19], &fraction[..digits - 2])
            }
        };
        text.parse().unwrap()
    })
}

fn location() -> impl Strategy<Value = Location> {
    (-180.0..=180.0, -90.0..=90.0).prop_map(|(lon, lat)| Location::new(lon, lat).unwrap())
}

fn azimuth() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..360.0, 359.99..360.0_f64]
}

/// Any subset of the fields with values over their whole ranges.
pub(super) fn record() -> impl Strategy<Value = Metadata> {
    let first = (
        of(axes(1e-4, 1e4)),
        of(spread(1e-4, 1e4)),
        of(axes(1e-10, 10.0)),
        of(time()),
        of(location()),
        of((-180.0..=180.0, -80.0..=84.0)),
        of(prop::sample::select(vec![
            "PER", "FRA", "USA", "KEN", "ZWE", "ALA",
        ])),
    );
    let second = (
        of(0.0..=100.0),
        of(any::<bool>()),
        of(vec(100.0..=100_000.0, 1..=16)),
        of(azimuth()),
        of(azimuth()),
        of(-90.0..=90.0),
        of(0.0..=90.0),
        of("[!-:=?-{}~]([ -:=?-{}~]{0,62}[!-:=?-{}~])?"),
    );
    (first, second).prop_map(|(a, b)| {
        let (gsd, multispectral_gsd, pixel_size, timestamp, location, zone, country) = a;
        let (cloud_cover, reverse, wavelengths, target, azimuth, elevation, nadir, platform) = b;
        let direction = |reverse| match reverse {
            true => ScanDirection::Reverse,
            false => ScanDirection::Forward,
        };
        Metadata {
            gsd,
            multispectral_gsd,
            pixel_size,
            timestamp,
            location,
            utm_zone: zone.and_then(|(lon, lat)| UtmZone::of(Location::new(lon, lat).unwrap())),
            country_code: country.map(|c| c.parse().unwrap()),
            cloud_cover,
            scan_direction: reverse.map(direction),
            wavelengths,
            target_azimuth_angle: target,
            sun_azimuth_angle: azimuth,
            sun_elevation_angle: elevation,
            off_nadir_angle: nadir,
            sensor_platform: platform.map(|p| super::sensor::platform(&p).unwrap()),
            ..Metadata::new()
        }
    })
}
