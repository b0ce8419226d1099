use super::*;
use crate::domain::examples::{instance, settings};

const OBSTACLES: [Option<Obstacle>; 5] = [
    None,
    Some(Obstacle::DynamicGroup),
    Some(Obstacle::OnPremisesGroup),
    Some(Obstacle::MailEnabledGroup),
    Some(Obstacle::NoConnector),
];
const ACTIONS: [ApplyAction; 2] = [ApplyAction::RemoveAccess, ApplyAction::DisableAndDeleteUser];

fn every_access() -> Vec<Access> {
    let others = || [None].into_iter().chain(Through::ALL.map(Some));
    let direct = OBSTACLES.into_iter().flat_map(|obstacle| others().map(move |also| Access::Direct { also, obstacle }));
    [Access::Gone].into_iter().chain(Through::ALL.map(Access::Only)).chain(direct).collect()
}

/// LC-APPLY-03
#[test]
fn only_a_denial_touches_anybodys_access() {
    for action in ACTIONS {
        for access in every_access() {
            assert_eq!(plan_apply(Verdict::DontKnow, action, access), ApplyOutcome::Leave);
            assert_eq!(plan_apply(Verdict::NotReviewed, action, access), ApplyOutcome::Leave);
            assert_eq!(
                plan_apply(Verdict::Approve, action, access),
                ApplyOutcome::Result(ApplyResult::AppliedSuccessfully, None)
            );
        }
    }
}

/// LC-APPLY-03, LC-APPLY-04, LC-APPLY-05
#[test]
fn a_denial_removes_what_is_direct_and_can_be_removed_and_says_why_not_otherwise() {
    for access in every_access() {
        let outcome = plan_apply(Verdict::Deny, ApplyAction::RemoveAccess, access);
        match access {
            Access::Gone => {
                assert_eq!(outcome, ApplyOutcome::Result(ApplyResult::AppliedSuccessfullyButObjectNotFound, None));
            }
            Access::Direct { obstacle: None, also } => {
                let ApplyOutcome::Remove(description) = outcome else { panic!("{outcome:?}") };
                assert_eq!(description.is_some(), also.is_some());
            }
            Access::Only(_) | Access::Direct { obstacle: Some(_), .. } => {
                let ApplyOutcome::Result(result, Some(_)) = outcome else { panic!("{outcome:?}") };
                assert_eq!(result, ApplyResult::ApplyNotSupported);
            }
        }
    }
}

/// LC-APPLY-13
#[test]
fn where_nothing_can_remove_access_the_item_says_that_it_is_to_be_done_elsewhere() {
    for also in [None].into_iter().chain(Through::ALL.map(Some)) {
        let unconnected = Access::Direct { also, obstacle: Some(Obstacle::NoConnector) };
        assert_eq!(
            plan_apply(Verdict::Deny, ApplyAction::RemoveAccess, unconnected),
            ApplyOutcome::Result(ApplyResult::ApplyNotSupported, Some(Obstacle::NoConnector.as_str()))
        );
    }
    assert!(Obstacle::NoConnector.as_str().contains("where it was granted"));
}

/// LC-APPLY-04, LC-APPLY-05: what is someone's own goes before what he holds through others, and each has words of its own.
#[test]
fn who_has_something_of_his_own_loses_it_however_else_he_holds_access() {
    let mut told = std::collections::HashSet::new();
    for through in Through::ALL {
        let own = Access::of(true, Some(through), None);
        let ApplyOutcome::Remove(Some(remains)) = plan_apply(Verdict::Deny, ApplyAction::RemoveAccess, own) else {
            panic!("{through:?}");
        };
        let only = Access::of(false, Some(through), None);
        let ApplyOutcome::Result(ApplyResult::ApplyNotSupported, Some(only)) =
            plan_apply(Verdict::Deny, ApplyAction::RemoveAccess, only)
        else {
            panic!("{through:?}");
        };
        assert!(told.insert(remains) && told.insert(only), "{remains} {only}");
    }
    assert_eq!(Access::of(false, None, Some(Obstacle::DynamicGroup)), Access::Gone);
}

/// LC-APPLY-09
#[test]
fn an_account_is_blocked_however_access_is_held_unless_it_is_gone() {
    for access in every_access() {
        let outcome = plan_apply(Verdict::Deny, ApplyAction::DisableAndDeleteUser, access);
        assert_eq!(outcome == ApplyOutcome::BlockAndDelete, access != Access::Gone, "{access:?}");
    }
}

/// LC-APPLY-08
#[test]
fn no_action_means_removing_access() {
    assert_eq!(apply_action(&settings()), ApplyAction::RemoveAccess);
    let deleting = Settings { apply_actions: vec![ApplyAction::DisableAndDeleteUser], ..settings() };
    assert_eq!(apply_action(&deleting), ApplyAction::DisableAndDeleteUser);
}

/// Section 2.3, IN-12, IN-13, LC-CONC-05, LC-APPLY-02
#[test]
fn decisions_are_applied_by_hand_only_at_the_two_resting_places_and_never_where_it_goes_by_itself() {
    for status in Status::ALL {
        let allowed = check_apply(&instance(status)).is_ok();
        assert_eq!(allowed, matches!(status, Status::Completed | Status::AutoReviewed), "{status}");
        assert!(!allowed || status.instance_may_become(Status::Applying));
        let mut automatic = instance(status);
        automatic.settings.auto_apply_decisions_enabled = true;
        assert_eq!(check_apply(&automatic), Err(ApplyRefusal::Automatic));
    }
}

#[test]
fn every_result_is_read_back_from_its_wire_spelling() {
    for result in ApplyResult::ALL {
        assert_eq!(ApplyResult::parse(result.as_str()), Some(result));
    }
    assert_eq!(ApplyResult::parse("Applied"), None);
}
