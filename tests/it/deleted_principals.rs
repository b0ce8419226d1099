//! Who is deleted for good disappears from the reviews that are running; events, and reviews that ended, keep him. LC-APPLY-15

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    smtp_sink::SmtpSink,
    support::{
        GUEST, MINE, Review, Tenant, applied, ended, history_body, id_of, object_id, of_guests, people, results, stage,
        user, with_guests,
    },
};

const OTHERS: [&str; 6] = ["ana", "ben", "cleo", "dan", "eve", "fay"];
const DELETED: &str = "Gus (guest)";

/// Gus is denied in a review of guests and deleted forty days later; meanwhile another one has asked for him, too.
struct Story {
    t: Tenant,
    /// Of two stages, in the first of which Mia approved Gus; running.
    running: Review,
    /// Rested before Gus was deleted.
    ended: Review,
    item: String,
}

async fn deleted_while_reviewed() -> Story {
    let t = Tenant::new().await;
    with_guests(&t).await;
    let stages = [stage(1, 50, &[user("mia")], &[], &[]), stage(2, 10, &[user("olga")], &[], &[])];
    let running = t
        .review()
        .stages(&stages)
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .running()
        .await;
    running.decide(&t.as_user("mia"), GUEST, "Approve").await.is(204);
    let item = running.item_id(GUEST).await;
    let rested = t.review().running().await;
    let guests = ended(&t, of_guests(&t), &[(GUEST, "Deny")]).await;
    applied(&t, &guests).await;
    assert_eq!(running.items().await.len(), 7, "blocked is not deleted");

    t.advance("P30D").await;

    assert_eq!((guests.status().await, running.status().await), ("Applied".to_owned(), "InProgress".to_owned()));
    assert_eq!(guests.item(GUEST).await["applyResult"], "AppliedSuccessfully");
    Story { t, running, ended: rested, item }
}

/// LC-APPLY-15
#[tokio::test]
async fn who_was_deleted_is_in_no_list_of_a_running_review_and_in_no_count() {
    let Story { t, running, ended, item } = deleted_while_reviewed().await;
    let (admin, mia) = (t.as_admin(), t.as_user("mia"));
    let decisions = format!("{}/decisions", running.instance_path());

    assert_eq!(people(&running.items().await), OTHERS);
    assert_eq!(people(&running.stage_items(1, &admin).await), OTHERS);
    assert_eq!(running.found_by(&mia).await, OTHERS);
    assert_eq!(running.found_in_stage(1, &mia).await, OTHERS);
    for (path, count) in [
        (format!("{decisions}?$count=true"), 6),
        (format!("{decisions}?$count=true&$filter=decision eq 'Approve'"), 0),
        (format!("{decisions}?$count=true&$filter=principal/id eq '{}'", object_id(GUEST)), 0),
        (format!("{}/{MINE}?$count=true", running.instance_path()), 6),
    ] {
        assert_eq!(admin_or_mia(&t, &path).get(&path).await.ok().body["@odata.count"], count, "{path}");
    }
    let mut skipped = Vec::new();
    for skip in 0..6 {
        let page = admin.get(&format!("{decisions}?$top=1&$skip={skip}")).await.ok();
        skipped.extend(page.rows().clone());
    }
    assert_eq!(people(&skipped), OTHERS, "places are counted among those who are left");
    let (paged, _) = admin.all(&format!("{decisions}?$top=2")).await;
    assert_eq!(people(&paged), OTHERS);
    admin.get(&format!("{decisions}/{item}")).await.refused(404, "ResourceNotFound");
    assert_eq!(ended.items().await.len(), 7, "what ended before keeps its items");
}

fn admin_or_mia(t: &Tenant, path: &str) -> crate::support::Client {
    if path.contains("filterByCurrentUser") { t.as_user("mia") } else { t.as_admin() }
}

/// LC-APPLY-15, LC-CMP-03
#[tokio::test]
async fn nothing_is_decided_or_applied_any_more_for_who_was_deleted() {
    let Story { t, running, ended: _, item } = deleted_while_reviewed().await;
    let mia = t.as_user("mia");
    let path = format!("{}/decisions/{item}", running.instance_path());
    mia.patch(&path, &json!({ "decision": "Deny", "justification": "late" })).await.refused(404, "ResourceNotFound");
    let everything = json!({ "decision": "Approve", "justification": "all of them" });
    mia.post(&format!("{}/batchRecordDecisions", running.instance_path()), &everything).await.is(204);
    let told = t.events_of("Bulk approve decisions").await;
    assert_eq!(told[0]["after"]["items"], 6, "{:#}", told[0]);
    // All but Ana are left open to the second stage, where nobody answers.
    t.as_admin().act(&format!("{}/resetDecisions", running.instance_path())).await.is(204);
    running.decide(&mia, "ana", "Approve").await.is(204);
    t.advance("P10D").await;
    assert_eq!(people(&running.stage_items(2, &t.as_admin()).await), OTHERS);

    t.advance("P10D").await;

    assert_eq!(running.status().await, "AutoReviewed");
    assert_eq!(t.events_of("Auto review").await[0]["after"]["items"], 5);
    applied(&t, &running).await;
    assert_eq!(running.status().await, "Applied");
    assert_eq!(people(&running.items().await), OTHERS);
    assert!(!results(&running).await.contains_key(DELETED));
}

/// LC-APPLY-15, LC-AUD-01
#[tokio::test]
async fn events_keep_who_was_deleted_and_tell_that_he_disappeared() {
    let Story { t, running, .. } = deleted_while_reviewed().await;

    let removed = t.events_of("Decision item removed").await;

    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0]["instance_id"], running.instance.as_str());
    assert_eq!(removed[0]["definition_id"], running.definition.as_str());
    assert_eq!(removed[0]["before"], json!({ "userId": id_of(GUEST) }));
    let approved = t.events_of("Approve decision").await;
    let same_item: Vec<&Value> = approved.iter().filter(|event| event["item_seq"] == removed[0]["item_seq"]).collect();
    assert_eq!(same_item.len(), 1, "what was decided before is still told");
}

/// LC-APPLY-15, N-6: who is gone is in none of the numbers, whether he was decided before or not.
#[tokio::test]
async fn the_mail_about_the_end_does_not_count_who_was_deleted() {
    for decided in [true, false] {
        let sink = SmtpSink::start().await.unwrap();
        let t = Tenant::with_mail_to(&sink).await;
        with_guests(&t).await;
        let guests = ended(&t, of_guests(&t), &[(GUEST, "Deny")]).await;
        let review = t
            .review()
            .setting("instanceDurationInDays", json!(50))
            .setting("mailNotificationsEnabled", json!(true))
            .running()
            .await;
        let mia = t.as_user("mia");
        if decided {
            review.decide(&mia, GUEST, "Approve").await.is(204);
        }
        applied(&t, &guests).await;
        t.advance("P30D").await;
        review.decide(&mia, "ana", "Approve").await.is(204);
        review.decide(&mia, "ben", "Deny").await.is(204);
        sink.clear();

        t.advance("P20D").await;

        let mails = sink.mails();
        let [told] = &mails[..] else { panic!("one mail is sent at the end, not {}", mails.len()) };
        for line in ["Keep access: 1", "Remove access: 1", "Don't know: 0", "Not reviewed: 4"] {
            assert!(told.text().contains(line), "{line} is missing from {}", told.text());
        }
    }
}

/// LC-APPLY-15, LC-HIST-09: a report of a review shows the items that the review shows.
#[tokio::test]
async fn a_report_does_not_show_who_was_deleted_while_he_was_reviewed() {
    let Story { t, running, ended, .. } = deleted_while_reviewed().await;
    let mut body = history_body(t.now().await);
    body["reviewHistoryPeriodStartDateTime"] = json!(t.now().await - TimeDelta::days(100));

    let rows = t.rows_of_report(&t.as_admin(), &body).await;

    let of = |review: &Review| {
        let mut names: Vec<_> = rows
            .iter()
            .filter(|row| row["AccessReviewId"] == review.instance)
            .map(|row| row["PrincipalName"].clone())
            .collect();
        names.sort();
        names
    };
    assert_eq!(of(&running), OTHERS);
    assert_eq!(of(&ended).len(), 7, "what ended before he was deleted keeps him");
}

/// LC-APPLY-15, LC-STAGE-37, ST-05: when all who were reviewed were deleted, there is nothing for the next stage, whatever moves on.
#[tokio::test]
async fn a_stage_in_which_nobody_is_left_is_over_at_once() {
    let t = Tenant::new().await;
    with_guests(&t).await;
    let guests = ended(&t, of_guests(&t), &[(GUEST, "Deny"), ("gil", "Deny")]).await;
    let stages = [stage(1, 40, &[user("mia")], &[], &[]), stage(2, 10, &[user("olga")], &[], &[])];
    let scope = format!("/groups/{}/transitiveMembers", object_id("partners"));
    let review = t.review().scope(&scope).stages(&stages).running().await;
    assert_eq!(review.items().await.len(), 2);
    applied(&t, &guests).await;
    t.advance("P30D").await;
    assert_eq!((review.status().await, review.items().await.len()), ("InProgress".to_owned(), 0));

    t.advance("P10D").await;

    assert_eq!(review.stage_statuses().await, ["Completed", "Completed"]);
    assert_eq!(review.status().await, "Completed");
    assert!(t.contacted(2).await.is_empty(), "nobody is asked about nothing");
}
