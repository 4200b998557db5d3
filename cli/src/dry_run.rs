//! What `satmip pretrain --dry-run` prints.

use std::path::Path;

use super::Exit;
use super::output::{Output, failed};
use super::terminal::duration;
use satmip::Result;
use satmip_train::{self as train, Device, DryRun, MetadataSummary, Recipe};

/// Prints the resolved recipe, the data, the model and an estimate of memory and time.
pub(super) fn run(recipe: &Recipe, data: &Path, device: &Device, json: bool) -> Result<Exit> {
    let found = train::dry_run(recipe, data, device)?;
    let mut report = Output::open();
    match json {
        true => report.json(&found)?,
        false => print(&found, &mut report)?,
    }
    report.finish()?;
    Ok(Exit::Done)
}

fn print(found: &DryRun, report: &mut Output) -> Result<()> {
    let recipe =
        toml::to_string(&found.recipe).map_err(|e| failed(std::io::Error::other(e.to_string())))?;
    report.line("# The recipe with its defaults")?;
    report.line(recipe.trim_end())?;
    report.line("\n# Data")?;
    print_data(found, report)?;
    report.line("\n# Model")?;
    print_model(found, report)?;
    report.line("\n# Estimate: counted from the architecture, not measured")?;
    print_estimate(found, report)
}

fn print_data(found: &DryRun, report: &mut Output) -> Result<()> {
    let fields = || found.recipe.fields.iter();
    let headings = ["set", "chips", "per epoch"];
    let names = fields().map(|field| field.name());
    let headings: Vec<&str> = headings.into_iter().chain(names).collect();
    let rows = found.sets.iter().map(|set| {
        let counts = [
            set.name.clone(),
            set.chips.to_string(),
            set.per_epoch.to_string(),
        ];
        let share = |count: &usize| percent(*count, set.fields.records);
        let fields = set.fields.present.iter().map(|(_, count)| share(count));
        counts.into_iter().chain(fields).collect()
    });
    report.table(&headings, &rows.collect::<Vec<Vec<String>>>())?;
    if let Some(chips) = found.validation_chips {
        report.line(&format!("validation split: {chips} chips"))?;
    }
    match &found.metadata {
        Some(MetadataSummary::Text {
            least_tokens,
            median_tokens,
            most_tokens,
            context,
            vocabulary,
        }) => report.line(&format!(
            "tokens of a caption: {least_tokens} to {most_tokens}, median {median_tokens}; \
             context {context}, vocabulary {vocabulary}"
        ))?,
        Some(MetadataSummary::Tabular {
            numbers,
            categories,
        }) => {
            report.line(&format!("columns of numbers: {}", numbers.join(", ")))?;
            let values = categories
                .iter()
                .map(|(name, n)| format!("{name} ({n} values)"));
            let values = values.collect::<Vec<_>>().join(", ");
            report.line(&format!("columns of categories: {values}"))?;
        }
        None => {}
    }
    report.line(&format!(
        "{} steps an epoch, {:.1} epochs",
        found.steps_per_epoch, found.epochs
    ))
}

fn print_model(found: &DryRun, report: &mut Output) -> Result<()> {
    let (counts, macs) = (&found.estimate.parameters, &found.estimate.forward);
    let rows = [
        ("image tower", counts.image, macs.image),
        (
            "image projector",
            counts.image_projector,
            macs.image_projector,
        ),
        ("metadata tower", counts.metadata, macs.metadata),
        (
            "metadata projector",
            counts.metadata_projector,
            macs.metadata_projector,
        ),
        ("SimCLR head", counts.simclr_head, macs.simclr_head),
    ];
    let rows = rows
        .into_iter()
        .filter(|(_, weights, _)| *weights > 0)
        .map(|(part, weights, macs)| vec![part.to_owned(), weights.to_string(), count(macs)])
        .chain([vec!["all".into(), counts.total.to_string(), String::new()]]);
    let headings = ["part", "weights", "MACs, forward, for each item"];
    report.table(&headings, &rows.collect::<Vec<_>>())
}

fn print_estimate(found: &DryRun, report: &mut Output) -> Result<()> {
    let (estimate, memory) = (&found.estimate, &found.estimate.memory);
    report.line(&format!(
        "a step: {} MACs, {} for each chip",
        count(estimate.step_macs),
        match estimate.image_passes {
            1 => "1 image pass".to_owned(),
            passes => format!("{passes} image passes"),
        }
    ))?;
    let parts = [
        ("weights", memory.weights),
        ("gradients", memory.gradients),
        ("optimizer", memory.optimizer),
        ("average", memory.average),
        ("activations", memory.activations),
        ("pixels", memory.pixels),
    ];
    let parts = parts.into_iter().filter(|(_, bytes)| *bytes > 0);
    let parts = parts.map(|(name, bytes)| format!("{name} {}", size(bytes)));
    report.line(&format!(
        "memory: about {} ({})",
        size(memory.total),
        parts.collect::<Vec<_>>().join(", ")
    ))?;
    let steps = found.recipe.steps;
    report.line(&format!(
        "time: about {} a step, {} for {steps} steps; a matrix product just now did {} MACs/s",
        match found.step_seconds {
            ..1.0 => format!("{:.0} ms", found.step_seconds * 1e3),
            seconds => format!("{seconds:.1} s"),
        },
        duration(found.step_seconds * steps as f64),
        count(found.macs_per_second as u64)
    ))
}

/// `37 %`; never 0 or 100 where that is not so.
fn percent(count: usize, of: usize) -> String {
    match (count, of) {
        (0, _) => "0 %".into(),
        (n, of) if n == of => "100 %".into(),
        (n, of) => format!("{:.0} %", (100.0 * n as f64 / of as f64).clamp(1.0, 99.0)),
    }
}

/// `4.60 G`.
fn count(number: u64) -> String {
    let number = number as f64;
    match number {
        ..1e3 => format!("{number}"),
        ..1e6 => format!("{:.1} k", number / 1e3),
        ..1e9 => format!("{:.1} M", number / 1e6),
        ..1e12 => format!("{:.2} G", number / 1e9),
        _ => format!("{:.2} T", number / 1e12),
    }
}

/// `1.2 GB`.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1e6 => format!("{:.0} kB", bytes / 1e3),
        ..1e9 => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_read_well() {
        assert_eq!(size(12_300), "12 kB");
        assert_eq!(size(12_300_000), "12 MB");
        assert_eq!(size(1_230_000_000), "1.2 GB");
        let counts = [17, 1_500, 2_500_000, 4_599_000_000, 70_000_000_000_000].map(count);
        assert_eq!(counts, ["17", "1.5 k", "2.5 M", "4.60 G", "70.00 T"]);
        let shares = [(0, 9), (9, 9), (1, 9999), (9998, 9999), (1, 2)];
        let shares = shares.map(|(n, of)| percent(n, of));
        assert_eq!(shares, ["0 %", "100 %", "1 %", "99 %", "50 %"]);
    }
}
