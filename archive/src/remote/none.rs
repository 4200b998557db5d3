//! What stands for objects of servers and stores in a program that was built without them.

use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use url::Url;

use crate::skipped::SkipKind;
use satmip::scene::RangeReader;

/// Why an object cannot be had.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: SkipKind,
    pub(crate) reason: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Nothing remote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remote(());

/// No object.
#[derive(Debug)]
pub(crate) struct Object(Infallible);

fn fault() -> Fault {
    Fault {
        kind: SkipKind::Unsupported,
        reason: "this program was built without the feature `remote`, which reads from servers and stores".into(),
    }
}

impl Remote {
    pub(crate) fn announce(&self, _: &Url) {}

    pub(crate) fn object(&self, _: &Url) -> Result<Arc<Object>, Fault> {
        Err(fault())
    }

    pub(crate) fn anew(&self, _: &Url) -> Result<Arc<Object>, Fault> {
        Err(fault())
    }

    pub(crate) fn whole(&self, _: &Url, _: u64) -> Result<Vec<u8>, Fault> {
        Err(fault())
    }

    pub(crate) fn post(&self, _: &Url, _: String, _: u64) -> Result<Vec<u8>, Fault> {
        Err(fault())
    }

    pub(crate) fn put(&self, _: &Url, _: Vec<u8>, _: bool) -> Result<bool, Fault> {
        Err(fault())
    }

    pub(crate) fn list(
        &self,
        _: &Url,
        _: &mut dyn FnMut(&str, Url) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        Err(fault())
    }
}

impl Object {
    pub(crate) fn name(&self) -> &str {
        match self.0 {}
    }

    pub(crate) fn version(&self) -> &str {
        match self.0 {}
    }
}

impl RangeReader for Object {
    fn size(&self) -> u64 {
        match self.0 {}
    }

    fn read(&self, _: u64, _: usize) -> io::Result<Vec<u8>> {
        match self.0 {}
    }
}
