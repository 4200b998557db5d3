//! Places that files can be fetched from.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use url::Url;

/// A file, or a page of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of this machine.
    File(PathBuf),
    /// `https`; or `http` where the server is this machine.
    Web(Url),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Web(url) => url.fmt(f),
        }
    }
}

impl Location {
    /// A place as a person gives it: a URL, or the path of a file.
    ///
    /// # Errors
    /// A reason, for a URL that is refused.
    pub(super) fn given(text: &str) -> Result<Location, String> {
        match text.contains("://") {
            true => Location::absolute(text),
            false => Ok(Location::File(PathBuf::from(text))),
        }
    }

    /// A place as a registry gives it: a URL, or a path from where the registry itself is. A
    /// registry of a server cannot name files of this machine.
    ///
    /// # Errors
    /// A reason, for a place that is refused.
    pub(super) fn in_registry(text: &str, registry: Option<&Location>) -> Result<Location, String> {
        if text.contains("://") {
            let location = Location::absolute(text)?;
            let local = matches!(location, Location::File(_));
            if local && matches!(registry, Some(Location::Web(_))) {
                return Err(format!(
                    "`{text}` is a file of this machine, which a server may not name"
                ));
            }
            return Ok(location);
        }
        let path = Path::new(text);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if text.is_empty()
            || text.contains(['\\', '\0', '?', '#', ':'])
            || !path.components().all(plain)
        {
            return Err(format!(
                "`{}` is no plain relative path",
                text.escape_debug()
            ));
        }
        match registry {
            Some(Location::File(registry)) => {
                let folder = registry.parent().unwrap_or(Path::new(""));
                Ok(Location::File(folder.join(path)))
            }
            Some(Location::Web(registry)) => {
                let url = registry
                    .join(text)
                    .map_err(|error| format!("`{text}`: {error}"))?;
                allowed(&url)?;
                Ok(Location::Web(url))
            }
            None => Err(format!(
                "`{text}` is relative, and the registry has no place"
            )),
        }
    }

    fn absolute(text: &str) -> Result<Location, String> {
        let url = Url::parse(text).map_err(|error| format!("`{text}`: {error}"))?;
        if url.scheme() == "file" {
            let path = url.to_file_path();
            return path
                .map(Location::File)
                .map_err(|()| format!("`{text}` is no path of this machine"));
        }
        allowed(&url)?;
        Ok(Location::Web(url))
    }
}

/// Whether a server may be asked: `https` always, `http` where nothing leaves this machine.
///
/// # Errors
/// Why not.
pub(super) fn allowed(url: &Url) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("a URL of {} holds a password", url.scheme()));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_this_machine(url) => Ok(()),
        "http" => Err(format!("`{url}` is not encrypted; https is asked for")),
        scheme => Err(format!(
            "`{scheme}` is no scheme that is fetched from, only https and file"
        )),
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_places_and_this_machine() {
        for text in [
            "https://example.org/a",
            "http://127.0.0.1:9/a",
            "http://localhost/a",
            "http://[::1]:80/a",
        ] {
            assert!(
                matches!(Location::given(text), Ok(Location::Web(_))),
                "{text}"
            );
        }
        for text in [
            "http://example.org/a",
            "http://127.0.0.1.example.org/a",
            "ftp://example.org/a",
            "https://me:secret@example.org/a",
            "https://",
            "://",
        ] {
            assert!(Location::given(text).is_err(), "{text}");
        }
        assert_eq!(
            Location::given("file:///a/b").unwrap(),
            Location::File("/a/b".into())
        );
        assert_eq!(
            Location::given("b.toml").unwrap(),
            Location::File("b.toml".into())
        );
    }

    #[test]
    fn relative_places_stay_below_their_registry() {
        let web = Location::given("https://example.org/zoo/registry.toml").unwrap();
        let file = Location::File("/zoo/registry.toml".into());
        let join =
            |text: &str, base| Location::in_registry(text, Some(base)).map(|l| l.to_string());
        assert_eq!(
            join("m/a.onnx", &web).unwrap(),
            "https://example.org/zoo/m/a.onnx"
        );
        assert_eq!(join("m/a.onnx", &file).unwrap(), "/zoo/m/a.onnx");
        for hostile in [
            "../a",
            "/etc/passwd",
            "m/../../a",
            "",
            "a\\b",
            "a\0",
            "a?b",
            "C:a",
            "./../a",
        ] {
            assert!(join(hostile, &web).is_err(), "{hostile:?}");
            assert!(join(hostile, &file).is_err(), "{hostile:?}");
        }
        assert!(join("file:///etc/passwd", &web).is_err());
        assert!(join("file:///zoo/a", &file).is_ok());
        assert!(Location::in_registry("a", None).is_err());
    }
}
