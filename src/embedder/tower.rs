//! A model's two graphs with what prepares their inputs, held against the manifest.

use ndarray::{Array2, ArrayView4, Ix2};

use crate::arch;
use crate::bundle::{Bundle, IMAGE_GRAPH, METADATA_GRAPH, TOKENIZER};
use crate::engine::{self, Dimension, Element, Engine, EngineOptions, Input, Outputs, Port};
use crate::error::{Error, Result};
use crate::metadata::{CaptionTokenizer, FieldSet, Metadata};

/// What a tower gives for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct TowerOutput {
    /// `[n, d]`: before the projector; what probes and classifiers use.
    pub features: Array2<f32>,
    /// `[n, e]`: in the common space, unit rows.
    pub embeds: Array2<f32>,
}

impl TowerOutput {
    pub(super) fn zeros(rows: usize, features: usize, embeds: usize) -> Self {
        TowerOutput {
            features: Array2::zeros((rows, features)),
            embeds: Array2::zeros((rows, embeds)),
        }
    }

    fn from_outputs(
        mut outputs: Outputs,
        names: Names,
        widths: (usize, usize),
        rows: usize,
        engine: &dyn Engine,
    ) -> Result<Self> {
        let mut matrix = |name: &str, width: usize| {
            let refuse = |reason: String| Error::Engine {
                engine: engine.name(),
                graph: names.graph.to_owned(),
                reason: format!("output `{name}` {reason}"),
            };
            let array = outputs
                .take(name)
                .ok_or_else(|| refuse("is missing".into()))?;
            if array.shape() != [rows, width] {
                let reason = format!("is {:?}, expected [{rows}, {width}]", array.shape());
                return Err(refuse(reason));
            }
            if array.iter().any(|value| !value.is_finite()) {
                return Err(refuse("has values that are not finite".into()));
            }
            array
                .into_dimensionality::<Ix2>()
                .map_err(|error| refuse(error.to_string()))
        };
        Ok(TowerOutput {
            features: matrix(names.features, widths.0)?,
            embeds: matrix(names.embeds, widths.1)?,
        })
    }
}

/// A graph's file and its outputs.
#[derive(Debug, Clone, Copy)]
struct Names {
    /// What the graph is called in messages.
    graph: &'static str,
    features: &'static str,
    embeds: &'static str,
}

const IMAGE: Names = Names {
    graph: IMAGE_GRAPH,
    features: "image_features",
    embeds: "image_embeds",
};
const METADATA: Names = Names {
    graph: METADATA_GRAPH,
    features: "metadata_features",
    embeds: "metadata_embeds",
};

/// The image graph.
#[derive(Debug)]
pub(super) struct ImageTower {
    engine: Box<dyn Engine>,
    widths: (usize, usize),
}

impl ImageTower {
    pub(super) fn open(bundle: &Bundle, options: &EngineOptions) -> Result<Self> {
        let arch = &bundle.manifest().arch;
        let size = arch.preprocessing.size;
        let widths = (arch.image.features(), arch.embed_dim);
        let inputs = [("image", Element::U8, vec![Some(size), Some(size), Some(3)])];
        let engine = open_graph(
            bundle,
            &bundle.graphs().image,
            IMAGE,
            &inputs,
            widths,
            options,
        )?;
        Ok(ImageTower { engine, widths })
    }

    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    pub(super) fn run(&self, batch: ArrayView4<'_, u8>) -> Result<TowerOutput> {
        let rows = batch.shape()[0];
        let outputs = self.engine.run(&[("image", Input::U8(batch.into_dyn()))])?;
        TowerOutput::from_outputs(outputs, IMAGE, self.widths, rows, &*self.engine)
    }
}

/// The metadata graph with what turns records into its inputs.
#[derive(Debug)]
pub(super) struct MetadataTower {
    engine: Box<dyn Engine>,
    widths: (usize, usize),
    fields: FieldSet,
    view: View,
}

#[derive(Debug)]
enum View {
    Text {
        tokenizer: Box<CaptionTokenizer>,
        context: usize,
    },
    Tabular(arch::TabularColumns),
}

impl MetadataTower {
    /// The tower, none for a model of images alone.
    pub(super) fn open(bundle: &Bundle, options: &EngineOptions) -> Result<Option<Self>> {
        let manifest = bundle.manifest();
        let (Some(side), Some(graph)) = (&manifest.arch.metadata, bundle.graphs().metadata) else {
            return Ok(None);
        };
        let widths = (side.tower.features(), manifest.arch.embed_dim);
        let (view, inputs) = match &side.tower {
            arch::MetadataTower::Text(config) => {
                let tokenizer = CaptionTokenizer::from_bytes(&bundle.bytes(TOKENIZER)?)?;
                let differs = |what: &str, ours: String, theirs: String| Error::Bundle {
                    path: bundle.path().join(TOKENIZER),
                    reason: format!("its {what} is {ours}, the architecture has {theirs}"),
                    source: None,
                };
                if tokenizer.vocabulary() != config.vocabulary {
                    let (ours, theirs) = (tokenizer.vocabulary(), config.vocabulary);
                    return Err(differs("vocabulary", ours.to_string(), theirs.to_string()));
                }
                if tokenizer.end_token() != config.end_token {
                    let (ours, theirs) = (tokenizer.end_token(), config.end_token);
                    return Err(differs("end token", ours.to_string(), theirs.to_string()));
                }
                let view = View::Text {
                    tokenizer: Box::new(tokenizer),
                    context: config.context,
                };
                (view, vec![("input_ids", Element::I64, vec![None])])
            }
            arch::MetadataTower::Tabular(config) => {
                let columns = &config.columns;
                let widths = [
                    ("numbers", Element::F32, columns.numbers.len()),
                    ("categories", Element::I64, columns.categories.len()),
                    ("present", Element::Bool, side.fields.len()),
                ];
                let inputs =
                    widths.map(|(name, element, width)| (name, element, vec![Some(width)]));
                (View::Tabular(columns.clone()), inputs.to_vec())
            }
        };
        Ok(Some(MetadataTower {
            engine: open_graph(bundle, &graph, METADATA, &inputs, widths, options)?,
            widths,
            fields: side.fields,
            view,
        }))
    }

    /// Width of the features.
    pub(super) fn features(&self) -> usize {
        self.widths.0
    }

    pub(super) fn run(&self, records: &[Metadata]) -> Result<TowerOutput> {
        let outputs = match &self.view {
            View::Text { tokenizer, context } => {
                let captions = records.iter().map(|record| record.caption(self.fields));
                let captions: Vec<String> = captions.collect();
                let ids = tokenizer.encode_batch(&captions, *context)?;
                self.engine
                    .run(&[("input_ids", Input::I64(ids.view().into_dyn()))])?
            }
            View::Tabular(columns) => {
                let batch = columns.encode(records, self.fields)?;
                self.engine.run(&[
                    ("numbers", Input::F32(batch.numbers.view().into_dyn())),
                    ("categories", Input::I64(batch.categories.view().into_dyn())),
                    ("present", Input::Bool(batch.present.view().into_dyn())),
                ])?
            }
        };
        TowerOutput::from_outputs(outputs, METADATA, self.widths, records.len(), &*self.engine)
    }
}

/// An input's name, type and dimensions after the batch; none is a dimension of any size.
type Expected = (&'static str, Element, Vec<Option<usize>>);

/// Bytes of a graph that does not stay in memory beside the sessions that run it (our choice).
const LARGE: usize = 16 << 20;

/// Opens a graph of the bundle and checks that it is the one that the manifest describes.
fn open_graph(
    bundle: &Bundle,
    file: &str,
    names: Names,
    inputs: &[Expected],
    widths: (usize, usize),
    options: &EngineOptions,
) -> Result<Box<dyn Engine>> {
    let path = bundle.path().join(file);
    let graph = bundle.bytes(file)?.into_owned();
    // A large graph is in each session already.
    let checked = bundle.file(file).filter(|_| graph.len() > LARGE);
    let engine = engine::open_owned(graph, checked, &path.display().to_string(), options)?;
    let refuse = |reason: String| Error::Bundle {
        path: path.clone(),
        reason: format!("{reason}, as the manifest describes the model"),
        source: None,
    };
    let outputs = [
        (names.features, Element::F32, vec![Some(widths.0)]),
        (names.embeds, Element::F32, vec![Some(widths.1)]),
    ];
    if let Some(port) = engine
        .inputs()
        .iter()
        .find(|port| !inputs.iter().any(|(name, ..)| port.name == *name))
    {
        return Err(refuse(format!("it should have no input `{}`", port.name)));
    }
    for (kind, ports, expected) in [
        ("input", engine.inputs(), inputs),
        ("output", engine.outputs(), &outputs[..]),
    ] {
        for (name, element, shape) in expected {
            let Some(port) = ports.iter().find(|port| port.name == *name) else {
                return Err(refuse(format!("it should have an {kind} `{name}`")));
            };
            if port.element != *element || !matches(port, shape) {
                let known = shape.iter().map(|size| match size {
                    Some(size) => size.to_string(),
                    None => "any".to_owned(),
                });
                let known: Vec<String> = known.collect();
                return Err(refuse(format!(
                    "its {kind} `{name}` is {port}; it should be {element} [batch, {}]",
                    known.join(", ")
                )));
            }
        }
    }
    Ok(engine)
}

/// Whether a port has a free batch and then these dimensions. A dimension that the graph leaves
/// open fits: the outputs are checked once more when there are some.
fn matches(port: &Port, expected: &[Option<usize>]) -> bool {
    let Some((Dimension::Named(_), rest)) = port.shape.split_first() else {
        return false;
    };
    rest.len() == expected.len()
        && rest.iter().zip(expected).all(|pair| match pair {
            (Dimension::Fixed(size), Some(expected)) => size == expected,
            (Dimension::Fixed(_), None) => false,
            (Dimension::Named(_), _) => true,
        })
}
