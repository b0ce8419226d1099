//! Two tempting ways to check that a stage is open, kept because they look right: under READ COMMITTED each accepts a decision
//! after the close. Rule 5 of concurrency
//!
//! Every way meets the same order of events: the close has changed the stage and not committed, the decision asks whether the
//! stage is open, the close commits, the decision acts on the answer it got.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::{Blocker, Tenant};

/// The close and the check, each as it would be written.
struct Way {
    close: &'static [&'static str],
    check: &'static [&'static str],
    /// Whether the check waits for the close.
    waits: bool,
}

const CLOSE: &str = "update stages set status = 'Completed' where stage_id = :stage and status = 'InProgress'";

/// The number of decisions that a closed stage has in the end.
async fn decisions_after_the_close(way: Way) -> usize {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let stages = format!("select to_jsonb(stage_id) as row from stages where tenant_id = '{}'", t.id);
    let stage = t.database.rows(&stages).await[0].as_str().unwrap().to_owned();
    let literal = format!("'{stage}'");
    let text = |sql: &str| sql.replace(":stage", &literal);
    let decide = format!(
        "insert into decisions
             (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
              decided_by_user_principal_name, decided_at, moves_on)
         values ('{}', '{}', 1, 1, 'Approve', '', gen_random_uuid(), '', '', now(), true)",
        t.id, review.instance
    );

    let mut close = Blocker::hold(&t.database, &text(way.close[0])).await;
    for sql in &way.close[1..] {
        close.execute(&text(sql)).await;
    }
    let mut connection = t.database.connection().await;
    let check: Vec<_> = way.check.iter().map(|sql| text(sql)).collect();
    let decision = tokio::spawn(async move {
        execute(&mut connection, "begin").await;
        let mut status = String::new();
        for sql in check {
            status = ask(&mut connection, &sql).await;
        }
        (connection, status)
    });
    let (mut connection, status) = match way.waits {
        true => {
            close.wait_until_blocked(1).await;
            close.commit().await;
            decision.await.unwrap()
        }
        false => {
            let checked = decision.await.unwrap();
            close.commit().await;
            checked
        }
    };
    if status == "InProgress" {
        execute(&mut connection, &decide).await;
    }
    execute(&mut connection, "commit").await;
    connection.close().await.unwrap();

    let sql = format!(
        "select to_jsonb(d) as row from decisions d join stages s using (tenant_id, instance_id, ordinal)
          where d.tenant_id = '{}' and s.status = 'Completed'",
        t.id
    );
    let found: Vec<Value> = t.database.rows(&sql).await;
    assert_eq!(review.stage_closed(&t).await, "Completed");
    found.len()
}

impl crate::support::Review {
    async fn stage_closed(&self, t: &Tenant) -> String {
        let sql = format!("select to_jsonb(status) as row from stages where instance_id = '{}'", self.instance);
        t.database.rows(&sql).await[0].as_str().unwrap().to_owned()
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

async fn ask(connection: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn for_share_on_the_stage_refuses_a_decision_after_the_close() {
    let way =
        Way { close: &[CLOSE], check: &["select status from stages where stage_id = :stage for share"], waits: true };
    assert_eq!(decisions_after_the_close(way).await, 0);
}

#[tokio::test]
async fn for_key_share_on_the_stage_lets_a_decision_through_after_the_close() {
    let way = Way {
        close: &[CLOSE],
        check: &["select status from stages where stage_id = :stage for key share"],
        waits: false,
    };
    assert_eq!(decisions_after_the_close(way).await, 1);
}

#[tokio::test]
async fn a_shared_advisory_lock_in_the_statement_that_checks_lets_a_decision_through_after_the_close() {
    let way = Way {
        close: &["select pg_advisory_xact_lock(hashtextextended(:stage, 0))", CLOSE],
        check: &["select status
                    from (select pg_advisory_xact_lock_shared(hashtextextended(:stage, 0)) offset 0) as held, stages
                   where stage_id = :stage"],
        waits: true,
    };
    assert_eq!(decisions_after_the_close(way).await, 1);
}

#[tokio::test]
async fn a_shared_advisory_lock_in_an_earlier_statement_refuses_a_decision_after_the_close() {
    let way = Way {
        close: &["select pg_advisory_xact_lock(hashtextextended(:stage, 0))", CLOSE],
        check: &[
            "select pg_advisory_xact_lock_shared(hashtextextended(:stage, 0))::text",
            "select status from stages where stage_id = :stage",
        ],
        waits: true,
    };
    assert_eq!(decisions_after_the_close(way).await, 0);
}
