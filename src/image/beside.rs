//! What GDAL keeps beside a file, of which the file itself tells nothing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::ImageFault;

/// Refuses a file whose mask, or a raster whose nodata, scale or colours, stand in a file beside it.
pub fn nothing_beside(path: &Path) -> Result<(), ImageFault> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mask = beside(".msk");
    if mask.exists() {
        return Err(ImageFault::Unsupported(format!(
            "a mask in a file of its own, `{}` (take it in: `gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES \
             IN.tif OUT.tif`)",
            mask.display()
        )));
    }
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    let notes = beside(".aux.xml");
    let is_raster = ["tif", "tiff", "jp2", "j2k"]
        .iter()
        .any(|known| ending == *known);
    match is_raster && changes_samples(&notes) {
        false => Ok(()),
        true => Err(ImageFault::Unsupported(format!(
            "nodata, a scale or colours in a file of its own, `{}` (take them in: `gdal_translate IN OUT.tif`)",
            notes.display()
        ))),
    }
}

/// Whether GDAL's notes say what samples mean. Most hold statistics alone.
fn changes_samples(notes: &Path) -> bool {
    /// More than notes without a table of rows have.
    const MOST: u64 = 1 << 20;
    let mut text = Vec::new();
    let read = File::open(notes).and_then(|file| file.take(MOST).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let words = [
        "<NoDataValue",
        "<Scale>",
        "<Offset>",
        "<ColorTable",
        "<ColorInterp>",
    ];
    read.is_ok() && words.iter().any(|word| text.contains(word))
}
