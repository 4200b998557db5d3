//! Which files of a STAC item are a scene's red, green and blue, and what their samples mean.

use std::num::NonZeroU16;
use std::str::FromStr;

use serde_json::Value;
use url::Url;

use crate::area::Area;
use crate::filter::{BoundingBox, TimeSpan};
use crate::location::{Location, shown};
use crate::tiling::Tiling;
use satmip::image::{Bands, Product, ReadOptions, Scale};
use satmip::scene::Footprint;
use satmip::{Error, Metadata, Result};

/// How scenes are read.
#[derive(Debug, Clone)]
pub(crate) struct SceneOptions {
    pub(crate) tiling: Tiling,
    pub(crate) reading: ReadOptions,
    /// Names of assets: none, one, or red, green and blue.
    pub(crate) assets: Vec<String>,
    pub(crate) offset: Offset,
    /// The asset with classes that tell clouds.
    pub(crate) classes: Option<String>,
    pub(crate) bbox: Option<BoundingBox>,
    pub(crate) area: Option<Area>,
    pub(crate) time: Option<TimeSpan>,
}

impl SceneOptions {
    /// Whether windows are wanted of some ground only.
    pub(crate) fn has_ground(&self) -> bool {
        self.bbox.is_some() || self.area.is_some()
    }

    /// Whether a window touches the ground that is wanted.
    pub(crate) fn wants(&self, place: &Footprint) -> bool {
        self.bbox.is_none_or(|sides| sides.touches(place))
            && self.area.as_ref().is_none_or(|area| area.touches(place))
    }
}

/// What is added to Sentinel-2's samples before they are reflectances: since processing baseline 04.00 ESA's have 1,000
/// more, which some hosts have taken off again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Offset {
    /// What an item says: `earthsearch:boa_offset_applied`, else its host, else `s2:processing_baseline`; an error where
    /// it says nothing.
    #[default]
    Auto,
    /// Nothing: the samples are harmonised, or of an older baseline.
    None,
    /// -1000.
    Baseline4,
}

impl FromStr for Offset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Offset::Auto),
            "0" => Ok(Offset::None),
            "-1000" => Ok(Offset::Baseline4),
            _ => Err(Error::Argument {
                what: "offset",
                reason: format!("`{text}` is none of auto, 0, -1000"),
            }),
        }
    }
}

impl std::fmt::Display for Offset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Offset::Auto => "auto",
            Offset::None => "0",
            Offset::Baseline4 => "-1000",
        })
    }
}

/// A STAC item, as far as its windows need it.
#[derive(Debug)]
pub(crate) struct ItemFacts {
    pub(crate) id: String,
    pub(crate) collection: Option<String>,
    pub(crate) metadata: Result<Metadata, String>,
    /// The document; null of what a table lists.
    pub(crate) item: Value,
    /// Its only file, of what a table lists.
    pub(crate) file: Option<Location>,
    /// Where it is; its own addresses begin there.
    pub(crate) place: Location,
}

/// The files of a scene.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) names: Vec<String>,
    /// Their addresses as the item has them, without secrets.
    pub(crate) hrefs: Vec<String>,
    /// One picture, or red, green and blue.
    pub(crate) files: Vec<Location>,
    /// Of one picture: which of its bands are red, green and blue.
    pub(crate) bands: Bands,
    /// What their samples mean.
    pub(crate) scale: Scale,
    /// Why, where the item says so.
    pub(crate) why: Option<String>,
}

const COLOURS: [&str; 3] = ["red", "green", "blue"];

impl ItemFacts {
    /// The files that are asked for: by their names, else red, green and blue where it is said what samples mean, else
    /// the asset `visual`, else red, green and blue, which may be bands of one asset.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn files(&self, options: &SceneOptions) -> Result<Chosen, String> {
        if let Some(file) = &self.file {
            if !options.assets.is_empty() {
                return Err("assets were asked for, which only STAC items have".into());
            }
            return Ok(Chosen {
                names: Vec::new(),
                hrefs: vec![self.id.clone()],
                files: vec![file.clone()],
                bands: options.reading.bands,
                scale: options.reading.scale,
                why: None,
            });
        }
        let colours = COLOURS.map(str::to_owned).to_vec();
        let visual = options.reading.scale == Scale::Auto && self.asset("visual").is_some();
        let names = match options.assets.is_empty() {
            false => options.assets.clone(),
            true if visual => vec!["visual".to_owned()],
            true => match self.coloured()? {
                Some(key) => vec![key.to_owned()],
                None => colours,
            },
        };
        let mut bands = options.reading.bands;
        let mut told = None;
        if let ([name], Bands::Auto) = (names.as_slice(), bands)
            && let Some(found) = self.asset(name).and_then(|asset| self.colours_of(asset))
        {
            bands = found;
            told = Some(format!("bands {bands} by what the item says of `{name}`"));
        }
        let hrefs = names
            .iter()
            .map(|name| self.href(name))
            .collect::<Result<Vec<_>, _>>()?;
        let files = hrefs
            .iter()
            .map(|href| self.locate(href))
            .collect::<Result<Vec<_>, _>>()?;
        let (scale, why) = self.scale(options, &hrefs)?;
        let hrefs = hrefs.iter().map(|href| shown_href(href)).collect();
        let why: Vec<String> = why.into_iter().chain(told).collect();
        Ok(Chosen {
            names,
            hrefs,
            files,
            bands,
            scale,
            why: (!why.is_empty()).then(|| why.join("; ")),
        })
    }

    /// The file with the classes of its pixels, where one was asked for.
    ///
    /// # Errors
    /// The reason.
    pub(crate) fn classes(&self, options: &SceneOptions) -> Result<Option<Location>, String> {
        let name = options.classes.as_deref();
        name.map(|name| self.href(name).and_then(|href| self.locate(&href)))
            .transpose()
    }

    /// The asset of a key, else the one whose only band has this common name.
    fn asset<'s>(&'s self, name: &'s str) -> Option<&'s Value> {
        let assets = self.item.get("assets")?.as_object()?;
        let called = || self.called(name).next().map(|(_, asset)| asset);
        assets.get(name).or_else(called)
    }

    /// What it says of an asset's bands, in their order. Up to STAC 0.9 an asset has the places of its bands among the
    /// item's.
    fn bands_of<'s>(&'s self, asset: &'s Value) -> Vec<&'s Value> {
        let all = self.item.get("properties").and_then(|p| p.get("eo:bands"));
        let bands = ["eo:bands", "bands"]
            .iter()
            .find_map(|key| asset.get(key)?.as_array());
        let band = |band: &'s Value| match band.as_u64() {
            Some(at) => all.and_then(|all| all.get(usize::try_from(at).ok()?)),
            None => Some(band),
        };
        // One that cannot be found has no name, but its place.
        let bands = bands.into_iter().flatten();
        bands.map(|own| band(own).unwrap_or(own)).collect()
    }

    /// Which bands of an asset are red, green and blue, by their common names, where each is one.
    fn colours_of(&self, asset: &Value) -> Option<Bands> {
        let bands = self.bands_of(asset);
        let the_one = |name: &str| {
            let numbered = (1_u16..).zip(&bands);
            let mut found = numbered.filter(|(_, band)| is_called(band, name));
            let (number, _) = found.next()?;
            NonZeroU16::new(number).filter(|_| found.next().is_none())
        };
        let [red, green, blue] = COLOURS.map(the_one);
        Some(Bands::Rgb([red?, green?, blue?]))
    }

    /// The asset that has red, green and blue among its bands, where none is red by itself.
    ///
    /// # Errors
    /// Where several have.
    fn coloured(&self) -> Result<Option<&str>, String> {
        if self.asset("red").is_some() {
            return Ok(None);
        }
        let found = self
            .assets()
            .filter(|(_, asset)| self.colours_of(asset).is_some());
        let found: Vec<&str> = found.map(|(key, _)| key).take(30).collect();
        match found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(format!(
                "several assets have bands of red, green and blue: name one of {}",
                found.join(", ")
            )),
        }
    }

    /// The assets whose only band has this common name, with their keys.
    fn called<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s str, &'s Value)> {
        self.assets().filter(
            move |(_, asset)| matches!(self.bands_of(asset)[..], [only] if is_called(only, name)),
        )
    }

    /// Its assets with their keys.
    fn assets(&self) -> impl Iterator<Item = (&str, &Value)> {
        let assets = self.item.get("assets").and_then(Value::as_object);
        let pairs = assets.into_iter().flatten();
        pairs.map(|(key, asset)| (key.as_str(), asset))
    }

    fn href(&self, name: &str) -> Result<String, String> {
        let has_key = self
            .item
            .get("assets")
            .is_some_and(|assets| assets.get(name).is_some());
        let others: Vec<_> = self.called(name).map(|(key, _)| key).take(30).collect();
        if !has_key && others.len() > 1 {
            return Err(format!(
                "several assets have a band called `{name}`: name one of {}",
                others.join(", ")
            ));
        }
        let known = || {
            let names: Vec<_> = self.assets().map(|(key, _)| key).take(30).collect();
            names.join(", ")
        };
        let asset = self.asset(name).ok_or_else(|| {
            format!(
                "it has no asset `{name}`, nor one of a band with this common name (it has: {})",
                known()
            )
        })?;
        let href = asset.get("href").and_then(Value::as_str);
        href.map(str::to_owned)
            .ok_or_else(|| format!("its asset `{name}` has no `href`"))
    }

    /// The file of an address.
    fn locate(&self, href: &str) -> Result<Location, String> {
        let found = self.place.join(href);
        found.map_err(|reason| format!("`{}`: {reason}", shown_href(href)))
    }

    /// What samples mean: of Sentinel-2 with or without the offset of baseline 04.00.
    fn scale(
        &self,
        options: &SceneOptions,
        hrefs: &[String],
    ) -> Result<(Scale, Option<String>), String> {
        let asked = options.reading.scale;
        let Scale::Product(product, range) = asked else {
            return Ok((asked, None));
        };
        let with = match product {
            Product::S2 => Product::S2Offset,
            Product::S2L1c => Product::S2L1cOffset,
            _ => return Ok((asked, None)),
        };
        let (offset, why) = match options.offset {
            Offset::Auto => self.offset(hrefs)?,
            Offset::Baseline4 => (true, "as asked for".to_owned()),
            Offset::None => (false, "as asked for".to_owned()),
        };
        let number = if offset { -1000 } else { 0 };
        let product = if offset { with } else { product };
        Ok((
            Scale::Product(product, range),
            Some(format!("offset {number}, {why}")),
        ))
    }

    /// Whether the samples have the offset of baseline 04.00, and who says so.
    fn offset(&self, hrefs: &[String]) -> Result<(bool, String), String> {
        /// Hosts that take it off: Element84's Earth Search, and the buckets that it lists
        /// (<https://github.com/Element84/earth-search/issues/71>).
        const HARMONISED: [&str; 4] = [
            "earth-search.aws.element84.com",
            "sentinel-cogs.s3.us-west-2.amazonaws.com",
            "e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com",
            "sentinel-cogs",
        ];
        let property = |key: &str| self.item.get("properties").and_then(|all| all.get(key));
        if let Some(applied) = property("earthsearch:boa_offset_applied").and_then(Value::as_bool) {
            return Ok((
                !applied,
                format!("by `earthsearch:boa_offset_applied`: {applied}"),
            ));
        }
        let links = self.item.get("links").and_then(Value::as_array);
        let own = links.into_iter().flatten().filter(|link| {
            let rel = link.get("rel").and_then(Value::as_str);
            matches!(rel, Some("self" | "root" | "parent" | "collection"))
        });
        let own = own.filter_map(|link| link.get("href").and_then(Value::as_str));
        let mut addresses = hrefs.iter().map(String::as_str).chain(own);
        let host = |address: &str| {
            let (_, rest) = address.split_once("://")?;
            rest.split('/').next().map(str::to_owned)
        };
        let known = addresses
            .find_map(|address| host(address).filter(|host| HARMONISED.contains(&host.as_str())));
        if let Some(host) = known {
            return Ok((false, format!("by its host `{host}`, which takes it off")));
        }
        if let Some(baseline) = property("s2:processing_baseline") {
            let text = match baseline {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let number: f64 = text
                .parse()
                .map_err(|_| format!("`s2:processing_baseline` is `{text}`"))?;
            return Ok((
                number >= 4.0,
                format!("by `s2:processing_baseline`: {text}"),
            ));
        }
        Err("whether its samples have the offset of Sentinel-2's baseline 04.00 cannot be told: it has neither \
             `earthsearch:boa_offset_applied`, nor a host that is known, nor `s2:processing_baseline` \
             (say `--offset 0` or `--offset -1000`)"
            .into())
    }
}

fn is_called(band: &Value, name: &str) -> bool {
    let called = |key: &str| band.get(key).and_then(Value::as_str) == Some(name);
    called("common_name") || called("eo:common_name")
}

/// An address without what may be secret in it.
pub(crate) fn shown_href(href: &str) -> String {
    match href.contains("://").then(|| Url::parse(href)) {
        Some(Ok(url)) => shown(&url),
        _ => href.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tiling::Edge;

    fn facts(properties: Value, assets: Value) -> ItemFacts {
        let item =
            json!({"type": "Feature", "id": "x", "properties": properties, "assets": assets});
        ItemFacts {
            id: "x".into(),
            collection: None,
            metadata: Ok(Metadata::new()),
            item,
            file: None,
            place: Location::File("/data/item.json".into()),
        }
    }

    fn options(scale: &str, assets: &[&str], offset: &str) -> SceneOptions {
        let mut reading = ReadOptions::default();
        reading.scale = scale.parse().unwrap();
        SceneOptions {
            tiling: Tiling::new(64, 64, Edge::Shift).unwrap(),
            reading,
            assets: assets.iter().map(|name| (*name).to_owned()).collect(),
            offset: offset.parse().unwrap(),
            classes: None,
            bbox: None,
            area: None,
            time: None,
        }
    }

    fn file(path: &str) -> Location {
        Location::File(path.into())
    }

    fn bands() -> Value {
        json!({
            "B04": {"href": "r.tif", "eo:bands": [{"name": "B04", "common_name": "red"}]},
            "green": {"href": "./g.tif"},
            "B02": {"href": "file:///other/b.tif", "bands": [{"eo:common_name": "blue"}]},
            "visual": {"href": "tci.tif"},
        })
    }

    #[test]
    fn assets_are_found_by_key_and_by_common_name() {
        let item = facts(json!({}), bands());
        let chosen = item.files(&options("auto", &[], "auto")).unwrap();
        assert_eq!(chosen.files, [file("/data/tci.tif")]);
        let chosen = item.files(&options("0,3000", &[], "auto")).unwrap();
        let expected = ["/data/r.tif", "/data/./g.tif", "/other/b.tif"].map(file);
        assert_eq!((chosen.files.as_slice(), chosen.why), (&expected[..], None));
        let mut two = bands();
        two["B04-copy"] = two["B04"].clone();
        let error = facts(json!({}), two)
            .files(&options("0,3000", &[], "auto"))
            .unwrap_err();
        assert!(error.contains("B04, B04-copy"), "{error}");
        let error = item.files(&options("auto", &["nir"], "auto")).unwrap_err();
        assert!(error.contains("B02, B04, green, visual"), "{error}");
    }

    #[test]
    fn colours_may_be_bands_of_one_asset() {
        let band = |name: &str| json!({"name": "b", "common_name": name});
        let four = ["blue", "green", "red", "nir"].map(band);
        let image = json!({"href": "image.tif", "eo:bands": four});
        let bands_of = |assets: Value, asked: &[&str], bands: &str| {
            let mut options = options("auto", asked, "auto");
            options.reading.bands = bands.parse().unwrap();
            let chosen = facts(json!({}), assets).files(&options);
            chosen.map(|chosen| (chosen.names, chosen.bands.to_string(), chosen.why))
        };
        let (names, bands, why) = bands_of(json!({"image": image}), &[], "auto").unwrap();
        assert_eq!((names, bands.as_str()), (vec!["image".to_owned()], "3,2,1"));
        assert!(why.unwrap().contains("bands 3,2,1"));
        // What was asked for comes first, and so does an asset that is red by itself.
        let (_, bands, why) = bands_of(json!({"image": image}), &["image"], "1,2,3").unwrap();
        assert_eq!((bands.as_str(), why), ("1,2,3", None));
        let mut own = json!({"image": image});
        for name in COLOURS {
            own[name] = json!({"href": "one.tif"});
        }
        let (names, bands, _) = bands_of(own, &[], "auto").unwrap();
        assert_eq!((names.len(), bands.as_str()), (3, "auto"));
        let error = bands_of(json!({"a": image, "b": image}), &[], "auto").unwrap_err();
        assert!(error.contains("a, b"), "{error}");
        // Up to STAC 0.9 bands are told by their places.
        let mut old = facts(
            json!({"eo:bands": four}),
            json!({"x.tif": {"href": "x.tif", "eo:bands": [3, 2, 1, 0]}}),
        );
        let chosen = old.files(&options("auto", &[], "auto")).unwrap();
        assert_eq!(chosen.bands.to_string(), "2,3,4");
        old.item["assets"] = json!({"R": {"href": "r.tif", "eo:bands": [2]}, "G": {"href": "g.tif", "eo:bands": [1]},
            "B": {"href": "b.tif", "eo:bands": [0]}, "none": {"href": "n.tif", "eo:bands": [9, -1]}});
        let chosen = old.files(&options("auto", &[], "auto")).unwrap();
        assert_eq!(chosen.hrefs, ["r.tif", "g.tif", "b.tif"]);
        // A colour that two bands have, and bands without names, say nothing.
        let bands = ["red", "red", "green", "blue"].map(band);
        let twice = json!({"href": "x.tif", "bands": bands});
        let error = bands_of(json!({"twice": twice}), &[], "auto").unwrap_err();
        assert!(error.contains("no asset `red`"), "{error}");
    }

    #[test]
    fn the_offset_is_decided_or_refused() {
        let remote = json!({"red": {"href": "r.tif"}, "green": {"href": "g.tif"}, "blue": {"href": "b.tif"}});
        for (properties, offset, expected) in [
            (
                json!({"earthsearch:boa_offset_applied": true, "s2:processing_baseline": "05.00"}),
                "auto",
                "s2",
            ),
            (
                json!({"earthsearch:boa_offset_applied": false}),
                "auto",
                "s2-offset",
            ),
            (
                json!({"s2:processing_baseline": "05.09"}),
                "auto",
                "s2-offset",
            ),
            (json!({"s2:processing_baseline": "02.14"}), "auto", "s2"),
            (json!({"s2:processing_baseline": 4.0}), "auto", "s2-offset"),
            (json!({"s2:processing_baseline": "05.00"}), "0", "s2"),
            (json!({}), "-1000", "s2-offset"),
        ] {
            let chosen = facts(properties.clone(), remote.clone())
                .files(&options("s2", &[], offset))
                .unwrap();
            assert_eq!(chosen.scale.to_string(), expected, "{properties} {offset}");
        }
        let error = facts(json!({}), remote.clone())
            .files(&options("s2", &[], "auto"))
            .unwrap_err();
        assert!(error.contains("--offset 0"), "{error}");
        // The host of the catalogue it came from says more than the baseline.
        let mut item = facts(json!({"s2:processing_baseline": "05.00"}), remote);
        item.item["links"] =
            json!([{"rel": "self", "href": "https://earth-search.aws.element84.com/v1/x"}]);
        let chosen = item.files(&options("s2", &[], "auto")).unwrap();
        assert_eq!(chosen.scale.to_string(), "s2");
        assert!(chosen.why.unwrap().contains("element84"));
    }

    #[test]
    fn addresses_are_taken_from_the_items_own() {
        let assets = json!({"visual": {"href": "s3://bucket/tci.tif"}, "signed": {"href": "https://host/a.tif?sig=secret"}});
        let item = facts(json!({}), assets);
        let chosen = item.files(&options("auto", &[], "auto")).unwrap();
        assert_eq!(chosen.files[0].to_string(), "s3://bucket/tci.tif");
        let chosen = item.files(&options("auto", &["signed"], "auto")).unwrap();
        assert_eq!(chosen.hrefs, ["https://host/a.tif"]);
        assert!(format!("{:?}", chosen.files).contains("secret"));
        let mut away = item;
        away.place = Location::given("https://host/x/item.json".as_ref()).unwrap();
        away.item["assets"]["visual"]["href"] = json!("file:///etc/passwd");
        let error = away.files(&options("auto", &[], "auto")).unwrap_err();
        assert!(error.contains("may not name"), "{error}");
    }
}
