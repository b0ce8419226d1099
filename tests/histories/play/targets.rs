//! Making acts of commands: whom and what a number means, as things stand when the command's turn comes.

use std::collections::BTreeSet;

use attestry::{domain::status::Status, store::ClaimedJob};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Play, Prepared};
use crate::{
    command::{Act, At, By, Caller, Deed, DraftChange, ListChange, NewList, Span, Target},
    company::Name,
    model::Instance,
    review::{Draft, Reviewer},
};

/// How often a mail is tried. LC-NOTE-09
const TRIES_OF_A_MAIL: i32 = 8;

impl Play<'_> {
    pub(super) fn work(&self, job: ClaimedJob, stale: bool) -> Prepared {
        let work = self.world.known.work(&job.job);
        let last = job.attempt >= TRIES_OF_A_MAIL;
        (Act::Work { work, last, stale }, Some(job))
    }

    pub(super) async fn prepare(&mut self, deed: &Deed) -> Option<Prepared> {
        if let Deed::Work(which) = deed {
            let job = self.world.take_job(*which).await?;
            return Some(self.work(job, false));
        }
        self.resolve(deed).map(|act| (act, None))
    }

    fn resolve(&mut self, deed: &Deed) -> Option<Act> {
        if let Deed::Create(draft) = deed {
            let review = self.reviews;
            self.reviews += 1;
            return Some(Act::Create { review, draft: draft.clone() });
        }
        let at = |target: &Target| self.instance(target.instance);
        Some(match deed {
            Deed::Decide { by, target, item, verdict, justified } => {
                let at = at(target)?;
                let stage = self.path(at, target.stage);
                let item = self.item(at, stage, *item);
                let by = self.caller(at, stage, Some(item), *by);
                Act::Decide { by, at, stage, item, verdict: *verdict, justified: *justified }
            }
            Deed::Batch { by, target, verdict, justified, principal, elsewhere } => {
                let at = at(target)?;
                let stage = self.path(at, target.stage);
                let principal = principal.map(|principal| self.item(at, stage, principal));
                let by = self.caller(at, stage, principal, *by);
                let (verdict, justified, elsewhere) = (*verdict, *justified, *elsewhere);
                Act::Batch { by, at, stage, verdict, justified, principal, elsewhere }
            }
            Deed::Accept { by, target } => {
                let at = at(target)?;
                let stage = self.path(at, target.stage);
                Act::Accept { by: self.caller(at, stage, None, *by), at, stage }
            }
            Deed::Reset { by, target } => {
                let at = at(target)?;
                Act::Reset { by: self.caller(at, None, None, *by), at }
            }
            Deed::Update { by, target, reviewers, fallbacks } => {
                let at = at(target)?;
                let by = self.caller(at, None, None, *by);
                let instance = self.model.instance(at)?;
                let stage = target.stage.map_or_else(
                    || instance.running().unwrap_or(0) + 1,
                    |stage| usize::from(stage) % (instance.stages.len() + 1) + 1,
                );
                let lists = &instance.stages.get(stage - 1).unwrap_or(&instance.stages[0]).lists;
                let change = ListChange {
                    reviewers: new_list(reviewers, &lists.reviewers),
                    fallbacks: new_list(fallbacks, &lists.fallbacks),
                };
                match instance.plan.multi_stage != (target.instance % 7 == 6) {
                    true => Act::UpdateStage { by, at, stage, change },
                    false => Act::UpdateInstance { by, at, change },
                }
            }
            Deed::StopStage { by, target } => {
                let at = at(target)?;
                let instance = self.model.instance(at)?;
                let stage = target.stage.map_or_else(
                    || instance.running().unwrap_or(0) + 1,
                    |stage| usize::from(stage) % (instance.stages.len() + 1) + 1,
                );
                Act::StopStage { by: self.caller(at, None, None, *by), at, stage }
            }
            Deed::StopInstance { by, target } => {
                let at = at(target)?;
                Act::StopInstance { by: self.caller(at, None, None, *by), at }
            }
            Deed::UpdateDefinition { by, target, change } => {
                let at = at(target)?;
                let draft = self.changed(at.review, change)?;
                Act::UpdateDefinition { by: self.caller(at, None, None, *by), review: at.review, draft }
            }
            Deed::Delete { by, target } => {
                let at = at(target)?;
                Act::Delete { by: self.caller(at, None, None, *by), review: at.review }
            }
            Deed::Apply { by, target } => {
                let at = self.finished(target.instance).or_else(|| at(target))?;
                Act::Apply { by: self.caller(at, None, None, *by), at }
            }
            Deed::Remind { by, target } => {
                let at = at(target)?;
                Act::Remind { by: self.caller(at, None, None, *by), at }
            }
            Deed::Create(_) | Deed::Work(_) => return None,
        })
    }

    /// The running instances mostly, sometimes any, rarely one that is gone.
    fn instance(&self, pick: u8) -> Option<At> {
        let pick = usize::from(pick);
        let choose = |among: Vec<At>| (!among.is_empty()).then(|| among[pick % among.len()]);
        let those = |wanted: &dyn Fn(&Instance) -> bool| {
            let all = self.model.instances().filter(|(_, _, instance)| wanted(instance));
            all.map(|(review, occurrence, _)| At { review, occurrence }).collect::<Vec<_>>()
        };
        if pick % 41 == 40 {
            let gone = self.world.known.instances.values().copied().filter(|at| self.model.instance(*at).is_none());
            if let Some(gone) = choose(gone.collect()) {
                return Some(gone);
            }
        }
        let running =
            if pick.is_multiple_of(5) { None } else { choose(those(&|instance| instance.running().is_some())) };
        running.or_else(|| choose(those(&|_| true)))
    }

    /// Somebody who waits for his deletion.
    pub(super) fn blocked(&self, pick: u8) -> Option<Name> {
        let items = self.model.instances().flat_map(|(_, _, instance)| &instance.items);
        let waiting: Vec<_> = items.filter(|(_, item)| item.deletion.is_some()).map(|(name, _)| *name).collect();
        waiting.get(usize::from(pick) % waiting.len().max(1)).copied()
    }

    /// One whose decisions can be applied.
    fn finished(&self, pick: u8) -> Option<At> {
        let rests = |instance: &Instance| matches!(instance.status, Status::Completed | Status::AutoReviewed);
        let all: Vec<_> = self.model.instances().filter(|(_, _, instance)| rests(instance)).collect();
        let (review, occurrence, _) = all.get(usize::from(pick) % all.len().max(1))?;
        (!pick.is_multiple_of(5)).then_some(At { review: *review, occurrence: *occurrence })
    }

    fn path(&self, at: At, stage: Option<u8>) -> Option<usize> {
        let stages = self.model.instance(at).map_or(1, |instance| instance.stages.len());
        // The running stage mostly, one that is not there sometimes.
        stage.map(|stage| match (stage, self.model.instance(at).and_then(Instance::running)) {
            (0 | 1, Some(running)) => running + 1,
            _ => usize::from(stage) % (stages + 1) + 1,
        })
    }

    fn item(&self, at: At, stage: Option<usize>, pick: u8) -> Name {
        let instance = self.model.instance(at);
        let index = instance.map(|instance| {
            stage.map(|stage| stage - 1).or_else(|| instance.running()).unwrap_or(instance.stages.len() - 1)
        });
        let held = instance.zip(index).and_then(|(instance, index)| instance.stages.get(index));
        let items: Vec<_> = match (pick % 8, instance, held) {
            (0, Some(instance), _) => instance.items.keys().copied().collect(),
            (_, _, Some(stage)) => stage.items.iter().copied().collect(),
            _ => Vec::new(),
        };
        items.get(usize::from(pick) % items.len().max(1)).copied().unwrap_or(Name::person(pick))
    }

    fn caller(&self, at: At, stage: Option<usize>, item: Option<Name>, caller: Caller) -> By {
        let pick = match caller {
            Caller::Admin => return By::Admin,
            Caller::Application => return By::Application,
            Caller::Person(person) => return By::Person(Name::person(person)),
            Caller::Reviewer(pick) => pick,
        };
        let reviewers = || {
            let instance = self.model.instance(at)?;
            let index =
                stage.map_or_else(|| instance.running().unwrap_or(instance.stages.len() - 1), |stage| stage - 1);
            let stage = instance.stages.get(index)?;
            let people: BTreeSet<_> = match item {
                Some(item) => stage.reviewers.get(&item)?.clone(),
                None => stage.reviewers.values().flatten().copied().collect(),
            };
            people.iter().nth(usize::from(pick) % people.len().max(1)).copied()
        };
        By::Person(reviewers().unwrap_or(Name::person(pick)))
    }

    fn changed(&self, review: usize, change: &DraftChange) -> Option<Draft> {
        let mut draft = self.model.reviews.get(&review)?.draft.clone();
        match change {
            DraftChange::Nothing => {}
            DraftChange::Reminders(reminders) => draft.reminders = *reminders,
            DraftChange::Occurrences(occurrences) => {
                if let Some(series) = &mut draft.series {
                    series.occurrences = *occurrences;
                }
            }
            DraftChange::Take(other) => {
                for (stage, other) in draft.stages.iter_mut().zip(&other.stages) {
                    *stage = other.clone();
                    if !draft.multi_stage {
                        stage.moves.clear();
                    }
                }
                draft.default = other.default;
                draft.auto_apply = other.auto_apply;
                draft.disable_and_delete = other.disable_and_delete;
                draft.justification = other.justification;
                draft.mail = other.mail;
                draft.reminders = other.reminders;
                draft.histories = other.histories;
            }
        }
        Some(draft)
    }

    pub(super) fn target(&self, span: Span) -> DateTime<Utc> {
        match (span, span.hours()) {
            (_, Some(hours)) => self.model.now + hours,
            (Span::ToNext(off), _) => {
                let next = self.model.timers().into_values().filter(|due_at| *due_at > self.model.now).min();
                next.map_or(self.model.now, |next| (next + TimeDelta::microseconds(off)).max(self.model.now))
            }
            (Span::Hours(_), None) => self.model.now,
        }
    }
}

fn new_list(change: &NewList, is: &BTreeSet<Reviewer>) -> Option<BTreeSet<Reviewer>> {
    match change {
        NewList::Omit => None,
        NewList::Replace(list) => Some(list.clone()),
        NewList::Grow(list) => Some(is.union(list).copied().collect()),
    }
}
