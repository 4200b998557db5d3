//! Every kind of source, whole and broken.

use std::fs::{self, File};

use satmip::{Field, Metadata};
use serde_json::{Value, json};

use super::{ARCHIVE, fault, make_archive, open, png, refused, write, write_tar};

#[test]
fn an_index_may_have_any_field() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_tar(&folder.join("chips.tar"), &[("a.png", png(4, 4, [9; 3]))]);
    let mut record = Metadata::new();
    let (mut header, mut row) = (
        String::from("file,label,split"),
        String::from("a.png,x,test"),
    );
    for (field, text) in Field::ALL.into_iter().zip([
        "11.4546,9.1344",
        "41.1896",
        "1.03e-4,8.23e-5",
        "2015-09-21T15:30:08Z",
        "-73.310776,-3.785814",
        "18M",
        "PER",
        "14",
        "Reverse",
        "661,545,477",
        "39.12",
        "77.28",
        "70.44",
        "27.7",
        "GEOEYE01",
    ]) {
        record.set_text(field, text).unwrap();
        header += &format!(",{field}");
        row += &format!(",\"{text}\"");
    }
    write(&folder.join("chips.csv"), format!("{header}\n{row}\n"));
    let set = open(folder, ARCHIVE, "test").unwrap();
    assert_eq!((set.len(), set.label(0), set.name(0)), (1, "x", "a.png"));
    assert_eq!(*set.metadata(0), record);
}

#[test]
fn archives_that_do_not_fit_their_index_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_archive(folder, &[]);
    let index = folder.join("chips.csv");
    let good = fs::read_to_string(&index).unwrap();
    refused(folder, ARCHIVE, "val", &["chips.csv", "split `val`"]);
    for (text, parts) in [
        (good.replace("label", "klass"), ["chips.csv", "`label`"]),
        (good.replace(",10\n", ",nan\n"), ["line 2", "gsd"]),
        (good.replace("0/39.png", "0/36.png"), ["line 41", "twice"]),
        (
            good.replace("0/39.png", "../0/39.png"),
            ["lacks 1", "../0/39.png"],
        ),
        (String::new(), ["chips.csv", "empty"]),
    ] {
        write(&index, text);
        refused(folder, ARCHIVE, "train", &parts);
    }
    write(&index, good);
    write(&folder.join("chips.tar"), vec![b'z'; 4096]);
    refused(folder, ARCHIVE, "train", &["chips.tar", "no tar archive"]);
    fs::remove_file(folder.join("chips.tar")).unwrap();
    refused(folder, ARCHIVE, "train", &["chips.tar"]);
}

#[test]
fn several_splits_are_one_set_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let members =
        ["a.png", "b.png", "c.png", "d.png"].map(|name| (name, png(4, 4, [name.as_bytes()[0]; 3])));
    write_tar(&folder.join("chips.tar"), &members);
    write(
        &folder.join("chips.csv"),
        "file,label,split\na.png,x,val\nb.png,y,train\nc.png,z,test\nd.png,x,train\n",
    );
    let source = crate::source(ARCHIVE);
    let set = satmip_eval::chips::ChipSet::open_splits(&source, folder, &["train", "val"]).unwrap();
    let names: Vec<_> = (0..set.len())
        .map(|i| (set.name(i), set.label(i)))
        .collect();
    assert_eq!(names, [("b.png", "y"), ("d.png", "x"), ("a.png", "x")]);
    for (chip, letter) in [(0, b'b'), (1, b'd'), (2, b'a')] {
        assert!(set.image(chip).unwrap().pixels().contains(&letter));
    }
    match satmip_eval::chips::ChipSet::open_splits(&source, folder, &["train", "dev"]) {
        Err(satmip::Error::EmptySplit { split, .. }) => assert_eq!(split, "dev"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn truncated_archives_lose_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let noise: Vec<u8> = (0..3000u32).map(|i| (i * i % 251) as u8).collect();
    let members = [("a.png", png(4, 4, [9; 3])), ("b.png", noise)];
    write_tar(&folder.join("chips.tar"), &members);
    write(
        &folder.join("chips.csv"),
        "file,label,split,gsd\na.png,x,train,1\nb.png,x,train,1\n",
    );
    let whole = fs::read(folder.join("chips.tar")).unwrap();
    // Within the second member: it alone is bad.
    write(&folder.join("chips.tar"), &whole[..512 + 512 + 512 + 700]);
    let set = open(folder, ARCHIVE, "train").unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!(set.image(0).unwrap().width(), 4);
    assert!(fault(&set, 1).contains("the archive ends inside"));
    // Within its header: the index names a chip that is not there.
    write(&folder.join("chips.tar"), &whole[..512 + 512 + 100]);
    refused(folder, ARCHIVE, "train", &["lacks 1", "b.png"]);
}

#[test]
fn a_header_that_lies_about_its_size_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (size, part) in [(1u64 << 40, "over the limit"), (1 << 29, "ends inside")] {
        let mut header = tar::Header::new_gnu();
        header.set_path("huge.png").unwrap();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 512]);
        write(&folder.join("chips.tar"), bytes);
        write(
            &folder.join("chips.csv"),
            "file,label,split,gsd\nhuge.png,x,train,1\n",
        );
        let set = open(folder, ARCHIVE, "train").unwrap();
        assert!(fault(&set, 0).contains(part), "{}", fault(&set, 0));
    }
}

fn stac() -> Value {
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "s", "assets": {},
        "bbox": [10.0, 20.0, 10.2, 20.2],
        "geometry": null,
        "properties": {"datetime": "2021-05-06T07:08:09Z", "platform": "sentinel-2a", "gsd": 10},
    })
}

#[test]
fn shards_of_samples() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = |value: Value| value.to_string().into_bytes();
    write_tar(
        &folder.join("train-00.tar"),
        &[
            ("a.png", png(5, 4, [1; 3])),
            ("a.json", text(stac())),
            ("a.cls", b"7\n".to_vec()),
            ("a.txt", b"a caption".to_vec()),
            (
                "b.json",
                text(json!({"lon": 8.5, "lat": 47.0, "gsd": 0.5, "caption": "x"})),
            ),
            ("b.png", png(6, 4, [2; 3])),
            ("b.seg.png", png(9, 9, [2; 3])),
            ("readme.md", b"x".to_vec()),
        ],
    );
    write_tar(
        &folder.join("train-01.tar"),
        &[
            ("v1.5/c.PNG", png(7, 4, [3; 3])),
            ("v1.5/c.json", b"{\"gsd\": 1".to_vec()),
            ("v1.5/d.png", png(8, 4, [3; 3])),
            ("v1.5/d.json", text(json!({"gsd": "NaN"}))),
            ("v1.5/e.json", text(json!({"gsd": 1}))),
            ("v1.5/f.png", png(8, 4, [3; 3])),
            (
                "v1.5/f.json",
                text(json!({"img_filename": "f", "gsd": 0.6, "cloud_cover": 3})),
            ),
            ("v1.5/g.png", png(8, 4, [3; 3])),
            ("v1.5/g.jpg", png(8, 4, [3; 3])),
        ],
    );
    let shards = "shards = \"{split}-{00..01}.tar\"";
    let set = open(folder, shards, "train").unwrap();
    let names: Vec<_> = (0..set.len()).map(|i| set.name(i)).collect();
    let expected = [
        "train-00.tar/a.png",
        "train-00.tar/b.png",
        "train-01.tar/v1.5/c.PNG",
        "train-01.tar/v1.5/d.png",
        "train-01.tar/v1.5/e",
        "train-01.tar/v1.5/f.png",
        "train-01.tar/v1.5/g.png",
    ];
    assert_eq!(names, expected);
    assert_eq!((set.label(0), set.label(1)), ("7", ""));
    assert_eq!(set.metadata(0).sensor_platform(), Some("SENTINEL-2A"));
    assert_eq!(set.metadata(1).location().unwrap().lon(), 8.5);
    assert!(set.metadata(1).derived().contains(Field::CountryCode));
    assert_eq!(set.metadata(5).cloud_cover(), Some(3.0));
    assert_eq!(set.image(1).unwrap().width(), 6);
    for (chip, part) in [
        (2, "not valid JSON"),
        (3, "gsd"),
        (4, "no picture"),
        (6, "beside"),
    ] {
        assert!(fault(&set, chip).contains(part), "{}", fault(&set, chip));
        assert!(set.metadata(chip).is_empty());
    }
    refused(
        folder,
        shards,
        "val",
        &["`val-{00..01}.tar` has no chip of the split `val`"],
    );
    refused(
        folder,
        "shards = \"train-00.tar\"",
        "val",
        &["`train-00.tar` has no chip of the split `val`"],
    );
    refused(folder, "shards = \"train-{00\"", "train", &["not closed"]);
}

#[test]
fn shards_with_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_tar(
        &folder.join("s.tar"),
        &[
            ("a.png", png(5, 4, [1; 3])),
            ("a.json", b"no JSON, and not read".to_vec()),
            ("d/b.png", png(5, 4, [1; 3])),
            ("d/c.png", png(5, 4, [1; 3])),
            ("e.png", png(5, 4, [1; 3])),
        ],
    );
    let table = "file,label,split,gsd\na,x,train,1\nb.png,y,val,2\nd/c.png,z,train,3\n";
    write(&folder.join("t.csv"), table);
    let shards = "shards = \"s.tar\"\ntable = \"t.csv\"";
    let set = open(folder, shards, "train").unwrap();
    assert_eq!((set.len(), set.label(0), set.label(1)), (3, "x", "z"));
    assert_eq!(set.metadata(1).gsd().unwrap().x, 3.0);
    assert!(fault(&set, 2).contains("no row"), "{}", fault(&set, 2));
    let set = open(folder, shards, "val").unwrap();
    assert_eq!(
        (set.len(), set.label(0), set.name(0)),
        (2, "y", "s.tar/d/b.png")
    );
    write(&folder.join("t.csv"), format!("{table}lost,y,train,1\n"));
    refused(folder, shards, "train", &["lacks 1", "lost"]);
}

#[test]
fn damaged_shards_are_named_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = folder.join("s.tar");
    write_tar(&path, &[("a.png", png(5, 4, [1; 3]))]);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(1024);
    bytes.extend_from_slice(&[b'z'; 2048]);
    write(&path, bytes);
    let set = open(folder, "shards = [\"s.tar\"]", "train").unwrap();
    assert_eq!(set.len(), 2);
    assert!(set.image(0).is_ok());
    assert!(fault(&set, 1).contains("damaged after `a.png`"));
}

#[test]
fn folders_with_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("in/a.png"), png(5, 4, [1; 3]));
    write(&folder.join("in/sub/b.png"), png(6, 4, [1; 3]));
    write(&folder.join("outside.png"), png(6, 4, [1; 3]));
    write(
        &folder.join("t.csv"),
        "file,gsd\n./sub/b.png,2\na.png,1\nlost.png,1\n../outside.png,1\n",
    );
    let toml = "folder = \"in\"\ntable = \"t.csv\"";
    let set = open(folder, toml, "train").unwrap();
    assert_eq!((set.len(), set.name(0), set.label(0)), (4, "sub/b.png", ""));
    assert_eq!(set.image(0).unwrap().width(), 6);
    assert_eq!(set.metadata(1).gsd().unwrap().x, 1.0);
    fault(&set, 2);
    assert!(fault(&set, 3).contains("leaves the folder"));
    refused(folder, toml, "val", &["t.csv", "split `val`"]);
    write(&folder.join("t.csv"), "file,label,split\nx.png,k,val\n");
    refused(folder, toml, "val", &["none of the first 1", "x.png"]);
    refused(folder, "folder = \"no\"\ntable = \"t.csv\"", "val", &["no"]);
}

#[test]
fn tables_in_parquet() {
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("in/a.png"), png(5, 4, [1; 3]));
    // `label` stands before the key, and `notes` is not read.
    let columns: [(&str, ArrayRef); 5] = [
        ("label", Arc::new(StringArray::from(vec!["k", "l"]))),
        ("notes", Arc::new(StringArray::from(vec!["x", "y"]))),
        ("gsd", Arc::new(Float64Array::from(vec![Some(2.5), None]))),
        ("split", Arc::new(StringArray::from(vec!["val", "train"]))),
        ("file", Arc::new(StringArray::from(vec!["a.png", "b.png"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(folder.join("t.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let set = open(folder, "folder = \"in\"\ntable = \"t.parquet\"", "val").unwrap();
    assert_eq!((set.len(), set.name(0), set.label(0)), (1, "a.png", "k"));
    assert_eq!(set.metadata(0).gsd().unwrap().x, 2.5);
}

#[test]
fn tables_in_labels_and_splits_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("in/a.png"), png(5, 4, [1; 3]));
    write(&folder.join("t.csv"), "file,label,split\na.png,k,val\n");
    let set = open(folder, "folder = \"in\"\ntable = \"t.csv\"", "val").unwrap();
    assert_eq!((set.len(), set.label(0)), (1, "k"));
    assert!(set.metadata(0).is_empty());
}

/// A record of a picture of 40 x 20 pixels of 1 m around (10, 0).
fn fmow(boxes: Value) -> Value {
    json!({
        "img_filename": "x_0_0_rgb.jpg", "img_width": 40, "img_height": 20, "gsd": 1.0,
        "mean_pixel_width": 9e-6, "mean_pixel_height": 9e-6,
        "geometry": {"type": "Polygon", "coordinates": [[
            [9.9, -0.1], [10.1, -0.1], [10.1, 0.1], [9.9, 0.1], [9.9, -0.1],
        ]]},
        "cloud_cover": 5, "bounding_boxes": boxes,
    })
}

#[test]
fn the_layout_of_fmow() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("fmow/train");
    let put = |name: &str, record: Option<Value>| {
        let stem = root.join(name);
        write(&stem.with_extension("jpg"), png(40, 20, [50; 3]));
        if let Some(record) = record {
            write(&stem.with_extension("json"), record.to_string());
        }
    };
    let two = json!([
        {"ID": -1, "category": "pond", "box": [30, 5, 10, 10]},
        {"ID": 5, "category": "pond", "box": [30, 5, 10, 10]},
        {"ID": 6, "category": "false_detection", "box": [0, 0, 4, 2]},
    ]);
    put("pond/pond_0/pond_0_0_rgb", Some(fmow(two)));
    put("pond/pond_0/pond_0_0_msrgb", Some(fmow(json!([]))));
    put("pond/pond_1/pond_1_0_rgb", None);
    put(
        "pond/pond_2/pond_2_0_rgb",
        Some(fmow(json!({"box": [0, 0, 40, 20]}))),
    );
    put(
        "dam/dam_0/dam_0_0_rgb",
        Some(fmow(json!([{"box": [0, 0, 0, 5]}, {"box": [41, 0, 5, 5]}]))),
    );
    let mut wide = fmow(json!([{"box": [0, 0, 5, 5]}]));
    wide["img_width"] = json!(41);
    put("dam/dam_1/dam_1_0_rgb", Some(wide.clone()));
    wide["img_width"] = json!(-1);
    put("dam/dam_2/dam_2_0_rgb", Some(wide));
    write(
        &root.join("dam/dam_3/dam_3_0_rgb.jpg"),
        png(40, 20, [50; 3]),
    );
    write(&root.join("dam/dam_3/dam_3_0_rgb.json"), "{\"gsd\":");
    put("dam/dam_4/dam_4_0_rgb", Some(fmow(json!([]))));

    let set = open(folder.path(), "fmow = \"fmow\"\ncontext = 1.0", "train").unwrap();
    let names: Vec<_> = (0..set.len()).map(|i| set.name(i)).collect();
    let expected = [
        "train/dam/dam_0/dam_0_0_rgb.jpg#0",
        "train/dam/dam_0/dam_0_0_rgb.jpg#1",
        "train/dam/dam_1/dam_1_0_rgb.jpg#0",
        "train/dam/dam_2/dam_2_0_rgb.jpg",
        "train/dam/dam_3/dam_3_0_rgb.jpg",
        "train/dam/dam_4/dam_4_0_rgb.jpg",
        "train/pond/pond_0/pond_0_0_rgb.jpg#0",
        "train/pond/pond_0/pond_0_0_rgb.jpg#1",
        "train/pond/pond_1/pond_1_0_rgb.jpg",
        "train/pond/pond_2/pond_2_0_rgb.jpg#0",
    ];
    assert_eq!(names, expected);
    for (chip, part) in [
        (0, "0 x 5"),
        (1, "outside"),
        (2, "41 x 20"),
        (3, "img_width"),
        (4, "not valid JSON"),
        (5, "bounding_boxes"),
        (8, "its JSON"),
    ] {
        assert!(fault(&set, chip).contains(part), "{}", fault(&set, chip));
    }
    // The box's right half of the picture: 15 m east of the centre.
    let image = set.image(6).unwrap();
    assert_eq!(
        (image.width(), image.height(), set.label(6)),
        (10, 10, "pond")
    );
    let place = set.metadata(6).location().unwrap();
    assert!((place.lon() - (10.0 + 15.0 * 9e-6)).abs() < 1e-12 && place.lat().abs() < 1e-12);
    assert_eq!(set.metadata(6).gsd().unwrap().x, 1.0);
    // A square of 4 pixels around a box of 4 x 2 at the corner, cut off above.
    let image = set.image(7).unwrap();
    assert_eq!((image.width(), image.height()), (4, 3));
    assert_eq!(image.get(0, 0), Some([255; 3]));
    assert_eq!((set.label(7), set.label(9)), ("false_detection", "pond"));
    assert_eq!(set.image(9).unwrap().width(), 40);
    let wide = open(folder.path(), "fmow = \"fmow\"\ncontext = 2.0", "train").unwrap();
    assert_eq!(
        (
            wide.image(6).unwrap().width(),
            wide.image(6).unwrap().height()
        ),
        (15, 20)
    );

    refused(folder.path(), "fmow = \"fmow\"", "val", &["val"]);
    fs::create_dir_all(folder.path().join("fmow/test")).unwrap();
    refused(
        folder.path(),
        "fmow = \"fmow\"",
        "test",
        &["no chip", "`test`"],
    );
}
