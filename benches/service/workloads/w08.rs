//! W8: from the first stage of a large review to the second, whose reviewers are named: everything moves on, or what was denied only.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde_json::json;

use super::{Bench, Workload};
use crate::{
    floor::Floor,
    ground::{FALLBACK, Ground, Review, SECOND_FALLBACK, Stages, manager, review_body, run, stage, users},
    load::call,
    report::{Figure, Outcome, at_least, at_most},
    service::Service,
    steps::{Side, Times},
};

/// Transitions of each side: they are short.
const TRANSITIONS: usize = 7;

pub struct NextStage;

/// What moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moving {
    Everything,
    Denied,
}

impl Moving {
    const fn review(self) -> &'static str {
        match self {
            Self::Everything => "review of which everything moves on",
            Self::Denied => "review of which what was denied moves on",
        }
    }

    /// The running review in its first stage, with three of ten items decided and one of them denied.
    async fn load(self, ground: &mut Ground<'_>) -> anyhow::Result<Review> {
        let name = self.review();
        ground
            .once(name, async |ground| {
                let mut body = review_body(name, Stages::Three);
                let mut first = stage(1, &[manager()]);
                if self == Self::Denied {
                    first["decisionsThatWillMoveToNextStage"] = json!(["Deny"]);
                }
                body["stageSettings"] = json!([first, stage(2, &users(&[SECOND_FALLBACK]))]);
                ground.post_review(&body).await?;
                let review = ground.find_review(name).await?;
                ground.decide(&review).await?;
                if self == Self::Denied {
                    sqlx::query(
                        "update decisions set moves_on = decision = 'Deny' where tenant_id = $1 and instance_id = $2",
                    )
                    .bind(ground.tenant)
                    .bind(review.instance)
                    .execute(&mut ground.sql)
                    .await?;
                }
                ground.settle().await
            })
            .await?;
        ground.find_review(name).await
    }

    /// How many items are in the second stage, by what the first one left.
    fn passing(self, review: &Review) -> u64 {
        match self {
            Self::Everything => review.items,
            Self::Denied => review.items / 10,
        }
    }

    /// One transition, of which nothing is left behind.
    async fn transition(
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
                let stage = review.stages.first().context("a stage")?;
                let path = format!("{}/stages/{stage}/stop", review.instance_path());
                let begun = Instant::now();
                let answer = call(service.port, "POST", &path, Some(&token), None).await?;
                ensure!(answer.status == 204, "the stage was not stopped: {}", answer.status);
                begun.elapsed()
            }
            Side::Floor => {
                let floor = Floor {
                    database: ground.database.clone(),
                    scripts: vec![("w08.sql", 1)],
                    variables: vec![
                        ("tenant", ground.tenant.to_string()),
                        ("definition", review.definition.to_string()),
                        ("instance", review.instance.to_string()),
                        ("reviewer", SECOND_FALLBACK.to_string()),
                        ("fallback", FALLBACK.to_string()),
                        ("listed", u8::from(self == Self::Denied).to_string()),
                    ],
                    connections: 1,
                    threads: 1,
                };
                floor.once(ground.cluster).await?
            }
        };
        let (status, listed): (String, i64) = sqlx::query_as(
            "select s.status, (select count(*) from stage_items i where i.tenant_id = $1 and i.instance_id = $2 and i.ordinal = 2) \
             from stages s where s.tenant_id = $1 and s.instance_id = $2 and s.ordinal = 2",
        )
        .bind(ground.tenant)
        .bind(review.instance)
        .fetch_one(&mut ground.sql)
        .await?;
        let expected = if self == Self::Denied { self.passing(review) as i64 } else { 0 };
        ensure!(
            status == "InProgress" && listed == expected,
            "the second stage is {status} with {listed} items listed"
        );
        for (name, value) in [("benchmark.tenant", ground.tenant), ("benchmark.instance", review.instance)] {
            sqlx::query("select set_config($1, $2::text, false)")
                .bind(name)
                .bind(value.to_string())
                .execute(&mut ground.sql)
                .await?;
        }
        run(&mut ground.sql, include_str!("../ground/undo_second_stage.sql")).await?;
        run(&mut ground.sql, "vacuum stages").await?;
        run(&mut ground.sql, "vacuum stage_items").await?;
        Ok(taken)
    }

    async fn measure(self, ground: &mut Ground<'_>, number: &'static str) -> anyhow::Result<Outcome> {
        let review = self.load(ground).await?;
        let service = ground.service(&[]).await?;
        // The first of each pays for plans and caches, as a service that runs does not.
        for side in [Side::Service, Side::Floor] {
            self.transition(ground, &service, &review, side).await?;
        }
        let times =
            Times::take(TRANSITIONS, async |side| self.transition(ground, &service, &review, side).await).await?;
        let outcome = times.outcome(number, ground.size);
        Ok(match self {
            Self::Everything => outcome.variant("all").bars(&[at_most(Figure::Seconds, 0.05)]),
            Self::Denied => {
                let passing = self.passing(&review) as f64;
                let rate = |seconds: Option<f64>| seconds.map(|seconds| passing / seconds);
                let (service, floor) = (rate(outcome.service_seconds), rate(outcome.floor_seconds));
                Outcome {
                    throughput: service.zip(floor).map(|(service, floor)| service / floor),
                    service_per_second: service,
                    floor_per_second: floor,
                    service_seconds: None,
                    floor_seconds: None,
                    ..outcome
                }
                .variant("denied")
                .bars(&[at_least(Figure::Throughput, 0.8)])
                .note(format!("{passing} items move on; rates are items a second"))
            }
        })
    }
}

#[async_trait(?Send)]
impl Workload for NextStage {
    fn number(&self) -> &'static str {
        "W8"
    }

    fn about(&self) -> &'static str {
        "from the first stage to the second: everything moves on; what was denied, one of ten, moves on"
    }

    /// Of the time when everything moves on, and of the time for each item that does.
    fn growth(&self) -> Option<f64> {
        Some(1.5)
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        for moving in [Moving::Everything, Moving::Denied] {
            moving.load(ground).await?;
        }
        Ok(())
    }

    async fn measure(&self, _bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for moving in [Moving::Everything, Moving::Denied] {
            outcomes.push(moving.measure(ground, self.number()).await?);
        }
        Ok(outcomes)
    }
}
