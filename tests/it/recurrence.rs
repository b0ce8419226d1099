//! Series through the service. LC-REC-03 to LC-REC-10

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Review, ReviewBuilder, Tenant};

fn instant(row: &Value, member: &str) -> DateTime<Utc> {
    row[member].as_str().unwrap_or_else(|| panic!("no {member}: {row:#}")).parse().unwrap()
}

fn every_week(start: NaiveDate, range: Value) -> Value {
    recurrence(json!({ "type": "weekly", "interval": 1 }), start, range)
}

fn every_month(day_of_month: u32, start: NaiveDate, range: Value) -> Value {
    recurrence(json!({ "type": "absoluteMonthly", "interval": 1, "dayOfMonth": day_of_month }), start, range)
}

fn recurrence(pattern: Value, start: NaiveDate, mut range: Value) -> Value {
    range["startDate"] = json!(start);
    json!({ "pattern": pattern, "range": range })
}

fn no_end() -> Value {
    json!({ "type": "noEnd" })
}

fn until(last: NaiveDate) -> Value {
    json!({ "type": "endDate", "endDate": last })
}

fn lasting(builder: ReviewBuilder<'_>, days: u32, recurrence: Value) -> ReviewBuilder<'_> {
    builder.setting("instanceDurationInDays", json!(days)).setting("recurrence", recurrence)
}

/// The occurrences from first to last.
async fn occurrences(t: &Tenant, review: &Review) -> Vec<Value> {
    let mut rows = t.as_admin().all(&format!("{}/instances", review.path())).await.0;
    rows.sort_by_key(|row| instant(row, "startDateTime"));
    rows
}

fn statuses(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["status"].as_str().unwrap()).collect()
}

/// A tenant at noon, so that no test runs over midnight.
async fn at_noon() -> Tenant {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let noon = (now.date_naive() + Days::new(1)).and_time(NaiveTime::from_hms_opt(12, 0, 0).unwrap()).and_utc();
    t.advance(&format!("PT{}S", (noon - now).num_seconds())).await;
    t
}

async fn created_at(t: &Tenant, review: &Review) -> DateTime<Utc> {
    instant(&t.as_admin().get(&review.path()).await.ok().body, "createdDateTime")
}

/// LC-REC-04, LC-REC-03
#[tokio::test]
async fn every_occurrence_starts_at_the_time_of_day_of_the_creation() {
    let t = at_noon().await;
    let day = (t.now().await + TimeDelta::days(3)).date_naive();
    let start = json!(format!("{day}T23:59:59Z"));
    let mut series = every_week(day, no_end());
    series["range"]["startDate"] = start;
    let review = lasting(t.review(), 3, series).create().await;
    let created = created_at(&t, &review).await;
    t.advance("PT5H").await;
    let renamed = json!({ "displayName": "later in the day" });
    t.as_admin().patch(&review.path(), &renamed).await.is(204);

    t.advance("P20D").await;

    let rows = occurrences(&t, &review).await;
    assert_eq!(statuses(&rows), ["Completed", "Completed", "Completed", "NotStarted"]);
    for (week, row) in (0..).zip(&rows) {
        assert_eq!(instant(row, "startDateTime"), (day + Days::new(7 * week)).and_time(created.time()).and_utc());
    }
}

/// LC-REC-05
#[tokio::test]
async fn a_series_with_a_start_date_that_has_passed_starts_at_once_and_makes_nothing_up() {
    let t = at_noon().await;
    let today = t.now().await.date_naive();
    for start in [today, today - Days::new(1), today - Days::new(40)] {
        let review = lasting(t.review(), 3, every_week(start, no_end())).running().await;

        let rows = occurrences(&t, &review).await;

        assert_eq!(statuses(&rows), ["InProgress"]);
        assert_eq!(instant(&rows[0], "startDateTime"), created_at(&t, &review).await);
    }
}

/// LC-REC-06, LC-INV-09
#[tokio::test]
async fn a_year_of_months_aims_at_the_thirty_first_and_takes_the_last_day_of_a_shorter_month() {
    let t = at_noon().await;
    let start = t.now().await.date_naive() + Days::new(1);
    let review = lasting(t.review(), 28, every_month(31, start, no_end())).create().await;
    let first = occurrences(&t, &review).await.remove(0);
    let first_month = instant(&first, "startDateTime").date_naive().with_day(1).unwrap();

    t.advance("P400D").await;

    let rows = occurrences(&t, &review).await;
    assert!(rows.len() >= 13, "{}", rows.len());
    let mut over = DateTime::<Utc>::MIN_UTC;
    for (months, row) in (0..).zip(&rows) {
        let next_month = first_month + Months::new(months + 1);
        let last_day = next_month - Days::new(1);
        assert_eq!(instant(row, "startDateTime").date_naive(), last_day);
        assert!(instant(row, "startDateTime") >= over);
        over = instant(row, "endDateTime");
    }
}

/// LC-REC-08
#[tokio::test]
async fn a_one_time_review_without_a_duration_ends_on_its_end_date_at_midnight() {
    let t = at_noon().await;
    let now = t.now().await;
    let last = now.date_naive() + Days::new(4);
    let once = |range: Value| lasting(t.review(), 0, recurrence(Value::Null, now.date_naive(), range));
    let review = once(json!({ "type": "numbered", "numberOfOccurrences": 0, "endDate": last })).running().await;
    let ends_at = last.and_time(NaiveTime::MIN).and_utc();
    assert_eq!(instant(&t.as_admin().get(&review.instance_path()).await.ok().body, "endDateTime"), ends_at);

    t.advance(&format!("PT{}S", (ends_at - t.now().await).num_seconds() - 60)).await;
    assert_eq!(review.status().await, "InProgress");
    t.advance("PT2M").await;
    assert_eq!(review.status().await, "Completed");

    let week = lasting(t.review(), 0, every_week(last, until(last + Days::new(60)))).send().await;
    week.faults("settings.instanceDurationInDays");
    let days = lasting(t.review(), 6, every_week(t.now().await.date_naive(), no_end())).running().await;
    let row = occurrences(&t, &days).await.remove(0);
    assert_eq!(instant(&row, "endDateTime"), instant(&row, "startDateTime") + TimeDelta::days(6));
}

/// LC-REC-08: it would be closed, and decided by default, before anybody could answer.
#[tokio::test]
async fn a_one_time_review_that_would_end_when_it_starts_is_refused() {
    let t = at_noon().await;
    let today = t.now().await.date_naive();
    let once = recurrence(Value::Null, today - Days::new(9), until(today));

    let answer = lasting(t.review(), 0, once).setting("defaultDecision", json!("Deny")).send().await;

    let answer = answer.faults("settings.recurrence.range.endDate");
    assert!(answer.message().contains(&today.to_string()), "{}", answer.message());
    assert_eq!(t.table("definitions").await, [""; 0]);
}

/// LC-REC-07
#[tokio::test]
async fn a_series_whose_end_comes_before_its_first_occurrence_is_refused() {
    let t = at_noon().await;
    let today = t.now().await.date_naive();
    // the first of a month, and the fifteenth after it
    let start = today.with_day(1).unwrap() + Months::new(2);
    let never = every_month(15, start, until(start + Days::new(13)));

    let answer = lasting(t.review(), 3, never.clone()).send().await.faults("settings.recurrence.range.endDate");
    assert!(answer.message().contains(&(start + Days::new(14)).to_string()), "{}", answer.message());
    let over = every_week(today - Days::new(30), until(today - Days::new(1)));
    lasting(t.review(), 3, over).send().await.faults("settings.recurrence.range.endDate");
    assert_eq!(t.table("definitions").await, [""; 0]);

    let once = every_month(15, start, until(start + Days::new(14)));
    let review = lasting(t.review(), 3, once).create().await;
    let before = t.stored().await;
    let shorter = json!({ "settings": { "recurrence": never } });
    t.as_admin().patch(&review.path(), &shorter).await.faults("settings.recurrence.range.endDate");
    assert_eq!(t.stored().await, before);

    // when something has run, an earlier end ends the series: LC-DEF-27
    t.advance(&format!("P{}D", (start + Days::new(19) - today).num_days())).await;
    t.as_admin().patch(&review.path(), &shorter).await.is(204);
    assert_eq!(statuses(&occurrences(&t, &review).await), ["Completed"]);
}

/// LC-REC-07, LC-INST-07
#[tokio::test]
async fn every_kind_of_range_ends_its_series_and_none_is_visible_beyond_it() {
    let t = at_noon().await;
    let numbered = |count: u32, last: Option<NaiveDate>| json!({ "type": "numbered", "numberOfOccurrences": count, "endDate": last });
    for (days, number, count) in [(0, Some(3), 3), (14, None, 3), (13, None, 2), (20, Some(0), 3)] {
        let today = t.now().await.date_naive();
        let last = today + Days::new(days);
        let range = match number {
            None => until(last),
            Some(0) => numbered(0, Some(last)),
            Some(number) => numbered(number, None),
        };
        let review = lasting(t.review(), 2, every_week(today, range.clone())).running().await;
        let weeks = if count == 3 { "P21D" } else { "P14D" };
        t.advance(weeks).await;
        assert_eq!(statuses(&occurrences(&t, &review).await), vec!["Completed"; count], "{range}");
        let definition = t.as_admin().get(&review.path()).await.ok();
        assert_eq!(definition.text("status"), "Completed");
        assert_eq!(t.run_jobs().await, 0);
    }
}

/// LC-REC-10, LC-INST-15, LC-INV-09: three weeks without a worker.
#[tokio::test]
async fn what_an_outage_missed_fails_undecided_and_the_occurrence_of_this_week_still_runs() {
    let t = at_noon().await;
    let start = t.now().await.date_naive() + Days::new(1);
    let builder = lasting(t.review(), 4, every_week(start, json!({ "type": "numbered", "numberOfOccurrences": 5 })));
    let builder = builder
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .setting("autoApplyDecisionsEnabled", json!(true));
    let review = builder.create().await;
    let scheduled = instant(&occurrences(&t, &review).await[0], "startDateTime");

    t.advance_without_jobs("P23D").await;
    t.run_jobs().await;

    let rows = occurrences(&t, &review).await;
    assert_eq!(statuses(&rows), ["Failed", "Failed", "Failed", "InProgress"]);
    for row in &rows[..3] {
        assert_eq!(row["errors"][0]["code"], "StartedTooLate");
    }
    assert_eq!(t.table("decisions").await.len(), 0);
    let late = instant(&rows[3], "startDateTime");
    assert!(late > scheduled + TimeDelta::weeks(3), "{late}");
    assert_eq!(instant(&rows[3], "endDateTime"), late + TimeDelta::days(4));

    t.advance("P5D").await;
    assert_eq!(statuses(&occurrences(&t, &review).await)[3..], ["Applied", "NotStarted"]);
    let last = occurrences(&t, &review).await.remove(4);
    assert_eq!(instant(&last, "startDateTime"), scheduled + TimeDelta::weeks(4), "nothing drifts");
}

/// LC-REC-06, LC-INST-07, LC-INV-09: a quarter of a series in one step of the clock, everything at its own instant.
#[tokio::test]
async fn three_months_of_a_weekly_series_pass_in_one_step_of_the_clock() {
    let t = at_noon().await;
    let start = t.now().await.date_naive() + Days::new(1);
    let review = lasting(t.review(), 5, every_week(start, no_end())).create().await;
    let first = instant(&occurrences(&t, &review).await[0], "startDateTime");
    let opened_and_closed = async || {
        let events = t.events_of("Instance status changed").await;
        let at = |status: &str| {
            let of_status = events.iter().filter(|event| event["after"]["status"] == status);
            of_status.map(|event| instant(event, "at")).collect::<Vec<_>>()
        };
        (at("InProgress"), at("Completed"))
    };

    t.as_admin().post("//attestry/v1/sandbox/clock", &json!({ "advance": "P91D" })).await.is(200);

    let rows = occurrences(&t, &review).await;
    assert_eq!(rows.len(), 14);
    assert_eq!(statuses(&rows)[..13], ["Completed"; 13]);
    assert_eq!(rows[13]["status"], "NotStarted", "exactly one is visible ahead");
    let (opened, closed) = opened_and_closed().await;
    assert_eq!((opened.len(), closed.len()), (13, 13));
    for (week, row) in (0..).zip(&rows) {
        let starts_at = first + TimeDelta::weeks(week);
        assert_eq!(instant(row, "startDateTime"), starts_at);
        assert_eq!(instant(row, "endDateTime"), starts_at + TimeDelta::days(5));
        if let Some(position) = usize::try_from(week).ok().filter(|position| *position < 13) {
            // the sandbox's clock goes on while it works
            for (at, due) in [(opened[position], starts_at), (closed[position], starts_at + TimeDelta::days(5))] {
                assert!(due <= at && at < due + TimeDelta::hours(1), "{at} for {due}");
            }
        }
    }
    assert_eq!(t.run_jobs().await, 0);
}
