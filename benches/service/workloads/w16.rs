//! W16: what is stored for an item, and for a decision, with indexes.

use async_trait::async_trait;

use super::{Bench, Workload};
use crate::{
    ground::{Ground, Stages, run},
    report::{Figure, Outcome, at_most},
};

pub struct Storage;

#[async_trait(?Send)]
impl Workload for Storage {
    fn number(&self) -> &'static str {
        "W16"
    }

    fn about(&self) -> &'static str {
        "bytes of storage per undecided item and per decision, indexes included; reviewer rows per item"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, _: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        ground.review(Stages::One).await?;
        // As they are right after they were written: copies of the tables hold no room that updates of other workloads left.
        run(
            &mut ground.sql,
            "drop table if exists benchmark.items, benchmark.cohorts, benchmark.principals, benchmark.decided;
             create table benchmark.items (like decision_items including all);
             insert into benchmark.items select * from decision_items order by tenant_id, instance_id, seq;
             create table benchmark.cohorts (like item_cohorts including all);
             insert into benchmark.cohorts select * from item_cohorts order by tenant_id, instance_id, page;
             create table benchmark.principals (like item_principals including all);
             insert into benchmark.principals select * from item_principals order by tenant_id, instance_id, least_hash;
             create table benchmark.decided (like decisions including all);
             insert into benchmark.decided select * from decisions order by decided_at, seq;",
        )
        .await?;
        let (per_item, per_decision, reviewers): (f64, f64, f64) = sqlx::query_as(
            "select (pg_total_relation_size('benchmark.items') + pg_total_relation_size('benchmark.cohorts') \
             + pg_total_relation_size('benchmark.principals'))::float8 / (select count(*) from benchmark.items), \
             pg_total_relation_size('benchmark.decided')::float8 / (select count(*) from benchmark.decided), \
             100.0::float8 * (select count(*) from stage_reviewers) / (select count(*) from decision_items)",
        )
        .fetch_one(&mut ground.sql)
        .await?;
        run(&mut ground.sql, "drop table benchmark.items, benchmark.cohorts, benchmark.principals, benchmark.decided")
            .await?;
        let tell = |variant: &str, figure: Figure, value: f64, most: f64| {
            let outcome = Outcome::of(self.number(), ground.size).variant(variant);
            let outcome = match figure {
                Figure::Percent => Outcome { percent: Some(value), ..outcome },
                _ => Outcome { stored_bytes: Some(value), ..outcome },
            };
            outcome.bars(&[at_most(figure, most)]).note(format!("{value:.1}"))
        };
        Ok(vec![
            tell("bytes per undecided item", Figure::Stored, per_item, 220.0),
            tell("bytes per decision", Figure::Stored, per_decision, 120.0),
            tell("reviewer rows, % of items", Figure::Percent, reviewers, 5.0),
        ])
    }
}
