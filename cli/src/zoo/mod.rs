//! `satmip zoo`.

mod args;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::Exit;
use super::interrupt::Interrupt;
use super::output::Output;
use super::terminal::{Terminal, megabytes};
use satmip::zoo::{Layout, Model, Selection, State, Tower, Zoo, pack};
use satmip::{Error, Result};

pub(super) use args::ZooArgs;

/// Models to download: what there is, what is here, and how to publish one
///
/// A name is `id` for the newest version, or `id@version`. Every file is held against the sha256 of its registry
/// before it takes its name in the cache.
#[derive(Debug, Args)]
pub(super) struct ZooCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All models of all registries
    List(ListArgs),
    /// One model: files, sizes, licence, figures
    Info(NamedArgs),
    /// Download a model, or what is missing of it; its folder goes to standard output
    Pull(PullArgs),
    /// Read every byte that was downloaded and hold it against its sha256
    Verify(VerifyArgs),
    /// The folder of a downloaded model's bundle
    Path(NamedArgs),
    /// Remove a downloaded model
    Remove(NamedArgs),
    /// Make the files and the registry that any static host can serve
    Pack(PackArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zoo: ZooArgs,
}

#[derive(Debug, Args)]
struct NamedArgs {
    /// Name of a model
    #[arg(value_name = "MODEL")]
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zoo: ZooArgs,
}

#[derive(Debug, Args)]
struct PullArgs {
    /// Name of a model
    #[arg(value_name = "MODEL")]
    name: String,
    /// What it takes to run the model in this precision, in place of all files
    #[arg(long, value_name = "NAME")]
    precision: Option<String>,
    /// What it takes to run this tower, in place of all files
    #[arg(long, value_name = "TOWER")]
    tower: Option<TowerArg>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zoo: ZooArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TowerArg {
    Image,
    Metadata,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Name of a model [default: all]
    #[arg(value_name = "MODEL")]
    name: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zoo: ZooArgs,
}

#[derive(Debug, Args)]
struct PackArgs {
    /// Folder of a bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Folder for files and registry; a registry that is there gets one more model
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// Names without folders (ID-VERSION-FILE), as the files of a release have
    #[arg(long)]
    flat: bool,
    /// Where the folder will be, for example https://example.org/zoo; the registry names it first
    #[arg(long, value_name = "URL")]
    base: Option<String>,
}

/// A model as JSON.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    model: &'a Model,
    bytes: u64,
    state: State,
}

#[derive(Debug, Serialize)]
struct At {
    model: String,
    path: PathBuf,
}

pub(super) fn run(command: ZooCommand, terminal: &Terminal) -> Result<Exit> {
    let goes_on = "; what arrived is kept, and the same command goes on";
    let _interrupt = Interrupt::watch(
        terminal,
        match command.action {
            Action::Pull(_) => goes_on,
            _ => "",
        },
    );
    let mut out = Output::open();
    match command.action {
        Action::List(args) => list(&args, &args.zoo.open(terminal), &mut out)?,
        Action::Info(args) => info(&args, &args.zoo.open(terminal), &mut out)?,
        Action::Pull(args) => pull(&args, &args.zoo.open(terminal), &mut out)?,
        Action::Verify(args) => verify(&args, &args.zoo.open(terminal), &mut out)?,
        Action::Path(args) => {
            let path = args.zoo.open(terminal).path(&args.name)?;
            place(&args.name, path, args.json, &mut out)?;
        }
        Action::Remove(args) => {
            let freed = args.zoo.open(terminal).remove(&args.name)?;
            match args.json {
                true => out.json(&serde_json::json!({ "model": args.name, "freed": freed }))?,
                false => terminal.say(&format!("{}: {} free", args.name, megabytes(freed))),
            }
        }
        Action::Pack(args) => {
            let layout = match args.flat {
                true => Layout::Flat,
                false => Layout::Folders,
            };
            let registry = pack(&args.bundle, &args.output, layout, args.base.as_deref())?;
            out.line(&registry.display().to_string())?;
        }
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, zoo: &Zoo, out: &mut Output) -> Result<()> {
    let models = zoo.models()?;
    if args.json {
        let listed: Vec<Listed<'_>> = models.iter().map(|model| listed(model, zoo)).collect();
        return out.json(&listed);
    }
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|model| {
            vec![
                model.name(),
                megabytes(model.size()),
                model.licence.clone(),
                state(zoo.state(model)).to_owned(),
                model.about.clone(),
            ]
        })
        .collect();
    out.table(&["model", "size", "licence", "where", "what"], &rows)
}

fn listed<'a>(model: &'a Model, zoo: &Zoo) -> Listed<'a> {
    Listed {
        model,
        bytes: model.size(),
        state: zoo.state(model),
    }
}

fn info(args: &NamedArgs, zoo: &Zoo, out: &mut Output) -> Result<()> {
    let model = zoo.find(&args.name)?;
    if args.json {
        return out.json(&listed(model, zoo));
    }
    let mut rows = vec![
        ["what", &model.about].map(str::to_owned),
        ["towers", &model.arch].map(str::to_owned),
        ["licence", &model.licence].map(str::to_owned),
        ["where", state(zoo.state(model))].map(str::to_owned),
        ["size".to_owned(), megabytes(model.size())],
    ];
    rows.extend(
        model
            .metrics
            .iter()
            .map(|(name, value)| [name.clone(), format!("{value:.1}")]),
    );
    rows.extend(
        model
            .mirrors
            .iter()
            .map(|mirror| ["from".to_owned(), mirror.clone()]),
    );
    for (name, entry) in &model.files {
        rows.push([
            name.clone(),
            format!("{}, sha256 {}", megabytes(entry.size), entry.sha256),
        ]);
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    out.table(&["model", &model.name()], &rows)
}

fn pull(args: &PullArgs, zoo: &Zoo, out: &mut Output) -> Result<()> {
    let tower = args.tower.map(|tower| match tower {
        TowerArg::Image => Tower::Image,
        TowerArg::Metadata => Tower::Metadata,
    });
    let selection = match (&args.precision, tower) {
        (None, None) => Selection::Whole,
        (precision, tower) => Selection::Part {
            precision: precision.clone(),
            tower,
        },
    };
    let path = zoo.pull(&args.name, &selection)?;
    place(&args.name, path, args.json, out)
}

fn place(name: &str, path: PathBuf, json: bool, out: &mut Output) -> Result<()> {
    let model = name.to_owned();
    match json {
        true => out.json(&At { model, path }),
        false => out.line(&path.display().to_string()),
    }
}

fn verify(args: &VerifyArgs, zoo: &Zoo, out: &mut Output) -> Result<()> {
    let checked = zoo.verify(args.name.as_deref())?;
    if args.json {
        out.json(&checked)?;
    } else {
        let rows: Vec<Vec<String>> = checked
            .iter()
            .map(|checked| {
                let verdict = checked.fault.as_deref().unwrap_or("as it should be");
                let file = checked.path.file_name().unwrap_or_default();
                vec![
                    checked.model.clone(),
                    file.display().to_string(),
                    verdict.to_owned(),
                ]
            })
            .collect();
        out.table(&["model", "file", ""], &rows)?;
    }
    let bad: Vec<_> = checked
        .iter()
        .filter(|checked| checked.fault.is_some())
        .collect();
    match bad.first() {
        None => Ok(()),
        Some(first) => Err(Error::Checksum {
            path: first.path.clone(),
            what: "sha256",
            expected: "that of its registry".into(),
            actual: format!("another one ({} of {} files)", bad.len(), checked.len()),
        }),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::BuiltIn => "in the program",
        State::Folder | State::Cached => "here",
        State::Partial => "here in part",
        State::Remote => "to download",
    }
}
