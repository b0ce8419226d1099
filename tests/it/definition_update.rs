//! DEF-UPDATE and DEF-STOP: what changes, what does not, and what the instance that waits makes of it. LC-DEF-20 to 27

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{
    Blocker, Company, Review, ReviewBuilder, Tenant, as_the_python_sdk_sends, group_members, group_owners, id_of,
    manager, resource_owners, stage, user,
};

async fn definition(t: &Tenant, review: &Review) -> Value {
    t.as_admin().get(&review.path()).await.ok().body
}

async fn instances(t: &Tenant, review: &Review) -> Vec<Value> {
    t.as_admin().all(&format!("{}/instances", review.path())).await.0
}

async fn put(t: &Tenant, review: &Review, body: &Value) {
    let answer = t.as_admin().put(&review.path(), body).await.is(204);
    assert_eq!(answer.body, Value::Null);
}

async fn patch(t: &Tenant, review: &Review, body: Value) {
    t.as_admin().patch(&review.path(), &body).await.is(204);
}

fn instant(row: &Value, member: &str) -> DateTime<Utc> {
    row[member].as_str().unwrap_or_else(|| panic!("no {member}: {row:#}")).parse().unwrap()
}

fn queries(scopes: &Value) -> Vec<String> {
    scopes.as_array().unwrap().iter().map(|scope| scope["query"].as_str().unwrap().to_owned()).collect()
}

/// Every week, from so many days after now on; each occurrence takes five days.
fn weekly<'a>(builder: ReviewBuilder<'a>, now: DateTime<Utc>, ahead: i64, range: Value) -> ReviewBuilder<'a> {
    builder.setting("instanceDurationInDays", json!(5)).setting("recurrence", recurrence(now, ahead, range))
}

fn recurrence(now: DateTime<Utc>, ahead: i64, range: Value) -> Value {
    let mut recurrence = json!({
        "pattern": { "type": "weekly", "interval": 1 },
        "range": { "type": "noEnd", "startDate": (now + TimeDelta::days(ahead)).date_naive() },
    });
    for (name, value) in range.as_object().unwrap() {
        recurrence["range"][name] = value.clone();
    }
    recurrence
}

/// CL-20, section 8 of the clients
#[tokio::test]
async fn what_the_python_sdk_read_it_can_change_and_send_back() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let single = weekly(t.review(), now, 3, json!({ "type": "numbered", "numberOfOccurrences": 4 }))
        .fallbacks(&[user("sam")])
        .setting("recommendationLookBackDuration", json!("P45D"))
        .with(
            "additionalNotificationRecipients",
            json!([{
                "notificationTemplateType": "CompletedAdditionalRecipients",
                "notificationRecipientScope": {
                    "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
                    "query": format!("/users/{}", id_of("olga")), "queryType": "MicrosoftGraph",
                },
            }]),
        )
        .create()
        .await;
    let staged = t
        .review()
        .stages(&[
            stage(1, 3, &[manager()], &[user("sam")], &["Approve", "NotReviewed"]),
            stage(2, 4, &[group_owners("finance")], &[], &[]),
        ])
        .starting_in(now, 3)
        .create()
        .await;

    for review in [single, staged] {
        let before = definition(&t, &review).await;
        let mut sent = as_the_python_sdk_sends(&before);
        let waiting = instances(&t, &review).await;

        put(&t, &review, &sent).await;
        assert_eq!(definition(&t, &review).await, before, "sent back unchanged");
        assert!(t.events_of("Update access review").await.iter().all(|e| e["definition_id"] != *review.definition));

        sent["displayName"] = json!("renamed");
        put(&t, &review, &sent).await;
        let after = definition(&t, &review).await;
        let mut expected = before.clone();
        expected["displayName"] = json!("renamed");
        for changed in ["lastModifiedDateTime", "@odata.etag"] {
            assert_ne!(after[changed], before[changed], "{changed}");
            expected[changed] = after[changed].clone();
        }
        assert_eq!(after, expected);
        assert!(instant(&after, "lastModifiedDateTime") > instant(&before, "lastModifiedDateTime"));
        assert_eq!(instances(&t, &review).await.len(), 1);
        for kept in ["id", "startDateTime", "endDateTime", "reviewers", "fallbackReviewers", "scope"] {
            assert_eq!(instances(&t, &review).await[0][kept], waiting[0][kept], "{kept}");
        }
    }
}

/// LC-DEF-20
#[tokio::test]
async fn a_put_resets_what_it_leaves_out_and_a_patch_keeps_it() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .fallbacks(&[user("sam")])
        .setting("mailNotificationsEnabled", json!(true))
        .setting("justificationRequiredOnApproval", json!(true))
        .running()
        .await;
    let before = definition(&t, &review).await;

    patch(&t, &review, json!({ "descriptionForAdmins": "other", "settings": { "mailNotificationsEnabled": false } }))
        .await;
    let patched = definition(&t, &review).await;
    assert_eq!(patched["descriptionForAdmins"], "other");
    for kept in ["displayName", "descriptionForReviewers", "reviewers", "fallbackReviewers", "scope"] {
        assert_eq!(patched[kept], before[kept], "{kept}");
    }
    assert_eq!(patched["settings"]["mailNotificationsEnabled"], false);
    assert_eq!(patched["settings"]["justificationRequiredOnApproval"], true);
    assert_eq!(patched["settings"]["instanceDurationInDays"], 10);

    let least = json!({
        "displayName": "least",
        "scope": before["scope"],
        "settings": { "instanceDurationInDays": 10 },
    });
    put(&t, &review, &least).await;
    let replaced = definition(&t, &review).await;
    assert_eq!(replaced["displayName"], "least");
    for (name, default) in [
        ("descriptionForAdmins", json!(null)),
        ("descriptionForReviewers", json!(null)),
        ("reviewers", json!([])),
        ("fallbackReviewers", json!([])),
        ("additionalNotificationRecipients", json!([])),
    ] {
        assert_eq!(replaced[name], default, "{name}");
    }
    assert_eq!(replaced["settings"]["justificationRequiredOnApproval"], false);
}

/// A-18, M-04
#[tokio::test]
async fn a_patch_merges_the_recurrence_and_replaces_lists() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let review = weekly(t.review(), now, 3, json!({})).fallbacks(&[user("sam"), user("tom")]).create().await;
    let end = (now + TimeDelta::days(40)).date_naive();

    patch(
        &t,
        &review,
        json!({
            "reviewers": [user("noor"), resource_owners()],
            "backupReviewers": [user("tom")],
            "settings": { "recurrence": { "range": { "type": "endDate", "endDate": end } } },
        }),
    )
    .await;

    let after = definition(&t, &review).await;
    assert_eq!(queries(&after["reviewers"]), [format!("/users/{}", id_of("noor")), "./owners".to_owned()]);
    assert_eq!(queries(&after["fallbackReviewers"]), [format!("/users/{}", id_of("tom"))]);
    let recurrence = &after["settings"]["recurrence"];
    assert_eq!(recurrence["pattern"]["type"], "weekly");
    assert_eq!(recurrence["range"]["type"], "endDate");
    assert_eq!(recurrence["range"]["endDate"], json!(end));
    assert_eq!(recurrence["range"]["startDate"], json!((now + TimeDelta::days(3)).date_naive()));

    patch(&t, &review, json!({})).await;
    assert_eq!(definition(&t, &review).await, after);
}

/// A-15, issue 3 point 7: everything at once, by its path, and nothing is applied.
#[tokio::test]
async fn every_fault_of_an_update_is_told_at_once_and_nothing_is_applied() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let before = (definition(&t, &review).await, t.stored().await);
    let admin = t.as_admin();

    let answer = admin.put(&review.path(), &json!({})).await;
    for path in ["displayName", "scope", "settings"] {
        answer.clone().faults(path);
    }
    let answer = admin
        .patch(
            &review.path(),
            &json!({
                "id": id_of("zoe"), "status": "Applied", "createdBy": { "id": id_of("zoe") },
                "createdDateTime": "2020-01-01T00:00:00Z", "lastModifiedDateTime": "2020-01-01T00:00:00Z",
                "fallbackReviewer": [], "settings": { "mailNotificationEnabled": true, "instanceDurationInDays": "5" },
                "reviewers": [{ "query": "/users/me" }],
            }),
        )
        .await;
    for path in [
        "id",
        "status",
        "createdBy",
        "createdDateTime",
        "lastModifiedDateTime",
        "fallbackReviewer",
        "settings.mailNotificationEnabled",
        "settings.instanceDurationInDays",
        "reviewers[0].query",
    ] {
        answer.clone().faults(path);
    }
    let answer = admin
        .patch(
            &review.path(),
            &json!({
                "displayName": " ",
                "scope": { "query": format!("/groups/{}/members", id_of("auditors")) },
                "stageSettings": [stage(1, 3, &[], &[], &[])],
                "reviewers": [user("mia"), user("nobody"), group_members("nothing")],
                "settings": { "defaultDecisionEnabled": true },
            }),
        )
        .await;
    for path in [
        "displayName",
        "scope",
        "stageSettings",
        "reviewers[1].query",
        "reviewers[2].query",
        "settings.defaultDecision",
    ] {
        answer.clone().faults(path);
    }
    assert_eq!((definition(&t, &review).await, t.stored().await), before);
}

/// The same of a create: what the rules refuse and what the directory does not know.
#[tokio::test]
async fn a_create_tells_broken_rules_and_missing_objects_together() {
    let t = Tenant::with_finance().await;
    let answer = t
        .review()
        .with("displayName", json!(" "))
        .reviewers(&[user("nobody")])
        .setting("instanceDurationInDays", json!(0))
        .send()
        .await;
    for path in ["displayName", "reviewers[0].query", "settings.instanceDurationInDays"] {
        answer.clone().faults(path);
    }
}

/// LC-DEF-25, A-16
#[tokio::test]
async fn the_scope_may_be_spelt_otherwise_but_not_mean_something_else() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .scope(&format!("/groups/{}/transitiveMembers/?$filter=(userType eq 'Guest')", id_of("finance")))
        .running()
        .await;
    let stored = definition(&t, &review).await["scope"].clone();
    let group = id_of("finance").to_string().to_uppercase();
    for same in [
        format!("/v1.0/groups/{group}/transitiveMembers/?$count=true&$filter=(userType eq 'Guest')"),
        format!("/beta/groups/{group}/transitiveMembers/microsoft.graph.user?$filter=userType eq 'Guest'"),
    ] {
        patch(&t, &review, json!({ "displayName": same, "scope": { "query": same } })).await;
        assert_eq!(definition(&t, &review).await["scope"], stored);
    }
    let admin = t.as_admin();
    for other in [
        json!({ "query": format!("/groups/{group}/transitiveMembers") }),
        json!({ "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope", "inactiveDuration": "P30D",
            "query": stored["query"] }),
    ] {
        admin.patch(&review.path(), &json!({ "scope": other })).await.faults("scope");
    }
    let enumeration = json!({ "query": format!("/groups/{group}") });
    admin
        .patch(&review.path(), &json!({ "instanceEnumerationScope": enumeration }))
        .await
        .faults("instanceEnumerationScope");
}

/// LC-DEF-22
#[tokio::test]
async fn a_running_instance_keeps_what_it_started_with() {
    let t = Tenant::with_finance().await;
    let review = t.review().fallbacks(&[user("sam")]).running().await;
    let before = (instances(&t, &review).await, t.table("stages").await, t.table("planned_stages").await);

    patch(
        &t,
        &review,
        json!({
            "reviewers": [user("noor")],
            "fallbackReviewers": [],
            "settings": { "instanceDurationInDays": 3, "justificationRequiredOnApproval": true },
        }),
    )
    .await;

    assert_eq!((instances(&t, &review).await, t.table("stages").await, t.table("planned_stages").await), before);
    assert_eq!(review.found_by(&t.as_user("noor")).await, [""; 0]);
    let path = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    t.as_user("mia").patch(&path, &json!({ "decision": "Approve" })).await.is(204);
}

/// LC-DEF-23, LC-DEF-24
#[tokio::test]
async fn the_instance_that_waits_is_made_anew_and_opens_at_its_new_time() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let review = t.review().fallbacks(&[user("sam")]).starting_in(now, 3).create().await;
    let before = instances(&t, &review).await[0].clone();

    patch(
        &t,
        &review,
        json!({
            "reviewers": [manager()],
            "fallbackReviewers": [user("tom")],
            "settings": {
                "instanceDurationInDays": 4,
                "justificationRequiredOnApproval": true,
                "recurrence": { "range": { "startDate": (now + TimeDelta::days(6)).date_naive() } },
            },
        }),
    )
    .await;

    let after = instances(&t, &review).await[0].clone();
    assert_eq!(after["id"], before["id"]);
    assert_eq!(instant(&after, "startDateTime"), instant(&before, "startDateTime") + TimeDelta::days(3));
    assert_eq!(instant(&after, "endDateTime"), instant(&after, "startDateTime") + TimeDelta::days(4));
    assert_eq!(queries(&after["reviewers"]), ["./manager"]);
    assert_eq!(queries(&after["fallbackReviewers"]), [format!("/v1.0/users/{}", id_of("tom"))]);
    t.advance("P5D").await;
    assert_eq!(review.status().await, "NotStarted");
    t.advance("P2D").await;
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.found_by(&t.as_user("noor")).await, ["dan"]);
    assert_eq!(review.found_by(&t.as_user("tom")).await, ["Gus (guest)", "fay"]);
    let path = format!("{}/decisions/{}", review.instance_path(), review.item_id("dan").await);
    t.as_user("noor").patch(&path, &json!({ "decision": "Approve" })).await.refused(400, "BadRequest");
    t.advance("P4D").await;
    assert_eq!(review.status().await, "Completed");
}

/// LC-DEF-23
#[tokio::test]
async fn lists_that_an_admin_set_on_the_waiting_stage_stay() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let stages = |first: &str, second: &str, days| {
        json!([stage(1, days, &[user(first)], &[], &[]), stage(2, 4, &[user(second)], &[], &[])])
    };
    let review = t.review().with("stageSettings", stages("mia", "noor", 3)).starting_in(now, 3).create().await;
    t.as_admin().patch(&review.stage_path(1).await, &json!({ "reviewers": [user("tom")] })).await.is(200);

    patch(&t, &review, json!({ "stageSettings": stages("olga", "pete", 2) })).await;
    patch(&t, &review, json!({ "stageSettings": stages("sam", "pete", 2) })).await;

    let first = &review.stages().await[0];
    assert_eq!(queries(&first["reviewers"]), [format!("/users/{}", id_of("tom"))]);
    assert_eq!(instant(first, "endDateTime"), instant(first, "startDateTime") + TimeDelta::days(2));
    t.advance("P3DT1H").await;
    assert_eq!(review.found_by(&t.as_user("tom")).await.len(), 7);
    t.advance("P2D").await;
    assert_eq!(review.found_in_stage(2, &t.as_user("pete")).await.len(), 7);
}

/// LC-DEF-23: a list nobody set follows, a fallback reviewer that goes included.
#[tokio::test]
async fn lists_of_the_waiting_stage_that_nobody_set_follow_the_definition() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[user("sam"), user("tom")], &[])])
        .starting_in(now, 3)
        .create()
        .await;
    patch(&t, &review, json!({ "stageSettings": [stage(1, 3, &[manager()], &[user("tom")], &[])] })).await;
    let first = &review.stages().await[0];
    assert_eq!(queries(&first["reviewers"]), ["./manager"]);
    assert_eq!(queries(&first["fallbackReviewers"]), [format!("/users/{}", id_of("tom"))]);
}

/// LC-DEF-24, A-16
#[tokio::test]
async fn the_start_date_of_a_started_review_and_the_structure_of_stages_are_fixed() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let series = weekly(t.review(), now, 0, json!({})).running().await;
    let moved =
        json!({ "settings": { "recurrence": { "range": { "startDate": (now + TimeDelta::days(9)).date_naive() } } } });
    let answer = t.as_admin().patch(&series.path(), &moved).await.faults("settings.recurrence.range.startDate");
    assert!(answer.message().contains(&now.date_naive().to_string()), "{}", answer.message());

    let staged = t.review().stages(&[stage(1, 3, &[], &[], &[]), stage(2, 3, &[], &[], &[])]).running().await;
    for other in [
        json!([]),
        json!([stage(1, 3, &[], &[], &[])]),
        json!([stage(1, 3, &[], &[], &[]), stage(2, 3, &[], &[], &[]), stage(3, 3, &[], &[], &[])]),
    ] {
        t.as_admin().patch(&staged.path(), &json!({ "stageSettings": other })).await.faults("stageSettings");
    }
}

/// LC-DEF-27, IN-17, ST-12, A-19
#[tokio::test]
async fn a_series_made_shorter_loses_what_waits_and_made_longer_again_goes_on() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let review = weekly(t.review(), now, 0, json!({})).running().await;
    t.advance("P5D").await;
    let found = instances(&t, &review).await;
    assert_eq!(found.len(), 2);
    let (first, waiting) = (&found[0], &found[1]);
    assert_eq!((first["status"].as_str(), waiting["status"].as_str()), (Some("Completed"), Some("NotStarted")));

    let end = |days: i64| json!({ "settings": { "recurrence": { "range": { "type": "endDate", "endDate": (now + TimeDelta::days(days)).date_naive() } } } });
    patch(&t, &review, end(6)).await;
    assert_eq!(instances(&t, &review).await, std::slice::from_ref(first));
    assert_eq!(definition(&t, &review).await["status"], "Completed");
    let stages = t.table("stages").await;
    assert_eq!(stages.iter().map(|row| &row["instance_id"]).collect::<Vec<_>>(), [&first["id"]], "its stage went too");
    let gone = format!("{}/instances/{}", review.path(), waiting["id"].as_str().unwrap());
    t.as_admin().get(&gone).await.refused(404, "ResourceNotFound");
    let removed = t.events_of("Instance removed").await;
    assert_eq!((removed.len(), &removed[0]["instance_id"]), (1, &waiting["id"]));

    // the slots of the second and the third week pass
    t.advance("P12D").await;
    assert_eq!(instances(&t, &review).await.len(), 1);
    patch(&t, &review, end(60)).await;
    assert_eq!(definition(&t, &review).await["status"], "InProgress");
    let next = instances(&t, &review).await[1].clone();
    assert_eq!(next["status"], "NotStarted");
    assert_eq!(instant(&next, "startDateTime"), instant(first, "startDateTime") + TimeDelta::days(21));
    t.advance("P4DT1H").await;
    assert_eq!(instances(&t, &review).await[1]["status"], "InProgress");
}

/// LC-INV-09
#[tokio::test]
async fn a_changed_pattern_counts_from_the_occurrence_that_runs() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let review = weekly(t.review(), now, 0, json!({})).running().await;
    let first = instances(&t, &review).await[0].clone();

    patch(&t, &review, json!({ "settings": { "recurrence": { "pattern": { "interval": 3 } } } })).await;
    assert_eq!(instances(&t, &review).await, std::slice::from_ref(&first));
    t.advance("P5D").await;
    let next = instances(&t, &review).await[1].clone();
    assert_eq!(instant(&next, "startDateTime"), instant(&first, "startDateTime") + TimeDelta::days(21));

    patch(&t, &review, json!({ "settings": { "recurrence": { "pattern": { "interval": 1 } } } })).await;
    let sooner = instances(&t, &review).await[1].clone();
    assert_eq!(sooner["id"], next["id"]);
    assert_eq!(instant(&sooner, "startDateTime"), instant(&first, "startDateTime") + TimeDelta::days(7));
    t.advance("P3D").await;
    assert_eq!(instances(&t, &review).await[1]["status"], "InProgress");
}

/// LC-AUD-01
#[tokio::test]
async fn an_update_leaves_an_event_with_before_and_after() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    patch(&t, &review, json!({ "displayName": "renamed", "reviewers": [user("noor")] })).await;
    let events = t.events_of("Update access review").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["actor_id"], json!(id_of("carla")));
    assert_eq!(
        (&events[0]["before"]["displayName"], &events[0]["after"]["displayName"]),
        (&json!("Finance-ERP"), &json!("renamed"))
    );
    assert_eq!(events[0]["before"]["reviewers"], json!([format!("/users/{}", id_of("mia"))]));
    assert_eq!(events[0]["after"]["reviewers"], json!([format!("/users/{}", id_of("noor"))]));
}

/// LC-AUTH-01, LC-AUTH-03, LC-AUTH-04
#[tokio::test]
async fn updating_and_stopping_need_a_role_that_manages() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let body = json!({ "displayName": "x" });
    let stop = format!("{}/stop", review.path());
    for (caller, status, code) in [
        (t.as_reader(), 403, "Forbidden"),
        (t.as_user("mia"), 403, "Forbidden"),
        (t.as_user("zoe"), 404, "ResourceNotFound"),
        (t.as_application_with(&["AccessReview.Read.All"]), 403, "Forbidden"),
    ] {
        caller.put(&review.path(), &body).await.refused(status, code);
        caller.patch(&review.path(), &body).await.refused(status, code);
        caller.act(&stop).await.refused(status, code);
    }
    t.as_application().patch(&review.path(), &body).await.is(204);
    let nothing = format!("/definitions/{}", id_of("nothing"));
    t.as_admin().patch(&nothing, &body).await.refused(404, "ResourceNotFound");
}

/// DEF-STOP
#[tokio::test]
async fn a_stopped_series_has_no_further_instances_while_the_running_one_goes_on() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let review = weekly(t.review(), now, 0, json!({})).running().await;
    let stop = format!("{}/stop", review.path());
    let admin = t.as_admin();

    admin.act(&stop).await.is(204);
    admin.post(&stop, &json!({})).await.is(204);
    let running = instances(&t, &review).await;
    assert_eq!((running.len(), running[0]["status"].as_str()), (1, Some("InProgress")));
    assert_eq!(t.events_of("Access review series stopped").await.len(), 1);
    t.advance("P30D").await;
    assert_eq!(instances(&t, &review).await.len(), 1);
    assert_eq!(definition(&t, &review).await["status"], "Completed");

    // an update that leaves the recurrence alone does not wake it, one that sets it does
    let sent = as_the_python_sdk_sends(&definition(&t, &review).await);
    put(&t, &review, &sent).await;
    patch(&t, &review, json!({ "displayName": "renamed" })).await;
    assert_eq!(instances(&t, &review).await.len(), 1);
    let end = (now + TimeDelta::days(90)).date_naive();
    patch(&t, &review, json!({ "settings": { "recurrence": { "range": { "type": "endDate", "endDate": end } } } }))
        .await;
    let found = instances(&t, &review).await;
    assert_eq!((found.len(), found[1]["status"].as_str()), (2, Some("NotStarted")));
    assert_eq!(instant(&found[1], "startDateTime"), instant(&found[0], "startDateTime") + TimeDelta::days(35));
}

/// DEF-STOP
#[tokio::test]
async fn stopping_removes_what_waits_also_before_the_first_start() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let series = weekly(t.review(), now, 3, json!({})).create().await;
    let once = t.review().starting_in(now, 3).create().await;
    for review in [&series, &once] {
        t.as_admin().act(&format!("{}/stop", review.path())).await.is(204);
        assert_eq!(instances(&t, review).await, [Value::Null; 0]);
        assert_eq!(definition(&t, review).await["status"], "Completed");
    }
    t.advance("P30D").await;
    assert_eq!(instances(&t, &series).await.len() + instances(&t, &once).await.len(), 0);

    // a one-time review that is wanted after all begins under its own id again
    let start = (t.now().await + TimeDelta::days(2)).date_naive();
    patch(&t, &once, json!({ "settings": { "recurrence": { "range": { "startDate": start } } } })).await;
    assert_eq!(instances(&t, &once).await[0]["id"], json!(once.definition));
    assert_eq!(once.status().await, "NotStarted");
    t.advance("P2DT1H").await;
    assert_eq!(once.status().await, "InProgress");
}

/// LC-CONC-06, LC-DEF-22, LC-DEF-23
#[tokio::test]
async fn an_update_and_the_timer_that_opens_the_next_occurrence_come_one_after_the_other() {
    for update_first in [true, false] {
        let t = Arc::new(Tenant::with_finance().await);
        let now = t.now().await;
        let review = t.review().starting_in(now, 3).create().await;
        t.advance_without_jobs("P3DT1H").await;
        let sql = format!(
            "select from definitions where tenant_id = '{}' and definition_id = '{}' for update",
            t.id, review.definition
        );
        let mut blocker = Blocker::hold(&t.database, &sql).await;
        let update = || {
            let (client, path) = (t.as_admin(), review.path());
            tokio::spawn(async move { client.patch(&path, &json!({ "reviewers": [user("noor")] })).await })
        };
        let timer = || {
            let t = Arc::clone(&t);
            tokio::spawn(async move { t.run_jobs().await })
        };

        let (update, timer) = if update_first {
            let update = update();
            blocker.wait_until_blocked(1).await;
            let timer = timer();
            blocker.wait_until_blocked(2).await;
            (update, timer)
        } else {
            let timer = timer();
            blocker.wait_until_blocked(1).await;
            let update = update();
            blocker.wait_until_blocked(2).await;
            (update, timer)
        };
        blocker.rollback().await;
        update.await.unwrap().is(204);
        timer.await.unwrap();
        t.run_jobs().await;

        assert_eq!(review.status().await, "InProgress");
        let (reviews, does_not) = if update_first { ("noor", "mia") } else { ("mia", "noor") };
        assert_eq!(review.found_by(&t.as_user(reviews)).await.len(), 7, "{reviews}");
        assert_eq!(review.found_by(&t.as_user(does_not)).await, [""; 0], "{does_not}");
        assert_eq!(queries(&definition(&t, &review).await["reviewers"]), [format!("/users/{}", id_of("noor"))]);
    }
}

/// LC-CONC-06, DEF-STOP
#[tokio::test]
async fn a_stop_that_beats_the_timer_leaves_it_nothing_to_open() {
    let t = Arc::new(Tenant::with_finance().await);
    let now = t.now().await;
    let review = t.review().starting_in(now, 3).create().await;
    t.advance_without_jobs("P3DT1H").await;
    let sql = format!(
        "select from definitions where tenant_id = '{}' and definition_id = '{}' for update",
        t.id, review.definition
    );
    let mut blocker = Blocker::hold(&t.database, &sql).await;
    let (client, path) = (t.as_admin(), format!("{}/stop", review.path()));
    let stop = tokio::spawn(async move { client.act(&path).await });
    blocker.wait_until_blocked(1).await;
    let jobs = Arc::clone(&t);
    let timer = tokio::spawn(async move { jobs.run_jobs().await });
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    stop.await.unwrap().is(204);
    timer.await.unwrap();
    assert_eq!(instances(&t, &review).await, [Value::Null; 0]);
    assert_eq!(t.run_jobs().await, 0);
}

/// A reviewer who left the directory does not stand in the way of an update that leaves him where he is.
#[tokio::test]
async fn what_was_named_before_need_not_exist_any_more() {
    let t = Tenant::new().await;
    Company::finance().user("leaver", None).import(&t).await;
    let review = t.review().reviewers(&[user("leaver")]).running().await;
    let tenant = t.id;
    t.database
        .execute(&format!("delete from users where tenant_id = '{tenant}' and user_id = '{}'", id_of("leaver")))
        .await;
    patch(&t, &review, json!({ "displayName": "renamed", "reviewers": [user("leaver"), user("mia")] })).await;
    assert_eq!(definition(&t, &review).await["displayName"], "renamed");
}

/// LC-CONC-08
#[tokio::test]
async fn an_update_may_demand_the_definition_and_the_instance_that_was_read() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let admin = t.as_admin();
    for (path, body) in [
        (review.path(), json!({ "displayName": "renamed" })),
        (review.instance_path(), json!({ "reviewers": [user("noor")] })),
    ] {
        let tag = admin.get(&path).await.ok().text("@odata.etag");
        for expected in [204, 412] {
            let request = admin.request(reqwest::Method::PATCH, &path).header("if-match", &tag).json(&body);
            let answer = crate::support::Answer::of(request.send().await.unwrap()).await;
            match expected {
                412 => drop(answer.refused(412, "PreconditionFailed")),
                _ => drop(answer.ok()),
            }
        }
    }
}
