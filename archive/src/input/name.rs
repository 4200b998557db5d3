//! Names of files: as bytes, as text, and whether they are images'.

use std::path::{Path, PathBuf};

/// Name endings of files that folders and archives are searched for, in lower case.
pub const EXTENSIONS: [&str; 10] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "jp2", "j2k",
];

pub(super) fn has_image_extension(name: &[u8]) -> bool {
    let Some(dot) = name.iter().rposition(|b| *b == b'.') else {
        return false;
    };
    EXTENSIONS
        .iter()
        .any(|e| name[dot + 1..].eq_ignore_ascii_case(e.as_bytes()))
}

/// Whether the last part of a path starts with a dot (hidden files, and macOS's `._` shadows).
pub(super) fn is_hidden(path: &[u8]) -> bool {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path).first() == Some(&b'.')
}

/// The name as text. Bytes that are no UTF-8 become `\xHH`, and then each backslash `\\`.
pub(super) fn readable(name: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(name) {
        return (text.to_owned(), false);
    }
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    (text, true)
}

#[cfg(unix)]
pub(crate) fn path_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(not(unix))]
pub(crate) fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().replace('\\', "/").into_bytes()
}

#[cfg(unix)]
pub(crate) fn bytes_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(crate) fn bytes_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_are_escaped_without_collision() {
        assert_eq!(readable(b"plain\\x.jpg"), ("plain\\x.jpg".into(), false));
        assert_eq!(readable(b"caf\xE9.jpg"), ("caf\\xE9.jpg".into(), true));
        assert_eq!(readable(b"a\\\xE9"), ("a\\\\\\xE9".into(), true));
    }
}
