//! Importing a directory: records are staged as they are read, checked as a whole, then written as a whole.

use async_trait::async_trait;

use crate::{
    domain::{
        directory::{DirectoryRecord, ObjectKind},
        ids::{ObjectId, TenantId},
    },
    store::StoreError,
};

/// Opens imports.
#[async_trait]
pub trait DirectoryImportStore: Send + Sync {
    /// Begins an import into the tenant's directory; `None` when there is no such tenant.
    async fn begin_import(&self, tenant: TenantId) -> Result<Option<Box<dyn DirectoryImport>>, StoreError>;
}

/// One import: one transaction. Dropping it leaves everything as it was.
///
/// The order is: [`stage`](Self::stage) any number of times, [`close_staging`](Self::close_staging), the checks,
/// [`apply`](Self::apply), [`commit`](Self::commit). The number of statements after staging does not depend on the number of
/// objects.
#[async_trait]
pub trait DirectoryImport: Send {
    /// Puts records aside. Memory in use stays bounded whatever the number of records.
    async fn stage(&mut self, records: &[NumberedRecord]) -> Result<(), StoreError>;

    /// Ends staging and waits until no other import of this tenant is between here and its end.
    async fn close_staging(&mut self) -> Result<(), StoreError>;

    /// Ids that name two objects, in the file or in the file and the directory: the first `limit`, by line.
    /// Every later check and `apply` rely on there being none.
    async fn id_conflicts(&mut self, limit: u32) -> Result<Vec<Conflict>, StoreError>;

    /// What is wrong with the file as a whole when applied to the directory, except circles of managers: new objects without
    /// the properties they need, references that lead nowhere or to the wrong kind of object, unknown policies, user principal names that two
    /// users would have. The first `limit`, by line.
    async fn conflicts(&mut self, limit: u32) -> Result<Vec<Conflict>, StoreError>;

    /// User and manager as they will be: for every user whose manager the file tells, and everybody above. A circle that the
    /// file closes is wholly among them.
    async fn manager_edges(&mut self) -> Result<Vec<(ObjectId, ObjectId)>, StoreError>;

    /// Writes what was staged. The checks must have found nothing.
    async fn apply(&mut self) -> Result<ImportReport, StoreError>;

    /// Appends the event `Directory imported` with the report, and makes everything visible.
    async fn commit(self: Box<Self>, report: &ImportReport) -> Result<(), StoreError>;
}

/// A record and the number of its line, from 1.
#[derive(Clone, Debug)]
pub struct NumberedRecord {
    /// Where it stood in the file.
    pub line: u64,
    /// What it says.
    pub record: DirectoryRecord,
}

/// One reason why a file that is well formed line by line cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two lines speak of the same id.
    #[error("line {line}: id: {id} is already used in line {earlier}")]
    SameId {
        /// The later line.
        line: u64,
        /// The line before it with the same id.
        earlier: u64,
        /// The id.
        id: ObjectId,
    },
    /// The directory has an object of another kind with this id.
    #[error("line {line}: id: {id} is the id of a {stored} in the directory and cannot become that of a {told}")]
    OtherKind {
        /// The line.
        line: u64,
        /// The id.
        id: ObjectId,
        /// What the line says it is.
        told: ObjectKind,
        /// What the directory says it is.
        stored: ObjectKind,
    },
    /// A new object without a property that every such object has.
    #[error("line {line}: {property}: is required because {id} is not in the directory yet")]
    Required {
        /// The line.
        line: u64,
        /// The new object.
        id: ObjectId,
        /// What is missing.
        property: String,
    },
    /// A reference to an id that names nothing, in the file or the directory.
    #[error("line {line}: {property}: {id} is neither in the file nor in the directory")]
    UnknownReference {
        /// The line.
        line: u64,
        /// The property that refers.
        property: String,
        /// What it refers to.
        id: ObjectId,
    },
    /// A reference to an object of a kind that cannot stand there.
    #[error("line {line}: {property}: {id} is a {found}, which cannot stand here")]
    WrongKind {
        /// The line.
        line: u64,
        /// The property that refers.
        property: String,
        /// What it refers to.
        id: ObjectId,
        /// The kind of that object.
        found: ObjectKind,
    },
    /// An assignment under a policy that its access package does not have.
    #[error("line {line}: assignments.assignmentPolicyId: {policy} is not a policy of this access package")]
    UnknownPolicy {
        /// The line.
        line: u64,
        /// The policy that is not there.
        policy: ObjectId,
    },
    /// Two lines claim one user principal name; letter case does not count.
    #[error("line {line}: userPrincipalName: {name} is already used in line {earlier}")]
    SameUserPrincipalName {
        /// The later line.
        line: u64,
        /// The line before it with the same name.
        earlier: u64,
        /// The name, as the later line spells it.
        name: String,
    },
    /// A user of the directory, who keeps his, has that user principal name.
    #[error("line {line}: userPrincipalName: {name} belongs to the user {holder}")]
    UserPrincipalNameTaken {
        /// The line.
        line: u64,
        /// The name, as the line spells it.
        name: String,
        /// Who has it.
        holder: ObjectId,
    },
}

impl Conflict {
    /// The line it is told of.
    pub const fn line(&self) -> u64 {
        match self {
            Self::SameId { line, .. }
            | Self::OtherKind { line, .. }
            | Self::Required { line, .. }
            | Self::UnknownReference { line, .. }
            | Self::WrongKind { line, .. }
            | Self::UnknownPolicy { line, .. }
            | Self::SameUserPrincipalName { line, .. }
            | Self::UserPrincipalNameTaken { line, .. } => *line,
        }
    }
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Users.
    pub users: ObjectCounts,
    /// Groups.
    pub groups: ObjectCounts,
    /// Service principals.
    pub service_principals: ObjectCounts,
    /// Directory roles.
    pub directory_roles: ObjectCounts,
    /// Access packages.
    pub access_packages: ObjectCounts,
    /// Sponsors of users.
    pub user_sponsors: ListCounts,
    /// Direct members of groups.
    pub group_members: ListCounts,
    /// Owners of groups.
    pub group_owners: ListCounts,
    /// Those who may activate the ownership of groups.
    pub group_eligible_owners: ListCounts,
    /// Owners of service principals.
    pub service_principal_owners: ListCounts,
    /// Assignments of app roles; one whose principal or role changed counts as added.
    pub app_role_assignments: ListCounts,
    /// What is known of sign-ins to applications; one at another time counts as added.
    pub application_sign_ins: ListCounts,
    /// Holders of directory roles.
    pub role_members: ListCounts,
    /// Those who may activate directory roles.
    pub role_eligible_members: ListCounts,
    /// Roles of applications; one whose name or value changed counts as added.
    pub app_roles: ListCounts,
    /// Shared channels of teams; a renamed one counts as added.
    pub shared_channels: ListCounts,
    /// Members of shared channels; those who go with their channel are not counted.
    pub shared_channel_members: ListCounts,
    /// Assignment policies of access packages; a renamed one counts as added.
    pub access_package_policies: ListCounts,
    /// Assignments of access packages; one whose target or policy changed counts as added. Those that go with their policy are
    /// not counted.
    pub access_package_assignments: ListCounts,
}

/// Objects of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCounts {
    /// Lines of the file that speak of one.
    pub told: u64,
    /// Those that were not in the directory before.
    pub inserted: u64,
    /// Those of which something other than a list changed.
    pub updated: u64,
}

/// Entries of one kind of list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCounts {
    /// Entries the file has.
    pub told: u64,
    /// Those that were not in the directory before.
    pub added: u64,
    /// Entries of the directory that the file no longer has.
    pub removed: u64,
}
