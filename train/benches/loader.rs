//! How fast chips become batches: decoding, drawing views, and the whole loader.
//!
//! ```sh
//! cargo bench -p satmip-train --bench loader -- ../eurosat_rgb.tar ../eurosat_rgb.csv --size 224
//! ```
//!
//! `--size` is the input's side in pixels (64), `--views` the views of a chip (2), `--chips` the most
//! chips (2,000), `--blur` the probability of a blur (0.5). Prints the best of three rounds: chips, or
//! views, for each second of one core, and of the whole loader with one and two workers.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use satmip::FieldSet;
use satmip::arch::Preprocessing;
use satmip_eval::chips::{ChipFiles, ChipSet, ChipSource};
use satmip_train::data::{Loader, LoaderConfig, Stream, ViewConfig, draw_view, rng_for};

const ROUNDS: usize = 3;
const BATCH: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut paths, mut size, mut views, mut chips, mut blur) = (Vec::new(), 64, 2, 2000, 0.5);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            // What cargo passes to every bench.
            "--bench" => {}
            "--size" => size = value()?.parse()?,
            "--views" => views = value()?.parse()?,
            "--chips" => chips = value()?.parse()?,
            "--blur" => blur = value()?.parse()?,
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    let [archive, index] = paths
        .try_into()
        .map_err(|_| "give an archive and its index")?;
    let source = ChipSource::new(ChipFiles::Archive {
        archive: std::path::absolute(archive)?,
        index: std::path::absolute(index)?,
    });
    let start = Instant::now();
    let set = ChipSet::open(&source, Path::new(""), "train")?;
    println!(
        "open: {} chips in {:.2} s",
        set.len(),
        start.elapsed().as_secs_f64()
    );
    let chips = set.len().min(chips);
    let config = ViewConfig {
        blur,
        ..ViewConfig::default()
    };
    let preprocessing = Preprocessing {
        size,
        fit: Default::default(),
        filter: Default::default(),
        mean: [0.4182, 0.4215, 0.3991],
        std: [0.2877, 0.2754, 0.2764],
    };

    let pictures = (0..chips)
        .map(|chip| set.image(chip))
        .collect::<Result<Vec<_>, _>>()?;
    report("read and decode", "chips", chips, || {
        (0..chips).try_for_each(|chip| set.image(chip).map(drop))
    })?;
    report("views", "views", chips, || {
        (0..chips).try_for_each(|chip| {
            let mut rng = rng_for(1, Stream::View(0), 3, chip as u64);
            let (image, record) = (&pictures[chip], set.metadata(chip));
            draw_view(image, record, &config, &preprocessing, &mut rng).map(drop)
        })
    })?;
    drop(pictures);

    let sets = Arc::new(vec![set]);
    let batch_size = BATCH.min(chips);
    let steps = chips / batch_size;
    for workers in [1, 2] {
        let config = LoaderConfig {
            seed: 1,
            batch_size,
            steps: 0..steps,
            views: vec![config.clone(); views],
            metadata_view: 0,
            preprocessing: preprocessing.clone(),
            fields: FieldSet::ALL,
            metadata_follow_views: true,
            field_dropout: 0.3,
            per_epoch: vec![chips],
            workers,
            cache_bytes: 0,
            max_bad_items: 0,
        };
        let name = format!("loader, workers {workers}, views {views}");
        report(&name, "chips", steps * batch_size, || {
            Loader::start(Arc::clone(&sets), config.clone())?.try_for_each(|batch| batch.map(drop))
        })?;
    }
    Ok(())
}

/// Prints how many of `number` things a second does, in the best round.
fn report(
    name: &str,
    what: &str,
    number: usize,
    mut round: impl FnMut() -> satmip::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name}: {:.0} {what}/s ({:.3} ms each)",
        number as f64 / best,
        1e3 * best / number as f64
    );
    Ok(())
}
