//! From the names of others to ours: a file of rules.
//!
//! ```toml
//! name = "mine"
//! about = "what the names are of"
//! prefixes = ["", "encoder."]
//!
//! [[rule]]
//! from = "layers.{n}.attention.weight"
//! to = "image.blocks.{n}.attn.qkv.weight"
//! ```
//!
//! Names are compared part by part between dots. `{n}` stands for a part or a piece of one, `*` for
//! one part or more; both are taken over into `to`. The first rule that fits decides. A `from` of
//! several names joins their tensors along the first axis (`["q", "k", "v"]`), a `to` of several
//! cuts one into equal parts, and `transpose = true` turns each matrix over before that. Dimensions
//! of 1 do not matter. Before that, `spelling = "flat-blocks"` gives the tensors of EfficientNet-PyTorch
//! timm's names, to which rules then apply. `[[make]]` gives a tensor that the file need not have, `[[ignore]]` names
//! what may be left out, and `[[refuse]]` what may not, each with the reason.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::pattern;
use super::rules::{Assumption, ImageSettings, Make, Remark, Rule, Spelling, TextSettings};
use satmip::{Error, Result};

/// Longest file of rules that is read.
const LONGEST: u64 = 1 << 20;

/// The conventions that are part of the program: name and file.
const BUILTIN: [(&str, &str); 5] = [
    (
        "efficientnet-pytorch",
        include_str!("../../mappings/efficientnet-pytorch.toml"),
    ),
    ("open_clip", include_str!("../../mappings/open_clip.toml")),
    ("slip", include_str!("../../mappings/slip.toml")),
    ("timm", include_str!("../../mappings/timm.toml")),
    (
        "torchvision",
        include_str!("../../mappings/torchvision.toml"),
    ),
];

/// Rules from the names of others to ours.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    pub(super) name: String,
    pub(super) about: String,
    /// What may stand before the names.
    #[serde(default = "no_prefix")]
    pub(super) prefixes: Vec<String>,
    /// Names that are spelled anew before the rules apply.
    pub(super) spelling: Option<Spelling>,
    /// What weights do not say of the image tower; later entries win.
    #[serde(default)]
    pub(super) image: Vec<ImageSettings>,
    /// What weights do not say of the text tower.
    #[serde(default)]
    pub(super) text: TextSettings,
    pub(super) rule: Vec<Rule>,
    #[serde(default)]
    pub(super) make: Vec<Make>,
    #[serde(default)]
    pub(super) ignore: Vec<Remark>,
    #[serde(default)]
    pub(super) refuse: Vec<Remark>,
    #[serde(default)]
    pub(super) assumption: Vec<Assumption>,
}

impl Mapping {
    /// Reads a file of rules.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Import`] for a file that is no TOML, has unknown keys, or rules that
    /// cannot be.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let file = File::open(path).map_err(io)?;
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).map_err(io)?;
        Self::parse(&text, path)
    }

    /// The conventions that are part of the program, in order.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn builtin() -> Result<Vec<Self>> {
        let parse = |(name, text): &(&str, &str)| Self::parse(text, Path::new(name));
        BUILTIN.iter().map(parse).collect()
    }

    /// The built-in convention of this name.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name.
    pub fn named(name: &str) -> Result<Self> {
        match BUILTIN.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::parse(text, Path::new(name)),
            None => Err(Error::Argument {
                what: "convention",
                reason: format!(
                    "`{name}` is none of {}",
                    BUILTIN.map(|(name, _)| name).join(", ")
                ),
            }),
        }
    }

    /// The convention's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the names are of.
    pub fn about(&self) -> &str {
        &self.about
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::Import {
            path: path.to_owned(),
            reason: format!("as a mapping: {reason}"),
            hint: None,
        };
        let mapping: Mapping = toml::from_str(text).map_err(|e| refuse(e.to_string()))?;
        mapping.check().map_err(refuse)?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        if self.prefixes.is_empty() {
            return Err("`prefixes` needs at least one entry, which may be empty".into());
        }
        for rule in &self.rule {
            let (from, to) = (rule.from.list(), rule.to.list());
            let [first, ..] = from else {
                return Err("a rule with an empty `from`".into());
            };
            if to.is_empty() || (from.len() > 1 && to.len() > 1) {
                return Err(format!(
                    "the rule from `{first}` needs one name on one side"
                ));
            }
            for name in from {
                pattern::check(name)?;
                for target in to {
                    pattern::check_expansion(name, target)?;
                }
            }
        }
        let mut remarks = self.ignore.iter().chain(&self.refuse);
        remarks.try_for_each(|remark| pattern::check(&remark.from))
    }
}

fn no_prefix() -> Vec<String> {
    vec![String::new()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conventions_of_the_program_are_sound() {
        let all = Mapping::builtin().unwrap();
        assert_eq!(all.len(), BUILTIN.len());
        for (mapping, (name, _)) in all.iter().zip(BUILTIN) {
            assert_eq!(mapping.name(), name);
            assert!(!mapping.about().is_empty());
            assert_eq!(Mapping::named(name).unwrap().rule.len(), mapping.rule.len());
        }
        assert!(matches!(Mapping::named("x"), Err(Error::Argument { .. })));
    }

    #[test]
    fn impossible_rules_are_refused() {
        let refusal = |rules: &str| {
            let text = format!("name = \"n\"\nabout = \"a\"\n{rules}");
            let error = Mapping::parse(&text, Path::new("m.toml")).unwrap_err();
            assert!(matches!(error, Error::Import { .. }));
            error.to_string()
        };
        for (rules, part) in [
            ("[[rule]]\nfrom = []\nto = \"a\"", "empty `from`"),
            (
                "[[rule]]\nfrom = [\"a\", \"b\"]\nto = [\"c\", \"d\"]",
                "one side",
            ),
            ("[[rule]]\nfrom = \"a.*.*\"\nto = \"b\"", "`a.*.*`"),
            ("[[rule]]\nfrom = \"a.{n\"\nto = \"b\"", "`a.{n`"),
            ("[[rule]]\nfrom = \"a.{n}\"\nto = \"b.{m}\"", "`{m}`"),
            ("[[rule]]\nfrom = \"a\"\nto = \"b.*\"", "`*`"),
            ("[[rule]]\nfrom = \"a\"\nto = \"b\"\nturn = true", "turn"),
            (
                "prefixes = []\n[[rule]]\nfrom = \"a\"\nto = \"b\"",
                "prefixes",
            ),
            ("rule = 3", "rule"),
        ] {
            let text = refusal(rules);
            assert!(text.contains("`m.toml`") && text.contains(part), "{text}");
        }
    }
}
