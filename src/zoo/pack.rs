//! From a bundle to the files and the registry of any static host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;

use super::registry::{Model, Registry};
use crate::arch::{Arch, ImageTower, MetadataTower};
use crate::bundle::{Bundle, BundleManifest, FileEntry, MANIFEST};
use crate::error::{Error, Result};
use crate::parts::aside::{self, Existing};
use crate::parts::sha256;

/// The registry's name beside the files.
const REGISTRY: &str = "registry.toml";

/// How files are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// `ID/VERSION/FILE`, for hosts with folders.
    #[default]
    Folders,
    /// `ID-VERSION-FILE`, for hosts without, as the files of a release.
    Flat,
}

/// Copies a bundle's files into a folder for a static host, and adds the model to the registry there.
///
/// The model's first mirror is `{base}` before the file's path, where a base is given; the last one is relative to the
/// registry. Gives the registry's path. A file that is there already stays; the registry is replaced as a whole, once
/// all files are there.
///
/// # Errors
/// As [`Bundle::open`]; [`Error::Registry`] where the registry has another model of this id and
/// version, or the version is not a semantic one; [`Error::Output`], also where a file is there already with
/// other contents.
pub fn pack(bundle: &Path, out: &Path, layout: Layout, base: Option<&str>) -> Result<PathBuf> {
    let bundle = Bundle::open(bundle)?;
    let manifest = bundle.manifest();
    let registry_path = out.join(REGISTRY);
    let refuse = |reason: String| Error::Registry {
        origin: registry_path.display().to_string(),
        reason,
        source: None,
    };
    let version = Version::parse(&manifest.version).map_err(|error| {
        refuse(format!(
            "the version `{}` of `{}`: {error}",
            manifest.version, manifest.id
        ))
    })?;

    let json = read(&bundle.path().join(MANIFEST))?;
    let own = FileEntry {
        size: json.len() as u64,
        sha256: sha256::of_bytes(&json),
    };
    let mut files = manifest.files.clone();
    files.insert(MANIFEST.to_owned(), own);
    let mut model = Model::new(&manifest.id, version, files);
    let path = match layout {
        Layout::Folders => format!("{}/{}/{{file}}", model.id, model.version),
        Layout::Flat => format!("{}-{}-{{file}}", model.id, model.version),
    };
    model.about = about(manifest);
    model.arch = arch(&manifest.arch);
    model.licence = manifest.licence.clone();
    model.metrics = metrics(manifest);
    let absolute = base.map(|base| format!("{}/{path}", base.trim_end_matches('/')));
    model.mirrors = absolute.into_iter().chain([path.clone()]).collect();

    let before = match registry_path.exists() {
        true => {
            let text = read(&registry_path)?;
            let text = String::from_utf8(text).map_err(|_| refuse("it is no UTF-8".into()))?;
            let place = super::Location::File(registry_path.clone());
            Registry::parse(&text, &registry_path.display().to_string(), Some(&place))?
        }
        false => Registry::default(),
    };
    let names: Vec<String> = model.files.keys().cloned().collect();
    let registry = before.with(model).map_err(refuse)?;
    let text = toml::to_string(&registry).map_err(|error| refuse(error.to_string()))?;
    // What was written can be read: a base that is refused shows here.
    let place = super::Location::File(registry_path.clone());
    Registry::parse(&text, &registry_path.display().to_string(), Some(&place))?;

    let contents = |name: &str| -> Result<Vec<u8>> {
        match name == MANIFEST {
            true => Ok(json.clone()),
            false => Ok(bundle.bytes(name)?.into_owned()),
        }
    };
    let place = |name: &str| out.join(path.replace("{file}", name));
    // All are looked at before one is written.
    let mut new = Vec::new();
    for name in &names {
        if !is_there(&place(name), &contents(name)?)? {
            new.push(name);
        }
    }
    for name in new {
        write(&place(name), &contents(name)?, Existing::Keep)?;
    }
    write(&registry_path, text.as_bytes(), Existing::Replace)?;
    Ok(registry_path)
}

/// Whether a file is there already, with these contents; with others it is refused.
fn is_there(path: &Path, contents: &[u8]) -> Result<bool> {
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    match read(path)? == contents {
        true => Ok(true),
        false => Err(Error::Output {
            path: path.to_owned(),
            reason: "exists already with other contents; move it away, or choose another folder"
                .into(),
            source: None,
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::io(path, source))
}

fn write(path: &Path, contents: &[u8], existing: Existing) -> Result<()> {
    fs::create_dir_all(aside::folder_of(path)).map_err(|e| aside::failed(path, e))?;
    aside::write(path, contents, existing)
}

/// Method, fields and data, as far as the bundle says.
fn about(manifest: &BundleManifest) -> String {
    let method = manifest.training.value()["recipe"]["method"].as_str();
    let method = match method {
        Some("simclr") => "SimCLR",
        Some("satmip") => "SatMIP",
        Some("satmips") => "SatMIPS",
        _ => "a model",
    };
    match &manifest.arch.metadata {
        None => format!("{method}, images alone"),
        Some(side) => {
            let fields: Vec<&str> = side.fields.iter().map(|field| field.name()).collect();
            format!("{method}, images and {}", fields.join(", "))
        }
    }
}

/// Towers in a line: `ResNet [64, 128, 256], 64 px; captions, 2 blocks, 128 wide`.
fn arch(arch: &Arch) -> String {
    let size = arch.preprocessing.size;
    let image = match &arch.image {
        ImageTower::Vit(vit) => format!(
            "ViT, patches of {}, {} blocks, {} wide",
            vit.patch, vit.depth, vit.dim
        ),
        ImageTower::ResNet(resnet) => format!("ResNet {:?}", resnet.widths),
        ImageTower::EfficientNetLite(lite) => format!("EfficientNet-Lite {:?}", lite.widths()),
    };
    let metadata = arch.metadata.as_ref().map(|side| match &side.tower {
        MetadataTower::Text(text) => {
            format!("; captions, {} blocks, {} wide", text.depth, text.dim)
        }
        MetadataTower::Tabular(table) => {
            format!("; columns, {} blocks, {} wide", table.depth, table.dim)
        }
    });
    format!("{image}, {size} px{}", metadata.unwrap_or_default())
}

/// The figures of `metrics.headline`: names and numbers.
fn metrics(manifest: &BundleManifest) -> BTreeMap<String, f64> {
    let headline = manifest.metrics.value()["headline"].as_object();
    let numbers = headline
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
    numbers.collect()
}
