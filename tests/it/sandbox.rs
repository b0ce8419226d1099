//! The clock of a sandbox tenant over HTTP. Section 6 of the design

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use attestry::mail::{Mail, MailError, Mailer, PreparedMail};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Company, Database, Tenant, alone, eventually, refuse, stage, user};

async fn advance(client: &Client, by: Value) -> Answer {
    client.post("//attestry/v1/sandbox/clock", &json!({ "advance": by })).await
}

fn now(answer: &Answer) -> DateTime<Utc> {
    answer.text("now").parse().unwrap()
}

#[tokio::test]
async fn an_administrator_advances_the_clock_and_is_told_the_new_time() {
    let t = Tenant::with_finance().await;
    let start = now(&advance(&t.as_admin(), json!("PT1M")).await.is(200));

    let answer = advance(&t.as_admin(), json!("P7D")).await.is(200);

    assert_eq!(answer.body.as_object().unwrap().len(), 1);
    let moved = now(&answer) - start;
    assert!(moved >= TimeDelta::days(7) && moved < TimeDelta::days(7) + TimeDelta::minutes(5), "{moved}");
    let created = t.review().send().await.is(201).text("createdDateTime").parse::<DateTime<Utc>>().unwrap();
    assert!(created >= now(&answer), "{created}");
    assert_eq!(t.events_of("Clock advanced").await.len(), 2);
}

#[tokio::test]
async fn everything_due_on_the_way_has_happened_when_the_answer_comes() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 2, &[user("mia")], &[], &[]), stage(2, 2, &[user("sam")], &[], &[])];
    let review = t.review().stages(&stages).create().await;

    advance(&t.as_admin(), json!("PT0S")).await.is(200);
    assert_eq!(review.status().await, "InProgress");
    advance(&t.as_admin(), json!("P2D")).await.is(200);
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    advance(&t.as_admin(), json!("P2D")).await.is(200);
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed"]);
    assert_eq!(review.status().await, "Completed");
    assert_eq!(t.run_jobs().await, 0);
}

/// LC-APPLY-07: what has to be tried again is tried again before the answer comes, however long it was to rest.
#[tokio::test]
async fn what_fails_on_the_way_is_tried_until_it_is_done() {
    let t = alone(&Company::finance()).await;
    refuse(&t, "delete", "group_members", "member_id", &["ana"], "P0001").await;
    let review = t.review().reviewers(&[user("mia")]).setting("autoApplyDecisionsEnabled", json!(true)).running().await;
    for principal in ["ana", "ben"] {
        review.decide(&t.as_user("mia"), principal, "Deny").await.is(204);
    }

    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    advance(&t.as_admin(), json!("PT0S")).await.is(200);

    assert_eq!(review.status().await, "Applied");
    assert_eq!(review.item("ana").await["applyResult"], "AppliedWithUnknownFailure");
    assert_eq!(review.item("ben").await["applyResult"], "AppliedSuccessfully");
}

/// Hands nothing over before the mail's lease was renewed, and remembers how many leases there were meanwhile.
struct Slow {
    database: Database,
    leases: Arc<Mutex<Vec<i64>>>,
}

#[async_trait]
impl Mailer for Slow {
    async fn prepare(&self, _: &Mail) -> Result<Box<dyn PreparedMail>, MailError> {
        let leases = async || {
            let held = "select to_jsonb(leased_until) as row from jobs where leased_until > clock_timestamp()";
            self.database.rows(held).await
        };
        let first = leases().await;
        self.leases.lock().unwrap().push(i64::try_from(first.len()).unwrap());
        eventually("the lease is renewed", async || leases().await != first).await;
        Ok(Box::new(Quick))
    }
}

struct Quick;

#[async_trait]
impl PreparedMail for Quick {
    async fn hand_over(self: Box<Self>) -> Result<(), MailError> {
        Ok(())
    }
}

/// LC-NOTE-08, LC-CONC-07: what waits for its turn is nobody's, so no other worker takes it for interrupted; what runs is kept.
#[tokio::test]
async fn one_job_is_held_at_a_time_and_for_as_long_as_it_takes() {
    let database = Database::own().await;
    let leases = Arc::<Mutex<Vec<i64>>>::default();
    let slow = Slow { database: database.clone(), leases: Arc::clone(&leases) };
    let t = Tenant::on(database, Arc::new(slow), true).await;
    Company::finance().import(&t).await;
    let reviewers = [user("mia"), user("noor")];
    t.review().reviewers(&reviewers).setting("mailNotificationsEnabled", json!(true)).create().await;

    t.advance("PT1M").await;

    assert_eq!(*leases.lock().unwrap(), [1, 1]);
    assert_eq!(t.events_of("Mail sent").await.len(), 2);
}

/// LC-REC-06, LC-INST-07: a three-month series, watched in one step.
#[tokio::test]
async fn one_step_plays_a_whole_series_each_occurrence_at_its_own_instant() {
    let t = Tenant::with_finance().await;
    let start_date = t.now().await.date_naive();
    let review = t
        .review()
        .reviewers(&[user("mia")])
        .setting("instanceDurationInDays", json!(3))
        .setting(
            "recurrence",
            json!({
                "pattern": { "type": "weekly", "interval": 1 },
                "range": { "type": "numbered", "numberOfOccurrences": 13, "startDate": start_date },
            }),
        )
        .running()
        .await;

    advance(&t.as_admin(), json!("P3M")).await.is(200);

    let instances = t.as_admin().all(&format!("{}/instances", review.path())).await.0;
    assert_eq!(instances.len(), 13);
    let instant = |row: &Value, member: &str| row[member].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let first = instances.iter().map(|row| instant(row, "startDateTime")).min().unwrap();
    let mut starts: Vec<_> = instances.iter().map(|row| instant(row, "startDateTime") - first).collect();
    starts.sort();
    assert_eq!(starts, (0..13).map(TimeDelta::weeks).collect::<Vec<_>>(), "nothing counts as late");
    for row in &instances {
        assert_eq!(row["status"], "Completed");
        assert_eq!(instant(row, "endDateTime") - instant(row, "startDateTime"), TimeDelta::days(3));
    }
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Completed");
}

#[tokio::test]
async fn who_is_no_administrator_does_not_move_the_clock() {
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let before = t.events().await;

    for client in [t.as_reader(), t.as_user("mia"), t.as_user("zoe"), t.as_user("carla")] {
        advance(&client, json!("P1D")).await.refused(403, "Forbidden");
    }
    let reading = t.as_user_with_scopes("carla", &["Identity Governance Administrator"], &["AccessReview.Read.All"]);
    advance(&reading, json!("P1D")).await.refused(403, "Forbidden");

    assert_eq!(t.events().await, before);
}

#[tokio::test]
async fn the_clock_of_a_tenant_that_is_no_sandbox_cannot_be_moved() {
    let t = Tenant::without_sandbox().await;

    let answer = advance(&t.as_admin(), json!("P1D")).await.faults("advance");

    assert!(answer.message().contains("sandbox"), "{}", answer.message());
    assert_eq!(t.events_of("Clock advanced").await.len(), 0);
}

#[tokio::test]
async fn a_wrong_step_is_refused() {
    let t = Tenant::with_finance().await;
    for by in [
        Value::Null,
        json!(7),
        json!("7"),
        json!("-P1D"),
        json!("P1D2"),
        json!(""),
        json!("P4000D"),
        json!("P99999999D"),
    ] {
        advance(&t.as_admin(), by).await.faults("advance");
    }
    let path = "//attestry/v1/sandbox/clock";
    t.as_admin().post(path, &json!({})).await.faults("advance");
    t.as_admin().post(path, &json!({ "advance": "P1D", "to": "2030-01-01" })).await.faults("to");
    assert_eq!(t.events_of("Clock advanced").await.len(), 0);
}

#[tokio::test]
async fn the_clocks_of_other_tenants_stay() {
    let t = Tenant::with_finance().await;
    let other = Tenant::with_finance().await;
    let review = other.review().running().await;

    advance(&t.as_admin(), json!("P30D")).await.is(200);

    other.run_jobs().await;
    assert_eq!(review.status().await, "InProgress");
}
