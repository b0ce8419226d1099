//! Report definitions as clients write and read them. Section 7 of the model

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    bodies::checked,
    history_link::{DOWNLOADS, DownloadLink},
    lists::Links,
    view::object,
};
use crate::{
    domain::{
        history::{
            HistoryDecision, HistoryDefinition, HistoryDraft, HistoryInstance, HistoryPeriod, HistorySchedule,
            HistoryTiming, MAX_SCOPES, scope::HistoryScope,
        },
        reviewer_scope::MICROSOFT_GRAPH,
        violation::Violation,
    },
    http::{
        definitions::{
            body::read_recurrence,
            view::{render_date_time, render_identity, render_recurrence},
        },
        error::ApiError,
        json_reader::{Faults, ObjectReader, Sent, choose},
    },
};

/// Most entries of `decisions`: each may be named twice.
const MAX_DECISIONS: usize = 10;
/// Members that a client may send and that the server decides.
const READ_ONLY: [&str; 5] = ["id", "status", "createdBy", "createdDateTime", "instances"];

/// The body of HIST-CREATE. LC-HIST-04, LC-HIST-05, LC-HIST-08
pub(super) fn history_create(body: &Value) -> Result<HistoryDraft, ApiError> {
    let faults = Faults::default();
    let draft = ObjectReader::new("", body, &faults).and_then(read_draft);
    checked(faults, draft)?.ok_or_else(|| ApiError::bad_request(Vec::new()))
}

/// Every member is read before the first absence is given up on, so that all faults come to light.
fn read_draft(mut reader: ObjectReader<'_>) -> Option<HistoryDraft> {
    reader.expect_type("accessReviewHistoryDefinition");
    reader.ignore(&READ_ONLY);
    let display_name = reader.required_text("displayName").map(str::to_owned);
    let decisions = read_decisions(&mut reader);
    if matches!(reader.raw("scopes"), Sent::Absent | Sent::Null) {
        reader.report("scopes", "is required: at least one accessReviewQueryScope");
    }
    let scopes = reader.objects("scopes", MAX_SCOPES).unwrap_or_default();
    let scopes: Option<Vec<_>> = scopes.into_iter().map(read_scope).collect();
    let timing = read_timing(&mut reader);
    reader.finish();
    Some(HistoryDraft { display_name: display_name?, decisions, scopes: scopes?, timing: timing? })
}

/// Empty and missing mean all five, each once, in one order.
fn read_decisions(reader: &mut ObjectReader<'_>) -> Vec<HistoryDecision> {
    let mut decisions = Vec::new();
    for (path, text) in reader.texts("decisions", MAX_DECISIONS).unwrap_or_default() {
        match choose(text, &HistoryDecision::ALL, HistoryDecision::as_str) {
            Ok(decision) if decisions.contains(&decision) => {}
            Ok(decision) => decisions.push(decision),
            Err(reason) => reader.faults().report(path, reason),
        }
    }
    if decisions.is_empty() { HistoryDecision::ALL.to_vec() } else { decisions }
}

/// Section 8.8 of the API
fn read_scope(mut reader: ObjectReader<'_>) -> Option<HistoryScope> {
    reader.expect_type("accessReviewQueryScope");
    let query = reader.required_text("query");
    let query_type = reader.nullable_text("queryType");
    let query_root = reader.nullable_text("queryRoot");
    let scope = match HistoryScope::parse(query.unwrap_or_default(), query_type, query_root) {
        Ok(scope) => Some(scope),
        Err(_) if query.is_none() => None,
        Err(error) => {
            let path = reader.path_of(error.member());
            reader.faults().push(match error.is_unsupported_query() {
                true => Violation::unsupported_query(path, error.to_string()),
                false => Violation::new(path, error.to_string()),
            });
            None
        }
    };
    reader.finish();
    scope
}

/// `scheduleSettings`, or both ends of a window; beside a schedule the window means nothing.
fn read_timing(reader: &mut ObjectReader<'_>) -> Option<HistoryTiming> {
    let start = reader.date_time("reviewHistoryPeriodStartDateTime");
    let end = reader.date_time("reviewHistoryPeriodEndDateTime");
    match reader.object("scheduleSettings") {
        Sent::Value(mut settings) => {
            settings.expect_type("accessReviewHistoryScheduleSettings");
            let recurrence = settings.required_object("recurrence").and_then(read_recurrence);
            let range_sent = settings.mentions("reportRange");
            let report_range = settings.nullable_duration("reportRange");
            if report_range.is_none() && (!range_sent || matches!(settings.raw("reportRange"), Sent::Null)) {
                settings.report("reportRange", "is required: a duration such as P1M");
            }
            settings.finish();
            Some(HistoryTiming::Recurring(HistorySchedule { recurrence: recurrence?, report_range: report_range? }))
        }
        Sent::Null | Sent::Absent => {
            let missing = |name: &'static str, sent: Sent<DateTime<Utc>>| {
                if matches!(sent, Sent::Null) || !reader.mentions(name) {
                    reader.report(name, "is required without scheduleSettings");
                }
                sent.value()
            };
            let start = missing("reviewHistoryPeriodStartDateTime", start);
            let end = missing("reviewHistoryPeriodEndDateTime", end);
            Some(HistoryTiming::Once(HistoryPeriod { start: start?, end: end? }))
        }
    }
}

/// Members of a report definition that no client changes.
pub(super) const HISTORY_READ_ONLY: [&str; 10] = [
    "id",
    "status",
    "createdBy",
    "createdDateTime",
    "instances",
    "decisions",
    "scopes",
    "reviewHistoryPeriodStartDateTime",
    "reviewHistoryPeriodEndDateTime",
    "scheduleSettings",
];

/// The body of HIST-UPDATE: a new name, if any.
pub(super) fn history_update(body: &Value) -> Result<Option<String>, ApiError> {
    let faults = Faults::default();
    let mut display_name = None;
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        reader.expect_type("accessReviewHistoryDefinition");
        let sent = reader.text("displayName");
        if matches!(sent, Sent::Null) {
            reader.report("displayName", "must not be null");
        }
        display_name = sent.value().map(str::to_owned);
        reader.ignore(&HISTORY_READ_ONLY);
        reader.finish();
    }
    checked(faults, display_name)
}

/// `accessReviewHistoryDefinition`. Section 7.1 of the model
pub(super) fn history_definition(definition: &HistoryDefinition) -> Map<String, Value> {
    let draft = &definition.draft;
    let scopes: Vec<_> = draft
        .scopes
        .iter()
        .map(|scope| {
            json!({
                "@odata.type": "#microsoft.graph.accessReviewQueryScope",
                "query": scope.query,
                "queryType": MICROSOFT_GRAPH,
                "queryRoot": null,
            })
        })
        .collect();
    let schedule = match &draft.timing {
        HistoryTiming::Once(_) => Value::Null,
        HistoryTiming::Recurring(HistorySchedule { recurrence, report_range }) => json!({
            "reportRange": report_range,
            "recurrence": render_recurrence(recurrence),
        }),
    };
    object(json!({
        "id": definition.id,
        "displayName": draft.display_name,
        "createdDateTime": render_date_time(definition.created_at),
        "createdBy": render_identity(&definition.created_by),
        "reviewHistoryPeriodStartDateTime": render_date_time(definition.period.start),
        "reviewHistoryPeriodEndDateTime": render_date_time(definition.period.end),
        "decisions": draft.decisions.iter().map(|decision| decision.as_str()).collect::<Vec<_>>(),
        "status": definition.status.as_str(),
        "scheduleSettings": schedule,
        "scopes": scopes,
    }))
}

/// `accessReviewHistoryInstance`. Section 7.2 of the model
///
/// The link is shown as long as it works.
pub(super) fn history_instance(links: &Links, instance: &HistoryInstance) -> Map<String, Value> {
    let (tenant, key) = links.tenant_and_key();
    let link = instance.link_expires_at.map(|ends_at| {
        let link = DownloadLink { tenant, instance: instance.id, ends_at };
        format!("{}{DOWNLOADS}/{}", links.edge.public_url, link.seal(key))
    });
    object(json!({
        "id": instance.id,
        "reviewHistoryPeriodStartDateTime": render_date_time(instance.period.start),
        "reviewHistoryPeriodEndDateTime": render_date_time(instance.period.end),
        "status": instance.status.as_str(),
        "runDateTime": render_date_time(instance.run_at),
        "fulfilledDateTime": instance.finished.map(|report| render_date_time(report.at)),
        "expirationDateTime": render_date_time(instance.expires_at),
        "downloadUri": link,
    }))
}
