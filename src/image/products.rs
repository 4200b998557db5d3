//! Products whose makers publish what their samples mean.
//!
//! | name | reflectance of a sample DN | nodata | source |
//! |---|---|---|---|
//! | `s2` | DN / 10000, at the surface | 0 | Sentinel-2 Level-2A, before processing baseline 04.00 or harmonised (ESA's products specification, `BOA_QUANTIFICATION_VALUE`) |
//! | `s2-offset` | (DN - 1000) / 10000, at the surface | 0 | Sentinel-2 Level-2A from baseline 04.00 on, as ESA delivers it (`BOA_ADD_OFFSET`) |
//! | `s2-l1c`, `s2-l1c-offset` | the same, above the atmosphere | 0 | Sentinel-2 Level-1C (`QUANTIFICATION_VALUE`, `RADIO_ADD_OFFSET`) |
//! | `landsat-c2` | 0.0000275 DN - 0.2, at the surface | 0 | Landsat Collection 2 Level-2 (USGS, LSDS-1619) |
//! | `planet-sr` | DN / 10000, at the surface | 0 | PlanetScope surface reflectance (Planet's imagery product specification) |

/// The reflectances at the surface that become 0 and 255, for red, green and blue.
///
/// They make Sentinel-2's Level 2A look as EuroSAT's RGB pictures, on which the zoo's models were
/// trained: those are of Level 1C, whose blue has the light of the atmosphere in it, so that 0 is less
/// than none. Measured on one site (`benches/radiometry.py`, benches/RADIOMETRY.md): within 0.01 for
/// red and green, 0.02 for blue. A missing pixel is never what 0 would be.
pub const SURFACE: [(f64, f64); 3] = [(-0.02, 0.255), (-0.025, 0.25), (-0.06, 0.215)];

/// The reflectances above the atmosphere that become 0 and 255: EuroSAT's own rule
/// (`gdal_translate -scale 0 2750`, by its maintainer).
pub const ABOVE_ATMOSPHERE: [(f64, f64); 3] = [(0.0, 0.275); 3];

/// A product whose samples are reflectances by a rule that its maker publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Product {
    /// `s2`: Sentinel-2 Level 2A without an offset.
    S2,
    /// `s2-offset`: Sentinel-2 Level 2A with the offset of processing baseline 04.00.
    S2Offset,
    /// `s2-l1c`: Sentinel-2 Level 1C without an offset.
    S2L1c,
    /// `s2-l1c-offset`: Sentinel-2 Level 1C with the offset of processing baseline 04.00.
    S2L1cOffset,
    /// `landsat-c2`: Landsat Collection 2, Level 2.
    LandsatC2,
    /// `planet-sr`: surface reflectance of PlanetScope.
    PlanetSr,
}

impl Product {
    /// All of them.
    pub const ALL: [Product; 6] = [
        Product::S2,
        Product::S2Offset,
        Product::S2L1c,
        Product::S2L1cOffset,
        Product::LandsatC2,
        Product::PlanetSr,
    ];

    /// The name, for example `s2`.
    pub fn name(self) -> &'static str {
        match self {
            Product::S2 => "s2",
            Product::S2Offset => "s2-offset",
            Product::S2L1c => "s2-l1c",
            Product::S2L1cOffset => "s2-l1c-offset",
            Product::LandsatC2 => "landsat-c2",
            Product::PlanetSr => "planet-sr",
        }
    }

    /// Scale and offset: reflectance = scale * sample + offset. The source of each stands beside it in the code.
    pub fn scale_and_offset(self) -> (f64, f64) {
        match self {
            Product::S2 | Product::S2L1c | Product::PlanetSr => (1e-4, 0.0),
            Product::S2Offset | Product::S2L1cOffset => (1e-4, -0.1),
            Product::LandsatC2 => (2.75e-5, -0.2),
        }
    }

    /// The reflectances that become 0 and 255, for red, green and blue.
    pub fn reflectances(self) -> [(f64, f64); 3] {
        match self {
            Product::S2L1c | Product::S2L1cOffset => ABOVE_ATMOSPHERE,
            Product::S2 | Product::S2Offset | Product::LandsatC2 | Product::PlanetSr => SURFACE,
        }
    }

    /// The sample that marks a missing pixel.
    pub fn nodata(self) -> f64 {
        0.0
    }
}
