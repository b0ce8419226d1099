//! What each collection offers: the one place to extend when storage learns to filter or order by more.
//! Sections 3.4 and 3.5 of the API, section 3 of the OData digest

use crate::{
    http::odata::options::SystemOption,
    store::filter::{
        APPLY_RESULTS, ContactedReviewerProperty, DecisionProperty, DefinitionProperty, FilterOperator,
        HistoryDefinitionProperty, HistoryInstanceProperty, InstanceProperty, NoProperty, StageProperty,
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
    /// As it is written in `$filter`, without the cast that [`QUERY_SCOPE_CAST`] allows.
    pub path: &'static str,
    pub property: P,
    pub kind: PropertyType,
    pub operators: &'static [FilterOperator],
    /// Whether `in` is offered.
    pub offers_in: bool,
    /// Whether an object may be without a value.
    pub nullable: bool,
}

/// The one cast that a filter may name: the type of the scopes that `scope/query` is about. A-10
pub const QUERY_SCOPE_CAST: &str = "microsoft.graph.accessReviewQueryScope";

/// A navigation property in `$expand`.
#[derive(Clone, Copy, Debug)]
pub struct Expandable {
    pub name: &'static str,
    pub expansion: Expansion,
}

/// What becomes of a navigation property that is to be expanded.
#[derive(Clone, Copy, Debug)]
pub enum Expansion {
    /// It is sent along: at most 100 of its objects, then a link to the rest. Section 4 of the OData digest
    Inline {
        /// As in [`Allowed`].
        selectable: &'static [&'static str],
        /// As in [`Allowed`].
        ignores_unknown_select: bool,
        /// What can be expanded one level below.
        expandable: &'static [Expandable],
    },
    /// It is known, but not here; the text says where it is found.
    Refused(&'static str),
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
    /// Navigation properties that may be sent along, or are refused with a reason.
    pub expandable: &'static [Expandable],
    /// Whether an unknown name in `$select` is ignored instead of refused. A-06
    pub ignores_unknown_select: bool,
    /// Whether rows are numbered, so that it costs the same to leave out few or many: `$skip` then has no limit to speak of, unless
    /// there is a filter or an order.
    pub numbered: bool,
}

impl<P: Copy> Allowed<P> {
    /// The same with numbered rows.
    #[must_use]
    pub const fn numbered(mut self) -> Self {
        self.numbered = true;
        self
    }

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

    /// The same with other navigation properties.
    #[must_use]
    pub const fn expanding(mut self, expandable: &'static [Expandable]) -> Self {
        self.expandable = expandable;
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

const RELATIONAL: &[FilterOperator] = &[
    FilterOperator::Equal,
    FilterOperator::NotEqual,
    FilterOperator::GreaterThan,
    FilterOperator::GreaterOrEqual,
    FilterOperator::LessThan,
    FilterOperator::LessOrEqual,
];

const TEXTUAL: &[FilterOperator] = &[
    FilterOperator::Equal,
    FilterOperator::NotEqual,
    FilterOperator::Contains,
    FilterOperator::StartsWith,
    FilterOperator::EndsWith,
];

const fn member<P>(path: &'static str, property: P, members: &'static [&'static str]) -> Filterable<P> {
    let kind = PropertyType::Member(members);
    Filterable { path, property, kind, operators: EQUALITY, offers_in: true, nullable: false }
}

const fn id<P>(path: &'static str, property: P) -> Filterable<P> {
    Filterable { path, property, kind: PropertyType::Id, operators: EQUALITY, offers_in: true, nullable: false }
}

const fn text<P>(path: &'static str, property: P) -> Filterable<P> {
    Filterable { path, property, kind: PropertyType::Text, operators: TEXTUAL, offers_in: true, nullable: false }
}

const fn instant<P>(path: &'static str, property: P) -> Filterable<P> {
    let kind = PropertyType::Instant;
    Filterable { path, property, kind, operators: RELATIONAL, offers_in: false, nullable: false }
}

/// `contains` is what is documented; the others are as cheap. Null for scopes of other types.
const fn scope_query<P>(property: P) -> Filterable<P> {
    let kind = PropertyType::Text;
    Filterable { path: "scope/query", property, kind, operators: TEXTUAL, offers_in: false, nullable: true }
}

const fn nullable<P: Copy>(mut filterable: Filterable<P>) -> Filterable<P> {
    filterable.nullable = true;
    filterable
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

const HISTORY_STATUSES: &[&str] = &["done", "inprogress", "error", "requested"];

const INSTANCE_PROPERTIES: &[&str] =
    &["id", "startDateTime", "endDateTime", "status", "scope", "reviewers", "fallbackReviewers", "errors"];

const STAGE_PROPERTIES: &[&str] = &["id", "startDateTime", "endDateTime", "status", "reviewers", "fallbackReviewers"];

const CONTACTED_REVIEWER_PROPERTIES: &[&str] = &["id", "displayName", "userPrincipalName", "createdDateTime"];

const HISTORY_INSTANCE_PROPERTIES: &[&str] = &[
    "id",
    "status",
    "reviewHistoryPeriodStartDateTime",
    "reviewHistoryPeriodEndDateTime",
    "runDateTime",
    "fulfilledDateTime",
    "downloadUri",
    "expirationDateTime",
];

const STAGES_INLINE: Expandable = Expandable {
    name: "stages",
    expansion: Expansion::Inline { selectable: STAGE_PROPERTIES, ignores_unknown_select: false, expandable: &[] },
};

const DECISIONS_REFUSED: Expandable = Expandable {
    name: "decisions",
    expansion: Expansion::Refused("there can be very many; ask for the collection …/decisions"),
};

/// What DEF-GET sends along. A-12
pub const DEFINITION_EXPANDABLE: &[Expandable] = &[Expandable {
    name: "instances",
    expansion: Expansion::Inline {
        selectable: INSTANCE_PROPERTIES,
        ignores_unknown_select: false,
        expandable: &[STAGES_INLINE, DECISIONS_REFUSED],
    },
}];

/// What INST-LIST sends along.
pub const INSTANCES_EXPANDABLE: &[Expandable] = &[STAGES_INLINE, DECISIONS_REFUSED];

/// What INST-GET sends along.
pub const INSTANCE_EXPANDABLE: &[Expandable] = &[
    STAGES_INLINE,
    Expandable {
        name: "contactedReviewers",
        expansion: Expansion::Inline {
            selectable: CONTACTED_REVIEWER_PROPERTIES,
            ignores_unknown_select: false,
            expandable: &[],
        },
    },
    DECISIONS_REFUSED,
];

/// What HIST-LIST and HIST-GET send along.
pub const HISTORY_EXPANDABLE: &[Expandable] = &[Expandable {
    name: "instances",
    expansion: Expansion::Inline {
        selectable: HISTORY_INSTANCE_PROPERTIES,
        ignores_unknown_select: false,
        expandable: &[],
    },
}];

/// DEF-LIST, DEF-MINE
pub static DEFINITIONS: Allowed<DefinitionProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", DefinitionProperty::Id),
        member("status", DefinitionProperty::Status, STATUSES),
        text("displayName", DefinitionProperty::DisplayName),
        instant("createdDateTime", DefinitionProperty::CreatedDateTime),
        instant("lastModifiedDateTime", DefinitionProperty::LastModifiedDateTime),
        id("createdBy/id", DefinitionProperty::CreatorId),
        scope_query(DefinitionProperty::ScopeQuery),
    ],
    orderable: &[
        ("displayName", DefinitionProperty::DisplayName),
        ("status", DefinitionProperty::Status),
        ("createdDateTime", DefinitionProperty::CreatedDateTime),
        ("lastModifiedDateTime", DefinitionProperty::LastModifiedDateTime),
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
    //
    expandable: &[Expandable {
        name: "instances",
        expansion: Expansion::Refused("they come with one definition only; ask for definitions/{id}?$expand=instances"),
    }],
    ignores_unknown_select: false,
    numbered: false,
};

/// INST-LIST, INST-MINE
pub static INSTANCES: Allowed<InstanceProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", InstanceProperty::Id),
        member("status", InstanceProperty::Status, STATUSES),
        instant("startDateTime", InstanceProperty::StartDateTime),
        instant("endDateTime", InstanceProperty::EndDateTime),
        scope_query(InstanceProperty::ScopeQuery),
    ],
    orderable: &[
        ("status", InstanceProperty::Status),
        ("startDateTime", InstanceProperty::StartDateTime),
        ("endDateTime", InstanceProperty::EndDateTime),
    ],
    selectable: INSTANCE_PROPERTIES,
    expandable: &[DECISIONS_REFUSED],
    ignores_unknown_select: false,
    numbered: false,
};

/// STAGE-LIST, STAGE-MINE
pub static STAGES: Allowed<StageProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", StageProperty::Id),
        member("status", StageProperty::Status, STAGE_STATUSES),
        instant("startDateTime", StageProperty::StartDateTime),
        instant("endDateTime", StageProperty::EndDateTime),
    ],
    orderable: &[
        ("status", StageProperty::Status),
        ("startDateTime", StageProperty::StartDateTime),
        ("endDateTime", StageProperty::EndDateTime),
    ],
    selectable: STAGE_PROPERTIES,
    expandable: &[DECISIONS_REFUSED],
    ignores_unknown_select: false,
    numbered: false,
};

/// DEC-LIST, DEC-MINE, STAGE-DEC-LIST, STAGE-DEC-MINE
pub static DECISIONS: Allowed<DecisionProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", DecisionProperty::Id),
        member("decision", DecisionProperty::Decision, DECISION_VALUES),
        member("applyResult", DecisionProperty::ApplyResult, &APPLY_RESULTS),
        member("recommendation", DecisionProperty::Recommendation, RECOMMENDATIONS),
        id("principal/id", DecisionProperty::PrincipalId),
        text("principal/displayName", DecisionProperty::PrincipalName),
        id("resource/id", DecisionProperty::ResourceId),
        id("reviewedBy/id", DecisionProperty::ReviewerId),
        nullable(instant("reviewedDateTime", DecisionProperty::ReviewedDateTime)),
    ],
    orderable: &[
        ("decision", DecisionProperty::Decision),
        ("applyResult", DecisionProperty::ApplyResult),
        ("recommendation", DecisionProperty::Recommendation),
        ("reviewedDateTime", DecisionProperty::ReviewedDateTime),
        ("principal/displayName", DecisionProperty::PrincipalName),
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
    expandable: DECISION_EXPANDABLE,
    ignores_unknown_select: true,
    numbered: false,
};

const INSIGHT_PROPERTIES: &[&str] = &[
    "id",
    "insightCreatedDateTime",
    "lastSignInDateTime",
    "memberId",
    "containerId",
    "outlierMemberType",
    "outlierContainerType",
];

/// What DEC-LIST, DEC-MINE, DEC-GET and the same below a stage send along.
const DECISION_EXPANDABLE: &[Expandable] = &[Expandable {
    name: "insights",
    expansion: Expansion::Inline { selectable: INSIGHT_PROPERTIES, ignores_unknown_select: false, expandable: &[] },
}];

/// DEC-INSIGHTS, STAGE-DEC-INSIGHTS: an item has a handful of insights at most, so they are neither filtered nor ordered.
pub static INSIGHTS: Allowed<NoProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[],
    orderable: &[],
    selectable: INSIGHT_PROPERTIES,
    expandable: &[],
    ignores_unknown_select: false,
    numbered: false,
};

/// INST-CONTACTED, CONTACTED-GET
pub static CONTACTED_REVIEWERS: Allowed<ContactedReviewerProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", ContactedReviewerProperty::Id),
        text("displayName", ContactedReviewerProperty::DisplayName),
        text("userPrincipalName", ContactedReviewerProperty::UserPrincipalName),
        instant("createdDateTime", ContactedReviewerProperty::CreatedDateTime),
    ],
    orderable: &[
        ("displayName", ContactedReviewerProperty::DisplayName),
        ("userPrincipalName", ContactedReviewerProperty::UserPrincipalName),
        ("createdDateTime", ContactedReviewerProperty::CreatedDateTime),
    ],
    selectable: CONTACTED_REVIEWER_PROPERTIES,
    expandable: &[],
    ignores_unknown_select: false,
    numbered: false,
};

/// HIST-LIST, HIST-GET
pub static HISTORY_DEFINITIONS: Allowed<HistoryDefinitionProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", HistoryDefinitionProperty::Id),
        member("status", HistoryDefinitionProperty::Status, HISTORY_STATUSES),
        text("displayName", HistoryDefinitionProperty::DisplayName),
        instant("createdDateTime", HistoryDefinitionProperty::CreatedDateTime),
    ],
    orderable: &[
        ("displayName", HistoryDefinitionProperty::DisplayName),
        ("status", HistoryDefinitionProperty::Status),
        ("createdDateTime", HistoryDefinitionProperty::CreatedDateTime),
    ],
    selectable: &[
        "id",
        "displayName",
        "createdBy",
        "createdDateTime",
        "decisions",
        "reviewHistoryPeriodStartDateTime",
        "reviewHistoryPeriodEndDateTime",
        "scopes",
        "scheduleSettings",
        "status",
    ],
    expandable: HISTORY_EXPANDABLE,
    ignores_unknown_select: false,
    numbered: false,
};

/// HIST-INST-LIST, HIST-INST-GET
pub static HISTORY_INSTANCES: Allowed<HistoryInstanceProperty> = Allowed {
    shape: Shape::Collection,
    filterable: &[
        id("id", HistoryInstanceProperty::Id),
        member("status", HistoryInstanceProperty::Status, HISTORY_STATUSES),
        instant("runDateTime", HistoryInstanceProperty::RunDateTime),
    ],
    orderable: &[("status", HistoryInstanceProperty::Status), ("runDateTime", HistoryInstanceProperty::RunDateTime)],
    selectable: HISTORY_INSTANCE_PROPERTIES,
    expandable: &[],
    ignores_unknown_select: false,
    numbered: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{apply::ApplyResult, decision::Verdict, recommendation::Recommendation, status::Status};

    #[test]
    fn the_words_a_filter_accepts_are_those_the_domain_knows() {
        assert_eq!(STATUSES, Status::ALL.map(Status::as_str));
        assert_eq!(DECISION_VALUES, Verdict::ALL.map(Verdict::as_str));
        assert_eq!(APPLY_RESULTS, ApplyResult::ALL.map(ApplyResult::as_str));
        assert_eq!(RECOMMENDATIONS, Recommendation::ALL.map(Recommendation::as_str));
        assert!(STAGE_STATUSES.iter().all(|status| STATUSES.contains(status)));
    }

    #[test]
    fn what_can_be_filtered_or_ordered_by_can_be_selected() {
        let orderable = DEFINITIONS.orderable.iter().map(|(name, _)| *name);
        let filterable = DEFINITIONS.filterable.iter().map(|offered| offered.path);
        let root = |path: &'static str| path.split('/').next().unwrap_or(path);
        assert!(orderable.chain(filterable).all(|path| DEFINITIONS.selectable.contains(&root(path))));
    }
}
