//! `satmip plan`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Exit;
use super::embed::{TableArgs, WhatArgs, faults};
use super::interrupt::Interrupt;
use super::output::{Output, one_line};
use super::terminal::Terminal;
use satmip::{Error, Result};
use satmip_archive::{Destination, plan};

/// Cut a job into blocks that any number of machines do
///
/// `satmip plan INPUT.. -o plan.parquet` lists the inputs (of scenes the headers are read, of pictures nothing) and says
/// what decides the rows: model, windows, how pictures are read. `satmip embed --plan plan.parquet --shard K/N -o OUT`
/// does the K-th of N shares of its blocks, on as many machines as there are; what is done already is passed over, so the
/// same command goes on where one was lost; so does `satmip plan` itself, which opens no scene again. `satmip plan merge OUT` makes the parts the folder of one job.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct PlanArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: MakeArgs,
}

#[derive(Debug, Args)]
struct MakeArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    table: TableArgs,
    /// File to write
    #[arg(short, long, value_name = "PLAN.parquet")]
    output: Option<PathBuf>,
    /// Items of a block: what is lost with a machine
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    block_items: u32,
    /// Replace a plan that exists
    #[arg(long)]
    overwrite: bool,
    /// Report as JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which blocks are done, under way and missing; the exit code is 3 while some are not done
    Status(FolderArgs),
    /// Read every part that is there: its bytes as they were written, its vectors finite and of length 1
    Verify(FolderArgs),
    /// Make the parts of all blocks the folder of one job, without copying them
    Merge(FolderArgs),
}

#[derive(Debug, Args)]
struct FolderArgs {
    /// Folder of parts
    #[arg(value_name = "OUT")]
    folder: PathBuf,
    /// Report as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: PlanArgs, terminal: &Terminal) -> Result<Exit> {
    match args.command {
        Some(Command::Status(args)) => show(&plan::status(&args.folder)?, args.json),
        Some(Command::Verify(args)) => verify(&args),
        Some(Command::Merge(args)) => {
            let merged = plan::merge(&args.folder)?;
            if !args.json {
                terminal.say(&format!(
                    "{} rows of {} parts are one job in `{}`",
                    merged.rows,
                    merged.blocks,
                    args.folder.display()
                ));
                return Ok(Exit::of(merged.skipped));
            }
            show(&merged, true)
        }
        None => make(args.make, terminal),
    }
}

fn make(args: MakeArgs, terminal: &Terminal) -> Result<Exit> {
    let Some(output) = &args.output else {
        return Err(Error::Argument {
            what: "output",
            reason: "a file for the plan is wanted: `-o plan.parquet`".into(),
        });
    };
    let mut config = args
        .what
        .config(Destination::Folder(PathBuf::from("plan")))?;
    config.metadata = args.table.config()?;
    config.rows_per_part = args.block_items as usize;
    config.overwrite = args.overwrite;
    let interrupt = Interrupt::watch(terminal, "");
    let embedder = args.what.model.load(terminal)?;
    config.stop = interrupt.flag();
    let mut meter = terminal.meter();
    let planned = plan::plan(&config, &embedder, output, &mut |progress| {
        meter.update(progress);
        ControlFlow::Continue(())
    });
    if let Err(Error::Interrupted) = planned {
        meter.finish();
        let kept = plan::scenes_beside(output);
        terminal.say(&match kept.is_file() {
            true => format!(
                "interrupted: the same command goes on (`{}`)",
                kept.display()
            ),
            false => "interrupted: nothing was written".to_owned(),
        });
        return Ok(Exit::Interrupted);
    }
    let found = planned?;
    meter.finish();
    terminal.say(&format!(
        "{} items in {} blocks; next: `satmip embed --plan {} --shard 0/N -o OUT` on each of N machines",
        found.items,
        found.blocks,
        output.display()
    ));
    if args.json {
        let mut out = Output::open();
        out.json(&found)?;
        out.finish()?;
    }
    Ok(Exit::Done)
}

fn show(status: &plan::Status, json: bool) -> Result<Exit> {
    let mut out = Output::open();
    if json {
        out.json(status)?;
    } else {
        let missing = status.blocks - status.done - status.under_way.len() as u64;
        out.line(&format!(
            "{} of {} blocks done ({} rows, {}), {} under way, {missing} not begun",
            status.done,
            status.blocks,
            status.rows,
            faults(status.items, status.rows, status.skipped),
            status.under_way.len()
        ))?;
        let words = |blocks: Vec<String>| match blocks.len() {
            0..=20 => blocks.join(", "),
            more => format!("{}, and {} more", blocks[..20].join(", "), more - 20),
        };
        if !status.under_way.is_empty() {
            let blocks = status.under_way.iter().map(u64::to_string).collect();
            out.line(&format!("under way, or lost on the way: {}", words(blocks)))?;
        }
        if !status.missing.is_empty() {
            let spans = status
                .missing
                .iter()
                .map(|(first, last)| match first == last {
                    true => first.to_string(),
                    false => format!("{first}-{last}"),
                });
            out.line(&format!("not begun: {}", words(spans.collect())))?;
        }
    }
    out.finish()?;
    Ok(match status.is_complete() {
        true => Exit::Done,
        false => Exit::Skipped,
    })
}

fn verify(args: &FolderArgs) -> Result<Exit> {
    let found = plan::verify(&args.folder)?;
    let mut out = Output::open();
    if args.json {
        out.json(&found)?;
    } else {
        out.line(&format!(
            "{} rows of {} parts were read, {} parts are not sound",
            found.rows,
            found.parts,
            found.faults.len()
        ))?;
        for fault in &found.faults {
            out.line(&one_line(fault))?;
        }
    }
    out.finish()?;
    Ok(Exit::of(found.faults.len() as u64))
}
