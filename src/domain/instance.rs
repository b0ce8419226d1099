//! Instances: one resource in one occurrence of a definition. LC-INST, table 2.2.

use chrono::{DateTime, Utc};

use crate::domain::{
    definition::Settings,
    ids::{DefinitionId, InstanceId, ItemPrefix, ObjectId},
    scope::ReviewScope,
    stage::StageOrdinal,
    status::Status,
};

/// A stored instance. Its settings are the snapshot taken when it was made or re-derived (LC-DEF-22).
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub id: InstanceId,
    pub definition_id: DefinitionId,
    /// Number of the occurrence, from 0. LC-REC-06
    pub occurrence: i32,
    pub status: Status,
    /// UTC.
    pub start_at: DateTime<Utc>,
    /// UTC. LC-REC-08
    pub end_at: DateTime<Utc>,
    /// UTC, when it really ended: [`Self::end_at`], or earlier when it was stopped or nothing was left to review. `None` while it has
    /// not. LC-CMP-01
    pub ended_at: Option<DateTime<Utc>>,
    /// What is reviewed here.
    pub scope: ReviewScope,
    /// The resource under review.
    pub resource: Resource,
    pub settings: Settings,
    /// Whether the definition has `stageSettings`; false hides the one stage. LC-STAGE-02
    pub multi_stage: bool,
    /// Items gathered at the start; 0 before.
    pub item_count: i32,
    /// Makes the items' ids.
    pub item_prefix: ItemPrefix,
    /// Lifecycle warnings and errors, oldest first. Section 4.4 of the model.
    pub errors: Vec<InstanceError>,
    /// Counts changes of this row; the entity tag.
    pub version: i64,
}

impl Instance {
    /// Leaves a warning that so many items of a stage have nobody to review them, in place of an earlier one about the same
    /// stage. LC-REV-09
    pub fn warn_of_items_without_reviewer(&mut self, stage: StageOrdinal, items: i64) {
        const CODE: &str = "ReviewersNotFound";
        let nobody = format!(" items of stage {stage} have neither a reviewer nor a fallback reviewer");
        self.errors.retain(|error| error.code != CODE || !error.message.ends_with(&nobody));
        self.errors.push(InstanceError { code: CODE.to_owned(), message: format!("{items}{nobody}") });
    }

    /// What answers about its items need to know of it.
    pub fn reviewed(&self) -> ReviewedInstance {
        ReviewedInstance {
            id: self.id,
            definition_id: self.definition_id,
            start_at: self.start_at,
            resource: self.resource.clone(),
            item_count: self.item_count,
            item_prefix: self.item_prefix,
        }
    }
}

/// What answers about items need to know of their instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewedInstance {
    pub id: InstanceId,
    pub definition_id: DefinitionId,
    /// UTC.
    pub start_at: DateTime<Utc>,
    /// The resource under review.
    pub resource: Resource,
    /// Items gathered at the start; 0 before.
    pub item_count: i32,
    /// Makes the items' ids.
    pub item_prefix: ItemPrefix,
}

/// The resource that principals have access to. Section 5.3 of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub id: ObjectId,
    /// Snapshot of its name.
    pub display_name: String,
    pub kind: ResourceKind,
    /// Only of a service principal and of an assignment policy.
    pub detail: Option<ResourceDetail>,
}

/// What a resource belongs to: the application of a service principal, the access package of an assignment policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDetail {
    /// `appId`, `accessPackageId`
    pub id: ObjectId,
    /// Snapshot of the access package's name; of an application empty.
    pub display_name: String,
}

/// `type` of a resource. The wire spelling is the variant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    Group,
    ServicePrincipal,
    DirectoryRole,
    AccessPackageAssignmentPolicy,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::Group, Self::ServicePrincipal, Self::DirectoryRole, Self::AccessPackageAssignmentPolicy];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "Group",
            Self::ServicePrincipal => "ServicePrincipal",
            Self::DirectoryRole => "DirectoryRole",
            Self::AccessPackageAssignmentPolicy => "AccessPackageAssignmentPolicy",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// `accessReviewError`. Section 4.4 of the model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InstanceError {
    /// Error class, such as `ReviewersNotFound`.
    pub code: String,
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::instance;

    /// LC-REV-09
    #[test]
    fn a_stage_has_one_warning_with_the_latest_number() {
        let mut instance = instance(Status::InProgress);
        let other = InstanceError { code: "ScopeResolutionFailed".to_owned(), message: "nobody".to_owned() };
        instance.errors = vec![other.clone()];
        for (stage, items) in [(1, 2), (2, 7), (1, 12)] {
            instance.warn_of_items_without_reviewer(stage, items);
        }

        let told = |text: &str| InstanceError { code: "ReviewersNotFound".to_owned(), message: text.to_owned() };
        let expected = [
            other,
            told("7 items of stage 2 have neither a reviewer nor a fallback reviewer"),
            told("12 items of stage 1 have neither a reviewer nor a fallback reviewer"),
        ];
        assert_eq!(instance.errors, expected);
    }
}
