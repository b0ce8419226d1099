//! Updating a stage: the rule this product grew from. LC-SUPD-01 to LC-SUPD-31
//!
//! [`plan_stage_update`] judges a request against the locked stage and its lists and answers what to change, or why not.
//! `app::update_stage` calls it inside one transaction with the stage row locked, so each of two concurrent updates is
//! judged against what the other left and the fallback list never shrinks (LC-CONC-03, LC-INV-03).

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::domain::{
    ids::StageId,
    instance::Instance,
    reviewer_scope::{ReviewerForm, ReviewerLists, ReviewerScope},
    stage::Stage,
    status::{Status, WrongState},
    violation::Violation,
};

/// The statuses in which reviewers may change. `Starting` is not among them. LC-SUPD-02
pub const UPDATABLE: &[Status] = &[Status::NotStarted, Status::Initializing, Status::InProgress];

/// What a client sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageUpdateRequest {
    /// `None` when left out, which means unchanged. LC-SUPD-04
    pub reviewers: Option<Vec<ReviewerScope>>,
    /// `None` when left out, which means unchanged; `null` arrives as an empty list. LC-SUPD-08
    pub fallback_reviewers: Option<Vec<ReviewerScope>>,
    /// Read-only members that came along; tolerated when equal to what is stored. LC-SUPD-01, CL-20
    pub echo: StageEcho,
}

/// Read-only members of a stage as a client sent them back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageEcho {
    pub id: Option<StageId>,
    pub status: Option<String>,
    pub start_at: Option<DateTime<Utc>>,
    pub end_at: Option<DateTime<Utc>>,
}

/// Why an update was refused. Nothing of the request is applied, whatever the reason. LC-SUPD-06
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StageUpdateRefusal {
    /// LC-SUPD-02
    #[error(transparent)]
    WrongState(#[from] WrongState),
    /// LC-SUPD-13
    #[error("the stage ended at {}; its reviewers can no longer change", .0.to_rfc3339_opts(SecondsFormat::AutoSi, true))]
    DeadlinePassed(DateTime<Utc>),
    /// LC-SUPD-06: 409.
    #[error("fallbackReviewers may only grow: {} must stay", quoted(.0))]
    FallbackRemoved(Vec<String>),
    /// LC-SUPD-01, LC-SUPD-09, LC-SUPD-12, LC-REV-13: faults of the body.
    #[error("the request is not valid")]
    Invalid(Vec<Violation>),
}

fn quoted(queries: &[String]) -> String {
    queries.iter().map(|query| format!("`{query}`")).collect::<Vec<_>>().join(", ")
}

/// What an accepted update changes.
#[derive(Clone, Debug, PartialEq)]
pub struct StageUpdatePlan {
    /// The lists as they stand afterwards.
    pub lists: ReviewerLists,
    /// Whether anything differs in meaning or order from what was stored; when not, nothing is written.
    pub changed: bool,
    /// Whether reviewers are resolved anew for every item of the stage now (LC-SUPD-20), or later when it opens (LC-SUPD-26).
    pub resolve_now: bool,
}

/// Judges an update of a stage's reviewer lists.
///
/// Order of the checks: state and deadline, read-only members, the limits of the lists, a running stage turned into a
/// self-review, and the append-only fallback list. Whether the objects that scopes name exist is I/O: see [`added_forms`].
pub fn plan_stage_update(
    stage: &Stage,
    lists: &ReviewerLists,
    request: &StageUpdateRequest,
    now: DateTime<Utc>,
) -> Result<StageUpdatePlan, StageUpdateRefusal> {
    if !UPDATABLE.contains(&stage.status) {
        return Err(WrongState {
            operation: "updating reviewers",
            object: "stage",
            current: stage.status,
            allowed: UPDATABLE,
        }
        .into());
    }
    if now >= stage.end_at {
        return Err(StageUpdateRefusal::DeadlinePassed(stage.end_at));
    }
    let mut violations = echo_violations(stage, &request.echo);
    for (path, scopes) in [("reviewers", &request.reviewers), ("fallbackReviewers", &request.fallback_reviewers)] {
        if let Some(scopes) = scopes {
            violations.extend(list_violations(path, scopes));
        }
    }
    let runs = stage.status == Status::InProgress;
    let becomes_self_review = request.reviewers.as_ref().is_some_and(|wanted| forms(wanted).is_empty());
    if runs && becomes_self_review && !lists.is_self_review() {
        violations.push(Violation::new(
            "reviewers",
            "an empty list, or self, would turn the running stage into a self-review; name at least one reviewer",
        ));
    }
    if !violations.is_empty() {
        return Err(StageUpdateRefusal::Invalid(violations));
    }

    let fallback_reviewers = match &request.fallback_reviewers {
        None => lists.fallback_reviewers.clone(),
        Some(wanted) => {
            let wanted_forms = forms(wanted);
            let removed: Vec<_> = lists
                .fallback_reviewers
                .iter()
                .filter(|existing| !wanted_forms.contains(&existing.form))
                .map(|existing| existing.query.clone())
                .collect();
            if !removed.is_empty() {
                return Err(StageUpdateRefusal::FallbackRemoved(removed));
            }
            distinct(wanted)
        }
    };
    let reviewers = request.reviewers.as_deref().map_or_else(|| lists.reviewers.clone(), distinct);
    let changed =
        !same_order(&reviewers, &lists.reviewers) || !same_order(&fallback_reviewers, &lists.fallback_reviewers);
    let different_people =
        forms(&reviewers) != forms(&lists.reviewers) || forms(&fallback_reviewers) != forms(&lists.fallback_reviewers);
    Ok(StageUpdatePlan {
        lists: ReviewerLists { reviewers, fallback_reviewers },
        changed,
        resolve_now: runs && different_people,
    })
}

/// Whether the stages of this instance can be updated at all. One that failed leaves its stages as they were, and nothing will
/// ever run in them. LC-SUPD-02
pub fn check_instance(instance: &Instance) -> Result<(), StageUpdateRefusal> {
    match instance.status {
        current @ Status::Failed => {
            let operation = "updating reviewers";
            Err(WrongState { operation, object: "instance", current, allowed: UPDATABLE }.into())
        }
        // Everything else the stage itself tells.
        Status::NotStarted
        | Status::Initializing
        | Status::Starting
        | Status::InProgress
        | Status::Completing
        | Status::Completed
        | Status::AutoReviewing
        | Status::AutoReviewed
        | Status::Applying
        | Status::Applied => Ok(()),
    }
}

/// The scopes a plan adds, with their paths: the objects these name must exist. LC-SUPD-12
pub fn added_forms(lists: &ReviewerLists, request: &StageUpdateRequest) -> Vec<(String, ReviewerForm)> {
    let added = |path: &str, wanted: &Option<Vec<ReviewerScope>>, stored: &[ReviewerScope]| {
        let stored = forms(stored);
        wanted
            .iter()
            .flatten()
            .enumerate()
            .filter(|(_, scope)| !stored.contains(&scope.form))
            .map(|(index, scope)| (format!("{path}[{index}].query"), scope.form.clone()))
            .collect::<Vec<_>>()
    };
    let mut all = added("reviewers", &request.reviewers, &lists.reviewers);
    all.extend(added("fallbackReviewers", &request.fallback_reviewers, &lists.fallback_reviewers));
    all
}

/// What the scopes mean; a `self` means the same as nothing. R-09
fn forms(scopes: &[ReviewerScope]) -> BTreeSet<ReviewerForm> {
    scopes.iter().map(|scope| scope.form.clone()).filter(|form| *form != ReviewerForm::OneSelf).collect()
}

/// The first of each meaning, in the order sent. LC-SUPD-07
pub fn distinct(scopes: &[ReviewerScope]) -> Vec<ReviewerScope> {
    let mut seen = BTreeSet::new();
    scopes.iter().filter(|scope| seen.insert(scope.form.clone())).cloned().collect()
}

fn same_order(left: &[ReviewerScope], right: &[ReviewerScope]) -> bool {
    left.iter().map(|scope| &scope.form).eq(right.iter().map(|scope| &scope.form))
}

fn list_violations(path: &str, scopes: &[ReviewerScope]) -> Option<Violation> {
    let limit = crate::domain::definition::MAX_SCOPES_PER_LIST;
    // Duplicates do not matter (LC-SUPD-07), so they do not count either.
    (forms(scopes).len() > limit).then(|| Violation::new(path, format!("a list holds at most {limit} reviewer scopes")))
}

fn echo_violations(stage: &Stage, echo: &StageEcho) -> Vec<Violation> {
    let read_only = |path: &str, stored: String| Violation::new(path, format!("is read-only; it is {stored}"));
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut violations = Vec::new();
    if echo.id.is_some_and(|id| id != stage.id) {
        violations.push(read_only("id", stage.id.to_string()));
    }
    if echo.status.as_deref().is_some_and(|status| status != stage.status.as_str()) {
        violations.push(read_only("status", stage.status.to_string()));
    }
    if echo.start_at.is_some_and(|at| at != stage.start_at) {
        violations.push(read_only("startDateTime", time(stage.start_at)));
    }
    if echo.end_at.is_some_and(|at| at != stage.end_at) {
        violations.push(read_only("endDateTime", time(stage.end_at)));
    }
    violations
}

#[cfg(test)]
mod tests;
