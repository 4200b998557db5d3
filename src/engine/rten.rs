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
use satmip_export::check::Limits;
use satmip_export::passes::small_maps;

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
            let model = ModelOptions::with_all_ops().load(suited(bytes));
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

/// A graph in the form that rten runs fastest: it needs three times as long for depthwise convolutions over small maps as
/// for the products of matrices that they are. A graph that cannot be brought into it stays as it is.
fn suited(bytes: Vec<u8>) -> Vec<u8> {
    /// Larger graphs are left alone, so that they are in memory once (our choice; EfficientNet-Lite4 has 52 MB).
    const MOST: u64 = 64 << 20;
    let limits = Limits {
        bytes: MOST,
        ..Limits::default()
    };
    let rewritten = satmip_export::check::read(&bytes, &limits)
        .and_then(satmip_export::Model::new)
        .and_then(small_maps)
        .and_then(|model| model.map(|model| model.to_bytes()).transpose());
    rewritten.ok().flatten().unwrap_or(bytes)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::Array;
    use satmip_export::{DataType, Dim, Graph as Builder, ModelInfo, Tensor as Constant, Window};

    use super::*;

    const SIDE: usize = 4;

    /// Numbers that differ from each other, between -1 and 1.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        let number = |at: usize| ((at * 37 + seed * 101) % 199) as f32 / 99.5 - 1.0;
        (0..count).map(number).collect()
    }

    /// Four depthwise convolutions, with and without strides and with pads that differ, between such of 1 x 1; a sum of
    /// values from before and behind; and an output that is a map of several pixels beside the pooled one.
    fn network() -> Vec<u8> {
        let mut graph = Builder::new("network", 20).unwrap();
        let sides = [4, SIDE, SIDE].map(Dim::from).into_iter();
        let shape = [Dim::from("batch")].into_iter().chain(sides).collect();
        let x = graph.input("x", DataType::F32, shape).unwrap();
        let mut seed = 0;
        let mut conv = |x, channels: [usize; 2], window: Window, groups: usize| {
            seed += 1;
            let dims = vec![
                channels[1],
                channels[0] / groups,
                window.kernel,
                window.kernel,
            ];
            let weights = numbers(dims.iter().product(), seed);
            let weight = Constant::f32(dims, weights).unwrap();
            let weight = graph.weight(&format!("weight{seed}"), weight).unwrap();
            // One convolution has no bias.
            let bias = (seed != 2).then(|| {
                let bias = numbers(channels[1], seed + 50);
                let bias = Constant::f32(vec![channels[1]], bias).unwrap();
                graph.weight(&format!("bias{seed}"), bias).unwrap()
            });
            let made = graph.conv(x, weight, bias, window, groups).unwrap();
            graph.clip(made, -3.0, 3.0).unwrap()
        };
        let window = |kernel, stride, padding| Window {
            kernel,
            stride,
            padding,
        };
        let point = window(1, 1, (0, 0));
        let first = conv(x, [4, 6], point, 1);
        let same = conv(first, [6, 6], window(3, 1, (1, 1)), 6);
        let again = conv(same, [6, 6], window(5, 1, (2, 2)), 6);
        let wide = conv(again, [6, 6], window(3, 1, (1, 1)), 6);
        let narrow = conv(wide, [6, 6], point, 1);
        let halved = conv(narrow, [6, 6], window(3, 2, (0, 1)), 6);
        let sum = graph.add(narrow, same).unwrap();
        let pooled = graph.global_average_pool(sum).unwrap();
        graph.output("map", halved).unwrap();
        graph.output("pooled", pooled).unwrap();
        let info = ModelInfo::new("a test");
        graph.finish(&info).unwrap().to_bytes().unwrap()
    }

    fn run(bytes: Vec<u8>, batch: usize) -> [Vec<f32>; 2] {
        let model = ModelOptions::with_all_ops().load(bytes).unwrap();
        let shape = [batch, 4, SIDE, SIDE];
        let x = Array::from_shape_vec(shape, numbers(shape.iter().product(), 7)).unwrap();
        let x = TensorView::from_data(shape.as_slice(), x.as_slice().unwrap());
        let id = |name| model.find_node(name).unwrap();
        let ids = [id("map"), id("pooled")];
        let found = model.run(vec![(id("x"), x.into())], &ids, None).unwrap();
        let numbers = found.into_iter().map(|value| {
            let tensor: Tensor<f32> = value.try_into().unwrap();
            tensor.to_vec()
        });
        numbers.collect::<Vec<_>>().try_into().unwrap()
    }

    fn operators(bytes: &[u8]) -> Vec<String> {
        let model = satmip_export::check::read(bytes, &Limits::default()).unwrap();
        let nodes = model.graph.unwrap().node.into_iter();
        nodes.map(|node| node.op_type).collect()
    }

    #[test]
    fn small_maps_as_products_give_the_same_numbers() {
        let before = network();
        let after = suited(before.clone());
        assert!(operators(&before).contains(&"Conv".to_owned()));
        assert!(!operators(&after).contains(&"Conv".to_owned()));
        for batch in [1, 3, 16] {
            let (expected, found) = (run(before.clone(), batch), run(after.clone(), batch));
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected.len(), found.len());
                assert!(expected.iter().any(|number| number.abs() > 0.1));
                for (a, b) in expected.iter().zip(found) {
                    assert!((a - b).abs() < 1e-5, "{a} and {b}");
                }
            }
        }
    }

    #[test]
    fn without_depthwise_convolutions_a_graph_stays_as_it_is() {
        let mut graph = Builder::new("network", 20).unwrap();
        let shape = [
            "batch".into(),
            Dim::from(2),
            Dim::from(SIDE),
            Dim::from(SIDE),
        ];
        let x = graph.input("x", DataType::F32, shape.to_vec()).unwrap();
        let weight = Constant::f32(vec![3, 2, 1, 1], numbers(6, 1)).unwrap();
        let weight = graph.weight("weight", weight).unwrap();
        let point = Window {
            kernel: 1,
            stride: 1,
            padding: (0, 0),
        };
        let y = graph.conv(x, weight, None, point, 1).unwrap();
        graph.output("y", y).unwrap();
        let info = ModelInfo::new("a test");
        let bytes = graph.finish(&info).unwrap().to_bytes().unwrap();
        assert_eq!(operators(&suited(bytes.clone())), operators(&bytes));
    }

    #[test]
    fn what_is_no_graph_stays_as_it_is() {
        assert_eq!(suited(vec![1, 2, 3]), [1, 2, 3]);
    }
}
