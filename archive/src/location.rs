//! Where an input is: a file of this machine, or an address.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

/// A file of this machine, or an object of a server or store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Location {
    File(PathBuf),
    Remote(Url),
}

/// What is written of an address: never who may read it, which stands before the host or behind a `?`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Remote(url) => f.write_str(&shown(url)),
        }
    }
}

/// An address without what may be secret in it.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

impl Location {
    /// An input as a person gives it: an address has a scheme of [`SCHEMES`], all else is a path.
    pub(crate) fn given(path: &Path) -> Result<Location, String> {
        match path.to_str().filter(|text| text.contains("://")) {
            Some(text) => Location::absolute(text),
            None => Ok(Location::File(path.to_owned())),
        }
    }

    fn absolute(text: &str) -> Result<Location, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        if scheme == "file" {
            return Ok(Location::File(PathBuf::from(rest)));
        }
        if !SCHEMES.contains(&scheme) {
            return Err(format!(
                "`{scheme}://` is none of {}, file",
                SCHEMES.join(", ")
            ));
        }
        let url = Url::parse(text).map_err(|error| format!("no address: {error}"))?;
        match url.host_str().is_some_and(|host| !host.is_empty()) {
            true => Ok(Location::Remote(url)),
            false => Err("an address without a host or bucket".into()),
        }
    }

    /// An address as a document at this place has it.
    ///
    /// # Errors
    /// The reason, for one that is refused: a server may not name files of this machine.
    pub(crate) fn join(&self, href: &str) -> Result<Location, String> {
        if href.is_empty() {
            return Err("an empty address".into());
        }
        let found = match href.contains("://") {
            true => Location::absolute(href)?,
            false => match self {
                Location::File(document) => {
                    let folder = document.parent().unwrap_or(Path::new(""));
                    Location::File(folder.join(href))
                }
                Location::Remote(document) => {
                    let url = document.join(href);
                    Location::Remote(url.map_err(|error| format!("no address: {error}"))?)
                }
            },
        };
        match (self, &found) {
            (Location::Remote(_), Location::File(_)) => {
                Err("a file of this machine, which a server may not name".into())
            }
            _ => Ok(found),
        }
    }

    /// Its last part, in small letters.
    pub(crate) fn file_name(&self) -> String {
        let name = match self {
            Location::File(path) => {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
            Location::Remote(url) => {
                let name = url.path().rsplit('/').next();
                name.unwrap_or_default().to_owned()
            }
        };
        name.to_ascii_lowercase()
    }
}

/// Schemes of addresses that are read.
pub(crate) const SCHEMES: [&str; 9] = [
    "https", "http", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Result<String, String> {
        Location::given(Path::new(text)).map(|found| found.to_string())
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = given("https://me:pass@host/a/b.tif?sig=abc#x").unwrap();
        assert_eq!(shown, "https://host/a/b.tif");
        assert_eq!(
            given("s3://bucket/a b.tif").unwrap(),
            "s3://bucket/a%20b.tif"
        );
    }

    #[test]
    fn what_is_no_address_is_a_path_or_refused() {
        assert_eq!(given("C:/x.tif").unwrap(), "C:/x.tif");
        assert_eq!(given("file:///x.tif").unwrap(), "/x.tif");
        assert!(given("ftp://host/x.tif").unwrap_err().contains("https"));
        assert!(given("s3:///x.tif").is_err());
    }

    #[test]
    fn links_stay_on_servers() {
        let base = Location::given(Path::new("https://host/a/item.json")).unwrap();
        let joined = |href: &str| base.join(href).map(|found| found.to_string());
        assert_eq!(joined("./b.tif").unwrap(), "https://host/a/b.tif");
        assert_eq!(joined("../b.tif").unwrap(), "https://host/b.tif");
        assert_eq!(joined("s3://bucket/b.tif").unwrap(), "s3://bucket/b.tif");
        assert!(
            joined("file:///etc/passwd")
                .unwrap_err()
                .contains("may not")
        );
        let base = Location::given(Path::new("/data/item.json")).unwrap();
        assert_eq!(base.join("b.tif").unwrap().to_string(), "/data/b.tif");
    }
}
