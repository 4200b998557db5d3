//! TensorBoard's event files.
//!
//! The file is a row of TFRecords (length, checksum of the length, data, checksum of the data),
//! each holding one `tensorflow.Event`. The messages are TensorFlow's `event.proto` and
//! `summary.proto`, as far as scalars need them. No crate that writes them is kept up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;

use satmip::{Error, Result};

/// What the first event of a file says; version 2 drops points that a restart does again.
const VERSION: &str = "brain.Event:2";
/// `SessionLog.START`.
const START: i32 = 1;
/// Added to a rotated checksum, so that data with checksums inside have others.
const MASK: u32 = 0xa282_ead8;

/// Writes scalars into one new event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Begins a file in a folder, which is made where it lacks. TensorBoard joins all files of a
    /// folder into one run, in the order of their names, which is the order in time.
    ///
    /// # Errors
    /// [`Error::Output`] where the file cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        let failed = |error| failed(folder, error);
        fs::create_dir_all(folder).map_err(failed)?;
        // Ten digits of seconds until the year 2286.
        let mut time = now();
        let (path, file) = loop {
            let name = format!(
                "events.out.tfevents.{:010}.{:09}.satmip",
                time.as_secs(),
                time.subsec_nanos()
            );
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    time += Duration::from_nanos(1);
                }
                Err(error) => return Err(failed(error)),
            }
        };
        let mut writer = Self {
            path,
            file: BufWriter::new(file),
        };
        writer.write(Event {
            file_version: Some(VERSION.into()),
            ..Event::now(0)
        })?;
        Ok(writer)
    }

    /// As [`EventWriter::create`], for a run that goes on: `step` is the first that will be
    /// written. TensorBoard then leaves out what earlier files say of it and of later steps.
    ///
    /// # Errors
    /// As [`EventWriter::create`].
    pub fn resume(folder: &Path, step: u64) -> Result<Self> {
        let mut writer = Self::create(folder)?;
        writer.write(Event {
            session_log: Some(SessionLog { status: START }),
            ..Event::now(step)
        })?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a point to a curve; a tag such as `loss/satmip` puts it into a group.
    ///
    /// # Errors
    /// [`Error::Output`] where the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<()> {
        self.write(Event {
            summary: Some(Summary {
                value: vec![Value {
                    tag: tag.into(),
                    simple_value: Some(value),
                }],
            }),
            ..Event::now(step)
        })
    }

    /// Hands what was added to the operating system; dropping does too, but cannot tell of failure.
    ///
    /// # Errors
    /// [`Error::Output`] where the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| failed(&self.path, e))
    }

    fn write(&mut self, event: Event) -> Result<()> {
        let record = frame(&event.encode_to_vec());
        let written = self.file.write_all(&record);
        written.map_err(|e| failed(&self.path, e))
    }
}

/// A TFRecord: little-endian length, its masked CRC32C, the data, their masked CRC32C.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

fn now() -> Duration {
    // A clock before 1970 shows as 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::Output {
        path: path.to_owned(),
        reason: "event file cannot be written".into(),
        source: Some(error.into()),
    }
}

/// `tensorflow.Event`; at most one of the last three is there.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

impl Event {
    fn now(step: u64) -> Self {
        Self {
            wall_time: now().as_secs_f64(),
            step: i64::try_from(step).unwrap_or(i64::MAX),
            ..Self::default()
        }
    }
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC32C bit by bit, after its definition (polynomial 0x1EDC6F41, reflected).
    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            }
        }
        !crc
    }

    fn unmasked(bytes: &[u8]) -> u32 {
        let masked = u32::from_le_bytes(bytes.try_into().unwrap());
        masked.wrapping_sub(MASK).rotate_left(15)
    }

    /// The data of each record, with all checksums checked.
    fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(12);
            assert_eq!(unmasked(&head[8..]), crc(&head[..8]));
            let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            let (data, rest) = rest.split_at(length);
            let (sum, rest) = rest.split_at(4);
            assert_eq!(unmasked(sum), crc(data));
            records.push(data);
            bytes = rest;
        }
        records
    }

    /// Fields of a message as (number, bytes), for wire types 0, 1, 2 and 5.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    let value = varint(&mut bytes).to_le_bytes().to_vec();
                    fields.push((key >> 3, value));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                other => panic!("wire type {other}"),
            };
            let (value, rest) = bytes.split_at(length);
            fields.push((key >> 3, value.to_vec()));
            bytes = rest;
        }
        fields
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        // The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path()).unwrap();
        writer.scalar("loss/satmip", 300, 1.5).unwrap();
        writer.scalar("loss/satmip", 301, 0.0).unwrap();
        writer.flush().unwrap();
        let bytes = fs::read(writer.path()).unwrap();
        let events: Vec<_> = records(&bytes).into_iter().map(fields).collect();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0][1], (3, VERSION.into()));
        for (event, step, value) in [(&events[1], 300_u64, 1.5_f32), (&events[2], 301, 0.0)] {
            let numbers: Vec<u64> = event.iter().map(|f| f.0).collect();
            assert_eq!(numbers, [1, 2, 5]);
            assert_eq!(event[1].1, step.to_le_bytes());
            let summary = fields(&event[2].1);
            let entry = fields(&summary[0].1);
            assert_eq!(entry[0], (1, "loss/satmip".into()));
            assert_eq!(entry[1], (2, value.to_le_bytes().to_vec()));
        }
    }

    #[test]
    fn a_run_that_goes_on_begins_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventWriter::create(folder.path()).unwrap();
        let mut second = EventWriter::resume(folder.path(), 20).unwrap();
        second.flush().unwrap();
        assert!(first.path() < second.path(), "names are in order of time");
        let bytes = fs::read(second.path()).unwrap();
        let start = fields(records(&bytes)[1]);
        assert_eq!(start[1], (2, 20_u64.to_le_bytes().to_vec()));
        assert_eq!(fields(&start[2].1), [(1, 1_u64.to_le_bytes().to_vec())]);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            EventWriter::create(&file),
            Err(Error::Output { .. })
        ));
    }
}
