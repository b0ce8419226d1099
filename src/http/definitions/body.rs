//! Bodies that describe a definition, read into a [`DefinitionDraft`]. DEF-CREATE; sections 2, 3 and 6 of the model.
//!
//! All faults are collected, those of form and, of what could be read, those of value too, so that one answer tells them together.

use serde_json::Value;

use crate::{
    domain::{
        definition::{
            self, ApplyAction, DefaultDecision, DefinitionDraft, InsightSetting, MAX_INSIGHT_SETTINGS,
            MAX_NOTIFICATION_RECIPIENTS, MAX_SCOPES_PER_LIST, MAX_STAGES, MovingDecision, NotificationRecipient,
            PatternKind, RangeKind, Recurrence, RecurrencePattern, RecurrenceRange, Settings, SignInScope,
            StageSettings,
        },
        ids::ObjectId,
        reviewer_scope::{
            MICROSOFT_GRAPH, OwnerFilter, ReviewerForm, ReviewerLists, ReviewerScope, ReviewerScopeType, TypedReviewer,
        },
        scope::{MemberKind, ReviewScope, ScopeForm, SentScope},
        violation::Violation,
    },
    http::definitions::scopes,
    http::json_reader::{Faults, ObjectReader, Sent, choose},
};

/// Members that a client may send and that the server decides.
const READ_ONLY: [&str; 6] = ["id", "status", "createdBy", "createdDateTime", "lastModifiedDateTime", "instances"];
/// The one template of completion mails. Section 2.4 of the model
pub const COMPLETION_TEMPLATE: &str = "CompletedAdditionalRecipients";
/// Longest `recurrenceTimeZone`, in bytes.
const MAX_TIME_ZONE: usize = 128;
/// Most entries of a short list of words, such as `dependsOn`.
const MAX_WORDS: usize = 16;

/// Reads the body of a create: a draft, or everything that is wrong with it. What the directory does not hold is found out later.
///
/// Read-only members are ignored, members that do not exist are faults, absent ones take their defaults (LC-DEF-03).
pub fn parse_create(body: &Value) -> Result<DefinitionDraft, Vec<Violation>> {
    read_draft(body, Faults::default())
}

/// Reads a whole definition; `faults` holds what is wrong already. A draft without any fault of form is not judged by the rules of
/// values here: who uses it asks them where the directory is at hand too.
pub(super) fn read_draft(body: &Value, faults: Faults) -> Result<DefinitionDraft, Vec<Violation>> {
    let Some(read) = ObjectReader::new("", body, &faults).map(ReadMembers::read) else {
        return Err(faults.into_violations());
    };
    if faults.is_empty()
        && let Some(draft) = read.clone().whole()
    {
        return Ok(draft);
    }
    let mut violations = faults.into_violations();
    let stages_are_whole = violations.iter().all(|known| !overlap(&known.path, "stageSettings"));
    let further = definition::validate(&read.with_stand_ins(stages_are_whole));
    let is_new = |found: &Violation| violations.iter().all(|known| !overlap(&known.path, &found.path));
    let further: Vec<_> = further.into_iter().filter(is_new).collect();
    violations.extend(further);
    Err(violations)
}

/// Whether one path is the other's, or leads to it.
fn overlap(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What of a definition could be read; `None` where the form is at fault.
#[derive(Clone)]
struct ReadMembers {
    display_name: Option<String>,
    description_for_admins: Option<String>,
    description_for_reviewers: Option<String>,
    scope: Option<ReviewScope>,
    instance_enumeration_scope: Option<String>,
    reviewer_lists: ReviewerLists,
    settings: Option<Settings>,
    stages: Option<Vec<StageSettings>>,
    additional_notification_recipients: Vec<NotificationRecipient>,
}

impl ReadMembers {
    fn read(mut reader: ObjectReader<'_>) -> Self {
        reader.expect_type("accessReviewScheduleDefinition");
        reader.ignore(&READ_ONLY);
        let display_name = reader.required_text("displayName").map(str::to_owned);
        let description_for_admins = reader.nullable_text("descriptionForAdmins").map(str::to_owned);
        let description_for_reviewers = reader.nullable_text("descriptionForReviewers").map(str::to_owned);
        let scope = reader.required_object("scope").and_then(scopes::read_scope);
        let enumeration = reader.object("instanceEnumerationScope").map(scopes::read_enumeration);
        let scope = scopes::combine(&reader, scope, &enumeration);
        let reviewer_lists = read_reviewer_lists(&mut reader);
        let settings = reader.required_object("settings").map(read_settings);
        let stages = reader.objects("stageSettings", MAX_STAGES).unwrap_or_default();
        // every stage is read before the first one at fault is given up on
        let stages: Vec<Option<StageSettings>> = stages.into_iter().map(read_stage).collect();
        let additional_notification_recipients = read_recipients(&mut reader);
        reader.finish();
        Self {
            display_name,
            description_for_admins,
            description_for_reviewers,
            scope,
            instance_enumeration_scope: enumeration.value().flatten(),
            reviewer_lists,
            settings,
            stages: stages.into_iter().collect(),
            additional_notification_recipients,
        }
    }

    fn whole(self) -> Option<DefinitionDraft> {
        Some(DefinitionDraft {
            display_name: self.display_name?,
            description_for_admins: self.description_for_admins,
            description_for_reviewers: self.description_for_reviewers,
            scope: self.scope?,
            instance_enumeration_scope: self.instance_enumeration_scope,
            reviewer_lists: self.reviewer_lists,
            settings: self.settings?,
            stages: self.stages?,
            additional_notification_recipients: self.additional_notification_recipients,
        })
    }

    /// With something that breaks no rule in place of what could not be read. For judging only.
    fn with_stand_ins(self, stages_are_whole: bool) -> DefinitionDraft {
        let mut settings = self.settings.unwrap_or_default();
        // How long a review lasts is judged by its stages and its recurrence; where one of them is unread, by neither.
        let may_be_recurrence = settings.recurrence.is_none() && settings.instance_duration_in_days == 0;
        let stages = self.stages.filter(|_| stages_are_whole);
        if (stages.is_none() || may_be_recurrence) && settings.instance_duration_in_days >= 0 {
            settings.instance_duration_in_days = 1;
        }
        DefinitionDraft {
            display_name: self.display_name.unwrap_or_else(|| "unread".to_owned()),
            description_for_admins: self.description_for_admins,
            description_for_reviewers: self.description_for_reviewers,
            scope: self.scope.unwrap_or_else(guests_of_a_group),
            instance_enumeration_scope: self.instance_enumeration_scope,
            reviewer_lists: self.reviewer_lists,
            settings,
            stages: stages.unwrap_or_default(),
            additional_notification_recipients: self.additional_notification_recipients,
        }
    }
}

/// Of all scopes the one that forbids least.
fn guests_of_a_group() -> ReviewScope {
    let group = ObjectId::new(uuid::Uuid::nil());
    let form = ScopeForm::GroupMembers { group, transitive: true, members: MemberKind::Guests };
    ReviewScope { sent: SentScope::query("", None), form, inactivity: None }
}

fn report_query_error(reader: &ObjectReader<'_>, member: &str, unsupported: bool, reason: String) {
    let path = reader.path_of(member);
    reader.faults().push(match unsupported {
        true => Violation::unsupported_query(path, reason),
        false => Violation::new(path, reason),
    });
}

/// Both lists of an owner that must have them; absent ones are empty. M-05
fn read_reviewer_lists(reader: &mut ObjectReader<'_>) -> ReviewerLists {
    ReviewerLists {
        reviewers: parse_reviewer_scopes(reader, "reviewers").unwrap_or_default(),
        fallback_reviewers: parse_fallback_reviewers(reader).unwrap_or_default(),
    }
}

/// Reads `fallbackReviewers`, or its deprecated twin `backupReviewers` when only that is there. M-04
pub fn parse_fallback_reviewers(reader: &mut ObjectReader<'_>) -> Option<Vec<ReviewerScope>> {
    let twin = parse_reviewer_scopes(reader, "backupReviewers");
    match reader.mentions("fallbackReviewers") {
        true => parse_reviewer_scopes(reader, "fallbackReviewers"),
        false => twin,
    }
}

/// Reads a list of reviewer scopes. `None` when it is absent (or no array, which is reported); null is an empty list.
///
/// Entries of one meaning are kept once, the first spelling of them (LC-SUPD-07). A `self` stands alone (R-09).
pub fn parse_reviewer_scopes(reader: &mut ObjectReader<'_>, name: &'static str) -> Option<Vec<ReviewerScope>> {
    let entries = reader.objects(name, MAX_SCOPES_PER_LIST)?;
    let alone = entries.len() == 1 && name == "reviewers";
    let mut scopes: Vec<ReviewerScope> = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(scope) = read_reviewer_scope(entry, alone)
            && scopes.iter().all(|known| known.form != scope.form)
        {
            scopes.push(scope);
        }
    }
    Some(scopes)
}

/// R-02 to R-09: a query, a type, or both when they say the same (M-12). `None` after a fault.
fn read_reviewer_scope(mut reader: ObjectReader<'_>, self_allowed: bool) -> Option<ReviewerScope> {
    if let Some(name) = reader.odata_type()
        && !["accessReviewReviewerScope", "accessReviewQueryScope"].iter().any(|known| known.eq_ignore_ascii_case(name))
    {
        reader.report("@odata.type", "must be #microsoft.graph.accessReviewReviewerScope here");
    }
    let query = reader.nullable_text("query");
    let query_root = reader.nullable_text("queryRoot");
    // one official example calls it `type`
    let alias = reader.nullable_text("type");
    let query_type = reader.nullable_text("queryType").or(alias);
    let reviewer = reader.nullable_text("reviewerId");
    let scope_type = reader.choice("scopeType", &ReviewerScopeType::ALL, ReviewerScopeType::as_str);
    let type_refused = scope_type == Sent::Absent && reader.mentions("scopeType");
    let typed = scope_type.value();
    let written = query.map(|query| ReviewerScope::parse(query, query_type, query_root));
    if let Some(Err(error)) = &written {
        report_query_error(&reader, error.member(), error.is_unsupported_query(), error.to_string());
    }
    let scope = match (written, typed) {
        (Some(Err(_)), _) => None,
        (None, None) => {
            if !type_refused && !matches!(reader.raw("query"), Sent::Value(_)) {
                reader.report("query", "is required, unless scopeType says who reviews");
            }
            None
        }
        (Some(Ok(scope)), None) => {
            if reviewer.is_some() {
                reader.report("reviewerId", "goes with a scopeType of user or group only");
            }
            Some(scope)
        }
        (written, Some(scope_type)) => {
            let written = written.and_then(Result::ok);
            let form = typed_form(&reader, scope_type, reviewer, self_allowed && written.is_none());
            if written.is_none() {
                for (name, sent) in [("queryRoot", query_root), ("queryType", query_type)] {
                    let allowed = sent.is_none_or(|sent| {
                        sent.is_empty() || name == "queryType" && sent.eq_ignore_ascii_case(MICROSOFT_GRAPH)
                    });
                    if !allowed {
                        reader.report(name, "goes with a query only");
                    }
                }
            }
            let typed =
                TypedReviewer { scope_type, reviewer_id: reviewer.map(str::to_owned), beside_query: written.is_some() };
            match (written, form) {
                (Some(scope), Some(form)) if scope.form == form => Some(ReviewerScope { typed: Some(typed), ..scope }),
                (Some(_), Some(_)) => {
                    reader.report("scopeType", "says something else than query; send one of them");
                    None
                }
                (_, form) => form.map(|form| ReviewerScope { typed: Some(typed), ..ReviewerScope::from_form(form) }),
            }
        }
    };
    reader.finish();
    scope
}

fn typed_form(
    reader: &ObjectReader<'_>,
    scope_type: ReviewerScopeType,
    reviewer: Option<&str>,
    self_allowed: bool,
) -> Option<ReviewerForm> {
    let id = reviewer.and_then(|id| (id.len() == 36).then(|| id.parse().ok()).flatten());
    if scope_type.names_object() && id.is_none() {
        reader.report("reviewerId", format!("must be the GUID of the {} that reviews", scope_type.as_str()));
        return None;
    }
    if !scope_type.names_object() && reviewer.is_some() {
        reader.report("reviewerId", "goes with a scopeType of user or group only");
        return None;
    }
    if scope_type == ReviewerScopeType::OneSelf && !self_allowed {
        reader.report("scopeType", "self must be the only entry of reviewers, without a query");
        return None;
    }
    scope_type.form(id)
}

/// Section 2.2 of the model, LC-DEF-03
fn read_settings(mut reader: ObjectReader<'_>) -> Settings {
    let default_decision = reader.choice("defaultDecision", &DefaultDecision::ALL, DefaultDecision::as_str).value();
    let recommendation_insight_settings =
        reader.objects("recommendationInsightSettings", MAX_INSIGHT_SETTINGS).unwrap_or_default();
    let apply_actions = reader.objects("applyActions", MAX_WORDS).unwrap_or_default();
    let recurrence = match reader.object("recurrence") {
        Sent::Value(recurrence) => Some(read_recurrence(recurrence)),
        Sent::Absent | Sent::Null => None,
    };
    let settings = Settings {
        mail_notifications_enabled: reader.flag("mailNotificationsEnabled").unwrap_or(false),
        reminder_notifications_enabled: reader.flag("reminderNotificationsEnabled").unwrap_or(false),
        justification_required_on_approval: reader.flag("justificationRequiredOnApproval").unwrap_or(false),
        default_decision_enabled: reader.flag("defaultDecisionEnabled").unwrap_or(false),
        default_decision: default_decision.unwrap_or(DefaultDecision::None),
        instance_duration_in_days: reader.integer("instanceDurationInDays").unwrap_or(0),
        auto_apply_decisions_enabled: reader.flag("autoApplyDecisionsEnabled").unwrap_or(false),
        recommendations_enabled: reader.flag("recommendationsEnabled").unwrap_or(false),
        recommendation_look_back_duration: reader.nullable_duration("recommendationLookBackDuration"),
        recommendation_insight_settings: recommendation_insight_settings.into_iter().filter_map(read_insight).collect(),
        decision_histories_for_reviewers_enabled: reader
            .nullable_flag("decisionHistoriesForReviewersEnabled")
            .unwrap_or(false),
        recurrence: recurrence.flatten(),
        apply_actions: apply_actions.into_iter().filter_map(read_apply_action).collect(),
    };
    reader.finish();
    settings
}

/// Section 2.5 of the model
fn read_apply_action(reader: ObjectReader<'_>) -> Option<ApplyAction> {
    let action = match reader.odata_type().map(str::to_ascii_lowercase).as_deref() {
        Some("removeaccessapplyaction") => Some(ApplyAction::RemoveAccess),
        Some("disableanddeleteuserapplyaction") => Some(ApplyAction::DisableAndDeleteUser),
        Some(_) | None => {
            reader.report(
                "@odata.type",
                "must be #microsoft.graph.removeAccessApplyAction or #microsoft.graph.disableAndDeleteUserApplyAction",
            );
            None
        }
    };
    reader.finish();
    action
}

/// Section 2.6 of the model
fn read_insight(mut reader: ObjectReader<'_>) -> Option<InsightSetting> {
    let setting = match reader.odata_type().map(str::to_ascii_lowercase).as_deref() {
        Some("userlastsigninrecommendationinsightsetting") => Some(InsightSetting::UserLastSignIn {
            look_back: reader.nullable_duration("recommendationLookBackDuration"),
            sign_in_scope: reader
                .choice("signInScope", &SignInScope::ALL, SignInScope::as_str)
                .value()
                .unwrap_or(SignInScope::Tenant),
        }),
        Some("grouppeeroutlierrecommendationinsightsettings") => Some(InsightSetting::GroupPeerOutlier),
        Some(_) | None => {
            reader.report(
                "@odata.type",
                "must be #microsoft.graph.userLastSignInRecommendationInsightSetting or \
                 #microsoft.graph.groupPeerOutlierRecommendationInsightSettings",
            );
            return None;
        }
    };
    reader.finish();
    setting
}

/// Section 6.1 of the model. `None` only after a fault.
pub fn read_recurrence(mut reader: ObjectReader<'_>) -> Option<Recurrence> {
    let pattern = reader.object("pattern").value().map(read_pattern);
    let range = reader.object("range").value().map(read_range);
    reader.finish();
    // an inner `None` is a fault, an outer one an absence
    let pattern = pattern.map_or(Some(None), |pattern| pattern.map(Some))?;
    let range = range.map_or(Some(None), |range| range.map(Some))?;
    Some(Recurrence { pattern, range })
}

const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const INDEXES: [&str; 5] = ["first", "second", "third", "fourth", "last"];

/// Section 6.2 of the model. What access reviews ignore is only looked at for its form. LC-REC-02
fn read_pattern(mut reader: ObjectReader<'_>) -> Option<RecurrencePattern> {
    let kind = reader.required_choice("type", &PatternKind::ALL, PatternKind::as_str);
    let interval = reader.required_integer("interval");
    let day_of_month = reader.integer("dayOfMonth").unwrap_or(0);
    let _ = reader.integer("month");
    let _ = reader.choice("firstDayOfWeek", &DAYS, |day| day);
    let _ = reader.choice("index", &INDEXES, |index| index);
    for (path, day) in reader.texts("daysOfWeek", MAX_WORDS).unwrap_or_default() {
        if let Err(reason) = choose(day, &DAYS, |day| day) {
            reader.faults().report(path, reason);
        }
    }
    reader.finish();
    Some(RecurrencePattern { kind: kind?, interval: interval?, day_of_month })
}

/// Section 6.3 of the model
fn read_range(mut reader: ObjectReader<'_>) -> Option<RecurrenceRange> {
    let kind = reader.required_choice("type", &RangeKind::ALL, RangeKind::as_str);
    let start_date = reader.required_date("startDate");
    let end_date = reader.date("endDate").value();
    let number_of_occurrences = reader.integer("numberOfOccurrences").unwrap_or(0);
    let time_zone = reader.nullable_text("recurrenceTimeZone");
    if time_zone.is_some_and(|zone| zone.len() > MAX_TIME_ZONE) {
        reader.report("recurrenceTimeZone", format!("must have at most {MAX_TIME_ZONE} bytes"));
    }
    reader.finish();
    Some(RecurrenceRange {
        kind: kind?,
        start_date: start_date?,
        end_date,
        number_of_occurrences,
        time_zone: time_zone.map(str::to_owned),
    })
}

/// Section 2.3 of the model
fn read_stage(mut reader: ObjectReader<'_>) -> Option<StageSettings> {
    let stage_id = reader.required_text("stageId").map(str::to_owned);
    let depends_on = reader.texts("dependsOn", MAX_WORDS).unwrap_or_default();
    let duration_in_days = reader.required_integer("durationInDays");
    let recommendations_enabled = reader.flag("recommendationsEnabled").unwrap_or(false);
    let recommendation_look_back_duration = reader.nullable_duration("recommendationLookBackDuration");
    // the reference page spells it so
    let misspelt = reader.objects("recommendationInsightsSettings", MAX_INSIGHT_SETTINGS);
    let insights = reader.objects("recommendationInsightSettings", MAX_INSIGHT_SETTINGS).or(misspelt);
    let mut moves: Vec<MovingDecision> = Vec::new();
    for (path, text) in reader.texts("decisionsThatWillMoveToNextStage", MAX_WORDS).unwrap_or_default() {
        match choose(text, &MovingDecision::ALL, MovingDecision::as_str) {
            Ok(decision) if !moves.contains(&decision) => moves.push(decision),
            Ok(_) => {}
            Err(reason) => reader.faults().report(path, reason),
        }
    }
    let reviewer_lists = read_reviewer_lists(&mut reader);
    reader.finish();
    Some(StageSettings {
        stage_id: stage_id?,
        depends_on: depends_on.into_iter().map(|(_, text)| text.to_owned()).collect(),
        duration_in_days: duration_in_days?,
        recommendations_enabled,
        recommendation_look_back_duration,
        recommendation_insight_settings: insights.unwrap_or_default().into_iter().filter_map(read_insight).collect(),
        decisions_that_will_move_to_next_stage: moves,
        reviewer_lists,
    })
}

/// Section 2.4 of the model
fn read_recipients(reader: &mut ObjectReader<'_>) -> Vec<NotificationRecipient> {
    reader
        .objects("additionalNotificationRecipients", MAX_NOTIFICATION_RECIPIENTS)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|mut item| {
            let _ = item.choice("notificationTemplateType", &[COMPLETION_TEMPLATE], |template| template);
            let recipient = item.required_object("notificationRecipientScope").and_then(read_recipient);
            item.finish();
            recipient
        })
        .collect()
}

/// Section 8.9 of the API
fn read_recipient(mut reader: ObjectReader<'_>) -> Option<NotificationRecipient> {
    reader.expect_type("accessReviewNotificationRecipientQueryScope");
    let query = reader.required_text("query");
    let query_type = reader.nullable_text("queryType");
    let query_root = reader.nullable_text("queryRoot");
    let recipient = query.and_then(|query| {
        let form = match ReviewerScope::parse(query, query_type, query_root) {
            Ok(scope) => scope.form,
            Err(error) => {
                report_query_error(&reader, error.member(), error.is_unsupported_query(), error.to_string());
                return None;
            }
        };
        let fits = match &form {
            ReviewerForm::User(_) | ReviewerForm::GroupMembers(_) => true,
            ReviewerForm::GroupOwners(_, filter) => *filter == OwnerFilter::default(),
            ReviewerForm::ResourceOwners
            | ReviewerForm::Manager
            | ReviewerForm::ServicePrincipalOwners(_)
            | ReviewerForm::OneSelf
            | ReviewerForm::Sponsor
            | ReviewerForm::ManagerOrSponsor => false,
        };
        if !fits {
            let reason = "must be /users/{id}, /groups/{id}/members, /groups/{id}/transitiveMembers or \
                          /groups/{id}/owners; {id} is a GUID";
            reader.faults().push(Violation::unsupported_query(reader.path_of("query"), reason));
        }
        fits.then(|| NotificationRecipient { query: query.to_owned(), query_root: None })
    });
    reader.finish();
    recipient
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        domain::{
            definition::{self, Definition, Identity, Schedule},
            ids::{DefinitionId, ObjectId},
            status::Status,
            violation::ViolationCode,
        },
        http::definitions::view,
    };

    const GROUP: &str = "9e0b2f61-7f3c-4a8c-8a44-1f0d6c9b2a10";
    const USER: &str = "2d1c7a90-58f5-4bb1-9d3e-71a2c0f4b602";

    /// The example of section 2.1 of the model, as a client sends it.
    fn series() -> Value {
        json!({
            "displayName": "Finance share - quarterly guests",
            "descriptionForAdmins": "Guests in the finance share group",
            "descriptionForReviewers": "Keep only partners with an open contract",
            "scope": {
                "@odata.type": "#microsoft.graph.accessReviewQueryScope",
                "query": format!("/groups/{GROUP}/transitiveMembers/?$count=true&$filter=(userType eq 'Guest')"),
                "queryType": "MicrosoftGraph"
            },
            "reviewers": [ { "query": format!("/groups/{GROUP}/owners"), "queryType": "MicrosoftGraph" } ],
            "fallbackReviewers": [ { "query": format!("/users/{USER}"), "queryType": "MicrosoftGraph", "queryRoot": null } ],
            "settings": {
                "mailNotificationsEnabled": true, "reminderNotificationsEnabled": true, "justificationRequiredOnApproval": true,
                "defaultDecisionEnabled": true, "defaultDecision": "Recommendation", "instanceDurationInDays": 14,
                "autoApplyDecisionsEnabled": false, "recommendationsEnabled": true, "recommendationLookBackDuration": "P45D",
                "recurrence": {
                    "pattern": { "type": "absoluteMonthly", "interval": 3, "dayOfMonth": 2 },
                    "range": { "type": "noEnd", "startDate": "2026-03-02T00:00:00.000Z" }
                },
                "applyActions": [ { "@odata.type": "#microsoft.graph.removeAccessApplyAction" } ]
            }
        })
    }

    /// The two-stage example of section 2.6 of the model, with a third stage, everything optional used and Python's notation.
    fn three_stages() -> Value {
        json!({
            "@odata.type": "#microsoft.graph.accessReviewScheduleDefinition",
            "displayName": "Sales",
            "scope": {
                "@odata.type": "microsoft.graph.accessreviewinactiveusersqueryscope",
                "query": format!("/v1.0/groups/{GROUP}/transitiveMembers"),
                "inactiveDuration": "30 days, 0:00:00"
            },
            "instanceEnumerationScope": { "query": format!("/groups/{GROUP}") },
            "settings": {
                "defaultDecision": "none",
                "recurrence": {
                    "pattern": {
                        "type": "weekly", "interval": 2, "daysOfWeek": ["monday"], "index": "first", "firstDayOfWeek": "monday"
                    },
                    "range": { "type": "numbered", "startDate": "2026-01-02", "numberOfOccurrences": 5.0 }
                },
                "recommendationInsightSettings": [
                    {
                        "@odata.type": "#microsoft.graph.userlastsignInrecommendationinsightsetting",
                        "recommendationLookBackDuration": "1 day, 0:00:00",
                        "signInScope": "tenant"
                    },
                    { "@odata.type": "#microsoft.graph.groupPeerOutlierRecommendationInsightSettings" }
                ]
            },
            "stageSettings": [
                { "stageId": "1", "durationInDays": 3, "recommendationsEnabled": true, "dependsOn": [],
                  "decisionsThatWillMoveToNextStage": ["NotReviewed", "deny", "Deny"],
                  "reviewers": [ { "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions" } ],
                  "fallbackReviewers": [ { "query": format!("/users/{USER}"), "type": "MicrosoftGraph" } ] },
                { "stageId": "2", "dependsOn": ["1"], "durationInDays": 4, "recommendationsEnabled": false,
                  "recommendationInsightsSettings": [
                      { "@odata.type": "#microsoft.graph.groupPeerOutlierRecommendationInsightSettings" } ],
                  "backupReviewers": [ { "scopeType": "group", "reviewerId": GROUP } ],
                  "reviewers": [ { "scopeType": "user", "reviewerId": USER }, { "query": format!("/users/{USER}/") } ] },
                { "stageId": "3", "dependsOn": ["2"], "durationInDays": 7, "reviewers": [ { "scopeType": "self" } ] }
            ],
            "additionalNotificationRecipients": [ {
                "notificationTemplateType": "CompletedAdditionalRecipients",
                "notificationRecipientScope": {
                    "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
                    "query": format!("/groups/{GROUP}/members"), "queryType": "MicrosoftGraph"
                }
            } ]
        })
    }

    fn stored(draft: DefinitionDraft) -> Definition {
        Definition {
            id: DefinitionId::new(uuid::uuid!("5b0f6c52-0e55-4c0c-9a0e-3f8f6d1a7c11")),
            draft,
            created_at: "2026-02-02T08:15:30.123456Z".parse().unwrap(),
            modified_at: "2026-02-02T08:15:31Z".parse().unwrap(),
            created_by: Identity {
                id: ObjectId::new(uuid::uuid!("c6a4f1de-0a57-4f2e-8f70-0b8a6a2f9e01")),
                display_name: "Ines Okafor".to_owned(),
                user_principal_name: "ines@northgate.example".to_owned(),
            },
            status: Status::NotStarted,
            schedule: Schedule::default(),
        }
    }

    /// Form and rules.
    fn parse_create(body: &Value) -> Result<DefinitionDraft, Vec<Violation>> {
        let mut draft = super::parse_create(body)?;
        let violations = definition::validate(&draft);
        draft.order_stages();
        if violations.is_empty() { Ok(draft) } else { Err(violations) }
    }

    fn create(body: &Value) -> DefinitionDraft {
        parse_create(body).unwrap_or_else(|violations| panic!("{violations:#?}"))
    }

    /// Puts `value` at a JSON pointer; a last part that is no index appends to an array.
    fn with(mut body: Value, pointer: &str, value: Value) -> Value {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match body.pointer_mut(parent).unwrap() {
            Value::Object(members) => drop(members.insert(name.to_owned(), value)),
            Value::Array(entries) => match name.parse::<usize>() {
                Ok(index) => entries[index] = value,
                Err(_) => entries.push(value),
            },
            other => panic!("{other} has no members"),
        }
        body
    }

    fn without(mut body: Value, pointer: &str) -> Value {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(name).unwrap();
        body
    }

    fn faults(body: &Value) -> Vec<String> {
        let violations = parse_create(body).err().unwrap_or_default();
        violations.into_iter().map(|fault| format!("{}: {}", fault.path, fault.reason)).collect()
    }

    #[test]
    fn a_series_is_answered_in_the_shape_of_the_model() {
        insta::assert_json_snapshot!("series", view::render(&stored(create(&series()))));
    }

    #[test]
    fn three_stages_are_answered_in_the_shape_of_the_model() {
        insta::assert_json_snapshot!("three_stages", view::render(&stored(create(&three_stages()))));
    }

    #[test]
    fn the_least_body_is_answered_with_every_default() {
        let body = json!({
            "displayName": "Once",
            "scope": { "query": format!("/groups/{GROUP}/members") },
            "settings": { "instanceDurationInDays": 3 }
        });

        insta::assert_json_snapshot!("least", view::render(&stored(create(&body))));
    }

    /// CL-20
    #[test]
    fn what_is_answered_can_be_sent_back_and_means_the_same() {
        for body in [series(), three_stages()] {
            let draft = create(&body);
            let sent_back = view::render(&stored(draft.clone()));
            let again = create(&sent_back);

            assert_eq!(view::render(&stored(again)), sent_back);
        }
    }

    #[test]
    fn an_instance_scope_and_its_reviewers_have_one_spelling() {
        let draft = create(&three_stages());

        insta::assert_json_snapshot!(scopes::render_scope(&draft.scope.normalised().sent), @r##"
        {
          "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope",
          "query": "/v1.0/groups/9e0b2f61-7f3c-4a8c-8a44-1f0d6c9b2a10/transitiveMembers",
          "queryType": "MicrosoftGraph",
          "queryRoot": null,
          "inactiveDuration": "P30D"
        }
        "##);
        let forms = [&draft.stages[0].reviewer_lists, &draft.stages[1].reviewer_lists]
            .map(|lists| view::render_instance_reviewer_scope(&lists.reviewers[0].form));
        insta::assert_json_snapshot!(forms, @r##"
        [
          {
            "query": "./manager",
            "queryType": "MicrosoftGraph",
            "queryRoot": "decisions"
          },
          {
            "query": "/v1.0/users/2d1c7a90-58f5-4bb1-9d3e-71a2c0f4b602",
            "queryType": "MicrosoftGraph",
            "queryRoot": null
          }
        ]
        "##);
    }

    /// LC-STAGE-02
    #[test]
    fn stages_are_kept_in_the_order_of_their_chain() {
        let mut body = three_stages();
        body["stageSettings"].as_array_mut().unwrap().reverse();
        let draft = create(&body);

        let ids: Vec<&str> = draft.stages.iter().map(|stage| stage.stage_id.as_str()).collect();
        assert_eq!(ids, ["1", "2", "3"]);
        let plan: Vec<_> = draft
            .stage_plan()
            .iter()
            .map(|stage| (stage.ordinal, stage.starts_after_days, stage.ends_after_days))
            .collect();
        assert_eq!(plan, [(1, 0, 3), (2, 3, 7), (3, 7, 14)]);
    }

    /// LC-DEF-02
    #[test]
    fn a_review_without_stage_settings_is_planned_as_one_stage() {
        let draft = create(&series());

        let plan = draft.stage_plan();
        assert_eq!((plan.len(), plan[0].ordinal, plan[0].ends_after_days), (1, 1, 14));
        assert_eq!(plan[0].reviewer_lists, &draft.reviewer_lists);
        assert!(!draft.is_multi_stage());
    }

    #[test]
    fn read_only_members_and_annotations_are_ignored_on_create() {
        let mut body = series();
        for (name, value) in [
            ("id", json!("x")),
            ("status", json!("Applied")),
            ("createdBy", json!({ "@odata.type": "#microsoft.graph.userIdentity" })),
            ("createdDateTime", json!(null)),
            ("lastModifiedDateTime", json!("2026-01-01T00:00:00+00:00")),
            ("instances", json!([])),
            ("@odata.etag", json!("W/1")),
            ("instances@odata.context", json!("x")),
        ] {
            body[name] = value;
        }

        assert_eq!(create(&body), create(&series()));
    }

    /// LC-REC-01, LC-REC-08
    #[test]
    fn a_one_time_review_may_end_on_its_end_date() {
        let recurrence = json!({ "pattern": null, "range": { "type": "endDate", "startDate": "2026-03-02", "endDate": "2026-03-20" } });
        let body = with(without(series(), "/settings/instanceDurationInDays"), "/settings/recurrence", recurrence);

        assert_eq!(create(&body).total_duration_days(), 0);
    }

    /// M-04
    #[test]
    fn fallback_reviewers_win_over_their_deprecated_twin() {
        let body = with(series(), "/backupReviewers", json!([{ "query": "./owners" }]));

        assert_eq!(create(&body).reviewer_lists, create(&series()).reviewer_lists);
    }

    /// M-05
    #[test]
    fn absent_null_and_empty_reviewers_and_a_single_self_are_a_self_review() {
        for body in [
            without(series(), "/reviewers"),
            with(series(), "/reviewers", json!(null)),
            with(series(), "/reviewers", json!([])),
            with(series(), "/reviewers", json!([{ "scopeType": "self" }])),
        ] {
            assert!(create(&body).reviewer_lists.is_self_review());
        }
    }

    /// R-09
    #[test]
    fn typed_reviewers_are_read_as_the_queries_they_stand_for() {
        let typed = json!([
            { "scopeType": "user", "reviewerId": USER },
            { "scopeType": "Group", "reviewerId": GROUP, "query": null },
            { "scopeType": "manager" },
            { "scopeType": "resourceOwner", "query": "./owners" },
            { "scopeType": "sponsor" },
            { "scopeType": "managerOrSponsor" }
        ]);
        let lists = create(&with(series(), "/reviewers", typed)).reviewer_lists;

        let forms: Vec<String> = lists.reviewers.iter().map(|scope| scope.form.normalised()).collect();
        assert_eq!(
            forms,
            [
                format!("/users/{USER}"),
                format!("/groups/{GROUP}/transitiveMembers"),
                "./manager".to_owned(),
                "./owners".to_owned(),
                "sponsor".to_owned(),
                "managerOrSponsor".to_owned()
            ]
        );
        insta::assert_json_snapshot!("typed_reviewers", view::render_reviewer_scopes(&lists.reviewers));
    }

    #[test]
    fn every_fault_of_form_is_reported_at_once() {
        let body = json!({ "scope": 1, "settings": { "recurrence": { "pattern": {}, "range": {} } }, "stageSettings": [ {}, 2 ] });

        insta::assert_snapshot!(faults(&body).join("\n"), @r"
        displayName: is required
        scope: must be an object
        settings.recurrence.pattern.type: is required
        settings.recurrence.pattern.interval: is required
        settings.recurrence.range.type: is required
        settings.recurrence.range.startDate: is required
        stageSettings[1]: must be an object
        stageSettings[0].stageId: is required
        stageSettings[0].durationInDays: is required
        ");
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in [json!(null), json!([]), json!("x")] {
            assert_eq!(faults(&body), [": must be an object"]);
        }
    }

    #[test]
    fn queries_that_are_unknown_or_not_offered_have_their_own_code() {
        for body in [
            with(series(), "/scope/query", json!("./members")),
            with(series(), "/scope/queryType", json!("ARM")),
            with(
                series(),
                "/scope",
                json!({ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": "allUsers" }),
            ),
            with(series(), "/reviewers/0/query", json!("/users/me")),
            with(series(), "/instanceEnumerationScope", json!({ "query": "/groups?$filter=x" })),
        ] {
            let violations = parse_create(&body).unwrap_err();
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert_eq!(violations[0].code, ViolationCode::UnsupportedQuery);
        }
    }

    /// One test for each refusal: the body, and the one fault it has (the reason by its beginning).
    macro_rules! refused {
        ($($(#[$meta:meta])* $name:ident: $body:expr => $fault:literal;)*) => {
            mod refused {
                use super::*;

                $($(#[$meta])* #[test]
                fn $name() {
                    let faults = faults(&$body);
                    assert!(faults.len() == 1 && faults[0].starts_with($fault), "{faults:#?}");
                })*
            }
        };
    }

    refused! {
        an_absent_name: without(series(), "/displayName") => "displayName: is required";
        a_blank_name: with(series(), "/displayName", json!("  ")) => "displayName: must not be empty";
        a_name_that_is_too_long: with(series(), "/displayName", json!("x".repeat(257))) => "displayName: must have at most 256";
        a_name_that_is_no_text: with(series(), "/displayName", json!(5)) => "displayName: must be a text";
        a_description_that_is_too_long: with(series(), "/descriptionForAdmins", json!("x".repeat(4_097)))
            => "descriptionForAdmins: must have at most 4096";
        an_unknown_member: with(series(), "/displayname", json!("x")) => "displayname: is not a known member";
        an_unknown_member_of_the_settings: with(series(), "/settings/recurence", json!(null))
            => "settings.recurence: is not a known member";
        a_misspelt_fallback_list: with(three_stages(), "/stageSettings/1/fallbackReviewer", json!([]))
            => "stageSettings[1].fallbackReviewer: is not a known member";
        a_wrong_type_of_the_body: with(series(), "/@odata.type", json!("#microsoft.graph.user"))
            => "@odata.type: must be #microsoft.graph.accessReviewScheduleDefinition here";
        an_absent_scope: without(series(), "/scope") => "scope: is required";
        an_unknown_scope_type: with(series(), "/scope/@odata.type", json!("#microsoft.graph.user"))
            => "scope.@odata.type: must be one of #microsoft.graph.accessReviewQueryScope, #microsoft.graph.";
        a_scope_of_memberships_of_nobody: with(series(), "/scope", json!({
                "@odata.type": "#microsoft.graph.principalResourceMembershipsScope", "principalScopes": [], "resourceScopes": [{ "query": "/groups" }] }))
            => "scope.principalScopes: must have at least one entry";
        memberships_within_memberships: with(series(), "/scope", json!({
                "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
                "principalScopes": [{ "@odata.type": "#microsoft.graph.principalResourceMembershipsScope" }],
                "resourceScopes": [{ "query": "/groups" }] }))
            => "scope.principalScopes[0].@odata.type: must not be another principalResourceMembershipsScope";
        memberships_without_their_type: with(series(), "/scope", json!({ "principalScopes": [], "resourceScopes": [] }))
            => "scope.@odata.type: is required";
        a_typed_resource_without_id: with(series(), "/scope", json!({
                "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
                "principalScopes": [{ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": "allUsers" }],
                "resourceScopes": [{ "@odata.type": "#microsoft.graph.accessReviewResourceScope", "scopeType": "group" }] }))
            => "scope.resourceScopes[0].resourceId: is required";
        principals_of_an_unknown_type: with(series(), "/scope", json!({
                "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
                "principalScopes": [{ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": "unknownFutureValue" }],
                "resourceScopes": [{ "query": "/groups" }] }))
            => "scope.principalScopes[0].scopeType: must be one of allUsers, guestUsers";
        an_arm_scope: with(series(), "/scope/queryType", json!("ARM"))
            => "scope.queryType: the query type `ARM` is not offered";
        a_relative_scope_without_enumeration: with(series(), "/scope/query", json!("./members/microsoft.graph.user"))
            => "instanceEnumerationScope: is required";
        an_enumeration_with_a_root: with(series(), "/instanceEnumerationScope", json!({ "query": format!("/groups/{GROUP}"), "queryRoot": "/v1.0" }))
            => "instanceEnumerationScope.queryRoot: an enumeration takes no query root";
        an_inactive_duration_without_its_type: with(without(three_stages(), "/scope/@odata.type"), "/scope/queryRoot", json!(null))
            => "scope.@odata.type: is required";
        a_scope_without_query: without(series(), "/scope/query") => "scope.query: is required";
        an_unknown_scope_query: with(series(), "/scope/query", json!("/users")) => "scope.query: the scope query `/users` is not supported";
        inactive_users_of_three_years: with(three_stages(), "/scope/inactiveDuration", json!("P3Y"))
            => "scope.inactiveDuration: P3Y is longer than 730 days";
        a_negative_duration: with(three_stages(), "/scope/inactiveDuration", json!("-P3D"))
            => "scope.inactiveDuration: must be an ISO 8601 duration";
        an_enumeration_of_another_group: with(series(), "/instanceEnumerationScope", json!({ "query": format!("/groups/{USER}") }))
            => "instanceEnumerationScope.query: must name the same group";
        absent_settings: without(series(), "/settings") => "settings: is required";
        null_settings: with(series(), "/settings", json!(null)) => "settings: is required";
        a_boolean_in_quotes: with(series(), "/settings/mailNotificationsEnabled", json!("true"))
            => "settings.mailNotificationsEnabled: must be true or false";
        a_null_boolean: with(series(), "/settings/mailNotificationsEnabled", json!(null))
            => "settings.mailNotificationsEnabled: must not be null";
        a_number_in_quotes: with(series(), "/settings/instanceDurationInDays", json!("3"))
            => "settings.instanceDurationInDays: must be an integer";
        a_negative_number_of_days: with(series(), "/settings/instanceDurationInDays", json!(-1))
            => "settings.instanceDurationInDays: must be a number of days from 0";
        /// M-06
        an_enabled_default_decision_of_none: without(series(), "/settings/defaultDecision")
            => "settings.defaultDecision: must be Approve, Deny or Recommendation";
        an_unknown_default_decision: with(series(), "/settings/defaultDecision", json!("Keep"))
            => "settings.defaultDecision: must be one of None, Approve, Deny, Recommendation";
        /// LC-APPLY-08
        disable_and_delete_where_members_are_reviewed: with(
            with(series(), "/scope/query", json!(format!("/groups/{GROUP}/transitiveMembers"))),
            "/settings/applyActions/0", json!({ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }))
            => "settings.applyActions[0]: disableAndDeleteUserApplyAction needs a scope limited to guests";
        two_apply_actions: with(series(), "/settings/applyActions/-", json!({ "@odata.type": "#microsoft.graph.removeAccessApplyAction" }))
            => "settings.applyActions: must have at most one action";
        an_apply_action_without_type: with(series(), "/settings/applyActions/0", json!({}))
            => "settings.applyActions[0].@odata.type: must be";
        an_unknown_insight: with(three_stages(), "/settings/recommendationInsightSettings/0", json!({}))
            => "settings.recommendationInsightSettings[0].@odata.type: must be";
        a_future_member_of_an_enumeration: with(three_stages(), "/settings/recommendationInsightSettings/0/signInScope", json!("unknownFutureValue"))
            => "settings.recommendationInsightSettings[0].signInScope: must be one of tenant, application";
        sign_ins_to_an_application_in_a_group_review: with(three_stages(), "/settings/recommendationInsightSettings/0/signInScope", json!("application"))
            => "settings.recommendationInsightSettings[0].signInScope: must be tenant";
        a_look_back_of_more_than_a_century: with(series(), "/settings/recommendationLookBackDuration", json!("P101Y"))
            => "settings.recommendationLookBackDuration: must be at most";
        /// LC-REC-02
        a_daily_recurrence: with(series(), "/settings/recurrence/pattern/type", json!("daily"))
            => "settings.recurrence.pattern.type: must be one of weekly, absoluteMonthly";
        an_interval_of_zero: with(series(), "/settings/recurrence/pattern/interval", json!(0))
            => "settings.recurrence.pattern.interval: must be from 1";
        the_32nd_of_a_month: with(series(), "/settings/recurrence/pattern/dayOfMonth", json!(32))
            => "settings.recurrence.pattern.dayOfMonth: must be from 0";
        an_unknown_day_of_the_week: with(series(), "/settings/recurrence/pattern/daysOfWeek", json!(["someday"]))
            => "settings.recurrence.pattern.daysOfWeek[0]: must be one of sunday";
        a_pattern_without_range: without(series(), "/settings/recurrence/range") => "settings.recurrence.range: is required";
        a_range_without_start_date: without(series(), "/settings/recurrence/range/startDate")
            => "settings.recurrence.range.startDate: is required";
        a_start_date_that_is_no_date: with(series(), "/settings/recurrence/range/startDate", json!("2026-02-30"))
            => "settings.recurrence.range.startDate: must be a date";
        an_end_before_the_start: with(series(), "/settings/recurrence/range", json!({ "type": "endDate", "startDate": "2026-03-02", "endDate": "2026-03-01" }))
            => "settings.recurrence.range.endDate: must not be before startDate";
        an_end_date_range_without_end_date: with(series(), "/settings/recurrence/range/type", json!("endDate"))
            => "settings.recurrence.range.endDate: is required";
        /// M-28
        a_numbered_range_without_number_and_end: with(series(), "/settings/recurrence/range/type", json!("numbered"))
            => "settings.recurrence.range.numberOfOccurrences: must be at least 1";
        a_negative_number_of_occurrences: with(series(), "/settings/recurrence/range/numberOfOccurrences", json!(-1))
            => "settings.recurrence.range.numberOfOccurrences: must not be negative";
        /// LC-REC-08
        a_series_without_duration: without(series(), "/settings/instanceDurationInDays")
            => "settings.instanceDurationInDays: must be at least 1 when the review recurs";
        a_one_time_review_without_duration_and_end: with(without(series(), "/settings/recurrence"), "/settings/instanceDurationInDays", json!(0))
            => "settings.instanceDurationInDays: must be at least 1, unless";
        a_one_time_review_that_ends_on_the_day_it_starts: with(
            without(series(), "/settings/instanceDurationInDays"),
            "/settings/recurrence", json!({ "range": { "type": "endDate", "startDate": "2026-03-02", "endDate": "2026-03-02" } }))
            => "settings.recurrence.range.endDate: must be after startDate";
        /// LC-REC-09
        an_instance_longer_than_one_recurrence: with(series(), "/settings/instanceDurationInDays", json!(90))
            => "settings.instanceDurationInDays: lasts 90 days in all, but consecutive occurrences may be only 89 days apart";
        stages_longer_than_one_recurrence: with(three_stages(), "/stageSettings/2/durationInDays", json!(8))
            => "stageSettings: lasts 15 days in all, but consecutive occurrences may be only 14 days apart";
        four_stages: with(three_stages(), "/stageSettings/-", json!({ "stageId": "4", "dependsOn": ["3"], "durationInDays": 1 }))
            => "stageSettings: must have at most 3 entries";
        a_stage_without_days: with(three_stages(), "/stageSettings/0/durationInDays", json!(0))
            => "stageSettings[0].durationInDays: must be a number of days from 1";
        an_empty_stage_id: with(with(three_stages(), "/stageSettings/0/stageId", json!("")), "/stageSettings/1/dependsOn", json!([""]))
            => "stageSettings[0].stageId: must not be empty";
        a_second_stage_that_depends_on_nothing: without(three_stages(), "/stageSettings/1/dependsOn")
            => "stageSettings[1].dependsOn: must be exactly [\"1\"]";
        a_first_stage_that_depends_on_something: with(three_stages(), "/stageSettings/0/dependsOn", json!(["3"]))
            => "stageSettings[0].dependsOn: must be empty on the first stage";
        parallel_stages: with(three_stages(), "/stageSettings/2/dependsOn", json!(["1"]))
            => "stageSettings[2].dependsOn: must be exactly [\"2\"]";
        a_stage_with_two_predecessors: with(three_stages(), "/stageSettings/2/dependsOn", json!(["1", "2"]))
            => "stageSettings[2].dependsOn: must be exactly [\"2\"]";
        an_unknown_moving_decision: with(three_stages(), "/stageSettings/0/decisionsThatWillMoveToNextStage/0", json!("All"))
            => "stageSettings[0].decisionsThatWillMoveToNextStage[0]: must be one of Approve";
        an_unknown_reviewer_query: with(three_stages(), "/stageSettings/1/reviewers/1/query", json!("/users/ada@acme.example"))
            => "stageSettings[1].reviewers[1].query: the reviewer query `/users/ada@acme.example` is not supported";
        a_manager_without_root: without(three_stages(), "/stageSettings/0/reviewers/0/queryRoot")
            => "stageSettings[0].reviewers[0].queryRoot: `./manager` needs the query root `decisions`";
        a_reviewer_without_query: with(series(), "/reviewers/0", json!({})) => "reviewers[0].query: is required";
        a_reviewer_that_is_no_object: with(series(), "/reviewers/0", json!("/users/x")) => "reviewers[0]: must be an object";
        reviewers_that_are_no_array: with(series(), "/reviewers", json!({})) => "reviewers: must be an array";
        /// LC-REV-13
        more_than_a_hundred_reviewers: with(series(), "/reviewers", json!(vec![json!({ "query": "./owners" }); 101]))
            => "reviewers: must have at most 100 entries, not 101";
        a_typed_user_without_id: with(series(), "/reviewers/0", json!({ "scopeType": "user" }))
            => "reviewers[0].reviewerId: must be the GUID of the user";
        a_reviewer_id_without_type: with(series(), "/reviewers/0/reviewerId", json!(USER))
            => "reviewers[0].reviewerId: goes with a scopeType of user or group only";
        /// M-12
        a_query_and_a_type_that_differ: with(series(), "/reviewers/0/scopeType", json!("manager"))
            => "reviewers[0].scopeType: says something else than query";
        a_self_among_others: with(series(), "/reviewers/-", json!({ "scopeType": "self" }))
            => "reviewers[1].scopeType: self must be the only entry";
        a_self_as_fallback: with(series(), "/fallbackReviewers", json!([{ "scopeType": "self" }]))
            => "fallbackReviewers[0].scopeType: self must be the only entry";
        a_sponsor_with_an_id: with(series(), "/reviewers/0", json!({ "scopeType": "sponsor", "reviewerId": USER }))
            => "reviewers[0].reviewerId: goes with a scopeType of user or group only";
        a_typed_reviewer_with_a_root: with(series(), "/reviewers/0", json!({ "scopeType": "manager", "queryRoot": "decisions" }))
            => "reviewers[0].queryRoot: goes with a query only";
        an_unknown_scope_type_of_a_reviewer: with(series(), "/reviewers/0", json!({ "scopeType": "boss" }))
            => "reviewers[0].scopeType: must be one of user, group, self";
        an_unknown_mail_template: with(three_stages(), "/additionalNotificationRecipients/0/notificationTemplateType", json!("Started"))
            => "additionalNotificationRecipients[0].notificationTemplateType: must be CompletedAdditionalRecipients";
        a_recipient_query_that_names_nobody: with(three_stages(), "/additionalNotificationRecipients/0/notificationRecipientScope/query", json!("./owners"))
            => "additionalNotificationRecipients[0].notificationRecipientScope.query: must be /users/{id}";
        a_recipient_without_scope: without(three_stages(), "/additionalNotificationRecipients/0/notificationRecipientScope")
            => "additionalNotificationRecipients[0].notificationRecipientScope: is required";
    }

    /// LC-DEF-06
    #[test]
    fn duplicate_stage_ids_are_refused() {
        let found = faults(&with(three_stages(), "/stageSettings/1/stageId", json!("1")));

        assert!(found.contains(&"stageSettings[1].stageId: `1` is used by an earlier stage".to_owned()), "{found:?}");
    }

    proptest! {
        #[test]
        fn no_replaced_member_makes_the_reader_panic(at in 0..200usize, replacement in prop_oneof![
            Just(json!(null)), Just(json!(-1)), Just(json!(1e300)), Just(json!("")), Just(json!([[]])), Just(json!({ "a": {} })),
            "\\PC{0,20}".prop_map(Value::String), any::<i32>().prop_map(|number| json!(number)),
        ]) {
            fn replace(value: &mut Value, at: &mut usize, replacement: &Value) {
                if *at == 0 {
                    *value = replacement.clone();
                }
                *at = at.wrapping_sub(1);
                match value {
                    Value::Object(members) => members.values_mut().for_each(|inner| replace(inner, at, replacement)),
                    Value::Array(entries) => entries.iter_mut().for_each(|inner| replace(inner, at, replacement)),
                    _ => {}
                }
            }
            for mut body in [series(), three_stages()] {
                replace(&mut body, &mut at.clone(), &replacement);
                if let Ok(draft) = parse_create(&body) {
                    let rendered = view::render(&stored(draft));
                    prop_assert_eq!(view::render(&stored(create(&rendered))), rendered);
                }
            }
        }
    }
}
