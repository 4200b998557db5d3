//! What was found on this machine, what would be used, and why the rest would not.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::discovery::{self, Candidate};
use super::{Device, EngineOptions, onnxruntime, rten};

/// What [`examine`] found. Its text form is a table for people, its JSON form is for programs.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Doctor {
    /// Version of this crate.
    pub satmip: String,
    /// CPU cores that this process may use.
    pub cpus: usize,
    /// The device that [`Device::Auto`] takes.
    pub auto: String,
    /// Each device with what speaks for or against it.
    pub devices: Vec<DeviceReport>,
    /// ONNX Runtime as it is loaded.
    pub onnxruntime: Option<OnnxRuntimeReport>,
    /// Libraries that were found, best first, and what became of them.
    pub libraries: Vec<Candidate>,
    /// Version of the built-in rten.
    pub rten: String,
    /// Where this crate keeps what it can make again.
    pub cache_dir: Option<PathBuf>,
    /// Models that are known by name.
    pub models: Vec<String>,
}

/// A device, and whether graphs can run on it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DeviceReport {
    /// The device's name, as [`Device`] reads it.
    pub device: String,
    /// Whether graphs can run on it.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What would make it available.
    pub hint: Option<String>,
}

/// An ONNX Runtime library that is loaded.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct OnnxRuntimeReport {
    /// The file.
    pub path: PathBuf,
    /// Its version, where the file's name has it.
    pub version: Option<String>,
    /// What the library says of its build.
    pub build: String,
    /// Execution providers that it was built with; that one is listed does not say that it works
    /// here.
    pub providers: Vec<String>,
}

/// Looks for everything that graphs could run on. Loads ONNX Runtime, where there is one.
pub fn examine(options: &EngineOptions) -> Doctor {
    let found = discovery::runtime(options);
    let mut devices = Vec::new();
    for device in [Device::OnnxRuntime, Device::Cuda(0), Device::TensorRt(0)] {
        let checked = match &found {
            Ok(runtime) => runtime.check(device),
            Err(missing) => Err(missing.to_error(device)),
        };
        devices.push(DeviceReport {
            device: device.to_string(),
            available: checked.is_ok(),
            hint: checked.as_ref().err().and_then(|error| error.hint()),
            reason: checked.err().map(|error| match error {
                crate::Error::Device { reason, .. } => reason,
                other => other.to_string(),
            }),
        });
    }
    devices.push(DeviceReport {
        device: Device::Rten.to_string(),
        available: true,
        reason: None,
        hint: None,
    });
    let auto = if found.is_ok() {
        Device::OnnxRuntime
    } else {
        Device::Rten
    };
    let onnxruntime = found.as_ref().ok().map(|runtime| OnnxRuntimeReport {
        path: runtime.path.clone(),
        version: runtime.version(),
        build: runtime.build().to_owned(),
        providers: onnxruntime::providers(runtime)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    });
    Doctor {
        satmip: env!("CARGO_PKG_VERSION").to_owned(),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get()),
        auto: auto.to_string(),
        devices,
        onnxruntime,
        libraries: match found {
            Ok(runtime) => runtime.candidates.clone(),
            Err(missing) => missing.candidates,
        },
        rten: rten::VERSION.to_owned(),
        cache_dir: super::cache_dir(),
        models: Vec::new(),
    }
}

impl Doctor {
    /// Adds the models that are known by name; the engines know none.
    pub fn with_models<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.models = ids.into_iter().map(Into::into).collect();
        self
    }
}

impl fmt::Display for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "satmip       {}", self.satmip)?;
        writeln!(f, "CPU cores    {}", self.cpus)?;
        match &self.onnxruntime {
            None => writeln!(f, "ONNX Runtime none")?,
            Some(found) => {
                let version = found.version.as_deref().unwrap_or("of unknown version");
                writeln!(f, "ONNX Runtime {version} at {}", found.path.display())?;
                writeln!(f, "             {}", found.providers.join(", "))?;
            }
        }
        writeln!(f, "rten         {} (built in)", self.rten)?;
        match &self.cache_dir {
            Some(path) => writeln!(f, "cache        {}", path.display())?,
            None => writeln!(f, "cache        none")?,
        }
        let models = match self.models.is_empty() {
            true => "none built in".to_owned(),
            false => self.models.join(", "),
        };
        writeln!(f, "models       {models}")?;
        writeln!(f, "\ndevices (auto takes {})", self.auto)?;
        for device in &self.devices {
            match &device.reason {
                None => writeln!(f, "  {:<12} available", device.device)?,
                Some(reason) => writeln!(f, "  {:<12} no: {reason}", device.device)?,
            }
            if let Some(hint) = &device.hint {
                writeln!(f, "  {:<12} hint: {hint}", "")?;
            }
        }
        if !self.libraries.is_empty() {
            writeln!(f, "\nlibraries of ONNX Runtime, in the order of the search")?;
        }
        for library in &self.libraries {
            let Candidate {
                path,
                origin,
                verdict,
            } = library;
            writeln!(f, "  {} ({origin}): {verdict}", path.display())?;
        }
        Ok(())
    }
}
