//! From features to both outputs of a graph.

use satmip_export::{Graph, Value, layers};

use super::{Built, Weights};
use crate::arch::Projector;

/// Adds the projector and the outputs `SIDE_features` and `SIDE_embeds`.
pub(super) fn finish(
    graph: &mut Graph,
    side: &str,
    prefix: &str,
    projector: &Projector,
    widths: (usize, usize),
    features: Value,
    weights: &Weights,
) -> Built<()> {
    let mut x = features;
    for (i, (input, output)) in projector.layers(widths.0, widths.1).into_iter().enumerate() {
        if i > 0 {
            x = graph.relu(x)?;
        }
        let name = format!("{prefix}.layers.{i}");
        let layer = weights.linear(&name, input, output, projector.has_bias())?;
        x = layer.apply(graph, &name, x)?;
    }
    let embeds = layers::unit_rows(graph, prefix, x)?;
    graph.output(&format!("{side}_features"), features)?;
    graph.output(&format!("{side}_embeds"), embeds)?;
    Ok(())
}
