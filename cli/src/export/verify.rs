//! `satmip export verify`.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde::Serialize;

use crate::Exit;
use crate::output::Output;
use crate::terminal::Terminal;
use satmip::bundle::Bundle;
use satmip::engine::EngineOptions;
use satmip::export::{GraphReport, Verification, verify};
use satmip::{Error, Result};

/// Check a bundle's graphs: structure, contract, and rows on every engine of this machine
///
/// Exit code 1 where anything is not as it should be. With Python's `onnx` at hand ($SATMIP_PYTHON, else
/// `python3`), its checker looks at each graph as well.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Folder of a bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Library of ONNX Runtime, if it is not found
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    passed: bool,
    #[serde(flatten)]
    found: Verification,
    /// What `onnx.checker` says of each graph; none where Python or the package is not there.
    onnx_checker: Option<Vec<Checked>>,
}

#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    error: Option<String>,
}

pub(super) fn run(args: &VerifyArgs, terminal: &Terminal) -> Result<Exit> {
    let bundle = Bundle::open(&args.bundle)?;
    let found = verify(
        &bundle,
        &EngineOptions {
            library: args.onnxruntime.clone(),
            ask_python: true,
            ..EngineOptions::default()
        },
    )?;
    let files: Vec<&str> = found.graphs.iter().map(|graph| &graph.file[..]).collect();
    let onnx_checker = onnx_checker(&args.bundle, &files);
    let refused = |checked: &Vec<Checked>| checked.iter().any(|c| c.error.is_some());
    let passed = found.passed() && !onnx_checker.as_ref().is_some_and(refused);
    let verified = Verified {
        passed,
        found,
        onnx_checker,
    };
    let mut out = Output::open();
    if args.json {
        out.json(&verified)?;
    } else {
        let headings = [
            "graph",
            "precision",
            "check",
            "batch",
            "least cosine",
            "largest difference",
            "",
        ];
        out.table(&headings, &rows(&verified))?;
    }
    out.finish()?;
    if verified.onnx_checker.is_none() {
        terminal.say("onnx.checker: skipped, no Python with `onnx`");
    }
    terminal.say(&format!(
        "rows are held against {}",
        verified.found.reference
    ));
    match passed {
        true => Ok(Exit::Done),
        false => Err(Error::Bundle {
            path: args.bundle.clone(),
            reason: "it is not as it should be; the table says where".into(),
            source: None,
        }),
    }
}

fn rows(verified: &Verified) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for graph in &verified.found.graphs {
        let mut push = |check: &str, fault: Option<&String>| {
            rows.push(row(graph, check, ["", "", ""].map(String::from), fault));
        };
        push("structure", graph.structure.as_ref());
        push("contract", graph.contract.as_ref());
        let checked = verified.onnx_checker.iter().flatten();
        for checked in checked.filter(|checked| checked.file == graph.file) {
            push("onnx.checker", checked.error.as_ref());
        }
        for parity in &graph.parity {
            let numbers = [
                parity.batch.to_string(),
                format!("{:.6}", parity.cosine_min),
                format!("{:.1e}", parity.max_abs),
            ];
            let far = format!("below {}", parity.tolerance);
            let fault = match (&parity.error, parity.passed()) {
                (Some(error), _) => Some(error),
                (None, false) => Some(&far),
                (None, true) => None,
            };
            rows.push(row(graph, &parity.device, numbers, fault));
        }
    }
    rows
}

fn row(
    graph: &GraphReport,
    check: &str,
    numbers: [String; 3],
    fault: Option<&String>,
) -> Vec<String> {
    let names = [&graph.file[..], &graph.precision, check].map(str::to_owned);
    let verdict = fault.map_or("ok".to_owned(), |fault| format!("WRONG: {fault}"));
    names.into_iter().chain(numbers).chain([verdict]).collect()
}

/// What ONNX's own checker says; none where it is not there.
fn onnx_checker(folder: &std::path::Path, files: &[&str]) -> Option<Vec<Checked>> {
    const CHECK: &str = "import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)";
    let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
    let there = Command::new(&python)
        .args(["-c", "import onnx"])
        .output()
        .ok()?;
    if !there.status.success() {
        return None;
    }
    let check = |file: &&str| {
        let output = Command::new(&python)
            .args(["-c", CHECK])
            .arg(folder.join(file))
            .output();
        let error = match output {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                Some(text.lines().last().unwrap_or("it failed").to_owned())
            }
            Err(error) => Some(error.to_string()),
        };
        Checked {
            file: (*file).to_owned(),
            error,
        }
    };
    Some(files.iter().map(check).collect())
}
