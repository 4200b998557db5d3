//! Files that make no whole model.

use super::*;

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
        stderr.contains("efficientnet-pytorch, open_clip, slip, timm, torchvision"),
        "{stderr}"
    );
}
