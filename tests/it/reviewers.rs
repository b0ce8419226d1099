//! Who reviews what: every form of a reviewer scope, fallbacks, nobody at all, and managers who change between stages.

use std::sync::Arc;

use attestry::mail::NoMailer;
use serde_json::{Value, json};

use crate::support::{
    Blocker, Company, Database, Review, Tenant, group_members, group_owners, id_of, mailed, manager, people,
    resource_owners, stage, user,
};

const EVERYBODY: [&str; 7] = ["Gus (guest)", "ana", "ben", "cleo", "dan", "eve", "fay"];

fn user_line(name: &str, more: Value) -> Value {
    let mut line = json!({
        "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"), "displayName": name,
        "mail": format!("{name}@acme.example"),
    });
    for (member, value) in more.as_object().unwrap() {
        line[member] = value.clone();
    }
    line
}

fn disabled(name: &str) -> Value {
    user_line(name, json!({ "accountEnabled": false }))
}

fn query(query: String) -> Value {
    json!({ "query": query, "queryType": "MicrosoftGraph" })
}

/// Asserts who finds which items of the first stage; whoever is not named finds none.
async fn assert_found(t: &Tenant, review: &Review, expected: &[(&str, &[&str])]) {
    for name in ["mia", "noor", "olga", "pete", "sam", "tom", "ana", "ben", "cleo", "eve", "dan", "fay", "zoe"] {
        let items = expected.iter().find(|(who, _)| *who == name).map_or(&[] as &[&str], |(_, items)| *items);
        assert_eq!(review.found_by(&t.as_user(name)).await, items, "{name}");
    }
}

fn errors(instance: &Value) -> Vec<&str> {
    instance["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect()
}

/// LC-REV-01
#[tokio::test]
async fn a_named_user_reviews_everything() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia")]).running().await;
    assert_found(&t, &review, &[("mia", &EVERYBODY)]).await;
}

/// LC-REV-01
#[tokio::test]
async fn members_of_a_group_review_everything_also_those_of_nested_groups_and_of_a_cycle() {
    let t = Tenant::with_finance().await;
    Company::new()
        .group("outer", &["mia", "inner"], &["olga"])
        .group("inner", &["noor", "innermost"], &[])
        .group("innermost", &["zoe", "outer"], &[])
        .import(&t)
        .await;
    let expected: [(&str, &[&str]); 3] = [("mia", &EVERYBODY), ("noor", &EVERYBODY), ("zoe", &EVERYBODY)];

    let review = t.review().reviewers(&[group_members("outer")]).running().await;
    assert_found(&t, &review, &expected).await;

    let members = query(format!("/groups/{}/members", id_of("outer")));
    let review = t.review().reviewers(&[members]).running().await;
    assert_found(&t, &review, &expected).await;
}

/// LC-REV-01
#[tokio::test]
async fn owners_of_a_group_review_everything() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[group_owners("finance")]).running().await;
    assert_found(&t, &review, &[("olga", &EVERYBODY), ("pete", &EVERYBODY)]).await;
}

/// LC-REV-01, R-05
#[tokio::test]
async fn a_filter_keeps_only_the_owners_that_fit() {
    let t = Tenant::with_finance().await;
    Company::new()
        .with(user_line("olga", json!({ "country": "USA" })))
        .with(user_line("pete", json!({ "country": "USA", "userType": "Guest" })))
        .with(user_line("tom", json!({ "country": "DE" })))
        .group("finance", &["ana"], &["olga", "pete", "tom"])
        .import(&t)
        .await;
    let owners = format!("/groups/{}/owners?$filter=microsoft.graph.user/userType eq", id_of("finance"));

    let filter = query(format!("{owners} 'Member' and microsoft.graph.user/country eq 'USA'"));
    assert_found(&t, &t.review().reviewers(&[filter]).running().await, &[("olga", &["ana"])]).await;

    let filter = query(format!("{owners} 'Guest'"));
    assert_found(&t, &t.review().reviewers(&[filter]).running().await, &[("pete", &["ana"])]).await;
}

/// LC-REV-01, R-06
#[tokio::test]
async fn owners_of_the_reviewed_group_are_meant_by_dot_owners() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[resource_owners()]).running().await;
    assert_found(&t, &review, &[("olga", &EVERYBODY), ("pete", &EVERYBODY)]).await;
}

/// LC-REV-01, R-07
#[tokio::test]
async fn each_principals_manager_reviews_him() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await;
    assert_found(
        &t,
        &review,
        &[("mia", &["ana", "ben", "cleo", "eve"]), ("noor", &["dan"]), ("sam", &["Gus (guest)", "fay"])],
    )
    .await;
}

/// LC-REV-01, R-07: Ana is the first of Mia's people, by whom the manager of all of them is known.
#[tokio::test]
async fn a_manager_who_changes_while_the_review_is_opened_changes_for_nobody_else() {
    let t = Arc::new(Tenant::on(Database::own().await, Arc::new(NoMailer), true).await);
    Company::finance().import(&t).await;
    let review = t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).create().await;
    // The items are there, their reviewers have to wait.
    let mut blocker = Blocker::hold(&t.database, "lock table stage_reviewers in exclusive mode").await;
    let opening = tokio::spawn({
        let t = Arc::clone(&t);
        async move { t.run_jobs().await }
    });
    blocker.wait_until_blocked(1).await;

    Company::new().user("ana", Some("noor")).import(&t).await;
    blocker.rollback().await;
    opening.await.unwrap();

    assert_found(
        &t,
        &review,
        &[("mia", &["ben", "cleo", "eve"]), ("noor", &["ana", "dan"]), ("sam", &["Gus (guest)", "fay"])],
    )
    .await;
}

/// LC-REV-01, R-01
#[tokio::test]
async fn without_reviewers_everybody_reviews_himself() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[]).running().await;
    for name in ["ana", "ben", "cleo", "dan", "eve", "fay"] {
        assert_eq!(review.found_by(&t.as_user(name)).await, [name]);
    }
    assert_eq!(review.found_by(&t.as_user("gus")).await, ["Gus (guest)"]);
    assert_eq!(review.found_by(&t.as_user("mia")).await, [""; 0]);
    review.decide(&t.as_user("ana"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("ana"), "ben", "Approve").await.refused(404, "ResourceNotFound");
}

/// LC-REV-01, R-08
#[tokio::test]
async fn owners_of_an_application_review_everything() {
    let t = Tenant::with_finance().await;
    Company::new()
        .with(json!({ "type": "servicePrincipal", "id": id_of("payroll"), "appId": id_of("payroll app"),
            "displayName": "Payroll", "owners": [id_of("tom"), id_of("zoe")] }))
        .import(&t)
        .await;
    let owners = query(format!("/servicePrincipals/{}/owners", id_of("payroll")));
    let review = t.review().reviewers(&[owners]).running().await;
    assert_found(&t, &review, &[("tom", &EVERYBODY), ("zoe", &EVERYBODY)]).await;
}

/// LC-REV-02
#[tokio::test]
async fn several_scopes_are_one_pool_and_the_last_answer_counts() {
    let t = Tenant::with_finance().await;
    let reviewers = [user("mia"), group_owners("finance"), group_members("auditors")];
    let review = t.review().reviewers(&reviewers).running().await;
    let everybody: &[&str] = &EVERYBODY;
    let pool = ["mia", "olga", "pete", "sam", "tom"].map(|name| (name, everybody));
    assert_found(&t, &review, &pool).await;

    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("tom"), "ana", "Deny").await.is(204);
    review.decide(&t.as_user("olga"), "ana", "Approve").await.is(204);

    let item = review.item("ana").await;
    assert_eq!((&item["decision"], &item["reviewedBy"]["displayName"]), (&json!("Approve"), &json!("olga")));
    assert_eq!(t.events_of("Approve decision").await.len(), 2);
    assert_eq!(t.events_of("Deny decision").await.len(), 1);
}

/// LC-REV-03
#[tokio::test]
async fn reviewers_stay_those_of_the_start_when_the_directory_changes() {
    let t = Tenant::with_finance().await;
    let reviewers = [manager(), group_owners("finance"), group_members("auditors")];
    let review = t.review().reviewers(&reviewers).running().await;

    Company::new()
        .user("ana", Some("noor"))
        .group("finance", &["ana"], &["zoe"])
        .group("auditors", &["zoe"], &[])
        .import(&t)
        .await;
    t.advance("P1D").await;

    let everybody: &[&str] = &EVERYBODY;
    let mut expected = ["olga", "pete", "sam", "tom"].map(|name| (name, everybody)).to_vec();
    expected.push(("mia", &["ana", "ben", "cleo", "eve"]));
    expected.push(("noor", &["dan"]));
    assert_found(&t, &review, &expected).await;
}

/// LC-REV-04
#[tokio::test]
async fn a_silent_reviewer_does_not_bring_in_the_fallback() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia")]).fallbacks(&[user("sam")]).running().await;

    t.advance("P9D").await;

    assert_eq!(review.found_by(&t.as_user("sam")).await, [""; 0]);
    review.decide(&t.as_user("sam"), "ana", "Approve").await.refused(404, "ResourceNotFound");
}

/// LC-REV-04
#[tokio::test]
async fn the_fallback_of_a_group_without_owners_gets_every_item() {
    let t = Tenant::with_finance().await;
    Company::new().group("auditors", &["ana", "ben"], &[]).import(&t).await;
    let scope = format!("/groups/{}/members", id_of("auditors"));
    let review = t.review().scope(&scope).reviewers(&[resource_owners()]).fallbacks(&[user("sam")]).running().await;

    assert_found(&t, &review, &[("sam", &["ana", "ben"])]).await;
    review.decide(&t.as_user("sam"), "ana", "Deny").await.is(204);
    assert_eq!(errors(&t.as_admin().get(&review.instance_path()).await.body), [""; 0]);
}

/// LC-REV-05
#[tokio::test]
async fn a_disabled_manager_counts_as_nobody() {
    let t = Tenant::with_finance().await;
    Company::new().with(disabled("mia")).import(&t).await;
    let review = t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await;
    let rest = ["Gus (guest)", "ana", "ben", "cleo", "eve", "fay"];
    assert_found(&t, &review, &[("noor", &["dan"]), ("sam", &rest)]).await;
}

/// LC-REV-05
#[tokio::test]
async fn a_disabled_owner_counts_as_nobody() {
    let t = Tenant::with_finance().await;
    Company::new().with(disabled("olga")).import(&t).await;
    let review = t.review().reviewers(&[resource_owners()]).fallbacks(&[user("sam")]).running().await;
    assert_found(&t, &review, &[("pete", &EVERYBODY)]).await;

    Company::new().with(disabled("pete")).import(&t).await;
    let review = t.review().reviewers(&[resource_owners()]).fallbacks(&[user("sam")]).running().await;
    assert_found(&t, &review, &[("sam", &EVERYBODY)]).await;
}

/// LC-REV-05
#[tokio::test]
async fn disabled_named_users_and_group_members_count_as_nobody() {
    let t = Tenant::with_finance().await;
    Company::new().with(disabled("mia")).with(disabled("sam")).import(&t).await;
    let fallbacks = [group_members("auditors")];
    let review = t.review().reviewers(&[user("mia")]).fallbacks(&fallbacks).running().await;
    assert_found(&t, &review, &[("tom", &EVERYBODY)]).await;
}

/// LC-REV-05
#[tokio::test]
async fn a_disabled_account_does_not_review_itself() {
    let t = Tenant::with_finance().await;
    Company::new().with(disabled("ana")).import(&t).await;
    let review = t.review().reviewers(&[]).fallbacks(&[user("sam")]).running().await;
    assert_eq!(review.found_by(&t.as_user("sam")).await, ["ana"]);
}

/// LC-REV-09
#[tokio::test]
async fn an_item_that_nobody_reviews_stays_unreviewed_under_a_warning() {
    let t = Tenant::with_finance().await;
    let builder = t.review().reviewers(&[manager()]).setting("defaultDecisionEnabled", json!(true));
    let review = builder.setting("defaultDecision", json!("Deny")).running().await;

    let instance = t.as_admin().get(&review.instance_path()).await.ok().body;
    assert_eq!(errors(&instance), ["ReviewersNotFound"]);
    assert!(instance["errors"][0]["message"].as_str().unwrap().contains('2'), "{:#}", instance["errors"]);
    assert_eq!(review.item("fay").await["decision"], "NotReviewed");
    for (name, status) in [("mia", 404), ("fay", 404), ("carla", 403)] {
        review.decide(&t.as_user(name), "fay", "Approve").await.is(status);
    }

    t.advance("P10D").await;
    let fay = review.item("fay").await;
    assert_eq!((&fay["decision"], &fay["reviewedBy"]["displayName"]), (&json!("Deny"), &json!("Access Reviews")));
}

/// LC-REV-09
#[tokio::test]
async fn a_review_in_which_everybody_has_a_reviewer_has_no_warning() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await;
    assert_eq!(errors(&t.as_admin().get(&review.instance_path()).await.ok().body), [""; 0]);
}

/// LC-REV-09, LC-SUPD-20
#[tokio::test]
async fn somebody_left_without_any_reviewer_by_an_update_is_warned_of() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    let stage = review.stage_path(1).await;
    let instance = async || t.as_admin().get(&review.instance_path()).await.ok().body;
    let update = async |reviewer| t.as_admin().patch(&stage, &json!({ "reviewers": [reviewer] })).await.is(200);
    let before = instance().await;

    update(user("noor")).await;
    assert_eq!(instance().await, before, "an update that leaves nobody out does not touch the instance");

    update(manager()).await;
    let warned = instance().await;
    assert_eq!(errors(&warned), ["ReviewersNotFound"]);
    assert!(warned["errors"][0]["message"].as_str().unwrap().starts_with("2 items of stage 1 "), "{warned:#}");
    assert_ne!(warned["@odata.etag"], before["@odata.etag"]);
    assert_eq!(review.found_by(&t.as_user("mia")).await, ["ana", "ben", "cleo", "eve"]);

    // One warning a stage, with the latest number.
    Company::new().user("ben", None).import(&t).await;
    update(user("noor")).await;
    update(manager()).await;
    let warned = instance().await;
    assert_eq!(errors(&warned), ["ReviewersNotFound"]);
    assert!(warned["errors"][0]["message"].as_str().unwrap().starts_with("3 items of stage 1 "), "{warned:#}");

    let single = t.review().running().await;
    let scope = t.as_admin().get(&single.instance_path()).await.ok().body["scope"].clone();
    let body = json!({ "scope": scope, "reviewers": [manager()] });
    let answer = t.as_admin().put(&single.instance_path(), &body).await.is(200);
    assert_eq!(errors(&answer.body), ["ReviewersNotFound"]);
}

/// LC-REV-09, LC-CONC-03: the instance is locked before its stages, and only by an update that has a warning to leave.
#[tokio::test]
async fn an_update_that_waits_to_warn_holds_up_no_other_update_of_the_stage() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    let path = review.stage_path(1).await;
    let lock = format!("select from instances where instance_id = '{}' for no key update", review.instance);
    let mut blocker = Blocker::hold(&t.database, &lock).await;
    let warning = tokio::spawn({
        let (admin, path) = (t.as_admin(), path.clone());
        async move { admin.patch(&path, &json!({ "reviewers": [manager()] })).await }
    });
    blocker.wait_until_blocked(1).await;

    t.as_admin().patch(&path, &json!({ "fallbackReviewers": [user("sam")] })).await.is(200);
    blocker.commit().await;

    // By the time it is made, Sam stands in.
    warning.await.unwrap().is(200);
    assert_eq!(errors(&t.as_admin().get(&review.instance_path()).await.ok().body), [""; 0]);
    assert_eq!(review.found_by(&t.as_user("sam")).await, ["Gus (guest)", "fay"]);
}

/// LC-REV-06
#[tokio::test]
async fn groups_go_to_the_fallback_in_a_manager_review_and_in_a_self_review() {
    let t = Tenant::with_finance().await;
    for reviewers in [vec![manager()], Vec::new()] {
        let scope = format!("/groups/{}/members", id_of("finance"));
        let review = t.review().scope(&scope).reviewers(&reviewers).fallbacks(&[user("sam")]).running().await;
        let found = review.found_by(&t.as_user("sam")).await;
        assert!(found.contains(&"contractors".to_owned()), "{found:?}");
        review.decide(&t.as_user("sam"), "contractors", "Approve").await.is(204);
        assert_eq!(review.found_by(&t.as_user("dan")).await, [""; 0], "the nested group is not expanded");
    }
}

/// LC-REV-06, LC-SUPD-09: what the stage was planned to be does not count, only what it is when it opens.
#[tokio::test]
async fn groups_are_left_out_of_a_review_that_became_a_self_review_before_its_start() {
    let t = Tenant::with_finance().await;
    let scope = format!("/groups/{}/members", id_of("finance"));
    let stages = [stage(1, 3, &[user("mia")], &[], &[])];
    let review = t.review().scope(&scope).stages(&stages).create().await;
    t.as_admin().patch(&review.stage_path(1).await, &json!({ "reviewers": [] })).await.is(200);

    t.run_jobs().await;

    assert_eq!(people(&review.items().await), ["ana", "ben", "cleo", "eve", "fay"]);
    assert_eq!(errors(&t.as_admin().get(&review.instance_path()).await.ok().body), [""; 0]);
}

/// LC-REV-11
#[tokio::test]
async fn an_owner_who_is_a_member_may_review_himself() {
    let t = Tenant::with_finance().await;
    Company::new().group("finance", &["ana", "olga"], &["olga"]).import(&t).await;
    let review = t.review().reviewers(&[resource_owners()]).running().await;
    assert_eq!(review.found_by(&t.as_user("olga")).await, ["ana", "olga"]);
    review.decide(&t.as_user("olga"), "olga", "Approve").await.is(204);
}

/// Managers decide in both stages, Sam behind them.
async fn managers_twice(t: &Tenant) -> Review {
    let stages = [stage(1, 3, &[manager()], &[user("sam")], &[]), stage(2, 4, &[manager()], &[user("sam")], &[])];
    t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true)).running().await
}

/// LC-STAGE-10
#[tokio::test]
async fn a_manager_who_changed_between_stages_counts_for_exactly_the_people_who_moved() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = managers_twice(&t).await;
    t.run_jobs().await;
    sink.clear();
    Company::new().user("ben", Some("zoe")).user("dan", Some("mia")).import(&t).await;
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, ["ana", "ben", "cleo", "eve"]);

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, ["ana", "cleo", "dan", "eve"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("zoe")).await, ["ben"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("noor")).await, [""; 0]);
    assert_eq!(review.found_in_stage(2, &t.as_user("sam")).await, ["Gus (guest)", "fay"]);
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, ["ana", "ben", "cleo", "eve"]);
    review.decide_in_stage(2, &t.as_user("zoe"), "ben", "Approve").await.is(204);
    review.decide_in_stage(2, &t.as_user("mia"), "ben", "Deny").await.refused(404, "ResourceNotFound");
    review.decide_in_stage(2, &t.as_user("mia"), "dan", "Approve").await.is(204);
    assert_eq!(mailed(&sink), ["mia", "sam", "zoe"]);
    assert_eq!(t.contacted(2).await, ["mia", "sam", "zoe"]);
}

/// LC-STAGE-10, LC-REV-04
#[tokio::test]
async fn somebody_who_lost_his_manager_between_stages_goes_to_the_fallback() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let stages = [stage(1, 3, &[manager()], &[], &[]), stage(2, 4, &[manager()], &[user("sam")], &[])];
    Company::new().group("finance", &["ana", "ben", "cleo"], &[]).import(&t).await;
    let review = t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true)).running().await;
    t.run_jobs().await;
    sink.clear();
    Company::new().user("ben", None).import(&t).await;

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, ["ana", "cleo"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("sam")).await, ["ben"]);
    t.as_user("sam").get(&review.stage_path(2).await).await.is(200);
    review.decide(&t.as_user("sam"), "ben", "Approve").await.is(204);
    assert_eq!(mailed(&sink), ["mia", "sam"]);
}

/// LC-STAGE-10
#[tokio::test]
async fn somebody_who_gained_a_manager_between_stages_leaves_the_fallback() {
    let t = Tenant::with_finance().await;
    let review = managers_twice(&t).await;
    assert_eq!(review.found_in_stage(1, &t.as_user("sam")).await, ["Gus (guest)", "fay"]);
    Company::new().user("fay", Some("zoe")).import(&t).await;

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("sam")).await, ["Gus (guest)"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("zoe")).await, ["fay"]);
    review.decide_in_stage(2, &t.as_user("sam"), "fay", "Deny").await.refused(404, "ResourceNotFound");
}

/// LC-STAGE-10, LC-REV-05
#[tokio::test]
async fn a_manager_disabled_between_stages_leaves_his_people_to_the_fallback() {
    let t = Tenant::with_finance().await;
    let review = managers_twice(&t).await;
    Company::new().with(disabled("mia")).import(&t).await;

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("sam")).await, ["Gus (guest)", "ana", "ben", "cleo", "eve", "fay"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, [""; 0]);
}

/// LC-STAGE-10, LC-REV-09
#[tokio::test]
async fn somebody_left_without_any_reviewer_between_stages_is_warned_of() {
    let t = Tenant::with_finance().await;
    Company::new().group("finance", &["ana", "ben", "cleo"], &[]).import(&t).await;
    let stages = [stage(1, 3, &[manager()], &[], &[]), stage(2, 4, &[manager()], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    assert_eq!(errors(&t.as_admin().get(&review.instance_path()).await.ok().body), [""; 0]);
    Company::new().user("ben", None).import(&t).await;

    t.advance("P3D").await;

    let instance = t.as_admin().get(&review.instance_path()).await.ok().body;
    assert_eq!(errors(&instance), ["ReviewersNotFound"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, ["ana", "cleo"]);
}

/// LC-REV-04, R-07
#[tokio::test]
async fn a_manager_can_be_the_fallback() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    Company::new().group("finance", &["ana", "ben", "dan", "fay"], &[]).import(&t).await;
    let builder = t.review().reviewers(&[resource_owners()]).fallbacks(&[manager(), user("sam")]);
    let review = builder.setting("mailNotificationsEnabled", json!(true)).running().await;
    t.run_jobs().await;

    assert_found(&t, &review, &[("mia", &["ana", "ben"]), ("noor", &["dan"]), ("sam", &["ana", "ben", "dan", "fay"])])
        .await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "dan", "Approve").await.refused(404, "ResourceNotFound");
    assert_eq!(mailed(&sink), ["mia", "noor", "sam"]);
}

/// LC-STAGE-10, R-07
#[tokio::test]
async fn a_fallback_manager_who_changed_between_stages_counts_for_exactly_the_people_who_moved() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    Company::new().group("finance", &["ana", "ben", "cleo", "dan"], &[]).import(&t).await;
    let stages = [stage(1, 3, &[user("olga")], &[], &[]), stage(2, 4, &[resource_owners()], &[manager()], &[])];
    let review = t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true)).running().await;
    t.run_jobs().await;
    sink.clear();
    Company::new().user("ben", Some("zoe")).import(&t).await;

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, ["ana", "cleo"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("zoe")).await, ["ben"]);
    t.as_user("zoe").get(&review.path()).await.is(200);
    t.as_user("zoe").get(&review.stage_path(2).await).await.is(200);
    review.decide_in_stage(2, &t.as_user("zoe"), "ben", "Approve").await.is(204);
    assert_eq!(mailed(&sink), ["mia", "noor", "zoe"]);
}

/// LC-STAGE-10, LC-AUTH-04
#[tokio::test]
async fn a_manager_all_of_whose_people_moved_away_sees_nothing_of_the_review() {
    let t = Tenant::with_finance().await;
    Company::new().group("finance", &["dan", "ana"], &[]).import(&t).await;
    let stages = [stage(1, 3, &[user("olga")], &[], &[]), stage(2, 4, &[manager()], &[user("sam")], &[])];
    let review = t.review().stages(&stages).running().await;
    Company::new().user("dan", Some("mia")).import(&t).await;

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, ["ana", "dan"]);
    t.as_user("noor").get(&review.instance_path()).await.refused(404, "ResourceNotFound");
    t.as_user("sam").get(&review.instance_path()).await.refused(404, "ResourceNotFound");
}
