//! The seven mails: what each says, who gets it and who does not. N-1 to N-7, LC-NOTE

use std::{collections::BTreeMap, sync::Arc};

use attestry::{jobs::run_due_jobs, mail::SmtpMailer};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    smtp_sink::{Mail, SmtpSink},
    support::{
        Blocker, Company, Database, GUEST, Review, Tenant, id_of, mailed, manager, object_id, resource_owners, stage,
        user,
    },
};

fn told_at_the_end(query: &str) -> Value {
    json!({
        "notificationTemplateType": "CompletedAdditionalRecipients",
        "notificationRecipientScope": {
            "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
            "query": query, "queryType": "MicrosoftGraph",
        },
    })
}

/// What arrived for whom, the latest where there were several.
fn by_recipient(sink: &SmtpSink) -> BTreeMap<String, std::sync::Arc<Mail>> {
    let mails = sink.mails();
    mails.iter().map(|mail| (mail.recipients[0].split('@').next().unwrap().to_owned(), mail.clone())).collect()
}

/// The mail says this in both of its forms.
#[track_caller]
fn says(mail: &Mail, subject: &str, told: &[&str]) {
    assert!(mail.subject().starts_with(subject), "{}", mail.subject());
    let (text, html) = (mail.text(), mail.html());
    for told in told {
        assert!(text.contains(told), "{told} is missing:\n{text}");
        let bare: String =
            html.replace("<strong>", "").replace("</strong>", "").replace("&#39;", "'").replace("&#x2f;", "/");
        assert!(bare.contains(told), "{told} is missing:\n{html}");
    }
    assert!(mail.header("Content-Type").contains("multipart/alternative"), "{}", mail.header("Content-Type"));
}

fn spelt(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// Who asks, for what, how many answers, until when, and what becomes of the rest. N-1, N-3, N-4, N-5, LC-NOTE-01, LC-NOTE-03
#[tokio::test]
async fn reviewers_are_told_what_they_are_asked_for() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t
        .review()
        .reviewers(&[manager()])
        .fallbacks(&[user("sam")])
        .with("descriptionForReviewers", json!(format!("Ask Pete.{}", "y".repeat(300))))
        .setting("mailNotificationsEnabled", json!(true))
        .setting("reminderNotificationsEnabled", json!(true))
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .setting("autoApplyDecisionsEnabled", json!(true))
        .running()
        .await;
    let instance = t.as_admin().get(&review.instance_path()).await.ok().body;
    let until = spelt(instance["endDateTime"].as_str().unwrap().parse().unwrap());
    let common = [
        "Access to: finance",
        "Review: Finance-ERP",
        "Asked by: carla",
        &format!("Answer by: {until}"),
        "keep access",
        "is set to remove access",
        "its results take effect automatically",
        &format!("https://reviews.example/v1.0/identityGovernance/accessReviews{}", review.instance_path()),
    ];
    let with = |told: &[&'static str]| [&common[..], told].concat();

    let mails = by_recipient(&sink);
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["mia", "noor", "sam"]);
    says(&mails["mia"], "Please review access to finance by ", &with(&["Your answers still open: 4", "Hello mia,"]));
    says(&mails["sam"], "Please review access to finance by ", &with(&["Your answers still open: 2"]));
    // "Ask Pete." and as much as fits into 256 characters with it.
    let described = |length: usize| format!("Ask Pete.{}", "y".repeat(length));
    assert!(mails["mia"].html().contains(&described(247)) && !mails["mia"].html().contains(&described(248)));

    // N-3
    sink.clear();
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.as_admin().patch(&review.instance_path(), &json!({ "reviewers": [user("olga"), manager()] })).await.is(200);
    t.run_jobs().await;
    let mails = by_recipient(&sink);
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["olga"]);
    says(&mails["olga"], "You are now a reviewer: access to finance by ", &with(&["Your answers still open: 6"]));

    // N-5
    sink.clear();
    t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
    t.run_jobs().await;
    let asked = "An administrator asks you to have another look. Some of your answers are still missing";
    says(&by_recipient(&sink)["mia"], "Reminder: please review access to finance by ", &with(&[asked]));

    // N-4
    sink.clear();
    t.advance("P5D").await;
    let mails = by_recipient(&sink);
    assert_eq!(mails.keys().collect::<Vec<_>>(), ["mia", "noor", "olga"]);
    says(&mails["mia"], "Reminder: ", &with(&["Your answers still open: 3", "Some of your answers are still missing"]));
}

/// LC-DEF-22: what a reviewer is told of people without an answer is what will become of them, whatever was changed meanwhile.
#[tokio::test]
async fn a_running_review_tells_the_default_decision_it_started_with() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t
        .review()
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .setting("autoApplyDecisionsEnabled", json!(true))
        .running()
        .await;
    let keep = json!({ "settings": { "defaultDecision": "Approve", "autoApplyDecisionsEnabled": false } });
    t.as_admin().patch(&review.path(), &keep).await.is(204);

    t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
    t.run_jobs().await;

    let told = ["is set to remove access", "its results take effect automatically"];
    says(&by_recipient(&sink)["mia"], "Reminder: ", &told);
    t.advance("P10D").await;
    let decided = review.item("ana").await;
    assert_eq!((&decided["decision"], &decided["applyResult"]), (&json!("Deny"), &json!("AppliedSuccessfully")));
}

/// LC-DEF-22, LC-NOTE-06
#[tokio::test]
async fn a_mail_about_many_groups_tells_the_default_decision_they_started_with() {
    let sink = SmtpSink::start().await.unwrap();
    let t = Tenant::with_mail_to(&sink).await;
    many_groups().import(&t).await;
    sink.refuse_next(u32::MAX);
    let review = of_every_group(&t, &[]).await;
    let deny = json!({ "settings": { "defaultDecisionEnabled": true, "defaultDecision": "Deny" } });
    t.as_admin().patch(&review.path(), &deny).await.is(204);

    sink.refuse_next(0);
    t.end_backoff().await;
    t.run_jobs().await;

    says(&by_recipient(&sink)["pete"], "Please review access to club and 2 more by ", &["access stays as it is."]);
}

/// N-2: the stage's own end, and where in the review it stands.
#[tokio::test]
async fn every_stage_says_which_it_is_and_when_it_ends() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &[]), stage(2, 4, &[user("noor")], &[], &[])])
        .setting("mailNotificationsEnabled", json!(true))
        .running()
        .await;
    t.advance("P3D").await;

    for (number, name) in [(1, "mia"), (2, "noor")] {
        let stage = t.as_admin().get(&review.stage_path(number).await).await.ok().body;
        let until = spelt(stage["endDateTime"].as_str().unwrap().parse().unwrap());
        let which = format!("Stage {number} of 2 of this review has started");
        says(
            &by_recipient(&sink)[name],
            "Please review access to finance by ",
            &[&which, &format!("Answer by: {until}")],
        );
    }
    let unanswered = "if nobody answers for a person by the end of the review, access stays as it is.";
    let applied = "Results take effect only when an administrator applies them after the review has ended.";
    assert!(
        sink.mails()[0].text().contains(&format!("Without an answer: {unanswered}\n{applied}").replace('\n', "\r\n"))
    );
}

/// N-6, N-7: what came out, the default decisions included.
#[tokio::test]
async fn at_the_end_the_creator_and_the_additional_recipients_are_told_what_came_out() {
    for (default_decision, counts) in [("None", [1, 1, 1, 4]), ("Approve", [5, 1, 1, 0])] {
        let (t, sink) = Tenant::with_finance_and_mail().await;
        let review = t
            .review()
            .with("additionalNotificationRecipients", json!([told_at_the_end(&format!("/users/{}", id_of("tom")))]))
            .setting("mailNotificationsEnabled", json!(true))
            .setting("defaultDecisionEnabled", json!(default_decision != "None"))
            .setting("defaultDecision", json!(default_decision))
            .running()
            .await;
        for (name, decision) in [("ana", "Approve"), ("ben", "Deny"), ("cleo", "DontKnow")] {
            review.decide(&t.as_user("mia"), name, decision).await.is(204);
        }
        sink.clear();

        t.advance("P10D").await;

        let [kept, removed, dont_know, not_reviewed] = counts;
        let told = [
            "Access to: finance".to_owned(),
            format!("Keep access: {kept}"),
            format!("Remove access: {removed}"),
            format!("Don't know: {dont_know}"),
            format!("Not reviewed: {not_reviewed}"),
            "The results take effect only when an administrator applies them.".to_owned(),
        ];
        let told: Vec<_> = told.iter().map(String::as_str).collect();
        let mails = by_recipient(&sink);
        assert_eq!(mails.keys().collect::<Vec<_>>(), ["carla", "tom"]);
        for (name, why) in [("carla", "which you created, has ended."), ("tom", "you are one of the people to be told")]
        {
            says(&mails[name], "Access review completed: Finance-ERP", &[&told[..], &[why]].concat());
        }
    }
}

/// N-7, LC-NOTE-07: also who is told of the end is found out when the mail is sent.
#[tokio::test]
async fn who_left_before_the_mail_about_the_end_went_out_gets_none() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let auditors = format!("/groups/{}/transitiveMembers", id_of("auditors"));
    let review = t
        .review()
        .with("additionalNotificationRecipients", json!([told_at_the_end(&auditors)]))
        .setting("mailNotificationsEnabled", json!(true))
        .running()
        .await;
    sink.clear();
    sink.refuse_next(u32::MAX);
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.run_jobs().await;
    Company::new().group("auditors", &["tom"], &[]).import(&t).await;

    sink.refuse_next(0);
    t.end_backoff().await;
    t.run_jobs().await;

    assert_eq!(mailed(&sink), ["carla", "tom"]);
    assert_eq!(t.events_of("Mail failed").await.len(), 0);
}

/// LC-NOTE-04: losing access, a result that could not be applied, no longer reviewing, a reset and a deletion are nobody's mail.
#[tokio::test]
async fn mails_that_do_not_exist_are_not_sent() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let admin = t.as_admin();
    let review = t
        .review()
        .reviewers(&[user("mia"), user("noor")])
        .setting("mailNotificationsEnabled", json!(true))
        .running()
        .await;
    assert_eq!(mailed(&sink), ["mia", "noor"]);
    sink.clear();

    review.decide(&t.as_user("mia"), "cleo", "Deny").await.is(204);
    admin.act(&format!("{}/resetDecisions", review.instance_path())).await.is(204);
    admin.patch(&review.instance_path(), &json!({ "reviewers": [user("mia")] })).await.is(200);
    // Dan is a member by way of another group: his access cannot be removed here.
    for name in ["ana", "dan"] {
        review.decide(&t.as_user("mia"), name, "Deny").await.is(204);
    }
    t.run_jobs().await;
    assert_eq!(mailed(&sink), [""; 0]);
    admin.act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.run_jobs().await;
    assert_eq!(mailed(&sink), ["carla"], "the end is told to its creator");
    sink.clear();

    admin.act(&format!("{}/applyDecisions", review.instance_path())).await.is(204);
    t.run_jobs().await;
    assert_eq!(review.status().await, "Applied");
    let results: Vec<_> = t.table("apply_results").await.iter().map(|row| row["result"].clone()).collect();
    assert!(
        results.contains(&json!("AppliedSuccessfully")) && results.contains(&json!("ApplyNotSupported")),
        "{results:?}"
    );
    admin.delete(&review.path()).await.is(204);
    t.advance("P40D").await;
    assert_eq!(mailed(&sink), [""; 0]);
    assert_eq!(t.events_of("Mail failed").await.len(), 0);

    // A review that is deleted while its mails wait.
    let deleted = t.review().setting("mailNotificationsEnabled", json!(true)).create().await;
    let jobs = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap();
    attestry::app::run_job::run_job(&t.services, &jobs[0], "https://reviews.example").await.unwrap();
    admin.delete(&deleted.path()).await.is(204);
    t.run_jobs().await;
    assert_eq!(mailed(&sink), [""; 0]);
}

fn guest(state: &str) -> Company {
    Company::new().with(json!({ "type": "user", "id": id_of(GUEST), "externalUserState": state }))
}

/// LC-NOTE-05, LC-REV-10
#[tokio::test]
async fn a_guest_who_has_not_accepted_his_invitation_gets_no_mail_and_cannot_decide() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    guest("PendingAcceptance").import(&t).await;
    let review = t
        .review()
        .reviewers(&[user(GUEST), user("mia")])
        .with(
            "additionalNotificationRecipients",
            json!([
                told_at_the_end(&format!("/users/{}", id_of(GUEST))),
                told_at_the_end(&format!("/groups/{}/transitiveMembers", id_of("contractors"))),
            ]),
        )
        .setting("mailNotificationsEnabled", json!(true))
        .setting("reminderNotificationsEnabled", json!(true))
        .running()
        .await;
    assert_eq!(mailed(&sink), ["mia"]);
    assert_eq!(t.contacted(1).await, ["mia"]);
    assert!(review.found_by(&t.as_user(GUEST)).await.is_empty());
    review.decide(&t.as_user(GUEST), "ana", "Deny").await.refused(404, "ResourceNotFound");

    t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
    t.advance("P10D").await;
    assert!(!mailed(&sink).contains(&GUEST.to_owned()), "{:?}", mailed(&sink));
    assert!(mailed(&sink).contains(&"dan".to_owned()), "{:?}", mailed(&sink));

    // He has accepted, reviews, and gets what everybody gets.
    guest("Accepted").import(&t).await;
    sink.clear();
    let accepted =
        t.review().reviewers(&[user(GUEST)]).setting("mailNotificationsEnabled", json!(true)).running().await;
    assert_eq!(mailed(&sink), [GUEST]);
    accepted.decide(&t.as_user(GUEST), "ana", "Deny").await.is(204);
}

/// LC-NOTE-05, LC-NOTE-07: what holds when the mail is sent decides, not when it was asked for.
#[tokio::test]
async fn where_mail_goes_is_read_when_it_is_sent() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t.review().reviewers(&[user("mia"), user("noor"), user("sam"), user(GUEST)]).running().await;
    t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
    guest("PendingAcceptance").import(&t).await;
    Company::new()
        .with(json!({ "type": "user", "id": id_of("mia"), "mail": "mia.moved@acme.example" }))
        .with(json!({ "type": "user", "id": id_of("noor"), "accountEnabled": false }))
        .with(json!({ "type": "user", "id": id_of("sam"), "mail": null }))
        .import(&t)
        .await;

    t.run_jobs().await;

    assert_eq!(mailed(&sink), ["mia.moved"]);
    let failed = t.events_of("Mail failed").await;
    let mut recipients: Vec<_> = failed.iter().map(|event| event["after"]["recipient"].clone()).collect();
    recipients.sort_by_key(ToString::to_string);
    let mut expected: Vec<_> = ["noor", "sam", GUEST].map(|name| json!(id_of(name))).to_vec();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(recipients, expected);
    assert!(failed.iter().all(|event| event["after"]["reason"] == "there is no mail address"));
}

/// Three groups with guests; Olga owns two of them, Otto one, Pete all.
fn many_groups() -> Company {
    let mut company = Company::new();
    for name in ["olga", "otto", "pete", "carla"] {
        company = company.user(name, None);
    }
    for name in ["g1", "g2"] {
        company = company.with(json!({ "type": "user", "id": id_of(name), "userType": "Guest",
            "userPrincipalName": format!("{name}@partner.example"), "displayName": name }));
    }
    for (name, owners) in [("sales", ["olga", "pete"]), ("lab", ["otto", "pete"]), ("club", ["olga", "pete"])] {
        company = company.with(json!({ "type": "group", "id": id_of(name), "displayName": name,
            "groupTypes": ["Unified"], "members": [id_of("g1"), id_of("g2")], "owners": owners.map(id_of) }));
    }
    company
}

async fn of_every_group(t: &Tenant, stages: &[Value]) -> Review {
    let query = |query: &str| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" });
    let review = t
        .review()
        .with("scope", query("./members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"))
        .with(
            "instanceEnumerationScope",
            json!({ "query": "/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))&$count=true",
            "queryType": "MicrosoftGraph" }),
        )
        .reviewers(&[resource_owners()])
        .setting("mailNotificationsEnabled", json!(true));
    let review = if stages.is_empty() { review } else { review.stages(stages) };
    review.running().await
}

/// LC-NOTE-06, LC-NOTE-08
#[tokio::test]
async fn a_reviewer_of_many_groups_gets_one_mail_about_all_of_them() {
    let sink = SmtpSink::start().await.unwrap();
    let t = Tenant::with_mail_to(&sink).await;
    many_groups().import(&t).await;
    let review = of_every_group(&t, &[]).await;

    assert_eq!(mailed(&sink), ["olga", "otto", "pete"]);
    let mails = by_recipient(&sink);
    says(&mails["otto"], "Please review access to lab by ", &["Access to: lab"]);
    says(&mails["olga"], "Please review access to club and 1 more by ", &["club", "sales"]);
    says(&mails["pete"], "Please review access to club and 2 more by ", &["club", "lab", "sales"]);
    let mine = format!("/definitions/{}/instances/filterByCurrentUser(on='reviewer')", review.definition);
    assert!(mails["pete"].text().contains(&mine), "{}", mails["pete"].text());
    let rows = t.table("contacted_reviewers").await;
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row["mailed_at"].is_string()), "{rows:?}");
    let sent = t.events_of("Mail sent").await;
    let to_pete = sent.iter().find(|event| event["after"]["recipient"] == object_id("pete")).unwrap();
    assert_eq!((&to_pete["after"]["instances"], &to_pete["definition_id"]), (&json!(3), &json!(review.definition)));

    // Whoever asks a second time, there is no second mail.
    let again = "update jobs set finished_at = null, outcome = null, run_at = now()
                  where kind in ('tell_reviewers', 'open_occurrence', 'open_instance')";
    t.database.execute(&format!("{again} and tenant_id = '{}'", t.id)).await;
    t.run_jobs().await;
    assert_eq!(mailed(&sink).len(), 3);
}

/// LC-NOTE-06, N-2
#[tokio::test]
async fn the_first_stages_of_many_groups_are_told_together_and_the_later_ones_one_by_one() {
    let sink = SmtpSink::start().await.unwrap();
    let t = Tenant::with_mail_to(&sink).await;
    many_groups().import(&t).await;
    of_every_group(&t, &[stage(1, 2, &[resource_owners()], &[], &[]), stage(2, 2, &[user("otto")], &[], &[])]).await;
    assert_eq!(mailed(&sink), ["olga", "otto", "pete"]);
    says(&by_recipient(&sink)["pete"], "Please review access to club and 2 more by ", &["Stage 1 of 2"]);
    sink.clear();

    t.advance("P2D").await;

    assert_eq!(mailed(&sink), ["otto", "otto", "otto"]);
}

/// LC-NOTE-06, LC-NOTE-09: it is tried again in real time, however far the clock of a sandbox goes.
#[tokio::test]
async fn a_mail_about_many_groups_that_could_not_be_sent_is_not_tried_again_at_once() {
    let sink = SmtpSink::start().await.unwrap();
    let t = Tenant::with_mail_to(&sink).await;
    many_groups().import(&t).await;
    sink.refuse_next(u32::MAX);
    of_every_group(&t, &[]).await;

    t.advance("P1D").await;
    t.advance("P1D").await;

    let mut tries: Vec<_> = t.table("jobs").await;
    tries.retain(|job| job["kind"] == "send_combined_mail");
    assert_eq!(tries.len(), 3);
    assert!(tries.iter().all(|job| job["attempts"] == 1 && job["finished_at"].is_null()), "{tries:#?}");
    sink.refuse_next(0);
    t.end_backoff().await;
    t.run_jobs().await;
    assert_eq!(mailed(&sink), ["olga", "otto", "pete"]);
}

/// LC-NOTE-06, LC-NOTE-07
#[tokio::test]
async fn the_mail_about_many_groups_waits_for_those_that_are_still_being_opened_and_leaves_out_what_is_over() {
    let sink = SmtpSink::start().await.unwrap();
    let t = Tenant::with_mail_to(&sink).await;
    many_groups().import(&t).await;
    let hold = "update jobs set run_at = now() + interval '1 hour' where kind = 'open_instance'
                  and key = (select min(key) from jobs where kind = 'open_instance' and tenant_id = '{0}') and tenant_id = '{0}'";
    let review = t
        .review()
        .with(
            "scope",
            json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "queryType": "MicrosoftGraph",
            "query": "./members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')" }),
        )
        .with(
            "instanceEnumerationScope",
            json!({ "query": "/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))&$count=true",
            "queryType": "MicrosoftGraph" }),
        )
        .reviewers(&[resource_owners()])
        .setting("mailNotificationsEnabled", json!(true))
        .create()
        .await;
    let jobs = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap();
    attestry::app::run_job::run_job(&t.services, &jobs[0], "https://reviews.example").await.unwrap();
    t.database.execute(&hold.replace("{0}", &t.id.to_string())).await;
    t.run_jobs().await;
    assert_eq!(mailed(&sink), [""; 0]);

    // The last group opens, and one of the others is over before the mail goes out.
    let instances = t.as_admin().get(&format!("{}/instances", review.path())).await.ok();
    let running: Vec<_> = instances.rows().iter().filter(|instance| instance["status"] == "InProgress").collect();
    assert_eq!(running.len(), 2);
    t.as_admin().act(&format!("{}/instances/{}/stop", review.path(), running[0]["id"].as_str().unwrap())).await.is(204);
    sink.clear();
    let release =
        "update jobs set run_at = now() where finished_at is null and kind in ('open_instance', 'tell_reviewers')";
    t.database.execute(&format!("{release} and tenant_id = '{}'", t.id)).await;
    t.run_jobs().await;

    let pete = by_recipient(&sink)["pete"].clone();
    assert!(pete.subject().contains(" and 1 more by "), "{}", pete.subject());
    assert_eq!(mailed(&sink).iter().filter(|name| *name == "pete").count(), 1);
}

/// LC-NOTE-08, LC-INV-08: one key, one mail, however often its cause comes back.
#[tokio::test]
async fn no_mail_is_sent_twice_for_one_key() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let stages = [stage(1, 4, &[manager()], &[user("sam")], &[]), stage(2, 4, &[user("olga")], &[], &[])];
    t.review()
        .stages(&stages)
        .with(
            "additionalNotificationRecipients",
            json!([
                told_at_the_end(&format!("/groups/{}/transitiveMembers", id_of("auditors"))),
                told_at_the_end(&format!("/users/{}", id_of("tom"))),
            ]),
        )
        .setting("mailNotificationsEnabled", json!(true))
        .setting("reminderNotificationsEnabled", json!(true))
        .running()
        .await;
    let again = async |t: &Tenant| {
        let due = "update jobs set finished_at = null, outcome = null, run_at = now() where kind <> 'send_mail'
                      and finished_at is not null";
        t.database.execute(&format!("{due} and tenant_id = '{}'", t.id)).await;
        t.run_jobs().await;
    };
    again(&t).await;
    for _ in 0..4 {
        t.advance("P2D").await;
        again(&t).await;
    }

    // N-2 and N-4 of each stage, N-6, N-7.
    assert_eq!(mailed(&sink), ["carla", "mia", "mia", "noor", "noor", "olga", "olga", "sam", "sam", "sam", "tom"]);
    let jobs = t.table("jobs").await;
    let mut keys: Vec<_> = jobs.iter().filter(|job| job["kind"] == "send_mail").map(|job| job["key"].clone()).collect();
    let all = keys.len();
    keys.sort_by_key(ToString::to_string);
    keys.dedup();
    assert_eq!((keys.len(), t.events_of("Mail sent").await.len()), (all, all));
}

/// LC-NOTE-08, LC-INV-08: the mail left, and the database refuses so many times to hear of it.
#[tokio::test]
async fn a_mail_that_left_is_not_sent_again_when_that_cannot_be_recorded() {
    for (refusals, recorded) in [(1, "Mail sent"), (100, "Mail failed")] {
        let sink = SmtpSink::start().await.unwrap();
        let mailer = SmtpMailer::new(&format!("smtp://{}", sink.address()), "reviews@attestry.example").unwrap();
        let t = Tenant::on(Database::own().await, Arc::new(mailer), true).await;
        Company::finance().import(&t).await;
        t.database
            .execute(&format!(
                "create sequence refusals;
                 grant usage on sequence refusals to attestry_service;
                 create function refuse() returns trigger language plpgsql as $$
                 begin
                     if nextval('refusals') <= {refusals} then raise exception 'not now'; end if;
                     return new;
                 end $$;
                 create trigger refuse before insert on events for each row
                 when (new.activity = 'Mail sent') execute function refuse()"
            ))
            .await;
        t.review().setting("mailNotificationsEnabled", json!(true)).create().await;

        for _ in 0..3 {
            run_due_jobs(&t.services, Some(t.id), "https://reviews.example").await.unwrap();
            t.end_backoff().await;
        }

        assert_eq!(mailed(&sink), ["mia"], "{recorded}");
        let events = t.events().await;
        let told = |event: &&Value| event["activity"].as_str().unwrap().starts_with("Mail");
        let told: Vec<_> = events.iter().filter(told).map(|event| event["activity"].clone()).collect();
        assert_eq!(told, [recorded]);
    }
}

/// LC-AUD-01, LC-HIST-05: what was sent to nobody is not on record as sent.
#[tokio::test]
async fn without_a_mail_server_nobody_counts_as_notified() {
    let t = Tenant::with_finance().await;
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;

    assert_eq!(review.status().await, "InProgress");
    assert_eq!(t.contacted(1).await, ["mia"]);
    assert!(t.table("contacted_reviewers").await.iter().all(|row| row["mailed_at"].is_null()));
    assert_eq!(t.events_of("Mail sent").await.len(), 0);
    let failed = t.events_of("Mail failed").await;
    assert_eq!((failed.len(), &failed[0]["after"]["reason"]), (1, &json!("no mail server is configured")));
    assert_eq!(t.run_jobs().await, 0, "it is not tried again");
}

/// LC-NOTE-09: a mail waits for no transition, and none for a mail.
#[tokio::test]
async fn mail_goes_out_while_somebody_else_holds_the_instance() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).create().await;
    let jobs = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap();
    attestry::app::run_job::run_job(&t.services, &jobs[0], "https://reviews.example").await.unwrap();
    let held = format!(
        "select from instances where tenant_id = '{}' and instance_id = '{}' for update",
        t.id, review.instance
    );
    let blocker = Blocker::hold(&t.database, &held).await;

    t.run_jobs().await;

    assert_eq!(mailed(&sink), ["mia"]);
    blocker.rollback().await;
}

/// N-7: a stored recipient that cannot be read is told of, and takes nothing from the others.
#[tokio::test]
async fn a_recipient_that_cannot_be_read_is_on_record_and_the_others_get_their_mail() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let recipients = ["tom", "sam"].map(|name| told_at_the_end(&format!("/users/{}", id_of(name))));
    let review = t
        .review()
        .with("additionalNotificationRecipients", json!(recipients))
        .setting("mailNotificationsEnabled", json!(true))
        .running()
        .await;
    t.database
        .execute(&format!(
            "update definitions set additional_notification_recipients =
                 jsonb_set(additional_notification_recipients, '{{0,query}}', '\"/planets/mars\"') where tenant_id = '{}'",
            t.id
        ))
        .await;
    sink.clear();

    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.run_jobs().await;

    assert_eq!(mailed(&sink), ["carla", "sam"]);
    let failed = t.events_of("Mail failed").await;
    assert_eq!((failed.len(), &failed[0]["after"]["recipientQuery"]), (1, &json!("/planets/mars")));
    assert!(failed[0]["after"]["reason"].as_str().unwrap().starts_with("the recipients cannot be read: "));
}

/// LC-NOTE-10: what is switched on during a run also holds for the stages to come.
#[tokio::test]
async fn reminders_switched_on_during_a_run_come_in_the_later_stages_too() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t
        .review()
        .stages(&[stage(1, 2, &[user("mia")], &[], &[]), stage(2, 2, &[user("noor")], &[], &[])])
        .running()
        .await;
    t.advance("PT30H").await;
    let on = json!({ "settings": { "reminderNotificationsEnabled": true } });
    t.as_admin().patch(&review.path(), &on).await.is(204);
    t.as_admin().patch(&review.path(), &on).await.is(204);

    t.advance("P3D").await;

    // The middle of the first stage was over; nobody gets any mail but reminders.
    assert_eq!(mailed(&sink), ["noor"]);
}
