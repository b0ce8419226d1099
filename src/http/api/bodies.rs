//! Bodies of stages and decisions.

use serde_json::{Map, Value};

use crate::{
    app::batch_record_decisions::BatchAnswer,
    domain::{
        decision::{Answer, Verdict},
        ids::ObjectId,
        stage_update::{StageEcho, StageUpdateRequest},
        violation::Violation,
    },
    http::{
        definitions::body::{parse_fallback_reviewers, parse_reviewer_scopes},
        echo,
        error::ApiError,
        json_reader::{Faults, ObjectReader, Sent},
    },
};

/// Characters of a justification at most.
const JUSTIFICATION_LIMIT: usize = 4_096;

/// The body of STAGE-UPDATE. LC-SUPD-01, LC-SUPD-04, LC-SUPD-08, CL-20
pub(super) fn stage_update(body: &Value) -> Result<StageUpdateRequest, ApiError> {
    let faults = Faults::default();
    let mut request = StageUpdateRequest::default();
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        reader.expect_type("accessReviewStage");
        request.reviewers = parse_reviewer_scopes(&mut reader, "reviewers");
        request.fallback_reviewers = parse_fallback_reviewers(&mut reader);
        request.echo = StageEcho {
            id: match reader.text("id") {
                Sent::Value(text) => match text.parse() {
                    Ok(id) => Some(id),
                    Err(_) => {
                        reader.report("id", "is read-only and differs from the stage's id");
                        None
                    }
                },
                Sent::Absent | Sent::Null => None,
            },
            status: reader.text("status").value().map(str::to_owned),
            start_at: reader.date_time("startDateTime").value(),
            end_at: reader.date_time("endDateTime").value(),
        };
        if !matches!(reader.raw("decisions"), Sent::Absent | Sent::Null) {
            reader.report("decisions", "is read-only; record decisions one by one");
        }
        reader.finish();
    }
    checked(faults, request)
}

/// The body of DEC-UPDATE and STAGE-DEC-UPDATE. LC-DEC-01, LC-DEC-06
///
/// The SDKs send back what they read: read-only members are known here; [`check_item_echo`] compares them.
pub(super) fn answer(body: &Value) -> Result<Answer, ApiError> {
    let faults = Faults::default();
    let mut answer = None;
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        reader.expect_type("accessReviewInstanceDecisionItem");
        answer = read_answer(&mut reader);
        reader.ignore(&ITEM_READ_ONLY);
        reader.finish();
    }
    checked(faults, answer)?.ok_or_else(|| ApiError::bad_request(Vec::new()))
}

/// `decision` and `justification`; `None` when the decision is not to be had, which is reported.
fn read_answer(reader: &mut ObjectReader<'_>) -> Option<Answer> {
    let verdict = reader.required_choice("decision", &Verdict::ALL, Verdict::as_str);
    let justification = reader.nullable_text("justification").map(str::to_owned);
    if justification.as_deref().is_some_and(|text| text.chars().count() > JUSTIFICATION_LIMIT) {
        reader.report("justification", format!("has at most {JUSTIFICATION_LIMIT} characters"));
    }
    Some(Answer { verdict: verdict?, justification })
}

/// The body of INST-BATCH and STAGE-BATCH. LC-DEC-09
pub(super) fn batch(body: &Value) -> Result<BatchAnswer, ApiError> {
    let faults = Faults::default();
    let mut request = None;
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        let answer = read_answer(&mut reader);
        let principal = object_id(&mut reader, "principalId");
        let resource = object_id(&mut reader, "resourceId");
        request = answer.map(|answer| BatchAnswer { answer, principal, resource });
        reader.finish();
    }
    checked(faults, request)?.ok_or_else(|| ApiError::bad_request(Vec::new()))
}

/// A directory object's id; absent and null mean any.
fn object_id(reader: &mut ObjectReader<'_>, name: &'static str) -> Option<ObjectId> {
    let text = reader.nullable_text(name)?;
    let id = text.parse().ok();
    if id.is_none() {
        reader.report(name, "must be the id of a directory object: a GUID");
    }
    id
}

/// The body of the sandbox clock: `{"advance":"P7D"}`.
pub(super) fn advance(body: &Value) -> Result<crate::domain::duration::IsoDuration, ApiError> {
    let faults = Faults::default();
    let mut advance = None;
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        advance = reader.nullable_duration("advance");
        if advance.is_none() && faults.is_empty() {
            reader.report("advance", "is required: a duration such as P7D");
        }
        reader.finish();
    }
    checked(faults, advance)?.ok_or_else(|| ApiError::bad_request(Vec::new()))
}

pub(super) fn checked<T>(faults: Faults, value: T) -> Result<T, ApiError> {
    if faults.is_empty() { Ok(value) } else { Err(ApiError::bad_request(faults.into_violations())) }
}

/// Members of an item that no client writes.
const ITEM_READ_ONLY: [&str; 15] = [
    "id",
    "accessReviewId",
    "reviewedBy",
    "reviewedDateTime",
    "recommendation",
    "applyResult",
    "applyDescription",
    "appliedBy",
    "appliedDateTime",
    "principal",
    "principalLink",
    "resource",
    "resourceLink",
    "permission",
    "insights",
];

/// Whether the body carries read-only members, which [`check_item_echo`] then compares.
pub(super) fn echoes_item(body: &Value) -> bool {
    ITEM_READ_ONLY.iter().any(|name| body.get(name).is_some_and(|value| !value.is_null()))
}

/// Refuses read-only members that differ from what the caller sees of the item. Section 5 of the design, CL-20
pub(super) fn check_item_echo(body: &Value, shown: &Map<String, Value>) -> Result<(), ApiError> {
    check_echo(&ITEM_READ_ONLY, body, shown)
}

/// The same for other objects.
pub(super) fn check_echo(read_only: &[&'static str], body: &Value, shown: &Map<String, Value>) -> Result<(), ApiError> {
    let faults = Faults::default();
    echo::check(&faults, body, shown, read_only);
    checked(faults, ())
}

/// Members of an instance that no client writes; `scope` must come along but is not changed. LC-INST-30
const INSTANCE_READ_ONLY: [&str; 5] = ["id", "status", "startDateTime", "endDateTime", "errors"];

/// What an instance leads to; a client that had it sent along sends it back.
const INSTANCE_PARTS: [&str; 4] = ["contactedReviewers", "stages", "decisions", "definition"];

/// The body of INST-UPDATE, held against the instance as it is shown., CL-20
pub(super) fn instance_update(
    body: &Value,
    shown: &Map<String, Value>,
    scope_is_required: bool,
) -> Result<StageUpdateRequest, Vec<Violation>> {
    let faults = Faults::default();
    let mut request = StageUpdateRequest::default();
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        reader.expect_type("accessReviewInstance");
        match reader.raw("scope") {
            Sent::Value(Value::Object(_)) => {}
            Sent::Value(_) => reader.report("scope", "must be an object"),
            Sent::Absent | Sent::Null if scope_is_required => {
                reader.report("scope", "is required, although it does not change");
            }
            Sent::Absent | Sent::Null => {}
        }
        request.reviewers = parse_reviewer_scopes(&mut reader, "reviewers");
        request.fallback_reviewers = parse_fallback_reviewers(&mut reader);
        echo::check(&faults, body, shown, &INSTANCE_READ_ONLY);
        reader.ignore(&INSTANCE_READ_ONLY);
        reader.ignore(&INSTANCE_PARTS);
        reader.finish();
    }
    if faults.is_empty() { Ok(request) } else { Err(faults.into_violations()) }
}
