//! Credentials of stores, which are waited for only so long.
//!
//! Where no variable gives any, a store's client asks the metadata service of a machine in a cloud. Elsewhere nobody may
//! answer at its address, and each request would wait for minutes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::{CredentialProvider, Error, Result};

/// How long credentials may take (our choice).
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there are no credentials.
#[derive(Debug, Clone)]
pub(super) struct NoAccess(String);

impl std::fmt::Display for NoAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoAccess {}

/// Credentials of another provider; once they could not be had they are not asked for again.
#[derive(Debug)]
pub(super) struct Patient<T> {
    inner: Arc<dyn CredentialProvider<Credential = T>>,
    /// The store's name in errors.
    store: &'static str,
    hint: &'static str,
    patience: Duration,
    failed: Mutex<Option<NoAccess>>,
}

impl<T> Patient<T> {
    /// Of a store of this name, whose variables the hint names.
    pub(super) fn of(
        inner: &Arc<dyn CredentialProvider<Credential = T>>,
        store: &'static str,
        hint: &'static str,
    ) -> Arc<Self> {
        Arc::new(Patient {
            inner: Arc::clone(inner),
            store,
            hint,
            patience: PATIENCE,
            failed: Mutex::new(None),
        })
    }

    /// Why there were none before.
    fn before(&self) -> Option<NoAccess> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.clone()
    }

    async fn ask(&self) -> Result<Arc<T>, NoAccess> {
        if let Some(reason) = self.before() {
            return Err(reason);
        }
        let reason = match tokio::time::timeout(self.patience, self.inner.get_credential()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => super::place::deepest(&error),
            Err(_) => format!("nobody answered within {} s", self.patience.as_secs_f64()),
        };
        let reason = NoAccess(format!(
            "no credentials for {}: {reason} ({})",
            self.store, self.hint
        ));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        Err(reason)
    }
}

impl<T: std::fmt::Debug + Send + Sync> CredentialProvider for Patient<T> {
    type Credential = T;

    // As `async_trait` writes it.
    fn get_credential<'life, 'out>(
        &'life self,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<T>>> + Send + 'out>>
    where
        'life: 'out,
        Self: 'out,
    {
        Box::pin(async move {
            self.ask().await.map_err(|reason| Error::Generic {
                store: self.store,
                source: Box::new(reason),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Nobody answers.
    #[derive(Debug, Default)]
    struct Silent(AtomicU32);

    impl CredentialProvider for Silent {
        type Credential = ();

        fn get_credential<'life, 'out>(
            &'life self,
        ) -> Pin<Box<dyn Future<Output = Result<Arc<()>>> + Send + 'out>>
        where
            'life: 'out,
            Self: 'out,
        {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn who_does_not_answer_is_asked_once() {
        let silent = Arc::new(Silent::default());
        let provider = Patient {
            inner: Arc::clone(&silent) as _,
            store: "S3",
            hint: "set AWS_ACCESS_KEY_ID",
            patience: Duration::from_millis(20),
            failed: Mutex::new(None),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        for _ in 0..3 {
            let error = runtime.block_on(provider.get_credential()).unwrap_err();
            let said = super::super::place::fault(&error).reason;
            assert!(
                said.contains("no credentials for S3") && said.contains("AWS_ACCESS_KEY_ID"),
                "{said}"
            );
        }
        assert_eq!(silent.0.load(Ordering::Relaxed), 1);
    }
}
