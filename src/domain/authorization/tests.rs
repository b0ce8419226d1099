use std::{fmt::Write as _, path::Path};

use proptest::prelude::*;

use super::*;
use crate::domain::ids::ObjectId;

fn caller(kind: CallerKind, permission: Option<Permission>, roles: RoleSet) -> Caller {
    Caller {
        tenant_id: TenantId::new(Uuid::from_u128(1)),
        identity: Identity {
            id: ObjectId::new(Uuid::from_u128(2)),
            display_name: "Ada Byron".to_owned(),
            user_principal_name: "ada@acme.example".to_owned(),
        },
        kind,
        permission,
        identity_provider_permission: None,
        roles,
    }
}

fn user(permission: Permission, roles: &[DirectoryRole]) -> Caller {
    caller(CallerKind::User, Some(permission), RoleSet::of(roles))
}

fn application(permission: Permission) -> Caller {
    caller(CallerKind::Application, Some(permission), RoleSet::EMPTY)
}

const STRANGER: Relation = Relation {
    is_creator: false,
    owns_group: false,
    reviews_definition: false,
    reviews_instance: false,
    reviews_stage: false,
    reads_stage_history: false,
    reviews_item: false,
    decides_item: false,
};
const CREATOR: Relation = Relation { is_creator: true, ..STRANGER };
const OWNER: Relation = Relation { owns_group: true, ..STRANGER };
const REVIEWER_ELSEWHERE: Relation = Relation { reviews_definition: true, ..STRANGER };
const REVIEWER_IN_INSTANCE: Relation = Relation { reviews_instance: true, ..REVIEWER_ELSEWHERE };
const REVIEWER_OF_LATER_STAGE: Relation = Relation { reads_stage_history: true, ..REVIEWER_IN_INSTANCE };
const REVIEWER_IN_STAGE: Relation = Relation { reviews_stage: true, ..REVIEWER_IN_INSTANCE };
const REVIEWER_OF_ITEM: Relation = Relation { reviews_item: true, ..REVIEWER_IN_STAGE };
const DECIDER: Relation = Relation { decides_item: true, ..REVIEWER_OF_ITEM };

const RELATIONS: [(&str, &str, Relation); 9] = [
    ("none", "nothing to the object", STRANGER),
    ("creator", "created the definition (for DefinitionList: any definition), or asked for the report", CREATOR),
    (
        "owns group",
        "owns the one group under review, and the tenant lets group owners review (LC-AUTH-02); for DefinitionCreate: the group to \
         be reviewed; for DefinitionList: any group",
        OWNER,
    ),
    ("reviews definition", "reviews something under the definition, but not in this instance", REVIEWER_ELSEWHERE),
    ("reviews instance", "reviews something in the instance, but not in this stage", REVIEWER_IN_INSTANCE),
    (
        "later stage",
        "reviews a later stage and the settings show the decisions of this one (LC-STAGE-50)",
        REVIEWER_OF_LATER_STAGE,
    ),
    ("reviews stage", "reviews something in the stage, but not this item", REVIEWER_IN_STAGE),
    ("reviews item", "reviews the item, but not in the stage that takes the answer", REVIEWER_OF_ITEM),
    ("decides item", "reviews the item in the stage that takes the answer", DECIDER),
];

fn cell(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "yes",
        Verdict::AllowOwnOnly => "own",
        Verdict::Forbidden(_) => "403",
        Verdict::Hidden => "404",
    }
}

fn kind_name(kind: ReviewKind) -> &'static str {
    match kind {
        ReviewKind::GroupOrApplication => "group or application",
        ReviewKind::RoleAssignableGroup => "role-assignable group",
        ReviewKind::DirectoryRole => "directory role",
    }
}

/// Every kind of caller: with each permission or none, and with no role or one.
fn callers() -> Vec<(String, String, Caller)> {
    let mut callers = Vec::new();
    for permission in [None, Some(Permission::Read), Some(Permission::ReadWrite)] {
        let token = permission.map_or("no permission", Permission::as_str);
        callers.push((
            format!("Application, {token}"),
            "-".to_owned(),
            caller(CallerKind::Application, permission, RoleSet::EMPTY),
        ));
        let user = format!("User, {token}");
        callers.push((user.clone(), "no role".to_owned(), caller(CallerKind::User, permission, RoleSet::EMPTY)));
        for role in DirectoryRole::ALL {
            let name = role.name().to_owned();
            callers.push((user.clone(), name, caller(CallerKind::User, permission, RoleSet::of(&[role]))));
        }
    }
    callers
}

/// One verdict for each operation (row) and relation (column).
type Cells = Vec<Vec<&'static str>>;

/// Callers for whom every cell is the same.
struct Section {
    cells: Cells,
    members: Vec<Members>,
}

/// One line about the callers of a section.
struct Members {
    token: String,
    review: &'static str,
    roles: Vec<String>,
}

/// The permission table: callers for whom every cell is the same share a section.
fn permission_table() -> String {
    let mut sections: Vec<Section> = Vec::new();
    for (token, role, caller) in callers() {
        for kind in ReviewKind::ALL {
            let cells: Cells = Operation::ALL
                .into_iter()
                .map(|operation| {
                    RELATIONS.iter().map(|(_, _, relation)| cell(decide(&caller, operation, kind, relation))).collect()
                })
                .collect();
            let index = sections.iter().position(|section| section.cells == cells).unwrap_or_else(|| {
                sections.push(Section { cells, members: Vec::new() });
                sections.len() - 1
            });
            let members = &mut sections[index].members;
            match members.iter_mut().find(|line| line.token == token && line.review == kind_name(kind)) {
                Some(line) => line.roles.push(role.clone()),
                None => {
                    members.push(Members { token: token.clone(), review: kind_name(kind), roles: vec![role.clone()] })
                }
            }
        }
    }

    let mut text = String::from(
        "# Permissions\n\n\
         Printed from `src/domain/authorization.rs` by its tests; do not edit. To print it anew:\n\n\
         ```sh\nATTESTRY_REGENERATE=1 cargo test --lib authorization\n```\n\n\
         A cell says what the caller of the section gets who is to the object what the column says:\n\n\
         * `yes`: allowed.\n\
         * `own`: allowed, and shows only what the caller reviews; in DefinitionList what he created and what reviews a group that \
         he owns.\n\
         * `403`: refused; the caller may see the object, or there is no object to hide.\n\
         * `404`: answered as if the object did not exist.\n\n\
         The columns:\n\n",
    );
    for (name, meaning, _) in RELATIONS {
        writeln!(text, "* *{name}*: {meaning}.").expect("writing to a string does not fail");
    }
    text.push_str(
        "\nCallers for whom every cell is equal share a section. A user with several roles has the rights of each; \
         every right is the union of what roles and relation give.\n",
    );
    for (number, Section { cells, members }) in sections.iter().enumerate() {
        write!(text, "\n## {}\n\n| caller | review of | directory role |\n| --- | --- | --- |\n", number + 1)
            .expect("writing to a string does not fail");
        for Members { token, review, roles } in members {
            writeln!(text, "| {token} | {review} | {} |", roles.join(", ")).expect("writing to a string does not fail");
        }
        let names: Vec<_> = RELATIONS.iter().map(|(name, _, _)| *name).collect();
        write!(text, "\n| operation | {} |\n| --- |{}\n", names.join(" | "), " --- |".repeat(RELATIONS.len()))
            .expect("writing to a string does not fail");
        for (operation, row) in Operation::ALL.iter().zip(cells) {
            writeln!(text, "| {operation:?} | {} |", row.join(" | ")).expect("writing to a string does not fail");
        }
    }
    text
}

#[test]
fn the_committed_permission_table_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions.md");
    let printed = permission_table();
    if std::env::var_os("ATTESTRY_REGENERATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &printed).expect("docs/permissions.md can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();

    assert!(
        committed == printed,
        "docs/permissions.md is not what the code does. If the change of rights is meant, print it anew and commit it: \
         ATTESTRY_REGENERATE=1 cargo test --lib authorization"
    );
}

/// LC-AUTH-04, LC-AUTH-03
#[test]
fn a_reviewer_who_tries_to_stop_what_he_sees_is_forbidden_and_what_he_does_not_see_is_absent() {
    let reviewer = user(Permission::ReadWrite, &[]);
    let kind = ReviewKind::GroupOrApplication;

    assert_eq!(
        decide(&reviewer, Operation::InstanceStop, kind, &DECIDER),
        Verdict::Forbidden(Reason::WriteRoleMissing)
    );
    assert_eq!(decide(&reviewer, Operation::InstanceStop, kind, &REVIEWER_ELSEWHERE), Verdict::Hidden);
    assert_eq!(decide(&reviewer, Operation::StageStop, kind, &REVIEWER_IN_INSTANCE), Verdict::Hidden);
}

/// LC-AUTH-02
#[test]
fn the_owner_of_the_group_under_review_reads_and_manages_it_and_decides_nothing() {
    let owner = user(Permission::ReadWrite, &[]);
    let group = ReviewKind::GroupOrApplication;
    for operation in [
        Operation::DefinitionCreate,
        Operation::DefinitionGet,
        Operation::DefinitionUpdate,
        Operation::DefinitionDelete,
        Operation::InstanceList,
        Operation::InstanceStop,
        Operation::StageUpdate,
        Operation::DecisionList,
    ] {
        assert_eq!(decide(&owner, operation, group, &OWNER), Verdict::Allow, "{operation:?}");
        let directory_role = decide(&owner, operation, ReviewKind::DirectoryRole, &OWNER);
        assert_ne!(directory_role, Verdict::Allow, "{operation:?}");
    }
    assert_eq!(decide(&owner, Operation::DefinitionList, group, &OWNER), Verdict::AllowOwnOnly);
    let refused = Verdict::Forbidden(Reason::NotTheReviewer);
    assert_eq!(decide(&owner, Operation::DecisionUpdate, group, &OWNER), refused);
    let reader = user(Permission::Read, &[]);
    assert_eq!(
        decide(&reader, Operation::DefinitionUpdate, group, &OWNER),
        Verdict::Forbidden(Reason::ReadOnlyPermission)
    );
}

#[test]
fn review_settings_are_read_by_who_reads_reviews_and_changed_by_who_manages_every_kind() {
    let of = |roles: &[DirectoryRole]| user(Permission::ReadWrite, roles);
    for (roles, reads, changes) in [
        (&[][..], Err(Reason::ReadRoleMissing), Err(Reason::SettingsRoleMissing)),
        (&[DirectoryRole::GlobalReader], Ok(()), Err(Reason::SettingsRoleMissing)),
        (&[DirectoryRole::UserAdministrator], Ok(()), Err(Reason::SettingsRoleMissing)),
        (&[DirectoryRole::IdentityGovernanceAdministrator], Ok(()), Ok(())),
        (&[DirectoryRole::GlobalAdministrator], Ok(()), Ok(())),
    ] {
        let caller = of(roles);
        assert_eq!(
            (may_read_review_settings(&caller), may_change_review_settings(&caller)),
            (reads, changes),
            "{roles:?}"
        );
    }
    assert_eq!(may_change_review_settings(&application(Permission::ReadWrite)), Ok(()));
    let reading = application(Permission::Read);
    assert_eq!(may_read_review_settings(&reading), Ok(()));
    assert_eq!(may_change_review_settings(&reading), Err(Reason::ReadOnlyPermission));
    let nobody = caller(CallerKind::Application, None, RoleSet::EMPTY);
    assert_eq!(may_read_review_settings(&nobody), Err(Reason::PermissionMissing));
}

/// LC-AUTH-03, LC-AUTH-09
#[test]
fn an_administrator_who_tries_to_decide_is_forbidden() {
    for role in DirectoryRole::ALL {
        assert_eq!(
            decide(
                &user(Permission::ReadWrite, &[role]),
                Operation::DecisionUpdate,
                ReviewKind::DirectoryRole,
                &STRANGER
            ),
            Verdict::Forbidden(Reason::NotTheReviewer),
            "{role:?}"
        );
    }
}

/// LC-AUTH-04 over A-35
#[test]
fn another_reviewers_item_is_absent_for_a_reviewer() {
    for operation in [Operation::DecisionGet, Operation::DecisionUpdate, Operation::StageDecisionUpdate] {
        assert_eq!(
            decide(&user(Permission::ReadWrite, &[]), operation, ReviewKind::GroupOrApplication, &REVIEWER_IN_STAGE),
            Verdict::Hidden
        );
    }
}

/// LC-STAGE-60
#[test]
fn the_reviewer_of_another_stage_sees_the_item_but_may_not_decide_it() {
    let reviewer = user(Permission::ReadWrite, &[]);
    let kind = ReviewKind::GroupOrApplication;

    assert_eq!(decide(&reviewer, Operation::DecisionGet, kind, &REVIEWER_OF_ITEM), Verdict::Allow);
    assert_eq!(
        decide(&reviewer, Operation::DecisionUpdate, kind, &REVIEWER_OF_ITEM),
        Verdict::Forbidden(Reason::NotTheReviewer)
    );
    assert_eq!(decide(&reviewer, Operation::DecisionUpdate, kind, &DECIDER), Verdict::Allow);
}

/// A-01
#[test]
fn an_application_asking_for_its_own_work_is_answered_and_reviews_nothing() {
    for operation in [Operation::DefinitionMine, Operation::InstanceMine, Operation::StageDecisionMine] {
        assert_eq!(
            decide(&application(Permission::Read), operation, ReviewKind::DirectoryRole, &STRANGER),
            Verdict::AllowOwnOnly
        );
    }
}

/// LC-STAGE-50
#[test]
fn the_history_of_an_earlier_stage_is_read_through_its_own_work_route_only() {
    let reviewer = user(Permission::Read, &[]);
    let kind = ReviewKind::GroupOrApplication;

    assert_eq!(decide(&reviewer, Operation::StageDecisionMine, kind, &REVIEWER_OF_LATER_STAGE), Verdict::AllowOwnOnly);
    assert_eq!(decide(&reviewer, Operation::StageDecisionList, kind, &REVIEWER_OF_LATER_STAGE), Verdict::Hidden);
    assert_eq!(decide(&reviewer, Operation::StageDecisionMine, kind, &REVIEWER_IN_INSTANCE), Verdict::Hidden);
}

/// LC-AUTH-01
#[test]
fn the_privileged_role_administrator_reads_only_what_concerns_roles() {
    let caller = user(Permission::ReadWrite, &[DirectoryRole::PrivilegedRoleAdministrator]);

    assert_eq!(caller.readable_kinds(), [ReviewKind::RoleAssignableGroup, ReviewKind::DirectoryRole]);
}

#[test]
fn a_role_is_known_by_name_in_any_spelling_and_by_template_id() {
    for role in DirectoryRole::ALL {
        assert_eq!(DirectoryRole::from_template_id(role.template_id()), Some(role));
        for spelling in [
            role.name().to_uppercase(),
            role.name().replace(' ', ""),
            role.name().replace(' ', "-"),
            role.name().to_lowercase().replace(' ', "_"),
        ] {
            assert_eq!(DirectoryRole::from_name(&spelling), Some(role), "{spelling}");
        }
    }
    assert_eq!(DirectoryRole::from_name("Global"), None);
    assert_eq!(DirectoryRole::from_name(""), None);
}

#[test]
fn the_highest_permission_counts_and_others_do_not() {
    assert_eq!(Permission::highest(["openid", "AccessReview.ReadWrite.Membership"]), None);
    assert_eq!(Permission::highest(["accessreview.read.all"]), None);
    assert_eq!(
        Permission::highest(["AccessReview.ReadWrite.All", "AccessReview.Read.All"]),
        Some(Permission::ReadWrite)
    );
}

#[test]
fn roles_assigned_in_the_directory_join_those_of_the_token() {
    let caller = user(Permission::Read, &[DirectoryRole::GlobalReader])
        .with_directory_roles([DirectoryRole::UserAdministrator.template_id(), Uuid::from_u128(7)]);

    assert_eq!(caller.roles, RoleSet::of(&[DirectoryRole::GlobalReader, DirectoryRole::UserAdministrator]));
}

/// Section 7 of the API, A-38
#[test]
fn a_report_is_seen_by_who_asked_for_it_and_by_those_who_read_everything() {
    let verdicts = |caller: &Caller, relation: &Relation| {
        [Operation::HistoryList, Operation::HistoryCreate, Operation::HistoryGet, Operation::HistoryDownload]
            .map(|operation| cell(decide(caller, operation, ReviewKind::GroupOrApplication, relation)))
    };
    let of = |roles: &[DirectoryRole]| user(Permission::ReadWrite, roles);

    assert_eq!(verdicts(&of(&[]), &STRANGER), ["own", "403", "404", "404"]);
    assert_eq!(verdicts(&of(&[]), &CREATOR), ["own", "403", "yes", "yes"]);
    assert_eq!(verdicts(&of(&[DirectoryRole::UserAdministrator]), &STRANGER), ["own", "yes", "404", "404"]);
    assert_eq!(verdicts(&of(&[DirectoryRole::PrivilegedRoleAdministrator]), &CREATOR), ["own", "yes", "yes", "yes"]);
    assert_eq!(verdicts(&of(&[DirectoryRole::GlobalReader]), &STRANGER), ["yes", "yes", "yes", "403"]);
    assert_eq!(verdicts(&of(&[DirectoryRole::GlobalAdministrator]), &STRANGER), ["yes"; 4]);
    assert_eq!(verdicts(&application(Permission::ReadWrite), &STRANGER), ["yes"; 4]);
    assert_eq!(verdicts(&application(Permission::Read), &STRANGER), ["403"; 4]);
    assert_eq!(verdicts(&user(Permission::Read, &[]), &CREATOR), ["403"; 4]);
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop::sample::select(&Operation::ALL[..])
}

/// Operations with this property.
fn operation_that(has: fn(Operation) -> bool) -> impl Strategy<Value = Operation> {
    prop::sample::select(Operation::ALL.into_iter().filter(|operation| has(*operation)).collect::<Vec<_>>())
}

fn any_review() -> impl Strategy<Value = ReviewKind> {
    prop::sample::select(&ReviewKind::ALL[..])
}

fn any_roles() -> impl Strategy<Value = RoleSet> {
    (0u8..1 << DirectoryRole::ALL.len()).prop_map(RoleSet)
}

fn any_kind() -> impl Strategy<Value = CallerKind> {
    prop::sample::select(&[CallerKind::User, CallerKind::Application][..])
}

fn any_permission() -> impl Strategy<Value = Permission> {
    prop::sample::select(&Permission::ALL[..])
}

/// Also relations that no service would load, such as an item reviewed in an instance that is not.
fn any_relation() -> impl Strategy<Value = Relation> {
    any::<[bool; 8]>().prop_map(
        |[
            is_creator,
            owns_group,
            reviews_definition,
            reviews_instance,
            reviews_stage,
            reads_stage_history,
            reviews_item,
            decides_item,
        ]| Relation {
            is_creator,
            owns_group,
            reviews_definition,
            reviews_instance,
            reviews_stage,
            reads_stage_history,
            reviews_item,
            decides_item,
        },
    )
}

/// How much a verdict gives.
fn worth(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Hidden => 0,
        Verdict::Forbidden(_) => 1,
        Verdict::AllowOwnOnly => 2,
        Verdict::Allow => 3,
    }
}

/// Independent of the code under test: operations that change something.
fn changes_something(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::DefinitionCreate
            | Operation::DefinitionUpdate
            | Operation::DefinitionStop
            | Operation::DefinitionDelete
            | Operation::InstanceUpdate
            | Operation::InstanceRemind
            | Operation::InstanceStop
            | Operation::InstanceBatchRecord
            | Operation::InstanceAcceptRecommendations
            | Operation::InstanceReset
            | Operation::InstanceApply
            | Operation::StageBatchRecord
            | Operation::StageAcceptRecommendations
            | Operation::StageUpdate
            | Operation::StageStop
            | Operation::DecisionUpdate
            | Operation::StageDecisionUpdate
            | Operation::SandboxClockAdvance
            | Operation::MailAdminister
    ) || changes_a_report(operation)
}

fn changes_a_report(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::HistoryCreate | Operation::HistoryUpdate | Operation::HistoryDelete | Operation::HistoryDownload
    )
}

fn decides(operation: Operation) -> bool {
    matches!(operation, Operation::DecisionUpdate | Operation::StageDecisionUpdate)
}

fn decides_in_bulk(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::InstanceBatchRecord
            | Operation::InstanceAcceptRecommendations
            | Operation::StageBatchRecord
            | Operation::StageAcceptRecommendations
    )
}

fn manages_a_review(operation: Operation) -> bool {
    changes_something(operation)
        && !decides(operation)
        && !changes_a_report(operation)
        && !decides_in_bulk(operation)
        && !matches!(operation, Operation::SandboxClockAdvance | Operation::MailAdminister)
}

fn addresses_an_object(operation: Operation) -> bool {
    !matches!(
        operation,
        Operation::DefinitionList
            | Operation::DefinitionCreate
            | Operation::DefinitionMine
            | Operation::SandboxClockAdvance
            | Operation::MailAdminister
            | Operation::HistoryList
            | Operation::HistoryCreate
    )
}

proptest! {
    #[test]
    fn no_caller_without_a_permission_is_ever_allowed(
        kind in any_kind(), roles in any_roles(), operation in any_operation(), review in any_review(), relation in any_relation(),
    ) {
        let verdict = decide(&caller(kind, None, roles), operation, review, &relation);

        prop_assert_eq!(verdict, Verdict::Forbidden(Reason::PermissionMissing));
    }

    #[test]
    fn a_further_role_never_takes_a_right_away(
        kind in any_kind(), permission in any_permission(), fewer in any_roles(), more in any_roles(),
        operation in any_operation(), review in any_review(), relation in any_relation(),
    ) {
        let with = |roles| worth(decide(&caller(kind, Some(permission), roles), operation, review, &relation));

        prop_assert!(with(fewer) <= with(fewer.union(more)));
    }

    #[test]
    fn a_closer_relation_never_takes_a_right_away(
        permission in any_permission(), roles in any_roles(), operation in any_operation(), review in any_review(),
        left in any_relation(), right in any_relation(),
    ) {
        let both = Relation {
            is_creator: left.is_creator || right.is_creator,
            owns_group: left.owns_group || right.owns_group,
            reviews_definition: left.reviews_definition || right.reviews_definition,
            reviews_instance: left.reviews_instance || right.reviews_instance,
            reviews_stage: left.reviews_stage || right.reviews_stage,
            reads_stage_history: left.reads_stage_history || right.reads_stage_history,
            reviews_item: left.reviews_item || right.reviews_item,
            decides_item: left.decides_item || right.decides_item,
        };
        let caller = caller(CallerKind::User, Some(permission), roles);

        prop_assert!(worth(decide(&caller, operation, review, &left)) <= worth(decide(&caller, operation, review, &both)));
    }

    #[test]
    fn the_greater_permission_never_takes_a_right_away(
        kind in any_kind(), roles in any_roles(), operation in any_operation(), review in any_review(), relation in any_relation(),
    ) {
        let with = |permission| worth(decide(&caller(kind, Some(permission), roles), operation, review, &relation));

        prop_assert!(with(Permission::Read) <= with(Permission::ReadWrite));
    }

    #[test]
    fn the_read_permission_changes_nothing(
        kind in any_kind(), roles in any_roles(), operation in operation_that(changes_something), review in any_review(), relation in any_relation(),
    ) {
        let verdict = decide(&caller(kind, Some(Permission::Read), roles), operation, review, &relation);

        prop_assert!(matches!(verdict, Verdict::Forbidden(_) | Verdict::Hidden));
    }

    #[test]
    fn what_changes_something_is_allowed_or_not_but_never_in_part(
        kind in any_kind(), permission in any_permission(), roles in any_roles(), operation in operation_that(changes_something),
        review in any_review(), relation in any_relation(),
    ) {
        prop_assert_ne!(
            decide(&caller(kind, Some(permission), roles), operation, review, &relation),
            Verdict::AllowOwnOnly
        );
    }

    /// LC-AUTH-03, LC-AUTH-09
    #[test]
    fn nobody_decides_but_the_reviewer(
        kind in any_kind(), permission in any_permission(), roles in any_roles(), operation in operation_that(decides),
        review in any_review(), relation in any_relation(),
    ) {
        let verdict = decide(&caller(kind, Some(permission), roles), operation, review, &relation);

        prop_assert_eq!(
            verdict == Verdict::Allow,
            kind == CallerKind::User && permission == Permission::ReadWrite && relation.decides_item
        );
    }

    /// LC-DEC-09, LC-DEC-10, LC-DEC-11, LC-AUTH-09
    #[test]
    fn nobody_decides_in_bulk_but_a_reviewer_and_an_application_that_answers_for_all(
        kind in any_kind(), permission in any_permission(), roles in any_roles(), operation in operation_that(decides_in_bulk),
        review in any_review(), relation in any_relation(),
    ) {
        let verdict = decide(&caller(kind, Some(permission), roles), operation, review, &relation);
        let batch = matches!(operation, Operation::InstanceBatchRecord | Operation::StageBatchRecord);
        let entitled = match kind {
            CallerKind::Application => batch,
            CallerKind::User => relation.reviews_stage || relation.reviews_item || relation.decides_item,
        };

        prop_assert_eq!(verdict == Verdict::Allow, entitled && permission == Permission::ReadWrite);
    }

    /// LC-AUTH-03
    #[test]
    fn without_a_write_role_only_an_owner_manages_whatever_else_he_is(
        permission in any_permission(), roles in any_roles(), operation in operation_that(manages_a_review), review in any_review(),
        relation in any_relation(),
    ) {
        let roles = RoleSet(roles.0 & !review.write_roles().0);
        let caller = caller(CallerKind::User, Some(permission), roles);
        let owns = relation.owns_group && review != ReviewKind::DirectoryRole;

        prop_assert_eq!(
            decide(&caller, operation, review, &relation) == Verdict::Allow,
            owns && permission == Permission::ReadWrite
        );
    }

    /// What is not loaded would give nothing: the relation is asked for only where it matters.
    #[test]
    fn where_a_relation_gains_nothing_it_changes_nothing_but_what_reviewers_do(
        kind in any_kind(), permission in any_permission(), roles in any_roles(), operation in any_operation(),
        review in any_review(), owns_group in any::<bool>(),
    ) {
        let caller = caller(kind, Some(permission), roles);
        let report = matches!(
            operation,
            Operation::HistoryList | Operation::HistoryGet
        ) || changes_a_report(operation);
        prop_assume!(!report && !caller.gains_by_relation(review));

        prop_assert_eq!(
            decide(&caller, operation, review, &Relation { owns_group, is_creator: owns_group, ..STRANGER }),
            decide(&caller, operation, review, &STRANGER)
        );
    }

    /// LC-AUTH-01
    #[test]
    fn neither_roles_nor_relations_change_anything_for_an_application(
        permission in any_permission(), roles in any_roles(), operation in any_operation(), review in any_review(),
        relation in any_relation(),
    ) {
        prop_assert_eq!(
            decide(&caller(CallerKind::Application, Some(permission), roles), operation, review, &relation),
            decide(&application(permission), operation, review, &STRANGER)
        );
    }

    /// Section 5 of the design: 403 tells that the object exists, so only those hear it who may read it.
    #[test]
    fn a_user_without_role_and_relation_learns_nothing_of_any_object(
        permission in any_permission(), operation in operation_that(addresses_an_object), review in any_review(),
    ) {
        prop_assert_eq!(decide(&user(permission, &[]), operation, review, &STRANGER), Verdict::Hidden);
    }
}
