//! W15: carrying the decisions of a large review out, of which one of a hundred denies: with nothing else decided, and with everything
//! else approved.

use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;

use super::{Bench, Workload};
use crate::{
    floor::Floor,
    ground::{ADMINISTRATOR, GROUP, Ground, Review, Stages, review_body, run},
    load::call,
    report::{Figure, Outcome, at_most},
    service::Service,
    steps::{Side, Times},
};

pub struct ApplyDecisions;

/// What becomes of the items that are not denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    Undecided,
    Approved,
}

impl Others {
    const fn review(self) -> &'static str {
        match self {
            Self::Undecided => "review with nothing but denials",
            Self::Approved => "review with everything decided",
        }
    }

    const fn variant(self) -> &'static str {
        match self {
            Self::Undecided => "denied",
            Self::Approved => "all decided",
        }
    }

    /// The review, ended, with its decisions.
    async fn load(self, ground: &mut Ground<'_>) -> anyhow::Result<Review> {
        let name = self.review();
        ground
            .once(name, async |ground| {
                let definition = ground.post_review(&review_body(name, Stages::One)).await?;
                let review = ground.find_review(name).await?;
                ground.know_items().await?;
                sqlx::query(include_str!("../ground/decide_all.sql"))
                    .bind(ground.tenant)
                    .bind(review.instance)
                    .bind(self == Self::Approved)
                    .execute(&mut ground.sql)
                    .await?;
                let service = ground.service(&[]).await?;
                let token = ground.administrator()?;
                let path = format!("{}/stop", review.instance_path());
                let answer = call(service.port, "POST", &path, Some(&token), None).await?;
                ensure!(answer.status == 204, "the review was not stopped: {}", answer.status);
                ground.wait_until(definition, "Completed", &service).await?;
                ground.settle().await
            })
            .await?;
        ground.find_review_that_is(name, "Completed").await
    }

    /// One application, of which nothing is left behind but events.
    async fn apply(
        self,
        ground: &mut Ground<'_>,
        service: &Service,
        review: &Review,
        side: Side,
    ) -> anyhow::Result<Duration> {
        ground.checkpoint().await?;
        let taken = match side {
            Side::Service => {
                let token = ground.administrator()?;
                let path = format!("{}/applyDecisions", review.instance_path());
                let begun = Instant::now();
                let answer = call(service.port, "POST", &path, Some(&token), None).await?;
                ensure!(answer.status == 204, "the decisions are not applied: {}", answer.status);
                ground.wait_until(review.definition, "Applied", service).await?;
                begun.elapsed()
            }
            Side::Floor => {
                let floor = Floor {
                    database: ground.database.clone(),
                    scripts: vec![("w15.sql", 1)],
                    variables: vec![
                        ("tenant", ground.tenant.to_string()),
                        ("definition", review.definition.to_string()),
                        ("instance", review.instance.to_string()),
                        ("group", GROUP.to_string()),
                        ("administrator", ADMINISTRATOR.to_string()),
                        ("items", review.items.to_string()),
                    ],
                    connections: 1,
                    threads: 1,
                };
                floor.once(ground.cluster).await?
            }
        };
        let (results, removed): (i64, i64) = sqlx::query_as(
            "select (select count(*) from apply_results where tenant_id = $1 and instance_id = $2 and result = 'AppliedSuccessfully'), \
             $4 - (select count(*) from group_members where tenant_id = $1 and group_id = $3)",
        )
        .bind(ground.tenant)
        .bind(review.instance)
        .bind(GROUP)
        .bind(ground.size as i64)
        .fetch_one(&mut ground.sql)
        .await?;
        let denied = (review.items / 100) as i64;
        let decided = if self == Self::Approved { review.items as i64 } else { denied };
        ensure!(results == decided && removed == denied, "{results} items were applied, and {removed} members removed");
        sqlx::query(include_str!("../ground/undo_applying.sql"))
            .bind(ground.tenant)
            .bind(review.definition)
            .bind(review.instance)
            .bind(GROUP)
            .execute(&mut ground.sql)
            .await?;
        run(&mut ground.sql, "vacuum apply_results").await?;
        // Members that come back would stand together in a few new pages, and in those of the others after the next run: one side
        // would always find them here, and the other there, on a hundred times as many pages.
        run(&mut ground.sql, "cluster group_members using group_members_pkey").await?;
        run(&mut ground.sql, "vacuum group_members").await?;
        Ok(taken)
    }
}

#[async_trait(?Send)]
impl Workload for ApplyDecisions {
    fn number(&self) -> &'static str {
        "W15"
    }

    fn about(&self) -> &'static str {
        "applying the decisions of a review, one of a hundred items denied"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        for others in [Others::Undecided, Others::Approved] {
            others.load(ground).await?;
        }
        Ok(())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for others in [Others::Undecided, Others::Approved] {
            let review = others.load(ground).await?;
            let service = ground.service(&[]).await?;
            for side in [Side::Service, Side::Floor] {
                others.apply(ground, &service, &review, side).await?;
            }
            let times =
                Times::take(bench.pace.pairs, async |side| others.apply(ground, &service, &review, side).await).await?;
            outcomes.push(
                times
                    .outcome(self.number(), ground.size)
                    .variant(others.variant())
                    .bars(&[at_most(Figure::Time, 1.25)]),
            );
        }
        Ok(outcomes)
    }
}
