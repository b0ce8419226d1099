//! Reviewers at work: some of a review's managers with their tokens, and requests that decide their items.

use anyhow::ensure;

use crate::{
    ground::{Ground, ITEMS_PER_MANAGER, Managers, Review},
    load::{Requests, call, push_json},
    random::Random,
    service::Service,
};

/// So many managers with few items have a token; with them goes the one with the most.
const SMALL: u64 = 1_000;

/// Reviewers with their tokens.
pub struct Reviewers {
    pub review: Review,
    pub managers: Managers,
    /// Managers `stride`, `2 * stride`, … have a token.
    pub stride: u64,
    tokens: Vec<String>,
    token_of_largest: String,
    approve: Vec<u8>,
    deny: Vec<u8>,
}

impl Reviewers {
    pub fn of(ground: &Ground<'_>, review: Review) -> anyhow::Result<Self> {
        let managers = ground.managers();
        let count = SMALL.min(managers.small);
        let stride = managers.small / count;
        let tokens = (1..=count).map(|number| ground.token(managers.id(number * stride), &[]));
        let body =
            |verdict: &str| format!(r#"{{"decision":"{verdict}","justification":"Still works on it"}}"#).into_bytes();
        Ok(Self {
            review,
            managers,
            stride,
            tokens: tokens.collect::<anyhow::Result<_>>()?,
            token_of_largest: ground.token(managers.id(managers.largest()), &[])?,
            approve: body("Approve"),
            deny: body("Deny"),
        })
    }

    pub fn count(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// The variables of the floor's script.
    pub fn variables(&self, ground: &Ground<'_>) -> Vec<(&'static str, String)> {
        vec![
            ("tenant", ground.tenant.to_string()),
            ("definition", self.review.definition.to_string()),
            ("instance", self.review.instance.to_string()),
            ("items", self.review.items.to_string()),
            ("small", self.managers.small.to_string()),
            ("reviewers", self.count().to_string()),
            ("stride", self.stride.to_string()),
            ("step", self.managers.step().to_string()),
            ("items_per_manager", ITEMS_PER_MANAGER.to_string()),
            ("first_of_largest", self.managers.items(self.managers.largest()).0.to_string()),
        ]
    }

    /// The manager with the most items, and his token.
    pub fn largest(&self) -> (u64, &str) {
        (self.managers.largest(), &self.token_of_largest)
    }

    /// A manager with few items, and his token.
    pub fn small(&self, random: &mut Random) -> (u64, &str) {
        let number = random.between(1, self.count());
        (number * self.stride, &self.tokens[(number - 1) as usize])
    }

    /// An item and the token of its reviewer.
    pub fn pick(&self, random: &mut Random) -> (u64, &str) {
        let (number, token) = if random.between(0, 1) == 1 { self.largest() } else { self.small(random) };
        let (first, last) = self.managers.items(number);
        (random.between(first, last), token)
    }

    /// Appends a request that decides an item as its reviewer; answers the item.
    fn decide(&self, random: &mut Random, request: &mut Vec<u8>, seq: u64, token: &str) -> u64 {
        let body = if random.between(0, 9) == 0 { &self.deny } else { &self.approve };
        push_json(request, "PATCH", &self.review.item_path(seq), token, body);
        seq
    }

    /// The same for one of those with few items.
    pub fn decide_as_small(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let (number, token) = self.small(random);
        let (first, last) = self.managers.items(number);
        let seq = random.between(first, last);
        self.decide(random, request, seq, token)
    }

    /// Has the service verify every token once.
    pub async fn introduce(&self, service: &Service) -> anyhow::Result<()> {
        let path = self.review.instance_path();
        for token in self.tokens.iter().chain([&self.token_of_largest]) {
            call(service.port, "GET", &path, Some(token), None).await?.json(200)?;
        }
        Ok(())
    }
}

impl Requests for Reviewers {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let (seq, token) = self.pick(random);
        self.decide(random, request, seq, token)
    }

    fn check(&self, _: u64, status: u16, _: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 204, "the decision was not recorded");
        Ok(())
    }
}
