//! applyDecisions and what follows from it. LC-APPLY, IN-12 to IN-14

use serde_json::{Value, json};

use crate::support::{
    Client, Company, GUEST, MINE, Review, Tenant, account, alone, applied, apply_path,
    assert_one_chain_of_statuses_each, ended, id_of, members, object_id, of_guests, refuse, results, stage, user,
    with_guests,
};

/// IN-12, IN-14, LC-APPLY-01, LC-APPLY-03, LC-APPLY-05, LC-APPLY-06, LC-INV-04
#[tokio::test]
async fn denied_members_lose_what_is_theirs_directly_and_every_item_says_what_became_of_it() {
    let t = Tenant::with_finance().await;
    // Ben is a member twice, Dan only through the nested group.
    Company::new().group("contractors", &["dan", "ben", GUEST], &[]).import(&t).await;
    let decisions =
        [("ana", "Deny"), ("ben", "Deny"), ("dan", "Deny"), ("cleo", "Approve"), ("eve", "DontKnow"), ("fay", "Deny")];
    let review = ended(&t, t.review(), &decisions).await;
    assert_eq!(review.status().await, "Completed");
    assert!(members(&t, "finance").await.contains(&object_id("ana")), "nothing changes before applying");
    let left = Company::new().group("finance", &["ana", "ben", "cleo", "eve", "contractors"], &["olga", "pete"]);
    left.import(&t).await;

    applied(&t, &review).await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Applied");
    let found = results(&review).await;
    let found: Vec<_> = found.iter().map(|(name, result)| (name.as_str(), result.as_str())).collect();
    assert_eq!(
        found,
        [
            ("Gus (guest)", "New"),
            ("ana", "AppliedSuccessfully"),
            ("ben", "AppliedSuccessfully"),
            ("cleo", "AppliedSuccessfully"),
            ("dan", "ApplyNotSupported"),
            ("eve", "New"),
            ("fay", "AppliedSuccessfullyButObjectNotFound"),
        ]
    );
    let mut left = members(&t, "finance").await;
    left.sort();
    let mut expected = [object_id("cleo"), object_id("contractors"), object_id("eve")];
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(members(&t, "contractors").await.len(), 3);

    let ana = review.item("ana").await;
    assert_eq!(ana["appliedBy"]["id"], object_id("carla"));
    assert!(ana["appliedDateTime"].is_string());
    assert_eq!(ana["applyDescription"], Value::Null);
    assert_ne!(ana["@odata.etag"], review.item("eve").await["@odata.etag"]);
    let described = async |name: &str| review.item(name).await["applyDescription"].as_str().unwrap().to_owned();
    assert!(described("ben").await.contains("nested"));
    assert!(described("dan").await.contains("nested"));
    let eve = review.item("eve").await;
    assert_eq!((&eve["appliedDateTime"], &eve["appliedBy"]["displayName"]), (&Value::Null, &json!("")));

    let applied = t.events_of("Apply decision").await;
    assert_eq!(applied.len(), 4, "one for each denial");
    let review_applied = t.events_of("Apply review").await;
    assert_eq!(
        review_applied[0]["after"],
        json!({ "appliedBy": object_id("carla"), "results": {
            "AppliedSuccessfully": 3, "AppliedSuccessfullyButObjectNotFound": 1, "ApplyNotSupported": 1 } })
    );
    assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
}

/// LC-APPLY-03
#[tokio::test]
async fn the_filter_on_apply_results_sees_them() {
    let t = Tenant::with_finance().await;
    let review = ended(&t, t.review(), &[("ana", "Deny"), ("dan", "Deny"), ("cleo", "Approve")]).await;
    applied(&t, &review).await;
    let found = async |filter: &str| {
        let path = format!("{}/decisions?$filter={filter}&$count=true", review.instance_path());
        let answer = t.as_admin().get(&path).await.ok();
        assert_eq!(answer.body["@odata.count"], answer.rows().len(), "{filter}");
        crate::support::people(answer.rows())
    };
    let undecided = ["Gus (guest)", "ben", "eve", "fay"];

    assert_eq!(found("applyResult eq 'AppliedSuccessfully'").await, ["ana", "cleo"]);
    assert_eq!(found("applyResult eq 'ApplyNotSupported'").await, ["dan"]);
    assert_eq!(found("applyResult eq 'New'").await, undecided);
    assert!(found("applyResult eq 'AppliedWithUnknownFailure'").await.is_empty());
    assert_eq!(found("applyResult ne 'New'").await, ["ana", "cleo", "dan"]);
    assert_eq!(found("applyResult in ('ApplyNotSupported','AppliedSuccessfully')").await, ["ana", "cleo", "dan"]);
    assert_eq!(found("applyResult in ('ApplyNotSupported','New')").await, ["Gus (guest)", "ben", "dan", "eve", "fay"]);
    assert_eq!(found("not (applyResult eq 'New')").await, ["ana", "cleo", "dan"]);
    // A reviewer is shown the same, where the decision he sees is the one that was applied.
    let mine = format!("{}/{MINE}", review.instance_path());
    let as_mia = async |filter: &str| {
        let answer = t.as_user("mia").get(&format!("{mine}?$filter={filter}")).await.ok();
        crate::support::people(answer.rows())
    };
    assert_eq!(as_mia("applyResult eq 'AppliedSuccessfully'").await, ["ana", "cleo"]);
    assert_eq!(as_mia("applyResult eq 'New'").await, undecided);
    // And pages in the order of the result are put together from such filters.
    let (ordered, _) =
        t.as_admin().all(&format!("{}/decisions?$orderby=applyResult desc&$top=2", review.instance_path())).await;
    let ordered: Vec<_> = ordered.iter().map(|item| item["applyResult"].as_str().unwrap()).collect();
    let expected = [["New"; 4].as_slice(), &["ApplyNotSupported"], &["AppliedSuccessfully"; 2]].concat();
    assert_eq!(ordered, expected);
}

/// LC-APPLY-04
#[tokio::test]
async fn groups_that_are_kept_elsewhere_are_left_alone_and_the_item_says_why() {
    for (member, value, word) in [
        ("groupTypes", json!(["DynamicMembership"]), "rule"),
        ("onPremisesSyncEnabled", json!(true), "on-premises"),
        ("mailEnabled", json!(true), "mail"),
    ] {
        let t = Tenant::with_finance().await;
        let mut group = json!({ "type": "group", "id": object_id("finance"), "displayName": "finance" });
        group[member] = value;
        Company::new().with(group).import(&t).await;
        let review = ended(&t, t.review(), &[("ana", "Deny"), ("cleo", "Approve")]).await;
        let before = members(&t, "finance").await;

        applied(&t, &review).await;

        assert_eq!(review.status().await, "Applied");
        let item = review.item("ana").await;
        assert_eq!(item["applyResult"], "ApplyNotSupported", "{member}");
        assert!(item["applyDescription"].as_str().unwrap().contains(word), "{item:#}");
        assert_eq!(members(&t, "finance").await, before);
    }
}

/// IN-12, IN-13, LC-APPLY-01, LC-APPLY-02, LC-INST-21
#[tokio::test]
async fn where_it_goes_by_itself_the_end_leads_to_applied_and_nobody_may_ask_for_it() {
    for (enabled, decided) in [(false, "New"), (true, "AppliedSuccessfully")] {
        let t = Tenant::with_finance().await;
        let review = t
            .review()
            .setting("autoApplyDecisionsEnabled", json!(true))
            .setting("defaultDecisionEnabled", json!(enabled))
            .setting("defaultDecision", json!("Deny"))
            .running()
            .await;
        t.as_admin().act(&apply_path(&review)).await.refused(400, "InvalidReviewState");
        review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
        t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
        assert_eq!(review.status().await, "Applying");
        assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Applying");

        t.run_jobs().await;

        assert_eq!(review.status().await, "Applied");
        let found = results(&review).await;
        assert_eq!((found["ana"].as_str(), found["ben"].as_str()), ("AppliedSuccessfully", decided));
        assert!(!members(&t, "finance").await.contains(&object_id("ana")));
        let by = &review.item("ana").await["appliedBy"];
        assert_eq!((&by["displayName"], &by["userPrincipalName"]), (&json!("Access Reviews"), &json!("")));
        assert_eq!(t.events_of("Auto apply review").await.len(), 1);
        t.as_admin().act(&apply_path(&review)).await.refused(400, "InvalidReviewState");
        assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
    }
}

/// Section 2.3, LC-CONC-05, LC-AUTH-01
#[tokio::test]
async fn applying_needs_an_ended_review_and_the_right_and_happens_once() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let early = t.as_admin().act(&apply_path(&review)).await.refused(400, "InvalidReviewState");
    assert!(early.message().contains("InProgress"), "{}", early.message());
    t.advance("P10D").await;
    let act = async |client: Client| client.act(&apply_path(&review)).await;
    act(t.as_reader()).await.refused(403, "Forbidden");
    act(t.as_user("mia")).await.refused(403, "Forbidden");
    act(t.as_user("carla")).await.refused(403, "Forbidden");
    act(t.as_user("zoe")).await.refused(404, "ResourceNotFound");
    assert_eq!(review.status().await, "Completed");

    t.as_application().post(&apply_path(&review), &json!({})).await.is(204);
    act(t.as_admin()).await.refused(400, "InvalidReviewState");
    t.run_jobs().await;
    let twice = act(t.as_admin()).await.refused(400, "InvalidReviewState");

    assert!(twice.message().contains("Applied"), "{}", twice.message());
    assert_eq!(t.events_of("Apply review").await.len(), 1);
}

/// LC-CONC-05
#[tokio::test]
async fn of_two_that_apply_at_once_one_does() {
    let t = Tenant::with_finance().await;
    let review = ended(&t, t.review(), &[("ana", "Deny")]).await;
    let sql = format!("select from instances where tenant_id = '{}' for update", t.id);
    let mut blocker = crate::support::Blocker::hold(&t.database, &sql).await;
    let apply = || {
        let (admin, path) = (t.as_admin(), apply_path(&review));
        tokio::spawn(async move { admin.act(&path).await })
    };
    let (one, other) = (apply(), apply());
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    let mut statuses = [one.await.unwrap().status, other.await.unwrap().status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 400]);
    t.run_jobs().await;
    assert_eq!(t.events_of("Apply review").await.len(), 1);
    assert_eq!(t.events_of("Apply decision").await.len(), 1);
}

/// LC-STAGE-41, LC-INV-06
#[tokio::test]
async fn of_several_stages_the_last_decision_is_applied() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 7, &[user("mia")], &[], &[])])
        .running()
        .await;
    for (name, decision) in [("ana", "Deny"), ("ben", "Approve"), ("cleo", "Deny")] {
        review.decide(&t.as_user("mia"), name, decision).await.is(204);
    }
    t.advance("P3D").await;
    for (name, decision) in [("ana", "Approve"), ("ben", "Deny")] {
        review.decide(&t.as_user("mia"), name, decision).await.is(204);
    }
    t.advance("P7D").await;

    applied(&t, &review).await;

    let left = members(&t, "finance").await;
    assert!(left.contains(&object_id("ana")), "approved in the end");
    assert!(!left.contains(&object_id("ben")), "denied in the end");
    assert!(!left.contains(&object_id("cleo")), "silence is no decision");
}

/// LC-STAGE-51
#[tokio::test]
async fn a_reviewer_is_not_told_what_became_of_a_decision_that_is_hidden_from_him() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 7, &[user("olga")], &[], &[])])
        .running()
        .await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Deny").await.is(204);
    t.advance("P3D").await;
    review.decide(&t.as_user("olga"), "ana", "Deny").await.is(204);
    t.advance("P7D").await;
    applied(&t, &review).await;
    let seen = async |number: Option<usize>, who: &str, name: &str| {
        let client = t.as_user(who);
        let item = match number {
            Some(number) => review.stage_item_for(number, &client, name).await,
            None => review.item_for(&client, name).await,
        };
        item["applyResult"].as_str().unwrap().to_owned()
    };

    assert_eq!(seen(None, "mia", "ana").await, "New", "a later stage decided");
    assert_eq!(seen(Some(1), "mia", "ana").await, "New");
    assert_eq!(seen(None, "mia", "ben").await, "AppliedSuccessfully", "her own decision was applied");
    assert_eq!(seen(None, "olga", "ana").await, "AppliedSuccessfully");
    assert_eq!(seen(Some(2), "olga", "ben").await, "New", "an earlier stage decided");
    assert_eq!(review.item("ana").await["applyResult"], "AppliedSuccessfully");
}

async fn guests_denied(t: &Tenant) -> Review {
    let review = ended(t, of_guests(t), &[(GUEST, "Deny"), ("gil", "Deny")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    t.run_jobs().await;
    review
}

/// LC-APPLY-09
#[tokio::test]
async fn denied_guests_are_blocked_at_once_and_deleted_when_thirty_days_are_over() {
    let t = Tenant::new().await;
    with_guests(&t).await;
    let sponsored = json!({ "type": "user", "id": object_id("una"), "sponsors": [object_id("gil"), object_id("mia")] });
    t.import(&format!("{sponsored}\n")).await;
    let review = guests_denied(&t).await;

    assert_eq!(review.status().await, "Applying");
    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (Some(false), Some(false)));
    assert_eq!(members(&t, "partners").await.len(), 2, "the membership itself stays");
    assert_eq!(review.item("gil").await["applyResult"], "New");
    assert_eq!(t.events_of("User blocked").await.len(), 2);
    t.advance("P29D").await;
    assert_eq!(review.status().await, "Applying");
    assert!(account(&t, "gil").await.is_some());

    t.advance("P1D").await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (None, None));
    assert!(members(&t, "partners").await.is_empty());
    assert!(members(&t, "contractors").await.iter().all(|member| *member != object_id(GUEST)));
    let una = t.table("users").await.into_iter().find(|row| row["user_id"] == object_id("una").as_str()).unwrap();
    assert_eq!(una["manager_id"], Value::Null);
    let sponsors: Vec<_> = t.table("user_sponsors").await.iter().map(|row| row["sponsor_id"].clone()).collect();
    assert_eq!(sponsors, [object_id("mia")]);
    assert!(results(&review).await.values().all(|result| result == "AppliedSuccessfully"));
    assert_eq!(t.events_of("User deleted").await.len(), 2);
    assert!(t.table("pending_deletions").await.is_empty());
    assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
}

/// LC-APPLY-10, LC-AUD-01
#[tokio::test]
async fn who_was_unblocked_is_spared_and_who_was_deleted_is_not_found() {
    let t = Tenant::new().await;
    with_guests(&t).await;
    let review = guests_denied(&t).await;
    let unblocked = json!({ "type": "user", "id": id_of(GUEST), "accountEnabled": true });
    t.import(&format!("{unblocked}\n")).await;
    let (tenant, gil) = (t.id, object_id("gil"));
    t.database
        .execute(&format!(
            "begin;
             update users set manager_id = null where tenant_id = '{tenant}' and manager_id = '{gil}';
             delete from users where tenant_id = '{tenant}' and user_id = '{gil}';
             commit"
        ))
        .await;

    t.advance("P30D").await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!(account(&t, GUEST).await, Some(true));
    assert_eq!(review.item(GUEST).await["applyResult"], "New");
    assert_eq!(review.item("gil").await["applyResult"], "AppliedSuccessfullyButObjectNotFound");
    let cancelled = t.events_of("User deletion cancelled").await;
    assert_eq!(cancelled.len(), 1);
    assert_eq!(
        (&cancelled[0]["instance_id"], &cancelled[0]["before"], &cancelled[0]["after"]),
        (
            &json!(review.instance),
            &json!({ "userId": object_id(GUEST) }),
            &json!({ "reason": "the account was unblocked" })
        )
    );
    assert!(t.events_of("User deleted").await.is_empty());
}

/// LC-DEF-33
#[tokio::test]
async fn deleting_the_review_spares_the_blocked_accounts_which_stay_blocked() {
    let t = Tenant::new().await;
    with_guests(&t).await;
    let review = guests_denied(&t).await;

    t.as_admin().delete(&review.path()).await.is(204);
    t.advance("P31D").await;

    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (Some(false), Some(false)));
    let cancelled = t.events_of("User deletion cancelled").await;
    let mut accounts: Vec<_> = cancelled.iter().map(|event| event["before"]["userId"].as_str().unwrap()).collect();
    accounts.sort_unstable();
    let mut expected = [object_id(GUEST), object_id("gil")];
    expected.sort();
    assert_eq!(accounts, expected);
    assert!(t.table("pending_deletions").await.is_empty());
}

/// LC-APPLY-07: Ana's membership cannot be removed, whatever is tried.
#[tokio::test]
async fn an_item_that_cannot_be_applied_is_given_up_and_holds_nobody_up() {
    let t = alone(&Company::finance()).await;
    refuse(&t, "delete", "group_members", "member_id", &["ana"], "P0001").await;
    let review = ended(&t, t.review(), &[("ana", "Deny"), ("ben", "Deny"), ("cleo", "Deny")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    for _ in 0..4 {
        t.end_backoff().await;
        attestry::jobs::run_due_jobs(&t.services, Some(t.id), "https://reviews.example").await.unwrap();
    }

    assert_eq!(review.status().await, "Applied");
    let found = results(&review).await;
    assert_eq!(found["ana"], "AppliedWithUnknownFailure");
    assert_eq!((found["ben"].as_str(), found["cleo"].as_str()), ("AppliedSuccessfully", "AppliedSuccessfully"));
    let left = members(&t, "finance").await;
    assert!(left.contains(&object_id("ana")) && !left.contains(&object_id("ben")));
}
