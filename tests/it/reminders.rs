//! Reminders: the one an admin asks for, and the one in the middle of a stage. N-4, N-5, LC-NOTE-02, LC-NOTE-07, LC-NOTE-10

use serde_json::json;

use crate::{
    smtp_sink::SmtpSink,
    support::{Review, ReviewBuilder, Tenant, mailed, manager, stage, user},
};

/// Managers review, Sam where there is none: `mia` has four items, `noor` one, `sam` two.
fn managers(t: &Tenant) -> ReviewBuilder<'_> {
    t.review().reviewers(&[manager()]).fallbacks(&[user("sam")])
}

async fn remind(t: &Tenant, review: &Review) {
    t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
    t.run_jobs().await;
}

/// Whom the reminders that arrived were for.
fn reminded(sink: &SmtpSink) -> Vec<String> {
    mailed(sink)
}

/// A-26, LC-NOTE-02
#[tokio::test]
async fn a_reminder_goes_to_those_with_open_items_also_when_mail_is_off() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = managers(&t).running().await;
    assert_eq!(reminded(&sink), [""; 0]);
    review.decide(&t.as_user("noor"), "dan", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ana", "DontKnow").await.is(204);

    remind(&t, &review).await;

    assert_eq!(reminded(&sink), ["mia", "sam"]);
    let subject = sink.mails()[0].subject();
    assert!(subject.starts_with("Reminder: please review access to finance"), "{subject}");
    assert_eq!(t.events_of("Reminder requested").await.len(), 1);
    assert_eq!(t.events_of("Mail sent").await.len(), 2);
}

/// LC-NOTE-07
#[tokio::test]
async fn who_is_reminded_is_found_out_when_the_mail_is_sent() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = managers(&t).running().await;
    t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
    review.decide(&t.as_user("noor"), "dan", "Approve").await.is(204);
    t.as_admin().patch(&review.instance_path(), &json!({ "reviewers": [user("noor"), user("olga")] })).await.is(200);
    t.run_jobs().await;
    // Noor has everybody else's items now; Mia and Sam have none any more; Olga was no reviewer when it was asked for.
    assert_eq!(reminded(&sink), ["noor"]);
}

/// A-26, CL-26
#[tokio::test]
async fn a_reminder_soon_after_another_is_refused_with_the_time_to_wait() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = managers(&t).running().await;
    let path = format!("{}/sendReminder", review.instance_path());
    t.as_admin().post(&path, &json!({})).await.is(204);
    let answer = t.as_admin().act(&path).await.refused(429, "TooManyRequests");
    let wait: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..180).contains(&wait), "{wait}");
    t.run_jobs().await;
    assert_eq!(reminded(&sink), ["mia", "noor", "sam"]);

    t.advance("PT15M").await;
    remind(&t, &review).await;
    assert_eq!(reminded(&sink), ["mia", "mia", "noor", "noor", "sam", "sam"]);
    // each review counts for itself
    let other = managers(&t).running().await;
    remind(&t, &other).await;
}

/// Section 2.3
#[tokio::test]
async fn only_a_running_instance_is_reminded_of() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let waiting = managers(&t).starting_in(now, 3).create().await;
    let over = managers(&t).running().await;
    t.as_admin().act(&format!("{}/stop", over.instance_path())).await.is(204);
    for review in [waiting, over] {
        let path = format!("{}/sendReminder", review.instance_path());
        t.as_admin().act(&path).await.refused(400, "InvalidReviewState");
    }
    let review = managers(&t).running().await;
    let path = format!("{}/microsoft.graph.sendReminder", review.instance_path());
    t.as_user("mia").act(&path).await.refused(403, "Forbidden");
    t.as_user("zoe").act(&path).await.refused(404, "ResourceNotFound");
    t.as_application().act(&path).await.is(204);
}

/// N-4, LC-NOTE-10: half way through each stage, without the mail switch, to those with open items.
#[tokio::test]
async fn half_way_through_each_stage_those_with_open_items_are_reminded() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t
        .review()
        .setting("reminderNotificationsEnabled", json!(true))
        .stages(&[stage(1, 4, &[manager()], &[user("sam")], &[]), stage(2, 2, &[user("olga")], &[], &[])])
        .running()
        .await;
    review.decide(&t.as_user("noor"), "dan", "Approve").await.is(204);
    t.advance("P1DT23H").await;
    assert_eq!(reminded(&sink), [""; 0]);
    t.advance("PT1H").await;
    assert_eq!(reminded(&sink), ["mia", "sam"]);
    t.advance("P2DT23H").await;
    assert_eq!(reminded(&sink), ["mia", "sam"]);
    t.advance("PT1H").await;
    assert_eq!(reminded(&sink), ["mia", "olga", "sam"]);
    remind(&t, &review).await;
    assert_eq!(reminded(&sink), ["mia", "olga", "olga", "sam"]);
}

/// LC-NOTE-10
#[tokio::test]
async fn a_stage_that_ended_before_its_middle_reminds_nobody() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = managers(&t).setting("reminderNotificationsEnabled", json!(true)).running().await;
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.advance("P10D").await;
    assert_eq!(reminded(&sink), [""; 0]);
}

/// LC-NOTE-10
#[tokio::test]
async fn reminders_switched_on_during_a_run_come_when_the_middle_is_still_ahead() {
    for (elapsed, expected) in [("P4D", vec!["mia", "noor", "sam"]), ("P6D", vec![])] {
        let (t, sink) = Tenant::with_finance_and_mail().await;
        let review = managers(&t).running().await;
        t.advance(elapsed).await;
        let on = json!({ "settings": { "reminderNotificationsEnabled": true } });
        t.as_admin().patch(&review.path(), &on).await.is(204);
        t.advance("P3D").await;
        assert_eq!(reminded(&sink), expected, "{elapsed}");
    }
}
