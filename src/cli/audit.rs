//! `satmip audit`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::embed::TableArgs;
use super::interrupt::Interrupt;
use super::model::ModelArgs;
use super::report::Report;
use super::terminal::Terminal;
use super::{Exit, gather};
use crate::embedder::{AuditRow, Embeddings};
use crate::error::{Error, Result};

/// Rows of the table, where nothing else is said.
const TOP: usize = 20;

/// Find images whose metadata do not fit them, the worst first
///
/// Similarities compare within one set only; what is low depends on the model.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Folders, lists, archives, images; see `satmip embed`
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    table: TableArgs,
    /// Rows to show [default: 20, as JSON all]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// All rows with all their fields, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(flatten)]
    audit: &'a AuditRow,
}

pub(super) fn run(args: AuditArgs, terminal: &Terminal) -> Result<Exit> {
    let table = args.table.config()?.ok_or_else(|| Error::Argument {
        what: "--metadata",
        reason: "an audit needs a table of metadata".into(),
    })?;
    let _interrupt = Interrupt::watch(terminal, "");
    let embedder = args.model.load(terminal)?;
    let gather::Images { images, found } =
        gather::images(args.inputs, Some(table), &args.model, &embedder, terminal)?;
    let known: Vec<usize> = (0..found.ids.len())
        .filter(|i| found.metadata.get(*i).is_some_and(Option::is_some))
        .collect();
    let metadata: Vec<_> = known
        .iter()
        .filter_map(|i| found.metadata[*i].clone())
        .collect();
    if found.without_fields > 0 {
        tracing::warn!(
            "{} images have a row without any field that the model reads: they are not ranked",
            found.without_fields
        );
    }
    let pairs = Embeddings::new(images.view().select(ndarray::Axis(0), &known))?;
    let records = metadata.iter().cloned().map(Some).collect();
    let mut audit = embedder.audit(&embedder.pairs_seen(pairs, records)?)?;
    audit.sort_by(|a, b| {
        b.rank
            .cmp(&a.rank)
            .then(a.similarity.total_cmp(&b.similarity))
    });
    let top = args.top.unwrap_or(match args.json {
        true => usize::MAX,
        false => TOP,
    });
    let rows: Vec<_> = audit
        .iter()
        .take(top)
        .map(|audit| Row {
            id: &found.ids[known[audit.index]],
            audit,
        })
        .collect();
    let mut out = Report::open();
    if args.json {
        out.json(&rows)?;
    } else {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let worst = row
                    .audit
                    .fields
                    .first()
                    .filter(|fit| fit.gain_without > 0.0);
                vec![
                    row.id.to_owned(),
                    format!("{:.3}", row.audit.similarity),
                    row.audit.rank.to_string(),
                    worst.map_or_else(String::new, |fit| {
                        format!("{} ({:+.3} without)", fit.field, fit.gain_without)
                    }),
                ]
            })
            .collect();
        let rank = format!("rank of {}", metadata.len());
        out.table(&["image", "similarity", &rank, "worst field"], &rows)?;
    }
    out.finish()?;
    Ok(Exit::of(found.skipped.len() as u64))
}
