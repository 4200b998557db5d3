//! Pictures of all kinds, and results one by one.

use std::cell::Cell;

use satmip::Encoded;

use super::*;

/// Writes pictures as PNG files.
fn files(folder: &Path, pictures: &[RgbImage]) -> Vec<PathBuf> {
    let write = |(i, picture): (usize, &RgbImage)| {
        let path = folder.join(format!("{i}.png"));
        let pixels = picture.pixels().to_vec();
        image::RgbImage::from_raw(picture.width(), picture.height(), pixels)
            .unwrap()
            .save(&path)
            .unwrap();
        path
    };
    pictures.iter().enumerate().map(write).collect()
}

#[test]
fn paths_bytes_pixels_and_arrays_are_one_picture() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(3);
    let paths = files(folder.path(), &pictures);
    let model = load(Side::Text, Device::Rten, 2, 4);
    let expected = model.embed_images(&pictures).unwrap();
    assert_eq!(model.embed_images(&paths).unwrap(), expected);
    let bytes: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let encoded: Vec<_> = bytes
        .iter()
        .map(|bytes| Encoded::new("a.png", bytes))
        .collect();
    assert_eq!(model.embed_images(&encoded).unwrap(), expected);
    let arrays = pictures.iter().map(|picture| {
        let shape = (picture.height() as usize, picture.width() as usize, 3);
        let array = ndarray::Array3::from_shape_vec(shape, picture.pixels().to_vec()).unwrap();
        RgbImage::try_from(array.view()).unwrap()
    });
    assert_eq!(
        model.embed_images(&arrays.collect::<Vec<_>>()).unwrap(),
        expected
    );
    let bad = [Encoded::new("scenes/17.png", b"no picture")];
    let error = model.embed_images(&bad).unwrap_err();
    assert!(error.to_string().contains("scenes/17.png"), "{error}");
}

#[test]
fn each_picture_has_its_own_result() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(11);
    let mut paths = files(folder.path(), &pictures);
    for (sessions, batch) in [(1, 1), (1, 4), (2, 3), (3, 32)] {
        let model = load(Side::Text, Device::Rten, sessions, batch);
        let expected = model.embed_images(&paths).unwrap();
        let found: Vec<Vec<f32>> = model.embed_each(&paths).map(Result::unwrap).collect();
        assert_eq!(
            found,
            expected.iter().map(<[f32]>::to_vec).collect::<Vec<_>>()
        );
        assert_eq!(model.embed_each::<[&Path; 0]>([]).count(), 0);
    }
    let model = load(Side::Text, Device::Rten, 2, 3);
    let expected = model.embed_images(&paths).unwrap();
    for bad in [1, 5, 9] {
        paths[bad] = folder.path().join(format!("missing-{bad}.png"));
    }
    let found: Vec<_> = model.embed_each(&paths).collect();
    assert_eq!(found.len(), paths.len());
    for (i, found) in found.into_iter().enumerate() {
        match found {
            Ok(vector) => assert_eq!(Some(&vector[..]), expected.row(i), "{i}"),
            Err(error) => {
                assert!([1, 5, 9].contains(&i));
                assert!(
                    error.to_string().contains(&format!("missing-{i}.png")),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn pictures_are_taken_as_they_are_needed() {
    let model = load(Side::Text, Device::Rten, 2, 3);
    let picture = pictures(1).remove(0);
    let taken = Cell::new(0);
    let endless = std::iter::repeat_with(|| {
        taken.set(taken.get() + 1);
        &picture
    });
    let mut results = model.embed_each(endless);
    let first = results.next().unwrap().unwrap();
    assert_eq!((first.len(), taken.get()), (DIM, 6));
    assert_eq!(results.by_ref().take(6).filter(Result::is_ok).count(), 6);
    assert_eq!(taken.get(), 12);
}
