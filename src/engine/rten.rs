//! rten: pure Rust, built in, on the CPU.
//!
//! rten has no i64 and no bool: a graph's inputs of these types are passed as i32. One model is
//! shared by all sessions; a session is a pool of one thread.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};

use super::graph::Graph;
use super::pool::Pool;
use super::port::arrange;
use super::{Device, Engine, Input, Outputs, Port, guarded};
use crate::error::Result;

pub(super) const NAME: &str = "rten";
/// The version that is built in, as pinned in `Cargo.toml`.
pub(super) const VERSION: &str = "0.27.0";

pub(super) struct Rten {
    graph: String,
    model: Model,
    ports: Graph,
    input_ids: Vec<NodeId>,
    output_ids: Vec<NodeId>,
    threads: Pool<Arc<ThreadPool>>,
}

impl Rten {
    pub(super) fn open(bytes: Vec<u8>, graph: &str, ports: Graph, sessions: usize) -> Result<Self> {
        let (model, input_ids, output_ids) = guarded(NAME, graph, || {
            let model = ModelOptions::with_all_ops().load(bytes);
            let model = model.map_err(|error| error.to_string())?;
            let find = |ports: &[Port], known: &[NodeId]| {
                let ids = ports.iter().map(|port| {
                    let id = model.find_node(&port.name);
                    id.filter(|id| known.contains(id))
                        .ok_or_else(|| format!("it lost sight of `{}`", port.name))
                });
                ids.collect::<std::result::Result<Vec<_>, String>>()
            };
            let inputs = find(&ports.inputs, model.input_ids())?;
            let outputs = find(&ports.outputs, model.output_ids())?;
            Ok((model, inputs, outputs))
        })?;
        Ok(Rten {
            graph: graph.to_owned(),
            model,
            ports,
            input_ids,
            output_ids,
            threads: Pool::new(sessions, None, || {
                Ok(Arc::new(ThreadPool::with_num_threads(1)))
            }),
        })
    }

    fn run_on(
        &self,
        threads: &Arc<ThreadPool>,
        inputs: &[&Input<'_>],
    ) -> std::result::Result<Outputs, String> {
        let contiguous: Vec<Contiguous<'_>> = inputs
            .iter()
            .zip(&self.ports.inputs)
            .map(|(input, port)| Contiguous::of(input, &port.name))
            .collect::<std::result::Result<_, String>>()?;
        let values = contiguous.iter().zip(inputs).zip(&self.input_ids);
        let values = values.map(|((data, input), id)| Ok((*id, data.value(input.shape())?)));
        let values = values.collect::<std::result::Result<Vec<_>, String>>()?;
        let options = RunOptions::default().with_thread_pool(Some(threads.clone()));
        let results = self
            .model
            .run(values, &self.output_ids, Some(options))
            .map_err(|error| error.to_string())?;
        let named = results.into_iter().zip(&self.ports.outputs);
        let named = named.map(|(value, port)| Ok((port.name.clone(), array(value, &port.name)?)));
        Ok(Outputs::new(
            named.collect::<std::result::Result<_, String>>()?,
        ))
    }
}

/// An input in memory as rten wants it: row-major and of a type that rten has.
enum Contiguous<'a> {
    U8(Cow<'a, [u8]>),
    F32(Cow<'a, [f32]>),
    I32(Vec<i32>),
}

impl<'a> Contiguous<'a> {
    fn of(input: &'a Input<'_>, name: &str) -> std::result::Result<Self, String> {
        Ok(match input {
            Input::U8(view) => Contiguous::U8(match view.as_slice() {
                Some(slice) => slice.into(),
                None => view.iter().copied().collect(),
            }),
            Input::F32(view) => Contiguous::F32(match view.as_slice() {
                Some(slice) => slice.into(),
                None => view.iter().copied().collect(),
            }),
            Input::I64(view) => {
                let narrow = |value: &i64| {
                    i32::try_from(*value).map_err(|_| {
                        format!("`{name}` has the value {value}, beyond the 32 bits of rten")
                    })
                };
                Contiguous::I32(
                    view.iter()
                        .map(narrow)
                        .collect::<std::result::Result<_, _>>()?,
                )
            }
            Input::Bool(view) => Contiguous::I32(view.iter().map(|b| i32::from(*b)).collect()),
        })
    }

    fn value(&'a self, shape: &[usize]) -> std::result::Result<ValueOrView<'a>, String> {
        fn view<'a, T>(
            shape: &[usize],
            data: &'a [T],
        ) -> std::result::Result<TensorView<'a, T>, String> {
            TensorView::try_from_data(shape, data).map_err(|error| error.to_string())
        }
        Ok(match self {
            Contiguous::U8(data) => view(shape, data)?.into(),
            Contiguous::F32(data) => view(shape, data)?.into(),
            Contiguous::I32(data) => view(shape, data.as_slice())?.into(),
        })
    }
}

fn array(value: Value, name: &str) -> std::result::Result<ArrayD<f32>, String> {
    let tensor: Tensor<f32> = value
        .try_into()
        .map_err(|error| format!("output `{name}`: {error}"))?;
    let shape = IxDyn(tensor.shape());
    ArrayD::from_shape_vec(shape, tensor.into_data())
        .map_err(|error| format!("output `{name}`: {error}"))
}

impl Engine for Rten {
    fn name(&self) -> &'static str {
        NAME
    }

    fn device(&self) -> Device {
        Device::Rten
    }

    fn inputs(&self) -> &[Port] {
        &self.ports.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.ports.outputs
    }

    fn run(&self, inputs: &[(&str, Input<'_>)]) -> Result<Outputs> {
        let inputs = arrange(&self.ports.inputs, inputs, &self.graph)?;
        self.threads
            .with(|threads| guarded(NAME, &self.graph, || self.run_on(threads, &inputs)))
    }
}

impl fmt::Debug for Rten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rten")
            .field("graph", &self.graph)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
