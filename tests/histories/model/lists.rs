//! Section 5 and LC-DEF-20 to 27: changing who reviews, and the blueprint.

use super::{super::command::ListChange, *};

impl Model {
    /// LC-SUPD-01 to LC-SUPD-13, LC-SUPD-20 to LC-SUPD-26
    fn change_lists(&mut self, at: At, index: usize, change: &ListChange) -> Result<(), Answer> {
        let instance = self.instance(at).unwrap();
        let stage = &instance.stages[index];
        let updatable = matches!(stage.status, Status::NotStarted | Status::Initializing | Status::InProgress);
        if instance.status == Status::Failed || !updatable || self.now >= stage.end_at {
            return Err(Answer::WrongState);
        }
        let runs = stage.status == Status::InProgress;
        let before = stage.lists.clone();
        let after = Lists {
            reviewers: change.reviewers.clone().unwrap_or_else(|| before.reviewers.clone()),
            fallbacks: change.fallbacks.clone().unwrap_or_else(|| before.fallbacks.clone()),
        };
        // LC-SUPD-09
        if runs && after.reviewers.is_empty() && !before.reviewers.is_empty() {
            return Err(Answer::Invalid);
        }
        // LC-SUPD-06, LC-INV-03
        if !after.fallbacks.is_superset(&before.fallbacks) {
            return Err(Answer::Conflict);
        }
        let added = after.reviewers.difference(&before.reviewers).chain(after.fallbacks.difference(&before.fallbacks));
        if !added.copied().all(|reviewer| self.is_there(reviewer)) {
            return Err(Answer::Invalid);
        }
        if after != before {
            let instance = self.instance_mut(at).unwrap();
            instance.stages[index].lists = after;
            instance.keeps_lists |= index == 0;
            if runs {
                self.resolve(at, index, super::super::command::REVIEWER_ADDED);
            }
        }
        Ok(())
    }

    pub(super) fn update_stage(&mut self, by: By, at: At, stage: usize, change: &ListChange) -> Result<(), Answer> {
        let instance = self.instance(at).ok_or(Answer::Absent)?;
        if !instance.plan.multi_stage || stage > instance.stages.len() {
            return Err(Answer::Absent);
        }
        Self::manages(by, |person| instance.stages[stage - 1].is_reviewed_by(person))?;
        self.change_lists(at, stage - 1, change)
    }

    /// LC-INST-30, LC-INST-31
    pub(super) fn update_instance(&mut self, by: By, at: At, change: &ListChange) -> Result<(), Answer> {
        let instance = self.manages_instance(by, at)?;
        if instance.plan.multi_stage || instance.status != Status::InProgress {
            return Err(Answer::WrongState);
        }
        self.change_lists(at, 0, change)
    }

    /// LC-DEF-20 to 27
    pub(super) fn update_definition(&mut self, by: By, number: usize, wanted: &Draft) -> Result<(), Answer> {
        let review = self.manages_review(by, number)?;
        let before = review.draft.clone();
        let known: BTreeSet<_> =
            before.lists().flat_map(|lists| lists.reviewers.iter().chain(&lists.fallbacks)).copied().collect();
        let named = wanted.lists().flat_map(|lists| lists.reviewers.iter().chain(&lists.fallbacks));
        if !wanted.is_valid() || !named.copied().all(|reviewer| known.contains(&reviewer) || self.is_there(reviewer)) {
            return Err(Answer::Invalid);
        }
        if *wanted == before {
            return Ok(());
        }
        let waiting = review.instances.values().any(|instance| instance.status == Status::NotStarted);
        let started = review
            .instances
            .iter()
            .filter(|(_, instance)| instance.status != Status::NotStarted)
            .map(|(occurrence, instance)| (*occurrence, instance.end_at))
            .max();
        // LC-REC-05: what was missed while no occurrence waited is not made up; the series goes on in its slots.
        if let (Some(series), Some((last, end_at)), false) = (wanted.series, started, waiting)
            && wanted.series != before.series
        {
            let (counted, from) = review.anchor;
            let earliest = self.now.max(end_at);
            let slot = |occurrence: i64| from + TimeDelta::days(7 * series.weeks * (occurrence - counted));
            let taken = (last + 1..).find(|occurrence| slot(*occurrence) >= earliest).unwrap();
            self.reviews.get_mut(&number).unwrap().anchor = (counted - (taken - (last + 1)), from);
        }
        let review = self.reviews.get_mut(&number).unwrap();
        review.draft = wanted.clone();
        review.updates += 1;
        self.follow(number);
        if wanted.reminders && !before.reminders {
            self.switch_reminders_on(number);
        }
        Ok(())
    }

    /// The instance that waits is made anew or goes; when there is none, the next shows if its turn has come. LC-DEF-23,
    /// LC-DEF-27, IN-17, LC-INST-07
    fn follow(&mut self, number: usize) {
        let review = self.reviews.get_mut(&number).unwrap();
        let draft = review.draft.clone();
        let waiting = review.instances.iter().find(|(_, instance)| instance.status == Status::NotStarted);
        if let Some(occurrence) = waiting.map(|(occurrence, _)| *occurrence) {
            let Some(start_at) = review.occurrence_start(occurrence) else {
                review.instances.remove(&occurrence);
                return self.show_next(number);
            };
            let instance = review.instances.get_mut(&occurrence).unwrap();
            instance.start_at = start_at;
            instance.end_at = start_at + TimeDelta::days(draft.total_days());
            let first = &mut instance.stages[0];
            first.start_at = start_at;
            first.end_at = start_at + TimeDelta::days(draft.days_through(1));
            if !instance.keeps_lists {
                first.lists = draft.stages[0].lists.clone();
            }
            instance.plan = draft;
            return;
        }
        self.show_next(number);
    }

    fn show_next(&mut self, number: usize) {
        let review = &self.reviews[&number];
        let over = |instance: &Instance| {
            use Status::{Applied, Applying, AutoReviewed, Completed, Failed};
            matches!(instance.status, Completed | AutoReviewed | Applying | Applied | Failed)
        };
        if review.instances.values().all(over) {
            let occurrence = review.next_occurrence();
            self.materialise(At { review: number, occurrence });
        }
    }

    /// LC-NOTE-10
    fn switch_reminders_on(&mut self, number: usize) {
        let now = self.now;
        let review = self.reviews.get_mut(&number).unwrap();
        for instance in review.instances.values_mut() {
            if matches!(instance.status, Status::Initializing | Status::InProgress) && !instance.plan.reminders {
                instance.plan.reminders = true;
                if let Some(running) = instance.running() {
                    let middle = instance.stages[running].middle();
                    if middle >= now {
                        instance.middles.insert(running, middle);
                    }
                }
            }
        }
    }
}
