"""Makes the bundles of this folder ready for a static host, and renews registry.toml.

    python zoo/publish.py [--dist target/dist] [--release zoo-1] [--satmip target/release/satmip]

A bundle's list of files gets the present length and sha256 of its card; everything else of a bundle is as
`satmip export` wrote it. Each folder also becomes a small crate of data (Cargo.toml, lib.rs), which a feature of
satmip embeds. Then all bundles are packed for a release (`satmip zoo pack --flat`), and the registry that this makes
is the one that is compiled into the program. `--crates` writes the crates alone.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

ZOO = Path(__file__).parent
CARD = "README.md"
# A package must stay below 10 MB: these files of a bundle are left to the registry.
LEFT_OUT = {"satmip-lite-128": ["image.int8-weights.onnx", "metadata.int8-weights.onnx"]}

MANIFEST = """# Written by zoo/publish.py.
[package]
name = "{crate}"
description = "The model {id} of satmip's zoo: {what}"
version = "{version}"
edition.workspace = true
rust-version.workspace = true
license = "{licence}"
repository.workspace = true
keywords.workspace = true
categories.workspace = true
readme = "README.md"
include = {include}

[lib]
path = "lib.rs"
"""

LIBRARY = """//! The model `{id}`, version {version}, of satmip's zoo: the files of its bundle, as data.
//!
//! `cargo add satmip --features {feature}` makes it part of a program: `Embedder::builder("{id}")` then needs no
//! file and no network. The card (README.md) says what it is good for, and whose data it learned from.
#![no_std]

/// The bundle's manifest, which has the size and sha256 of each file.
pub const MANIFEST: &[u8] = include_bytes!("bundle.json");

/// The files by their names in the bundle.
pub const FILES: &[(&str, &[u8])] = &[
{files}];
"""


def seal(bundle):
    """Puts the card into the bundle's list of files."""
    path = bundle / "bundle.json"
    manifest = json.loads(path.read_text())
    card = (bundle / CARD).read_bytes()
    manifest["files"][CARD] = {"size": len(card), "sha256": hashlib.sha256(card).hexdigest()}
    manifest["files"] = dict(sorted(manifest["files"].items()))
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def write_crate(bundle):
    """The folder as a crate of data. The ids begin with the project's name already: it is not said twice."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    name = manifest["id"].removeprefix("satmip-")
    left_out = {CARD, "stac-mlm.json", *LEFT_OUT.get(manifest["id"], [])}
    files = [name for name in manifest["files"] if name not in left_out]
    (bundle / "Cargo.toml").write_text(MANIFEST.format(
        crate=f"satmip-model-{name}", id=manifest["id"], version=manifest["version"], licence=manifest["licence"],
        what="satellite images and their acquisition metadata to embeddings" if "metadata.onnx" in files
        else "satellite images to embeddings",
        include=json.dumps(["bundle.json", *files, CARD, "lib.rs"]),
    ))
    lines = [f'    ("{file}", include_bytes!("{file}")),\n' for file in files]
    (bundle / "lib.rs").write_text(LIBRARY.format(
        id=manifest["id"], version=manifest["version"], feature=f"model-{name}", files="".join(lines)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--dist", type=Path, default=Path("target/dist"))
    parser.add_argument("--release", default="zoo-1")
    parser.add_argument("--repository", default="https://github.com/satmip/satmip")
    parser.add_argument("--satmip", default="target/release/satmip")
    parser.add_argument("--crates", action="store_true")
    options = parser.parse_args()
    for manifest in sorted(ZOO.glob("*/bundle.json")):
        write_crate(manifest.parent)
    if options.crates:
        return
    shutil.rmtree(options.dist, ignore_errors=True)
    base = f"{options.repository}/releases/download/{options.release}"
    for manifest in sorted(ZOO.glob("*/bundle.json")):
        seal(manifest.parent)
        command = [options.satmip, "zoo", "pack", manifest.parent, "-o", options.dist, "--flat", "--base", base]
        subprocess.run(list(map(str, command)), check=True)
    shutil.copyfile(options.dist / "registry.toml", ZOO / "registry.toml")


if __name__ == "__main__":
    main()
