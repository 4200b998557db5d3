//! Why a file's weights are refused.

use super::Checkpoint;
use satmip::Error;

/// Most names in an error.
const MOST_NAMED: usize = 5;

/// The error that a file has tensors of blocks that the module has not: half of a network is another network.
pub(super) fn too_many_blocks(file: &Checkpoint, prefix: &str, unused: &[String]) -> Option<Error> {
    let of_block = |name: &&String| {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        rest.starts_with("blocks.") || rest.starts_with("_blocks.")
    };
    let extra: Vec<&String> = unused.iter().filter(of_block).collect();
    let (first, others) = extra.split_first()?;
    let reason = match others.len() {
        0 => "has no place in the model: it is of another network".into(),
        count => format!(
            "has no place in the model, as {count} others of its blocks: {}; they are of another network",
            some(others.iter().map(|name| (*name).clone()))
        ),
    };
    Some(file.fault(first, reason))
}

/// Why a tensor of another shape is refused.
pub(super) fn other_shape(name: &str, found: &[usize], wanted: &[usize]) -> String {
    match (name, found, wanted) {
        ("patch_embed.proj.weight", [_, _, height, width], [_, _, patch, _])
            if (height, width) != (patch, patch) =>
        {
            format!("has patches of {height} x {width} pixels, the model's are {patch} x {patch}")
        }
        _ => format!("has shape {found:?}, expected {wanted:?}"),
    }
}

/// The first names, and how many more there are.
pub(super) fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let mut text = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
