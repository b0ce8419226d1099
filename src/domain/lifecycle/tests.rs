use proptest::prelude::*;

use super::*;
use crate::domain::examples::{at, instance, planned, settings, stage};

fn running(ordinal: StageOrdinal, start_at: &str, end_at: &str) -> Stage {
    Stage { ordinal, start_at: at(start_at), end_at: at(end_at), ..stage(Status::InProgress) }
}

const CAUSES: [Cause; 3] = [Cause::Timer, Cause::StageStop, Cause::InstanceStop];

/// ST-06 to ST-08, LC-STAGE-20, LC-CONC-04
#[test]
fn only_a_stage_in_progress_closes_whatever_the_cause() {
    for status in Status::ALL {
        for cause in CAUSES {
            let closed = close_stage(&stage(status), cause, at("2025-01-13T09:00:00Z"));
            match status {
                Status::InProgress => assert!(matches!(closed, Ok(Some(_))), "{cause:?}"),
                _ => {
                    let refusal = closed.unwrap_err();
                    assert_eq!(refusal.current, status);
                    assert_eq!(refusal.allowed, [Status::InProgress]);
                    assert_eq!(refusal.operation, if cause == Cause::Timer { "closing" } else { "stopping" });
                }
            }
        }
    }
}

/// LC-STAGE-05, LC-CMP-01
#[test]
fn an_early_timer_changes_nothing() {
    let stage = stage(Status::InProgress);

    assert_eq!(close_stage(&stage, Cause::Timer, stage.end_at - TimeDelta::microseconds(1)), Ok(None));
    assert_eq!(
        close_stage(&stage, Cause::Timer, stage.end_at),
        Ok(Some(Next::Stage { ordinal: 3, start_at: stage.end_at })),
    );
}

/// LC-STAGE-04: however late the timer, the next stage starts when this one ended.
#[test]
fn a_late_timer_hands_over_at_the_scheduled_end() {
    let stage = stage(Status::InProgress);

    for late in [1, 60, 100_000] {
        assert_eq!(
            close_stage(&stage, Cause::Timer, stage.end_at + TimeDelta::minutes(late)),
            Ok(Some(Next::Stage { ordinal: 3, start_at: stage.end_at })),
        );
    }
}

/// LC-STAGE-06
#[test]
fn the_stage_after_a_stopped_one_starts_at_that_moment() {
    let stop = at("2025-01-12T15:00:00Z");

    assert_eq!(
        close_stage(&stage(Status::InProgress), Cause::StageStop, stop),
        Ok(Some(Next::Stage { ordinal: 3, start_at: stop })),
    );
}

/// LC-STAGE-06, OPEN-36: the deadline does not depend on how late the timer is.
#[test]
fn a_stop_after_the_end_hands_over_at_the_end() {
    let stage = stage(Status::InProgress);

    assert_eq!(
        close_stage(&stage, Cause::StageStop, stage.end_at + TimeDelta::days(5)),
        Ok(Some(Next::Stage { ordinal: 3, start_at: stage.end_at })),
    );
}

/// LC-STAGE-21, IN-07, IN-08
#[test]
fn the_last_stage_and_an_instance_stop_lead_to_completion() {
    let last = Stage { ordinal: 3, ..stage(Status::InProgress) };

    assert_eq!(close_stage(&last, Cause::Timer, last.end_at), Ok(Some(Next::Completion)));
    assert_eq!(close_stage(&last, Cause::StageStop, last.start_at), Ok(Some(Next::Completion)));
    for ordinal in 1..=3 {
        let stage = Stage { ordinal, ..stage(Status::InProgress) };
        assert_eq!(close_stage(&stage, Cause::InstanceStop, stage.start_at), Ok(Some(Next::Completion)));
    }
}

/// LC-STAGE-37: an empty stage takes no time.
#[test]
fn an_empty_stage_hands_over_at_once() {
    let start_at = at("2025-01-09T09:00:00Z");

    assert_eq!(after_stage(&stage(Status::Completed), start_at), Next::Stage { ordinal: 3, start_at });
    assert_eq!(after_stage(&Stage { ordinal: 3, ..stage(Status::Completed) }, start_at), Next::Completion);
}

/// IN-08, section 2.3
#[test]
fn only_an_instance_in_progress_can_be_stopped() {
    for status in Status::ALL {
        let checked = check_stop(&instance(status));
        match status {
            Status::InProgress => assert_eq!(checked, Ok(())),
            _ => assert_eq!(
                checked.unwrap_err().to_string(),
                format!("stopping needs the instance to be InProgress, but it is {status}"),
            ),
        }
    }
}

/// IN-07, IN-09 to IN-13, LC-CMP-02, LC-INST-21, LC-APPLY-01
#[test]
fn completion_passes_auto_review_only_with_a_default_decision_and_applies_only_where_it_goes_by_itself() {
    use Status::{Applying, AutoReviewed, AutoReviewing, Completed, Completing};

    for (enabled, automatic) in [(false, false), (false, true), (true, false), (true, true)] {
        for default_decision in DefaultDecision::ALL {
            let settings = Settings {
                default_decision_enabled: enabled,
                default_decision,
                auto_apply_decisions_enabled: automatic,
                ..settings()
            };
            let mut expected = vec![Completing, Completed];
            if enabled && default_decision != DefaultDecision::None {
                expected.extend([AutoReviewing, AutoReviewed]);
            }
            if automatic {
                expected.push(Applying);
            }

            assert_eq!(completion_path(&settings), expected);
            let mut from = Status::InProgress;
            for to in expected {
                assert!(from.instance_may_become(to), "{from} to {to}");
                from = to;
            }
            assert_eq!(from.is_at_rest(), !automatic);
        }
    }
}

/// LC-STAGE-30, LC-STAGE-36
#[test]
fn the_way_to_tell_a_stages_items_follows_from_what_moves_on() {
    use MovingDecision as M;
    let everything = [M::NotReviewed, M::DontKnow, M::Deny, M::Approve];
    let everything_and_more = [M::Approve, M::Deny, M::DontKnow, M::NotReviewed, M::Recommendation];
    for (previous, moves, expected) in [
        (Entry::All, &[][..], Entry::All),
        (Entry::All, &everything, Entry::All),
        (Entry::All, &everything_and_more, Entry::All),
        (Entry::All, &[M::NotReviewed], Entry::Remaining),
        (Entry::All, &[M::Approve, M::NotReviewed], Entry::Remaining),
        (Entry::All, &[M::Recommendation, M::NotReviewed], Entry::Remaining),
        (Entry::All, &[M::Approve], Entry::Listed),
        (Entry::All, &[M::Recommendation], Entry::Listed),
        (Entry::All, &[M::Approve, M::Deny, M::DontKnow], Entry::Listed),
        (Entry::Remaining, &[], Entry::Remaining),
        (Entry::Remaining, &everything, Entry::Remaining),
        (Entry::Remaining, &[M::Approve, M::NotReviewed], Entry::Remaining),
        (Entry::Remaining, &[M::Approve], Entry::Listed),
        (Entry::Listed, &[], Entry::Listed),
        (Entry::Listed, &everything, Entry::Listed),
        (Entry::Listed, &[M::NotReviewed], Entry::Listed),
        (Entry::Listed, &[M::Deny], Entry::Listed),
    ] {
        assert_eq!(entry_after(previous, moves), expected, "{previous:?} {moves:?}");
    }
}

#[test]
fn every_entry_is_read_back_from_its_stored_spelling() {
    for entry in [Entry::All, Entry::Remaining, Entry::Listed] {
        assert_eq!(Entry::parse(entry.as_str()), Some(entry));
    }
    assert_eq!(Entry::parse("none"), None);
}

/// LC-STAGE-04, LC-STAGE-06: section 18 of the specification, with stage 2 stopped on 2025-01-12 at 15:00.
#[test]
fn the_stages_of_the_worked_example_have_its_dates() {
    let instance = instance(Status::NotStarted);
    let stages = [planned(1, 3), planned(2, 7), planned(3, 10)];
    let start = start(&instance, &stages, Some(at("2025-04-06T09:00:00Z")), at("2025-01-06T09:00:00Z")).unwrap();
    assert_eq!(start, Start { start_at: instance.start_at, end_at: instance.end_at });

    let end = |ordinal, days| stage_end(start, &planned(ordinal, days), 3);
    let ends = [end(1, 3), end(2, 7), end(3, 10)];
    assert_eq!(ends, ["2025-01-09T09:00:00Z", "2025-01-13T09:00:00Z", "2025-01-16T09:00:00Z"].map(at));

    let first = running(1, "2025-01-06T09:00:00Z", "2025-01-09T09:00:00Z");
    let second = running(2, "2025-01-09T09:00:00Z", "2025-01-13T09:00:00Z");
    let third = running(3, "2025-01-12T15:00:00Z", "2025-01-16T09:00:00Z");
    assert_eq!(
        close_stage(&first, Cause::Timer, at("2025-01-09T09:00:02Z")),
        Ok(Some(Next::Stage { ordinal: 2, start_at: second.start_at })),
    );
    assert_eq!(
        close_stage(&second, Cause::StageStop, at("2025-01-12T15:00:00Z")),
        Ok(Some(Next::Stage { ordinal: 3, start_at: third.start_at })),
    );
    assert_eq!(close_stage(&third, Cause::Timer, at("2025-01-16T09:00:01Z")), Ok(Some(Next::Completion)));
}

/// LC-STAGE-04
#[test]
fn the_last_stage_ends_with_its_instance_and_none_ends_later() {
    let start = Start { start_at: at("2025-01-06T09:00:00Z"), end_at: at("2025-01-10T09:00:00Z") };

    assert_eq!(stage_end(start, &planned(1, 3), 3), at("2025-01-09T09:00:00Z"));
    assert_eq!(stage_end(start, &planned(2, 7), 3), start.end_at, "capped after a late start");
    assert_eq!(stage_end(start, &planned(3, 10), 3), start.end_at);
    assert_eq!(stage_end(start, &planned(1, 0), 1), start.end_at, "a one-time review that ends on a date");
    let never = Start { start_at: DateTime::<Utc>::MAX_UTC, end_at: DateTime::<Utc>::MAX_UTC };
    assert_eq!(stage_end(never, &planned(1, 3), 3), never.end_at, "beyond the calendar");
}

/// LC-INST-15, LC-REC-10
#[test]
fn a_hand_over_that_an_outage_delayed_moves_the_rest_and_one_that_is_on_time_does_not() {
    let instance = instance(Status::InProgress);
    let scheduled = instance.start_at + TimeDelta::days(3);
    let stages = [planned(1, 3), planned(2, 10)];
    let late = |delay, next| hand_over(&instance, &stages, 2, scheduled, next, scheduled + delay);

    let on_time = Begun { start_at: scheduled, end_at: instance.end_at, delay: TimeDelta::zero() };
    for delay in [TimeDelta::zero(), START_TOLERANCE - TimeDelta::microseconds(1)] {
        assert_eq!(late(delay, None), Ok(on_time));
    }
    let delay = TimeDelta::days(30);
    let moved = Begun { start_at: scheduled + delay, end_at: instance.end_at + delay, delay };
    assert_eq!(late(delay, None), Ok(moved));
    assert_eq!(late(delay, Some(moved.end_at)), Ok(moved));
    let capped = moved.start_at + SHORTEST_LATE_RUN;
    assert_eq!(late(delay, Some(capped)), Ok(Begun { end_at: capped, ..moved }));
    assert_eq!(late(delay, Some(capped - TimeDelta::microseconds(1))), Err(TooLate));
}

/// LC-INST-15
#[test]
fn a_start_within_the_tolerance_moves_nothing() {
    let instance = instance(Status::NotStarted);
    let scheduled = Ok(Start { start_at: instance.start_at, end_at: instance.end_at });

    for delay in [TimeDelta::zero(), TimeDelta::seconds(1), START_TOLERANCE - TimeDelta::microseconds(1)] {
        assert_eq!(start(&instance, &[planned(1, 10)], None, instance.start_at + delay), scheduled);
    }
}

/// LC-INST-15
#[test]
fn a_late_start_moves_the_end_by_the_same_delay() {
    let instance = instance(Status::NotStarted);

    for delay in [START_TOLERANCE, TimeDelta::hours(5), TimeDelta::days(40)] {
        let expected = Ok(Start { start_at: instance.start_at + delay, end_at: instance.end_at + delay });
        assert_eq!(
            start(&instance, &[planned(1, 10)], None, instance.start_at + delay),
            expected,
            "a review without a next occurrence"
        );
        let next = Some(instance.end_at + delay);
        assert_eq!(start(&instance, &[planned(1, 10)], next, instance.start_at + delay), expected);
    }
}

/// LC-INST-15
#[test]
fn a_late_start_is_capped_at_the_next_occurrence_and_fails_with_less_than_a_day_left() {
    let instance = instance(Status::NotStarted);
    let next = at("2025-01-20T09:00:00Z");
    let started = |now| start(&instance, &[planned(1, 10)], Some(next), now);

    assert_eq!(started(at("2025-01-12T09:00:00Z")), Ok(Start { start_at: at("2025-01-12T09:00:00Z"), end_at: next }),);
    let exactly_a_day = next - SHORTEST_LATE_RUN;
    assert_eq!(started(exactly_a_day), Ok(Start { start_at: exactly_a_day, end_at: next }));
    assert_eq!(started(exactly_a_day + TimeDelta::microseconds(1)), Err(TooLate));
    assert_eq!(started(next), Err(TooLate));
    assert_eq!(started(next + TimeDelta::days(30)), Err(TooLate));
}

/// LC-INST-15: three days, then four; what is cut off is the last stage's, and a day of it must be left.
#[test]
fn a_late_review_that_leaves_a_stage_less_than_a_day_fails() {
    let next = at("2025-01-20T09:00:00Z");
    let instance = instance(Status::NotStarted);
    let stages = [planned(1, 3), planned(2, 10)];
    let started = |now| start(&instance, &stages, Some(next), now);

    let latest = next - TimeDelta::days(3) - SHORTEST_LATE_RUN;
    let begun = started(latest).unwrap();
    assert_eq!(begun, Start { start_at: latest, end_at: next });
    assert_eq!(stage_end(begun, &stages[0], 2), next - SHORTEST_LATE_RUN);
    assert_eq!(started(latest + TimeDelta::microseconds(1)), Err(TooLate), "the first stage would leave it too little");
    assert_eq!(started(next - SHORTEST_LATE_RUN), Err(TooLate), "the first stage would leave it nothing");
}

/// LC-INST-15, LC-REC-10: only the stages to come need their day.
#[test]
fn a_late_hand_over_that_leaves_a_later_stage_less_than_a_day_fails() {
    let instance = instance(Status::InProgress);
    let stages = [planned(1, 3), planned(2, 7), planned(3, 10)];
    let next = at("2025-01-20T09:00:00Z");
    let to = |ordinal, after_days, now| {
        hand_over(&instance, &stages, ordinal, instance.start_at + TimeDelta::days(after_days), Some(next), now)
    };

    let latest = next - TimeDelta::days(4) - SHORTEST_LATE_RUN;
    assert_eq!(to(2, 3, latest).map(|begun| begun.end_at), Ok(next));
    assert_eq!(to(2, 3, latest + TimeDelta::microseconds(1)), Err(TooLate));
    let latest = next - SHORTEST_LATE_RUN;
    assert_eq!(to(3, 7, latest).map(|begun| begun.end_at), Ok(next));
    assert_eq!(to(3, 7, latest + TimeDelta::microseconds(1)), Err(TooLate));
}

fn progress(statuses: &[(i32, Status)]) -> Vec<InstanceProgress> {
    statuses.iter().map(|(occurrence, status)| InstanceProgress { occurrence: *occurrence, status: *status }).collect()
}

/// LC-DEF-11
#[test]
fn a_one_time_review_of_one_resource_has_the_status_of_its_instance() {
    for status in Status::ALL {
        assert_eq!(definition_status(false, &progress(&[(0, status)]), false), status);
    }
}

/// LC-DEF-11, LC-INST-04
#[test]
fn a_one_time_review_of_several_resources_has_the_least_advanced_status() {
    use Status::*;
    for (statuses, expected) in [
        (&[NotStarted, NotStarted][..], NotStarted),
        (&[InProgress, NotStarted], NotStarted),
        (&[Completed, InProgress, Applied], InProgress),
        (&[AutoReviewed, AutoReviewing], AutoReviewing),
        (&[Applied, Applying], Applying),
        (&[Applied, Completed, AutoReviewed], Completed),
        (&[Failed, Completed], Completed),
        (&[Failed, Failed], Failed),
    ] {
        let instances: Vec<_> = statuses.iter().map(|status| (0, *status)).collect();
        assert_eq!(definition_status(false, &progress(&instances), false), expected, "{statuses:?}");
    }
}

/// LC-DEF-11
#[test]
fn a_series_is_in_progress_from_its_first_start_until_its_last_occurrence_rests() {
    use Status::*;
    for (situation, instances, more_to_come, expected) in [
        ("nothing there yet", &[][..], true, NotStarted),
        ("not due yet", &[(0, NotStarted)], true, NotStarted),
        ("gathering", &[(0, Initializing)], true, InProgress),
        ("running", &[(0, InProgress)], true, InProgress),
        ("running for the last time", &[(0, Applied), (1, InProgress)], false, InProgress),
        ("between occurrences", &[(0, Completed), (1, NotStarted)], true, InProgress),
        ("before the last occurrence", &[(0, Applied), (1, NotStarted)], false, InProgress),
        ("at rest with more to come", &[(0, Applied)], true, InProgress),
        ("first occurrence failed", &[(0, Failed), (1, NotStarted)], true, InProgress),
        ("closing the last one", &[(0, Applied), (1, Completing)], false, InProgress),
        ("deciding the last one by default", &[(0, AutoReviewed), (1, AutoReviewing)], false, InProgress),
        ("over, left to an admin", &[(0, Applied), (1, Completed)], false, Completed),
        ("over with default decisions", &[(0, Completed), (1, AutoReviewed)], false, AutoReviewed),
        ("over, being applied", &[(0, Applied), (1, Applying)], false, Applying),
        ("over and applied", &[(0, Completed), (1, Applied)], false, Applied),
        ("over, two resources", &[(0, Applied), (1, Applied), (1, Completed)], false, Completed),
        ("over, the last one failed", &[(0, Applied), (1, Failed)], false, Failed),
    ] {
        assert_eq!(definition_status(true, &progress(instances), more_to_come), expected, "{situation}");
    }
}

proptest! {
    /// LC-STAGE-04, LC-INST-15
    #[test]
    fn stages_end_one_after_the_other_and_the_last_with_the_instance_and_each_has_a_day(
        days in prop::collection::vec(1_u32..60, 1..=3),
        late_hours in 0_i64..24 * 90,
        next_after_days in prop::option::of(7_i64..120),
    ) {
        let total: u32 = days.iter().sum();
        let scheduled = instance(Status::NotStarted);
        let scheduled = Instance { end_at: scheduled.start_at + TimeDelta::days(i64::from(total)), ..scheduled };
        let next = next_after_days.map(|days| scheduled.start_at + TimeDelta::days(days.max(i64::from(total))));
        let now = scheduled.start_at + TimeDelta::hours(late_hours);
        let through = days.iter().scan(0, |elapsed, days| { *elapsed += days; Some(*elapsed) });
        let stages: Vec<_> = (1..).zip(through).map(|(ordinal, elapsed)| planned(ordinal, elapsed)).collect();

        let Ok(start) = start(&scheduled, &stages, next, now) else {
            let before_the_last = TimeDelta::days(i64::from(total - days[days.len() - 1]));
            prop_assert!(next.is_some_and(|next| next - now < before_the_last + SHORTEST_LATE_RUN));
            return Ok(());
        };

        prop_assert!(start.end_at - start.start_at <= scheduled.end_at - scheduled.start_at);
        prop_assert!(next.is_none_or(|next| start.end_at <= next), "occurrences never overlap (LC-INV-09)");
        let count = StageOrdinal::try_from(days.len()).unwrap();
        let mut previous = start.start_at;
        for stage in &stages {
            let end = stage_end(start, stage, count);
            prop_assert!(end - previous >= SHORTEST_LATE_RUN && end <= start.end_at);
            previous = end;
        }
        prop_assert_eq!(previous, start.end_at);
    }
}
