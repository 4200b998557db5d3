//! What operators infer, and what they refuse.

use satmip_export::{DataType, Dim, Error, Graph, Size, SliceEnd, Tensor, Value, Window};

fn graph() -> Graph {
    Graph::new("test", 20).unwrap()
}

/// Dimensions from text: numbers, or names.
fn dims(text: &str) -> Vec<Dim> {
    let dim = |d: &str| d.parse::<usize>().map(Dim::Known).unwrap_or(d.into());
    text.split_whitespace().map(dim).collect()
}

fn value(g: &mut Graph, data_type: DataType, shape: &str) -> Value {
    let name = format!("input_{}", g.node_count());
    // Names of inputs that came before are taken: try the next ones.
    (0..100)
        .find_map(|i| g.input(&format!("{name}_{i}"), data_type, dims(shape)).ok())
        .unwrap()
}

fn f32s(g: &mut Graph, shape: &str) -> Value {
    value(g, DataType::F32, shape)
}

#[track_caller]
fn is(g: &Graph, value: Result<Value, Error>, data_type: DataType, shape: &str) {
    let value = value.unwrap();
    assert_eq!(g.shape(value).unwrap(), dims(shape));
    assert_eq!(g.data_type(value).unwrap(), data_type);
}

#[track_caller]
fn misfits(value: Result<Value, Error>) {
    assert!(
        matches!(value, Err(Error::Shape { .. } | Error::Attribute { .. })),
        "{value:?}"
    );
}

#[track_caller]
fn mistyped(value: Result<Value, Error>) {
    assert!(matches!(value, Err(Error::Type { .. })), "{value:?}");
}

#[test]
fn broadcasting() {
    let g = &mut graph();
    for (a, b, both) in [
        ("batch 3 4", "4", "batch 3 4"),
        ("batch 1", "7", "batch 7"),
        ("batch", "batch", "batch"),
        ("1", "batch", "batch"),
        ("5 1", "1 6", "5 6"),
        ("", "batch 2", "batch 2"),
    ] {
        let (x, y) = (f32s(g, a), f32s(g, b));
        let sum = g.add(x, y);
        is(g, sum, DataType::F32, both);
        let less = g.less_or_equal(y, x);
        is(g, less, DataType::Bool, both);
    }
    for (a, b) in [
        ("3", "4"),
        ("batch", "2"),
        ("batch", "length"),
        ("2 3", "2"),
    ] {
        let (x, y) = (f32s(g, a), f32s(g, b));
        misfits(g.mul(x, y));
    }
}

#[test]
fn types() {
    let g = &mut graph();
    let x = f32s(g, "batch 4");
    let i = value(g, DataType::I64, "batch 4");
    let b = value(g, DataType::Bool, "batch 4");
    let u = value(g, DataType::U8, "batch 4");
    mistyped(g.add(x, i));
    mistyped(g.add(u, u));
    mistyped(g.and(x, x));
    mistyped(g.relu(i));
    mistyped(g.clip(i, 0.0, 6.0));
    mistyped(g.gelu(b));
    mistyped(g.select(x, x, x));
    mistyped(g.select(b, x, i));
    mistyped(g.softmax(i, 1));
    mistyped(g.gather(x, x, 0));
    mistyped(g.matmul(i, i));
    mistyped(g.concat(&[x, i], 0));
    mistyped(g.reduce_min(b, &[1], false));
    let chosen = g.select(b, i, i);
    is(g, chosen, DataType::I64, "batch 4");
    let cast = g.cast(u, DataType::F32);
    is(g, cast, DataType::F32, "batch 4");
    let nodes = g.node_count();
    assert_eq!(g.cast(x, DataType::F32).unwrap(), x);
    assert_eq!(g.node_count(), nodes, "a cast to the same type is none");
    let clipped = g.clip(x, 0.0, 6.0);
    is(g, clipped, DataType::F32, "batch 4");
    for (low, high) in [(6.0, 0.0), (f32::NAN, 6.0), (0.0, f32::NAN)] {
        assert!(g.clip(x, low, high).is_err());
    }
}

#[test]
fn matrix_products() {
    let g = &mut graph();
    for (a, b, c) in [
        ("batch 7 4", "4 5", "batch 7 5"),
        (
            "batch 2 length 4",
            "batch 2 4 length",
            "batch 2 length length",
        ),
        (
            "batch 2 length length",
            "batch 2 length 4",
            "batch 2 length 4",
        ),
    ] {
        let (x, y) = (f32s(g, a), f32s(g, b));
        let product = g.matmul(x, y);
        is(g, product, DataType::F32, c);
    }
    for (a, b) in [
        ("2 3", "4 5"),
        ("3", "3 4"),
        ("batch 3", "batch 3"),
        ("2 3 4", "3 4 5"),
    ] {
        let (x, y) = (f32s(g, a), f32s(g, b));
        misfits(g.matmul(x, y));
    }
}

#[test]
fn norms_and_reductions() {
    let g = &mut graph();
    let x = f32s(g, "batch length 6");
    let six = g
        .weight("six", Tensor::f32(vec![6], vec![1.0; 6]).unwrap())
        .unwrap();
    let five = g
        .weight("five", Tensor::f32(vec![5], vec![1.0; 5]).unwrap())
        .unwrap();
    let normed = g.layer_norm(x, six, six, 1e-6);
    is(g, normed, DataType::F32, "batch length 6");
    misfits(g.layer_norm(x, five, six, 1e-6));
    misfits(g.layer_norm(x, six, five, 1e-6));
    for epsilon in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        misfits(g.layer_norm(x, six, six, epsilon));
    }
    let mean = g.reduce_mean(x, &[1], false);
    is(g, mean, DataType::F32, "batch 6");
    let length = g.reduce_l2(x, &[-1], true);
    is(g, length, DataType::F32, "batch length 1");
    misfits(g.reduce_mean(x, &[3], false));
    misfits(g.reduce_mean(x, &[1, -2], false));
    misfits(g.reduce_mean(x, &[], false));
    misfits(g.softmax(x, 3));
    let places = value(g, DataType::I64, "batch length");
    let least = g.reduce_min(places, &[1], false);
    is(g, least, DataType::I64, "batch");
    mistyped(g.reduce_mean(places, &[1], false));
}

#[test]
fn reshaping() {
    let g = &mut graph();
    let x = f32s(g, "batch length 12");
    let heads = g.reshape(x, &[Size::Keep, Size::Keep, Size::Of(3), Size::Of(4)]);
    is(g, heads, DataType::F32, "batch length 3 4");
    let rest = g.reshape(x, &[Size::Keep, Size::Keep, Size::Of(2), Size::Rest]);
    is(g, rest, DataType::F32, "batch length 2 6");
    misfits(g.reshape(x, &[Size::Keep, Size::Rest]));
    misfits(g.reshape(x, &[Size::Keep, Size::Keep, Size::Of(5)]));
    misfits(g.reshape(x, &[Size::Keep, Size::Keep, Size::Of(5), Size::Rest]));
    misfits(g.reshape(x, &[Size::Keep, Size::Keep, Size::Rest, Size::Rest]));
    misfits(g.reshape(x, &[Size::Keep, Size::Keep, Size::Of(0)]));
    misfits(g.reshape(x, &[Size::Of(1), Size::Keep, Size::Of(12)]));
    let tall = f32s(g, "2");
    misfits(g.reshape(tall, &[Size::Keep, Size::Keep]));
    let turned = g.transpose(x, &[2, 0, 1]);
    is(g, turned, DataType::F32, "12 batch length");
    misfits(g.transpose(x, &[0, 1]));
    misfits(g.transpose(x, &[0, 1, 1]));
    misfits(g.transpose(x, &[0, 1, 3]));
    let wider = g.unsqueeze(x, &[0, -1]);
    is(g, wider, DataType::F32, "1 batch length 12 1");
    misfits(g.unsqueeze(x, &[1, 1]));
    misfits(g.unsqueeze(x, &[4]));
}

#[test]
fn joining_and_cutting() {
    let g = &mut graph();
    let (a, b) = (f32s(g, "batch 2 5"), f32s(g, "batch 3 5"));
    let joined = g.concat(&[a, b, a], 1);
    is(g, joined, DataType::F32, "batch 7 5");
    misfits(g.concat(&[a, b], 0));
    misfits(g.concat(&[a, b], 2));
    misfits(g.concat(&[], 0));
    let flat = f32s(g, "batch 2");
    misfits(g.concat(&[a, flat], 1));
    let parts = g.split(b, 1, 3).unwrap();
    assert_eq!(parts.len(), 3);
    is(g, Ok(parts[2]), DataType::F32, "batch 1 5");
    assert!(g.split(b, 1, 2).is_err());
    assert!(g.split(b, 0, 1).is_err(), "a dynamic axis");
    assert!(g.split(b, 1, 0).is_err());
    let cut = g.slice(b, 1, 1, SliceEnd::At(3));
    is(g, cut, DataType::F32, "batch 2 5");
    misfits(g.slice(b, 1, 1, SliceEnd::At(4)));
    misfits(g.slice(b, 1, 2, SliceEnd::At(1)));
    misfits(g.slice(b, 0, 0, SliceEnd::At(1)));
    misfits(g.slice(b, 3, 0, SliceEnd::At(1)));
}

#[test]
fn dimensions_as_values() {
    let g = &mut graph();
    let ids = value(g, DataType::I64, "batch length");
    let table = f32s(g, "10 4");
    let length = g.shape_of(ids, 1, 2).unwrap();
    let rows = g.slice(table, 0, 0, SliceEnd::Dim(length));
    is(g, rows, DataType::F32, "length 4");
    misfits(g.slice(table, 0, 1, SliceEnd::Dim(length)));
    misfits(g.shape_of(ids, 1, 3));
    misfits(g.shape_of(ids, 1, 1));
    let scalar = g.dim_of(ids, 1).unwrap();
    let places = g.range(scalar);
    is(g, places, DataType::I64, "length");
    misfits(g.range(length));
    let unknown = value(g, DataType::I64, "");
    misfits(g.range(unknown));
    misfits(g.slice(table, 0, 0, SliceEnd::Dim(unknown)));

    let batch = g.shape_of(ids, 0, 1).unwrap();
    let rest = g.constant(Tensor::indices(vec![1, 4])).unwrap();
    let shape = g.concat(&[batch, rest], 0).unwrap();
    let token = f32s(g, "1 1 4");
    let expanded = g.expand(token, shape);
    is(g, expanded, DataType::F32, "batch 1 4");
    let wide = f32s(g, "1 2 4");
    misfits(g.expand(wide, shape));
    misfits(g.expand(token, unknown));
}

#[test]
fn looking_up() {
    let g = &mut graph();
    let table = f32s(g, "10 4");
    let ids = value(g, DataType::I64, "batch length");
    let found = g.gather(table, ids, 0);
    is(g, found, DataType::F32, "batch length 4");
    misfits(g.gather(table, ids, 2));
    let x = f32s(g, "batch length 4");
    let places = value(g, DataType::I64, "batch");
    let picked = g.pick(x, places);
    is(g, picked, DataType::F32, "batch 4");
    misfits(g.pick(x, ids));
    let other = value(g, DataType::I64, "7");
    misfits(g.pick(x, other));
}

#[test]
fn windows() {
    let g = &mut graph();
    let x = f32s(g, "batch 3 9 8");
    let window = Window {
        kernel: 3,
        stride: 2,
        padding: (1, 1),
    };
    let kernel = |g: &mut Graph, shape: [usize; 4]| {
        let count = shape.iter().product();
        let tensor = Tensor::f32(shape.to_vec(), vec![0.0; count]).unwrap();
        let name = format!(
            "kernel_{}_{}",
            g.node_count(),
            shape.map(|s| s.to_string()).join("_")
        );
        g.weight(&name, tensor).unwrap()
    };
    let fits = kernel(g, [6, 3, 3, 3]);
    let made = g.conv(x, fits, None, window, 1);
    is(g, made, DataType::F32, "batch 6 5 4");
    let deep = kernel(g, [6, 1, 3, 3]);
    let made = g.conv(x, deep, None, window, 3);
    is(g, made, DataType::F32, "batch 6 5 4");
    let uneven = Window {
        padding: (0, 1),
        ..window
    };
    let made = g.conv(x, deep, None, uneven, 3);
    is(g, made, DataType::F32, "batch 6 4 4");
    misfits(g.conv(x, deep, None, window, 1));
    misfits(g.conv(x, fits, None, window, 0));
    let wide = kernel(g, [6, 3, 3, 5]);
    misfits(g.conv(x, wide, None, window, 1));
    misfits(g.conv(
        x,
        fits,
        None,
        Window {
            stride: 0,
            ..window
        },
        1,
    ));
    let bias = g
        .weight("bias", Tensor::f32(vec![5], vec![0.0; 5]).unwrap())
        .unwrap();
    misfits(g.conv(x, fits, Some(bias), window, 1));
    let small = f32s(g, "batch 3 2 2");
    misfits(g.conv(
        small,
        fits,
        None,
        Window {
            padding: (0, 0),
            ..window
        },
        1,
    ));
    let dynamic = f32s(g, "batch 3 height 8");
    misfits(g.conv(dynamic, fits, None, window, 1));
    let flat = f32s(g, "batch 3");
    misfits(g.conv(flat, fits, None, window, 1));

    let pooled = g.max_pool(x, window);
    is(g, pooled, DataType::F32, "batch 3 5 4");
    misfits(g.max_pool(
        x,
        Window {
            padding: (1, 2),
            ..window
        },
    ));
    misfits(g.max_pool(
        x,
        Window {
            kernel: 0,
            padding: (0, 0),
            stride: 1,
        },
    ));
    misfits(g.max_pool(flat, window));
    let mean = g.global_average_pool(x);
    is(g, mean, DataType::F32, "batch 3 1 1");
    misfits(g.global_average_pool(flat));
}
