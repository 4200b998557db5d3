//! Checksums of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The sha256 of bytes, in lower-case hexadecimal.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Length and sha256 of what is left to read; memory does not depend on the length.
pub fn of_reader(mut reader: impl Read) -> io::Result<(u64, String)> {
    let (mut hasher, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((length, hex(&hasher.finalize()))),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Length and sha256 of a file; memory does not depend on its length.
pub fn of_file(path: &Path) -> io::Result<(u64, String)> {
    of_reader(File::open(path)?)
}

/// A file that was read and found to be of a sha256: whoever loads it again compares.
#[derive(Debug, Clone)]
pub struct CheckedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its sha256 in hexadecimal digits.
    pub sha256: String,
}

impl CheckedFile {
    /// Whether it is still the same.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self) -> std::result::Result<(), String> {
        match of_file(&self.path) {
            Ok((_, found)) if found.eq_ignore_ascii_case(&self.sha256) => Ok(()),
            Ok(_) => Err("its file is another one than when the model was opened".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Refuses a file of weights that is another than the expected one; `whose` says where that is named.
///
/// # Errors
/// [`Error::Io`], and [`Error::Weights`] with both checksums.
pub fn check_weights(path: &Path, expected: &str, whose: &str) -> Result<()> {
    let (_, found) = of_file(path).map_err(|e| Error::io(path, e))?;
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Error::Weights {
        path: path.to_owned(),
        tensor: "(file)".into(),
        reason: format!("its sha256 is {found}, and {whose} {expected}"),
    })
}

/// Bytes in lower-case hexadecimal.
pub fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn bytes_and_readers_agree_with_the_standard() {
        assert_eq!(of_bytes(b"abc"), ABC);
        assert_eq!(of_reader(&b"abc"[..]).unwrap(), (3, ABC.to_owned()));
        let long = vec![7; 200_000];
        assert_eq!(of_reader(&long[..]).unwrap(), (200_000, of_bytes(&long)));
    }
}
