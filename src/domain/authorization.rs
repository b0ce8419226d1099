//! Who may do what: the one place that decides. LC-AUTH-01 to 09, A-01 to A-05.
//!
//! Services load the object, its [`ReviewKind`] and the caller's [`Relation`] to it, ask [`decide`], and turn the [`Verdict`]
//! into work or an answer. `docs/permissions.md` is printed from this module by a test, so it is what the code does.
//!
//! Where the behaviour specification and the API digest differ the former wins: the table of LC-AUTH-01 for roles, and
//! LC-AUTH-04 over A-05 and A-35 (an object the caller may not see is absent, not forbidden). Rights of group owners
//! (LC-AUTH-02) are off by default: [`Relation::owns_group`] is only set where the tenant's setting allows it.

mod identity_providers;
mod review_settings;

use std::fmt;

use uuid::{Uuid, uuid};

use crate::domain::{definition::Identity, ids::TenantId, instance::ResourceKind};

pub use identity_providers::{IdentityProviderPermission, may_administer_issuers};
pub use review_settings::{may_change_review_settings, may_read_review_settings};

/// Who calls, as the token and the directory say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant whose objects the caller can reach; nothing else exists for him. LC-AUTH-07
    pub tenant_id: TenantId,
    /// What is recorded as the author of his deeds.
    pub identity: Identity,
    /// Whether a person or an application calls.
    pub kind: CallerKind,
    /// The highest access-review permission of the token; `None` when it has none.
    pub permission: Option<Permission>,
    /// The highest permission of the token on identity providers.
    pub identity_provider_permission: Option<IdentityProviderPermission>,
    /// Directory roles. They mean nothing for an application, which needs the permission only. LC-AUTH-01
    pub roles: RoleSet,
}

impl Caller {
    /// Adds the directory roles with these template ids; ids of other roles are passed over.
    ///
    /// The token's roles are what they were when it was issued; those assigned in the directory are joined to them.
    pub fn with_directory_roles(mut self, template_ids: impl IntoIterator<Item = Uuid>) -> Self {
        self.roles = self.roles.union(RoleSet::from_template_ids(template_ids));
        self
    }

    /// The kinds of reviews this caller reads whatever his relation to them is: every kind for an application.
    ///
    /// Full lists that span kinds ([`Operation::DefinitionList`]) are narrowed to these.
    pub fn readable_kinds(&self) -> Vec<ReviewKind> {
        ReviewKind::ALL.into_iter().filter(|kind| self.reads(*kind)).collect()
    }

    fn reads(&self, review: ReviewKind) -> bool {
        self.permission.is_some()
            && match self.kind {
                CallerKind::Application => true,
                CallerKind::User => self.roles.intersects(review.read_roles()),
            }
    }

    /// Whether what he is to a review can give him more than his permission and roles do. Never for an application.
    pub fn gains_by_relation(&self, review: ReviewKind) -> bool {
        let may_write = self.permission == Some(Permission::ReadWrite);
        self.kind == CallerKind::User && (!self.reads(review) || may_write && !self.writes(review))
    }

    /// Whether he manages reviews of this kind, whatever he is to them.
    pub fn manages(&self, review: ReviewKind) -> bool {
        self.writes(review)
    }

    /// Whether he manages reviews of every kind, so that what a review is of does not matter.
    pub fn manages_every_kind(&self) -> bool {
        ReviewKind::ALL.into_iter().all(|kind| self.writes(kind))
    }

    fn writes(&self, review: ReviewKind) -> bool {
        self.permission == Some(Permission::ReadWrite)
            && match self.kind {
                CallerKind::Application => true,
                CallerKind::User => self.roles.intersects(review.write_roles()),
            }
    }
}

/// Whether a person or an application calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A delegated call: an application acts for a signed-in user.
    User,
    /// An app-only call: nobody is signed in.
    Application,
}

/// A permission on access reviews; the greater includes the smaller.
///
/// `AccessReview.ReadWrite.Membership` belongs to a retired API and is none. Section 2 of the API
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// `AccessReview.Read.All`
    Read,
    /// `AccessReview.ReadWrite.All`
    ReadWrite,
}

impl Permission {
    /// Every permission, the smaller first.
    pub const ALL: [Self; 2] = [Self::Read, Self::ReadWrite];

    /// The value in `scp` or `roles`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "AccessReview.Read.All",
            Self::ReadWrite => "AccessReview.ReadWrite.All",
        }
    }

    /// The highest permission among these scopes or application roles; values without a meaning here are passed over.
    pub fn highest<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        values
            .into_iter()
            .filter_map(|value| Self::ALL.into_iter().find(|permission| permission.as_str() == value))
            .max()
    }
}

/// A directory role with a right on access reviews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirectoryRole {
    GlobalAdministrator,
    GlobalReader,
    SecurityReader,
    SecurityAdministrator,
    UserAdministrator,
    IdentityGovernanceAdministrator,
    PrivilegedRoleAdministrator,
}

impl DirectoryRole {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::GlobalAdministrator,
        Self::GlobalReader,
        Self::SecurityReader,
        Self::SecurityAdministrator,
        Self::UserAdministrator,
        Self::IdentityGovernanceAdministrator,
        Self::PrivilegedRoleAdministrator,
    ];

    /// The id that Microsoft gave the built-in role in every tenant, as found in `wids` and `roleTemplateId`.
    pub const fn template_id(self) -> Uuid {
        match self {
            Self::GlobalAdministrator => uuid!("62e90394-69f5-4237-9190-012177145e10"),
            Self::GlobalReader => uuid!("f2ef992c-3afb-46b9-b7cf-a126ee74c451"),
            Self::SecurityReader => uuid!("5d6b6bb7-de71-4623-b4af-96380a352509"),
            Self::SecurityAdministrator => uuid!("194ae4cb-b126-40b2-bd5b-6091b380977d"),
            Self::UserAdministrator => uuid!("fe930be7-5e62-47db-91af-98c3a49a38b1"),
            Self::IdentityGovernanceAdministrator => uuid!("45d8d3c5-c802-45c6-b32a-1d70b5e1e86e"),
            Self::PrivilegedRoleAdministrator => uuid!("e8611ab8-c189-46e8-94e1-60213ab1f814"),
        }
    }

    /// The role's name in English.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GlobalAdministrator => "Global Administrator",
            Self::GlobalReader => "Global Reader",
            Self::SecurityReader => "Security Reader",
            Self::SecurityAdministrator => "Security Administrator",
            Self::UserAdministrator => "User Administrator",
            Self::IdentityGovernanceAdministrator => "Identity Governance Administrator",
            Self::PrivilegedRoleAdministrator => "Privileged Role Administrator",
        }
    }

    /// The role with this template id.
    pub fn from_template_id(id: Uuid) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.template_id() == id)
    }

    /// The role with this name, without regard to case, spaces, hyphens and underscores.
    pub fn from_name(name: &str) -> Option<Self> {
        fn folded(text: &str) -> impl Iterator<Item = char> {
            text.chars()
                .filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '_'))
                .map(|letter| letter.to_ascii_lowercase())
        }
        Self::ALL.into_iter().find(|role| folded(role.name()).eq(folded(name)))
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of directory roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RoleSet(u8);

impl RoleSet {
    /// No role.
    pub const EMPTY: Self = Self(0);

    /// These roles.
    pub const fn of(roles: &[DirectoryRole]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < roles.len() {
            bits |= roles[index].bit();
            index += 1;
        }
        Self(bits)
    }

    /// The roles with these template ids; ids of other roles are passed over.
    pub fn from_template_ids(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self(ids.into_iter().filter_map(DirectoryRole::from_template_id).fold(0, |bits, role| bits | role.bit()))
    }

    /// Whether the role is in the set.
    pub const fn contains(self, role: DirectoryRole) -> bool {
        self.0 & role.bit() != 0
    }

    /// The roles that are in one of both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a role is in both sets.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The roles of the set.
    pub fn iter(self) -> impl Iterator<Item = DirectoryRole> {
        DirectoryRole::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a review is about, as far as it decides which roles count. Access to an access package counts as a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReviewKind {
    /// Access to a group or an application.
    GroupOrApplication,
    /// Membership of a group that can hold directory roles: the Privileged Role Administrator's right comes on top.
    RoleAssignableGroup,
    /// Assignments of a directory role.
    DirectoryRole,
}

impl ReviewKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::GroupOrApplication, Self::RoleAssignableGroup, Self::DirectoryRole];

    /// The kind of a review of such a resource; whether roles can be assigned to it matters of a group only.
    pub const fn of_resource(kind: ResourceKind, role_assignable: bool) -> Self {
        match (kind, role_assignable) {
            (ResourceKind::DirectoryRole, _) => Self::DirectoryRole,
            (ResourceKind::Group, true) => Self::RoleAssignableGroup,
            (ResourceKind::Group, false)
            | (ResourceKind::ServicePrincipal | ResourceKind::AccessPackageAssignmentPolicy, _) => {
                Self::GroupOrApplication
            }
        }
    }

    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GroupOrApplication => "groupOrApplication",
            Self::RoleAssignableGroup => "roleAssignableGroup",
            Self::DirectoryRole => "directoryRole",
        }
    }

    /// Reads the stored spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Roles that read such reviews. LC-AUTH-01
    pub const fn read_roles(self) -> RoleSet {
        const EVERYWHERE: RoleSet = RoleSet::of(&[
            DirectoryRole::GlobalAdministrator,
            DirectoryRole::GlobalReader,
            DirectoryRole::SecurityReader,
            DirectoryRole::SecurityAdministrator,
            DirectoryRole::UserAdministrator,
            DirectoryRole::IdentityGovernanceAdministrator,
        ]);
        match self {
            Self::GroupOrApplication => EVERYWHERE,
            Self::RoleAssignableGroup | Self::DirectoryRole => {
                EVERYWHERE.union(RoleSet::of(&[DirectoryRole::PrivilegedRoleAdministrator]))
            }
        }
    }

    /// Roles that create, update, delete and stop such reviews. LC-AUTH-01
    pub const fn write_roles(self) -> RoleSet {
        const EVERYWHERE: RoleSet =
            RoleSet::of(&[DirectoryRole::GlobalAdministrator, DirectoryRole::IdentityGovernanceAdministrator]);
        const USER: RoleSet = RoleSet::of(&[DirectoryRole::UserAdministrator]);
        const PRIVILEGED: RoleSet = RoleSet::of(&[DirectoryRole::PrivilegedRoleAdministrator]);
        match self {
            Self::GroupOrApplication => EVERYWHERE.union(USER),
            Self::RoleAssignableGroup => EVERYWHERE.union(USER).union(PRIVILEGED),
            Self::DirectoryRole => EVERYWHERE.union(PRIVILEGED),
        }
    }
}

/// Personal rights of a caller towards the object that is addressed. They count for users only.
///
/// A right to a part shows the whole it belongs to: who reviews an item sees its stage, instance and definition, also when
/// only the deepest member is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// He created the definition, or asked for the report; for [`Operation::DefinitionList`]: any definition. He reads all of
    /// it. A-04
    pub is_creator: bool,
    /// He owns the one group under review now, his account is enabled, and the tenant lets group owners review; for
    /// [`Operation::DefinitionCreate`]: the group to be reviewed; for [`Operation::DefinitionList`]: any group. He reads all of it
    /// and manages it, and decides no more than others. LC-AUTH-02
    pub owns_group: bool,
    /// He reviews an item, open or closed, somewhere under the definition.
    pub reviews_definition: bool,
    /// He reviews an item of the instance.
    pub reviews_instance: bool,
    /// He reviews an item of the stage; for bulk answers on the instance path, of the stage that takes them. LC-AUTH-05
    pub reviews_stage: bool,
    /// He reviews a later stage, and the settings show him the decisions of this one. LC-STAGE-50
    pub reads_stage_history: bool,
    /// He reviews the item: in the stage of the path, or in any stage when the path has none.
    pub reviews_item: bool,
    /// He is the item's reviewer in the stage that takes the answer: the stage of the path, else the running one
    /// (LC-STAGE-60); with none running the same as `reviews_item`, so that the state refuses and not this.
    pub decides_item: bool,
}

impl Relation {
    /// Whether he reads all of the review without a role.
    pub fn reads_all(&self) -> bool {
        self.is_creator || self.owns_group
    }

    fn sees_item(&self) -> bool {
        self.reviews_item || self.decides_item
    }

    fn sees_stage(&self) -> bool {
        self.reviews_stage || self.sees_item()
    }

    fn sees_instance(&self) -> bool {
        self.reviews_instance || self.sees_stage() || self.reads_stage_history
    }

    fn sees_definition(&self) -> bool {
        self.reviews_definition || self.sees_instance()
    }

    fn sees(&self, object: Object) -> bool {
        match object {
            Object::Definition => self.sees_definition(),
            Object::Instance => self.sees_instance(),
            Object::Stage => self.sees_stage(),
            Object::Item => self.sees_item(),
        }
    }
}

/// What is asked for: an operation id of section 1.1 of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// DEF-LIST
    DefinitionList,
    /// DEF-CREATE
    DefinitionCreate,
    /// DEF-GET
    DefinitionGet,
    /// DEF-UPDATE
    DefinitionUpdate,
    /// DEF-STOP
    DefinitionStop,
    /// DEF-DELETE
    DefinitionDelete,
    /// DEF-MINE
    DefinitionMine,
    /// INST-LIST
    InstanceList,
    /// INST-GET
    InstanceGet,
    /// INST-UPDATE
    InstanceUpdate,
    /// INST-REMIND
    InstanceRemind,
    /// INST-STOP
    InstanceStop,
    /// INST-MINE
    InstanceMine,
    /// INST-BATCH
    InstanceBatchRecord,
    /// INST-ACCEPT
    InstanceAcceptRecommendations,
    /// INST-RESET
    InstanceReset,
    /// INST-APPLY
    InstanceApply,
    /// INST-CONTACTED
    ContactedReviewerList,
    /// CONTACTED-GET
    ContactedReviewerGet,
    /// STAGE-LIST
    StageList,
    /// STAGE-GET
    StageGet,
    /// STAGE-UPDATE
    StageUpdate,
    /// STAGE-STOP
    StageStop,
    /// STAGE-MINE
    StageMine,
    /// STAGE-BATCH
    StageBatchRecord,
    /// `acceptRecommendations` of a stage. LC-STAGE-61
    StageAcceptRecommendations,
    /// STAGE-DEC-LIST
    StageDecisionList,
    /// STAGE-DEC-GET
    StageDecisionGet,
    /// DEC-LIST
    DecisionList,
    /// DEC-GET
    DecisionGet,
    /// DEC-UPDATE
    DecisionUpdate,
    /// STAGE-DEC-UPDATE
    StageDecisionUpdate,
    /// DEC-MINE
    DecisionMine,
    /// STAGE-DEC-MINE
    StageDecisionMine,
    /// Moving a sandbox tenant's clock forward; an operation of ours.
    SandboxClockAdvance,
    /// Reading and changing what a tenant's mail says and whom it goes to; an operation of ours.
    MailAdminister,
    /// HIST-LIST
    HistoryList,
    /// HIST-CREATE
    HistoryCreate,
    /// HIST-GET, HIST-INST-LIST, HIST-INST-GET
    HistoryGet,
    /// HIST-UPDATE
    HistoryUpdate,
    /// HIST-DELETE
    HistoryDelete,
    /// HIST-INST-URI
    HistoryDownload,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 42] = [
        Self::DefinitionList,
        Self::DefinitionCreate,
        Self::DefinitionGet,
        Self::DefinitionUpdate,
        Self::DefinitionStop,
        Self::DefinitionDelete,
        Self::DefinitionMine,
        Self::InstanceList,
        Self::InstanceGet,
        Self::InstanceUpdate,
        Self::InstanceRemind,
        Self::InstanceStop,
        Self::InstanceMine,
        Self::InstanceBatchRecord,
        Self::InstanceAcceptRecommendations,
        Self::InstanceReset,
        Self::InstanceApply,
        Self::ContactedReviewerList,
        Self::ContactedReviewerGet,
        Self::StageList,
        Self::StageGet,
        Self::StageUpdate,
        Self::StageStop,
        Self::StageMine,
        Self::StageBatchRecord,
        Self::StageAcceptRecommendations,
        Self::StageDecisionList,
        Self::StageDecisionGet,
        Self::DecisionList,
        Self::DecisionGet,
        Self::DecisionUpdate,
        Self::StageDecisionUpdate,
        Self::DecisionMine,
        Self::StageDecisionMine,
        Self::SandboxClockAdvance,
        Self::MailAdminister,
        Self::HistoryList,
        Self::HistoryCreate,
        Self::HistoryGet,
        Self::HistoryUpdate,
        Self::HistoryDelete,
        Self::HistoryDownload,
    ];

    /// What the operation does to which object; every right follows from this.
    const fn demand(self) -> Demand {
        match self {
            Self::DefinitionList => Demand::ListDefinitions,
            Self::DefinitionCreate => Demand::Create,
            Self::DefinitionGet => Demand::Read(Object::Definition),
            Self::DefinitionUpdate | Self::DefinitionStop | Self::DefinitionDelete => {
                Demand::Manage(Object::Definition)
            }
            Self::DefinitionMine => Demand::OwnWork(None),
            Self::InstanceList => Demand::ListAll(Object::Definition),
            Self::InstanceGet => Demand::Read(Object::Instance),
            Self::InstanceUpdate
            | Self::InstanceRemind
            | Self::InstanceStop
            | Self::InstanceReset
            | Self::InstanceApply => Demand::Manage(Object::Instance),
            Self::InstanceBatchRecord => Demand::AnswerAll { below: Object::Instance, by_application: true },
            Self::InstanceAcceptRecommendations => Demand::AnswerAll { below: Object::Instance, by_application: false },
            Self::StageBatchRecord => Demand::AnswerAll { below: Object::Stage, by_application: true },
            Self::StageAcceptRecommendations => Demand::AnswerAll { below: Object::Stage, by_application: false },
            Self::InstanceMine => Demand::OwnWork(Some(Object::Definition)),
            Self::ContactedReviewerList | Self::ContactedReviewerGet => Demand::ListAll(Object::Instance),
            Self::StageList => Demand::ListVisible(Object::Instance),
            Self::StageGet => Demand::Read(Object::Stage),
            Self::StageUpdate | Self::StageStop => Demand::Manage(Object::Stage),
            Self::StageMine => Demand::OwnWork(Some(Object::Instance)),
            Self::StageDecisionList => Demand::ListAll(Object::Stage),
            Self::DecisionList => Demand::ListAll(Object::Instance),
            Self::StageDecisionGet | Self::DecisionGet => Demand::Read(Object::Item),
            Self::DecisionUpdate | Self::StageDecisionUpdate => Demand::Answer,
            Self::DecisionMine => Demand::OwnWork(Some(Object::Instance)),
            Self::StageDecisionMine => Demand::OwnWork(Some(Object::Stage)),
            Self::SandboxClockAdvance => Demand::Administer,
            Self::MailAdminister => Demand::AdministerAll,
            Self::HistoryList => Demand::ListReports,
            Self::HistoryCreate => Demand::CreateReport,
            Self::HistoryGet => Demand::ReadReport,
            Self::HistoryUpdate | Self::HistoryDelete | Self::HistoryDownload => Demand::ManageReport,
        }
    }
}

/// The objects of a review, from the whole to the part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Object {
    Definition,
    Instance,
    Stage,
    Item,
}

/// The few shapes that all operations come down to. An object is what is read, or the parent of what is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    ListDefinitions,
    Create,
    Read(Object),
    /// Everything below the object, also what others review. A-03
    ListAll(Object),
    /// Below the object what the caller may see.
    ListVisible(Object),
    /// What the caller reviews below the object. `None`: in the tenant
    OwnWork(Option<Object>),
    Manage(Object),
    Answer,
    /// One answer to everything the caller reviews below the object. Whether an application may give it to everything: LC-DEC-10
    AnswerAll {
        below: Object,
        by_application: bool,
    },
    Administer,
    /// What reaches everybody in the tenant.
    AdministerAll,
    ListReports,
    CreateReport,
    ReadReport,
    ManageReport,
}

/// What the rules answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go ahead.
    Allow,
    /// Go ahead, but only with what is the caller's own: what he reviews, or, for [`Operation::DefinitionList`], what he
    /// created and what reviews a group that he owns.
    AllowOwnOnly,
    /// The caller may see the object but not do this: 403.
    Forbidden(Reason),
    /// For this caller there is no such object: 404, exactly as if it were absent. LC-AUTH-04
    Hidden,
}

/// Why a caller who may see the object is refused; the text is meant for him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The token carries no access-review permission.
    #[error("the token carries neither AccessReview.Read.All nor AccessReview.ReadWrite.All")]
    PermissionMissing,
    /// The token carries only the read permission.
    #[error(
        "this operation needs the permission AccessReview.ReadWrite.All; the token carries only AccessReview.Read.All"
    )]
    ReadOnlyPermission,
    /// A user without a role that reads such reviews.
    #[error(
        "this operation needs a directory role that may read access reviews, such as Global Reader; reviewers use filterByCurrentUser"
    )]
    ReadRoleMissing,
    /// A user without a role that manages such reviews. LC-AUTH-03
    #[error(
        "this operation needs a directory role that may manage access reviews of this kind, such as Identity Governance Administrator"
    )]
    WriteRoleMissing,
    /// What a group owner may not have done to others' accounts. LC-AUTH-02
    #[error(
        "a group owner may have access to his group removed, but not accounts disabled and deleted: leave \
         disableAndDeleteUserApplyAction out of settings.applyActions"
    )]
    OwnersRemoveAccessOnly,
    /// A user without a role that manages every kind of review.
    #[error(
        "changing the review settings of the tenant needs the directory role Global Administrator or Identity Governance \
         Administrator"
    )]
    SettingsRoleMissing,
    /// Decisions are made by people. A-03, LC-DEC-10
    #[error("decisions are recorded by an assigned reviewer; an application may not record them")]
    ApplicationMayNotDecide,
    /// A user who is not the item's reviewer in the stage that takes the answer. LC-AUTH-03
    #[error("only the assigned reviewer may record this decision")]
    NotTheReviewer,
    /// The token carries no permission on identity providers.
    #[error("token issuers need the permission IdentityProvider.Read.All or IdentityProvider.ReadWrite.All")]
    IdentityProviderPermissionMissing,
    /// The token carries none that changes identity providers.
    #[error("changing token issuers needs the permission IdentityProvider.ReadWrite.All")]
    IdentityProviderWriteMissing,
    /// A user who may not say whom the tenant trusts.
    #[error("token issuers are administered by a Global Administrator, or by an application with the permission")]
    GlobalAdministratorMissing,
    /// A good token of somebody whom the tenant's directory does not know.
    #[error(
        "the token is good, but the claim that names its caller matches no user of this tenant's directory; import the user, \
         or correct claims.user of the issuer's registration"
    )]
    CallerNotInDirectory,
    /// A mail address that several users have.
    #[error(
        "the token is good, but the claim that names its caller matches several users of this tenant's directory; choose \
         another claim in claims.user of the issuer's registration"
    )]
    CallerAmbiguous,
    /// The directory says that the account is disabled.
    #[error("the token is good, but its caller's account is disabled in this tenant's directory")]
    AccountDisabled,
    /// A user who reviews nothing in the stage that takes the answers. LC-AUTH-09
    #[error("only a reviewer may record decisions; the caller reviews nothing in the stage that takes them")]
    ReviewsNothing,
}

/// Refuses a token that no operation accepts.
///
/// To be asked before anything is loaded: it does not depend on the object, so that present and absent objects answer
/// alike (403) to a caller without any permission.
///
/// # Errors
/// [`Reason::PermissionMissing`] when the caller has no access-review permission.
pub fn require_permission(caller: &Caller) -> Result<Permission, Reason> {
    caller.permission.ok_or(Reason::PermissionMissing)
}

/// Decides whether `caller` may do `operation` to an object of a review of this kind, given what he is to it.
///
/// Permission first, then role or personal right. In detail:
/// * LC-AUTH-01: delegated calls need the permission and a role or personal right, application calls the permission only.
///   Global Administrator is in every read and write row.
/// * LC-AUTH-03, LC-AUTH-09: deciding is a personal right that no role gives, not even Global Administrator, and no
///   application has, except for answering for everything at once (LC-DEC-10); reviewing gives no right to manage.
/// * LC-AUTH-04: a reviewer without a role sees what he reviews; all else is [`Verdict::Hidden`], also when the permission
///   would not do either, so that nobody learns what exists by asking for more than he may.
/// * an application's `filterByCurrentUser` is allowed and finds nothing.
/// * lists that show what others review are refused to a reviewer who sees their parent; `/stages` shows him his.
/// * the creator reads everything of his definition and manages nothing; in the list of definitions he finds his own.
/// * LC-AUTH-02: where the tenant allows it, the owner of the one group under review reads and manages the review.
///
/// For [`Operation::DefinitionList`] the kind is the one whose reviews are asked for: a caller who reads one kind and not
/// the other gets the list narrowed to [`Caller::readable_kinds`] and his own.
pub fn decide(caller: &Caller, operation: Operation, review: ReviewKind, relation: &Relation) -> Verdict {
    if let Err(reason) = require_permission(caller) {
        return Verdict::Forbidden(reason);
    }
    let relation = match caller.kind {
        // nobody owns a directory role
        CallerKind::User => {
            Relation { owns_group: relation.owns_group && review != ReviewKind::DirectoryRole, ..*relation }
        }
        // an application is nobody's colleague: it has no personal rights, whatever a directory says
        CallerKind::Application => Relation::default(),
    };
    let reads_all = caller.reads(review) || relation.reads_all();
    let sees = |object| reads_all || relation.sees(object);
    match operation.demand() {
        Demand::ListDefinitions if caller.reads(review) => Verdict::Allow,
        Demand::ListDefinitions if relation.reads_all() => Verdict::AllowOwnOnly,
        Demand::ListDefinitions => Verdict::Forbidden(Reason::ReadRoleMissing),
        Demand::Create => manage(caller, review, &relation),
        Demand::Read(object) if sees(object) => Verdict::Allow,
        Demand::ListAll(_) | Demand::ListVisible(_) if reads_all => Verdict::Allow,
        Demand::ListAll(parent) if sees(parent) => Verdict::Forbidden(Reason::ReadRoleMissing),
        Demand::ListVisible(parent) if sees(parent) => Verdict::AllowOwnOnly,
        Demand::OwnWork(None) => Verdict::AllowOwnOnly,
        Demand::OwnWork(Some(parent)) if sees(parent) => Verdict::AllowOwnOnly,
        Demand::OwnWork(Some(Object::Stage)) if relation.reads_stage_history => Verdict::AllowOwnOnly,
        Demand::Manage(object) if sees(object) => manage(caller, review, &relation),
        Demand::Answer if sees(Object::Item) => answer(caller, &relation),
        Demand::AnswerAll { below, by_application } if sees(below) => answer_all(caller, &relation, by_application),
        Demand::Administer => administer(caller),
        Demand::AdministerAll => administer_all(caller),
        Demand::ListReports | Demand::CreateReport | Demand::ReadReport | Demand::ManageReport => {
            report(caller, operation.demand(), &relation)
        }
        Demand::Read(_)
        | Demand::ListAll(_)
        | Demand::ListVisible(_)
        | Demand::OwnWork(Some(_))
        | Demand::Manage(_)
        | Demand::Answer
        | Demand::AnswerAll { .. } => Verdict::Hidden,
    }
}

/// The right to change a review the caller can see, or to make one.
fn manage(caller: &Caller, review: ReviewKind, relation: &Relation) -> Verdict {
    if caller.writes(review) {
        Verdict::Allow
    } else if caller.permission != Some(Permission::ReadWrite) {
        Verdict::Forbidden(Reason::ReadOnlyPermission)
    } else if relation.owns_group {
        Verdict::Allow
    } else {
        Verdict::Forbidden(Reason::WriteRoleMissing)
    }
}

/// The right to record a decision on an item the caller can see.
fn answer(caller: &Caller, relation: &Relation) -> Verdict {
    if caller.kind == CallerKind::Application {
        Verdict::Forbidden(Reason::ApplicationMayNotDecide)
    } else if !relation.decides_item {
        Verdict::Forbidden(Reason::NotTheReviewer)
    } else if caller.permission != Some(Permission::ReadWrite) {
        Verdict::Forbidden(Reason::ReadOnlyPermission)
    } else {
        Verdict::Allow
    }
}

/// The right to answer at once for whatever one reviews below an object the caller can see; for an application, for everything.
/// A role gives none of it. LC-DEC-09, LC-DEC-10, LC-AUTH-09
fn answer_all(caller: &Caller, relation: &Relation, by_application: bool) -> Verdict {
    let refusal = match caller.kind {
        CallerKind::Application if !by_application => Some(Reason::ApplicationMayNotDecide),
        CallerKind::User if !relation.sees_stage() => Some(Reason::ReviewsNothing),
        CallerKind::Application | CallerKind::User => None,
    };
    match refusal {
        Some(reason) => Verdict::Forbidden(reason),
        None if caller.permission != Some(Permission::ReadWrite) => Verdict::Forbidden(Reason::ReadOnlyPermission),
        None => Verdict::Allow,
    }
}

/// The right to what concerns the tenant as a whole: managing reviews of some kind.
fn administer(caller: &Caller) -> Verdict {
    match ReviewKind::ALL.into_iter().any(|kind| caller.writes(kind)) {
        true => Verdict::Allow,
        false => manage(caller, ReviewKind::GroupOrApplication, &Relation::default()),
    }
}

/// The right to what reaches everybody in the tenant, whatever he reviews: managing reviews of every kind.
fn administer_all(caller: &Caller) -> Verdict {
    let refusals = ReviewKind::ALL.into_iter().map(|kind| manage(caller, kind, &Relation::default()));
    refusals.into_iter().find(|verdict| *verdict != Verdict::Allow).unwrap_or(Verdict::Allow)
}

/// The right to a report of decisions. Section 7 of the API, A-38, LC-AUTH-08
///
/// Who reads any reviews may ask for a report, which then shows what he reads. A report is seen by who asked for it,
/// by a Global Administrator or Global Reader, and by applications; it is managed and downloaded by who asked for it and by
/// those among the others who may also write. All of it, the reading too, needs the greater permission.
fn report(caller: &Caller, demand: Demand, relation: &Relation) -> Verdict {
    const READ_EVERY_REPORT: RoleSet = RoleSet::of(&[DirectoryRole::GlobalAdministrator, DirectoryRole::GlobalReader]);
    let sees_every_report = match caller.kind {
        CallerKind::Application => true,
        CallerKind::User => caller.roles.intersects(READ_EVERY_REPORT),
    };
    let sees = sees_every_report || relation.is_creator;
    if !sees && matches!(demand, Demand::ReadReport | Demand::ManageReport) {
        return Verdict::Hidden;
    }
    if caller.permission != Some(Permission::ReadWrite) {
        return Verdict::Forbidden(Reason::ReadOnlyPermission);
    }
    let reads = ReviewKind::ALL.into_iter().any(|kind| caller.reads(kind));
    let writes = ReviewKind::ALL.into_iter().any(|kind| caller.writes(kind));
    match demand {
        Demand::CreateReport if !reads => Verdict::Forbidden(Reason::ReadRoleMissing),
        Demand::ListReports if !sees_every_report => Verdict::AllowOwnOnly,
        Demand::ManageReport if !relation.is_creator && !writes => Verdict::Forbidden(Reason::WriteRoleMissing),
        _ => Verdict::Allow,
    }
}

#[cfg(test)]
mod tests;
