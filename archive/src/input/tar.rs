//! Tar archives: as files, with their members read in place, and as streams.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use satmip::Result;
use satmip::parts::tar::{Member, MemberKind, TarFile, stream};

use super::{Contents, Entry, Sink, has_image_extension, is_hidden, unreadable};
use crate::skipped::SkipKind;

/// Most bytes of one member that a stream reads into memory. A file's members are read in place,
/// under the limit that follows from the job's pixel limit.
const LARGEST_STREAMED: u64 = 1 << 30;

/// Visits the members that are images, by their headers alone.
pub(super) fn visit_file(archive: &Arc<TarFile>, sink: &mut Sink<'_>) -> Result<()> {
    let mut pictures = Pictures::new(sink);
    let damage = archive.members(|member| {
        pictures.take(member, |member| Contents::Member {
            archive: Arc::clone(archive),
            offset: member.offset,
            size: member.size,
        })
    });
    pictures.end(damage.map_err(|e| unreadable(archive.path(), e))?);
    Ok(())
}

/// Visits the members of an archive that comes through a pipe, with their bytes.
pub(super) fn visit_stream(reader: Box<dyn Read + Send>, sink: &mut Sink<'_>) -> Result<()> {
    let mut pictures = Pictures::new(sink);
    let damage = stream(reader, |entry, member| {
        pictures.take(member, |member| bytes(entry, member.size))
    });
    pictures.end(damage.map_err(|e| unreadable(Path::new("-"), e))?);
    Ok(())
}

fn bytes(entry: &mut dyn Read, size: u64) -> Contents {
    if size > LARGEST_STREAMED {
        let reason = format!("{size} bytes are too many to hold in memory");
        return Contents::Fault(SkipKind::TooLarge, reason);
    }
    let mut bytes = Vec::new();
    match entry.read_to_end(&mut bytes) {
        Ok(read) if read as u64 == size => Contents::Bytes(bytes),
        Ok(_) => Contents::Fault(
            SkipKind::Damaged,
            "the archive ends inside this member".into(),
        ),
        Err(error) => Contents::Fault(SkipKind::Damaged, error.to_string()),
    }
}

/// Gives the pictures of an archive to a sink.
struct Pictures<'a, 'b> {
    sink: &'a mut Sink<'b>,
    /// The last picture, for a message about what follows.
    last: String,
}

impl<'a, 'b> Pictures<'a, 'b> {
    fn new(sink: &'a mut Sink<'b>) -> Self {
        let last = String::from("its start");
        Pictures { sink, last }
    }

    fn take(
        &mut self,
        member: Member,
        locate: impl FnOnce(&Member) -> Contents,
    ) -> ControlFlow<()> {
        if is_hidden(&member.name) || !has_image_extension(&member.name) {
            *self.sink.ignored += 1;
            return ControlFlow::Continue(());
        }
        self.last = format!("`{}`", super::readable(&member.name).0);
        let fault = |reason: &str| Contents::Fault(SkipKind::Unsupported, reason.into());
        let source = match member.kind {
            MemberKind::File => locate(&member),
            MemberKind::Link => fault("a link to another member; archives are read without links"),
            MemberKind::Special => fault("not a plain member"),
        };
        (self.sink.entry)(Entry {
            name: member.name,
            source,
        })
    }

    /// What follows a damage cannot be found any more; what came before is not lost.
    fn end(self, damage: Option<std::io::Error>) {
        let Some(error) = damage else { return };
        let reason = format!("the archive is damaged after {}: {error}", self.last);
        let _ = (self.sink.entry)(Entry {
            name: format!("(after {})", self.last).into_bytes(),
            source: Contents::Fault(SkipKind::Damaged, reason),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, tests::ids};
    use super::*;
    use crate::remote::Remote;

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
                contents.push(super::super::read(item, &Remote::default(), 100).ok());
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
            remote: Remote::default(),
            kept: Arc::default(),
            known: None,
            windows: None,
            roots: vec![super::super::Root {
                label: Vec::new(),
                place: None,
                kind: super::super::from_stream(
                    Box::new(std::io::Cursor::new(bytes)),
                    "-",
                    &crate::stop::Stop::default(),
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
                contents.push(super::super::read(item, &Remote::default(), 1 << 20));
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
                let skipped = super::super::read(item, &Remote::default(), u64::MAX).unwrap_err();
                assert_eq!(skipped.kind, SkipKind::Damaged);
                ControlFlow::Continue(())
            })
            .unwrap();
    }
}
