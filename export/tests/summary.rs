//! What is counted in a model, against numbers by hand; and files that lie.

use std::io::Cursor;

use prost::Message;
use satmip_export::check::Limits;
use satmip_export::layers::{Attention, Conv2d, Linear, causal_mask};
use satmip_export::messages::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, IN_SIDE_FILE, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use satmip_export::summary::{Extent, Precision, Summary, SymbolValues, skim};
use satmip_export::{
    DataType, Dim, Error, Graph, ModelInfo, Result, Tensor, Value, WeightStorage, Window,
};

fn numbers(dims: &[usize]) -> Tensor {
    let count = dims.iter().product();
    Tensor::f32(dims.to_vec(), vec![0.25; count]).unwrap()
}

fn built(storage: WeightStorage, fill: impl FnOnce(&mut Graph) -> Result<Value>) -> ModelProto {
    let mut graph = Graph::new("main", 20).unwrap().with_weight_storage(storage);
    let y = fill(&mut graph).unwrap();
    graph.output("y", y).unwrap();
    let info = ModelInfo {
        producer_version: "7".into(),
        properties: vec![("key".into(), "value".into())],
        ..ModelInfo::new("test")
    };
    graph.finish(&info).unwrap().into_proto()
}

fn linear(g: &mut Graph) -> Result<Value> {
    let x = g.input("x", DataType::F32, vec![Dim::from("batch"), 32.into()])?;
    let layer = Linear {
        weight: numbers(&[64, 32]),
        bias: Some(numbers(&[64])),
    };
    layer.apply(g, "layer", x)
}

fn of(model: &ModelProto, symbols: &SymbolValues) -> Summary {
    Summary::of(model, symbols).unwrap()
}

/// A model that is not the builder's: inputs of these names and shapes (none for `?`), constants,
/// and nodes.
fn by_hand(
    inputs: &[(&str, i32, &[Option<u64>])],
    constants: Vec<TensorProto>,
    nodes: Vec<NodeProto>,
) -> ModelProto {
    let value = |(name, elem_type, dims): &(&str, i32, &[Option<u64>])| ValueInfoProto {
        name: (*name).into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: *elem_type,
                shape: Some(TensorShapeProto {
                    dim: dims
                        .iter()
                        .map(|dim| DimensionProto {
                            value: dim.map(|n| DimensionValue::DimValue(n as i64)),
                        })
                        .collect(),
                }),
            }),
        }),
    };
    let set = |domain: &str, version| OperatorSetIdProto {
        domain: domain.into(),
        version,
    };
    ModelProto {
        ir_version: 9,
        opset_import: vec![set("", 20), set("com.microsoft", 1)],
        graph: Some(GraphProto {
            name: "by hand".into(),
            input: inputs.iter().map(value).collect(),
            initializer: constants,
            node: nodes,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str, ints: &[(&str, &[i64])]) -> NodeProto {
    let (domain, op) = op.rsplit_once(':').unwrap_or(("", op));
    NodeProto {
        op_type: op.into(),
        domain: domain.into(),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        attribute: ints
            .iter()
            .map(|(name, values)| AttributeProto {
                name: (*name).into(),
                r#type: if values.len() == 1 { 2 } else { 7 },
                i: (values.len() == 1).then(|| values[0]),
                ints: values.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn constant(name: &str, data_type: i32, dims: &[i64], bytes: usize) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type,
        dims: dims.to_vec(),
        raw_data: Some(vec![0; bytes]),
        ..Default::default()
    }
}

#[test]
fn a_linear_layer_by_hand() {
    let summary = of(&built(WeightStorage::F32, linear), &SymbolValues::ones());
    assert_eq!(
        (summary.name.as_str(), summary.producer.as_str()),
        ("main", "test 7")
    );
    assert_eq!(summary.opsets, [("ai.onnx".to_owned(), 20)]);
    assert_eq!(summary.inputs.len(), 1);
    let input = &summary.inputs[0];
    let shape = [Extent::Name("batch".into()), Extent::Number(32)];
    assert_eq!(input.shape.as_deref(), Some(&shape[..]));
    assert_eq!(
        (input.name.as_str(), input.element_type.as_str()),
        ("x", "f32")
    );
    assert_eq!(
        summary.outputs[0].shape.as_ref().unwrap()[1],
        Extent::Number(64)
    );
    let operators: Vec<_> = summary
        .operators
        .iter()
        .map(|(k, v)| (k.as_str(), *v))
        .collect();
    assert_eq!(operators, [("Add", 1), ("Identity", 1), ("MatMul", 1)]);
    assert_eq!(summary.parameters, 64 * 32 + 64);
    assert_eq!(summary.constant_bytes(), 4 * (64 * 32 + 64));
    assert_eq!(summary.constants["f32"].tensors, 2);
    assert_eq!(summary.precision, Precision::F32);
    assert_eq!(summary.macs.to_string(), "2048");
    assert_eq!(summary.properties, [("key".to_owned(), "value".to_owned())]);
    let many = SymbolValues::ones().with("batch", 10);
    let summary = of(&built(WeightStorage::F32, linear), &many);
    assert_eq!(summary.macs.by_operator["MatMul"], 20480);
}

#[test]
fn halves_with_a_cast_are_told_from_halves() {
    let halves = built(WeightStorage::F16, linear);
    let summary = of(&halves, &SymbolValues::ones());
    assert_eq!(summary.precision, Precision::F16Weights);
    assert_eq!(summary.constants["f16"].bytes, 2 * 64 * 32);
    assert_eq!(summary.constants["f32"].bytes, 4 * 64);
    assert_eq!(summary.macs.counted, 2048, "through the cast");
    let direct = by_hand(
        &[("x", 10, &[Some(1), Some(4)])],
        vec![constant("w", 10, &[4, 3], 24)],
        vec![node("MatMul", &["x", "w"], "y", &[])],
    );
    assert_eq!(of(&direct, &SymbolValues::ones()).precision, Precision::F16);
}

#[test]
fn a_convolution_by_hand() {
    let model = built(WeightStorage::F32, |g| {
        let shape = vec![Dim::from("batch"), 3.into(), 16.into(), 16.into()];
        let x = g.input("x", DataType::F32, shape)?;
        let window = |kernel, stride| Window {
            kernel,
            stride,
            padding: (kernel / 2, kernel / 2),
        };
        let conv = Conv2d {
            weight: numbers(&[8, 3, 3, 3]),
            bias: Some(numbers(&[8])),
            window: window(3, 2),
            groups: 1,
        };
        let x = conv.apply(g, "conv", x)?;
        let x = g.max_pool(x, window(3, 2))?;
        let conv = Conv2d {
            weight: numbers(&[5, 8, 1, 1]),
            bias: None,
            window: window(1, 1),
            groups: 1,
        };
        let x = conv.apply(g, "other", x)?;
        let conv = Conv2d {
            weight: numbers(&[5, 1, 3, 3]),
            bias: None,
            window: Window {
                padding: (0, 1),
                ..window(3, 2)
            },
            groups: 5,
        };
        let x = conv.apply(g, "depthwise", x)?;
        g.clip(x, 0.0, 6.0)
    });
    // 8 x 8 places of 8 filters of 3 x 3 x 3, then 4 x 4 places of 5 filters of 8, then 2 x 2 places of 5 filters
    // of 3 x 3.
    let expected = 8 * 8 * 8 * 27 + 4 * 4 * 5 * 8 + 2 * 2 * 5 * 9;
    let summary = of(&model, &SymbolValues::ones());
    assert_eq!(
        (summary.macs.counted, summary.macs.is_exact()),
        (expected, true)
    );
}

/// 5 tokens, width 8, 2 heads: the shapes go through Reshape, Transpose, Range and Where.
#[test]
fn attention_by_hand_with_and_without_the_stated_shapes() {
    let mut model = built(WeightStorage::F32, |g| {
        let shape = vec![Dim::from("batch"), Dim::from("length"), 8.into()];
        let x = g.input("x", DataType::F32, shape)?;
        let mask = causal_mask(g, "mask", x, 1)?;
        let layer = |rows, columns| Linear {
            weight: numbers(&[rows, columns]),
            bias: Some(numbers(&[rows])),
        };
        let attention = Attention {
            qkv: layer(24, 8),
            proj: layer(8, 8),
            heads: 2,
        };
        attention.apply(g, "attn", x, x, Some(mask))
    });
    let expected = 5 * 8 * 24 + 2 * (2 * 5 * 5 * 4) + 5 * 8 * 8;
    let symbols = SymbolValues::ones().with("length", 5);
    let stated = of(&model, &symbols);
    assert_eq!(
        (stated.macs.counted, stated.macs.is_exact()),
        (expected, true)
    );
    model.graph.as_mut().unwrap().value_info.clear();
    assert_eq!(of(&model, &symbols), stated);
    // What the file states of a value that an operator here gives is not believed.
    let lie = by_hand(&[("y", 1, &[Some(9), Some(9)])], vec![], vec![]);
    let lie = lie.graph.unwrap().input.remove(0);
    let mut lied = model.clone();
    let graph = lied.graph.as_mut().unwrap();
    let product = graph.node.iter().find(|n| n.op_type == "MatMul").unwrap();
    graph.value_info = vec![ValueInfoProto {
        name: product.output[0].clone(),
        ..lie
    }];
    assert_eq!(of(&lied, &symbols).macs, stated.macs);
}

#[test]
fn operators_of_quantised_and_fused_graphs_by_hand() {
    let model = by_hand(
        &[
            ("x", 1, &[Some(1), Some(5), Some(8)]),
            ("picture", 2, &[None, Some(4), Some(6), Some(7)]),
        ],
        vec![
            constant("w", 3, &[8, 24], 192),
            constant("kernel", 3, &[6, 2, 3, 3], 108),
            constant("parts", 7, &[3], 24),
            constant("g", 1, &[3, 5], 60),
        ],
        vec![
            NodeProto {
                output: vec!["xq".into(), "xs".into(), "xz".into()],
                ..node("DynamicQuantizeLinear", &["x"], "", &[])
            },
            node("MatMulInteger", &["xq", "w", "xz"], "qkv", &[]),
            // Two groups, dilated by 2: (6 + 2 - 4) x (7 + 2 - 4) places.
            node(
                "ConvInteger",
                &["picture", "kernel"],
                "conv",
                &[
                    ("group", &[2]),
                    ("dilations", &[2, 2]),
                    ("pads", &[1, 1, 1, 1]),
                ],
            ),
            node("Cast", &["qkv"], "wide", &[("to", &[1])]),
            NodeProto {
                output: vec!["q".into(), "k".into(), "v".into()],
                ..node("Split", &["wide"], "", &[("axis", &[-1])])
            },
            node(
                "com.microsoft:MultiHeadAttention",
                &["q", "k", "v"],
                "mixed",
                &[("num_heads", &[2])],
            ),
            node(
                "ReduceMean",
                &["mixed"],
                "mean",
                &[("keepdims", &[0]), ("axes", &[0, 1])],
            ),
            node("Slice", &["mixed", "at", "to"], "cut", &[]),
            node("Gemm", &["g", "g"], "square", &[("transB", &[1])]),
        ],
    );
    let summary = of(&model, &SymbolValues::ones());
    let macs = &summary.macs;
    assert_eq!(macs.by_operator["MatMulInteger"], 5 * 8 * 24);
    assert_eq!(macs.by_operator["ConvInteger"], 4 * 5 * 6 * (2 * 3 * 3));
    assert_eq!(
        macs.by_operator["com.microsoft.MultiHeadAttention"],
        5 * 5 * (8 + 8)
    );
    assert_eq!(macs.by_operator["Gemm"], 3 * 5 * 3);
    assert!(macs.is_exact(), "{:?}", macs.uncounted);
    assert_eq!(summary.precision, Precision::Int8Dynamic);
    assert_eq!(
        summary.parameters,
        192 + 108 + 15,
        "shapes are no parameters"
    );
}

#[test]
fn what_cannot_be_told_is_said_to_be_unknown() {
    let ones = SymbolValues::ones();
    let inputs: &[(&str, i32, &[Option<u64>])] = &[("x", 1, &[None, Some(4)])];
    let weights = || vec![constant("w", 1, &[4, 3], 48)];
    let product = || node("MatMul", &["x", "w"], "y", &[]);
    // An operator that nobody knows in front of one of two products.
    let strange = node("com.example:Fold", &["y"], "folded", &[]);
    let second = node("MatMul", &["folded", "w"], "z", &[]);
    let model = by_hand(
        inputs,
        weights(),
        vec![product(), strange.clone(), second.clone()],
    );
    let macs = of(&model, &ones).macs;
    assert_eq!(macs.to_string(), "at least 12");
    assert_eq!(macs.uncounted["MatMul"], (1, "a shape is not known"));
    assert!(macs.uncounted.contains_key("com.example.Fold"));
    let macs = of(&by_hand(inputs, weights(), vec![strange, second]), &ones).macs;
    assert_eq!(macs.to_string(), "unknown");
    // Inputs that do not fit, a loop, and a number beyond 64 bits.
    let misfit = node("MatMul", &["w", "w"], "y", &[]);
    assert!(
        of(&by_hand(inputs, weights(), vec![misfit]), &ones)
            .macs
            .is_unknown()
    );
    let looped = node("Loop", &["x"], "y", &[]);
    assert!(
        of(&by_hand(inputs, vec![], vec![looped]), &ones)
            .macs
            .is_unknown()
    );
    let huge: &[Option<u64>] = &[Some(1 << 40), Some(1 << 40)];
    let model = by_hand(
        &[("x", 1, huge)],
        vec![],
        vec![node("MatMul", &["x", "x"], "y", &[])],
    );
    assert!(of(&model, &ones).macs.is_unknown());
    // No product at all is a known 0.
    let model = by_hand(inputs, vec![], vec![node("Relu", &["x"], "y", &[])]);
    assert_eq!(of(&model, &ones).macs.to_string(), "0");
    assert_eq!(of(&model, &ones).precision, Precision::None);
}

#[test]
fn impossible_constants_and_far_files_are_refused() {
    let refusal = |tensor: TensorProto| {
        let model = by_hand(&[], vec![tensor], vec![]);
        let error = Summary::of(&model, &SymbolValues::ones()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }));
        error.to_string()
    };
    let dims = |dims: &[i64]| constant("w", 1, dims, 0);
    assert!(refusal(dims(&[i64::MAX, 3])).contains("cannot have the shape"));
    assert!(refusal(dims(&[-1, 3])).contains("cannot have the shape"));
    assert!(
        refusal(dims(&[1 << 60, 1])).contains("cannot have the shape"),
        "in bits"
    );
    let outside = |location: &str, length: &str| {
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        };
        TensorProto {
            raw_data: None,
            data_location: Some(IN_SIDE_FILE),
            external_data: vec![
                entry("location", location),
                entry("offset", "4096"),
                entry("length", length),
            ],
            ..constant("w", 1, &[2, 2], 0)
        }
    };
    for location in ["/etc/passwd", "../w.bin", "a/b", "c:w", ""] {
        assert!(
            refusal(outside(location, "16")).contains("beside the model"),
            "{location}"
        );
    }
    assert!(refusal(outside("w.bin", "17")).contains("its shape"));
    assert!(refusal(outside("w.bin", "x")).contains("no number"));
    let model = by_hand(&[], vec![outside("w.bin", "16")], vec![]);
    let summary = of(&model, &SymbolValues::ones());
    assert_eq!(summary.side_files["w.bin"], 4096 + 16);
}

fn skimmed(bytes: &[u8]) -> Result<ModelProto> {
    skim(Cursor::new(bytes), bytes.len() as u64, &Limits::default())
}

#[test]
fn skimming_leaves_the_weights_and_nothing_else() {
    for storage in [WeightStorage::F32, WeightStorage::F16] {
        let model = built(storage, linear);
        let mut expected = model.clone();
        for tensor in &mut expected.graph.as_mut().unwrap().initializer {
            tensor.raw_data.take_if(|data| data.len() > 1024);
        }
        assert_ne!(expected, model);
        let found = skimmed(&model.encode_to_vec()).unwrap();
        assert_eq!(found, expected);
        let ones = SymbolValues::ones();
        assert_eq!(of(&found, &ones), of(&model, &ones));
    }
    // Elements that are not raw, in one piece and one by one.
    let mut tensor = constant("w", 1, &[600], 0);
    tensor.raw_data = None;
    tensor.float_data = vec![1.5; 600];
    let model = by_hand(&[], vec![tensor.clone()], vec![]);
    assert_eq!(
        of(
            &skimmed(&model.encode_to_vec()).unwrap(),
            &SymbolValues::ones()
        )
        .parameters,
        600
    );
    tensor.float_data.pop();
    let model = by_hand(&[], vec![tensor], vec![]);
    let error = skimmed(&model.encode_to_vec()).unwrap_err().to_string();
    assert!(error.contains("`w`") && error.contains("599"), "{error}");
    let long = constant("w", 1, &[600, 2], 4796);
    let error = skimmed(&by_hand(&[], vec![long], vec![]).encode_to_vec()).unwrap_err();
    assert!(
        error.to_string().contains("4796 bytes, expected 4800"),
        "{error}"
    );
}

#[test]
fn hostile_bytes_are_refused() {
    let good = built(WeightStorage::F32, linear).encode_to_vec();
    for length in 0..good.len() {
        let found = skimmed(&good[..length]);
        // Cut between two fields of the model, it is whole, but has no graph.
        let summary = found.and_then(|model| Summary::of(&model, &SymbolValues::ones()));
        let after_graph = good.len() - length < 40;
        assert!(
            summary.is_err() || after_graph,
            "{length} of {}",
            good.len()
        );
    }
    for seed in 0..4000_u32 {
        let noise: Vec<u8> = (0..64)
            .map(|i| (seed.wrapping_mul(2_654_435_761).wrapping_add(i * 40_503) >> 13) as u8)
            .collect();
        let mut turned = good.clone();
        let bit = seed as usize % (good.len().min(500) * 8);
        turned[bit / 8] ^= 1 << (bit % 8);
        for bytes in [noise, turned] {
            let _ = skimmed(&bytes).and_then(|m| Summary::of(&m, &SymbolValues::ones()));
        }
    }
    // Graphs inside graphs, deeper than any stack should follow.
    let mut deep = Vec::new();
    for _ in 0..5000 {
        let mut outer = vec![0x32];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend(&deep);
        deep = vec![0x2a];
        prost::encoding::encode_varint(outer.len() as u64, &mut deep);
        deep.extend(&outer);
        deep = [vec![0x0a], length_of(&deep), deep].concat();
    }
    let model = [vec![0x3a], length_of(&deep), deep].concat();
    assert!(
        skimmed(&model)
            .unwrap_err()
            .to_string()
            .contains("too deep")
    );
    let nodes = GraphProto {
        node: vec![NodeProto::default(); 10_000],
        ..Default::default()
    };
    let model = ModelProto {
        graph: Some(nodes),
        ..Default::default()
    };
    let bytes = model.encode_to_vec();
    let few = Limits {
        parts: 1000,
        ..Limits::default()
    };
    let fault = skim(Cursor::new(&bytes), bytes.len() as u64, &few).unwrap_err();
    assert!(fault.to_string().contains("more than 1000"), "{fault}");
    let tight = Limits {
        bytes: 100,
        ..Limits::default()
    };
    let fault = skim(Cursor::new(&bytes), bytes.len() as u64, &tight).unwrap_err();
    assert!(matches!(fault, Error::TooLarge { .. }), "{fault}");
}

fn length_of(bytes: &[u8]) -> Vec<u8> {
    let mut length = Vec::new();
    prost::encoding::encode_varint(bytes.len() as u64, &mut length);
    length
}
