//! The table: every type, enumeration and operation that clients meet. A test holds it against what answers really contain.

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Text,
    Flag,
    Integer,
    DateTime,
    Date,
    Duration,
    /// A member of an enumeration of the table.
    Enumeration(&'static str),
    /// A complex type of the table, or one derived from it.
    Complex(&'static str),
}

/// A structural property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    pub name: &'static str,
    pub of: Of,
    pub many: bool,
    pub nullable: bool,
}

/// Entities contained in another one.
#[derive(Clone, Copy, Debug)]
pub struct Navigation {
    pub name: &'static str,
    pub target: &'static str,
    pub many: bool,
}

/// An entity type or a complex type.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub name: &'static str,
    pub is_entity: bool,
    pub base: Option<&'static str>,
    pub is_abstract: bool,
    /// Whether instances may carry more properties than are declared.
    pub is_open: bool,
    pub properties: &'static [Property],
    pub navigations: &'static [Navigation],
}

/// An enumeration and its members, in the order of their values.
pub struct Enumeration {
    pub name: &'static str,
    pub members: &'static [&'static str],
}

/// What can be asked of an object beyond reading and writing it.
pub struct Operation {
    pub name: &'static str,
    /// What it is bound to.
    pub bound_to: &'static str,
    /// Whether it is bound to a collection of it.
    pub to_many: bool,
    pub parameters: &'static [Property],
    pub answers: Answers,
}

/// What an operation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// An action that answers nothing.
    Nothing,
    /// An action that answers the object it is bound to.
    Itself,
    /// A function that answers some of the collection it is bound to.
    Selection,
}

const fn nullable(name: &'static str, of: Of) -> Property {
    Property { name, of, many: false, nullable: true }
}

const fn always(name: &'static str, of: Of) -> Property {
    Property { name, of, many: false, nullable: false }
}

const fn many(name: &'static str, of: Of) -> Property {
    Property { name, of, many: true, nullable: false }
}

const fn contained(name: &'static str, target: &'static str) -> Navigation {
    Navigation { name, target, many: true }
}

const fn entity(name: &'static str, properties: &'static [Property], navigations: &'static [Navigation]) -> Type {
    Type { name, is_entity: true, base: Some("entity"), is_abstract: false, is_open: false, properties, navigations }
}

const fn complex(name: &'static str, base: Option<&'static str>, properties: &'static [Property]) -> Type {
    Type { name, is_entity: false, base, is_abstract: false, is_open: false, properties, navigations: &[] }
}

const fn abstract_complex(name: &'static str) -> Type {
    Type { is_abstract: true, ..complex(name, None, &[]) }
}

const fn open(kind: Type) -> Type {
    Type { is_open: true, ..kind }
}

use Of::{Complex, Date, DateTime, Duration, Enumeration as Member, Flag, Integer, Text};

const REVIEWER_SCOPE: Of = Complex("accessReviewReviewerScope");
const SCOPE: Of = Complex("accessReviewScope");
const USER: Of = Complex("userIdentity");

/// Every type; a base stands before what derives from it.
pub const TYPES: &[Type] = &[
    Type {
        name: "entity",
        is_entity: true,
        base: None,
        is_abstract: true,
        is_open: false,
        properties: &[always("id", Text)],
        navigations: &[],
    },
    Type {
        name: "identityGovernance",
        is_entity: true,
        base: None,
        is_abstract: false,
        is_open: false,
        properties: &[],
        navigations: &[Navigation { name: "accessReviews", target: "accessReviewSet", many: false }],
    },
    entity(
        "accessReviewSet",
        &[],
        &[
            contained("definitions", "accessReviewScheduleDefinition"),
            contained("historyDefinitions", "accessReviewHistoryDefinition"),
        ],
    ),
    entity(
        "accessReviewScheduleDefinition",
        &[
            nullable("displayName", Text),
            nullable("createdDateTime", DateTime),
            nullable("lastModifiedDateTime", DateTime),
            nullable("status", Text),
            nullable("descriptionForAdmins", Text),
            nullable("descriptionForReviewers", Text),
            nullable("createdBy", USER),
            nullable("scope", SCOPE),
            nullable("instanceEnumerationScope", SCOPE),
            many("reviewers", REVIEWER_SCOPE),
            many("fallbackReviewers", REVIEWER_SCOPE),
            nullable("settings", Complex("accessReviewScheduleSettings")),
            many("stageSettings", Complex("accessReviewStageSettings")),
            many("additionalNotificationRecipients", Complex("accessReviewNotificationRecipientItem")),
        ],
        &[contained("instances", "accessReviewInstance")],
    ),
    entity(
        "accessReviewInstance",
        &[
            nullable("startDateTime", DateTime),
            nullable("endDateTime", DateTime),
            nullable("status", Text),
            nullable("scope", SCOPE),
            many("reviewers", REVIEWER_SCOPE),
            many("fallbackReviewers", REVIEWER_SCOPE),
            many("errors", Complex("accessReviewError")),
        ],
        &[
            contained("contactedReviewers", "accessReviewReviewer"),
            contained("decisions", "accessReviewInstanceDecisionItem"),
            contained("stages", "accessReviewStage"),
        ],
    ),
    entity(
        "accessReviewStage",
        &[
            nullable("startDateTime", DateTime),
            nullable("endDateTime", DateTime),
            nullable("status", Text),
            many("reviewers", REVIEWER_SCOPE),
            many("fallbackReviewers", REVIEWER_SCOPE),
        ],
        &[contained("decisions", "accessReviewInstanceDecisionItem")],
    ),
    entity(
        "accessReviewReviewer",
        &[nullable("createdDateTime", DateTime), nullable("displayName", Text), nullable("userPrincipalName", Text)],
        &[],
    ),
    entity(
        "accessReviewInstanceDecisionItem",
        &[
            always("accessReviewId", Text),
            nullable("decision", Text),
            nullable("justification", Text),
            nullable("reviewedBy", USER),
            nullable("reviewedDateTime", DateTime),
            nullable("recommendation", Text),
            nullable("applyResult", Text),
            nullable("applyDescription", Text),
            nullable("appliedBy", USER),
            nullable("appliedDateTime", DateTime),
            nullable("principal", Complex("identity")),
            nullable("principalLink", Text),
            nullable("resource", Complex("accessReviewInstanceDecisionItemResource")),
            nullable("resourceLink", Text),
            nullable("permission", Complex("accessReviewInstanceDecisionItemPermission")),
        ],
        &[contained("insights", "governanceInsight")],
    ),
    Type { is_abstract: true, ..entity("governanceInsight", &[nullable("insightCreatedDateTime", DateTime)], &[]) },
    Type {
        base: Some("governanceInsight"),
        ..entity("userSignInInsight", &[nullable("lastSignInDateTime", DateTime)], &[])
    },
    Type {
        base: Some("governanceInsight"),
        ..entity(
            "membershipOutlierInsight",
            &[
                always("memberId", Text),
                always("containerId", Text),
                always("outlierMemberType", Member("outlierMemberType")),
                always("outlierContainerType", Member("outlierContainerType")),
            ],
            &[],
        )
    },
    entity(
        "accessReviewHistoryDefinition",
        &[
            always("displayName", Text),
            always("createdBy", USER),
            always("createdDateTime", DateTime),
            many("decisions", Member("accessReviewHistoryDecisionFilter")),
            nullable("reviewHistoryPeriodStartDateTime", DateTime),
            nullable("reviewHistoryPeriodEndDateTime", DateTime),
            many("scopes", SCOPE),
            nullable("scheduleSettings", Complex("accessReviewHistoryScheduleSettings")),
            nullable("status", Member("accessReviewHistoryStatus")),
        ],
        &[contained("instances", "accessReviewHistoryInstance")],
    ),
    entity(
        "accessReviewHistoryInstance",
        &[
            nullable("status", Member("accessReviewHistoryStatus")),
            nullable("reviewHistoryPeriodStartDateTime", DateTime),
            nullable("reviewHistoryPeriodEndDateTime", DateTime),
            always("runDateTime", DateTime),
            nullable("fulfilledDateTime", DateTime),
            nullable("downloadUri", Text),
            always("expirationDateTime", DateTime),
        ],
        &[],
    ),
    complex("accessReviewScope", None, &[]),
    complex(
        "accessReviewQueryScope",
        Some("accessReviewScope"),
        &[nullable("query", Text), nullable("queryRoot", Text), nullable("queryType", Text)],
    ),
    complex(
        "accessReviewInactiveUsersQueryScope",
        Some("accessReviewQueryScope"),
        &[nullable("inactiveDuration", Duration)],
    ),
    complex(
        "principalResourceMembershipsScope",
        Some("accessReviewScope"),
        &[many("principalScopes", SCOPE), many("resourceScopes", SCOPE)],
    ),
    complex(
        "accessReviewPrincipalScope",
        Some("accessReviewScope"),
        &[nullable("scopeType", Member("accessReviewPrincipalScopeType"))],
    ),
    complex(
        "accessReviewResourceScope",
        Some("accessReviewScope"),
        &[
            nullable("resourceId", Text),
            nullable("scopeType", Member("accessReviewResourceScopeType")),
            nullable("displayName", Text),
        ],
    ),
    complex(
        "accessReviewAccessPackageAssignmentPolicyScope",
        Some("accessReviewResourceScope"),
        &[
            nullable("accessPackageId", Text),
            nullable("accessPackageDisplayName", Text),
            nullable("catalogId", Text),
            nullable("catalogDisplayName", Text),
        ],
    ),
    complex(
        "accessReviewReviewerScope",
        None,
        &[
            nullable("query", Text),
            nullable("queryRoot", Text),
            nullable("queryType", Text),
            nullable("reviewerId", Text),
            nullable("scopeType", Member("accessReviewReviewerScopeType")),
        ],
    ),
    complex(
        "accessReviewScheduleSettings",
        None,
        &[
            always("mailNotificationsEnabled", Flag),
            always("reminderNotificationsEnabled", Flag),
            always("justificationRequiredOnApproval", Flag),
            always("defaultDecisionEnabled", Flag),
            nullable("defaultDecision", Text),
            always("instanceDurationInDays", Integer),
            always("autoApplyDecisionsEnabled", Flag),
            always("recommendationsEnabled", Flag),
            nullable("recommendationLookBackDuration", Duration),
            many("recommendationInsightSettings", Complex("accessReviewRecommendationInsightSetting")),
            nullable("decisionHistoriesForReviewersEnabled", Flag),
            nullable("recurrence", Complex("patternedRecurrence")),
            many("applyActions", Complex("accessReviewApplyAction")),
        ],
    ),
    complex(
        "accessReviewStageSettings",
        None,
        &[
            always("stageId", Text),
            many("dependsOn", Text),
            always("durationInDays", Integer),
            always("recommendationsEnabled", Flag),
            nullable("recommendationLookBackDuration", Duration),
            many("recommendationInsightSettings", Complex("accessReviewRecommendationInsightSetting")),
            many("decisionsThatWillMoveToNextStage", Text),
            many("reviewers", REVIEWER_SCOPE),
            many("fallbackReviewers", REVIEWER_SCOPE),
        ],
    ),
    complex(
        "accessReviewNotificationRecipientItem",
        None,
        &[
            nullable("notificationTemplateType", Text),
            nullable("notificationRecipientScope", Complex("accessReviewNotificationRecipientScope")),
        ],
    ),
    abstract_complex("accessReviewNotificationRecipientScope"),
    complex(
        "accessReviewNotificationRecipientQueryScope",
        Some("accessReviewNotificationRecipientScope"),
        &[nullable("query", Text), nullable("queryRoot", Text), nullable("queryType", Text)],
    ),
    abstract_complex("accessReviewApplyAction"),
    complex("removeAccessApplyAction", Some("accessReviewApplyAction"), &[]),
    complex("disableAndDeleteUserApplyAction", Some("accessReviewApplyAction"), &[]),
    abstract_complex("accessReviewRecommendationInsightSetting"),
    complex(
        "userLastSignInRecommendationInsightSetting",
        Some("accessReviewRecommendationInsightSetting"),
        &[
            nullable("recommendationLookBackDuration", Duration),
            nullable("signInScope", Member("userSignInRecommendationScope")),
        ],
    ),
    complex("groupPeerOutlierRecommendationInsightSettings", Some("accessReviewRecommendationInsightSetting"), &[]),
    open(complex("identity", None, &[nullable("id", Text), nullable("displayName", Text)])),
    open(complex("userIdentity", Some("identity"), &[nullable("userPrincipalName", Text)])),
    open(complex("servicePrincipalIdentity", Some("identity"), &[nullable("appId", Text)])),
    complex(
        "accessReviewInstanceDecisionItemResource",
        None,
        &[nullable("id", Text), nullable("displayName", Text), nullable("type", Text)],
    ),
    open(complex(
        "accessReviewInstanceDecisionItemAccessPackageAssignmentPolicyResource",
        Some("accessReviewInstanceDecisionItemResource"),
        &[nullable("accessPackageId", Text), nullable("accessPackageDisplayName", Text)],
    )),
    open(complex(
        "accessReviewInstanceDecisionItemServicePrincipalResource",
        Some("accessReviewInstanceDecisionItemResource"),
        &[nullable("appId", Text), nullable("appRoleId", Text), nullable("appRoleDisplayName", Text)],
    )),
    complex(
        "accessReviewInstanceDecisionItemPermission",
        None,
        &[nullable("id", Text), nullable("displayName", Text), nullable("type", Text), nullable("description", Text)],
    ),
    complex("genericError", None, &[nullable("code", Text), nullable("message", Text)]),
    complex("accessReviewError", Some("genericError"), &[]),
    complex(
        "patternedRecurrence",
        None,
        &[nullable("pattern", Complex("recurrencePattern")), nullable("range", Complex("recurrenceRange"))],
    ),
    complex(
        "recurrencePattern",
        None,
        &[
            nullable("type", Member("recurrencePatternType")),
            always("interval", Integer),
            always("month", Integer),
            always("dayOfMonth", Integer),
            many("daysOfWeek", Member("dayOfWeek")),
            nullable("firstDayOfWeek", Member("dayOfWeek")),
            nullable("index", Member("weekIndex")),
        ],
    ),
    complex(
        "recurrenceRange",
        None,
        &[
            nullable("type", Member("recurrenceRangeType")),
            always("numberOfOccurrences", Integer),
            nullable("recurrenceTimeZone", Text),
            nullable("startDate", Date),
            nullable("endDate", Date),
        ],
    ),
    complex(
        "accessReviewHistoryScheduleSettings",
        None,
        &[always("recurrence", Complex("patternedRecurrence")), always("reportRange", Text)],
    ),
];

/// Every enumeration. Section 10 of the model
pub const ENUMERATIONS: &[Enumeration] = &[
    Enumeration {
        name: "accessReviewHistoryDecisionFilter",
        members: &["approve", "deny", "notReviewed", "dontKnow", "notNotified", "unknownFutureValue"],
    },
    Enumeration {
        name: "accessReviewHistoryStatus",
        members: &["done", "inprogress", "error", "requested", "unknownFutureValue"],
    },
    Enumeration {
        name: "accessReviewScheduleDefinitionFilterByCurrentUserOptions",
        members: &["reviewer", "unknownFutureValue"],
    },
    Enumeration {
        name: "accessReviewInstanceFilterByCurrentUserOptions",
        members: &["reviewer", "unknownFutureValue"],
    },
    Enumeration { name: "accessReviewStageFilterByCurrentUserOptions", members: &["reviewer", "unknownFutureValue"] },
    Enumeration {
        name: "accessReviewInstanceDecisionItemFilterByCurrentUserOptions",
        members: &["reviewer", "unknownFutureValue"],
    },
    Enumeration {
        name: "accessReviewPrincipalScopeType",
        members: &["allUsers", "guestUsers", "inactiveUsers", "inactiveGuestUsers", "unknownFutureValue"],
    },
    Enumeration {
        name: "accessReviewResourceScopeType",
        members: &[
            "group",
            "catalog",
            "servicePrincipal",
            "directoryRole",
            "accessPackageAssignmentPolicy",
            "unknownFutureValue",
        ],
    },
    Enumeration {
        name: "accessReviewReviewerScopeType",
        members: &[
            "user",
            "group",
            "self",
            "manager",
            "sponsor",
            "resourceOwner",
            "managerOrSponsor",
            "unknownFutureValue",
        ],
    },
    Enumeration {
        name: "recurrencePatternType",
        members: &["daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"],
    },
    Enumeration { name: "recurrenceRangeType", members: &["endDate", "noEnd", "numbered"] },
    Enumeration {
        name: "dayOfWeek",
        members: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    },
    Enumeration { name: "weekIndex", members: &["first", "second", "third", "fourth", "last"] },
    Enumeration { name: "userSignInRecommendationScope", members: &["tenant", "application", "unknownFutureValue"] },
    Enumeration { name: "outlierContainerType", members: &["group", "unknownFutureValue"] },
    Enumeration { name: "outlierMemberType", members: &["user", "unknownFutureValue"] },
];

const fn action(name: &'static str, bound_to: &'static str) -> Operation {
    Operation { name, bound_to, to_many: false, parameters: &[], answers: Answers::Nothing }
}

const fn mine(bound_to: &'static str, on: &'static [Property]) -> Operation {
    Operation { name: "filterByCurrentUser", bound_to, to_many: true, parameters: on, answers: Answers::Selection }
}

const BATCH_DECISION: &[Property] = &[
    always("decision", Text),
    nullable("justification", Text),
    nullable("principalId", Text),
    nullable("resourceId", Text),
];

/// Every action and function.
pub const OPERATIONS: &[Operation] = &[
    mine(
        "accessReviewScheduleDefinition",
        &[always("on", Member("accessReviewScheduleDefinitionFilterByCurrentUserOptions"))],
    ),
    mine("accessReviewInstance", &[always("on", Member("accessReviewInstanceFilterByCurrentUserOptions"))]),
    mine("accessReviewStage", &[always("on", Member("accessReviewStageFilterByCurrentUserOptions"))]),
    mine(
        "accessReviewInstanceDecisionItem",
        &[always("on", Member("accessReviewInstanceDecisionItemFilterByCurrentUserOptions"))],
    ),
    action("stop", "accessReviewScheduleDefinition"),
    action("stop", "accessReviewInstance"),
    action("stop", "accessReviewStage"),
    action("sendReminder", "accessReviewInstance"),
    action("acceptRecommendations", "accessReviewInstance"),
    action("acceptRecommendations", "accessReviewStage"),
    action("applyDecisions", "accessReviewInstance"),
    action("resetDecisions", "accessReviewInstance"),
    Operation { parameters: BATCH_DECISION, ..action("batchRecordDecisions", "accessReviewInstance") },
    Operation { parameters: BATCH_DECISION, ..action("batchRecordDecisions", "accessReviewStage") },
    Operation { answers: Answers::Itself, ..action("generateDownloadUri", "accessReviewHistoryInstance") },
];

/// The type of this name.
pub fn type_of(name: &str) -> Option<&'static Type> {
    TYPES.iter().find(|kind| kind.name == name)
}

impl Type {
    /// Its own properties after those it inherits.
    pub fn all_properties(&self) -> Vec<&'static Property> {
        let mut properties = self.base.and_then(type_of).map(Type::all_properties).unwrap_or_default();
        properties.extend(self.properties);
        properties
    }

    /// Its own navigations after those it inherits.
    pub fn all_navigations(&self) -> Vec<&'static Navigation> {
        let mut navigations = self.base.and_then(type_of).map(Type::all_navigations).unwrap_or_default();
        navigations.extend(self.navigations);
        navigations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_table_is_of_something_in_the_table() {
        let named = |of: Of| match of {
            Complex(name) => type_of(name).is_some_and(|kind| !kind.is_entity),
            Member(name) => ENUMERATIONS.iter().any(|enumeration| enumeration.name == name),
            Text | Flag | Integer | DateTime | Date | Duration => true,
        };
        for (position, kind) in TYPES.iter().enumerate() {
            let base = kind.base.map(|base| TYPES[..position].iter().find(|other| other.name == base));
            assert!(base.is_none_or(|base| base.is_some_and(|base| base.is_entity == kind.is_entity)), "{}", kind.name);
            assert!(kind.properties.iter().all(|property| named(property.of)), "{}", kind.name);
            let targets = kind.navigations.iter().map(|navigation| type_of(navigation.target));
            assert!(targets.into_iter().all(|target| target.is_some_and(|target| target.is_entity)), "{}", kind.name);
            assert!(TYPES.iter().filter(|other| other.name == kind.name).count() == 1, "{}", kind.name);
        }
        for operation in OPERATIONS {
            assert!(type_of(operation.bound_to).is_some_and(|kind| kind.is_entity), "{}", operation.name);
            assert!(operation.parameters.iter().all(|parameter| named(parameter.of)), "{}", operation.name);
        }
    }
}
