//! Servers.

use std::error::Error as _;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::blocking::{Client as Inner, ClientBuilder, RequestBuilder, Response};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{StatusCode, redirect};
use rustls_platform_verifier::BuilderVerifierExt;
use url::Url;

use super::super::events::Observer;
use super::super::location::allowed;
use super::part::{Origin, Part};
use super::{Fault, Patience};

/// Most redirects in a row.
const MOST_REDIRECTS: usize = 10;

/// A client of servers. It must not be made, used or dropped on a thread of an async runtime.
#[derive(Debug)]
pub(in crate::zoo) struct Client {
    /// For servers elsewhere: with the proxies of the environment.
    away: Inner,
    /// For servers of this machine, which no proxy may see: their requests are not encrypted.
    here: Inner,
    window: Duration,
    slowest: u64,
}

impl Client {
    /// A client that believes the certificates of the system, or those of `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`, and uses the proxies of `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// A reason, where the system's certificates cannot be read.
    pub(in crate::zoo) fn new(patience: &Patience) -> Result<Client, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map_err(|error| format!("certificates: {error}"))?
            .with_no_client_auth();
        let builder = || {
            Inner::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("satmip/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(patience.timeout)
                .timeout(patience.timeout)
                .redirect(redirect::Policy::custom(followed))
        };
        let built = |builder: ClientBuilder| builder.build().map_err(|error| deepest(&error));
        Ok(Client {
            away: built(builder())?,
            here: built(builder().no_proxy())?,
            window: patience.window,
            slowest: patience.slowest,
        })
    }

    fn get(&self, url: &Url) -> RequestBuilder {
        let client = match url.scheme() {
            "http" => &self.here,
            _ => &self.away,
        };
        client.get(url.clone())
    }

    /// A page as a whole, of which at most so many bytes are read.
    ///
    /// # Errors
    /// A reason.
    pub(in crate::zoo) fn page(&self, url: &Url, most: u64) -> Result<Vec<u8>, String> {
        let response = self.get(url).send().map_err(|error| deepest(&error))?;
        if !response.status().is_success() {
            return Err(format!("the server says {}", response.status()));
        }
        let mut bytes = Vec::new();
        let read = response.take(most).read_to_end(&mut bytes);
        read.map_err(|error| deepest(&error))?;
        Ok(bytes)
    }

    /// Appends what a server has of a file, from where it stopped.
    pub(super) fn append(
        &self,
        url: &Url,
        part: &mut Part<'_>,
        observer: &Observer,
    ) -> Result<(), Fault> {
        let mut request = self.get(url).header(ACCEPT_ENCODING, "identity");
        if part.length() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.length()));
            if let Some(etag) = part.etag_of(url.as_str()) {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = request.send().map_err(|error| unanswered(&error))?;
        let origin = Origin {
            url: url.to_string(),
            etag: strong_etag(&response),
        };
        match response.status() {
            StatusCode::OK => {
                // A server that ignores ranges, or whose file changed, begins anew.
                part.restart().map_err(Fault::Cache)?;
                match response.content_length() {
                    Some(length) if length != part.expected() => {
                        let expected = part.expected();
                        return Err(Fault::Lasting(format!(
                            "it has {length} bytes, expected {expected}"
                        )));
                    }
                    _ => {}
                }
            }
            StatusCode::PARTIAL_CONTENT => goes_on(&response, &origin, part)?,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                part.restart().map_err(Fault::Cache)?;
                return Err(passing("the server has not so many bytes", None));
            }
            status => return Err(refusal(status, &response)),
        }
        part.is_from(origin).map_err(Fault::Cache)?;
        self.read(response, part, observer)
    }

    fn read(
        &self,
        mut response: Response,
        part: &mut Part<'_>,
        observer: &Observer,
    ) -> Result<(), Fault> {
        let mut buffer = vec![0; 1 << 16];
        let (mut since, mut arrived) = (Instant::now(), 0);
        part.set_slow(false);
        loop {
            match response.read(&mut buffer) {
                Ok(0) if part.is_complete() => return Ok(()),
                Ok(0) => {
                    let reason = format!(
                        "it broke off after {} of {} bytes",
                        part.length(),
                        part.expected()
                    );
                    return Err(passing(&reason, None));
                }
                Ok(read) => {
                    part.append(&buffer[..read], observer)?;
                    arrived += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let so_far = format!("after {} of {} bytes: ", part.length(), part.expected());
                    return Err(passing(&(so_far + &deepest(&error)), None));
                }
            }
            let elapsed = since.elapsed();
            if elapsed >= self.window {
                let least = self.slowest as f64 * elapsed.as_secs_f64();
                if !part.is_complete() && (arrived as f64) < least {
                    part.set_slow(true);
                    let reason = format!("it sends fewer than {} bytes a second", self.slowest);
                    return Err(passing(&reason, None));
                }
                (since, arrived) = (Instant::now(), 0);
            }
        }
    }
}

/// Whether a partial answer is what is missing of the same file.
fn goes_on(response: &Response, origin: &Origin, part: &mut Part<'_>) -> Result<(), Fault> {
    let begun_anew = |part: &mut Part<'_>, reason: &str| {
        part.restart().map_err(Fault::Cache)?;
        Err(passing(reason, None))
    };
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    let Some((start, total)) = range.and_then(content_range) else {
        return begun_anew(part, "the server says not which part it sends");
    };
    if total.is_some_and(|total| total != part.expected()) {
        return Err(Fault::Lasting(format!(
            "it has {} bytes, expected {}",
            total.unwrap_or_default(),
            part.expected()
        )));
    }
    if start != part.length() {
        return begun_anew(part, "the server sends another part than was asked for");
    }
    match (part.etag_of(&origin.url), &origin.etag) {
        (Some(before), Some(now)) if before != now => {
            begun_anew(part, "the file on the server changed")
        }
        _ => Ok(()),
    }
}

/// Start and whole length of `bytes START-END/LENGTH`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    match total.trim() {
        "*" => Some((start, None)),
        total => Some((start, Some(total.parse().ok()?))),
    }
}

fn strong_etag(response: &Response) -> Option<String> {
    let etag = response.headers().get(ETAG)?.to_str().ok()?;
    (!etag.starts_with("W/")).then(|| etag.to_owned())
}

/// What an answer without a file means.
fn refusal(status: StatusCode, response: &Response) -> Fault {
    let reason = format!("the server says {status}");
    match status.as_u16() {
        408 | 425 | 429 | 500 | 502 | 503 | 504 => {
            let header = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            passing(&reason, header.and_then(retry_after))
        }
        // Those to https and http were followed or refused before.
        300..400 => match response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
        {
            Some(place) => {
                Fault::Lasting(format!("it redirects to a place that is refused: {place}"))
            }
            None => Fault::Lasting(reason),
        },
        _ => Fault::Lasting(reason),
    }
}

/// Seconds or a date.
fn retry_after(text: &str) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text.trim()).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

fn followed(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error(format!("over {MOST_REDIRECTS} redirects"));
    }
    if let Err(reason) = allowed(attempt.url()) {
        return attempt.error(format!("it redirects to a place that is refused: {reason}"));
    }
    let was_encrypted = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    match was_encrypted && attempt.url().scheme() != "https" {
        true => attempt.error("it redirects from https to http"),
        false => attempt.follow(),
    }
}

fn unanswered(error: &reqwest::Error) -> Fault {
    let reason = deepest(error);
    if error.is_redirect() || error.is_builder() || is_untrusted(error) {
        return Fault::Lasting(reason);
    }
    passing(&reason, None)
}

/// Whether a server has no certificate that this machine believes.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let tls = error.downcast_ref().or_else(|| inner?.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return true;
        }
        cause = error.source();
    }
    false
}

fn passing(reason: &str, wait: Option<Duration>) -> Fault {
    Fault::Passing {
        reason: reason.to_owned(),
        wait,
    }
}

/// The cause behind all others, which names what happened.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_waits_are_read_or_ignored() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 0-9/*"), Some((0, None)));
        for broken in [
            "",
            "bytes",
            "bytes */10",
            "items 5-9/10",
            "bytes -5-9/10",
            "bytes 5-9/ten",
        ] {
            assert_eq!(content_range(broken), None, "{broken}");
        }
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        let past = retry_after("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
