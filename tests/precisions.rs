//! Every precision of every tower against f32, in each engine that is there.
#![cfg(all(feature = "export", feature = "serve"))]

#[allow(dead_code)]
mod graph_engines;

use std::collections::BTreeMap;

use graph_engines::Input;
use satmip::arch::*;
use satmip::export::{ExportOptions, Precision, Weights, export_image, export_metadata};
use satmip::{Field, FieldSet};
use satmip_export::messages::{ElementType, GraphProto, ModelProto};
use satmip_export::passes::{kernel_weights, linear_weights};
use satmip_export::{Model, check};

const ROWS: usize = 5;

/// A tower with weights that are large enough to be quantised, and inputs for it.
struct Case {
    name: &'static str,
    arch: Arch,
    side: &'static str,
    inputs: Vec<(&'static str, Input)>,
}

fn cases() -> Vec<Case> {
    let vit = ImageTower::Vit(VitConfig {
        patch: 8,
        dim: 96,
        depth: 2,
        heads: 3,
        mlp_ratio: 4,
        pool: Pool::Cls,
        norm_eps: 1e-6,
    });
    let resnet = ImageTower::ResNet(ResNetConfig {
        stem: Stem {
            kernel: 7,
            stride: 2,
            max_pool: true,
        },
        block: ResNetBlock::Basic,
        widths: vec![16, 32],
        depths: vec![1, 1],
    });
    let stage = |[kernel, stride, expansion, width, depth]: [usize; 5]| MbConvStage {
        kernel,
        stride,
        expansion,
        width,
        depth,
    };
    let stages = [[3, 1, 1, 16, 1], [3, 2, 6, 24, 2], [5, 2, 6, 40, 1]];
    let lite = ImageTower::EfficientNetLite(EfficientNetLiteConfig {
        stem: 16,
        stages: stages.map(stage).to_vec(),
        head: 96,
    });
    let text = MetadataTower::Text(TextConfig {
        vocabulary: 300,
        context: 24,
        end_token: 2,
        dim: 64,
        depth: 2,
        heads: 4,
        norm_eps: 1e-5,
    });
    let number = |name: &str, field| NumberColumn {
        name: name.into(),
        field,
        mean: 0.0,
        std: 1.0,
    };
    let tabular = |tokens| {
        MetadataTower::Tabular(TabularConfig {
            dim: 48,
            depth: 2,
            heads: 4,
            hidden: 64,
            tokens,
            attention_dropout: 0.0,
            hidden_dropout: 0.0,
            norm_eps: 1e-5,
            columns: TabularColumns {
                numbers: vec![
                    number("gsd.x", Field::Gsd),
                    number("gsd.y", Field::Gsd),
                    number("cloud_cover", Field::CloudCover),
                ],
                categories: vec![CategoryColumn {
                    name: "country_code".into(),
                    field: Field::CountryCode,
                    vocabulary: (0..40).map(|i| format!("{i:03}")).collect(),
                }],
            },
        })
    };
    let mut random = 7_u32;
    let mut noise = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 16
    };
    let pixels: Vec<u8> = (0..ROWS * 32 * 32 * 3).map(|_| noise() as u8).collect();
    let image = || vec![("image", Input::U8(vec![ROWS, 32, 32, 3], pixels.clone()))];
    let ids = (0..ROWS).flat_map(|row| {
        let ids = (0..20).map(move |i| match i {
            0 => 1,
            i if i == 12 + row => 2,
            i if i > 12 + row => 0,
            i => 3 + ((i * 37 + row * 91) % 290) as i64,
        });
        ids.collect::<Vec<_>>()
    });
    let ids = vec![("input_ids", Input::I64(vec![ROWS, 20], ids.collect()))];
    let numbers = (0..ROWS * 3).map(|_| noise() as f32 / 16384.0 - 2.0);
    let table = vec![
        ("numbers", Input::F32(vec![ROWS, 3], numbers.collect())),
        (
            "categories",
            Input::I64(vec![ROWS, 1], vec![3, 0, 40, 7, 1]),
        ),
        (
            "present",
            Input::Bool(vec![ROWS, 3], (0..ROWS * 3).map(|i| i % 4 != 1).collect()),
        ),
    ];
    let both = |tower| arch(resnet.clone(), Some(tower));
    vec![
        Case {
            name: "vit",
            arch: arch(vit, None),
            side: "image",
            inputs: image(),
        },
        Case {
            name: "resnet",
            arch: arch(resnet.clone(), None),
            side: "image",
            inputs: image(),
        },
        Case {
            name: "lite",
            arch: arch(lite, None),
            side: "image",
            inputs: image(),
        },
        Case {
            name: "text",
            arch: both(text),
            side: "metadata",
            inputs: ids,
        },
        Case {
            name: "tabular, columns",
            arch: both(tabular(TabularTokens::Column)),
            side: "metadata",
            inputs: table.clone(),
        },
        Case {
            name: "tabular, fields",
            arch: both(tabular(TabularTokens::Field)),
            side: "metadata",
            inputs: table,
        },
    ]
}

fn arch(image: ImageTower, tower: Option<MetadataTower>) -> Arch {
    Arch {
        preprocessing: Preprocessing {
            size: 32,
            fit: Fit::default(),
            filter: ResizeFilter::default(),
            mean: [0.4, 0.4, 0.4],
            std: [0.2, 0.2, 0.2],
        },
        image,
        image_projector: Projector::Linear,
        metadata: tower.map(|tower| MetadataSide {
            fields: FieldSet::of(&[Field::Gsd, Field::CountryCode, Field::CloudCover]),
            tower,
            projector: Projector::Linear,
        }),
        embed_dim: 64,
    }
}

fn graph(case: &Case, options: &ExportOptions) -> Vec<u8> {
    let weights = Weights::random(&case.arch, 11).unwrap();
    let export = match case.side {
        "image" => export_image,
        _ => export_metadata,
    };
    export(&case.arch, &weights, options).unwrap()
}

fn in_precision(case: &Case, precision: Precision) -> Vec<u8> {
    let options = ExportOptions {
        precision,
        ..Default::default()
    };
    graph(case, &options)
}

fn read(bytes: &[u8]) -> ModelProto {
    check::read(bytes, &Default::default()).unwrap()
}

fn main_graph(model: &ModelProto) -> &GraphProto {
    model.graph.as_ref().unwrap()
}

fn count(model: &ModelProto, op: &str) -> usize {
    main_graph(model)
        .node
        .iter()
        .filter(|n| n.op_type == op)
        .count()
}

/// Bytes of the constants of a type.
fn bytes_of(model: &ModelProto, element: ElementType) -> usize {
    let of_type = |c: &&satmip_export::messages::TensorProto| c.data_type == element as i32;
    let constants = main_graph(model).initializer.iter().filter(of_type);
    constants
        .map(|c| c.raw_data.as_ref().map_or(0, Vec::len))
        .sum()
}

fn least_cosine(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let rows = a.iter().zip(b);
    let cosines = rows.map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt());
    cosines.fold(f64::INFINITY, f64::min)
}

#[test]
fn every_precision_is_near_f32_in_every_engine() {
    // Random weights, so that no layer is more regular than in a trained model.
    let least = BTreeMap::from([
        ("f16", 0.9999),
        ("f16-weights", 0.999_99),
        ("int8", 0.995),
        ("int8-weights", 0.9995),
    ]);
    for case in cases() {
        let f32 = in_precision(&case, Precision::F32);
        for precision in Precision::ALL.into_iter().skip(1) {
            let bytes = in_precision(&case, precision);
            for (mut engine, mut reference) in graph_engines::all(&bytes)
                .into_iter()
                .zip(graph_engines::all(&f32))
            {
                let expected = reference.run(&case.inputs).unwrap();
                let got = engine.run(&case.inputs).unwrap();
                for output in ["features", "embeds"] {
                    let name = format!("{}_{output}", case.side);
                    let cosine = least_cosine(&got[&name], &expected[&name]);
                    let what = format!("{}, {precision}, {}, {name}", case.name, engine.name());
                    println!("{what}: {cosine:.6}");
                    assert!(cosine >= least[precision.name()], "{what}: {cosine}");
                    if output == "embeds" {
                        let lengths = got[&name]
                            .iter()
                            .map(|row| row.iter().map(|v| v * v).sum::<f32>());
                        lengths.for_each(|l| assert!((l - 1.0).abs() < 1e-4, "{what}: {l}"));
                    }
                }
            }
        }
    }
}

#[test]
fn precisions_are_what_they_are_called() {
    for case in cases() {
        let model = |precision| read(&in_precision(&case, precision));
        let f32 = model(Precision::F32);
        let linear = linear_weights(&Model::new(f32.clone()).unwrap()).len();
        assert!(linear > 0, "{}", case.name);

        let int8 = model(Precision::Int8);
        assert_eq!(count(&int8, "MatMulInteger"), linear, "{}", case.name);
        // Layers that read the same value share its bytes.
        assert!(
            count(&int8, "DynamicQuantizeLinear") <= linear,
            "{}",
            case.name
        );

        let weights = model(Precision::Int8Weights);
        assert_eq!(count(&weights, "MatMulInteger"), 0, "{}", case.name);
        let half = model(Precision::F16);
        for small in [&int8, &weights] {
            let stored = bytes_of(small, ElementType::Int8);
            let left = bytes_of(small, ElementType::Float);
            assert!(
                4 * stored > bytes_of(&f32, ElementType::Float) / 2,
                "{}",
                case.name
            );
            assert!(
                left < bytes_of(&f32, ElementType::Float) / 2,
                "{}",
                case.name
            );
        }
        assert!(bytes_of(&half, ElementType::Float16) > bytes_of(&half, ElementType::Float));
        for kept in ["LayerNormalization", "Softmax", "ReduceL2"] {
            assert_eq!(count(&half, kept), count(&f32, kept), "{}", case.name);
        }
        let ports = |model: &ModelProto| {
            let graph = main_graph(model);
            (graph.input.clone(), graph.output.clone())
        };
        for other in [&int8, &weights, &half] {
            assert_eq!(ports(other), ports(&f32), "{}", case.name);
            assert_eq!(other.metadata_props, f32.metadata_props);
        }
    }
}

#[test]
fn layers_that_are_to_be_kept_stay_in_f32() {
    let case = cases().remove(0);
    let plain = Model::new(read(&in_precision(&case, Precision::F32))).unwrap();
    let names = linear_weights(&plain);
    let keep: Vec<String> = names.iter().take(2).cloned().collect();
    let options = ExportOptions {
        precision: Precision::Int8,
        keep: keep.clone(),
        ..Default::default()
    };
    let model = read(&graph(&case, &options));
    assert_eq!(count(&model, "MatMulInteger"), names.len() - 2);
    for name in &keep {
        let constants = &main_graph(&model).initializer;
        let kept = constants.iter().find(|c| c.name == *name).unwrap();
        assert_eq!(kept.data_type, ElementType::Float as i32, "{name}");
    }
}

/// Convolutions' weights may stay in both; matrices that int8 keeps are of no matter to 8-bit weights.
#[test]
fn kernels_that_are_to_be_kept_stay_in_f32() {
    let case = cases().into_iter().find(|case| case.name == "lite");
    let case = case.unwrap();
    let plain = Model::new(read(&in_precision(&case, Precision::F32))).unwrap();
    let kernels: Vec<String> = kernel_weights(&plain)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(kernels.len() > 3, "{kernels:?}");
    let matrix = linear_weights(&plain).remove(0);
    for precision in [Precision::Int8, Precision::Int8Weights] {
        let options = ExportOptions {
            precision,
            keep: vec![kernels[1].clone(), matrix.clone()],
            ..Default::default()
        };
        let model = read(&graph(&case, &options));
        let there = |name: &String| {
            let mut constants = main_graph(&model).initializer.iter();
            constants.any(|c| c.name == *name)
        };
        assert!(there(&kernels[1]) && !there(&kernels[2]), "{precision}");
        assert_eq!(there(&matrix), precision == Precision::Int8);
    }
}

/// What is left in f16 must be able to hold it: the norms of a stream of large numbers are in f32.
#[test]
fn large_activations_survive_half_precision() {
    let case = cases().remove(0);
    let half = read(&in_precision(&case, Precision::F16));
    let graph = main_graph(&half);
    let types: BTreeMap<&str, i32> = graph
        .value_info
        .iter()
        .filter_map(|v| {
            Some((
                &v.name[..],
                v.r#type.as_ref()?.tensor_type.as_ref()?.elem_type,
            ))
        })
        .collect();
    for node in &graph.node {
        let wide = ["LayerNormalization", "Softmax", "ReduceL2"].contains(&&node.op_type[..]);
        let expected = match wide {
            true => ElementType::Float,
            false if ["Gelu", "MatMul", "Conv"].contains(&&node.op_type[..]) => {
                ElementType::Float16
            }
            false => continue,
        };
        assert_eq!(types[&node.output[0][..]], expected as i32, "{}", node.name);
    }
}
