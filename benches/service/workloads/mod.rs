//! The workloads, one a file. A new one implements [`Workload`] and is added to [`all`].

mod reviewer_lists;
mod reviewers;
mod w01;
mod w02;
mod w03a;
mod w03b;
mod w04;
mod w05;
mod w06;
mod w07;
mod w08;
mod w09;
mod w10;
mod w11;
mod w12;
mod w13;
mod w14;
mod w15;
mod w16;
mod w17;

use async_trait::async_trait;

use crate::{cluster::Cluster, contest::Pace, ground::Ground, report::Outcome};

/// What is given to a workload.
pub struct Bench<'a> {
    pub cluster: &'a Cluster,
    pub pace: Pace,
}

/// One workload.
#[async_trait(?Send)]
pub trait Workload {
    /// Its number, such as `W1`.
    fn number(&self) -> &'static str;

    /// What is done, in a line.
    fn about(&self) -> &'static str;

    /// Whether it is measured at the sizes that are asked for, or only at sizes of its own.
    fn is_sized(&self) -> bool {
        true
    }

    /// So many times longer a request may take at the greatest size than at the least one; `None` when there is no such law.
    fn growth(&self) -> Option<f64> {
        None
    }

    /// Loads what is measured on; called before [`Workload::measure`], and alone where nothing is to be measured.
    ///
    /// # Errors
    /// When it cannot be loaded.
    async fn load(&self, _ground: &mut Ground<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Measures at the size of this ground. Nothing it loads may change what others measure.
    ///
    /// # Errors
    /// For a wrong answer; nothing is reported of a workload that fails.
    async fn measure(&self, _bench: &Bench<'_>, _ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        Ok(Vec::new())
    }

    /// Loads what has sizes of its own.
    ///
    /// # Errors
    /// When it cannot be loaded.
    async fn load_apart(&self, _cluster: &Cluster) -> anyhow::Result<()> {
        Ok(())
    }

    /// Measures what has sizes of its own, on databases of its own. Called once, after all sizes.
    ///
    /// # Errors
    /// As [`Workload::measure`].
    async fn measure_apart(&self, _bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        Ok(Vec::new())
    }
}

/// All of them, in the order in which they run at a size: those that write come last.
pub fn all() -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(w01::GetDecision),
        Box::new(w05::ListDecisions),
        Box::new(w06::ListMyDecisions),
        Box::new(w10::ListDefinitions),
        Box::new(w09::Report),
        Box::new(w17::Rivals),
        Box::new(w13::Start),
        Box::new(w07::OpenInstance),
        Box::new(w08::NextStage),
        Box::new(w15::ApplyDecisions),
        Box::new(w14::EndStages),
        Box::new(w16::Storage),
        Box::new(w02::RecordDecision),
        Box::new(w03a::ChangeOneStage),
        Box::new(w03b::ChangeManyStages),
        Box::new(w04::DecideAtOnce),
        Box::new(w11::MixOfTenants),
        Box::new(w12::Memory),
    ]
}
