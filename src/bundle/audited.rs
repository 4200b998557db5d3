//! How well a model's audits find what is false, as far as that was measured.

use serde::{Deserialize, Serialize};

use super::BundleManifest;
use crate::metadata::Field;

/// The key of [`BundleManifest::audit`] for whole records.
pub const WHOLE_RECORD: &str = "all fields";
/// AUC below which an audit of a field says little (our choice).
const LEAST_AUC: f64 = 0.55;
/// Most data sets of a field.
const MOST_SETS: usize = 64;

/// A measurement of `satmip eval audit`: how probable it is that a true value of a field scores above one of another
/// chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditFigure {
    /// The data set and its split.
    pub data: String,
    /// Chips that have the field.
    pub chips: usize,
    /// The area under the ROC curve, 0 to 1; 0.5 is chance.
    pub auc: f64,
    /// Lower bound of its bootstrap interval of 95 %. Chips are resampled one by one, so that it is too narrow where
    /// few scenes or few values of the field stand behind many chips.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl AuditFigure {
    /// Whether false values were found at all: the interval lies above 0.5, and the AUC is 0.55 or more (our
    /// choice).
    pub fn finds(&self) -> bool {
        self.low > 0.5 && self.auc >= LEAST_AUC
    }

    fn check(&self) -> Result<(), String> {
        let ordered = 0.0 <= self.low && self.low <= self.auc;
        match ordered && self.auc <= self.high && self.high <= 1.0 {
            true => Ok(()),
            false => Err(format!(
                "an AUC of {} with {} to {} is impossible",
                self.auc, self.low, self.high
            )),
        }
    }
}

/// What is known of a model's audits of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AuditEvidence<'a> {
    /// False values are found, on each set that was asked about.
    Found,
    /// On a set they are hardly or not found: the one with the smallest AUC.
    Doubtful(&'a AuditFigure),
    /// It was not measured.
    Unmeasured,
}

impl BundleManifest {
    /// What is known of the model's audits of a field. What holds on one set does not hold on all, so the worst
    /// counts.
    pub fn audit_evidence(&self, field: Field) -> AuditEvidence<'_> {
        let figures = self.audit.get(field.name()).map_or(&[][..], |f| &f[..]);
        let doubtful = figures.iter().filter(|figure| !figure.finds());
        match doubtful.min_by(|a, b| a.auc.total_cmp(&b.auc)) {
            Some(worst) => AuditEvidence::Doubtful(worst),
            None if figures.is_empty() => AuditEvidence::Unmeasured,
            None => AuditEvidence::Found,
        }
    }

    /// Checks the figures; the error is a reason.
    pub(super) fn check_audit(&self) -> Result<(), String> {
        if self.audit.len() > Field::ALL.len() + 1 {
            return Err("it has audits of more fields than there are".into());
        }
        for figures in self.audit.values() {
            if figures.len() > MOST_SETS {
                return Err(format!("it has audits on over {MOST_SETS} sets"));
            }
            figures.iter().try_for_each(AuditFigure::check)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(auc: f64, low: f64, high: f64) -> AuditFigure {
        AuditFigure {
            data: "drawn, test".into(),
            chips: 100,
            auc,
            low,
            high,
        }
    }

    #[test]
    fn what_is_near_chance_is_not_found() {
        for (figure, finds) in [
            (figure(0.7, 0.68, 0.72), true),
            (figure(0.55, 0.53, 0.57), true),
            (figure(0.549, 0.53, 0.57), false),
            (figure(0.6, 0.49, 0.7), false),
            (figure(0.6, 0.5, 0.7), false),
            (figure(0.3, 0.2, 0.4), false),
        ] {
            assert_eq!(figure.finds(), finds, "{figure:?}");
            figure.check().unwrap();
        }
    }

    #[test]
    fn impossible_figures_are_refused() {
        for bad in [
            figure(1.2, 0.5, 1.2),
            figure(0.5, 0.6, 0.7),
            figure(0.7, 0.5, 0.6),
            figure(f64::NAN, 0.5, 0.6),
            figure(0.5, -0.1, 0.6),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
