//! Groups under privileged-access management: who may become an owner is none yet. LC-REV-08

use serde_json::{Value, json};

use crate::support::{Company, Tenant, group_owners, id_of, object_id, resource_owners, stage, user};

/// The company of the worked example, with `finance` under privileged-access management: `olga` owns it, `pete` may.
async fn company() -> Tenant {
    let t = Tenant::new().await;
    Company::finance().import(&t).await;
    t.import(&format!(
        "{}\n",
        json!({ "type": "group", "id": id_of("finance"), "privilegedAccess": true, "owners": [id_of("olga")],
            "eligibleOwners": [id_of("pete")] })
    ))
    .await;
    t
}

/// LC-REV-08
#[tokio::test]
async fn only_active_owners_of_a_group_under_privileged_access_management_review() {
    let t = company().await;
    let by_owners = || t.review().reviewers(&[group_owners("finance")]).fallbacks(&[user("sam")]);

    let review = by_owners().running().await;
    assert_eq!(review.found_by(&t.as_user("olga")).await.len(), 7);
    assert!(review.found_by(&t.as_user("pete")).await.is_empty());
    assert!(review.found_by(&t.as_user("sam")).await.is_empty());

    let owners = |owners: &[&str]| {
        let owners: Vec<_> = owners.iter().map(|owner| id_of(owner)).collect();
        format!("{}\n", json!({ "type": "group", "id": id_of("finance"), "owners": owners }))
    };
    t.import(&owners(&[])).await;
    let nobody_active = by_owners().running().await;
    assert_eq!(nobody_active.found_by(&t.as_user("sam")).await.len(), 7);
    assert!(nobody_active.found_by(&t.as_user("pete")).await.is_empty());

    t.import(&owners(&["pete"])).await;
    let activated = by_owners().running().await;
    assert_eq!(activated.found_by(&t.as_user("pete")).await.len(), 7);
}

/// LC-REV-08
#[tokio::test]
async fn owners_of_such_a_group_review_only_with_a_fallback() {
    let t = company().await;
    for owners in [group_owners("finance"), resource_owners()] {
        let review = || t.review().reviewers(std::slice::from_ref(&owners));
        review().send().await.faults("fallbackReviewers");
        review().fallbacks(&[user("sam")]).send().await.is(201);
        t.review().reviewers(&[user("mia"), owners.clone()]).send().await.faults("fallbackReviewers");
        let stages = |fallbacks: &[Value]| {
            [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, std::slice::from_ref(&owners), fallbacks, &[])]
        };
        t.review().stages(&stages(&[])).send().await.faults("stageSettings[1].fallbackReviewers");
        t.review().stages(&stages(&[user("sam")])).send().await.is(201);
    }
    // Owners of another group, and of this one where its own list decides nothing.
    t.review().reviewers(&[group_owners("contractors")]).send().await.is(201);
    let decides_nothing = t.review().reviewers(&[group_owners("finance")]);
    decides_nothing.stages(&[stage(1, 3, &[user("mia")], &[], &[])]).send().await.is(201);
}

/// LC-REV-08, LC-SUPD-12
#[tokio::test]
async fn no_update_brings_in_owners_of_such_a_group_without_a_fallback() {
    let t = company().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    let path = review.stage_path(1).await;
    let single = t.review().running().await;
    let owners = json!({ "reviewers": [group_owners("finance")] });
    let with_fallback = json!({ "reviewers": [resource_owners()], "fallbackReviewers": [user("sam")] });
    let before = t.stored().await;

    t.as_admin().patch(&path, &owners).await.faults("fallbackReviewers");
    let mut scoped = owners.clone();
    scoped["scope"] = t.as_admin().get(&single.instance_path()).await.ok().body["scope"].clone();
    t.as_admin().patch(&single.instance_path(), &scoped).await.faults("fallbackReviewers");
    t.as_admin().patch(&single.path(), &owners).await.faults("fallbackReviewers");
    assert_eq!(t.stored().await, before);

    t.as_admin().patch(&path, &with_fallback).await.is(200);
    t.as_admin().patch(&single.path(), &with_fallback).await.is(204);
    assert_eq!(review.found_in_stage(1, &t.as_user("olga")).await.len(), 7);
}

/// What the directory file says of it is stored, kept when it is not told, and cleared by null.
#[tokio::test]
async fn eligible_owners_are_imported_and_are_no_owners() {
    let t = company().await;
    let eligible = async || {
        let rows = t.table("group_eligible_owners").await;
        rows.iter().map(|row| row["owner_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let told = async |line: Value| t.import(&format!("{line}\n")).await;
    assert_eq!(eligible().await, [object_id("pete")]);

    let report = told(json!({ "type": "group", "id": id_of("finance"), "displayName": "Finance" })).await;
    assert_eq!((report.groups.updated, report.group_eligible_owners.removed), (1, 0));
    assert_eq!(eligible().await, [object_id("pete")]);
    t.review().reviewers(&[group_owners("finance")]).send().await.faults("fallbackReviewers");

    let cleared = json!({ "type": "group", "id": id_of("finance"), "privilegedAccess": null, "eligibleOwners": null });
    let report = told(cleared).await;
    assert_eq!((report.groups.updated, report.group_eligible_owners.removed), (1, 1));
    assert_eq!(eligible().await, [""; 0]);
    t.review().reviewers(&[group_owners("finance")]).send().await.is(201);

    for wrong in ["auditors", "nobody at all"] {
        let line = json!({ "type": "group", "id": id_of("finance"), "eligibleOwners": [id_of(wrong)] });
        let refused = t.try_import(&format!("{line}\n")).await.unwrap_err().to_string();
        assert!(refused.contains("eligibleOwners"), "{refused}");
    }
}
