//! Models under the names of others become ours, or are refused with what is wrong.
#![cfg(feature = "cli")]

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::{chips, folder, run, satmip};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use satmip::arch::{Arch, ImageTower};
use satmip::export::{Checkpoint, Precision, Weights};
use serde_json::Value;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn read(path: &Path) -> Tensors {
    let file = Weights::open(path).unwrap();
    let tensors = file.names().into_iter().map(|name| {
        let shape = file.shape(&name).unwrap().to_vec();
        let numbers = file.numbers(&name, &shape).unwrap();
        (name, (shape, numbers))
    });
    tensors.collect()
}

fn save(path: &Path, tensors: &Tensors) {
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, numbers))| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
        (name, view)
    });
    serialize_to_file(views, None, path).unwrap();
}

fn transposed((shape, numbers): &(Vec<usize>, Vec<f32>)) -> (Vec<usize>, Vec<f32>) {
    let [rows, columns] = shape[..] else {
        panic!("{shape:?} is no matrix");
    };
    let mut turned = Vec::new();
    for column in 0..columns {
        turned.extend((0..rows).map(|row| numbers[row * columns + column]));
    }
    (vec![columns, rows], turned)
}

/// A checkpoint of ours, with its arch.json and tokenizer.json, and its tensors.
fn ours(dir: &Path) -> (PathBuf, Tensors) {
    let path = dir.join("ours");
    fixture::write_checkpoint(&path, 3);
    let tensors = read(&path.join("weights.safetensors"));
    (path, tensors)
}

/// Our tensors under CLIP's names for the text tower, and `trunk` before timm's for the image
/// tower, all behind `prefix`.
fn foreign(ours: &Tensors, prefix: &str, trunk: &str) -> Tensors {
    let clip = |name: &str| {
        let name = name.replace("metadata.blocks.", "transformer.resblocks.");
        let name = name.replace("attn.qkv.", "attn.in_proj_");
        let name = name.replace("attn.proj.", "attn.out_proj.");
        let name = name.replace("norm1", "ln_1").replace("norm2", "ln_2");
        let name = name.replace("fc1", "c_fc").replace("fc2", "c_proj");
        name.replace("metadata.norm.", "ln_final.")
            .replace("metadata.", "")
    };
    let mut theirs = Tensors::new();
    for (name, tensor) in ours {
        let (name, tensor) = match name.as_str() {
            "image_projector.layers.0.weight" if trunk == "visual.trunk." => {
                ("visual.head.proj.weight".to_owned(), tensor.clone())
            }
            "image_projector.layers.0.weight" => ("image_projection".into(), transposed(tensor)),
            "metadata_projector.layers.0.weight" => ("text_projection".into(), transposed(tensor)),
            "logit_scale" => ("logit_scale".into(), (vec![], tensor.1.clone())),
            name => match name.strip_prefix("image.") {
                Some(rest) => (format!("{trunk}{rest}"), tensor.clone()),
                None => (clip(name), tensor.clone()),
            },
        };
        theirs.insert(format!("{prefix}{name}"), tensor);
    }
    assert_eq!(theirs.len(), ours.len());
    theirs
}

/// `satmip import` of a file with the arch.json and tokenizer.json of a checkpoint.
fn import(file: &Path, checkpoint: &Path) -> Command {
    let mut command = satmip();
    command.arg("import").arg(file);
    command.arg("--arch").arg(checkpoint.join("arch.json"));
    command
        .arg("--tokenizer")
        .arg(checkpoint.join("tokenizer.json"));
    command
}

fn vectors(bundle: &Path, input: &Path, table: &Path) -> Vec<Value> {
    let mut command = satmip();
    command.arg("embed").arg(input).arg("--metadata").arg(table);
    command
        .arg("-m")
        .arg(bundle)
        .args(["--device", "rten", "-o", "-"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The bundle of a checkpoint, in f32.
fn export(checkpoint: &Path, bundle: &Path) {
    let files = Checkpoint::open(checkpoint).unwrap().named("mine");
    let files = files.export(Precision::F32).unwrap();
    let parts = files.files.iter();
    let parts: Vec<(&str, &[u8])> = parts.map(|(name, b)| (&name[..], &b[..])).collect();
    satmip::bundle::write(bundle, files.manifest, &parts).unwrap();
}

/// The refusal of a command, on one line.
fn refusal(command: &mut Command) -> String {
    let (code, _, stderr) = run(command);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_model_under_foreign_names_gives_the_same_vectors() {
    let dir = folder();
    let (checkpoint, tensors) = ours(dir.path());
    let card = ["--id", "mine", "--model-version", "1", "--licence", "MIT"];
    let bundle = dir.path().join("bundle");
    export(&checkpoint, &bundle);
    let input = chips(dir.path(), "in", 3, 16);
    let table = dir.path().join("t.csv");
    fs::write(
        &table,
        "file,gsd,country_code\nc000.png,1,PER\nc001.png,9,FRA\n",
    )
    .unwrap();
    let expected = vectors(&bundle, &input, &table);
    assert_eq!(expected.len(), 3);

    for (convention, prefix, trunk) in [
        ("slip", "module.", "visual."),
        ("slip", "state_dict.module.", "visual."),
        ("open_clip", "", "visual.trunk."),
    ] {
        let name = format!("{convention}-{}", prefix.len());
        let file = dir.path().join(format!("{name}.safetensors"));
        let mut theirs = foreign(&tensors, prefix, trunk);
        if convention == "slip" {
            let head = (vec![2, 2], vec![0.0; 4]);
            theirs.insert(format!("{prefix}image_mlp.layer1.weight"), head);
        }
        save(&file, &theirs);
        let target = dir.path().join(&name);
        let mut command = import(&file, &checkpoint);
        command
            .args(["--assume", "exact-gelu", "--json", "-o"])
            .arg(&target);
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(
            (&report["convention"], &report["found"]),
            (&convention.into(), &true.into())
        );
        assert_eq!(
            (&report["prefix"], &report["complete"]),
            (&prefix.into(), &true.into())
        );
        assert_eq!(report["applied"].as_array().unwrap().len(), tensors.len());
        let ignored = report["ignored"].as_array().unwrap().len();
        assert_eq!(ignored, usize::from(convention == "slip"));
        assert_eq!(read(&target.join("weights.safetensors")), tensors);

        let exported = dir.path().join(format!("{name}-bundle"));
        let mut command = import(&file, &checkpoint);
        command
            .args(["--assume", "exact-gelu", "--export", "-o"])
            .arg(&exported)
            .args(card);
        let (code, _, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(vectors(&exported, &input, &table), expected);
        let manifest = fs::read_to_string(exported.join("bundle.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let origin = &manifest["training"]["imported"];
        assert_eq!(origin["file"], format!("{name}.safetensors"));
        assert_eq!(origin["sha256"].as_str().unwrap().len(), 64);
    }
    let left: Vec<_> = fixture_names(dir.path());
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

fn fixture_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_architecture_follows_from_the_shapes() {
    let dir = folder();
    let (checkpoint, tensors) = ours(dir.path());
    let arch = fs::read_to_string(checkpoint.join("arch.json")).unwrap();
    let arch: Arch = serde_json::from_str(&arch).unwrap();
    let file = dir.path().join("theirs.safetensors");
    save(&file, &foreign(&tensors, "", "visual."));
    let given = || {
        let mut command = satmip();
        command.arg("import").arg(&file).arg("--json");
        command
    };
    let heads = [
        "--heads",
        "2",
        "--text-heads",
        "2",
        "--assume",
        "exact-gelu",
    ];
    let tokenizer = checkpoint.join("tokenizer.json");
    let fields = "gsd,timestamp,location,country_code";
    let mut command = given();
    command
        .args(heads)
        .args(["--fields", fields])
        .arg("--tokenizer")
        .arg(&tokenizer);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let mut found: Arch = serde_json::from_value(report["arch"].clone()).unwrap();
    assert_eq!(found.preprocessing.mean, [0.485, 0.456, 0.406]);
    found.preprocessing = arch.preprocessing.clone();
    assert_eq!(found, arch);
    assert!(report["assumed"].to_string().contains("mean"));

    // What cannot be told is asked for, one after the other.
    for (options, part) in [
        (&[][..], "a text tower reads the tokens of one tokenizer"),
        (&["--tokenizer", tokenizer.to_str().unwrap()], "the fields"),
        (
            &[
                "--tokenizer",
                tokenizer.to_str().unwrap(),
                "--fields",
                fields,
            ],
            "`--text-heads`",
        ),
    ] {
        let text = refusal(given().args(["--heads", "2"]).args(options));
        assert_parts(&text, &[part, "theirs.safetensors", "hint: give"]);
    }
    assert_parts(&refusal(&mut given()), &["16 wide", "hint: give `--heads`"]);
    let stated = checkpoint.join("arch.json");
    let text = refusal(given().args(heads).arg("--arch").arg(&stated));
    assert_parts(&text, &["a text tower reads the tokens of one tokenizer"]);
    // A tower of another vocabulary, and captions that are too long for it.
    let mut other = tensors.clone();
    let table = other.get_mut("metadata.token_embedding.weight").unwrap();
    table.0[0] -= 1;
    table.1.truncate(table.0[0] * table.0[1]);
    save(&file, &foreign(&other, "", "visual."));
    let text = refusal(
        given()
            .args(heads)
            .args(["--fields", fields, "--tokenizer"])
            .arg(&tokenizer),
    );
    assert_parts(&text, &["tokens, the tower's table"]);
}

#[test]
fn what_the_weights_do_not_tell_must_be_confirmed() {
    let dir = folder();
    let (checkpoint, tensors) = ours(dir.path());
    let file = dir.path().join("slip.safetensors");
    save(&file, &foreign(&tensors, "module.", "visual."));
    let target = dir.path().join("out");
    let text = refusal(import(&file, &checkpoint).arg("-o").arg(&target));
    assert_parts(&text, &["QuickGELU", "`--assume exact-gelu`"]);
    assert!(!target.exists());
}

/// Queries, keys and values by themselves, and a layer that holds two.
#[test]
fn rules_join_cut_and_transpose() {
    let dir = folder();
    let (checkpoint, tensors) = ours(dir.path());
    let mut theirs = Tensors::new();
    let rows = |(shape, numbers): &(Vec<usize>, Vec<f32>), from: usize, to: usize| {
        let width: usize = shape[1..].iter().product();
        let part = numbers[from * width..to * width].to_vec();
        ([&[to - from][..], &shape[1..]].concat(), part)
    };
    for (name, tensor) in &tensors {
        if let Some((block, p)) = name.split_once(".attn.qkv.") {
            for (i, part) in ["q", "k", "v"].into_iter().enumerate() {
                let part_name = format!("x.{block}.attn.{part}.{p}");
                let cut = rows(tensor, i * 16, i * 16 + 16);
                theirs.insert(
                    part_name,
                    if p == "weight" { transposed(&cut) } else { cut },
                );
            }
        } else if !name.contains(".norm2.") {
            theirs.insert(format!("x.{name}"), tensor.clone());
        }
    }
    for tower in ["image", "metadata"] {
        let get = |p: &str| &tensors[&format!("{tower}.blocks.0.norm2.{p}")];
        let both = [get("weight").1.clone(), get("bias").1.clone()].concat();
        theirs.insert(format!("x.{tower}.blocks.0.scale_shift"), (vec![32], both));
    }
    let file = dir.path().join("theirs.safetensors");
    save(&file, &theirs);
    let rules = dir.path().join("rules.toml");
    fs::write(
        &rules,
        r#"
        name = "mine"
        about = "a test"
        [[rule]]
        from = ["{t}.blocks.{n}.attn.q.weight", "{t}.blocks.{n}.attn.k.weight", "{t}.blocks.{n}.attn.v.weight"]
        to = "{t}.blocks.{n}.attn.qkv.weight"
        transpose = true
        [[rule]]
        from = ["{t}.blocks.{n}.attn.q.bias", "{t}.blocks.{n}.attn.k.bias", "{t}.blocks.{n}.attn.v.bias"]
        to = "{t}.blocks.{n}.attn.qkv.bias"
        [[rule]]
        from = "{t}.blocks.{n}.scale_shift"
        to = ["{t}.blocks.{n}.norm2.weight", "{t}.blocks.{n}.norm2.bias"]
        [[rule]]
        from = "*"
        to = "*"
        "#,
    )
    .unwrap();
    let target = dir.path().join("out");
    let mut command = import(&file, &checkpoint);
    command
        .arg("--mapping")
        .arg(&rules)
        .args(["--prefix", "x.", "-o"])
        .arg(&target);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(read(&target.join("weights.safetensors")), tensors);
    assert_parts(
        &stdout,
        &[
            "(transposed, joined)",
            "(cut)",
            "names of `mine` (given) behind `x.`",
        ],
    );

    // One of three is missing; one of another shape.
    let again = |theirs: &Tensors| {
        save(&file, theirs);
        let mut command = import(&file, &checkpoint);
        command
            .arg("--mapping")
            .arg(&rules)
            .args(["--prefix", "x."]);
        refusal(&mut command)
    };
    let key = "x.image.blocks.0.attn.k.bias";
    let mut lacking = theirs.clone();
    lacking.remove(key);
    assert_parts(
        &again(&lacking),
        &[
            key,
            "is missing, as a part of `image.blocks.0.attn.qkv.bias`",
        ],
    );
    lacking.insert(key.into(), (vec![8, 2], vec![0.0; 16]));
    assert_parts(
        &again(&lacking),
        &[
            "x.image.blocks.0.attn.q.bias",
            "cannot be joined with [8, 2]",
            key,
        ],
    );
    lacking.insert(key.into(), (vec![15], vec![0.0; 15]));
    assert_parts(
        &again(&lacking),
        &["gives shape [47]", "expected [48]", key],
    );
}

#[test]
fn files_that_make_no_whole_model_are_refused() {
    let dir = folder();
    let (checkpoint, tensors) = ours(dir.path());
    let good = foreign(&tensors, "", "visual.trunk.");
    let file = dir.path().join("theirs.safetensors");
    let target = dir.path().join("out");
    let spoil = |how: &dyn Fn(&mut Tensors)| {
        let mut theirs = good.clone();
        how(&mut theirs);
        save(&file, &theirs);
        let text = refusal(import(&file, &checkpoint).arg("-o").arg(&target));
        assert!(
            !target.exists() && text.contains("theirs.safetensors"),
            "{text}"
        );
        text
    };
    let nothing = || (vec![2], vec![0.0; 2]);
    let text = spoil(&|t| drop(t.remove("ln_final.bias")));
    assert_parts(
        &text,
        &[
            "1 tensor of the model have no source: metadata.norm.bias",
            "hint: ",
        ],
    );
    let text = spoil(&|t| drop(t.insert("visual.trunk.extra".into(), nothing())));
    assert_parts(
        &text,
        &[
            "visual.trunk.extra",
            "no rule of the mapping",
            "`[[ignore]]`",
        ],
    );
    let text = spoil(&|t| drop(t.insert("visual.ln_pre.weight".into(), nothing())));
    assert_parts(
        &text,
        &[
            "visual.ln_pre.weight",
            "a norm between the positions and the first block",
        ],
    );
    let text = spoil(&|t| drop(t.insert("logit_bias".into(), nothing())));
    assert_parts(&text, &["SigLIP"]);
    // Block 1 of a tower that has block 0 alone.
    let block = "transformer.resblocks.1.ln_1.bias";
    let text = spoil(&|t| drop(t.insert(block.into(), nothing())));
    assert_parts(
        &text,
        &[
            block,
            "the architecture has no `metadata.blocks.1.norm1.bias`",
        ],
    );
    let text = spoil(&|t| t.get_mut("ln_final.bias").unwrap().1[3] = f32::NAN);
    assert_parts(&text, &["`ln_final.bias`", "number 3 of 16 is not finite"]);
    let text = spoil(&|t| t.get_mut("text_projection").unwrap().1[0] = f32::INFINITY);
    assert_parts(
        &text,
        &["`text_projection`", "number 0 of 128 is not finite"],
    );
    let text = spoil(&|t| drop(t.insert("ln_final.bias".into(), (vec![4, 4], vec![0.0; 16]))));
    assert_parts(
        &text,
        &["`ln_final.bias`", "gives shape [4, 4]", "expected [16]"],
    );
    let text = spoil(&|t| drop(t.insert("text_projection".into(), (vec![8], vec![0.0; 8]))));
    assert_parts(
        &text,
        &["`text_projection`", "only a matrix can be transposed"],
    );
    let text =
        spoil(&|t| drop(t.insert("visual.class_embedding".into(), (vec![16], vec![0.0; 16]))));
    assert_parts(&text, &["becomes `image.cls_token`, as `visual.", "` does"]);
    let text = spoil(&|t| {
        t.clear();
        t.insert("some.other.names".into(), nothing());
    });
    assert_parts(
        &text,
        &["no name of its 1 tensors is of a known convention: some.other.names"],
    );

    // Damaged files, files that are none, and an output that is there.
    save(&file, &good);
    fs::create_dir(&target).unwrap();
    let text = refusal(import(&file, &checkpoint).arg("-o").arg(&target));
    assert_parts(&text, &["it exists already"]);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_parts(
        &refusal(&mut import(&file, &checkpoint)),
        &["its header says"],
    );
    fs::write(&file, b"").unwrap();
    assert_parts(
        &refusal(&mut import(&file, &checkpoint)),
        &["no safetensors file"],
    );
    let pickle = dir.path().join("theirs.pt");
    fs::write(&pickle, b"no pickle").unwrap();
    let expected = match cfg!(feature = "train") {
        true => "is no PyTorch checkpoint",
        false => "build with the feature `train`",
    };
    assert_parts(&refusal(&mut import(&pickle, &checkpoint)), &[expected]);
    let (code, _, stderr) = run(satmip()
        .arg("import")
        .arg(&file)
        .args(["--convention", "keras"]));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("open_clip, slip, timm, torchvision"),
        "{stderr}"
    );
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A ViT that timm made, with its classifier; once more as PyTorch saved it.
#[test]
fn a_vit_of_timm_becomes_a_bundle() {
    let dir = folder();
    let mut files = vec!["timm/vit_token.safetensors"];
    if cfg!(feature = "train") {
        files.push("timm/vit_token.pt");
    }
    let theirs = read(&data(files[0]));
    for (i, file) in files.into_iter().enumerate() {
        let target = dir.path().join(format!("out{i}"));
        let mut command = satmip();
        command
            .arg("import")
            .arg(data(file))
            .args(["--heads", "4", "-o"])
            .arg(&target);
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        assert_parts(
            &stdout,
            &[
                "names of `timm` (found)",
                "visual.trunk.`: ",
                "the classifier",
            ],
        );
        let arch = fs::read_to_string(target.join("arch.json")).unwrap();
        let arch: Arch = serde_json::from_str(&arch).unwrap();
        let ImageTower::Vit(vit) = &arch.image else {
            panic!("{arch:?}");
        };
        assert_eq!(
            (vit.patch, vit.dim, vit.depth, vit.heads, vit.mlp_ratio),
            (8, 32, 2, 4, 4)
        );
        assert_eq!((arch.preprocessing.size, arch.embed_dim), (32, 32));
        let weights = read(&target.join("weights.safetensors"));
        for (name, tensor) in &weights {
            if let Some(rest) = name.strip_prefix("image.") {
                assert_eq!(tensor, &theirs[&format!("visual.trunk.{rest}")], "{name}");
            }
        }
        let (shape, identity) = &weights["image_projector.layers.0.weight"];
        assert_eq!(shape, &[32, 32]);
        for (i, value) in identity.iter().enumerate() {
            assert_eq!(*value, f32::from(u8::from(i / 32 == i % 32)));
        }
        export(&target, &dir.path().join(format!("bundle{i}")));
    }
}

/// ResNets that torchvision made, in half precision and as PyTorch saved them.
#[test]
fn resnets_of_torchvision_become_checkpoints() {
    let dir = folder();
    let mut files = vec![("foreign/resnet_basic.safetensors", vec![2, 1, 1, 2], "")];
    if cfg!(feature = "train") {
        files.push((
            "foreign/resnet_bottleneck.pth",
            vec![],
            "teacher.module.backbone.",
        ));
    }
    for (i, (file, depths, prefix)) in files.into_iter().enumerate() {
        let target = dir.path().join(format!("out{i}"));
        let mut command = satmip();
        command
            .arg("import")
            .arg(data(file))
            .args(["--size", "33", "-o"])
            .arg(&target);
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        assert_parts(
            &stdout,
            &["names of `torchvision` (found)", "a counter of training"],
        );
        let arch = fs::read_to_string(target.join("arch.json")).unwrap();
        let arch: Arch = serde_json::from_str(&arch).unwrap();
        let ImageTower::ResNet(resnet) = &arch.image else {
            panic!("{arch:?}");
        };
        assert_eq!(resnet.widths, [2, 4, 8, 16]);
        assert_eq!((resnet.stem.kernel, arch.preprocessing.size), (7, 33));
        if !depths.is_empty() {
            assert_eq!(resnet.depths, depths);
        }
        assert_eq!(arch.embed_dim, arch.image.features());
        assert_parts(&stdout, &[&format!("(found) behind `{prefix}`")]);
    }
}

/// open_clip's own ViT, made without the norm in front, has patches without bias.
#[test]
fn a_vit_of_open_clip_by_itself() {
    let dir = folder();
    let (checkpoint, mut tensors) = ours(dir.path());
    let bias = tensors.get_mut("image.patch_embed.proj.bias").unwrap();
    bias.1.fill(0.0);
    let mut theirs = Tensors::new();
    for (name, tensor) in foreign(&tensors, "", "image.") {
        let Some(rest) = name.strip_prefix("image.") else {
            let (name, tensor) = match name.as_str() {
                "image_projection" => ("visual.proj".to_owned(), tensor),
                _ => (name, tensor),
            };
            theirs.insert(name, tensor);
            continue;
        };
        let rest = rest.replace("blocks.", "transformer.resblocks.");
        let rest = rest
            .replace("attn.qkv.", "attn.in_proj_")
            .replace("attn.proj", "attn.out_proj");
        let rest = rest.replace("norm1", "ln_1").replace("norm2", "ln_2");
        let rest = rest.replace("fc1", "c_fc").replace("fc2", "c_proj");
        let (rest, shape) = match rest.as_str() {
            "patch_embed.proj.bias" => continue,
            "patch_embed.proj.weight" => ("conv1.weight".to_owned(), tensor.0),
            "cls_token" => ("class_embedding".to_owned(), vec![16]),
            "pos_embed" => ("positional_embedding".to_owned(), vec![5, 16]),
            "norm.weight" | "norm.bias" => (rest.replace("norm", "ln_post"), tensor.0),
            _ => (rest, tensor.0),
        };
        theirs.insert(format!("visual.{rest}"), (shape, tensor.1));
    }
    let file = dir.path().join("theirs.safetensors");
    save(&file, &theirs);
    let target = dir.path().join("out");
    let (code, stdout, stderr) = run(import(&file, &checkpoint).arg("-o").arg(&target));
    assert_eq!(code, 0, "{stderr}");
    assert_parts(
        &stdout,
        &[
            "names of `open_clip` (found)",
            "zeros: ",
            "1 made, 0 missing, 0 unused",
        ],
    );
    assert_eq!(read(&target.join("weights.safetensors")), tensors);
}
