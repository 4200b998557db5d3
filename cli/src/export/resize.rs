//! `satmip export resize`.

use std::path::PathBuf;

use clap::Args;

use crate::Exit;
use crate::terminal::Terminal;
use crate::zoo::ZooArgs;
use satmip::Result;
use satmip::export::{ExportOptions, export_resize};
use satmip::parts::aside::{self, Existing};
use satmip::zoo::DEFAULT_MODEL;

/// Write the graph that fits pictures of any size to a model's input
///
/// `picture`, u8 [batch, height, width, 3], becomes `image`, u8 [batch, size, size, 3], as this program makes it but for
/// roundings. For programs without a resize like Pillow's: run it before the model's own image graph.
#[derive(Debug, Args)]
pub(super) struct ResizeArgs {
    /// Name of a model, or folder of a bundle
    #[arg(short, long, default_value = DEFAULT_MODEL, value_name = "MODEL")]
    model: String,
    /// File to write
    #[arg(short, long, value_name = "ONNX")]
    output: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    zoo: ZooArgs,
}

pub(super) fn run(args: &ResizeArgs, terminal: &Terminal) -> Result<Exit> {
    let existing = Existing::of(args.overwrite);
    existing.check(&args.output)?;
    let bundle = args.zoo.open(terminal).open(&args.model, None)?;
    let preprocessing = &bundle.manifest().arch.preprocessing;
    let bytes = export_resize(preprocessing, &ExportOptions::default())?;
    aside::write(&args.output, &bytes, existing)?;
    let size = preprocessing.size;
    terminal.say(&format!(
        "pictures of any size to {size} x {size}, in `{}`",
        args.output.display()
    ));
    Ok(Exit::Done)
}
