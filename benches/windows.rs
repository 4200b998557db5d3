//! Windows of a scene a second, without a model: `cargo bench --bench windows --features geotiff -- SCENE TILE THREADS SCALE`.
//!
//! Windows follow each other along the rows; threads take eight at a time, as a job's workers do. Prints one number.
//! `benches/windows.py` runs it in turn with rasterio.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use satmip::image::{ReadOptions, Region};
use satmip::scene::Scene;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let [path, tile, threads, scale] = words.as_slice() else {
        println!("left out: no scene was given");
        return Ok(());
    };
    let (tile, threads): (u32, usize) = (tile.parse()?, threads.parse()?);
    let mut options = ReadOptions::default();
    options.scale = scale.parse()?;
    let start = Instant::now();
    let scene = Scene::open(path, &options)?;
    let (across, down) = (scene.width() / tile, scene.height() / tile);
    let windows = across as usize * down as usize;
    let window = |at: usize| Region {
        left: at as u32 % across * tile,
        top: at as u32 / across * tile,
        width: tile,
        height: tile,
    };
    let next = AtomicUsize::new(0);
    let worker = || -> Result<u64, satmip::Error> {
        let mut sum = 0;
        loop {
            let first = next.fetch_add(8, Ordering::Relaxed);
            if first >= windows {
                return Ok(sum);
            }
            // A job announces the windows that are in flight.
            let soon: Vec<_> = (first..(first + 128).min(windows)).map(window).collect();
            let new = if first == 0 { 0 } else { 120 };
            scene.expect(soon.get(new..).unwrap_or_default());
            for window in &soon[..soon.len().min(8)] {
                let picture = scene.window(*window)?;
                sum += u64::from(picture.image().pixels()[0]);
            }
        }
    };
    let sums = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker panicked"));
        joined.collect::<Result<Vec<u64>, _>>()
    })?;
    assert!(!sums.is_empty());
    println!("{:.0}", windows as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
