//! Files: in one, with a side file, and hostile ones.

use std::fs;

use prost::Message;
use satmip_export::check::{Limits, check, read};
use satmip_export::layers::{BatchNorm, Conv2d, LayerNorm, Linear};
use satmip_export::messages::{
    AttributeProto, GraphProto, IN_SIDE_FILE, ModelProto, NodeProto, StringStringEntryProto,
    TensorProto,
};
use satmip_export::{
    DataType, Dim, Error, External, Graph, Model, ModelInfo, Tensor, WeightStorage, Window,
};

fn matrix(rows: usize, columns: usize) -> Tensor {
    let data = (0..rows * columns).map(|i| (i % 97) as f32 / 50.0 - 1.0);
    Tensor::f32(vec![rows, columns], data.collect()).unwrap()
}

fn small(storage: WeightStorage) -> Model {
    let mut g = Graph::new("small", 20)
        .unwrap()
        .with_weight_storage(storage);
    let x = g
        .input("x", DataType::F32, vec![Dim::from("batch"), 32.into()])
        .unwrap();
    let layer = Linear {
        weight: matrix(64, 32),
        bias: Some(Tensor::f32(vec![64], vec![0.5; 64]).unwrap()),
    };
    let y = layer.apply(&mut g, "layer", x).unwrap();
    g.output("y", y).unwrap();
    let info = ModelInfo {
        properties: vec![("key".into(), "value".into())],
        ..ModelInfo::new("test")
    };
    g.finish(&info).unwrap()
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn one_file() {
    let model = small(WeightStorage::F32);
    let bytes = model.to_bytes().unwrap();
    assert_eq!(bytes.len() as u64, model.encoded_len());
    let again = read(&bytes, &Limits::default()).unwrap();
    assert_eq!(&again, model.proto());
    assert_eq!(again.metadata_props[0].value, "value");
    let path = folder("one_file").join("model.onnx");
    let written = model.write(&path, External::default()).unwrap();
    assert_eq!(written.weights, None);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_side_file_holds_what_the_model_lacks() {
    let model = small(WeightStorage::F32);
    let folder = folder("side_file");
    for external in [External::Always, External::Above(1000)] {
        let path = folder.join("model.onnx");
        let written = model.write(&path, external).unwrap();
        let side = written.weights.unwrap();
        assert_eq!(side.file_name().unwrap(), "model.onnx.data");
        let proto = read(&fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let data = fs::read(&side).unwrap();
        let tensors = proto.graph.unwrap().initializer;
        let moved = |t: &&TensorProto| t.data_location == Some(IN_SIDE_FILE);
        assert_eq!(tensors.iter().filter(moved).count(), 1, "the matrix alone");
        let tensor = tensors.iter().find(moved).unwrap();
        let entry = |key: &str| {
            let found = tensor.external_data.iter().find(|e| e.key == key);
            found.unwrap().value.parse::<usize>().unwrap()
        };
        let (offset, length) = (entry("offset"), entry("length"));
        assert_eq!(offset % 4096, 0);
        let expected = matrix(64, 32).transposed().unwrap().to_bytes();
        assert_eq!(data[offset..offset + length], expected);
        assert_eq!(tensor.raw_data, None);
    }
    let missing = folder.join("no/such/model.onnx");
    let fault = model.write(&missing, External::Always).unwrap_err();
    assert!(matches!(fault, Error::Io { .. }));
    assert!(model.to_parts("../weights").is_err());
}

#[test]
fn halves_are_stored_and_singles_computed() {
    let model = small(WeightStorage::F16);
    let graph = model.proto().graph.as_ref().unwrap();
    let halves: Vec<_> = graph
        .initializer
        .iter()
        .filter(|t| t.data_type == 10)
        .collect();
    assert_eq!(halves.len(), 1);
    assert_eq!(halves[0].raw_data.as_ref().unwrap().len(), 64 * 32 * 2);
    assert!(graph.node.iter().any(|n| n.op_type == "Cast"));
    let ratio = small(WeightStorage::F32).encoded_len() as f64 / model.encoded_len() as f64;
    assert!(ratio > 1.7, "{ratio}");

    let mut g = Graph::new("large", 20)
        .unwrap()
        .with_weight_storage(WeightStorage::F16);
    let large = Tensor::f32(vec![1, 2], vec![1e6, 0.0]).unwrap();
    let kept = g.weight("large", large).unwrap();
    assert_eq!(g.value_name(kept).unwrap(), "large", "beyond f16: no cast");
}

#[test]
fn layers_refuse_misfits() {
    let mut g = Graph::new("layers", 20).unwrap();
    let x = g
        .input("x", DataType::F32, vec![Dim::from("batch"), 8.into()])
        .unwrap();
    let layer = Linear {
        weight: matrix(4, 9),
        bias: None,
    };
    assert!(layer.apply(&mut g, "linear", x).is_err());
    let norm = LayerNorm {
        weight: Tensor::f32(vec![9], vec![1.0; 9]).unwrap(),
        bias: Tensor::f32(vec![9], vec![1.0; 9]).unwrap(),
        epsilon: 1e-5,
    };
    assert!(norm.apply(&mut g, "norm", x).is_err());
    let conv = || Conv2d {
        weight: Tensor::f32(vec![2, 1, 1, 1], vec![1.0, 2.0]).unwrap(),
        bias: None,
        window: Window {
            kernel: 1,
            stride: 1,
            padding: (0, 0),
        },
        groups: 1,
    };
    let pair = |a, b| Tensor::f32(vec![2], vec![a, b]).unwrap();
    let norm = |variance| BatchNorm {
        weight: pair(1.0, 3.0),
        bias: pair(0.5, -0.5),
        running_mean: pair(1.0, 2.0),
        running_var: variance,
        epsilon: 0.0,
    };
    let folded = conv().folded(&norm(pair(4.0, 9.0))).unwrap();
    assert_eq!(folded.weight.as_f32().unwrap(), [0.5, 2.0]);
    assert_eq!(folded.bias.unwrap().as_f32().unwrap(), [0.0, -2.5]);
    assert!(conv().folded(&norm(pair(4.0, -1.0))).is_err());
    assert!(
        conv().folded(&norm(pair(4.0, 0.0))).is_err(),
        "division by 0"
    );
    assert!(conv().folded(&norm(Tensor::scalar(1.0))).is_err());
}

/// A change to a good model, and what the check must say of it.
type Damage = (&'static str, fn(&mut ModelProto));

fn graph_of(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

#[test]
fn broken_rules_are_found() {
    let damages: &[Damage] = &[
        ("ir_version", |m| m.ir_version = 0),
        ("operator set", |m| m.opset_import.clear()),
        ("twice", |m| m.opset_import.push(m.opset_import[0].clone())),
        ("graph", |m| m.graph = None),
        ("key", |m| m.metadata_props[0].key.clear()),
        ("output", |m| graph_of(m).output.clear()),
        ("an output that nothing makes", |m| {
            graph_of(m).output[0].name = "other".into();
        }),
        ("two inputs", |m| {
            let input = graph_of(m).input[0].clone();
            graph_of(m).input.push(input);
        }),
        ("nothing before it makes", |m| graph_of(m).node.reverse()),
        ("a second time", |m| {
            let node = graph_of(m).node[0].clone();
            graph_of(m).node.push(NodeProto {
                name: "again".into(),
                ..node
            });
        }),
        ("two nodes", |m| {
            let name = graph_of(m).node[0].name.clone();
            graph_of(m).node[1].name = name;
        }),
        ("no operator", |m| graph_of(m).node[0].op_type.clear()),
        ("not imported", |m| {
            graph_of(m).node[0].domain = "com.example".into();
        }),
        ("makes nothing", |m| graph_of(m).node[0].output.clear()),
        ("attribute", |m| {
            graph_of(m).node[0].attribute.push(AttributeProto {
                name: "axis".into(),
                r#type: 2,
                ..Default::default()
            });
        }),
        ("holds a graph", |m| {
            graph_of(m).node[0].attribute.push(AttributeProto {
                name: "body".into(),
                g: Some(Box::default()),
                r#type: 5,
                ..Default::default()
            });
        }),
        ("element type", |m| {
            let info = graph_of(m).input[0].r#type.as_mut().unwrap();
            info.tensor_type.as_mut().unwrap().elem_type = 99;
        }),
        ("tensor", |m| graph_of(m).input[0].r#type = None),
        ("shape", |m| graph_of(m).initializer[0].dims[0] = -1),
        ("shape", |m| {
            graph_of(m).initializer[0].dims = vec![i64::MAX, i64::MAX];
        }),
        ("expected", |m| graph_of(m).initializer[0].dims[0] += 1),
        ("expected", |m| graph_of(m).initializer[0].raw_data = None),
        ("one name", |m| {
            let tensor = graph_of(m).initializer[0].clone();
            graph_of(m).initializer.push(tensor);
        }),
        ("plain file name", |m| {
            let tensor = &mut graph_of(m).initializer[0];
            tensor.raw_data = None;
            tensor.data_location = Some(IN_SIDE_FILE);
            tensor.external_data = vec![StringStringEntryProto {
                key: "location".into(),
                value: "../../etc/passwd".into(),
            }];
        }),
    ];
    let good = small(WeightStorage::F32).into_proto();
    check(&good).unwrap();
    for (expected, damage) in damages {
        let mut model = good.clone();
        damage(&mut model);
        let fault = check(&model).expect_err(expected).to_string();
        assert!(fault.contains(expected), "{fault:?} has no {expected:?}");
        assert!(read(&model.encode_to_vec(), &Limits::default()).is_err());
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let limits = Limits::default();
    let good = small(WeightStorage::F32).to_bytes().unwrap();
    for length in (0..good.len()).step_by(7) {
        assert!(read(&good[..length], &limits).is_err(), "{length}");
    }
    let tight = Limits {
        bytes: 100,
        ..limits
    };
    assert!(matches!(read(&good, &tight), Err(Error::TooLarge { .. })));
    // A graph of empty nodes: two bytes each in the file.
    let nodes = GraphProto {
        node: vec![NodeProto::default(); 10_000],
        ..Default::default()
    };
    let model = ModelProto {
        ir_version: 9,
        graph: Some(nodes),
        ..Default::default()
    };
    let few = Limits {
        parts: 1000,
        ..limits
    };
    let fault = read(&model.encode_to_vec(), &few).unwrap_err();
    assert!(fault.to_string().contains("more than 1000"), "{fault}");
    // Bytes of every kind, and each bit of a good file's beginning turned over: no panic.
    for seed in 0..2000_u32 {
        let noise: Vec<u8> = (0..64)
            .map(|i| (seed.wrapping_mul(2_654_435_761).wrapping_add(i * 40_503) >> 13) as u8)
            .collect();
        let _ = read(&noise, &limits);
        let mut turned = good.clone();
        let bit = seed as usize % (good.len().min(400) * 8);
        turned[bit / 8] ^= 1 << (bit % 8);
        let _ = read(&turned, &limits);
    }
}
