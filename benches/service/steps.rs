//! Steps that take long: each is done once by the service and once by the floor, by turns, and times are compared.

use std::time::Duration;

use crate::{contest::median_of, report::Outcome};

/// So much the times of the floor may differ before the run says nothing.
const STEADY: f64 = 0.25;
/// Times below this differ by more than that for reasons of the machine alone.
const SHORT: f64 = 0.1;

/// Times of one step, in seconds, in the order in which they were taken.
#[derive(Debug, Default)]
pub struct Times {
    pub service: Vec<f64>,
    pub floor: Vec<f64>,
    notes: Vec<String>,
}

/// Who does the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Service,
    Floor,
}

impl Times {
    /// Has the step done by turns, service first, so many times by each; once more when the floor was not steady.
    ///
    /// # Errors
    /// Those of the step.
    pub async fn take(
        pairs: usize,
        mut step: impl AsyncFnMut(Side) -> anyhow::Result<Duration>,
    ) -> anyhow::Result<Self> {
        let mut notes = Vec::new();
        loop {
            let mut times = Self::default();
            for _ in 0..pairs {
                times.service.push(step(Side::Service).await?.as_secs_f64());
                times.floor.push(step(Side::Floor).await?.as_secs_f64());
            }
            let spread = times.spread();
            match (spread > STEADY, notes.is_empty()) {
                (true, true) => {
                    notes.push(format!("a run was thrown away: times of the floor differed by {:.0} %", spread * 100.0))
                }
                (true, false) => {
                    notes.push(format!("not steady: times of the floor differed by {:.0} % again", spread * 100.0))
                }
                (false, _) => {}
            }
            if spread <= STEADY || notes.len() > 1 {
                return Ok(Self { notes, ..times });
            }
        }
    }

    fn spread(&self) -> f64 {
        let median = median_of(self.floor.clone());
        if median < SHORT {
            return 0.0;
        }
        let greatest = self.floor.iter().copied().fold(0.0, f64::max);
        let least = self.floor.iter().copied().fold(f64::INFINITY, f64::min);
        (greatest - least) / median
    }

    /// The medians, and what they are to each other.
    pub fn outcome(&self, workload: &'static str, size: u64) -> Outcome {
        let (service, floor) = (median_of(self.service.clone()), median_of(self.floor.clone()));
        Outcome {
            time_ratio: Some(service / floor),
            service_seconds: Some(service),
            floor_seconds: Some(floor),
            notes: self.notes.clone(),
            ..Outcome::of(workload, size)
        }
        .note(format!("{service:.3} s, the floor {floor:.3} s"))
    }
}
