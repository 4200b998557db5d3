//! What graphs compute, on every engine.

use super::*;

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
