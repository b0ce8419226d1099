//! The worked example: three stages over "Finance-ERP", from the first POST to the final table.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Company, Review, Tenant, group_owners, mailed, manager, people, stage, user};

async fn instant(t: &Tenant, path: &str, member: &str) -> DateTime<Utc> {
    t.as_admin().get(path).await.ok().text(member).parse().unwrap()
}

/// Decision and who made it, of a principal in a stage; `None` when the stage does not hold him.
async fn decided(t: &Tenant, review: &Review, number: usize, principal: &str) -> Option<(String, String)> {
    let items = review.stage_items(number, &t.as_admin()).await;
    items.iter().find(|item| item["principal"]["displayName"] == principal).map(told)
}

fn told(item: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&item["decision"]), text(&item["reviewedBy"]["displayName"]))
}

/// Section 18: LC-REC-06, LC-INST-07, LC-STAGE-04, LC-STAGE-06, LC-STAGE-30 to 36, LC-STAGE-40 to 45, LC-SUPD-06, LC-SUPD-11,
/// LC-SUPD-22, LC-SUPD-24, LC-REV-04, LC-DEC-07, LC-CMP-03, LC-CMP-09, LC-APPLY-01, LC-APPLY-03, LC-APPLY-04, LC-NOTE-02; IN-01 to
/// IN-04, IN-06, IN-07, IN-09 to IN-11, IN-13, IN-14; ST-01 to ST-04, ST-06, ST-07, ST-09 to ST-11; N-2 to N-4, N-6, N-7
#[tokio::test]
async fn three_stages_as_the_worked_example_tells_them() {
    // 01-02 09:00: Carla creates the review; occurrence and first stage exist ahead of their time.
    let (t, sink) = Tenant::with_finance_and_mail().await;
    Company::new().group("contractors", &["dan"], &[]).import(&t).await;
    let created = t.now().await;
    let start_date = (created + TimeDelta::days(4)).date_naive();
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[], &[], &["Approve", "NotReviewed"]),
            stage(2, 4, &[manager()], &[user("sam")], &["Approve", "NotReviewed"]),
            stage(3, 3, &[group_owners("finance")], &[], &[]),
        ])
        .setting("mailNotificationsEnabled", json!(true))
        .setting("reminderNotificationsEnabled", json!(true))
        .setting("justificationRequiredOnApproval", json!(true))
        .setting("decisionHistoriesForReviewersEnabled", json!(true))
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .setting("autoApplyDecisionsEnabled", json!(true))
        .setting(
            "recurrence",
            json!({
                "pattern": { "type": "absoluteMonthly", "interval": 3, "dayOfMonth": 0 },
                "range": { "type": "numbered", "numberOfOccurrences": 4, "startDate": start_date },
            }),
        )
        .with(
            "additionalNotificationRecipients",
            json!([{
                "notificationTemplateType": "CompletedAdditionalRecipients",
                "notificationRecipientScope": {
                    "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
                    "query": user("rita")["query"], "queryType": "MicrosoftGraph",
                },
            }]),
        )
        .create()
        .await;
    t.run_jobs().await;
    let instances = t.as_admin().get(&format!("{}/instances", review.path())).await.ok();
    let [first] = instances.rows().as_slice() else { panic!("{:#}", instances.body) };
    let review = review.occurrence(first["id"].as_str().unwrap());
    assert_ne!(review.instance, review.definition);
    let start: DateTime<Utc> = first["startDateTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(start.date_naive(), start_date);
    assert!((start - created - TimeDelta::days(4)).abs() < TimeDelta::minutes(5));
    assert_eq!(instant(&t, &review.instance_path(), "endDateTime").await, start + TimeDelta::days(10));
    assert_eq!(review.status().await, "NotStarted");
    assert_eq!(review.stage_statuses().await, ["NotStarted"]);
    let first_stage = review.stage_path(1).await;
    assert_eq!(instant(&t, &first_stage, "endDateTime").await, start + TimeDelta::days(3));

    // 01-06 09:00: six items, mails to six members.
    t.advance("P4D").await;
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.stage_statuses().await, ["InProgress"]);
    assert_eq!(people(&review.items().await), ["ana", "ben", "cleo", "dan", "eve", "fay"]);
    assert_eq!(mailed(&sink), ["ana", "ben", "cleo", "dan", "eve", "fay"]);
    sink.clear();

    // Everybody but Dan answers for himself.
    for (name, decision) in
        [("ana", "Approve"), ("ben", "Approve"), ("fay", "Approve"), ("cleo", "Deny"), ("eve", "DontKnow")]
    {
        review.decide(&t.as_user(name), name, decision).await.is(204);
    }

    // 01-07 21:00: the middle of stage 1; Dan has not answered.
    t.advance("P2D").await;
    assert_eq!(mailed(&sink), ["dan"]);
    sink.clear();

    // 01-09 09:00: stage 1 ends; Cleo and Eve stay.
    t.advance("P1D").await;
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), ["ana", "ben", "dan", "fay"]);
    let second_stage = review.stage_path(2).await;
    assert_eq!(instant(&t, &second_stage, "startDateTime").await, start + TimeDelta::days(3));
    assert_eq!(instant(&t, &second_stage, "endDateTime").await, start + TimeDelta::days(7));
    assert_eq!(review.found_in_stage(2, &t.as_user("mia")).await, ["ana", "ben"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("noor")).await, ["dan"]);
    assert_eq!(review.found_in_stage(2, &t.as_user("sam")).await, ["fay"]);
    assert_eq!(mailed(&sink), ["mia", "noor", "sam"]);
    sink.clear();

    // 01-10 10:00 and 10:05: the fallback list may grow and may not lose Sam.
    t.advance("P1D").await;
    let admin = t.as_admin();
    let (definition, instance) = (admin.get(&review.path()).await.body, admin.get(&review.instance_path()).await.body);
    let before = t.stored().await;
    admin.patch(&second_stage, &json!({ "fallbackReviewers": [user("tom")] })).await.refused(409, "Conflict");
    assert_eq!(t.stored().await, before);
    admin.patch(&second_stage, &json!({ "fallbackReviewers": [user("sam"), user("tom")] })).await.is(200);
    t.run_jobs().await;
    assert_eq!(review.found_in_stage(2, &t.as_user("tom")).await, ["fay"]);
    assert_eq!(mailed(&sink), ["tom"]);
    assert_eq!(admin.get(&review.path()).await.body, definition);
    assert_eq!(admin.get(&review.instance_path()).await.body, instance);
    sink.clear();

    // by 01-12: Mia and Tom answer, Noor is silent.
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Deny").await.is(204);
    review.decide(&t.as_user("tom"), "fay", "Approve").await.is(204);

    // 01-12 15:00: the admin stops stage 2; stage 3 starts now and keeps its end.
    t.advance("P2DT6H").await;
    // 01-11 09:00, the middle of stage 2: Noor is reminded of Dan.
    assert_eq!(mailed(&sink), ["noor"]);
    sink.clear();
    let before_stop = t.now().await;
    admin.act(&format!("{second_stage}/stop")).await.is(204);
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "InProgress"]);
    assert_eq!(people(&review.stage_items(3, &admin).await), ["ana", "dan", "fay"]);
    let third_stage = review.stage_path(3).await;
    let stopped_at = instant(&t, &third_stage, "startDateTime").await;
    assert!(stopped_at >= before_stop && stopped_at - before_stop < TimeDelta::minutes(5));
    assert_eq!(instant(&t, &third_stage, "endDateTime").await, start + TimeDelta::days(10));
    t.run_jobs().await;
    assert_eq!(mailed(&sink), ["olga", "pete"]);
    sink.clear();

    // 01-13 to 01-15: Olga approves, Pete overrides her on Ana.
    review.decide(&t.as_user("olga"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("olga"), "fay", "Approve").await.is(204);
    t.advance("P2D").await;
    // 01-14 12:00, the middle of stage 3: Dan is still open, and both may answer for him.
    assert_eq!(mailed(&sink), ["olga", "pete"]);
    sink.clear();
    review.decide(&t.as_user("pete"), "ana", "Deny").await.is(204);

    // 01-16 09:00: the end; Dan, whom nobody decided on, is denied by the system. Before it nobody lost anything.
    let members = async || t.table("group_members").await.len();
    let before_the_end = members().await;
    t.advance("P1D").await;
    assert_eq!((review.status().await.as_str(), members().await), ("InProgress", before_the_end));
    t.advance("P1D").await;
    assert_eq!(review.status().await, "Applied");
    assert_eq!(members().await, before_the_end - 3, "Ana, Ben and Cleo");
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "AutoReviewed"]);
    assert_eq!(mailed(&sink), ["carla", "rita"]);

    // The next occurrence is visible three months after the first.
    let instances = admin.get(&format!("{}/instances", review.path())).await.ok();
    let next = instances.rows().iter().find(|row| row["id"] != review.instance.as_str()).unwrap().clone();
    let next_start: DateTime<Utc> = next["startDateTime"].as_str().unwrap().parse().unwrap();
    let three_months_on = start.checked_add_months(chrono::Months::new(3)).unwrap();
    assert_eq!((next_start, &next["status"]), (three_months_on, &json!("NotStarted")));
    let next = review.occurrence(next["id"].as_str().unwrap());
    assert_eq!(next.stage_statuses().await, ["NotStarted"]);

    // The final table.
    let nobody = ("NotReviewed", "");
    let [ana_in, ben_in, cleo_in, dan_in, eve_in, fay_in] = [
        [Some(("Approve", "ana")), Some(("Approve", "mia")), Some(("Deny", "pete"))],
        [Some(("Approve", "ben")), Some(("Deny", "mia")), None],
        [Some(("Deny", "cleo")), None, None],
        [Some(nobody), Some(nobody), Some(nobody)],
        [Some(("DontKnow", "eve")), None, None],
        [Some(("Approve", "fay")), Some(("Approve", "tom")), Some(("Approve", "olga"))],
    ];
    for (item, stages, effective, applied) in [
        ("ana", ana_in, ("Deny", "pete"), "AppliedSuccessfully"),
        ("ben", ben_in, ("Deny", "mia"), "AppliedSuccessfully"),
        ("cleo", cleo_in, ("Deny", "cleo"), "AppliedSuccessfully"),
        ("dan", dan_in, ("Deny", "Access Reviews"), "ApplyNotSupported"),
        ("eve", eve_in, ("DontKnow", "eve"), "New"),
        ("fay", fay_in, ("Approve", "olga"), "AppliedSuccessfully"),
    ] {
        for (number, expected) in (1..).zip(stages) {
            let found = decided(&t, &review, number, item).await;
            let found = found.as_ref().map(|(decision, who)| (decision.as_str(), who.as_str()));
            assert_eq!(found, expected, "{item} in stage {number}");
        }
        let row = review.item(item).await;
        let found = told(&row);
        assert_eq!((found.0.as_str(), found.1.as_str()), effective, "{item} in the end");
        assert_eq!(row["applyResult"], applied, "{item}");
    }
}
