//! Items of catalogues that are unlike what a job would like.

use serde_json::{Value, json};

use super::scenes::{errors, raster, rows};
use super::*;
use crate::survey;

/// A job over the pictures of items.
fn cut(input: &Path, out: &Path) -> JobConfig {
    let mut config = super::scenes::cut(input, out);
    config.assets = vec!["visual".into()];
    config
}

/// A file of items, one a line, whose picture is a scene of six windows.
fn lines(dir: &Path, items: &[Value]) -> PathBuf {
    std::fs::copy(raster("u16"), dir.join("scene.tif")).unwrap();
    let path = dir.join("items.ndjson");
    let text: Vec<String> = items.iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    path
}

fn item(id: &str, collection: &str, time: &str) -> Value {
    json!({"type": "Feature", "stac_version": "1.0.0", "id": id, "collection": collection,
        "properties": {"datetime": time}, "assets": {"visual": {"href": "scene.tif"}}})
}

#[test]
fn two_collections_may_have_items_of_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let time = "2024-06-05T10:50:31Z";
    let items = [
        item("x", "spring", time),
        item("x", "autumn", time),
        item("x", "autumn", time),
    ];
    let input = lines(dir.path(), &items);
    let out = dir.path().join("out");
    let report = embed(&cut(&input, &out)).unwrap();
    assert_eq!((report.rows, report.skipped), (12, 1));
    let found = rows(&out);
    assert_eq!(found[0]["id"], "x#0,0,16,16");
    assert_eq!(found[6]["id"], "autumn/x#0,0,16,16");
    assert_eq!(errors(&out)[0]["id"], "autumn/x");
}

#[test]
fn a_time_that_is_none_is_named_where_no_vector_needs_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let input = lines(dir.path(), &[item("x", "all", "in summer")]);
    for images_only in [false, true] {
        let out = dir.path().join(format!("out-{images_only}"));
        let mut config = cut(&input, &out);
        config.images_only = images_only;
        let report = embed(&config).unwrap();
        // Once for all windows.
        assert_eq!((report.rows, report.skipped), (6, 1), "{images_only}");
        assert!(rows(&out).iter().all(|row| row["datetime"].is_null()));
        let reason = errors(&out)[0]["reason"].to_string();
        assert!(reason.contains("in summer"), "{reason}");
    }
}

#[cfg(unix)]
#[test]
fn links_of_the_file_system_do_not_lead_out_of_a_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("catalogue");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(raster("u16"), folder.join("scene.tif")).unwrap();
    let time = "2024-06-05T10:50:31Z";
    let outside = dir.path().join("secret.json");
    std::fs::write(&outside, item("secret", "all", time).to_string()).unwrap();
    std::os::unix::fs::symlink(&outside, folder.join("linked.json")).unwrap();
    std::fs::write(
        folder.join("own.json"),
        item("own", "all", time).to_string(),
    )
    .unwrap();
    let catalogue = json!({"type": "Catalog", "stac_version": "1.0.0", "id": "all", "links": [
        {"rel": "item", "href": "linked.json"}, {"rel": "item", "href": "own.json"},
    ]});
    let path = folder.join("catalog.json");
    std::fs::write(&path, catalogue.to_string()).unwrap();
    let out = dir.path().join("out");
    let report = embed(&cut(&path, &out)).unwrap();
    assert_eq!((report.rows, report.skipped), (6, 1));
    let reason = errors(&out)[0]["reason"].to_string();
    assert!(reason.contains("out of the catalogue's folder"), "{reason}");
}

#[test]
fn a_survey_of_nothing_is_the_error_of_the_job() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("notes.txt.bak"), "x").unwrap();
    let config = cut(dir.path(), &dir.path().join("out"));
    let [job, said] = [
        embed(&config).map(|_| ()).unwrap_err(),
        survey(&config).map(|_| ()).unwrap_err(),
    ];
    assert_eq!(job.to_string(), said.to_string());
    assert!(said.to_string().contains("1 other file"), "{said}");
}
