//! DEC-LIST, DEC-MINE, DEC-GET, DEC-UPDATE and the same below a stage, over HTTP.

use serde_json::{Value, json};

use crate::support::{Answer, Client, GUEST, Review, Tenant, id_of, manager, object_id, redacted, stage, user};

const EVERYBODY: &[&str] = &["ana", "ben", "cleo", "eve", "fay", "dan", GUEST];

async fn two_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[stage(1, 3, &[manager()], &[user("sam")], &[]), stage(2, 3, &[user("olga")], &[], &[])])
        .running()
        .await
}

async fn item_path(review: &Review, principal: &str) -> String {
    format!("{}/decisions/{}", review.instance_path(), review.item_id(principal).await)
}

async fn stage_item_path(review: &Review, number: usize, principal: &str) -> String {
    format!("{}/decisions/{}", review.stage_path(number).await, review.item_id(principal).await)
}

async fn decide(client: &Client, path: &str, decision: &str, justification: Value) -> Answer {
    client.patch(path, &json!({ "decision": decision, "justification": justification })).await
}

/// Of whom the items of a list are, sorted.
fn principals(answer: &Answer) -> Vec<String> {
    Review::principals(answer.rows(), EVERYBODY)
}

/// LC-DEC-01
#[tokio::test]
async fn an_item_nobody_reviewed_shows_nobody_as_its_reviewer() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;

    let answer = t.as_admin().get(&item_path(&review, "ana").await).await.is(200);

    insta::assert_json_snapshot!("item_not_reviewed", redacted(&answer.body));
}

/// LC-DEC-03
#[tokio::test]
async fn a_recorded_decision_names_its_reviewer_and_moment() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = item_path(&review, "ana").await;

    let answer = decide(&t.as_user("mia"), &path, "Deny", json!("left the team")).await.is(204);

    assert_eq!(answer.body, Value::Null);
    let item = t.as_admin().get(&path).await.ok();
    insta::assert_json_snapshot!("item_denied", redacted(&item.body));
    let stage_item = t.as_admin().get(&stage_item_path(&review, 1, "ana").await).await.ok();
    insta::assert_json_snapshot!("stage_item_denied", redacted(&stage_item.body));
}

#[tokio::test]
async fn groups_and_guests_are_shown_as_what_they_are() {
    let t = Tenant::with_finance().await;
    let direct = t.review().scope(&format!("/groups/{}/members", id_of("finance"))).running().await;
    let nested = t.review().running().await;

    insta::assert_json_snapshot!("item_of_a_group", redacted(&direct.item("contractors").await));
    insta::assert_json_snapshot!("item_of_a_guest", redacted(&nested.item(GUEST).await));
}

/// LC-STAGE-40, LC-INST-12
#[tokio::test]
async fn items_are_listed_the_same_as_they_are_read() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    for path in [review.instance_path(), review.stage_path(1).await] {
        let listed = t.as_admin().get(&format!("{path}/decisions")).await.is(200);

        assert_eq!(principals(&listed), ["ana", "ben", "cleo", "dan", "eve", "fay", GUEST]);
        let members: Vec<_> = listed.body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["@odata.context", "value"]);
        assert!(listed.text("@odata.context").ends_with("')/decisions"), "{}", listed.text("@odata.context"));
        for row in listed.rows() {
            let mut alone =
                t.as_admin().get(&format!("{path}/decisions/{}", row["id"].as_str().unwrap())).await.ok().body;
            let context = listed.text("@odata.context") + "/$entity";
            assert_eq!(alone["@odata.context"], context);
            alone.as_object_mut().unwrap().shift_remove("@odata.context");
            assert_eq!(&alone, row);
        }
    }
}

/// LC-AUTH-04, LC-REV-04
#[tokio::test]
async fn my_items_are_those_i_review() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    for path in [review.instance_path(), review.stage_path(1).await] {
        let path = format!("{path}/decisions/filterByCurrentUser(on='reviewer')");
        let mine = t.as_user("mia").get(&path).await.is(200);

        assert_eq!(principals(&mine), ["ana", "ben", "cleo", "eve"]);
        let context = "https://reviews.example/v1.0/$metadata#Collection(accessReviewInstanceDecisionItem)";
        assert_eq!(mine.text("@odata.context"), context);
        assert_eq!(principals(&t.as_user("noor").get(&path).await.is(200)), ["dan"]);
        assert_eq!(principals(&t.as_user("sam").get(&path).await.is(200)), ["fay", GUEST]);
        assert_eq!(t.as_admin().get(&path).await.is(200).rows().len(), 0);
        assert_eq!(t.as_application().get(&path).await.is(200).rows().len(), 0);
        t.as_user("zoe").get(&path).await.refused(404, "ResourceNotFound");
    }
}

/// LC-REV-01
#[tokio::test]
async fn in_a_self_review_everybody_finds_himself() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[]).running().await;
    let path = format!("{}/decisions/filterByCurrentUser(on='reviewer')", review.instance_path());

    assert_eq!(principals(&t.as_user("ana").get(&path).await.is(200)), ["ana"]);
    review.decide(&t.as_user("ana"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("ana"), "ben", "Approve").await.refused(404, "ResourceNotFound");
    assert_eq!(review.item("ben").await["decision"], "NotReviewed");
}

/// LC-STAGE-60
#[tokio::test]
async fn the_instance_path_writes_to_the_running_stage() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    decide(&t.as_user("mia"), &item_path(&review, "ana").await, "Deny", Value::Null).await.is(204);
    t.advance("P3D").await;

    decide(&t.as_user("olga"), &item_path(&review, "ana").await, "Approve", Value::Null).await.is(204);

    let shown = async |path: String| t.as_admin().get(&path).await.ok().body["decision"].clone();
    assert_eq!(shown(stage_item_path(&review, 1, "ana").await).await, "Deny");
    assert_eq!(shown(stage_item_path(&review, 2, "ana").await).await, "Approve");
    assert_eq!(shown(item_path(&review, "ana").await).await, "Approve");
}

/// LC-STAGE-60
#[tokio::test]
async fn the_stage_path_writes_to_its_stage_and_needs_it_open() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let first = stage_item_path(&review, 1, "ana").await;
    decide(&t.as_user("mia"), &first, "Deny", Value::Null).await.is(204);
    t.advance("P3D").await;
    let second = stage_item_path(&review, 2, "ana").await;

    let late = decide(&t.as_user("mia"), &first, "Approve", Value::Null).await.refused(400, "InvalidReviewState");
    decide(&t.as_user("mia"), &second, "Approve", Value::Null).await.refused(404, "ResourceNotFound");
    decide(&t.as_user("olga"), &second, "Approve", Value::Null).await.is(204);

    assert!(late.message().contains("Completed"), "{}", late.message());
    assert_eq!(t.as_admin().get(&first).await.ok().body["decision"], "Deny");
    assert_eq!(t.as_admin().get(&second).await.ok().body["decision"], "Approve");
}

/// LC-CONC-01, LC-DEC-14
#[tokio::test]
async fn the_last_answer_counts_and_each_one_before_stays_in_the_events() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    let path = item_path(&review, "ana").await;

    decide(&t.as_user("mia"), &path, "Approve", json!("needs it")).await.is(204);
    decide(&t.as_user("noor"), &path, "Deny", json!("left")).await.is(204);
    decide(&t.as_user("mia"), &path, "DontKnow", Value::Null).await.is(204);

    let item = t.as_admin().get(&path).await.ok();
    assert_eq!(item.body["decision"], "DontKnow");
    assert_eq!(item.body["justification"], "");
    assert_eq!(item.body["reviewedBy"]["id"], object_id("mia"));
    let events: Vec<Value> = t
        .events()
        .await
        .into_iter()
        .filter(|event| event["activity"].as_str().unwrap().ends_with(" decision"))
        .collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            [&event["activity"], &event["before"]["decision"], &event["after"]["decision"], &event["actor_id"]]
        })
        .collect();
    let (mia, noor) = (json!(object_id("mia")), json!(object_id("noor")));
    let [approve, deny, unsure] = ["Approve", "Deny", "DontKnow"].map(Value::from);
    assert_eq!(
        told,
        [
            [&json!("Approve decision"), &Value::Null, &approve, &mia],
            [&json!("Deny decision"), &approve, &deny, &noor],
            [&json!("Don't know decision"), &deny, &unsure, &mia],
        ]
    );
    assert_eq!(events[1]["before"]["justification"], "needs it");
    assert!(events.iter().all(|event| event["request_id"].is_string()), "{events:#?}");
}

/// LC-DEC-03, LC-STAGE-43
#[tokio::test]
async fn not_reviewed_withdraws_the_decision() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = item_path(&review, "ana").await;
    let untouched = t.as_admin().get(&path).await.ok().body;
    decide(&t.as_user("mia"), &path, "Approve", json!("needs it")).await.is(204);

    decide(&t.as_user("mia"), &path, "NotReviewed", json!("hasty")).await.is(204);

    assert_eq!(t.as_admin().get(&path).await.ok().body, untouched);
    assert_eq!(t.events_of("Reset decision").await.len(), 1);

    decide(&t.as_user("mia"), &path, "Deny", Value::Null).await.is(204);
    t.advance("P3D").await;
    decide(&t.as_user("olga"), &path, "Approve", Value::Null).await.is(204);
    decide(&t.as_user("olga"), &path, "NotReviewed", Value::Null).await.is(204);
    let item = t.as_admin().get(&path).await.ok();
    assert_eq!((&item.body["decision"], &item.body["reviewedBy"]["displayName"]), (&json!("Deny"), &json!("mia")));
}

/// LC-DEC-06
#[tokio::test]
async fn a_required_justification_is_asked_of_approve_and_deny_only() {
    let t = Tenant::with_finance().await;
    let review = t.review().setting("justificationRequiredOnApproval", json!(true)).running().await;
    let path = item_path(&review, "ana").await;
    let mia = t.as_user("mia");
    let before = t.events().await;

    for verdict in ["Approve", "Deny"] {
        for body in [
            json!({ "decision": verdict }),
            json!({ "decision": verdict, "justification": null }),
            json!({ "decision": verdict, "justification": "" }),
            json!({ "decision": verdict, "justification": " \t\n" }),
        ] {
            mia.patch(&path, &body).await.faults("justification");
        }
    }
    assert_eq!(t.events().await, before);
    assert_eq!(review.item("ana").await["decision"], "NotReviewed");

    for (verdict, justification) in
        [("DontKnow", ""), ("NotReviewed", ""), ("Approve", "needs it"), ("Deny", "no longer"), ("DontKnow", "")]
    {
        mia.patch(&path, &json!({ "decision": verdict, "justification": justification })).await.is(204);
        assert_eq!(review.item("ana").await["decision"], verdict);
    }
}

#[tokio::test]
async fn without_that_setting_no_justification_is_needed() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;

    t.as_user("mia").patch(&item_path(&review, "ana").await, &json!({ "decision": "Approve" })).await.is(204);

    assert_eq!(review.item("ana").await["justification"], "");
}

/// LC-DEC-05
#[tokio::test]
async fn at_the_end_an_answer_is_refused_even_if_the_timer_is_late() {
    let t = Tenant::with_finance().await;
    let single = t.review().setting("instanceDurationInDays", json!(3)).running().await;
    let staged = two_stages(&t).await;
    let before = t.events().await;
    t.advance_without_jobs("P3D").await;
    assert_eq!(single.status().await, "InProgress");

    for path in
        [item_path(&single, "ana").await, item_path(&staged, "ana").await, stage_item_path(&staged, 1, "ana").await]
    {
        decide(&t.as_user("mia"), &path, "Deny", Value::Null).await.refused(400, "InvalidReviewState");
    }

    assert_eq!(t.events().await, before);
    assert_eq!(single.item("ana").await["decision"], "NotReviewed");
}

/// LC-DEC-04
#[tokio::test]
async fn after_the_end_an_answer_is_refused() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    t.advance("P10D").await;

    let answer = review.decide(&t.as_user("mia"), "ana", "Deny").await.refused(400, "InvalidReviewState");

    assert!(answer.message().contains("Completed"), "{}", answer.message());
    assert_eq!(review.item("ana").await["decision"], "NotReviewed");
}

#[tokio::test]
async fn a_wrong_body_is_refused_by_the_path_of_its_fault() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    for path in [item_path(&review, "ana").await, stage_item_path(&review, 1, "ana").await] {
        for (body, fault) in [
            (json!({}), "decision"),
            (json!({ "decision": null }), "decision"),
            (json!({ "decision": "unknownFutureValue" }), "decision"),
            (json!({ "decision": "Maybe" }), "decision"),
            (json!({ "decision": 1 }), "decision"),
            (json!({ "decision": "Approve", "justification": 1 }), "justification"),
            (json!({ "decision": "Approve", "justification": "x".repeat(4_097) }), "justification"),
            (json!({ "decision": "Approve", "reason": "x" }), "reason"),
            (json!({ "decision": "Approve", "Justification": "x" }), "Justification"),
        ] {
            t.as_user("mia").patch(&path, &body).await.faults(fault);
        }
        let request = t.as_user("mia").request(reqwest::Method::PATCH, &path).body("decision=Approve");
        Answer::of(request.send().await.unwrap()).await.refused(415, "UnsupportedMediaType");
    }
    assert_eq!(t.events().await, before);
}

/// Section 10 of the model
#[tokio::test]
async fn a_decision_is_read_in_any_letter_case_and_answered_in_the_canonical_one() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;

    review.decide(&t.as_user("mia"), "ana", "dontknow").await.is(204);

    assert_eq!(review.item("ana").await["decision"], "DontKnow");
}

/// CL-20, section 5 of the design
#[tokio::test]
async fn the_whole_item_may_be_sent_back_with_another_decision() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    for (path, decision) in
        [(item_path(&review, "ana").await, "Approve"), (stage_item_path(&review, 1, "ana").await, "Deny")]
    {
        let mut item = t.as_user("mia").get(&path).await.ok().body;
        item["@odata.type"] = json!("#microsoft.graph.accessReviewInstanceDecisionItem");
        item["decision"] = json!(decision);
        item["justification"] = json!("because");

        t.as_user("mia").patch(&path, &item).await.is(204);

        assert_eq!(t.as_user("mia").get(&path).await.ok().body["decision"], decision);
    }
}

/// Section 5 of the design
#[tokio::test]
async fn a_read_only_member_that_differs_is_refused() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let path = item_path(&review, "ana").await;
    for (member, value) in [
        ("id", json!(review.item_id("ben").await)),
        ("accessReviewId", json!(object_id("finance"))),
        ("recommendation", json!("Deny")),
        ("applyResult", json!("AppliedSuccessfully")),
        ("reviewedBy", json!({ "id": object_id("mia") })),
        ("reviewedDateTime", json!("2026-01-01T00:00:00Z")),
        ("principal", json!({ "id": object_id("ben") })),
        ("principalLink", json!("https://elsewhere.example")),
        ("resource", json!({ "displayName": "Sales" })),
    ] {
        let body = json!({ "decision": "Approve", (member): value });
        t.as_user("mia").patch(&path, &body).await.faults(member);
    }
    assert_eq!(t.events().await, before);
    assert_eq!(review.item("ana").await["decision"], "NotReviewed");
}

/// LC-STAGE-50, LC-STAGE-51
#[tokio::test]
async fn a_later_reviewer_reads_earlier_decisions_only_with_histories() {
    let t = Tenant::with_finance().await;
    for (histories, seen) in [(false, 404), (true, 200)] {
        let review = t
            .review()
            .setting("decisionHistoriesForReviewersEnabled", json!(histories))
            .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("olga")], &[], &[])])
            .running()
            .await;
        review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
        let first = stage_item_path(&review, 1, "ana").await;
        t.advance("P3D").await;

        let answer = t.as_user("olga").get(&first).await;

        assert_eq!(answer.status, seen, "{:#}", answer.body);
        if histories {
            assert_eq!(answer.body["decision"], "Deny");
        }
        let shown = if histories { "Deny" } else { "NotReviewed" };
        let item = item_path(&review, "ana").await;
        assert_eq!(t.as_user("olga").get(&item).await.ok().body["decision"], shown);
        assert_eq!(t.as_admin().get(&item).await.ok().body["decision"], "Deny");
    }
}

/// LC-DEC-02
#[tokio::test]
async fn only_the_reviewer_of_that_very_item_decides_it_and_by_himself() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let dans = item_path(&review, "dan").await;
    let body = json!({ "decision": "Deny", "justification": "because" });

    t.as_user("mia").patch(&dans, &body).await.refused(404, "ResourceNotFound");
    t.as_user("dan").patch(&dans, &body).await.refused(404, "ResourceNotFound");
    for other in [t.as_admin(), t.as_application(), t.as_user_with_roles("rita", &["Global Administrator"])] {
        other.patch(&dans, &body).await.refused(403, "Forbidden");
    }
    assert_eq!(review.item("dan").await["decision"], "NotReviewed");
    assert_eq!(t.as_user("noor").patch(&dans, &body).await.is(204).body, Value::Null);
    assert_eq!(review.item("dan").await["decision"], "Deny");
}

/// LC-DEC-07
#[tokio::test]
async fn who_does_not_know_has_reviewed_so_no_default_comes_and_access_is_kept() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .setting("autoApplyDecisionsEnabled", json!(true))
        .running()
        .await;
    decide(&t.as_user("mia"), &item_path(&review, "ana").await, "DontKnow", json!("ask her team")).await.is(204);

    t.advance("P10D").await;

    assert_eq!(review.status().await, "Applied");
    let (ana, ben) = (review.item("ana").await, review.item("ben").await);
    assert_eq!((&ana["decision"], &ana["applyResult"]), (&json!("DontKnow"), &json!("New")));
    assert_eq!((&ana["reviewedBy"]["displayName"], &ana["justification"]), (&json!("mia"), &json!("ask her team")));
    assert_eq!((&ben["decision"], &ben["applyResult"]), (&json!("Deny"), &json!("AppliedSuccessfully")));
    let members = t.table("group_members").await;
    let is_member = |name: &str| {
        let (group, member) = (object_id("finance"), object_id(name));
        members.iter().any(|row| row["group_id"] == group.as_str() && row["member_id"] == member.as_str())
    };
    assert!(is_member("ana") && !is_member("ben"));
    let logged = t.events_of("Don't know decision").await;
    assert_eq!(logged.len(), 1);
    assert_eq!((&logged[0]["actor_name"], &logged[0]["after"]["decision"]), (&json!("mia"), &json!("DontKnow")));
}

/// LC-DEC-08
#[tokio::test]
async fn the_other_reviewers_of_an_item_read_its_justification() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia"), user("noor")], &[], &[]), stage(2, 3, &[user("olga")], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    let path = item_path(&review, "ana").await;
    decide(&t.as_user("mia"), &path, "Deny", json!("left the team")).await.is(204);

    let noor = t.as_user("noor");
    for item in [
        noor.get(&path).await.is(200).body,
        noor.get(&stage_item_path(&review, 1, "ana").await).await.is(200).body,
        review.item_for(&noor, "ana").await,
        review.stage_item_for(1, &noor, "ana").await,
    ] {
        assert_eq!((&item["decision"], &item["justification"]), (&json!("Deny"), &json!("left the team")));
        assert_eq!(item["reviewedBy"]["displayName"], "mia");
    }
}

/// LC-DEC-04, LC-STAGE-60: whoever reviewed the item sees it, so it is the state that refuses him, not its absence.
#[tokio::test]
async fn an_item_that_stayed_behind_is_refused_for_the_state_once_the_review_is_over() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &["Approve"]), stage(2, 3, &[user("olga")], &[], &[])])
        .running()
        .await;
    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    let path = item_path(&review, "ana").await;

    t.advance("P3D").await;

    assert_eq!(review.stage_statuses().await, ["Completed", "Completed"], "nothing moved");
    t.as_user("mia").get(&path).await.ok();
    decide(&t.as_user("mia"), &path, "Approve", json!("because")).await.refused(400, "InvalidReviewState");
    decide(&t.as_user("olga"), &path, "Approve", json!("because")).await.is(404);
}
