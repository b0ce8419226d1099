//! The directory as it was last told: users, groups, service principals, directory roles, access packages.
//!
//! One line of a directory file is one JSON object with Graph's property names. [`parse_line`] turns it into a
//! [`DirectoryRecord`] or says everything that is wrong with it. A record tells what the file *said*: a property that was
//! absent leaves what is stored, `null` clears it, a value replaces it. What has no empty state goes back to its default
//! when cleared: `userType` to `Member`, `accountEnabled` and `securityEnabled` to `true`, the other flags of a group to `false`, a list to
//! empty.

mod line;
mod manager_cycle;

use std::fmt;

use chrono::{DateTime, Utc};

pub use crate::domain::directory::{
    line::{LONGEST_LINE, parse_line},
    manager_cycle::manager_cycles,
};
use crate::domain::ids::ObjectId;

/// What a record says about a property that may be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Property<T> {
    /// Not mentioned: what is stored stays.
    #[default]
    Absent,
    /// `null`: what is stored is cleared.
    Null,
    /// Replaces what is stored.
    Value(T),
}

impl<T> Property<T> {
    /// Whether the record says anything about the property.
    pub const fn is_told(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// The value to be stored, if there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

/// The kinds of object a directory holds. One UUID names one object of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A person's account.
    User,
    /// A group, nested or not.
    Group,
    /// An application as it is present in the tenant.
    ServicePrincipal,
    /// A directory role.
    DirectoryRole,
    /// A package of access that is assigned under policies.
    AccessPackage,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::User, Self::Group, Self::ServicePrincipal, Self::DirectoryRole, Self::AccessPackage];

    /// The name used for `type` in a directory file and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::ServicePrincipal => "servicePrincipal",
            Self::DirectoryRole => "directoryRole",
            Self::AccessPackage => "accessPackage",
        }
    }

    /// The kind of that name; `None` when there is none. Letter case counts.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
            Self::ServicePrincipal => "service principal",
            Self::DirectoryRole => "directory role",
            Self::AccessPackage => "access package",
        })
    }
}

/// `userType` of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserType {
    /// Somebody of the organisation; the default.
    Member,
    /// Somebody invited. LC-INST-14
    Guest,
}

impl UserType {
    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Guest => "Guest",
        }
    }
}

/// `externalUserState` of somebody who was invited. LC-REV-10
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalUserState {
    /// Invited; has not accepted yet.
    PendingAcceptance,
    /// Has accepted.
    Accepted,
}

impl ExternalUserState {
    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingAcceptance => "PendingAcceptance",
            Self::Accepted => "Accepted",
        }
    }

    /// The state of that name. Letter case counts.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::PendingAcceptance, Self::Accepted].into_iter().find(|state| state.name() == name)
    }
}

/// What is known of a user's sign-ins. LC-RCM-05
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// No information.
    Unknown,
    /// Known, and never signed in.
    Never,
    /// The last sign-in.
    At(DateTime<Utc>),
}

/// What a line says about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryRecord {
    /// `"type":"user"`
    User(Box<UserRecord>),
    /// `"type":"group"`
    Group(GroupRecord),
    /// `"type":"servicePrincipal"`
    ServicePrincipal(ServicePrincipalRecord),
    /// `"type":"directoryRole"`
    DirectoryRole(DirectoryRoleRecord),
    /// `"type":"accessPackage"`
    AccessPackage(AccessPackageRecord),
}

impl DirectoryRecord {
    /// The object it speaks of.
    pub const fn id(&self) -> ObjectId {
        match self {
            Self::User(user) => user.id,
            Self::Group(group) => group.id,
            Self::ServicePrincipal(service_principal) => service_principal.id,
            Self::DirectoryRole(role) => role.id,
            Self::AccessPackage(package) => package.id,
        }
    }

    /// The kind of that object.
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::User(_) => ObjectKind::User,
            Self::Group(_) => ObjectKind::Group,
            Self::ServicePrincipal(_) => ObjectKind::ServicePrincipal,
            Self::DirectoryRole(_) => ObjectKind::DirectoryRole,
            Self::AccessPackage(_) => ObjectKind::AccessPackage,
        }
    }
}

/// What a line says about a user. A new user needs `userPrincipalName` and `displayName`; neither can be cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// `id`
    pub id: ObjectId,
    /// `userPrincipalName`; unique within the tenant, whatever its letter case.
    pub user_principal_name: Option<String>,
    /// `displayName`
    pub display_name: Option<String>,
    /// `mail`
    pub mail: Property<String>,
    /// `userType`
    pub user_type: Option<UserType>,
    /// `accountEnabled`
    pub account_enabled: Option<bool>,
    /// `department`
    pub department: Property<String>,
    /// `jobTitle`
    pub job_title: Property<String>,
    /// `country`
    pub country: Property<String>,
    /// `manager`: another user.
    pub manager: Property<ObjectId>,
    /// `sponsors`: all sponsors, each once, ascending. Other users.
    pub sponsors: Option<Vec<ObjectId>>,
    /// `createdDateTime`, to the microsecond.
    pub created_at: Property<DateTime<Utc>>,
    /// `signInActivity`
    pub sign_in: Option<SignIn>,
    /// `externalUserState`; null for people of the organisation.
    pub external_user_state: Property<ExternalUserState>,
}

/// What a line says about a group. A new group needs `displayName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// `id`
    pub id: ObjectId,
    /// `displayName`
    pub display_name: Option<String>,
    /// `groupTypes`
    pub group_types: Option<Vec<String>>,
    /// `resourceProvisioningOptions`
    pub resource_provisioning_options: Option<Vec<String>>,
    /// `isAssignableToRole`
    pub is_assignable_to_role: Option<bool>,
    /// `onPremisesSyncEnabled`
    pub on_premises_sync_enabled: Option<bool>,
    /// `mailEnabled`
    pub mail_enabled: Option<bool>,
    /// `securityEnabled`
    pub security_enabled: Option<bool>,
    /// `members`: all direct members, each once, ascending. Users, groups and service principals; groups may nest in a circle.
    pub members: Option<Vec<ObjectId>>,
    /// `privilegedAccess`: whether membership and ownership are activated under privileged-access management. LC-REV-08
    pub privileged_access: Option<bool>,
    /// `owners`: all active owners, each once, ascending. Users and service principals.
    pub owners: Option<Vec<ObjectId>>,
    /// `eligibleOwners`: all who may activate ownership, each once, ascending; they are no owners until they do. Users and
    /// service principals.
    pub eligible_owners: Option<Vec<ObjectId>>,
    /// `sharedChannels`: all shared channels of the team, by ascending id.
    pub shared_channels: Option<Vec<SharedChannel>>,
}

/// A channel that a team shares with people and other teams that need not be its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedChannel {
    /// `id`: any text, once per team.
    pub id: String,
    /// `displayName`
    pub display_name: String,
    /// `members`: users, and groups that are teams the channel is shared with, each once, ascending. Those who are not in the team
    /// are there by B2B direct connect.
    pub members: Vec<ObjectId>,
}

/// What a line says about a service principal. A new one needs `displayName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePrincipalRecord {
    /// `id`
    pub id: ObjectId,
    /// `appId`
    pub app_id: Property<ObjectId>,
    /// `displayName`
    pub display_name: Option<String>,
    /// `owners`: all owners, each once, ascending. Users and service principals.
    pub owners: Option<Vec<ObjectId>>,
    /// `appRoles`: all roles of the application, by ascending id.
    pub app_roles: Option<Vec<AppRole>>,
    /// `appRoleAssignedTo`: all assignments, by ascending id.
    pub app_role_assigned_to: Option<Vec<AppRoleAssignment>>,
    /// `signIns`: what is known of sign-ins to the application, by ascending user. Nothing is known of users who are left out.
    pub sign_ins: Option<Vec<ApplicationSignIn>>,
}

/// The last sign-in of one user to an application. LC-RCM-04
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationSignIn {
    /// `userId`: once per service principal.
    pub user_id: ObjectId,
    /// `lastSignInDateTime`, to the microsecond; `None` is known, and never signed in.
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

/// A role that an application has. Assignments may also name roles of which nothing is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRole {
    /// `id`: once per service principal.
    pub id: ObjectId,
    /// `displayName`
    pub display_name: String,
    /// `value`
    pub value: Option<String>,
}

/// One assignment of an app role to a user, a group or a service principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppRoleAssignment {
    /// `id`: any text, once per service principal.
    pub id: String,
    /// `principalId`
    pub principal_id: ObjectId,
    /// `appRoleId`; the zero UUID is the default access of an application without roles.
    pub app_role_id: ObjectId,
}

/// What a line says about a directory role. A new one needs `displayName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryRoleRecord {
    /// `id`
    pub id: ObjectId,
    /// `displayName`
    pub display_name: Option<String>,
    /// `roleTemplateId`
    pub role_template_id: Property<ObjectId>,
    /// `members`: all holders, each once, ascending: those to whom it is actively assigned. Users, groups and service
    /// principals.
    pub members: Option<Vec<ObjectId>>,
    /// `eligibleMembers`: all who may activate it, each once, ascending. Users, groups and service principals.
    pub eligible_members: Option<Vec<ObjectId>>,
}

/// What a line says about an access package. A new one needs `displayName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPackageRecord {
    /// `id`
    pub id: ObjectId,
    /// `displayName`
    pub display_name: Option<String>,
    /// `catalogId`
    pub catalog_id: Property<ObjectId>,
    /// `catalogDisplayName`
    pub catalog_display_name: Property<String>,
    /// `assignmentPolicies`: all policies, by ascending id. With a policy its assignments go.
    pub assignment_policies: Option<Vec<AssignmentPolicy>>,
    /// `assignments`: all assignments, by ascending id.
    pub assignments: Option<Vec<PackageAssignment>>,
}

/// A policy under which an access package is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentPolicy {
    /// `id`: once per access package.
    pub id: ObjectId,
    /// `displayName`
    pub display_name: String,
}

/// One assignment of an access package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageAssignment {
    /// `id`: any text, once per access package.
    pub id: String,
    /// `assignmentPolicyId`: a policy of the same package.
    pub policy_id: ObjectId,
    /// `targetId`: a user or a service principal.
    pub target_id: ObjectId,
}
