//! A tower gives the same features with gradients, where the CPU takes another way, as without; and
//! its gradients are those of finite differences.

#[path = "../../tests/graph_samples/mod.rs"]
mod graph_samples;

use burn::module::Module;
use burn::prelude::{Device, Int, Tensor, TensorData};
use burn::tensor::{Bool, Distribution};
use graph_samples::samples;
use satmip::arch::{Arch, ImageTower, MetadataTower};
use satmip_train::model::{MetadataBatch, SatMip};

const BATCH: usize = 5;

fn metadata(arch: &Arch, device: &Device) -> Option<MetadataBatch> {
    let side = arch.metadata.as_ref()?;
    let int = |values: Vec<i64>, width| {
        Tensor::<2, Int>::from_data(TensorData::new(values, [BATCH, width]), device)
    };
    Some(match &side.tower {
        MetadataTower::Text(c) => {
            // End tokens at every place, the first and the last included.
            let length = 7;
            let id = |i: usize| match i % length == (i / length) * 6 / (BATCH - 1) {
                true => c.end_token,
                false => c.end_token + 1 + (i % 40) as i64,
            };
            MetadataBatch::Text(int((0..BATCH * length).map(id).collect(), length))
        }
        MetadataTower::Tabular(c) => {
            let (n, m) = (c.columns.numbers.len(), c.columns.categories.len());
            let fields = side.fields.len();
            let numbers = Tensor::random([BATCH, n], Distribution::Normal(0.0, 1.0), device);
            let present = Tensor::<2>::random([BATCH, fields], Distribution::Default, device);
            let present: Tensor<2, Bool> = present.greater_elem(0.3);
            MetadataBatch::Tabular(numbers, int(vec![1; BATCH * m], m), present)
        }
    })
}

fn images(arch: &Arch, device: &Device) -> Tensor<4> {
    let size = arch.preprocessing.size;
    Tensor::random(
        [BATCH, 3, size, size],
        Distribution::Normal(0.0, 1.0),
        device,
    )
}

fn worst(a: Tensor<2>, b: Tensor<2>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).abs().max().into_scalar()
}

#[test]
fn features_are_the_same_with_gradients() {
    for sample in samples() {
        let device = Device::flex();
        device.seed(3);
        let mut arch = sample.arch;
        if let Some(side) = &mut arch.metadata
            && let MetadataTower::Tabular(c) = &mut side.tower
        {
            (c.attention_dropout, c.hidden_dropout) = (0.0, 0.0);
        }
        let training = device.clone().autodiff();
        let model = SatMip::new(&arch, None, 1, &training).unwrap();
        let plain = model.valid();
        // Batch norms are meant to differ.
        if matches!(arch.image, ImageTower::Vit(_)) {
            let images = images(&arch, &device);
            let found = model.image_features(Tensor::from_inner(images.clone()));
            let difference = worst(found.inner(), plain.image_features(images));
            assert!(difference < 1e-5, "{}: {difference}", sample.name);
        }
        if let Some(batch) = metadata(&arch, &device) {
            let with_gradients = match batch.clone() {
                MetadataBatch::Text(ids) => MetadataBatch::Text(Tensor::from_inner(ids)),
                MetadataBatch::Tabular(a, b, c) => MetadataBatch::Tabular(
                    Tensor::from_inner(a),
                    Tensor::from_inner(b),
                    Tensor::from_inner(c),
                ),
            };
            let found = model.metadata_features(with_gradients).unwrap();
            let difference = worst(found.inner(), plain.metadata_features(batch).unwrap());
            assert!(difference < 1e-5, "{}: {difference}", sample.name);
        }
    }
}

#[test]
fn a_pixel_moves_the_features_as_its_gradient_says() {
    for sample in samples() {
        if !matches!(sample.arch.image, ImageTower::Vit(_)) {
            continue;
        }
        let device = Device::flex().autodiff();
        device.seed(4);
        let model = SatMip::new(&sample.arch, None, 1, &device).unwrap();
        let images = images(&sample.arch, &device).require_grad();
        let direction = images.clone().detach().sin();
        let weights = Tensor::random(
            [BATCH, sample.arch.image.features()],
            Distribution::Normal(0.0, 1.0),
            &device,
        );
        let loss = |images: Tensor<4>| (model.image_features(images) * weights.clone()).sum();
        let gradients = loss(images.clone()).backward();
        let slope = images.grad(&gradients).unwrap() * direction.clone().inner();
        let slope = f64::from(slope.sum().into_scalar::<f32>());
        let step = 1e-2;
        let at = |sign: f64| {
            let moved = images.clone().detach() + direction.clone() * (sign * step);
            f64::from(loss(moved).into_scalar::<f32>())
        };
        let expected = (at(1.0) - at(-1.0)) / (2.0 * step);
        let tolerance = 2e-3 * expected.abs().max(1.0);
        assert!(
            (slope - expected).abs() < tolerance,
            "{}: {slope}, expected {expected}",
            sample.name
        );
    }
}
