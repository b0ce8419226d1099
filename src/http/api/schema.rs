//! What the API document says beyond the routes.

use utoipa::{
    Modify, ToSchema,
    openapi::{
        OpenApi,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

/// Adds the bearer token to the document.
pub(super) struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.bearer_format = Some("JWT".to_owned());
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Every error. Section 7 of the protocol
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
pub(super) struct ErrorBody {
    error: ErrorMember,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
struct ErrorMember {
    /// What clients decide on, such as `InvalidReviewState`.
    code: String,
    /// A sentence for developers.
    message: String,
    /// The property path or query option it is about.
    target: Option<String>,
    /// Every fault, when there are several.
    details: Option<Vec<ErrorDetail>>,
    #[schema(rename = "innerError")]
    inner_error: InnerErrorMember,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
struct ErrorDetail {
    code: String,
    message: String,
    target: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
struct InnerErrorMember {
    /// UTC, without zone.
    date: String,
    #[schema(rename = "request-id")]
    request_id: String,
    #[schema(rename = "client-request-id")]
    client_request_id: String,
}

/// `accessReviewReviewerScope`. Section 3.5 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct AccessReviewReviewerScope {
    #[schema(example = "/users/2d1c7a90-58f5-4bb1-9d3e-71a2c0f4b602")]
    query: String,
    #[schema(example = "MicrosoftGraph")]
    query_type: String,
    /// `decisions` for `./manager`.
    query_root: Option<String>,
}

/// `accessReviewStage`, as far as a client writes it. Section 4.2 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct StageUpdate {
    /// Replaces the reviewers.
    reviewers: Option<Vec<AccessReviewReviewerScope>>,
    /// Must contain every fallback reviewer the stage has: 409 otherwise.
    fallback_reviewers: Option<Vec<AccessReviewReviewerScope>>,
}

/// `accessReviewInstanceDecisionItem`, as far as a reviewer writes it. Section 5.1 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct DecisionUpdate {
    /// `Approve`, `Deny`, `DontKnow` or `NotReviewed`.
    #[schema(example = "Approve")]
    decision: String,
    justification: Option<String>,
}

/// `accessReviewScheduleDefinition`, as far as a client writes it. Section 2.1 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct DefinitionCreate {
    display_name: String,
    description_for_admins: Option<String>,
    description_for_reviewers: Option<String>,
    /// `accessReviewQueryScope` or `accessReviewInactiveUsersQueryScope`, such as
    /// `{"query": "/groups/{id}/transitiveMembers", "queryType": "MicrosoftGraph"}`.
    #[schema(value_type = Object)]
    scope: (),
    /// Empty or absent: everybody reviews himself.
    reviewers: Option<Vec<AccessReviewReviewerScope>>,
    fallback_reviewers: Option<Vec<AccessReviewReviewerScope>>,
    /// `accessReviewScheduleSettings`
    #[schema(value_type = Object)]
    settings: (),
    /// `accessReviewStageSettings`, one to three.
    #[schema(value_type = Option<Vec<Object>>)]
    stage_settings: (),
    #[schema(value_type = Option<Vec<Object>>)]
    additional_notification_recipients: (),
}

/// Up to 20 requests.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
pub(super) struct BatchRequests {
    #[schema(min_items = 1, max_items = 20)]
    requests: Vec<BatchRequest>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
struct BatchRequest {
    /// Unique in the batch without regard to letter case.
    #[schema(example = "1")]
    id: String,
    #[schema(example = "GET")]
    method: String,
    /// Relative to `/v1.0`, or absolute to this service.
    #[schema(example = "/identityGovernance/accessReviews/definitions?$top=1")]
    url: String,
    headers: Option<std::collections::BTreeMap<String, String>>,
    /// JSON as JSON, text as text, everything else as base64; needs a `Content-Type` in `headers`.
    #[schema(value_type = Option<Value>)]
    body: (),
    /// Requests that must succeed before this one is made.
    depends_on: Option<Vec<String>>,
}

/// The answers, in the order of the requests.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
pub(super) struct BatchAnswers {
    responses: Vec<BatchAnswer>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
struct BatchAnswer {
    id: String,
    status: u16,
    headers: std::collections::BTreeMap<String, String>,
    #[schema(value_type = Option<Value>)]
    body: (),
}

/// `accessReviewHistoryDefinition`, as far as a client writes it. Section 7.1 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct HistoryDefinitionCreate {
    display_name: String,
    /// `approve`, `deny`, `dontKnow`, `notReviewed`, `notNotified`; empty or absent: all of them.
    decisions: Option<Vec<String>>,
    /// Which reviews, by the query of their own scope; a review counts when one of the scopes matches.
    scopes: Vec<HistoryScopeBody>,
    /// Required without `scheduleSettings`.
    #[schema(example = "2026-01-01T00:00:00Z")]
    review_history_period_start_date_time: Option<String>,
    /// Required without `scheduleSettings`.
    #[schema(example = "2026-03-31T23:59:59Z")]
    review_history_period_end_date_time: Option<String>,
    /// `{"recurrence": …, "reportRange": "P1M"}`: a report again and again, each over what lies before it.
    #[schema(value_type = Option<Object>)]
    schedule_settings: (),
}

/// `accessReviewQueryScope` of a report. Section 8.8 of the API
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct HistoryScopeBody {
    #[schema(example = "/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')")]
    query: String,
    #[schema(example = "MicrosoftGraph")]
    query_type: Option<String>,
}

/// What of a report definition can be changed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct HistoryDefinitionUpdate {
    display_name: Option<String>,
}

/// `accessReviewScheduleDefinition`, as far as it can change: what is left out stays. Section 2.1 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct DefinitionPatch {
    display_name: Option<String>,
    description_for_admins: Option<String>,
    description_for_reviewers: Option<String>,
    /// Replaces the reviewers of the instances to come.
    reviewers: Option<Vec<AccessReviewReviewerScope>>,
    fallback_reviewers: Option<Vec<AccessReviewReviewerScope>>,
    /// Merged member by member.
    #[schema(value_type = Option<Object>)]
    settings: (),
    /// The same stages in the same order; what is in them may change.
    #[schema(value_type = Option<Vec<Object>>)]
    stage_settings: (),
    #[schema(value_type = Option<Vec<Object>>)]
    additional_notification_recipients: (),
}

/// `accessReviewInstance`, as far as a client writes it. Section 4.1 of the model
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct InstanceUpdate {
    /// Required by PUT; it does not change.
    #[schema(value_type = Option<Object>)]
    scope: (),
    /// Replaces the reviewers.
    reviewers: Option<Vec<AccessReviewReviewerScope>>,
    /// Must contain every fallback reviewer the instance has: 409 otherwise.
    fallback_reviewers: Option<Vec<AccessReviewReviewerScope>>,
}

/// One decision for many items.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct BatchDecision {
    /// `Approve`, `Deny`, `DontKnow` or `NotReviewed`.
    decision: String,
    /// Required for `Approve` and `Deny` when the review's settings say so.
    justification: Option<String>,
    /// Only this principal's items.
    principal_id: Option<String>,
    /// Only items of this resource.
    resource_id: Option<String>,
}

/// Moves a sandbox tenant's clock.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
pub(super) struct ClockAdvance {
    /// An ISO 8601 duration.
    #[schema(example = "P7D")]
    advance: String,
}

/// A mail that a tenant writes itself; what is left out is the built-in one's.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct MailTemplateBody {
    #[schema(example = "Please review access to {{ resource }} by {{ ends_on }}")]
    subject: Option<String>,
    /// Plain text.
    text: Option<String>,
    /// May extend `layout.html`, as the built-in ones do.
    html: Option<String>,
}

/// How a tenant wants its mail sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct MailSettingsBody {
    /// Reminders go to every reviewer of the stage, not only to those with answers missing.
    remind_everyone: Option<bool>,
}

/// A token issuer, as far as a client writes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct TokenIssuerBody {
    /// The exact `iss` of its tokens; never changed.
    #[schema(example = "https://login.acme.example/realms/staff")]
    issuer: Option<String>,
    display_name: Option<String>,
    /// What `aud` must be or hold.
    #[schema(example = json!(["api://attestry"]))]
    audiences: Option<Vec<String>>,
    /// Where the discovery document is, if not below the issuer.
    discovery_url: Option<String>,
    /// `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`.
    algorithms: Option<Vec<String>>,
    /// `{"name": "tid", "value": "..."}`: which tenant of the issuer it is about.
    #[schema(value_type = Option<Object>)]
    tenant_claim: (),
    /// `user`, `application`, `applicationWhen`, `scopes`, `roles`, `directoryRoles`, `displayName`.
    #[schema(value_type = Option<Object>)]
    claims: (),
    /// `{"claim": "groups", "value": "...", "directoryRole": "Global Reader"}` and the like.
    #[schema(value_type = Option<Vec<Object>>)]
    grants: (),
}

/// What changes the review settings; what is not mentioned stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the document only")]
#[schema(rename_all = "camelCase")]
pub(super) struct ReviewSettingsBody {
    /// Whether owners of a group create and manage the reviews of it; default `false`.
    group_owners_may_review: Option<bool>,
}
