//! Reviewer scopes: the queries that name reviewers (`reviewers`, `fallbackReviewers`). Section 8.7 of the API.

use crate::domain::{
    ids::ObjectId,
    query_text::{self, Equality, MAX_QUERY_LENGTH, QueryText},
};

/// The one `queryType` that is offered, in canonical spelling. A-40
pub const MICROSOFT_GRAPH: &str = "MicrosoftGraph";
/// The `queryRoot` of `./manager`.
pub const DECISIONS_ROOT: &str = "decisions";
/// Longest country in an owner filter, in characters: as long as the directory stores one.
const MAX_COUNTRY_LENGTH: usize = 128;

/// One reviewer scope as a client sent it, together with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewerScope {
    /// The query text as sent; answered unchanged on definitions and stages.
    pub query: String,
    /// `MicrosoftGraph`, in canonical spelling. A-40
    pub query_type: String,
    /// `decisions` for `./manager`; `None` when null or absent. LC-SUPD-07
    pub query_root: Option<String>,
    /// What the query means.
    pub form: ReviewerForm,
    /// Present when the client named the reviewer by type. R-09
    pub typed: Option<TypedReviewer>,
}

/// A reviewer named by type instead of by query, as sent. R-09
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedReviewer {
    /// `scopeType`
    pub scope_type: ReviewerScopeType,
    /// `reviewerId`, as sent.
    pub reviewer_id: Option<String>,
    /// Whether a query that means the same came along, so that both are answered. M-12
    pub beside_query: bool,
}

/// `accessReviewReviewerScopeType`. R-09
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewerScopeType {
    User,
    Group,
    OneSelf,
    Manager,
    Sponsor,
    ResourceOwner,
    ManagerOrSponsor,
}

impl ReviewerScopeType {
    /// Every type.
    pub const ALL: [Self; 7] = [
        Self::User,
        Self::Group,
        Self::OneSelf,
        Self::Manager,
        Self::Sponsor,
        Self::ResourceOwner,
        Self::ManagerOrSponsor,
    ];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::OneSelf => "self",
            Self::Manager => "manager",
            Self::Sponsor => "sponsor",
            Self::ResourceOwner => "resourceOwner",
            Self::ManagerOrSponsor => "managerOrSponsor",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Whether it goes with a `reviewerId`.
    pub const fn names_object(self) -> bool {
        matches!(self, Self::User | Self::Group)
    }

    /// The form it stands for; `None` when the id is missing where one is needed, or given where none is.
    pub const fn form(self, reviewer: Option<ObjectId>) -> Option<ReviewerForm> {
        match (self, reviewer) {
            (Self::User, Some(user)) => Some(ReviewerForm::User(user)),
            (Self::Group, Some(group)) => Some(ReviewerForm::GroupMembers(group)),
            (Self::OneSelf, None) => Some(ReviewerForm::OneSelf),
            (Self::Manager, None) => Some(ReviewerForm::Manager),
            (Self::Sponsor, None) => Some(ReviewerForm::Sponsor),
            (Self::ResourceOwner, None) => Some(ReviewerForm::ResourceOwners),
            (Self::ManagerOrSponsor, None) => Some(ReviewerForm::ManagerOrSponsor),
            (Self::User | Self::Group, None)
            | (Self::OneSelf | Self::Manager | Self::Sponsor | Self::ResourceOwner | Self::ManagerOrSponsor, Some(_)) => {
                None
            }
        }
    }
}

/// The meaning of a reviewer scope. Two scopes are the same reviewer exactly when their forms are equal. LC-SUPD-07
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReviewerForm {
    /// R-02 `/users/{u}`
    User(ObjectId),
    /// R-03 `/groups/{g}/transitiveMembers` and `/groups/{g}/members`; both are flattened. LC-REV-01
    GroupMembers(ObjectId),
    /// R-04, R-05 `/groups/{g}/owners`, optionally filtered.
    GroupOwners(ObjectId, OwnerFilter),
    /// R-06 `./owners`: owners of the instance's own resource.
    ResourceOwners,
    /// R-07 `./manager` with `queryRoot` `decisions`: the manager of each principal.
    Manager,
    /// R-08 `/servicePrincipals/{sp}/owners`
    ServicePrincipalOwners(ObjectId),
    /// R-09 `self`: each principal. Stands alone in its list and means the same as an empty one.
    OneSelf,
    /// R-09 `sponsor`: the sponsors of each principal.
    Sponsor,
    /// R-09 `managerOrSponsor`: the manager of each principal, or the sponsors of one who has none.
    ManagerOrSponsor,
}

/// The filter of R-05; both empty means all owners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerFilter {
    /// `userType eq '…'`: `Member` or `Guest`.
    pub user_type: Option<String>,
    /// `country eq '…'`, as written.
    pub country: Option<String>,
}

/// The two lists that every definition, stage setting, instance and stage owns. Empty `reviewers` means self-review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewerLists {
    /// Primary scopes, in the order they were sent.
    pub reviewers: Vec<ReviewerScope>,
    /// Fallback scopes; append-only while their stage lives. LC-INV-03
    pub fallback_reviewers: Vec<ReviewerScope>,
}

impl ReviewerLists {
    /// Whether two people with the same manager may have different reviewers: in a self-review, or where sponsors review.
    pub fn tell_principals_apart(&self) -> bool {
        let mut scopes = self.reviewers.iter().chain(&self.fallback_reviewers);
        self.is_self_review() || scopes.any(|scope| scope.form.asks_sponsors())
    }

    /// The groups whose owners are asked while nobody stands in for them; `reviewed` is the group under review. LC-REV-08
    pub fn groups_that_need_a_fallback(&self, reviewed: Option<ObjectId>) -> Vec<ObjectId> {
        if !self.fallback_reviewers.is_empty() {
            return Vec::new();
        }
        let owned = self.reviewers.iter().filter_map(|scope| match scope.form {
            ReviewerForm::GroupOwners(group, _) => Some(group),
            ReviewerForm::ResourceOwners => reviewed,
            ReviewerForm::User(_)
            | ReviewerForm::GroupMembers(_)
            | ReviewerForm::Manager
            | ReviewerForm::ServicePrincipalOwners(_)
            | ReviewerForm::OneSelf
            | ReviewerForm::Sponsor
            | ReviewerForm::ManagerOrSponsor => None,
        });
        owned.collect()
    }

    /// Whether one of the lists can stand for more people than this: it asks members or owners, or is as long itself.
    pub fn may_name_more_than(&self, people: i64) -> bool {
        [&self.reviewers, &self.fallback_reviewers].into_iter().any(|scopes| {
            let many = |scope: &ReviewerScope| match scope.form {
                ReviewerForm::GroupMembers(_)
                | ReviewerForm::GroupOwners(..)
                | ReviewerForm::ResourceOwners
                | ReviewerForm::ServicePrincipalOwners(_) => true,
                ReviewerForm::User(_)
                | ReviewerForm::Manager
                | ReviewerForm::OneSelf
                | ReviewerForm::Sponsor
                | ReviewerForm::ManagerOrSponsor => false,
            };
            scopes.iter().any(many) || i64::try_from(scopes.len()).is_ok_and(|length| length > people)
        })
    }

    /// Whether the same people are named for every item: nobody is asked because of who an item's principal is.
    pub fn name_the_same_for_every_item(&self) -> bool {
        let mut scopes = self.reviewers.iter().chain(&self.fallback_reviewers);
        !self.is_self_review() && !scopes.any(|scope| scope.form.is_per_item())
    }

    /// Whether each principal reviews himself.
    pub fn is_self_review(&self) -> bool {
        self.reviewers.iter().all(|scope| scope.form == ReviewerForm::OneSelf)
    }
}

/// Why a reviewer scope was refused. [`ReviewerScopeError::member`] says which of its members is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewerScopeError {
    /// Longer than [`MAX_QUERY_LENGTH`] bytes.
    #[error("the query is longer than {MAX_QUERY_LENGTH} bytes")]
    TooLong,
    /// Any `queryType` but `MicrosoftGraph`. A-40
    #[error("the query type `{}` is not offered; use `MicrosoftGraph`", query_text::quoted(.0))]
    QueryType(String),
    /// A `queryRoot` that does not go with the query. Section 8.2
    #[error("`./manager` needs the query root `decisions`, and no other reviewer query takes a query root")]
    QueryRoot,
    /// `./manager` without its root.
    #[error("`./manager` needs the query root `decisions`")]
    ManagerWithoutRoot,
    /// A country in an owner filter that no directory object can have.
    #[error("a country is at most {MAX_COUNTRY_LENGTH} characters without control characters")]
    Country,
    /// None of the forms.
    #[error(
        "the reviewer query `{}` is not supported; supported are /users/{{id}}, /groups/{{id}}/transitiveMembers, \
         /groups/{{id}}/members, /groups/{{id}}/owners (also with $filter on userType and country by eq and and), \
         ./owners, ./manager with query root decisions, and /servicePrincipals/{{id}}/owners; {{id}} is a GUID",
        query_text::quoted(.0)
    )]
    Unsupported(String),
}

impl ReviewerScopeError {
    /// The member of the scope that is at fault.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::TooLong | Self::Country | Self::Unsupported(_) => "query",
            Self::QueryType(_) => "queryType",
            Self::QueryRoot | Self::ManagerWithoutRoot => "queryRoot",
        }
    }

    /// Whether the query itself is unknown or not offered, as opposed to a value within it. A-11
    pub const fn is_unsupported_query(&self) -> bool {
        match self {
            Self::QueryType(_) | Self::Unsupported(_) => true,
            Self::TooLong | Self::QueryRoot | Self::ManagerWithoutRoot | Self::Country => false,
        }
    }
}

impl ReviewerScope {
    /// Reads a reviewer scope: forms in every spelling of section 8.1.
    ///
    /// `query_type` absent is `MicrosoftGraph`; an empty `query_root` is an absent one (LC-SUPD-07).
    pub fn parse(query: &str, query_type: Option<&str>, query_root: Option<&str>) -> Result<Self, ReviewerScopeError> {
        if query.len() > MAX_QUERY_LENGTH {
            return Err(ReviewerScopeError::TooLong);
        }
        if let Some(other) = query_type
            && !other.eq_ignore_ascii_case(MICROSOFT_GRAPH)
        {
            return Err(ReviewerScopeError::QueryType(other.to_owned()));
        }
        let form = parse_form(query)?;
        let query_root = match (&form, query_root.map(str::trim).filter(|root| !root.is_empty())) {
            (ReviewerForm::Manager, Some(root)) if root.eq_ignore_ascii_case(DECISIONS_ROOT) => {
                Some(DECISIONS_ROOT.to_owned())
            }
            (ReviewerForm::Manager, None) => return Err(ReviewerScopeError::ManagerWithoutRoot),
            (_, Some(_)) => return Err(ReviewerScopeError::QueryRoot),
            (_, None) => None,
        };
        Ok(Self { query: query.to_owned(), query_type: MICROSOFT_GRAPH.to_owned(), query_root, form, typed: None })
    }

    /// The scope that a form has when nobody wrote a query for it: the normalised query.
    pub fn from_form(form: ReviewerForm) -> Self {
        Self {
            query: form.normalised(),
            query_type: MICROSOFT_GRAPH.to_owned(),
            query_root: (form == ReviewerForm::Manager).then(|| DECISIONS_ROOT.to_owned()),
            typed: match form {
                ReviewerForm::OneSelf => Some(ReviewerScopeType::OneSelf),
                ReviewerForm::Sponsor => Some(ReviewerScopeType::Sponsor),
                ReviewerForm::ManagerOrSponsor => Some(ReviewerScopeType::ManagerOrSponsor),
                ReviewerForm::User(_)
                | ReviewerForm::GroupMembers(_)
                | ReviewerForm::GroupOwners(..)
                | ReviewerForm::ResourceOwners
                | ReviewerForm::Manager
                | ReviewerForm::ServicePrincipalOwners(_) => None,
            }
            .map(|scope_type| TypedReviewer { scope_type, reviewer_id: None, beside_query: false }),
            form,
        }
    }
}

fn parse_form(query: &str) -> Result<ReviewerForm, ReviewerScopeError> {
    let unsupported = || ReviewerScopeError::Unsupported(query.trim().to_owned());
    let text = QueryText::read(query).ok_or_else(unsupported)?;
    if !text.other_options.is_empty() || text.expand.is_some() {
        return Err(unsupported());
    }
    let lower = text.lower_segments();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let id = |segment: &str| query_text::object_id(segment).ok_or_else(unsupported);
    let form = match (text.relative, words.as_slice(), &text.filter) {
        (true, ["owners"], None) => ReviewerForm::ResourceOwners,
        (true, ["manager"], None) => ReviewerForm::Manager,
        (false, ["users", user], None) => ReviewerForm::User(id(user)?),
        (false, ["groups", group, "members" | "transitivemembers"], None)
        | (false, ["groups", group, "members" | "transitivemembers", "microsoft.graph.user"], None) => {
            ReviewerForm::GroupMembers(id(group)?)
        }
        (false, ["groups", group, "owners"] | ["groups", group, "owners", "microsoft.graph.user"], filter) => {
            let filter = match filter {
                Some(filter) => owner_filter(&query_text::equalities(filter).ok_or_else(unsupported)?, unsupported)?,
                None => OwnerFilter::default(),
            };
            ReviewerForm::GroupOwners(id(group)?, filter)
        }
        (false, ["serviceprincipals", principal, "owners"], None) => {
            ReviewerForm::ServicePrincipalOwners(id(principal)?)
        }
        _ => return Err(unsupported()),
    };
    Ok(form)
}

///
fn owner_filter(
    equalities: &[Equality],
    unsupported: impl Fn() -> ReviewerScopeError,
) -> Result<OwnerFilter, ReviewerScopeError> {
    let mut filter = OwnerFilter::default();
    for Equality { property, value } in equalities {
        match property.as_str() {
            "usertype" if filter.user_type.is_none() => {
                let known = ["Member", "Guest"].into_iter().find(|known| known.eq_ignore_ascii_case(value));
                filter.user_type = Some(known.ok_or_else(&unsupported)?.to_owned());
            }
            "country" if filter.country.is_none() => {
                if value.chars().count() > MAX_COUNTRY_LENGTH || value.chars().any(char::is_control) {
                    return Err(ReviewerScopeError::Country);
                }
                filter.country = Some(value.clone());
            }
            _ => return Err(unsupported()),
        }
    }
    Ok(filter)
}

impl ReviewerForm {
    /// One spelling per meaning, without version prefix: equal texts are equal forms. A form that has no query, only a type, is
    /// spelled as that. LC-SUPD-07
    pub fn normalised(&self) -> String {
        match self {
            Self::User(user) => format!("/users/{user}"),
            Self::GroupMembers(group) => format!("/groups/{group}/transitiveMembers"),
            Self::GroupOwners(group, filter) => format!("/groups/{group}/owners{filter}"),
            Self::ResourceOwners => "./owners".to_owned(),
            Self::Manager => "./manager".to_owned(),
            Self::ServicePrincipalOwners(principal) => format!("/servicePrincipals/{principal}/owners"),
            Self::OneSelf | Self::Sponsor | Self::ManagerOrSponsor => self.kind().to_owned(),
        }
    }

    /// The directory object that the query names; `None` for the relative forms.
    pub const fn object_id(&self) -> Option<ObjectId> {
        match self {
            Self::User(id) | Self::GroupMembers(id) | Self::GroupOwners(id, _) | Self::ServicePrincipalOwners(id) => {
                Some(*id)
            }
            Self::ResourceOwners | Self::Manager | Self::OneSelf | Self::Sponsor | Self::ManagerOrSponsor => None,
        }
    }

    /// The filter on owners; `None` for forms that take none.
    pub const fn owner_filter(&self) -> Option<&OwnerFilter> {
        match self {
            Self::GroupOwners(_, filter) => Some(filter),
            Self::User(_)
            | Self::GroupMembers(_)
            | Self::ResourceOwners
            | Self::Manager
            | Self::ServicePrincipalOwners(_)
            | Self::OneSelf
            | Self::Sponsor
            | Self::ManagerOrSponsor => None,
        }
    }

    /// Whether it names other people for each item: the item's principal decides who.
    pub const fn is_per_item(&self) -> bool {
        matches!(self, Self::Manager | Self::OneSelf | Self::Sponsor | Self::ManagerOrSponsor)
    }

    /// Whether sponsors may be named: then people with the same manager can have different reviewers.
    pub const fn asks_sponsors(&self) -> bool {
        matches!(self, Self::Sponsor | Self::ManagerOrSponsor)
    }

    /// The name under which storage keeps the form.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::GroupMembers(_) => "groupMembers",
            Self::GroupOwners(..) => "groupOwners",
            Self::ResourceOwners => "resourceOwners",
            Self::Manager => "manager",
            Self::ServicePrincipalOwners(_) => "servicePrincipalOwners",
            Self::OneSelf => "self",
            Self::Sponsor => "sponsor",
            Self::ManagerOrSponsor => "managerOrSponsor",
        }
    }

    /// Puts a stored form together again; `None` when the parts fit no form.
    pub fn from_parts(
        kind: &str,
        object_id: Option<ObjectId>,
        owner_user_type: Option<String>,
        owner_country: Option<String>,
    ) -> Option<Self> {
        let filter = OwnerFilter { user_type: owner_user_type, country: owner_country };
        match (kind, object_id) {
            ("groupOwners", Some(group)) => Some(Self::GroupOwners(group, filter)),
            _ if filter != OwnerFilter::default() => None,
            ("user", Some(user)) => Some(Self::User(user)),
            ("groupMembers", Some(group)) => Some(Self::GroupMembers(group)),
            ("servicePrincipalOwners", Some(principal)) => Some(Self::ServicePrincipalOwners(principal)),
            ("resourceOwners", None) => Some(Self::ResourceOwners),
            ("manager", None) => Some(Self::Manager),
            ("self", None) => Some(Self::OneSelf),
            ("sponsor", None) => Some(Self::Sponsor),
            ("managerOrSponsor", None) => Some(Self::ManagerOrSponsor),
            _ => None,
        }
    }
}

/// The query option that stands for the filter; nothing when it lets every owner through.
impl std::fmt::Display for OwnerFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let clauses: Vec<String> = [("userType", &self.user_type), ("country", &self.country)]
            .into_iter()
            .filter_map(|(property, value)| {
                let value = encode(&value.as_ref()?.replace('\'', "''"));
                Some(format!("microsoft.graph.user/{property} eq '{value}'"))
            })
            .collect();
        match clauses.is_empty() {
            true => Ok(()),
            false => write!(f, "?$filter={}", clauses.join(" and ")),
        }
    }
}

/// Escapes what would not survive being read as part of a query again.
fn encode(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut encoded, c| {
        match c {
            '%' => encoded.push_str("%25"),
            '&' => encoded.push_str("%26"),
            '+' => encoded.push_str("%2B"),
            '#' => encoded.push_str("%23"),
            c => encoded.push(c),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use std::slice;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ID: &str = "9e0b2f61-7f3c-4a8c-8a44-1f0d6c9b2a10";

    fn id() -> ObjectId {
        ID.parse().unwrap()
    }

    fn form(query: &str) -> Result<ReviewerForm, ReviewerScopeError> {
        ReviewerScope::parse(query, None, None).map(|scope| scope.form)
    }

    #[test]
    fn lists_name_the_same_for_every_item_unless_its_principal_says_who() {
        let lists = |reviewers: &[ReviewerForm], fallbacks: &[ReviewerForm]| {
            let scopes = |forms: &[ReviewerForm]| forms.iter().cloned().map(ReviewerScope::from_form).collect();
            ReviewerLists { reviewers: scopes(reviewers), fallback_reviewers: scopes(fallbacks) }
        };
        let user = ReviewerForm::User(id());
        let same = |reviewers: &[ReviewerForm], fallbacks: &[ReviewerForm]| {
            lists(reviewers, fallbacks).name_the_same_for_every_item()
        };
        assert!(same(&[user.clone(), ReviewerForm::ResourceOwners], &[ReviewerForm::GroupMembers(id())]));
        assert!(!same(&[], slice::from_ref(&user)), "a self-review");
        for by_item in [ReviewerForm::Manager, ReviewerForm::Sponsor, ReviewerForm::ManagerOrSponsor] {
            assert!(!same(&[user.clone(), by_item.clone()], &[]), "{by_item:?}");
            assert!(!same(slice::from_ref(&user), slice::from_ref(&by_item)), "{by_item:?}");
        }
    }

    #[test]
    fn every_documented_form_is_read() {
        let all = OwnerFilter::default();
        let filtered = OwnerFilter { user_type: Some("Member".to_owned()), country: Some("USA".to_owned()) };
        for (query, root, expected) in [
            (format!("/users/{ID}"), None, ReviewerForm::User(id())),
            (format!("/groups/{ID}/transitiveMembers"), None, ReviewerForm::GroupMembers(id())),
            (format!("/groups/{ID}/members"), None, ReviewerForm::GroupMembers(id())),
            (format!("/groups/{ID}/transitiveMembers/microsoft.graph.user"), None, ReviewerForm::GroupMembers(id())),
            (format!("/groups/{ID}/owners"), None, ReviewerForm::GroupOwners(id(), all.clone())),
            (
                format!(
                    "/groups/{ID}/owners?$filter=microsoft.graph.user/userType eq 'Member' and \
                     microsoft.graph.user/country eq 'USA'"
                ),
                None,
                ReviewerForm::GroupOwners(id(), filtered.clone()),
            ),
            (
                format!("/groups/{ID}/owners/?$count=true&$filter=(country%20eq%20'USA'+and+usertype eq 'member')"),
                None,
                ReviewerForm::GroupOwners(id(), filtered),
            ),
            ("./owners".to_owned(), None, ReviewerForm::ResourceOwners),
            ("./manager".to_owned(), Some("decisions"), ReviewerForm::Manager),
            (format!("/servicePrincipals/{ID}/owners"), None, ReviewerForm::ServicePrincipalOwners(id())),
        ] {
            assert_eq!(ReviewerScope::parse(&query, None, root).map(|scope| scope.form), Ok(expected), "{query}");
        }
    }

    /// LC-SUPD-07, CL-23
    #[test]
    fn prefix_letter_case_slash_query_type_and_an_empty_root_do_not_change_the_meaning() {
        let plain = form(&format!("/users/{ID}"));

        for query in [
            format!("/v1.0/users/{ID}"),
            format!("/beta/users/{ID}/"),
            format!("/Users/{}", ID.to_uppercase()),
            format!("  /users/{ID}/ "),
        ] {
            for query_type in [None, Some("MicrosoftGraph"), Some("microsoftgraph")] {
                for root in [None, Some("")] {
                    let scope = ReviewerScope::parse(&query, query_type, root).unwrap();
                    assert_eq!(Ok(&scope.form), plain.as_ref(), "{query}");
                    assert_eq!((scope.query, scope.query_type.as_str()), (query.clone(), "MicrosoftGraph"));
                    assert_eq!(scope.query_root, None);
                }
            }
        }
    }

    #[test]
    fn the_manager_needs_the_root_decisions_and_nothing_else_takes_a_root() {
        let manager = |root| ReviewerScope::parse("./manager", None, root);

        assert_eq!(manager(None), Err(ReviewerScopeError::ManagerWithoutRoot));
        assert_eq!(manager(Some("groups")), Err(ReviewerScopeError::QueryRoot));
        assert_eq!(manager(Some("Decisions")).map(|scope| scope.query_root), Ok(Some("decisions".to_owned())));
        assert_eq!(
            ReviewerScope::parse(&format!("/users/{ID}"), None, Some("decisions")),
            Err(ReviewerScopeError::QueryRoot)
        );
    }

    #[test]
    fn unknown_queries_are_refused_by_quoting_them_and_listing_the_supported_forms() {
        for query in [
            "",
            "/users",
            "/users/ada@acme.example",
            "/users/9e0b2f617f3c4a8c8a441f0d6c9b2a10",
            "./members",
            "/me/manager",
            &format!("/users/{ID}/manager"),
            &format!("/users/{ID}?$select=id"),
            &format!("/groups/{ID}"),
            &format!("/groups/{ID}/owners?$filter=userType ne 'Guest'"),
            &format!("/groups/{ID}/owners?$filter=userType eq 'Robot'"),
            &format!("/groups/{ID}/owners?$filter=userType eq 'Guest' and userType eq 'Member'"),
            &format!("/groups/{ID}/members?$filter=userType eq 'Guest'"),
        ] {
            assert_eq!(form(query), Err(ReviewerScopeError::Unsupported(query.to_owned())), "{query}");
        }
        insta::assert_snapshot!(
            form("/users/me").unwrap_err().to_string(),
            @"the reviewer query `/users/me` is not supported; supported are /users/{id}, /groups/{id}/transitiveMembers, /groups/{id}/members, /groups/{id}/owners (also with $filter on userType and country by eq and and), ./owners, ./manager with query root decisions, and /servicePrincipals/{id}/owners; {id} is a GUID"
        );
    }

    #[test]
    fn other_query_types_are_refused() {
        assert_eq!(
            ReviewerScope::parse(&format!("/users/{ID}"), Some("ARM"), None),
            Err(ReviewerScopeError::QueryType("ARM".to_owned()))
        );
    }

    #[test]
    fn pathological_lengths_are_refused() {
        assert_eq!(form(&format!("/users/{}", "a".repeat(MAX_QUERY_LENGTH))), Err(ReviewerScopeError::TooLong));
        assert_eq!(
            form(&format!("/groups/{ID}/owners?$filter=country eq '{}'", "x".repeat(129))),
            Err(ReviewerScopeError::Country)
        );
        assert!(form(&format!("/groups/{ID}/owners?$filter={}", "(".repeat(4_000))).is_err());
    }

    #[test]
    fn parts_that_fit_no_form_are_not_put_together() {
        assert_eq!(ReviewerForm::from_parts("user", None, None, None), None);
        assert_eq!(ReviewerForm::from_parts("manager", Some(id()), None, None), None);
        assert_eq!(ReviewerForm::from_parts("user", Some(id()), Some("Guest".to_owned()), None), None);
        assert_eq!(ReviewerForm::from_parts("sponsor", Some(id()), None, None), None);
        assert_eq!(ReviewerForm::from_parts("boss", None, None, None), None);
    }

    fn any_form() -> impl Strategy<Value = ReviewerForm> {
        let id = || any::<[u8; 16]>().prop_map(|bytes| ObjectId::new(Uuid::from_bytes(bytes)));
        let user_type = proptest::option::of(prop_oneof![Just("Member".to_owned()), Just("Guest".to_owned())]);
        let filter = (user_type, proptest::option::of("[^\\pC]{0,128}"))
            .prop_map(|(user_type, country)| OwnerFilter { user_type, country });
        prop_oneof![
            id().prop_map(ReviewerForm::User),
            id().prop_map(ReviewerForm::GroupMembers),
            (id(), filter).prop_map(|(id, filter)| ReviewerForm::GroupOwners(id, filter)),
            Just(ReviewerForm::ResourceOwners),
            Just(ReviewerForm::Manager),
            id().prop_map(ReviewerForm::ServicePrincipalOwners),
            Just(ReviewerForm::OneSelf),
            Just(ReviewerForm::Sponsor),
            Just(ReviewerForm::ManagerOrSponsor),
        ]
    }

    proptest! {
        /// LC-SUPD-07
        #[test]
        fn the_normalised_query_is_read_back_as_the_same_form(form in any_form(), prefix in prop_oneof![Just(""), Just("/v1.0"), Just("/BETA")]) {
            let scope = ReviewerScope::from_form(form.clone());
            if let Some(typed) = scope.typed {
                prop_assert_eq!(typed.scope_type.form(None), Some(form));
                return Ok(());
            }
            let query = if scope.query.starts_with('/') { format!("{prefix}{}", scope.query) } else { scope.query.clone() };
            let read = ReviewerScope::parse(&query, Some("microsoftGRAPH"), scope.query_root.as_deref()).unwrap();

            prop_assert_eq!(&read.form, &form);
            prop_assert_eq!(read.form.normalised(), form.normalised());
        }

        #[test]
        fn equal_normalised_queries_are_equal_forms(left in any_form(), right in any_form()) {
            prop_assert_eq!(left == right, left.normalised() == right.normalised());
        }

        #[test]
        fn a_form_is_put_together_again_from_its_stored_parts(form in any_form()) {
            let filter = form.owner_filter().cloned().unwrap_or_default();
            prop_assert_eq!(
                ReviewerForm::from_parts(form.kind(), form.object_id(), filter.user_type, filter.country),
                Some(form)
            );
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*", root in proptest::option::of("\\PC*")) {
            let _ = ReviewerScope::parse(&text, root.as_deref(), None);
            let _ = ReviewerScope::parse(&format!("/groups/{ID}/owners?{text}"), None, root.as_deref());
            let _ = ReviewerScope::parse(&format!("/groups/{ID}/owners?$filter={text}"), None, None);
        }
    }
}
