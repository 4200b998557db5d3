//! `satmip eval summary`.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::Exit;
use crate::output::Output;
use crate::terminal::Terminal;
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};
use satmip_eval::Report;
use satmip_eval::report::{card_block, replace_block, scores_svg};

/// Several reports as one table in Markdown, a block of a model card, a figure
#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    /// Reports, as `--json` printed them
    #[arg(required = true, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// Model card (Markdown) whose block from `<!-- eval:start -->` to `<!-- eval:end -->` becomes the table
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// Figure of the scores over k or shots (SVG); the reports must be of one task
    #[arg(long, value_name = "SVG")]
    figure: Option<PathBuf>,
    /// Replace a figure that exists
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: &SummaryArgs, terminal: &Terminal) -> Result<Exit> {
    let existing = Existing::of(args.overwrite);
    if let Some(path) = &args.figure {
        existing.check(path)?;
    }
    let mut reports: Vec<Report> = Vec::with_capacity(args.reports.len());
    for path in &args.reports {
        let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let report = serde_json::from_str(&text).map_err(|e| Error::Evaluation {
            reason: format!("`{}` is no report: {e}", path.display()),
        })?;
        reports.push(report);
    }
    let block = card_block(&reports)?;
    if let Some(path) = &args.figure {
        aside::write(path, scores_svg(&reports)?.as_bytes(), existing)?;
        terminal.say(&format!("figure in `{}`", path.display()));
    }
    match &args.card {
        Some(path) => {
            let card = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
            // The card is what is asked to be changed.
            let card = replace_block(&card, &block)?;
            aside::write(path, card.as_bytes(), Existing::Replace)?;
            terminal.say(&format!("table in `{}`", path.display()));
        }
        None => {
            let mut out = Output::open();
            out.line(block.trim_end())?;
            out.finish()?;
        }
    }
    Ok(Exit::Done)
}
