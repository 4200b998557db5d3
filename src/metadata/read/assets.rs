//! What the assets of a STAC item say of the picture that shows red, green and blue.
//!
//! An item has many assets, and few of them are the picture. Taken are, first kind first:
//!
//! 1. assets with a band whose common name is red, green or blue, or that are called so;
//! 2. assets that are called `visual`, `rgb`, `image`, `data` or `analytic` (`ortho_visual` and the
//!    like among them), or have the role `visual`;
//! 3. assets with the role `data`, where all of them that say something say the same.

use serde_json::Value;

use super::json::{self, Object};
use super::stac::first;
use crate::error::Result;
use crate::metadata::Field;

/// What the red, green and blue bands of an item and its picture's assets state.
#[derive(Debug, Default)]
pub(super) struct Bands {
    /// Of red, green and blue, as they are written.
    pub(super) wavelengths: [Option<f64>; 3],
    /// The finest `gsd` of the bands or assets of the first two kinds, metres.
    pub(super) gsd: Option<f64>,
    /// The `gsd` of the assets of the third kind.
    pub(super) data_gsd: Option<f64>,
    /// The finest `spatial_resolution` of the assets of the first kind, metres.
    pub(super) resolution: Option<f64>,
    /// The `proj:*` keys of the assets of the best kind that has some, those of the finest grid.
    pub(super) grids: Vec<Object>,
}

/// How an asset may be the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Colour,
    Named,
    Data,
}

impl Bands {
    pub(super) fn of(item: &Value, properties: &Object) -> Result<Self> {
        let mut bands = Bands::default();
        let listed = list(properties);
        for band in listed.iter().filter_map(Value::as_object) {
            bands.add(band)?;
        }
        let assets = item.get("assets").and_then(Value::as_object);
        let mut grids: Vec<(Kind, Object)> = Vec::new();
        let mut data: Vec<f64> = Vec::new();
        for (name, asset) in assets.into_iter().flatten() {
            let Some(asset) = asset.as_object() else {
                continue;
            };
            let Some(kind) = bands.add_asset(name, asset, listed)? else {
                continue;
            };
            if let Some(gsd) = first(asset, Field::Gsd, &["gsd", "eo:gsd"])? {
                match kind {
                    Kind::Colour | Kind::Named => finest(&mut bands.gsd, Some(gsd)),
                    Kind::Data => data.push(gsd),
                }
            }
            let stated = asset.iter().filter(|(key, _)| key.starts_with("proj:"));
            let stated: Object = stated.map(|(k, v)| (k.clone(), v.clone())).collect();
            if !stated.is_empty() {
                grids.push((kind, stated));
            }
        }
        if let [one, rest @ ..] = &data[..]
            && rest.iter().all(|other| other == one)
        {
            bands.data_gsd = Some(*one);
        }
        let best = grids.iter().map(|(kind, _)| *kind).min();
        bands.grids = grids
            .into_iter()
            .filter(|(kind, _)| Some(*kind) == best)
            .map(|(_, stated)| stated)
            .collect();
        // Bands of other resolutions are no part of the picture.
        if best == Some(Kind::Data) && bands.grids.windows(2).any(|two| two[0] != two[1]) {
            bands.grids.clear();
        }
        Ok(bands)
    }

    fn add_asset(&mut self, name: &str, asset: &Object, listed: &[Value]) -> Result<Option<Kind>> {
        let mut colour = ["red", "green", "blue"].contains(&name.to_ascii_lowercase().as_str());
        for band in list(asset) {
            // Version 0.x refers to the item's list by position.
            let band = match band.as_u64() {
                Some(index) => usize::try_from(index).ok().and_then(|i| listed.get(i)),
                None => Some(band),
            };
            if let Some(band) = band.and_then(Value::as_object) {
                colour |= self.add(band)?;
            }
        }
        if !colour {
            return Ok(kind_of(name, asset));
        }
        for key in ["raster:bands", "bands"] {
            let bands = asset.get(key).and_then(Value::as_array);
            for band in bands.into_iter().flatten().filter_map(Value::as_object) {
                let keys = ["spatial_resolution", "raster:spatial_resolution"];
                finest(&mut self.resolution, first(band, Field::Gsd, &keys)?);
            }
        }
        let key = "raster:spatial_resolution";
        finest(&mut self.resolution, first(asset, Field::Gsd, &[key])?);
        Ok(Some(Kind::Colour))
    }

    /// Takes what a band states; whether it is red, green or blue.
    fn add(&mut self, band: &Object) -> Result<bool> {
        let name = json::text(band, "common_name").or(json::text(band, "eo:common_name"));
        let Some(channel) = name.and_then(|name| {
            let colours = ["red", "green", "blue"];
            colours
                .iter()
                .position(|colour| name.eq_ignore_ascii_case(colour))
        }) else {
            return Ok(false);
        };
        let keys = ["center_wavelength", "eo:center_wavelength"];
        let wavelength = first(band, Field::Wavelengths, &keys)?;
        let stated = &mut self.wavelengths[channel];
        *stated = stated.or(wavelength);
        finest(&mut self.gsd, first(band, Field::Gsd, &["gsd", "eo:gsd"])?);
        Ok(true)
    }
}

/// The kind of an asset without a band of red, green or blue.
fn kind_of(name: &str, asset: &Object) -> Option<Kind> {
    let roles = asset.get("roles").and_then(Value::as_array);
    let has_role = |role: &str| {
        let mut roles = roles.into_iter().flatten();
        roles.any(|other| other.as_str() == Some(role))
    };
    // A quicklook is not the picture, whatever it is called.
    if has_role("thumbnail") || has_role("overview") {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let named = name
        .split(['_', '-'])
        .any(|word| ["visual", "rgb", "image", "data", "analytic"].contains(&word));
    match (named || has_role("visual"), has_role("data")) {
        (true, _) => Some(Kind::Named),
        (false, true) => Some(Kind::Data),
        (false, false) => None,
    }
}

fn list(object: &Object) -> &[Value] {
    ["eo:bands", "bands"]
        .iter()
        .find_map(|key| object.get(*key).and_then(Value::as_array))
        .map_or(&[], Vec::as_slice)
}

fn finest(kept: &mut Option<f64>, metres: Option<f64>) {
    if let Some(metres) = metres {
        *kept = Some(kept.map_or(metres, |kept| kept.min(metres)));
    }
}
