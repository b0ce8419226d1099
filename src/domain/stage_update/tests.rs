use chrono::TimeDelta;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{
    definition::MAX_SCOPES_PER_LIST,
    examples::{at, instance, object, stage},
};

fn user(number: u128) -> ReviewerScope {
    ReviewerScope::from_form(ReviewerForm::User(object(number)))
}

fn users(numbers: &[u128]) -> Vec<ReviewerScope> {
    numbers.iter().map(|number| user(*number)).collect()
}

fn lists(reviewers: &[u128], fallback_reviewers: &[u128]) -> ReviewerLists {
    ReviewerLists { reviewers: users(reviewers), fallback_reviewers: users(fallback_reviewers) }
}

fn reviewers(numbers: &[u128]) -> StageUpdateRequest {
    StageUpdateRequest { reviewers: Some(users(numbers)), ..Default::default() }
}

fn fallback(numbers: &[u128]) -> StageUpdateRequest {
    StageUpdateRequest { fallback_reviewers: Some(users(numbers)), ..Default::default() }
}

/// While the stage of the example runs.
fn meanwhile() -> DateTime<Utc> {
    at("2025-01-10T10:00:00Z")
}

fn plan(stored: &ReviewerLists, request: &StageUpdateRequest) -> Result<StageUpdatePlan, StageUpdateRefusal> {
    plan_stage_update(&stage(Status::InProgress), stored, request, meanwhile())
}

fn paths(refusal: Result<StageUpdatePlan, StageUpdateRefusal>) -> Vec<String> {
    match refusal {
        Err(StageUpdateRefusal::Invalid(violations)) => {
            violations.into_iter().map(|violation| violation.path).collect()
        }
        other => panic!("expected faults of the body, got {other:?}"),
    }
}

/// LC-SUPD-01
#[test]
fn read_only_members_are_tolerated_when_equal_and_named_when_different() {
    let stage = stage(Status::InProgress);
    let same = StageEcho {
        id: Some(stage.id),
        status: Some("InProgress".to_owned()),
        start_at: Some(stage.start_at),
        end_at: Some(stage.end_at),
    };
    let other = StageEcho {
        id: Some(StageId::new(Uuid::from_u128(201))),
        status: Some("Completed".to_owned()),
        start_at: Some(stage.start_at + TimeDelta::seconds(1)),
        end_at: Some(stage.end_at - TimeDelta::seconds(1)),
    };

    let echoed = |echo| StageUpdateRequest { echo, ..fallback(&[1]) };

    assert!(plan(&lists(&[5], &[]), &echoed(same)).is_ok());
    assert_eq!(paths(plan(&lists(&[5], &[]), &echoed(other))), ["id", "status", "startDateTime", "endDateTime"],);
}

/// LC-SUPD-02
#[test]
fn reviewers_change_only_while_not_started_initializing_or_in_progress() {
    for status in Status::ALL {
        let result = plan_stage_update(&stage(status), &lists(&[5], &[]), &fallback(&[1]), meanwhile());
        match status {
            Status::NotStarted | Status::Initializing | Status::InProgress => assert!(result.is_ok(), "{status}"),
            _ => {
                let Err(StageUpdateRefusal::WrongState(refusal)) = result else { panic!("{status}: {result:?}") };
                assert_eq!(
                    refusal.to_string(),
                    format!(
                        "updating reviewers needs the stage to be NotStarted or Initializing or InProgress, but it is \
                         {status}"
                    ),
                );
            }
        }
    }
}

/// LC-SUPD-04
#[test]
fn a_list_left_out_is_unchanged_and_a_list_sent_replaces() {
    let stored = lists(&[5, 6], &[1]);

    assert_eq!(plan(&stored, &reviewers(&[7])).unwrap().lists, lists(&[7], &[1]));
    assert_eq!(plan(&stored, &fallback(&[2, 1])).unwrap().lists, lists(&[5, 6], &[2, 1]));
}

/// LC-SUPD-05
#[test]
fn primary_reviewers_may_come_and_go() {
    let stored = lists(&[5, 6], &[]);

    for wanted in [&[5][..], &[5, 6, 7], &[7, 8], &[6, 7]] {
        let plan = plan(&stored, &reviewers(wanted)).unwrap();
        assert_eq!(plan.lists, lists(wanted, &[]));
        assert!(plan.changed && plan.resolve_now);
    }
}

/// LC-SUPD-06
#[test]
fn removing_a_fallback_reviewer_refuses_the_whole_request() {
    let stored = lists(&[5], &[1, 2, 3]);
    let request = StageUpdateRequest { reviewers: Some(users(&[7])), ..fallback(&[2, 4]) };

    let refusal = plan(&stored, &request).unwrap_err();

    assert_eq!(refusal, StageUpdateRefusal::FallbackRemoved(vec![user(1).query, user(3).query]));
    assert_eq!(
        refusal.to_string(),
        format!("fallbackReviewers may only grow: `{}`, `{}` must stay", user(1).query, user(3).query),
    );
}

/// LC-SUPD-06: the example of 2025-01-10.
#[test]
fn sam_stays_when_tom_is_added_and_cannot_be_replaced_by_him() {
    let (sam, tom) = (1, 2);

    assert!(matches!(plan(&lists(&[5], &[sam]), &fallback(&[tom])), Err(StageUpdateRefusal::FallbackRemoved(_))));
    assert_eq!(
        plan(&lists(&[5], &[sam]), &fallback(&[sam, tom])).unwrap().lists.fallback_reviewers,
        users(&[sam, tom])
    );
}

/// LC-SUPD-07
#[test]
fn entries_are_compared_by_what_they_mean() {
    let id = "6f1cb4f0-11aa-4f0c-a1d2-0000000000AB";
    let scope = |query: &str, query_type, query_root| ReviewerScope::parse(query, query_type, query_root).unwrap();
    let manager = scope("./manager", Some("MicrosoftGraph"), Some("decisions"));
    let stored = ReviewerLists {
        reviewers: users(&[5]),
        fallback_reviewers: vec![
            scope(&format!("/users/{}", id.to_lowercase()), Some("MicrosoftGraph"), None),
            manager,
        ],
    };
    let also_manager = scope("./Manager", Some("microsoftgraph"), Some("Decisions"));
    for (query, query_type, query_root) in [
        (format!("/v1.0/users/{id}"), Some("MicrosoftGraph"), None),
        (format!("/beta/users/{}", id.to_lowercase()), None, None),
        (format!("/users/{id}/"), Some("MICROSOFTGRAPH"), Some("")),
        (format!("/Users/{id}"), Some("microsoftGraph"), None),
    ] {
        let spelled = scope(&query, query_type, query_root);
        let request = StageUpdateRequest {
            fallback_reviewers: Some(vec![also_manager.clone(), spelled.clone(), also_manager.clone(), spelled]),
            ..Default::default()
        };

        let plan = plan(&stored, &request).unwrap_or_else(|refusal| panic!("{query}: {refusal}"));

        assert_eq!(plan.lists.fallback_reviewers.len(), 2, "{query}");
        assert!(!plan.resolve_now, "{query}: the same people");
    }
}

/// LC-SUPD-07, LC-REV-13
#[test]
fn duplicates_do_not_count_towards_the_limit_of_a_list() {
    let most: Vec<_> = (1..=MAX_SCOPES_PER_LIST as u128).collect();
    let one_more: Vec<_> = (1..=MAX_SCOPES_PER_LIST as u128 + 1).collect();
    let twice = [&most[..], &most].concat();

    assert_eq!(plan(&lists(&[5], &[]), &fallback(&twice)).unwrap().lists.fallback_reviewers, users(&most));
    assert_eq!(paths(plan(&lists(&[5], &[]), &fallback(&one_more))), ["fallbackReviewers"]);
    assert_eq!(paths(plan(&lists(&[5], &[]), &reviewers(&one_more))), ["reviewers"]);
}

/// LC-SUPD-08
#[test]
fn fallback_reviewers_left_out_or_equal_are_no_removal() {
    let stored = lists(&[5], &[1, 2]);

    for request in [StageUpdateRequest::default(), fallback(&[1, 2])] {
        let plan = plan(&stored, &request).unwrap();
        assert_eq!(plan, StageUpdatePlan { lists: stored.clone(), changed: false, resolve_now: false });
    }
}

/// LC-SUPD-08: `null` arrives as an empty list.
#[test]
fn an_empty_fallback_list_is_a_removal_only_where_there_is_something_to_remove() {
    assert!(matches!(plan(&lists(&[5], &[1]), &fallback(&[])), Err(StageUpdateRefusal::FallbackRemoved(_))));
    assert!(plan(&lists(&[5], &[]), &fallback(&[])).is_ok());
}

/// LC-SUPD-09
#[test]
fn a_stage_becomes_a_self_review_only_before_it_runs() {
    let stored = lists(&[5], &[]);

    for status in [Status::NotStarted, Status::Initializing] {
        let plan = plan_stage_update(&stage(status), &stored, &reviewers(&[]), meanwhile()).unwrap();
        assert_eq!(plan.lists, lists(&[], &[]));
    }
    assert_eq!(paths(plan(&stored, &reviewers(&[]))), ["reviewers"]);
}

/// LC-SUPD-09
#[test]
fn a_running_self_review_may_be_sent_back_as_it_is() {
    let request = StageUpdateRequest { reviewers: Some(Vec::new()), ..fallback(&[1]) };

    assert_eq!(plan(&lists(&[], &[]), &request).unwrap().lists, lists(&[], &[1]));
}

/// LC-SUPD-10
#[test]
fn every_form_of_reviewer_is_accepted_in_both_lists() {
    let scopes: Vec<_> = [
        ReviewerForm::User(object(1)),
        ReviewerForm::GroupMembers(object(2)),
        ReviewerForm::GroupOwners(object(2), Default::default()),
        ReviewerForm::ResourceOwners,
        ReviewerForm::Manager,
        ReviewerForm::ServicePrincipalOwners(object(3)),
    ]
    .map(ReviewerScope::from_form)
    .to_vec();
    let request = StageUpdateRequest {
        reviewers: Some(scopes.clone()),
        fallback_reviewers: Some(scopes.clone()),
        echo: StageEcho::default(),
    };

    let plan = plan(&lists(&[5], &[]), &request).unwrap();

    assert_eq!(plan.lists, ReviewerLists { reviewers: scopes.clone(), fallback_reviewers: scopes });
}

/// LC-SUPD-12
#[test]
fn the_objects_to_look_up_are_those_of_added_scopes_with_their_paths() {
    let request = StageUpdateRequest { reviewers: Some(users(&[7, 5, 8])), ..fallback(&[1, 5]) };

    let added: Vec<_> = added_forms(&lists(&[5], &[1]), &request)
        .into_iter()
        .map(|(path, form)| (path, form.object_id().unwrap()))
        .collect();

    assert_eq!(
        added,
        [
            ("reviewers[0].query".to_owned(), object(7)),
            ("reviewers[2].query".to_owned(), object(8)),
            ("fallbackReviewers[1].query".to_owned(), object(5)),
        ],
    );
    assert_eq!(added_forms(&lists(&[5], &[1]), &StageUpdateRequest::default()), []);
}

/// LC-SUPD-13
#[test]
fn an_update_at_the_end_is_refused_and_one_just_before_is_not() {
    for status in [Status::NotStarted, Status::Initializing, Status::InProgress] {
        let stage = stage(status);
        let judged = |now| plan_stage_update(&stage, &lists(&[5], &[]), &fallback(&[1]), now);

        assert!(judged(stage.end_at - TimeDelta::microseconds(1)).is_ok());
        for late in [stage.end_at, stage.end_at + TimeDelta::days(1)] {
            assert_eq!(judged(late), Err(StageUpdateRefusal::DeadlinePassed(stage.end_at)));
        }
    }
}

/// LC-SUPD-20, LC-SUPD-26
#[test]
fn reviewers_are_resolved_at_once_only_while_the_stage_runs() {
    for (status, resolve_now) in
        [(Status::NotStarted, false), (Status::Initializing, false), (Status::InProgress, true)]
    {
        let plan = plan_stage_update(&stage(status), &lists(&[5], &[]), &fallback(&[1]), meanwhile()).unwrap();
        assert!(plan.changed);
        assert_eq!(plan.resolve_now, resolve_now, "{status}");
    }
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let stored = lists(&[5, 6], &[1]);
    let mut spelled = users(&[5, 6]);
    spelled[0].query = format!("/v1.0{}/", spelled[0].query);
    let request = StageUpdateRequest { reviewers: Some(spelled), ..fallback(&[1]) };

    assert_eq!(
        plan(&stored, &request).unwrap(),
        StageUpdatePlan {
            lists: ReviewerLists { reviewers: request.reviewers.clone().unwrap(), ..stored.clone() },
            changed: false,
            resolve_now: false,
        },
    );
}

#[test]
fn another_order_is_stored_but_resolves_nobody_anew() {
    let plan = plan(&lists(&[5, 6], &[1, 2]), &fallback(&[2, 1])).unwrap();

    assert!(plan.changed && !plan.resolve_now);
}

fn any_form() -> impl Strategy<Value = ReviewerForm> {
    prop_oneof![
        6 => (1_u128..5).prop_map(|number| ReviewerForm::User(object(number))),
        1 => Just(ReviewerForm::GroupMembers(object(8))),
        1 => Just(ReviewerForm::ResourceOwners),
        1 => Just(ReviewerForm::Manager),
    ]
}

fn any_scopes() -> impl Strategy<Value = Vec<ReviewerScope>> {
    prop::collection::vec(any_form().prop_map(ReviewerScope::from_form), 0..5)
}

fn any_lists() -> impl Strategy<Value = ReviewerLists> {
    (any_scopes(), any_scopes()).prop_map(|(reviewers, fallback_reviewers)| ReviewerLists {
        reviewers: distinct(&reviewers),
        fallback_reviewers: distinct(&fallback_reviewers),
    })
}

/// About half of the requests extend the example's fallback list, so that enough of them are accepted.
fn any_request() -> impl Strategy<Value = StageUpdateRequest> {
    (prop::option::of(any_scopes()), prop::option::of(any_scopes())).prop_map(|(reviewers, fallback_reviewers)| {
        StageUpdateRequest { reviewers, fallback_reviewers, echo: StageEcho::default() }
    })
}

/// Adds what is stored to a request that asks for more: a client that knows the list.
fn knowing(request: &StageUpdateRequest, stored: &ReviewerLists) -> StageUpdateRequest {
    let mut request = request.clone();
    if let Some(wanted) = &mut request.fallback_reviewers {
        wanted.extend(stored.fallback_reviewers.iter().cloned());
    }
    request
}

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![4 => Just(Status::InProgress), 1 => prop::sample::select(&Status::ALL[..])]
}

/// Another way to write the same scope.
fn spelled(scope: &ReviewerScope, how: u8) -> ReviewerScope {
    let absolute = scope.query.starts_with('/');
    let query = match how % 5 {
        0 if absolute => format!("/v1.0{}", scope.query),
        1 if absolute => format!("/beta{}", scope.query),
        2 if absolute => format!("{}/", scope.query),
        3 => scope.query.to_uppercase().replace("TRANSITIVEMEMBERS", "transitiveMembers"),
        _ => scope.query.clone(),
    };
    let query_type = how.is_multiple_of(2).then_some("microsoftGRAPH");
    ReviewerScope::parse(&query, query_type, scope.query_root.as_deref()).unwrap()
}

fn is_subset(smaller: &[ReviewerScope], larger: &[ReviewerScope]) -> bool {
    forms(smaller).is_subset(&forms(larger))
}

/// Whether the plan holds everything the request asked for and nothing else.
fn carries_out(plan: &StageUpdatePlan, request: &StageUpdateRequest, before: &ReviewerLists) -> bool {
    let wanted = |sent: &Option<Vec<ReviewerScope>>, kept: &[ReviewerScope]| forms(sent.as_deref().unwrap_or(kept));
    forms(&plan.lists.reviewers) == wanted(&request.reviewers, &before.reviewers)
        && forms(&plan.lists.fallback_reviewers) == wanted(&request.fallback_reviewers, &before.fallback_reviewers)
}

/// LC-SUPD-02, IN-15
#[test]
fn only_a_failed_instance_keeps_its_stages_from_being_updated() {
    for status in Status::ALL {
        let checked = check_instance(&instance(status));
        match status {
            Status::Failed => assert_eq!(
                checked.unwrap_err().to_string(),
                "updating reviewers needs the instance to be NotStarted or Initializing or InProgress, but it is Failed",
            ),
            _ => assert_eq!(checked, Ok(())),
        }
    }
}

proptest! {
    /// LC-INV-03, LC-SUPD-06
    #[test]
    fn the_fallback_list_never_shrinks_and_an_accepted_update_is_carried_out(
        stored in any_lists(),
        requests in prop::collection::vec((any_status(), any_request(), any::<bool>()), 0..12),
    ) {
        let mut lists = stored;
        for (status, request, knows) in requests {
            let request = if knows { knowing(&request, &lists) } else { request };
            let Ok(plan) = plan_stage_update(&stage(status), &lists, &request, meanwhile()) else { continue };

            prop_assert!(is_subset(&lists.fallback_reviewers, &plan.lists.fallback_reviewers));
            prop_assert!(carries_out(&plan, &request, &lists));
            prop_assert!(!plan.lists.reviewers.is_empty() || lists.reviewers.is_empty() || status != Status::InProgress);
            prop_assert_eq!(
                distinct(&plan.lists.fallback_reviewers).len(),
                plan.lists.fallback_reviewers.len(),
                "a list never holds the same reviewer twice"
            );
            if plan.changed {
                lists = plan.lists;
            } else {
                prop_assert_eq!(forms(&lists.reviewers), forms(&plan.lists.reviewers));
                prop_assert_eq!(forms(&lists.fallback_reviewers), forms(&plan.lists.fallback_reviewers));
            }
        }
    }

    /// LC-CONC-03
    #[test]
    fn whichever_of_two_updates_comes_first_nobody_falls_out_of_the_fallback_list(
        stored in any_lists(),
        one in any_request(),
        other in any_request(),
        knows in any::<bool>(),
    ) {
        let knowing = |request: &StageUpdateRequest| if knows { knowing(request, &stored) } else { request.clone() };
        let (one, other) = (knowing(&one), knowing(&other));
        for (first, second) in [(&one, &other), (&other, &one)] {
            let mut lists = stored.clone();
            for request in [first, second] {
                // Each is judged against what the one before left.
                let before = lists.clone();
                match plan(&before, request) {
                    Ok(plan) => {
                        prop_assert!(carries_out(&plan, request, &before));
                        lists = plan.lists;
                    }
                    Err(StageUpdateRefusal::FallbackRemoved(removed)) => {
                        let wanted = forms(request.fallback_reviewers.as_deref().unwrap());
                        let missing: Vec<_> = before
                            .fallback_reviewers
                            .iter()
                            .filter(|scope| !wanted.contains(&scope.form))
                            .map(|scope| scope.query.clone())
                            .collect();
                        prop_assert!(!missing.is_empty());
                        prop_assert_eq!(removed, missing);
                    }
                    Err(refusal) => prop_assert!(matches!(refusal, StageUpdateRefusal::Invalid(_))),
                }
                prop_assert!(is_subset(&before.fallback_reviewers, &lists.fallback_reviewers));
            }
        }
    }

    /// LC-SUPD-07
    #[test]
    fn the_answer_depends_on_neither_order_nor_spelling_nor_duplicates(
        stored in any_lists(),
        request in any_request(),
        knows in any::<bool>(),
        how in prop::collection::vec(any::<u8>(), 12),
        turn in 0_usize..5,
    ) {
        let request = if knows { knowing(&request, &stored) } else { request };
        let otherwise = |sent: &Option<Vec<ReviewerScope>>| {
            sent.as_ref().map(|scopes| {
                let mut scopes: Vec<_> = scopes.iter().zip(how.iter().cycle()).map(|(s, how)| spelled(s, *how)).collect();
                let again = scopes.first().cloned();
                let middle = turn.min(scopes.len());
                scopes.rotate_left(middle);
                scopes.extend(again);
                scopes
            })
        };
        let rewritten = StageUpdateRequest {
            reviewers: otherwise(&request.reviewers),
            fallback_reviewers: otherwise(&request.fallback_reviewers),
            echo: StageEcho::default(),
        };

        match (plan(&stored, &request), plan(&stored, &rewritten)) {
            (Ok(plan), Ok(same)) => {
                prop_assert_eq!(forms(&plan.lists.reviewers), forms(&same.lists.reviewers));
                prop_assert_eq!(forms(&plan.lists.fallback_reviewers), forms(&same.lists.fallback_reviewers));
                prop_assert_eq!(plan.resolve_now, same.resolve_now);
            }
            (left, right) => prop_assert_eq!(left, right),
        }
    }
}
