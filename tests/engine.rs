//! One suite for every engine: the same graphs, inputs and refusals.

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
        library: None,
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

#[test]
fn every_type_and_batch_size_gives_the_hand_computed_numbers() {
    for device in devices() {
        let engine = open(&mixed(), device).unwrap();
        assert_eq!(engine.device(), device);
        for rows in [1, 2, 7, 64] {
            Batch::of(rows, rows).check(&*engine);
        }
    }
}

#[test]
fn ports_are_those_of_the_file() {
    for device in devices() {
        let engine = open(&mixed(), device).unwrap();
        let inputs: Vec<String> = engine
            .inputs()
            .iter()
            .map(|port| format!("{}: {port}", port.name))
            .collect();
        assert_eq!(
            inputs,
            [
                "bytes: u8 [batch, 4]",
                "ids: i64 [batch, 4]",
                "flags: bool [batch, 4]",
                "floats: f32 [batch, 4]"
            ]
        );
        let product = &engine.outputs()[1];
        assert_eq!(
            (product.name.as_str(), product.element),
            ("product", Element::F32)
        );
        assert_eq!(product.shape[1], Dimension::Fixed(3));
    }
}

#[test]
fn weights_that_are_listed_as_inputs_are_no_ports() {
    // As files before version 4 of the format have it.
    let bytes = changed(|graph| {
        let mut listed = graph.input[3].clone();
        listed.name = "w".into();
        let kind = listed.r#type.as_mut().unwrap();
        let shape = kind.tensor_type.as_mut().unwrap().shape.as_mut().unwrap();
        shape.dim.clear();
        for size in [WIDTH as i64, 3] {
            shape.dim.push(DimensionProto {
                value: Some(DimensionValue::DimValue(size)),
            });
        }
        graph.input.insert(0, listed);
    });
    for device in devices() {
        let engine = open(&bytes, device).unwrap();
        assert_eq!(engine.inputs().len(), 4);
        Batch::of(3, 0).check(&*engine);
    }
}

#[test]
fn views_that_are_not_contiguous_are_read_as_they_look() {
    for device in devices() {
        let engine = open(&mixed(), device).unwrap();
        let batch = Batch::of(WIDTH, 3);
        let turned = Batch {
            bytes: batch.bytes.t().as_standard_layout().into_owned(),
            ids: batch.ids.t().as_standard_layout().into_owned(),
            flags: batch.flags.t().as_standard_layout().into_owned(),
            floats: batch.floats.t().as_standard_layout().into_owned(),
        };
        let outputs = engine
            .run(&[
                ("bytes", Input::U8(batch.bytes.t().into_dyn())),
                ("ids", Input::I64(batch.ids.t().into_dyn())),
                ("flags", Input::Bool(batch.flags.t().into_dyn())),
                ("floats", Input::F32(batch.floats.t().into_dyn())),
            ])
            .unwrap();
        assert_eq!(outputs.get("sum").unwrap(), &turned.sum());
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused_and_the_engine_goes_on() {
    for device in devices() {
        let engine = open(&mixed(), device).unwrap();
        let batch = Batch::of(2, 0);
        let short = Array2::<f32>::zeros((2, WIDTH - 1));
        let none = Array2::<f32>::zeros((0, WIDTH));
        let deep = Array4::<f32>::zeros((2, WIDTH, 1, 1));
        let more = Array2::<f32>::zeros((3, WIDTH));
        let ints = Array2::<i64>::zeros((2, WIDTH));
        for bad in [
            Input::F32(short.view().into_dyn()),
            Input::F32(none.view().into_dyn()),
            Input::F32(deep.view().into_dyn()),
            Input::F32(more.view().into_dyn()),
            Input::I64(ints.view().into_dyn()),
        ] {
            let mut inputs = batch.inputs();
            inputs[0].1 = bad;
            let error = engine.run(&inputs).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("`floats`") && text.contains("test.onnx"),
                "{text}"
            );
        }
        let error = engine.run(&batch.inputs()[1..]).unwrap_err();
        assert!(error.to_string().contains("`floats` is missing"), "{error}");
        batch.check(&*engine);
    }
}

#[test]
fn more_threads_than_sessions_share_one_engine() {
    for device in devices() {
        let engine = open(&mixed(), device).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let engine = &*engine;
                scope.spawn(move || {
                    for round in 0..20 {
                        Batch::of(1 + round % 5, thread * 31 + round).check(engine);
                    }
                });
            }
        });
    }
}

#[test]
fn rten_refuses_integers_that_it_would_have_to_cut() {
    let engine = open(&mixed(), Device::Rten).unwrap();
    let mut batch = Batch::of(2, 0);
    batch.ids[[1, 2]] = i64::from(i32::MAX) + 1;
    let error = engine.run(&batch.inputs()).unwrap_err();
    assert!(matches!(error, Error::Engine { engine: "rten", .. }));
    assert!(error.to_string().contains("2147483648"), "{error}");
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

#[test]
fn engines_agree_on_a_transformer_like_graph() {
    let x = block_input(5);
    let mut all: Vec<ArrayD<f32>> = Vec::new();
    for device in devices() {
        let engine = open(&block(), device).unwrap();
        let mut outputs = engine
            .run(&[("x", Input::F32(x.view().into_dyn()))])
            .unwrap();
        let mean = outputs.take("mean").unwrap();
        for row in mean.axis_iter(Axis(0)) {
            assert!((row.sum() - 1.0).abs() < 1e-5);
        }
        all.push(mean);
    }
    for other in &all[1..] {
        let worst = (&all[0] - other).fold(0.0_f32, |worst, d| worst.max(d.abs()));
        assert!(worst < 1e-6, "{worst}");
    }
}

/// Refused by every engine with a typed error that names the graph; gives the last one's words.
fn refused(label: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    for device in devices() {
        let error = match open(bytes, device) {
            Ok(_) => panic!("{label}: {device} opened it"),
            Err(error) => error,
        };
        assert!(
            matches!(error, Error::Graph { .. } | Error::Engine { .. }),
            "{label}: {error:?}"
        );
        text = error.to_string();
        assert!(text.contains("test.onnx"), "{label}: {text}");
    }
    text
}

fn changed(change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let mut model = mixed_model();
    change(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: format!("hostile_{op}"),
        input: inputs.iter().map(|s| (*s).into()).collect(),
        output: outputs.iter().map(|s| (*s).into()).collect(),
        ..Default::default()
    }
}

#[test]
fn files_that_are_no_graphs_are_refused() {
    assert!(refused("empty", b"").contains("empty"));
    refused("text", b"not an ONNX file, just words");
    refused("zeros", &[0; 4096]);
    refused("ones", &[0xff; 4096]);
    refused("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    let whole = mixed();
    for length in [1, 10, whole.len() / 2, whole.len() - 1] {
        refused("truncated", &whole[..length]);
    }
    let no_opset = ModelProto {
        opset_import: Vec::new(),
        ..mixed_model()
    };
    refused("no operator set", &no_opset.encode_to_vec());
    let no_graph = ModelProto {
        graph: None,
        ..mixed_model()
    };
    assert!(refused("no graph", &no_graph.encode_to_vec()).contains("no graph"));
}

#[test]
fn operators_that_are_not_known_are_refused() {
    refused(
        "unknown operator",
        &changed(|graph| graph.node[0].op_type = "Frobnicate".into()),
    );
    refused(
        "custom operator",
        &changed(|graph| {
            graph.node[0].op_type = "Steal".into();
            graph.node[0].domain = "com.example".into();
        }),
    );
}

#[test]
fn weights_outside_the_file_are_refused() {
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    for location in ["/etc/passwd", "../../etc/passwd", "weights.bin"] {
        let bytes = changed(|graph| {
            let weight = &mut graph.initializer[0];
            weight.raw_data = None;
            weight.data_location = Some(1);
            weight.external_data = vec![
                entry("location", location),
                entry("offset", "0"),
                entry("length", "48"),
            ];
        });
        assert!(refused(location, &bytes).contains("another file"));
    }
}

#[test]
fn tensors_that_claim_more_than_they_have_are_refused() {
    for dims in [
        vec![1 << 40, 1 << 40],
        vec![i64::MAX],
        vec![i64::MAX, i64::MAX, i64::MAX],
        vec![-1, 3],
        vec![1 << 30],
        vec![4, 2],
        vec![1; 40],
    ] {
        let label = format!("{dims:?}");
        let bytes = changed(|graph| graph.initializer[0].dims = dims);
        let text = refused(&label, &bytes);
        assert!(text.contains("weight `"), "{text}");
    }
    let typed = TensorProto {
        name: "typed".into(),
        dims: vec![1 << 40],
        data_type: 1,
        float_data: vec![1.0],
        ..Default::default()
    };
    refused(
        "typed data",
        &changed(|graph| graph.initializer.push(typed)),
    );
}

#[test]
fn constants_that_ask_for_all_memory_are_refused() {
    for (op, inputs) in [
        ("ConstantOfShape", &["size"][..]),
        ("Expand", &["w", "size"]),
        ("Tile", &["w", "size"]),
    ] {
        let bytes = changed(|graph| {
            graph.initializer.push(TensorProto {
                name: "size".into(),
                dims: vec![1],
                data_type: 7,
                raw_data: Some((1_i64 << 40).to_le_bytes().to_vec()),
                ..Default::default()
            });
            graph.node.insert(0, node(op, inputs, &["huge"]));
        });
        assert!(refused(op, &bytes).contains("over the limit"), "{op}");
    }
}

#[test]
fn graphs_nested_without_end_are_refused() {
    let mut inner = GraphProto::default();
    for _ in 0..500 {
        let mut outer = GraphProto::default();
        let mut branch = node("If", &["flag"], &["y"]);
        branch.attribute.push(AttributeProto {
            name: "then_branch".into(),
            g: Some(Box::new(inner)),
            ..Default::default()
        });
        outer.node.push(branch);
        inner = outer;
    }
    let bytes = changed(|graph| graph.node.extend(inner.node));
    assert!(refused("nested", &bytes).contains("nested"));
}

#[test]
fn ports_that_cannot_be_served_are_refused() {
    let text = refused(
        "twice",
        &changed(|graph| {
            let again = graph.input[0].clone();
            graph.input.push(again);
        }),
    );
    assert!(text.contains("two inputs"), "{text}");
    refused("no outputs", &changed(|graph| graph.output.clear()));
    refused("no nodes", &changed(|graph| graph.node.clear()));
    refused(
        "element type",
        &changed(|graph| {
            let kind = graph.input[0].r#type.as_mut().unwrap();
            kind.tensor_type.as_mut().unwrap().elem_type = 11;
        }),
    );
    refused(
        "no shape",
        &changed(|graph| {
            let kind = graph.input[0].r#type.as_mut().unwrap();
            kind.tensor_type.as_mut().unwrap().shape = None;
        }),
    );
    refused(
        "output of nothing",
        &changed(|graph| graph.output[0].name = "nothing".into()),
    );
}

/// SplitMix64, for reproducible damage.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => {
                bytes.remove(at);
            }
            _ => bytes.insert(at, random.below(256) as u8),
        }
    }
    bytes
}

/// A file in which every message is whole and what they say is not: what is damaged by chance
/// seldom gets past the first look.
fn twisted(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut model = ModelProto::decode(whole).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let names: Vec<String> = graph
        .node
        .iter()
        .flat_map(|node| node.input.iter().chain(&node.output).cloned())
        .collect();
    const OPERATORS: [&str; 12] = [
        "Reshape",
        "Gather",
        "Slice",
        "Concat",
        "Split",
        "Conv",
        "Softmax",
        "Transpose",
        "Cast",
        "Expand",
        "MatMul",
        "LayerNormalization",
    ];
    for _ in 0..1 + random.below(3) {
        let (nodes, tensors) = (graph.node.len(), graph.initializer.len());
        let node = &mut graph.node[random.below(nodes)];
        let attributes = node.attribute.len();
        match random.below(9) {
            0 => node.op_type = OPERATORS[random.below(OPERATORS.len())].into(),
            1 if !node.input.is_empty() => {
                let at = random.below(node.input.len());
                node.input[at] = names[random.below(names.len())].clone();
            }
            2 => drop(node.input.pop()),
            3 => node.input.push(names[random.below(names.len())].clone()),
            4 if attributes > 0 => {
                let attribute = &mut node.attribute[random.below(attributes)];
                let value = random.below(1 << 20) as i64 - (1 << 19);
                attribute.i = Some([value, -1, 0, 99, i64::MAX, i64::MIN][random.below(6)]);
                attribute.ints.iter_mut().for_each(|v| *v = value % 7);
            }
            5 if attributes > 0 => drop(node.attribute.pop()),
            6 => graph.initializer[random.below(tensors)].dims.reverse(),
            7 => {
                let tensor = &mut graph.initializer[random.below(tensors)];
                tensor.data_type = [1, 6, 12][random.below(3)];
            }
            _ => {
                let other = random.below(nodes);
                let at = random.below(nodes);
                graph.node.swap(at, other);
            }
        }
    }
    model.encode_to_vec()
}

/// Damage of any kind is an error, or a graph that runs or fails to: never a panic, never a crash.
/// `SATMIP_FUZZ=N` tries N files for each engine and kind.
#[test]
fn damaged_files_never_bring_the_process_down() {
    let tries = std::env::var("SATMIP_FUZZ").map_or(150, |n| n.parse().unwrap());
    let (batch, x) = (Batch::of(2, 1), block_input(2));
    let block_inputs = [("x", Input::F32(x.view().into_dyn()))];
    let graphs = [(mixed(), &batch.inputs()[..]), (block(), &block_inputs)];
    type Damage = fn(&[u8], &mut Random) -> Vec<u8>;
    let kinds: [Damage; 2] = [damaged, twisted];
    for device in devices() {
        for (graph, inputs) in &graphs {
            for (kind, damage) in kinds.iter().enumerate() {
                let mut random = Random(11);
                let (mut opened, mut ran) = (0, 0);
                for _ in 0..tries {
                    match open(&damage(graph, &mut random), device) {
                        Ok(engine) => {
                            opened += 1;
                            ran += usize::from(engine.run(inputs).is_ok());
                        }
                        Err(error) => assert!(
                            matches!(error, Error::Graph { .. } | Error::Engine { .. }),
                            "{error:?}"
                        ),
                    }
                }
                println!("{device}, kind {kind}: of {tries} files {opened} opened, {ran} ran");
                assert!(opened < tries);
            }
        }
    }
}
