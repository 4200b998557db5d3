//! Metadata follows the pixels through crops, resizes, flips and turns.

use proptest::prelude::*;
use satmip::image::{Geometry, Region};
use satmip::{Error, Field, FieldSet, Metadata};

const RADIUS: f64 = 6_371_000.0;

/// One step, with its choices as fractions, so that it suits a picture of any size.
#[derive(Debug, Clone)]
enum Step {
    Crop(f64, f64, f64, f64),
    Resize(u32, u32),
    FlipHorizontal,
    FlipVertical,
    Turn(u8),
}

impl Step {
    fn apply(&self, geometry: Geometry) -> Geometry {
        let (width, height) = geometry.size();
        match *self {
            Step::Crop(left, top, w, h) => geometry
                .crop(region(width, height, [left, top, w, h]))
                .unwrap(),
            Step::Resize(width, height) => geometry.resize(width, height).unwrap(),
            Step::FlipHorizontal => geometry.flip_horizontal(),
            Step::FlipVertical => geometry.flip_vertical(),
            Step::Turn(turns) => geometry.quarter_turns(turns),
        }
    }
}

fn region(width: u32, height: u32, [left, top, w, h]: [f64; 4]) -> Region {
    let part = |side: u32, start: f64, length: f64| {
        let start = (f64::from(side - 1) * start) as u32;
        (start, 1 + (f64::from(side - start - 1) * length) as u32)
    };
    let (left, width) = part(width, left, w);
    let (top, height) = part(height, top, h);
    Region {
        left,
        top,
        width,
        height,
    }
}

fn crop_or_resize() -> impl Strategy<Value = Step> {
    let share = || 0.0..1.0f64;
    prop_oneof![
        (share(), share(), share(), share()).prop_map(|(a, b, c, d)| Step::Crop(a, b, c, d)),
        (1..600u32, 1..600u32).prop_map(|(w, h)| Step::Resize(w, h)),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        crop_or_resize(),
        Just(Step::FlipHorizontal),
        Just(Step::FlipVertical),
        (0..8u8).prop_map(Step::Turn),
    ]
}

fn run(steps: &[Step], width: u32, height: u32) -> Geometry {
    let start = Geometry::of(width, height).unwrap();
    steps
        .iter()
        .fold(start, |geometry, step| step.apply(geometry))
}

fn near(a: f64, b: f64, within: f64) -> bool {
    (a - b).abs() <= within
}

/// Where a place of a north-up picture is, from its metadata alone.
fn ground(metadata: &Metadata, (width, height): (u32, u32), x: f64, y: f64) -> (f64, f64) {
    let (centre, size) = (metadata.location().unwrap(), metadata.pixel_size().unwrap());
    let east = (x - f64::from(width) / 2.0) * size.x;
    let north = (f64::from(height) / 2.0 - y) * size.y;
    (centre.lon() + east, centre.lat() + north)
}

fn placed(lon: f64, lat: f64) -> Metadata {
    Metadata::new().with_location(lon, lat).unwrap()
}

fn cut(left: u32, top: u32, width: u32, height: u32) -> Region {
    Region {
        left,
        top,
        width,
        height,
    }
}

proptest! {
    #[test]
    fn a_crop_of_a_crop_is_the_composed_crop(
        width in 1..3000u32, height in 1..3000u32, a: [u16; 4], b: [u16; 4],
    ) {
        let share = |v: [u16; 4]| v.map(|v| f64::from(v) / 65536.0);
        let outer = region(width, height, share(a));
        let inner = region(outer.width, outer.height, share(b));
        let twice = Geometry::of(width, height).unwrap().crop(outer).unwrap().crop(inner).unwrap();
        let joined = cut(outer.left + inner.left, outer.top + inner.top, inner.width, inner.height);
        let once = Geometry::of(width, height).unwrap().crop(joined).unwrap();
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn composing_is_doing_one_after_the_other(
        first in prop::collection::vec(any_step(), 0..5),
        second in prop::collection::vec(any_step(), 0..5),
        width in 1..500u32, height in 1..500u32, at: (u8, u8),
    ) {
        let one = run(&first, width, height);
        let (w, h) = one.size();
        let both = one.then(&run(&second, w, h)).unwrap();
        let through = second.iter().fold(one, |geometry, step| step.apply(geometry));
        prop_assert_eq!(both.size(), through.size());
        prop_assert_eq!(both.source_size(), (width, height));
        let (x, y) = (f64::from(at.0), f64::from(at.1));
        let (p, q) = (both.to_source(x, y), through.to_source(x, y));
        let within = 1e-9 * (1.0 + p.0.abs() + p.1.abs());
        prop_assert!(near(p.0, q.0, within) && near(p.1, q.1, within), "{:?} {:?}", p, q);
    }

    #[test]
    fn the_whole_picture_stays_within_the_source(
        steps in prop::collection::vec(any_step(), 0..8), width in 1..500u32, height in 1..500u32,
    ) {
        let geometry = run(&steps, width, height);
        let (w, h) = (f64::from(geometry.size().0), f64::from(geometry.size().1));
        for (x, y) in [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)] {
            let (x, y) = geometry.to_source(x, y);
            prop_assert!((-1e-6..=f64::from(width) + 1e-6).contains(&x), "{}", x);
            prop_assert!((-1e-6..=f64::from(height) + 1e-6).contains(&y), "{}", y);
        }
    }

    #[test]
    fn a_pixel_keeps_its_place_on_the_ground(
        steps in prop::collection::vec(crop_or_resize(), 0..6),
        width in 1..500u32, height in 1..500u32,
        lon in -170.0..170.0f64, lat in -80.0..80.0f64, size in 1e-6..1e-3f64, at: (u8, u8),
    ) {
        let before = placed(lon, lat).with_pixel_size((size, size * 0.8)).unwrap();
        let geometry = run(&steps, width, height);
        let after = geometry.apply_to(&before);
        prop_assume!(after.pixel_size().is_some());
        let (x, y) = (f64::from(at.0), f64::from(at.1));
        let (u, v) = geometry.to_source(x, y);
        let (now, then) = (ground(&after, geometry.size(), x, y), ground(&before, (width, height), u, v));
        prop_assert!(near(now.0, then.0, 1e-9), "{:?} {:?}", now, then);
        prop_assert!(near(now.1, then.1, 1e-9), "{:?} {:?}", now, then);
    }

    #[test]
    fn a_pixel_keeps_its_place_through_flips_and_turns_too(
        steps in prop::collection::vec(any_step(), 0..8),
        width in 1..500u32, height in 1..500u32,
        lon in -170.0..170.0f64, lat in -80.0..80.0f64, size in 1e-6..1e-3f64, at: (u8, u8),
    ) {
        // The azimuths of north and of east say how the picture lies.
        let before = placed(lon, lat).with_pixel_size((size, size * 0.8)).unwrap()
            .with_sun_azimuth_angle(0.0).unwrap().with_target_azimuth_angle(90.0).unwrap();
        let geometry = run(&steps, width, height);
        let after = geometry.apply_to(&before);
        prop_assume!(after.pixel_size().is_some());
        let (centre, size) = (after.location().unwrap(), after.pixel_size().unwrap());
        let (x, y) = (f64::from(at.0), f64::from(at.1));
        let (w, h) = (f64::from(geometry.size().0), f64::from(geometry.size().1));
        let step = ((x - w / 2.0) * size.x, (y - h / 2.0) * size.y);
        let along = |azimuth: Option<f64>| {
            let (sin, cos) = azimuth.unwrap().to_radians().sin_cos();
            step.0 * sin - step.1 * cos
        };
        let now = (
            centre.lon() + along(after.target_azimuth_angle()),
            centre.lat() + along(after.sun_azimuth_angle()),
        );
        let (u, v) = geometry.to_source(x, y);
        let then = ground(&before, (width, height), u, v);
        let within = 1e-9 + 1e-12 * (step.0.abs() + step.1.abs());
        prop_assert!(near(now.0, then.0, within), "{:?} {:?}", now, then);
        prop_assert!(near(now.1, then.1, within), "{:?} {:?}", now, then);
    }

    #[test]
    fn gsd_times_size_is_the_extent_on_the_ground(
        steps in prop::collection::vec(any_step(), 0..8),
        width in 1..500u32, height in 1..500u32, gsd in (0.1..20.0f64, 0.1..20.0f64),
    ) {
        let geometry = run(&steps, width, height);
        let after = geometry.apply_to(&Metadata::new().with_gsd(gsd).unwrap());
        prop_assume!(after.gsd().is_some());
        let (w, h) = (f64::from(geometry.size().0), f64::from(geometry.size().1));
        let metres = |x: f64, y: f64| {
            let (from, to) = (geometry.to_source(0.0, 0.0), geometry.to_source(x, y));
            ((to.0 - from.0) * gsd.0).hypot((to.1 - from.1) * gsd.1)
        };
        let size = after.gsd().unwrap();
        prop_assert!(near(size.x * w, metres(w, 0.0), 1e-6));
        prop_assert!(near(size.y * h, metres(0.0, h), 1e-6));
    }

    #[test]
    fn azimuths_point_at_the_same_content(
        turns in 0..4u8, flips: (bool, bool), azimuth in 0.0..360.0f64,
    ) {
        let mut geometry = Geometry::of(60, 40).unwrap().crop(cut(3, 4, 50, 30)).unwrap();
        if flips.0 { geometry = geometry.flip_horizontal(); }
        geometry = geometry.quarter_turns(turns);
        if flips.1 { geometry = geometry.flip_vertical(); }
        let sun = Metadata::new().with_sun_azimuth_angle(azimuth).unwrap();
        let seen = geometry.apply_to(&sun).sun_azimuth_angle().unwrap();
        // A step towards the sun in the picture is a step towards it in the source.
        let (sin, cos) = seen.to_radians().sin_cos();
        let (from, to) = (geometry.to_source(0.0, 0.0), geometry.to_source(sin, -cos));
        let step = (to.0 - from.0, to.1 - from.1);
        let (sin, cos) = azimuth.to_radians().sin_cos();
        prop_assert!(near(step.0, sin, 1e-9) && near(step.1, -cos, 1e-9), "{:?}", step);
    }

    #[test]
    fn what_is_dropped_has_a_reason(
        steps in prop::collection::vec(any_step(), 0..6), gsd in 1e-4..9999.0f64, sized: bool,
    ) {
        let mut before = placed(7.0, 89.0).with_multispectral_gsd(gsd).unwrap().derive_missing();
        if sized { before.set_gsd(gsd).unwrap(); }
        let geometry = run(&steps, 400, 300);
        let (after, dropped) = geometry.apply_with_reasons(&before);
        prop_assert_eq!(&after, &geometry.apply_to(&before));
        let lost: FieldSet = dropped.iter().map(|(field, _)| *field).collect();
        prop_assert_eq!(dropped.len(), lost.len());
        prop_assert_eq!(before.fields().difference(after.fields()), lost);
        prop_assert!(dropped.iter().all(|(_, reason)| !reason.is_empty()));
    }

    #[test]
    fn gsd_alone_moves_the_centre_within_the_stated_error(
        lat in -80.0..80.0f64, east in -5000.0..5000.0f64, north in -5000.0..5000.0f64,
    ) {
        // A crop of two pixels, one metre apart, with its centre `east` and `north` of the centre.
        let before = placed(10.0, lat).with_gsd(1.0).unwrap();
        let (east, north) = (east.round(), north.round());
        let region = cut((6000.0 + east) as u32 - 1, (6000.0 - north) as u32 - 1, 2, 2);
        let geometry = Geometry::of(12_000, 12_000).unwrap().crop(region).unwrap();
        let after = geometry.apply_to(&before).location().unwrap();
        // The exact place on a sphere that has the source's metres per degree at the centre.
        let (degree_x, degree_y) = metres_per_degree(&before);
        let (e, n) = (east / RADIUS, north / RADIUS);
        let (phi, distance) = (lat.to_radians(), e.hypot(n));
        if distance > 0.0 {
            let sin = (distance.cos() * phi.sin() + n / distance * distance.sin() * phi.cos()).clamp(-1.0, 1.0);
            let lambda = (e / distance * distance.sin())
                .atan2(phi.cos() * distance.cos() - n / distance * phi.sin() * distance.sin());
            let exact_north = (sin.asin() - phi) * RADIUS;
            let exact_east = lambda * phi.cos() * RADIUS;
            let got_east = (after.lon() - 10.0) * degree_x;
            let got_north = (after.lat() - lat) * degree_y;
            let tan = phi.tan().abs();
            // A tenth more for the terms of the third order, a centimetre for the rest.
            let bound_east = 1.1 * (east * north).abs() * tan / RADIUS + 0.02;
            let bound_north = 1.1 * east * east * tan / (2.0 * RADIUS) + 0.02;
            prop_assert!(near(got_east, exact_east, bound_east), "{} {}", got_east, exact_east);
            prop_assert!(near(got_north, exact_north, bound_north), "{} {}", got_north, exact_north);
        }
    }

    #[test]
    fn flips_and_turns_undo(azimuth in 0.0..360.0f64, steps in prop::collection::vec(any_step(), 0..4)) {
        let sun = Metadata::new().with_sun_azimuth_angle(azimuth).unwrap();
        let start = run(&steps, 40, 30);
        let seen = start.apply_to(&sun).sun_azimuth_angle().unwrap();
        for back in [
            start.flip_horizontal().flip_horizontal(),
            start.flip_vertical().flip_vertical(),
            start.quarter_turns(1).quarter_turns(3),
            start.quarter_turns(2).flip_horizontal().flip_vertical(),
        ] {
            prop_assert_eq!(back.size(), start.size());
            let again = back.apply_to(&sun).sun_azimuth_angle().unwrap();
            prop_assert!(near(again, seen, 1e-9) || near((again - seen).abs(), 360.0, 1e-9));
            let (a, b) = (back.to_source(3.0, 4.0), start.to_source(3.0, 4.0));
            prop_assert!(near(a.0, b.0, 1e-9) && near(a.1, b.1, 1e-9));
        }
    }
}

/// Metres of a degree at the record's location, by way of what `derive_missing` makes of its gsd.
fn metres_per_degree(metadata: &Metadata) -> (f64, f64) {
    let size = metadata.derive_missing().pixel_size().unwrap();
    (1.0 / size.x, 1.0 / size.y)
}

#[test]
fn nothing_done_changes_nothing() {
    let record = placed(7.0, 46.0)
        .with_gsd((0.5, 0.6))
        .unwrap()
        .with_sun_azimuth_angle(151.37)
        .unwrap()
        .derive_missing();
    let same = Geometry::of(300, 200).unwrap();
    assert_eq!(same.apply_to(&record), record);
    let centred = same.crop(cut(100, 50, 100, 100)).unwrap();
    assert_eq!(centred.apply_to(&record), record);
    let unplaced = placed(7.0, 46.0);
    assert_eq!(centred.resize(9, 9).unwrap().apply_to(&unplaced), unplaced);
}

#[test]
fn a_crop_and_a_resize_by_hand() {
    let record = placed(10.0, 0.0)
        .with_pixel_size((1e-4, 2e-4))
        .unwrap()
        .with_gsd((11.0, 22.0))
        .unwrap()
        .with_multispectral_gsd(40.0)
        .unwrap();
    // The right half's upper quarter: centre at (150, 25) of 200 x 200.
    let geometry = Geometry::of(200, 200)
        .unwrap()
        .crop(cut(100, 0, 100, 50))
        .unwrap();
    let geometry = geometry.resize(50, 100).unwrap();
    let after = geometry.apply_to(&record);
    assert_eq!(after.gsd().map(|g| (g.x, g.y)), Some((22.0, 11.0)));
    let size = after.pixel_size().unwrap();
    assert!(near(size.x, 2e-4, 1e-18) && near(size.y, 1e-4, 1e-18));
    assert!(near(after.multispectral_gsd().unwrap(), 40.0, 1e-12));
    let place = after.location().unwrap();
    assert!(near(place.lon(), 10.0 + 50.0 * 1e-4, 1e-12));
    assert!(near(place.lat(), 75.0 * 2e-4, 1e-12));
}

#[test]
fn azimuths_turn_with_the_picture() {
    let sun = Metadata::new().with_sun_azimuth_angle(30.0).unwrap();
    let target = Metadata::new().with_target_azimuth_angle(30.0).unwrap();
    let start = Geometry::of(40, 30).unwrap();
    for (geometry, expected) in [
        (start.flip_horizontal(), 330.0),
        (start.flip_vertical(), 150.0),
        (start.quarter_turns(1), 120.0),
        (start.quarter_turns(2), 210.0),
        (start.quarter_turns(3), 300.0),
        (start.quarter_turns(1).flip_horizontal(), 240.0),
        (start.resize(10, 90).unwrap(), 30.0),
    ] {
        assert_eq!(geometry.apply_to(&sun).sun_azimuth_angle(), Some(expected));
        assert_eq!(
            geometry.apply_to(&target).target_azimuth_angle(),
            Some(expected)
        );
    }
}

#[test]
fn a_quarter_turn_exchanges_the_axes() {
    let record = Metadata::new().with_gsd((1.0, 3.0)).unwrap();
    let turned = Geometry::of(40, 30).unwrap().quarter_turns(1);
    assert_eq!(turned.size(), (30, 40));
    // The left column becomes the top row, its lowest pixel first.
    assert_eq!(turned.to_source(0.0, 0.0), (0.0, 30.0));
    let gsd = turned.apply_to(&record).gsd().unwrap();
    assert_eq!((gsd.x, gsd.y), (3.0, 1.0));
}

#[test]
fn a_location_that_cannot_follow_is_dropped() {
    let off = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(0, 0, 50, 100))
        .unwrap();
    assert_eq!(off.apply_to(&placed(7.0, 46.0)).location(), None);
    // Out over the pole.
    let record = placed(0.0, 89.9999).with_pixel_size(1e-3).unwrap();
    let north = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(0, 0, 100, 50))
        .unwrap();
    assert_eq!(north.apply_to(&record).location(), None);
    // Out over the date line is a place on the other side.
    let record = placed(179.999, 0.0).with_pixel_size(1e-3).unwrap();
    let east = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(50, 0, 50, 100))
        .unwrap();
    let place = east.apply_to(&record).location().unwrap();
    assert!(near(place.lon(), -179.976, 1e-9), "{place:?}");
}

#[test]
fn reasons_name_what_happened() {
    let half = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(0, 0, 50, 100))
        .unwrap();
    let reason = |geometry: &Geometry, record: &Metadata| {
        let (_, dropped) = geometry.apply_with_reasons(record);
        assert_eq!(dropped.len(), 1, "{dropped:?}");
        dropped[0]
    };
    let (field, why) = reason(&half, &placed(7.0, 46.0));
    assert_eq!(field, Field::Location);
    assert!(why.contains("neither pixel_size nor gsd"), "{why}");
    let north = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(0, 0, 100, 50))
        .unwrap();
    let (field, why) = reason(&north, &placed(0.0, 89.9999).with_pixel_size(1e-3).unwrap());
    assert_eq!(field, Field::Location);
    assert!(why.contains("pole"), "{why}");
    let coarser = Geometry::of(100, 100).unwrap().resize(50, 50).unwrap();
    let (field, why) = reason(&coarser, &Metadata::new().with_gsd(9_000.0).unwrap());
    assert_eq!(field, Field::Gsd);
    assert!(why.contains("range"), "{why}");
    // From France out to sea.
    let coast = placed(-1.3, 45.0)
        .with_pixel_size(0.01)
        .unwrap()
        .derive_missing();
    assert_eq!(coast.text(Field::CountryCode).as_deref(), Some("FRA"));
    let west = Geometry::of(1000, 10)
        .unwrap()
        .crop(cut(0, 0, 10, 10))
        .unwrap();
    let (field, why) = reason(&west, &coast);
    assert_eq!(field, Field::CountryCode);
    assert!(why.contains("has none"), "{why}");
}

#[test]
fn out_of_range_is_dropped_and_derived_stays_derived() {
    let coarse = Metadata::new().with_gsd(9_000.0).unwrap();
    let halved = Geometry::of(100, 100).unwrap().resize(50, 50).unwrap();
    assert!(halved.apply_to(&coarse).is_empty());

    let record = placed(7.0, 46.0)
        .with_gsd(10.0)
        .unwrap()
        .with_timestamp("2021-06-01T10:00:00Z")
        .unwrap()
        .derive_missing();
    let derived = record.derived();
    assert!(derived.contains(Field::PixelSize) && derived.contains(Field::CountryCode));
    let moved = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(0, 0, 40, 40))
        .unwrap();
    let after = moved.quarter_turns(1).apply_to(&record);
    assert_eq!(after.derived(), derived);
    assert_eq!(after.fields(), record.fields());
    // What was taken out on purpose does not come back.
    let few = record.only(FieldSet::of(&[Field::Gsd, Field::Location, Field::UtmZone]));
    assert_eq!(moved.apply_to(&few).fields(), few.fields());
}

#[test]
fn a_new_place_has_its_own_zone() {
    // 6 degrees east is the border of the zones 31 and 32.
    let record = placed(5.99, 46.0)
        .with_pixel_size(1e-3)
        .unwrap()
        .derive_missing();
    assert_eq!(record.text(Field::UtmZone).as_deref(), Some("31T"));
    let east = Geometry::of(100, 100)
        .unwrap()
        .crop(cut(80, 40, 20, 20))
        .unwrap();
    assert_eq!(
        east.apply_to(&record).text(Field::UtmZone).as_deref(),
        Some("32T")
    );
    // A zone that was given is not ours to change.
    let given = placed(5.99, 46.0)
        .with_pixel_size(1e-3)
        .unwrap()
        .with_utm_zone("31T")
        .unwrap();
    assert_eq!(
        east.apply_to(&given).text(Field::UtmZone).as_deref(),
        Some("31T")
    );
}

#[test]
fn impossible_steps_are_errors() {
    let start = Geometry::of(10, 10).unwrap();
    for bad in [
        cut(0, 0, 11, 1),
        cut(10, 0, 1, 1),
        cut(0, 0, 0, 1),
        cut(u32::MAX, 0, 2, 1),
    ] {
        assert!(matches!(start.crop(bad), Err(Error::Argument { .. })));
    }
    assert!(matches!(Geometry::of(0, 1), Err(Error::Argument { .. })));
    assert!(matches!(start.resize(1, 0), Err(Error::Argument { .. })));
    let other = Geometry::of(9, 10).unwrap();
    assert!(matches!(start.then(&other), Err(Error::Argument { .. })));
}
