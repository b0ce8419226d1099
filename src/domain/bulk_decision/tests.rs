use proptest::prelude::*;

use super::*;
use crate::domain::{
    decision::{Recorded, record},
    definition::MovingDecision,
    examples::{at, person, stage},
    status::Status,
};

fn any_stage() -> impl Strategy<Value = Stage> {
    let moves = prop::collection::vec(prop::sample::select(&MovingDecision::ALL[..]), 0..3);
    (prop::sample::select(&Status::ALL[..]), moves, any::<bool>()).prop_map(|(status, moves, enabled)| Stage {
        moves,
        recommendations_enabled: enabled,
        ..stage(status)
    })
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let justification =
        prop::sample::select(vec![None, Some(String::new()), Some(" ".to_owned()), Some("why".to_owned())]);
    (prop::sample::select(&Verdict::ALL[..]), justification)
        .prop_map(|(verdict, justification)| Answer { verdict, justification })
}

fn any_moment() -> impl Strategy<Value = DateTime<Utc>> {
    prop::sample::select(vec![at("2025-01-10T10:00:00Z"), at("2025-01-13T08:59:59Z"), at("2025-01-13T09:00:00Z")])
}

proptest! {
    /// LC-DEC-09
    #[test]
    fn a_bulk_answer_leaves_on_each_item_what_the_same_answer_to_it_alone_leaves(
        stage in any_stage(), required: bool, answer in any_answer(), now in any_moment(),
    ) {
        let all = record_all(&stage, required, answer.clone(), now);
        for recommendation in Recommendation::ALL {
            let alone = record(&stage, required, recommendation, answer.clone(), person(1), now);
            match (&all, alone) {
                (Ok(RecordedAll::Withdrawn), Ok(Recorded::Withdrawn)) => {}
                (Ok(RecordedAll::Stored { verdict, justification, moves_on }), Ok(Recorded::Stored(decision))) => {
                    prop_assert_eq!(*verdict, decision.verdict);
                    prop_assert_eq!(justification, &decision.justification);
                    prop_assert_eq!(moves_on[usize::try_from(recommendation.code()).unwrap()], decision.moves_on);
                }
                (Err(RecordRefusal::WrongState(many)), Err(RecordRefusal::WrongState(one))) => {
                    prop_assert_eq!((many.current, many.allowed), (one.current, one.allowed));
                }
                (Err(many), Err(one)) => prop_assert_eq!(many, &one),
                (many, one) => prop_assert!(false, "{:?} but {:?}", many, one),
            }
        }
    }

    /// LC-DEC-11, LC-DEC-12
    #[test]
    fn an_accepted_recommendation_is_an_answer_that_is_always_justified_enough(
        stage in any_stage(), required: bool, now in any_moment(),
    ) {
        let accepted = accept(&stage, required, now);
        for recommendation in [Recommendation::Approve, Recommendation::Deny] {
            let verdict = recommendation.as_verdict().unwrap();
            let answer = |justification: &str| Answer { verdict, justification: Some(justification.to_owned()) };
            match &accepted {
                Ok(acceptance) => {
                    let alone = record(&stage, required, recommendation, answer(acceptance.justification), person(1), now);
                    let Ok(Recorded::Stored(decision)) = alone else { panic!("{alone:?}") };
                    prop_assert_eq!(acceptance.moves_on[usize::try_from(recommendation.code()).unwrap()], decision.moves_on);
                }
                Err(AcceptRefusal::Disabled) => prop_assert!(!stage.recommendations_enabled),
                Err(AcceptRefusal::Record(_)) => {
                    prop_assert!(record(&stage, required, recommendation, answer("why"), person(1), now).is_err());
                }
            }
        }
    }
}

/// LC-DEC-12
#[test]
fn the_fixed_text_stands_only_where_a_justification_is_required() {
    let stage = Stage { recommendations_enabled: true, ..stage(Status::InProgress) };
    let now = at("2025-01-10T10:00:00Z");

    assert_eq!(accept(&stage, true, now).unwrap().justification, "Recommendation accepted");
    assert_eq!(accept(&stage, false, now).unwrap().justification, "");
}

/// LC-DEC-13
#[test]
fn decisions_are_reset_only_while_they_could_be_recorded() {
    let now = at("2025-01-10T10:00:00Z");
    for status in Status::ALL {
        assert_eq!(check_reset(&stage(status), now).is_ok(), status == Status::InProgress, "{status}");
    }
    assert!(check_reset(&stage(Status::InProgress), at("2025-01-13T09:00:00Z")).is_err());
}
