//! Encrypted servers: who is believed, and that nothing leaves encryption.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::fixture::{self, run, satmip};
use crate::packed;
use crate::server::{Answer, Request, Server, read_all};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

fn encrypted(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Server {
    let certificate = CertificateDer::from_pem_file(data("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data("localhost.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    Server::with_streams("https", answer, move |stream: TcpStream, serve| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut socket = stream;
        let shared = std::cell::RefCell::new(Stream::new(&mut connection, &mut socket));
        serve(&mut Half(&shared), &mut Half(&shared));
        shared.borrow_mut().conn.send_close_notify();
        let _ = shared.borrow_mut().flush();
    })
}

/// A stream that is read and written through one reference.
struct Half<'a, 'b>(&'a std::cell::RefCell<Stream<'b, ServerConnection, TcpStream>>);

impl Read for Half<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().read(bytes)
    }
}

impl Write for Half<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// `satmip zoo pull tiny` from a server, with an authority that is believed.
fn pull(server: &Server, cache: &Path, authority: Option<&Path>) -> (i32, String, String) {
    pull_through(server, cache, authority, None)
}

fn pull_through(
    server: &Server,
    cache: &Path,
    authority: Option<&Path>,
    proxy: Option<&str>,
) -> (i32, String, String) {
    let mut command = satmip();
    command
        .args(["zoo", "pull", "tiny", "--cache-dir"])
        .arg(cache);
    command.args(["--registry", &format!("{}/registry.toml", server.url)]);
    for name in [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    if let Some(authority) = authority {
        command.env("SSL_CERT_FILE", authority);
    }
    if let Some(proxy) = proxy {
        command.env("HTTPS_PROXY", proxy).env("HTTP_PROXY", proxy);
    }
    run(&mut command)
}

#[test]
fn a_proxy_is_used_for_servers_elsewhere_and_never_for_this_machine() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    packed(&out);
    let proxy = Server::start(|_, _| Answer::status("502 Bad Gateway"));
    let server = encrypted(|_, _| Answer::status("404 Not Found"));
    let authority = data("authority.pem");
    let (code, _, stderr) = pull_through(
        &server,
        &dir.path().join("a"),
        Some(&authority),
        Some(&proxy.url),
    );
    assert_eq!(code, 1, "{stderr}");
    assert!(server.log().is_empty());
    assert_eq!(format!("https://{}", proxy.log()[0].path), server.url);

    let plain = Server::of_folder(&out);
    let (code, _, stderr) = pull_through(&plain, &dir.path().join("b"), None, Some(&proxy.url));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn an_authority_of_ones_own_is_believed_and_a_stranger_is_not() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    packed(&out);
    let files = read_all(&out, &out);
    let server = encrypted(move |request, _| {
        Answer::good(
            request,
            &files[request.path.trim_start_matches('/')],
            "\"1\"",
        )
    });
    let (code, _, stderr) = pull(&server, &dir.path().join("a"), None);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("certificate"), "{stderr}");
    let (code, stdout, stderr) = pull(&server, &dir.path().join("b"), Some(&data("authority.pem")));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        fixture::contents(Path::new(stdout.trim())),
        fixture::contents(fixture::model())
    );
}

#[test]
fn a_redirect_from_https_to_http_is_refused() {
    let dir = fixture::folder();
    let out = dir.path().join("host");
    packed(&out);
    let plain = Server::of_folder(&out);
    let (files, elsewhere) = (read_all(&out, &out), plain.url.clone());
    let server = encrypted(
        move |request, _| match request.path.ends_with("registry.toml") {
            true => Answer::whole(&files["registry.toml"]),
            false => {
                Answer::status("302 Found").with("Location", format!("{elsewhere}{}", request.path))
            }
        },
    );
    let (code, _, stderr) = pull(&server, &dir.path().join("a"), Some(&data("authority.pem")));
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("redirects from https to http"), "{stderr}");
    assert!(plain.log().is_empty());
}
