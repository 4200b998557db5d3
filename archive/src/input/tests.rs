//! The order of items and what inputs are refused.

use super::list::List;
use super::*;

pub(super) fn ids(inputs: &Inputs) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    inputs
        .visit(&mut |item| {
            let bad = matches!(item.source, Contents::Fault(..));
            found.push((item.id, bad));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn folders_come_in_the_byte_order_of_whole_paths() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "b.jpg",
        "a/z.PNG",
        "a-b.jpg",
        "a.jpg",
        "a/b/c.tif",
        ".hidden.jpg",
        "notes.md",
    ];
    for name in names {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }
    let inputs = Inputs::open(&[dir.path().to_owned()]).unwrap();
    let ids: Vec<_> = ids(&inputs).into_iter().map(|(id, _)| id).collect();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(ids, sorted);
    assert_eq!(ids, ["a-b.jpg", "a.jpg", "a/b/c.tif", "a/z.PNG", "b.jpg"]);
    let listing = inputs.visit(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((listing.items, listing.ignored), (5, 2));
}

#[test]
fn the_fingerprint_follows_names_and_order() {
    let list = |text: &str| Inputs {
        known: None,
        windows: None,
        remote: Remote::default(),
        kept: Arc::default(),
        roots: vec![Root {
            label: Vec::new(),
            place: None,
            kind: Kind::List(List::memory("-", text.as_bytes().to_vec())),
        }],
    };
    let chain = |text: &str| {
        let all = list(text)
            .visit(&mut |_| ControlFlow::Continue(()))
            .unwrap();
        all.chain
    };
    assert_eq!(chain("a.jpg\nb.jpg\n"), chain("a.jpg\r\nb.jpg"));
    assert_eq!(chain("a.jpg\nb.jpg"), chain("a.jpg\0b.jpg\0"));
    assert_ne!(chain("a.jpg\nb.jpg"), chain("b.jpg\na.jpg"));
    assert_ne!(chain("a.jpg\nb.jpg"), chain("a.jpg\nb.jpg\nc.jpg"));
    assert_eq!(
        ids(&list("a.jpg\n\nb.jpg\na.jpg\n")),
        [
            ("a.jpg".to_owned(), false),
            ("b.jpg".to_owned(), false),
            ("a.jpg".to_owned(), true)
        ]
    );
}

#[test]
fn several_folders_keep_their_names_apart() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one/x.jpg", "two/x.jpg"] {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }
    let roots = [dir.path().join("one/"), dir.path().join("two")];
    let inputs = Inputs::open(&roots).unwrap();
    let mut names = Vec::new();
    inputs
        .visit(&mut |item| {
            names.push(item.id);
            ControlFlow::Continue(())
        })
        .unwrap();
    let ends = |i: usize, end: &str| names[i].ends_with(end);
    assert!(names.len() == 2 && ends(0, "/one/x.jpg") && ends(1, "/two/x.jpg"));
    assert!(ids(&inputs).iter().all(|(_, bad)| !bad));
}

#[test]
fn what_does_not_exist_or_is_compressed_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nothing");
    let error = Inputs::open(&[missing]).unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
    let packed = dir.path().join("a.tar.gz");
    std::fs::write(&packed, b"x").unwrap();
    let error = Inputs::open(&[packed]).unwrap_err();
    assert!(error.to_string().contains("gzip -dc"), "{error}");
    assert!(Inputs::open(&[]).is_err());
    assert!(Inputs::open(&["-".into(), "-".into()]).is_err());
}
