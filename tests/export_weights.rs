//! Weights that are not as they should be, and what comes of them.
#![cfg(feature = "export")]

mod graph_samples;

use std::io::Write;

use graph_samples::{Sample, Tensors, file, samples, tensors};
use safetensors::Dtype;
use satmip::Error;
use satmip::arch::{Arch, weight_shapes};
use satmip::export::{ExportOptions, Precision, Weights, export_image, export_metadata};

fn sample(name: &str) -> Arch {
    samples().into_iter().find(|s| s.name == name).unwrap().arch
}

fn all(arch: &Arch) -> Tensors {
    tensors(&Weights::random(arch, 3).unwrap(), |_, _| {})
}

fn export(arch: &Arch, weights: &Weights) -> satmip::Result<Vec<u8>> {
    match arch.metadata {
        None => export_image(arch, weights, &ExportOptions::default()),
        Some(_) => export_metadata(arch, weights, &ExportOptions::default()),
    }
}

/// The tensor and reason of a refusal.
#[track_caller]
fn refused(arch: &Arch, tensors: &Tensors, dtype: Dtype) -> (String, String) {
    let weights = Weights::from_bytes(file(tensors, dtype), "some/file").unwrap();
    match export(arch, &weights) {
        Err(Error::Weights {
            path,
            tensor,
            reason,
        }) => {
            assert_eq!(path.to_str(), Some("some/file"));
            (tensor, reason)
        }
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

/// Names that the exporter of this sample does not read: the other tower's.
fn is_read(arch: &Arch, name: &str) -> bool {
    let image = name.starts_with("image");
    name != "logit_scale" && image == arch.metadata.is_none()
}

#[test]
fn every_tensor_is_needed_and_checked() {
    for Sample { name, arch } in samples() {
        let good = all(&arch);
        assert_eq!(good.len(), weight_shapes(&arch).len());
        for tensor in good.keys().filter(|name| is_read(&arch, name)) {
            let mut lacking = good.clone();
            lacking.remove(tensor);
            let (named, reason) = refused(&arch, &lacking, Dtype::F32);
            assert_eq!(&named, tensor, "{name}");
            assert_eq!(reason, "is missing", "{name}");

            let mut longer = good.clone();
            let (shape, numbers) = longer.get_mut(tensor).unwrap();
            let row: usize = shape[1..].iter().product();
            shape[0] += 1;
            numbers.extend(vec![0.0; row]);
            let (named, reason) = refused(&arch, &longer, Dtype::F32);
            assert_eq!(&named, tensor, "{name}");
            assert!(reason.contains("has shape"), "{name}: {reason}");

            for bad in [f32::NAN, f32::INFINITY] {
                let mut damaged = good.clone();
                *damaged.get_mut(tensor).unwrap().1.last_mut().unwrap() = bad;
                let (named, reason) = refused(&arch, &damaged, Dtype::F32);
                assert_eq!(&named, tensor, "{name}");
                assert!(reason.contains("not finite"), "{name}: {reason}");
            }
        }
    }
}

#[test]
fn tensors_that_nobody_asked_for_are_left_alone() {
    let arch = sample("resnet-basic");
    let mut extra = all(&arch);
    let expected = export(&arch, &Weights::random(&arch, 3).unwrap()).unwrap();
    extra.insert("simclr.head.weight".into(), (vec![2], vec![f32::NAN; 2]));
    let weights = Weights::from_bytes(file(&extra, Dtype::F32), "extra").unwrap();
    assert_eq!(export(&arch, &weights).unwrap(), expected);
}

#[test]
fn a_negative_variance_is_refused() {
    let arch = sample("resnet-basic");
    let mut damaged = all(&arch);
    let name = "image.layer2.0.bn1.running_var";
    damaged.get_mut(name).unwrap().1[0] = -1.0;
    assert_eq!(refused(&arch, &damaged, Dtype::F32).0, name);
}

#[test]
fn half_precision_files_are_widened() {
    let arch = sample("vit-cls");
    let good = all(&arch);
    for (dtype, bits) in [(Dtype::F16, 11), (Dtype::BF16, 8)] {
        let weights = Weights::from_bytes(file(&good, dtype), "half").unwrap();
        for (name, (shape, numbers)) in &good {
            let widened = weights.numbers(name, shape).unwrap();
            for (a, b) in numbers.iter().zip(&widened) {
                let most = a.abs().max(1e-4) * 0.5_f32.powi(bits);
                assert!((a - b).abs() <= most, "{name}: {a} {b}");
            }
        }
        export(&arch, &weights).unwrap();
    }
    let (_, reason) = refused(&arch, &good, Dtype::F64);
    assert!(reason.contains("F64"), "{reason}");
}

#[test]
fn a_file_gives_what_its_bytes_give() {
    let arch = sample("text");
    let bytes = file(&all(&arch), Dtype::F32);
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(&bytes).unwrap();
    let opened = Weights::open(on_disk.path()).unwrap();
    assert_eq!(opened.path(), on_disk.path());
    let held = Weights::from_bytes(bytes.clone(), "held").unwrap();
    assert_eq!(opened.names(), held.names());
    assert_eq!(
        export(&arch, &opened).unwrap(),
        export(&arch, &held).unwrap()
    );

    // The file is cut short after it was opened.
    on_disk.as_file().set_len(bytes.len() as u64 / 2).unwrap();
    assert!(matches!(export(&arch, &opened), Err(Error::Io { .. })));
    let absent = Weights::open(on_disk.path().with_extension("absent"));
    assert!(matches!(absent, Err(Error::Io { .. })));
}

#[test]
fn files_that_are_no_weights_are_refused() {
    let arch = sample("vit-cls");
    let good = file(&all(&arch), Dtype::F32);
    let headers: &[&[u8]] = &[
        b"{}}",
        b"[]",
        b"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        b"{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551615,2],\"data_offsets\":[0,4]}}",
        b"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
        b"{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}",
    ];
    let mut bad: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"text".to_vec(),
        vec![0; 64],
        vec![0xff; 64],
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), &[0]].concat(),
    ];
    bad.extend(headers.iter().map(|header| {
        let length = (header.len() as u64).to_le_bytes();
        [&length, *header, &[0; 4]].concat()
    }));
    for (i, bytes) in bad.into_iter().enumerate() {
        let mut on_disk = tempfile::NamedTempFile::new().unwrap();
        on_disk.write_all(&bytes).unwrap();
        for fault in [
            Weights::open(on_disk.path()).map(|_| ()),
            Weights::from_bytes(bytes, "bad").map(|_| ()),
        ] {
            assert!(
                matches!(fault, Err(Error::Weights { .. })),
                "{i}: {fault:?}"
            );
        }
    }
}

#[test]
fn impossible_requests_are_refused() {
    let arch = sample("vit-cls");
    let weights = Weights::random(&arch, 1).unwrap();
    let options = ExportOptions::default();
    let fault = export_metadata(&arch, &weights, &options).unwrap_err();
    assert!(fault.to_string().contains("no metadata side"), "{fault}");
    let mut impossible = arch.clone();
    impossible.embed_dim = 0;
    let fault = export_image(&impossible, &weights, &options);
    assert!(matches!(fault, Err(Error::Arch { .. })));
    let twice = ExportOptions {
        properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        ..options
    };
    let fault = export_image(&arch, &weights, &twice);
    assert!(matches!(fault, Err(Error::Export { .. })));
    for precision in [Precision::F32, Precision::F16Weights] {
        assert_eq!(
            precision.to_string().parse::<Precision>().unwrap(),
            precision
        );
    }
    assert!("int4".parse::<Precision>().is_err());
}

#[test]
fn properties_and_producer_stand_in_the_file() {
    let arch = sample("vit-cls");
    let weights = Weights::random(&arch, 1).unwrap();
    let options = ExportOptions {
        properties: vec![("satmip.arch".into(), "{\"a\": 1}".into())],
        producer_version: "9.9.9".into(),
        ..Default::default()
    };
    let bytes = export_image(&arch, &weights, &options).unwrap();
    let limits = satmip_export::check::Limits::default();
    let model = satmip_export::check::read(&bytes, &limits).unwrap();
    assert_eq!(model.producer_name, "satmip");
    assert_eq!(model.producer_version, "9.9.9");
    assert_eq!(model.opset_import[0].version, 20);
    assert_eq!(model.metadata_props[0].key, "satmip.arch");
    assert_eq!(model.metadata_props[0].value, "{\"a\": 1}");
    assert_eq!(
        export_image(&arch, &weights, &options).unwrap(),
        bytes,
        "the same bytes each time"
    );
}
