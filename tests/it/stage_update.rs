//! Updating a stage over HTTP: PATCH `…/stages/{id}`.

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Company, Review, Tenant, group_members, group_owners, id_of, mailed, manager, stage, user,
};

const EVERYBODY: [&str; 7] = ["Gus (guest)", "ana", "ben", "cleo", "dan", "eve", "fay"];

/// Mia decides in stage 1 with Sam behind her, Noor in stage 2.
async fn two_stages(t: &Tenant) -> Review {
    let stages = [stage(1, 3, &[user("mia")], &[user("sam")], &[]), stage(2, 4, &[user("noor")], &[user("tom")], &[])];
    t.review().stages(&stages).running().await
}

/// The same with mail switched on.
async fn two_stages_with_mail(t: &Tenant, first: &[Value], fallbacks: &[Value]) -> Review {
    let stages = [stage(1, 3, first, fallbacks, &[]), stage(2, 4, &[user("noor")], &[], &[])];
    let review = t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true)).running().await;
    t.run_jobs().await;
    review
}

async fn update(t: &Tenant, review: &Review, body: &Value) -> Answer {
    t.as_admin().patch(&review.stage_path(1).await, body).await
}

/// Asserts that an update is refused so and changes nothing at all, events included.
async fn refused(t: &Tenant, review: &Review, body: Value, status: u16, code: &str) -> Answer {
    let before = t.stored().await;
    let answer = update(t, review, &body).await.refused(status, code);
    assert_eq!(t.stored().await, before, "a refused update left something behind");
    answer
}

fn queries(scopes: &Value) -> Vec<&str> {
    scopes.as_array().unwrap().iter().map(|scope| scope["query"].as_str().unwrap()).collect()
}

fn query(scope: &Value) -> String {
    scope["query"].as_str().unwrap().to_owned()
}

/// LC-SUPD-01
#[tokio::test]
async fn a_read_only_member_that_differs_is_refused_with_its_path() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    for (member, value) in [
        ("id", json!(id_of("another stage"))),
        ("id", json!("no id")),
        ("status", json!("Completed")),
        ("startDateTime", json!("2020-01-01T00:00:00Z")),
        ("endDateTime", json!("2099-01-01T00:00:00Z")),
        ("decisions", json!([])),
    ] {
        let body = json!({ "reviewers": [user("noor")], member: value });
        let answer = refused(&t, &review, body, 400, "BadRequest").await;
        assert_eq!(answer.body["error"]["details"][0]["target"], member, "{:#}", answer.body);
    }
}

/// LC-SUPD-01
#[tokio::test]
async fn a_member_that_no_stage_has_or_that_is_misspelt_is_refused_with_its_path() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    for member in ["durationInDays", "fallbackReviewer", "Reviewers", "recommendationsEnabled"] {
        let body = json!({ "reviewers": [user("noor")], member: [user("tom")] });
        let answer = refused(&t, &review, body, 400, "BadRequest").await;
        assert_eq!(answer.body["error"]["details"][0]["target"], member, "{:#}", answer.body);
    }
    let body = json!({ "reviewers": [{ "query": user("noor")["query"], "queryTyp": "MicrosoftGraph" }] });
    let answer = refused(&t, &review, body, 400, "BadRequest").await;
    assert_eq!(answer.body["error"]["details"][0]["target"], "reviewers[0].queryTyp", "{:#}", answer.body);
}

/// LC-SUPD-01, CL-20
#[tokio::test]
async fn the_whole_stage_sent_back_as_an_sdk_does_is_accepted_and_needs_no_entity_tag() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = review.stage_path(1).await;
    let mut body = t.as_admin().get(&path).await.ok().body;
    body["@odata.type"] = json!("#microsoft.graph.accessReviewStage");
    body["reviewers"] = json!([user("mia"), user("noor")]);

    let answer = t.as_admin().patch(&path, &body).await.is(200);

    assert_eq!(queries(&answer.body["reviewers"]), [query(&user("mia")), query(&user("noor"))]);
    assert_eq!(queries(&answer.body["fallbackReviewers"]), [query(&user("sam"))]);
}

/// LC-SUPD-02
#[tokio::test]
async fn a_stage_that_has_not_started_or_runs_can_be_updated() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[user("sam")], &[]), stage(2, 4, &[user("noor")], &[], &[])];
    let review = t.review().stages(&stages).create().await;
    assert_eq!(review.stage_statuses().await, ["NotStarted"]);
    update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);

    t.force_stage_status(1, "Initializing").await;
    update(&t, &review, &json!({ "reviewers": [user("olga")] })).await.is(200);

    t.force_stage_status(1, "NotStarted").await;
    t.run_jobs().await;
    assert_eq!(review.stage_statuses().await, ["InProgress"]);
    update(&t, &review, &json!({ "reviewers": [user("pete")] })).await.is(200);
}

/// LC-SUPD-02
#[tokio::test]
async fn a_stage_in_any_other_status_refuses_and_names_the_statuses_that_would_do() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    for status in ["Starting", "Completing", "AutoReviewing", "Completed", "AutoReviewed"] {
        t.force_stage_status(1, status).await;
        let answer = refused(&t, &review, json!({ "reviewers": [user("noor")] }), 400, "InvalidReviewState").await;
        for named in [status, "NotStarted", "Initializing", "InProgress"] {
            assert!(answer.message().contains(named), "{named} is missing: {}", answer.message());
        }
    }
}

/// LC-SUPD-02
#[tokio::test]
async fn a_stage_that_was_stopped_or_auto_reviewed_can_no_longer_be_updated() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[user("sam")], &[]), stage(2, 4, &[user("noor")], &[], &[])];
    let builder = t.review().stages(&stages).setting("defaultDecisionEnabled", json!(true));
    let review = builder.setting("defaultDecision", json!("Deny")).running().await;
    t.as_admin().act(&format!("{}/stop", review.stage_path(1).await)).await.is(204);
    refused(&t, &review, json!({ "reviewers": [user("noor")] }), 400, "InvalidReviewState").await;

    t.as_admin().act(&format!("{}/stop", review.stage_path(2).await)).await.is(204);
    assert_eq!(review.stage_statuses().await, ["Completed", "AutoReviewed"]);
    let last = review.stage_path(2).await;
    let answer = t.as_admin().patch(&last, &json!({ "reviewers": [user("mia")] })).await;
    answer.refused(400, "InvalidReviewState");
}

/// LC-SUPD-03
#[tokio::test]
async fn success_is_200_with_the_whole_updated_stage() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = review.stage_path(1).await;
    let before = t.as_admin().get(&path).await.ok().body;

    let answer = update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);

    let mut expected = before;
    expected["reviewers"][0]["query"] = user("noor")["query"].clone();
    assert_ne!(answer.body["@odata.etag"], expected["@odata.etag"]);
    expected["@odata.etag"] = answer.body["@odata.etag"].clone();
    assert_eq!(answer.body, expected);
    assert_eq!(t.as_admin().get(&path).await.ok().body, expected);
}

/// LC-SUPD-04
#[tokio::test]
async fn a_list_left_out_stays_as_it_is_and_a_list_present_replaces() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    let answer = update(&t, &review, &json!({ "fallbackReviewers": [user("sam"), user("tom")] })).await.is(200);
    assert_eq!(queries(&answer.body["reviewers"]), [query(&user("mia"))]);
    assert_eq!(queries(&answer.body["fallbackReviewers"]), [query(&user("sam")), query(&user("tom"))]);

    let answer = update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);
    assert_eq!(queries(&answer.body["reviewers"]), [query(&user("noor"))]);
    assert_eq!(queries(&answer.body["fallbackReviewers"]), [query(&user("sam")), query(&user("tom"))]);

    let before = t.stored().await;
    update(&t, &review, &json!({})).await.is(200);
    assert_eq!(t.stored().await, before);
}

/// LC-SUPD-05
#[tokio::test]
async fn reviewers_may_gain_and_lose_entries_in_one_update() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    update(&t, &review, &json!({ "reviewers": [user("mia"), user("olga")] })).await.is(200);

    let answer = update(&t, &review, &json!({ "reviewers": [user("olga"), user("noor")] })).await.is(200);

    assert_eq!(queries(&answer.body["reviewers"]), [query(&user("olga")), query(&user("noor"))]);
}

/// LC-SUPD-06
#[tokio::test]
async fn leaving_out_a_fallback_reviewer_is_409_and_not_even_a_valid_change_of_reviewers_is_applied() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    let body = json!({ "reviewers": [user("noor")], "fallbackReviewers": [user("tom")] });
    let answer = refused(&t, &review, body, 409, "Conflict").await;

    assert!(answer.message().contains("fallbackReviewers"), "{}", answer.message());
    assert!(answer.message().contains(&query(&user("sam"))), "{}", answer.message());
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, EVERYBODY);
    assert_eq!(review.found_in_stage(1, &t.as_user("noor")).await, [""; 0]);
}

/// LC-SUPD-06
#[tokio::test]
async fn a_fallback_list_also_may_not_shrink_before_the_stage_starts() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[user("sam")], &[])];
    let review = t.review().stages(&stages).create().await;

    refused(&t, &review, json!({ "fallbackReviewers": [user("tom")] }), 409, "Conflict").await;
}

/// LC-SUPD-07
#[tokio::test]
async fn a_fallback_reviewer_in_another_spelling_is_the_same_one() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let sam = id_of("sam").to_string();

    for (query, query_type, query_root) in [
        (format!("/v1.0/users/{sam}"), json!("MicrosoftGraph"), Value::Null),
        (format!("/beta/users/{sam}/"), json!("microsoftgraph"), Value::Null),
        (format!("/users/{}", sam.to_uppercase()), Value::Null, json!("")),
    ] {
        let mut scope = json!({ "query": query });
        if !query_type.is_null() {
            scope["queryType"] = query_type;
        }
        scope["queryRoot"] = query_root;
        update(&t, &review, &json!({ "fallbackReviewers": [user("tom"), scope, user("tom")] })).await.is(200);
    }
    let stage = t.as_admin().get(&review.stage_path(1).await).await.ok().body;
    assert_eq!(stage["fallbackReviewers"].as_array().unwrap().len(), 2, "{stage:#}");
}

/// LC-SUPD-08
#[tokio::test]
async fn an_empty_fallback_list_or_null_removes_and_is_409() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    refused(&t, &review, json!({ "fallbackReviewers": [] }), 409, "Conflict").await;
    refused(&t, &review, json!({ "fallbackReviewers": null }), 409, "Conflict").await;
}

/// LC-SUPD-08
#[tokio::test]
async fn an_equal_fallback_list_or_an_empty_one_where_none_exist_is_no_removal() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.stored().await;
    update(&t, &review, &json!({ "fallbackReviewers": [user("sam")] })).await.is(200);
    assert_eq!(t.stored().await, before, "nothing differs, so nothing is written");

    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    update(&t, &review, &json!({ "fallbackReviewers": [] })).await.is(200);
    update(&t, &review, &json!({ "fallbackReviewers": null })).await.is(200);
}

/// LC-SUPD-09
#[tokio::test]
async fn an_empty_reviewer_list_makes_a_self_review_only_before_the_stage_starts() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).create().await;
    let answer = update(&t, &review, &json!({ "reviewers": [] })).await.is(200);
    assert_eq!(answer.body["reviewers"], json!([]));
    t.run_jobs().await;
    assert_eq!(review.found_in_stage(1, &t.as_user("ana")).await, ["ana"]);
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, [""; 0]);

    let review = two_stages(&t).await;
    let answer = refused(&t, &review, json!({ "reviewers": [] }), 400, "BadRequest").await;
    assert_eq!(answer.body["error"]["details"][0]["target"], "reviewers");
    refused(&t, &review, json!({ "reviewers": null }), 400, "BadRequest").await;
}

/// LC-SUPD-10
#[tokio::test]
async fn a_running_stage_takes_every_kind_of_reviewer() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    for (reviewers, who, found) in [
        (json!([group_members("auditors")]), "tom", EVERYBODY.to_vec()),
        (json!([group_owners("finance")]), "olga", EVERYBODY.to_vec()),
        (json!([manager()]), "mia", vec!["ana", "ben", "cleo", "eve"]),
        (json!([manager(), user("pete")]), "pete", EVERYBODY.to_vec()),
    ] {
        update(&t, &review, &json!({ "reviewers": reviewers })).await.is(200);
        assert_eq!(review.found_in_stage(1, &t.as_user(who)).await, found, "{reviewers}");
    }
}

/// LC-SUPD-11, LC-SUPD-31
#[tokio::test]
async fn only_this_stage_changes() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let admin = t.as_admin();
    let definition = admin.get(&review.path()).await.ok().body;
    let instance = admin.get(&review.instance_path()).await.ok().body;
    let planned = t.table("planned_stages").await;

    update(&t, &review, &json!({ "reviewers": [user("olga")], "fallbackReviewers": [user("sam"), user("pete")] }))
        .await
        .is(200);

    assert_eq!(admin.get(&review.path()).await.ok().body, definition);
    assert_eq!(admin.get(&review.instance_path()).await.ok().body, instance);
    let informational = format!("/v1.0{}", query(&user("mia")));
    assert_eq!(queries(&instance["reviewers"]), [informational], "the definition's values");
    assert_eq!(t.table("planned_stages").await, planned);
    t.advance("P3D").await;
    let stages = review.stages().await;
    assert_eq!(queries(&stages[1]["reviewers"]), [query(&user("noor"))]);
    assert_eq!(queries(&stages[1]["fallbackReviewers"]), [query(&user("tom"))]);
    assert_eq!(queries(&stages[0]["reviewers"]), [query(&user("olga"))]);
}

/// LC-SUPD-11
#[tokio::test]
async fn an_update_of_the_second_stage_leaves_the_first_one_alone() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    t.advance("P3D").await;
    let first = t.as_admin().get(&review.stage_path(1).await).await.ok().body;

    let body = json!({ "reviewers": [user("olga")] });
    t.as_admin().patch(&review.stage_path(2).await, &body).await.is(200);

    assert_eq!(t.as_admin().get(&review.stage_path(1).await).await.ok().body, first);
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, EVERYBODY);
    assert_eq!(review.found_in_stage(2, &t.as_user("olga")).await, EVERYBODY);
    assert_eq!(review.found_in_stage(2, &t.as_user("noor")).await, [""; 0]);
}

/// LC-SUPD-12
#[tokio::test]
async fn a_scope_that_cannot_be_read_is_refused_with_its_path() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    for (scope, path) in [
        (json!({ "query": "/users/not-a-guid" }), "query"),
        (json!({ "query": "/devices" }), "query"),
        (json!({ "query": "./manager", "queryType": "MicrosoftGraph" }), "queryRoot"),
        (json!({ "query": user("noor")["query"], "queryType": "SPARQL" }), "queryType"),
        (json!({ "queryType": "MicrosoftGraph" }), "query"),
    ] {
        let body = json!({ "reviewers": [user("olga"), scope], "fallbackReviewers": [user("sam"), user("tom")] });
        let before = t.stored().await;
        let answer = update(&t, &review, &body).await.is(400);
        assert_eq!(answer.body["error"]["details"][0]["target"], format!("reviewers[1].{path}"), "{:#}", answer.body);
        assert_eq!(t.stored().await, before);
    }
    for list in [json!("mia"), json!([1]), json!({})] {
        refused(&t, &review, json!({ "reviewers": list }), 400, "BadRequest").await;
    }
}

/// LC-SUPD-12
#[tokio::test]
async fn a_scope_that_names_a_missing_object_is_refused_with_its_path() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    for scope in [user("nobody"), group_members("no group"), group_owners("no group")] {
        let body = json!({ "fallbackReviewers": [user("sam"), scope] });
        let answer = refused(&t, &review, body, 400, "BadRequest").await;
        assert_eq!(answer.body["error"]["details"][0]["target"], "fallbackReviewers[1].query", "{:#}", answer.body);
    }
}

/// LC-SUPD-13
#[tokio::test]
async fn at_the_end_of_the_stage_an_update_is_refused_also_before_the_timer_ran() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    t.advance_without_jobs("P3D").await;
    assert_eq!(review.stage_statuses().await, ["InProgress"]);

    let answer = refused(&t, &review, json!({ "reviewers": [user("noor")] }), 400, "InvalidReviewState").await;

    let ends_at = t.as_admin().get(&review.stage_path(1).await).await.ok().text("endDateTime");
    assert!(answer.message().contains(&ends_at[..19]), "{} does not tell {ends_at}", answer.message());
}

/// LC-SUPD-20
#[tokio::test]
async fn the_new_reviewers_may_see_and_decide_at_once_and_the_removed_may_not() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let (mia, noor) = (t.as_user("mia"), t.as_user("noor"));

    update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);

    assert_eq!(review.found_in_stage(1, &noor).await, EVERYBODY);
    assert_eq!(review.found_by(&noor).await, EVERYBODY);
    review.decide_in_stage(1, &noor, "ana", "Approve").await.is(204);
    assert_eq!(review.found_in_stage(1, &mia).await, [""; 0]);
    review.decide(&mia, "ana", "Deny").await.refused(404, "ResourceNotFound");
    review.decide_in_stage(1, &mia, "ana", "Deny").await.refused(404, "ResourceNotFound");
    mia.get(&review.instance_path()).await.refused(404, "ResourceNotFound");
    assert_eq!(review.item("ana").await["decision"], "Approve");
}

/// LC-SUPD-20, LC-AUTH-04
#[tokio::test]
async fn a_removed_reviewer_who_still_sees_the_item_is_forbidden_to_decide() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 4, &[user("mia")], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    t.advance("P3D").await;

    t.as_admin().patch(&review.stage_path(2).await, &json!({ "reviewers": [user("noor")] })).await.is(200);

    review.decide(&t.as_user("mia"), "ana", "Deny").await.refused(403, "Forbidden");
    review.decide_in_stage(2, &t.as_user("mia"), "ana", "Deny").await.refused(404, "ResourceNotFound");
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, EVERYBODY);
}

/// LC-SUPD-21
#[tokio::test]
async fn decisions_of_a_removed_reviewer_stay_until_somebody_overrides_them() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Approve").await.is(204);

    update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);
    review.decide(&t.as_user("noor"), "ben", "Deny").await.is(204);

    let ana = review.stage_item_for(1, &t.as_user("noor"), "ana").await;
    assert_eq!((&ana["decision"], &ana["reviewedBy"]["displayName"]), (&json!("Approve"), &json!("mia")));
    let ben = review.item("ben").await;
    assert_eq!((&ben["decision"], &ben["reviewedBy"]["displayName"]), (&json!("Deny"), &json!("noor")));
}

/// LC-SUPD-22, N-3
#[tokio::test]
async fn newcomers_get_mail_once_and_re_adding_somebody_sends_nothing() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages_with_mail(&t, &[user("mia")], &[user("sam")]).await;
    assert_eq!(mailed(&sink), ["mia"]);

    update(&t, &review, &json!({ "reviewers": [user("mia"), user("noor")] })).await.is(200);
    t.run_jobs().await;
    assert_eq!(mailed(&sink), ["mia", "noor"]);

    update(&t, &review, &json!({ "reviewers": [user("olga")] })).await.is(200);
    update(&t, &review, &json!({ "reviewers": [user("noor"), user("mia"), user("olga")] })).await.is(200);
    t.run_jobs().await;
    assert_eq!(mailed(&sink), ["mia", "noor", "olga"]);
}

/// LC-SUPD-22
#[tokio::test]
async fn the_same_person_is_told_again_in_the_next_stage() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages_with_mail(&t, &[user("mia")], &[]).await;
    update(&t, &review, &json!({ "reviewers": [user("mia"), user("noor")] })).await.is(200);

    t.advance("P3D").await;

    assert_eq!(mailed(&sink), ["mia", "noor", "noor"]);
}

/// LC-SUPD-22, LC-REV-12
#[tokio::test]
async fn a_newcomer_is_recorded_as_contacted_with_the_current_time_also_when_mail_is_off() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages(&t).await;
    t.advance("P1D").await;
    let now = t.now().await;

    update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);
    t.run_jobs().await;

    assert_eq!(mailed(&sink), [""; 0]);
    let rows = t.table("contacted_reviewers").await;
    let noor = rows.iter().find(|row| row["reviewer_id"] == json!(id_of("noor"))).unwrap();
    let at: chrono::DateTime<chrono::Utc> = noor["contacted_at"].as_str().unwrap().parse().unwrap();
    assert!(at >= now && at - now < chrono::TimeDelta::minutes(5), "{at} is not {now}");
}

/// LC-SUPD-23
#[tokio::test]
async fn the_removed_stay_among_the_contacted_and_are_not_told() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages_with_mail(&t, &[user("mia")], &[]).await;
    sink.clear();

    update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);
    t.run_jobs().await;

    assert_eq!(mailed(&sink), ["noor"]);
    assert_eq!(t.contacted(1).await, ["mia", "noor"]);
}

/// LC-NOTE-07, G-25
#[tokio::test]
async fn somebody_removed_before_his_mail_went_out_gets_none() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages_with_mail(&t, &[user("mia")], &[]).await;
    update(&t, &review, &json!({ "reviewers": [user("mia"), user("noor")] })).await.is(200);

    update(&t, &review, &json!({ "reviewers": [user("mia")] })).await.is(200);
    t.run_jobs().await;

    assert_eq!(mailed(&sink), ["mia"]);
}

/// LC-SUPD-24
#[tokio::test]
async fn a_new_fallback_reviewer_gets_only_the_items_without_a_primary_reviewer() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages_with_mail(&t, &[manager()], &[user("sam")]).await;
    assert_eq!(mailed(&sink), ["mia", "noor", "sam"]);

    update(&t, &review, &json!({ "fallbackReviewers": [user("sam"), user("tom")] })).await.is(200);
    t.run_jobs().await;

    assert_eq!(review.found_in_stage(1, &t.as_user("tom")).await, ["Gus (guest)", "fay"]);
    assert_eq!(review.found_in_stage(1, &t.as_user("sam")).await, ["Gus (guest)", "fay"]);
    review.decide(&t.as_user("tom"), "fay", "Approve").await.is(204);
    review.decide(&t.as_user("tom"), "ana", "Approve").await.refused(404, "ResourceNotFound");
    assert_eq!(mailed(&sink), ["mia", "noor", "sam", "tom"]);
}

/// LC-SUPD-24
#[tokio::test]
async fn a_new_fallback_reviewer_of_a_fully_assigned_stage_gets_neither_items_nor_mail() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = two_stages_with_mail(&t, &[user("mia")], &[]).await;

    update(&t, &review, &json!({ "fallbackReviewers": [user("tom")] })).await.is(200);
    t.run_jobs().await;

    assert_eq!(review.found_in_stage(1, &t.as_user("tom")).await, [""; 0]);
    assert_eq!(mailed(&sink), ["mia"]);
    assert_eq!(t.contacted(1).await, ["mia"]);
}

/// LC-SUPD-25
#[tokio::test]
async fn primary_reviewers_take_items_back_from_the_fallback_and_recorded_decisions_stay() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[manager()], &[user("sam")], &[])];
    let review = t.review().stages(&stages).running().await;
    let sam = t.as_user("sam");
    review.decide(&sam, "fay", "Approve").await.is(204);

    update(&t, &review, &json!({ "reviewers": [manager(), user("olga")] })).await.is(200);

    assert_eq!(review.found_in_stage(1, &sam).await, [""; 0]);
    review.decide(&sam, "fay", "Deny").await.refused(404, "ResourceNotFound");
    let fay = review.stage_item_for(1, &t.as_user("olga"), "fay").await;
    assert_eq!((&fay["decision"], &fay["reviewedBy"]["displayName"]), (&json!("Approve"), &json!("sam")));
}

/// LC-SUPD-25
#[tokio::test]
async fn items_that_lose_their_primary_reviewers_go_to_the_fallback() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    assert_eq!(review.found_in_stage(1, &t.as_user("sam")).await, [""; 0]);

    update(&t, &review, &json!({ "reviewers": [manager()] })).await.is(200);

    assert_eq!(review.found_in_stage(1, &t.as_user("sam")).await, ["Gus (guest)", "fay"]);
}

/// LC-SUPD-26
#[tokio::test]
async fn an_update_before_the_start_is_stored_sends_nothing_and_counts_when_the_stage_opens() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let stages = [stage(1, 3, &[user("mia")], &[user("sam")], &[])];
    let builder = t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true));
    let review = builder.starting_in(t.now().await, 5).create().await;
    t.run_jobs().await;
    assert_eq!(review.status().await, "NotStarted");

    update(&t, &review, &json!({ "reviewers": [manager()], "fallbackReviewers": [user("sam"), user("tom")] }))
        .await
        .is(200);
    t.run_jobs().await;
    assert_eq!(mailed(&sink), [""; 0]);
    assert_eq!(t.contacted(1).await, [""; 0]);
    assert_eq!(t.table("stage_reviewers").await, [Value::Null; 0]);

    t.advance("P5D").await;
    assert_eq!(mailed(&sink), ["mia", "noor", "sam", "tom"]);
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, ["ana", "ben", "cleo", "eve"]);
    assert_eq!(review.found_in_stage(1, &t.as_user("tom")).await, ["Gus (guest)", "fay"]);
}

/// LC-SUPD-26
#[tokio::test]
async fn an_update_while_principals_are_gathered_counts_when_the_stage_opens() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).create().await;
    t.force_stage_status(1, "Initializing").await;
    t.database.execute(&format!("update instances set status = 'Initializing' where tenant_id = '{}'", t.id)).await;

    update(&t, &review, &json!({ "reviewers": [user("noor")] })).await.is(200);
    t.run_jobs().await;

    assert_eq!(review.found_in_stage(1, &t.as_user("noor")).await, EVERYBODY);
    assert_eq!(review.found_in_stage(1, &t.as_user("mia")).await, [""; 0]);
}

/// LC-SUPD-27
#[tokio::test]
async fn the_change_is_recorded_with_the_lists_before_and_after() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    update(&t, &review, &json!({ "reviewers": [user("noor")], "fallbackReviewers": [user("sam"), user("tom")] }))
        .await
        .is(200);

    let events = t.events_of("Reviewers changed").await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["stage_id"], review.stages().await[0]["id"]);
    assert_eq!((&event["actor_kind"], &event["actor_id"]), (&json!("user"), &json!(id_of("carla"))));
    let (mia, noor, sam, tom) = (query(&user("mia")), query(&user("noor")), query(&user("sam")), query(&user("tom")));
    assert_eq!(event["before"], json!({ "reviewers": [mia], "fallbackReviewers": [sam] }));
    assert_eq!(event["after"], json!({ "reviewers": [noor], "fallbackReviewers": [sam, tom] }));
}

/// LC-SUPD-30, LC-STAGE-03
#[tokio::test]
async fn a_stage_to_come_cannot_be_updated_before_it_exists() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = format!("{}/stages/{}", review.instance_path(), id_of("stage two"));

    t.as_admin().patch(&path, &json!({ "reviewers": [user("mia")] })).await.refused(404, "ResourceNotFound");
    assert_eq!(review.stages().await.len(), 1);

    t.advance("P3D").await;
    t.as_admin().patch(&review.stage_path(2).await, &json!({ "reviewers": [user("mia")] })).await.is(200);
}

/// LC-SUPD-30, LC-DEF-22
#[tokio::test]
async fn a_stage_to_come_is_made_as_the_definition_was_when_its_instance_began() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let ends = t.as_admin().get(&review.instance_path()).await.ok().body["endDateTime"].clone();
    let mut second = stage(2, 1, &[user("olga")], &[user("pete")], &[]);
    second["recommendationsEnabled"] = json!(true);
    let changed = [stage(1, 2, &[user("olga")], &[user("pete")], &["Approve"]), second];

    t.as_admin().patch(&review.path(), &json!({ "stageSettings": changed })).await.is(204);

    let first = t.as_admin().get(&review.stage_path(1).await).await.ok().body;
    assert_eq!(queries(&first["reviewers"]), [query(&user("mia"))]);
    assert_eq!(queries(&first["fallbackReviewers"]), [query(&user("sam"))]);
    t.advance("P3D").await;
    let second = t.as_admin().get(&review.stage_path(2).await).await.ok().body;
    assert_eq!(queries(&second["reviewers"]), [query(&user("noor"))]);
    assert_eq!(queries(&second["fallbackReviewers"]), [query(&user("tom"))]);
    assert_eq!((&second["startDateTime"], &second["endDateTime"]), (&first["endDateTime"], &ends));
    assert_eq!(review.found_in_stage(2, &t.as_user("noor")).await, EVERYBODY, "also what nobody approved moved on");
    assert_eq!(review.found_in_stage(2, &t.as_user("olga")).await, [""; 0]);
    assert_eq!(review.stage_items(2, &t.as_admin()).await[0]["recommendation"], "NoInfoAvailable");
}

/// LC-STAGE-02
#[tokio::test]
async fn the_hidden_stage_of_a_single_stage_review_cannot_be_updated() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let rows = t.table("stages").await;
    let path = format!("{}/stages/{}", review.instance_path(), rows[0]["stage_id"].as_str().unwrap());

    t.as_admin().patch(&path, &json!({ "reviewers": [user("noor")] })).await.refused(404, "ResourceNotFound");
}

/// LC-AUTH-01
#[tokio::test]
async fn only_who_manages_reviews_may_update_a_stage() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = review.stage_path(1).await;
    let body = json!({ "reviewers": [user("noor")] });
    let before = t.stored().await;
    let read_only = ["AccessReview.Read.All"];
    let refusals: [(Client, u16); 4] = [
        (t.as_reader(), 403),
        (t.as_user("mia"), 403),
        (t.as_user("zoe"), 404),
        (t.as_user_with_scopes("carla", &["Identity Governance Administrator"], &read_only), 403),
    ];
    for (client, status) in refusals {
        client.patch(&path, &body).await.is(status);
    }
    assert_eq!(t.stored().await, before);

    t.as_application().patch(&path, &body).await.is(200);
    assert_eq!(t.events_of("Reviewers changed").await[0]["actor_kind"], "application");
}

/// LC-AUTH-01, LC-SUPD-20: who manages every kind of review is let in before anything is read, others by what is reviewed.
#[tokio::test]
async fn who_manages_some_kinds_of_reviews_changes_what_one_who_manages_them_all_does() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[manager()], &[user("sam")], &[]), stage(2, 4, &[user("noor")], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    let path = review.stage_path(1).await;
    let mut left = Vec::new();
    for role in ["Identity Governance Administrator", "User Administrator"] {
        let client = t.as_user_with_roles("carla", &[role]);
        for reviewers in [json!([user("noor"), user("mia")]), json!([manager()])] {
            client.patch(&path, &json!({ "reviewers": reviewers })).await.is(200);
            for table in ["stage_reviewers", "stage_fallbacks", "stage_unassigned_cohorts", "reviewer_scopes"] {
                left.push((table, t.table(table).await));
            }
        }
        let missing = json!({ "reviewers": [user("noor"), user("nobody")] });
        let refused = client.patch(&path, &missing).await.refused(400, "BadRequest");
        assert_eq!(refused.body["error"]["details"][0]["target"], "reviewers[1].query", "{:#}", refused.body);
    }
    assert_eq!(left[..8], left[8..]);
    let cohorts = |(_, rows): &(&str, Vec<Value>)| -> Vec<i64> {
        rows.iter().map(|row| row["cohort"].as_i64().unwrap()).collect()
    };
    // By name everything is everybody's; by manager each of the two has his own, and those without one are the fallback's.
    assert_eq!(left[..3].iter().map(cohorts).collect::<Vec<_>>(), [vec![0, 0], vec![0], vec![]]);
    assert_eq!(left[4..7].iter().map(|rows| cohorts(rows).len()).collect::<Vec<_>>(), [2, 1, 1]);
}

/// LC-STAGE-10, LC-SUPD-24
#[tokio::test]
async fn somebody_who_lost_his_manager_does_not_bring_in_a_fallback_where_a_named_reviewer_covers_everything() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let stages = [stage(1, 3, &[manager()], &[], &[]), stage(2, 4, &[manager(), user("olga")], &[user("sam")], &[])];
    let review = t.review().stages(&stages).setting("mailNotificationsEnabled", json!(true)).running().await;
    Company::new().user("ben", None).import(&t).await;
    sink.clear();

    t.advance("P3D").await;

    assert_eq!(review.found_in_stage(2, &t.as_user("sam")).await, [""; 0]);
    t.as_user("sam").get(&review.instance_path()).await.refused(404, "ResourceNotFound");
    assert_eq!(mailed(&sink), ["mia", "noor", "olga"]);
    assert_eq!(t.contacted(2).await, ["mia", "noor", "olga"]);
}
