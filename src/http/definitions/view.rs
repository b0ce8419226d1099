//! Definitions and the values inside them as clients read them. Section 2 of the model; sections 5 and 13 of the protocol.
//!
//! `@odata.type` stands on every value whose declared type is a base type and nowhere else (CL-17).

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    app::entity_tags,
    domain::{
        definition::{
            ApplyAction, Definition, Identity, InsightSetting, MovingDecision, NotificationRecipient, Recurrence,
            RecurrencePattern, RecurrenceRange, Settings, StageSettings,
        },
        duration::IsoDuration,
        reviewer_scope::{
            DECISIONS_ROOT, MICROSOFT_GRAPH, ReviewerForm, ReviewerScope, ReviewerScopeType, TypedReviewer,
        },
    },
    http::{
        definitions::{
            body::COMPLETION_TEMPLATE,
            scopes::{render_enumeration, render_scope},
        },
        object::object,
    },
};

/// A definition without `@odata.context`; `backupReviewers` and `instances` are never part of it (M-04).
pub fn render(definition: &Definition) -> Value {
    json!(body(definition))
}

/// The same, to be written as text without a tree of values.
pub fn body(definition: &Definition) -> impl Serialize + use<'_> {
    let draft = &definition.draft;
    object!({
        "@odata.etag": entity_tags::of_definition(definition).to_string(),
        "id": definition.id,
        "displayName": &draft.display_name,
        "createdDateTime": render_date_time(definition.created_at),
        "lastModifiedDateTime": render_date_time(definition.modified_at),
        "status": definition.status.as_str(),
        "descriptionForAdmins": &draft.description_for_admins,
        "descriptionForReviewers": &draft.description_for_reviewers,
        "createdBy": render_identity(&definition.created_by),
        "scope": render_scope(&draft.scope.sent),
        "instanceEnumerationScope": draft.instance_enumeration_scope.as_deref().map(render_enumeration),
        "reviewers": render_reviewer_scopes(&draft.reviewer_lists.reviewers),
        "fallbackReviewers": render_reviewer_scopes(&draft.reviewer_lists.fallback_reviewers),
        "settings": render_settings(&draft.settings),
        "stageSettings": draft.stages.iter().map(render_stage_settings).collect::<Vec<_>>(),
        "additionalNotificationRecipients":
            draft.additional_notification_recipients.iter().map(render_recipient).collect::<Vec<_>>(),
    })
}

/// A reviewer scope as it was sent. A-14
struct SentReviewer<'a>(&'a ReviewerScope);

impl Serialize for SentReviewer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(scope) = self;
        match &scope.typed {
            None => object!({
                "query": &scope.query,
                "queryType": &scope.query_type,
                "queryRoot": &scope.query_root,
            })
            .serialize(serializer),
            Some(TypedReviewer { scope_type, reviewer_id, beside_query: true }) => object!({
                "query": &scope.query,
                "queryType": &scope.query_type,
                "queryRoot": &scope.query_root,
                "scopeType": scope_type.as_str(),
                "reviewerId": reviewer_id,
            })
            .serialize(serializer),
            Some(TypedReviewer { scope_type, reviewer_id, beside_query: false }) => {
                render_typed_reviewer(*scope_type, reviewer_id.as_deref()).serialize(serializer)
            }
        }
    }
}

/// R-09; without a query, which the base members say by null.
fn render_typed_reviewer(scope_type: ReviewerScopeType, reviewer_id: Option<&str>) -> impl Serialize + use<'_> {
    object!({
        "query": (),
        "queryType": (),
        "queryRoot": (),
        "scopeType": scope_type.as_str(),
        "reviewerId": reviewer_id,
    })
}

/// A reviewer scope of an instance: the query in its one spelling, absolute ones with the version prefix; the type of what has
/// no query. A-14
pub fn render_instance_reviewer_scope(form: &ReviewerForm) -> Value {
    if let Some(typed) = ReviewerScope::from_form(form.clone()).typed {
        return json!(render_typed_reviewer(typed.scope_type, None));
    }
    let query = form.normalised();
    let query = if query.starts_with('/') { format!("/v1.0{query}") } else { query };
    let query_root = (*form == ReviewerForm::Manager).then_some(DECISIONS_ROOT);
    json!({ "query": query, "queryType": MICROSOFT_GRAPH, "queryRoot": query_root })
}

/// A list of reviewer scopes as they were sent.
pub fn render_reviewer_scopes(scopes: &[ReviewerScope]) -> impl Serialize + use<'_> {
    scopes.iter().map(SentReviewer).collect::<Vec<_>>()
}

/// `userIdentity` where that is the declared type: `createdBy`, `reviewedBy`, `appliedBy`.
pub fn render_identity(identity: &Identity) -> impl Serialize + use<'_> {
    object!({
        "id": identity.id,
        "displayName": &identity.display_name,
        "userPrincipalName": &identity.user_principal_name,
    })
}

/// UTC with `Z`; the fraction has six digits, or is cut when zero. CL-15
pub fn render_date_time(at: DateTime<Utc>) -> String {
    let format = match at.timestamp_subsec_micros() {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Micros,
    };
    at.to_rfc3339_opts(format, true)
}

/// Puts [`render_date_time`] behind `out`, without a text of its own: for what long answers are made of.
pub fn push_date_time(at: DateTime<Utc>, out: &mut Vec<u8>) {
    let (date, time) = (at.date_naive(), at.time());
    let Some(year) = u32::try_from(date.year()).ok().filter(|year| *year < 10_000) else {
        out.extend_from_slice(render_date_time(at).as_bytes());
        return;
    };
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |begin: usize, digits: usize, mut number: u32| {
        for place in text[begin..begin + digits].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, date.month());
    put(8, 2, date.day());
    put(11, 2, time.hour());
    put(14, 2, time.minute());
    put(17, 2, time.second());
    match at.timestamp_subsec_micros() {
        0 => {
            out.extend_from_slice(&text[..19]);
            out.push(b'Z');
        }
        // Within a leap second.
        1_000_000.. => out.extend_from_slice(render_date_time(at).as_bytes()),
        micros => {
            put(20, 6, micros);
            out.extend_from_slice(&text);
        }
    }
}

/// `accessReviewScheduleSettings`. Section 2.2 of the model
pub fn render_settings(settings: &Settings) -> impl Serialize + use<'_> {
    object!({
        "mailNotificationsEnabled": settings.mail_notifications_enabled,
        "reminderNotificationsEnabled": settings.reminder_notifications_enabled,
        "justificationRequiredOnApproval": settings.justification_required_on_approval,
        "defaultDecisionEnabled": settings.default_decision_enabled,
        "defaultDecision": settings.default_decision.as_str(),
        "instanceDurationInDays": settings.instance_duration_in_days,
        "autoApplyDecisionsEnabled": settings.auto_apply_decisions_enabled,
        "recommendationsEnabled": settings.recommendations_enabled,
        "recommendationLookBackDuration": look_back(settings.recommendation_look_back_duration),
        "decisionHistoriesForReviewersEnabled": settings.decision_histories_for_reviewers_enabled,
        "recurrence": settings.recurrence.as_ref().map(render_recurrence),
        "applyActions": settings.apply_actions.iter().map(|action| render_apply_action(*action)).collect::<Vec<_>>(),
        "recommendationInsightSettings":
            settings.recommendation_insight_settings.iter().map(render_insight).collect::<Vec<_>>(),
    })
}

/// Not given is answered as the default that applies. LC-RCM-03
fn look_back(duration: Option<IsoDuration>) -> IsoDuration {
    duration.unwrap_or(IsoDuration::DEFAULT_LOOK_BACK)
}

fn render_apply_action(action: ApplyAction) -> impl Serialize {
    object!({
        "@odata.type": match action {
            ApplyAction::RemoveAccess => "#microsoft.graph.removeAccessApplyAction",
            ApplyAction::DisableAndDeleteUser => "#microsoft.graph.disableAndDeleteUserApplyAction",
        },
    })
}

fn render_insight(setting: &InsightSetting) -> Value {
    match setting {
        InsightSetting::UserLastSignIn { look_back: duration, sign_in_scope } => json!({
            "@odata.type": "#microsoft.graph.userLastSignInRecommendationInsightSetting",
            "recommendationLookBackDuration": look_back(*duration),
            "signInScope": sign_in_scope.as_str(),
        }),
        InsightSetting::GroupPeerOutlier => {
            json!({ "@odata.type": "#microsoft.graph.groupPeerOutlierRecommendationInsightSettings" })
        }
    }
}

/// Completed with the neutral values of what access reviews do not use. LC-REC-02
pub fn render_recurrence(recurrence: &Recurrence) -> impl Serialize + use<'_> {
    let pattern = recurrence.pattern.as_ref().map(|RecurrencePattern { kind, interval, day_of_month }| {
        object!({
            "type": kind.as_str(),
            "interval": interval,
            "month": 0,
            "dayOfMonth": day_of_month,
            "daysOfWeek": [(); 0],
            "firstDayOfWeek": "sunday",
            "index": "first",
        })
    });
    let range = recurrence.range.as_ref().map(
        |RecurrenceRange { kind, start_date, end_date, number_of_occurrences, time_zone }| {
            object!({
                "type": kind.as_str(),
                "numberOfOccurrences": number_of_occurrences,
                "recurrenceTimeZone": time_zone,
                "startDate": start_date,
                "endDate": end_date,
            })
        },
    );
    object!({ "pattern": pattern, "range": range })
}

fn render_stage_settings(stage: &StageSettings) -> impl Serialize + use<'_> {
    let moves: Vec<&str> =
        stage.decisions_that_will_move_to_next_stage.iter().copied().map(MovingDecision::as_str).collect();
    object!({
        "stageId": &stage.stage_id,
        "dependsOn": &stage.depends_on,
        "durationInDays": stage.duration_in_days,
        "recommendationsEnabled": stage.recommendations_enabled,
        "recommendationLookBackDuration": look_back(stage.recommendation_look_back_duration),
        "decisionsThatWillMoveToNextStage": moves,
        "reviewers": render_reviewer_scopes(&stage.reviewer_lists.reviewers),
        "fallbackReviewers": render_reviewer_scopes(&stage.reviewer_lists.fallback_reviewers),
        "recommendationInsightSettings":
            stage.recommendation_insight_settings.iter().map(render_insight).collect::<Vec<_>>(),
    })
}

fn render_recipient(recipient: &NotificationRecipient) -> impl Serialize + use<'_> {
    object!({
        "notificationTemplateType": COMPLETION_TEMPLATE,
        "notificationRecipientScope": object!({
            "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
            "query": &recipient.query,
            "queryRoot": &recipient.query_root,
            "queryType": MICROSOFT_GRAPH,
        }),
    })
}
