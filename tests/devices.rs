//! Devices that are asked for are those devices or an error. These tests are a file of their own
//! because a process can load one ONNX Runtime only.

use std::path::Path;
use std::process::Command;

use satmip::Error;
use satmip::engine::discovery::{ORT_DYLIB_PATH, SATMIP_ORT_DYLIB, Verdict};
use satmip::engine::{self, Device, Engine, EngineOptions, doctor};
use satmip_export::{DataType, Dim, Graph, ModelInfo};

/// What the child process of a test says.
const CHILD: &str = "SATMIP_TEST_CHILD";

fn identity() -> Vec<u8> {
    let mut graph = Graph::new("identity", 20).unwrap();
    let shape = vec![Dim::from("batch"), Dim::from(2)];
    let x = graph.input("x", DataType::F32, shape).unwrap();
    graph.output("y", x).unwrap();
    let model = graph.finish(&ModelInfo::new("test")).unwrap();
    model.to_bytes().unwrap()
}

fn open(device: Device, library: Option<&str>) -> satmip::Result<Box<dyn Engine>> {
    let options = EngineOptions {
        device,
        sessions: 1,
        library: library.map(Into::into),
        ask_python: false,
    };
    engine::open(&identity(), "identity.onnx", &options)
}

/// Runs one test of this file alone, in a process with this environment and nothing else.
fn child(test: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env_clear()
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn child_says_what_auto_takes() {
    if !is_child() {
        return;
    }
    let engine = open(Device::Auto, None).unwrap();
    let doctor = doctor::examine(&EngineOptions::default());
    assert_eq!(engine.device().to_string(), doctor.auto);
    println!("auto={} libraries={}", doctor.auto, doctor.libraries.len());
    for library in &doctor.libraries {
        println!(
            "{}: {}: {}",
            library.origin,
            library.path.display(),
            library.verdict
        );
    }
}

#[test]
fn auto_falls_to_rten_only_where_nothing_can_be_used() {
    // Neither a Python on the path nor a variable; a system folder may still have a library.
    let text = child("child_says_what_auto_takes", &[]);
    let none = text.contains("auto=rten");
    assert!(none || text.contains("system folder"), "{text}");

    // One that cannot be used is named with the reason, and the search goes on.
    let root = tempfile::tempdir().unwrap();
    let bad = root.path().join("libonnxruntime.so");
    std::fs::write(&bad, "no library").unwrap();
    let bad = bad.to_str().unwrap();
    for variable in [ORT_DYLIB_PATH, SATMIP_ORT_DYLIB] {
        let text = child("child_says_what_auto_takes", &[(variable, bad)]);
        let line = format!("{variable}: {bad}: unusable: ");
        assert!(text.contains(&line), "{text}");
        assert_eq!(text.contains("auto=rten"), none, "{text}");
    }
}

#[test]
fn child_loads_with_and_without_python() {
    if !is_child() {
        return;
    }
    let ran = std::env::var_os("SATMIP_TEST_RAN").unwrap();
    let ran = Path::new(&ran);
    open(Device::Auto, None).unwrap();
    doctor::examine(&EngineOptions::default());
    assert!(!ran.exists(), "a program was run unasked");
    let asking = EngineOptions {
        ask_python: true,
        ..EngineOptions::default()
    };
    // A library of a system folder is in use by now where there is one, and nothing is looked for.
    let known = doctor::examine(&EngineOptions::default())
        .onnxruntime
        .is_some();
    doctor::examine(&asking);
    assert_eq!(ran.exists(), !known);
}

#[cfg(unix)]
#[test]
fn no_program_is_run_unless_asked() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let (python, ran) = (root.path().join("python3"), root.path().join("ran"));
    std::fs::write(&python, "#!/bin/sh\n: > \"$SATMIP_TEST_RAN\"\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let variables = [
        ("PATH", root.path().to_str().unwrap()),
        ("SATMIP_TEST_RAN", ran.to_str().unwrap()),
    ];
    child("child_loads_with_and_without_python", &variables);
}

#[test]
fn child_asks_for_a_library_that_is_not_there() {
    if !is_child() {
        return;
    }
    const PATH: &str = "/no/such/libonnxruntime.so";
    for device in [
        Device::Auto,
        Device::OnnxRuntime,
        Device::Cuda(0),
        Device::TensorRt(1),
    ] {
        match open(device, Some(PATH)).unwrap_err() {
            Error::Device {
                device: named,
                reason,
                hint,
            } => {
                assert_eq!(named, device.to_string());
                assert!(reason.contains(PATH), "{reason}");
                assert!(hint.contains("pip install onnxruntime"), "{hint}");
            }
            other => panic!("{other:?}"),
        }
    }
    // rten needs none.
    assert_eq!(
        open(Device::Rten, Some(PATH)).unwrap().device(),
        Device::Rten
    );
}

#[test]
fn a_library_that_is_named_is_that_library_or_an_error() {
    child("child_asks_for_a_library_that_is_not_there", &[]);
}

#[test]
fn a_gpu_is_a_gpu_or_an_error() {
    for device in [Device::Cuda(0), Device::TensorRt(0)] {
        match open(device, None) {
            Ok(engine) => assert_eq!(engine.device(), device),
            Err(Error::Device {
                device: named,
                reason,
                hint,
            }) => {
                assert_eq!(named, device.to_string());
                assert!(!reason.is_empty() && !hint.is_empty());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_doctor_agrees_with_what_opens() {
    let doctor = doctor::examine(&EngineOptions::default()).with_models(["one", "two"]);
    let available = |name: &str| {
        let report = doctor.devices.iter().find(|d| d.device == name);
        report.unwrap().available
    };
    assert!(available("rten"));
    for device in [Device::OnnxRuntime, Device::Cuda(0), Device::TensorRt(0)] {
        let opened = open(device, None).is_ok();
        assert_eq!(available(&device.to_string()), opened, "{device}");
    }
    let auto = open(Device::Auto, None).unwrap();
    assert_eq!(auto.device().to_string(), doctor.auto);
    match &doctor.onnxruntime {
        None => {
            println!("skipped: no ONNX Runtime");
            assert_eq!(doctor.auto, "rten");
        }
        Some(found) => {
            assert!(found.providers.iter().any(|p| p == "CPUExecutionProvider"));
            let used = doctor
                .libraries
                .iter()
                .filter(|l| l.verdict == Verdict::Used);
            let paths: Vec<&Path> = used.map(|l| l.path.as_path()).collect();
            assert_eq!(paths.len(), 1);
            let json = serde_json::to_value(&doctor.libraries).unwrap();
            assert_eq!(json[0]["verdict"], "used");
        }
    }
    // Whatever is not available says why and what would help.
    for report in doctor.devices.iter().filter(|d| !d.available) {
        assert!(report.reason.is_some() && report.hint.is_some());
    }

    let text = doctor.to_string();
    assert!(
        text.contains("one, two") && text.contains("auto takes"),
        "{text}"
    );
    let json = serde_json::to_value(&doctor).unwrap();
    assert_eq!(json["models"][1], "two");
    assert_eq!(json["rten"], doctor.rten.as_str());
}
