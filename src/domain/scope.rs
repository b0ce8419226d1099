//! Scopes: whose access to what is reviewed. Sections 8.1 to 8.5 of the API.

use std::fmt;

use crate::domain::{
    duration::IsoDuration,
    ids::ObjectId,
    query_text::{self, MAX_QUERY_LENGTH, QueryText},
    reviewer_scope::MICROSOFT_GRAPH,
};

/// Longest `inactiveDuration`, in days. MAX_INACTIVE_DAYS
pub const MAX_INACTIVE_DAYS: u32 = 730;

/// A review scope as a client sent it, together with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewScope {
    /// The query text as sent; answered unchanged on the definition. A-14
    pub query: String,
    /// `MicrosoftGraph`, in canonical spelling. A-40
    pub query_type: String,
    /// As sent; `None` when null or absent.
    pub query_root: Option<String>,
    /// Present exactly on an `accessReviewInactiveUsersQueryScope`; its type default is `PT0S`. Section 8.4
    pub inactive_duration: Option<IsoDuration>,
    /// What the query means.
    pub form: ScopeForm,
}

/// The meaning of a scope query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeForm {
    /// S-01 to S-05: members of one group.
    GroupMembers {
        /// The group under review.
        group: ObjectId,
        /// S-01 to S-03 flatten nested groups (LC-INST-12); S-04 and S-05 take direct members only.
        transitive: bool,
        /// Which of them. [`MemberKind::UsersAndGroups`] never goes with `transitive`: flattening leaves no group.
        members: MemberKind,
    },
}

/// Which members of a group are under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// S-04: direct members that are users or groups; a nested group is one item and is not expanded.
    UsersAndGroups,
    /// S-01, S-02: users.
    Users,
    /// S-03, S-05: users with `userType` `Guest`. LC-INST-14
    Guests,
}

/// Why a scope was refused. [`ScopeError::member`] says which of its members is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Longer than [`MAX_QUERY_LENGTH`] bytes.
    #[error("the query is longer than {MAX_QUERY_LENGTH} bytes")]
    TooLong,
    /// Any `queryType` but `MicrosoftGraph`. A-40
    #[error("the query type `{}` is not offered; use `MicrosoftGraph`", query_text::quoted(.0))]
    QueryType(String),
    /// A `queryRoot` on an absolute query. Section 8.2
    #[error("a query root goes with a relative query only; leave it out or send null")]
    QueryRoot,
    /// A documented form that this service does not offer yet: S-06 to S-13, P-01 to P-07, E-01, E-02, A-43.
    #[error("reviews of {what} are not offered yet (query `{}`); {SUPPORTED}", query_text::quoted(.query))]
    NotOffered {
        /// The query as sent.
        query: String,
        /// What would be reviewed.
        what: &'static str,
    },
    /// No known form.
    #[error("the scope query `{}` is not supported; {SUPPORTED}", query_text::quoted(.0))]
    Unsupported(String),
    /// `inactiveDuration` where the direct members include groups (S-04). Section 8.4
    #[error(
        "an inactive-users scope needs a query for users: /groups/{{id}}/transitiveMembers or \
         /groups/{{id}}/members/microsoft.graph.user"
    )]
    InactiveGroups,
    /// Longer than [`MAX_INACTIVE_DAYS`].
    #[error("{0} is longer than {MAX_INACTIVE_DAYS} days")]
    InactiveTooLong(IsoDuration),
}

/// The supported forms, as errors list them.
const SUPPORTED: &str = "supported are /groups/{id}/transitiveMembers, /groups/{id}/members, either of them with \
     /microsoft.graph.user, with $filter=(userType eq 'Guest') or with both; {id} is a GUID";

impl ScopeError {
    /// The member of the scope that is at fault.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::TooLong | Self::NotOffered { .. } | Self::Unsupported(_) | Self::InactiveGroups => "query",
            Self::QueryType(_) => "queryType",
            Self::QueryRoot => "queryRoot",
            Self::InactiveTooLong(_) => "inactiveDuration",
        }
    }

    /// Whether the query itself is unknown or not offered, as opposed to a value within it. A-11
    pub const fn is_unsupported_query(&self) -> bool {
        match self {
            Self::QueryType(_) | Self::NotOffered { .. } | Self::Unsupported(_) | Self::InactiveGroups => true,
            Self::TooLong | Self::QueryRoot | Self::InactiveTooLong(_) => false,
        }
    }
}

impl ReviewScope {
    /// Reads a review scope: forms S-01 to S-05 in every spelling of section 8.1.
    ///
    /// `query_type` absent is `MicrosoftGraph`. `inactive_duration` is `Some` exactly for the inactive-users type,
    /// with `PT0S` when the client gave none (section 8.4).
    pub fn parse(
        query: &str,
        query_type: Option<&str>,
        query_root: Option<&str>,
        inactive_duration: Option<IsoDuration>,
    ) -> Result<Self, ScopeError> {
        check_length_and_type(query, query_type)?;
        let form = parse_form(query)?;
        if query_root.is_some_and(|root| !root.trim().is_empty()) {
            return Err(ScopeError::QueryRoot);
        }
        if let Some(duration) = inactive_duration {
            let ScopeForm::GroupMembers { members, .. } = form;
            if members == MemberKind::UsersAndGroups {
                return Err(ScopeError::InactiveGroups);
            }
            if duration.exceeds_days(MAX_INACTIVE_DAYS) {
                return Err(ScopeError::InactiveTooLong(duration));
            }
        }
        Ok(Self {
            query: query.to_owned(),
            query_type: MICROSOFT_GRAPH.to_owned(),
            query_root: None,
            inactive_duration,
            form,
        })
    }

    /// The scope of an instance: the same meaning, the query in its one spelling. A-14
    pub fn normalised(&self) -> Self {
        Self {
            query: self.form.normalised(),
            query_type: MICROSOFT_GRAPH.to_owned(),
            query_root: None,
            inactive_duration: self.inactive_duration,
            form: self.form.clone(),
        }
    }

    /// Whether two scopes mean the same, whatever their spelling. LC-DEF-25, A-16
    pub fn means_the_same_as(&self, other: &Self) -> bool {
        self.form == other.form && self.inactive_duration == other.inactive_duration
    }
}

impl ScopeForm {
    /// The group under review.
    pub const fn group(&self) -> ObjectId {
        let Self::GroupMembers { group, .. } = self;
        *group
    }

    /// Whether nobody but guests can be under review. LC-APPLY-08
    pub const fn is_guests_only(&self) -> bool {
        let Self::GroupMembers { members, .. } = self;
        matches!(members, MemberKind::Guests)
    }

    /// The one spelling of this meaning, with the prefix that instance scopes carry. A-14, S-05
    pub fn normalised(&self) -> String {
        format!("/v1.0{self}")
    }
}

/// The one spelling of this meaning, without a version prefix.
impl fmt::Display for ScopeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::GroupMembers { group, transitive, members } = self;
        let collection = if *transitive { "transitiveMembers" } else { "members" };
        write!(f, "/groups/{group}/{collection}")?;
        match (members, transitive) {
            (MemberKind::UsersAndGroups, _) | (MemberKind::Users, true) => Ok(()),
            (MemberKind::Users, false) => f.write_str("/microsoft.graph.user"),
            (MemberKind::Guests, _) => f.write_str("/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
        }
    }
}

/// Reads an `instanceEnumerationScope` query in its one offered form, E-03 `/groups/{g}`; answers the group.
///
/// The caller must refuse a group other than the one under review.
pub fn parse_enumerated_group(
    query: &str,
    query_type: Option<&str>,
    query_root: Option<&str>,
) -> Result<ObjectId, ScopeError> {
    check_length_and_type(query, query_type)?;
    let unsupported = || ScopeError::Unsupported(query.trim().to_owned());
    let text = QueryText::read(query).ok_or_else(unsupported)?;
    if query_root.is_some_and(|root| !root.trim().is_empty()) {
        return Err(ScopeError::QueryRoot);
    }
    let lower = text.lower_segments();
    match lower.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["groups"] if !text.relative => Err(ScopeError::NotOffered {
            query: query.trim().to_owned(),
            what: "several groups at once (an instanceEnumerationScope other than the group under review)",
        }),
        ["groups", group] if !text.relative && text.filter.is_none() && text.other_options.is_empty() => {
            query_text::object_id(group).ok_or_else(unsupported)
        }
        _ => Err(unsupported()),
    }
}

fn check_length_and_type(query: &str, query_type: Option<&str>) -> Result<(), ScopeError> {
    if query.len() > MAX_QUERY_LENGTH {
        return Err(ScopeError::TooLong);
    }
    match query_type {
        Some(other) if !other.eq_ignore_ascii_case(MICROSOFT_GRAPH) => Err(ScopeError::QueryType(other.to_owned())),
        Some(_) | None => Ok(()),
    }
}

fn parse_form(query: &str) -> Result<ScopeForm, ScopeError> {
    let unsupported = || ScopeError::Unsupported(query.trim().to_owned());
    let text = QueryText::read(query).ok_or_else(unsupported)?;
    let lower = text.lower_segments();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    if let Some(what) = not_offered(text.relative, &words) {
        return Err(ScopeError::NotOffered { query: query.trim().to_owned(), what });
    }
    let (group, transitive, cast) = match words.as_slice() {
        ["groups", group, "transitivemembers"] => (*group, true, false),
        ["groups", group, "transitivemembers", "microsoft.graph.user"] => (*group, true, true),
        ["groups", group, "members"] => (*group, false, false),
        ["groups", group, "members", "microsoft.graph.user"] => (*group, false, true),
        _ => return Err(unsupported()),
    };
    if text.relative || !text.other_options.is_empty() {
        return Err(unsupported());
    }
    let members = match &text.filter {
        Some(filter) if is_guest_filter(filter) => MemberKind::Guests,
        Some(_) => return Err(unsupported()),
        None if transitive || cast => MemberKind::Users,
        None => MemberKind::UsersAndGroups,
    };
    let group = query_text::object_id(group).ok_or_else(unsupported)?;
    Ok(ScopeForm::GroupMembers { group, transitive, members })
}

/// Whether `filter` is `userType eq 'Guest'`, with or without parentheses.
fn is_guest_filter(filter: &str) -> bool {
    query_text::equalities(filter).is_some_and(|equalities| {
        matches!(equalities.as_slice(), [only] if only.property == "usertype" && only.value.eq_ignore_ascii_case("Guest"))
    })
}

/// What a documented form that is not offered would review; `None` for everything else.
fn not_offered(relative: bool, words: &[&str]) -> Option<&'static str> {
    match (relative, words) {
        (true, ["members" | "transitivemembers", ..]) => Some("the members of every group of an enumeration"),
        (false, ["identitygovernance", "entitlementmanagement", "accesspackageassignments", ..]) => {
            Some("access package assignments")
        }
        (false, ["rolemanagement", "directory", ..]) => Some("directory roles"),
        (false, ["serviceprincipals", ..]) => Some("application assignments"),
        (false, ["teams", _, "channels", ..]) => Some("shared channels"),
        (false, ["subscriptions" | "providers", ..]) => Some("Azure resource roles"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ID: &str = "9e0b2f61-7f3c-4a8c-8a44-1f0d6c9b2a10";

    fn form(query: &str) -> Result<ScopeForm, ScopeError> {
        ReviewScope::parse(query, None, None, None).map(|scope| scope.form)
    }

    fn members(transitive: bool, members: MemberKind) -> ScopeForm {
        ScopeForm::GroupMembers { group: ID.parse().unwrap(), transitive, members }
    }

    #[test]
    fn every_documented_group_form_is_read() {
        for (query, expected) in [
            (format!("/groups/{ID}/transitiveMembers"), members(true, MemberKind::Users)),
            (format!("/groups/{ID}/transitiveMembers/microsoft.graph.user"), members(true, MemberKind::Users)),
            (
                format!("/groups/{ID}/transitiveMembers/?$filter=(userType eq 'Guest')"),
                members(true, MemberKind::Guests),
            ),
            (
                format!(
                    "/groups/{ID}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"
                ),
                members(true, MemberKind::Guests),
            ),
            (format!("/groups/{ID}/members"), members(false, MemberKind::UsersAndGroups)),
            (
                format!("/groups/{ID}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
                members(false, MemberKind::Guests),
            ),
            (format!("/groups/{ID}/members/microsoft.graph.user"), members(false, MemberKind::Users)),
        ] {
            assert_eq!(form(&query), Ok(expected), "{query}");
        }
    }

    /// Section 8.1
    #[test]
    fn spelling_does_not_change_the_meaning() {
        for query in [
            format!("/v1.0/groups/{ID}/transitiveMembers?$filter=userType eq 'Guest'"),
            format!("/beta/groups/{ID}/transitivemembers/?$filter=((UserType EQ 'guest'))&$count=true"),
            format!("/groups/{}/transitiveMembers/Microsoft.Graph.User?$filter=userType+eq+'Guest'", ID.to_uppercase()),
            format!("  /groups/{ID}/transitiveMembers/?%24filter=%28userType%20eq%20%27Guest%27%29  "),
            format!("/groups/{ID}/transitiveMembers/?$filter=( userType  eq 'Guest' )"),
        ] {
            assert_eq!(form(&query), Ok(members(true, MemberKind::Guests)), "{query}");
        }
    }

    ///
    #[test]
    fn a_scope_keeps_its_text_and_an_instance_scope_has_one_spelling() {
        let query = format!("/groups/{}/members/microsoft.graph.user?$filter=userType eq 'Guest'", ID.to_uppercase());
        let scope = ReviewScope::parse(&query, Some("microsoftgraph"), Some(""), None).unwrap();

        assert_eq!((scope.query.as_str(), scope.query_type.as_str()), (query.as_str(), "MicrosoftGraph"));
        assert_eq!(
            scope.normalised().query,
            format!("/v1.0/groups/{ID}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')")
        );
    }

    #[test]
    fn documented_forms_that_are_not_offered_are_refused_by_saying_so() {
        for query in [
            "./members/microsoft.graph.user",
            "./members/microsoft.graph.user/?$filter=(userType eq 'Guest')",
            "/identityGovernance/entitlementManagement/accessPackageAssignments?$filter=(accessPackageId eq 'a')",
            "/roleManagement/directory/roleDefinitions/1",
            "/beta/roleManagement/directory/roleAssignmentScheduleInstances?$expand=principal&$filter=(x)",
            "/servicePrincipals/1/appRoleAssignedTo",
        ] {
            assert!(matches!(form(query), Err(ScopeError::NotOffered { .. })), "{query}");
        }
        insta::assert_snapshot!(
            form("./members").unwrap_err().to_string(),
            @"reviews of the members of every group of an enumeration are not offered yet (query `./members`); supported are /groups/{id}/transitiveMembers, /groups/{id}/members, either of them with /microsoft.graph.user, with $filter=(userType eq 'Guest') or with both; {id} is a GUID"
        );
    }

    #[test]
    fn unknown_queries_are_refused_by_quoting_them_and_listing_the_supported_forms() {
        for query in [
            "",
            "/groups",
            "/groups/sales/members",
            "/users",
            &format!("/groups/{ID}"),
            &format!("/groups/{ID}/owners"),
            &format!("groups/{ID}/members"),
            &format!("/groups/{ID}/members?$filter=userType eq 'Member'"),
            &format!("/groups/{ID}/members?$filter=userType eq 'Guest' and country eq 'USA'"),
            &format!("/groups/{ID}/members?$top=5"),
            &format!("./groups/{ID}/members"),
        ] {
            assert_eq!(form(query), Err(ScopeError::Unsupported(query.to_owned())), "{query}");
        }
        insta::assert_snapshot!(
            form("/users").unwrap_err().to_string(),
            @"the scope query `/users` is not supported; supported are /groups/{id}/transitiveMembers, /groups/{id}/members, either of them with /microsoft.graph.user, with $filter=(userType eq 'Guest') or with both; {id} is a GUID"
        );
    }

    #[test]
    fn arm_is_refused() {
        let scope = ReviewScope::parse(&format!("/groups/{ID}/members"), Some("ARM"), None, None);

        assert_eq!(scope, Err(ScopeError::QueryType("ARM".to_owned())));
    }

    #[test]
    fn an_absolute_query_takes_no_root() {
        let scope = ReviewScope::parse(&format!("/groups/{ID}/members"), None, Some("/v1.0/groups"), None);

        assert_eq!(scope, Err(ScopeError::QueryRoot));
    }

    /// Section 8.4
    #[test]
    fn inactive_users_are_offered_on_users_and_guests_for_at_most_730_days() {
        let parse = |rest: &str, duration: &str| {
            ReviewScope::parse(&format!("/groups/{ID}/{rest}"), None, None, Some(duration.parse().unwrap()))
        };

        for rest in [
            "transitiveMembers",
            "transitiveMembers/microsoft.graph.user",
            "transitiveMembers/?$filter=(userType eq 'Guest')",
            "members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
        ] {
            for duration in ["PT0S", "P30D", "P730D", "P2Y"] {
                assert_eq!(
                    parse(rest, duration).map(|scope| scope.inactive_duration),
                    Ok(Some(duration.parse().unwrap()))
                );
            }
        }
        assert_eq!(parse("members", "P30D"), Err(ScopeError::InactiveGroups));
        for long in ["P731D", "P730DT1S", "P2Y1D", "P25M"] {
            assert_eq!(parse("transitiveMembers", long), Err(ScopeError::InactiveTooLong(long.parse().unwrap())));
        }
    }

    /// E-03
    #[test]
    fn only_one_group_can_be_enumerated() {
        let parse = |query: &str| parse_enumerated_group(query, None, None);

        assert_eq!(parse(&format!("/v1.0/Groups/{}/", ID.to_uppercase())), Ok(ID.parse().unwrap()));
        for query in [
            "/groups?$filter=(groupTypes/any(c:c eq 'Unified'))",
            "/groups?$filter=(groupTypes/any(c:c+eq+'Unified')+and+resourceProvisioningOptions/Any(x:x+eq+'Team')')&$count=true",
        ] {
            assert!(matches!(parse(query), Err(ScopeError::NotOffered { .. })), "{query}");
        }
        for query in ["/users", "./groups", &format!("/groups/{ID}/members"), &format!("/groups/{ID}?$select=id")] {
            assert_eq!(parse(query), Err(ScopeError::Unsupported(query.to_owned())));
        }
        assert_eq!(parse_enumerated_group("/groups", Some("ARM"), None), Err(ScopeError::QueryType("ARM".to_owned())));
    }

    #[test]
    fn pathological_lengths_are_refused() {
        assert_eq!(form(&"/groups".repeat(1_000)), Err(ScopeError::TooLong));
        assert!(form(&format!("/groups/{ID}/members?$filter={}", "(".repeat(4_000))).is_err());
    }

    fn any_form() -> impl Strategy<Value = ScopeForm> {
        let kinds = prop_oneof![
            Just((false, MemberKind::UsersAndGroups)),
            Just((false, MemberKind::Users)),
            Just((true, MemberKind::Users)),
            Just((false, MemberKind::Guests)),
            Just((true, MemberKind::Guests)),
        ];
        (any::<[u8; 16]>(), kinds).prop_map(|(bytes, (transitive, members))| ScopeForm::GroupMembers {
            group: ObjectId::new(Uuid::from_bytes(bytes)),
            transitive,
            members,
        })
    }

    proptest! {
        #[test]
        fn the_normalised_query_is_read_back_as_the_same_form(meant in any_form()) {
            prop_assert_eq!(form(&meant.normalised()), Ok(meant.clone()));
            prop_assert_eq!(form(&meant.to_string()), Ok(meant));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = form(&text);
            let _ = form(&format!("/groups/{ID}/members?{text}"));
            let _ = parse_enumerated_group(&text, Some(&text), Some(&text));
        }
    }
}
