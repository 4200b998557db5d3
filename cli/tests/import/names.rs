//! Models under foreign names, and what the weights do not tell.

use super::*;

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
