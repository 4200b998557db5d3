//! What satmip's own crates share: no promise is made to others.

#[cfg(feature = "serve")]
pub mod aside;
#[cfg_attr(
    not(feature = "serve"),
    allow(dead_code, reason = "for engines, jobs and readers")
)]
pub mod guard;
#[cfg(feature = "serve")]
pub mod search;
#[cfg(feature = "serve")]
pub mod sha256;
#[cfg(feature = "serve")]
pub mod tar;
#[cfg(feature = "serve")]
pub mod threads;

#[cfg(feature = "export")]
pub use crate::export::ROOTS;
pub use crate::image::{nothing_beside, tiff_facts};
pub use crate::metadata::read::{json_of_bytes, names};
