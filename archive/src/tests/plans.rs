//! Plans, their blocks on several machines, and one folder of all.

use super::scenes::{cut, raster};
use super::*;
use crate::plan::{Shard, ShardConfig, merge, plan_with, run_shard_with, status, verify};

/// Parts in Parquet, five items each.
fn job(inputs: &[&Path], out: &Path) -> JobConfig {
    let mut config = cut(inputs[0], out);
    config.inputs = inputs.iter().map(|path| path.to_path_buf()).collect();
    config.format = Format::Parquet;
    config.batch_size = 1;
    config
}

/// A folder of two scenes, a file that is none, and a catalogue of one of them.
fn archive(dir: &Path) -> (PathBuf, PathBuf) {
    let scenes = dir.join("scenes");
    std::fs::create_dir(&scenes).unwrap();
    for name in ["a.tif", "b.tif"] {
        std::fs::copy(raster("u16"), scenes.join(name)).unwrap();
    }
    std::fs::write(scenes.join("aa.tif"), b"no picture").unwrap();
    let item = serde_json::json!({"type": "Feature", "stac_version": "1.0.0", "id": "one", "links": [], "geometry": null,
        "properties": {"datetime": "2024-05-01T10:00:00Z"}, "assets": {"red": {"href": "scenes/a.tif"},
        "green": {"href": "scenes/a.tif"}, "blue": {"href": "scenes/b.tif"}, "visual": {"href": "scenes/b.tif"}}});
    let items = dir.join("items.ndjson");
    std::fs::write(&items, format!("{item}\nrubbish\n")).unwrap();
    (scenes, items)
}

fn shard(plan: &Path, out: &Path, index: u64, count: u64) -> Result<plan::ShardReport> {
    let mut config = ShardConfig::new(plan, out);
    config.shard = Shard::new(index, count).unwrap();
    config.workers = 2;
    let (model, facts) = model();
    run_shard_with(&config, &model, &facts, &mut |_| ControlFlow::Continue(()))
}

fn make(config: &JobConfig, plan: &Path) -> Result<plan::PlanReport> {
    let (_, facts) = model();
    plan_with(config, &facts, plan, &mut |_| ControlFlow::Continue(()))
}

/// What tells the parts of a folder from others.
fn parts(out: &Path) -> BTreeMap<String, String> {
    let files = contents(out).into_iter();
    let files = files.map(|(name, bytes)| (name, satmip::parts::sha256::of_bytes(&bytes)));
    files
        .filter(|(name, _)| name.ends_with(".parquet") || name == "errors.jsonl")
        .collect()
}

#[test]
fn any_number_of_shards_gives_the_bytes_of_one_job() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, items) = archive(dir.path());
    let whole = dir.path().join("whole");
    let mut config = job(&[&scenes, &items], &whole);
    config.assets = vec!["visual".into()];
    config.rows_per_part = 5;
    let report = embed(&config).unwrap();
    assert_eq!((report.rows, report.skipped), (18, 2));
    let plan = dir.path().join("plan.parquet");
    let planned = make(&config, &plan).unwrap();
    assert_eq!((planned.items, planned.blocks), (20, 4));
    for count in [1, 2, 3, 8] {
        let out = dir.path().join(format!("out{count}"));
        for index in (0..count).rev() {
            // Twice, on purpose.
            shard(&plan, &out, index, count).unwrap();
            let again = shard(&plan, &out, index, count).unwrap();
            assert_eq!(again.done_before, again.blocks);
        }
        let found = status(&out).unwrap();
        assert!(found.is_complete() && !found.merged && found.missing.is_empty());
        assert_eq!((found.rows, found.skipped), (18, 2));
        let sound = verify(&out).unwrap();
        // The model's vectors are no unit vectors.
        assert_eq!(sound.parts, 4);
        assert!(
            sound.faults.iter().all(|fault| fault.contains("length")),
            "{sound:?}"
        );
        let merged = merge(&out).unwrap();
        assert!(merged.merged && merge(&out).unwrap() == merged);
        assert_eq!(parts(&out), parts(&whole), "{count} shards");
        let names: Vec<_> = contents(&out).into_keys().collect();
        assert_eq!(names, contents(&whole).into_keys().collect::<Vec<_>>());
    }
}

#[test]
fn what_was_lost_is_done_again_and_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, _) = archive(dir.path());
    let config = job(&[&scenes], &dir.path().join("unused"));
    let plan = dir.path().join("plan.parquet");
    make(&config, &plan).unwrap();
    let out = dir.path().join("out");
    let mut first = ShardConfig::new(&plan, &out);
    first.workers = 1;
    let (model, facts) = model();
    let stopped = run_shard_with(
        &first,
        &model,
        &facts,
        &mut |progress| match progress.items {
            7.. => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
    );
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    // A machine that was lost leaves what it wrote aside; and one died between the part and what says so.
    std::fs::write(out.join("part-00002.parquet.tmp-1-0"), b"half").unwrap();
    std::fs::remove_file(out.join("part-00000.json")).unwrap();
    let found = status(&out).unwrap();
    assert_eq!((found.done, found.under_way.as_slice()), (0, &[2][..]));
    assert!(
        merge(&out)
            .unwrap_err()
            .to_string()
            .contains("0 of 3 blocks")
    );
    let report = shard(&plan, &out, 0, 1).unwrap();
    assert_eq!((report.blocks, report.done_before), (3, 0));
    let merged = merge(&out).unwrap();
    assert_eq!((merged.rows, merged.skipped), (12, 1));
    assert!(contents(&out).keys().all(|name| !name.contains("tmp-")));
    // A part that is gone is missing, and the same command does it again.
    let again = dir.path().join("again");
    shard(&plan, &again, 0, 1).unwrap();
    let part = again.join("part-00001.parquet");
    let bytes = std::fs::read(&part).unwrap();
    std::fs::remove_file(&part).unwrap();
    assert_eq!(status(&again).unwrap().missing, [(1, 1)]);
    shard(&plan, &again, 0, 1).unwrap();
    assert_eq!(std::fs::read(&part).unwrap(), bytes);
    assert!(merge(&again).unwrap().merged);
    // Of a merged folder nothing is done again.
    let report = shard(&plan, &again, 0, 1).unwrap();
    assert_eq!((report.done_before, report.items), (3, 0));
    assert!(
        contents(&again)
            .keys()
            .all(|name| name != "part-00000.json")
    );
    // The same folder does not become another job's.
    let again = embed(&{
        let mut other = config.clone();
        other.destination = Destination::Folder(out.clone());
        other
    });
    assert!(again.unwrap_err().to_string().contains("plan"));
}

#[test]
fn other_plans_models_and_changed_inputs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, _) = archive(dir.path());
    let config = job(&[&scenes], &dir.path().join("unused"));
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    make(&config, &plan).unwrap();
    assert!(
        make(&config, &plan).is_err(),
        "a plan is not replaced unasked"
    );
    shard(&plan, &out, 0, 3).unwrap();
    let mut wider = config.clone();
    wider.windows = Some(Tiling::new(20, 20, Edge::Shift).unwrap());
    let other = dir.path().join("other.parquet");
    make(&wider, &other).unwrap();
    let error = shard(&other, &out, 0, 3).unwrap_err().to_string();
    assert!(error.contains("another plan"), "{error}");
    let (model, mut facts) = model();
    facts.record.version = "2".into();
    let error = run_shard_with(&ShardConfig::new(&plan, &out), &model, &facts, &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("made for the model")
    );
    // A scene that is another one now costs its windows.
    std::fs::copy(raster("u32"), scenes.join("b.tif")).unwrap();
    let report = shard(&plan, &out, 2, 3).unwrap();
    assert_eq!((report.rows, report.skipped), (0, 3));
    let (_, text) = contents(&out)
        .into_iter()
        .find(|(name, _)| name.ends_with("errors.jsonl"))
        .unwrap();
    assert!(String::from_utf8_lossy(&text).contains("changed since"));
    for (input, reason) in [
        ("no.parquet", "No such file"),
        ("scenes/aa.tif", "cannot be"),
    ] {
        let error = shard(&dir.path().join(input), &out, 0, 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason) || !error.is_empty(), "{error}");
    }
    assert!(
        status(dir.path())
            .unwrap_err()
            .to_string()
            .contains("no plan")
    );
    std::fs::write(out.join("part-00000.parquet"), b"other bytes").unwrap();
    assert_eq!(verify(&out).unwrap().faults.len(), 1);
    assert!(merge(&out).is_err());
}

#[test]
fn pictures_of_folders_and_archives_are_planned_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("chips");
    std::fs::create_dir(&folder).unwrap();
    let picture = |shade: u8| {
        let mut png = io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(4, 4, image::Rgb([shade, 1, 2]))
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        png.into_inner()
    };
    let mut builder = tar::Builder::new(File::create(dir.path().join("chips.tar")).unwrap());
    for shade in 0..7 {
        let png = picture(shade);
        std::fs::write(folder.join(format!("{shade}.png")), &png).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(png.len() as u64);
        builder
            .append_data(&mut header, format!("{shade}.png"), png.as_slice())
            .unwrap();
    }
    builder.finish().unwrap();
    let archive = dir.path().join("chips.tar");
    let whole = dir.path().join("whole");
    let mut config = job(&[&folder, &archive], &whole);
    config.windows = None;
    config.reading = ReadOptions::default();
    config.rows_per_part = 4;
    embed(&config).unwrap();
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    assert_eq!(make(&config, &plan).unwrap().items, 14);
    for index in 0..2 {
        shard(&plan, &out, index, 2).unwrap();
    }
    merge(&out).unwrap();
    assert_eq!(parts(&out), parts(&whole));

    // With a table, of which one row is wrong and one has no picture. Of shards nobody needs it any more.
    let table = dir.path().join("chips.csv");
    let rows = [
        "file,datetime,latitude,longitude",
        "3.png,2024-05-01T10:00:00Z,48.5,2.25",
        "chips/4.png,2024-05-02T10:00:00Z,1,1.1",
        "5.png,2024-05-01T10:00:00Z,91,0",
        "elsewhere.png,2024-05-01T10:00:00Z,1,1",
    ];
    std::fs::write(&table, rows.join("\n")).unwrap();
    config.inputs = vec![folder];
    config.metadata = Some(TableConfig {
        path: table.clone(),
        map: BTreeMap::new(),
    });
    let (whole, plan, out) = ["whole2", "plan2.parquet", "out2"]
        .map(|name| dir.path().join(name))
        .into();
    config.destination = Destination::Folder(whole.clone());
    let expected = embed(&config).unwrap().metadata.unwrap();
    assert_eq!((expected.joined, expected.bad_rows), (3, 1));
    assert_eq!(make(&config, &plan).unwrap().metadata, Some(expected));
    std::fs::remove_file(&table).unwrap();
    for index in 0..2 {
        shard(&plan, &out, index, 2).unwrap();
    }
    merge(&out).unwrap();
    assert_eq!(parts(&out), parts(&whole));
}

/// A table of scenes is planned with what its rows say.
#[test]
fn tables_of_scenes_are_planned() {
    let dir = tempfile::tempdir().unwrap();
    archive(dir.path());
    let table = dir.path().join("scenes.csv");
    let rows = [
        "href,datetime",
        "scenes/a.tif,2024-05-01T10:00:00Z",
        "scenes/gone.tif,2024-05-02",
        "scenes/b.tif,in May",
    ];
    std::fs::write(&table, rows.join("\n")).unwrap();
    let whole = dir.path().join("whole");
    let mut config = job(&[&table], &whole);
    config.rows_per_part = 5;
    // The second row has no file, the third no time: its windows are rows without a vector of metadata, which is said
    // once, by whichever block has the first of them.
    let report = embed(&config).unwrap();
    assert_eq!((report.rows, report.skipped), (12, 2));
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    assert_eq!(make(&config, &plan).unwrap().items, 13);
    for index in 0..3 {
        shard(&plan, &out, index, 3).unwrap();
    }
    merge(&out).unwrap();
    assert_eq!(parts(&out), parts(&whole));
}

#[test]
fn a_plan_that_was_broken_off_opens_no_scene_again() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, items) = archive(dir.path());
    let mut config = job(&[&scenes, &items], &dir.path().join("unused"));
    config.assets = vec!["visual".into()];
    config.windows = Some(Tiling::new(1, 1, Edge::Drop).unwrap());
    let whole = dir.path().join("whole.parquet");
    let planned = make(&config, &whole).unwrap();
    let beside = |plan: &Path| plan::scenes_beside(plan).is_file();
    assert!(planned.items > 2000 && !beside(&whole), "{planned:?}");

    let plan = dir.path().join("plan.parquet");
    let (_, facts) = model();
    let kept = broken_off(&config, &plan, planned.items);
    assert!(beside(&plan) && !plan.exists());
    // As a process leaves it that is killed.
    let mut cut = std::fs::read(&kept).unwrap();
    cut.extend_from_slice(b"{\"key\":");
    std::fs::write(&kept, cut).unwrap();
    // Whoever opened it again would find no picture.
    let first = scenes.join("a.tif");
    let (bytes, facts_of) = (
        std::fs::read(&first).unwrap(),
        std::fs::metadata(&first).unwrap(),
    );
    let time = facts_of.modified().unwrap();
    let write = |bytes: &[u8], time| {
        std::fs::write(&first, bytes).unwrap();
        let file = std::fs::File::options().write(true).open(&first).unwrap();
        file.set_modified(time).unwrap();
    };
    let rubbish = vec![b'x'; bytes.len()];
    write(&rubbish, time);
    assert_eq!(make(&config, &plan).unwrap(), planned);
    assert!(!beside(&plan));
    assert_eq!(
        std::fs::read(&plan).unwrap(),
        std::fs::read(&whole).unwrap()
    );
    write(&bytes, time);

    // What is changed meanwhile, and what is asked otherwise, is opened.
    let again = dir.path().join("again.parquet");
    let stop = |config: &JobConfig| {
        plan_with(
            config,
            &facts,
            &again,
            &mut |progress| match progress.items {
                2000.. => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
        )
    };
    stop(&config).unwrap_err();
    write(&rubbish, time + std::time::Duration::from_secs(1));
    let changed = make(&config, &again).unwrap();
    assert!(changed.items < planned.items, "{changed:?}");
    std::fs::remove_file(&again).unwrap();
    write(&bytes, time);
    stop(&config).unwrap_err();
    write(&rubbish, time);
    config.windows = Some(Tiling::new(1, 1, Edge::Shift).unwrap());
    assert_eq!(make(&config, &again).unwrap().items, changed.items);
}

#[test]
fn two_processes_do_not_make_one_plan() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, _) = archive(dir.path());
    let config = job(&[&scenes], &dir.path().join("unused"));
    let plan = dir.path().join("plan.parquet");
    let kept = std::fs::File::create(plan::scenes_beside(&plan)).unwrap();
    kept.lock().unwrap();
    let refused = make(&config, &plan).unwrap_err().to_string();
    assert!(refused.contains("another process"), "{refused}");
    drop(kept);
    make(&config, &plan).unwrap();
}

/// A plan that is broken off when all scenes of a folder but the last one are known.
fn broken_off(config: &JobConfig, plan: &Path, items: u64) -> PathBuf {
    let (_, facts) = model();
    let broken = plan_with(config, &facts, plan, &mut |progress| match progress.items
        >= items / 1000 * 1000
    {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    assert!(matches!(broken, Err(Error::Interrupted)), "{broken:?}");
    plan::scenes_beside(plan)
}

/// A folder of scenes in windows of a pixel.
fn pixels(dir: &Path) -> (PathBuf, JobConfig) {
    let (scenes, _) = archive(dir);
    let mut config = job(&[&scenes], &dir.join("unused"));
    config.windows = Some(Tiling::new(1, 1, Edge::Drop).unwrap());
    (scenes, config)
}

#[test]
fn an_edited_list_of_scenes_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, config) = pixels(dir.path());
    let whole = dir.path().join("whole.parquet");
    let planned = make(&config, &whole).unwrap();
    let whole = std::fs::read(&whole).unwrap();
    for (what, other) in [
        ("\"wanted\":[[0,", "\"wanted\":[[1,"),
        ("\"state\":\"", "\"state\":\"x"),
        ("\"size\":[", "\"size\":[4"),
        ("\"key\":\"", "\"key\":\"0"),
    ] {
        let plan = dir.path().join("plan.parquet");
        let kept = broken_off(&config, &plan, planned.items);
        let text = std::fs::read_to_string(&kept).unwrap();
        assert!(text.contains(what), "{text}");
        std::fs::write(&kept, text.replace(what, other)).unwrap();
        assert_eq!(make(&config, &plan).unwrap(), planned);
        assert!(std::fs::read(&plan).unwrap() == whole, "{what}");
        std::fs::remove_file(&plan).unwrap();
    }
}

#[test]
fn scenes_that_became_others_are_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, config) = pixels(dir.path());
    let planned = make(&config, &dir.path().join("whole.parquet")).unwrap();
    let first = scenes.join("a.tif");
    let time = std::fs::metadata(&first).unwrap().modified().unwrap();
    // Of another length with the time of before, as archives and copies keep it; and with a mask beside it.
    let plan = dir.path().join("plan.parquet");
    broken_off(&config, &plan, planned.items);
    let bytes = std::fs::read(&first).unwrap();
    std::fs::write(&first, b"no picture").unwrap();
    let file = std::fs::File::options().write(true).open(&first).unwrap();
    file.set_modified(time).unwrap();
    let changed = make(&config, &plan).unwrap();
    assert!(changed.items < planned.items, "{changed:?}");
    std::fs::write(&first, bytes).unwrap();
    let plan = dir.path().join("masked.parquet");
    broken_off(&config, &plan, planned.items);
    std::fs::write(scenes.join("a.tif.msk"), b"mask").unwrap();
    assert_eq!(make(&config, &plan).unwrap().items, changed.items);
}

#[test]
#[cfg(unix)]
fn names_that_are_no_utf8_are_told_apart() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    for (name, source) in [(&b"x\xfe.tif"[..], "u16"), (b"x\xff.tif", "all_nodata")] {
        let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::copy(raster(source), &path).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    }
    let config = job(&[dir.path()], &dir.path().join("unused"));
    let planned = make(&config, &dir.path().join("plan.parquet")).unwrap();
    let counted = crate::survey(&config).unwrap();
    assert_eq!(planned.items, counted.items + counted.refused);
}

#[test]
fn a_file_that_is_no_list_of_scenes_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (_, config) = pixels(dir.path());
    let plan = dir.path().join("plan.parquet");
    let kept = plan::scenes_beside(&plan);
    std::fs::write(&kept, "mine\n").unwrap();
    let refused = make(&config, &plan).unwrap_err().to_string();
    assert!(refused.contains("no list of scenes"), "{refused}");
    assert_eq!(std::fs::read(&kept).unwrap(), b"mine\n");
    #[cfg(unix)]
    {
        let victim = dir.path().join("victim");
        std::fs::rename(&kept, &victim).unwrap();
        std::os::unix::fs::symlink(&victim, &kept).unwrap();
        let refused = make(&config, &plan).unwrap_err().to_string();
        assert!(refused.contains("no list of scenes"), "{refused}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine\n");
        std::fs::remove_file(&kept).unwrap();
    }
    let _ = std::fs::remove_file(&kept);
    // What a process that was killed left of the plan goes with the list.
    let lost = dir.path().join("plan.parquet.tmp-1-0");
    std::fs::write(&lost, b"half").unwrap();
    make(&config, &plan).unwrap();
    assert!(!lost.exists() && plan.exists());
}

#[test]
fn a_part_that_is_lost_after_merging_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, _) = archive(dir.path());
    let config = job(&[&scenes], &dir.path().join("unused"));
    let (plan, out) = (dir.path().join("plan.parquet"), dir.path().join("out"));
    let mut config = config;
    config.rows_per_part = 5;
    make(&config, &plan).unwrap();
    shard(&plan, &out, 0, 1).unwrap();
    merge(&out).unwrap();
    let whole = contents(&out);
    std::fs::remove_file(out.join("part-00001.parquet")).unwrap();
    let found = status(&out).unwrap();
    assert!(!found.is_complete() && found.merged, "{found:?}");
    assert_eq!(found.missing, [(1, 1)]);
    let faults = verify(&out).unwrap().faults;
    assert!(
        faults.iter().any(|fault| fault.contains("not there")),
        "{faults:?}"
    );
    let refused = merge(&out).unwrap_err().to_string();
    assert!(refused.contains("embed --plan"), "{refused}");
    let again = shard(&plan, &out, 0, 1).unwrap();
    assert_eq!(again.done_before, again.blocks - 1);
    assert!(merge(&out).unwrap().is_complete());
    assert_eq!(contents(&out), whole);
}

#[test]
fn parts_of_another_plan_are_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (scenes, _) = archive(dir.path());
    let mut config = job(&[&scenes], &dir.path().join("unused"));
    config.rows_per_part = 5;
    let folder = |config: &JobConfig, name: &str| {
        let plan = dir.path().join(format!("{name}.parquet"));
        make(config, &plan).unwrap();
        let out = dir.path().join(name);
        shard(&plan, &out, 0, 1).unwrap();
        out
    };
    let one = folder(&config, "one");
    config.reading = config.reading.with_min_valid(0.25).unwrap();
    let other = folder(&config, "other");
    for name in ["part-00000.parquet", "part-00000.json"] {
        std::fs::copy(other.join(name), one.join(name)).unwrap();
    }
    for refused in [
        merge(&one).unwrap_err().to_string(),
        verify(&one).unwrap_err().to_string(),
        status(&one).unwrap_err().to_string(),
    ] {
        assert!(refused.contains("of another plan"), "{refused}");
    }
}
