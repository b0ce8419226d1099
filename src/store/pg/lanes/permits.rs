//! The fair queue for tasks: a permit now, or a future that becomes one when its turn has come.
//!
//! Nothing is spawned, and while places are free a permit costs one short critical section. A task that stops waiting leaves the
//! queue; a permit is given back when it is dropped, wherever that happens.

use std::{
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::fair_queue::{Answer, FairQueue, Key, Places, Ticket};

/// Too many of the same key wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wait already")]
pub struct TooManyWaiting;

/// Permits for so many at a time, handed out in turns.
#[derive(Debug)]
pub struct FairPermits<K: Key> {
    queue: Arc<Mutex<FairQueue<K, oneshot::Sender<Permit<K>>>>>,
}

impl<K: Key> Clone for FairPermits<K> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue) }
    }
}

/// The right to one of the places, until it is dropped.
#[derive(Debug)]
pub struct Permit<K: Key> {
    permits: FairPermits<K>,
    key: K,
    /// Whoever gives it back by hand says so here.
    returned: bool,
}

/// What asking comes to.
#[derive(Debug)]
pub enum Asked<K: Key> {
    /// A place was free.
    Permit(Permit<K>),
    /// To be awaited.
    Wait(Waiting<K>),
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Waiting<K: Key> {
    permits: FairPermits<K>,
    key: K,
    ticket: Ticket,
    turn: oneshot::Receiver<Permit<K>>,
}

impl<K: Key> FairPermits<K> {
    /// All permits free.
    pub fn new(places: Places) -> Self {
        Self { queue: Arc::new(Mutex::new(FairQueue::new(places))) }
    }

    /// A permit, or a place in the queue.
    ///
    /// # Errors
    /// When as many of this key wait as may.
    pub fn ask(&self, key: K) -> Result<Asked<K>, TooManyWaiting> {
        let mut turn = None;
        let answer = self.change(|queue| {
            queue.ask(key, || {
                let (sender, receiver) = oneshot::channel();
                turn = Some(receiver);
                sender
            })
        });
        match (answer, turn) {
            (Answer::Enter, _) => Ok(Asked::Permit(self.permit(key))),
            (Answer::Wait(ticket), Some(turn)) => Ok(Asked::Wait(Waiting { permits: self.clone(), key, ticket, turn })),
            (Answer::Wait(_) | Answer::Full, _) => Err(TooManyWaiting),
        }
    }

    /// Permits in use, and how many wait for one.
    pub fn load(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.in_use(), queue.waiting())
    }

    /// Changes the queue and tells everybody for whom that makes room. The lock is never held while somebody is told.
    fn change<T>(&self, change: impl FnOnce(&mut FairQueue<K, oneshot::Sender<Permit<K>>>) -> T) -> T {
        let mut queue = self.lock();
        let changed = change(&mut queue);
        let mut served: Vec<_> = iter::from_fn(|| queue.serve()).collect();
        drop(queue);
        // Whoever is next may be going away at this moment; then somebody else is.
        while let Some((key, sender)) = served.pop() {
            let Err(mut unwanted) = sender.send(self.permit(key)) else { continue };
            unwanted.returned = true;
            let mut queue = self.lock();
            queue.leave(key);
            served.extend(iter::from_fn(|| queue.serve()));
        }
        changed
    }

    fn permit(&self, key: K) -> Permit<K> {
        Permit { permits: self.clone(), key, returned: false }
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<K, oneshot::Sender<Permit<K>>>> {
        // Nothing in there panics half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> Waiting<K> {
    /// Waits for the turn. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// Never while the permits exist, which this keeps alive.
    pub async fn turn(mut self) -> Result<Permit<K>, TooManyWaiting> {
        (&mut self.turn).await.map_err(|_| TooManyWaiting)
    }
}

impl<K: Key> Drop for Waiting<K> {
    fn drop(&mut self) {
        // After its turn nothing is found; a permit nobody took is dropped with the channel.
        let waiter = self.permits.change(|queue| queue.withdraw(self.key, self.ticket));
        drop(waiter);
    }
}

impl<K: Key> Drop for Permit<K> {
    fn drop(&mut self) {
        if self.returned {
            return;
        }
        self.permits.change(|queue| queue.leave(self.key));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn permits(all: usize, most_waiting_of_one_key: usize) -> FairPermits<char> {
        FairPermits::new(Places {
            all,
            most_of_one_key: all,
            least_share: all,
            grants_remembered: 0,
            most_waiting_of_one_key,
        })
    }

    fn at_once(permits: &FairPermits<char>, key: char) -> Permit<char> {
        match permits.ask(key).expect("room") {
            Asked::Permit(permit) => permit,
            Asked::Wait(_) => panic!("{key} must wait"),
        }
    }

    fn later(permits: &FairPermits<char>, key: char) -> Waiting<char> {
        match permits.ask(key).expect("room") {
            Asked::Wait(waiting) => waiting,
            Asked::Permit(_) => panic!("{key} need not wait"),
        }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_dropped_permit_goes_to_the_next_in_turn() {
        let permits = permits(1, 10);
        let first = at_once(&permits, 'a');
        let mut again = pin!(later(&permits, 'a').turn());
        let mut other = pin!(later(&permits, 'b').turn());
        assert!(poll(other.as_mut()).is_pending());
        assert_eq!(permits.load(), (1, 2));

        drop(first);

        assert!(poll(again.as_mut()).is_pending());
        let Poll::Ready(Ok(permit)) = poll(other.as_mut()) else { panic!("it was b's turn") };
        drop(permit);
        assert!(matches!(poll(again.as_mut()), Poll::Ready(Ok(_))));
        assert_eq!(permits.load(), (0, 0));
    }

    #[test]
    fn who_stops_waiting_leaves_the_queue_whether_he_was_served_or_not() {
        let permits = permits(1, 10);
        let first = at_once(&permits, 'a');
        let unserved = later(&permits, 'b');
        let served = later(&permits, 'c');
        let mut last = pin!(later(&permits, 'd').turn());

        drop(unserved);
        assert_eq!(permits.load(), (1, 2));
        drop(first);
        assert!(poll(last.as_mut()).is_pending(), "it is c's turn");
        drop(served);

        assert!(matches!(poll(last.as_mut()), Poll::Ready(Ok(_))));
        assert_eq!(permits.load(), (0, 0));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let permits = permits(1, 1);
        let _held = at_once(&permits, 'a');
        let _waiting = later(&permits, 'a');
        assert_eq!(permits.ask('a').map(|_| ()), Err(TooManyWaiting));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn tasks_that_come_wait_and_go_away_lose_no_permit() {
        let permits = permits(3, 1_000);
        let tasks: Vec<_> = (0..400_u32)
            .map(|number| {
                let permits = permits.clone();
                tokio::spawn(async move {
                    let key = char::from(b'a' + u8::try_from(number % 5).expect("small"));
                    let permit = match permits.ask(key).expect("room") {
                        Asked::Permit(permit) => permit,
                        // Some only look once.
                        Asked::Wait(waiting) if number % 3 == 0 => {
                            let _once = poll(pin!(waiting.turn()));
                            return;
                        }
                        Asked::Wait(waiting) => waiting.turn().await.expect("a turn"),
                    };
                    tokio::task::yield_now().await;
                    assert!(permits.load().0 <= 3);
                    drop(permit);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(permits.load(), (0, 0));
    }
}
