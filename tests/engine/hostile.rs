//! Files that are no graphs, or that mean harm.

use super::*;

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
