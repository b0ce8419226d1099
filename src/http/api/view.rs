//! Instances, stages and decision items as Graph shows them. Sections 4 and 5 of the model.

use serde_json::{Map, Value, json};

use super::item_body::{Surroundings, TEXT_OF_AN_ITEM};
use crate::{
    app::{entity_tags, get_instance::InstanceView, get_stage::StageView},
    domain::{
        insight::{Insight, LastSignIn},
        instance::{Resource, ResourceKind, ReviewedInstance},
        reviewer_scope::ReviewerScope,
    },
    http::definitions::{
        scopes::render_scope,
        view::{render_date_time, render_instance_reviewer_scope, render_reviewer_scopes},
    },
    store::{GrantedRole, ItemRow},
};

/// A JSON object made with `json!`.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// `accessReviewInstance`. Section 4.1 of the model
pub(super) fn instance(view: &InstanceView) -> Map<String, Value> {
    let InstanceView { instance, lists } = view;
    let scopes = |scopes: &[ReviewerScope]| -> Value {
        scopes.iter().map(|scope| render_instance_reviewer_scope(&scope.form)).collect()
    };
    let errors: Vec<_> = instance
        .errors
        .iter()
        .map(|error| {
            json!({
                "@odata.type": "#microsoft.graph.accessReviewError",
                "code": error.code,
                "message": error.message,
            })
        })
        .collect();
    object(json!({
        "@odata.etag": entity_tags::of_instance(instance).to_string(),
        "id": instance.id,
        "startDateTime": render_date_time(instance.start_at),
        "endDateTime": render_date_time(instance.end_at),
        "status": instance.status.as_str(),
        "scope": render_scope(&instance.scope.normalised().sent),
        "reviewers": scopes(&lists.reviewers),
        "fallbackReviewers": scopes(&lists.fallback_reviewers),
        "errors": errors,
    }))
}

/// `accessReviewStage`. Section 4.2 of the model
pub(super) fn stage(view: &StageView) -> Map<String, Value> {
    let StageView { stage, lists } = view;
    object(json!({
        "@odata.etag": entity_tags::of_stage(stage).to_string(),
        "id": stage.id,
        "startDateTime": render_date_time(stage.start_at),
        "endDateTime": render_date_time(stage.end_at),
        "status": stage.status.as_str(),
        "reviewers": render_reviewer_scopes(&lists.reviewers),
        "fallbackReviewers": render_reviewer_scopes(&lists.fallback_reviewers),
    }))
}

/// `accessReviewInstanceDecisionItem` for those who want a part of it, or more: read from the text, which alone says what it is. The
/// error is one of serialization.
pub(super) fn item(
    public_url: &str,
    instance: &ReviewedInstance,
    row: &ItemRow,
) -> Result<Map<String, Value>, serde_json::Error> {
    let mut text = Vec::with_capacity(TEXT_OF_AN_ITEM);
    Surroundings::of(public_url, instance)?.write(row, &mut text)?;
    serde_json::from_slice(&text)
}

/// Where the resource is found.
pub(super) fn resource_link(public_url: &str, resource: &Resource) -> String {
    let collection = match resource.kind {
        ResourceKind::Group => "groups",
        ResourceKind::ServicePrincipal => "servicePrincipals",
        ResourceKind::DirectoryRole => "roleManagement/directory/roleDefinitions",
        ResourceKind::AccessPackageAssignmentPolicy => "identityGovernance/entitlementManagement/assignmentPolicies",
    };
    format!("{public_url}/v1.0/{collection}/{}", resource.id)
}

/// The insights of an item, `governanceInsight` each. Section 5.5 of the model, LC-RCM-11
///
/// Everything is in the row: a page of items needs no further query.
pub(super) fn insights(instance: &ReviewedInstance, row: &ItemRow) -> Vec<Map<String, Value>> {
    let item = instance.item_prefix.item_id(row.seq);
    let last_sign_in = |last| match last {
        LastSignIn::At(at) => Some(render_date_time(at)),
        LastSignIn::Never => None,
    };
    let told = |insight: Insight| {
        let (odata_type, facts) = match insight {
            Insight::SignIn(_, last) => ("userSignInInsight", json!({ "lastSignInDateTime": last_sign_in(last) })),
            Insight::Outlier => (
                "membershipOutlierInsight",
                json!({
                    "memberId": row.principal.id,
                    "containerId": instance.resource.id,
                    "outlierMemberType": "user",
                    "outlierContainerType": "group",
                }),
            ),
        };
        let mut told = object(json!({
            "@odata.type": format!("#microsoft.graph.{odata_type}"),
            "id": insight.id(item),
            "insightCreatedDateTime": render_date_time(instance.start_at),
        }));
        told.extend(object(facts));
        told
    };
    row.facts.insights().into_iter().map(told).collect()
}

/// Section 5.3 of the model, M-25. The declared type is the base type, so a derived one is named (CL-17).
pub(super) fn decision_resource(resource: &Resource, app_role: Option<&GrantedRole>) -> Value {
    let mut shown = json!({
        "id": resource.id,
        "displayName": resource.display_name,
        "type": resource.kind.as_str(),
    });
    let detail = resource.detail.as_ref();
    match resource.kind {
        ResourceKind::Group | ResourceKind::DirectoryRole => {}
        ResourceKind::ServicePrincipal => {
            shown["@odata.type"] = json!("#microsoft.graph.accessReviewInstanceDecisionItemServicePrincipalResource");
            shown["appId"] = json!(detail.map(|application| application.id));
            shown["appRoleId"] = json!(app_role.map(|role| role.id));
            shown["appRoleDisplayName"] =
                json!(app_role.map(|role| &role.display_name).filter(|name| !name.is_empty()));
        }
        ResourceKind::AccessPackageAssignmentPolicy => {
            shown["@odata.type"] =
                json!("#microsoft.graph.accessReviewInstanceDecisionItemAccessPackageAssignmentPolicyResource");
            shown["accessPackageId"] = json!(detail.map(|package| package.id));
            shown["accessPackageDisplayName"] = json!(detail.map(|package| &package.display_name));
        }
    }
    shown
}
