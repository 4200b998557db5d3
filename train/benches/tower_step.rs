//! Milliseconds per picture of an image tower's forward and backward pass on the CPU.
//!
//! ```text
//! cargo bench -p satmip-train --bench tower_step -- \
//!     '{"kind": "vit-tiny", "patch": 8}' --size 64 --batch 64 --steps 5
//! ```
//!
//! The tower is written as in a recipe's `[image]`, as JSON. Threads are rayon's
//! (`RAYON_NUM_THREADS`).

use std::time::Instant;

use burn::prelude::{Device, Tensor};
use burn::tensor::Distribution;
use satmip::arch::{Arch, ImageTower, Preprocessing, Projector};
use satmip_train::model::SatMip;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut tower = r#"{"kind": "vit-tiny", "patch": 8}"#.to_owned();
    let (mut size, mut batch, mut steps) = (64, 64, 5);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().unwrap_or_default().parse::<usize>();
        match word.as_str() {
            "--bench" => {}
            "--size" => size = number()?,
            "--batch" => batch = number()?,
            "--steps" => steps = number()?,
            _ => tower = word,
        }
    }
    let image: ImageTower = serde_json::from_str(&tower)?;
    let arch = Arch {
        preprocessing: Preprocessing {
            size,
            fit: Default::default(),
            filter: Default::default(),
            mean: [0.5; 3],
            std: [0.5; 3],
        },
        image,
        image_projector: Projector::Linear,
        metadata: None,
        embed_dim: 256,
    };
    let device = Device::flex().autodiff();
    device.seed(1);
    let model = SatMip::new(&arch, None, 1, &device)?;
    let images = Tensor::<4>::random(
        [batch, 3, size, size],
        Distribution::Normal(0.0, 1.0),
        &device,
    );
    let per_picture = |start: Instant| start.elapsed().as_secs_f64() * 1e3 / batch as f64;
    println!("step,forward_ms,backward_ms,sum,check");
    for step in 0..=steps {
        let start = Instant::now();
        let features = model.image_features(images.clone());
        let loss = features.square().mean();
        let check = loss.clone().into_scalar::<f32>();
        let forward = per_picture(start);
        let start = Instant::now();
        let gradients = loss.backward();
        let backward = per_picture(start);
        drop(gradients);
        println!(
            "{step},{forward:.3},{backward:.3},{:.3},{check}",
            forward + backward
        );
    }
    Ok(())
}
