//! Tar archives: as files, with their members read in place, and as streams.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tar::EntryType;

use super::{Entry, Sink, Source, has_image_extension, is_hidden, unreadable};
use crate::embed::skipped::SkipKind;
use crate::error::Result;

/// Most bytes of one member that a stream reads into memory. A file's members are read in place,
/// under the limit that follows from the job's pixel limit.
const LARGEST_STREAMED: u64 = 1 << 30;

/// An archive in a file.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    // One handle for all workers: pictures are small, and reading is not where the time goes.
    file: Mutex<File>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        Ok(Archive {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    pub(super) fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let mut file = self
            .file
            .lock()
            .map_err(|_| io::Error::other("a reader of this archive failed"))?;
        let end = file.seek(SeekFrom::End(0))?;
        // Checked first, so that a header's lie about the size allocates nothing.
        if offset.checked_add(size).is_none_or(|last| last > end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Visits the members that are images, by their headers alone.
    pub(super) fn visit(self: &Arc<Self>, sink: &mut Sink<'_>) -> Result<()> {
        let file = File::open(&self.path).map_err(|e| unreadable(&self.path, e))?;
        let mut archive = tar::Archive::new(BufReader::new(file));
        let entries = archive
            .entries_with_seek()
            .map_err(|e| unreadable(&self.path, e))?;
        members(entries, sink, |entry| Source::Member {
            archive: Arc::clone(self),
            offset: entry.raw_file_position(),
            size: entry.size(),
        });
        Ok(())
    }
}

/// Visits the members of an archive that comes through a pipe, with their bytes.
pub(super) fn visit_stream(reader: Box<dyn Read + Send>, sink: &mut Sink<'_>) -> Result<()> {
    let mut archive = tar::Archive::new(BufReader::new(reader));
    let entries = archive
        .entries()
        .map_err(|e| unreadable(Path::new("-"), e))?;
    members(entries, sink, |entry| {
        let size = entry.size();
        if size > LARGEST_STREAMED {
            let reason = format!("{size} bytes are too many to hold in memory");
            return Source::Fault(SkipKind::TooLarge, reason);
        }
        let mut bytes = Vec::new();
        match entry.read_to_end(&mut bytes) {
            Ok(read) if read as u64 == size => Source::Bytes(bytes),
            Ok(_) => Source::Fault(
                SkipKind::Damaged,
                "the archive ends inside this member".into(),
            ),
            Err(error) => Source::Fault(SkipKind::Damaged, error.to_string()),
        }
    });
    Ok(())
}

fn members<'a, R: Read + 'a>(
    entries: tar::Entries<'a, R>,
    sink: &mut Sink<'_>,
    mut locate: impl FnMut(&mut tar::Entry<'a, R>) -> Source,
) {
    let mut last = String::from("its start");
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // What follows cannot be found any more; what came before is not lost.
                let reason = format!("the archive is damaged after {last}: {error}");
                let _ = (sink.entry)(Entry {
                    name: format!("(after {last})").into_bytes(),
                    source: Source::Fault(SkipKind::Damaged, reason),
                });
                return;
            }
        };
        let path = entry.path_bytes().into_owned();
        let name = path.strip_prefix(b"./").unwrap_or(&path).to_vec();
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory || kind.is_pax_global_extensions() {
            continue;
        }
        if is_hidden(&name) || !has_image_extension(&name) {
            *sink.ignored += 1;
            continue;
        }
        last = format!("`{}`", super::readable(&name).0);
        let source = match kind {
            EntryType::Regular | EntryType::Continuous => locate(&mut entry),
            EntryType::Symlink | EntryType::Link => {
                let reason = "a link to another member; archives are read without links";
                Source::Fault(SkipKind::Unsupported, reason.into())
            }
            _ => Source::Fault(SkipKind::Unsupported, "not a plain member".into()),
        };
        if let ControlFlow::Break(()) = (sink.entry)(Entry { name, source }) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, tests::ids};
    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn open(bytes: &[u8]) -> (tempfile::TempDir, Inputs) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        std::fs::write(&path, bytes).unwrap();
        let inputs = Inputs::open(&[path]).unwrap();
        (dir, inputs)
    }

    #[test]
    fn members_are_read_in_place_and_doubles_are_faults() {
        let long = format!("{}/x.png", "deep".repeat(40));
        let bytes = archive(&[
            ("./b.jpg", b"first"),
            ("readme.md", b"no image"),
            (&long, b"second"),
            ("b.jpg", b"again"),
        ]);
        let (_dir, inputs) = open(&bytes);
        let expected = [
            ("b.jpg".to_owned(), false),
            (long, false),
            ("b.jpg".to_owned(), true),
        ];
        assert_eq!(ids(&inputs), expected);
        let mut contents = Vec::new();
        let listing = inputs
            .visit(&mut |item| {
                contents.push(super::super::read(item, 100).ok());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(listing.ignored, 1);
        assert_eq!(
            contents,
            [Some(b"first".to_vec()), Some(b"second".to_vec()), None]
        );
    }

    #[test]
    fn a_stream_gives_the_same_items_once() {
        let bytes = archive(&[("a.jpg", b"one"), ("b.jpg", b"two")]);
        let (_dir, inputs) = open(&bytes);
        let stream = Inputs {
            roots: vec![super::super::Root {
                label: Vec::new(),
                place: None,
                kind: super::super::from_stream(
                    Box::new(io::Cursor::new(bytes)),
                    "-",
                    &crate::embed::stop::Stop::default(),
                )
                .unwrap(),
            }],
        };
        assert!(stream.streamed() && !inputs.streamed());
        let from_file = inputs.visit(&mut |_| ControlFlow::Continue(())).unwrap();
        let from_pipe = stream.visit(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(from_file.chain, from_pipe.chain);
        assert!(stream.visit(&mut |_| ControlFlow::Continue(())).is_err());
    }

    #[test]
    fn a_truncated_archive_loses_only_what_is_gone() {
        let mut bytes = archive(&[("a.jpg", b"one"), ("b.jpg", &[7; 2000])]);
        bytes.truncate(512 + 512 + 512 + 700);
        let (_dir, inputs) = open(&bytes);
        let mut contents = Vec::new();
        inputs
            .visit(&mut |item| {
                contents.push(super::super::read(item, 1 << 20));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(contents[0], Ok(b"one".to_vec()));
        assert_eq!(contents[1].as_ref().unwrap_err().kind, SkipKind::Damaged);
    }

    #[test]
    fn rubbish_after_a_member_is_one_fault() {
        let mut bytes = archive(&[("a.jpg", b"one")]);
        bytes.truncate(1024);
        bytes.extend_from_slice(&[b'z'; 2048]);
        let (_dir, inputs) = open(&bytes);
        let found = ids(&inputs);
        assert_eq!(found[0], ("a.jpg".to_owned(), false));
        assert_eq!(found[1], ("(after `a.jpg`)".to_owned(), true));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_header_that_lies_about_its_size_allocates_nothing() {
        let mut header = tar::Header::new_gnu();
        header.set_path("huge.jpg").unwrap();
        header.set_size(1 << 40);
        header.set_mode(0o644);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 512]);
        let (_dir, inputs) = open(&bytes);
        inputs
            .visit(&mut |item| {
                let skipped = super::super::read(item, u64::MAX).unwrap_err();
                assert_eq!(skipped.kind, SkipKind::Damaged);
                ControlFlow::Continue(())
            })
            .unwrap();
    }
}
