//! LC-INV-01 to LC-INV-10, each told by what the database holds before and after a step, whatever the model makes of it.

use std::collections::{BTreeMap, BTreeSet};

use attestry::domain::{decision::Verdict, status::Status};
use uuid::Uuid;

use super::{
    command::{Act, Answer, At},
    company::{Name, SYNC, SYSTEM},
    model::{Applied, Decision},
    observed::{Observed, SeenEvent, SeenInstance, State},
};

/// What a step did, and what there was before and after it.
pub struct Transition<'a> {
    pub before: &'a Observed,
    pub after: &'a Observed,
    /// What was done; empty when only the clock moved or the directory was changed.
    pub acts: &'a [Act],
    /// Whether somebody else changed the directory.
    pub directory_changed: bool,
}

impl Transition<'_> {
    /// Whether what is stored is as it was.
    pub fn nothing_changed(&self) -> bool {
        std::ptr::eq::<State>(&**self.before, &**self.after)
    }

    /// An instance that has other decisions than before.
    pub fn decided_anew(&self) -> Option<At> {
        let same = |before: &SeenInstance, after: &SeenInstance| {
            let stages = before.stages.iter().zip(&after.stages);
            before.stages.len() == after.stages.len()
                && before.system == after.system
                && stages.into_iter().all(|(before, after)| before.decisions == after.decisions)
        };
        if self.nothing_changed() {
            return None;
        }
        pairs(self)
            .find(|(before, after)| !after.stages[0].items.is_empty() && !same(before, after))
            .map(|(_, after)| after.at)
    }
}

/// The statuses that events told so far.
#[derive(Default)]
pub struct Statuses(BTreeMap<Uuid, String>);

type Verdictum = Result<(), String>;

/// Rows of table 2.2, IN-01 to IN-15.
const INSTANCE_ROWS: [(&str, &str); 14] = [
    ("", "NotStarted"),
    ("NotStarted", "Initializing"),
    ("NotStarted", "Failed"),
    ("InProgress", "Failed"),
    ("Initializing", "Starting"),
    ("Initializing", "Completing"),
    ("Starting", "InProgress"),
    ("InProgress", "Completing"),
    ("Completing", "Completed"),
    ("Completed", "AutoReviewing"),
    ("AutoReviewing", "AutoReviewed"),
    ("Completed", "Applying"),
    ("AutoReviewed", "Applying"),
    ("Applying", "Applied"),
];

/// Rows of table 4.2, ST-01 to ST-11.
const STAGE_ROWS: [(&str, &str); 9] = [
    ("", "NotStarted"),
    ("NotStarted", "Initializing"),
    ("Initializing", "Starting"),
    ("Initializing", "Completed"),
    ("Starting", "InProgress"),
    ("InProgress", "Completing"),
    ("Completing", "Completed"),
    ("Completed", "AutoReviewing"),
    ("AutoReviewing", "AutoReviewed"),
];

/// Every invariant that a transition can break.
pub fn check(transition: &Transition<'_>, statuses: &mut Statuses, ids: &BTreeMap<Uuid, At>) -> Verdictum {
    status_changes_follow_the_tables(transition, statuses, ids)?;
    at_most_one_stage_is_open(transition)?;
    fallback_reviewers_never_shrink(transition)?;
    nothing_outside_changes_before_applying(transition)?;
    every_effective_decision_is_the_newest(transition)?;
    what_was_denied_is_never_kept_and_vice_versa(transition)?;
    only_reviewers_write(transition)?;
    no_mail_leaves_twice(transition)?;
    open_periods_of_a_series_never_overlap(transition)?;
    later_stages_hold_no_more_than_earlier_ones(transition)
}

/// LC-INV-01: each event tells of a row of the tables, begins where the one before ended, and the last one tells what is stored.
fn status_changes_follow_the_tables(
    transition: &Transition<'_>,
    statuses: &mut Statuses,
    ids: &BTreeMap<Uuid, At>,
) -> Verdictum {
    for event in &transition.after.events {
        only_open_stages_change(event, statuses)?;
        let (subject, table) = match event.activity.as_str() {
            "Instance status changed" => (event.instance, &INSTANCE_ROWS[..]),
            "Stage created" | "Stage status changed" => (event.stage, &STAGE_ROWS[..]),
            _ => continue,
        };
        let (Some(subject), Some(to)) = (subject, &event.after) else { continue };
        let from = event.before.clone().unwrap_or_default();
        let known = statuses.0.insert(subject, to.clone()).unwrap_or_default();
        if known != from {
            return Err(format!("LC-INV-01: {subject} was {known:?} and is said to go from {from:?} to {to:?}"));
        }
        if !table.contains(&(from.as_str(), to.as_str())) {
            return Err(format!("LC-INV-01: no row of the tables leads from {from:?} to {to:?}"));
        }
    }
    for instance in &transition.after.instances {
        let told = ids.iter().filter(|(_, at)| **at == instance.at).filter_map(|(id, _)| statuses.0.get(id));
        if !told.clone().any(|told| told == instance.status.as_str()) {
            let told: Vec<_> = told.collect();
            return Err(format!("LC-INV-01: {} is {} and events tell of {told:?}", instance.at, instance.status));
        }
    }
    Ok(())
}

/// LC-CONC-02, LC-SUPD-02: in the order in which things were written, nobody decides in a stage after it began to close, and
/// nobody changes who reviews there.
fn only_open_stages_change(event: &SeenEvent, statuses: &Statuses) -> Verdictum {
    let allowed: &[&str] = match event.activity.as_str() {
        "Reviewers changed" => &["NotStarted", "Initializing", "InProgress"],
        "Recommendations accepted" | "Decision overwritten" => &["InProgress"],
        activity if activity.ends_with(" decision") && activity != "Apply decision" => &["InProgress"],
        activity if activity.starts_with("Bulk ") => &["InProgress"],
        _ => return Ok(()),
    };
    let status = event.stage.and_then(|stage| statuses.0.get(&stage));
    match status.is_some_and(|status| allowed.contains(&status.as_str())) {
        true => Ok(()),
        false => Err(format!("LC-CONC-02: `{}` was written when the stage was {status:?}", event.activity)),
    }
}

/// LC-INV-02
fn at_most_one_stage_is_open(transition: &Transition<'_>) -> Verdictum {
    use Status::{Completing, InProgress, Initializing, Starting};
    for instance in &transition.after.instances {
        let open = |status: &Status| matches!(status, Initializing | Starting | InProgress | Completing);
        let open = instance.stages.iter().filter_map(|stage| stage.status).filter(open).count();
        if open > 1 {
            return Err(format!("LC-INV-02: {open} stages of {} are open", instance.at));
        }
    }
    Ok(())
}

/// LC-INV-03; a stage that waits follows its definition (LC-DEF-23).
fn fallback_reviewers_never_shrink(transition: &Transition<'_>) -> Verdictum {
    for (before, after) in pairs(transition) {
        for (number, (old, new)) in before.stages.iter().zip(&after.stages).enumerate() {
            let follows = old.status == Some(Status::NotStarted)
                && transition.acts.iter().any(|act| matches!(act, Act::UpdateDefinition { .. }));
            if !follows && !new.lists.fallbacks.is_superset(&old.lists.fallbacks) {
                return Err(format!(
                    "LC-INV-03: the fallback reviewers of {}/stage {} shrank from {:?} to {:?}",
                    after.at,
                    number + 1,
                    old.lists.fallbacks,
                    new.lists.fallbacks
                ));
            }
        }
    }
    Ok(())
}

/// LC-INV-04: the directory changes by other hands, or while an instance is `Applying`.
fn nothing_outside_changes_before_applying(transition: &Transition<'_>) -> Verdictum {
    let applying = transition.before.instances.iter().any(|instance| instance.status == Status::Applying);
    let changed = transition.before.directory != transition.after.directory;
    if changed && !transition.directory_changed && !applying {
        return Err("LC-INV-04: the directory changed though nothing was being applied".to_owned());
    }
    Ok(())
}

/// LC-INV-05, of all items, as stored; [`the_effective_decision_is_the_newest`] tells it of what somebody reads.
fn every_effective_decision_is_the_newest(transition: &Transition<'_>) -> Verdictum {
    match transition.after.not_newest.first() {
        Some(broken) => Err(format!("LC-INV-05: {broken}")),
        None => Ok(()),
    }
}

/// LC-INV-06, whenever something was applied, also by two at once.
fn what_was_denied_is_never_kept_and_vice_versa(transition: &Transition<'_>) -> Verdictum {
    let (old, new) = (&transition.before.directory, &transition.after.directory);
    for (before, after) in pairs(transition) {
        for (item, applied) in &after.applied {
            if before.applied.contains_key(item) {
                continue;
            }
            let through = |verdict: Verdict| {
                let mut stages = after.stages.iter().filter(|stage| stage.items.contains(item)).peekable();
                stages.peek().is_some()
                    && stages.all(|stage| stage.decisions.get(item).is_some_and(|decision| decision.verdict == verdict))
            };
            let stays = new.members.contains(item) && new.users.contains_key(item);
            if through(Verdict::Deny) && *applied == Applied::Successfully && stays {
                return Err(format!("LC-INV-06: {item} was denied throughout {} and is still there", after.at));
            }
            let had = (old.members.contains(item), old.users.get(item).map(|user| user.enabled));
            let has = (new.members.contains(item), new.users.get(item).map(|user| user.enabled));
            if through(Verdict::Approve) && had != has && !denied_elsewhere(transition, after.at, *item) {
                return Err(format!("LC-INV-06: {item} was approved throughout {} and lost something", after.at));
            }
        }
    }
    Ok(())
}

/// Whether another instance that may have been applied in this step denies the item.
fn denied_elsewhere(transition: &Transition<'_>, at: At, item: Name) -> bool {
    pairs(transition).filter(|(_, after)| after.at != at).any(|(before, after)| {
        let applies = before.status != Status::Applied && matches!(after.status, Status::Applying | Status::Applied);
        let recorded = after.stages.iter().rev().find_map(|stage| stage.decisions.get(&item));
        let decision = recorded.or_else(|| after.system.get(&item));
        applies && decision.is_some_and(|decision| decision.verdict == Verdict::Deny)
    })
}

/// LC-INV-07: who writes reviews, and each call writes in its caller's name only. An application's batch and the default decision
/// are nobody's review.
fn only_reviewers_write(transition: &Transition<'_>) -> Verdictum {
    let before: BTreeMap<_, _> = transition.before.instances.iter().map(|instance| (instance.at, instance)).collect();
    for after in &transition.after.instances {
        let before = before.get(&after.at);
        for (index, stage) in after.stages.iter().enumerate() {
            let earlier = before.and_then(|before| before.stages.get(index));
            for (item, decision) in &stage.decisions {
                let same = |old: &Decision| {
                    (old.verdict, old.by, old.at, old.justified)
                        == (decision.verdict, decision.by, decision.at, decision.justified)
                };
                if earlier.is_some_and(|earlier| earlier.decisions.get(item).is_some_and(same)) {
                    continue;
                }
                let reviews = |reviewers: &BTreeMap<Name, BTreeSet<Name>>| {
                    reviewers.get(item).is_some_and(|people| people.contains(&decision.by))
                };
                let reviewer = reviews(&stage.reviewers) || earlier.is_some_and(|earlier| reviews(&earlier.reviewers));
                if !reviewer && ![SYNC, SYSTEM].contains(&decision.by) {
                    return Err(format!(
                        "LC-INV-07: {} decided {item} in {}/stage {} and does not review it",
                        decision.by,
                        after.at,
                        index + 1
                    ));
                }
            }
        }
    }
    Ok(())
}

/// LC-INV-08
fn no_mail_leaves_twice(transition: &Transition<'_>) -> Verdictum {
    let mut seen = BTreeSet::new();
    match transition.after.delivered.iter().find(|key| !seen.insert(**key)) {
        Some(twice) => Err(format!("LC-INV-08: the mail {twice} left twice")),
        None => Ok(()),
    }
}

/// LC-INV-09
fn open_periods_of_a_series_never_overlap(transition: &Transition<'_>) -> Verdictum {
    let started = |instance: &&SeenInstance| !matches!(instance.status, Status::NotStarted | Status::Failed);
    let mut of_review: BTreeMap<usize, Vec<&SeenInstance>> = BTreeMap::new();
    for instance in transition.after.instances.iter().filter(started) {
        of_review.entry(instance.at.review).or_default().push(instance);
    }
    for instances in of_review.values() {
        for pair in instances.windows(2) {
            if pair[0].end_at > pair[1].start_at {
                return Err(format!(
                    "LC-INV-09: {} is open until {} and {} from {}",
                    pair[0].at, pair[0].end_at, pair[1].at, pair[1].start_at
                ));
            }
        }
    }
    Ok(())
}

/// LC-INV-10
fn later_stages_hold_no_more_than_earlier_ones(transition: &Transition<'_>) -> Verdictum {
    for instance in &transition.after.instances {
        for (index, pair) in instance.stages.windows(2).enumerate() {
            if !pair[1].items.is_subset(&pair[0].items) {
                return Err(format!(
                    "LC-INV-10: stage {} of {} holds what stage {} did not",
                    index + 2,
                    instance.at,
                    index + 1
                ));
            }
        }
    }
    Ok(())
}

fn pairs<'a>(transition: &'a Transition<'_>) -> impl Iterator<Item = (&'a SeenInstance, &'a SeenInstance)> {
    let find = |at: At| transition.before.instances.iter().find(move |instance| instance.at == at);
    transition.after.instances.iter().filter_map(move |after| Some((find(after.at)?, after)))
}

/// LC-INV-05: what an admin reads is the newest decision over all stages, or the system's if there is none.
pub fn the_effective_decision_is_the_newest(instance: &SeenInstance, shown: &[(Name, Verdict)]) -> Verdictum {
    let items: BTreeSet<_> = instance.stages.iter().flat_map(|stage| stage.items.iter().copied()).collect();
    if shown.iter().map(|(item, _)| *item).collect::<BTreeSet<_>>() != items {
        return Err(format!("LC-INV-05: an admin finds {shown:?} in {}, which holds {items:?}", instance.at));
    }
    for (item, verdict) in shown {
        let decided = instance.stages.iter().enumerate();
        let decided = decided.filter_map(|(index, stage)| Some((index, stage.decisions.get(item)?)));
        let newest = decided.max_by_key(|(index, decision)| (decision.at, *index)).map(|(_, decision)| decision);
        let expected = newest.or(instance.system.get(item)).map_or(Verdict::NotReviewed, |decision| decision.verdict);
        if expected != *verdict {
            return Err(format!(
                "LC-INV-05: {item} in {} is shown as {verdict:?}, and the newest decision is {expected:?}",
                instance.at
            ));
        }
        if newest.is_some() && instance.system.contains_key(item) {
            return Err(format!("LC-INV-05: the system decided {item} in {}, whom a reviewer decided", instance.at));
        }
    }
    Ok(())
}

/// LC-INV-07: somebody finds what he reviews, with the decisions he may know, and nothing else. LC-STAGE-50 to 52, LC-AUTH-04
pub fn a_reviewer_reads_what_he_reviews(
    instance: &SeenInstance,
    person: Name,
    path: Option<usize>,
    multi_stage: bool,
    histories: bool,
    found: &Result<Vec<(Name, Verdict)>, Answer>,
) -> Verdictum {
    let reviews = |index: usize, item: Name| {
        instance.stages[index].reviewers.get(&item).is_some_and(|people| people.contains(&person))
    };
    let decided = |index: usize, item: Name| {
        instance.stages[index].decisions.get(&item).map_or(Verdict::NotReviewed, |decision| decision.verdict)
    };
    let stages = 0..instance.stages.len();
    let items: BTreeSet<_> = instance.stages.iter().flat_map(|stage| stage.items.iter().copied()).collect();
    let highest = |item: Name| stages.clone().rev().find(|index| reviews(*index, item));
    let expected: BTreeMap<_, _> = match path {
        None => items
            .iter()
            .filter_map(|item| {
                let highest = highest(*item)?;
                let newest = (0..=highest).rev().map(|index| decided(index, *item));
                let newest = newest.into_iter().find(|verdict| *verdict != Verdict::NotReviewed);
                let own = Some(decided(highest, *item)).filter(|verdict| *verdict != Verdict::NotReviewed);
                // What the system decided, because nobody did, is everybody's to know.
                let system = instance.system.get(item).map(|decision| decision.verdict);
                let shown = if histories { newest } else { own }.or(system).unwrap_or(Verdict::NotReviewed);
                Some((*item, shown))
            })
            .collect(),
        Some(stage) if multi_stage && stage <= instance.stages.len() => instance.stages[stage - 1]
            .items
            .iter()
            .filter(|item| {
                let later = |index: usize| histories && index >= stage;
                stages.clone().any(|index| (index + 1 == stage || later(index)) && reviews(index, **item))
            })
            .map(|item| (*item, decided(stage - 1, *item)))
            .collect(),
        Some(_) => BTreeMap::new(),
    };
    let agrees = match found {
        Ok(found) => found.len() == expected.len() && found.iter().copied().collect::<BTreeMap<_, _>>() == expected,
        Err(Answer::Absent) => expected.is_empty(),
        Err(_) => false,
    };
    if agrees {
        return Ok(());
    }
    let path = path.map_or(String::new(), |stage| format!("/stage {stage}"));
    Err(format!("LC-INV-07: {person} finds {found:?} in {}{path} and reviews {expected:?}", instance.at))
}
