//! ONNX Runtime, loaded at run time, on the CPU or an NVIDIA GPU.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use ort::environment::Environment;
use ort::ep::ExecutionProvider;
use ort::logging::LogLevel;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{PrimitiveTensorElementType, TensorRef};

use super::discovery::{Candidate, library_version};
use super::graph::Graph;
use super::pool::Pool;
use super::port::arrange;
use super::{Device, Engine, Input, Outputs, Port, Source, guarded};
use crate::error::{Error, Result};

pub(super) const NAME: &str = "onnxruntime";

/// The library, loaded.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) path: PathBuf,
    /// What else was found, and what became of it.
    pub(super) candidates: Vec<Candidate>,
    environment: Environment,
}

impl Runtime {
    /// Loads a library; the error is the reason why it cannot be used.
    pub(super) fn load(path: &Path) -> std::result::Result<Runtime, String> {
        // ort takes a relative path from the program's folder, which nobody expects.
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        if !path.is_file() {
            return Err("no such file".into());
        }
        let builder = ort::init_from(&path).map_err(|error| refusal(&error))?;
        let environment = builder
            .with_name("satmip")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| error.to_string())?;
        environment.set_log_level(LogLevel::Warning);
        Ok(Runtime {
            path,
            candidates: Vec::new(),
            environment,
        })
    }

    /// The version, where the file's name has it.
    pub(super) fn version(&self) -> Option<String> {
        let real = self.path.canonicalize().ok()?;
        let version = library_version(real.file_name()?.to_str()?)?;
        let parts: Vec<String> = version.iter().map(u32::to_string).collect();
        (!parts.is_empty()).then(|| parts.join("."))
    }

    /// What the library says of its build.
    pub(super) fn build(&self) -> &'static str {
        ort::info()
    }

    /// Checks that graphs can run on the device.
    pub(super) fn check(&self, device: Device) -> Result<()> {
        self.session_builder(device).map(|_| ())
    }

    fn session_builder(&self, device: Device) -> Result<SessionBuilder> {
        let fail = |error: &dyn std::fmt::Display| Error::Device {
            device: device.to_string(),
            reason: words(error),
            hint: "`satmip doctor` shows what was found".into(),
        };
        let builder = Session::builder(&self.environment).map_err(|error| fail(&error))?;
        // One thread that sleeps between runs: the callers are what runs in parallel.
        let builder = builder.with_intra_threads(1).map_err(|e| fail(&e))?;
        let builder = builder.with_inter_threads(1).map_err(|e| fail(&e))?;
        let builder = builder
            .with_intra_op_spinning(false)
            .map_err(|e| fail(&e))?;
        match device {
            Device::Cuda(gpu) => with_cuda(self, builder, device, gpu),
            Device::TensorRt(gpu) => with_tensorrt(self, builder, device, gpu),
            Device::Auto | Device::OnnxRuntime | Device::Rten => Ok(builder),
        }
    }
}

/// Why a library cannot be loaded, with what the loader said; the path is known to the caller.
fn refusal(error: &ort::LoadDynamicError) -> String {
    use std::error::Error;
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => match error.source() {
            Some(cause) => cause.to_string(),
            None => error.to_string(),
        },
        ort::LoadDynamicError::BadVersion { version_str, .. } => format!(
            "it has version {version_str}, needed is 1.{} or newer",
            ort::MINOR_VERSION
        ),
        ort::LoadDynamicError::MissingApi { .. } => "it is no ONNX Runtime".into(),
        other => other.to_string(),
    }
}

/// What ONNX Runtime logs, as events: a library prints nothing.
fn log(level: LogLevel, category: &str, _id: &str, _place: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => {
            tracing::debug!(target: "onnxruntime", category, "{message}");
        }
        // Of the graph optimiser and of what it did not find, above all; of no use to a caller.
        LogLevel::Warning => tracing::info!(target: "onnxruntime", category, "{message}"),
        LogLevel::Error | LogLevel::Fatal => {
            tracing::warn!(target: "onnxruntime", category, "{message}");
        }
    }
}

/// The part of ONNX Runtime's words that a person can use: of
/// `/src/file.cc:9 Get() [ONNXRuntimeError] : 1 : FAIL : no such library` the last.
fn words(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let marked = line.split_once("[ONNXRuntimeError] : ");
    let message = marked.and_then(|(_, rest)| rest.splitn(3, " : ").nth(2));
    message.unwrap_or(line).trim().to_owned()
}

/// Execution providers by the names that ONNX Runtime has for them, to ask whether a library was
/// built with one; ort has no such type without its feature.
macro_rules! providers {
    ($($kind:ident = $name:literal),*) => {
        $(
            struct $kind;

            impl ExecutionProvider for $kind {
                const NAME: &'static str = $name;

                fn register(&self, _: &mut SessionBuilder) -> ort::Result<()> {
                    Err(ort::Error::new("a name, not a provider"))
                }
            }
        )*

        /// Execution providers that the loaded library was built with, among those that matter here.
        pub(super) fn providers(_loaded: &Runtime) -> Vec<&'static str> {
            let all = [$(($name, $kind::is_available())),*];
            all.into_iter().filter(|(_, built)| matches!(built, Ok(true))).map(|(name, _)| name).collect()
        }
    };
}

providers!(
    TensorRt = "TensorrtExecutionProvider",
    Cuda = "CUDAExecutionProvider",
    Rocm = "ROCMExecutionProvider",
    MiGraphX = "MIGraphXExecutionProvider",
    OpenVino = "OpenVINOExecutionProvider",
    CoreMl = "CoreMLExecutionProvider",
    DirectMl = "DmlExecutionProvider",
    Xnnpack = "XnnpackExecutionProvider",
    Cpu = "CPUExecutionProvider"
);

fn not_in_library(runtime: &Runtime, device: Device, provider: &str) -> Error {
    Error::Device {
        device: device.to_string(),
        reason: format!(
            "the ONNX Runtime at `{}` was built without {provider}",
            runtime.path.display()
        ),
        hint: format!(
            "install `onnxruntime-gpu` and name its library in `{}`",
            super::discovery::SATMIP_ORT_DYLIB
        ),
    }
}

#[cfg(not(feature = "onnxruntime-cuda"))]
fn with_cuda(
    runtime: &Runtime,
    _: SessionBuilder,
    device: Device,
    _: u32,
) -> Result<SessionBuilder> {
    if !matches!(Cuda::is_available(), Ok(true)) {
        return Err(not_in_library(runtime, device, Cuda::NAME));
    }
    Err(Error::Device {
        device: device.to_string(),
        reason: "this program was built without CUDA".into(),
        hint: "build it with the feature `onnxruntime-cuda`".into(),
    })
}

#[cfg(feature = "onnxruntime-cuda")]
fn with_cuda(
    runtime: &Runtime,
    builder: SessionBuilder,
    device: Device,
    gpu: u32,
) -> Result<SessionBuilder> {
    if !matches!(Cuda::is_available(), Ok(true)) {
        return Err(not_in_library(runtime, device, Cuda::NAME));
    }
    let provider = ort::ep::CUDA::default().with_device_id(gpu_number(device, gpu)?);
    registered(builder, provider.build(), device, "CUDA and cuDNN 9")
}

#[cfg(not(feature = "onnxruntime-tensorrt"))]
fn with_tensorrt(
    runtime: &Runtime,
    _: SessionBuilder,
    device: Device,
    _: u32,
) -> Result<SessionBuilder> {
    if !matches!(TensorRt::is_available(), Ok(true)) {
        return Err(not_in_library(runtime, device, TensorRt::NAME));
    }
    Err(Error::Device {
        device: device.to_string(),
        reason: "this program was built without TensorRT".into(),
        hint: "build it with the feature `onnxruntime-tensorrt`".into(),
    })
}

#[cfg(feature = "onnxruntime-tensorrt")]
fn with_tensorrt(
    runtime: &Runtime,
    builder: SessionBuilder,
    device: Device,
    gpu: u32,
) -> Result<SessionBuilder> {
    if !matches!(TensorRt::is_available(), Ok(true)) {
        return Err(not_in_library(runtime, device, TensorRt::NAME));
    }
    let mut provider = ort::ep::TensorRT::default().with_device_id(gpu_number(device, gpu)?);
    // Building an engine takes minutes; the second start finds it.
    let cache = super::cache_dir().map(|cache| cache.join("tensorrt-v1"));
    if let Some(cache) = cache.filter(|cache| std::fs::create_dir_all(cache).is_ok()) {
        let cache = cache.display().to_string();
        provider = provider
            .with_engine_cache(true)
            .with_engine_cache_path(&cache)
            .with_timing_cache(true)
            .with_timing_cache_path(&cache);
    }
    registered(
        builder,
        provider.build(),
        device,
        "CUDA, cuDNN 9 and TensorRT 10",
    )
}

#[cfg(any(feature = "onnxruntime-cuda", feature = "onnxruntime-tensorrt"))]
fn gpu_number(device: Device, gpu: u32) -> Result<i32> {
    i32::try_from(gpu).map_err(|_| Error::Device {
        device: device.to_string(),
        reason: "there is no GPU of this number".into(),
        hint: "`nvidia-smi -L` lists them".into(),
    })
}

#[cfg(any(feature = "onnxruntime-cuda", feature = "onnxruntime-tensorrt"))]
fn registered(
    builder: SessionBuilder,
    provider: ort::ep::ExecutionProviderDispatch,
    device: Device,
    needs: &str,
) -> Result<SessionBuilder> {
    // Without this ONNX Runtime goes on with the CPU and says so in its log alone.
    let provider = provider.error_on_failure();
    builder
        .with_execution_providers([provider])
        .map_err(|error| Error::Device {
            device: device.to_string(),
            reason: words(&error),
            hint: format!(
                "the libraries of {needs} must be where the loader looks (`LD_LIBRARY_PATH`), \
                 in the versions that this ONNX Runtime was built for"
            ),
        })
}

#[derive(Debug)]
pub(super) struct OnnxRuntime {
    graph: String,
    device: Device,
    ports: Graph,
    sessions: Pool<Session>,
}

impl OnnxRuntime {
    pub(super) fn open(
        runtime: &Arc<Runtime>,
        source: Source,
        graph: &str,
        ports: Graph,
        sessions: usize,
        device: Device,
    ) -> Result<Self> {
        let sessions = if device.is_gpu() { 1 } else { sessions };
        let runtime = runtime.clone();
        let name = graph.to_owned();
        let make = move || {
            let mut builder = runtime.session_builder(device)?;
            guarded(NAME, &name, || match &source {
                Source::Bytes(bytes) => builder
                    .commit_from_memory(bytes)
                    .map_err(|error| words(&error)),
                Source::File(file) => {
                    let session = builder.commit_from_file(&file.path);
                    let session = session.map_err(|error| words(&error))?;
                    // What was loaded is what was checked, if the file still is.
                    file.check().map(|()| session)
                }
            })
        };
        let first = make()?;
        let listed = |outlets: &[ort::value::Outlet], ports: &[Port]| {
            outlets.len() == ports.len()
                && ports
                    .iter()
                    .all(|port| outlets.iter().any(|outlet| outlet.name() == port.name))
        };
        if !listed(first.inputs(), &ports.inputs) || !listed(first.outputs(), &ports.outputs) {
            return Err(Error::Engine {
                engine: NAME,
                graph: graph.to_owned(),
                reason: "it sees other inputs or outputs than the file names".into(),
            });
        }
        Ok(OnnxRuntime {
            graph: graph.to_owned(),
            device,
            ports,
            sessions: Pool::new(sessions, Some(first), make),
        })
    }

    fn run_on(
        &self,
        session: &mut Session,
        inputs: &[&Input<'_>],
    ) -> std::result::Result<Outputs, String> {
        let values = inputs.iter().zip(&self.ports.inputs);
        let values = values.map(|(input, port)| Ok((port.name.as_str(), value(input)?)));
        let values = values.collect::<ort::Result<Vec<(&str, SessionInputValue<'_>)>>>();
        let values = values.map_err(|error| words(&error))?;
        let results = session.run(values).map_err(|error| words(&error))?;
        let mut named = Vec::with_capacity(self.ports.outputs.len());
        for port in &self.ports.outputs {
            let unfit = |what: &dyn std::fmt::Display| format!("output `{}`: {what}", port.name);
            let value = results.get(&port.name).ok_or_else(|| unfit(&"missing"))?;
            let (shape, data) = value
                .try_extract_tensor::<f32>()
                .map_err(|error| unfit(&error))?;
            let shape: Vec<usize> = shape.iter().map(|size| *size as usize).collect();
            let array = ArrayD::from_shape_vec(IxDyn(&shape), data.to_vec())
                .map_err(|error| unfit(&error))?;
            named.push((port.name.clone(), array));
        }
        Ok(Outputs::new(named))
    }
}

fn value<'a>(input: &'a Input<'_>) -> ort::Result<SessionInputValue<'a>> {
    match input {
        Input::U8(view) => tensor(view),
        Input::F32(view) => tensor(view),
        Input::I64(view) => tensor(view),
        Input::Bool(view) => tensor(view),
    }
}

/// The view itself where it lies row by row in memory, else a copy.
fn tensor<'a, T>(view: &'a ArrayViewD<'_, T>) -> ort::Result<SessionInputValue<'a>>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    match view.as_slice() {
        Some(data) => Ok(TensorRef::from_array_view((view.shape(), data))?.into()),
        None => Ok(ort::value::Tensor::from_array(view.as_standard_layout().into_owned())?.into()),
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn device(&self) -> Device {
        self.device
    }

    fn inputs(&self) -> &[Port] {
        &self.ports.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.ports.outputs
    }

    fn run(&self, inputs: &[(&str, Input<'_>)]) -> Result<Outputs> {
        let inputs = arrange(&self.ports.inputs, inputs, &self.graph)?;
        self.sessions
            .with(|session| guarded(NAME, &self.graph, || self.run_on(session, &inputs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_lose_what_only_its_authors_can_use() {
        let long = "/src/bridge.cc:2043 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load \
                    library a.so with error: b.so: cannot open\nmore";
        assert_eq!(
            words(&long),
            "Failed to load library a.so with error: b.so: cannot open"
        );
        assert_eq!(
            words(&"Protobuf parsing failed."),
            "Protobuf parsing failed."
        );
        assert_eq!(
            words(&"[ONNXRuntimeError] : odd"),
            "[ONNXRuntimeError] : odd"
        );
        assert_eq!(words(&""), "");
    }
}
