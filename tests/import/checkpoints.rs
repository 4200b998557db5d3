//! Checkpoints of timm, torchvision and open_clip.

use super::*;

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
