//! Updating a definition. LC-DEF-20 to LC-DEF-27, A-15 to A-19
//!
//! [`plan_definition_update`] judges what a definition is to become against what is stored, and answers the definition as it
//! stands afterwards, or everything that is wrong. Running instances are no matter of it: they keep their snapshot (LC-DEF-22).
//! `app::update_definition` calls it with the definition locked and brings the waiting instance after.

use chrono::{DateTime, NaiveTime, Utc};

use crate::domain::{
    definition::{self, Definition, DefinitionDraft, InsightSetting, Schedule},
    duration::IsoDuration,
    recurrence, scope,
    violation::Violation,
};

/// The latest occurrence that has begun, whatever became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartedOccurrence {
    /// Its number, from 0.
    pub occurrence: i32,
    /// UTC.
    pub start_at: DateTime<Utc>,
    /// Scheduled end. UTC.
    pub end_at: DateTime<Utc>,
}

/// How far a definition's occurrences have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    /// `None` before the first start.
    pub last_started: Option<StartedOccurrence>,
    /// Whether an instance is waiting for its start. LC-INST-07
    pub waiting: bool,
}

/// What an accepted update changes.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionUpdatePlan {
    /// The definition as it stands afterwards, its derived status aside.
    pub definition: Definition,
    /// Whether anything differs in meaning or spelling from what is stored; when not, nothing is written.
    pub changed: bool,
    /// Whether reminders were switched on, which also reaches running instances. LC-NOTE-10
    pub reminders_switched_on: bool,
}

/// Judges an update: `wanted` is the whole definition as it is to be, with everything left out filled in already.
///
/// Which objects its queries name, and whether these exist, is I/O and asked elsewhere.
pub fn plan_definition_update(
    stored: &Definition,
    occurrences: &Occurrences,
    mut wanted: DefinitionDraft,
    now: DateTime<Utc>,
) -> Result<DefinitionUpdatePlan, Vec<Violation>> {
    let mut violations = definition::validate(&wanted);
    wanted.order_stages();
    check_scopes(&mut violations, &stored.draft, &wanted);
    check_stages(&mut violations, &stored.draft, &wanted);
    check_start_date(&mut violations, stored, occurrences, &wanted, now);
    if !violations.is_empty() {
        return Err(violations);
    }
    // The same meaning in another spelling is no change of what no update changes.
    wanted.scope = stored.draft.scope.clone();
    wanted.instance_enumeration_scope = stored.draft.instance_enumeration_scope.clone();
    let changed = with_defaults(&wanted) != with_defaults(&stored.draft);
    if !changed {
        return Ok(DefinitionUpdatePlan { definition: stored.clone(), changed, reminders_switched_on: false });
    }
    let switched_on = |draft: &DefinitionDraft| draft.settings.reminder_notifications_enabled;
    let reminders_switched_on = switched_on(&wanted) && !switched_on(&stored.draft);
    let recurrence_changed = wanted.settings.recurrence != stored.draft.settings.recurrence
        || wanted.total_duration_days() != stored.draft.total_duration_days();
    let definition = Definition {
        schedule: schedule(stored, occurrences, &wanted, now),
        draft: wanted,
        modified_at: now,
        ..stored.clone()
    };
    // Once something has begun, an earlier end ends the series (LC-DEF-27); before, it would be a review that never runs.
    if occurrences.last_started.is_none() && recurrence_changed {
        violations.extend(definition.check_first_start());
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(DefinitionUpdatePlan { definition, changed, reminders_switched_on })
}

/// LC-DEF-25, A-16
fn check_scopes(violations: &mut Vec<Violation>, stored: &DefinitionDraft, wanted: &DefinitionDraft) {
    if !wanted.scope.means_the_same_as(&stored.scope) {
        violations.push(Violation::new(
            "scope",
            format!("cannot change once the definition exists; it is `{}`", stored.scope.sent),
        ));
    }
    let same = match (&stored.instance_enumeration_scope, &wanted.instance_enumeration_scope) {
        (None, None) => true,
        (Some(stored), Some(wanted)) => {
            scope::read_enumeration(stored, None, None) == scope::read_enumeration(wanted, None, None)
        }
        (None, Some(_)) | (Some(_), None) => false,
    };
    if !same {
        let is = stored.instance_enumeration_scope.as_deref().map_or("null".to_owned(), |query| format!("`{query}`"));
        violations.push(Violation::new(
            "instanceEnumerationScope",
            format!("cannot change once the definition exists; it is {is}"),
        ));
    }
}

/// How many stages there are, how they are called and how they follow each other. A-16
fn check_stages(violations: &mut Vec<Violation>, stored: &DefinitionDraft, wanted: &DefinitionDraft) {
    let ids = |draft: &DefinitionDraft| draft.stages.iter().map(|stage| stage.stage_id.clone()).collect::<Vec<_>>();
    let fixed = ids(stored);
    if ids(wanted) != fixed {
        let is = match fixed.as_slice() {
            [] => "it has no stageSettings".to_owned(),
            ids => format!("its stages are {}", ids.join(", ")),
        };
        violations.push(Violation::new(
            "stageSettings",
            format!(
                "the number of stages, their stageId and their order cannot change once the definition exists; {is}"
            ),
        ));
    }
}

/// LC-DEF-24. The clock decides whether the first occurrence has begun, also before the timer has opened it; one that was stopped
/// before it began never has.
fn check_start_date(
    violations: &mut Vec<Violation>,
    stored: &Definition,
    occurrences: &Occurrences,
    wanted: &DefinitionDraft,
    now: DateTime<Utc>,
) {
    let begun = occurrences.last_started.is_some() || stored.occurrence_start(0).is_some_and(|first| first <= now);
    let start_date = |draft: &DefinitionDraft| {
        let range = draft.settings.recurrence.as_ref().and_then(|recurrence| recurrence.range.as_ref());
        range.map(|range| range.start_date)
    };
    if let (true, Some(fixed), Some(other)) = (begun, start_date(&stored.draft), start_date(wanted))
        && fixed != other
    {
        violations.push(Violation::new(
            "settings.recurrence.range.startDate",
            format!("cannot change once the first occurrence has started; it is {fixed}"),
        ));
    }
}

/// The draft with the look-backs that apply where none are given, which is how it is answered. LC-RCM-03
fn with_defaults(draft: &DefinitionDraft) -> DefinitionDraft {
    fn fill(look_back: &mut Option<IsoDuration>, insights: &mut [InsightSetting]) {
        look_back.get_or_insert(IsoDuration::DEFAULT_LOOK_BACK);
        for insight in insights {
            if let InsightSetting::UserLastSignIn { look_back, .. } = insight {
                look_back.get_or_insert(IsoDuration::DEFAULT_LOOK_BACK);
            }
        }
    }
    let mut draft = draft.clone();
    fill(&mut draft.settings.recommendation_look_back_duration, &mut draft.settings.recommendation_insight_settings);
    for stage in &mut draft.stages {
        fill(&mut stage.recommendation_look_back_duration, &mut stage.recommendation_insight_settings);
    }
    draft
}

/// How the occurrences go on after the update.
///
/// * The recurrence as it was: as before, also when it was stopped.
/// * Nothing has begun: the calendar is made anew; a start that has passed meanwhile is now (LC-REC-05).
/// * A series goes on in its slots. When no instance waits, what was missed is left out (A-19, LC-REC-05).
/// * A changed pattern counts from the latest occurrence, after its end, so that open periods do not overlap (LC-INV-09).
fn schedule(stored: &Definition, occurrences: &Occurrences, wanted: &DefinitionDraft, now: DateTime<Utc>) -> Schedule {
    let (before, after) = (stored.draft.settings.recurrence.as_ref(), wanted.settings.recurrence.as_ref());
    if before == after {
        return stored.schedule;
    }
    let start_date = |range: &definition::RecurrenceRange| range.start_date;
    let same_slots = before.and_then(|recurrence| recurrence.pattern)
        == after.and_then(|recurrence| recurrence.pattern)
        && before.and_then(|recurrence| recurrence.range.as_ref()).map(start_date)
            == after.and_then(|recurrence| recurrence.range.as_ref()).map(start_date);
    let counted_from = match occurrences.last_started {
        None => {
            let kept = stored.schedule.counted_from.filter(|_| same_slots);
            let first =
                kept.map_or_else(|| recurrence::first_start(after, stored.created_at), |anchor| anchor.start_at);
            match first < now && !(same_slots && occurrences.waiting) {
                true => Some(recurrence::Anchor { occurrence: 0, start_at: now }),
                false => kept,
            }
        }
        Some(last) => {
            let Some((pattern, range)) = after.and_then(|recurrence| recurrence.series()) else {
                return Schedule { counted_from: stored.schedule.counted_from, stopped_at: None };
            };
            let next = last.occurrence.saturating_add(1);
            let from = stored.scheduled_start(last.occurrence).unwrap_or(last.start_at);
            let not_before_its_date = range.start_date.and_time(NaiveTime::MIN).and_utc();
            let earliest = now.max(last.end_at).max(not_before_its_date);
            let counted_from = match (same_slots, occurrences.waiting) {
                (true, true) => return Schedule { counted_from: stored.schedule.counted_from, stopped_at: None },
                (true, false) => recurrence::resumed(pattern, stored.anchor(), next, earliest),
                (false, _) => recurrence::recounted(pattern, from, next, earliest),
            };
            if counted_from.is_none() {
                // Beyond the calendar nothing comes any more.
                return Schedule { counted_from: stored.schedule.counted_from, stopped_at: Some(now) };
            }
            counted_from
        }
    };
    Schedule { counted_from, stopped_at: None }
}

#[cfg(test)]
mod tests;
