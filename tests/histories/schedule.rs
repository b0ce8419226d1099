//! Crashes and interleavings: futures that are dropped half way, and two at once.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

/// How often is looked whether the second of two waits for the first.
const GLANCE: Duration = Duration::from_millis(4);

/// Polls a future so many times and drops it: a process that dies at whatever it was waiting for. With `at_once` it dies without
/// having got what the last step asked for, else when that has come. `None` when it died.
pub async fn crash<F: Future>(future: F, polls: usize, at_once: bool) -> Option<F::Output> {
    let mut future = Box::pin(future);
    advance(&mut future, polls, at_once).await
}

/// Polls a future so many times and leaves it there.
async fn advance<F: Future>(future: &mut Pin<Box<F>>, polls: usize, at_once: bool) -> Option<F::Output> {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 && at_once => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runs two at once: the first alone for so many steps, then the second alone until it is done or waits for a lock, which
/// `waits` tells, then both.
pub async fn race<F: Future, G: Future>(
    first: F,
    second: G,
    lead: usize,
    mut waits: impl AsyncFnMut() -> bool,
) -> (F::Output, G::Output) {
    let mut first = Box::pin(first);
    let mut second = Box::pin(second);
    if let Some(output) = advance(&mut first, lead, true).await {
        return (output, second.await);
    }
    loop {
        match tokio::time::timeout(GLANCE, &mut second).await {
            Ok(output) => return (first.await, output),
            Err(_) if waits().await => return futures_util::future::join(first, second).await,
            Err(_) => {}
        }
    }
}
