use chrono::{NaiveDate, TimeDelta};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{
    definition::{PatternKind, RangeKind, Recurrence, RecurrencePattern, RecurrenceRange, StageSettings},
    examples::{at, object, person, settings},
    ids::DefinitionId,
    reviewer_scope::{ReviewerForm, ReviewerLists, ReviewerScope},
    scope::{ReviewScope, SentScope},
    status::Status,
};

const GROUP: u128 = 90;

fn review_scope(query: &str) -> ReviewScope {
    ReviewScope::read(SentScope::query(query, None), None).unwrap()
}

fn lists(reviewer: u128, fallbacks: &[u128]) -> ReviewerLists {
    let user = |number: u128| ReviewerScope::from_form(ReviewerForm::User(object(number)));
    ReviewerLists { reviewers: vec![user(reviewer)], fallback_reviewers: fallbacks.iter().copied().map(user).collect() }
}

fn weekly(interval: i32, range: RecurrenceRange) -> Option<Recurrence> {
    let pattern = RecurrencePattern { kind: PatternKind::Weekly, interval, day_of_month: 0 };
    Some(Recurrence { pattern: Some(pattern), range: Some(range) })
}

fn from_date(day: &str) -> RecurrenceRange {
    RecurrenceRange {
        kind: RangeKind::NoEnd,
        start_date: day.parse().unwrap(),
        end_date: None,
        number_of_occurrences: 0,
        time_zone: None,
    }
}

fn until(day: &str, last: &str) -> RecurrenceRange {
    RecurrenceRange { kind: RangeKind::EndDate, end_date: Some(last.parse().unwrap()), ..from_date(day) }
}

fn numbered(day: &str, count: i32) -> RecurrenceRange {
    RecurrenceRange { kind: RangeKind::Numbered, number_of_occurrences: count, ..from_date(day) }
}

/// Every week from Monday 2025-01-06, created on the Thursday before at nine.
fn series() -> Definition {
    let mut settings = settings();
    settings.instance_duration_in_days = 5;
    settings.recurrence = weekly(1, from_date("2025-01-06"));
    Definition {
        id: DefinitionId::new(Uuid::from_u128(100)),
        draft: DefinitionDraft {
            display_name: "Finance-ERP".to_owned(),
            description_for_admins: None,
            description_for_reviewers: None,
            scope: review_scope(&format!("/groups/{}/transitiveMembers", object(GROUP))),
            instance_enumeration_scope: None,
            reviewer_lists: lists(1, &[2]),
            settings,
            stages: Vec::new(),
            additional_notification_recipients: Vec::new(),
        },
        created_at: at("2025-01-02T09:00:00Z"),
        modified_at: at("2025-01-02T09:00:00Z"),
        created_by: person(7),
        status: Status::InProgress,
        schedule: Schedule::default(),
    }
}

fn stage(id: &str, depends_on: &[&str]) -> StageSettings {
    StageSettings {
        stage_id: id.to_owned(),
        depends_on: depends_on.iter().map(|id| (*id).to_owned()).collect(),
        duration_in_days: 2,
        recommendations_enabled: false,
        recommendation_look_back_duration: None,
        recommendation_insight_settings: Vec::new(),
        decisions_that_will_move_to_next_stage: Vec::new(),
        reviewer_lists: lists(1, &[]),
    }
}

/// Occurrence `number` of [`series`] runs or has run, the next one waits.
fn started(number: i32) -> Occurrences {
    let start_at = series().scheduled_start(number).unwrap();
    let last = StartedOccurrence { occurrence: number, start_at, end_at: start_at + TimeDelta::days(5) };
    Occurrences { last_started: Some(last), waiting: true }
}

fn finished(number: i32) -> Occurrences {
    Occurrences { waiting: false, ..started(number) }
}

const WAITING: Occurrences = Occurrences { last_started: None, waiting: true };
const BEFORE: &str = "2025-01-03T00:00:00Z";
/// While occurrence 1 runs.
const DURING: &str = "2025-01-14T00:00:00Z";

fn with(change: impl FnOnce(&mut DefinitionDraft)) -> DefinitionDraft {
    let mut draft = series().draft;
    change(&mut draft);
    draft
}

fn recurring(recurrence: Option<Recurrence>) -> DefinitionDraft {
    with(|draft| draft.settings.recurrence = recurrence)
}

#[track_caller]
fn accepted(stored: &Definition, occurrences: Occurrences, wanted: DefinitionDraft, now: &str) -> Definition {
    plan_definition_update(stored, &occurrences, wanted, at(now)).unwrap().definition
}

#[track_caller]
fn refused(stored: &Definition, occurrences: Occurrences, wanted: DefinitionDraft, now: &str) -> Vec<String> {
    let violations = plan_definition_update(stored, &occurrences, wanted, at(now)).unwrap_err();
    violations.into_iter().map(|violation| violation.path).collect()
}

#[test]
fn what_is_sent_back_as_it_was_changes_nothing() {
    let stored = series();
    let plan = plan_definition_update(&stored, &started(1), stored.draft.clone(), at(DURING)).unwrap();
    assert_eq!(plan, DefinitionUpdatePlan { definition: stored, changed: false, reminders_switched_on: false });
}

/// A client that read the default writes it back. LC-RCM-03
#[test]
fn a_default_written_out_is_no_change() {
    let wanted =
        with(|draft| draft.settings.recommendation_look_back_duration = Some("30 days, 0:00:00".parse().unwrap()));
    assert!(!plan_definition_update(&series(), &started(1), wanted, at(DURING)).unwrap().changed);
}

/// LC-DEF-21, LC-DEF-26
#[test]
fn everything_writable_is_taken_over_and_the_rest_stays() {
    let wanted = with(|draft| {
        draft.display_name = "Sales".to_owned();
        draft.description_for_admins = Some("new".to_owned());
        draft.reviewer_lists =
            ReviewerLists { reviewers: vec![ReviewerScope::from_form(ReviewerForm::ResourceOwners)], ..lists(1, &[]) };
        draft.settings.mail_notifications_enabled = true;
    });
    let stored = series();
    let updated = accepted(&stored, started(1), wanted.clone(), DURING);
    assert_eq!(updated, Definition { draft: wanted, modified_at: at(DURING), ..stored });
}

/// LC-DEF-25, A-16
#[test]
fn a_scope_of_the_same_meaning_is_accepted_and_keeps_its_spelling() {
    let wanted = with(|draft| {
        draft.scope = review_scope(&format!("/v1.0/Groups/{}/transitivemembers", object(GROUP)));
        draft.display_name = "other".to_owned();
    });
    assert_eq!(accepted(&series(), started(1), wanted, DURING).draft.scope, series().draft.scope);
}

///
#[test]
fn another_scope_enumeration_or_stage_structure_is_refused_together_with_every_other_fault() {
    let wanted = with(|draft| {
        draft.scope = review_scope(&format!("/groups/{}/members", object(GROUP)));
        draft.instance_enumeration_scope = Some(format!("/groups/{}", object(GROUP)));
        draft.stages = vec![stage("1", &[]), stage("2", &["1"])];
        draft.display_name = String::new();
        draft.settings.recurrence = weekly(1, from_date("2025-01-07"));
    });
    assert_eq!(
        refused(&series(), started(1), wanted, DURING),
        ["displayName", "scope", "instanceEnumerationScope", "stageSettings", "settings.recurrence.range.startDate"]
    );
}

#[test]
fn stages_are_compared_by_their_ids_in_the_order_of_their_chain() {
    let stored =
        Definition { draft: with(|draft| draft.stages = vec![stage("a", &[]), stage("b", &["a"])]), ..series() };
    let stages = |stages: Vec<StageSettings>| DefinitionDraft { stages, ..stored.draft.clone() };

    let shuffled = stages(vec![stage("b", &["a"]), stage("a", &[])]);
    assert!(!plan_definition_update(&stored, &started(1), shuffled, at(DURING)).unwrap().changed);
    let longer = stages(vec![StageSettings { duration_in_days: 3, ..stage("a", &[]) }, stage("b", &["a"])]);
    assert!(plan_definition_update(&stored, &started(1), longer, at(DURING)).unwrap().changed);
    for other in [
        stages(Vec::new()),
        stages(vec![stage("a", &[])]),
        stages(vec![stage("b", &[]), stage("a", &["b"])]),
        stages(vec![stage("a", &[]), stage("c", &["a"])]),
        stages(vec![stage("a", &[]), stage("b", &["a"]), stage("c", &["b"])]),
    ] {
        assert_eq!(refused(&stored, started(1), other, DURING), ["stageSettings"]);
    }
}

/// LC-DEF-24
#[test]
fn the_start_date_moves_before_the_first_start_and_not_after() {
    let moved = recurring(weekly(1, from_date("2025-02-03")));
    let updated = accepted(&series(), WAITING, moved.clone(), BEFORE);
    assert_eq!(updated.occurrence_start(0), Some(at("2025-02-03T09:00:00Z")));
    // the clock decides, not the timer
    for (occurrences, now) in [(WAITING, "2025-01-06T09:00:00Z"), (started(0), DURING)] {
        assert_eq!(refused(&series(), occurrences, moved.clone(), now), ["settings.recurrence.range.startDate"]);
    }
}

/// LC-DEF-24, LC-REC-05
#[test]
fn a_start_date_moved_into_the_past_means_now() {
    let updated = accepted(&series(), WAITING, recurring(weekly(1, from_date("2024-12-01"))), BEFORE);
    assert_eq!(updated.occurrence_start(0), Some(at(BEFORE)));
    assert_eq!(updated.occurrence_start(1), Some(at("2025-01-10T00:00:00Z")));
}

/// LC-DEF-27
#[test]
fn an_earlier_end_date_drops_the_occurrences_beyond_it() {
    let updated = accepted(&series(), started(1), recurring(weekly(1, until("2025-01-06", "2025-01-19"))), DURING);
    assert_eq!(updated.occurrence_start(1), Some(at("2025-01-13T09:00:00Z")));
    assert_eq!(updated.occurrence_start(2), None);
}

///
#[test]
fn a_finished_series_goes_on_in_its_slots_after_now() {
    let stored = Definition { draft: recurring(weekly(1, numbered("2025-01-06", 2))), ..series() };
    let longer = recurring(weekly(1, numbered("2025-01-06", 4)));
    let updated = accepted(&stored, finished(1), longer, "2025-03-01T00:00:00Z");
    assert_eq!(updated.occurrence_start(2), Some(at("2025-03-03T09:00:00Z")));
    assert_eq!(updated.occurrence_start(3), Some(at("2025-03-10T09:00:00Z")));
    assert_eq!(updated.occurrence_start(4), None);
}

/// LC-DEF-22, LC-INV-09
#[test]
fn another_pattern_counts_from_the_running_occurrence() {
    let monthly = |interval, day_of_month| {
        let pattern = RecurrencePattern { kind: PatternKind::AbsoluteMonthly, interval, day_of_month };
        recurring(Some(Recurrence { pattern: Some(pattern), range: Some(from_date("2025-01-06")) }))
    };
    for (wanted, next) in [
        (monthly(1, 0), "2025-02-13T09:00:00Z"),
        (monthly(1, 20), "2025-02-20T09:00:00Z"),
        (monthly(3, 0), "2025-04-13T09:00:00Z"),
        (recurring(weekly(2, from_date("2025-01-06"))), "2025-01-27T09:00:00Z"),
    ] {
        let updated = accepted(&series(), started(1), wanted, DURING);
        assert_eq!(updated.occurrence_start(2), Some(at(next)));
    }
}

#[test]
fn a_one_time_review_can_become_a_series_and_a_series_end_as_one() {
    let once = Definition { draft: recurring(None), ..series() };
    let wanted = recurring(weekly(1, from_date("2025-01-06")));
    let last = StartedOccurrence { occurrence: 0, start_at: once.created_at, end_at: at("2025-01-07T09:00:00Z") };
    let running = Occurrences { last_started: Some(last), waiting: false };
    let updated = accepted(&once, running, wanted, BEFORE);
    assert_eq!(updated.occurrence_start(1), Some(at("2025-01-09T09:00:00Z")));

    let ended = accepted(&series(), started(1), recurring(None), DURING);
    assert_eq!(ended.occurrence_start(2), None);
}

/// DEF-STOP
#[test]
fn a_stopped_series_stays_stopped_until_its_recurrence_changes() {
    let schedule = Schedule { counted_from: None, stopped_at: Some(at("2025-01-13T12:00:00Z")) };
    let stopped = Definition { schedule, ..series() };
    let renamed = accepted(&stopped, finished(1), with(|draft| draft.display_name = "other".to_owned()), DURING);
    assert_eq!(renamed.occurrence_start(2), None);
    let wanted = recurring(weekly(1, until("2025-01-06", "2025-12-31")));
    let resumed = accepted(&stopped, finished(1), wanted, DURING);
    assert_eq!(resumed.occurrence_start(2), Some(at("2025-01-20T09:00:00Z")));
}

fn any_recurrence() -> impl Strategy<Value = Option<Recurrence>> {
    let day = |offset: i64| NaiveDate::from_ymd_opt(2025, 1, 6).unwrap() + TimeDelta::days(offset);
    let pattern = prop_oneof![
        (1..5i32).prop_map(|interval| RecurrencePattern { kind: PatternKind::Weekly, interval, day_of_month: 0 }),
        (1..5i32, 0..=31i32).prop_map(|(interval, day_of_month)| RecurrencePattern {
            kind: PatternKind::AbsoluteMonthly,
            interval,
            day_of_month
        }),
    ];
    let range =
        (prop::sample::select(RangeKind::ALL.to_vec()), 0..200i64, 1..9i32).prop_map(move |(kind, end, count)| {
            RecurrenceRange {
                kind,
                end_date: (kind == RangeKind::EndDate).then(|| day(end)),
                number_of_occurrences: if kind == RangeKind::Numbered { count } else { 0 },
                ..from_date("2025-01-06")
            }
        });
    prop::option::of(
        (prop::option::of(pattern), range).prop_map(|(pattern, range)| Recurrence { pattern, range: Some(range) }),
    )
}

proptest! {
    /// LC-DEF-22, LC-INV-09, A-19: whatever is changed when, what comes next neither overlaps what ran nor lies in the past,
    /// unless it waits already.
    #[test]
    fn the_next_occurrence_never_overlaps_the_last_one(
        before in any_recurrence(), after in any_recurrence(), number in 0..6i32, waiting: bool, hours in 0..4_000i64,
    ) {
        let stored = Definition { draft: recurring(before), ..series() };
        let last = (0..=number).rev().find_map(|number| Some((number, stored.scheduled_start(number)?)));
        prop_assume!(last.is_some());
        let (number, start_at) = last.unwrap();
        let end_at = start_at + TimeDelta::days(5);
        let now = start_at + TimeDelta::hours(hours);
        let waiting = waiting && stored.scheduled_start(number + 1).is_some_and(|next| next > now);
        let last_started = Some(StartedOccurrence { occurrence: number, start_at, end_at });

        let plan = plan_definition_update(&stored, &Occurrences { last_started, waiting }, recurring(after.clone()), now);
        prop_assume!(plan.is_ok());
        let updated = plan.unwrap().definition;
        if let Some(next) = updated.occurrence_start(number + 1) {
            prop_assert!(next >= end_at);
            prop_assert!(next >= now || !waiting && after == stored.draft.settings.recurrence);
            if let Some(later) = updated.occurrence_start(number + 2) {
                prop_assert!(later >= next + TimeDelta::days(7));
            }
        }
    }

    /// What was planned once is no change any more.
    #[test]
    fn an_update_repeated_changes_nothing(after in any_recurrence(), name in "[a-z]{1,9}", hours in 0..900i64) {
        let wanted = DefinitionDraft { display_name: name, ..recurring(after) };
        let now = at(DURING) + TimeDelta::hours(hours);
        if let Ok(plan) = plan_definition_update(&series(), &started(1), wanted.clone(), now) {
            let again = plan_definition_update(&plan.definition, &started(1), wanted, now + TimeDelta::hours(1)).unwrap();
            prop_assert!(!again.changed);
            prop_assert_eq!(again.definition, plan.definition);
        }
    }
}
