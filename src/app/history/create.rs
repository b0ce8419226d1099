//! HIST-CREATE: a report is asked for; a job makes it. LC-HIST-01, LC-HIST-02, LC-HIST-08

use serde_json::{Value, json};

use super::{authorize_report, event, requested};
use crate::{
    app::{
        Call, Refused, Services, ids,
        repeats::{commit_with_answer, earlier_answer},
    },
    domain::{
        authorization::{Operation, require_permission},
        event::Activity,
        history::{self, HistoryDefinition, HistoryDraft, HistoryStatus, HistoryTiming},
        repeat::Creates,
        violation::Violation,
    },
};

/// Creates a report definition and its first run; answers what `tell` says of it, or what it said when the call's key came before.
///
/// [`Refused::Invalid`] names every rule the draft breaks.
pub async fn create_history_definition(
    services: &Services,
    call: &Call,
    draft: HistoryDraft,
    tell: impl FnOnce(&HistoryDefinition) -> Value,
) -> Result<Value, Refused> {
    require_permission(&call.caller)?;
    authorize_report(call, Operation::HistoryCreate, false)?;
    let mut uow = services.begin(call.tenant()).await?;
    if let Some(answer) = earlier_answer(&mut *uow, call, Creates::HistoryDefinition).await? {
        return Ok(answer);
    }
    let now = uow.now();
    let mut violations = history::validate(&draft);
    let first = history::run(&draft.timing, now, 0);
    if let (HistoryTiming::Recurring(schedule), None) = (&draft.timing, first)
        && schedule.recurrence.series().is_some()
        && violations.is_empty()
    {
        violations.push(Violation::new(
            "scheduleSettings.recurrence.range.endDate",
            "is over already; the report would never run",
        ));
    }
    let Some(first) = first.filter(|_| violations.is_empty()) else { return Err(Refused::Invalid(violations)) };

    let is_series = matches!(draft.timing, HistoryTiming::Recurring(_));
    let definition = HistoryDefinition {
        id: ids::history_definition(),
        draft,
        status: HistoryStatus::Requested,
        created_at: now,
        created_by: call.caller.identity.clone(),
        readable_kinds: call.caller.readable_kinds(),
        period: first.period,
        expires_at: (!is_series).then_some(history::expiry(now)),
    };
    let (instance, job) = requested(definition.id, 0, first, is_series);
    uow.history().insert(&definition, &instance).await?;
    uow.jobs().enqueue(&[job]).await?;
    let draft = &definition.draft;
    let created = event(
        Activity::ReportCreated,
        &definition,
        None,
        json!({
            "decisions": draft.decisions.iter().map(|decision| decision.as_str()).collect::<Vec<_>>(),
            "scopes": draft.scopes.iter().map(|scope| scope.query.as_str()).collect::<Vec<_>>(),
            "reviewHistoryPeriodStartDateTime": definition.period.start,
            "reviewHistoryPeriodEndDateTime": definition.period.end,
            "recurs": is_series,
        }),
    );
    uow.events().append(&call.actor(), &[created]).await?;
    let answer = commit_with_answer(services, uow, call, Creates::HistoryDefinition, tell(&definition)).await?;
    services.work.notify_waiters();
    Ok(answer)
}
