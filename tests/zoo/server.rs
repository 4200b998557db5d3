//! A server of files that misbehaves as a test says.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub path: String,
    /// The first byte that it wants, of `Range: bytes=N-`, or `bytes=N-M`.
    pub from: Option<usize>,
    /// The last one.
    pub to: Option<usize>,
    /// What it sends along.
    pub sent: String,
    pub if_range: Option<String>,
}

/// What it gets.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The length that is promised, if not the body's.
    pub promised: Option<usize>,
    /// Bytes at a time, and the wait between.
    pub drip: Option<(usize, Duration)>,
}

impl Answer {
    pub fn status(status: &'static str) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            promised: None,
            drip: None,
        }
    }

    pub fn whole(body: &[u8]) -> Answer {
        Answer {
            body: body.to_vec(),
            ..Answer::status("200 OK")
        }
    }

    /// What a good server says: the range that was asked for, if `etag` is still the one.
    pub fn good(request: &Request, body: &[u8], etag: &str) -> Answer {
        let same = request
            .if_range
            .as_deref()
            .is_none_or(|asked| asked == etag);
        let answer = match request.from {
            Some(from) if from >= body.len() => Answer::status("416 Range Not Satisfiable"),
            Some(from) if same => {
                let last = request.to.unwrap_or(usize::MAX).min(body.len() - 1);
                let range = format!("bytes {from}-{last}/{}", body.len());
                Answer {
                    body: body[from..=last].to_vec(),
                    ..Answer::status("206 Partial Content").with("Content-Range", range)
                }
            }
            _ => Answer::whole(body),
        };
        answer.with("ETag", etag)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// The connection ends after so many bytes of the body.
    pub fn cut(mut self, after: usize) -> Answer {
        self.promised.get_or_insert(self.body.len());
        self.body.truncate(after);
        self
    }

    pub fn dripping(mut self, bytes: usize, wait: Duration) -> Answer {
        self.drip = Some((bytes, wait));
        self
    }

    fn write(&self, stream: &mut impl Write) -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 {}\r\nConnection: close\r\n", self.status)?;
        let length = self.promised.unwrap_or(self.body.len());
        write!(stream, "Content-Length: {length}\r\n")?;
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        match self.drip {
            None => stream.write_all(&self.body)?,
            Some((bytes, wait)) => {
                for piece in self.body.chunks(bytes) {
                    stream.write_all(piece)?;
                    stream.flush()?;
                    std::thread::sleep(wait);
                }
            }
        }
        stream.flush()
    }
}

/// A server on this machine, until the process ends.
pub struct Server {
    pub url: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server that answers each request by a function of it and of how many of its path came before.
    pub fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Server {
        Server::with_streams("http", answer, |stream, serve| {
            serve(&mut &stream, &mut &stream)
        })
    }

    /// A good server of a folder's files that sends so many bytes at a time.
    pub fn dripping(folder: &Path, bytes: usize, wait: Duration) -> Server {
        let files = read_all(folder, folder);
        Server::start(move |request, _| {
            let body = &files[request.path.trim_start_matches('/')];
            Answer::good(request, body, "\"1\"").dripping(bytes, wait)
        })
    }

    /// A good server of a folder's files.
    pub fn of_folder(folder: &Path) -> Server {
        let files = read_all(folder, folder);
        Server::start(
            move |request, _| match files.get(request.path.trim_start_matches('/')) {
                Some(body) => Answer::good(request, body, "\"1\""),
                None => Answer::status("404 Not Found"),
            },
        )
    }

    /// The same over what a function makes of a connection (TLS).
    pub fn with_streams(
        scheme: &str,
        answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
        over: impl Fn(TcpStream, &dyn Fn(&mut dyn Read, &mut dyn Write)) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = if scheme == "https" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        let url = format!(
            "{scheme}://{host}:{}",
            listener.local_addr().unwrap().port()
        );
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, over) = (Arc::new(answer), Arc::new(over));
        let server = Server {
            url,
            log: Arc::clone(&log),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (log, answer, over) =
                    (Arc::clone(&log), Arc::clone(&answer), Arc::clone(&over));
                std::thread::spawn(move || {
                    over(stream, &|input, output| {
                        let Some(request) = read_request(input) else {
                            return;
                        };
                        let before = {
                            let mut log = log.lock().unwrap();
                            let same = log
                                .iter()
                                .filter(|r: &&Request| r.path == request.path)
                                .count();
                            log.push(request.clone());
                            same
                        };
                        // A client that hangs up is part of many tests.
                        let _ = answer(&request, before).write(&mut &mut *output);
                    });
                });
            }
        });
        server
    }

    /// Requests so far, in their order.
    pub fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Where each request for a path began.
    pub fn starts(&self, path: &str) -> Vec<Option<usize>> {
        let log = self.log();
        log.iter()
            .filter(|r| r.path.ends_with(path))
            .map(|r| r.from)
            .collect()
    }
}

fn read_request(input: &mut dyn Read) -> Option<Request> {
    let mut input = BufReader::new(input);
    let mut first = String::new();
    input.read_line(&mut first).ok()?;
    let mut request = Request {
        path: first.split(' ').nth(1)?.to_owned(),
        from: None,
        to: None,
        sent: String::new(),
        if_range: None,
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
                (request.from, request.to) = (from.parse().ok(), to.parse().ok());
            }
            "content-length" => length = value.parse().ok()?,
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    input.take(length).read_to_string(&mut request.sent).ok()?;
    Some(request)
}

/// Files below a folder by their path.
pub fn read_all(root: &Path, folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(read_all(root, &path));
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            match std::fs::read(&path) {
                Ok(bytes) => {
                    files.insert(name, bytes);
                }
                // Whoever writes there may have given it another name since.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    files
}
