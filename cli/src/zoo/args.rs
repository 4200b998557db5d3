//! Where models come from: arguments of every command that takes a model's name.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::terminal::Terminal;
use satmip::zoo::Zoo;

/// The zoo in a clone of the project, seen from its root.
const CLONE: &str = "zoo";

#[derive(Debug, Args)]
#[command(next_help_heading = "Models by name")]
pub(crate) struct ZooArgs {
    /// Download nothing; what is in the cache is used
    #[arg(long)]
    offline: bool,
    /// Folder for downloaded models [default: the system's cache folder]
    #[arg(long, value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
    /// One more registry of models, a file or a URL; may be repeated
    #[arg(long, value_name = "PLACE")]
    registry: Vec<String>,
}

impl ZooArgs {
    /// The zoo, which tells the terminal what it downloads.
    pub(crate) fn open(&self, terminal: &Terminal) -> Zoo {
        let mut builder = Zoo::builder().on_event(terminal.downloads());
        if self.offline {
            builder = builder.offline(true);
        }
        if let Some(folder) = &self.cache_dir {
            builder = builder.cache_dir(folder);
        }
        for place in &self.registry {
            builder = builder.registry(place);
        }
        // In a clone of the project its models are there.
        if Path::new(CLONE).join("registry.toml").is_file() {
            builder = builder.folder(CLONE);
        }
        builder.build()
    }
}
