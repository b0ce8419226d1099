//! How the lists of directory objects are replaced.

/// How a list is replaced: what the file no longer has goes, what it has anew comes, the rest is not touched.
pub(super) struct ListStatements {
    /// `$1` is the tenant.
    pub(super) remove: &'static str,
    /// `$1` is the tenant.
    pub(super) add: &'static str,
}

#[rustfmt::skip] // one clause per line
macro_rules! list {
    (
        table: $table:literal, object: $object:literal, entry: $entry:literal, kind: $kind:literal,
        staged: $staged:literal, told_by: $told_by:literal, told: $told:literal
    ) => {
        ListStatements {
            remove: concat!(
                "delete from ", $table, " as stored
                  using ", $told_by, " as object
                  where stored.tenant_id = $1
                    and stored.", $object, " = object.id
                    and object.", $told, "
                    and not exists (
                            select from ", $staged, " as told
                             where told.object_id = stored.", $object, " and told.entry_id = stored.", $entry, "
                        )",
            ),
            add: concat!(
                "insert into ", $table, " (tenant_id, ", $object, ", ", $entry, ", ", $kind, ")
                 select $1, told.object_id, told.entry_id, found.kind
                   from ", $staged, " as told
                   join staged_references as found on found.id = told.entry_id
                  where not exists (
                            select from ", $table, " as stored
                             where stored.tenant_id = $1
                               and stored.", $object, " = told.object_id
                               and stored.", $entry, " = told.entry_id
                        )
                  order by told.object_id, told.entry_id",
            ),
        }
    };
}

pub(super) const USER_SPONSORS: ListStatements = list!(
    table: "user_sponsors", object: "user_id", entry: "sponsor_id", kind: "sponsor_type",
    staged: "staged_user_sponsors", told_by: "staged_users", told: "sponsors_told"
);
pub(super) const GROUP_MEMBERS: ListStatements = list!(
    table: "group_members", object: "group_id", entry: "member_id", kind: "member_type",
    staged: "staged_group_members", told_by: "staged_groups", told: "members_told"
);
pub(super) const GROUP_OWNERS: ListStatements = list!(
    table: "group_owners", object: "group_id", entry: "owner_id", kind: "owner_type",
    staged: "staged_group_owners", told_by: "staged_groups", told: "owners_told"
);
pub(super) const GROUP_ELIGIBLE_OWNERS: ListStatements = list!(
    table: "group_eligible_owners", object: "group_id", entry: "owner_id", kind: "owner_type",
    staged: "staged_group_eligible_owners", told_by: "staged_groups", told: "eligible_owners_told"
);
pub(super) const SERVICE_PRINCIPAL_OWNERS: ListStatements = list!(
    table: "service_principal_owners", object: "service_principal_id", entry: "owner_id", kind: "owner_type",
    staged: "staged_service_principal_owners", told_by: "staged_service_principals", told: "owners_told"
);
pub(super) const ROLE_MEMBERS: ListStatements = list!(
    table: "role_assignments", object: "role_id", entry: "principal_id", kind: "principal_type",
    staged: "staged_role_members", told_by: "staged_directory_roles", told: "members_told"
);
pub(super) const ELIGIBLE_MEMBERS: ListStatements = list!(
    table: "role_eligibilities", object: "role_id", entry: "principal_id", kind: "principal_type",
    staged: "staged_eligible_members", told_by: "staged_directory_roles", told: "eligible_members_told"
);

/// Removes the entries, told apart by a key of their own, that the file no longer has.
#[rustfmt::skip] // one clause per line
macro_rules! remove {
    (table: $table:literal, object: $object:literal, key: $key:literal, staged: $staged:literal, told_by: $told_by:literal,
     told: $told:literal) => {
        concat!(
            "delete from ", $table, " as stored
              using ", $told_by, " as object
              where stored.tenant_id = $1
                and stored.", $object, " = object.id
                and object.", $told, "
                and not exists (
                        select from ", $staged, " as told
                         where told.object_id = stored.", $object, " and told.", $key, " = stored.", $key, "
                    )",
        )
    };
}

/// An assignment has an id of its own, so that it can come to mean somebody else or another role.
pub(super) const ASSIGNMENTS: ListStatements = ListStatements {
    remove: remove!(
        table: "app_role_assignments", object: "service_principal_id", key: "assignment_id",
        staged: "staged_assignments", told_by: "staged_service_principals", told: "assignments_told"
    ),
    add: "
        insert into app_role_assignments as stored (
            tenant_id, service_principal_id, assignment_id, principal_id, principal_type, app_role_id
        )
        select $1, told.object_id, told.assignment_id, told.entry_id, found.kind, told.app_role_id
          from staged_assignments as told
          join staged_references as found on found.id = told.entry_id
            on conflict (tenant_id, service_principal_id, assignment_id) do update
           set principal_id = excluded.principal_id,
               principal_type = excluded.principal_type,
               app_role_id = excluded.app_role_id
         where (stored.principal_id, stored.app_role_id) is distinct from (excluded.principal_id, excluded.app_role_id)
    ",
};

pub(super) const APP_ROLES: ListStatements = ListStatements {
    remove: remove!(
        table: "app_roles", object: "service_principal_id", key: "app_role_id",
        staged: "staged_app_roles", told_by: "staged_service_principals", told: "app_roles_told"
    ),
    add: "
        insert into app_roles as stored (tenant_id, service_principal_id, app_role_id, display_name, value)
        select $1, object_id, app_role_id, display_name, value
          from staged_app_roles
            on conflict (tenant_id, service_principal_id, app_role_id) do update
           set display_name = excluded.display_name,
               value = excluded.value
         where (stored.display_name, stored.value) is distinct from (excluded.display_name, excluded.value)
    ",
};

/// With a channel its members go.
pub(super) const SHARED_CHANNELS: ListStatements = ListStatements {
    remove: remove!(
        table: "shared_channels", object: "group_id", key: "channel_id",
        staged: "staged_channels", told_by: "staged_groups", told: "shared_channels_told"
    ),
    add: "
        insert into shared_channels as stored (tenant_id, group_id, channel_id, display_name)
        select $1, object_id, channel_id, display_name
          from staged_channels
            on conflict (tenant_id, group_id, channel_id) do update
           set display_name = excluded.display_name
         where stored.display_name <> excluded.display_name
    ",
};

pub(super) const CHANNEL_MEMBERS: ListStatements = ListStatements {
    remove: "
        delete from shared_channel_members as stored
         using staged_groups as object
         where stored.tenant_id = $1
           and stored.group_id = object.id
           and object.shared_channels_told
           and not exists (
                   select from staged_channel_members as told
                    where told.object_id = stored.group_id
                      and told.channel_id = stored.channel_id
                      and told.entry_id = stored.member_id
               )
    ",
    add: "
        insert into shared_channel_members (tenant_id, group_id, channel_id, member_id, member_type)
        select $1, told.object_id, told.channel_id, told.entry_id, found.kind
          from staged_channel_members as told
          join staged_references as found on found.id = told.entry_id
            on conflict do nothing
    ",
};

/// One per user. A later sign-in replaces what was known.
pub(super) const APPLICATION_SIGN_INS: ListStatements = ListStatements {
    remove: "
        delete from application_sign_ins as stored
         using staged_service_principals as object
         where stored.tenant_id = $1
           and stored.service_principal_id = object.id
           and object.sign_ins_told
           and not exists (
                   select from staged_application_sign_ins as told
                    where told.object_id = stored.service_principal_id and told.entry_id = stored.user_id
               )
    ",
    add: "
        insert into application_sign_ins as stored (tenant_id, service_principal_id, user_id, last_sign_in_at)
        select $1, object_id, entry_id, last_sign_in_at
          from staged_application_sign_ins
            on conflict (tenant_id, service_principal_id, user_id) do update
           set last_sign_in_at = excluded.last_sign_in_at
         where stored.last_sign_in_at is distinct from excluded.last_sign_in_at
    ",
};

/// With a policy its assignments go.
pub(super) const POLICIES: ListStatements = ListStatements {
    remove: remove!(
        table: "access_package_policies", object: "access_package_id", key: "policy_id",
        staged: "staged_policies", told_by: "staged_access_packages", told: "policies_told"
    ),
    add: "
        insert into access_package_policies as stored (tenant_id, access_package_id, policy_id, display_name)
        select $1, object_id, policy_id, display_name
          from staged_policies
            on conflict (tenant_id, access_package_id, policy_id) do update
           set display_name = excluded.display_name
         where stored.display_name <> excluded.display_name
    ",
};

pub(super) const PACKAGE_ASSIGNMENTS: ListStatements = ListStatements {
    remove: remove!(
        table: "access_package_assignments", object: "access_package_id", key: "assignment_id",
        staged: "staged_package_assignments", told_by: "staged_access_packages", told: "assignments_told"
    ),
    add: "
        insert into access_package_assignments as stored (
            tenant_id, access_package_id, policy_id, assignment_id, target_id, target_type
        )
        select $1, told.object_id, told.policy_id, told.assignment_id, told.entry_id, found.kind
          from staged_package_assignments as told
          join staged_references as found on found.id = told.entry_id
            on conflict (tenant_id, access_package_id, assignment_id) do update
           set policy_id = excluded.policy_id,
               target_id = excluded.target_id,
               target_type = excluded.target_type
         where (stored.policy_id, stored.target_id) is distinct from (excluded.policy_id, excluded.target_id)
    ",
};
