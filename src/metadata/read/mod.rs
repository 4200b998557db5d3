//! Readers of metadata files.
