//! `satmip completions`.

use clap::Args;
use clap_complete::Shell;

use super::Exit;
use super::output::Output;
use satmip::Result;

/// Print a script that completes commands in a shell
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

pub(super) fn run(args: CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::definition(), "satmip", &mut script);
    let mut out = Output::open();
    out.line(String::from_utf8_lossy(&script).trim_end())?;
    out.finish()?;
    Ok(Exit::Done)
}
