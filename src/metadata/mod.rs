//! What is known of an acquisition.
//!
//! [`Metadata`] is a record of the paper's 15 fields, each of which may be missing. It has two
//! views, one for each kind of metadata tower: the caption ([`Metadata::caption`]), which a
//! tokenizer turns into ids, and columns of numbers and categories
//! ([`crate::arch::TabularColumns`]). [`Metadata::derive_missing`] fills what other fields imply.
//!
//! ```
//! use satmip::{FieldSet, Metadata};
//!
//! let record = Metadata::new()
//!     .with_gsd(0.5)?
//!     .with_timestamp("2015-09-21T15:30:08Z")?
//!     .with_location(-73.31, -3.79)?;
//! assert_eq!(
//!     record.caption(FieldSet::ALL),
//!     "GSD: (0.50, 0.50); Timestamp: 2015-09-21T15:30:08Z; Location: (-73.3100, -3.7900)"
//! );
//! # Ok::<(), satmip::Error>(())
//! ```

#[cfg(test)]
mod arbitrary;
mod caption;
mod caption_parse;
pub(crate) mod crs;
mod derive;
mod field;
#[cfg_attr(
    not(feature = "geotiff"),
    allow(dead_code, reason = "for readers of GeoTIFF")
)]
pub(crate) mod geotransform;
mod place;
mod quantity;
pub mod read;
mod record;
mod sensor;
mod serialize;
mod set;
mod tabular;
mod tabular_decode;
mod text;
mod time;
#[cfg(feature = "serve")]
mod tokenizer;

pub(crate) use derive::metres_per_degree;
pub use field::{Field, FieldSet};
pub use place::{CountryCode, Location, UtmZone};
pub use record::Metadata;
pub use sensor::{PerAxis, ScanDirection};
pub use tabular::TabularBatch;
pub use time::{TimePrecision, Timestamp};
#[cfg(feature = "serve")]
pub use tokenizer::{CaptionTokenizer, END_TOKEN, PAD_TOKEN, START_TOKEN};
