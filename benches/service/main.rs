//! The benchmark of the service: `./dev bench`, or `cargo bench --bench service`. What it measures and how is told in
//! `docs/performance.md`.
//!
//! It starts a private PostgreSQL with durable settings, loads reviews of several sizes, and runs the service and the floor (the
//! best SQL known for the same operation) by turns.

mod cluster;
mod contest;
mod floor;
mod ground;
mod load;
mod plot;
mod processor;
mod random;
mod report;
mod rival;
mod service;
mod steps;
mod wal;
mod workloads;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Parser;

use crate::{
    cluster::Cluster,
    contest::Pace,
    ground::Ground,
    report::{Figure, Outcome, at_most},
    workloads::{Bench, Workload, all},
};

/// Measures the service against the best SQL known for the same work.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Which workloads, such as `W1 W5`; all unless given.
    workloads: Vec<String>,
    /// Writes the figures to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws size against time into this file, as an SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Items of the reviews that are measured.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<u64>,
    /// Ten million items, too.
    #[arg(long)]
    large: bool,
    /// Length of a slice, in whole seconds.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Slices of the service, and as many of the floor.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Keeps the cluster in this directory and takes what a former run has loaded there.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
    /// Loads what the workloads need and measures nothing; with `--keep`.
    #[arg(long, requires = "keep")]
    load_only: bool,
    /// What cargo says.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.context("no runtime").and_then(|runtime| runtime.block_on(run(arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let chosen = choose(&arguments.workloads)?;
    let mut sizes = arguments.sizes.clone();
    if arguments.large {
        sizes.push(10_000_000);
    }
    sizes.sort_unstable();
    sizes.dedup();
    let keep = arguments.keep.as_deref().map(std::path::absolute).transpose()?;
    let cluster = Cluster::start(keep.as_deref())?;
    eprintln!("PostgreSQL: {}", cluster.settings());
    let pace = Pace {
        warm_up: Duration::from_secs(1),
        slice: Duration::from_secs(arguments.seconds),
        pairs: arguments.pairs.into(),
    };
    let bench = Bench { cluster: &cluster, pace };
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut failures = Vec::new();
    let sizes = if chosen.iter().any(|workload| workload.is_sized()) { sizes } else { Vec::new() };
    for &size in &sizes {
        let mut ground = Ground::lay(&cluster, size).await?;
        for workload in chosen.iter().filter(|workload| workload.is_sized()) {
            eprintln!("{} at {size}: {}", workload.number(), workload.about());
            if let Err(error) = workload.load(&mut ground).await {
                keep_going(Err(error), &**workload, &mut outcomes, &mut failures);
                continue;
            }
            if arguments.load_only {
                continue;
            }
            keep_going(workload.measure(&bench, &mut ground).await, &**workload, &mut outcomes, &mut failures);
        }
    }
    for workload in &chosen {
        if !workload.is_sized() {
            eprintln!("{}: {}", workload.number(), workload.about());
        }
        if let Err(error) = workload.load_apart(&cluster).await {
            keep_going(Err(error), &**workload, &mut outcomes, &mut failures);
        } else if !arguments.load_only {
            keep_going(workload.measure_apart(&bench).await, &**workload, &mut outcomes, &mut failures);
        }
    }
    outcomes.extend(chosen.iter().flat_map(|workload| growth(&**workload, &outcomes)).collect::<Vec<_>>());
    // Stable: what was measured first comes first within a workload.
    outcomes.sort_by_key(|outcome| chosen.iter().position(|workload| workload.number() == outcome.workload));
    print!("\n{}", report::table(&outcomes));
    if let Some(file) = &arguments.json {
        std::fs::write(file, report::json(&outcomes)).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &arguments.plot {
        std::fs::write(file, plot::svg(&outcomes)).with_context(|| file.display().to_string())?;
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => bail!("failed: {}", failures.join(", ")),
    }
}

fn choose(wanted: &[String]) -> anyhow::Result<Vec<Box<dyn Workload>>> {
    let known: Vec<_> = all().iter().map(|workload| workload.number()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        bail!("there is no workload {unknown}; there are {}", known.join(" "));
    }
    let is_wanted = |number: &str| wanted.is_empty() || wanted.iter().any(|name| name.eq_ignore_ascii_case(number));
    Ok(all().into_iter().filter(|workload| is_wanted(workload.number())).collect())
}

/// Takes what was measured, or says loudly what went wrong.
fn keep_going(
    measured: anyhow::Result<Vec<Outcome>>,
    workload: &dyn Workload,
    outcomes: &mut Vec<Outcome>,
    failures: &mut Vec<&'static str>,
) {
    match measured {
        Ok(measured) => {
            if !measured.is_empty() {
                eprint!("{}", report::table(&measured));
            }
            outcomes.extend(measured);
        }
        Err(error) => {
            eprintln!("{} FAILED: {error:#}", workload.number());
            failures.push(workload.number());
        }
    }
}

/// The law of growth: the time at the greatest size ÷ the time at the least one, for each variant.
fn growth(workload: &dyn Workload, outcomes: &[Outcome]) -> Vec<Outcome> {
    let Some(most) = workload.growth() else { return Vec::new() };
    let own = || outcomes.iter().filter(|outcome| outcome.workload == workload.number());
    let mut variants: Vec<&str> = own().map(|outcome| outcome.variant.as_str()).collect();
    variants.sort_unstable();
    variants.dedup();
    let of_variant = |variant| {
        let mut sized: Vec<_> = own()
            .filter(|outcome| outcome.variant == variant)
            .filter_map(|outcome| Some((outcome.size, outcome.seconds()?)))
            .collect();
        sized.sort_by_key(|(size, _)| *size);
        let ((least, before), (greatest, after)) = (*sized.first()?, *sized.last()?);
        let named = format!("{variant} {greatest} ÷ {least}");
        (least < greatest).then(|| Outcome {
            time_ratio: Some(after / before),
            ..Outcome::of(workload.number(), greatest).variant(named.trim()).bars(&[at_most(Figure::Time, most)])
        })
    };
    variants.into_iter().filter_map(of_variant).collect()
}
