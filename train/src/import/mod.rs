//! Models of others: a PyTorch checkpoint with the names of open_clip, SLIP, timm, torchvision or
//! EfficientNet-PyTorch becomes the folder of a checkpoint that [`satmip::export`] takes.
//!
//! A [`Mapping`] has the rules from their names to ours. [`Plan::new`] applies it to a file's header
//! and says in its [`ImportReport`] what is taken, missing and left over; [`Plan::write`] reads the
//! numbers. The file must give every weight of the model, and every tensor of the file must have a
//! place or a reason to have none: a model that lacks a part is another model.

mod infer;
mod infer_image;
mod mapping;
mod matching;
mod pattern;
mod piece;
mod report;
mod rules;
mod source;
mod spelling;
mod stated;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use satmip::arch::{Arch, weight_shapes};
use satmip::metadata::{CaptionTokenizer, FieldSet};
use satmip::{Error, Result};

use infer::Inference;
use matching::Matches;
use rules::Content;
use source::WeightsFile;

pub use mapping::Mapping;
pub use report::{Applied, ImportReport, Made, Tensor, Unused};

/// Most names in an error.
const MOST_NAMED: usize = 8;

/// What the weights do not tell.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The rules; the built-in convention that fits best, if none are given.
    pub mapping: Option<Mapping>,
    /// What stands before the names; found, if it is not given.
    pub prefix: Option<String>,
    /// An `arch.json`, or a recipe; inferred from the shapes, if it is not given.
    pub arch: Option<PathBuf>,
    /// Attention heads of the image tower.
    pub heads: Option<usize>,
    /// Attention heads of the text tower.
    pub text_heads: Option<usize>,
    /// Input size of a ResNet or EfficientNet in pixels.
    pub size: Option<usize>,
    /// The text tower's `tokenizer.json`.
    pub tokenizer: Option<PathBuf>,
    /// The fields of its captions.
    pub fields: Option<FieldSet>,
    /// Assumptions of the mapping that are confirmed, by id.
    pub confirmed: Vec<String>,
}

/// A file whose header was read, and how it would become a model.
#[derive(Debug)]
pub struct Plan {
    source: WeightsFile,
    arch: Arch,
    matches: Matches,
    made: BTreeMap<String, Content>,
    tokenizer: Option<CaptionTokenizer>,
    report: ImportReport,
}

impl Plan {
    /// Reads the header of a safetensors file or a PyTorch checkpoint (the latter with the feature
    /// `train`) and finds a place for each tensor. No numbers are read.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Weights`] for a damaged file, and for tensors that have another shape
    /// than the architecture says or come from two places; [`Error::Import`] where the architecture
    /// cannot be told from the weights; [`Error::Arch`] and [`Error::Tokenizer`]. What is missing or
    /// left over is no error here but part of the [`ImportReport`].
    pub fn new(path: &Path, options: &ImportOptions) -> Result<Self> {
        let source = WeightsFile::open(path)?;
        let tokenizer = match &options.tokenizer {
            Some(path) => Some(CaptionTokenizer::from_file(path)?),
            None => None,
        };
        let given = options.mapping.clone();
        let found = given.is_none();
        let candidates = match given {
            Some(mapping) => vec![mapping],
            None => Mapping::builtin()?,
        };
        let (mapping, matches) = matching::best(&source, candidates, options.prefix.as_deref())?;
        let shapes = matches.shapes();
        let has = |name: &str| matches.has(name);
        let mut inference = Inference {
            source: &source,
            mapping: &mapping,
            options,
            shapes: &shapes,
            has: &has,
            assumed: Vec::new(),
        };
        let arch = match &options.arch {
            Some(path) => stated::read(path, &shapes, tokenizer.as_ref())?,
            None => inference.arch(tokenizer.as_ref())?,
        };
        let assumed = inference.assumed;
        arch.validate()?;
        infer::check_tokenizer(&source, &arch, tokenizer.as_ref())?;
        let mut report = ImportReport {
            convention: mapping.name().to_owned(),
            found,
            prefix: matches.prefix.clone(),
            unused: matches.unused.clone(),
            ignored: matches.ignored.clone(),
            assumed,
            ..ImportReport::default()
        };
        for assumption in &mapping.assumption {
            if !assumption.beside.as_deref().is_none_or(has) {
                continue;
            }
            match assumption.ask && !options.confirmed.contains(&assumption.id) {
                true => {
                    let asked = (assumption.id.clone(), assumption.text.clone());
                    report.asked.push(asked);
                }
                false => report.assumed.push(assumption.text.clone()),
            }
        }
        let mut plan = Plan {
            source,
            arch,
            matches,
            made: BTreeMap::new(),
            tokenizer,
            report,
        };
        plan.fill(&mapping)?;
        Ok(plan)
    }

    /// Finds a source for each weight of the architecture.
    fn fill(&mut self, mapping: &Mapping) -> Result<()> {
        let wanted = weight_shapes(&self.arch);
        for (name, shape) in &wanted {
            if let Some(piece) = self.matches.pieces.get(name) {
                self.report
                    .applied
                    .push(piece.applied(&self.source, name, shape)?);
                continue;
            }
            let make = mapping.make.iter().find(|make| {
                let beside = make.beside.as_deref();
                make.to == *name && beside.is_none_or(|other| self.matches.has(other))
            });
            let square = matches!(shape.as_slice(), [rows, columns] if rows == columns);
            match make {
                Some(make) if make.what == Content::Zeros || square => {
                    self.made.insert(name.clone(), make.what);
                    self.report.made.push(Made {
                        name: name.clone(),
                        shape: shape.clone(),
                        what: match make.what {
                            Content::Zeros => "zeros",
                            Content::Identity => "identity",
                        },
                        reason: make.reason.clone(),
                    });
                }
                _ => self.report.missing.push(Tensor {
                    name: name.clone(),
                    shape: shape.clone(),
                }),
            }
        }
        let known: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        for (target, piece) in &self.matches.pieces {
            if !known.contains(target.as_str()) {
                let unused = piece.sources.iter().map(|(name, shape)| Unused {
                    name: name.clone(),
                    shape: shape.clone(),
                    reason: format!("the architecture has no `{target}`"),
                });
                self.report.unused.extend(unused);
            }
        }
        Ok(())
    }

    /// What is taken, missing and left over.
    pub fn report(&self) -> &ImportReport {
        &self.report
    }

    /// The architecture, inferred or given.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// Why the file makes no model, if it does not.
    pub fn refusal(&self) -> Option<Error> {
        let report = &self.report;
        let (reason, hint) = if let Some(first) = report.unused.first() {
            let names = report.unused.iter().map(|unused| unused.name.as_str());
            let reason = format!(
                "{} of the file would be left out: {}; `{}`: {}",
                tensors(report.unused.len()),
                some(names),
                first.name,
                first.reason
            );
            let hint = "give a mapping (`--mapping`) with a place for each, or with an `[[ignore]]` \
                        where one does no harm";
            (reason, hint.to_owned())
        } else if !report.missing.is_empty() {
            let names = report.missing.iter().map(|missing| missing.name.as_str());
            let reason = format!(
                "{} of the model have no source: {}",
                tensors(report.missing.len()),
                some(names)
            );
            let hint = "a graph needs them all: name another `--convention` or `--prefix`, give the \
                        architecture (`--arch`), or a mapping (`--mapping`) that says where they are";
            (reason, hint.to_owned())
        } else if let Some((id, text)) = report.asked.first() {
            let hint = format!("if it is so for this model, give `--assume {id}`");
            (format!("the weights do not tell whether {text}"), hint)
        } else {
            return None;
        };
        Some(self.source.refuse(reason, Some(&hint)))
    }
}

fn tensors(count: usize) -> String {
    format!("{count} tensor{}", if count == 1 { "" } else { "s" })
}

/// The first names, and how many more there are.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let mut text = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
