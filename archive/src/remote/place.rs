//! Where an object is: on a server, or in a store.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt,
    ObjectStoreScheme, PutMode, RetryConfig,
};
use url::Url;

use super::Fault;
use super::access::Patient;
use super::web::Web;
use crate::skipped::SkipKind;

/// How long a store may stay silent, and how long a request is tried again (our choices).
const SILENCE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(120);

/// What gives access to stores.
const OF_S3: &str =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of public buckets AWS_SKIP_SIGNATURE=true";
const OF_GCS: &str = "set GOOGLE_SERVICE_ACCOUNT, of public buckets GOOGLE_SKIP_SIGNATURE=true";
const OF_AZURE: &str =
    "set AZURE_STORAGE_ACCOUNT_KEY, of public containers AZURE_SKIP_SIGNATURE=true";

/// A part of an object, and what was said of the whole.
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) size: u64,
    /// ETag, or when it was changed.
    pub(super) version: Option<String>,
}

/// Where one object is.
pub(super) enum Place {
    Store(Arc<dyn ObjectStore>, Path),
    Web(Arc<Web>, Url),
}

/// Clients of servers, and of stores by their buckets.
pub(super) struct Places {
    web: Arc<Web>,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Places {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Places {
            web: Arc::new(Web::new()?),
            stores: Mutex::default(),
        })
    }

    pub(super) fn of(&self, url: &Url) -> Result<Place, Fault> {
        match url.scheme() {
            "http" | "https" => Ok(Place::Web(Arc::clone(&self.web), url.clone())),
            _ => {
                let (store, path) = self.store(url)?;
                Ok(Place::Store(store, path))
            }
        }
    }

    /// The store of an address, and where in it the address is.
    pub(super) fn store(&self, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), Fault> {
        let unknown = |error: object_store::Error| Fault::unreadable(error.to_string());
        let (scheme, path) =
            ObjectStoreScheme::parse(url).map_err(|error| Fault::unreadable(error.to_string()))?;
        let key = format!(
            "{}://{}@{}",
            url.scheme(),
            url.username(),
            url.host_str().unwrap_or_default()
        );
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(&key) {
            return Ok((Arc::clone(store), path));
        }
        let store: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::AmazonS3 => {
                let builder = AmazonS3Builder::from_env()
                    .with_url(url.as_str())
                    .with_retry(retries())
                    .with_client_options(client());
                let store = builder.clone().build().map_err(unknown)?;
                let access = Patient::of(store.credentials(), "S3", OF_S3);
                Arc::new(builder.with_credentials(access).build().map_err(unknown)?)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_url(url.as_str())
                    .with_retry(retries())
                    .with_client_options(client());
                let store = builder.clone().build().map_err(unknown)?;
                let access = Patient::of(store.credentials(), "Google Cloud Storage", OF_GCS);
                Arc::new(builder.with_credentials(access).build().map_err(unknown)?)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_url(url.as_str())
                    .with_retry(retries())
                    .with_client_options(client());
                let store = builder.clone().build().map_err(unknown)?;
                let access = Patient::of(store.credentials(), "Azure", OF_AZURE);
                Arc::new(builder.with_credentials(access).build().map_err(unknown)?)
            }
            _ => return Err(Fault::unreadable("no store that is known")),
        };
        stores.insert(key, Arc::clone(&store));
        Ok((store, path))
    }
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 5,
        retry_timeout: PATIENCE,
    }
}

/// `AWS_ALLOW_HTTP` and its like are read from the environment before.
fn client() -> ClientOptions {
    let allow = ["AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP"]
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|value| matches!(value.as_str(), "true" | "1")));
    ClientOptions::new()
        .with_user_agent(super::web::agent())
        // Parts are large: what counts is that something moves.
        .with_timeout_disabled()
        .with_read_timeout(SILENCE)
        .with_connect_timeout(Duration::from_secs(10))
        .with_allow_http(allow)
}

impl Place {
    /// Bytes of a range, fewer where the object ends before.
    ///
    /// # Errors
    /// Where the object cannot be had.
    pub(super) async fn get(&self, range: Range<u64>) -> Result<Part, Fault> {
        match self {
            Place::Web(web, url) => web.get(url, range).await,
            Place::Store(store, path) => {
                let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
                let found = store
                    .get_opts(path, options)
                    .await
                    .map_err(|error| fault(&error))?;
                let (size, version) = (found.meta.size, version(&found.meta));
                let bytes = found.bytes().await.map_err(|error| fault(&error))?;
                Ok(Part {
                    bytes,
                    size,
                    version,
                })
            }
        }
    }

    /// All bytes, at most so many.
    pub(super) async fn whole(&self, most: u64) -> Result<Bytes, Fault> {
        match self {
            Place::Web(web, url) => web.whole(url, None, most).await,
            Place::Store(store, path) => {
                let found = store.get(path).await.map_err(|error| fault(&error))?;
                if found.meta.size > most {
                    return Err(too_large(found.meta.size, most));
                }
                let size = usize::try_from(found.meta.size).unwrap_or(0);
                let mut bytes = Vec::with_capacity(size);
                let mut stream = found.into_stream();
                while let Some(more) = stream.try_next().await.map_err(|error| fault(&error))? {
                    if (bytes.len() + more.len()) as u64 > most {
                        return Err(too_large((bytes.len() + more.len()) as u64, most));
                    }
                    bytes.extend_from_slice(&more);
                }
                Ok(bytes.into())
            }
        }
    }
}

/// Writes an object; if `new`, only where there is none, and whether there was none.
pub(super) async fn put(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: Vec<u8>,
    new: bool,
) -> Result<bool, Fault> {
    use object_store::Error as E;
    let mode = match new {
        true => PutMode::Create,
        false => PutMode::Overwrite,
    };
    match store.put_opts(path, bytes.into(), mode.into()).await {
        Ok(_) => Ok(true),
        Err(E::AlreadyExists { .. } | E::Precondition { .. }) if new => Ok(false),
        Err(E::NotImplemented { .. } | E::NotSupported { .. }) => Err(Fault::unreadable(
            "the store cannot write an object only where there is none (If-None-Match), which keeps two machines apart: \
             use a folder that all machines see",
        )),
        Err(error) => Err(fault(&error)),
    }
}

pub(super) fn too_large(size: u64, most: u64) -> Fault {
    Fault {
        kind: SkipKind::TooLarge,
        reason: format!("{size} bytes or more, where {most} is the most"),
    }
}

fn version(meta: &object_store::ObjectMeta) -> Option<String> {
    meta.e_tag
        .clone()
        .or_else(|| Some(meta.last_modified.to_rfc3339()))
}

/// What a store's error is for people. It names no secret: keys are not part of it, and addresses are cut.
pub(super) fn fault(error: &object_store::Error) -> Fault {
    use object_store::Error as E;
    let (kind, reason) = match error {
        E::NotFound { path, .. } => (SkipKind::Missing, format!("the store has no `{path}`")),
        E::PermissionDenied { path, .. } | E::Unauthenticated { path, .. } => (
            SkipKind::Unreadable,
            format!(
                "the store does not let `{path}` be read: are AWS_ACCESS_KEY_ID, GOOGLE_SERVICE_ACCOUNT or \
                 AZURE_STORAGE_ACCOUNT_KEY set? (of public buckets: AWS_SKIP_SIGNATURE=true)"
            ),
        ),
        other => (
            SkipKind::Unreadable,
            format!("the store: {}", deepest(other)),
        ),
    };
    Fault { kind, reason }
}

/// The innermost reason of an error, in one line.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    plain(&inner.to_string())
}

/// The longest text of a server that is told (our choice).
const LONGEST: usize = 300;

/// A text in one line, without what stands behind a `?` of an address; of a document that a server sent in place of
/// an answer, what stands before it and its `Code` and `Message`, as stores have them.
pub(super) fn plain(text: &str) -> String {
    let opens = |(at, _): &(usize, &str)| {
        let next = text[at + 1..].chars().next();
        next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '?' | '!'))
    };
    let (before, document) = match text.match_indices('<').find(opens) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let within = |name: &str| {
        let (_, rest) = document.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0)
    };
    let told = [within("Code"), within("Message")];
    let words = std::iter::once(before)
        .chain(told.into_iter().flatten())
        .flat_map(str::split_whitespace)
        .map(|word| match (word.contains("://"), word.split_once('?')) {
            (true, Some((before, _))) => before,
            _ => word,
        });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ..", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_servers_say_is_one_line_without_secrets() {
        let sent = "Error performing GET https://b.s3/x?X-Amz-Signature=abc in 3 ms: \
                    <?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code>\n<Message>Reduce your rate.</Message></Error>";
        assert_eq!(
            plain(sent),
            "Error performing GET https://b.s3/x in 3 ms: SlowDown Reduce your rate."
        );
        assert_eq!(plain("a\r\n b"), "a b");
        assert!(plain(&"word ".repeat(10_000)).len() < 310);
        assert_eq!(plain("<html>503</html>"), "");
        assert_eq!(plain("5 < 3"), "5 < 3");
    }
}
