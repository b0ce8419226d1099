//! What a tenant says about its mail over HTTP: templates of its own, and whom reminders go to. LC-NOTE-02

use serde_json::{Value, json};

use crate::support::{Review, Tenant, mailed, manager, user};

const TEMPLATES: &str = "//attestry/v1/mailTemplates";
const SETTINGS: &str = "//attestry/v1/mailSettings";
const KINDS: [&str; 7] = [
    "reviewStarted",
    "stageStarted",
    "reviewerAdded",
    "reminder",
    "manualReminder",
    "reviewCompleted",
    "completedAdditional",
];

fn of(kind: &str) -> String {
    format!("{TEMPLATES}/{kind}")
}

async fn running(t: &Tenant) -> Review {
    t.review().setting("mailNotificationsEnabled", json!(true)).running().await
}

/// N-1 to N-7
#[tokio::test]
async fn the_templates_of_all_mails_are_listed_with_the_names_they_may_use() {
    let t = Tenant::with_finance().await;

    let answer = t.as_admin().get(TEMPLATES).await.is(200);

    let kinds: Vec<_> = answer.rows().iter().map(|template| template["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, KINDS);
    for template in answer.rows() {
        for part in ["subject", "text", "html"] {
            assert!(template[part].as_str().is_some_and(|text| text.contains("{")), "{template}");
        }
        assert_eq!((&template["own"], &template["lastModifiedDateTime"]), (&json!([]), &Value::Null));
        let one = t.as_admin().get(&of(template["kind"].as_str().unwrap())).await.is(200).body;
        assert_eq!(&one, template);
    }
    let names = |kind: usize| {
        let variables = answer.rows()[kind]["variables"].as_array().unwrap();
        variables.iter().map(|variable| variable["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names(0).contains(&"open_items".to_owned()) && !names(0).contains(&"kept".to_owned()));
    assert!(names(5).contains(&"kept".to_owned()) && !names(5).contains(&"open_items".to_owned()));
}

/// N-1
#[tokio::test]
async fn a_tenants_own_template_is_sent_until_it_is_removed_and_every_change_is_on_record() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let admin = t.as_admin();
    let own =
        json!({ "subject": "Bitte prüfen: {{ resource }}", "text": "Hallo {{ recipient }}, {{ open_items }} offen" });

    let set = admin.put(&of("reviewStarted"), &own).await.is(200).body;
    assert_eq!((&set["subject"], &set["own"]), (&own["subject"], &json!(["subject", "text"])));
    assert!(set["lastModifiedDateTime"].is_string() && set["html"].as_str().unwrap().contains("layout.html"));
    running(&t).await;
    let mails = sink.mails();
    assert_eq!((mails.len(), mails[0].subject()), (1, "Bitte prüfen: finance".to_owned()));
    assert_eq!(mails[0].text().trim_end(), "Hallo mia, 7 offen");
    assert!(mails[0].html().contains("Start reviewing"), "{}", mails[0].html());

    // What was read is sent back, and is all the tenant's own then.
    let again = admin.put(&of("reviewStarted"), &set).await.is(200).body;
    assert_eq!(again["own"], json!(["subject", "text", "html"]));
    admin.delete(&of("reviewstarted")).await.is(204);
    admin.delete(&of("reviewStarted")).await.refused(404, "ResourceNotFound");
    sink.clear();
    running(&t).await;
    assert!(sink.mails()[0].subject().starts_with("Please review access to finance"));

    let changes = t.events_of("Mail template changed").await;
    assert_eq!(changes.len(), 2);
    assert_eq!((&changes[0]["before"], &changes[0]["after"]["subject"]), (&Value::Null, &own["subject"]));
    assert_eq!(changes[1]["before"]["text"], own["text"]);
    let removed = t.events_of("Mail template removed").await;
    assert_eq!((&removed[0]["before"]["kind"], &removed[0]["after"]), (&json!("reviewStarted"), &Value::Null));
    assert_eq!(removed[0]["actor_name"], "carla");
}

#[tokio::test]
async fn what_is_wrong_with_a_template_is_told_by_member_and_line_and_nothing_is_stored() {
    let t = Tenant::with_finance().await;
    let admin = t.as_admin();
    for (body, member, told) in [
        (json!({}), "", "at least one of subject, text and html"),
        (json!({ "subject": null }), "", "at least one of subject, text and html"),
        (json!({ "subject": 7 }), "subject", "must be a text"),
        (json!({ "subject": " " }), "subject", "must not be empty"),
        (json!({ "subject": "x".repeat(1_001) }), "subject", "at most 1000 characters"),
        (json!({ "body": "x" }), "body", "is not a known member"),
        (json!({ "text": "a\n\n{{ recipent }}" }), "text", "line 3: `recipent` is not a variable of this mail"),
        (json!({ "text": "{% if stage %}" }), "text", "line 1: "),
        (json!({ "text": "fine", "html": "<p>\n{{ 'x' * 100000000 }}" }), "html", "line 2: `*` is not offered"),
        (json!({ "html": "{% macro a() %}{% endmacro %}" }), "html", "line 1: {% macro %} is not offered"),
    ] {
        let answer = admin.put(&of("reminder"), &body).await;
        assert!(answer.body.to_string().contains(&told.replace('"', "\\\"")), "{:#}", answer.body);
        match member {
            "" => answer.refused(400, "BadRequest"),
            member => answer.faults(member),
        };
    }
    assert_eq!(admin.get(&of("reminder")).await.is(200).body["own"], json!([]));
    assert_eq!(t.events_of("Mail template changed").await.len(), 0);

    for answer in [
        admin.get(&of("nosuchmail")).await,
        admin.put(&of("nosuchmail"), &json!({ "subject": "x" })).await,
        admin.delete(&of("nosuchmail")).await,
    ] {
        answer.refused(404, "ResourceNotFound");
    }
    admin.patch(&of("reminder"), &json!({ "subject": "x" })).await.refused(405, "MethodNotAllowed");
    admin.post(TEMPLATES, &json!({})).await.refused(405, "MethodNotAllowed");
}

/// LC-NOTE-09
#[tokio::test]
async fn a_template_that_broke_later_does_not_keep_the_mail_back() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    t.as_admin().put(&of("reviewStarted"), &json!({ "subject": "mine" })).await.is(200);
    // As another version of the service may have left it.
    t.database
        .execute(&format!("update mail_templates set text = 'a\n{{{{ gone }}}}' where tenant_id = '{}'", t.id))
        .await;

    running(&t).await;

    assert_eq!(mailed(&sink), ["mia"]);
    assert!(sink.mails()[0].subject().starts_with("Please review access to finance"));
    let sent = &t.events_of("Mail sent").await[0]["after"];
    assert_eq!(sent["template"], "built-in");
    assert!(sent["templateFault"].as_str().unwrap().starts_with("text, line 2: "), "{sent}");
}

/// LC-AUTH-01, LC-AUTH-07
#[tokio::test]
async fn only_those_who_manage_every_kind_of_review_look_at_mail_and_change_it() {
    let t = Tenant::with_finance().await;
    let stranger = Tenant::with_finance().await;
    stranger.as_admin().put(&of("reminder"), &json!({ "subject": "theirs" })).await.is(200);
    stranger.as_admin().patch(SETTINGS, &json!({ "remindEveryone": true })).await.is(200);
    for caller in [
        t.as_user("mia"),
        t.as_reader(),
        t.as_user_with_roles("carla", &["User Administrator"]),
        t.as_user_with_roles("carla", &["Privileged Role Administrator"]),
        t.as_user_with_scopes("carla", &["Global Administrator"], &["AccessReview.Read.All"]),
        t.as_application_with(&["AccessReview.Read.All"]),
    ] {
        caller.get(TEMPLATES).await.refused(403, "Forbidden");
        caller.get(&of("reminder")).await.refused(403, "Forbidden");
        caller.put(&of("reminder"), &json!({ "subject": "x" })).await.refused(403, "Forbidden");
        caller.delete(&of("reminder")).await.refused(403, "Forbidden");
        caller.get(SETTINGS).await.refused(403, "Forbidden");
        caller.patch(SETTINGS, &json!({ "remindEveryone": true })).await.refused(403, "Forbidden");
    }
    for caller in [t.as_admin(), t.as_user_with_roles("carla", &["Global Administrator"]), t.as_application()] {
        assert_eq!(caller.get(&of("reminder")).await.is(200).body["own"], json!([]));
        assert_eq!(caller.get(SETTINGS).await.is(200).body, json!({ "remindEveryone": false }));
    }
    t.as_admin().delete(&of("reminder")).await.refused(404, "ResourceNotFound");
    t.with_authorization(None).get(TEMPLATES).await.refused(401, "InvalidAuthenticationToken");
}

/// LC-NOTE-02, N-4, N-5
#[tokio::test]
async fn with_the_tenants_switch_everyone_is_reminded_finished_or_not() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let admin = t.as_admin();
    admin.patch(SETTINGS, &json!({ "remindEveryone": "yes" })).await.faults("remindEveryone");
    admin.patch(SETTINGS, &json!({ "everyone": true })).await.faults("everyone");
    let review = t
        .review()
        .reviewers(&[manager()])
        .fallbacks(&[user("sam")])
        .setting("reminderNotificationsEnabled", json!(true))
        .running()
        .await;
    review.decide(&t.as_user("noor"), "dan", "Approve").await.is(204);
    let remind = async |t: &Tenant| {
        t.as_admin().act(&format!("{}/sendReminder", review.instance_path())).await.is(204);
        t.run_jobs().await;
    };

    remind(&t).await;
    assert_eq!(mailed(&sink), ["mia", "sam"]);
    sink.clear();

    let on = admin.patch(SETTINGS, &json!({ "remindEveryone": true })).await.is(200).body;
    assert_eq!(on, json!({ "remindEveryone": true }));
    assert_eq!(admin.patch(SETTINGS, &json!({})).await.is(200).body, on);
    t.advance("PT1H").await;
    remind(&t).await;
    assert_eq!(mailed(&sink), ["mia", "noor", "sam"]);
    let to_noor = sink.mails().iter().find(|mail| mail.recipients == ["noor@acme.example"]).unwrap().text();
    assert!(to_noor.contains("You have answered everything"), "{to_noor}");
    sink.clear();
    t.advance("P5D").await;
    assert_eq!(mailed(&sink), ["mia", "noor", "sam"]);

    let changes = t.events_of("Mail settings changed").await;
    assert_eq!(
        (&changes[0]["before"]["remindEveryone"], &changes[0]["after"]["remindEveryone"]),
        (&json!(false), &json!(true))
    );
    // Still only those who review: Olga and the removed do not.
    t.as_admin().patch(&review.instance_path(), &json!({ "reviewers": [user("mia")] })).await.is(200);
    sink.clear();
    t.advance("PT1H").await;
    remind(&t).await;
    assert_eq!(mailed(&sink), ["mia"]);
}
