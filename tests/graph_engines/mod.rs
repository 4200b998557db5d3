//! Running a graph's bytes in the engines themselves, without satmip's own engine layer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rten::{Model, ModelOptions, NodeId, Value, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

#[derive(Clone, Debug)]
pub enum Input {
    U8(Vec<usize>, Vec<u8>),
    F32(Vec<usize>, Vec<f32>),
    I64(Vec<usize>, Vec<i64>),
    Bool(Vec<usize>, Vec<bool>),
}

/// Rows of each output by name.
pub type Outputs = BTreeMap<String, Vec<Vec<f32>>>;
pub type Named<'a> = [(&'a str, Input)];

pub enum Engine {
    Rten(Box<Model>),
    OnnxRuntime(Box<ort::session::Session>),
}

/// Each engine with the graph; ONNX Runtime only where its library is found.
pub fn all(graph: &[u8]) -> Vec<Engine> {
    let mut engines = vec![Engine::rten(graph)];
    engines.extend(Engine::onnx_runtime(graph));
    engines
}

impl Engine {
    pub fn rten(graph: &[u8]) -> Engine {
        let model = ModelOptions::with_all_ops().load(graph.to_vec()).unwrap();
        Engine::Rten(Box::new(model))
    }

    pub fn rten_file(path: &Path) -> Engine {
        let model = ModelOptions::with_all_ops().load_file(path).unwrap();
        Engine::Rten(Box::new(model))
    }

    pub fn onnx_runtime(graph: &[u8]) -> Option<Engine> {
        let session = session()?.commit_from_memory(graph).unwrap();
        Some(Engine::OnnxRuntime(Box::new(session)))
    }

    pub fn onnx_runtime_file(path: &Path) -> Option<Engine> {
        let session = session()?.commit_from_file(path).unwrap();
        Some(Engine::OnnxRuntime(Box::new(session)))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Engine::Rten(_) => "rten",
            Engine::OnnxRuntime(_) => "onnxruntime",
        }
    }

    /// The numbers of the only output, bytes of any shape.
    pub fn bytes(&mut self, inputs: &Named<'_>) -> Vec<u8> {
        match self {
            Engine::Rten(model) => {
                let ids = model.output_ids().to_vec();
                let values = model.run(to_rten(model, inputs), &ids, None).unwrap();
                let tensor: Tensor<u8> = values.into_iter().next().unwrap().try_into().unwrap();
                tensor.to_vec()
            }
            Engine::OnnxRuntime(session) => {
                let outputs = session.run(to_onnx_runtime(inputs)).unwrap();
                let (_, data) = outputs[0].try_extract_tensor::<u8>().unwrap();
                data.to_vec()
            }
        }
    }

    pub fn run(&mut self, inputs: &Named<'_>) -> Result<Outputs, String> {
        match self {
            Engine::Rten(model) => run_rten(model, inputs),
            Engine::OnnxRuntime(session) => run_onnx_runtime(session, inputs),
        }
    }
}

fn to_rten<'a>(model: &Model, inputs: &Named<'_>) -> Vec<(NodeId, ValueOrView<'a>)> {
    let value = |(name, input): &(&str, Input)| {
        let value: Value = match input {
            Input::U8(dims, data) => Tensor::from_data(dims, data.clone()).into(),
            Input::F32(dims, data) => Tensor::from_data(dims, data.clone()).into(),
            Input::I64(dims, data) => {
                let data: Vec<i32> = data.iter().map(|v| *v as i32).collect();
                Tensor::from_data(dims, data).into()
            }
            Input::Bool(dims, data) => {
                let data: Vec<i32> = data.iter().map(|v| i32::from(*v)).collect();
                Tensor::from_data(dims, data).into()
            }
        };
        (model.node_id(name).unwrap(), ValueOrView::from(value))
    };
    inputs.iter().map(value).collect()
}

fn run_rten(model: &Model, inputs: &Named<'_>) -> Result<Outputs, String> {
    let ids = model.output_ids().to_vec();
    let values = model
        .run(to_rten(model, inputs), &ids, None)
        .map_err(|e| e.to_string())?;
    let name = |id| model.node_info(id).unwrap().name().unwrap().to_owned();
    Ok(ids
        .iter()
        .zip(values)
        .map(|(id, value)| {
            let tensor: Tensor<f32> = value.try_into().unwrap();
            let shape = tensor.shape().to_vec();
            (name(*id), rows(&shape, &tensor.to_vec()))
        })
        .collect())
}

fn to_onnx_runtime(inputs: &Named<'_>) -> Vec<(String, ort::value::DynValue)> {
    use ort::value::{DynValue, Tensor};
    let value = |input: &Input| -> DynValue {
        match input.clone() {
            Input::U8(dims, data) => Tensor::from_array((dims, data)).unwrap().into_dyn(),
            Input::F32(dims, data) => Tensor::from_array((dims, data)).unwrap().into_dyn(),
            Input::I64(dims, data) => Tensor::from_array((dims, data)).unwrap().into_dyn(),
            Input::Bool(dims, data) => Tensor::from_array((dims, data)).unwrap().into_dyn(),
        }
    };
    inputs
        .iter()
        .map(|(name, input)| ((*name).to_owned(), value(input)))
        .collect()
}

fn run_onnx_runtime(
    session: &mut ort::session::Session,
    inputs: &Named<'_>,
) -> Result<Outputs, String> {
    let outputs = session
        .run(to_onnx_runtime(inputs))
        .map_err(|e| e.to_string())?;
    Ok(outputs
        .iter()
        .map(|(name, value)| {
            let (shape, data) = value.try_extract_tensor::<f32>().unwrap();
            let shape: Vec<usize> = shape.iter().map(|d| *d as usize).collect();
            (name.to_owned(), rows(&shape, data))
        })
        .collect())
}

fn rows(shape: &[usize], data: &[f32]) -> Vec<Vec<f32>> {
    assert_eq!(shape.len(), 2, "an output is [batch, width]");
    let rows: Vec<_> = data.chunks(shape[1]).map(<[f32]>::to_vec).collect();
    assert_eq!(rows.len(), shape[0]);
    rows
}

/// A session builder, where an ONNX Runtime library is named by `SATMIP_ORT_DYLIB`.
fn session() -> Option<ort::session::builder::SessionBuilder> {
    static ENVIRONMENT: OnceLock<Option<ort::environment::Environment>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let Some(library) = std::env::var_os("SATMIP_ORT_DYLIB").map(PathBuf::from) else {
            eprintln!("skipped: no ONNX Runtime (SATMIP_ORT_DYLIB names no library)");
            return None;
        };
        let builder = ort::init_from(&library).expect("SATMIP_ORT_DYLIB is no ONNX Runtime");
        Some(builder.with_name("satmip-tests").build().unwrap())
    });
    let builder = ort::session::Session::builder(environment.as_ref()?).unwrap();
    Some(builder.with_intra_threads(1).unwrap())
}
