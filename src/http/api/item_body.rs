//! A decision item as it is sent, straight from its row into text: lists of items are the longest answers there are. What all items of
//! an instance have in common is put into text once.

use chrono::{DateTime, Utc};
use serde_json::Error;
use uuid::Uuid;

use super::view::{decision_resource, resource_link};
use crate::{
    app::entity_tags,
    domain::{
        apply::ApplyResult,
        decision::Verdict,
        definition::Identity,
        instance::{ResourceKind, ReviewedInstance},
    },
    http::definitions::view::push_date_time,
    store::{GrantedRole, ItemRow, Principal, PrincipalKind},
};

/// Room for an item, so that it is not moved while it is written.
pub(super) const TEXT_OF_AN_ITEM: usize = 2_048;

/// What the items of one instance have in common.
pub(super) struct Surroundings<'a> {
    instance: &'a ReviewedInstance,
    /// `","accessReviewId":"…","decision":"`, behind an item's id.
    review: String,
    /// `","principalLink":"…`, up to the collection.
    links: String,
    /// The tag of an item that nobody decided.
    untouched_tag: Vec<u8>,
    /// `,"resource":…` to the end of the item; of an application it differs from item to item, by the role.
    ending: Option<Vec<u8>>,
    public_url: &'a str,
}

impl<'a> Surroundings<'a> {
    /// `public_url`: where the service is found. The error is one of serialization.
    pub(super) fn of(public_url: &'a str, instance: &'a ReviewedInstance) -> Result<Self, Error> {
        let mut link = serde_json::to_string(&format!("{public_url}/v1.0/"))?;
        // Goes on with the collection and the id.
        link.pop();
        let mut around = Self {
            instance,
            review: format!("\",\"accessReviewId\":\"{}\",\"decision\":\"", instance.id),
            links: format!(",\"principalLink\":{link}"),
            untouched_tag: Vec::new(),
            ending: None,
            public_url,
        };
        write_text(&entity_tags::of_untouched_item().to_string(), &mut around.untouched_tag)?;
        if instance.resource.kind != ResourceKind::ServicePrincipal {
            let mut ending = Vec::with_capacity(512);
            around.write_ending(None, &mut ending)?;
            around.ending = Some(ending);
        }
        Ok(around)
    }

    /// Writes `accessReviewInstanceDecisionItem` behind `out`. Section 5.1 of the model. Nobody decided, nobody applied: LC-DEC-01
    pub(super) fn write(&self, row: &ItemRow, out: &mut Vec<u8>) -> Result<(), Error> {
        let (decision, applied) = (row.decision.as_ref(), row.applied.as_ref());
        out.extend_from_slice(b"{\"@odata.etag\":");
        if decision.is_none() && applied.is_none() {
            // Most items of a review that has just begun.
            out.extend_from_slice(&self.untouched_tag);
        } else {
            write_text(&entity_tags::of_item(row).to_string(), out)?;
        }
        out.extend_from_slice(b",\"id\":\"");
        write_id(self.instance.item_prefix.item_id(row.seq), out);
        out.extend_from_slice(self.review.as_bytes());
        out.extend_from_slice(decision.map_or(Verdict::NotReviewed, |decision| decision.verdict).as_str().as_bytes());
        out.extend_from_slice(b"\",\"justification\":");
        write_text(decision.map_or("", |decision| decision.justification.as_str()), out)?;
        out.extend_from_slice(b",\"reviewedBy\":");
        write_identity(decision.map(|decision| &decision.decided_by), out)?;
        out.extend_from_slice(b",\"reviewedDateTime\":");
        write_date_time(decision.map(|decision| decision.decided_at), out);
        out.extend_from_slice(b",\"recommendation\":\"");
        out.extend_from_slice(row.recommendation.as_str().as_bytes());
        out.extend_from_slice(b"\",\"applyResult\":\"");
        out.extend_from_slice(applied.map_or(ApplyResult::New, |applied| applied.result).as_str().as_bytes());
        out.extend_from_slice(b"\",\"applyDescription\":");
        match applied.and_then(|applied| applied.description.as_deref()) {
            Some(description) => write_text(description, out)?,
            None => out.extend_from_slice(NULL),
        }
        out.extend_from_slice(b",\"appliedBy\":");
        write_identity(applied.map(|applied| &applied.by), out)?;
        out.extend_from_slice(b",\"appliedDateTime\":");
        write_date_time(applied.map(|applied| applied.at), out);
        out.extend_from_slice(b",\"principal\":");
        write_principal(&row.principal, out)?;
        out.extend_from_slice(self.links.as_bytes());
        out.extend_from_slice(match row.principal.kind {
            PrincipalKind::User => b"users/",
            PrincipalKind::Group => b"groups/",
            PrincipalKind::ServicePrincipal => b"servicePrincipals/",
        });
        write_id(row.principal.id.as_uuid(), out);
        out.push(b'"');
        match &self.ending {
            Some(ending) => out.extend_from_slice(ending),
            None => self.write_ending(row.app_role.as_ref(), out)?,
        }
        Ok(())
    }

    fn write_ending(&self, app_role: Option<&GrantedRole>, out: &mut Vec<u8>) -> Result<(), Error> {
        let resource = &self.instance.resource;
        out.extend_from_slice(b",\"resource\":");
        serde_json::to_writer(&mut *out, &decision_resource(resource, app_role))?;
        out.extend_from_slice(b",\"resourceLink\":");
        write_text(&resource_link(self.public_url, resource), out)?;
        out.extend_from_slice(b",\"permission\":null}");
        Ok(())
    }
}

const NULL: &[u8] = b"null";

/// A string with its quotes, escaped.
fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    // Looked through first, many characters at a time: hardly any has to be escaped.
    let escaped = text.bytes().fold(false, |escaped, byte| escaped | (byte < b' ') | (byte == b'"') | (byte == b'\\'));
    if escaped {
        return serde_json::to_writer(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

fn write_id(id: Uuid, out: &mut Vec<u8>) {
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

fn write_date_time(at: Option<DateTime<Utc>>, out: &mut Vec<u8>) {
    match at {
        None => out.extend_from_slice(NULL),
        Some(at) => {
            out.push(b'"');
            push_date_time(at, out);
            out.push(b'"');
        }
    }
}

fn write_identity(identity: Option<&Identity>, out: &mut Vec<u8>) -> Result<(), Error> {
    let Some(identity) = identity else {
        out.extend_from_slice(
            br#"{"id":"00000000-0000-0000-0000-000000000000","displayName":"","userPrincipalName":""}"#,
        );
        return Ok(());
    };
    out.extend_from_slice(b"{\"id\":\"");
    write_id(identity.id.as_uuid(), out);
    out.extend_from_slice(b"\",\"displayName\":");
    write_text(&identity.display_name, out)?;
    out.extend_from_slice(b",\"userPrincipalName\":");
    write_text(&identity.user_principal_name, out)?;
    out.push(b'}');
    Ok(())
}

/// Section 5.2 of the model, M-24
fn write_principal(principal: &Principal, out: &mut Vec<u8>) -> Result<(), Error> {
    let (odata_type, detail): (&[u8], Option<&[u8]>) = match principal.kind {
        PrincipalKind::User => (b"userIdentity", Some(b"userPrincipalName")),
        PrincipalKind::ServicePrincipal => (b"servicePrincipalIdentity", Some(b"appId")),
        PrincipalKind::Group => (b"identity", None),
    };
    out.extend_from_slice(b"{\"@odata.type\":\"#microsoft.graph.");
    out.extend_from_slice(odata_type);
    out.extend_from_slice(b"\",\"id\":\"");
    write_id(principal.id.as_uuid(), out);
    out.extend_from_slice(b"\",\"displayName\":");
    write_text(&principal.display_name, out)?;
    if let Some(detail) = detail {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(detail);
        out.extend_from_slice(b"\":");
        let is_missing = principal.kind == PrincipalKind::ServicePrincipal && principal.detail.is_empty();
        match is_missing {
            true => out.extend_from_slice(NULL),
            false => write_text(&principal.detail, out)?,
        }
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::SubsecRound;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{
        apply::Applied,
        decision::Decision,
        ids::{DefinitionId, InstanceId, ItemPrefix, ObjectId},
        insight::ShownFacts,
        instance::{Resource, ResourceDetail},
        recommendation::Recommendation,
    };
    use crate::http::definitions::view::render_date_time;

    const PUBLIC_URL: &str = "https://reviews.example.com/a \"b\"";

    fn ids() -> impl Strategy<Value = Uuid> {
        any::<u128>().prop_map(Uuid::from_u128)
    }

    fn identities() -> impl Strategy<Value = Identity> {
        (ids(), any::<String>(), any::<String>()).prop_map(|(id, display_name, user_principal_name)| Identity {
            id: ObjectId::new(id),
            display_name,
            user_principal_name,
        })
    }

    fn moments() -> impl Strategy<Value = DateTime<Utc>> {
        (0..4_000_000_000_i64, 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap().trunc_subsecs(6))
    }

    fn rows() -> impl Strategy<Value = ItemRow> {
        let verdict = prop_oneof![Just(Verdict::Approve), Just(Verdict::Deny), Just(Verdict::DontKnow)];
        let decision = (verdict, any::<String>(), identities(), moments()).prop_map(
            |(verdict, justification, decided_by, decided_at)| Decision {
                verdict,
                justification,
                decided_by,
                decided_at,
                moves_on: true,
            },
        );
        let applied = (any::<Option<String>>(), identities(), moments()).prop_map(|(description, by, at)| Applied {
            result: ApplyResult::AppliedSuccessfully,
            description,
            by,
            at,
        });
        let kind =
            prop_oneof![Just(PrincipalKind::User), Just(PrincipalKind::Group), Just(PrincipalKind::ServicePrincipal)];
        let principal = (ids(), kind, any::<String>(), any::<String>()).prop_map(|(id, kind, display_name, detail)| {
            Principal { id: ObjectId::new(id), kind, display_name, detail }
        });
        let role =
            (ids(), any::<String>()).prop_map(|(id, display_name)| GrantedRole { id: ObjectId::new(id), display_name });
        (
            1..i32::MAX,
            principal,
            proptest::option::of(role),
            proptest::option::of(decision),
            proptest::option::of(applied),
        )
            .prop_map(|(seq, principal, app_role, decision, applied)| ItemRow {
                seq,
                principal,
                app_role,
                recommendation: Recommendation::Approve,
                decision,
                applied,
                facts: ShownFacts::default(),
            })
    }

    fn instances() -> impl Strategy<Value = ReviewedInstance> {
        let kind = prop_oneof![
            Just(ResourceKind::Group),
            Just(ResourceKind::ServicePrincipal),
            Just(ResourceKind::AccessPackageAssignmentPolicy)
        ];
        (ids(), ids(), ids(), kind, any::<String>(), ids(), any::<String>()).prop_map(
            |(id, prefix, resource, kind, display_name, detail, detail_name)| ReviewedInstance {
                id: InstanceId::new(id),
                definition_id: DefinitionId::new(id),
                start_at: DateTime::UNIX_EPOCH,
                resource: Resource {
                    id: ObjectId::new(resource),
                    display_name,
                    kind,
                    detail: (kind != ResourceKind::Group)
                        .then(|| ResourceDetail { id: ObjectId::new(detail), display_name: detail_name }),
                },
                item_count: i32::MAX,
                item_prefix: ItemPrefix::from_uuid(prefix),
            },
        )
    }

    fn shown_identity(identity: Option<&Identity>) -> Value {
        let identity = identity.cloned().unwrap_or_else(Identity::nobody);
        json!({
            "id": identity.id,
            "displayName": identity.display_name,
            "userPrincipalName": identity.user_principal_name,
        })
    }

    proptest! {
        #[test]
        fn a_moment_is_written_as_it_is_rendered(seconds in -70_000_000_000_i64..300_000_000_000, micros in 0..1_000_000_u32) {
            for nanos in [0, micros * 1_000, 1_000_000_000 + micros] {
                let at = DateTime::from_timestamp(seconds / 60 * 60 + 59, nanos).unwrap();
                let mut text = Vec::new();
                push_date_time(at, &mut text);
                prop_assert_eq!(String::from_utf8(text).unwrap(), render_date_time(at));
            }
        }

        /// Whatever names and justifications hold, the text is the JSON that the model describes, member by member in its order.
        #[test]
        fn the_text_of_an_item_is_what_the_model_says(instance in instances(), row in rows()) {
            let mut text = Vec::new();
            Surroundings::of(PUBLIC_URL, &instance).unwrap().write(&row, &mut text).unwrap();
            let (decision, applied, person) = (row.decision.as_ref(), row.applied.as_ref(), &row.principal);
            let (collection, principal) = match person.kind {
                PrincipalKind::User => ("users", json!({
                    "@odata.type": "#microsoft.graph.userIdentity",
                    "id": person.id,
                    "displayName": person.display_name,
                    "userPrincipalName": person.detail,
                })),
                PrincipalKind::ServicePrincipal => ("servicePrincipals", json!({
                    "@odata.type": "#microsoft.graph.servicePrincipalIdentity",
                    "id": person.id,
                    "displayName": person.display_name,
                    "appId": Some(&person.detail).filter(|detail| !detail.is_empty()),
                })),
                PrincipalKind::Group => ("groups", json!({
                    "@odata.type": "#microsoft.graph.identity",
                    "id": person.id,
                    "displayName": person.display_name,
                })),
            };
            let expected = json!({
                "@odata.etag": entity_tags::of_item(&row).to_string(),
                "id": instance.item_prefix.item_id(row.seq),
                "accessReviewId": instance.id,
                "decision": decision.map_or("NotReviewed", |decision| decision.verdict.as_str()),
                "justification": decision.map_or("", |decision| &decision.justification),
                "reviewedBy": shown_identity(decision.map(|decision| &decision.decided_by)),
                "reviewedDateTime": decision.map(|decision| render_date_time(decision.decided_at)),
                "recommendation": "Approve",
                "applyResult": applied.map_or("New", |applied| applied.result.as_str()),
                "applyDescription": applied.and_then(|applied| applied.description.as_ref()),
                "appliedBy": shown_identity(applied.map(|applied| &applied.by)),
                "appliedDateTime": applied.map(|applied| render_date_time(applied.at)),
                "principal": principal,
                "principalLink": format!("{PUBLIC_URL}/v1.0/{collection}/{}", person.id),
                "resource": decision_resource(&instance.resource, row.app_role.as_ref()),
                "resourceLink": resource_link(PUBLIC_URL, &instance.resource),
                "permission": null,
            });
            prop_assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
        }
    }
}
