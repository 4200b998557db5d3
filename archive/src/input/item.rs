//! One picture of the input, and the fingerprint of what comes before it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use url::Url;

use super::known::Listed;
use super::scene::OpenScene;
use crate::assets::ItemFacts;
use crate::plan;
use crate::skipped::SkipKind;
use satmip::image::Region;
use satmip::parts::sha256;
use satmip::parts::tar::TarFile;
use satmip::{Error, Metadata};

/// One picture to embed, found and not read yet.
#[derive(Debug)]
pub(crate) struct Item {
    /// Place in the input, from 0.
    pub(crate) index: u64,
    /// Name in the output: UTF-8, with `/` between its parts; of a window its scene's with the window behind it.
    pub(crate) id: String,
    /// How much of the id is the name of the file.
    pub(super) name: usize,
    /// Whether the real name is no UTF-8 and `id` has escapes for the bytes that are not.
    pub(crate) escaped: bool,
    /// Where the picture's bytes are.
    pub(crate) source: Contents,
    /// Its whole path on this machine, where it has one: tables are made for other folders than those that are given.
    pub(crate) place: Option<String>,
    /// What a table says of it, where a plan has joined one.
    pub(crate) record: Option<Arc<Record>>,
    /// Fingerprint of the input up to and including this item.
    pub(crate) chain: Chain,
}

/// What is stated of an item, or what is wrong with that.
pub(crate) type Record = Result<Metadata, String>;

impl Item {
    /// The name of its file: its id, of a window without what says which it is.
    pub(crate) fn name(&self) -> &str {
        &self.id[..self.name]
    }

    /// Whether it is the first one of its file.
    pub(crate) fn is_first(&self) -> bool {
        match &self.source {
            Contents::Window { first, .. } | Contents::Listed { first, .. } => *first,
            _ => true,
        }
    }
}

/// Where a picture's bytes are.
#[derive(Debug)]
pub(crate) enum Contents {
    /// A file, by its real name.
    File(PathBuf),
    /// An object of a server or store.
    Object(Url),
    /// A member of an archive.
    Member {
        archive: Arc<TarFile>,
        offset: u64,
        size: u64,
    },
    /// Bytes that came through a pipe.
    Bytes(Vec<u8>),
    /// A scene that a catalogue lists.
    Item(Arc<ItemFacts>),
    /// A part of a scene.
    Window {
        scene: Arc<OpenScene>,
        window: Region,
        /// Whether it is the first one of its scene.
        first: bool,
        /// Whether no window of its scene that is wanted comes before it, those of other blocks of a plan included.
        leads: bool,
    },
    /// A part of a scene that was not opened.
    Listed {
        scene: Arc<Listed>,
        /// Whether it is the first one of its scene.
        first: bool,
    },
    /// Some windows of a scene, or one file, as a plan has it.
    Planned(Box<plan::Entry>),
    /// A scene of which no window can be read.
    Refused(Box<Error>),
    /// Something that cannot be read, known before anybody tried.
    Fault(SkipKind, String),
}

/// A chained SHA-256 over the items' names: equal chains mean equal input up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chain([u8; 32]);

impl Chain {
    pub(super) fn next(self, id: &str, source: &Contents) -> Chain {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((id.len() as u64).to_le_bytes());
        hash.update(id.as_bytes());
        match source {
            // Sizes of members cost nothing to know, and so tell one archive from another.
            Contents::Member { size, .. } => hash.update(size.to_le_bytes()),
            Contents::Bytes(bytes) => hash.update((bytes.len() as u64).to_le_bytes()),
            // A window is in its id; of what servers have, the state is known.
            Contents::Window { scene, .. } => hash.update(scene.versions.as_bytes()),
            Contents::Listed { scene, .. } => hash.update(scene.versions.as_bytes()),
            Contents::File(_)
            | Contents::Object(_)
            | Contents::Item(_)
            | Contents::Planned(_)
            | Contents::Fault(..)
            | Contents::Refused(_) => {}
        }
        Chain(hash.finalize().into())
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        sha256::hex(&self.0)
    }

    /// What [`Chain::hex`] wrote.
    fn of_hex(text: &str) -> Option<Chain> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Chain(bytes))
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Chain::of_hex(&text).ok_or_else(|| serde::de::Error::custom("no sha256"))
    }
}
