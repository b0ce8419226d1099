//! `scope` and `instanceEnumerationScope` on the wire: read into a [`SentScope`], rendered with `@odata.type` at every level.
//! Sections 3.1 to 3.6 of the model; what a scope means is `domain::scope`'s business.

use serde::{Serialize, Serializer};
use serde_json::json;

use crate::{
    domain::{
        duration::IsoDuration,
        reviewer_scope::MICROSOFT_GRAPH,
        scope::{
            PrincipalScopeType, ResourceScopeType, ReviewScope, ScopeError, SentAssignmentPolicy, SentQuery,
            SentResource, SentScope, check_query_type,
        },
        violation::Violation,
    },
    http::{
        json_reader::{ObjectReader, Sent},
        object::object,
    },
};

/// Most entries of `principalScopes` and of `resourceScopes`; no combination has more than two.
const MAX_NESTED_SCOPES: usize = 16;

/// The derived types of `accessReviewScope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScopeType {
    Query,
    InactiveUsersQuery,
    PrincipalResourceMemberships,
    Principal,
    Resource,
    AssignmentPolicy,
}

impl ScopeType {
    const ALL: [Self; 6] = [
        Self::Query,
        Self::InactiveUsersQuery,
        Self::PrincipalResourceMemberships,
        Self::Principal,
        Self::Resource,
        Self::AssignmentPolicy,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "accessReviewQueryScope",
            Self::InactiveUsersQuery => "accessReviewInactiveUsersQueryScope",
            Self::PrincipalResourceMemberships => "principalResourceMembershipsScope",
            Self::Principal => "accessReviewPrincipalScope",
            Self::Resource => "accessReviewResourceScope",
            Self::AssignmentPolicy => "accessReviewAccessPackageAssignmentPolicyScope",
        }
    }

    /// The type that is named, or else told from the members; a fault when neither tells it.
    fn of(reader: &ObjectReader<'_>) -> Option<Self> {
        let members = ["principalScopes", "resourceScopes", "inactiveDuration", "scopeType", "resourceId"];
        match reader.odata_type() {
            Some(name) if name.eq_ignore_ascii_case("accessReviewScope") => Some(Self::Query),
            Some(name) => {
                let known = Self::ALL.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_str()));
                if known.is_none() {
                    let known = Self::ALL.map(Self::as_str).join(", #microsoft.graph.");
                    reader.report("@odata.type", format!("must be one of #microsoft.graph.{known}"));
                }
                known
            }
            // not a text: reported
            None if reader.mentions("@odata.type") => None,
            None if members.iter().any(|member| reader.mentions(member)) => {
                reader.report("@odata.type", "is required for every scope but a plain accessReviewQueryScope");
                None
            }
            None => Some(Self::Query),
        }
    }
}

/// Reads a scope of any type; every fault of form is reported.
pub(super) fn read_scope(reader: ObjectReader<'_>) -> Option<SentScope> {
    read_nested(reader, true)
}

/// Scopes nest one level deep: what stands inside a `principalResourceMembershipsScope` holds no other.
fn read_nested(mut reader: ObjectReader<'_>, may_nest: bool) -> Option<SentScope> {
    let scope = match ScopeType::of(&reader)? {
        kind @ (ScopeType::Query | ScopeType::InactiveUsersQuery) => {
            let query = read_query(&mut reader);
            let inactive_duration = (kind == ScopeType::InactiveUsersQuery)
                .then(|| reader.nullable_duration("inactiveDuration").unwrap_or(IsoDuration::days(0)));
            query.map(|(query, query_root)| SentScope::Query(SentQuery { query, query_root, inactive_duration }))
        }
        ScopeType::PrincipalResourceMemberships if may_nest => {
            let principal_scopes = read_list(&mut reader, "principalScopes");
            let resource_scopes = read_list(&mut reader, "resourceScopes");
            principal_scopes.zip(resource_scopes).map(|(principal_scopes, resource_scopes)| {
                SentScope::PrincipalResourceMemberships { principal_scopes, resource_scopes }
            })
        }
        ScopeType::PrincipalResourceMemberships => {
            reader.report("@odata.type", "must not be another principalResourceMembershipsScope");
            return None;
        }
        ScopeType::Principal => reader
            .required_choice("scopeType", &PrincipalScopeType::ALL, PrincipalScopeType::as_str)
            .map(|scope_type| SentScope::Principal { scope_type }),
        ScopeType::Resource => {
            let scope_type = reader.required_choice("scopeType", &ResourceScopeType::ALL, ResourceScopeType::as_str);
            let resource_id = reader.required_text("resourceId").map(str::to_owned);
            let display_name = reader.nullable_text("displayName").map(str::to_owned);
            scope_type.zip(resource_id).map(|(scope_type, resource_id)| {
                SentScope::Resource(SentResource { scope_type, resource_id, display_name })
            })
        }
        ScopeType::AssignmentPolicy => {
            let scope_type = reader.choice("scopeType", &ResourceScopeType::ALL, ResourceScopeType::as_str).value();
            if scope_type.is_some_and(|kind| kind != ResourceScopeType::AccessPackageAssignmentPolicy) {
                reader.report("scopeType", "must be accessPackageAssignmentPolicy here");
            }
            let resource_id = reader.required_text("resourceId").map(str::to_owned);
            let mut text = |name| reader.nullable_text(name).map(str::to_owned);
            let display_name = text("displayName");
            let access_package_id = text("accessPackageId");
            let access_package_display_name = text("accessPackageDisplayName");
            let catalog_id = text("catalogId");
            let catalog_display_name = text("catalogDisplayName");
            resource_id.map(|resource_id| {
                SentScope::AssignmentPolicy(SentAssignmentPolicy {
                    resource_id,
                    display_name,
                    access_package_id,
                    access_package_display_name,
                    catalog_id,
                    catalog_display_name,
                })
            })
        }
    };
    reader.finish();
    scope
}

fn read_list(reader: &mut ObjectReader<'_>, name: &'static str) -> Option<Vec<SentScope>> {
    if !reader.mentions(name) {
        reader.report(name, "is required");
    }
    let scopes = reader.objects(name, MAX_NESTED_SCOPES)?;
    let read: Vec<_> = scopes.into_iter().map(|scope| read_nested(scope, false)).collect();
    read.into_iter().collect()
}

/// `query` and `queryRoot`; `queryType` is judged here, for only one is offered.
fn read_query(reader: &mut ObjectReader<'_>) -> Option<(String, Option<String>)> {
    let query = reader.required_text("query").map(str::to_owned);
    let query_root = reader.nullable_text("queryRoot").filter(|root| !root.trim().is_empty()).map(str::to_owned);
    match check_query_type(reader.nullable_text("queryType")) {
        Ok(()) => query.map(|query| (query, query_root)),
        Err(error) => {
            report(reader, &error);
            None
        }
    }
}

fn report(reader: &ObjectReader<'_>, error: &ScopeError) {
    let path = reader.path_of(error.member());
    reader.faults().push(match error.is_unsupported_query() {
        true => Violation::unsupported_query(path, error.to_string()),
        false => Violation::new(path, error.to_string()),
    });
}

/// The query of an enumeration; whether it is one, and fits the scope, [`combine`] judges.
pub(super) fn read_enumeration(mut reader: ObjectReader<'_>) -> Option<String> {
    if let Some(name) = reader.odata_type()
        && !["accessReviewQueryScope", "accessReviewScope"].iter().any(|known| known.eq_ignore_ascii_case(name))
    {
        reader.report("@odata.type", "must be #microsoft.graph.accessReviewQueryScope here");
    }
    let query = read_query(&mut reader);
    if query.as_ref().is_some_and(|(_, root)| root.is_some()) {
        reader.report("queryRoot", "an enumeration takes no query root; leave it out or send null");
    }
    reader.finish();
    query.map(|(query, _)| query)
}

/// What the two mean together; every fault of meaning is reported.
pub(super) fn combine(
    reader: &ObjectReader<'_>,
    scope: Option<SentScope>,
    enumeration: &Sent<Option<String>>,
) -> Option<ReviewScope> {
    let enumeration = match enumeration {
        Sent::Absent | Sent::Null => None,
        // unreadable: reported, and what it would have meant nobody knows
        Sent::Value(None) => return None,
        Sent::Value(Some(query)) => Some(query.as_str()),
    };
    ReviewScope::read(scope?, enumeration)
        .map_err(|faults| faults.into_iter().for_each(|fault| reader.faults().push(fault)))
        .ok()
}

/// A scope with `@odata.type` at every level, otherwise as it was sent. A-14, CL-17
pub fn render_scope(scope: &SentScope) -> impl Serialize + use<'_> {
    ScopeBody(scope)
}

struct ScopeBody<'a>(&'a SentScope);

impl Serialize for ScopeBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let type_name = format!("#microsoft.graph.{}", self.0.type_name());
        match self.0 {
            SentScope::Query(SentQuery { query, query_root, inactive_duration: None }) => object!({
                "@odata.type": type_name,
                "query": query,
                "queryType": MICROSOFT_GRAPH,
                "queryRoot": query_root,
            })
            .serialize(serializer),
            SentScope::Query(SentQuery { query, query_root, inactive_duration: Some(inactive_duration) }) => object!({
                "@odata.type": type_name,
                "query": query,
                "queryType": MICROSOFT_GRAPH,
                "queryRoot": query_root,
                "inactiveDuration": inactive_duration,
            })
            .serialize(serializer),
            SentScope::PrincipalResourceMemberships { principal_scopes, resource_scopes } => object!({
                "@odata.type": type_name,
                "principalScopes": principal_scopes.iter().map(ScopeBody).collect::<Vec<_>>(),
                "resourceScopes": resource_scopes.iter().map(ScopeBody).collect::<Vec<_>>(),
            })
            .serialize(serializer),
            SentScope::Principal { scope_type } => object!({
                "@odata.type": type_name,
                "scopeType": scope_type.as_str(),
            })
            .serialize(serializer),
            SentScope::Resource(SentResource { scope_type, resource_id, display_name }) => object!({
                "@odata.type": type_name,
                "scopeType": scope_type.as_str(),
                "resourceId": resource_id,
                "displayName": display_name,
            })
            .serialize(serializer),
            SentScope::AssignmentPolicy(sent) => object!({
                "@odata.type": type_name,
                "scopeType": ResourceScopeType::AccessPackageAssignmentPolicy.as_str(),
                "resourceId": &sent.resource_id,
                "displayName": &sent.display_name,
                "accessPackageId": &sent.access_package_id,
                "accessPackageDisplayName": &sent.access_package_display_name,
                "catalogId": &sent.catalog_id,
                "catalogDisplayName": &sent.catalog_display_name,
            })
            .serialize(serializer),
        }
    }
}

/// An `instanceEnumerationScope`, which is always a query.
pub(super) fn render_enumeration(query: &str) -> impl Serialize + use<> {
    json!(render_scope(&SentScope::query(query, None)))
}
