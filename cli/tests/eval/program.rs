//! `satmip eval`, from the outside.

use super::*;

#[test]
fn the_program_reports_for_people_and_machines() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 25);
    let path = |name: &str| root.path().join(name);
    fs::write(path("drawn.toml"), DESCRIPTION).unwrap();
    fs::write(
        path("card.md"),
        "# Card\n<!-- eval:start -->\nold\n<!-- eval:end -->\nend\n",
    )
    .unwrap();
    let (code, stdout, said) = run(satmip()
        .args(["eval", "knn", "--encoder", "raw", "-k", "5,20", "--data"])
        .arg(path("drawn.toml"))
        .args(["--confusion".as_ref(), path("confusion.svg").as_os_str()])
        .args(["--figure".as_ref(), path("k.svg").as_os_str()]));
    assert_eq!(code, 0, "{said}");
    let first: Vec<&str> = stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first[..3], ["k", "accuracy", "95"]);
    assert!(
        stdout.contains("100.00") && said.contains("45 train, 15 val, 15 test"),
        "{said}"
    );
    assert!(said.contains("note: this split leaks"), "{said}");
    for figure in ["confusion.svg", "k.svg"] {
        assert!(
            fs::read_to_string(path(figure))
                .unwrap()
                .starts_with("<svg")
        );
    }
    // Chips of a class lie on a line, a kilometre apart: each is near a training chip.
    let (code, stdout, said) = run(satmip()
        .args([
            "eval",
            "knn",
            "--encoder",
            "raw",
            "-k",
            "5",
            "--margin",
            "0.1",
            "--data",
        ])
        .arg(path("drawn.toml")));
    assert!(code == 0 && stdout.contains("100.00"), "{said}");
    assert!(said.contains("0 chips within 0.1 km"), "{said}");
    for (margin, refused) in [
        ("5", "`drawn` has no chip of the split `test`"),
        ("-1", "0 to 20038 km"),
    ] {
        let margin = format!("--margin={margin}");
        let (code, _, said) = run(satmip()
            .args(["eval", "knn", "--encoder", "raw", &margin, "--data"])
            .arg(path("drawn.toml")));
        assert!(code != 0 && said.contains(refused), "{said}");
    }
    // A checkpoint, and the same towers with random weights.
    fixture::write_checkpoint(&path("checkpoint"), 5);
    for encoder in ["trained", "untrained"] {
        let (code, stdout, said) = run(satmip()
            .args([
                "eval",
                "linear",
                "--json",
                "--features",
                "both",
                "--encoder",
                encoder,
                "--data",
            ])
            .arg(path("drawn.toml"))
            .arg("-m")
            .arg(path("checkpoint")));
        assert_eq!(code, 0, "{said}");
        let report: satmip_eval::Report = serde_json::from_str(&stdout).unwrap();
        assert_eq!(
            (report.features.encoder.as_str(), report.features.dim),
            (encoder, 32)
        );
        assert_eq!(report.data.classes, ["forest", "sea", "town"]);
        fs::write(path(&format!("{encoder}.json")), stdout).unwrap();
    }
    // The free network is not there, and what is there is another one.
    for (weights, refused) in [
        (None, "`python zoo/first_weights.py` fetches it"),
        (Some("x"), "its sha256 is 2d71"),
    ] {
        if let Some(weights) = weights {
            fs::create_dir(path("first-weights")).unwrap();
            fs::write(
                path("first-weights/efficientnet-lite0-57934424.pth"),
                weights,
            )
            .unwrap();
        }
        let (code, stdout, said) = run(satmip().current_dir(root.path()).args([
            "eval",
            "knn",
            "--encoder",
            "imagenet-lite0",
            "--data",
            "drawn.toml",
            "-m",
            "checkpoint",
        ]));
        assert_eq!((code, stdout.as_str()), (1, ""), "{said}");
        assert!(said.contains(refused), "{said}");
    }
    // Both reports in a card.
    let (code, stdout, said) = run(satmip()
        .args(["eval", "summary", "--card"])
        .args(["card.md", "trained.json", "untrained.json"].map(path)));
    assert_eq!((code, stdout.as_str()), (0, ""), "{said}");
    let card = fs::read_to_string(path("card.md")).unwrap();
    assert_eq!(card.matches("| drawn |").count(), 2, "{card}");
    assert!(!card.contains("old") && card.ends_with("end\n"), "{card}");
    let (code, _, said) = run(satmip().args(["eval", "summary"]).arg(path("drawn.toml")));
    assert_eq!(code, 1);
    assert!(said.contains("drawn.toml` is no report"), "{said}");
    let (code, _, said) = run(satmip().args(["eval", "knn", "--data", "imagenet"]));
    assert_eq!(code, 2);
    assert!(said.contains("none of eurosat,"), "{said}");
    // A split with names of its own is drawn from as a whole.
    let table = fs::read_to_string(path("chips.csv")).unwrap();
    fs::write(
        path("chips.csv"),
        table
            .replace(",val,", ",dev,")
            .replace(",train,", ",learn,"),
    )
    .unwrap();
    let text = "split = { kind = \"given\", train = \"learn\", val = \"dev\" }\n";
    fs::write(path("named.toml"), format!("{DESCRIPTION}{text}")).unwrap();
    for (rule, counts) in [
        ("given", "45 train, 15 val, 15 test"),
        ("random", "52 train, 12 val, 11 test"),
    ] {
        let (code, _, said) = run(satmip()
            .args(["eval", "knn", "--encoder", "raw", "--split", rule, "--data"])
            .arg(path("named.toml")));
        assert!(code == 0 && said.contains(counts), "{said}");
    }
    // A figure that is there stays, and nothing is measured in vain, unless it may go.
    let figure = |more: &[&str]| {
        let mut command = satmip();
        command.args(["eval", "knn", "--encoder", "raw", "--data"]);
        command.arg(path("named.toml")).args(more).arg("--figure");
        run(command.arg(path("there.svg")))
    };
    fs::write(path("there.svg"), "mine").unwrap();
    let (code, stdout, said) = figure(&[]);
    assert!(code == 1 && stdout.is_empty(), "{stdout}");
    assert!(
        said.contains("there.svg") && said.contains("--overwrite"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(path("there.svg")).unwrap(), "mine");
    assert_eq!(figure(&["--overwrite"]).0, 0);
    let drawn = fs::read_to_string(path("there.svg")).unwrap();
    assert!(drawn.starts_with("<svg"));
    // The figure cannot be written; what was found is told all the same.
    let (code, stdout, said) = run(satmip()
        .args(["eval", "knn", "--encoder", "raw", "--data"])
        .arg(path("named.toml"))
        .arg("--figure")
        .arg(path("none/k.svg")));
    assert!(
        code == 1 && stdout.contains("100.00") && said.contains("none/k.svg"),
        "{said}"
    );
    for (usage, part) in [
        (&["knn", "--on", "train"][..], "`val` or `test`"),
        (&["linear", "--solver", "sgd", "--grid", "1"], "no penalty"),
        (&["linear", "--epochs", "7"], "--solver sgd"),
        (&["linear", "--seeds", "7"], "--solver sgd"),
        (&["fewshot", "--seeds", "18446744073709551615"], "1000"),
        (&["fewshot", "--confusion", "a.svg"], "--confusion"),
    ] {
        let (code, _, said) = run(satmip()
            .args(["eval", usage[0], "--encoder", "raw", "--data"])
            .arg(path("named.toml"))
            .args(&usage[1..]));
        assert!(code == 2 && said.contains(part), "{usage:?} {code}: {said}");
    }
    let (code, _, said) = run(satmip()
        .args([
            "eval",
            "knn",
            "--encoder",
            "raw",
            "--max-pixels",
            "399",
            "--data",
        ])
        .arg(path("named.toml")));
    assert!(
        code == 1 && said.contains("can be read: ") && said.contains(".png"),
        "{said}"
    );
}
