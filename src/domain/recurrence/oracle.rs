//! The rules of recurrence against an implementation that is not ours: RFC 5545 rules, worked out by the `rrule` crate.
//!
//! A day of the month that a short month lacks is said by offering the days from the 28th up to it and taking the last one that
//! is there (`BYMONTHDAY=28,…,31;BYSETPOS=-1`).

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, TimeZone, Utc};
use proptest::prelude::*;
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};

use super::*;

/// How many years a series is followed.
const YEARS: i64 = 60;

fn in_rfc(at: DateTime<Utc>) -> DateTime<Tz> {
    at.with_timezone(&Tz::UTC)
}

/// Every `interval` months on that day, or on the last one of a month without it.
fn monthly(interval: i32, day: u32) -> RRule<Unvalidated> {
    let days: Vec<i8> = (day.min(28)..=day).map(|day| i8::try_from(day).unwrap()).collect();
    let rule = RRule::new(Frequency::Monthly).interval(u16::try_from(interval).unwrap()).by_month_day(days);
    if day > 28 { rule.by_set_pos(vec![-1]) } else { rule }
}

fn starting(rule: RRule<Unvalidated>, from: DateTime<Utc>) -> RRuleSet {
    rule.build(in_rfc(from)).unwrap()
}

fn next_of(rule: RRule<Unvalidated>, from: DateTime<Utc>) -> DateTime<Utc> {
    starting(rule, from).into_iter().next().unwrap().with_timezone(&Utc)
}

/// LC-REC-04, LC-REC-05 and the first half of LC-REC-06: the first day at or after the start date that the pattern allows, at the
/// creation's time of day, and the creation itself unless that day is still to come.
fn oracle_first(recurrence: &Recurrence, created_at: DateTime<Utc>) -> DateTime<Utc> {
    let (pattern, range) = recurrence.series().unwrap();
    let from = range.start_date.and_time(created_at.time()).and_utc();
    let candidate = match (pattern.kind, u32::try_from(pattern.day_of_month).unwrap()) {
        (PatternKind::Weekly, _) | (PatternKind::AbsoluteMonthly, 0) => from,
        (PatternKind::AbsoluteMonthly, day) => next_of(monthly(1, day), from),
    };
    if candidate.date_naive() > created_at.date_naive() { candidate } else { created_at }
}

/// The rule of the occurrences from the first start on. What day of the month they aim at: `dayOfMonth` when the first start is
/// such a day, else the first start's own.
fn oracle_rule(pattern: &RecurrencePattern, first: DateTime<Utc>) -> RRule<Unvalidated> {
    match pattern.kind {
        PatternKind::Weekly => RRule::new(Frequency::Weekly).interval(u16::try_from(pattern.interval).unwrap()),
        PatternKind::AbsoluteMonthly => {
            let wanted = u32::try_from(pattern.day_of_month).unwrap();
            let falls_on_it = wanted > 0 && next_of(monthly(1, wanted), first) == first;
            monthly(pattern.interval, if falls_on_it { wanted } else { first.day() })
        }
    }
}

/// LC-REC-07
fn oracle_starts(recurrence: &Recurrence, first: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let (pattern, range) = recurrence.series().unwrap();
    let mut rule = oracle_rule(pattern, first);
    let end_of = |day: NaiveDate| day.and_hms_opt(23, 59, 59).unwrap().and_utc();
    match (range.kind, range.number_of_occurrences, range.end_date) {
        (RangeKind::NoEnd, ..) => {}
        (RangeKind::Numbered, count @ 1.., _) => rule = rule.count(u32::try_from(count).unwrap()),
        (RangeKind::Numbered | RangeKind::EndDate, _, last) => {
            let last = end_of(last.unwrap());
            if last < first {
                return Vec::new();
            }
            rule = rule.until(in_rfc(last));
        }
    }
    starting(rule, first).into_iter().map(|at| at.with_timezone(&Utc)).take_while(|at| *at <= until).collect()
}

fn our_starts(recurrence: &Recurrence, first: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    (0..)
        .map_while(|occurrence| occurrence_start(Some(recurrence), first, occurrence))
        .take_while(|at| *at <= until)
        .collect()
}

fn any_pattern() -> impl Strategy<Value = RecurrencePattern> {
    prop_oneof![
        (1..=60i32).prop_map(|interval| RecurrencePattern { kind: PatternKind::Weekly, interval, day_of_month: 0 }),
        (1..=26i32, prop_oneof![Just(0), 1..=28i32, 28..=31i32]).prop_map(|(interval, day_of_month)| {
            RecurrencePattern { kind: PatternKind::AbsoluteMonthly, interval, day_of_month }
        }),
    ]
}

/// A series made at any second from 1996 to 2104, starting up to 400 days before or after, with any of the three ranges.
fn any_series() -> impl Strategy<Value = (Recurrence, DateTime<Utc>)> {
    let epoch = NaiveDate::from_ymd_opt(1996, 1, 1).unwrap();
    let range = (prop::sample::select(RangeKind::ALL.to_vec()), 0..40_000i64, 0..90i32);
    // the ends of months more often than they come
    let day = prop_oneof![2 => (0..39_500i64).boxed(), 1 => (0..1_300u32).prop_map(move |month| {
        let next = epoch.checked_add_months(Months::new(month + 1)).unwrap();
        (next - epoch).num_days() - 1
    }).boxed()];
    (any_pattern(), range, day, -400..400i64, 0..86_400i64).prop_map(
        move |(pattern, (kind, lasts, count), created_on, ahead, second)| {
            let created_at = Utc.from_utc_datetime(&epoch.and_hms_opt(0, 0, 0).unwrap())
                + TimeDelta::seconds(created_on * 86_400 + second);
            let start_date = created_at.date_naive() + TimeDelta::days(ahead);
            let ends_by_date = kind == RangeKind::EndDate || kind == RangeKind::Numbered && count == 0;
            let range = RecurrenceRange {
                kind,
                start_date,
                end_date: ends_by_date.then(|| start_date + TimeDelta::days(lasts)),
                number_of_occurrences: count,
                time_zone: None,
            };
            (Recurrence { pattern: Some(pattern), range: Some(range) }, created_at)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// LC-REC-03 to 07: decades of every series, leap years and the year 2100 included.
    #[test]
    fn occurrences_start_when_the_rfc_says((recurrence, created_at) in any_series()) {
        let first = first_start(Some(&recurrence), created_at);
        prop_assert_eq!(first, oracle_first(&recurrence, created_at));

        let until = first + TimeDelta::days(YEARS * 366);
        let expected = oracle_starts(&recurrence, first, until);
        prop_assert_eq!(&our_starts(&recurrence, first, until), &expected);
        prop_assert!(expected.iter().all(|start| start.time() == created_at.time()));
    }

    /// LC-REC-07: refused is exactly what has no occurrence.
    #[test]
    fn a_series_is_refused_exactly_when_the_rfc_knows_no_occurrence_of_it((recurrence, created_at) in any_series()) {
        let first = oracle_first(&recurrence, created_at);
        let runs = !oracle_starts(&recurrence, first, first).is_empty();

        prop_assert_eq!(check_first_start(Some(&recurrence), first, 3).is_none(), runs);
    }

    /// LC-REC-09, LC-INV-09
    #[test]
    fn what_lasts_as_long_as_it_may_is_over_when_the_rfc_says_that_the_next_one_starts((recurrence, created_at) in any_series()) {
        let longest = shortest_gap_days(recurrence.pattern.as_ref().unwrap());
        let first = oracle_first(&recurrence, created_at);
        let starts = oracle_starts(&recurrence, first, first + TimeDelta::days(YEARS * 366));

        for pair in starts.windows(2) {
            prop_assert!(instance_end(pair[0], longest, Some(&recurrence)) <= pair[1], "{} and {}", pair[0], pair[1]);
        }
    }

    /// A-19, LC-DEF-27: a series that goes on after a break does so on the days it always had.
    #[test]
    fn a_resumed_series_takes_the_next_slot_of_the_rfc(
        (recurrence, created_at) in any_series(), next in 1..30i32, ahead in -400..9_000i64
    ) {
        let endless = RecurrenceRange { kind: RangeKind::NoEnd, ..recurrence.range.clone().unwrap() };
        let recurrence = Recurrence { range: Some(endless), ..recurrence };
        let first = oracle_first(&recurrence, created_at);
        let earliest = first + TimeDelta::days(ahead);
        let pattern = recurrence.pattern.unwrap();
        let anchor = Anchor { occurrence: 0, start_at: first };

        let resumed = resumed(&pattern, anchor, next, earliest).unwrap();

        let starts = starting(oracle_rule(&pattern, first), first).into_iter().map(|at| at.with_timezone(&Utc));
        let expected: Vec<_> =
            starts.skip(usize::try_from(next).unwrap()).skip_while(|at| *at < earliest).take(3).collect();
        let found: Vec<_> =
            (next..next + 3).map(|number| occurrence_start_from(Some(&recurrence), resumed, number).unwrap()).collect();
        prop_assert_eq!(found, expected);
    }

    /// LC-DEF-22: a changed pattern counts from the month, or the week, of the occurrence that runs.
    #[test]
    fn a_changed_pattern_takes_the_next_slot_of_the_rfc(
        pattern in any_pattern(), from_day in 0..30_000i64, second in 0..86_400i64, ahead in -400..9_000i64
    ) {
        let from = Utc.timestamp_opt(820_454_400, 0).unwrap() + TimeDelta::seconds(from_day * 86_400 + second);
        let earliest = from + TimeDelta::days(ahead);

        let anchor = recounted(&pattern, from, 5, earliest).unwrap();

        let slots = match pattern.kind {
            PatternKind::Weekly => starting(oracle_rule(&pattern, from), from),
            PatternKind::AbsoluteMonthly => {
                let day = u32::try_from(pattern.day_of_month).unwrap();
                let month = from.with_day(1).unwrap();
                starting(monthly(pattern.interval, if day > 0 { day } else { from.day() }), month)
            }
        };
        let expected = slots.into_iter().skip(1).map(|at| at.with_timezone(&Utc)).find(|at| *at >= earliest).unwrap();
        prop_assert_eq!(anchor, Anchor { occurrence: 5, start_at: expected });
    }
}

/// LC-REC-09: no shorter than it has to be, over the four centuries after which the calendar repeats.
#[test]
fn the_longest_duration_is_the_shortest_gap_that_the_rfc_knows() {
    let from = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).unwrap();
    let until = Utc.with_ymd_and_hms(2401, 12, 31, 0, 0, 0).unwrap();
    for interval in [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 24, 48] {
        let months = i32::try_from(CALENDAR_CYCLE_MONTHS).unwrap();
        // every month of the cycle begins some series with this interval
        let shortest = (0..interval.min(months)).flat_map(|offset| {
            let from = from.checked_add_months(Months::new(u32::try_from(offset).unwrap())).unwrap();
            let starts: Vec<_> =
                starting(monthly(interval, 1), from).into_iter().take_while(|at| *at <= until).collect();
            starts.windows(2).map(|pair| (pair[1] - pair[0]).num_days()).collect::<Vec<_>>()
        });
        let pattern = RecurrencePattern { kind: PatternKind::AbsoluteMonthly, interval, day_of_month: 0 };

        assert_eq!(Some(i64::from(shortest_gap_days(&pattern))), shortest.min(), "{interval} months");
    }
}
