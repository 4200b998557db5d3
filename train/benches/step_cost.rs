//! What a training step costs: SimCLR, SatMIP, SatMIPS and SatMIPS without view coupling, in time and
//! peak memory, with one recipe's towers.
//!
//! ```text
//! cargo bench -p satmip-train --bench step_cost -- \
//!     ../zoo/recipes/nano-satmips.toml [--steps 12] [--rounds 3] [--device cpu] [--set key=value]..
//! ```
//!
//! Each variant runs in a process of its own, in turn, `rounds` times. Pixels are noise and metadata are
//! drawn, so that no data are needed. Time is the median step without the wait for its batch; memory is the
//! process's peak. The paper has 1 : 0.56 : 1.05 and 1 : 0.62 : 1.11 for the first three (one GPU).
//! `--once VARIANT` measures one variant and prints JSON, with `--losses` those of each step; `step_cost.py` sets it against PyTorch.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use satmip_train::{ImageNorms, Method, Recipe, RunOptions, device, pretrain, read_metrics};

type Outcome<T> = Result<T, Box<dyn Error>>;

const VARIANTS: [&str; 4] = ["simclr", "satmip", "satmips", "uncoupled"];

struct Options {
    recipe: String,
    steps: usize,
    rounds: usize,
    device: String,
    set: Vec<String>,
    once: Option<String>,
    losses: bool,
}

fn main() -> Outcome<()> {
    let Some(options) = parse()? else {
        println!("step_cost: give a recipe to measure; nothing was measured");
        return Ok(());
    };
    match &options.once {
        Some(variant) => println!("{}", once(variant, &options)?),
        None => table(&options)?,
    }
    Ok(())
}

fn parse() -> Outcome<Option<Options>> {
    let mut options = Options {
        recipe: String::new(),
        steps: 12,
        rounds: 3,
        device: "cpu".into(),
        set: Vec::new(),
        once: None,
        losses: false,
    };
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("`{argument}` needs a value"))
        };
        match argument.as_str() {
            "--steps" => options.steps = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--device" => options.device = value()?,
            "--set" => options.set.push(value()?),
            "--losses" => options.losses = true,
            "--once" => options.once = Some(value()?),
            _ => options.recipe = argument,
        }
    }
    Ok((!options.recipe.is_empty()).then_some(options))
}

/// All variants in turn, each in its own process.
fn table(options: &Options) -> Outcome<()> {
    let mut found: Vec<(Vec<f64>, f64)> = vec![(Vec::new(), 0.0); VARIANTS.len()];
    for _ in 0..options.rounds {
        for (variant, (times, peak)) in VARIANTS.iter().zip(&mut found) {
            let output = Command::new(std::env::current_exe()?)
                .args(std::env::args().skip(1))
                .args(["--once", variant])
                .output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(format!("{variant}: {said}").into());
            }
            let result: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            times.push(result["ms"].as_f64().ok_or("no time")?);
            *peak = peak.max(result["peak_mb"].as_f64().unwrap_or(0.0));
        }
    }
    println!("variant     ms/step   time   peak MB  memory");
    let (first_time, first_peak) = (median(&mut found[0].0), found[0].1);
    for (variant, (times, peak)) in VARIANTS.iter().zip(&mut found) {
        let time = median(times);
        println!(
            "{variant:10} {time:8.0}  {:5.2}  {peak:8.0}  {:6.2}",
            time / first_time,
            *peak / first_peak
        );
    }
    Ok(())
}

/// Trains one variant for some steps.
fn once(variant: &str, options: &Options) -> Outcome<serde_json::Value> {
    let mut recipe = Recipe::read_with(Path::new(&options.recipe), &options.set)?;
    recipe.method = match variant {
        "simclr" => Method::Simclr,
        "satmip" => Method::Satmip,
        "satmips" | "uncoupled" => Method::Satmips,
        _ => return Err(format!("there is no variant `{variant}`").into()),
    };
    recipe.view_coupling = variant != "uncoupled";
    recipe.steps = options.steps;
    recipe.optimizer.warmup_steps = 0;
    recipe.optimizer.decay_steps = None;
    recipe.checkpoint.every = 1_000_000;
    recipe.validation = None;
    // Frozen norms need weights with statistics.
    if recipe.image_norms == ImageNorms::Batch {
        recipe.init = None;
    }
    let folder = tempfile::tempdir()?;
    let chips = 2 * recipe.batch_size;
    draw_chips(folder.path(), chips, recipe.preprocessing.size as u32)?;
    recipe.data =
        toml::from_str::<Data>("data = [{ archive = \"a.tar\", index = \"a.csv\" }]")?.data;
    let run = RunOptions::new(folder.path(), folder.path().join("run"));
    pretrain(&recipe, &run, &device(&options.device)?, &mut |_| ())?;
    let lines = read_metrics(&run.out.join("metrics.jsonl"))?;
    // The first two steps allocate.
    let pairs = lines.windows(2).skip(1);
    let mut times: Vec<f64> = pairs
        .map(|two| 1e3 * (two[1].seconds - two[0].seconds - two[1].waited))
        .collect();
    let losses = options
        .losses
        .then(|| lines.iter().map(|line| line.loss).collect::<Vec<_>>());
    Ok(serde_json::json!({
        "losses": losses,
        "variant": variant,
        "ms": median(&mut times),
        "peak_mb": peak_mb(),
        "batch": recipe.batch_size,
    }))
}

#[derive(serde::Deserialize)]
struct Data {
    data: Vec<satmip_eval::chips::ChipSource>,
}

/// Noise as PNG in an archive, and an index with drawn metadata.
fn draw_chips(folder: &Path, count: usize, size: u32) -> Outcome<()> {
    let mut archive = tar::Builder::new(File::create(folder.join("a.tar"))?);
    let mut index = String::from("file,label,split,lon,lat,timestamp,gsd,sensor_platform\n");
    let mut state = 1u32;
    for i in 0..count {
        let chip = image::RgbImage::from_fn(size, size, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            image::Rgb([a, b, c])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        chip.write_to(&mut bytes, image::ImageFormat::Png)?;
        let bytes = bytes.into_inner();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, format!("{i}.png"), bytes.as_slice())?;
        let (lon, lat, day) = (i % 360, i % 120, 1 + i % 28);
        let time = format!("2020-06-{day:02}T10:00:00Z");
        index += &format!(
            "{i}.png,a,train,{},{},{time},10,SENTINEL-2A\n",
            lon as i32 - 180,
            lat as i32 - 60
        );
    }
    archive.finish()?;
    fs::write(folder.join("a.csv"), index)?;
    Ok(())
}

/// The process's largest resident memory so far, where the system tells.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
