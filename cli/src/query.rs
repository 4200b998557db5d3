//! `satmip query`.

use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;
use serde::Serialize;

use super::interrupt::Interrupt;
use super::model::ModelArgs;
use super::output::Output;
use super::terminal::Terminal;
use super::{Exit, gather};
use satmip::embedder::Embeddings;
use satmip::metadata::Field;
use satmip::{Error, Result};

/// Ask which value of a metadata field fits each image best (zero-shot)
#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// Folders, lists, archives, images; see `satmip embed`
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Field to ask about, for example `country_code`. A gsd or pixel_size is that of the model's
    /// input pixels, not the file's: 512 pixels of 0.5 m, seen as 64, have a gsd of 4
    #[arg(short, long, value_name = "FIELD")]
    field: Field,
    /// Value to choose from; once for each value
    #[arg(
        short = 'e',
        long = "value",
        required = true,
        value_name = "VALUE",
        allow_hyphen_values = true
    )]
    values: Vec<String>,
    /// All values with their probabilities, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    id: &'a str,
    values: Vec<Value<'a>>,
}

/// One value, the most probable first.
#[derive(Debug, Serialize)]
struct Value<'a> {
    value: &'a str,
    probability: f32,
    similarity: f32,
}

pub(super) fn run(args: QueryArgs, terminal: &Terminal) -> Result<Exit> {
    let _interrupt = Interrupt::watch(terminal, "");
    let embedder = args.model.load(terminal)?;
    // A question that cannot be asked is refused before hours of embedding.
    let none = Embeddings::new(Array2::zeros((0, embedder.dim())))?;
    embedder
        .query(&none, args.field, &args.values)
        .map_err(|error| Error::Argument {
            what: "--field or --value",
            reason: error.to_string(),
        })?;
    let gather::Images { images, found } =
        gather::images(args.inputs, None, &args.model, &embedder, terminal)?;
    let query = embedder.query(&images, args.field, &args.values)?;
    let answers: Vec<Answer<'_>> = found
        .ids
        .iter()
        .enumerate()
        .map(|(row, id)| {
            let mut values: Vec<_> = query
                .values
                .iter()
                .enumerate()
                .map(|(column, value)| Value {
                    value,
                    probability: query.probabilities[[row, column]],
                    similarity: query.similarities[[row, column]],
                })
                .collect();
            values.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            Answer { id, values }
        })
        .collect();
    let mut out = Output::open();
    if args.json {
        out.json(&answers)?;
    } else {
        let rows: Vec<_> = answers
            .iter()
            .filter_map(|answer| {
                let best = answer.values.first()?;
                Some(vec![
                    answer.id.to_owned(),
                    best.value.to_owned(),
                    format!("{:.3}", best.probability),
                    format!("{:.3}", best.similarity),
                ])
            })
            .collect();
        let headings = ["image", args.field.name(), "probability", "similarity"];
        out.table(&headings, &rows)?;
    }
    out.finish()?;
    Ok(Exit::of(found.skipped.len() as u64))
}
