//! What was answered to creates that carried a key. LC-CONC-09

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::{
    ids::ObjectId,
    repeat::{Creates, FirstAnswer},
};

/// Whose key, and for what.
#[derive(Clone, Copy, Debug)]
pub struct KeyOf<'a> {
    pub caller: ObjectId,
    pub creates: Creates,
    pub text: &'a str,
}

#[async_trait]
pub trait FirstAnswerRepository: Send {
    /// What was kept since then.
    async fn find(&mut self, key: KeyOf<'_>, since: DateTime<Utc>) -> Result<Option<FirstAnswer>, StoreError>;
    /// Keeps an answer as of now, in place of one that is older than `since`. `false`, and nothing kept, when the key has a
    /// newer one; waits for a unit that is just keeping one.
    async fn keep(&mut self, key: KeyOf<'_>, first: &FirstAnswer, since: DateTime<Utc>) -> Result<bool, StoreError>;
    /// Removes answers that are older than `since`, a hundred at most, without waiting for anybody.
    async fn forget(&mut self, since: DateTime<Utc>) -> Result<(), StoreError>;
}
