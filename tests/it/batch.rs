//! INST-BATCH and STAGE-BATCH: one answer for everything a reviewer reviews. LC-DEC-09, LC-DEC-10, LC-DEC-14

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    Answer, Blocker, Client, Company, Review, Tenant, alone, id_of, manager, object_id, people, stage, user,
};

async fn batch(client: &Client, path: &str, decision: &str) -> Answer {
    batch_with(client, path, json!({ "decision": decision, "justification": "all of them" })).await
}

async fn batch_with(client: &Client, path: &str, body: Value) -> Answer {
    client.post(&format!("{path}/batchRecordDecisions"), &body).await
}

fn batch_in_background(client: &Client, path: &str, decision: &str) -> JoinHandle<Answer> {
    let (client, path, decision) = (client.clone(), path.to_owned(), decision.to_owned());
    tokio::spawn(async move { batch(&client, &path, &decision).await })
}

/// Managers review; whoever has none goes to `sam`.
async fn by_managers(t: &Tenant) -> Review {
    t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await
}

async fn decided(review: &Review, decision: &str) -> Vec<String> {
    let items: Vec<_> = review.items().await.into_iter().filter(|item| item["decision"] == decision).collect();
    people(&items)
}

async fn decisions(t: &Tenant) -> Vec<Value> {
    t.table("decisions").await
}

/// LC-DEC-09
#[tokio::test]
async fn a_batch_reaches_what_the_caller_reviews_and_nothing_else() {
    let t = Tenant::with_finance().await;
    let review = by_managers(&t).await;

    let answer = batch(&t.as_user("mia"), &review.instance_path(), "Approve").await.is(204);

    assert_eq!(answer.body, Value::Null);
    assert_eq!(decided(&review, "Approve").await, ["ana", "ben", "cleo", "eve"]);
    let item = review.item("ana").await;
    assert_eq!(item["justification"], "all of them");
    assert_eq!(item["reviewedBy"]["id"], object_id("mia"));
    assert_eq!(item["reviewedBy"]["userPrincipalName"], "mia@acme.example");
    assert!(item["reviewedDateTime"].is_string());
    batch(&t.as_user("sam"), &review.instance_path(), "Deny").await.is(204);
    assert_eq!(decided(&review, "Deny").await, ["Gus (guest)", "fay"]);
    assert_eq!(decided(&review, "NotReviewed").await, ["dan"]);
}

/// LC-DEC-09, LC-REV-03: single items that changed hands between two stages
#[tokio::test]
async fn a_batch_reaches_single_items_that_changed_hands() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[manager()], &[], &[]), stage(2, 7, &[manager()], &[user("sam")], &[])])
        .running()
        .await;
    let moved = json!({ "type": "user", "id": id_of("ben"), "manager": id_of("noor") });
    t.import(&format!("{moved}\n")).await;
    t.advance("P3D").await;

    batch(&t.as_user("mia"), &review.instance_path(), "Approve").await.is(204);
    assert_eq!(decided(&review, "Approve").await, ["ana", "cleo", "eve"]);

    batch(&t.as_user("noor"), &review.stage_path(2).await, "Deny").await.is(204);
    assert_eq!(decided(&review, "Deny").await, ["ben", "dan"]);
}

/// LC-DEC-09
#[tokio::test]
async fn principal_and_resource_narrow_the_set_and_matching_nothing_is_no_error() {
    let t = Tenant::with_finance().await;
    let review = by_managers(&t).await;
    let mia = t.as_user("mia");
    let body = |principal: Option<&str>, resource: Option<&str>| json!({ "decision": "Deny", "principalId": principal.map(id_of), "resourceId": resource.map(id_of) });
    let path = review.instance_path();

    for nothing in [
        body(Some("dan"), None),
        body(Some("nobody-known"), None),
        body(None, Some("contractors")),
        body(Some("ana"), Some("contractors")),
    ] {
        batch_with(&mia, &path, nothing).await.is(204);
        assert!(decisions(&t).await.is_empty());
    }
    assert!(t.events_of("Bulk deny decisions").await.is_empty());

    batch_with(&mia, &path, body(Some("ana"), Some("finance"))).await.is(204);
    assert_eq!(decided(&review, "Deny").await, ["ana"]);
    batch_with(&mia, &path, body(None, Some("finance"))).await.is(204);
    assert_eq!(decided(&review, "Deny").await, ["ana", "ben", "cleo", "eve"]);
}

/// LC-DEC-14, LC-CONC-01
#[tokio::test]
async fn what_a_batch_overwrites_stays_in_the_events_and_the_batch_is_one_of_them() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    review.decide(&t.as_user("noor"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "DontKnow").await.is(204);

    batch(&t.as_user("mia"), &review.instance_path(), "Deny").await.is(204);

    let overwritten = t.events_of("Decision overwritten").await;
    let told: Vec<_> = overwritten
        .iter()
        .map(|event| [&event["before"]["decision"], &event["before"]["reviewedBy"], &event["before"]["justification"]])
        .collect();
    let (mia, noor, because) = (json!(object_id("mia")), json!(object_id("noor")), json!("because"));
    assert_eq!(told, [[&json!("Approve"), &noor, &because], [&json!("DontKnow"), &mia, &because]]);
    assert!(overwritten.iter().all(|event| {
        event["item_seq"].is_i64()
            && event["before"]["reviewedDateTime"].is_string()
            && event["after"]["decision"] == "Deny"
            && event["actor_id"] == mia
            && event["stage_id"].is_string()
            && event["request_id"].is_string()
    }));
    let bulk = t.events_of("Bulk deny decisions").await;
    let [bulk] = bulk.as_slice() else { panic!("{bulk:#?}") };
    assert_eq!(bulk["after"]["items"], 7);
    assert_eq!(bulk["after"]["justification"], "all of them");
    assert_eq!((&bulk["actor_id"], &bulk["item_seq"]), (&mia, &Value::Null));
    assert_eq!(bulk["definition_id"], review.definition.as_str());
    assert!(t.events_of("Deny decision").await.is_empty());
    assert_eq!(decided(&review, "Deny").await.len(), 7);
}

/// LC-DEC-03, LC-STAGE-43
#[tokio::test]
async fn not_reviewed_withdraws_in_bulk_what_the_caller_reviews() {
    let t = Tenant::with_finance().await;
    let review = by_managers(&t).await;
    batch(&t.as_user("mia"), &review.instance_path(), "Approve").await.is(204);
    batch(&t.as_user("sam"), &review.instance_path(), "Approve").await.is(204);

    batch_with(&t.as_user("mia"), &review.instance_path(), json!({ "decision": "NotReviewed" })).await.is(204);

    assert_eq!(decided(&review, "Approve").await, ["Gus (guest)", "fay"]);
    let item = review.item("ana").await;
    assert_eq!((&item["justification"], &item["reviewedDateTime"]), (&json!(""), &Value::Null));
    assert_eq!(t.events_of("Decision overwritten").await.len(), 4);
    let bulk = t.events_of("Bulk reset decisions").await;
    assert_eq!(bulk[0]["after"]["items"], 4);
}

/// LC-DEC-06
#[tokio::test]
async fn a_required_justification_is_required_of_a_batch_too() {
    let t = Tenant::with_finance().await;
    let review = t.review().setting("justificationRequiredOnApproval", json!(true)).running().await;
    let mia = t.as_user("mia");
    let path = review.instance_path();

    for decision in ["Approve", "Deny"] {
        for justification in [Value::Null, json!(""), json!(" \t")] {
            let body = json!({ "decision": decision, "justification": justification });
            batch_with(&mia, &path, body).await.faults("justification");
        }
        batch_with(&mia, &path, json!({ "decision": decision })).await.faults("justification");
    }
    assert!(decisions(&t).await.is_empty());

    batch_with(&mia, &path, json!({ "decision": "DontKnow" })).await.is(204);
    assert_eq!(decided(&review, "DontKnow").await.len(), 7);
    batch_with(&mia, &path, json!({ "decision": "NotReviewed" })).await.is(204);
    assert!(decisions(&t).await.is_empty());
}

#[tokio::test]
async fn a_batch_body_at_fault_is_told_where() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let mia = t.as_user("mia");
    for (body, fault) in [
        (json!({}), "decision"),
        (json!({ "decision": null }), "decision"),
        (json!({ "decision": "Maybe" }), "decision"),
        (json!({ "decision": 1 }), "decision"),
        (json!({ "decision": "Deny", "justification": 1 }), "justification"),
        (json!({ "decision": "Deny", "justification": "x".repeat(4_097) }), "justification"),
        (json!({ "decision": "Deny", "principalId": "ana" }), "principalId"),
        (json!({ "decision": "Deny", "resourceId": 7 }), "resourceId"),
        (json!({ "decision": "Deny", "principalID": id_of("ana") }), "principalID"),
    ] {
        batch_with(&mia, &review.instance_path(), body).await.faults(fault);
    }
    assert!(decisions(&t).await.is_empty());
}

/// LC-STAGE-60, LC-STAGE-61, LC-STAGE-30
#[tokio::test]
async fn on_a_multi_stage_instance_a_batch_acts_on_the_running_stage_and_its_items() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &["Approve"]), stage(2, 7, &[user("olga"), user("mia")], &[], &[])])
        .running()
        .await;
    let mia = t.as_user("mia");
    batch(&mia, &review.instance_path(), "Deny").await.is(204);
    for principal in ["ana", "dan"] {
        let body = json!({ "decision": "approve", "principalId": id_of(principal) });
        batch_with(&mia, &review.stage_path(1).await, body).await.is(204);
    }
    t.advance("P3D").await;
    assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), ["ana", "dan"]);

    batch(&t.as_user("olga"), &review.instance_path(), "DontKnow").await.is(204);

    let of_stage = async |number| {
        let items = review.stage_items(number, &t.as_admin()).await;
        items.iter().map(|item| item["decision"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of_stage(2).await, ["DontKnow", "DontKnow"]);
    assert_eq!(of_stage(1).await.iter().filter(|decision| *decision == "Deny").count(), 5);
    let first = review.stage_path(1).await;
    let late = batch(&mia, &first, "Approve").await.refused(400, "InvalidReviewState");
    assert!(late.message().contains("Completed"), "{}", late.message());
    assert_eq!(decided(&review, "DontKnow").await, ["ana", "dan"]);
}

/// LC-STAGE-33
#[tokio::test]
async fn whether_an_item_moves_on_may_hang_on_its_own_recommendation() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let seen = json!({ "type": "user", "id": id_of("ana"), "signInActivity": { "lastSignInDateTime": now } });
    t.import(&format!("{seen}\n")).await;
    let mut first = stage(1, 3, &[user("mia")], &[], &["Recommendation"]);
    first["recommendationsEnabled"] = json!(true);
    let review = t.review().stages(&[first, stage(2, 7, &[user("olga")], &[], &[])]).running().await;

    batch(&t.as_user("mia"), &review.instance_path(), "Approve").await.is(204);
    t.advance("P3D").await;

    assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), ["ana"]);
}

/// LC-DEC-10
#[tokio::test]
async fn an_application_answers_for_every_item_under_its_own_name() {
    let t = Tenant::with_finance().await;
    let review = by_managers(&t).await;

    batch(&t.as_application(), &review.instance_path(), "Deny").await.is(204);

    assert_eq!(decided(&review, "Deny").await.len(), 7);
    assert_eq!(review.item("dan").await["reviewedBy"]["id"], object_id("app-sync"));
    assert_eq!(t.events_of("Bulk deny decisions").await[0]["actor_kind"], "application");
    let reading = t.as_application_with(&["AccessReview.Read.All"]);
    batch(&reading, &review.instance_path(), "Approve").await.refused(403, "Forbidden");
    assert_eq!(decided(&review, "Deny").await.len(), 7);
}

/// LC-AUTH-04, LC-AUTH-09, LC-DEC-09
#[tokio::test]
async fn who_reviews_nothing_records_nothing_whatever_his_role() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 7, &[user("olga")], &[], &[])])
        .running()
        .await;
    t.advance("P3D").await;
    let (instance, first, second) = (review.instance_path(), review.stage_path(1).await, review.stage_path(2).await);
    for caller in [t.as_admin(), t.as_user_with_roles("rita", &["Global Administrator"])] {
        for path in [&instance, &second] {
            batch(&caller, path, "Approve").await.refused(403, "Forbidden");
        }
    }
    batch(&t.as_user("zoe"), &instance, "Approve").await.refused(404, "ResourceNotFound");
    batch(&t.as_user("zoe"), &second, "Approve").await.refused(404, "ResourceNotFound");
    // He sees the instance and his own stage; the running one is not his.
    batch(&t.as_user("mia"), &instance, "Approve").await.refused(403, "Forbidden");
    batch(&t.as_user("mia"), &second, "Approve").await.refused(404, "ResourceNotFound");
    batch(&t.as_user("olga"), &first, "Approve").await.refused(404, "ResourceNotFound");
    let reading = t.as_user_with_scopes("olga", &[], &["AccessReview.Read.All"]);
    batch(&reading, &instance, "Approve").await.refused(403, "Forbidden");
    assert!(decisions(&t).await.is_empty());

    // Nothing runs any more: whoever reviewed hears of the state.
    t.advance("P7D").await;
    batch(&t.as_user("mia"), &instance, "Approve").await.refused(400, "InvalidReviewState");
    batch(&t.as_user("zoe"), &instance, "Approve").await.refused(404, "ResourceNotFound");
    assert!(decisions(&t).await.is_empty());
}

#[tokio::test]
async fn of_another_tenants_review_there_is_nothing_to_decide_in_bulk() {
    let (t, other) = (Tenant::with_finance().await, Tenant::with_finance().await);
    let review = t.review().running().await;
    let path = review.instance_path();
    for client in [other.as_user("mia"), other.as_admin(), other.as_application()] {
        batch(&client, &path, "Deny").await.refused(404, "ResourceNotFound");
        client.act(&format!("{path}/acceptRecommendations")).await.refused(404, "ResourceNotFound");
        client.act(&format!("{path}/resetDecisions")).await.refused(404, "ResourceNotFound");
    }
    assert!(decisions(&t).await.is_empty());
}

/// LC-DEC-05
#[tokio::test]
async fn after_the_end_a_batch_is_refused_before_the_timer_has_come() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    t.advance_without_jobs("P10D").await;

    batch(&t.as_user("mia"), &review.instance_path(), "Deny").await.refused(400, "InvalidReviewState");

    assert_eq!(review.status().await, "InProgress");
    assert!(decisions(&t).await.is_empty());
}

/// LC-CONC-02
#[tokio::test]
async fn a_batch_that_waited_for_the_close_is_refused_and_records_nothing() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let sql =
        format!("select from stages where tenant_id = '{}' and instance_id = '{}' for update", t.id, review.instance);
    let mut blocker = Blocker::hold(&t.database, &sql).await;

    let (admin, path) = (t.as_admin(), format!("{}/stop", review.instance_path()));
    let stop = tokio::spawn(async move { admin.act(&path).await });
    blocker.wait_until_blocked(1).await;
    let answer = batch_in_background(&t.as_user("mia"), &review.instance_path(), "Deny");
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    stop.await.unwrap().is(204);
    answer.await.unwrap().refused(400, "InvalidReviewState");
    assert!(decisions(&t).await.is_empty());
    assert!(t.events_of("Bulk deny decisions").await.is_empty());
}

/// LC-CONC-02
#[tokio::test]
async fn a_close_that_waited_for_a_batch_counts_all_of_it() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &["Approve"]), stage(2, 7, &[user("olga")], &[], &[])])
        .running()
        .await;
    let first = review.stage_path(1).await;
    // The batch gets as far as one of its rows, and holds the stage.
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, 4).await;

    let answer = batch_in_background(&t.as_user("mia"), &review.instance_path(), "Approve");
    blocker.wait_until_blocked(1).await;
    let (admin, path) = (t.as_admin(), format!("{first}/stop"));
    let stop = tokio::spawn(async move { admin.act(&path).await });
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    answer.await.unwrap().is(204);
    stop.await.unwrap().is(204);
    assert_eq!(review.stage_items(2, &t.as_admin()).await.len(), 7);
}

/// LC-CONC-01, LC-DEC-14
#[tokio::test]
async fn a_batch_that_waited_for_a_single_answer_overwrites_it_and_says_what_it_was() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    // Not there when the batch begins to look, and there when it comes to write.
    let blocker = &mut Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, 4).await;
    let answer = batch_in_background(&t.as_user("mia"), &review.instance_path(), "Approve");
    blocker.wait_until_blocked(1).await;
    blocker.execute("commit").await;

    answer.await.unwrap().is(204);

    assert_eq!(decided(&review, "Approve").await.len(), 7);
    let overwritten = t.events_of("Decision overwritten").await;
    assert_eq!(overwritten.len(), 1);
    assert_eq!((&overwritten[0]["item_seq"], &overwritten[0]["before"]["decision"]), (&json!(4), &json!("Deny")));
}

/// LC-CONC-01
#[tokio::test]
async fn a_single_answer_that_waited_for_a_batch_comes_after_it() {
    let t = Arc::new(Tenant::with_finance().await);
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    let items = review.items().await;
    let (early, late) = (items[1]["id"].as_str().unwrap().to_owned(), items[5]["id"].as_str().unwrap());
    assert_ne!(early, late);
    // The batch has written the second item and waits for the sixth.
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, 6).await;
    let answer = batch_in_background(&t.as_user("mia"), &review.instance_path(), "Approve");
    blocker.wait_until_blocked(1).await;
    let path = format!("{}/decisions/{early}", review.instance_path());
    let noor = t.as_user("noor");
    let single = tokio::spawn(async move { noor.patch(&path, &json!({ "decision": "Deny" })).await });
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    answer.await.unwrap().is(204);
    single.await.unwrap().is(204);

    assert_eq!(decided(&review, "Deny").await.len(), 1);
    assert_eq!(decided(&review, "Approve").await.len(), 6);
    let events = t.events_of("Deny decision").await;
    assert_eq!(events[0]["before"]["decision"], "Approve");
    assert_eq!(events[0]["before"]["reviewedBy"], object_id("mia"));
}

/// Both write in the order of the items, so neither holds what the other needs first.
#[tokio::test]
async fn two_batches_over_the_same_items_come_one_after_the_other() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, 5).await;
    let one = batch_in_background(&t.as_user("mia"), &review.instance_path(), "Approve");
    blocker.wait_until_blocked(1).await;
    let other = batch_in_background(&t.as_user("noor"), &review.instance_path(), "Deny");
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    one.await.unwrap().is(204);
    other.await.unwrap().is(204);

    assert_eq!(decided(&review, "Deny").await.len(), 7);
    assert_eq!(t.events_of("Decision overwritten").await.len(), 7);
}

/// How many statements wrote decisions and events, by table and kind, since it was last asked.
async fn statements(t: &Tenant) -> Vec<Value> {
    let counted = t.database.rows(
        "select to_jsonb(s) as row from (select tab, op, count(*) as n from written group by 1, 2 order by 1, 2) s",
    );
    let counted = counted.await;
    t.database.execute("truncate written").await;
    counted
}

/// LC-DEC-09, LC-DEC-11, LC-DEC-13, LC-DEC-14: the whole is one statement, however much it is.
#[tokio::test]
async fn seven_hundred_items_take_as_many_statements_as_seven() {
    let mut seen = Vec::new();
    for size in [7, 700] {
        let mut company = Company::new();
        let names: Vec<_> = (0..size).map(|number| format!("member-{number}")).collect();
        for name in &names {
            company = company.with(json!({ "type": "user", "id": id_of(name), "displayName": name,
                "userPrincipalName": format!("{name}@acme.example"),
                "signInActivity": { "lastSignInDateTime": "2001-01-01T00:00:00Z" } }));
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let t = alone(&Company::finance()).await;
        company.group("finance", &names, &[]).import(&t).await;
        let review = t.review().setting("recommendationsEnabled", json!(true)).running().await;
        assert_eq!(review.items().await.len(), size);
        t.database
            .execute(
                "create table written (tab text, op text);
                 create function written() returns trigger language plpgsql security definer
                 as $$ begin insert into public.written values (tg_table_name, tg_op); return null; end $$;
                 create trigger written after insert or update or delete on decisions
                 for each statement execute function written();
                 create trigger written after insert or update or delete on events
                 for each statement execute function written();",
            )
            .await;
        let mia = t.as_user("mia");
        let mut counts = Vec::new();
        let step = async |decision: &str| {
            assert_eq!(decided(&review, decision).await.len(), size);
            statements(&t).await
        };

        mia.act(&format!("{}/acceptRecommendations", review.instance_path())).await.is(204);
        counts.push(step("Deny").await);
        batch(&mia, &review.instance_path(), "Approve").await.is(204);
        counts.push(step("Approve").await);
        batch(&mia, &review.instance_path(), "NotReviewed").await.is(204);
        counts.push(step("NotReviewed").await);
        batch(&mia, &review.instance_path(), "Deny").await.is(204);
        counts.push(step("Deny").await);
        t.as_admin().act(&format!("{}/resetDecisions", review.instance_path())).await.is(204);
        counts.push(step("NotReviewed").await);
        assert!(counts.iter().all(|statements| !statements.is_empty()), "{counts:?}");
        seen.push(counts);
    }
    assert_eq!(seen[0], seen[1]);
}
