//! Servers of `http` and `https`.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED,
    RANGE, RETRY_AFTER,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustls_platform_verifier::BuilderVerifierExt;
use url::{Host, Url};

use super::Fault;
use super::place::{Part, deepest, too_large};
use crate::skipped::SkipKind;

/// Tries of a request (our choice).
const TRIES: u32 = 5;
/// Tries where no connection comes about (our choice).
const TRIES_OF_NOBODY: u32 = 3;
/// The pause before the second try; it doubles (our choice).
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that a server may ask for (our choice).
const LONGEST: Duration = Duration::from_secs(60);
/// How long a server may stay silent (our choice).
const SILENCE: Duration = Duration::from_secs(30);

/// Bytes a second below which a server is given up (our choice).
const SLOWEST: f64 = 1000.0;

/// A client of servers.
pub(super) struct Web {
    /// With the proxies of the environment.
    away: Client,
    /// For servers of this machine.
    here: Client,
}

/// What a request came to.
enum Failed {
    /// Another try may help, after a pause.
    Passing(String, Option<Duration>),
    /// Nobody answered where the server should be.
    Unreached(String),
    Lasting(Fault),
}

pub(super) fn agent() -> reqwest::header::HeaderValue {
    reqwest::header::HeaderValue::from_static(concat!("satmip/", env!("CARGO_PKG_VERSION")))
}

impl Web {
    pub(super) fn new() -> Result<Self, String> {
        let provider = rustls::crypto::ring::default_provider();
        // Clients of stores take the program's own, which somebody may have set before.
        let _ = provider.clone().install_default();
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| format!("certificates: {error}"))?
            .with_no_client_auth();
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(agent())
                .connect_timeout(SILENCE)
                .read_timeout(SILENCE)
                .redirect(Policy::custom(followed))
        };
        let built =
            |builder: reqwest::ClientBuilder| builder.build().map_err(|error| deepest(&error));
        Ok(Web {
            away: built(builder())?,
            here: built(builder().no_proxy())?,
        })
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let client = if is_here(url) { &self.here } else { &self.away };
        client
            .request(method, url.clone())
            .header(ACCEPT_ENCODING, "identity")
    }

    /// Bytes of a range, fewer where the object ends before.
    pub(super) async fn get(&self, url: &Url, range: Range<u64>) -> Result<Part, Fault> {
        let mut tries = Tries::default();
        loop {
            match self.try_get(url, &range).await {
                Ok(part) => return Ok(part),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn try_get(&self, url: &Url, range: &Range<u64>) -> Result<Part, Failed> {
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.request(Method::GET, url).header(RANGE, bytes);
        let response = send(request).await?;
        if let Some(coding) = coding(response.headers()) {
            return Err(lasting(&format!(
                "the server sends it packed ({coding}), of which no parts can be read (download the file)"
            )));
        }
        let version = version(response.headers());
        let (most, size) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let (start, size) = content_range(response.headers())
                .ok_or_else(|| lasting("the server says not which part of the file it sends"))?;
            if start != range.start {
                return Err(lasting("the server sends another part than was asked for"));
            }
            (range.end.min(size).saturating_sub(start), size)
        } else {
            // It sends the whole, which is good enough where it is small.
            match response.content_length() {
                Some(size) if range.start == 0 && size <= range.end => (size, size),
                _ => {
                    return Err(lasting(
                        "the server sends files as a whole only, it knows no ranges (download the file)",
                    ));
                }
            }
        };
        let bytes = body(response, most).await?;
        match (bytes.len() as u64) < most {
            true => Err(Failed::Passing("the answer broke off".into(), None)),
            false => Ok(Part {
                bytes,
                size,
                version,
            }),
        }
    }

    /// All bytes of an answer, at most so many; of what is sent a JSON document, if there is one.
    pub(super) async fn whole(
        &self,
        url: &Url,
        sent: Option<String>,
        most: u64,
    ) -> Result<Bytes, Fault> {
        let mut tries = Tries::default();
        loop {
            match self.try_whole(url, sent.as_deref(), most).await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn try_whole(&self, url: &Url, sent: Option<&str>, most: u64) -> Result<Bytes, Failed> {
        let request = match sent {
            None => self.request(Method::GET, url),
            Some(document) => self
                .request(Method::POST, url)
                .header(CONTENT_TYPE, "application/json")
                .body(document.to_owned()),
        };
        let response = send(request).await?;
        let stated = response.content_length();
        if let Some(size) = stated.filter(|size| *size > most) {
            return Err(Failed::Lasting(too_large(size, most)));
        }
        let coding = coding(response.headers()).map(str::to_owned);
        let bytes = body(response, most.saturating_add(1)).await?;
        let length = bytes.len() as u64;
        if length > most {
            return Err(Failed::Lasting(too_large(length, most)));
        }
        if stated.is_some_and(|size| length < size) {
            return Err(Failed::Passing("the answer broke off".into(), None));
        }
        match coding.as_deref() {
            None => Ok(bytes),
            Some("gzip" | "x-gzip") => unpacked(&bytes, most),
            Some(other) => Err(lasting(&format!(
                "the server sends it packed as `{other}`, which was not asked for"
            ))),
        }
    }
}

/// How an answer is packed, though that was not asked for: some servers send what they keep.
fn coding(headers: &HeaderMap) -> Option<&str> {
    let coding = headers.get(CONTENT_ENCODING)?;
    let coding = coding.to_str().unwrap_or("?").trim();
    (!coding.eq_ignore_ascii_case("identity") && !coding.is_empty()).then_some(coding)
}

/// What was packed by gzip, at most so many bytes.
fn unpacked(packed: &Bytes, most: u64) -> Result<Bytes, Failed> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed.as_ref())
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| lasting(&format!("its gzip cannot be unpacked: {error}")))?;
    match bytes.len() as u64 > most {
        true => Err(Failed::Lasting(too_large(bytes.len() as u64, most))),
        false => Ok(bytes.into()),
    }
}

async fn send(request: RequestBuilder) -> Result<Response, Failed> {
    let response = request.send().await.map_err(|error| unanswered(&error))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(refusal(status, response.headers())),
    }
}

/// Tries of one request.
#[derive(Default)]
struct Tries(u32);

impl Tries {
    /// Waits before another one.
    ///
    /// # Errors
    /// Where that would not help.
    async fn after(&mut self, failed: Failed) -> Result<(), Fault> {
        self.0 += 1;
        let (reason, wanted, most) = match failed {
            Failed::Lasting(fault) => return Err(fault),
            Failed::Passing(reason, wanted) => (reason, wanted, TRIES),
            Failed::Unreached(reason) => (reason, None, TRIES_OF_NOBODY),
        };
        match self.0 >= most {
            true => Err(Fault::unreadable(format!("{reason} ({most} times)"))),
            false => {
                let pause = wanted.unwrap_or(PAUSE * 2_u32.pow(self.0 - 1));
                let pause = pause.min(LONGEST);
                tracing::debug!("again in {pause:?}: {reason}");
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }
}

/// At most so many bytes of an answer.
async fn body(mut response: Response, most: u64) -> Result<Bytes, Failed> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::with_capacity(most.min(1 << 20));
    let begun = Instant::now();
    while bytes.len() < most {
        let elapsed = begun.elapsed();
        if elapsed > SILENCE && (bytes.len() as f64) < SLOWEST * elapsed.as_secs_f64() {
            let reason = format!("it sends fewer than {SLOWEST} bytes a second");
            return Err(Failed::Passing(reason, None));
        }
        match response.chunk().await {
            Ok(Some(more)) => bytes.extend_from_slice(&more),
            Ok(None) => break,
            Err(error) => return Err(Failed::Passing(deepest(&error), None)),
        }
    }
    bytes.truncate(most);
    Ok(bytes.freeze())
}

/// The first byte of a part and the size of the whole.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (part, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = part.split_once('-')?;
    Some((start.trim().parse().ok()?, size.trim().parse().ok()?))
}

fn version(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text(ETAG)
        .or_else(|| text(LAST_MODIFIED))
        .map(str::to_owned)
}

fn lasting(reason: &str) -> Failed {
    Failed::Lasting(Fault::unreadable(reason))
}

fn unanswered(error: &reqwest::Error) -> Failed {
    let reason = deepest(error);
    match error.is_redirect() || error.is_builder() {
        true => lasting(&reason),
        false if error.is_connect() => Failed::Unreached(reason),
        false => Failed::Passing(reason, None),
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap) -> Failed {
    let reason = format!("the server says {status}");
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failed::Lasting(Fault {
            kind: SkipKind::Missing,
            reason,
        }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => lasting(&format!(
            "{reason} (an address of a store, as s3://.., is read with the store's variables; others must be signed)"
        )),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Failed::Passing(reason, pause_asked(headers))
        }
        status if status.is_server_error() => Failed::Passing(reason, pause_asked(headers)),
        _ => lasting(&reason),
    }
}

/// `Retry-After`, in seconds or as a date.
fn pause_asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(SystemTime::now())
            .ok(),
    }
}

/// Redirects are followed, ten of them, and never to where nothing is encrypted.
fn followed(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    const MOST: usize = 10;
    if attempt.previous().len() > MOST {
        return attempt.error(format!("over {MOST} redirects"));
    }
    let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
    let to = attempt.url();
    match (to.scheme(), secure) {
        ("https", _) | ("http", false) => attempt.follow(),
        _ => attempt.error("a redirect from https to an address that is not encrypted"),
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
