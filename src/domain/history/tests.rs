use chrono::{NaiveDate, TimeZone};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::definition::{PatternKind, RangeKind, RecurrencePattern, RecurrenceRange};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn monthly(range_type: RangeKind, occurrences: i32, report_range: &str) -> HistorySchedule {
    HistorySchedule {
        recurrence: Recurrence {
            pattern: Some(RecurrencePattern { kind: PatternKind::AbsoluteMonthly, interval: 1, day_of_month: 31 }),
            range: Some(RecurrenceRange {
                kind: range_type,
                start_date: NaiveDate::from_ymd_opt(2026, 1, 31).unwrap(),
                end_date: None,
                number_of_occurrences: occurrences,
                time_zone: None,
            }),
        },
        report_range: report_range.parse().unwrap(),
    }
}

fn draft(timing: HistoryTiming) -> HistoryDraft {
    let query = "/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')";
    HistoryDraft {
        display_name: "Quarter".to_owned(),
        decisions: HistoryDecision::ALL.to_vec(),
        scopes: vec![HistoryScope::parse(query, None, None).unwrap()],
        timing,
    }
}

fn once(start: &str, end: &str) -> HistoryTiming {
    HistoryTiming::Once(HistoryPeriod { start: at(start), end: at(end) })
}

fn done(fulfilled_at: DateTime<Utc>) -> HistoryInstance {
    let id = Uuid::from_u128(1);
    let period = HistoryPeriod { start: fulfilled_at, end: fulfilled_at };
    let requested = HistoryInstance::requested(
        HistoryInstanceId::new(id),
        HistoryDefinitionId::new(id),
        0,
        Run { at: fulfilled_at, period },
    );
    HistoryInstance {
        status: HistoryStatus::Done,
        finished: Some(FinishedReport { at: fulfilled_at, rows: 0, bytes: 0, pieces: 0 }),
        ..requested
    }
}

/// M-30, CL-19
#[test]
fn spellings_are_those_that_clients_know() {
    assert_eq!(HistoryStatus::ALL.map(HistoryStatus::as_str), ["requested", "inprogress", "done", "error"]);
    assert_eq!(
        HistoryDecision::ALL.map(HistoryDecision::as_str),
        ["approve", "deny", "dontKnow", "notReviewed", "notNotified"]
    );
    for status in HistoryStatus::ALL {
        assert_eq!(HistoryStatus::parse(status.as_str()), Some(status));
    }
    for decision in HistoryDecision::ALL {
        assert_eq!(HistoryDecision::parse(decision.as_str()), Some(decision));
    }
}

/// LC-HIST-02
#[test]
fn a_one_time_report_runs_once_and_at_once() {
    let timing = once("2026-01-01T00:00:00Z", "2026-03-31T23:59:59Z");
    let created_at = at("2026-04-01T05:59:58Z");
    let HistoryTiming::Once(period) = &timing else { unreachable!() };
    assert_eq!(run(&timing, created_at, 0), Some(Run { at: created_at, period: *period }));
    assert_eq!(run(&timing, created_at, 1), None);
}

/// LC-HIST-08
#[test]
fn each_run_covers_what_lies_before_it() {
    let timing = HistoryTiming::Recurring(monthly(RangeKind::Numbered, 3, "P1M"));
    let created_at = at("2026-01-20T08:00:00Z");
    let windows: Vec<_> = (0..9)
        .map_while(|k| run(&timing, created_at, k))
        .map(|run| {
            assert_eq!(run.period.end, run.at);
            format!("{} to {}", run.period.start.format("%F %R"), run.at.format("%F %R"))
        })
        .collect();
    assert_eq!(
        windows,
        [
            "2025-12-31 08:00 to 2026-01-31 08:00",
            "2026-01-28 08:00 to 2026-02-28 08:00",
            "2026-02-28 08:00 to 2026-03-31 08:00",
        ]
    );
}

#[test]
fn what_a_report_must_not_be_is_told_by_its_path() {
    let paths = |draft: &HistoryDraft| validate(draft).into_iter().map(|fault| fault.path).collect::<Vec<_>>();
    let good = draft(once("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"));
    assert_eq!(paths(&good), [""; 0]);
    assert_eq!(paths(&HistoryDraft { display_name: " ".to_owned(), ..good.clone() }), ["displayName"]);
    assert_eq!(paths(&HistoryDraft { display_name: "x".repeat(257), ..good.clone() }), ["displayName"]);
    assert_eq!(paths(&HistoryDraft { scopes: Vec::new(), ..good.clone() }), ["scopes"]);
    assert_eq!(paths(&HistoryDraft { scopes: vec![good.scopes[0].clone(); MAX_SCOPES + 1], ..good }), ["scopes"]);
    assert_eq!(paths(&draft(once("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"))), ["reviewHistoryPeriodEndDateTime"]);

    let recurring = |schedule| draft(HistoryTiming::Recurring(schedule));
    assert_eq!(paths(&recurring(monthly(RangeKind::NoEnd, 0, "P1Y2M3D"))), [""; 0]);
    for range in ["PT0S", "PT1H", "P1DT1S", "P101Y"] {
        let schedule = monthly(RangeKind::NoEnd, 0, range);
        assert_eq!(paths(&recurring(schedule)), ["scheduleSettings.reportRange"], "{range}");
    }
    let mut schedule = monthly(RangeKind::Numbered, 0, "P1M");
    assert_eq!(paths(&recurring(schedule.clone())), ["scheduleSettings.recurrence.range.numberOfOccurrences"]);
    schedule.recurrence.range = None;
    assert_eq!(paths(&recurring(schedule.clone())), ["scheduleSettings.recurrence.range"]);
    schedule.recurrence.pattern = None;
    assert_eq!(paths(&recurring(schedule)), ["scheduleSettings.recurrence.pattern"]);
}

/// LC-HIST-06
#[test]
fn only_a_finished_report_has_a_link() {
    let now = at("2026-04-01T00:00:00Z");
    let finished = done(now);
    assert_eq!(finished.link_until(now), Ok(now + LINK_LIFE));
    for status in [HistoryStatus::Requested, HistoryStatus::InProgress, HistoryStatus::Error] {
        let instance = HistoryInstance { status, finished: None, ..finished.clone() };
        let refusal = instance.link_until(now).unwrap_err();
        assert!(refusal.to_string().ends_with(status.as_str()), "{refusal}");
    }
}

#[test]
fn a_link_is_shown_as_long_as_it_works() {
    let now = at("2026-04-01T00:00:00Z");
    let linked = HistoryInstance { link_expires_at: Some(now), ..done(now - LINK_LIFE) };
    assert_eq!(linked.link_shown_at(now - TimeDelta::microseconds(1)), Some(now));
    assert_eq!(linked.link_shown_at(now), None);
}

proptest! {
    /// A link never outlives the report, and never lives longer than a day.
    #[test]
    fn a_link_ends_in_time(fulfilled in 0..4_000_000_000i64, later in 0..40 * 86_400i64) {
        let instance = done(Utc.timestamp_opt(fulfilled, 0).unwrap());
        let now = instance.run_at + TimeDelta::seconds(later);
        let end = instance.link_until(now).unwrap();
        prop_assert!(end <= instance.expires_at);
        prop_assert!(end <= now + LINK_LIFE);
        prop_assert_eq!(end > now, instance.is_there_at(now));
    }
}
