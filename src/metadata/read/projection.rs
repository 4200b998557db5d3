//! What EPSG codes say about a coordinate system, for those that are understood.

/// A coordinate system whose coordinates can be turned into longitude and latitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Projection {
    /// Longitude and latitude in degrees.
    Geographic,
    /// Universal Transverse Mercator, metres.
    Utm {
        /// 1 to 60.
        zone: u8,
        /// Whether northings carry the false northing of 10,000 km.
        south: bool,
    },
    /// Spherical Mercator of web maps, metres at the equator.
    WebMercator,
}

impl Projection {
    /// The projection of an EPSG code.
    ///
    /// NAD83 and ETRS89 are taken as WGS84: they differ by less than 2.5 m, which is less than
    /// what a place in a caption resolves.
    pub(super) fn from_epsg(code: u32) -> Option<Self> {
        let utm = |zone, south| Projection::Utm { zone, south };
        Some(match code {
            // WGS84, NAD83, ETRS89
            4326 | 4269 | 4258 => Projection::Geographic,
            32601..=32660 => utm((code - 32600) as u8, false),
            32701..=32760 => utm((code - 32700) as u8, true),
            26901..=26923 => utm((code - 26900) as u8, false),
            25828..=25838 => utm((code - 25800) as u8, false),
            // 3857 and the codes that it had before it was one
            3857 | 900_913 | 102_100 | 102_113 => Projection::WebMercator,
            _ => return None,
        })
    }

    /// The zone of UTM with its latitude band, as `18M`, at a latitude in degrees.
    pub(super) fn utm_zone(self, latitude: f64) -> Option<String> {
        match self {
            Projection::Utm { zone, .. } => utm_zone(zone, latitude),
            Projection::Geographic | Projection::WebMercator => None,
        }
    }
}

/// The name of a UTM zone at a latitude: bands of 8 degrees from C at 80 S to X, which reaches 84 N.
pub(super) fn utm_zone(zone: u8, latitude: f64) -> Option<String> {
    const BANDS: &[u8] = b"CDEFGHJKLMNPQRSTUVWX";
    if !(1..=60).contains(&zone) || !(-80.0..=84.0).contains(&latitude) {
        return None;
    }
    let band = char::from(BANDS[(((latitude + 80.0) / 8.0) as usize).min(BANDS.len() - 1)]);
    // The grid leaves these three out: Svalbard's other zones reach over them.
    let exists = !(band == 'X' && matches!(zone, 32 | 34 | 36));
    exists.then(|| format!("{zone}{band}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsg_codes() {
        let utm = |zone, south| Some(Projection::Utm { zone, south });
        assert_eq!(Projection::from_epsg(32610), utm(10, false));
        assert_eq!(Projection::from_epsg(32760), utm(60, true));
        assert_eq!(Projection::from_epsg(26919), utm(19, false));
        assert_eq!(Projection::from_epsg(25832), utm(32, false));
        assert_eq!(Projection::from_epsg(4326), Some(Projection::Geographic));
        assert_eq!(Projection::from_epsg(3857), Some(Projection::WebMercator));
        for other in [0, 3031, 32600, 32661, 32700, 32767, 26924, u32::MAX] {
            assert_eq!(Projection::from_epsg(other), None, "{other}");
        }
    }

    #[test]
    fn bands_of_utm_zones() {
        assert_eq!(utm_zone(32, 78.0), None);
        // The poster's example and the ends of the grid.
        assert_eq!(utm_zone(18, -3.785814).as_deref(), Some("18M"));
        assert_eq!(utm_zone(32, 47.449).as_deref(), Some("32T"));
        assert_eq!(utm_zone(1, -80.0).as_deref(), Some("1C"));
        assert_eq!(utm_zone(60, 84.0).as_deref(), Some("60X"));
        assert_eq!(utm_zone(31, 0.0).as_deref(), Some("31N"));
        assert_eq!(utm_zone(31, -0.001).as_deref(), Some("31M"));
        assert_eq!(utm_zone(31, 84.1), None);
        assert_eq!(utm_zone(0, 10.0), None);
        assert_eq!(utm_zone(61, 10.0), None);
    }
}
