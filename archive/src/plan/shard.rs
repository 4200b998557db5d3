//! Which of the blocks are whose.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use satmip::{Error, Result};

/// The part of all blocks that one machine does: the `index`-th of `count`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shard {
    /// From 0.
    pub index: u64,
    /// How many there are.
    pub count: u64,
}

impl Shard {
    /// All blocks.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// The `index`-th of `count`, counted from 0.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such one.
    pub fn new(index: u64, count: u64) -> Result<Self> {
        match index < count && count <= 1 << 20 {
            true => Ok(Shard { index, count }),
            false => Err(Error::Argument {
                what: "shard",
                reason: format!(
                    "{index} of {count}: they are counted from 0, and there are at most {}",
                    1 << 20
                ),
            }),
        }
    }

    /// What the variables of an array job say, and which they are: of Slurm (`SLURM_ARRAY_TASK_ID` with `.._MIN`, `.._MAX`,
    /// `.._STEP`), AWS Batch (`AWS_BATCH_JOB_ARRAY_INDEX` with `AWS_BATCH_JOB_ARRAY_SIZE`) or an indexed job of Kubernetes
    /// (`JOB_COMPLETION_INDEX`, whose number of completions must be given as `count`: no variable has it). None where
    /// there are none.
    ///
    /// # Errors
    /// [`Error::Argument`] where they are no numbers, or contradict each other or `count`.
    pub fn from_variables(
        variable: &dyn Fn(&str) -> Option<String>,
        count: Option<u64>,
    ) -> Result<Option<(Shard, String)>> {
        let number = |name: &str| -> Result<Option<u64>> {
            let Some(text) = variable(name).filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            let number = text
                .parse()
                .map_err(|_| refused(format!("`{name}` is `{text}`")));
            number.map(Some)
        };
        let needed =
            |name: &str| number(name)?.ok_or_else(|| refused(format!("`{name}` is not set")));
        let (index, found, name) = if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
            let (least, most) = (
                needed("SLURM_ARRAY_TASK_MIN")?,
                needed("SLURM_ARRAY_TASK_MAX")?,
            );
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            if !(least..=most).contains(&task) || !(task - least).is_multiple_of(step) {
                return Err(refused(format!(
                    "task {task} is none of {least} to {most} by {step}"
                )));
            }
            let name = format!("SLURM_ARRAY_TASK_ID {task} of {least}-{most}:{step}");
            ((task - least) / step, Some((most - least) / step + 1), name)
        } else if let Some(index) = number("AWS_BATCH_JOB_ARRAY_INDEX")? {
            (
                index,
                number("AWS_BATCH_JOB_ARRAY_SIZE")?,
                format!("AWS_BATCH_JOB_ARRAY_INDEX {index}"),
            )
        } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            (index, None, format!("JOB_COMPLETION_INDEX {index}"))
        } else {
            return Ok(None);
        };
        let count = match (found, count) {
            (Some(found), Some(given)) if found != given => {
                return Err(refused(format!(
                    "{name} has {found} shards, and {given} were asked for"
                )));
            }
            (Some(found), _) | (None, Some(found)) => found,
            (None, None) => {
                return Err(refused(format!("{name}: of how many? (`--shard auto/N`)")));
            }
        };
        Ok(Some((Shard::new(index, count)?, name)))
    }

    /// Its blocks: contiguous ones, so that a scene is mostly one machine's.
    pub fn blocks(&self, all: u64) -> Range<u64> {
        let at = |index: u64| {
            let start = u128::from(index) * u128::from(all) / u128::from(self.count);
            u64::try_from(start).unwrap_or(all)
        };
        at(self.index)..at(self.index + 1)
    }
}

fn refused(reason: String) -> Error {
    Error::Argument {
        what: "shard",
        reason,
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// `K/N`, K from 0.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            Some((index.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        match parsed {
            Some((index, count)) => Shard::new(index, count),
            None => Err(refused(format!("`{text}` is none of K/N, as 0/8"))),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], count: Option<u64>) -> Result<Option<(Shard, String)>> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Shard::from_variables(&variable, count)
    }

    #[test]
    fn each_block_is_one_shards() {
        for (all, count) in [
            (0, 3),
            (1, 3),
            (7, 3),
            (8, 8),
            (1000, 7),
            (u64::from(u32::MAX), 1 << 20),
        ] {
            let mut next = 0;
            for index in 0..count {
                let blocks = Shard::new(index, count).unwrap().blocks(all);
                assert_eq!(blocks.start, next);
                next = blocks.end;
            }
            assert_eq!(next, all);
        }
        assert!(Shard::new(3, 3).is_err() && Shard::new(0, 0).is_err());
        assert!("1/2/3".parse::<Shard>().is_err() && "2/2".parse::<Shard>().is_err());
    }

    #[test]
    fn array_jobs_are_understood() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_MAX", "15"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
        ];
        let (shard, name) = found(&slurm, None).unwrap().unwrap();
        assert_eq!(
            (shard.to_string().as_str(), name.contains("1-15:2")),
            ("3/8", true)
        );
        assert!(found(&slurm, Some(9)).is_err());
        assert!(found(&slurm[..1], None).is_err());
        let batch = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", "4"),
            ("AWS_BATCH_JOB_ARRAY_SIZE", "5"),
        ];
        assert_eq!(found(&batch, None).unwrap().unwrap().0.to_string(), "4/5");
        let kubernetes = [("JOB_COMPLETION_INDEX", "2")];
        assert!(found(&kubernetes, None).is_err());
        assert_eq!(
            found(&kubernetes, Some(3)).unwrap().unwrap().0.to_string(),
            "2/3"
        );
        assert!(found(&kubernetes, Some(2)).is_err());
        assert!(found(&[("JOB_COMPLETION_INDEX", "x")], Some(2)).is_err());
        assert!(found(&[], None).unwrap().is_none());
    }
}
