//! Gathering: who has access to the resource of an instance now, written as its items in one statement.
//!
//! Every form begins with its own tables and ends in `found` (who, what they are, by which role of an application, whether by
//! direct connect); from there on all forms are one. The text is put together from the form, never from what a client sent.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    domain::{
        instance::Instance,
        recommendation::RecommendationRule,
        scope::{AssignmentHolders, MemberKind, RoleHolders, ScopeForm, UserKind},
    },
    store::Gathering,
};

/// What the access of an application without roles of its own is called.
const DEFAULT_ACCESS: &str = "Default Access";

/// The statement that makes the items; `None` for the scope of an all-groups review, which no instance has.
pub(super) fn statement(tenant: Uuid, instance: &Instance, gathering: &Gathering) -> Option<QueryBuilder<Postgres>> {
    let mut statement = Statement { tenant, query: QueryBuilder::new("with recursive ") };
    let guests_only = instance.scope.form.is_guests_only();
    statement.push_found(&instance.scope.form, gathering.direct_connect)?;
    statement.push_principals(guests_only, instance, gathering);
    statement.push_items(instance, gathering);
    Some(statement.query)
}

/// The statement that reads the users of the group under review and everybody above them, as `user_id`, `manager_id`, `is_member`;
/// `None` for the scope of an all-groups review. Users by direct connect are no members.
///
/// `union` drops who was seen, so that a circle of managers ends the climb.
pub(super) fn managed_members(tenant: Uuid, instance: &Instance) -> Option<QueryBuilder<Postgres>> {
    let mut statement = Statement { tenant, query: QueryBuilder::new("with recursive ") };
    statement.push_found(&instance.scope.form, false)?;
    statement.push(
        ", persons as (select distinct f.principal_id as user_id from found f \
         where f.principal_type = 'user' and not f.direct_connect), \
         line (user_id, manager_id) as (select p.user_id, u.manager_id from persons p join users u \
         on u.user_id = p.user_id and u.tenant_id = ",
    );
    // a scalar subquery is looked up in the index; a join would be planned as a pass over the tenant's users for any group
    statement.tenant().push(
        " union select above.user_id, (select u.manager_id from users u where u.user_id = above.user_id and u.tenant_id = ",
    );
    statement.tenant().push(
        ") from (select distinct l.manager_id as user_id from line l where l.manager_id is not null) above) \
         select l.user_id, l.manager_id, p.user_id is not null as is_member from line l \
         left join persons p on p.user_id = l.user_id",
    );
    Some(statement.query)
}

/// ` and …`: whether the user `u` is under review. LC-INST-11, LC-INST-14
pub(super) fn push_user_conditions(
    query: &mut QueryBuilder<Postgres>,
    guests_only: bool,
    inactive_before: Option<DateTime<Utc>>,
) {
    if guests_only {
        query.push(" and u.user_type = 'Guest'");
    }
    if let Some(cutoff) = inactive_before {
        query.push(" and u.sign_in_known and coalesce(u.last_sign_in_at, '-infinity') < ").push_bind(cutoff);
        query.push(" and coalesce(u.created_at, '-infinity') <= ").push_bind(cutoff);
    }
}

/// Whether a form finds nobody but users. Then nothing is said of what a principal is: a condition on a value that the statement makes
/// itself counts as one in two hundred to the planner, who then probes for a million users one by one.
const fn finds_users_only(form: &ScopeForm) -> bool {
    match form {
        ScopeForm::GroupMembers { members, .. } => !matches!(members, MemberKind::UsersAndGroups),
        ScopeForm::ApplicationAssignments { .. } => true,
        ScopeForm::RoleHolders { holders, .. } => {
            !matches!(holders, RoleHolders::ServicePrincipals | RoleHolders::UsersAndGroups)
        }
        ScopeForm::AccessPackageAssignments { holders, .. } => !matches!(holders, AssignmentHolders::Everybody),
        ScopeForm::TeamAndSharedChannels { .. } | ScopeForm::EveryGroupMembers { .. } => false,
    }
}

struct Statement {
    tenant: Uuid,
    query: QueryBuilder<Postgres>,
}

impl Statement {
    fn push(&mut self, text: &'static str) -> &mut Self {
        self.query.push(text);
        self
    }

    fn bind(&mut self, id: impl Into<Uuid>) -> &mut Self {
        self.query.push_bind(id.into());
        self
    }

    fn tenant(&mut self) -> &mut Self {
        self.query.push_bind(self.tenant);
        self
    }

    /// `found (principal_id, principal_type, app_role_id, app_role_name, direct_connect)`. Users by direct connect, and teams that a
    /// channel is shared with, are left out of a review with several stages. LC-DEF-07
    fn push_found(&mut self, form: &ScopeForm, direct_connect: bool) -> Option<()> {
        match form {
            ScopeForm::GroupMembers { group, transitive, members } => {
                self.push_members(group.as_uuid(), *transitive);
                self.push("found as (select m.*, false as direct_connect from members m");
                if *members == MemberKind::UsersAndGroups {
                    self.push(" union all select m.member_id, 'group', null, null, false from group_members m where m.tenant_id = ");
                    self.tenant().push(" and m.group_id = ").bind(group.as_uuid()).push(" and m.member_type = 'group'");
                }
                self.push(")");
            }
            ScopeForm::TeamAndSharedChannels { team } => {
                self.push_members(team.as_uuid(), true);
                self.push("found as (select m.*, false as direct_connect from members m");
                if !direct_connect {
                    self.push(")");
                    return Some(());
                }
                self.push(
                    " union all select distinct c.member_id, c.member_type, null::uuid, null::text, true from shared_channel_members c \
                     where c.tenant_id = ",
                );
                self.tenant().push(" and c.group_id = ").bind(team.as_uuid());
                // A group that is part of the team is reviewed by its members.
                self.push(
                    " and not exists (select from members m where m.principal_id = c.member_id) \
                     and not exists (select from reachable r where r.group_id = c.member_id))",
                );
            }
            ScopeForm::ApplicationAssignments { service_principal, through_groups, users: _ } => {
                self.push_assignments(service_principal.as_uuid(), *through_groups);
            }
            ScopeForm::RoleHolders { role, holders } => self.push_role_holders(role.as_uuid(), *holders),
            ScopeForm::AccessPackageAssignments { access_package, assignment_policy, catalog, holders } => {
                self.push(
                    "found as (select distinct a.target_id as principal_id, a.target_type as principal_type, \
                     null::uuid as app_role_id, null::text as app_role_name, false as direct_connect \
                     from access_package_assignments a where a.tenant_id = ",
                );
                self.tenant().push(" and a.policy_id = ").bind(assignment_policy.as_uuid());
                if let Some(access_package) = access_package {
                    self.push(" and a.access_package_id = ").bind(access_package.as_uuid());
                }
                if let Some(catalog) = catalog {
                    self.push(" and a.access_package_id in (select p.access_package_id from access_packages p where p.tenant_id = ");
                    self.tenant().push(" and p.catalog_id = ").bind(catalog.as_uuid()).push(")");
                }
                if *holders != AssignmentHolders::Everybody {
                    self.push(" and a.target_type = 'user'");
                }
                self.push(")");
            }
            ScopeForm::EveryGroupMembers { groups: _, members: UserKind::All | UserKind::Guests } => return None,
        }
        Some(())
    }

    /// `members (principal_id, …)`: the users of a group, each once however many paths lead to him. LC-INST-12
    fn push_members(&mut self, group: Uuid, transitive: bool) {
        self.push("reachable (group_id) as (select ").bind(group);
        if transitive {
            self.push(
                " union select m.member_id from reachable r join group_members m on m.group_id = r.group_id \
                 and m.member_type = 'group' and m.tenant_id = ",
            );
            self.tenant();
        }
        self.push(
            "), members as (select distinct m.member_id as principal_id, 'user' as principal_type, null::uuid as app_role_id, \
             null::text as app_role_name from reachable r join group_members m on m.group_id = r.group_id \
             and m.member_type = 'user' and m.tenant_id = ",
        );
        self.tenant().push("), ");
    }

    /// Users assigned to an application: by themselves and, with `through_groups`, as direct members of an assigned group. Who is
    /// assigned several times is one item; it shows the names of all his roles, and the id of the first: one assigned to himself
    /// before one assigned to a group, then by name.
    fn push_assignments(&mut self, service_principal: Uuid, through_groups: bool) {
        self.push(
            "assigned as (select a.principal_id, a.app_role_id, false as through_group from app_role_assignments a \
             where a.principal_type = 'user' and a.tenant_id = ",
        );
        self.tenant().push(" and a.service_principal_id = ").bind(service_principal);
        if through_groups {
            self.push(
                " union all select m.member_id, a.app_role_id, true from app_role_assignments a \
                 join group_members m on m.tenant_id = a.tenant_id and m.group_id = a.principal_id and m.member_type = 'user' \
                 where a.principal_type = 'group' and a.tenant_id = ",
            );
            self.tenant().push(" and a.service_principal_id = ").bind(service_principal);
        }
        self.push("), named as (select a.*, coalesce(r.display_name, case when a.app_role_id = ").bind(Uuid::nil());
        self.push(" then ");
        self.query.push_bind(DEFAULT_ACCESS);
        self.push(
            " end) as name from assigned a left join app_roles r on r.app_role_id = a.app_role_id and r.tenant_id = ",
        );
        self.tenant().push(" and r.service_principal_id = ").bind(service_principal);
        self.push(
            "), found as (select principal_id, 'user' as principal_type, \
             (array_agg(app_role_id order by through_group, lower(name), app_role_id))[1] as app_role_id, \
             string_agg(distinct name, ', ' order by name) as app_role_name, false as direct_connect \
             from named group by principal_id)",
        );
    }

    /// A role is named by its own id or its template's. A group that holds the role is one item and is not expanded.
    /// LC-INST-13
    fn push_role_holders(&mut self, role: Uuid, holders: RoleHolders) {
        let kinds: &[_] = match holders {
            RoleHolders::ServicePrincipals => &["servicePrincipal"],
            RoleHolders::AssignedUsers
            | RoleHolders::EligibleUsers
            | RoleHolders::UsersActiveOrEligible
            | RoleHolders::Guests => &["user"],
            RoleHolders::UsersAndGroups => &["user", "group"],
        };
        let tables =
            [("role_assignments", holders.counts_assigned()), ("role_eligibilities", holders.counts_eligible())];
        let tables = tables.into_iter().filter_map(|(table, counts)| counts.then_some(table));
        self.push("role as (select role_id from directory_roles where tenant_id = ").tenant();
        self.push(" and ").bind(role).push(" in (role_id, role_template_id)), held as (");
        for (position, table) in tables.enumerate() {
            if position > 0 {
                self.push(" union ");
            }
            self.push("select h.principal_id, h.principal_type from ").push(table);
            self.push(" h join role on role.role_id = h.role_id where h.tenant_id = ").tenant();
            self.push(" and h.principal_type = any(");
            self.query.push_bind(kinds.to_vec());
            self.push(")");
        }
        self.push(
            "), found as (select h.*, null::uuid as app_role_id, null::text as app_role_name, false as direct_connect from held h)",
        );
    }

    /// `principals`: who is there and is under review, with what recommendations and cohorts need. Nothing is known of groups,
    /// service principals and users by direct connect (LC-RCM-09). Of a sign-in null is no information and `-infinity` never.
    fn push_principals(&mut self, guests_only: bool, instance: &Instance, gathering: &Gathering) {
        let uses =
            |wanted: fn(&RecommendationRule) -> bool| gathering.recommendation_rules.iter().flatten().any(wanted);
        let to_application = uses(|rule| matches!(rule, RecommendationRule::ApplicationSignIn { .. }));
        self.push(
            ", principals as (select u.user_id as principal_id, 'user' as principal_type, u.display_name as principal_name, \
             u.user_principal_name as principal_detail, f.app_role_id, f.app_role_name, f.direct_connect, u.manager_id, \
             u.created_at, case when u.sign_in_known and not f.direct_connect then coalesce(u.last_sign_in_at, '-infinity') end \
             as last_sign_in_at, ",
        );
        self.push(match to_application {
            true => {
                "case when s.user_id is not null and not f.direct_connect then coalesce(s.last_sign_in_at, '-infinity') end"
            }
            false => "null::timestamptz",
        });
        self.push(" as application_sign_in_at, ");
        self.push(if gathering.affiliations.is_empty() { "null::boolean" } else { "a.is_outlier" });
        self.push(" as outlier from found f join users u on u.user_id = f.principal_id and u.tenant_id = ").tenant();
        if to_application {
            self.push(" left join application_sign_ins s on s.user_id = u.user_id and s.tenant_id = ").tenant();
            self.push(" and s.service_principal_id = ").bind(instance.resource.id.as_uuid());
        }
        if !gathering.affiliations.is_empty() {
            let (members, outliers): (Vec<_>, Vec<_>) =
                gathering.affiliations.iter().map(|known| (known.member.as_uuid(), known.is_outlier)).unzip();
            self.push(" left join unnest(");
            self.query.push_bind(members);
            self.push("::uuid[], ");
            self.query.push_bind(outliers);
            self.push("::boolean[]) as a (user_id, is_outlier) on a.user_id = u.user_id");
        }
        let users_only = finds_users_only(&instance.scope.form);
        self.push(if users_only { " where true" } else { " where f.principal_type = 'user'" });
        push_user_conditions(&mut self.query, guests_only, gathering.inactive_before);
        if gathering.inactive_before.is_none() && !guests_only && !users_only {
            // Where everybody answers for himself, the team's owners answer for another team. LC-REV-06, LC-REV-07
            if !gathering.users_only || instance.scope.form.has_direct_connect() {
                self.push(
                    " union all select g.group_id, 'group', g.display_name, '', f.app_role_id, f.app_role_name, f.direct_connect, \
                     null, null, null, null, null from found f join groups g on g.group_id = f.principal_id and g.tenant_id = ",
                );
                self.tenant().push(" where f.principal_type = 'group'");
                if gathering.users_only {
                    self.push(" and f.direct_connect");
                }
            }
            if !gathering.users_only {
                self.push(
                    " union all select s.service_principal_id, 'servicePrincipal', s.display_name, coalesce(s.app_id::text, ''), \
                     f.app_role_id, f.app_role_name, false, null, null, null, null, null \
                     from found f join service_principals s on s.service_principal_id = f.principal_id and s.tenant_id = ",
                );
                self.tenant().push(" where f.principal_type = 'servicePrincipal'");
            }
        }
        self.push(")");
    }

    /// Numbers the principals and groups them into cohorts: people and teams by direct connect apart from everybody else, because the team's
    /// owners answer for them (LC-REV-07).
    fn push_items(&mut self, instance: &Instance, gathering: &Gathering) {
        // Where nobody has it, not sorted by: a sort is fast by its first key, which should tell rows apart.
        let direct_connect_first = if instance.scope.form.has_direct_connect() { "direct_connect, " } else { "" };
        self.push(match gathering.one_cohort_per_principal {
            true => ", keyed as (select p.*, p.principal_id as cohort_key from principals p limit ",
            false => {
                ", keyed as (select p.*, case when not p.direct_connect then p.manager_id end as cohort_key from principals p limit "
            }
        });
        // One more than is allowed shows that there are more. LC-REV-13
        self.query.push_bind(i64::from(gathering.most_items) + 1);
        self.push(
            ") insert into decision_items (tenant_id, instance_id, seq, principal_id, principal_type, principal_name, \
             principal_detail, app_role_id, app_role_name, direct_connect, cohort, last_sign_in_at, application_sign_in_at, \
             outlier, recommendations) select ",
        );
        self.tenant().push(", ").bind(instance.id.as_uuid());
        self.push(", row_number() over (order by ").push(direct_connect_first).push(
            "cohort_key nulls first, lower(principal_name), principal_id), \
             principal_id, principal_type, principal_name, principal_detail, app_role_id, app_role_name, direct_connect, \
             dense_rank() over (order by ",
        );
        self.push(direct_connect_first)
            .push("cohort_key nulls first), last_sign_in_at, application_sign_in_at, outlier, (0");
        let last = gathering.recommendation_rules.len().saturating_sub(1);
        for (position, rules) in gathering.recommendation_rules.iter().enumerate() {
            self.push(" | (greatest(0");
            for rule in rules {
                self.push(", ");
                self.push_rule(*rule);
            }
            // Two bits each: the stages', and those of the default decision at their own place.
            self.push(match position {
                _ if position == last => ") << 6)",
                0 => "))",
                1 => ") << 2)",
                _ => ") << 4)",
            });
        }
        self.push(")::smallint from keyed");
    }

    /// The code of one rule's recommendation: the greatest of several is what they make together (LC-RCM-08).
    fn push_rule(&mut self, rule: RecommendationRule) {
        let (sign_in, cutoff) = match rule {
            RecommendationRule::TenantSignIn { cutoff } => ("last_sign_in_at", cutoff),
            RecommendationRule::ApplicationSignIn { cutoff } => ("application_sign_in_at", cutoff),
            RecommendationRule::Affiliation => {
                self.push("case outlier when true then 2 when false then 1 else 0 end");
                return;
            }
        };
        self.push("case when ").push(sign_in).push(" is null then 0 when ").push(sign_in);
        self.push(" = '-infinity' then case when created_at < ");
        self.query.push_bind(cutoff);
        self.push(" then 2 else 0 end when ").push(sign_in).push(" < ");
        self.query.push_bind(cutoff);
        self.push(" then 2 else 1 end");
    }
}
