//! One suite for every engine: the same graphs, inputs and refusals.

mod hostile;
mod numbers;

use ndarray::{Array2, Array3, Array4, ArrayD, Axis};
use prost::Message;
use satmip::Error;
use satmip::engine::{self, Device, Dimension, Element, Engine, EngineOptions, Input};
use satmip_export::messages::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto,
    StringStringEntryProto, TensorProto,
};
use satmip_export::{DataType, Dim, Graph, ModelInfo, Tensor};

const WIDTH: usize = 4;

/// Engines of this machine. rten is always there, ONNX Runtime where a library is found.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Rten];
    match open(&mixed(), Device::OnnxRuntime) {
        Ok(_) => devices.push(Device::OnnxRuntime),
        Err(Error::Device { reason, .. }) => println!("skipped: no ONNX Runtime ({reason})"),
        Err(other) => panic!("{other}"),
    }
    devices
}

fn open(graph: &[u8], device: Device) -> satmip::Result<Box<dyn Engine>> {
    let options = EngineOptions {
        device,
        sessions: 3,
        ..EngineOptions::default()
    };
    engine::open(graph, "test.onnx", &options)
}

/// A graph with an input of each type: `sum = bytes + ids + flags + floats`, `product = sum W` with
/// W[i][j] = i + j.
fn mixed_model() -> ModelProto {
    let mut graph = Graph::new("mixed", 20).unwrap();
    let shape = || vec![Dim::from("batch"), Dim::from(WIDTH)];
    let bytes = graph.input("bytes", DataType::U8, shape()).unwrap();
    let ids = graph.input("ids", DataType::I64, shape()).unwrap();
    let flags = graph.input("flags", DataType::Bool, shape()).unwrap();
    let floats = graph.input("floats", DataType::F32, shape()).unwrap();
    let mut sum = floats;
    for other in [bytes, ids, flags] {
        let other = graph.cast(other, DataType::F32).unwrap();
        sum = graph.add(sum, other).unwrap();
    }
    let weights = (0..WIDTH * 3).map(|k| (k / 3 + k % 3) as f32).collect();
    let weight = Tensor::f32(vec![WIDTH, 3], weights).unwrap();
    let weight = graph.weight("w", weight).unwrap();
    let product = graph.matmul(sum, weight).unwrap();
    graph.output("sum", sum).unwrap();
    graph.output("product", product).unwrap();
    graph.finish(&ModelInfo::new("test")).unwrap().into_proto()
}

fn mixed() -> Vec<u8> {
    mixed_model().encode_to_vec()
}

struct Batch {
    bytes: Array2<u8>,
    ids: Array2<i64>,
    flags: Array2<bool>,
    floats: Array2<f32>,
}

impl Batch {
    fn of(rows: usize, salt: usize) -> Self {
        let shape = (rows, WIDTH);
        Batch {
            bytes: Array2::from_shape_fn(shape, |(i, j)| ((i * 37 + j * 11 + salt) % 256) as u8),
            ids: Array2::from_shape_fn(shape, |(i, j)| (i * 5 + j + salt) as i64 - 9),
            flags: Array2::from_shape_fn(shape, |(i, j)| (i + j + salt).is_multiple_of(2)),
            floats: Array2::from_shape_fn(shape, |(i, j)| i as f32 * 0.5 - j as f32),
        }
    }

    fn inputs(&self) -> [(&'static str, Input<'_>); 4] {
        [
            ("floats", Input::F32(self.floats.view().into_dyn())),
            ("flags", Input::Bool(self.flags.view().into_dyn())),
            ("ids", Input::I64(self.ids.view().into_dyn())),
            ("bytes", Input::U8(self.bytes.view().into_dyn())),
        ]
    }

    fn sum(&self) -> ArrayD<f32> {
        let sum = &self.bytes.mapv(f32::from)
            + &self.ids.mapv(|v| v as f32)
            + self.flags.mapv(|v| f32::from(u8::from(v)))
            + &self.floats;
        sum.into_dyn()
    }

    fn product(&self) -> ArrayD<f32> {
        let weight = Array2::from_shape_fn((WIDTH, 3), |(i, j)| (i + j) as f32);
        let sum = self.sum().into_dimensionality::<ndarray::Ix2>().unwrap();
        sum.dot(&weight).into_dyn()
    }

    fn check(&self, engine: &dyn Engine) {
        let mut outputs = engine.run(&self.inputs()).unwrap();
        assert_eq!(outputs.iter().count(), 2);
        assert_eq!(outputs.get("sum").unwrap(), &self.sum());
        // Whole numbers and halves below 2^24: exact in any order of summation.
        assert_eq!(outputs.take("product").unwrap(), self.product());
        assert!(outputs.take("product").is_none());
        assert!(outputs.get("other").is_none());
    }
}

/// A part of a Transformer: norm, matrix, GELU, softmax over the last of `[batch, 6, 8]`, mean.
fn block() -> Vec<u8> {
    let mut graph = Graph::new("block", 20).unwrap();
    let shape = vec![Dim::from("batch"), Dim::from(6), Dim::from(8)];
    let x = graph.input("x", DataType::F32, shape).unwrap();
    let fill = |n: usize, salt: f32| -> Vec<f32> {
        (0..n)
            .map(|k| (k as f32 * 0.7 + salt).sin() * 0.4)
            .collect()
    };
    let scale = Tensor::f32(vec![8], fill(8, 0.1)).unwrap();
    let bias = Tensor::f32(vec![8], fill(8, 0.2)).unwrap();
    let scale = graph.weight("scale", scale).unwrap();
    let bias = graph.weight("bias", bias).unwrap();
    let normed = graph.layer_norm(x, scale, bias, 1e-6).unwrap();
    let matrix = Tensor::f32(vec![8, 8], fill(64, 0.3)).unwrap();
    let matrix = graph.weight("matrix", matrix).unwrap();
    let mixed = graph.matmul(normed, matrix).unwrap();
    let active = graph.gelu(mixed).unwrap();
    let turned = graph.transpose(active, &[0, 2, 1]).unwrap();
    let again = graph.transpose(turned, &[0, 2, 1]).unwrap();
    let spread = graph.softmax(again, -1).unwrap();
    let mean = graph.reduce_mean(spread, &[1], false).unwrap();
    graph.output("mean", mean).unwrap();
    let model = graph.finish(&ModelInfo::new("test")).unwrap();
    model.to_bytes().unwrap()
}

fn block_input(rows: usize) -> Array3<f32> {
    Array3::from_shape_fn((rows, 6, 8), |(i, j, k)| {
        ((i * 48 + j * 8 + k) as f32 * 0.37).cos()
    })
}

fn changed(change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let mut model = mixed_model();
    change(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}
