//! Where registries come from: the program, files, servers.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

use super::cache::Cache;
use super::download::{Client, Patience, on_a_thread};
use super::location::Location;
use super::registry::{LONGEST, Registry};
use crate::error::{Error, Result};

/// The registry that is part of the program.
const BUILT_IN: &str = include_str!("../../zoo/registry.toml");

/// A registry that is read when it is needed.
#[derive(Debug)]
pub(super) struct LazyRegistry {
    /// A path or a URL; none is the program's own.
    place: Option<String>,
    registry: OnceLock<Registry>,
}

impl LazyRegistry {
    pub(super) fn built_in() -> Self {
        LazyRegistry {
            place: None,
            registry: OnceLock::new(),
        }
    }

    pub(super) fn at(place: String) -> Self {
        LazyRegistry {
            place: Some(place),
            registry: OnceLock::new(),
        }
    }

    /// The registry, read once.
    pub(super) fn registry(&self, how: &Reading<'_>) -> Result<&Registry> {
        if let Some(registry) = self.registry.get() {
            return Ok(registry);
        }
        let registry = match &self.place {
            None => Registry::parse(BUILT_IN, "built in", None)?,
            Some(place) => how.read(place)?,
        };
        Ok(self.registry.get_or_init(|| registry))
    }
}

/// How registries are read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) cache: Option<&'a Cache>,
    pub(super) offline: bool,
    pub(super) patience: &'a Patience,
}

impl Reading<'_> {
    fn read(&self, place: &str) -> Result<Registry> {
        let refuse = |reason: String, source| Error::Registry {
            origin: place.to_owned(),
            reason,
            source,
        };
        let location = Location::given(place).map_err(|reason| refuse(reason, None))?;
        let bytes = match &location {
            Location::File(path) => {
                let file = File::open(path).map_err(|source| Error::io(path, source))?;
                let mut bytes = Vec::new();
                let read = file.take(LONGEST + 1).read_to_end(&mut bytes);
                read.map_err(|source| Error::io(path, source))?;
                bytes
            }
            Location::Web(url) => self.fetch(place, url)?,
        };
        if bytes.len() as u64 > LONGEST {
            return Err(refuse(format!("it is over {LONGEST} bytes long"), None));
        }
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is no UTF-8".into(), None))?;
        Registry::parse(&text, place, Some(&location))
    }

    /// A server's registry; the copy of the last time where there is no network.
    fn fetch(&self, place: &str, url: &url::Url) -> Result<Vec<u8>> {
        let kept = || self.cache.and_then(|cache| cache.kept_registry(place));
        let refuse = |reason: &str| Error::Registry {
            origin: place.to_owned(),
            reason: reason.to_owned(),
            source: None,
        };
        if self.offline {
            return kept()
                .ok_or_else(|| refuse("it was never fetched, and downloads are not allowed"));
        }
        let page = || Client::new(self.patience)?.page(url, LONGEST + 1);
        let fetched =
            on_a_thread(page).unwrap_or_else(|said| Err(format!("fetching it panicked: {said}")));
        match fetched {
            Ok(bytes) => {
                // A copy for later is not worth failing for, a cache that cannot be written is usual.
                if let Some(Err(error)) = self.cache.map(|cache| cache.keep_registry(place, &bytes))
                {
                    tracing::debug!(%error, "the registry is not kept");
                }
                Ok(bytes)
            }
            Err(reason) => match kept() {
                Some(bytes) => {
                    tracing::warn!(
                        "registry `{place}`: {reason}; the copy of the last time is used"
                    );
                    Ok(bytes)
                }
                None => Err(refuse(&reason)),
            },
        }
    }
}
