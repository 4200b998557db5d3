//! What sets of chips ask of a tar archive.

use std::ops::ControlFlow;
use std::path::PathBuf;

use satmip::parts::tar::{MemberKind, TarFile};
use satmip::{Error, Result};

/// A member by its header.
pub(super) struct Member {
    /// Path in the archive; bytes that are no UTF-8 are replaced.
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Whether it is a plain file and no link, device or sparse file.
    pub(super) plain: bool,
}

/// Opens an archive; with `keep` the file stays open.
pub(super) fn open(path: PathBuf, keep: bool) -> Result<TarFile> {
    TarFile::open(path.clone(), keep).map_err(|e| Error::io(path, e))
}

/// Calls `receive` for each member in order. Where the archive is damaged the members before are given, and what is
/// wrong is returned.
///
/// # Errors
/// Where the file cannot be read or its very beginning is no archive's.
pub(super) fn members(file: &TarFile, receive: &mut dyn FnMut(Member)) -> Result<Option<String>> {
    let mut last: Option<String> = None;
    let damage = file.members(|member| {
        let name = String::from_utf8_lossy(&member.name).into_owned();
        last = Some(name.clone());
        receive(Member {
            name,
            offset: member.offset,
            size: member.size,
            plain: member.kind == MemberKind::File,
        });
        ControlFlow::Continue(())
    });
    match (damage.map_err(|e| Error::io(file.path(), e))?, last) {
        (None, _) => Ok(None),
        (Some(error), Some(last)) => Ok(Some(format!("damaged after `{last}`: {error}"))),
        (Some(error), None) => Err(Error::Data {
            reason: format!("`{}` is no tar archive", file.path().display()),
            source: Some(error.into()),
        }),
    }
}

/// The bytes of a member, at most `limit` of them.
///
/// # Errors
/// What is wrong: too many bytes, an archive that ends before them, or a failure to read.
pub(super) fn read(file: &TarFile, offset: u64, size: u64, limit: u64) -> Result<Vec<u8>, String> {
    match size > limit {
        true => Err(format!("{size} bytes are over the limit of {limit}")),
        false => file.read(offset, size).map_err(|error| error.to_string()),
    }
}
