//! In the place of servers where satmip is built without them (feature `download`).

use url::Url;

use super::super::events::Observer;
use super::part::Part;
use super::{Fault, Patience};

/// There is none.
#[derive(Debug)]
pub(in crate::zoo) enum Client {}

impl Client {
    /// # Errors
    /// Always: what is missing.
    pub(in crate::zoo) fn new(_: &Patience) -> Result<Client, String> {
        Err("this program was built without downloads (feature `download`)".into())
    }

    pub(in crate::zoo) fn page(&self, _: &Url, _: u64) -> Result<Vec<u8>, String> {
        match *self {}
    }

    pub(super) fn append(&self, _: &Url, _: &mut Part<'_>, _: &Observer) -> Result<(), Fault> {
        match *self {}
    }
}
