//! What an evaluation found, and how people see it: tables, figures, a block for a model card.

mod axis;
mod card;
mod chart;
mod confusion;
mod found;
mod markdown;
mod matrix;
mod over_time;
mod plots;
#[cfg(test)]
mod samples;
mod table;
mod words;

pub use card::replace_block;
pub use confusion::confusion_svg;
pub(crate) use found::MOST_FREQUENT;
pub use found::{Confusion, DataSummary, FeatureSummary, Metric, Report, Score, Task};
pub use markdown::card_block;
pub use over_time::{TimeCurve, TimePoint, over_time_svg};
pub use plots::scores_svg;
pub use table::{headings, rows};
