//! A server that does not answer is left alone for a while, so that not every mail waits for it in vain. LC-NOTE-09

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The rest doubles with every try in vain, so many times at most.
const MOST_DOUBLINGS: u32 = 3;

/// What is known of a server, for all who send through it.
pub(super) struct Rest {
    /// The first rest.
    first: Duration,
    /// How long one try may take.
    longest_try: Duration,
    standing: Mutex<Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Answers,
    Silent {
        until: Instant,
        /// Tries in vain, from 1.
        tries: u32,
        /// Somebody finds out whether it still is; the others wait for him.
        tried: bool,
    },
}

impl Rest {
    pub(super) fn new(first: Duration, longest_try: Duration) -> Self {
        Self { first, longest_try, standing: Mutex::new(Standing::Answers) }
    }

    /// How long it still lasts.
    pub(super) fn lasts(&self, now: Instant) -> Option<Duration> {
        match self.standing() {
            Standing::Answers => None,
            Standing::Silent { until, .. } => {
                let left = until.saturating_duration_since(now);
                (left > Duration::ZERO).then_some(left)
            }
        }
    }

    /// Whether the server may be asked now, or else how long it rests. After a rest one is let through, and the others wait for what
    /// he finds.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match *standing {
            Standing::Answers => Ok(()),
            Standing::Silent { until, .. } if now < until => Err(until - now),
            Standing::Silent { tries, .. } => {
                *standing = Standing::Silent { until: now + self.longest_try, tries, tried: true };
                Ok(())
            }
        }
    }

    /// The server said something, whatever it was.
    pub(super) fn answered(&self) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Standing::Answers;
    }

    /// The server did not answer in time.
    pub(super) fn silent(&self, now: Instant) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = match *standing {
            Standing::Answers => 1,
            Standing::Silent { tries, tried: true, .. } => tries + 1,
            // Somebody who began before the rest.
            Standing::Silent { tried: false, .. } => return,
        };
        let rest = self.first * 2_u32.pow((tries - 1).min(MOST_DOUBLINGS));
        tracing::warn!(rest_seconds = rest.as_secs(), "the mail server does not answer; mail waits");
        *standing = Standing::Silent { until: now + rest, tries, tried: false };
    }

    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn after_a_rest_one_finds_out_and_the_others_wait_for_him() {
        let rest = Rest::new(10 * SECOND, 60 * SECOND);
        let now = Instant::now();
        assert_eq!((rest.lasts(now), rest.admit(now)), (None, Ok(())));

        // Four tried at the same time: it rests once.
        for _ in 0..4 {
            rest.silent(now);
        }
        assert_eq!((rest.lasts(now), rest.admit(now)), (Some(10 * SECOND), Err(10 * SECOND)));

        let now = now + 10 * SECOND;
        assert_eq!((rest.lasts(now), rest.admit(now)), (None, Ok(())));
        assert_eq!((rest.lasts(now), rest.admit(now)), (Some(60 * SECOND), Err(60 * SECOND)));
        rest.answered();
        assert_eq!((rest.lasts(now), rest.admit(now)), (None, Ok(())));
    }

    #[test]
    fn each_try_in_vain_doubles_the_rest_up_to_eight_times_the_first() {
        let rest = Rest::new(15 * SECOND, 60 * SECOND);
        let mut now = Instant::now();
        let mut lasted = Vec::new();
        for _ in 0..6 {
            rest.admit(now).expect("the rest is over");
            rest.silent(now);
            let lasts = rest.lasts(now).expect("it rests");
            lasted.push(lasts);
            now += lasts;
        }
        assert_eq!(lasted, [15, 30, 60, 120, 120, 120].map(|seconds| seconds * SECOND));
    }

    #[test]
    fn who_was_let_through_and_never_came_back_is_not_waited_for_for_ever() {
        let rest = Rest::new(10 * SECOND, 60 * SECOND);
        let now = Instant::now();
        rest.silent(now);
        assert_eq!(rest.admit(now + 10 * SECOND), Ok(()));
        assert_eq!(rest.admit(now + 70 * SECOND), Ok(()));
    }
}
