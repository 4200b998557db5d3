//! `satmip doctor`.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::output::Output;
use satmip::Result;
use satmip::engine::{EngineOptions, doctor};
use satmip::zoo;

/// Show what models could run on here, what would be used, and why not the rest
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Library of ONNX Runtime, if it is not found
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: DoctorArgs) -> Result<Exit> {
    let options = EngineOptions {
        library: args.onnxruntime,
        ask_python: true,
        ..EngineOptions::default()
    };
    let found = doctor::examine(&options).with_models(zoo::known().iter().copied());
    let mut out = Output::open();
    match args.json {
        true => out.json(&found)?,
        false => out.line(found.to_string().trim_end())?,
    }
    out.finish()?;
    Ok(Exit::Done)
}
