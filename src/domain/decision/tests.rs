use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::examples::{at, person, stage};

fn answer(verdict: Verdict, justification: Option<&str>) -> Answer {
    Answer { verdict, justification: justification.map(str::to_owned) }
}

fn recorded(verdict: Verdict, justification: Option<&str>, required: bool) -> Result<Recorded, RecordRefusal> {
    record(
        &stage(Status::InProgress),
        required,
        Recommendation::NoInfoAvailable,
        answer(verdict, justification),
        person(1),
        at("2025-01-10T10:00:00Z"),
    )
}

fn decision(verdict: Verdict, decided_by: u128) -> Decision {
    Decision {
        verdict,
        justification: String::new(),
        decided_by: person(decided_by),
        decided_at: at("2025-01-10T10:00:00Z"),
        moves_on: true,
    }
}

/// LC-DEC-03
#[test]
fn a_decision_carries_who_and_when_and_the_justification_as_sent() {
    assert_eq!(
        recorded(Verdict::Approve, Some(" still needed "), true),
        Ok(Recorded::Stored(Decision {
            verdict: Verdict::Approve,
            justification: " still needed ".to_owned(),
            decided_by: person(1),
            decided_at: at("2025-01-10T10:00:00Z"),
            moves_on: true,
        })),
    );
}

/// LC-DEC-04
#[test]
fn decisions_are_recorded_only_in_a_stage_in_progress() {
    for status in Status::ALL {
        for verdict in Verdict::ALL {
            let result = record(
                &stage(status),
                false,
                Recommendation::NoInfoAvailable,
                answer(verdict, None),
                person(1),
                at("2025-01-10T10:00:00Z"),
            );
            match status {
                Status::InProgress => assert!(result.is_ok()),
                _ => assert!(
                    matches!(&result, Err(RecordRefusal::WrongState(refusal)) if refusal.current == status
                        && refusal.allowed == [Status::InProgress]),
                    "{status}: {result:?}"
                ),
            }
        }
    }
}

/// LC-DEC-05
#[test]
fn the_clock_closes_the_stage_exactly_at_its_end() {
    let stage = stage(Status::InProgress);
    let recorded =
        |verdict, now| record(&stage, false, Recommendation::NoInfoAvailable, answer(verdict, None), person(1), now);

    for verdict in Verdict::ALL {
        assert!(recorded(verdict, stage.end_at - TimeDelta::microseconds(1)).is_ok());
        for late in [stage.end_at, stage.end_at + TimeDelta::hours(1)] {
            assert_eq!(recorded(verdict, late), Err(RecordRefusal::DeadlinePassed(stage.end_at)));
        }
    }
}

/// LC-DEC-06
#[test]
fn approve_and_deny_need_a_justification_that_is_not_blank_when_the_setting_asks() {
    for verdict in Verdict::ALL {
        for justification in [None, Some(""), Some("  "), Some("\t\r\n\u{a0}\u{3000}")] {
            let result = recorded(verdict, justification, true);
            match verdict {
                Verdict::Approve | Verdict::Deny => {
                    assert_eq!(result, Err(RecordRefusal::JustificationRequired(verdict)));
                }
                Verdict::DontKnow | Verdict::NotReviewed => assert!(result.is_ok()),
            }
            assert!(recorded(verdict, justification, false).is_ok());
        }
        assert!(recorded(verdict, Some("."), true).is_ok());
    }
}

/// LC-DEC-03, LC-STAGE-43
#[test]
fn not_reviewed_withdraws_whatever_comes_with_it() {
    for justification in [None, Some("changed my mind")] {
        assert_eq!(recorded(Verdict::NotReviewed, justification, true), Ok(Recorded::Withdrawn));
    }
}

/// LC-STAGE-30 to 33
#[test]
fn a_moving_decision_matches_its_verdict_and_recommendation_the_one_that_was_followed() {
    for moving in MovingDecision::ALL {
        for verdict in Verdict::ALL {
            for recommendation in Recommendation::ALL {
                let expected = match moving {
                    MovingDecision::Approve => verdict == Verdict::Approve,
                    MovingDecision::Deny => verdict == Verdict::Deny,
                    MovingDecision::DontKnow => verdict == Verdict::DontKnow,
                    MovingDecision::NotReviewed => verdict == Verdict::NotReviewed,
                    MovingDecision::Recommendation => matches!(
                        (verdict, recommendation),
                        (Verdict::Approve, Recommendation::Approve) | (Verdict::Deny, Recommendation::Deny)
                    ),
                };
                assert_eq!(
                    moves_on(&[moving], verdict, recommendation),
                    expected,
                    "{moving:?} {verdict:?} {recommendation:?}"
                );
                assert!(moves_on(&[], verdict, recommendation), "nothing named: everything moves");
            }
        }
    }
}

/// LC-STAGE-30
#[test]
fn what_a_recorded_decision_moves_is_judged_with_the_recommendation_of_its_item() {
    let mut stage = stage(Status::InProgress);
    stage.moves = vec![MovingDecision::Recommendation];

    for recommendation in Recommendation::ALL {
        let recorded =
            record(&stage, false, recommendation, answer(Verdict::Deny, None), person(1), at("2025-01-10T10:00:00Z"));
        let Ok(Recorded::Stored(decision)) = recorded else { panic!("{recorded:?}") };
        assert_eq!(decision.moves_on, recommendation == Recommendation::Deny);
    }
}

/// LC-STAGE-41, LC-STAGE-42: the items of the example.
#[test]
fn the_effective_decision_is_that_of_the_highest_stage_with_a_record() {
    let [approve, deny, system] =
        [decision(Verdict::Approve, 1), decision(Verdict::Deny, 2), decision(Verdict::Deny, 0)];
    let (approve, deny, system) = (Some(&approve), Some(&deny), Some(&system));

    assert_eq!(effective(None, &[approve, approve, deny]), deny, "Ana");
    assert_eq!(effective(None, &[approve, deny, None]), deny, "Ben");
    assert_eq!(effective(None, &[deny, None, None]), deny, "Cleo");
    assert_eq!(effective(system, &[None, None, None]), system, "Dan");
    assert_eq!(effective(None, &[deny, approve]), approve, "both directions");
    assert_eq!(effective(None, &[deny, approve, None]), approve, "silence is no decision");
    assert_eq!(effective(system, &[approve, None]), approve, "the system's decision never outranks a reviewer's");
    assert_eq!(effective(None, &[]), None);
}

/// LC-CMP-02, LC-CMP-04, LC-CMP-05
#[test]
fn the_default_decision_is_as_set_and_nothing_without_information() {
    use Recommendation as R;
    for recommendation in R::ALL {
        for default in DefaultDecision::ALL {
            assert_eq!(default_verdict(false, default, recommendation), None);
        }
        assert_eq!(default_verdict(true, DefaultDecision::None, recommendation), None);
        assert_eq!(default_verdict(true, DefaultDecision::Approve, recommendation), Some(Verdict::Approve));
        assert_eq!(default_verdict(true, DefaultDecision::Deny, recommendation), Some(Verdict::Deny));
    }
    assert_eq!(default_verdict(true, DefaultDecision::Recommendation, R::Approve), Some(Verdict::Approve));
    assert_eq!(default_verdict(true, DefaultDecision::Recommendation, R::Deny), Some(Verdict::Deny));
    assert_eq!(default_verdict(true, DefaultDecision::Recommendation, R::NoInfoAvailable), None);
}

#[test]
fn verdicts_are_read_without_regard_to_case() {
    for verdict in Verdict::ALL {
        assert_eq!(Verdict::parse(&verdict.as_str().to_uppercase()), Some(verdict));
    }
    assert_eq!(Verdict::parse("Maybe"), None);
}

proptest! {
    /// LC-STAGE-30
    #[test]
    fn naming_more_decisions_never_keeps_an_item_back(
        moves in prop::sample::subsequence(&MovingDecision::ALL[..], 1..=5),
        more in prop::sample::select(&MovingDecision::ALL[..]),
        verdict in prop::sample::select(&Verdict::ALL[..]),
        recommendation in prop::sample::select(&Recommendation::ALL[..]),
    ) {
        let with_more = [&moves[..], &[more]].concat();

        prop_assert_eq!(
            moves_on(&with_more, verdict, recommendation),
            moves_on(&moves, verdict, recommendation) || moves_on(&[more], verdict, recommendation)
        );
    }
}
