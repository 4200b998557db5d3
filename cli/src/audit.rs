//! `satmip audit`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::embed::TableArgs;
use super::interrupt::Interrupt;
use super::model::ModelArgs;
use super::output::Output;
use super::terminal::Terminal;
use super::{Exit, gather};
use satmip::bundle::{AuditEvidence, BundleManifest};
use satmip::embedder::{AuditRow, Embeddings};
use satmip::metadata::FieldSet;
use satmip::{Error, Result};

/// Rows of the table, where nothing else is said.
const TOP: usize = 20;

/// Find images whose metadata do not fit them, the worst first
///
/// Similarities compare within one set only; what is low depends on the model. Fields whose false values the model
/// was not seen to find are named.
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
    if known.is_empty() {
        return Err(Error::Argument {
            what: "--metadata",
            reason:
                "no image has a row that the model can read something of: there is nothing to audit"
                    .into(),
        });
    }
    let pairs = Embeddings::new(images.view().select(ndarray::Axis(0), &known))?;
    let records = metadata.iter().cloned().map(Some).collect();
    let mut audit = embedder.audit(&embedder.pairs_seen(pairs, records)?)?;
    let fits = audit.iter().flat_map(|row| &row.fields);
    let fields: FieldSet = fits.map(|fit| fit.field).collect();
    if let Some(doubts) = doubts(embedder.manifest(), fields) {
        terminal.say(&format!("note: {doubts}"));
    }
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
    let mut out = Output::open();
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

/// Which of these fields the model's audits were not seen to find wrong.
fn doubts(manifest: &BundleManifest, fields: FieldSet) -> Option<String> {
    let (mut doubtful, mut unmeasured) = (Vec::new(), Vec::new());
    for field in fields.iter() {
        match manifest.audit_evidence(field) {
            AuditEvidence::Found => {}
            // The text is the bundle's.
            AuditEvidence::Doubtful(figure) => doubtful.push(format!(
                "{field} (AUC {:.2}, {:.2} to {:.2}, on {})",
                figure.auc,
                figure.low,
                figure.high,
                figure.data.escape_debug()
            )),
            AuditEvidence::Unmeasured => unmeasured.push(field.name()),
        }
    }
    let model = &manifest.id;
    let mut parts = Vec::new();
    if !doubtful.is_empty() {
        let doubtful = doubtful.join(", ");
        parts.push(format!(
            "`{model}` hardly tells false values of these from true ones, 0.5 being chance: {doubtful}"
        ));
    }
    if !unmeasured.is_empty() {
        let unmeasured = unmeasured.join(", ");
        parts.push(format!(
            "whether `{model}` tells false values of these from true ones was not measured: {unmeasured}"
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use satmip::bundle::{AuditFigure, Bundle};
    use satmip::metadata::Field;

    #[test]
    fn fields_that_are_not_found_and_not_measured_are_named() {
        let bundle = Bundle::open("../zoo/satmip-nano").unwrap();
        let mut manifest = bundle.manifest().clone();
        manifest.audit.clear();
        let mut add = |field: Field, data: &str, auc: f64, low: f64| {
            let figures = manifest.audit.entry(field.name().into()).or_default();
            figures.push(AuditFigure {
                data: data.into(),
                chips: 10,
                auc,
                low,
                high: auc + 0.05,
            });
        };
        add(Field::Gsd, "a, test", 0.9, 0.8);
        add(Field::Location, "a, test", 0.7, 0.65);
        add(Field::Location, "b\u{1b}[2J, test", 0.52, 0.49);
        let named = |fields: &[Field]| doubts(&manifest, FieldSet::of(fields));
        assert_eq!(named(&[Field::Gsd]), None);
        assert_eq!(named(&[]), None);
        let found = named(&[Field::Gsd, Field::Location, Field::UtmZone]).unwrap();
        assert!(
            found.contains("location (AUC 0.52, 0.49 to 0.57, on b\\u{1b}[2J, test)"),
            "{found}"
        );
        assert!(found.ends_with("was not measured: utm_zone"), "{found}");
        assert!(!found.contains("gsd"), "{found}");
    }
}
