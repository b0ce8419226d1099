//! W3a: everybody changes the reviewers of one and the same stage, and some try to drop the fallback reviewer.

use async_trait::async_trait;

use super::{
    Bench, Workload,
    reviewer_lists::{NewReviewers, check_nothing_lost, two_stages},
};
use crate::{
    contest::Contest,
    floor::Floor,
    ground::{ADMINISTRATOR, FALLBACK, Ground, Review},
    report::{Figure, Outcome, at_least},
};

const CONNECTIONS: usize = 32;
const DROPS_ONE_IN: u64 = 8;
const NAME: &str = "review with two stages and named reviewers";

pub struct ChangeOneStage;

async fn review(ground: &mut Ground<'_>) -> anyhow::Result<Review> {
    ground
        .once(NAME, async |ground| {
            let body = two_stages(NAME, ground.managers());
            ground.post_review(&body).await?;
            ground.settle().await
        })
        .await?;
    ground.find_review(NAME).await
}

#[async_trait(?Send)]
impl Workload for ChangeOneStage {
    fn number(&self) -> &'static str {
        "W3a"
    }

    fn about(&self) -> &'static str {
        "PATCH the reviewers of one stage, one in eight drops a fallback and is refused, 32 connections"
    }

    fn growth(&self) -> Option<f64> {
        Some(1.3)
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        review(ground).await.map(|_| ())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = review(ground).await?;
        let stage = review.stages[0];
        let list: uuid::Uuid =
            sqlx::query_scalar("select reviewer_list_id from stages where tenant_id = $1 and stage_id = $2")
                .bind(ground.tenant)
                .bind(stage)
                .fetch_one(&mut ground.sql)
                .await?;
        let floor = Floor {
            database: ground.database.clone(),
            scripts: vec![("w03a.sql", 1)],
            variables: vec![
                ("tenant", ground.tenant.to_string()),
                ("definition", review.definition.to_string()),
                ("instance", review.instance.to_string()),
                ("stage", stage.to_string()),
                ("list", list.to_string()),
                ("step", ground.managers().step().to_string()),
                ("fallback", FALLBACK.to_string()),
                ("actor", ADMINISTRATOR.to_string()),
            ],
            connections: CONNECTIONS,
            threads: 1,
        };
        let requests = NewReviewers::of(ground, &[review], Some(DROPS_ONE_IN))?;
        let service = ground.service(&[]).await?;
        let contest = Contest {
            service: &service,
            requests: &requests,
            floor: &floor,
            connections: CONNECTIONS,
            latencies: true,
            writes: true,
        };
        let seen = contest.run(ground, bench.pace).await?;
        check_nothing_lost(ground, stage).await?;
        let outcome = seen.outcome(self.number(), ground.size).bars(&[at_least(Figure::Throughput, 0.9)]);
        Ok(vec![outcome.note("nothing was lost: each change began where the one before had ended")])
    }
}
