//! DEF-CREATE, DEF-LIST, DEF-MINE, DEF-GET, DEF-DELETE over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Company, GUEST, Tenant, group_members, group_owners, id_of, manager, object_id, redacted, stage, user,
};

const DAY_FAR_AWAY: &str = "2199-03-02";

/// A definition body that nothing is wrong with, with one value replaced, added (a last part that is new) or taken out (`None`).
fn body(t: &Tenant, pointer: &str, value: Option<Value>) -> Value {
    changed(t.review().body, pointer, value)
}

fn changed(mut body: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match value {
        Some(value) => parent[name] = value,
        None => drop(parent.as_object_mut().unwrap().shift_remove(name)),
    }
    body
}

fn three_stages() -> Value {
    json!([
        stage(1, 3, &[group_owners("finance")], &[user("sam")], &["Approve", "NotReviewed"]),
        stage(2, 4, &[manager()], &[group_members("auditors")], &[]),
        stage(3, 3, &[user("olga"), user("pete")], &[], &[]),
    ])
}

fn weekly(range: Value) -> Value {
    json!({ "pattern": { "type": "weekly", "interval": 1 }, "range": range })
}

async fn create(t: &Tenant, body: &Value) -> Answer {
    t.as_admin().post("/definitions", body).await
}

/// Refused as `assert` says, and nothing of it is there.
async fn refused(t: &Tenant, body: &Value, path: &str) -> Answer {
    let answer = create(t, body).await.faults(path);
    assert_eq!(t.as_admin().get("/definitions").await.ok().rows().len(), 0, "{path}");
    assert_eq!(t.events_of("Create access review").await.len(), 0, "{path}");
    answer
}

/// LC-DEF-01
#[tokio::test]
async fn a_created_definition_comes_back_whole_with_its_location() {
    let t = Tenant::with_finance().await;

    let answer = t.review().fallbacks(&[user("sam")]).send().await.is(201);

    let id = answer.text("id");
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(location, format!("https://reviews.example/v1.0/identityGovernance/accessReviews/definitions/{id}"));
    insta::assert_json_snapshot!("created_single_stage", redacted(&answer.body));
    assert_eq!(t.as_admin().get(&location).await.ok().text("id"), id);
    assert_eq!(t.events_of("Create access review").await.len(), 1);
}

#[tokio::test]
async fn a_created_definition_with_stages_comes_back_whole() {
    let t = Tenant::with_finance().await;

    let answer = t.review().with("stageSettings", three_stages()).with("reviewers", json!([])).send().await.is(201);

    insta::assert_json_snapshot!("created_three_stages", redacted(&answer.body));
}

#[tokio::test]
async fn a_definition_is_read_as_it_was_answered_at_its_creation() {
    let t = Tenant::with_finance().await;
    let created = t.review().with("stageSettings", three_stages()).send().await.is(201);

    let read = t.as_admin().get(&format!("/definitions/{}", created.text("id"))).await.is(200);

    assert_eq!(read.body, created.body);
}

/// A-14, S-01 to S-05
#[tokio::test]
async fn every_offered_scope_is_echoed_unchanged_and_spelt_out_on_the_instance() {
    let t = Tenant::with_finance().await;
    let finance = id_of("finance");
    for (query, on_the_instance) in [
        (format!("/groups/{finance}/transitiveMembers"), format!("/v1.0/groups/{finance}/transitiveMembers")),
        (
            format!("/v1.0/groups/{finance}/transitiveMembers/microsoft.graph.user"),
            format!("/v1.0/groups/{finance}/transitiveMembers"),
        ),
        (
            format!("/groups/{finance}/transitiveMembers/?$filter=(userType eq 'Guest')"),
            format!(
                "/v1.0/groups/{finance}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"
            ),
        ),
        (
            format!(
                "/groups/{finance}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType+eq+'Guest')"
            ),
            format!(
                "/v1.0/groups/{finance}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"
            ),
        ),
        (format!("/groups/{finance}/members"), format!("/v1.0/groups/{finance}/members")),
        (
            format!("/beta/groups/{finance}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
            format!("/v1.0/groups/{finance}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
        ),
    ] {
        let created = t.review().scope(&query).send().await.is(201);

        let plain = json!({
            "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": query, "queryType": "MicrosoftGraph", "queryRoot": null,
        });
        assert_eq!(created.body["scope"], plain);
        let id = created.text("id");
        let instance = t.as_admin().get(&format!("/definitions/{id}/instances/{id}")).await.ok();
        assert_eq!(instance.body["scope"], changed(plain, "/query", Some(json!(on_the_instance))));
    }
}

/// Section 8.4 of the API
#[tokio::test]
async fn an_inactive_users_scope_is_echoed_with_its_duration() {
    let t = Tenant::with_finance().await;
    for (sent, answered) in [(json!("P30D"), "P30D"), (json!("30 days, 0:00:00"), "P30D"), (Value::Null, "P0D")] {
        let scope = json!({
            "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope",
            "query": format!("/groups/{}/transitiveMembers", id_of("finance")),
            "queryType": "MicrosoftGraph",
            "inactiveDuration": sent,
        });

        let created = t.review().with("scope", scope).send().await.is(201);

        let expected: attestry::domain::duration::IsoDuration = answered.parse().unwrap();
        let found: attestry::domain::duration::IsoDuration =
            created.body["scope"]["inactiveDuration"].as_str().unwrap().parse().unwrap();
        assert_eq!(found, expected);
        assert_eq!(created.body["scope"]["@odata.type"], "#microsoft.graph.accessReviewInactiveUsersQueryScope");
    }
}

#[tokio::test]
async fn a_scope_without_its_type_is_a_query_scope() {
    let t = Tenant::with_finance().await;

    let created = create(&t, &body(&t, "/scope/@odata.type", None)).await.is(201);

    assert_eq!(created.body["scope"]["@odata.type"], "#microsoft.graph.accessReviewQueryScope");
}

/// LC-DEF-03, LC-REC-01
#[tokio::test]
async fn what_is_left_out_takes_its_default() {
    let t = Tenant::with_finance().await;
    let least = json!({
        "displayName": "Least",
        "scope": t.review().body["scope"],
        "settings": { "instanceDurationInDays": 5 },
    });

    let created = create(&t, &least).await.is(201);

    insta::assert_json_snapshot!("created_with_defaults", redacted(&created.body));
}

/// LC-REC-02, LC-REC-03
#[tokio::test]
async fn a_recurrence_is_echoed_completed() {
    let t = Tenant::with_finance().await;
    for (number, start_date) in
        [DAY_FAR_AWAY, "2199-03-02T00:00:00.000Z", "2199-03-02T11:30:00+02:00"].into_iter().enumerate()
    {
        let recurrence = json!({
            "pattern": { "type": "absoluteMonthly", "interval": 3, "dayOfMonth": 5 },
            "range": { "type": "noEnd", "startDate": start_date },
        });

        let created = t.review().setting("recurrence", recurrence).send().await.is(201);

        assert_eq!(created.body["status"], "NotStarted");
        if number == 0 {
            insta::assert_json_snapshot!("completed_recurrence", created.body["settings"]["recurrence"]);
        }
        assert_eq!(created.body["settings"]["recurrence"]["range"]["startDate"], DAY_FAR_AWAY);
    }
}

/// CL-14
#[tokio::test]
async fn durations_in_python_notation_are_read() {
    let t = Tenant::with_finance().await;

    let created = t.review().setting("recommendationLookBackDuration", json!("45 days, 0:00:00")).send().await.is(201);

    assert_eq!(created.body["settings"]["recommendationLookBackDuration"], "P45D");
}

/// LC-DEF-04
#[tokio::test]
async fn what_an_application_creates_names_the_application() {
    let t = Tenant::with_finance().await;

    let created = t.as_application().post("/definitions", &t.review().body).await.is(201);

    let identity = json!({ "id": object_id("app-sync"), "displayName": "Sync", "userPrincipalName": "" });
    assert_eq!(created.body["createdBy"], identity);
    let event = t.events_of("Create access review").await.remove(0);
    assert_eq!(event["actor_kind"], "application", "{event:#}");
    assert_eq!(event["actor_id"], object_id("app-sync"), "{event:#}");
}

/// LC-INST-03
#[tokio::test]
async fn the_instance_of_a_one_time_review_has_the_definitions_id_and_that_of_a_series_its_own() {
    let t = Tenant::with_finance().await;
    let once = t.review().send().await.is(201).text("id");
    let range = json!({ "type": "noEnd", "startDate": DAY_FAR_AWAY });
    let series = t
        .review()
        .setting("recurrence", weekly(range))
        .setting("instanceDurationInDays", json!(5))
        .send()
        .await
        .is(201)
        .text("id");

    let of_once = t.as_admin().get(&format!("/definitions/{once}/instances")).await.ok();
    let of_series = t.as_admin().get(&format!("/definitions/{series}/instances")).await.ok();

    assert_eq!(of_once.rows().len(), 1);
    assert_eq!(of_once.rows()[0]["id"], once.as_str());
    assert_eq!(of_series.rows().len(), 1);
    assert_ne!(of_series.rows()[0]["id"], series.as_str());
}

/// LC-INST-07
#[tokio::test]
async fn the_first_occurrence_is_visible_before_it_starts() {
    let t = Tenant::with_finance().await;
    let range = json!({ "type": "numbered", "numberOfOccurrences": 2, "startDate": DAY_FAR_AWAY });
    let builder = t.review().setting("recurrence", weekly(range)).setting("instanceDurationInDays", json!(5));
    let id = builder.send().await.is(201).text("id");
    t.run_jobs().await;

    let listed = t.as_admin().get(&format!("/definitions/{id}/instances")).await.ok();

    let instance = &listed.rows()[0];
    assert_eq!(instance["status"], "NotStarted");
    assert!(instance["startDateTime"].as_str().unwrap().starts_with(DAY_FAR_AWAY), "{instance:#}");
    assert!(instance["endDateTime"].as_str().unwrap().starts_with("2199-03-07"), "{instance:#}");
    let decisions = format!("/definitions/{id}/instances/{}/decisions", instance["id"].as_str().unwrap());
    assert_eq!(t.as_admin().get(&decisions).await.ok().rows().len(), 0);
}

/// Section 5 of the design: read-only members are ignored on create.
#[tokio::test]
async fn read_only_members_are_ignored_on_create() {
    let t = Tenant::with_finance().await;
    let mut body = t.review().body;
    let foreign = object_id("somebody");
    for (member, value) in [
        ("id", json!(foreign)),
        ("status", json!("Applied")),
        ("createdBy", json!({ "id": foreign, "displayName": "X" })),
        ("createdDateTime", json!("2001-01-01T00:00:00Z")),
        ("lastModifiedDateTime", json!("2001-01-01T00:00:00Z")),
        ("instances", json!([])),
        ("@odata.type", json!("#microsoft.graph.accessReviewScheduleDefinition")),
        ("@odata.context", json!("https://elsewhere.example/$metadata")),
    ] {
        body[member] = value;
    }

    let created = create(&t, &body).await.is(201);

    assert_ne!(created.text("id"), foreign);
    assert_eq!(created.body["status"], "NotStarted");
    assert_eq!(created.body["createdBy"]["id"], object_id("carla"));
    assert!(!created.text("createdDateTime").starts_with("2001"));
}

#[tokio::test]
async fn a_missing_required_member_is_named() {
    let t = Tenant::with_finance().await;
    for (pointer, path) in [
        ("/displayName", "displayName"),
        ("/scope", "scope"),
        ("/scope/query", "scope.query"),
        ("/settings", "settings"),
    ] {
        refused(&t, &body(&t, pointer, None), path).await;
    }
    for (pointer, path) in [("/displayName", "displayName"), ("/scope", "scope"), ("/settings", "settings")] {
        refused(&t, &body(&t, pointer, Some(Value::Null)), path).await;
    }
    refused(&t, &body(&t, "/displayName", Some(json!("  "))), "displayName").await;
}

/// Section 5 of the design: a misspelt `fallbackReviewer` must not pass in silence.
#[tokio::test]
async fn an_unknown_member_is_named_by_its_path() {
    let t = Tenant::with_finance().await;
    for (pointer, path) in [
        ("/fallbackReviewer", "fallbackReviewer"),
        ("/DisplayName", "DisplayName"),
        ("/scope/querytype", "scope.querytype"),
        ("/settings/durationInDays", "settings.durationInDays"),
        ("/reviewers/0/role", "reviewers[0].role"),
    ] {
        let mut body = t.review().body;
        if pointer.starts_with("/reviewers/0") {
            body["reviewers"][0]["role"] = json!("x");
        } else {
            body = changed(body, pointer, Some(json!([])));
        }
        refused(&t, &body, path).await;
    }
    let mut staged = t.review().with("stageSettings", three_stages()).body;
    staged["stageSettings"][1]["fallbackReviewer"] = json!([]);
    refused(&t, &staged, "stageSettings[1].fallbackReviewer").await;
}

#[tokio::test]
async fn every_fault_of_a_body_is_told_at_once() {
    let t = Tenant::with_finance().await;
    let mut body = t.review().body;
    body["displayName"] = json!(7);
    body["settings"]["instanceDurationInDays"] = json!("five");
    body["reviewer"] = json!([]);

    let answer = create(&t, &body).await.refused(400, "BadRequest");

    let details = answer.body["error"]["details"].as_array().unwrap();
    let mut targets: Vec<_> = details.iter().map(|fault| fault["target"].as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["displayName", "reviewer", "settings.instanceDurationInDays"]);
}

/// Who mends what a first answer tells is not sent back by a second one.
#[tokio::test]
async fn faults_of_form_and_of_value_are_told_together() {
    let t = Tenant::with_finance().await;
    let stages = changed(three_stages(), "/1/dependsOn", Some(json!([])));
    let mut body = t.review().with("stageSettings", stages).body;
    body["displayName"] = json!(7);
    body["reviewer"] = json!([]);

    let answer = create(&t, &body).await.refused(400, "BadRequest");

    let details = answer.body["error"]["details"].as_array().unwrap();
    let mut targets: Vec<_> = details.iter().map(|fault| fault["target"].as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["displayName", "reviewer", "stageSettings[1].dependsOn"]);
}

/// LC-DEF-06
#[tokio::test]
async fn stages_form_one_chain_of_at_most_three() {
    let t = Tenant::with_finance().await;
    let staged = |stages: Value| t.review().with("stageSettings", stages).body;
    let edit = |pointer: &str, value: Option<Value>| staged(changed(three_stages(), pointer, value));
    for (body, path) in [
        (edit("/0/dependsOn", Some(json!(["3"]))), "stageSettings[0].dependsOn"),
        (edit("/2/dependsOn", Some(json!(["1"]))), "stageSettings[2].dependsOn"),
        (edit("/1/dependsOn", Some(json!([]))), "stageSettings[1].dependsOn"),
        (edit("/2/dependsOn", Some(json!(["1", "2"]))), "stageSettings[2].dependsOn"),
        (edit("/1/stageId", Some(json!("1"))), "stageSettings[1].stageId"),
        (edit("/1/stageId", None), "stageSettings[1].stageId"),
        (edit("/2/durationInDays", Some(json!(0))), "stageSettings[2].durationInDays"),
        (edit("/2/durationInDays", None), "stageSettings[2].durationInDays"),
        (
            edit("/0/decisionsThatWillMoveToNextStage", Some(json!(["Maybe"]))),
            "stageSettings[0].decisionsThatWillMoveToNextStage[0]",
        ),
        (staged(json!([1, 2, 3, 4].map(|number| stage(number, 1, &[user("sam")], &[], &[])))), "stageSettings"),
    ] {
        refused(&t, &body, path).await;
    }
}

/// LC-REC-02, LC-REC-07, LC-REC-09
#[tokio::test]
async fn a_recurrence_that_cannot_be_kept_is_refused() {
    let t = Tenant::with_finance().await;
    let no_end = json!({ "type": "noEnd", "startDate": DAY_FAR_AWAY });
    let recurring = |recurrence: Value, days: u32| {
        t.review().setting("recurrence", recurrence).setting("instanceDurationInDays", json!(days)).body
    };
    let pattern =
        |kind: &str, interval: i32| json!({ "pattern": { "type": kind, "interval": interval }, "range": no_end });
    for (body, path) in [
        (recurring(pattern("daily", 1), 1), "settings.recurrence.pattern.type"),
        (recurring(pattern("relativeMonthly", 1), 1), "settings.recurrence.pattern.type"),
        (recurring(pattern("absoluteYearly", 1), 1), "settings.recurrence.pattern.type"),
        (recurring(pattern("weekly", 0), 1), "settings.recurrence.pattern.interval"),
        (recurring(pattern("weekly", 1), 8), "settings.instanceDurationInDays"),
        (recurring(pattern("weekly", 1), 0), "settings.instanceDurationInDays"),
        (recurring(pattern("absoluteMonthly", 1), 32), "settings.instanceDurationInDays"),
        (recurring(json!({ "pattern": { "type": "weekly", "interval": 1 } }), 5), "settings.recurrence.range"),
        (recurring(weekly(json!({ "type": "noEnd" })), 5), "settings.recurrence.range.startDate"),
        (recurring(weekly(json!({ "type": "noEnd", "startDate": "soon" })), 5), "settings.recurrence.range.startDate"),
        (
            recurring(weekly(json!({ "type": "endDate", "startDate": DAY_FAR_AWAY })), 5),
            "settings.recurrence.range.endDate",
        ),
        (
            recurring(weekly(json!({ "type": "endDate", "startDate": DAY_FAR_AWAY, "endDate": "2199-03-01" })), 5),
            "settings.recurrence.range.endDate",
        ),
        (
            recurring(weekly(json!({ "type": "endDate", "startDate": "2001-01-01", "endDate": "2001-02-01" })), 5),
            "settings.recurrence.range.endDate",
        ),
        (
            recurring(weekly(json!({ "type": "numbered", "startDate": DAY_FAR_AWAY, "numberOfOccurrences": 0 })), 5),
            "settings.recurrence.range.numberOfOccurrences",
        ),
        (
            t.review().setting("recurrence", weekly(no_end.clone())).with("stageSettings", three_stages()).body,
            "stageSettings",
        ),
        (body(&t, "/settings/instanceDurationInDays", None), "settings.instanceDurationInDays"),
    ] {
        refused(&t, &body, path).await;
    }
}

/// M-06, LC-APPLY-08
#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let t = Tenant::with_finance().await;
    for (pointer, value, path) in [
        ("/settings/defaultDecisionEnabled", json!(true), "settings.defaultDecision"),
        ("/settings/defaultDecision", json!("Maybe"), "settings.defaultDecision"),
        ("/settings/mailNotificationsEnabled", json!("yes"), "settings.mailNotificationsEnabled"),
        ("/settings/recommendationLookBackDuration", json!("a month"), "settings.recommendationLookBackDuration"),
        (
            "/settings/applyActions",
            json!([{ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }]),
            "settings.applyActions[0]",
        ),
    ] {
        refused(&t, &body(&t, pointer, Some(value)), path).await;
    }
}

/// A-11, section 8.1 of the API
#[tokio::test]
async fn an_unknown_query_is_quoted_with_the_queries_that_are_supported() {
    let t = Tenant::with_finance().await;
    for query in ["/groups/sales/transitiveMembers", "/me", "everybody", "/groups", "/users", "./transitiveMembers"] {
        let answer = refused(&t, &body(&t, "/scope/query", Some(json!(query))), "scope.query").await;

        assert_eq!(answer.code(), "UnsupportedQuery", "{query}");
        assert!(answer.message().contains(&format!("`{query}`")), "{}", answer.message());
        assert!(answer.message().contains("/groups/{id}/transitiveMembers"), "{}", answer.message());
    }
    for query in ["/users", "/groups/x/owners", "./boss"] {
        let reviewers = json!([user("mia"), { "query": query, "queryType": "MicrosoftGraph" }]);

        let answer = refused(&t, &body(&t, "/reviewers", Some(reviewers)), "reviewers[1].query").await;

        assert_eq!(answer.code(), "UnsupportedQuery", "{query}");
        assert!(answer.message().contains(&format!("`{query}`")), "{}", answer.message());
    }
    for query_type in ["ARM", "SQL"] {
        let answer = refused(&t, &body(&t, "/scope/queryType", Some(json!(query_type))), "scope.queryType").await;
        assert_eq!(answer.code(), "UnsupportedQuery", "{query_type}");
    }
}

#[tokio::test]
async fn scope_types_that_do_not_stand_alone_are_refused() {
    let t = Tenant::with_finance().await;
    let principals = json!({ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": "allUsers" });
    let answer = refused(&t, &body(&t, "/scope", Some(principals.clone())), "scope.@odata.type").await;
    assert_eq!(answer.code(), "UnsupportedQuery");

    refused(&t, &body(&t, "/scope", Some(changed(principals, "/@odata.type", None))), "scope.@odata.type").await;
    refused(&t, &body(&t, "/scope/@odata.type", Some(json!("#microsoft.graph.user"))), "scope.@odata.type").await;
    refused(&t, &body(&t, "/scope/inactiveDuration", Some(json!("P30D"))), "scope.inactiveDuration").await;
}

///
#[tokio::test]
async fn objects_that_are_not_there_are_named_by_their_paths() {
    let t = Tenant::with_finance().await;
    let mut body = t.review().with("stageSettings", three_stages()).body;
    body["scope"]["query"] = json!(format!("/groups/{}/transitiveMembers", id_of("nobodys")));
    body["reviewers"] = json!([user("mia"), user("nobody")]);
    body["fallbackReviewers"] = json!([group_members("nobodys")]);
    body["stageSettings"][1]["reviewers"] = json!([group_owners("nobodys"), manager()]);
    body["stageSettings"][2]["fallbackReviewers"] = json!([user("nobody")]);
    body["additionalNotificationRecipients"] = json!([{
        "notificationTemplateType": "CompletedAdditionalRecipients",
        "notificationRecipientScope": {
            "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
            "query": format!("/users/{}", id_of("nobody")), "queryType": "MicrosoftGraph",
        },
    }]);

    let answer = refused(&t, &body, "scope.query").await;

    let details = answer.body["error"]["details"].as_array().unwrap();
    let mut targets: Vec<_> = details.iter().map(|fault| fault["target"].as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(
        targets,
        [
            "additionalNotificationRecipients[0].notificationRecipientScope.query",
            "fallbackReviewers[0].query",
            "reviewers[1].query",
            "scope.query",
            "stageSettings[1].reviewers[0].query",
            "stageSettings[2].fallbackReviewers[0].query",
        ]
    );
}

/// An id that names a user names no group. A-13
#[tokio::test]
async fn a_user_is_no_group_and_a_group_no_user() {
    let t = Tenant::with_finance().await;

    refused(&t, &body(&t, "/reviewers", Some(json!([user("finance")]))), "reviewers[0].query").await;
    refused(&t, &body(&t, "/reviewers", Some(json!([group_members("mia")]))), "reviewers[0].query").await;
    let scope = json!(format!("/groups/{}/members", id_of("mia")));
    refused(&t, &body(&t, "/scope/query", Some(scope)), "scope.query").await;
}

/// E-03
#[tokio::test]
async fn an_enumeration_names_the_group_under_review_or_is_refused() {
    let t = Tenant::with_finance().await;
    let enumeration =
        |group: &str| json!({ "query": format!("/groups/{}", id_of(group)), "queryType": "MicrosoftGraph" });

    refused(
        &t,
        &body(&t, "/instanceEnumerationScope", Some(enumeration("auditors"))),
        "instanceEnumerationScope.query",
    )
    .await;
    let all = json!({ "query": "/groups?$filter=(groupTypes/any(c:c eq 'Unified'))", "queryType": "MicrosoftGraph" });
    refused(&t, &body(&t, "/instanceEnumerationScope", Some(all)), "instanceEnumerationScope.query").await;

    let created = create(&t, &body(&t, "/instanceEnumerationScope", Some(enumeration("finance")))).await.is(201);
    assert_eq!(created.body["instanceEnumerationScope"]["query"], enumeration("finance")["query"]);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let t = Tenant::with_finance().await;
    for raw in ["", "{", "[]", "null", "\"x\"", "7", "{\"displayName\":\"x\"", "{'displayName':'x'}", "{\"a\":1}}"] {
        let request = t.as_admin().request(Method::POST, "/definitions");
        let answer =
            Answer::of(request.header("content-type", "application/json").body(raw).send().await.unwrap()).await;
        answer.refused(400, "BadRequest");
    }
    let request = t.as_admin().request(Method::POST, "/definitions").header("content-type", "application/json");
    let answer = Answer::of(request.body(vec![0x7b, 0x22, 0xff, 0x22, 0x7d]).send().await.unwrap()).await;
    answer.refused(400, "BadRequest");
    assert_eq!(t.events_of("Create access review").await.len(), 0);
}

#[tokio::test]
async fn a_member_given_twice_is_refused() {
    let t = Tenant::with_finance().await;
    let good = t.review().body.to_string();
    let twice = good.replacen("\"settings\":{", "\"settings\":{\"instanceDurationInDays\":3,", 1);
    assert_ne!(good, twice);

    let request = t.as_admin().request(Method::POST, "/definitions").header("content-type", "application/json");
    let answer = Answer::of(request.body(twice).send().await.unwrap()).await;

    let answer = answer.refused(400, "BadRequest");
    assert!(answer.message().contains("instanceDurationInDays"), "{}", answer.message());
}

#[tokio::test]
async fn a_body_must_be_json_by_its_media_type() {
    let t = Tenant::with_finance().await;
    let send = async |media_type: Option<&str>| {
        let mut request = t.as_admin().request(Method::POST, "/definitions").body(t.review().body.to_string());
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        Answer::of(request.send().await.unwrap()).await
    };
    for media_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")] {
        send(media_type).await.refused(415, "UnsupportedMediaType");
    }
    assert_eq!(t.events_of("Create access review").await.len(), 0);

    for media_type in ["application/json", "application/json; charset=utf-8", "Application/JSON;odata.metadata=minimal"]
    {
        send(Some(media_type)).await.is(201);
    }
}

#[tokio::test]
async fn a_body_of_megabytes_is_read_and_one_beyond_the_limit_is_not() {
    let t = Tenant::with_finance().await;

    create(&t, &body(&t, "/descriptionForAdmins", Some(json!("x".repeat(3_000_000)))))
        .await
        .faults("descriptionForAdmins");
    let answer = create(&t, &body(&t, "/descriptionForAdmins", Some(json!("x".repeat(4_300_000))))).await;

    answer.refused(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn definitions_are_listed_newest_first_without_a_count() {
    let t = Tenant::with_finance().await;
    let mut created = Vec::new();
    for name in ["first", "second", "third"] {
        created.insert(0, t.review().with("displayName", json!(name)).send().await.is(201).text("id"));
    }

    let answer = t.as_admin().get("/definitions").await.is(200);

    let ids: Vec<_> = answer.rows().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, created);
    let members: Vec<_> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["@odata.context", "value"]);
    assert_eq!(
        answer.text("@odata.context"),
        "https://reviews.example/v1.0/$metadata#identityGovernance/accessReviews/definitions"
    );
    let mut alone = t.as_admin().get(&format!("/definitions/{}", created[0])).await.ok().body;
    assert_eq!(
        alone["@odata.context"].take(),
        "https://reviews.example/v1.0/$metadata#identityGovernance/accessReviews/definitions/$entity"
    );
    alone.as_object_mut().unwrap().shift_remove("@odata.context");
    assert_eq!(answer.rows()[0], alone);
}

/// DEF-MINE, A-01
#[tokio::test]
async fn my_definitions_are_those_in_which_i_review_something() {
    let t = Tenant::with_finance().await;
    let by_mia = t.review().reviewers(&[user("mia")]).running().await;
    let by_manager = t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await;
    let by_owners = t.review().reviewers(&[group_owners("finance")]).running().await;
    let of_oneself = t.review().reviewers(&[]).running().await;
    let mine = "/definitions/filterByCurrentUser(on='reviewer')";
    let ids = async |client: crate::support::Client| {
        let answer = client.get(mine).await.is(200);
        assert_eq!(
            answer.text("@odata.context"),
            "https://reviews.example/v1.0/$metadata#Collection(accessReviewScheduleDefinition)"
        );
        let mut ids: Vec<_> = answer.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };

    assert_eq!(ids(t.as_user("mia")).await, sorted(vec![by_mia.definition, by_manager.definition.clone()]));
    assert_eq!(ids(t.as_user("noor")).await, std::slice::from_ref(&by_manager.definition));
    assert_eq!(ids(t.as_user("sam")).await, [by_manager.definition]);
    assert_eq!(ids(t.as_user("olga")).await, [by_owners.definition]);
    assert_eq!(ids(t.as_user(GUEST)).await, [of_oneself.definition]);
    assert_eq!(ids(t.as_admin()).await, Vec::<String>::new());
    assert_eq!(ids(t.as_user("zoe")).await, Vec::<String>::new());
    assert_eq!(ids(t.as_application()).await, Vec::<String>::new());
}

///
#[tokio::test]
async fn who_created_some_definitions_lists_those() {
    let t = Tenant::with_finance().await;
    t.as_application().post("/definitions", &t.review().body).await.is(201);
    let own = t.review().send().await.is(201).text("id");

    let answer = t.as_user("carla").get("/definitions?$count=true").await.is(200);

    assert_eq!(answer.body["@odata.count"], 1);
    assert_eq!(answer.rows().len(), 1);
    assert_eq!(answer.rows()[0]["id"], own.as_str());
    t.as_user("zoe").get("/definitions").await.refused(403, "Forbidden");
}

/// LC-DEF-30 to LC-DEF-32
#[tokio::test]
async fn a_deleted_definition_is_gone_with_all_below_it_and_its_events_stay() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[manager()], &[], &[])])
        .running()
        .await;
    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    let stage = review.stage_path(1).await;
    let item = review.item_id("ana").await;
    let before = t.events().await.len();

    let answer = t.as_admin().delete(&review.path()).await.is(204);

    assert_eq!(answer.body, Value::Null);
    let instance = review.instance_path();
    for path in [
        review.path(),
        format!("{}/instances", review.path()),
        instance.clone(),
        format!("{instance}/stages"),
        stage.clone(),
        format!("{instance}/decisions"),
        format!("{instance}/decisions/{item}"),
        format!("{stage}/decisions"),
    ] {
        t.as_admin().get(&path).await.refused(404, "ResourceNotFound");
    }
    t.as_admin().delete(&review.path()).await.refused(404, "ResourceNotFound");
    assert_eq!(t.as_user("mia").get("/definitions/filterByCurrentUser(on='reviewer')").await.ok().rows().len(), 0);
    let events = t.events().await;
    assert_eq!(events.len(), before + 1);
    assert_eq!(events.last().unwrap()["activity"], "Delete access review");
    // Whatever belongs to an instance, also what is added to the schema after this was written.
    let of_instances = t
        .database
        .rows(
            "select to_jsonb(c.table_name) from information_schema.columns c \
        where c.table_schema = 'public' and c.column_name = 'instance_id' and c.table_name <> 'events'",
        )
        .await;
    assert!(of_instances.len() >= 12, "{of_instances:?}");
    let tables = of_instances.iter().filter_map(Value::as_str).chain(["definitions", "reviewer_lists"]);
    for table in tables {
        let left =
            t.database.rows(&format!("select to_jsonb(count(*)) from {table} where tenant_id = '{}'", t.id)).await;
        assert_eq!(left, [json!(0)], "{table}");
    }
    t.advance("P30D").await;
    assert_eq!(t.events_of("Access review ended").await.len(), 0);
}

/// LC-DEF-31
#[tokio::test]
async fn a_definition_is_deleted_in_whatever_status_it_is() {
    let t = Tenant::with_finance().await;
    let range = json!({ "type": "noEnd", "startDate": DAY_FAR_AWAY });
    let future =
        t.review().setting("recurrence", weekly(range)).setting("instanceDurationInDays", json!(5)).create().await;
    let ended = t.review().setting("instanceDurationInDays", json!(1)).running().await;
    t.advance("P2D").await;
    let running = t.review().running().await;
    let statuses = [(future, "NotStarted"), (ended, "Completed"), (running, "InProgress")];

    for (review, status) in statuses {
        assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), status);
        t.as_admin().delete(&review.path()).await.is(204);
        t.as_admin().get(&review.path()).await.refused(404, "ResourceNotFound");
    }
}

/// Nobody reviews a group that is assignable to roles without the rights for it. LC-AUTH-01
#[tokio::test]
async fn a_role_assignable_group_takes_a_role_that_manages_such_reviews() {
    let t = Tenant::new().await;
    Company::finance()
        .with(json!({
            "type": "group", "id": id_of("admins"), "displayName": "admins", "isAssignableToRole": true,
            "members": [id_of("ana")], "owners": [],
        }))
        .import(&t)
        .await;
    let body = t.review().scope(&format!("/groups/{}/members", id_of("admins"))).body;
    let of = |role: &str| t.as_user_with_roles("rita", &[role]);

    of("Global Reader").post("/definitions", &body).await.refused(403, "Forbidden");
    let created = of("Privileged Role Administrator").post("/definitions", &body).await.is(201).text("id");
    of("Privileged Role Administrator").post("/definitions", &t.review().body).await.refused(403, "Forbidden");

    let path = format!("/definitions/{created}");
    of("Privileged Role Administrator").get(&path).await.is(200);
    let listed = t.as_user_with_roles("tom", &["Privileged Role Administrator"]).get("/definitions").await.is(200);
    assert_eq!(listed.rows().len(), 1);
}
