//! What applying does when a removal fails, a worker dies, or the database is busy. LC-APPLY-07, LC-APPLY-14

use std::sync::Arc;

use attestry::app::run_job::run_job;
use serde_json::{Value, json};

use crate::{
    scope_forms::{application, payroll},
    support::{
        Blocker, Company, GUEST, Review, Tenant, account, alone, apply_path, assert_one_chain_of_statuses_each, ended,
        id_of, members, object_id, of_guests, refuse, results, user, with_guests,
    },
};

const URL: &str = "https://reviews.example";

async fn relent(t: &Tenant, table: &str) {
    t.database.execute(&format!("drop trigger refuse on {table}")).await;
}

/// Runs what is due this often, as a worker that tries again would, without the rests between.
async fn tries(t: &Tenant, times: usize) {
    for _ in 0..times {
        t.end_backoff().await;
        attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    }
}

async fn told_of(t: &Tenant, activity: &str) -> Vec<Value> {
    t.events_of(activity).await.iter().map(|event| event["item_seq"].clone()).collect()
}

/// LC-APPLY-03, LC-APPLY-07, LC-APPLY-14: two of four removals fail for ever; one run that takes them one by one is enough for both.
#[tokio::test]
async fn items_that_cannot_be_applied_are_given_up_each_for_itself_and_the_rest_is_applied_once() {
    let t = alone(&Company::finance()).await;
    refuse(&t, "delete", "group_members", "member_id", &["ana", "cleo"], "P0001").await;
    let review = ended(&t, t.review(), &[("ana", "Deny"), ("ben", "Deny"), ("cleo", "Deny"), ("eve", "Deny")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);

    tries(&t, 3).await;
    assert_eq!(review.status().await, "Applying");
    assert!(members(&t, "finance").await.contains(&object_id("ben")), "all or nothing of a step");
    tries(&t, 1).await;

    assert_eq!(review.status().await, "Applied");
    let found = results(&review).await;
    for (name, result) in [
        ("ana", "AppliedWithUnknownFailure"),
        ("ben", "AppliedSuccessfully"),
        ("cleo", "AppliedWithUnknownFailure"),
        ("eve", "AppliedSuccessfully"),
        ("fay", "New"),
    ] {
        assert_eq!(found[name], result, "{name}");
    }
    let left = members(&t, "finance").await;
    for (name, stays) in [("ana", true), ("ben", false), ("cleo", true), ("eve", false)] {
        assert_eq!(left.contains(&object_id(name)), stays, "{name}");
    }
    let mut told = told_of(&t, "Apply decision").await;
    assert_eq!(told.len(), 4);
    told.dedup();
    assert_eq!(told.len(), 4, "each of them once");
    assert_eq!(
        t.events_of("Apply review").await[0]["after"]["results"],
        json!({ "AppliedSuccessfully": 2, "AppliedWithUnknownFailure": 2 })
    );
    assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
}

/// LC-APPLY-07: the same where it is an application.
#[tokio::test]
async fn an_assignment_that_cannot_be_removed_does_not_keep_the_others() {
    let t = alone(&payroll()).await;
    refuse(&t, "delete", "app_role_assignments", "principal_id", &["ann"], "P0001").await;
    let review = t
        .review()
        .with("scope", application(false))
        .reviewers(&[user("rob")])
        .setting("autoApplyDecisionsEnabled", json!(true))
        .running()
        .await;
    for name in ["ann", "cy"] {
        review.decide(&t.as_user("rob"), name, "Deny").await.is(204);
    }
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);

    tries(&t, 4).await;

    assert_eq!(review.status().await, "Applied");
    let found = results(&review).await;
    assert_eq!((found["ann"].as_str(), found["cy"].as_str()), ("AppliedWithUnknownFailure", "AppliedSuccessfully"));
}

/// LC-APPLY-07, LC-APPLY-09: an account that cannot be deleted is given up when its time has come.
#[tokio::test]
async fn an_account_that_cannot_be_deleted_holds_nobody_up() {
    let t = alone(&Company::new()).await;
    with_guests(&t).await;
    let review = ended(&t, of_guests(&t), &[(GUEST, "Deny"), ("gil", "Deny")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    t.run_jobs().await;
    refuse(&t, "delete", "users", "user_id", &["gil"], "P0001").await;
    t.advance_without_jobs("P30D").await;

    tries(&t, 4).await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (None, Some(false)));
    assert_eq!(review.item(GUEST).await["applyResult"], "AppliedSuccessfully");
    assert_eq!(review.item("gil").await["applyResult"], "AppliedWithUnknownFailure");
    assert_eq!(t.events_of("User deleted").await.len(), 1);
}

/// A review whose item of `name` stands so far behind the others that it is in a step of its own: between are 20 000 who keep their
/// access.
async fn far_behind(t: &Tenant, review: crate::support::ReviewBuilder<'_>, name: &str) -> Review {
    let review = review.running().await;
    let (tenant, instance) = (t.id, &review.instance);
    t.database
        .execute(&format!(
            "update decision_items set seq = 20500
              where tenant_id = '{tenant}' and instance_id = '{instance}' and principal_id = '{}';
             insert into decision_items
             select (jsonb_populate_record(i, jsonb_build_object(
                        'seq', n, 'principal_id', gen_random_uuid(), 'principal_name', 'Between'))).*
               from decision_items i, generate_series(1, 20499) as n
              where i.tenant_id = '{tenant}' and i.instance_id = '{instance}' and i.seq = 20500
                and not exists (
                        select from decision_items k
                         where k.tenant_id = i.tenant_id and k.instance_id = i.instance_id and k.seq = n);
             delete from item_cohorts where tenant_id = '{tenant}' and instance_id = '{instance}';
             delete from item_principals where tenant_id = '{tenant}' and instance_id = '{instance}';
             select write_item_pages('{tenant}', '{instance}');
             insert into decisions
                 (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                  decided_by_user_principal_name, decided_at, moves_on)
             select tenant_id, instance_id, 1, seq, 'Approve', '', gen_random_uuid(), '', '', now(), true
               from decision_items
              where tenant_id = '{tenant}' and instance_id = '{instance}' and principal_name = 'Between';
             update instances set item_count = 20500 where tenant_id = '{tenant}' and instance_id = '{instance}'",
            id_of(name)
        ))
        .await;
    review
}

/// LC-APPLY-14, LC-CONC-06: what one worker committed the next one does not do again, though Ana was let in anew meanwhile.
#[tokio::test]
async fn whoever_goes_on_behind_a_worker_that_died_between_steps_applies_each_item_once() {
    let t = Arc::new(alone(&Company::finance()).await);
    let review = far_behind(&t, t.review(), "cleo").await;
    for name in ["ana", "ben", "cleo"] {
        review.decide(&t.as_user("mia"), name, "Deny").await.is(204);
    }
    t.advance("P10D").await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    let cleo = format!("select from group_members where member_id = '{}' for update", id_of("cleo"));
    let mut blocker = Blocker::hold(&t.database, &cleo).await;
    let job = t.services.queue.claim(Some(t.id), 1, 0).await.unwrap().pop().unwrap();
    let dying = tokio::spawn({
        let t = Arc::clone(&t);
        async move { run_job(&t.services, &job, URL).await.map(|_| ()) }
    });
    blocker.wait_until_blocked(1).await;

    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    blocker.rollback().await;
    assert_eq!(review.item("ana").await["applyResult"], "AppliedSuccessfully");
    assert_eq!(review.item("cleo").await["applyResult"], "New");
    assert_eq!(review.status().await, "Applying");
    Company::new().group("finance", &["ana", "cleo", "eve"], &["olga"]).import(&t).await;
    t.run_jobs().await;

    assert_eq!(review.status().await, "Applied");
    for name in ["ana", "ben", "cleo"] {
        assert_eq!(review.item(name).await["applyResult"], "AppliedSuccessfully", "{name}");
    }
    let mut left = [object_id("ana"), object_id("eve")];
    left.sort();
    assert_eq!(members(&t, "finance").await, left);
    assert_eq!(t.events_of("Apply decision").await.len(), 3);
    assert_eq!(t.events_of("Apply review").await.len(), 1);
}

/// LC-APPLY-07: a database that is busy is asked again, however often; nobody is given up for it.
#[tokio::test]
async fn being_busy_is_no_failure_of_an_item() {
    let t = alone(&Company::finance()).await;
    refuse(&t, "delete", "group_members", "member_id", &["cleo"], "55P03").await;
    let review = ended(&t, t.review(), &[("ana", "Deny"), ("cleo", "Deny")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);

    tries(&t, 6).await;
    assert_eq!(review.status().await, "Applying");
    assert_eq!(results(&review).await["cleo"], "New");
    relent(&t, "group_members").await;
    tries(&t, 1).await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!(results(&review).await["cleo"], "AppliedSuccessfully");
}

/// LC-APPLY-14, LC-CONC-06: a worker dies in the middle of a step; nothing of it stays, and the next worker does it once.
#[tokio::test]
async fn a_worker_that_dies_in_a_step_leaves_nothing_of_it_and_the_next_one_does_it() {
    let t = Arc::new(alone(&Company::finance()).await);
    let review = ended(&t, t.review(), &[("ana", "Deny"), ("ben", "Deny")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    // Results have to wait, so the worker can be stopped behind the removals.
    let mut blocker = Blocker::hold(&t.database, "lock table apply_results in exclusive mode").await;
    let job = t.services.queue.claim(Some(t.id), 1, 0).await.unwrap().pop().unwrap();
    let dying = tokio::spawn({
        let t = Arc::clone(&t);
        async move { run_job(&t.services, &job, URL).await.map(|_| ()) }
    });
    blocker.wait_until_blocked(1).await;

    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    assert!(members(&t, "finance").await.contains(&object_id("ana")), "the removal was not committed");
    blocker.rollback().await;
    t.run_jobs().await;

    assert_eq!(review.status().await, "Applied");
    let found = results(&review).await;
    assert_eq!((found["ana"].as_str(), found["ben"].as_str()), ("AppliedSuccessfully", "AppliedSuccessfully"));
    assert_eq!(t.events_of("Apply decision").await.len(), 2);
}

/// LC-APPLY-07, LC-APPLY-09: while Gil cannot be blocked for more than thirty days, Gus is deleted; then Gil's turn comes.
#[tokio::test]
async fn an_account_that_is_blocked_after_the_first_were_deleted_is_deleted_in_its_time() {
    let t = alone(&Company::new()).await;
    with_guests(&t).await;
    let review = far_behind(&t, of_guests(&t), "gil").await;
    for name in [GUEST, "gil"] {
        review.decide(&t.as_user("mia"), name, "Deny").await.is(204);
    }
    t.advance("P10D").await;
    refuse(&t, "update", "users", "user_id", &["gil"], "55P03").await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    tries(&t, 1).await;
    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (Some(false), Some(true)));

    t.advance_without_jobs("P30D").await;
    tries(&t, 1).await;
    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (None, Some(true)));
    assert_eq!(review.status().await, "Applying");
    relent(&t, "users").await;
    tries(&t, 1).await;
    assert_eq!((review.status().await, account(&t, "gil").await), ("Applying".to_owned(), Some(false)));
    t.advance("P29D").await;
    assert_eq!(account(&t, "gil").await, Some(false));
    t.advance("P1D").await;

    assert_eq!((review.status().await, account(&t, "gil").await), ("Applied".to_owned(), None));
    for name in [GUEST, "gil"] {
        assert_eq!(review.item(name).await["applyResult"], "AppliedSuccessfully", "{name}");
    }
}

/// LC-APPLY-09: whoever blocks several accounts takes them in one order, so that two reviews wait for each other instead of deadlocking.
#[tokio::test]
async fn accounts_are_blocked_in_the_order_of_their_ids() {
    let t = Arc::new(alone(&Company::new()).await);
    with_guests(&t).await;
    let review = ended(&t, of_guests(&t), &[(GUEST, "Deny"), ("gil", "Deny")]).await;
    let mut accounts = [id_of(GUEST).to_string(), id_of("gil").to_string()];
    accounts.sort();
    let [first, last] = accounts;
    // The first is stored behind the last, where a pass over the table meets it later.
    t.database.execute(&format!("update users set job_title = 'x' where user_id = '{first}'")).await;
    t.database.execute("analyze users").await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    let lock = |id: &str| format!("select from users where user_id = '{id}' for update nowait");
    let mut blocker = Blocker::hold(&t.database, &lock(&first)).await;
    let applying = tokio::spawn({
        let t = Arc::clone(&t);
        async move { t.run_jobs().await }
    });
    blocker.wait_until_blocked(1).await;

    blocker.execute(&lock(&last)).await;
    blocker.commit().await;
    applying.await.unwrap();

    assert_eq!((account(&t, GUEST).await, account(&t, "gil").await), (Some(false), Some(false)));
}
