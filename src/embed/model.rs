//! The embedder as a job's model.
