//! Entries that are held back while what servers have of them is being opened.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::Entry;
use super::item::Contents;
use super::known::Known;
use crate::plan;
use crate::remote::Remote;

/// Entries that are held back while what servers have of them is being opened; each goes on in its turn.
pub(super) struct Waiting<'a> {
    remote: &'a Remote,
    known: Option<&'a Known>,
    scenes: bool,
    entries: VecDeque<Entry>,
}

impl<'a> Waiting<'a> {
    /// Most that are held back (our choice).
    const MOST: usize = 8;

    pub(super) fn of(remote: &'a Remote, known: Option<&'a Known>, scenes: bool) -> Self {
        Waiting {
            remote,
            known,
            scenes,
            entries: VecDeque::new(),
        }
    }

    pub(super) fn push(
        &mut self,
        found: Entry,
        next: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match &found.source {
            Contents::Object(url) if self.scenes && !self.knows(&found.source) => {
                self.remote.announce(url)
            }
            Contents::Planned(entry) if self.scenes => match &entry.source {
                plan::Source::Object(url) => self.remote.announce(url),
                _ if self.entries.is_empty() => return next(found),
                _ => {}
            },
            _ if self.entries.is_empty() => return next(found),
            _ => {}
        }
        self.entries.push_back(found);
        match self.entries.len() > Waiting::MOST {
            true => self
                .entries
                .pop_front()
                .map_or(ControlFlow::Continue(()), next),
            false => ControlFlow::Continue(()),
        }
    }

    fn knows(&self, source: &Contents) -> bool {
        self.known.is_some_and(|known| known.has(source))
    }

    /// Hands on what is left. After a break nothing is wanted any more, and whoever receives breaks off again.
    pub(super) fn finish(
        &mut self,
        next: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.entries.drain(..).try_for_each(next)
    }
}
