//! Requests that wait at the same time are answered together, in rounds: what costs the same for one as for many (a round trip, a
//! lock, a commit) is paid once.
//!
//! Nobody waits for company: a request that finds a round free begins one at once, alone if it is alone. Only while all rounds
//! are under way do requests gather, and the next round takes them all. So rounds grow with the load and by themselves.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::oneshot};

use crate::store::StoreError;

/// What is done with the requests of one round.
#[async_trait]
pub trait Round: Send + Sync + 'static {
    /// What requests must share to be answered together.
    type Key: Eq + Hash + Clone + Send + Sync + 'static;
    type Question: Send + 'static;
    type Answer: Send + 'static;

    /// Answers every question, in their order, which is that of their coming.
    async fn answer(&self, key: &Self::Key, questions: Vec<Self::Question>) -> Vec<Self::Answer>;
}

/// What keeps a round from ending, told to each of those in it as if it had been alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedFailure {
    /// Somebody held a lock too long, or too many wait; nothing was written.
    Busy,
    /// The database cannot be reached; nothing was written.
    Unavailable,
    /// The commit was sent and its answer never came.
    Unknown,
}

impl SharedFailure {
    /// The failure of all, unless looking at each alone may help.
    pub const fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Busy(_) => Some(Self::Busy),
            StoreError::Unavailable(_) => Some(Self::Unavailable),
            StoreError::Unknown(_) => Some(Self::Unknown),
            StoreError::Refused { .. } | StoreError::Corrupt { .. } | StoreError::LeaseLost | StoreError::Other(_) => {
                None
            }
        }
    }
}

impl From<SharedFailure> for StoreError {
    fn from(failure: SharedFailure) -> Self {
        let cause = "in a transaction shared with others".into();
        match failure {
            SharedFailure::Busy => Self::Busy(cause),
            SharedFailure::Unavailable => Self::Unavailable(cause),
            SharedFailure::Unknown => Self::Unknown(cause),
        }
    }
}

/// How rounds are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Rounds of one key at once.
    pub at_once: usize,
    /// Questions in one round at most.
    pub most: usize,
}

/// Where requests of one kind meet.
pub struct Together<R: Round> {
    round: R,
    rounds: Rounds,
    gathered: Mutex<HashMap<R::Key, Gathered<R>>>,
}

struct Gathered<R: Round> {
    waiting: VecDeque<Waiting<R>>,
    under_way: usize,
}

struct Waiting<R: Round> {
    question: R::Question,
    told: oneshot::Sender<R::Answer>,
}

impl<R: Round> Together<R> {
    /// Nobody is waiting yet.
    pub fn new(round: R, rounds: Rounds) -> Arc<Self> {
        Arc::new(Self { round, rounds, gathered: Mutex::new(HashMap::new()) })
    }

    /// The answer; `None` when its round ended without one, which happens only when it panicked or `home` was shut down.
    ///
    /// Rounds run in tasks of their own on `home`: a request that is given up cancels nobody's.
    pub async fn ask(self: &Arc<Self>, home: &Handle, key: R::Key, question: R::Question) -> Option<R::Answer> {
        let (told, answer) = oneshot::channel();
        if self.enter(&key, Waiting { question, told }) {
            let this = Arc::clone(self);
            home.spawn(async move { this.hold(key).await });
        }
        answer.await.ok()
    }

    /// How many wait for a round that has not begun.
    pub fn waiting(&self) -> usize {
        let gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.values().map(|gathered| gathered.waiting.len()).sum()
    }

    /// Joins those who wait; whether a round is to begin for them.
    fn enter(&self, key: &R::Key, waiting: Waiting<R>) -> bool {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let gathered =
            gathered.entry(key.clone()).or_insert_with(|| Gathered { waiting: VecDeque::new(), under_way: 0 });
        gathered.waiting.push_back(waiting);
        let begins = gathered.under_way < self.rounds.at_once;
        gathered.under_way += usize::from(begins);
        begins
    }

    /// Holds rounds until nobody waits.
    async fn hold(&self, key: R::Key) {
        // Should an answer panic, the place is free again for the next one.
        let mut place = Place { together: self, key: &key, left: false };
        while let Some(next) = place.next() {
            let (questions, told): (Vec<_>, Vec<_>) =
                next.into_iter().map(|waiting| (waiting.question, waiting.told)).unzip();
            for (told, answer) in told.into_iter().zip(self.round.answer(&key, questions).await) {
                // Whoever asked may have gone.
                let _gone = told.send(answer);
            }
        }
    }

    /// Whether nobody waits and no round is under way.
    pub fn is_empty(&self) -> bool {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// One of the rounds that a key may have at once.
struct Place<'a, R: Round> {
    together: &'a Together<R>,
    key: &'a R::Key,
    left: bool,
}

impl<R: Round> Place<'_, R> {
    /// Those of the next round; the place is left when nobody waits.
    fn next(&mut self) -> Option<Vec<Waiting<R>>> {
        let mut all = self.together.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let gathered = all.get_mut(self.key)?;
        let count = gathered.waiting.len().min(self.together.rounds.most);
        if count > 0 {
            return Some(gathered.waiting.drain(..count).collect());
        }
        gathered.under_way -= 1;
        self.left = true;
        if gathered.under_way == 0 {
            all.remove(self.key);
        }
        None
    }
}

impl<R: Round> Drop for Place<'_, R> {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mut all = self.together.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gathered) = all.get_mut(self.key) {
            gathered.under_way -= 1;
            if gathered.under_way == 0 {
                // Nobody would hold another round for them: they are told that there is no answer.
                all.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers, in rounds that begin when they are let; notes who came together.
    struct Doubling {
        let_begin: Semaphore,
        held: Mutex<Vec<Vec<u32>>>,
    }

    #[async_trait]
    impl Round for Arc<Doubling> {
        type Key = &'static str;
        type Question = u32;
        type Answer = u32;

        async fn answer(&self, _: &&'static str, questions: Vec<u32>) -> Vec<u32> {
            self.let_begin.acquire().await.unwrap().forget();
            self.held.lock().unwrap().push(questions.clone());
            assert!(!questions.contains(&13), "thirteen is asked in the test of a panic only");
            questions.into_iter().map(|number| number * 2).collect()
        }
    }

    fn doubling(at_once: usize, most: usize) -> (Arc<Doubling>, Arc<Together<Arc<Doubling>>>) {
        let doubling = Arc::new(Doubling { let_begin: Semaphore::new(0), held: Mutex::default() });
        (Arc::clone(&doubling), Together::new(doubling, Rounds { at_once, most }))
    }

    /// Everybody has come as far as he gets.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    fn ask(
        together: &Arc<Together<Arc<Doubling>>>,
        key: &'static str,
        number: u32,
    ) -> tokio::task::JoinHandle<Option<u32>> {
        let together = Arc::clone(together);
        tokio::spawn(async move { together.ask(&Handle::current(), key, number).await })
    }

    #[tokio::test]
    async fn who_comes_alone_is_answered_alone_and_who_waits_meanwhile_together() {
        let (doubling, together) = doubling(1, 3);
        let mut asked = Vec::new();
        for number in 1..=5 {
            asked.push(ask(&together, "a", number));
            settle().await;
        }

        doubling.let_begin.add_permits(3);

        for (asked, number) in asked.into_iter().zip(1..) {
            assert_eq!(asked.await.unwrap(), Some(number * 2));
        }
        assert_eq!(*doubling.held.lock().unwrap(), [vec![1], vec![2, 3, 4], vec![5]]);
        settle().await;
        assert!(together.is_empty());
    }

    #[tokio::test]
    async fn other_keys_and_other_places_do_not_wait() {
        let (doubling, together) = doubling(2, 10);
        let mut asked = Vec::new();
        for (key, number) in [("a", 1), ("a", 2), ("b", 3)] {
            asked.push(ask(&together, key, number));
            settle().await;
        }

        doubling.let_begin.add_permits(3);

        for asked in asked {
            asked.await.unwrap().unwrap();
        }
        let mut held = doubling.held.lock().unwrap().clone();
        held.sort();
        assert_eq!(held, [vec![1], vec![2], vec![3]]);
    }

    #[tokio::test]
    async fn who_gives_up_takes_nobody_along() {
        let (doubling, together) = doubling(1, 10);
        let first = ask(&together, "a", 1);
        settle().await;
        let (second, third) = (ask(&together, "a", 2), ask(&together, "a", 3));
        settle().await;

        first.abort();
        second.abort();
        doubling.let_begin.add_permits(2);

        assert_eq!(third.await.unwrap(), Some(6));
    }

    #[tokio::test]
    async fn a_round_that_panics_answers_nobody_and_leaves_the_place_to_the_next() {
        let (doubling, together) = doubling(1, 10);
        let unlucky = ask(&together, "a", 13);
        settle().await;
        let waiting = ask(&together, "a", 2);
        settle().await;

        doubling.let_begin.add_permits(2);

        assert_eq!(unlucky.await.unwrap(), None);
        assert_eq!(waiting.await.unwrap(), None, "nobody holds a round for him");
        assert_eq!(ask(&together, "a", 4).await.unwrap(), Some(8));
    }
}
