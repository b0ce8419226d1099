//! What stands in a report: which reviews, which items, which cells. LC-HIST-03 to 13

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{
    Client, Company, GUEST, ReportLine, Review, Tenant, alone, history_body, history_scope, manager, object_id, stage,
    user,
};

fn column<'a>(rows: &'a [ReportLine], name: &str) -> Vec<&'a str> {
    let mut cells: Vec<_> = rows.iter().map(|row| row[name].as_str()).collect();
    cells.sort_unstable();
    cells
}

fn by_principal(rows: &[ReportLine]) -> BTreeMap<&str, &ReportLine> {
    rows.iter().map(|row| (row["PrincipalName"].as_str(), row)).collect()
}

async fn decided(t: &Tenant) -> Review {
    let review = t.review().running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Deny").await.is(204);
    review.decide(&t.as_user("mia"), "cleo", "DontKnow").await.is(204);
    review
}

/// LC-HIST-09, LC-HIST-10: what the API says of an item is what its row says.
#[tokio::test]
async fn a_report_says_what_the_api_says() {
    let t = Tenant::with_finance().await;
    let review = decided(&t).await;

    let rows = t.rows_of_report(&t.as_admin(), &history_body(t.now().await)).await;

    let items = review.items().await;
    assert_eq!((rows.len(), items.len()), (7, 7));
    let definition = t.as_admin().get(&review.path()).await.ok().body;
    let instance = t.as_admin().get(&review.instance_path()).await.ok().body;
    for item in &items {
        let id = item["principal"]["id"].as_str().unwrap();
        let row = rows.iter().find(|row| row["PrincipalId"] == id).unwrap();
        let is_decided = item["decision"] != "NotReviewed";
        let cell =
            |value: &Value| if is_decided { value.as_str().unwrap_or_default().to_owned() } else { String::new() };
        for (name, expected) in [
            ("AccessReviewId", review.instance.clone()),
            ("AccessReviewSeriesId", "00000000-0000-0000-0000-000000000000".to_owned()),
            ("ReviewType", "group".to_owned()),
            ("ResourceDisplayName", "finance".to_owned()),
            ("ResourceId", object_id("finance")),
            ("ReviewName", "Finance-ERP".to_owned()),
            ("CreatedDateTime", definition["createdDateTime"].as_str().unwrap().to_owned()),
            ("ReviewStartDate", instance["startDateTime"].as_str().unwrap().to_owned()),
            ("ReviewEndDate", instance["endDateTime"].as_str().unwrap().to_owned()),
            ("ReviewStatus", "InProgress".to_owned()),
            ("OwnerId", object_id("carla")),
            ("OwnerName", "carla".to_owned()),
            ("OwnerUPN", "carla@acme.example".to_owned()),
            ("PrincipalName", item["principal"]["displayName"].as_str().unwrap().to_owned()),
            ("PrincipalUPN", item["principal"]["userPrincipalName"].as_str().unwrap().to_owned()),
            ("PrincipalType", "user".to_owned()),
            ("ReviewDate", cell(&item["reviewedDateTime"])),
            ("ReviewResult", item["decision"].as_str().unwrap().to_owned()),
            ("Justification", cell(&item["justification"])),
            ("ReviewerId", cell(&item["reviewedBy"]["id"])),
            ("ReviewerName", cell(&item["reviewedBy"]["displayName"])),
            ("ReviewerUPN", cell(&item["reviewedBy"]["userPrincipalName"])),
            ("ReviewerEmailAddress", if is_decided { "mia@acme.example".to_owned() } else { String::new() }),
            ("AppliedByName", String::new()),
            ("AppliedByUPN", String::new()),
            ("AppliedByEmailAddress", String::new()),
            ("AppliedDate", String::new()),
            ("AccessRecommendation", item["recommendation"].as_str().unwrap().to_owned()),
            ("SubmissionResult", "not applied".to_owned()),
        ] {
            assert_eq!(row[name], expected, "{name} of {id}");
        }
        assert_eq!(row.len(), 30);
    }
}

/// LC-HIST-10: who applied what, and when; what was only kept, or could not be removed, was not submitted.
#[tokio::test]
async fn a_report_says_what_was_applied_and_by_whom() {
    let t = Tenant::with_finance().await;
    let review = decided(&t).await;
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.as_admin().act(&format!("{}/applyDecisions", review.instance_path())).await.is(204);
    t.run_jobs().await;

    let rows = t.rows_of_report(&t.as_admin(), &history_body(t.now().await)).await;

    let rows = by_principal(&rows);
    let denied = rows["ben"];
    let item = review.item("ben").await;
    assert_eq!(item["applyResult"], "AppliedSuccessfully");
    for (name, expected) in [
        ("ReviewStatus", "Applied"),
        ("AppliedByName", "carla"),
        ("AppliedByUPN", "carla@acme.example"),
        ("AppliedByEmailAddress", "carla@acme.example"),
        ("AppliedDate", item["appliedDateTime"].as_str().unwrap()),
        ("SubmissionResult", "applied"),
    ] {
        assert_eq!(denied[name], expected, "{name}");
    }
    for name in ["AppliedByName", "AppliedDate"] {
        assert_eq!(rows["cleo"][name], "", "nothing was done about who was left undecided");
    }
    assert_eq!(rows["cleo"]["SubmissionResult"], "not applied");
}

/// LC-HIST-09
#[tokio::test]
async fn the_header_has_thirty_columns_in_their_order() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let link = admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri");

    let text = t.text_behind(&link).await;

    assert_eq!(
        text.lines().next().unwrap(),
        "AccessReviewId,AccessReviewSeriesId,ReviewType,ResourceDisplayName,ResourceId,ReviewName,CreatedDateTime,\
         ReviewStartDate,ReviewEndDate,ReviewStatus,OwnerId,OwnerName,OwnerUPN,PrincipalId,PrincipalName,PrincipalUPN,\
         PrincipalType,ReviewDate,ReviewResult,Justification,ReviewerId,ReviewerName,ReviewerUPN,ReviewerEmailAddress,\
         AppliedByName,AppliedByUPN,AppliedByEmailAddress,AppliedDate,AccessRecommendation,SubmissionResult"
    );
}

/// Rows come review by review in order of their start, and within one as they were generated.
#[tokio::test]
async fn rows_are_in_order_of_start_and_generation() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    let mut expected = Vec::new();
    for _ in 0..3 {
        let review = t.review().running().await;
        review.decide(&t.as_user("mia"), "eve", "Approve").await.is(204);
        review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
        expected.push(review.instance);
        t.advance("PT1H").await;
    }
    let items = t.table("decision_items").await;
    let mut generated: Vec<_> = items
        .iter()
        .map(|item| (item["instance_id"].as_str(), item["seq"].as_i64(), item["principal_id"].as_str()))
        .collect();
    generated.sort_unstable_by_key(|(instance, seq, _)| {
        (expected.iter().position(|id| Some(id.as_str()) == *instance), *seq)
    });

    let rows = t.rows_of_report(&admin, &history_body(t.now().await)).await;

    let shown: Vec<_> = rows.iter().map(|row| (row["AccessReviewId"].as_str(), row["PrincipalId"].as_str())).collect();
    let generated: Vec<_> =
        generated.iter().map(|(instance, _, principal)| (instance.unwrap(), principal.unwrap())).collect();
    assert_eq!(shown.len(), 21);
    assert_eq!(shown, generated);
}

/// Reviews without items fill more than is read from the database at a time, and the one with items comes after them; of that, more
/// than are read at a time too.
#[tokio::test]
async fn a_report_goes_on_after_any_number_of_reviews_without_items() {
    const REVIEWS: usize = 4_100;
    const ITEMS: usize = 8_100;
    let t = Tenant::with_finance().await;
    let review = decided(&t).await;
    t.database
        .execute(&format!(
            "insert into instances
             select made.*
               from instances i, generate_series(1, {REVIEWS}) as copy
              cross join lateral jsonb_populate_record(
                  i, jsonb_build_object('instance_id', gen_random_uuid(), 'occurrence', i.occurrence + copy, 'item_count', 0,
                                        'start_at', i.start_at - interval '1 minute')) as made
              where i.tenant_id = '{0}';
             insert into decision_items
             select made.*
               from decision_items i, generate_series(8, {ITEMS}) as copy
              cross join lateral jsonb_populate_record(
                  i, jsonb_build_object('seq', copy, 'principal_id', gen_random_uuid())) as made
              where i.tenant_id = '{0}' and i.seq = 1",
            t.id
        ))
        .await;

    let rows = t.rows_of_report(&t.as_admin(), &history_body(t.now().await)).await;

    assert_eq!(rows.len(), ITEMS);
    assert!(rows.iter().all(|row| row["AccessReviewId"] == review.instance));
    assert_eq!(rows.iter().map(|row| &row["PrincipalId"]).collect::<BTreeSet<_>>().len(), ITEMS);
    assert_eq!(rows.iter().filter(|row| row["ReviewResult"] != "NotReviewed").count(), 3);
}

/// LC-HIST-13
#[tokio::test]
async fn what_is_decided_later_does_not_alter_a_report() {
    let t = Tenant::with_finance().await;
    let review = decided(&t).await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let before = t.download(&admin, &instance).await;

    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    review.decide(&t.as_user("mia"), "dan", "Deny").await.is(204);
    t.import(&format!("{}\n", json!({ "type": "user", "id": object_id("mia"), "mail": "new@acme.example" }))).await;
    t.advance("P11D").await;

    assert_eq!(t.download(&admin, &instance).await, before);
    let mut body = history_body(t.now().await);
    body["reviewHistoryPeriodStartDateTime"] = json!(t.now().await - TimeDelta::days(20));
    let after = t.rows_of_report(&admin, &body).await;
    assert_eq!(by_principal(&after)["ana"]["ReviewResult"], "Deny");
    assert_eq!(by_principal(&after)["ana"]["ReviewStatus"], "Completed");
}

/// LC-DEF-32
#[tokio::test]
async fn a_report_outlives_the_review() {
    let t = Tenant::with_finance().await;
    let review = decided(&t).await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let before = t.download(&admin, &instance).await;

    admin.delete(&review.path()).await.is(204);

    assert_eq!(t.download(&admin, &instance).await, before);
    assert_eq!(t.rows_of_report(&admin, &history_body(t.now().await)).await.len(), 0);
}

/// LC-HIST-05
#[tokio::test]
async fn decisions_choose_the_rows() {
    let t = Tenant::with_finance().await;
    decided(&t).await;
    let admin = t.as_admin();
    let rows = async |decisions: &[&str]| {
        let mut body = history_body(t.now().await);
        body["decisions"] = json!(decisions);
        t.rows_of_report(&admin, &body).await
    };

    assert_eq!(column(&rows(&["approve"]).await, "PrincipalName"), ["ana"]);
    assert_eq!(column(&rows(&["deny", "dontKnow"]).await, "PrincipalName"), ["ben", "cleo"]);
    let undecided = ["Gus (guest)", "dan", "eve", "fay"];
    assert_eq!(column(&rows(&["notReviewed"]).await, "PrincipalName"), undecided);
    assert_eq!(rows(&[]).await.len(), 7);
    assert_eq!(rows(&["approve", "deny", "dontKnow", "notReviewed", "notNotified"]).await.len(), 7);
}

/// M-32: nobody was told, because mail is switched off.
#[tokio::test]
async fn without_mail_every_undecided_item_is_not_notified() {
    let t = Tenant::with_finance().await;
    decided(&t).await;
    let mut body = history_body(t.now().await);
    body["decisions"] = json!(["notNotified", "deny"]);

    let rows = t.rows_of_report(&t.as_admin(), &body).await;

    assert_eq!(column(&rows, "PrincipalName"), ["Gus (guest)", "ben", "dan", "eve", "fay"]);
}

/// M-32, LC-REV-09: those count whose reviewers there are none of, or whose mail did not arrive.
#[tokio::test]
async fn items_whose_reviewers_were_told_are_not_among_the_not_notified() {
    let (t, _sink) = Tenant::with_finance_and_mail().await;
    // Noor has no address, fay and the guest have no manager.
    t.import(&format!("{}\n", json!({ "type": "user", "id": object_id("noor"), "mail": null }))).await;
    t.review().reviewers(&[manager()]).setting("mailNotificationsEnabled", json!(true)).running().await;
    t.run_jobs().await;
    let mut body = history_body(t.now().await);
    body["decisions"] = json!(["notNotified"]);

    let rows = t.rows_of_report(&t.as_admin(), &body).await;

    assert_eq!(column(&rows, "PrincipalName"), ["Gus (guest)", "dan", "fay"]);
}

/// M-32: somebody who got an item's reviewers of his own in a later stage was told of it in an earlier one all the same.
#[tokio::test]
async fn who_was_told_in_one_stage_counts_whatever_became_of_the_next() {
    let (t, _sink) = Tenant::with_finance_and_mail().await;
    t.import(&format!("{}\n", json!({ "type": "user", "id": object_id("noor"), "mail": null }))).await;
    t.review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[manager()], &[], &[])])
        .setting("mailNotificationsEnabled", json!(true))
        .running()
        .await;
    t.run_jobs().await;
    // his manager in the second stage is another than when the cohorts were made, and has no address
    t.import(&format!("{}\n", json!({ "type": "user", "id": object_id("ana"), "manager": object_id("noor") }))).await;
    t.advance("P3D").await;
    t.run_jobs().await;
    assert_eq!(t.table("item_overrides").await.len(), 1);
    let mut body = history_body(t.now().await);
    body["decisions"] = json!(["notNotified"]);

    let rows = t.rows_of_report(&t.as_admin(), &body).await;

    assert_eq!(column(&rows, "PrincipalName"), [""; 0], "mia was told of all of them in the first stage");
}

/// LC-HIST-03
#[tokio::test]
async fn reviews_are_chosen_by_their_start_and_end() {
    let t = Tenant::with_finance().await;
    let begin = t.now().await;
    let named = async |name: &str, days: i32| {
        t.review().with("displayName", json!(name)).setting("instanceDurationInDays", json!(days)).running().await;
    };
    named("short", 3).await;
    named("long", 8).await;
    t.advance("P5D").await;
    named("running", 40).await;
    t.advance("P5D").await;
    let admin = t.as_admin();
    let reviews = async |from: i64, to: i64| {
        let mut body = history_body(begin);
        body["reviewHistoryPeriodStartDateTime"] = json!(begin + TimeDelta::days(from));
        body["reviewHistoryPeriodEndDateTime"] = json!(begin + TimeDelta::days(to));
        let rows = t.rows_of_report(&admin, &body).await;
        rows.into_iter().map(|row| row["ReviewName"].clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };

    assert_eq!(reviews(-1, 9).await, ["long", "running", "short"], "what still runs has not ended");
    assert_eq!(reviews(-1, 4).await, ["short"], "the long one ends after the window, the running one starts after it");
    assert_eq!(reviews(-1, 2).await, [""; 0]);
    assert_eq!(reviews(4, 20).await, ["running"]);
    assert_eq!(reviews(8, 20).await, [""; 0]);
}

/// LC-HIST-03: what was stopped, or came to its end because nothing was left to review, ended then, and not when it was to.
#[tokio::test]
async fn a_review_that_was_stopped_ended_when_it_was_stopped() {
    let t = Tenant::with_finance().await;
    let begin = t.now().await;
    let review = t.review().with("displayName", json!("stopped")).running().await;
    let two = [stage(1, 2, &[user("mia")], &[], &["Approve"]), stage(2, 8, &[user("noor")], &[], &[])];
    t.review().with("displayName", json!("nothing moved")).stages(&two).running().await;
    t.advance("P2D").await;
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.advance("P1D").await;
    let admin = t.as_admin();
    let reviews = async |from: i64, to: i64| {
        let mut body = history_body(begin);
        body["reviewHistoryPeriodStartDateTime"] = json!(begin + TimeDelta::days(from));
        body["reviewHistoryPeriodEndDateTime"] = json!(begin + TimeDelta::days(to));
        let rows = t.rows_of_report(&admin, &body).await;
        rows.into_iter().map(|row| row["ReviewName"].clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };

    assert_eq!(reviews(-1, 3).await, ["nothing moved", "stopped"]);
    assert_eq!(reviews(-1, 1).await, [""; 0], "they ended after that");
}

/// LC-HIST-03: of the reviews that had ended before their end was kept, the events tell.
#[tokio::test]
async fn when_older_reviews_ended_is_told_by_their_events() {
    let t = alone(&Company::finance()).await;
    let review = t.review().running().await;
    t.review().running().await;
    t.advance("P2D").await;
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    let kept = t.table("instances").await;
    let ends: Vec<_> = kept.iter().map(|instance| instance["ended_at"].is_string()).collect();
    assert_eq!(ends.iter().filter(|ended| **ended).count(), 1);
    t.database.execute("update instances set ended_at = null").await;
    let migration = include_str!("../../migrations/V0026__real_end_and_teams_in_channels.sql");
    let (_, statements) = migration.split_once("-- Of the reviews there are").unwrap();
    let (statements, _) = statements.split_once("-- A channel is shared").unwrap();

    t.database.execute(&format!("-- {statements}")).await;

    assert_eq!(t.table("instances").await, kept);
}

/// LC-HIST-08, LC-HIST-03: the windows of a recurring report leave no stopped review out.
#[tokio::test]
async fn a_stopped_review_is_in_the_run_after_its_stop() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    t.advance("P1D").await;
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    let body = json!({
        "displayName": "Weekly",
        "scopes": [history_scope("/groups")],
        "scheduleSettings": {
            "reportRange": "P7D",
            "recurrence": {
                "pattern": { "type": "weekly", "interval": 1 },
                "range": { "type": "numbered", "numberOfOccurrences": 2, "startDate": (t.now().await + TimeDelta::days(2)).date_naive() },
            },
        },
    });
    let created = t.as_admin().post("/historyDefinitions", &body).await.is(201);
    let path = format!("/historyDefinitions/{}/instances", created.text("id"));
    t.advance("P3D").await;

    let runs = t.as_admin().get(&path).await.ok().rows().clone();
    let rows = t.download(&t.as_admin(), &format!("{path}/{}", runs[0]["id"].as_str().unwrap())).await;

    assert_eq!(rows.len(), 7);
}

/// LC-HIST-04, section 3.5 of the API
#[tokio::test]
async fn reviews_are_chosen_by_the_query_of_their_scope() {
    let t = Tenant::with_finance().await;
    let finance = format!("/groups/{}/transitiveMembers", object_id("finance"));
    let guests = format!("{finance}/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')");
    t.review().with("displayName", json!("members")).scope(&finance).running().await;
    t.review().with("displayName", json!("guests")).scope(&guests).running().await;
    let auditors = format!("/groups/{}/members", object_id("auditors"));
    t.review().with("displayName", json!("auditors")).scope(&auditors).running().await;
    let admin = t.as_admin();
    let reviews = async |texts: &[&str]| {
        let mut body = history_body(t.now().await);
        body["scopes"] = texts.iter().map(|text| history_scope(&text.replace('\'', "''"))).collect();
        let rows = t.rows_of_report(&admin, &body).await;
        rows.into_iter().map(|row| row["ReviewName"].clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };

    assert_eq!(reviews(&["/groups"]).await, ["auditors", "guests", "members"]);
    assert_eq!(reviews(&["USERTYPE EQ 'guest'"]).await, ["guests"]);
    assert_eq!(reviews(&[&format!("/groups/{}", object_id("auditors"))]).await, ["auditors"]);
    assert_eq!(reviews(&["userType eq 'Guest'", "/members"]).await, ["auditors", "guests"]);
    assert_eq!(reviews(&["accessPackageAssignments"]).await, [""; 0]);
    assert_eq!(reviews(&["%25"]).await, [""; 0], "a text is no pattern");
}

/// LC-HIST-11
#[tokio::test]
async fn a_review_in_stages_has_one_row_an_item_with_the_decision_that_counts() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[user("mia")], &[], &["Approve", "NotReviewed"]),
            stage(2, 7, &[user("noor")], &[], &[]),
        ])
        .running()
        .await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "cleo", "Deny").await.is(204);
    t.advance("P3D").await;
    review.decide(&t.as_user("noor"), "ana", "Deny").await.is(204);

    let rows = t.rows_of_report(&t.as_admin(), &history_body(t.now().await)).await;

    let rows = by_principal(&rows);
    assert_eq!(rows.len(), 7);
    for (principal, result, reviewer) in
        [("ana", "Deny", "noor"), ("ben", "Approve", "mia"), ("cleo", "Deny", "mia"), ("dan", "NotReviewed", "")]
    {
        assert_eq!(
            (rows[principal]["ReviewResult"].as_str(), rows[principal]["ReviewerName"].as_str()),
            (result, reviewer)
        );
    }
}

/// LC-HIST-10
#[tokio::test]
async fn a_recurring_review_is_a_series() {
    let t = Tenant::with_finance().await;
    let day = t.now().await.date_naive();
    let review = t
        .review()
        .setting("instanceDurationInDays", json!(3))
        .setting(
            "recurrence",
            json!({
                "pattern": { "type": "weekly", "interval": 1 },
                "range": { "type": "numbered", "numberOfOccurrences": 5, "startDate": day },
            }),
        )
        .running()
        .await;
    t.advance("P8D").await;
    let mut body = history_body(t.now().await);
    body["reviewHistoryPeriodStartDateTime"] = json!(t.now().await - TimeDelta::days(20));

    let rows = t.rows_of_report(&t.as_admin(), &body).await;

    assert_eq!(rows.len(), 14);
    assert!(rows.iter().all(|row| row["AccessReviewSeriesId"] == review.definition));
    assert_eq!(column(&rows, "AccessReviewId").into_iter().collect::<BTreeSet<_>>().len(), 2);
}

///
#[tokio::test]
async fn a_report_shows_only_what_its_creator_may_read() {
    let t = Tenant::new().await;
    Company::finance()
        .with(json!({ "type": "group", "id": object_id("admins"), "displayName": "admins", "isAssignableToRole": true,
            "members": [object_id("ana")] }))
        .import(&t)
        .await;
    t.review().with("displayName", json!("ordinary")).running().await;
    let privileged = format!("/groups/{}/members", object_id("admins"));
    t.review().with("displayName", json!("privileged")).scope(&privileged).running().await;
    let seen = async |client: &Client| {
        let rows = t.rows_of_report(client, &history_body(t.now().await)).await;
        rows.into_iter().map(|row| row["ReviewName"].clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };

    assert_eq!(seen(&t.as_admin()).await, ["ordinary", "privileged"]);
    assert_eq!(seen(&t.as_application()).await, ["ordinary", "privileged"]);
    let officer = t.as_user_with_roles("zoe", &["Privileged Role Administrator"]);
    assert_eq!(seen(&officer).await, ["privileged"]);
    // Who created both reads both, whatever his role is now.
    assert_eq!(
        seen(&t.as_user_with_roles("carla", &["Privileged Role Administrator"])).await,
        ["ordinary", "privileged"]
    );
}

/// LC-HIST-12
#[tokio::test]
async fn cells_are_no_formulas() {
    let t = Tenant::with_finance().await;
    t.import(&format!(
        "{}\n",
        json!({ "type": "user", "id": object_id("ana"), "displayName": "@ana", "userPrincipalName": "+ana@acme.example" })
    ))
    .await;
    let review = t.review().with("displayName", json!("=HYPERLINK(\"http://evil\")")).running().await;
    let path = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let justification = "-2+3\n\"quoted\", Ü";
    t.as_user("mia").patch(&path, &json!({ "decision": "Deny", "justification": justification })).await.is(204);

    let rows = t.rows_of_report(&t.as_admin(), &history_body(t.now().await)).await;

    let ana = rows.iter().find(|row| row["PrincipalId"] == object_id("ana")).unwrap();
    assert_eq!(ana["ReviewName"], "'=HYPERLINK(\"http://evil\")");
    assert_eq!(ana["PrincipalName"], "'@ana");
    assert_eq!(ana["PrincipalUPN"], "'+ana@acme.example");
    assert_eq!(ana["Justification"], format!("'{justification}"));
    for row in &rows {
        for (name, cell) in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{name}: {cell}");
        }
    }
}

/// Groups are items of their own where direct members are reviewed.
#[tokio::test]
async fn principals_have_their_types() {
    let t = Tenant::with_finance().await;
    t.review().scope(&format!("/groups/{}/members", object_id("finance"))).running().await;

    let rows = t.rows_of_report(&t.as_admin(), &history_body(t.now().await)).await;

    let rows = by_principal(&rows);
    assert_eq!(
        (rows["contractors"]["PrincipalType"].as_str(), rows["contractors"]["PrincipalUPN"].as_str()),
        ("group", "")
    );
    assert_eq!(rows["ana"]["PrincipalType"], "user");
    assert!(!rows.contains_key(GUEST));
}

/// However many read a report that fits no buffer on the way, nothing of the service is taken up by them.
#[tokio::test]
async fn slow_readers_hold_nothing() {
    const PIECES: usize = 160;
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let admin = t.as_admin();
    let instance = t.report(&admin, &history_body(t.now().await)).await;
    let link = admin.act(&format!("{instance}/generateDownloadUri")).await.ok().text("downloadUri");
    // As if the report had 20 MiB.
    let size = PIECES * 128 * 1024;
    t.database
        .execute(&format!(
            "delete from history_pieces where tenant_id = '{0}';
             insert into history_pieces
             select tenant_id, history_instance_id, number, convert_to(repeat(lpad(number::text, 16, ' '), 8192), 'UTF8')
               from history_instances, generate_series(0, {PIECES} - 1) as number where tenant_id = '{0}';
             update history_instances set piece_count = {PIECES}, byte_count = {size} where tenant_id = '{0}'",
            t.id
        ))
        .await;

    // More readers than the service has connections, each in the middle of the text.
    let mut readers = Vec::new();
    for _ in 0..12 {
        let mut response = t.with_authorization(None).request(reqwest::Method::GET, &link).send().await.unwrap();
        let first = response.chunk().await.unwrap().unwrap();
        readers.push((response, first.to_vec()));
    }
    admin.get(&instance).await.is(200);

    for (response, mut text) in readers.drain(..2) {
        text.extend(response.bytes().await.unwrap());
        let numbers: Vec<usize> =
            text.chunks(16).map(|cell| std::str::from_utf8(cell).unwrap().trim().parse().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.len() == size / 16, "every piece once and in order");
    }
    drop(readers);
    admin.get(&instance).await.is(200);
}
