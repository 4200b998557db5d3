//! The embedder as a job's model.

use ndarray::ArrayView4;

use super::job::Facts;
use super::ledger::ModelRecord;
use super::worker::{Model, Vectors};
use satmip::arch::Preprocessing;
use satmip::embedder::{Embedder, TowerOutput};
use satmip::metadata::{FieldSet, Metadata};
use satmip::parts::sha256;
use satmip::{Error, Result};

impl Model for Embedder {
    fn preprocessing(&self) -> &Preprocessing {
        &self.manifest().arch.preprocessing
    }

    fn images(&self, pictures: ArrayView4<'_, u8>) -> Result<Vectors> {
        self.embed_prepared(pictures).map(Vectors::from)
    }

    fn fields(&self) -> FieldSet {
        self.fields()
    }

    fn metadata(&self, records: &[Metadata]) -> Result<Vectors> {
        self.seen_output(records).map(Vectors::from)
    }
}

impl From<TowerOutput> for Vectors {
    fn from(output: TowerOutput) -> Self {
        Vectors {
            features: output.features,
            embeds: output.embeds,
        }
    }
}

/// What a job records of the embedder that it runs with.
pub(super) fn facts(embedder: &Embedder) -> Result<Facts> {
    let manifest = embedder.manifest();
    let json = serde_json::to_vec(manifest).map_err(|e| Error::Argument {
        what: "model",
        reason: e.to_string(),
    })?;
    Ok(Facts {
        record: ModelRecord {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            precision: embedder.precision().to_owned(),
            // The manifest names the sha256 of every file, so this one stands for all.
            bundle_sha256: sha256::of_bytes(&json),
        },
        engine: embedder.engine().to_owned(),
        batch_size: embedder.batch_size(),
        arch: manifest.arch.clone(),
    })
}
