//! Exported graphs against a plain f64 reference, in rten and, where it is found, ONNX Runtime.
#![cfg(all(feature = "export", feature = "serve"))]

#[allow(dead_code)]
mod graph_engines;
mod graph_samples;
mod reference;

use graph_engines::{Engine, Input, Outputs};
use graph_samples::{Sample, ids_of, samples};
use reference::{Record, Reference, Row};
use satmip::arch::{Arch, MetadataTower};
use satmip::export::{
    ExportOptions, Precision, Weights, export_image, export_metadata, image_model,
};
use satmip_export::External;

const BATCHES: [usize; 3] = [1, 2, 7];

/// Most that a number of a unit vector may be off.
const TOLERANCE: f64 = 1e-4;

fn weights(arch: &Arch) -> Weights {
    Weights::random(arch, 7).unwrap()
}

fn f16() -> ExportOptions {
    ExportOptions {
        precision: Precision::F16Weights,
        ..Default::default()
    }
}

/// Numbers that look random and are the same in every run.
fn noise(count: usize, seed: usize) -> impl Iterator<Item = u32> {
    (0..count).map(move |i| {
        let mixed = ((i + 1) as u32).wrapping_mul(2_654_435_761) ^ (seed as u32 * 40_503);
        mixed.wrapping_mul(0x85eb_ca6b) >> 16
    })
}

fn pixels(arch: &Arch, row: usize) -> Vec<u8> {
    let size = arch.preprocessing.size;
    noise(size * size * 3, row).map(|v| v as u8).collect()
}

fn images(arch: &Arch, batch: usize) -> Vec<(&'static str, Input)> {
    let size = arch.preprocessing.size;
    let data = (0..batch).flat_map(|row| pixels(arch, row)).collect();
    vec![("image", Input::U8(vec![batch, size, size, 3], data))]
}

fn texts(rows: &[Vec<i64>]) -> Vec<(&'static str, Input)> {
    let dims = vec![rows.len(), rows[0].len()];
    vec![("input_ids", Input::I64(dims, rows.concat()))]
}

fn records(arch: &Arch, rows: &[Record]) -> Vec<(&'static str, Input)> {
    let side = arch.metadata.as_ref().unwrap();
    let MetadataTower::Tabular(c) = &side.tower else {
        panic!("not a tabular tower");
    };
    let (n, m) = (c.columns.numbers.len(), c.columns.categories.len());
    let b = rows.len();
    let numbers = rows.iter().flat_map(|r| r.numbers.clone()).collect();
    let categories = rows.iter().flat_map(|r| r.categories.clone()).collect();
    let present = rows.iter().flat_map(|r| r.present.clone()).collect();
    vec![
        ("numbers", Input::F32(vec![b, n], numbers)),
        ("categories", Input::I64(vec![b, m], categories)),
        ("present", Input::Bool(vec![b, side.fields.len()], present)),
    ]
}

fn record(arch: &Arch, row: usize) -> Record {
    let side = arch.metadata.as_ref().unwrap();
    let MetadataTower::Tabular(c) = &side.tower else {
        panic!("not a tabular tower");
    };
    let columns = &c.columns;
    let numbers = noise(columns.numbers.len(), row).map(|v| v as f32 / 16384.0 - 2.0);
    let places = noise(columns.categories.len(), row + 50);
    let sizes = columns.categories.iter().map(|c| c.vocabulary.len() + 1);
    Record {
        numbers: numbers.collect(),
        categories: places
            .zip(sizes)
            .map(|(v, n)| i64::from(v) % n as i64)
            .collect(),
        present: noise(side.fields.len(), row + 90)
            .map(|v| v % 3 > 0)
            .collect(),
    }
}

/// Largest difference on the embeds, and on the features after both are scaled alike.
#[track_caller]
fn agrees(side: &str, what: &str, outputs: &Outputs, rows: &[Row], tolerance: f64) {
    let unit = |v: &[f64]| -> Vec<f64> {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter().map(|x| x / length).collect()
    };
    let wide = |v: &[f32]| -> Vec<f64> { v.iter().map(|x| f64::from(*x)).collect() };
    let (features, embeds) = (format!("{side}_features"), format!("{side}_embeds"));
    assert_eq!(outputs.len(), 2, "{what}");
    assert_eq!(outputs[&features].len(), rows.len(), "{what}");
    let mut worst = 0.0_f64;
    for (i, row) in rows.iter().enumerate() {
        let got = wide(&outputs[&embeds][i]);
        let length = got.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!(
            (length - 1.0).abs() < 1e-5,
            "{what}: row {i} has length {length}"
        );
        let pairs = [
            (got, row.embeds.clone()),
            (unit(&wide(&outputs[&features][i])), unit(&row.features)),
        ];
        for (got, expected) in pairs {
            assert_eq!(got.len(), expected.len(), "{what}");
            let off = got.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            worst = off.fold(worst, f64::max);
        }
    }
    println!("{what}: max abs {worst:.1e}");
    assert!(worst <= tolerance, "{what}: {worst} is over {tolerance}");
}

fn image_samples() -> Vec<Sample> {
    samples()
        .into_iter()
        .filter(|s| s.arch.metadata.is_none())
        .collect()
}

fn tabular_samples() -> Vec<Sample> {
    let tabular = |arch: &Arch| {
        let side = arch.metadata.as_ref();
        side.is_some_and(|s| matches!(s.tower, MetadataTower::Tabular(_)))
    };
    samples().into_iter().filter(|s| tabular(&s.arch)).collect()
}

fn text_sample() -> Sample {
    samples().into_iter().find(|s| s.name == "text").unwrap()
}

#[test]
fn image_towers_agree_with_the_reference() {
    for Sample { name, arch } in image_samples() {
        let weights = weights(&arch);
        let reference = Reference::new(&arch, &weights);
        let rows: Vec<Row> = (0..7).map(|i| reference.image(&pixels(&arch, i))).collect();
        let graph = export_image(&arch, &weights, &ExportOptions::default()).unwrap();
        for mut engine in graph_engines::all(&graph) {
            for batch in BATCHES {
                let outputs = engine.run(&images(&arch, batch)).unwrap();
                let what = format!("{name}, {}, batch {batch}", engine.name());
                agrees("image", &what, &outputs, &rows[..batch], TOLERANCE);
            }
        }
    }
}

#[test]
fn halves_are_rounded_weights_and_nothing_else() {
    for Sample { name, arch } in image_samples() {
        let weights = weights(&arch);
        let graph = export_image(&arch, &weights, &f16()).unwrap();
        let single = export_image(&arch, &weights, &ExportOptions::default()).unwrap();
        let ratio = single.len() as f64 / graph.len() as f64;
        // Batch norms are folded before kernels are rounded, so only the ViTs can be exact.
        let exact = name.starts_with("vit");
        let reference = match exact {
            true => Reference::of_halves(&arch, &weights),
            false => Reference::new(&arch, &weights),
        };
        let rows: Vec<Row> = (0..2).map(|i| reference.image(&pixels(&arch, i))).collect();
        for mut engine in graph_engines::all(&graph) {
            let outputs = engine.run(&images(&arch, 2)).unwrap();
            let what = format!("{name} as f16, {}, {ratio:.2} times smaller", engine.name());
            agrees(
                "image",
                &what,
                &outputs,
                &rows,
                if exact { TOLERANCE } else { 3e-3 },
            );
        }
    }
    let Sample { arch, .. } = text_sample();
    let weights = weights(&arch);
    let ids = ids_of(&arch, 3, 9, 9);
    let rows = [Reference::of_halves(&arch, &weights).text(&ids)];
    let graph = export_metadata(&arch, &weights, &f16()).unwrap();
    for mut engine in graph_engines::all(&graph) {
        let outputs = engine.run(&texts(std::slice::from_ref(&ids))).unwrap();
        let what = format!("text as f16, {}", engine.name());
        agrees("metadata", &what, &outputs, &rows, TOLERANCE);
    }
    for Sample { name, arch } in tabular_samples() {
        let weights = Weights::random(&arch, 7).unwrap();
        let batch: Vec<Record> = (0..2).map(|i| record(&arch, i)).collect();
        let reference = Reference::of_halves(&arch, &weights);
        let rows: Vec<Row> = batch.iter().map(|r| reference.tabular(r)).collect();
        let graph = export_metadata(&arch, &weights, &f16()).unwrap();
        for mut engine in graph_engines::all(&graph) {
            let outputs = engine.run(&records(&arch, &batch)).unwrap();
            let what = format!("{name} as f16, {}", engine.name());
            agrees("metadata", &what, &outputs, &rows, TOLERANCE);
        }
    }
}

#[test]
fn text_agrees_at_every_length_and_batch() {
    let Sample { arch, .. } = text_sample();
    let weights = weights(&arch);
    let reference = Reference::new(&arch, &weights);
    let graph = export_metadata(&arch, &weights, &ExportOptions::default()).unwrap();
    for mut engine in graph_engines::all(&graph) {
        for batch in BATCHES {
            for length in [2, 3, 11, 20] {
                // Captions of several lengths, padded to the longest.
                let ids: Vec<_> = (0..batch)
                    .map(|i| ids_of(&arch, i, (length - i.min(length - 2)).max(2), length))
                    .collect();
                let rows: Vec<Row> = ids.iter().map(|row| reference.text(row)).collect();
                let outputs = engine.run(&texts(&ids)).unwrap();
                let what = format!("text, {}, batch {batch}, length {length}", engine.name());
                agrees("metadata", &what, &outputs, &rows, TOLERANCE);
            }
        }
    }
}

#[test]
fn text_reads_the_first_end_token_and_nothing_behind_it() {
    let Sample { arch, .. } = text_sample();
    let weights = weights(&arch);
    let graph = export_metadata(&arch, &weights, &ExportOptions::default()).unwrap();
    let reference = Reference::new(&arch, &weights);
    let short = ids_of(&arch, 1, 6, 6);
    let padded = ids_of(&arch, 1, 6, 20);
    let mut ended_twice = padded.clone();
    ended_twice[9] = 2;
    let mut trailing = padded.clone();
    trailing[6..].fill(31);
    let endless: Vec<i64> = short
        .iter()
        .map(|id| if *id == 2 { 9 } else { *id })
        .collect();
    for mut engine in graph_engines::all(&graph) {
        let mut run = |ids: &[i64]| engine.run(&texts(&[ids.to_vec()]));
        let alone = run(&short).unwrap();
        for other in [&padded, &ended_twice, &trailing] {
            let outputs = run(other).unwrap();
            for (name, rows) in &alone {
                let off = rows[0]
                    .iter()
                    .zip(&outputs[name][0])
                    .map(|(a, b)| (a - b).abs());
                assert!(off.fold(0.0, f32::max) < 1e-5, "{name}");
            }
        }
        // Without an end token the last token is read, not the start token that all share.
        let outputs = run(&endless).unwrap();
        agrees(
            "metadata",
            "endless",
            &outputs,
            &[reference.text(&endless)],
            TOLERANCE,
        );
        let too_long = vec![5; 21];
        assert!(run(&too_long).is_err(), "longer than the context");
    }
}

#[test]
fn tabular_agrees_with_the_reference() {
    for Sample { name, arch } in tabular_samples() {
        let weights = weights(&arch);
        let reference = Reference::new(&arch, &weights);
        let all: Vec<Record> = (0..7).map(|i| record(&arch, i)).collect();
        let rows: Vec<Row> = all.iter().map(|r| reference.tabular(r)).collect();
        let graph = export_metadata(&arch, &weights, &ExportOptions::default()).unwrap();
        for mut engine in graph_engines::all(&graph) {
            for batch in BATCHES {
                let outputs = engine.run(&records(&arch, &all[..batch])).unwrap();
                let what = format!("{name}, {}, batch {batch}", engine.name());
                agrees("metadata", &what, &outputs, &rows[..batch], TOLERANCE);
            }
        }
    }
}

#[test]
fn what_stands_in_a_missing_field_is_not_read() {
    let Sample { arch, .. } = tabular_samples().remove(0);
    let weights = weights(&arch);
    let graph = export_metadata(&arch, &weights, &ExportOptions::default()).unwrap();
    let plain = |present: bool| Record {
        present: vec![present; arch.metadata.as_ref().unwrap().fields.len()],
        ..record(&arch, 1)
    };
    let absent = plain(false);
    let nonsense = Record {
        numbers: absent.numbers.iter().map(|_| f32::NAN).collect(),
        categories: absent.categories.iter().map(|c| c + 1).collect(),
        present: absent.present.clone(),
    };
    // An index that a column does not have is its unknown value.
    let unknown = Record {
        categories: vec![0; absent.categories.len()],
        ..plain(true)
    };
    let (mut beyond, mut below) = (plain(true), plain(true));
    beyond.categories.fill(1_000_000);
    below.categories.fill(-1);
    for mut engine in graph_engines::all(&graph) {
        let batch = [&absent, &nonsense, &unknown, &beyond, &below].map(|r| Record {
            numbers: r.numbers.clone(),
            categories: r.categories.clone(),
            present: r.present.clone(),
        });
        let outputs = engine.run(&records(&arch, &batch)).unwrap();
        let rows = &outputs["metadata_embeds"];
        assert_eq!(rows[0], rows[1], "{}", engine.name());
        assert_eq!(rows[2], rows[3], "{}", engine.name());
        assert_eq!(rows[2], rows[4], "{}", engine.name());
        assert_ne!(rows[0], rows[2], "{}", engine.name());
    }
}

#[test]
fn a_row_of_zeros_stays_one() {
    let Sample { arch, .. } = text_sample();
    let zeros = graph_samples::edited(&weights(&arch), |name, tensor| {
        if name.starts_with("metadata_projector") {
            tensor.fill(0.0);
        }
    });
    let graph = export_metadata(&arch, &zeros, &ExportOptions::default()).unwrap();
    for mut engine in graph_engines::all(&graph) {
        let outputs = engine.run(&texts(&[ids_of(&arch, 1, 5, 5)])).unwrap();
        let row = &outputs["metadata_embeds"][0];
        assert!(row.iter().all(|v| *v == 0.0), "{}: {row:?}", engine.name());
    }
}

#[test]
fn engines_read_weights_from_a_side_file() {
    let Sample { arch, .. } = image_samples().remove(0);
    let weights = weights(&arch);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.onnx");
    let model = image_model(&arch, &weights, &ExportOptions::default()).unwrap();
    let written = model.write(&path, External::Always).unwrap();
    assert!(written.weights.unwrap().metadata().unwrap().len() > 10_000);
    let rows = [Reference::new(&arch, &weights).image(&pixels(&arch, 0))];
    let engines = [
        Some(Engine::rten_file(&path)),
        Engine::onnx_runtime_file(&path),
    ];
    for mut engine in engines.into_iter().flatten() {
        let outputs = engine.run(&images(&arch, 1)).unwrap();
        let what = format!("side file, {}", engine.name());
        agrees("image", &what, &outputs, &rows, TOLERANCE);
    }
}

/// Writes every sample and has the ONNX project's own checker look it over.
#[test]
fn onnx_checker_accepts_every_graph() {
    let kept = std::env::var_os("SATMIP_KEEP_GRAPHS").map(std::path::PathBuf::from);
    let folder = kept
        .unwrap_or_else(|| std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("export_graphs"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut count = 0;
    for Sample { name, arch } in samples() {
        let weights = weights(&arch);
        for precision in [Precision::F32, Precision::F16Weights] {
            let options = ExportOptions {
                precision,
                properties: vec![("satmip.sample".into(), name.into())],
                ..Default::default()
            };
            let graph = match arch.metadata {
                None => export_image(&arch, &weights, &options),
                Some(_) => export_metadata(&arch, &weights, &options),
            };
            let path = folder.join(format!("{name}-{precision}.onnx"));
            std::fs::write(path, graph.unwrap()).unwrap();
            count += 1;
        }
    }
    let Sample { name, arch } = image_samples().remove(0);
    let model = image_model(&arch, &weights(&arch), &ExportOptions::default()).unwrap();
    let path = folder.join(format!("{name}-side-file.onnx"));
    model.write(&path, External::Always).unwrap();
    count += 1;

    let python = std::env::var_os("SATMIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has_onnx = std::process::Command::new(&python)
        .args(["-c", "import onnx"])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_onnx {
        eprintln!("skipped: {python:?} has no package `onnx` (SATMIP_PYTHON names another)");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx_check.py");
    let output = std::process::Command::new(&python)
        .arg(script)
        .arg(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.matches("ok ").count() >= count, "{said}");
}
