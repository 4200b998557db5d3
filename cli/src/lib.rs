//! The command line: the program `satmip`, and [`run`] for those that bring it along, as the Python package does.
//!
//! Data go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
//! 2 wrong usage, 3 done with inputs left out, 130 interrupted.

mod audit;
mod caption;
mod completions;
#[cfg(feature = "train")]
mod curves;
mod doctor;
#[cfg(feature = "train")]
mod dry_run;
mod embed;
mod env;
#[cfg(feature = "eval")]
mod eval;
mod export;
mod gather;
#[cfg(feature = "train")]
mod import;
mod inspect;
mod interrupt;
mod model;
mod output;
mod plan;
#[cfg(feature = "train")]
mod pretrain;
mod query;
mod reading;
mod stac;
mod terminal;
mod zoo;

use std::ffi::OsString;
use std::io::Write;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use satmip::engine::Device;
use satmip::{Error, Result};
use terminal::Terminal;

/// How a command ended, where it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Exit {
    /// Everything was done: 0.
    Done,
    /// Done, and some inputs were left out: 3.
    Skipped,
    /// Stopped by a signal, with nothing half done left: 130, as shells have it for Ctrl-C.
    Interrupted,
}

impl Exit {
    const INTERRUPTED: u8 = 130;

    fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Skipped => 3,
            Exit::Interrupted => Exit::INTERRUPTED,
        }
    }

    fn of(skipped: u64) -> Self {
        match skipped {
            0 => Exit::Done,
            _ => Exit::Skipped,
        }
    }
}

/// Satellite images and their acquisition metadata in one embedding space
#[derive(Debug, Parser)]
#[command(
    name = "satmip",
    version,
    max_term_width = 100,
    propagate_version = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Say more; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// One line here, one module beside: all that a new command needs.
#[derive(Debug, Subcommand)]
enum Command {
    Embed(embed::EmbedArgs),
    Plan(plan::PlanArgs),
    Query(query::QueryArgs),
    Stac(stac::StacArgs),
    #[cfg(feature = "eval")]
    Eval(eval::EvalArgs),
    Audit(audit::AuditArgs),
    Caption(caption::CaptionArgs),
    Inspect(inspect::InspectArgs),
    Export(export::ExportArgs),
    #[cfg(feature = "train")]
    Import(import::ImportArgs),
    Zoo(zoo::ZooCommand),
    #[cfg(feature = "train")]
    Pretrain(pretrain::PretrainArgs),
    #[cfg(feature = "train")]
    Curves(curves::CurvesArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
}

impl Command {
    fn run(self, terminal: &Terminal) -> Result<Exit> {
        match self {
            Command::Embed(args) => embed::run(args, terminal),
            Command::Plan(args) => plan::run(args, terminal),
            Command::Query(args) => query::run(args, terminal),
            Command::Stac(args) => stac::run(args, terminal),
            #[cfg(feature = "eval")]
            Command::Eval(args) => eval::run(args, terminal),
            Command::Audit(args) => audit::run(args, terminal),
            Command::Caption(args) => caption::run(args, terminal),
            Command::Inspect(args) => inspect::run(args, terminal),
            Command::Export(args) => export::run(args, terminal),
            #[cfg(feature = "train")]
            Command::Import(args) => import::run(args, terminal),
            Command::Zoo(args) => zoo::run(args, terminal),
            #[cfg(feature = "train")]
            Command::Pretrain(args) => pretrain::run(args, terminal),
            #[cfg(feature = "train")]
            Command::Curves(args) => curves::run(args, terminal),
            Command::Doctor(args) => doctor::run(args),
            Command::Completions(args) => completions::run(args),
        }
    }
}

/// The program's definition, for help texts and completions.
fn definition() -> clap::Command {
    let mut variables = String::from("Environment variables:\n");
    for (name, text) in env::ALL {
        variables.push_str(&format!("  {name:<17} {text}\n"));
    }
    let codes =
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with inputs left out, 130 interrupted";
    Cli::command().after_help(format!("{variables}\n{codes}"))
}

/// Commands that other builds of the program have, each with the feature that brings it.
const ELSEWHERE: [(&str, &str); 4] = [
    ("eval", "eval"),
    ("import", "train"),
    ("pretrain", "train"),
    ("curves", "train"),
];

/// What to do about a command that this build lacks.
fn elsewhere(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(asked)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let (name, feature) = ELSEWHERE.iter().find(|(name, _)| name == asked)?;
    Some(format!(
        "this program was built without `{name}`; build it with the feature `{feature}`: in a clone of the project \
         `cargo satmip-train {name} ..` has all commands, elsewhere `cargo install satmip-cli --features {feature}`"
    ))
}

/// Does what a command line asks for, the program's name first, and gives the exit code.
///
/// It is for a process that ends with it: signals (SIGINT, SIGTERM) are the command's from then on, a second call keeps
/// the first one's log, and what is said goes to standard output and standard error themselves. Where the system's own
/// handler of SIGINT is not in place, set it before: a handler that was there is called as well.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    satmip::parts::guard::quiet();
    let code = obey(args);
    // Nobody else does it where this is no program of Rust. Whoever went away needs nothing more.
    let _ = std::io::stdout().flush();
    code
}

/// What the program does when a model is open.
static WHEN_OPEN: OnceLock<fn(Device)> = OnceLock::new();

/// Says what is to be done whenever a model is open, by where it runs: a process that is the command's alone may tell its
/// allocator what to expect. The first call counts.
pub fn when_open(call: fn(Device)) {
    let _ = WHEN_OPEN.set(call);
}

fn opened(device: Device) {
    if let Some(call) = WHEN_OPEN.get() {
        call(device);
    }
}

fn obey(args: impl IntoIterator<Item = OsString>) -> u8 {
    let parsed = definition().try_get_matches_from(args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. Whoever went away needs no message.
            match elsewhere(&error) {
                Some(said) => Terminal::open(0, false).say(&said),
                None => drop(error.print()),
            }
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    let terminal = Terminal::open(cli.global.verbose, cli.global.quiet);
    match cli.command.run(&terminal) {
        Ok(exit) => exit.code(),
        Err(error) if output::is_broken_pipe(&error) => 0,
        Err(Error::Interrupted) => {
            terminal.say("interrupted");
            Exit::INTERRUPTED
        }
        Err(error @ Error::Argument { .. }) => {
            terminal.error(&error);
            2
        }
        Err(error) => {
            terminal.error(&error);
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
