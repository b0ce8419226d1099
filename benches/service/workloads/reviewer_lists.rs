//! Changing who reviews a stage: what W3a and W3b send.

use anyhow::ensure;
use serde_json::json;
use uuid::Uuid;

use crate::{
    ground::{FALLBACK, Ground, Managers, Review, review_body, stage, users},
    load::{Requests, push_json},
    random::Random,
};

/// Managers 1 to 50 are named as reviewers, two at a time.
const PEOPLE: u64 = 50;

/// A ticket of a request that must be refused.
const MUST_BE_REFUSED: u64 = 1;

/// The body of a review with two stages, whose reviewers are two managers.
pub fn two_stages(name: &str, managers: Managers) -> serde_json::Value {
    let mut body = review_body(name, crate::ground::Stages::Three);
    let reviewers = users(&[managers.id(1), managers.id(2)]);
    let later = stage(2, &users(&[managers.id(3)]));
    body["stageSettings"] = json!([stage(1, &reviewers), later]);
    body
}

/// Requests that replace the reviewers of one stage, or of any of many.
pub struct NewReviewers {
    paths: Vec<String>,
    token: String,
    managers: Managers,
    /// One of so many leaves the fallback reviewer out and must be refused.
    drops_one_in: Option<u64>,
}

impl NewReviewers {
    pub fn of(ground: &Ground<'_>, reviews: &[Review], drops_one_in: Option<u64>) -> anyhow::Result<Self> {
        let path = |review: &Review| format!("{}/stages/{}", review.instance_path(), review.stages[0]);
        let paths = reviews.iter().map(path).collect();
        Ok(Self { paths, token: ground.administrator()?, managers: ground.managers(), drops_one_in })
    }
}

/// The body that names two of the first so many managers, and the fallback reviewer unless it is dropped.
pub fn two_of(people: u64, managers: Managers, random: &mut Random, drops: bool) -> String {
    let first = random.between(1, people);
    let second = (first + random.between(1, people - 1) - 1) % people + 1;
    let scope = |user: Uuid| format!(r#"{{"query":"/users/{user}","queryType":"MicrosoftGraph"}}"#);
    let (first, second) = (scope(managers.id(first)), scope(managers.id(second)));
    let fallback = if drops { String::new() } else { scope(FALLBACK) };
    format!(r#"{{"reviewers":[{first},{second}],"fallbackReviewers":[{fallback}]}}"#)
}

impl Requests for NewReviewers {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let drops = self.drops_one_in.is_some_and(|one_in| random.between(1, one_in) == 1);
        let path = &self.paths[random.between(0, self.paths.len() as u64 - 1) as usize];
        let body = two_of(PEOPLE, self.managers, random, drops);
        push_json(request, "PATCH", path, &self.token, body.as_bytes());
        u64::from(drops)
    }

    fn check(&self, ticket: u64, status: u16, _: Option<&[u8]>) -> anyhow::Result<()> {
        match ticket {
            MUST_BE_REFUSED => ensure!(status == 409, "a fallback reviewer was dropped"),
            _ => ensure!(matches!(status, 200 | 204), "the reviewers were not changed"),
        }
        Ok(())
    }
}

/// Whether each change of a stage was judged against what the one before it left, and the lists are as the last one left them.
///
/// # Errors
/// When an update was lost.
pub async fn check_nothing_lost(ground: &mut Ground<'_>, stage: Uuid) -> anyhow::Result<()> {
    let (events, torn, as_stored): (i64, i64, bool) = sqlx::query_as(include_str!("../ground/changes.sql"))
        .bind(ground.tenant)
        .bind(stage)
        .fetch_one(&mut ground.sql)
        .await?;
    ensure!(torn == 0, "{torn} of {events} changes do not begin where the one before ended");
    ensure!(as_stored, "the lists are not as the last of {events} changes left them");
    Ok(())
}
