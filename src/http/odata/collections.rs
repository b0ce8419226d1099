//! What each collection offers: the one place to extend when storage learns to filter or order by more.
//! Sections 3.4 and 3.5 of the API, section 3 of the OData digest

use crate::{
    http::odata::options::SystemOption,
    store::filter::{
        ContactedReviewerProperty, DecisionProperty, DefinitionProperty, FilterOperator, InstanceProperty,
        StageProperty,
    },
};

/// What kind of value a property has, hence which literals it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyType {
    /// One of these words, exactly as written here.
    Member(&'static [&'static str]),
    /// Free text.
    Text,
    /// An id, with or without quotes.
    Id,
    /// A moment, without quotes.
    Instant,
}

/// A property that can be filtered by.
#[derive(Clone, Copy, Debug)]
pub struct Filterable<P> {
    /// As it is written in `$filter`.
    pub path: &'static str,
    pub property: P,
    pub kind: PropertyType,
    pub operators: &'static [FilterOperator],
    /// Whether `in` is offered.
    pub offers_in: bool,
}

/// Which system query options make sense for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Collection,
    Entity,
    /// `/$count`: options that do not change the number are read and have no effect.
    Count,
}

/// What a route offers of the system query options.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<P: 'static> {
    pub shape: Shape,
    pub filterable: &'static [Filterable<P>],
    /// Names and properties.
    pub orderable: &'static [(&'static str, P)],
    /// Names of the type's properties.
    pub selectable: &'static [&'static str],
    /// Names of navigation properties that may be sent along.
    pub expandable: &'static [&'static str],
    /// Whether an unknown name in `$select` is ignored instead of refused. A-06
    pub ignores_unknown_select: bool,
}

impl<P: Copy> Allowed<P> {
    /// The same type as a single entity.
    #[must_use]
    pub const fn entity(mut self) -> Self {
        self.shape = Shape::Entity;
        self
    }

    /// The number of objects of the same collection.
    #[must_use]
    pub const fn count(mut self) -> Self {
        self.shape = Shape::Count;
        self
    }

    /// Whether the option may be given at all.
    pub(super) fn offers(&self, option: SystemOption) -> bool {
        match (self.shape, option) {
            (Shape::Collection, _)
            | (
                Shape::Entity,
                SystemOption::Select | SystemOption::Expand | SystemOption::Format | SystemOption::Search,
            ) => true,
            (Shape::Count, SystemOption::SkipToken | SystemOption::Format) | (Shape::Entity, _) => false,
            (Shape::Count, _) => true,
        }
    }
}

const EQUALITY: &[FilterOperator] = &[FilterOperator::Equal, FilterOperator::NotEqual];

const fn member<P>(path: &'static str, property: P, members: &'static [&'static str]) -> Filterable<P> {
    Filterable { path, property, kind: PropertyType::Member(members), operators: EQUALITY, offers_in: true }
}

/// Statuses of definitions and instances.
const STATUSES: &[&str] = &[
    "NotStarted",
    "Initializing",
    "Starting",
    "InProgress",
    "Completing",
    "Completed",
    "AutoReviewing",
    "AutoReviewed",
    "Applying",
    "Applied",
    "Failed",
];

const STAGE_STATUSES: &[&str] = &[
    "NotStarted",
    "Initializing",
    "Starting",
    "InProgress",
    "Completing",
    "Completed",
    "AutoReviewing",
    "AutoReviewed",
];

const DECISION_VALUES: &[&str] = &["Approve", "Deny", "DontKnow", "NotReviewed"];

const RECOMMENDATIONS: &[&str] = &["NoInfoAvailable", "Approve", "Deny"];

const APPLY_RESULTS: &[&str] = &[
    "New",
    "AppliedSuccessfully",
    "AppliedWithUnknownFailure",
    "AppliedSuccessfullyButObjectNotFound",
    "ApplyNotSupported",
];

/// DEF-LIST, DEF-MINE
pub static DEFINITIONS: Allowed<DefinitionProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        member("status", DefinitionProperty::Status, STATUSES),
        Filterable {
            path: "displayName",
            property: DefinitionProperty::DisplayName,
            kind: PropertyType::Text,
            operators: &[FilterOperator::Equal, FilterOperator::Contains, FilterOperator::StartsWith],
            offers_in: false,
        },
    ],
    orderable: &[
        ("displayName", DefinitionProperty::DisplayName),
        ("status", DefinitionProperty::Status),
        ("createdDateTime", DefinitionProperty::CreatedDateTime),
    ],
    selectable: &[
        "id",
        "displayName",
        "descriptionForAdmins",
        "descriptionForReviewers",
        "createdDateTime",
        "lastModifiedDateTime",
        "createdBy",
        "status",
        "scope",
        "instanceEnumerationScope",
        "reviewers",
        "fallbackReviewers",
        "settings",
        "stageSettings",
        "additionalNotificationRecipients",
    ],
    expandable: &[],
    ignores_unknown_select: false,
};

/// INST-LIST, INST-MINE
pub static INSTANCES: Allowed<InstanceProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[member("status", InstanceProperty::Status, STATUSES)],
    orderable: &[
        ("status", InstanceProperty::Status),
        ("startDateTime", InstanceProperty::StartDateTime),
        ("endDateTime", InstanceProperty::EndDateTime),
    ],
    selectable: &["id", "startDateTime", "endDateTime", "status", "scope", "reviewers", "fallbackReviewers", "errors"],
    expandable: &[],
    ignores_unknown_select: false,
};

/// STAGE-LIST, STAGE-MINE
pub static STAGES: Allowed<StageProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[member("status", StageProperty::Status, STAGE_STATUSES)],
    orderable: &[
        ("status", StageProperty::Status),
        ("startDateTime", StageProperty::StartDateTime),
        ("endDateTime", StageProperty::EndDateTime),
    ],
    selectable: &["id", "startDateTime", "endDateTime", "status", "reviewers", "fallbackReviewers"],
    expandable: &[],
    ignores_unknown_select: false,
};

/// DEC-LIST, DEC-MINE, STAGE-DEC-LIST, STAGE-DEC-MINE
pub static DECISIONS: Allowed<DecisionProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        member("decision", DecisionProperty::Decision, DECISION_VALUES),
        member("applyResult", DecisionProperty::ApplyResult, APPLY_RESULTS),
        member("recommendation", DecisionProperty::Recommendation, RECOMMENDATIONS),
    ],
    orderable: &[
        ("decision", DecisionProperty::Decision),
        ("applyResult", DecisionProperty::ApplyResult),
        ("recommendation", DecisionProperty::Recommendation),
    ],
    selectable: &[
        "id",
        "accessReviewId",
        "decision",
        "justification",
        "reviewedBy",
        "reviewedDateTime",
        "recommendation",
        "applyResult",
        "appliedBy",
        "appliedDateTime",
        "principal",
        "principalLink",
        "resource",
        "resourceLink",
        "applyDescription",
        "permission",
    ],
    expandable: &[],
    ignores_unknown_select: true,
};

/// INST-CONTACTED
pub static CONTACTED_REVIEWERS: Allowed<ContactedReviewerProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        Filterable {
            path: "id",
            property: ContactedReviewerProperty::Id,
            kind: PropertyType::Id,
            operators: EQUALITY,
            offers_in: true,
        },
        Filterable {
            path: "displayName",
            property: ContactedReviewerProperty::DisplayName,
            kind: PropertyType::Text,
            operators: EQUALITY,
            offers_in: true,
        },
        Filterable {
            path: "userPrincipalName",
            property: ContactedReviewerProperty::UserPrincipalName,
            kind: PropertyType::Text,
            operators: EQUALITY,
            offers_in: true,
        },
    ],
    orderable: &[
        ("displayName", ContactedReviewerProperty::DisplayName),
        ("userPrincipalName", ContactedReviewerProperty::UserPrincipalName),
        ("createdDateTime", ContactedReviewerProperty::CreatedDateTime),
    ],
    selectable: &["id", "displayName", "userPrincipalName", "createdDateTime"],
    expandable: &[],
    ignores_unknown_select: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{decision::Verdict, recommendation::Recommendation, status::Status};

    #[test]
    fn the_words_a_filter_accepts_are_those_the_domain_knows() {
        assert_eq!(STATUSES, Status::ALL.map(Status::as_str));
        assert_eq!(DECISION_VALUES, Verdict::ALL.map(Verdict::as_str));
        assert_eq!(RECOMMENDATIONS, Recommendation::ALL.map(Recommendation::as_str));
        assert!(STAGE_STATUSES.iter().all(|status| STATUSES.contains(status)));
    }

    #[test]
    fn what_can_be_filtered_or_ordered_by_can_be_selected() {
        let orderable = DEFINITIONS.orderable.iter().map(|(name, _)| *name);
        let filterable = DEFINITIONS.filterable.iter().map(|offered| offered.path);
        assert!(orderable.chain(filterable).all(|name| DEFINITIONS.selectable.contains(&name)));
    }
}
