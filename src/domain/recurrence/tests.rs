use chrono::TimeZone;
use proptest::prelude::*;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn monthly(interval: i32, day_of_month: i32, start: &str) -> Recurrence {
    Recurrence {
        pattern: Some(RecurrencePattern { kind: PatternKind::AbsoluteMonthly, interval, day_of_month }),
        range: Some(no_end(start)),
    }
}

fn weekly(interval: i32, start: &str) -> Recurrence {
    Recurrence {
        pattern: Some(RecurrencePattern { kind: PatternKind::Weekly, interval, day_of_month: 0 }),
        range: Some(no_end(start)),
    }
}

fn no_end(start: &str) -> RecurrenceRange {
    RecurrenceRange {
        kind: RangeKind::NoEnd,
        start_date: day(start),
        end_date: None,
        number_of_occurrences: 0,
        time_zone: None,
    }
}

fn ending(mut recurrence: Recurrence, kind: RangeKind, end_date: Option<&str>, count: i32) -> Recurrence {
    if let Some(range) = &mut recurrence.range {
        (range.kind, range.end_date, range.number_of_occurrences) = (kind, end_date.map(day), count);
    }
    recurrence
}

fn starts(recurrence: &Recurrence, created_at: &str, count: u32) -> Vec<String> {
    let first = first_start(Some(recurrence), instant(created_at));
    (0..count)
        .map_while(|k| occurrence_start(Some(recurrence), first, k))
        .map(|start| start.format("%F %R").to_string())
        .collect()
}

/// LC-REC-04
#[test]
fn an_occurrence_starts_at_the_time_of_day_of_the_creation() {
    let first = first_start(Some(&weekly(1, "2026-03-12")), instant("2026-03-09T03:00:00Z"));

    assert_eq!(first, instant("2026-03-12T03:00:00Z"));
}

/// LC-REC-05
#[test]
fn a_start_date_of_today_or_before_means_at_once() {
    let created_at = instant("2026-03-09T03:00:00Z");

    for start in ["2026-03-09", "2026-03-08", "2001-01-01"] {
        assert_eq!(first_start(Some(&weekly(1, start)), created_at), created_at);
        assert_eq!(first_start(Some(&monthly(1, 0, start)), created_at), created_at);
    }
    assert_eq!(first_start(None, created_at), created_at);
    assert_eq!(first_start(Some(&Recurrence { pattern: None, range: None }), created_at), created_at);
}

/// LC-REC-01
#[test]
fn a_one_time_review_has_one_occurrence_on_its_start_date() {
    let once = Recurrence { pattern: None, range: Some(no_end("2026-04-01")) };

    assert_eq!(starts(&once, "2026-03-09T03:00:00Z", 5), ["2026-04-01 03:00"]);
    assert_eq!(occurrence_start(None, instant("2026-03-09T03:00:00Z"), 1), None);
}

/// LC-REC-06, M-27
#[test]
fn the_first_start_is_the_first_date_with_the_day_of_the_month() {
    let created = "2026-01-20T08:00:00Z";

    assert_eq!(starts(&monthly(3, 5, "2026-02-02"), created, 2), ["2026-02-05 08:00", "2026-05-05 08:00"]);
    assert_eq!(starts(&monthly(1, 5, "2026-02-06"), created, 2), ["2026-03-05 08:00", "2026-04-05 08:00"]);
    assert_eq!(starts(&monthly(1, 25, "2026-01-20"), created, 2), ["2026-01-25 08:00", "2026-02-25 08:00"]);
}

/// LC-REC-06, M-26
#[test]
fn a_short_month_cuts_the_day_for_that_month_only() {
    let created = "2026-01-20T08:00:00Z";
    let expected = ["2026-01-31 08:00", "2026-02-28 08:00", "2026-03-31 08:00", "2026-04-30 08:00"];

    assert_eq!(starts(&monthly(1, 31, "2026-01-31"), created, 4), expected);
    assert_eq!(starts(&monthly(1, 0, "2026-01-31"), created, 4), expected);
    assert_eq!(starts(&monthly(1, 31, "2026-02-01"), created, 3), expected[1..]);
    assert_eq!(
        starts(&monthly(12, 29, "2028-02-01"), created, 5),
        ["2028-02-29 08:00", "2029-02-28 08:00", "2030-02-28 08:00", "2031-02-28 08:00", "2032-02-29 08:00"]
    );
}

#[test]
fn a_series_that_starts_at_once_repeats_on_the_day_of_its_creation() {
    assert_eq!(
        starts(&monthly(1, 10, "2020-01-01"), "2026-03-20T08:00:00Z", 3),
        ["2026-03-20 08:00", "2026-04-20 08:00", "2026-05-20 08:00"]
    );
}

/// LC-REC-07
#[test]
fn an_end_date_is_the_last_day_on_which_an_occurrence_starts() {
    let created = "2026-01-01T08:00:00Z";
    let expected = ["2026-02-02 08:00", "2026-02-16 08:00"];

    for (kind, end) in
        [(RangeKind::EndDate, "2026-02-16"), (RangeKind::EndDate, "2026-03-01"), (RangeKind::Numbered, "2026-02-16")]
    {
        let recurrence = ending(weekly(2, "2026-02-02"), kind, Some(end), 0);
        assert_eq!(starts(&recurrence, created, 9), expected);
    }
    assert_eq!(
        starts(&ending(weekly(2, "2026-02-02"), RangeKind::EndDate, Some("2026-02-15"), 0), created, 9),
        expected[..1]
    );
}

/// LC-REC-07
#[test]
fn a_numbered_range_has_that_many_occurrences() {
    let recurrence = ending(weekly(1, "2026-02-02"), RangeKind::Numbered, Some("2026-02-03"), 3);

    assert_eq!(starts(&recurrence, "2026-01-01T08:00:00Z", 9).len(), 3);
}

/// LC-REC-07
#[test]
fn a_series_whose_end_comes_before_its_first_start_is_told_by_its_end() {
    let until = |recurrence, end| ending(recurrence, RangeKind::EndDate, Some(end), 0);
    let found = |recurrence: &Recurrence, created_at: &str| {
        let first = first_start(Some(recurrence), instant(created_at));
        check_first_start(Some(recurrence), first, 5)
    };
    let created = "2026-01-20T08:00:00Z";

    let never = found(&until(monthly(1, 15, "2026-02-20"), "2026-03-14"), created).unwrap();
    assert_eq!(never.path, "settings.recurrence.range.endDate");
    assert!(never.reason.contains("2026-03-15") && never.reason.contains("2026-03-14"), "{}", never.reason);
    assert_eq!(found(&until(monthly(1, 15, "2026-02-20"), "2026-03-15"), created), None);
    assert!(found(&until(weekly(1, "2025-12-01"), "2026-01-19"), created).is_some());
    assert_eq!(found(&until(weekly(1, "2025-12-01"), "2026-01-20"), created), None);
    assert_eq!(found(&ending(weekly(1, "2025-12-01"), RangeKind::Numbered, Some("2026-01-19"), 2), created), None);
    assert_eq!(check_first_start(None, instant(created), 5), None);
}

/// LC-REC-08
#[test]
fn a_one_time_review_that_ends_on_a_date_needs_time_before_it() {
    let once = |start, end| {
        let range = RecurrenceRange { kind: RangeKind::EndDate, end_date: Some(day(end)), ..no_end(start) };
        Recurrence { pattern: None, range: Some(range) }
    };
    let created = instant("2026-03-09T03:00:00Z");
    let found = |recurrence: &Recurrence, total_days| {
        check_first_start(Some(recurrence), first_start(Some(recurrence), created), total_days)
    };

    assert_eq!(found(&once("2026-03-01", "2026-03-09"), 0).unwrap().path, "settings.recurrence.range.endDate");
    assert_eq!(found(&once("2026-03-01", "2026-03-09"), 1), None);
    assert_eq!(found(&once("2026-03-01", "2026-03-10"), 0), None);
    assert_eq!(found(&once("2026-04-01", "2026-04-02"), 0), None);
}

/// LC-REC-08
#[test]
fn an_instance_ends_after_its_duration_or_a_one_time_review_on_its_end_date() {
    let start = instant("2026-02-02T08:00:00Z");
    let once = |end| {
        let range = RecurrenceRange { kind: RangeKind::EndDate, end_date: Some(day(end)), ..no_end("2026-02-02") };
        Recurrence { pattern: None, range: Some(range) }
    };

    assert_eq!(instance_end(start, 14, Some(&weekly(4, "2026-02-02"))), instant("2026-02-16T08:00:00Z"));
    assert_eq!(instance_end(start, 3, Some(&once("2026-03-01"))), instant("2026-02-05T08:00:00Z"));
    assert_eq!(instance_end(start, 0, Some(&once("2026-03-01"))), instant("2026-03-01T00:00:00Z"));
    assert_eq!(instance_end(start, 0, Some(&once("2026-02-02"))), start);
}

/// LC-REC-09, OPEN-17
#[test]
fn the_shortest_gap_is_that_of_the_shortest_months() {
    let gap = |recurrence: Recurrence| shortest_gap_days(&recurrence.pattern.unwrap());

    assert_eq!(gap(weekly(1, "2026-01-01")), 7);
    assert_eq!(gap(weekly(3, "2026-01-01")), 21);
    for (months, days) in [(1, 28), (2, 59), (3, 89), (6, 181), (12, 365), (48, 1_460)] {
        assert_eq!(gap(monthly(months, 0, "2026-01-01")), days, "{months} months");
    }
}

///
#[test]
fn a_resumed_series_goes_on_in_its_slots_and_leaves_out_what_was_missed() {
    let series = monthly(1, 0, "2026-01-31");
    let (pattern, _) = series.series().unwrap();
    let anchor = Anchor { occurrence: 0, start_at: instant("2026-01-31T08:00:00Z") };

    let resumed = resumed(pattern, anchor, 2, instant("2026-06-01T00:00:00Z")).unwrap();

    let start = |occurrence| occurrence_start_from(Some(&series), resumed, occurrence).unwrap();
    assert_eq!(start(2), instant("2026-06-30T08:00:00Z"));
    assert_eq!(start(3), instant("2026-07-31T08:00:00Z"));
}

#[test]
fn a_changed_pattern_counts_from_the_occurrence_before_at_least_one_interval_on() {
    let from = instant("2026-03-20T08:00:00Z");
    for (series, earliest, expected) in [
        (weekly(1, "2026-01-01"), from, "2026-03-27T08:00:00Z"),
        (weekly(1, "2026-01-01"), instant("2026-04-10T08:00:00Z"), "2026-04-10T08:00:00Z"),
        (weekly(2, "2026-01-01"), instant("2026-04-10T08:00:01Z"), "2026-04-17T08:00:00Z"),
        (monthly(3, 0, "2026-01-01"), from, "2026-06-20T08:00:00Z"),
        (monthly(1, 5, "2026-01-01"), from, "2026-04-05T08:00:00Z"),
        (monthly(1, 31, "2026-01-01"), from, "2026-04-30T08:00:00Z"),
    ] {
        let (pattern, _) = series.series().unwrap();
        let anchor = recounted(pattern, from, 4, earliest).unwrap();
        assert_eq!(anchor, Anchor { occurrence: 4, start_at: instant(expected) });
    }
}

#[test]
fn a_series_ends_where_the_calendar_does() {
    let recurrence = monthly(MAX_INTERVAL, 0, "2026-01-01");
    let first = first_start(Some(&recurrence), instant("2026-01-01T00:00:00Z"));

    assert_eq!(occurrence_start(Some(&recurrence), first, u32::MAX), None);
    assert_eq!(occurrence_start(Some(&recurrence), first, 1_000_000), None);
}

fn any_series() -> impl Strategy<Value = (Recurrence, DateTime<Utc>)> {
    let pattern = prop_oneof![
        (1..30i32).prop_map(|interval| RecurrencePattern { kind: PatternKind::Weekly, interval, day_of_month: 0 }),
        (1..30i32, 0..=31i32).prop_map(|(interval, day_of_month)| RecurrencePattern {
            kind: PatternKind::AbsoluteMonthly,
            interval,
            day_of_month
        }),
    ];
    (pattern, 0..40_000u64, -200..200i64, 0..86_400i64).prop_map(|(pattern, offset, ahead, second)| {
        let created_on = day("2000-01-01") + Days::new(offset);
        let start_date = created_on + TimeDelta::days(ahead);
        let created_at = Utc.from_utc_datetime(&created_on.and_hms_opt(0, 0, 0).unwrap()) + TimeDelta::seconds(second);
        let range = RecurrenceRange { start_date, ..no_end("2000-01-01") };
        (Recurrence { pattern: Some(pattern), range: Some(range) }, created_at)
    })
}

proptest! {
    /// A-19, LC-REC-05
    #[test]
    fn the_next_occurrence_of_a_changed_series_takes_the_first_slot_that_is_early_enough(
        (recurrence, created_at) in any_series(), next in 1..40i32, ahead in -400..4_000i64
    ) {
        let (pattern, _) = recurrence.series().unwrap();
        let anchor = Anchor { occurrence: 0, start_at: first_start(Some(&recurrence), created_at) };
        let earliest = created_at + TimeDelta::days(ahead);

        let resumed = resumed(pattern, anchor, next, earliest).unwrap();
        let start = occurrence_start_from(Some(&recurrence), resumed, next).unwrap();
        prop_assert!(start >= earliest);
        let before = occurrence_start_from(Some(&recurrence), resumed, next - 1);
        let regular = occurrence_start_from(Some(&recurrence), anchor, next).unwrap();
        prop_assert!(start == regular || (start > regular && before.is_none_or(|before| before < earliest)));

        let recounted = recounted(pattern, anchor.start_at, next, earliest).unwrap();
        prop_assert!(recounted.start_at >= earliest && recounted.start_at > anchor.start_at);
        prop_assert_eq!(occurrence_start_from(Some(&recurrence), recounted, next), Some(recounted.start_at));
    }

    /// LC-REC-09
    #[test]
    fn occurrences_of_the_longest_allowed_duration_never_overlap((recurrence, created_at) in any_series()) {
        let longest = shortest_gap_days(&recurrence.pattern.unwrap());
        let first = first_start(Some(&recurrence), created_at);
        let mut previous_end = DateTime::<Utc>::MIN_UTC;

        for k in 0..60 {
            let start = occurrence_start(Some(&recurrence), first, k).unwrap();
            prop_assert!(start >= previous_end, "occurrence {} starts {} before {}", k, start, previous_end);
            previous_end = instance_end(start, longest, Some(&recurrence));
        }
    }

    /// LC-REC-06
    #[test]
    fn nothing_drifts((recurrence, created_at) in any_series(), k in 0..200u32) {
        let pattern = recurrence.pattern.unwrap();
        let first = first_start(Some(&recurrence), created_at);
        let start = occurrence_start(Some(&recurrence), first, k).unwrap();
        let units = i64::from(k) * i64::from(pattern.interval);

        prop_assert_eq!(start.time(), created_at.time());
        match pattern.kind {
            PatternKind::Weekly => prop_assert_eq!(start - first, TimeDelta::weeks(units)),
            PatternKind::AbsoluteMonthly => {
                let months = |at: DateTime<Utc>| i64::from(at.year()) * 12 + i64::from(at.month());
                prop_assert_eq!(months(start) - months(first), units);
                let long_month = (0..12).find_map(|further| {
                    let later = occurrence_start(Some(&recurrence), first, k + further)?;
                    clamped(later.year(), later.month(), 31).filter(|last| last.day() == 31)?;
                    Some(later.day())
                });
                if let Some(day) = long_month {
                    prop_assert!(start.day() == day || start.date_naive() == clamped(start.year(), start.month(), 31).unwrap());
                }
            }
        }
    }

    /// LC-REC-03 to 05
    #[test]
    fn the_first_start_is_the_creation_or_a_later_day_not_before_the_start_date((recurrence, created_at) in any_series()) {
        let first = first_start(Some(&recurrence), created_at);
        let start_date = recurrence.range.unwrap().start_date;

        prop_assert!(first == created_at || first.date_naive() > created_at.date_naive());
        prop_assert!(first.date_naive() >= start_date);
        prop_assert!(first.date_naive() - start_date <= TimeDelta::days(31) || first == created_at);
    }
}
