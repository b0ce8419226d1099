//! The three lanes of units of work: what is short and waited for, what is long and asked for, what nobody waits for.

/// Which connections a unit of work uses. Each lane has its own, so that none can take those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short units that a request waits for. A statement may take half a minute.
    Interactive,
    /// Long units that somebody asked for: decisions and resets over many items, ends of reviews, deletions, downloads, steps of
    /// applying. A statement may take minutes.
    Bulk,
    /// Jobs: claiming, transitions, mail, reports.
    Scheduler,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Bulk, Self::Scheduler];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
            Self::Scheduler => "scheduler",
        }
    }
}

/// How many connections each lane may have open; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSizes {
    pub interactive: u32,
    pub bulk: u32,
    pub scheduler: u32,
}

impl LaneSizes {
    /// The same number for each lane.
    pub const fn each(size: u32) -> Self {
        Self { interactive: size, bulk: size, scheduler: size }
    }

    /// Divides `total` connections: to the scheduler one for each job that runs at a time and one to claim and to keep leases
    /// with, but no more than half and no fewer than two; a fifth to bulk; the rest to requests. What is given for a lane is its
    /// size. No lane is left without a connection, even where that makes more than `total`: from four on it never does.
    pub fn divide(total: u32, workers: u32, bulk: Option<u32>, scheduler: Option<u32>) -> Self {
        let left = |taken: u32| total.saturating_sub(1).saturating_sub(taken).max(1);
        let wanted = workers.saturating_add(1).min(total / 2).max(2);
        let scheduler = scheduler.unwrap_or(wanted).min(left(bulk.unwrap_or(1)));
        let bulk = bulk.unwrap_or(total / 5).min(left(scheduler)).max(1);
        let interactive = total.saturating_sub(scheduler).saturating_sub(bulk).max(1);
        Self { interactive, bulk, scheduler }
    }

    /// The size of one lane.
    pub const fn of(self, lane: Lane) -> u32 {
        match lane {
            Lane::Interactive => self.interactive,
            Lane::Bulk => self.bulk,
            Lane::Scheduler => self.scheduler,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(interactive: u32, bulk: u32, scheduler: u32) -> LaneSizes {
        LaneSizes { interactive, bulk, scheduler }
    }

    #[test]
    fn the_total_is_divided() {
        assert_eq!(LaneSizes::divide(20, 4, None, None), sizes(11, 4, 5));
        assert_eq!(LaneSizes::divide(4, 4, None, None), sizes(1, 1, 2));
        assert_eq!(LaneSizes::divide(8, 4, None, None), sizes(3, 1, 4));
        assert_eq!(LaneSizes::divide(100, 16, None, None), sizes(63, 20, 17));
    }

    #[test]
    fn what_is_given_for_a_lane_counts() {
        assert_eq!(LaneSizes::divide(20, 4, Some(10), Some(2)), sizes(8, 10, 2));
        assert_eq!(LaneSizes::divide(20, 4, Some(18), None), sizes(1, 18, 1));
        assert_eq!(LaneSizes::divide(20, 4, None, Some(18)), sizes(1, 1, 18));
    }

    proptest! {
        #[test]
        fn every_lane_has_a_connection_and_together_they_are_the_total(
            total in 4..2_000_u32,
            workers in 1..300_u32,
            bulk in prop::option::of(1..2_000_u32),
            scheduler in prop::option::of(1..2_000_u32),
        ) {
            let sizes = LaneSizes::divide(total, workers, bulk, scheduler);
            prop_assert!(Lane::ALL.into_iter().all(|lane| sizes.of(lane) >= 1));
            if bulk.unwrap_or(1) + scheduler.unwrap_or(2) < total {
                prop_assert_eq!(sizes.interactive + sizes.bulk + sizes.scheduler, total);
                prop_assert!(bulk.is_none_or(|bulk| sizes.bulk == bulk));
                prop_assert!(scheduler.is_none_or(|scheduler| sizes.scheduler == scheduler));
            }
        }
    }
}
