//! How reviews move: both transition tables, what moves on, effective and default decisions, series, late starts, deletion
//! and mail.

use std::collections::HashMap;

use attestry::{app::Refused, domain::status::Status, store::StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    smtp_sink::SmtpSink,
    support::{Client, Company, MINE, Review, ReviewBuilder, Tenant, id_of, mailed, manager, people, stage, user},
};

const EVERYBODY: [&str; 7] = ["Gus (guest)", "ana", "ben", "cleo", "dan", "eve", "fay"];

/// Mia decides in stage 1, Noor in stage 2, Olga in stage 3; three days each.
fn three_stages(moves: &[&str]) -> [Value; 3] {
    [
        stage(1, 3, &[user("mia")], &[], moves),
        stage(2, 3, &[user("noor")], &[], moves),
        stage(3, 3, &[user("olga")], &[], &[]),
    ]
}

fn default_decision<'a>(builder: ReviewBuilder<'a>, decision: &str) -> ReviewBuilder<'a> {
    builder.setting("defaultDecisionEnabled", json!(true)).setting("defaultDecision", json!(decision))
}

fn instant(row: &Value, member: &str) -> DateTime<Utc> {
    row[member].as_str().unwrap_or_else(|| panic!("no {member}: {row:#}")).parse().unwrap()
}

/// Two instants of the sandbox that are the same but for the time the test itself took.
#[track_caller]
fn assert_about(left: DateTime<Utc>, right: DateTime<Utc>) {
    assert!((left - right).abs() < TimeDelta::minutes(5), "{left} is not about {right}");
}

async fn instances(t: &Tenant, review: &Review) -> Vec<Value> {
    t.as_admin().all(&format!("{}/instances", review.path())).await.0
}

async fn instance(t: &Tenant, review: &Review) -> Value {
    t.as_admin().get(&review.instance_path()).await.ok().body
}

async fn definition_status(t: &Tenant, review: &Review) -> String {
    t.as_admin().get(&review.path()).await.ok().text("status")
}

async fn stop_stage(t: &Tenant, review: &Review, number: usize) {
    t.as_admin().act(&format!("{}/stop", review.stage_path(number).await)).await.is(204);
}

async fn stop(t: &Tenant, review: &Review) {
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
}

/// The statuses each instance and stage went through, told by the events alone, in the order of their first event.
///
/// Asserts LC-INV-01 on the way: every change is a row of its table and begins where the one before ended.
async fn walks(t: &Tenant) -> Vec<(String, Vec<String>)> {
    let mut order = Vec::new();
    let mut walks: HashMap<String, Vec<String>> = HashMap::new();
    for event in t.events().await {
        let is_stage = match event["activity"].as_str().unwrap() {
            "Instance status changed" => false,
            "Stage status changed" | "Stage created" => true,
            _ => continue,
        };
        let id = event[if is_stage { "stage_id" } else { "instance_id" }].as_str().unwrap();
        let kind = if is_stage { "stage" } else { "instance" };
        let key = format!("{kind} {id}");
        let to = event["after"]["status"].as_str().unwrap().to_owned();
        let walk = walks.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        match (walk.last(), event["before"]["status"].as_str()) {
            (None, None) => assert_eq!(to, "NotStarted"),
            (Some(last), Some(from)) => {
                assert_eq!(last, from, "{event:#}");
                let (from, next): (Status, Status) = (from.parse().unwrap(), to.parse().unwrap());
                let allowed = if is_stage { from.stage_may_become(next) } else { from.instance_may_become(next) };
                assert!(allowed, "no row of the table: {event:#}");
            }
            other => panic!("{other:?} {event:#}"),
        }
        walk.push(to);
    }
    order.into_iter().map(|key| (key.split(' ').next().unwrap().to_owned(), walks.remove(&key).unwrap())).collect()
}

/// Short form of [`walks`] for comparison.
async fn told(t: &Tenant) -> Vec<String> {
    walks(t).await.into_iter().map(|(kind, statuses)| format!("{kind}: {}", statuses.join(" "))).collect()
}

const RUN: &str = "NotStarted Initializing Starting InProgress Completing Completed";
const EMPTY_STAGE: &str = "NotStarted Initializing Completed";

// ---- tables 2.2 and 4.2 ----

/// IN-01 to IN-09, ST-01 to ST-09
#[tokio::test]
async fn a_review_that_runs_its_time_walks_both_tables() {
    let t = Tenant::with_finance().await;
    t.review().stages(&three_stages(&[])).running().await;
    t.advance("P9D").await;
    let stage = format!("stage: {RUN}");
    assert_eq!(told(&t).await, [format!("instance: {RUN}"), stage.clone(), stage.clone(), stage]);
}

/// IN-10, IN-11, ST-10, ST-11, LC-STAGE-22
#[tokio::test]
async fn the_last_executed_stage_mirrors_auto_review_and_the_earlier_ones_rest_at_completed() {
    let t = Tenant::with_finance().await;
    let review = default_decision(t.review().stages(&three_stages(&[])), "Deny").running().await;
    t.advance("P3D").await;
    stop(&t, &review).await;

    assert_eq!(review.stage_statuses().await, ["Completed", "AutoReviewed"]);
    assert_eq!(
        told(&t).await,
        [
            format!("instance: {RUN} AutoReviewing AutoReviewed"),
            format!("stage: {RUN}"),
            format!("stage: {RUN} AutoReviewing AutoReviewed"),
        ],
    );
}

/// ST-07, IN-06, LC-STAGE-20, LC-STAGE-21
#[tokio::test]
async fn stopping_stage_after_stage_walks_both_tables_and_the_last_one_completes_the_instance() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    for number in 1..=3 {
        assert_eq!(review.status().await, "InProgress");
        stop_stage(&t, &review, number).await;
    }
    assert_eq!(review.status().await, "Completed");
    let stage = format!("stage: {RUN}");
    assert_eq!(told(&t).await, [format!("instance: {RUN}"), stage.clone(), stage.clone(), stage]);
    assert_eq!(t.events_of("Stage stopped").await.len(), 3);
    assert_eq!(t.events_of("Access review ended").await.len(), 1);
}

/// IN-08, ST-08
#[tokio::test]
async fn stopping_the_instance_closes_the_running_stage_and_later_stages_never_come_to_be() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    stop(&t, &review).await;

    t.advance("P30D").await;

    assert_eq!(review.status().await, "Completed");
    assert_eq!(review.stage_statuses().await, ["Completed"]);
    assert_eq!(told(&t).await, [format!("instance: {RUN}"), format!("stage: {RUN}")]);
    assert_eq!(t.events_of("Instance stopped").await.len(), 1);
    review.decide(&t.as_user("mia"), "ana", "Approve").await.refused(400, "InvalidReviewState");
}

/// IN-05, LC-INST-10
#[tokio::test]
async fn a_review_of_nobody_completes_at_once_with_a_warning_and_without_start_mail() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    Company::new().group("finance", &[], &[]).import(&t).await;
    let builder = t.review().stages(&three_stages(&[])).setting("mailNotificationsEnabled", json!(true));
    let review = builder.running().await;

    assert_eq!(review.status().await, "Completed");
    assert_eq!(review.stage_statuses().await, ["Completed"]);
    assert_eq!(instance(&t, &review).await["errors"][0]["code"], "ScopeResolutionFailed");
    let expected =
        ["instance: NotStarted Initializing Completing Completed".to_owned(), format!("stage: {EMPTY_STAGE}")];
    assert_eq!(told(&t).await, expected);
    assert_eq!(mailed(&sink), ["carla"], "only the mail that it is over");
}

/// ST-05, LC-STAGE-37
#[tokio::test]
async fn when_nothing_moves_the_stages_to_come_close_empty_and_the_instance_completes_at_once() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let builder = t.review().stages(&three_stages(&["Approve"])).setting("mailNotificationsEnabled", json!(true));
    let review = default_decision(builder, "Deny").running().await;
    t.run_jobs().await;
    sink.clear();

    t.advance("P3D").await;

    assert_eq!(review.status().await, "AutoReviewed");
    assert_eq!(
        told(&t).await,
        [
            format!("instance: {RUN} AutoReviewing AutoReviewed"),
            format!("stage: {RUN}"),
            format!("stage: {EMPTY_STAGE}"),
            format!("stage: {EMPTY_STAGE} AutoReviewing AutoReviewed"),
        ],
    );
    assert!(t.now().await < instant(&instance(&t, &review).await, "endDateTime"));
    assert_eq!(mailed(&sink), ["carla"]);
    assert_eq!(review.item("ana").await["decision"], "Deny");
}

/// LC-INST-22, LC-CMP-01
#[tokio::test]
async fn a_review_in_which_everything_is_decided_waits_for_its_end() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    for name in ["ana", "ben", "cleo", "dan", "eve", "fay", "gus"] {
        review.decide(&t.as_user("mia"), name, "Approve").await.is(204);
    }
    t.advance("P2D").await;
    assert_eq!(review.stage_statuses().await, ["InProgress"]);
}

/// Section 2.3, LC-STAGE-20
#[tokio::test]
async fn a_stop_in_any_other_status_is_refused_and_names_the_status_it_needs() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).create().await;
    let instance = format!("{}/stop", review.instance_path());
    let stage = format!("{}/stop", review.stage_path(1).await);
    let statuses = Status::ALL.into_iter().filter(|status| *status != Status::InProgress);

    for status in statuses {
        let sql = format!("update instances set status = '{status}' where tenant_id = '{}'", t.id);
        t.database.execute(&sql).await;
        let before = t.stored().await;
        let answer = t.as_admin().act(&instance).await.refused(400, "InvalidReviewState");
        let message = answer.message();
        assert!(message.contains("InProgress") && message.contains(status.as_str()), "{message}");
        assert_eq!(t.stored().await, before);

        if !matches!(status, Status::Applying | Status::Applied | Status::Failed) {
            t.force_stage_status(1, status.as_str()).await;
            let before = t.stored().await;
            let answer = t.as_admin().act(&stage).await.refused(400, "InvalidReviewState");
            let message = answer.message();
            assert!(message.contains("InProgress") && message.contains(status.as_str()), "{message}");
            assert_eq!(t.stored().await, before);
        }
    }
}

/// LC-INST-20
#[tokio::test]
async fn nothing_reopens_a_stopped_instance() {
    let t = Tenant::with_finance().await;
    let builder = t.review().stages(&three_stages(&[])).setting("autoApplyDecisionsEnabled", json!(true));
    let review = builder.running().await;
    let (instance, stage) = (review.instance_path(), review.stage_path(1).await);
    let item = review.item_id("ana").await;
    stop(&t, &review).await;
    t.run_jobs().await;
    let walked = told(&t).await;
    let decision = json!({ "decision": "Approve", "justification": "because" });
    let (admin, mia) = (t.as_admin(), t.as_user("mia"));

    for path in [&instance, &stage] {
        admin.act(&format!("{path}/stop")).await.refused(400, "InvalidReviewState");
        mia.patch(&format!("{path}/decisions/{item}"), &decision).await.refused(400, "InvalidReviewState");
        mia.post(&format!("{path}/batchRecordDecisions"), &decision).await.refused(400, "InvalidReviewState");
        mia.act(&format!("{path}/acceptRecommendations")).await.refused(400, "InvalidReviewState");
    }
    for action in ["sendReminder", "resetDecisions", "applyDecisions"] {
        admin.act(&format!("{instance}/{action}")).await.refused(400, "InvalidReviewState");
    }
    let reviewers = json!({ "reviewers": [user("noor")] });
    admin.patch(&stage, &reviewers).await.refused(400, "InvalidReviewState");
    let mut whole = instance_body(&t, &review).await;
    whole["reviewers"] = json!([user("noor")]);
    admin.put(&instance, &whole).await.refused(400, "InvalidReviewState");
    // what changes the definition reaches what has not started
    admin.patch(&review.path(), &json!({ "settings": { "instanceDurationInDays": 30 } })).await.is(204);
    t.advance("P60D").await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!(told(&t).await, walked);
}

async fn instance_body(t: &Tenant, review: &Review) -> Value {
    json!({ "scope": instance(t, review).await["scope"] })
}

/// What each instance and stage is at each event, told by the events alone.
#[derive(Default)]
struct Told {
    instance: Option<(String, Value)>,
    stages: Vec<(String, String, Value)>,
}

/// LC-STAGE-07 to 09
#[tokio::test]
async fn one_stage_at_most_is_open_and_the_instance_is_in_progress_while_stages_hand_over() {
    let t = Tenant::with_finance().await;
    let builder = default_decision(t.review().stages(&three_stages(&[])), "Deny");
    let review = builder.setting("autoApplyDecisionsEnabled", json!(true)).running().await;
    stop_stage(&t, &review, 1).await;
    t.advance("P9D").await;
    assert_eq!(review.status().await, "Applied");
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "AutoReviewed"]);

    let mut now = Told::default();
    let mut began = 0;
    for event in t.events().await {
        let is_stage = match event["activity"].as_str().unwrap() {
            "Instance status changed" => false,
            "Stage status changed" | "Stage created" => true,
            _ => continue,
        };
        let (status, at) = (event["after"]["status"].as_str().unwrap().to_owned(), event["at"].clone());
        if !is_stage {
            now.instance = Some((status, at));
            continue;
        }
        let id = event["stage_id"].as_str().unwrap();
        match now.stages.iter_mut().find(|(known, ..)| known == id) {
            Some((_, of_stage, since)) => (*of_stage, *since) = (status.clone(), at.clone()),
            None => now.stages.push((id.to_owned(), status.clone(), at.clone())),
        }
        let statuses: Vec<Status> = now.stages.iter().map(|(_, status, _)| status.parse().unwrap()).collect();
        assert!(statuses.iter().filter(|status| status.is_open()).count() <= 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| *status <= Status::AutoReviewed), "{statuses:?}");
        let (instance, _) = now.instance.as_ref().unwrap();
        let number = now.stages.iter().position(|(known, ..)| known == id).unwrap() + 1;
        if number > 1 && !status.starts_with("Auto") {
            assert_eq!(instance, "InProgress", "stage {number} is {status}");
            began += usize::from(status == "Starting");
        }
    }
    assert_eq!(began, 2);

    // The first stage and its instance begin together, step by step.
    let instants = async |activity: &str, id: &str, value: &str| {
        let events = t.events_of(activity).await;
        let steps = events
            .iter()
            .filter(|event| event[id] == value)
            .map(|event| (event["after"]["status"].as_str().unwrap().to_owned(), event["at"].clone()));
        steps.filter(|(status, _)| ["Initializing", "Starting", "InProgress"].contains(&status.as_str())).collect()
    };
    let of_instance: Vec<_> = instants("Instance status changed", "instance_id", &review.instance).await;
    let first = review.stages().await[0]["id"].as_str().unwrap().to_owned();
    let of_stage: Vec<_> = instants("Stage status changed", "stage_id", &first).await;
    assert_eq!(of_instance.len(), 3);
    assert_eq!(of_instance, of_stage);
}

/// LC-INST-05
#[tokio::test]
async fn a_status_means_what_it_says() {
    let t = Tenant::with_finance().await;
    let builder = default_decision(t.review(), "Deny").starting_in(t.now().await, 5);
    let review = builder.create().await;
    t.run_jobs().await;
    assert_eq!(review.status().await, "NotStarted");
    for table in ["decision_items", "stage_reviewers", "contacted_reviewers"] {
        assert_eq!(t.table(table).await, [Value::Null; 0], "{table}: nothing is gathered yet");
    }

    t.advance("P5D").await;
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.items().await.len(), 7);
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    for status in Status::ALL.into_iter().filter(|status| *status != Status::InProgress) {
        let of_stage = if status > Status::AutoReviewed { Status::Completed } else { status };
        t.force_stage_status(1, of_stage.as_str()).await;
        let sql = format!("update instances set status = '{status}' where tenant_id = '{}'", t.id);
        t.database.execute(&sql).await;
        review.decide(&t.as_user("mia"), "ana", "Deny").await.refused(400, "InvalidReviewState");
    }
    t.force_stage_status(1, "InProgress").await;
    t.database.execute(&format!("update instances set status = 'InProgress' where tenant_id = '{}'", t.id)).await;

    stop(&t, &review).await;
    assert_eq!(review.status().await, "AutoReviewed");
    let told: Vec<_> = t
        .events()
        .await
        .iter()
        .filter(|event| event["activity"] == "Instance status changed" || event["activity"] == "Auto review")
        .map(|event| event["after"]["status"].as_str().unwrap_or("defaults").to_owned())
        .collect();
    assert_eq!(told[told.len() - 3..], ["AutoReviewing", "defaults", "AutoReviewed"]);
    assert_eq!(review.item("ben").await["decision"], "Deny");

    let is_member = async |name: &str| {
        let (group, member) = (id_of("finance").to_string(), id_of(name).to_string());
        let rows = t.table("group_members").await;
        rows.iter().any(|row| row["group_id"] == group.as_str() && row["member_id"] == member.as_str())
    };
    t.as_admin().act(&format!("{}/applyDecisions", review.instance_path())).await.is(204);
    assert_eq!(review.status().await, "Applying");
    assert!(is_member("ben").await, "whatever was decided, access is removed while applying and not before");
    t.run_jobs().await;
    assert_eq!(review.status().await, "Applied");
    assert!(is_member("ana").await && !is_member("ben").await);
}

/// LC-DEF-10
#[tokio::test]
async fn a_definition_is_shown_and_found_in_each_of_its_statuses() {
    let t = Tenant::with_finance().await;
    let review = t.review().create().await;
    let names = [
        "NotStarted",
        "Initializing",
        "Starting",
        "InProgress",
        "Completing",
        "Completed",
        "AutoReviewing",
        "AutoReviewed",
        "Applying",
        "Applied",
        "Failed",
    ];
    for status in names {
        let sql = format!("update definitions set status = '{status}' where tenant_id = '{}'", t.id);
        t.database.execute(&sql).await;
        assert_eq!(definition_status(&t, &review).await, status);
        for other in names {
            let found = t.as_admin().get(&format!("/definitions?$filter=status eq '{other}'")).await.is(200);
            assert_eq!(found.rows().len(), usize::from(other == status), "{status} {other}");
        }
    }
}

// ---- dates ----

/// LC-STAGE-04
#[tokio::test]
async fn stages_end_at_the_start_of_the_instance_plus_the_days_up_to_them() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    t.advance("P6D").await;
    let whole = instance(&t, &review).await;
    let start = instant(&whole, "startDateTime");
    assert_eq!(instant(&whole, "endDateTime"), start + TimeDelta::days(9));
    for (number, row) in (0..).zip(review.stages().await) {
        assert_eq!(instant(&row, "startDateTime"), start + TimeDelta::days(3 * number));
        assert_eq!(instant(&row, "endDateTime"), start + TimeDelta::days(3 * (number + 1)));
    }
}

/// LC-STAGE-06
#[tokio::test]
async fn a_stage_stopped_early_gives_its_time_to_the_next_one_and_the_ends_stay() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    let start = instant(&instance(&t, &review).await, "startDateTime");
    t.advance("P1D").await;
    let now = t.now().await;

    stop_stage(&t, &review, 1).await;

    let second = &review.stages().await[1];
    assert_about(instant(second, "startDateTime"), now);
    assert_eq!(instant(second, "endDateTime"), start + TimeDelta::days(6));
    assert_eq!(instant(&instance(&t, &review).await, "endDateTime"), start + TimeDelta::days(9));
    t.advance("P4D").await;
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    t.advance("P1D").await;
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "InProgress"]);
}

// ---- which items move on ----

/// LC-STAGE-30 to 34, LC-STAGE-36
#[tokio::test]
async fn only_items_with_a_chosen_decision_move_on() {
    let t = Tenant::with_finance().await;
    let silent = ["Gus (guest)", "dan", "eve", "fay"];
    let cases: [(&[&str], Vec<&str>); 7] = [
        (&[], EVERYBODY.to_vec()),
        (&["Approve"], vec!["ana"]),
        (&["Deny"], vec!["ben"]),
        (&["DontKnow"], vec!["cleo"]),
        (&["NotReviewed"], silent.to_vec()),
        (&["Approve", "NotReviewed"], vec!["Gus (guest)", "ana", "dan", "eve", "fay"]),
        (&["Approve", "Deny", "DontKnow", "NotReviewed"], EVERYBODY.to_vec()),
    ];
    for (moves, expected) in cases {
        let stages = [stage(1, 3, &[user("mia")], &[], moves), stage(2, 3, &[user("noor")], &[], &[])];
        let review = t.review().stages(&stages).running().await;
        let mia = t.as_user("mia");
        for (name, decision) in [("ana", "Approve"), ("ben", "Deny"), ("cleo", "DontKnow"), ("eve", "Approve")] {
            review.decide(&mia, name, decision).await.is(204);
        }
        review.decide(&mia, "eve", "NotReviewed").await.is(204);

        stop_stage(&t, &review, 1).await;

        assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), expected, "{moves:?}");
        assert_eq!(review.found_in_stage(2, &t.as_user("noor")).await, expected, "{moves:?}");
        let stayed: Vec<_> = EVERYBODY.into_iter().filter(|name| !expected.contains(name)).collect();
        for name in stayed.into_iter().filter(|name| *name != "Gus (guest)") {
            review.decide(&t.as_user("noor"), name, "Approve").await.refused(404, "ResourceNotFound");
        }
        assert_eq!(review.items().await.len(), 7, "{moves:?}: who stays is still part of the instance");
        assert_eq!(review.item("ana").await["decision"], "Approve");
        assert_eq!(review.item("ben").await["decision"], "Deny");
        stop(&t, &review).await;
    }
}

fn with_sign_in(name: &str, days_ago: i64, now: DateTime<Utc>) -> Value {
    json!({ "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"), "displayName": name,
        "signInActivity": { "lastSignInDateTime": now - TimeDelta::days(days_ago) } })
}

/// LC-STAGE-33
#[tokio::test]
async fn recommendation_moves_the_items_on_which_the_recommendation_was_followed() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let mut company = Company::new();
    for (name, days_ago) in [("ana", 1), ("ben", 90), ("cleo", 1), ("eve", 90), ("dan", 1)] {
        company = company.with(with_sign_in(name, days_ago, now));
    }
    company.import(&t).await;
    let mut first = stage(1, 3, &[user("mia")], &[], &["Recommendation"]);
    first["recommendationsEnabled"] = json!(true);
    let review = t.review().stages(&[first, stage(2, 3, &[user("noor")], &[], &[])]).running().await;
    for (name, decision) in
        [("ana", "Approve"), ("ben", "Deny"), ("cleo", "Deny"), ("eve", "Approve"), ("fay", "Approve")]
    {
        review.decide(&t.as_user("mia"), name, decision).await.is(204);
    }

    stop_stage(&t, &review, 1).await;

    // Dan said nothing, and of Fay nothing is known.
    assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), ["ana", "ben"]);
}

/// LC-STAGE-36, LC-INV-10
#[tokio::test]
async fn only_items_of_a_stage_can_move_from_it_whatever_moved_before() {
    let t = Tenant::with_finance().await;
    let approved_or_silent: &[&str] = &["Approve", "NotReviewed"];
    type Case<'a> = (&'a [&'a str], &'a [&'a str], Vec<&'a str>, Vec<&'a str>);
    let cases: [Case<'_>; 5] = [
        (
            approved_or_silent,
            approved_or_silent,
            vec!["Gus (guest)", "ana", "cleo", "dan", "eve", "fay"],
            vec!["Gus (guest)", "ana", "dan", "eve", "fay"],
        ),
        (approved_or_silent, &["Approve"], vec!["Gus (guest)", "ana", "cleo", "dan", "eve", "fay"], vec!["ana", "dan"]),
        (&["Approve"], &[], vec!["ana", "cleo"], vec!["ana", "cleo"]),
        (&["Approve"], &["NotReviewed"], vec!["ana", "cleo"], vec![]),
        (&[], &["Deny"], EVERYBODY.to_vec(), vec!["cleo"]),
    ];
    for (first, second, in_two, in_three) in cases {
        let stages = [
            stage(1, 3, &[user("mia")], &[], first),
            stage(2, 3, &[user("noor")], &[], second),
            stage(3, 3, &[user("olga")], &[], &[]),
        ];
        let review = t.review().stages(&stages).running().await;
        for (name, decision) in [("ana", "Approve"), ("cleo", "Approve"), ("ben", "Deny")] {
            review.decide(&t.as_user("mia"), name, decision).await.is(204);
        }
        stop_stage(&t, &review, 1).await;
        assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), in_two, "{first:?} {second:?}");

        for (name, decision) in [("ana", "Approve"), ("cleo", "Deny"), ("dan", "Approve")] {
            if in_two.contains(&name) {
                review.decide(&t.as_user("noor"), name, decision).await.is(204);
            }
        }
        stop_stage(&t, &review, 2).await;
        assert_eq!(people(&review.stage_items(3, &t.as_admin()).await), in_three, "{first:?} {second:?}");
    }
}

/// LC-STAGE-35
#[tokio::test]
async fn an_item_that_moved_starts_unreviewed_and_keeps_its_earlier_decision_in_the_earlier_stage() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.advance("P3D").await;

    assert_eq!(review.stage_item_for(2, &t.as_user("noor"), "ana").await["decision"], "NotReviewed");
    assert_eq!(review.stage_item_for(1, &t.as_user("mia"), "ana").await["decision"], "Approve");
}

// ---- the effective decision ----

/// LC-STAGE-40, LC-STAGE-41, LC-STAGE-45
#[tokio::test]
async fn the_last_recorded_decision_of_any_stage_counts_in_both_directions_under_one_item_id() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Deny").await.is(204);
    let id = review.item_id("ana").await;
    t.advance("P3D").await;
    assert_eq!(review.item("ana").await["decision"], "Approve");

    review.decide(&t.as_user("noor"), "ana", "Deny").await.is(204);
    review.decide(&t.as_user("noor"), "ben", "Approve").await.is(204);

    assert_eq!(review.item("ana").await["decision"], "Deny");
    assert_eq!(review.item("ben").await["decision"], "Approve");
    for number in [1, 2] {
        assert_eq!(
            review.stage_item_for(number, &t.as_user(["mia", "noor"][number - 1]), "ana").await["id"],
            id.as_str()
        );
    }
    let first: HashMap<_, _> = review
        .stage_items(1, &t.as_admin())
        .await
        .into_iter()
        .map(|item| (item["principal"]["displayName"].as_str().unwrap().to_owned(), item["decision"].clone()))
        .collect();
    assert_eq!((&first["ana"], &first["ben"]), (&json!("Approve"), &json!("Deny")));
    assert_eq!(review.item("ana").await["applyResult"], "New");
}

/// LC-STAGE-42, LC-STAGE-44
#[tokio::test]
async fn silence_in_a_later_stage_leaves_the_earlier_decision_and_the_default_reaches_only_who_nobody_decided() {
    let t = Tenant::with_finance().await;
    let review = default_decision(t.review().stages(&three_stages(&[])), "Deny").running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.advance("P3D").await;
    assert_eq!(review.item("ben").await["decision"], "NotReviewed", "no default between stages");

    t.advance("P6D").await;

    let ana = review.item("ana").await;
    assert_eq!((&ana["decision"], &ana["reviewedBy"]["displayName"]), (&json!("Approve"), &json!("mia")));
    assert_eq!(review.item("ben").await["decision"], "Deny");
}

/// LC-STAGE-43, LC-DEC-03
#[tokio::test]
async fn withdrawing_a_decision_brings_the_latest_earlier_one_back() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.advance("P3D").await;
    review.decide(&t.as_user("noor"), "ana", "Deny").await.is(204);
    review.decide(&t.as_user("noor"), "ben", "Deny").await.is(204);

    review.decide(&t.as_user("noor"), "ana", "NotReviewed").await.is(204);
    review.decide(&t.as_user("noor"), "ben", "NotReviewed").await.is(204);

    let ana = review.item("ana").await;
    assert_eq!((&ana["decision"], &ana["reviewedBy"]["displayName"]), (&json!("Approve"), &json!("mia")));
    let ben = review.item("ben").await;
    assert_eq!((&ben["decision"], &ben["justification"]), (&json!("NotReviewed"), &json!("")));
    assert_eq!(ben["reviewedDateTime"], Value::Null);
}

/// LC-STAGE-60, LC-DEC-04
#[tokio::test]
async fn the_instance_path_writes_to_the_running_stage_and_a_closed_stage_takes_nothing() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("mia")], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    t.advance("P3D").await;
    let mia = t.as_user("mia");

    review.decide(&mia, "ana", "Approve").await.is(204);
    review.decide_in_stage(1, &mia, "ana", "Deny").await.refused(400, "InvalidReviewState");

    assert_eq!(review.stage_item_for(1, &mia, "ana").await["decision"], "NotReviewed");
    assert_eq!(review.stage_item_for(2, &mia, "ana").await["decision"], "Approve");
}

// ---- who sees which stage ----

/// Ana: approved by Mia, denied by Noor, open for Olga, who is in stage 3.
async fn three_opinions(t: &Tenant, histories: bool) -> Review {
    let builder = t.review().stages(&three_stages(&[]));
    let review = builder.setting("decisionHistoriesForReviewersEnabled", json!(histories)).running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.advance("P3D").await;
    review.decide(&t.as_user("noor"), "ana", "Deny").await.is(204);
    t.advance("P3D").await;
    review
}

/// The status and the decision on Ana that somebody finds in each stage.
async fn seen_in_stages(review: &Review, client: &Client) -> Vec<String> {
    let mut seen = Vec::new();
    for number in 1..=3 {
        let path = review.stage_path(number).await;
        let list = client.get(&format!("{path}/{MINE}")).await;
        let one = client.get(&format!("{path}/decisions/{}", review.item_id("ana").await)).await;
        assert_eq!(list.status, one.status, "{number}: list {:#}, item {:#}", list.body, one.body);
        seen.push(match list.status {
            200 => {
                let item = list.rows().iter().find(|item| item["principal"]["displayName"] == "ana").unwrap();
                assert_eq!(item["decision"], one.body["decision"]);
                one.text("decision")
            }
            status => status.to_string(),
        });
    }
    seen
}

/// LC-STAGE-50, LC-STAGE-52
#[tokio::test]
async fn with_histories_a_reviewer_reads_the_decisions_of_earlier_stages_and_never_of_later_ones() {
    let t = Tenant::with_finance().await;
    let review = three_opinions(&t, true).await;
    assert_eq!(seen_in_stages(&review, &t.as_user("olga")).await, ["Approve", "Deny", "NotReviewed"]);
    assert_eq!(seen_in_stages(&review, &t.as_user("noor")).await, ["Approve", "Deny", "404"]);
    assert_eq!(seen_in_stages(&review, &t.as_user("mia")).await, ["Approve", "404", "404"]);

    for (name, effective) in [("olga", "Deny"), ("noor", "Deny"), ("mia", "Approve")] {
        assert_eq!(review.item_for(&t.as_user(name), "ana").await["decision"], effective, "{name}");
    }
}

/// LC-STAGE-51, LC-STAGE-52
#[tokio::test]
async fn without_histories_a_reviewer_reads_his_own_stage_only_and_the_instance_is_masked_to_it() {
    let t = Tenant::with_finance().await;
    let review = three_opinions(&t, false).await;
    assert_eq!(seen_in_stages(&review, &t.as_user("olga")).await, ["404", "404", "NotReviewed"]);
    assert_eq!(seen_in_stages(&review, &t.as_user("noor")).await, ["404", "Deny", "404"]);
    assert_eq!(seen_in_stages(&review, &t.as_user("mia")).await, ["Approve", "404", "404"]);

    let path = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    for (name, own) in [("olga", "NotReviewed"), ("noor", "Deny"), ("mia", "Approve")] {
        let client = t.as_user(name);
        assert_eq!(review.item_for(&client, "ana").await["decision"], own, "{name}");
        let one = client.get(&path).await.ok();
        assert_eq!(one.body["decision"], own, "{name}");
        if own == "NotReviewed" {
            assert_eq!(one.body["reviewedBy"]["displayName"], "", "{name}");
            assert_eq!(one.body["reviewedDateTime"], Value::Null, "{name}");
        }
    }
}

/// LC-STAGE-51
#[tokio::test]
async fn without_histories_a_filter_on_the_decision_does_not_leak_what_is_masked() {
    let t = Tenant::with_finance().await;
    let review = three_opinions(&t, false).await;
    let filtered = |decision: &str| format!("{}/{MINE}?$filter=decision eq '{decision}'", review.instance_path());
    let olga = t.as_user("olga");
    assert_eq!(olga.get(&filtered("Deny")).await.ok().rows().len(), 0);
    assert_eq!(olga.get(&filtered("NotReviewed")).await.ok().rows().len(), 7);
}

/// LC-STAGE-53
#[tokio::test]
async fn an_admin_reads_every_stage_at_any_time() {
    let t = Tenant::with_finance().await;
    let review = three_opinions(&t, false).await;
    for (number, expected) in [(1, "Approve"), (2, "Deny"), (3, "NotReviewed")] {
        let items = review.stage_items(number, &t.as_reader()).await;
        let ana = items.iter().find(|item| item["principal"]["displayName"] == "ana").unwrap();
        assert_eq!(ana["decision"], expected);
    }
    assert_eq!(review.item("ana").await["decision"], "Deny");
}

// ---- default decisions ----

/// LC-CMP-02
#[tokio::test]
async fn without_a_default_decision_unreviewed_items_stay_unreviewed() {
    let t = Tenant::with_finance().await;
    for (enabled, decision) in [(false, "Deny"), (false, "None")] {
        let builder = t.review().setting("defaultDecisionEnabled", json!(enabled));
        let review = builder.setting("defaultDecision", json!(decision)).running().await;
        stop(&t, &review).await;
        assert_eq!(review.status().await, "Completed");
        assert_eq!(review.item("ana").await["decision"], "NotReviewed");
    }
    assert_eq!(t.events_of("Auto review").await.len(), 0);
}

/// LC-CMP-03, LC-CMP-04, LC-CMP-07
#[tokio::test]
async fn approve_or_deny_by_default_reaches_whatever_nobody_decided_and_carries_the_systems_name() {
    let t = Tenant::with_finance().await;
    for decision in ["Approve", "Deny"] {
        let review = default_decision(t.review(), decision).running().await;
        review.decide(&t.as_user("mia"), "ben", "DontKnow").await.is(204);
        review.decide(&t.as_user("mia"), "eve", "Approve").await.is(204);
        review.decide(&t.as_user("mia"), "eve", "NotReviewed").await.is(204);
        let now = t.now().await;

        stop(&t, &review).await;

        assert_eq!(review.status().await, "AutoReviewed");
        let ben = review.item("ben").await;
        assert_eq!((&ben["decision"], &ben["reviewedBy"]["displayName"]), (&json!("DontKnow"), &json!("mia")));
        for name in ["ana", "eve"] {
            let item = review.item(name).await;
            assert_eq!(item["decision"], decision);
            assert_eq!(item["reviewedBy"]["displayName"], "Access Reviews");
            assert_eq!(item["reviewedBy"]["userPrincipalName"], "");
            assert_about(instant(&item, "reviewedDateTime"), now);
        }
    }
    let counts: Vec<_> = t.events_of("Auto review").await.iter().map(|event| event["after"]["items"].clone()).collect();
    assert_eq!(counts, [json!(6), json!(6)]);
}

/// LC-CMP-05, LC-CMP-06
#[tokio::test]
async fn recommendation_by_default_follows_what_is_known_also_when_recommendations_are_not_shown() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    Company::new().with(with_sign_in("ana", 1, now)).with(with_sign_in("ben", 90, now)).import(&t).await;
    for shown in [true, false] {
        let builder = t.review().setting("recommendationsEnabled", json!(shown));
        let review = default_decision(builder, "Recommendation").running().await;
        stop(&t, &review).await;

        for (name, decision, recommendation) in
            [("ana", "Approve", "Approve"), ("ben", "Deny", "Deny"), ("cleo", "NotReviewed", "NoInfoAvailable")]
        {
            let item = review.item(name).await;
            assert_eq!(item["decision"], decision, "{name}");
            assert_eq!(item["recommendation"], if shown { recommendation } else { "NoInfoAvailable" }, "{name}");
        }
        assert_eq!(review.item("cleo").await["reviewedDateTime"], Value::Null);
    }
}

// ---- the definition's status and series ----

/// LC-DEF-01, LC-DEF-11, LC-INST-03
#[tokio::test]
async fn a_one_time_definition_has_the_status_and_the_id_of_its_instance() {
    let t = Tenant::with_finance().await;
    let builder = default_decision(t.review().starting_in(t.now().await, 2), "Deny");
    let review = builder.create().await;
    t.run_jobs().await;
    assert_eq!(definition_status(&t, &review).await, "NotStarted");
    assert_eq!(review.status().await, "NotStarted");
    assert_eq!(instances(&t, &review).await.len(), 1);

    t.advance("P2D").await;
    assert_eq!(definition_status(&t, &review).await, "InProgress");

    t.advance("P10D").await;
    assert_eq!(definition_status(&t, &review).await, "AutoReviewed");
    assert_eq!(instances(&t, &review).await.len(), 1);
}

fn weekly(builder: ReviewBuilder<'_>, now: DateTime<Utc>, in_days: i64, occurrences: u32) -> ReviewBuilder<'_> {
    let start = (now + TimeDelta::days(in_days)).date_naive();
    builder.setting(
        "recurrence",
        json!({
            "pattern": { "type": "weekly", "interval": 1 },
            "range": { "type": "numbered", "numberOfOccurrences": occurrences, "startDate": start },
        }),
    )
}

/// The occurrences from first to last.
async fn occurrences(t: &Tenant, review: &Review) -> Vec<Review> {
    let mut rows = instances(t, review).await;
    rows.sort_by_key(|row| instant(row, "startDateTime"));
    rows.iter().map(|row| review.occurrence(row["id"].as_str().unwrap())).collect()
}

async fn statuses(t: &Tenant, review: &Review) -> Vec<String> {
    let mut statuses = Vec::new();
    for occurrence in occurrences(t, review).await {
        statuses.push(occurrence.status().await);
    }
    statuses
}

/// LC-INST-01, LC-INST-03, LC-INST-07, LC-DEF-11, LC-REC-06
#[tokio::test]
async fn a_series_shows_exactly_one_occurrence_ahead_and_is_in_progress_until_the_last_one_rests() {
    let t = Tenant::with_finance().await;
    let builder = weekly(t.review().setting("instanceDurationInDays", json!(2)), t.now().await, 1, 3);
    let review = builder.create().await;
    t.run_jobs().await;
    assert_eq!(definition_status(&t, &review).await, "NotStarted");
    assert_eq!(statuses(&t, &review).await, ["NotStarted"]);

    t.advance("P1D").await;
    assert_eq!(statuses(&t, &review).await, ["InProgress"]);
    assert_eq!(definition_status(&t, &review).await, "InProgress");

    t.advance("P2D").await;
    assert_eq!(statuses(&t, &review).await, ["Completed", "NotStarted"]);
    assert_eq!(definition_status(&t, &review).await, "InProgress");

    t.advance("P5D").await;
    assert_eq!(statuses(&t, &review).await, ["Completed", "InProgress"]);
    t.advance("P14D").await;
    assert_eq!(statuses(&t, &review).await, ["Completed"; 3]);
    assert_eq!(definition_status(&t, &review).await, "Completed");

    let all = occurrences(&t, &review).await;
    let first = instant(&instance(&t, &all[0]).await, "startDateTime");
    for (week, occurrence) in (0..).zip(&all) {
        let row = instance(&t, occurrence).await;
        assert_eq!(instant(&row, "startDateTime"), first + TimeDelta::weeks(week));
        assert_eq!(instant(&row, "endDateTime"), first + TimeDelta::weeks(week) + TimeDelta::days(2));
        assert_ne!(occurrence.instance, review.definition);
        assert_eq!(occurrence.items().await.len(), 7);
    }
    walks(&t).await;
}

/// LC-INST-06
#[tokio::test]
async fn the_next_occurrence_gathers_anew() {
    let t = Tenant::with_finance().await;
    let builder = weekly(t.review().setting("instanceDurationInDays", json!(2)), t.now().await, 0, 2);
    let review = builder.running().await;
    Company::new().group("finance", &["zoe"], &[]).import(&t).await;

    t.advance("P7D").await;

    let all = occurrences(&t, &review).await;
    assert_eq!(people(&all[0].items().await), EVERYBODY);
    assert_eq!(people(&all[1].items().await), ["zoe"]);
}

/// LC-INST-32
#[tokio::test]
async fn stopping_an_occurrence_shows_the_next_one_and_leaves_its_dates_alone() {
    let t = Tenant::with_finance().await;
    let builder = weekly(t.review().setting("instanceDurationInDays", json!(5)), t.now().await, 0, 2);
    let review = builder.running().await;
    let first = occurrences(&t, &review).await.remove(0);
    let start = instant(&instance(&t, &first).await, "startDateTime");

    stop(&t, &first).await;

    assert_eq!(statuses(&t, &review).await, ["Completed", "NotStarted"]);
    let next = occurrences(&t, &review).await.remove(1);
    assert_eq!(instant(&instance(&t, &next).await, "startDateTime"), start + TimeDelta::weeks(1));
}

// ---- late starts ----

/// LC-INST-15
#[tokio::test]
async fn a_start_a_few_minutes_late_moves_nothing() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).starting_in(t.now().await, 5).create().await;
    let before = instance(&t, &review).await;

    t.advance_without_jobs("P5DT5M").await;
    t.run_jobs().await;

    let after = instance(&t, &review).await;
    assert_eq!(after["status"], "InProgress");
    for member in ["startDateTime", "endDateTime"] {
        assert_eq!(after[member], before[member]);
    }
}

/// LC-INST-15
#[tokio::test]
async fn a_late_start_moves_every_end_by_the_delay() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&three_stages(&[])).starting_in(t.now().await, 5).create().await;
    let scheduled = instant(&instance(&t, &review).await, "startDateTime");

    t.advance_without_jobs("P8D").await;
    t.run_jobs().await;

    let after = instance(&t, &review).await;
    let start = instant(&after, "startDateTime");
    assert_about(start, scheduled + TimeDelta::days(3));
    assert_eq!(instant(&after, "endDateTime"), start + TimeDelta::days(9));
    let first = &review.stages().await[0];
    assert_eq!(instant(first, "startDateTime"), start);
    assert_eq!(instant(first, "endDateTime"), start + TimeDelta::days(3));
    t.advance("P3D").await;
    let second = &review.stages().await[1];
    assert_eq!(instant(second, "endDateTime"), start + TimeDelta::days(6));
}

/// LC-INST-15, LC-INV-09
#[tokio::test]
async fn a_late_occurrence_ends_at_the_start_of_the_next_one_at_the_latest() {
    let t = Tenant::with_finance().await;
    let builder = weekly(t.review().setting("instanceDurationInDays", json!(4)), t.now().await, 1, 2);
    let review = builder.create().await;
    let first = occurrences(&t, &review).await.remove(0);
    let scheduled = instant(&instance(&t, &first).await, "startDateTime");

    t.advance_without_jobs("P6D").await;
    t.run_jobs().await;

    let row = instance(&t, &first).await;
    assert_eq!(row["status"], "InProgress");
    assert_about(instant(&row, "startDateTime"), scheduled + TimeDelta::days(5));
    assert_eq!(instant(&row, "endDateTime"), scheduled + TimeDelta::weeks(1));
    t.advance("P2D").await;
    assert_eq!(statuses(&t, &review).await, ["Completed", "InProgress"]);
}

/// LC-INST-15, IN-15
#[tokio::test]
async fn an_occurrence_that_would_have_less_than_a_day_left_fails_and_decides_nothing() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let builder = weekly(t.review().setting("instanceDurationInDays", json!(4)), t.now().await, 1, 2);
    let builder = default_decision(builder, "Deny").setting("mailNotificationsEnabled", json!(true));
    let review = builder.create().await;
    let first = occurrences(&t, &review).await.remove(0);

    t.advance_without_jobs("P7DT12H").await;
    t.run_jobs().await;

    let row = instance(&t, &first).await;
    assert_eq!((&row["status"], &row["errors"][0]["code"]), (&json!("Failed"), &json!("StartedTooLate")));
    assert_eq!(t.table("decisions").await.len(), 0);
    assert_eq!(mailed(&sink), [""; 0]);
    assert_eq!(statuses(&t, &review).await, ["Failed", "NotStarted"]);

    t.advance("P1D").await;
    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
    t.advance("P4D").await;
    assert_eq!(statuses(&t, &review).await, ["Failed", "AutoReviewed"]);
    assert_eq!(definition_status(&t, &review).await, "AutoReviewed");
    walks(&t).await;
}

/// Mia decides for three days, then Noor for four, every week from tomorrow on; who says nothing is denied.
async fn weekly_in_two_stages(t: &Tenant) -> Review {
    let two = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 4, &[user("noor")], &[], &[])];
    default_decision(weekly(t.review().stages(&two), t.now().await, 1, 2), "Deny").create().await
}

/// LC-INST-15, LC-INV-09
#[tokio::test]
async fn a_late_occurrence_that_has_to_end_early_takes_the_time_from_its_last_stage() {
    let t = Tenant::with_finance().await;
    let review = weekly_in_two_stages(&t).await;
    let first = occurrences(&t, &review).await.remove(0);
    let scheduled = instant(&instance(&t, &first).await, "startDateTime");

    t.advance_without_jobs("P3DT12H").await;
    t.run_jobs().await;

    let row = instance(&t, &first).await;
    let start = instant(&row, "startDateTime");
    assert_about(start, scheduled + TimeDelta::hours(60));
    assert_eq!(instant(&row, "endDateTime"), scheduled + TimeDelta::weeks(1));
    assert_eq!(instant(&first.stages().await[0], "endDateTime"), start + TimeDelta::days(3));
    first.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    t.advance("P3D").await;
    let second = first.stages().await.remove(1);
    assert_eq!(second["status"], "InProgress");
    assert_eq!(instant(&second, "startDateTime"), start + TimeDelta::days(3));
    assert_eq!(instant(&second, "endDateTime"), scheduled + TimeDelta::weeks(1));
    first.decide(&t.as_user("noor"), "ana", "Approve").await.is(204);
    t.advance("P1DT12H").await;

    assert_eq!(statuses(&t, &review).await, ["AutoReviewed", "InProgress"]);
    assert_eq!(first.item("ana").await["decision"], "Approve");
    assert_eq!(first.item("ben").await["decision"], "Deny");
    walks(&t).await;
}

/// LC-INST-15, IN-15: with two days left its first stage would take them both, and what nobody could answer would be denied.
#[tokio::test]
async fn an_occurrence_too_late_for_its_last_stage_fails_and_decides_nothing() {
    let t = Tenant::with_finance().await;
    let review = weekly_in_two_stages(&t).await;
    let first = occurrences(&t, &review).await.remove(0);

    t.advance_without_jobs("P6D").await;
    t.run_jobs().await;

    let row = instance(&t, &first).await;
    assert_eq!((&row["status"], &row["errors"][0]["code"]), (&json!("Failed"), &json!("StartedTooLate")));
    t.advance("P2DT1H").await;
    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
    assert_eq!(t.table("decisions").await.len(), 0);
    walks(&t).await;
}

/// LC-INST-15, LC-REC-10, IN-15
#[tokio::test]
async fn a_hand_over_too_late_for_the_last_stage_fails_and_decides_nothing() {
    let t = Tenant::with_finance().await;
    let three = [
        stage(1, 1, &[user("mia")], &[], &[]),
        stage(2, 2, &[user("noor")], &[], &[]),
        stage(3, 2, &[user("olga")], &[], &[]),
    ];
    let builder = weekly(t.review().stages(&three), t.now().await, 0, 2);
    let review = default_decision(builder, "Deny").running().await;
    let first = occurrences(&t, &review).await.remove(0);

    t.advance_without_jobs("P4DT12H").await;
    t.run_jobs().await;

    let row = instance(&t, &first).await;
    assert_eq!((&row["status"], &row["errors"][0]["code"]), (&json!("Failed"), &json!("HandedOverTooLate")));
    assert_eq!(first.stages().await.len(), 1);
    t.advance("P3D").await;
    assert_eq!(t.table("decisions").await.len(), 0);
    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
    walks(&t).await;
}

/// LC-INST-15, LC-REC-10: nobody's time to answer passes while the service is away.
#[tokio::test]
async fn a_hand_over_that_an_outage_delayed_moves_what_is_left_of_the_review() {
    let t = Tenant::with_finance().await;
    let review = default_decision(t.review().stages(&three_stages(&[])), "Deny").running().await;
    let before = instance(&t, &review).await;
    let first_ends = instant(&review.stages().await[0], "endDateTime");

    t.advance_without_jobs("P11D").await;
    t.run_jobs().await;

    let row = instance(&t, &review).await;
    let stages = review.stages().await;
    assert_eq!((&row["status"], stages.len()), (&json!("InProgress"), 2));
    let second_starts = instant(&stages[1], "startDateTime");
    assert_about(second_starts, first_ends + TimeDelta::days(8));
    assert_eq!(instant(&stages[0], "endDateTime"), first_ends);
    assert_eq!(instant(&stages[1], "endDateTime"), second_starts + TimeDelta::days(3));
    let delay = second_starts - first_ends;
    assert_eq!(instant(&row, "endDateTime"), instant(&before, "endDateTime") + delay);
    assert_eq!(t.table("decisions").await.len(), 0);

    t.advance("P3D").await;
    let third = &review.stages().await[2];
    assert_eq!(instant(third, "startDateTime"), second_starts + TimeDelta::days(3));
    assert_eq!(instant(third, "endDateTime"), instant(&row, "endDateTime"));
    t.advance("P3D").await;
    assert_eq!(instance(&t, &review).await["status"], "AutoReviewed");
    walks(&t).await;
}

/// LC-INST-15, LC-REC-10, IN-15
#[tokio::test]
async fn a_hand_over_too_late_for_the_next_stage_fails_and_decides_nothing() {
    let t = Tenant::with_finance().await;
    let two = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("noor")], &[], &[])];
    let builder = weekly(t.review().stages(&two), t.now().await, 0, 2);
    let review = default_decision(builder, "Deny").running().await;
    let first = occurrences(&t, &review).await.remove(0);

    t.advance_without_jobs("P6DT12H").await;
    t.run_jobs().await;

    let row = instance(&t, &first).await;
    assert_eq!((&row["status"], &row["errors"][0]["code"]), (&json!("Failed"), &json!("HandedOverTooLate")));
    assert_eq!(t.table("decisions").await.len(), 0);
    assert_eq!(statuses(&t, &review).await, ["Failed", "NotStarted"]);
    t.advance("P1D").await;
    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
    walks(&t).await;
}

// ---- deletion ----

/// The tables in which nothing of a deleted review may stay.
const TABLES_OF_REVIEWS: [&str; 13] = [
    "definitions",
    "instances",
    "stages",
    "planned_stages",
    "decision_items",
    "item_cohorts",
    "item_principals",
    "decisions",
    "stage_reviewers",
    "stage_fallbacks",
    "contacted_reviewers",
    "reviewer_lists",
    "reviewer_scopes",
];

async fn assert_deleted(t: &Tenant, review: &Review) {
    let events = t.events().await;
    let statuses = told(t).await;

    t.as_admin().delete(&review.path()).await.is(204);

    t.as_admin().get(&review.path()).await.refused(404, "ResourceNotFound");
    t.as_admin().get(&review.instance_path()).await.refused(404, "ResourceNotFound");
    t.as_admin().delete(&review.path()).await.refused(404, "ResourceNotFound");
    for table in TABLES_OF_REVIEWS {
        assert_eq!(t.table(table).await, [Value::Null; 0], "{table}");
    }
    t.end_backoff().await;
    t.run_jobs().await;
    t.advance("P60D").await;
    for job in t.table("jobs").await {
        assert!(!job["finished_at"].is_null(), "{job:#}");
    }
    let after = t.events().await;
    assert_eq!(after[..events.len()], events[..], "events stay as they were");
    assert_eq!(after[events.len()]["activity"], "Delete access review");
    assert_eq!(after[events.len()]["definition_id"], review.definition.as_str());
    assert_eq!(told(t).await, statuses, "nothing moved any more");
}

/// LC-DEF-30 to 32
#[tokio::test]
async fn a_scheduled_review_can_be_deleted_and_never_starts() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let builder = t.review().starting_in(t.now().await, 5).setting("mailNotificationsEnabled", json!(true));
    let review = builder.create().await;
    assert_deleted(&t, &review).await;
    assert_eq!(mailed(&sink), [""; 0]);
}

/// LC-DEF-30 to 32
#[tokio::test]
async fn a_running_review_can_be_deleted_and_sends_decides_and_closes_nothing_any_more() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let builder = t.review().stages(&three_stages(&[])).setting("mailNotificationsEnabled", json!(true));
    let review = default_decision(builder, "Deny").running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.advance("P3D").await;
    sink.clear();

    assert_deleted(&t, &review).await;

    assert_eq!(mailed(&sink), [""; 0]);
    t.as_user("mia").get(&review.instance_path()).await.refused(404, "ResourceNotFound");
}

/// LC-DEF-31
#[tokio::test]
async fn mail_that_still_waits_when_its_review_is_deleted_is_not_sent() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    sink.refuse_next(u32::MAX);
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;
    sink.refuse_next(0);

    assert_deleted(&t, &review).await;

    assert_eq!(mailed(&sink), [""; 0]);
}

/// LC-DEF-30 to 32
#[tokio::test]
async fn completed_auto_reviewed_and_failed_reviews_can_be_deleted() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    stop(&t, &review).await;
    assert_deleted(&t, &review).await;

    let t = Tenant::with_finance().await;
    let review = default_decision(t.review(), "Deny").running().await;
    stop(&t, &review).await;
    assert_deleted(&t, &review).await;

    let t = Tenant::with_finance().await;
    let builder = weekly(t.review().setting("instanceDurationInDays", json!(4)), t.now().await, 1, 2);
    let review = builder.create().await;
    t.advance_without_jobs("P7DT12H").await;
    t.run_jobs().await;
    let failed = occurrences(&t, &review).await.remove(0);
    assert_eq!(failed.status().await, "Failed");
    assert_deleted(&t, &failed).await;
}

// ---- mail ----

/// LC-DEF-31, IN-16, ST-12
#[tokio::test]
async fn in_every_status_a_review_and_its_stages_go_with_their_definition() {
    let t = Tenant::with_finance().await;
    for status in Status::ALL {
        let review = t.review().stages(&three_stages(&[])).running().await;
        review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
        let of_stage = if status > Status::AutoReviewed { Status::Completed } else { status };
        t.force_stage_status(1, of_stage.as_str()).await;
        let sql = format!("update instances set status = '{status}' where tenant_id = '{}'", t.id);
        t.database.execute(&sql).await;
        assert_eq!(review.status().await, status.as_str());

        t.as_admin().delete(&review.path()).await.is(204);

        for path in [review.path(), review.instance_path()] {
            t.as_admin().get(&path).await.refused(404, "ResourceNotFound");
        }
        for table in TABLES_OF_REVIEWS {
            assert_eq!(t.table(table).await, [Value::Null; 0], "{status}: {table}");
        }
    }
    t.advance("P60D").await;
    assert_eq!(t.events_of("Access review ended").await.len(), 0);
}

async fn with_mail(t: &Tenant, stages: &[Value]) -> Review {
    let recipients = json!([{
        "notificationTemplateType": "CompletedAdditionalRecipients",
        "notificationRecipientScope": {
            "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
            "query": format!("/groups/{}/transitiveMembers", id_of("auditors")), "queryType": "MicrosoftGraph",
        },
    }]);
    let builder = t.review().with("additionalNotificationRecipients", recipients);
    let builder = builder.reviewers(&[manager()]).fallbacks(&[user("tom")]);
    let builder = if stages.is_empty() { builder } else { builder.stages(stages) };
    let review = builder.setting("mailNotificationsEnabled", json!(true)).running().await;
    t.run_jobs().await;
    review
}

fn subjects(sink: &SmtpSink) -> Vec<String> {
    let mut subjects: Vec<_> = sink.mails().iter().map(|mail| mail.subject()).collect();
    subjects.sort();
    subjects.dedup();
    subjects
}

/// N-1, N-6, N-7
#[tokio::test]
async fn a_single_stage_review_mails_each_reviewer_once_and_at_the_end_its_creator_and_the_additional_recipients() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    with_mail(&t, &[]).await;
    assert_eq!(mailed(&sink), ["mia", "noor", "tom"]);
    assert!(subjects(&sink)[0].starts_with("Please review access to finance"), "{:?}", subjects(&sink));
    assert!(sink.mails()[0].text().contains("for reviewers"));
    sink.clear();

    t.advance("P9D").await;
    assert_eq!(mailed(&sink), [""; 0]);
    t.advance("P1D").await;
    assert_eq!(mailed(&sink), ["carla", "sam", "tom"]);
    assert_eq!(subjects(&sink), ["Access review completed: Finance-ERP"]);
    t.advance("P30D").await;
    assert_eq!(mailed(&sink).len(), 3);
    assert_eq!(t.events_of("Mail sent").await.len(), 6);
}

/// N-2
#[tokio::test]
async fn every_stage_mails_its_reviewers_once_when_it_starts() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let stages = [
        stage(1, 3, &[], &[], &[]),
        stage(2, 3, &[manager()], &[user("tom")], &[]),
        stage(3, 3, &[user("mia"), user("olga")], &[], &[]),
    ];
    with_mail(&t, &stages).await;
    let expected: [&[&str]; 4] = [
        &["ana", "ben", "cleo", "dan", "eve", "fay", "gus"],
        &["mia", "noor", "tom"],
        &["mia", "olga"],
        &["carla", "sam", "tom"],
    ];
    for expected in expected {
        assert_eq!(mailed(&sink), expected);
        sink.clear();
        t.advance("P3D").await;
    }
    assert_eq!(mailed(&sink), [""; 0]);
}

/// LC-NOTE-01
#[tokio::test]
async fn with_mail_switched_off_nobody_gets_any() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t.review().stages(&three_stages(&[])).running().await;
    t.advance("P9D").await;
    assert_eq!(review.status().await, "Completed");
    assert_eq!(mailed(&sink), [""; 0]);
    assert_eq!(t.contacted(1).await, ["mia"]);
}

/// LC-NOTE-09
#[tokio::test]
async fn a_mail_server_that_is_down_blocks_no_transition_and_the_mail_follows_later() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    sink.refuse_next(u32::MAX);
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("noor")], &[], &[])];
    let review = with_mail(&t, &stages).await;
    assert_eq!(review.status().await, "InProgress");
    t.advance("P3D").await;
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    t.advance("P3D").await;
    assert_eq!(review.status().await, "Completed");
    assert_eq!(mailed(&sink), [""; 0]);

    sink.refuse_next(0);
    t.end_backoff().await;
    t.run_jobs().await;

    // Mia and Noor are asked for nothing any more.
    assert_eq!(mailed(&sink), ["carla", "sam", "tom"]);
}

/// LC-NOTE-08
#[tokio::test]
async fn a_mail_whose_sending_was_interrupted_is_not_sent_twice() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    t.review().setting("mailNotificationsEnabled", json!(true)).create().await;
    let jobs = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap();
    attestry::app::run_job::run_job(&t.services, &jobs[0], "https://reviews.example").await.unwrap();
    // A worker claims the mail, hands it over and dies before it can say so.
    let claimed = t.services.queue.claim(Some(t.id), 100, 60).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(t.services.queue.hand_over(&claimed[0]).await.unwrap());
    let expire =
        "update jobs set leased_until = clock_timestamp() - interval '1 second' where leased_until is not null";
    t.database.execute(&format!("{expire} and tenant_id = '{}'", t.id)).await;

    t.run_jobs().await;

    assert_eq!(mailed(&sink), [""; 0]);
    let failures = t.events_of("Mail failed").await;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0]["after"]["recipient"], json!(id_of("mia")));
    assert_eq!(t.run_jobs().await, 0);
}

/// LC-NOTE-08, LC-NOTE-09
#[tokio::test]
async fn a_mail_whose_worker_died_before_it_was_handed_over_is_sent_by_the_next_and_by_nobody_else() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    t.review().setting("mailNotificationsEnabled", json!(true)).create().await;
    let jobs = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap();
    attestry::app::run_job::run_job(&t.services, &jobs[0], "https://reviews.example").await.unwrap();
    let slow = t.services.queue.claim(Some(t.id), 1, 0).await.unwrap().pop().unwrap();
    let next = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap().pop().unwrap();
    assert_eq!(next.id, slow.id);

    // The first was not dead at all, only slow.
    let late = attestry::app::run_job::run_job(&t.services, &slow, "https://reviews.example").await;
    assert!(matches!(late, Err(Refused::Store(StoreError::LeaseLost))), "{late:?}");
    assert_eq!(mailed(&sink), [""; 0]);
    attestry::app::run_job::run_job(&t.services, &next, "https://reviews.example").await.unwrap();

    assert_eq!(mailed(&sink), ["mia"]);
    assert_eq!(t.events_of("Mail sent").await.len(), 1);
}

/// LC-NOTE-08, LC-CONC-06
#[tokio::test]
async fn a_worker_that_died_while_gathering_is_followed_by_another_that_opens_the_review_once() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).create().await;
    assert_eq!(t.services.queue.claim(Some(t.id), 1, 60).await.unwrap().len(), 1);
    t.force_stage_status(1, "Initializing").await;
    let expire = "update jobs set leased_until = clock_timestamp() - interval '1 second'";
    t.database
        .execute(&format!(
            "update instances set status = 'Initializing' where tenant_id = '{0}'; {expire} where tenant_id = '{0}'",
            t.id,
        ))
        .await;

    t.run_jobs().await;

    assert_eq!(review.status().await, "InProgress");
    assert_eq!(people(&review.items().await), EVERYBODY);
    assert_eq!(mailed(&sink), ["mia"]);
}
