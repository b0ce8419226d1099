//! Reading single items: those asked for at the same time, by whomever, in one round trip.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{
    Services,
    together::{Round, Rounds},
};
use crate::store::{
    Store,
    frequent_reads::{AskedItem, ShownItem},
};

/// As many as keep a small database busy; a probe takes some microseconds.
pub(super) const ROUNDS: Rounds = Rounds { at_once: 2, most: 64 };

/// One round trip for all of them.
pub(super) struct ItemRound(pub Arc<dyn Store>);

#[async_trait]
impl Round for ItemRound {
    type Key = ();
    type Question = AskedItem;
    /// `None` when the database did not answer.
    type Answer = Option<Option<ShownItem>>;

    async fn answer(&self, (): &(), questions: Vec<AskedItem>) -> Vec<Self::Answer> {
        match self.0.shown_items(&questions).await {
            Ok(found) => found.into_iter().map(Some).collect(),
            // One's fault may not be the others'.
            Err(_) => questions.iter().map(|_| None).collect(),
        }
    }
}

impl Services {
    /// An instance and one of its items as whoever reads everything sees it; `Some(None)` when there is no such instance. `None` when
    /// it could not be read together with others and has to be read alone, which tells why.
    pub(super) async fn shown_item(&self, asked: AskedItem) -> Option<Option<ShownItem>> {
        self.items.ask(&Handle::current(), (), asked).await.flatten()
    }
}
