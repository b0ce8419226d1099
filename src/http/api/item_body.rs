//! A decision item as it is sent, straight from its row into text: lists of items are the longest answers there are.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::view::{decision_resource, resource_link};
use crate::{
    app::entity_tags,
    domain::{
        apply::ApplyResult,
        decision::Verdict,
        definition::Identity,
        ids::{InstanceId, ObjectId},
        instance::ReviewedInstance,
        precondition::EntityTag,
    },
    http::definitions::view::render_date_time,
    store::{ItemRow, Principal, PrincipalKind},
};

/// What the items of one instance have in common.
pub(super) struct Surroundings<'a> {
    public_url: &'a str,
    instance: &'a ReviewedInstance,
    /// Of an application it differs from item to item, by the role.
    resource: Option<Value>,
    resource_link: String,
}

impl<'a> Surroundings<'a> {
    pub(super) fn of(public_url: &'a str, instance: &'a ReviewedInstance) -> Self {
        let has_roles = instance.resource.kind == crate::domain::instance::ResourceKind::ServicePrincipal;
        Self {
            public_url,
            instance,
            resource: (!has_roles).then(|| decision_resource(&instance.resource, None)),
            resource_link: resource_link(public_url, &instance.resource),
        }
    }

    /// The item, to be serialized.
    pub(super) fn item<'b>(&'b self, row: &'b ItemRow) -> ItemBody<'b> {
        ItemBody { around: self, row }
    }
}

/// `accessReviewInstanceDecisionItem`. Section 5.1 of the model. Nobody decided, nobody applied: LC-DEC-01
pub(super) struct ItemBody<'a> {
    around: &'a Surroundings<'a>,
    row: &'a ItemRow,
}

impl Serialize for ItemBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { around, row } = self;
        let nobody = Identity::nobody();
        let decision = row.decision.as_ref();
        let applied = row.applied.as_ref();
        let own;
        let resource = match &around.resource {
            Some(resource) => resource,
            None => {
                own = decision_resource(&around.instance.resource, row.app_role.as_ref());
                &own
            }
        };
        Members {
            etag: Shown(entity_tags::of_item(row)),
            id: around.instance.item_prefix.item_id(row.seq),
            access_review_id: around.instance.id,
            decision: decision.map_or(Verdict::NotReviewed, |decision| decision.verdict).as_str(),
            justification: decision.map_or("", |decision| decision.justification.as_str()),
            reviewed_by: IdentityBody::of(decision.map_or(&nobody, |decision| &decision.decided_by)),
            reviewed_date_time: decision.map(|decision| Instant(decision.decided_at)),
            recommendation: row.recommendation.as_str(),
            apply_result: applied.map_or(ApplyResult::New, |applied| applied.result).as_str(),
            apply_description: applied.and_then(|applied| applied.description.as_deref()),
            applied_by: IdentityBody::of(applied.map_or(&nobody, |applied| &applied.by)),
            applied_date_time: applied.map(|applied| Instant(applied.at)),
            principal: PrincipalBody::of(&row.principal),
            principal_link: PrincipalLink { public_url: around.public_url, principal: &row.principal },
            resource,
            resource_link: &around.resource_link,
            permission: (),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(rename = "@odata.etag")]
    etag: Shown<EntityTag>,
    id: Uuid,
    access_review_id: InstanceId,
    decision: &'static str,
    justification: &'a str,
    reviewed_by: IdentityBody<'a>,
    reviewed_date_time: Option<Instant>,
    recommendation: &'static str,
    apply_result: &'static str,
    apply_description: Option<&'a str>,
    applied_by: IdentityBody<'a>,
    applied_date_time: Option<Instant>,
    principal: PrincipalBody<'a>,
    principal_link: PrincipalLink<'a>,
    resource: &'a Value,
    resource_link: &'a str,
    permission: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityBody<'a> {
    id: ObjectId,
    display_name: &'a str,
    user_principal_name: &'a str,
}

impl<'a> IdentityBody<'a> {
    fn of(identity: &'a Identity) -> Self {
        Self {
            id: identity.id,
            display_name: &identity.display_name,
            user_principal_name: &identity.user_principal_name,
        }
    }
}

/// Section 5.2 of the model, M-24
#[derive(Serialize)]
#[serde(tag = "@odata.type", rename_all_fields = "camelCase")]
enum PrincipalBody<'a> {
    #[serde(rename = "#microsoft.graph.userIdentity")]
    User { id: ObjectId, display_name: &'a str, user_principal_name: &'a str },
    #[serde(rename = "#microsoft.graph.servicePrincipalIdentity")]
    ServicePrincipal { id: ObjectId, display_name: &'a str, app_id: Option<&'a str> },
    #[serde(rename = "#microsoft.graph.identity")]
    Group { id: ObjectId, display_name: &'a str },
}

impl<'a> PrincipalBody<'a> {
    fn of(principal: &'a Principal) -> Self {
        let (id, display_name, detail) = (principal.id, principal.display_name.as_str(), principal.detail.as_str());
        match principal.kind {
            PrincipalKind::User => Self::User { id, display_name, user_principal_name: detail },
            PrincipalKind::ServicePrincipal => {
                Self::ServicePrincipal { id, display_name, app_id: Some(detail).filter(|id| !id.is_empty()) }
            }
            PrincipalKind::Group => Self::Group { id, display_name },
        }
    }
}

struct PrincipalLink<'a> {
    public_url: &'a str,
    principal: &'a Principal,
}

impl Serialize for PrincipalLink<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let collection = match self.principal.kind {
            PrincipalKind::User => "users",
            PrincipalKind::Group => "groups",
            PrincipalKind::ServicePrincipal => "servicePrincipals",
        };
        serializer.collect_str(&format_args!("{}/v1.0/{collection}/{}", self.public_url, self.principal.id))
    }
}

struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct Instant(DateTime<Utc>);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&render_date_time(self.0))
    }
}
