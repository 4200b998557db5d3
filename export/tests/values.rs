//! What the builder refuses of names, values and whole graphs.

use satmip_export::{DataType, Dim, Error, Graph, ModelInfo, Tensor, Value};

fn graph() -> Graph {
    Graph::new("test", 20).unwrap()
}

fn pictures(g: &mut Graph, name: &str) -> Value {
    let shape = vec![Dim::from("batch"), 3.into(), 8.into(), 8.into()];
    g.input(name, DataType::F32, shape).unwrap()
}

#[test]
fn illegal_names_are_refused() {
    let mut g = graph();
    let long = "a".repeat(513);
    for name in [
        "",
        "1st",
        "with space",
        "uml\u{e4}ut",
        "new\nline",
        "a`b",
        &long,
    ] {
        let fault = g.input(name, DataType::F32, vec![1.into()]);
        assert!(matches!(fault, Err(Error::Name { .. })), "{name:?}");
        assert!(Graph::new(name, 20).is_err(), "{name:?}");
    }
    let fault = g.input("x", DataType::F32, vec![Dim::from("a batch")]);
    assert!(matches!(fault, Err(Error::Name { .. })));
    let x = pictures(&mut g, "x");
    let fault = g.within("bad scope", |g| g.relu(x));
    assert!(matches!(fault, Err(Error::Name { .. })));
}

#[test]
fn taken_names_are_refused() {
    let mut g = graph();
    let x = pictures(&mut g, "x");
    let again = g.input("x", DataType::F32, vec![]);
    assert!(matches!(again, Err(Error::Name { .. })));
    g.weight("w", Tensor::scalar(1.0)).unwrap();
    assert!(g.weight("w", Tensor::scalar(2.0)).is_err());
    assert!(g.output("w", x).is_err(), "a weight's name");
    assert!(g.output("x", x).is_err(), "an input's name");
    let y = g.relu(x).unwrap();
    let inner = g.value_name(y).unwrap().to_owned();
    assert!(g.output(&inner, y).is_err(), "an inner value's name");
    g.output("y", y).unwrap();
    assert!(g.output("y", y).is_err(), "another output's name");
}

#[test]
fn scopes_nest_and_end() {
    let mut g = graph();
    let x = pictures(&mut g, "x");
    let name = |g: &Graph, v| g.value_name(v).unwrap().to_owned();
    let inner = g
        .within("a", |g| {
            g.within("b", |g| g.weight("w", Tensor::scalar(1.0)))
        })
        .unwrap();
    assert_eq!(name(&g, inner), "a.b.w");
    let failed: Result<Value, Error> = g.within("a", |g| g.matmul(x, inner));
    assert!(failed.is_err());
    let outer = g.weight("w", Tensor::scalar(1.0)).unwrap();
    assert_eq!(name(&g, outer), "w", "a failed scope ends too");
}

#[test]
fn values_of_another_graph_are_refused() {
    let (mut one, mut other) = (graph(), graph());
    let x = pictures(&mut one, "x");
    let y = pictures(&mut other, "y");
    let foreign = |r: Result<Value, Error>| matches!(r, Err(Error::ForeignValue { .. }));
    assert!(foreign(one.add(x, y)));
    assert!(foreign(one.relu(y)));
    assert!(foreign(one.concat(&[x, y], 1)));
    assert!(foreign(one.select(y, x, x)));
    assert!(matches!(
        one.output("out", y),
        Err(Error::ForeignValue { .. })
    ));
    assert!(one.shape(y).is_err());
}

#[test]
fn constants_are_stored_once() {
    let mut g = graph();
    let half = g.constant(Tensor::scalar(0.5)).unwrap();
    let same = g.constant(Tensor::scalar(0.5)).unwrap();
    let shaped = Tensor::f32(vec![1], vec![0.5]).unwrap();
    let shaped = g.constant(shaped).unwrap();
    let typed = g.constant(Tensor::scalar_i64(0)).unwrap();
    let zero = g.constant(Tensor::scalar(0.0)).unwrap();
    let negative = g.constant(Tensor::scalar(-0.0)).unwrap();
    assert_eq!(half, same);
    for (i, a) in [half, shaped, typed, zero, negative].iter().enumerate() {
        for (k, b) in [half, shaped, typed, zero, negative].iter().enumerate() {
            assert_eq!(i == k, a == b, "{i} {k}");
        }
    }
}

#[test]
fn tensors_must_be_full() {
    assert!(Tensor::f32(vec![2, 3], vec![0.0; 5]).is_err());
    assert!(Tensor::i64(vec![], vec![]).is_err());
    assert!(Tensor::u8(vec![0, 3], vec![]).is_ok());
    assert!(Tensor::bool(vec![usize::MAX, 2], vec![]).is_err());
    assert!(Tensor::indices(vec![1, 2]).transposed().is_err());
    let t = Tensor::f32(vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let turned = t.transposed().unwrap();
    assert_eq!(turned.dims(), [3, 2]);
    assert_eq!(turned.as_f32().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert!(Tensor::scalar(65504.0).to_f16().is_some());
    assert!(Tensor::scalar(65536.0).to_f16().is_none(), "too large");
}

#[test]
fn unfinished_graphs_are_refused() {
    let info = ModelInfo::new("test");
    assert!(matches!(graph().finish(&info), Err(Error::Invalid { .. })));
    let mut g = graph();
    let x = pictures(&mut g, "x");
    g.weight("forgotten", Tensor::scalar(1.0)).unwrap();
    g.output("y", x).unwrap();
    let fault = g.finish(&info).unwrap_err();
    assert!(fault.to_string().contains("forgotten"), "{fault}");
    let twice = ModelInfo {
        properties: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
        ..info
    };
    let mut g = graph();
    let x = pictures(&mut g, "x");
    g.output("y", x).unwrap();
    assert!(g.finish(&twice).is_err());
}

#[test]
fn operator_sets_limit_operators() {
    assert!(Graph::new("test", 16).is_err());
    assert!(Graph::new("test", 23).is_err());
    let mut g = Graph::new("test", 17).unwrap();
    let x = pictures(&mut g, "x");
    let needs = |r: Result<Value, Error>| match r {
        Err(Error::Opset { needs, has, .. }) => (needs, has),
        other => panic!("{other:?}"),
    };
    assert_eq!(needs(g.gelu(x)), (20, 17));
    assert_eq!(needs(g.reduce_mean(x, &[1], false)), (18, 17));
    assert!(matches!(g.split(x, 2, 2), Err(Error::Opset { .. })));
    g.relu(x).unwrap();
}
