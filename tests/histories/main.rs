//! The model-based test: random histories of commands, clock advances, crashes between transactions and two workers or callers at
//! once, played by the real use cases and jobs on a real database and, act by act, by a small pure model of the rules.
//!
//! `ATTESTRY_HISTORIES` says how many, others each time; `ATTESTRY_HISTORY_SEED` plays one again. A history that fails is made smaller and printed.
//! The clock of the database stands still, so that only the tenant's clock moves and every instant is known to a microsecond.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "../it/support/database.rs"]
mod database;

mod command;
mod company;
mod draw;
mod invariants;
mod model;
mod observed;
mod play;
mod review;
mod schedule;
mod world;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, Utc};
use command::Command;
use company::{Directory, any_directory};
use database::Database;
use draw::any_history;
use play::play;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use world::Place;

/// When every history begins, and where the clock of the database stands for good.
const BEGINNING: &str = "2025-01-06T09:00:00.123456Z";

fn beginning() -> DateTime<Utc> {
    BEGINNING.parse().unwrap()
}

/// Histories when nobody says how many.
const HISTORIES: u64 = 2_000;
/// The seed of the first of them.
const USUAL_SEED: u64 = 20_250_106;
/// Threads when nobody says how many histories, each with a runtime and connections of its own.
const THREADS: usize = 2;
/// Tries at making a failing history smaller, and how long they may take, in milliseconds.
const SHRINKS: u32 = 2_000;
const SHRINK_TIME: u32 = 60_000;

type History = (Vec<Command>, Directory);

fn any() -> impl Strategy<Value = History> {
    (any_history(), any_directory())
}

/// The source of one history.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        max_shrink_iters: SHRINKS,
        max_shrink_time: SHRINK_TIME,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, not {text}")))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What all threads found.
#[derive(Default)]
struct Found {
    steps: u64,
    what: BTreeSet<&'static str>,
    failure: Option<String>,
}

/// Plays one history; a failing one is made smaller. `Err` is what to print.
fn try_one(
    seed: u64,
    runtime: &tokio::runtime::Runtime,
    place: &mut Place,
    found: &Mutex<Found>,
) -> Result<(), String> {
    let mut runner = runner(seed);
    let tree = any().new_tree(&mut runner).unwrap();
    let size = tree.current().0.len();
    let place = Mutex::new(place);
    let result = runner.run_one(tree, |(history, directory)| {
        let mut place = place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let reached = runtime.block_on(play(&mut place, &directory, &history)).map_err(TestCaseError::fail)?;
        let mut found = found.lock().unwrap();
        found.steps += u64::try_from(reached.steps).unwrap();
        found.what.extend(reached.what);
        Ok(())
    });
    match result {
        Ok(_) => Ok(()),
        Err(TestError::Fail(reason, (smallest, _))) => Err(format!(
            "A history of {size} commands broke a rule; of {} commands is left:\n{reason}\nPlay it again: ATTESTRY_HISTORY_SEED={seed}",
            smallest.len(),
        )),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}

/// What so many histories certainly do: a test that reached nothing would prove nothing.
const REACHED: [&str; 33] = [
    "a third occurrence",
    "a third stage",
    "absent",
    "applied",
    "applied by hand",
    "closed by the timer",
    "conflict",
    "crashed",
    "created",
    "decided",
    "decided in bulk",
    "definition updated",
    "deleted",
    "deleted after thirty days",
    "failed for being late",
    "forbidden",
    "instance stopped",
    "instance updated",
    "invalid",
    "lease lost",
    "mailed",
    "nothing moved",
    "opened",
    "raced",
    "recommendations accepted",
    "reminded",
    "reminded by hand",
    "reset",
    "spared",
    "stage stopped",
    "stage updated",
    "too often",
    "wrong state",
];

/// LC-INV-01 to 10, LC-CONC-02 to 07, IN-01 to 14, IN-16, IN-17, ST-01 to 12
///
/// Told by `model.rs` and compared after every step:
/// LC-DEF-11, LC-DEF-22, LC-DEF-23, LC-DEF-27, LC-DEF-30, LC-DEF-31, LC-DEF-33, LC-INST-06, LC-INST-07, LC-INST-10, LC-INST-12,
/// LC-INST-14, LC-INST-15, LC-INST-20 to 22, LC-INST-30 to 33, LC-REC-05, LC-REC-09, LC-STAGE-01 to 08, LC-STAGE-10,
/// LC-STAGE-20, LC-STAGE-21, LC-STAGE-30 to 37, LC-STAGE-40 to 45, LC-STAGE-50 to 52, LC-STAGE-60, LC-STAGE-61, LC-SUPD-02,
/// LC-SUPD-04 to 06, LC-SUPD-08, LC-SUPD-09, LC-SUPD-11 to 13, LC-SUPD-20 to 26, LC-REV-01 to 06, LC-REV-12, LC-DEC-02 to 07,
/// LC-DEC-09 to 13, LC-RCM-01, LC-RCM-03, LC-RCM-09, LC-RCM-10, LC-CMP-01 to 05, LC-CMP-09, LC-APPLY-01 to 03, LC-APPLY-05,
/// LC-APPLY-06, LC-APPLY-08 to 10, LC-APPLY-14, LC-NOTE-02, LC-NOTE-07, LC-NOTE-08, LC-NOTE-10, LC-AUTH-03, LC-AUTH-04, LC-AUTH-09
#[test]
fn whatever_happens_the_application_does_what_the_rules_say() {
    let url = runtime().block_on(async { Database::with_a_standing_clock(BEGINNING).await.url });
    let (seed, many) = (number("ATTESTRY_HISTORY_SEED"), number("ATTESTRY_HISTORIES"));
    let wanted = if seed.is_some() { 1 } else { many.unwrap_or(HISTORIES) };
    // What everybody runs is the same for all; who asks for a number of histories wants others.
    let first = seed.unwrap_or_else(|| if many.is_some() { rand::random() } else { USUAL_SEED });
    let threads = many.map_or(THREADS, |_| std::thread::available_parallelism().map_or(THREADS, usize::from));
    let (next, stop, found) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Found::default()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = runtime();
                let mut place = runtime.block_on(Place::new(&url));
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= wanted || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    if let Err(failure) = try_one(first.wrapping_add(number), &runtime, &mut place, &found) {
                        stop.store(true, Ordering::Relaxed);
                        found.lock().unwrap().failure.get_or_insert(failure);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let played = next.load(Ordering::Relaxed).min(wanted);
    println!("{played} histories from seed {first} on, {} steps, in {:?}", found.steps, began.elapsed());
    if let Some(failure) = found.failure {
        panic!("{failure}");
    }
    let missed: Vec<_> = REACHED.iter().filter(|what| !found.what.contains(**what)).collect();
    assert!(played < HISTORIES || missed.is_empty(), "no history came to {missed:?}, but to {:?}", found.what);
}
