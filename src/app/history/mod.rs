//! Reports of decisions: asked for, run by a job, downloaded through a link that needs no token. LC-HIST, section 7 of the API

pub mod create;
pub mod delete;
pub mod download;
pub(super) mod expire;
pub mod get;
pub mod link;
pub mod list;
pub(super) mod run;
pub mod update;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Call, Refused,
    access::{Sight, authorize},
    ids,
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, Relation, ReviewKind, require_permission},
        event::{Activity, Event},
        history::{HistoryDefinition, HistoryInstance, Run},
        ids::{HistoryDefinitionId, HistoryInstanceId},
    },
    store::{Job, NewJob, UnitOfWork},
};

/// A report definition and, when they were asked for, its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryView {
    pub definition: HistoryDefinition,
    pub instances: Option<Vec<HistoryInstance>>,
}

/// The run as it is shown at that time: with its link as long as that works.
fn shown(instance: HistoryInstance, now: DateTime<Utc>) -> HistoryInstance {
    HistoryInstance { link_expires_at: instance.link_shown_at(now), ..instance }
}

/// The runs of a definition that are still there, as they are shown now.
async fn shown_instances(
    uow: &mut dyn UnitOfWork,
    definitions: &[HistoryDefinitionId],
) -> Result<Vec<HistoryInstance>, Refused> {
    let now = uow.now();
    let instances = uow.history().instances_of(definitions, now).await?;
    Ok(instances.into_iter().map(|instance| shown(instance, now)).collect())
}

/// The kind plays no part in the rights to reports.
pub(super) fn authorize_report(call: &Call, operation: Operation, is_creator: bool) -> Result<Sight, Refused> {
    let relation = Relation { is_creator, ..Relation::default() };
    authorize(&call.caller, operation, ReviewKind::GroupOrApplication, &relation)
}

/// The report definition, if it is still there and the caller may do this to it.
async fn find(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    operation: Operation,
    id: HistoryDefinitionId,
) -> Result<HistoryDefinition, Refused> {
    require_permission(&call.caller)?;
    let now = uow.now();
    let found = uow.history().find(id).await?;
    let definition = found.filter(|definition| definition.is_there_at(now)).ok_or(Refused::NotFound)?;
    let is_creator = call.caller.kind == CallerKind::User && definition.was_created_by(call.caller.identity.id);
    authorize_report(call, operation, is_creator)?;
    Ok(definition)
}

/// One of the definition's runs as it is shown now, if it is still there.
async fn find_instance(
    uow: &mut dyn UnitOfWork,
    definition: HistoryDefinitionId,
    id: HistoryInstanceId,
) -> Result<HistoryInstance, Refused> {
    let now = uow.now();
    let found = uow.history().find_instance(id).await?;
    let found = found.filter(|instance| instance.definition_id == definition && instance.is_there_at(now));
    Ok(shown(found.ok_or(Refused::NotFound)?, now))
}

/// A run to come and the job that does it. A one-time report's run has the definition's id. LC-HIST-02
fn requested(definition: HistoryDefinitionId, occurrence: i32, run: Run, is_series: bool) -> (HistoryInstance, NewJob) {
    let id = if is_series { ids::history_instance() } else { HistoryInstanceId::new(definition.as_uuid()) };
    let instance = HistoryInstance::requested(id, definition, occurrence, run);
    (instance, NewJob { id: ids::job(), job: Job::RunReport { instance: id }, due_at: run.at })
}

/// An event about a report; `facts` is an object that is completed with what it is about.
fn event(
    activity: Activity,
    definition: &HistoryDefinition,
    instance: Option<HistoryInstanceId>,
    facts: Value,
) -> Event {
    let mut after = json!({ "historyDefinition": definition.id, "displayName": definition.draft.display_name });
    if let Some(id) = instance {
        after["historyInstance"] = json!(id);
    }
    if let (Value::Object(after), Value::Object(facts)) = (&mut after, facts) {
        after.extend(facts);
    }
    Event { after: Some(after), ..Event::new(activity) }
}
