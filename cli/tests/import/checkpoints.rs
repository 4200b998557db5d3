//! Checkpoints of timm, torchvision and open_clip.

use super::*;

fn data(name: &str) -> PathBuf {
    crate::fixture::root().join("train/tests/data").join(name)
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

/// An EfficientNet-Lite that timm made, and the same under the names of EfficientNet-PyTorch.
#[test]
fn efficientnets_under_both_names_become_the_same_checkpoint() {
    let dir = folder();
    let import = |file: &str, more: &[&str]| {
        let target = dir.path().join(Path::new(file).file_stem().unwrap());
        let mut command = satmip();
        command.arg("import").arg(data(file)).args(["--size", "64"]);
        command.args(more).arg("-o").arg(&target);
        (run(&mut command), target)
    };
    let parts = |folder: &Path| {
        let arch = fs::read_to_string(folder.join("arch.json")).unwrap();
        let arch: Arch = serde_json::from_str(&arch).unwrap();
        (arch, read(&folder.join("weights.safetensors")))
    };

    let timm = "foreign/lite_timm.safetensors";
    let ((code, _, stderr), _) = import(timm, &[]);
    assert_eq!(code, 1, "{stderr}");
    assert_parts(&stderr, &["tf_efficientnet_lite", "--assume tensorflow"]);
    let ((code, stdout, stderr), target) = import(timm, &["--assume", "tensorflow"]);
    assert_eq!(code, 0, "{stderr}");
    assert_parts(
        &stdout,
        &[
            "names of `timm` (found)",
            "the classifier",
            "a counter of training",
        ],
    );
    let (arch, weights) = parts(&target);
    let ImageTower::EfficientNetLite(config) = &arch.image else {
        panic!("{arch:?}");
    };
    assert_eq!(config.widths(), [4, 8, 4, 8, 4, 8, 12]);
    assert_eq!(config.depths(), [1, 2, 1, 2, 1, 1, 1]);
    let of = |part: fn(&MbConvStage) -> usize| config.stages.iter().map(part).collect::<Vec<_>>();
    assert_eq!(of(|s| s.kernel), [3, 3, 5, 3, 5, 5, 3]);
    assert_eq!(of(|s| s.stride), [1, 2, 2, 2, 1, 2, 1]);
    assert_eq!(of(|s| s.expansion), [1, 2, 3, 2, 2, 4, 2]);
    assert_eq!(
        (config.stem, config.head, arch.preprocessing.size),
        (4, 12, 64)
    );
    assert_eq!(arch.preprocessing.mean, [0.5; 3]);
    for (name, tensor) in read(&data(timm)) {
        if !name.starts_with("classifier") {
            assert_eq!(weights[&format!("image.{name}")], tensor, "{name}");
        }
    }
    export(&target, &dir.path().join("bundle"));

    if cfg!(feature = "train") {
        let ((code, stdout, stderr), target) = import("foreign/lite_flat.pth", &[]);
        assert_eq!(code, 0, "{stderr}");
        let found = "names of `efficientnet-pytorch` (found)";
        assert_parts(&stdout, &[found, "the classifier", "0.498"]);
        let (flat, same) = parts(&target);
        assert_eq!((&flat.image, &same), (&arch.image, &weights));
        assert_eq!(flat.preprocessing.mean, [127.0 / 255.0; 3]);
    }

    // Without the classifier, and with what our blocks lack.
    let mut tensors = read(&data(timm));
    tensors.retain(|name, _| !name.starts_with("classifier"));
    let file = dir.path().join("theirs.safetensors");
    let spoiled = |tensors: &Tensors| {
        save(&file, tensors);
        refusal(
            satmip()
                .arg("import")
                .arg(&file)
                .args(["--assume", "tensorflow"]),
        )
    };
    let scale = (vec![2, 2, 1, 1], vec![0.0; 4]);
    let mut other = tensors.clone();
    other.insert("blocks.1.0.se.conv_reduce.weight".into(), scale);
    assert_parts(
        &spoiled(&other),
        &["blocks.1.0.se.conv_reduce.weight", "squeeze-and-excitation"],
    );
    let mut other = tensors.clone();
    other.remove("blocks.3.1.bn3.running_var").unwrap();
    let missing = "1 tensor of the model have no source: image.blocks.3.1.bn3.running_var";
    assert_parts(&spoiled(&other), &[missing]);
    let mut other = tensors.clone();
    other.retain(|name, _| !name.starts_with("blocks.6."));
    assert_parts(
        &spoiled(&other),
        &["strides of the 6 stages", "give `--arch`"],
    );
    let mut other = tensors;
    other.insert("bn2.weight".into(), (vec![3], vec![1.0; 3]));
    assert_parts(
        &spoiled(&other),
        &["`bn2.weight`", "gives shape [3]", "expected [12]"],
    );
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
