//! `satmip import`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Exit;
use super::interrupt::Interrupt;
use super::output::Output;
use super::terminal::Terminal;
use satmip::arch::Arch;
use satmip::bundle;
use satmip::export::Precision;
use satmip::metadata::FieldSet;
use satmip::parts::aside;
use satmip::{Error, Result};
use satmip_train::import::{ImportOptions, ImportReport, Mapping, Plan};

/// Make a checkpoint, or a bundle, of a PyTorch model with the names of others
///
/// The file is safetensors, or a PyTorch checkpoint where the program was built with the feature
/// `train`. Its names are those of open_clip, SLIP, timm (a ViT or an EfficientNet-Lite alone),
/// torchvision (a ResNet alone) or EfficientNet-PyTorch (an EfficientNet-Lite alone), or of a file of
/// rules. The report says what is taken, missing and left over; the model is
/// written only if nothing is missing and all that is left over is known to do no harm. Without
/// `--output` the report is all that is made.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// File of weights
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder to write, a checkpoint for `satmip export`; it must not exist
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Write a bundle of ONNX graphs instead
    #[arg(long, requires = "output")]
    export: bool,
    /// Whose names they are: open_clip, slip, timm, torchvision, efficientnet-pytorch [default: what
    /// fits best]
    #[arg(long, value_name = "NAME", conflicts_with = "mapping")]
    convention: Option<String>,
    /// File of rules (TOML) from the names of the file to ours
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// What stands before the names [default: what fits best]
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Architecture: an arch.json or a recipe [default: what the shapes say]
    #[arg(long, value_name = "FILE")]
    arch: Option<PathBuf>,
    /// Attention heads of the image tower [default: width / 64]
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Attention heads of the text tower [default: width / 64]
    #[arg(long, value_name = "N")]
    text_heads: Option<usize>,
    /// Input size of a ResNet or EfficientNet in pixels [default: 224]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// The text tower's tokenizer.json
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Fields of its captions: names with commas, or `all`, `time`, `angles`
    #[arg(long, value_name = "FIELDS")]
    fields: Option<FieldSet>,
    /// Confirm what the weights do not tell, by the name that the refusal gives
    #[arg(long, value_name = "WHAT")]
    assume: Vec<String>,
    /// The model's name
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The model's version
    #[arg(long, value_name = "VERSION")]
    model_version: Option<String>,
    /// Licence of the weights (SPDX)
    #[arg(long, value_name = "LICENCE")]
    licence: Option<String>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

/// The report as JSON.
#[derive(Serialize)]
struct Found<'a> {
    complete: bool,
    arch: &'a Arch,
    #[serde(flatten)]
    report: &'a ImportReport,
}

pub(super) fn run(args: ImportArgs, terminal: &Terminal) -> Result<Exit> {
    let _interrupt = Interrupt::watch(terminal, "");
    let mapping = match (&args.mapping, &args.convention) {
        (Some(path), _) => Some(Mapping::read(path)?),
        (None, Some(name)) => Some(Mapping::named(name)?),
        (None, None) => None,
    };
    let mut options = ImportOptions::default();
    options.mapping = mapping;
    options.prefix = args.prefix.clone();
    options.arch = args.arch.clone();
    options.heads = args.heads;
    options.text_heads = args.text_heads;
    options.size = args.size;
    options.tokenizer = args.tokenizer.clone();
    options.fields = args.fields;
    options.confirmed = args.assume.clone();
    if let Some(output) = &args.output {
        aside::absent(output)?;
    }
    let plan = Plan::new(&args.file, &options)?;
    let mut out = Output::open();
    match args.json {
        true => out.json(&Found {
            complete: plan.report().is_complete(),
            arch: plan.arch(),
            report: plan.report(),
        })?,
        false => print(&plan, &mut out)?,
    }
    out.finish()?;
    if let Some(refusal) = plan.refusal() {
        return Err(refusal);
    }
    let Some(output) = &args.output else {
        return Ok(Exit::Done);
    };
    match args.export {
        true => export(&plan, output, &args)?,
        false => plan.write(output, &card(&plan, &args)?)?,
    }
    let what = if args.export { "bundle" } else { "checkpoint" };
    terminal.say(&format!("{what} in `{}`", output.display()));
    Ok(Exit::Done)
}

fn card(plan: &Plan, args: &ImportArgs) -> Result<serde_json::Value> {
    plan.card(
        args.id.as_deref(),
        args.model_version.as_deref(),
        args.licence.as_deref(),
    )
}

fn export(plan: &Plan, output: &Path, args: &ImportArgs) -> Result<()> {
    fs::create_dir_all(aside::folder_of(output)).map_err(|e| Error::io(output, e))?;
    let files = plan.checkpoint(card(plan, args)?)?.export(Precision::F32)?;
    let parts = files.files.iter();
    let parts: Vec<(&str, &[u8])> = parts.map(|(name, b)| (&name[..], &b[..])).collect();
    bundle::write(output, files.manifest, &parts)
}

fn print(plan: &Plan, out: &mut Output) -> Result<()> {
    let report = plan.report();
    let mut rows = Vec::new();
    let mut row = |state: &str, name: &str, shape: &[usize], text: String| {
        let shape = format!("{shape:?}");
        rows.push(vec![state.to_owned(), name.to_owned(), shape, text]);
    };
    for applied in &report.applied {
        let how = match applied.how.is_empty() {
            true => String::new(),
            false => format!(" ({})", applied.how.join(", ")),
        };
        let from = applied.from.join(" + ");
        row("applied", &applied.name, &applied.shape, from + &how);
    }
    for made in &report.made {
        let text = format!("{}: {}", made.what, made.reason);
        row("made", &made.name, &made.shape, text);
    }
    for missing in &report.missing {
        row("missing", &missing.name, &missing.shape, String::new());
    }
    for unused in &report.unused {
        row("unused", &unused.name, &unused.shape, unused.reason.clone());
    }
    for ignored in &report.ignored {
        let reason = ignored.reason.clone();
        row("ignored", &ignored.name, &ignored.shape, reason);
    }
    out.table(&["state", "tensor", "shape", "from, or why"], &rows)?;
    let how = if report.found { "found" } else { "given" };
    out.line("")?;
    out.line(&format!(
        "names of `{}` ({how}) behind `{}`: {} applied, {} made, {} missing, {} unused, {} ignored",
        report.convention,
        report.prefix,
        report.applied.len(),
        report.made.len(),
        report.missing.len(),
        report.unused.len(),
        report.ignored.len()
    ))?;
    for text in &report.assumed {
        out.line(&format!("assumed: {text}"))?;
    }
    for (id, text) in &report.asked {
        out.line(&format!("to confirm (`--assume {id}`): {text}"))?;
    }
    Ok(())
}
