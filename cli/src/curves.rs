//! `satmip curves`, with the feature `train`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Exit;
use super::terminal::Terminal;
use satmip::parts::aside::{self, Existing};
use satmip::{Error, Result};
use satmip_train::{accuracy_over_time_svg, compare_svg, curves_svg, read_metrics};

/// Draw the curves of training runs: loss and its parts, kNN accuracy, learning rate
///
/// One run is drawn by itself; several are drawn over one another, each under its folder's name.
#[derive(Debug, Args)]
pub(super) struct CurvesArgs {
    /// Folders of runs, or their `metrics.jsonl`
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// kNN accuracy over training time alone; runs whose names end in `-s1`, `-s2`, .. are one curve
    #[arg(long)]
    over_time: bool,
    /// SVG to write
    #[arg(short, long, value_name = "SVG")]
    output: PathBuf,
    /// Replace an SVG that exists
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: CurvesArgs, terminal: &Terminal) -> Result<Exit> {
    let existing = Existing::of(args.overwrite);
    existing.check(&args.output)?;
    let mut runs = Vec::with_capacity(args.runs.len());
    for path in &args.runs {
        let file = match path.is_dir() {
            true => path.join("metrics.jsonl"),
            false => path.clone(),
        };
        let lines = read_metrics(&file)?;
        if lines.is_empty() {
            return Err(Error::Training {
                reason: format!("`{}` has no step yet", file.display()),
                source: None,
            });
        }
        runs.push((name(&file), lines));
    }
    let svg = match runs.as_slice() {
        runs if args.over_time => accuracy_over_time_svg(runs)?,
        [(_, lines)] => curves_svg(lines)?,
        runs => compare_svg(runs)?,
    };
    aside::write(&args.output, svg.as_bytes(), existing)?;
    terminal.say(&format!("curves in `{}`", args.output.display()));
    Ok(Exit::Done)
}

/// The name of the run whose metrics these are: its folder's.
fn name(metrics: &Path) -> String {
    let whole = fs::canonicalize(metrics).unwrap_or_else(|_| metrics.to_owned());
    let folder = whole.parent().and_then(Path::file_name);
    folder
        .unwrap_or(whole.as_os_str())
        .to_string_lossy()
        .into_owned()
}
