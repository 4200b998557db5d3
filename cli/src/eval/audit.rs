//! `satmip eval audit`.

use std::path::Path;

use clap::Args;

use super::common::{CommonArgs, EncoderArg, Figures};
use super::{about, draws, positive, run_encoder};
use crate::Exit;
use crate::terminal::Terminal;
use satmip::bundle::{AuditFigure, Bundle, rewrite_manifest};
use satmip::embedder::Embedder;
use satmip::metadata::{Field, FieldSet};
use satmip::{Error, Result};
use satmip_eval::{
    AuditConfig, AuditSide, DataSet, Encoder, Extracted, Extraction, FeatureKind, Report, audit,
};

/// How well an audit tells records with another chip's value of a field from true ones
///
/// AUC: how probable it is that a true record scores above a false one, in percent; 50 is chance. It is of what
/// `satmip audit` shows: of a field the cosine that it costs or brings, of whole records the rank. Beside it that of the
/// cosine alone, and of the same towers with random weights.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Fields to ask about [default: all that the model reads]
    #[arg(long, value_delimiter = ',', value_name = "FIELD")]
    field: Vec<Field>,
    /// Chips to draw from the split, which are each other's set [default: all]
    #[arg(long, value_name = "N", value_parser = positive)]
    chips: Option<usize>,
    /// False records for each chip and field
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = draws)]
    draws: usize,
    /// Write the figures into the model's `bundle.json`, where `satmip audit` finds them; the model is a folder
    #[arg(long)]
    write_bundle: bool,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(args: &AuditArgs, terminal: &Terminal) -> Result<Exit> {
    let common = &args.common;
    let folder = match args.write_bundle {
        true => Some(common.bundle_folder().ok_or_else(|| Error::Argument {
            what: "--write-bundle",
            reason: format!("`{}` is no folder of a bundle", common.model_name()),
        })?),
        false => None,
    };
    let data = common.open(DataSet::open_unlabelled)?;
    let (model, found) = pictures(&data, common, EncoderArg::Trained, terminal)?;
    let (untrained, random) = pictures(&data, common, EncoderArg::Untrained, terminal)?;
    let wanted = AuditConfig {
        fields: match args.field.is_empty() {
            true => model.fields(),
            false => FieldSet::of(&args.field),
        },
        chips: args.chips.unwrap_or(usize::MAX),
        draws: args.draws,
        seed: common.seed,
    };
    let side = |model, extracted| AuditSide { model, extracted };
    let report = audit(
        &data,
        side(&model, &found),
        Some(side(&untrained, &random)),
        &wanted,
        common.on,
        about(EncoderArg::Trained, &model.manifest().id),
    )?;
    if let Some(folder) = folder {
        write_figures(folder, &report)?;
    }
    common.show(report, &Figures::default(), found.bad.len(), terminal)
}

fn pictures(
    data: &DataSet,
    common: &CommonArgs,
    encoder: EncoderArg,
    terminal: &Terminal,
) -> Result<(Embedder, Extracted)> {
    let model = common.load(encoder, terminal)?;
    if model.fields().is_empty() {
        return Err(Error::Unsupported {
            model: model.manifest().id.clone(),
            what: "audit: it has no metadata tower".into(),
        });
    }
    let wanted = Extraction {
        kind: FeatureKind::Image,
        splits: vec![common.on],
        workers: common.workers(),
    };
    let found = run_encoder(data, Encoder::Embeds(&model), &wanted, terminal)?;
    Ok((model, found))
}

/// Puts the figures of a report into a bundle's manifest, in place of those of the same data.
fn write_figures(folder: &Path, report: &Report) -> Result<()> {
    let mut manifest = Bundle::open(folder)?.manifest().clone();
    let data = &report.data;
    let name = format!("{}, {} ({} split)", data.name, data.evaluated, data.split);
    for score in &report.scores {
        let metric = |name: &str| score.metrics.iter().find(|metric| metric.name == name);
        let (Some(auc), Some(chips)) = (metric("AUC"), metric("chips")) else {
            continue;
        };
        // Four digits: more are the rounding of an engine.
        let share = |percent: f64| (percent * 100.0).round() / 1e4;
        let [low, high] = auc.interval.unwrap_or([auc.value; 2]).map(share);
        let figures = manifest.audit.entry(score.value.clone()).or_default();
        figures.retain(|figure| figure.data != name);
        figures.push(AuditFigure {
            data: name.clone(),
            chips: chips.value as usize,
            auc: share(auc.value),
            low,
            high,
        });
    }
    rewrite_manifest(folder, &manifest)
}
