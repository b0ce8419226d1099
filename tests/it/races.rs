//! What happens when two do something at once. The order is the test's: somebody stands in the way until the others are seen
//! to wait.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use attestry::mail::{Mail, MailError, Mailer, PreparedMail};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    Answer, Blocker, Client, Review, Tenant, assert_one_chain_of_statuses_each, eventually, id_of, stage, user,
};

/// Three stages, `mia` reviews each, `sam` is the fallback of the first; what is approved moves on.
async fn three_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[
            stage(1, 3, &[user("mia")], &[user("sam")], &["Approve"]),
            stage(2, 3, &[user("mia")], &[], &["Approve", "NotReviewed"]),
            stage(3, 4, &[user("mia")], &[], &[]),
        ])
        .running()
        .await
}

fn in_background(work: impl Future<Output = Answer> + Send + 'static) -> JoinHandle<Answer> {
    tokio::spawn(work)
}

fn patch(client: &Client, path: &str, body: Value) -> JoinHandle<Answer> {
    let (client, path) = (client.clone(), path.to_owned());
    in_background(async move { client.patch(&path, &body).await })
}

fn act(client: &Client, path: &str) -> JoinHandle<Answer> {
    let (client, path) = (client.clone(), path.to_owned());
    in_background(async move { client.act(&path).await })
}

fn delete(client: &Client, path: &str) -> JoinHandle<Answer> {
    let (client, path) = (client.clone(), path.to_owned());
    in_background(async move { client.delete(&path).await })
}

fn jobs(t: &Arc<Tenant>) -> JoinHandle<usize> {
    let t = Arc::clone(t);
    tokio::spawn(async move { t.run_jobs().await })
}

/// Keeps everybody from changing a stage's row or relying on its status.
async fn hold_stage(t: &Tenant, review: &Review, ordinal: usize) -> Blocker {
    let sql = format!(
        "select from stages where tenant_id = '{}' and instance_id = '{}' and ordinal = {ordinal} for update",
        t.id, review.instance
    );
    Blocker::hold(&t.database, &sql).await
}

async fn seq_of(t: &Tenant, principal: &str) -> i32 {
    let sql = format!(
        "select to_jsonb(seq) as row from decision_items where tenant_id = '{}' and principal_id = '{}'",
        t.id,
        id_of(principal)
    );
    i32::try_from(t.database.rows(&sql).await[0].as_i64().unwrap()).unwrap()
}

fn queries(scopes: &Value) -> Vec<String> {
    scopes.as_array().unwrap().iter().map(|scope| scope["query"].as_str().unwrap().to_owned()).collect()
}

fn users(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("/users/{}", id_of(name))).collect()
}

fn fallbacks(names: &[&str]) -> Value {
    json!({ "fallbackReviewers": names.iter().map(|name| user(name)).collect::<Vec<_>>() })
}

async fn stored_fallbacks(t: &Tenant, path: &str) -> Vec<String> {
    queries(&t.as_admin().get(path).await.ok().body["fallbackReviewers"])
}

async fn decisions(t: &Tenant) -> Vec<Value> {
    let sql = format!("select to_jsonb(d) as row from decisions d where tenant_id = '{}' order by ordinal, seq", t.id);
    t.database.rows(&sql).await
}

async fn one_chain_of_statuses_each(t: &Tenant) {
    assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
}

/// LC-CONC-03, LC-SUPD-06
#[tokio::test]
async fn of_two_updates_the_second_is_judged_against_what_the_first_left() {
    for (first, second) in [("tom", "pete"), ("pete", "tom")] {
        let t = Tenant::with_finance().await;
        let review = three_stages(&t).await;
        let path = review.stage_path(1).await;
        let elsewhere = t.served_elsewhere();
        let mut blocker = hold_stage(&t, &review, 1).await;

        let one = patch(&t.as_admin(), &path, fallbacks(&["sam", first]));
        blocker.wait_until_blocked(1).await;
        let other = patch(&t.as_admin().at(&elsewhere.url()), &path, fallbacks(&["sam", second]));
        blocker.wait_until_blocked(2).await;
        blocker.rollback().await;

        let one = one.await.unwrap().is(200);
        assert_eq!(queries(&one.body["fallbackReviewers"]), users(&["sam", first]));
        let other = other.await.unwrap().refused(409, "Conflict");
        assert!(other.message().contains(&id_of(first).to_string()), "{}", other.message());
        assert_eq!(stored_fallbacks(&t, &path).await, users(&["sam", first]));
        assert_eq!(t.events_of("Reviewers changed").await.len(), 1);
    }
}

/// LC-CONC-03
#[tokio::test]
async fn two_updates_that_both_add_are_both_there_with_their_events_in_order() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let path = review.stage_path(1).await;
    let elsewhere = t.served_elsewhere();
    let mut blocker = hold_stage(&t, &review, 1).await;

    let one = patch(&t.as_admin(), &path, fallbacks(&["sam", "tom"]));
    blocker.wait_until_blocked(1).await;
    let other = patch(&t.as_admin().at(&elsewhere.url()), &path, fallbacks(&["sam", "tom", "pete"]));
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    assert_eq!(queries(&one.await.unwrap().is(200).body["fallbackReviewers"]), users(&["sam", "tom"]));
    assert_eq!(queries(&other.await.unwrap().is(200).body["fallbackReviewers"]), users(&["sam", "tom", "pete"]));
    assert_eq!(stored_fallbacks(&t, &path).await, users(&["sam", "tom", "pete"]));
    let events = t.events_of("Reviewers changed").await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["before"]["fallbackReviewers"], json!(users(&["sam"])));
    assert_eq!(events[0]["after"], events[1]["before"]);
    assert_eq!(events[1]["after"]["fallbackReviewers"], json!(users(&["sam", "tom", "pete"])));
}

/// LC-SUPD-02, LC-CONC-03
#[tokio::test]
async fn an_update_that_waited_for_the_close_is_refused_and_changes_nothing() {
    for by_timer in [false, true] {
        let t = Arc::new(Tenant::with_finance().await);
        let review = three_stages(&t).await;
        review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
        let path = review.stage_path(1).await;
        if by_timer {
            t.advance_without_jobs("P3D").await;
        }
        let mut blocker = hold_stage(&t, &review, 1).await;

        let (stop, timer) = match by_timer {
            true => (None, Some(jobs(&t))),
            false => (Some(act(&t.as_admin(), &format!("{path}/stop"))), None),
        };
        blocker.wait_until_blocked(1).await;
        let body = json!({ "reviewers": [user("noor")], "fallbackReviewers": [user("sam"), user("tom")] });
        let update = patch(&t.as_admin(), &path, body);
        blocker.wait_until_blocked(2).await;
        blocker.rollback().await;

        if let Some(stop) = stop {
            stop.await.unwrap().is(204);
        }
        if let Some(timer) = timer {
            timer.await.unwrap();
        }
        let update = update.await.unwrap().refused(400, "InvalidReviewState");
        assert!(update.message().contains("Completed"), "{}", update.message());
        let stage = t.as_admin().get(&path).await.ok().body;
        assert_eq!(queries(&stage["reviewers"]), users(&["mia"]));
        assert_eq!(queries(&stage["fallbackReviewers"]), users(&["sam"]));
        assert!(t.events_of("Reviewers changed").await.is_empty());
        assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
        one_chain_of_statuses_each(&t).await;
    }
}

/// Remembers to whom mail went.
#[derive(Clone, Default)]
struct Remembering(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Mailer for Remembering {
    async fn prepare(&self, mail: &Mail) -> Result<Box<dyn PreparedMail>, MailError> {
        Ok(Box::new(Prepared { remembering: self.clone(), to: mail.to_address.clone() }))
    }
}

struct Prepared {
    remembering: Remembering,
    to: String,
}

#[async_trait]
impl PreparedMail for Prepared {
    async fn hand_over(self: Box<Self>) -> Result<(), MailError> {
        self.remembering.0.lock().unwrap().push(self.to);
        Ok(())
    }
}

/// LC-SUPD-20, LC-NOTE-07
#[tokio::test]
async fn a_close_that_waited_for_an_update_keeps_it_and_nobody_is_called_to_a_closed_stage() {
    let mailer = Remembering::default();
    let t = Tenant::with_mailer(Arc::new(mailer.clone())).await;
    crate::support::Company::finance().import(&t).await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[user("sam")], &[]), stage(2, 3, &[user("olga")], &[], &[])])
        .setting("mailNotificationsEnabled", json!(true))
        .running()
        .await;
    assert_eq!(mailer.0.lock().unwrap().as_slice(), ["mia@acme.example"]);
    let path = review.stage_path(1).await;
    let mut blocker = hold_stage(&t, &review, 1).await;

    let update = patch(&t.as_admin(), &path, json!({ "reviewers": [user("noor")] }));
    blocker.wait_until_blocked(1).await;
    let stop = act(&t.as_admin(), &format!("{path}/stop"));
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    update.await.unwrap().is(200);
    stop.await.unwrap().is(204);
    let closed = t.as_admin().get(&path).await.ok().body;
    assert_eq!(closed["status"], "Completed");
    assert_eq!(queries(&closed["reviewers"]), users(&["noor"]));
    let activities: Vec<_> = t.events().await.into_iter().map(|event| event["activity"].clone()).collect();
    let position = |activity: &str| activities.iter().position(|found| found == activity).unwrap();
    assert!(position("Reviewers changed") < position("Stage stopped"));

    t.run_jobs().await;

    assert_eq!(mailer.0.lock().unwrap().as_slice(), ["mia@acme.example", "olga@acme.example"]);
    one_chain_of_statuses_each(&t).await;
}

/// LC-CONC-02
#[tokio::test]
async fn a_decision_that_waited_for_the_close_is_refused_and_not_recorded() {
    for closer in ["timer", "stage", "instance"] {
        let t = Arc::new(Tenant::with_finance().await);
        let review = three_stages(&t).await;
        let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
        let stage_one = review.stage_path(1).await;
        if closer == "timer" {
            t.advance_without_jobs("P3D").await;
        }
        let mut blocker = hold_stage(&t, &review, 1).await;

        let (stop, timer) = match closer {
            "timer" => (None, Some(jobs(&t))),
            "stage" => (Some(act(&t.as_admin(), &format!("{stage_one}/stop"))), None),
            _ => (Some(act(&t.as_admin(), &format!("{}/stop", review.instance_path()))), None),
        };
        blocker.wait_until_blocked(1).await;
        let decision = patch(&t.as_user("mia"), &item, json!({ "decision": "Approve", "justification": "late" }));
        blocker.wait_until_blocked(2).await;
        blocker.rollback().await;

        if let Some(stop) = stop {
            stop.await.unwrap().is(204);
        }
        if let Some(timer) = timer {
            timer.await.unwrap();
        }
        decision.await.unwrap().refused(400, "InvalidReviewState");
        assert!(decisions(&t).await.is_empty(), "{closer}");
        assert!(t.events_of("Approve decision").await.is_empty(), "{closer}");
        one_chain_of_statuses_each(&t).await;
    }
}

/// LC-CONC-02, LC-STAGE-30
#[tokio::test]
async fn a_close_that_waited_for_a_decision_counts_it_in_what_moves_on() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let stage_one = review.stage_path(1).await;
    // The decision gets as far as its own row, and holds the stage.
    let seq = seq_of(&t, "ana").await;
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, seq).await;

    let decision = patch(&t.as_user("mia"), &item, json!({ "decision": "Approve", "justification": "in time" }));
    blocker.wait_until_blocked(1).await;
    let stop = act(&t.as_admin(), &format!("{stage_one}/stop"));
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    decision.await.unwrap().is(204);
    stop.await.unwrap().is(204);
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    let stage_two = review.stage_path(2).await;
    let (moved, _) = t.as_admin().all(&format!("{stage_two}/decisions")).await;
    assert_eq!(Review::principals(&moved, &["ana"]), ["ana"]);
    assert_eq!(review.item("ana").await["decision"], "Approve");
    one_chain_of_statuses_each(&t).await;
}

/// LC-CONC-02, LC-INST-32
#[tokio::test]
async fn a_stop_of_the_instance_that_waited_for_a_decision_leaves_it_standing() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .running()
        .await;
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let seq = seq_of(&t, "ana").await;
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, seq).await;

    let decision = patch(&t.as_user("mia"), &item, json!({ "decision": "Approve", "justification": "in time" }));
    blocker.wait_until_blocked(1).await;
    let stop = act(&t.as_admin(), &format!("{}/stop", review.instance_path()));
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    decision.await.unwrap().is(204);
    stop.await.unwrap().is(204);
    assert_eq!(review.status().await, "AutoReviewed");
    assert_eq!(review.item("ana").await["decision"], "Approve");
    assert_eq!(review.item("ben").await["decision"], "Deny");
    let by_default = decisions(&t).await.into_iter().filter(|row| row["ordinal"] == 0).count();
    assert_eq!(by_default, 6);
    one_chain_of_statuses_each(&t).await;
}

/// LC-CONC-04
#[tokio::test]
async fn of_two_that_close_a_stage_exactly_one_does() {
    for (first, second) in [
        ("stage", "timer"),
        ("timer", "stage"),
        ("stage", "instance"),
        ("instance", "stage"),
        ("timer", "instance"),
        ("instance", "timer"),
        ("stage", "stage"),
    ] {
        let t = Arc::new(Tenant::with_finance().await);
        let review = three_stages(&t).await;
        review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
        let stage_one = review.stage_path(1).await;
        t.advance_without_jobs("P3D").await;
        let mut blocker = hold_stage(&t, &review, 1).await;

        let start = |closer: &str| match closer {
            "timer" => {
                let jobs = jobs(&t);
                tokio::spawn(async move {
                    jobs.await.unwrap();
                    None
                })
            }
            closer => {
                let path = match closer {
                    "stage" => stage_one.clone(),
                    _ => review.instance_path(),
                };
                let stop = act(&t.as_admin(), &format!("{path}/stop"));
                tokio::spawn(async move { Some(stop.await.unwrap()) })
            }
        };
        let one = start(first);
        blocker.wait_until_blocked(1).await;
        let other = start(second);
        blocker.wait_until_blocked(2).await;
        blocker.rollback().await;

        if let Some(answer) = one.await.unwrap() {
            answer.is(204);
        }
        let other = other.await.unwrap();
        match (first, second) {
            // The review went on, so stopping it all is still something to do.
            ("stage" | "timer", "instance") => {
                other.unwrap().is(204);
                assert_eq!(review.stage_statuses().await, ["Completed", "Completed"]);
                assert_eq!(review.status().await, "Completed");
            }
            ("instance", _) => {
                if let Some(answer) = other {
                    answer.refused(400, "InvalidReviewState");
                }
                assert_eq!(review.stage_statuses().await, ["Completed"]);
            }
            _ => {
                if let Some(answer) = other {
                    answer.refused(400, "InvalidReviewState");
                }
                assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
            }
        }
        t.run_jobs().await;
        one_chain_of_statuses_each(&t).await;
    }
}

/// LC-CONC-01, LC-DEC-14
#[tokio::test]
async fn two_first_decisions_on_an_item_both_commit_and_the_second_tells_of_the_first() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let seq = seq_of(&t, "ana").await;
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, seq).await;

    let one = patch(&t.as_user("mia"), &item, json!({ "decision": "Approve", "justification": "of mia" }));
    blocker.wait_until_blocked(1).await;
    let other = patch(&t.as_user("noor"), &item, json!({ "decision": "Deny", "justification": "of noor" }));
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    one.await.unwrap().is(204);
    other.await.unwrap().is(204);
    // Who of the two inserts first is PostgreSQL's choice; that one came after the other is not.
    let events: Vec<_> = t.events().await.into_iter().filter(|event| event["item_seq"] == seq).collect();
    assert_eq!(events.len(), 2);
    assert!(events[0]["before"].is_null());
    assert_eq!(events[1]["before"], events[0]["after"]);
    let rows = decisions(&t).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["justification"], events[1]["after"]["justification"]);
    assert_eq!(review.item("ana").await["justification"], events[1]["after"]["justification"]);
}

/// LC-CONC-01
#[tokio::test]
async fn of_two_changes_of_a_decision_the_later_wins() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia"), user("noor")]).running().await;
    review.decide(&t.as_user("mia"), "ana", "DontKnow").await.is(204);
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let sql = format!("select from decisions where tenant_id = '{}' for update", t.id);
    let mut blocker = Blocker::hold(&t.database, &sql).await;

    let one = patch(&t.as_user("noor"), &item, json!({ "decision": "Approve", "justification": "of noor" }));
    blocker.wait_until_blocked(1).await;
    let other = patch(&t.as_user("mia"), &item, json!({ "decision": "NotReviewed" }));
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    one.await.unwrap().is(204);
    other.await.unwrap().is(204);
    assert!(decisions(&t).await.is_empty());
    let reset = t.events_of("Reset decision").await;
    assert_eq!(reset[0]["before"]["justification"], "of noor");
    assert!(reset[0]["after"].is_null());
}

/// Nothing of the tenant's only definition is left in any table but events, which outlive it, and jobs, which find nothing to do.
async fn nothing_is_left(t: &Tenant) {
    let tables = t
        .database
        .rows(
            "select to_jsonb(table_name::text) as row
               from information_schema.columns
              where table_schema = 'public' and column_name = 'tenant_id'
                and table_name not in ('tenants', 'tenant_issuers', 'development_keys', 'users', 'groups', 'group_members',
                    'group_owners', 'events', 'jobs')",
        )
        .await;
    assert!(tables.len() > 15);
    for table in tables {
        let table = table.as_str().unwrap();
        let rows =
            t.database.rows(&format!("select to_jsonb(x) as row from {table} x where tenant_id = '{}'", t.id)).await;
        assert!(rows.is_empty(), "{table}: {rows:#?}");
    }
    t.run_jobs().await;
    let unfinished =
        format!("select to_jsonb(j) as row from jobs j where tenant_id = '{}' and finished_at is null", t.id);
    for job in t.database.rows(&unfinished).await {
        assert_eq!(job["attempts"], 0, "{job:#}");
    }
    assert_eq!(t.events_of("Delete access review").await.len(), 1);
}

/// LC-DEF-30, LC-DEF-31
#[tokio::test]
async fn a_deletion_that_waited_for_somebody_takes_away_what_he_did() {
    for other in ["update", "stage", "instance", "timer"] {
        let t = Arc::new(Tenant::with_finance().await);
        let review = three_stages(&t).await;
        let stage_one = review.stage_path(1).await;
        if other == "timer" {
            t.advance_without_jobs("P3D").await;
        }
        let mut blocker = hold_stage(&t, &review, 1).await;

        let first = match other {
            "update" => Some(patch(
                &t.as_admin(),
                &stage_one,
                json!({ "reviewers": [user("noor")], "fallbackReviewers": [user("sam"), user("tom")] }),
            )),
            "stage" => Some(act(&t.as_admin(), &format!("{stage_one}/stop"))),
            "instance" => Some(act(&t.as_admin(), &format!("{}/stop", review.instance_path()))),
            _ => None,
        };
        let timer = (other == "timer").then(|| jobs(&t));
        blocker.wait_until_blocked(1).await;
        let deletion = delete(&t.as_admin(), &review.path());
        blocker.wait_until_blocked(2).await;
        blocker.rollback().await;

        if let Some(first) = first {
            first.await.unwrap().ok();
        }
        if let Some(timer) = timer {
            timer.await.unwrap();
        }
        deletion.await.unwrap().is(204);
        nothing_is_left(&t).await;
    }
}

/// LC-DEF-30: the decision holds the stage when the deletion comes and only then writes; locks taken in another order than
/// definition, instance, stage would meet here.
#[tokio::test]
async fn a_deletion_and_a_decision_in_flight_do_not_lock_each_other_out() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let seq = seq_of(&t, "ana").await;
    let mut blocker = Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, seq).await;

    let decision = patch(&t.as_user("mia"), &item, json!({ "decision": "Approve", "justification": "just so" }));
    blocker.wait_until_blocked(1).await;
    let deletion = delete(&t.as_admin(), &review.path());
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    decision.await.unwrap().is(204);
    deletion.await.unwrap().is(204);
    nothing_is_left(&t).await;
}

/// LC-DEF-30
#[tokio::test]
async fn whoever_waited_for_a_deletion_finds_nothing() {
    for other in ["update", "decision", "stage", "instance", "deletion", "timer"] {
        let t = Arc::new(Tenant::with_finance().await);
        let review = three_stages(&t).await;
        let stage_one = review.stage_path(1).await;
        let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
        if other == "timer" {
            t.advance_without_jobs("P3D").await;
        }
        let mut blocker = hold_stage(&t, &review, 1).await;

        let deletion = delete(&t.as_admin(), &review.path());
        blocker.wait_until_blocked(1).await;
        let second = match other {
            "update" => Some(patch(&t.as_admin(), &stage_one, fallbacks(&["sam", "tom"]))),
            "decision" => Some(patch(&t.as_user("mia"), &item, json!({ "decision": "Deny", "justification": "no" }))),
            "stage" => Some(act(&t.as_admin(), &format!("{stage_one}/stop"))),
            "instance" => Some(act(&t.as_admin(), &format!("{}/stop", review.instance_path()))),
            "deletion" => Some(delete(&t.as_admin(), &review.path())),
            _ => None,
        };
        let timer = (other == "timer").then(|| jobs(&t));
        blocker.wait_until_blocked(2).await;
        blocker.rollback().await;

        deletion.await.unwrap().is(204);
        if let Some(second) = second {
            second.await.unwrap().refused(404, "ResourceNotFound");
        }
        if let Some(timer) = timer {
            timer.await.unwrap();
        }
        nothing_is_left(&t).await;
    }
}

/// Section 5 of the design, row locks; CL-27
#[tokio::test]
async fn whoever_waits_too_long_is_told_to_come_back_and_nothing_is_written() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let path = review.stage_path(1).await;
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let before = t.events().await.len();
    let mut blocker = hold_stage(&t, &review, 1).await;

    let update = patch(&t.as_admin(), &path, fallbacks(&["sam", "tom"]));
    let decision = patch(&t.as_user("mia"), &item, json!({ "decision": "Deny", "justification": "no" }));
    let stop = act(&t.as_admin(), &format!("{path}/stop"));
    blocker.wait_until_blocked(3).await;

    for answer in [update.await.unwrap(), decision.await.unwrap(), stop.await.unwrap()] {
        let answer = answer.refused(503, "ServiceUnavailable");
        let seconds: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
    }
    blocker.rollback().await;
    assert_eq!(t.events().await.len(), before);
    assert_eq!(stored_fallbacks(&t, &path).await, users(&["sam"]));
    assert!(decisions(&t).await.is_empty());
    assert_eq!(review.stage_statuses().await, ["InProgress"]);
    patch(&t.as_admin(), &path, fallbacks(&["sam", "tom"])).await.unwrap().is(200);
}

/// Rule 2 of concurrency
#[tokio::test]
async fn an_update_whose_client_left_is_done_as_a_whole() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let path = review.stage_path(1).await;
    let mut blocker = hold_stage(&t, &review, 1).await;

    let update = patch(&t.as_admin(), &path, fallbacks(&["sam", "tom"]));
    blocker.wait_until_blocked(1).await;
    update.abort();
    assert!(update.await.unwrap_err().is_cancelled());
    blocker.wait_until_blocked(1).await;
    blocker.rollback().await;

    eventually("the update is committed", async || t.events_of("Reviewers changed").await.len() == 1).await;
    assert_eq!(stored_fallbacks(&t, &path).await, users(&["sam", "tom"]));
}
