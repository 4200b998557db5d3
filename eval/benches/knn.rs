//! What weighted kNN costs: time and peak memory, with drawn features.
//!
//! ```text
//! cargo bench -p satmip-eval --bench knn -- 27000 27000 192 [--classes 10] [--rounds 3]
//! ```
//!
//! Rows of the bank, queries and width; k is 10, 20, 100 and 200 in one pass. Features are drawn around one centre for
//! each class. Time is the median of the rounds, memory the process's peak with the features. Prints JSON; `knn.py`
//! sets it against NumPy.

use std::error::Error;
use std::time::Instant;

use ndarray::Array2;
use satmip_eval::probe::Knn;

type Outcome<T> = Result<T, Box<dyn Error>>;

const KS: [usize; 4] = [10, 20, 100, 200];

fn main() -> Outcome<()> {
    let (mut sizes, mut classes, mut rounds) = (Vec::new(), 10, 3);
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match argument.as_str() {
            "--classes" => classes = value()?.parse()?,
            "--rounds" => rounds = value()?.parse()?,
            _ => sizes.push(argument.parse::<usize>()?),
        }
    }
    let [rows, queries, dim] = sizes[..] else {
        println!("knn: give rows, queries and width; nothing was measured");
        return Ok(());
    };
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let centres = Array2::from_shape_simple_fn((classes, dim), &mut next);
    let mut draw = |count: usize| {
        let near = |(row, column): (usize, usize)| 0.3 * centres[[row % classes, column]] + next();
        let features = Array2::from_shape_fn((count, dim), near);
        (
            features,
            (0..count).map(|row| row % classes).collect::<Vec<_>>(),
        )
    };
    let ((bank, labels), (queries, truth)) = (draw(rows), draw(queries));
    let mut times = Vec::new();
    let mut accuracy = 0.0;
    for _ in 0..rounds {
        let start = Instant::now();
        let found = Knn::new(bank.view(), &labels, classes)?.predict(queries.view(), &KS)?;
        times.push(start.elapsed().as_secs_f64());
        let right = found[1].iter().zip(&truth).filter(|(f, t)| f == t).count();
        accuracy = right as f64 / truth.len() as f64;
    }
    times.sort_by(f64::total_cmp);
    let (seconds, peak) = (times[times.len() / 2], peak_mb());
    println!("{{\"seconds\": {seconds:.3}, \"peak_mb\": {peak:.0}, \"accuracy\": {accuracy:.4}}}");
    Ok(())
}

/// The process's largest resident memory so far, where the system tells.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
