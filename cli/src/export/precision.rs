//! Precisions with their parity on real chips.

use std::path::PathBuf;

use clap::Args;

use crate::eval::describe;
use crate::terminal::Terminal;
use satmip::Result;
use satmip::bundle::Parity;
use satmip::embedder::EmbedderBuilder;
use satmip::export::{BundleFiles, Checkpoint, Precision};
use satmip_eval::{DataSet, Sample, SampleOutputs};

/// Chips by which layers are judged, one by one: enough to order them.
const JUDGES: usize = 64;

#[derive(Debug, Args)]
pub(super) struct ParityArgs {
    /// Data set on whose chips precisions are held against f32, and sensitive layers found; a name
    /// or a description
    #[arg(long, value_name = "DATA")]
    parity: Option<String>,
    /// Folder that the description's paths are in
    #[arg(long, value_name = "FOLDER", requires = "parity")]
    root: Option<PathBuf>,
    /// Most chips of each split
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    parity_chips: u32,
    /// Mean cosine with f32 that int8 must reach, and int8-weights of pictures; layers are left in
    /// f32 until they do
    #[arg(long, value_name = "COSINE", default_value_t = 0.999)]
    int8_cosine: f64,
}

/// The bundle, with parity where there are chips to measure it on.
pub(super) fn export(
    checkpoint: &Checkpoint,
    precisions: &[Precision],
    mut keep: Vec<String>,
    args: &ParityArgs,
    terminal: &Terminal,
) -> Result<BundleFiles> {
    let judge = match &args.parity {
        Some(data) => Some(Judge::new(checkpoint, data, args)?),
        None => None,
    };
    let small = precisions
        .iter()
        .filter(|p| matches!(p, Precision::Int8 | Precision::Int8Weights));
    if let (Some(judge), Some(_)) = (&judge, small.clone().next()) {
        // Kernels are stored alike in both, so they are judged first and once.
        let wanted = args.int8_cosine;
        let kernels = checkpoint.kernel_weights()?;
        keep = judge.find_sensitive(Precision::Int8Weights, kernels, keep, wanted)?;
        if precisions.contains(&Precision::Int8) {
            let layers = checkpoint.linear_weights()?.into_iter();
            let layers = layers.map(|name| (name, 1)).collect();
            keep = judge.find_sensitive(Precision::Int8, layers, keep, wanted)?;
        }
        let which: Vec<&str> = small.map(|precision| precision.name()).collect();
        let which = which.join(", ");
        terminal.say(&match keep.as_slice() {
            [] => format!("{which}: no layer stays in f32"),
            names => format!("{which}: in f32 stay {}", names.join(", ")),
        });
    }
    let mut all = checkpoint.export_all(precisions, &keep)?;
    let Some(judge) = judge else {
        return Ok(all);
    };
    let sample = judge.sample(args.parity_chips as usize)?;
    let (reference, engine) = judge.run(Precision::F32, &[], &sample)?;
    for precision in precisions.iter().filter(|p| **p != Precision::F32) {
        let (outputs, _) = judge.run(*precision, &keep, &sample)?;
        let parity = sample.parity(&reference, &outputs, engine)?;
        terminal.say(&line(*precision, &parity));
        all.manifest.parity.insert(precision.name().into(), parity);
    }
    Ok(all)
}

fn line(precision: Precision, parity: &Parity) -> String {
    let image = &parity.image;
    let knn = match &parity.knn {
        Some(knn) => format!(", kNN {:.2} % (f32 {:.2} %)", knn.here, knn.f32),
        None => String::new(),
    };
    format!(
        "{precision}: cosine {:.5} at least, {:.5} on average, {:.1} % of the 10 nearest agree{knn}",
        image.cosine_min,
        image.cosine_mean,
        100.0 * image.nearest_10
    )
}

/// Measures precisions of one checkpoint on one data set.
struct Judge<'a> {
    checkpoint: &'a Checkpoint,
    data: DataSet,
}

impl<'a> Judge<'a> {
    fn new(checkpoint: &'a Checkpoint, data: &str, args: &ParityArgs) -> Result<Self> {
        let (description, folder) = describe(data)?;
        let folder = args.root.as_ref().unwrap_or(&folder);
        Ok(Judge {
            checkpoint,
            data: DataSet::open(&description, folder)?,
        })
    }

    fn sample(&self, chips: usize) -> Result<Sample> {
        let files = self.checkpoint.export(Precision::F32)?;
        let model = EmbedderBuilder::from(files.in_memory("f32")?)
            .ask_python(true)
            .load()?;
        Sample::draw(&self.data, &model, chips)
    }

    fn run(
        &self,
        precision: Precision,
        keep: &[String],
        sample: &Sample,
    ) -> Result<(SampleOutputs, &'static str)> {
        let files = self.checkpoint.export_all(&[precision], keep)?;
        let bundle = files.in_memory(precision.name())?;
        // Batches of 8, as the batch job has them on a CPU: int8 quantises over a batch.
        let model = EmbedderBuilder::from(bundle)
            .ask_python(true)
            .batch_size(8)
            .load()?;
        Ok((sample.outputs(&model)?, model.engine()))
    }

    /// The weights that a precision must leave alone to come as near to f32 as wanted, beside `keep`: those of
    /// `weights`, each with its size, that alone cost most for their size, as few as will do. 8-bit weights are
    /// judged by the image side, where the convolutions are.
    fn find_sensitive(
        &self,
        precision: Precision,
        mut weights: Vec<(String, usize)>,
        keep: Vec<String>,
        wanted: f64,
    ) -> Result<Vec<String>> {
        if weights.is_empty() {
            return Ok(keep);
        }
        let sample = self.sample(JUDGES)?;
        let (reference, _) = self.run(Precision::F32, &[], &sample)?;
        let loss = |keep: &[String]| -> Result<f64> {
            let (outputs, engine) = self.run(precision, keep, &sample)?;
            let parity = sample.parity(&reference, &outputs, engine)?;
            let metadata = parity.metadata.filter(|_| precision == Precision::Int8);
            let sides = [Some(parity.image), metadata].into_iter().flatten();
            Ok(1.0 - sides.map(|side| side.cosine_mean).fold(1.0, f64::min))
        };
        let enough = |keep: &[String]| Ok(loss(keep)? <= 1.0 - wanted);
        if enough(&keep)? {
            return Ok(keep);
        }
        weights.retain(|(name, _)| !keep.contains(name));
        let mut alone = Vec::with_capacity(weights.len());
        for (name, size) in &weights {
            let others = weights.iter().map(|(other, _)| other);
            let others = others.filter(|other| *other != name);
            let others: Vec<String> = others.chain(&keep).cloned().collect();
            alone.push((loss(&others)? / *size as f64, name.clone()));
        }
        alone.sort_by(|a, b| b.0.total_cmp(&a.0));
        let with = |count: usize| -> Vec<String> {
            let worst = alone.iter().take(count).map(|(_, name)| name);
            keep.iter().chain(worst).cloned().collect()
        };
        // As few as will do, between none and all.
        let (mut few, mut many) = (0, alone.len());
        while few + 1 < many {
            let middle = few.midpoint(many);
            match enough(&with(middle))? {
                true => many = middle,
                false => few = middle,
            }
        }
        Ok(with(many))
    }
}
