//! The import of a directory file.

use std::{
    io::{self, Write as _},
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use attestry::{
    app::import_directory::{ImportError, ImportPhase, ImportProgress, ImportReport, NoProgress, import_directory},
    domain::ids::TenantId,
    store::pg::directory_import::PgDirectoryImport,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::io::{AsyncRead, BufReader, ReadBuf};
use uuid::Uuid;

use crate::support::Database;

const ADA: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BOB: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const CYD: &str = "aaaaaaaa-0000-4000-8000-000000000003";
const DAN: &str = "aaaaaaaa-0000-4000-8000-000000000004";
const SALES: &str = "bbbbbbbb-0000-4000-8000-000000000001";
const STAFF: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const PAYROLL: &str = "cccccccc-0000-4000-8000-000000000001";
const ADMINS: &str = "dddddddd-0000-4000-8000-000000000001";
const KIT: &str = "ffffffff-0000-4000-8000-000000000001";
const NOTHING: &str = "eeeeeeee-0000-4000-8000-000000000001";

/// The shared database and a tenant of its own for the test.
async fn database() -> (PgPool, TenantId) {
    let pool = Database::shared().await.pool().await;
    let tenant = new_tenant(&pool).await;
    (pool, tenant)
}

fn any_id() -> Uuid {
    Uuid::from_u128(rand::random())
}

async fn new_tenant(pool: &PgPool) -> TenantId {
    let id = any_id();
    sqlx::query("insert into tenants (tenant_id, slug, display_name, page_key) values ($1, $2, 'Acme', '')")
        .bind(id)
        .bind(format!("t{}", id.simple()))
        .execute(pool)
        .await
        .unwrap();
    TenantId::new(id)
}

/// A directory and what tests ask of it.
struct Directory {
    pool: PgPool,
    tenant: TenantId,
}

impl Directory {
    async fn new() -> Self {
        let (pool, tenant) = database().await;
        Self { pool, tenant }
    }

    /// Ada, managed by Bob, and a group of both, owned by Bob.
    async fn small() -> Self {
        let directory = Self::new().await;
        directory
            .accepts(&[
                ada(json!({"manager": BOB})),
                bob(json!({})),
                sales(json!({"members": [ADA, BOB], "owners": [BOB]})),
            ])
            .await;
        directory
    }

    async fn import_text(&self, text: &[u8]) -> Result<ImportReport, ImportError> {
        let store = PgDirectoryImport { pool: self.pool.clone() };
        import_directory(&store, self.tenant, text, &NoProgress).await
    }

    async fn import(&self, lines: &[Value]) -> Result<ImportReport, ImportError> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.import_text(text.as_bytes()).await
    }

    async fn accepts(&self, lines: &[Value]) -> ImportReport {
        self.import(lines).await.unwrap()
    }

    /// The message of the refusal, after having seen that the directory is what it was.
    async fn refuses(&self, lines: &[Value]) -> String {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.refuses_text(text.as_bytes()).await
    }

    async fn refuses_text(&self, text: &[u8]) -> String {
        let before = self.everything().await;
        let message = self.import_text(text).await.unwrap_err().to_string();
        assert_eq!(self.everything().await, before, "something was applied");
        message
    }

    /// Every row of the tenant's directory and events.
    async fn everything(&self) -> Value {
        let mut all = serde_json::Map::new();
        for table in [
            "users",
            "groups",
            "group_members",
            "group_owners",
            "service_principals",
            "service_principal_owners",
            "app_role_assignments",
            "directory_roles",
            "role_assignments",
            "role_eligibilities",
            "app_roles",
            "shared_channels",
            "shared_channel_members",
            "access_packages",
            "access_package_policies",
            "access_package_assignments",
            "application_sign_ins",
            "events",
        ] {
            let rows = self
                .query(&format!("select to_jsonb(r) - 'tenant_id' from {table} r where tenant_id = $1 order by 1"))
                .await;
            all.insert(table.to_owned(), Value::Array(rows));
        }
        Value::Object(all)
    }

    async fn query(&self, query: &str) -> Vec<Value> {
        let query = sqlx::query(AssertSqlSafe(query)).bind(self.tenant.as_uuid());
        query.fetch_all(&self.pool).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn user(&self, id: &str) -> Value {
        let found =
            self.query(&format!("select to_jsonb(u) from users u where tenant_id = $1 and user_id = '{id}'")).await;
        found.into_iter().next().unwrap_or(Value::Null)
    }

    async fn group(&self, id: &str) -> Value {
        let found =
            self.query(&format!("select to_jsonb(g) from groups g where tenant_id = $1 and group_id = '{id}'")).await;
        found.into_iter().next().unwrap_or(Value::Null)
    }

    async fn members(&self, group: &str) -> Vec<Value> {
        self.query(&format!(
            "select jsonb_build_array(member_id, member_type) from group_members
              where tenant_id = $1 and group_id = '{group}' order by member_id"
        ))
        .await
    }

    async fn owners(&self, group: &str) -> Vec<Value> {
        self.query(&format!(
            "select jsonb_build_array(owner_id, owner_type) from group_owners
              where tenant_id = $1 and group_id = '{group}' order by owner_id"
        ))
        .await
    }

    async fn assignments(&self) -> Vec<Value> {
        self.query(
            "select jsonb_build_array(assignment_id, principal_id, principal_type, app_role_id) from app_role_assignments
              where tenant_id = $1 order by assignment_id",
        )
        .await
    }
}

fn with(mut line: Value, extra: Value) -> Value {
    line.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    line
}

fn person(id: &str, name: &str, extra: Value) -> Value {
    let upn = format!("{}@acme.example", name.to_lowercase());
    with(json!({"type": "user", "id": id, "userPrincipalName": upn, "displayName": name}), extra)
}

fn ada(extra: Value) -> Value {
    person(ADA, "Ada", extra)
}

fn bob(extra: Value) -> Value {
    person(BOB, "Bob", extra)
}

fn cyd(extra: Value) -> Value {
    person(CYD, "Cyd", extra)
}

fn sales(extra: Value) -> Value {
    with(json!({"type": "group", "id": SALES, "displayName": "Sales"}), extra)
}

fn staff(extra: Value) -> Value {
    with(json!({"type": "group", "id": STAFF, "displayName": "Staff"}), extra)
}

fn payroll(extra: Value) -> Value {
    with(json!({"type": "servicePrincipal", "id": PAYROLL, "displayName": "Payroll"}), extra)
}

fn admins(extra: Value) -> Value {
    with(json!({"type": "directoryRole", "id": ADMINS, "displayName": "User Administrator"}), extra)
}

fn kit(extra: Value) -> Value {
    with(json!({"type": "accessPackage", "id": KIT, "displayName": "Starter kit"}), extra)
}

fn only(kind: &str, id: &str, extra: Value) -> Value {
    with(json!({"type": kind, "id": id}), extra)
}

#[tokio::test]
async fn every_property_of_a_user_is_stored() {
    let directory = Directory::new().await;

    directory
        .accepts(&[
            ada(json!({
                "mail": "Ada@acme.example", "userType": "Guest", "accountEnabled": false, "department": "R&D\t\u{1f980}",
                "jobTitle": "Engineer", "country": "GB", "manager": BOB, "createdDateTime": "2024-02-01T02:00:00.1234567+02:00",
                "signInActivity": {"lastSignInDateTime": "1969-11-01T08:00:00Z"}, "externalUserState": "Accepted"
            })),
            bob(json!({})),
        ])
        .await;

    assert_eq!(
        directory.user(ADA).await,
        json!({
            "tenant_id": directory.tenant.to_string(), "user_id": ADA, "user_principal_name": "ada@acme.example",
            "display_name": "Ada", "mail": "Ada@acme.example", "user_type": "Guest", "account_enabled": false,
            "department": "R&D\t\u{1f980}", "job_title": "Engineer", "country": "GB", "manager_id": BOB,
            "created_at": "2024-02-01T00:00:00.123456+00:00", "sign_in_known": true,
            "last_sign_in_at": "1969-11-01T08:00:00+00:00", "external_user_state": "Accepted"
        })
    );
    let bob = directory.user(BOB).await;
    assert_eq!(bob["user_type"], "Member");
    assert_eq!(bob["account_enabled"], true);
    assert_eq!(bob["sign_in_known"], false);
    assert_eq!(bob["mail"], Value::Null);
}

#[tokio::test]
async fn groups_service_principals_and_roles_are_stored_with_their_lists() {
    let directory = Directory::new().await;
    let role = "11111111-0000-4000-8000-000000000009";
    let zero = "00000000-0000-0000-0000-000000000000";

    directory
        .accepts(&[
            sales(json!({
                "groupTypes": ["Unified", "Dynamic \"x\""], "resourceProvisioningOptions": ["Team"], "isAssignableToRole": true,
                "onPremisesSyncEnabled": true, "members": [ADA, STAFF, PAYROLL], "owners": [BOB, PAYROLL]
            })),
            staff(json!({})),
            payroll(json!({"appId": role, "owners": [ADA], "appRoleAssignedTo": [
                {"id": "one", "principalId": ADA, "appRoleId": role},
                {"id": "two", "principalId": SALES, "appRoleId": zero},
            ]})),
            admins(json!({"roleTemplateId": role, "members": [ADA, SALES, PAYROLL]})),
            ada(json!({})),
            bob(json!({})),
        ])
        .await;

    let group = directory.group(SALES).await;
    assert_eq!(group["group_types"], json!(["Unified", "Dynamic \"x\""]));
    assert_eq!(group["resource_provisioning_options"], json!(["Team"]));
    assert_eq!(group["is_assignable_to_role"], true);
    assert_eq!(group["on_premises_sync_enabled"], true);
    assert_eq!(directory.group(STAFF).await["group_types"], json!([]));
    assert_eq!(
        directory.members(SALES).await,
        [json!([ADA, "user"]), json!([STAFF, "group"]), json!([PAYROLL, "servicePrincipal"])]
    );
    assert_eq!(directory.owners(SALES).await, [json!([BOB, "user"]), json!([PAYROLL, "servicePrincipal"])]);
    assert_eq!(
        directory.assignments().await,
        [json!(["one", ADA, "user", role]), json!(["two", SALES, "group", zero])]
    );
    let everything = directory.everything().await;
    assert_eq!(everything["service_principals"][0]["app_id"], role);
    assert_eq!(everything["service_principal_owners"][0]["owner_id"], ADA);
    assert_eq!(everything["directory_roles"][0]["role_template_id"], role);
    assert_eq!(everything["role_assignments"].as_array().unwrap().len(), 3);
}

/// A team with two shared channels, an application with roles, a role that some may activate, and an access package.
fn assigned_in_every_way() -> Vec<Value> {
    vec![
        sales(json!({"members": [ADA], "mailEnabled": true, "securityEnabled": false, "sharedChannels": [
            {"id": "19:one", "displayName": "One", "members": [ADA, CYD]},
            {"id": "19:two", "displayName": "Two", "members": [CYD]},
        ]})),
        payroll(json!({
            "appRoles": [{"id": BOB, "displayName": "Clerk", "value": "clerk"}, {"id": CYD, "displayName": "Reader"}],
            "appRoleAssignedTo": [{"id": "one", "principalId": ADA, "appRoleId": BOB}],
            "signIns": [
                {"userId": ADA, "lastSignInDateTime": "2026-11-01T08:00:00Z"}, {"userId": CYD, "lastSignInDateTime": null},
            ],
        })),
        admins(json!({"members": [ADA], "eligibleMembers": [CYD, SALES]})),
        kit(json!({
            "catalogId": DAN, "catalogDisplayName": "Sales",
            "assignmentPolicies": [{"id": ADA, "displayName": "Staff"}, {"id": BOB, "displayName": "Guests"}],
            "assignments": [
                {"id": "1", "assignmentPolicyId": ADA, "targetId": ADA},
                {"id": "2", "assignmentPolicyId": BOB, "targetId": PAYROLL},
            ],
        })),
        ada(json!({})),
        cyd(json!({})),
    ]
}

#[tokio::test]
async fn channels_app_roles_eligible_members_and_access_packages_are_stored() {
    let directory = Directory::new().await;

    let report = directory.accepts(&assigned_in_every_way()).await;

    let all = directory.everything().await;
    assert_eq!(all["groups"][0]["mail_enabled"], true);
    assert_eq!(all["groups"][0]["security_enabled"], false);
    assert_eq!(
        all["shared_channel_members"],
        json!([
            {"group_id": SALES, "channel_id": "19:one", "member_id": ADA, "member_type": "user"},
            {"group_id": SALES, "channel_id": "19:one", "member_id": CYD, "member_type": "user"},
            {"group_id": SALES, "channel_id": "19:two", "member_id": CYD, "member_type": "user"},
        ])
    );
    assert_eq!(
        all["app_roles"],
        json!([
            {"service_principal_id": PAYROLL, "app_role_id": CYD, "display_name": "Reader", "value": null},
            {"service_principal_id": PAYROLL, "app_role_id": BOB, "display_name": "Clerk", "value": "clerk"},
        ])
    );
    assert_eq!(
        all["role_eligibilities"],
        json!([
            {"role_id": ADMINS, "principal_id": CYD, "principal_type": "user"},
            {"role_id": ADMINS, "principal_id": SALES, "principal_type": "group"},
        ])
    );
    assert_eq!(
        all["access_packages"],
        json!([{"access_package_id": KIT, "display_name": "Starter kit", "catalog_id": DAN, "catalog_name": "Sales"}])
    );
    assert_eq!(
        all["access_package_assignments"],
        json!([
            {"access_package_id": KIT, "policy_id": ADA, "assignment_id": "1", "target_id": ADA, "target_type": "user"},
            {"access_package_id": KIT, "policy_id": BOB, "assignment_id": "2", "target_id": PAYROLL,
                "target_type": "servicePrincipal"},
        ])
    );
    assert_eq!(
        all["application_sign_ins"],
        json!([
            {"service_principal_id": PAYROLL, "user_id": ADA, "last_sign_in_at": "2026-11-01T08:00:00+00:00"},
            {"service_principal_id": PAYROLL, "user_id": CYD, "last_sign_in_at": null},
        ])
    );
    assert_eq!(report.application_sign_ins.added, 2);
    assert_eq!(report.access_packages.inserted, 1);
    assert_eq!((report.shared_channels.added, report.shared_channel_members.added), (2, 3));
    assert_eq!((report.role_eligible_members.added, report.app_roles.added), (2, 2));
    assert_eq!((report.access_package_policies.added, report.access_package_assignments.added), (2, 2));
}

#[tokio::test]
async fn the_same_file_again_changes_none_of_those_and_another_only_what_it_tells() {
    let directory = Directory::new().await;
    directory.accepts(&assigned_in_every_way()).await;
    let before = directory.everything().await;

    let again = directory.accepts(&assigned_in_every_way()).await;
    for counts in [
        again.role_eligible_members,
        again.application_sign_ins,
        again.app_roles,
        again.shared_channels,
        again.shared_channel_members,
        again.access_package_policies,
        again.access_package_assignments,
    ] {
        assert_eq!((counts.added, counts.removed), (0, 0));
    }
    let untold = [
        only("group", SALES, json!({})),
        only("servicePrincipal", PAYROLL, json!({})),
        only("directoryRole", ADMINS, json!({})),
        only("accessPackage", KIT, json!({})),
    ];
    directory.accepts(&untold).await;
    let mut after = directory.everything().await;
    after["events"] = before["events"].clone();
    assert_eq!(after, before);

    directory
        .accepts(&[
            only(
                "group",
                SALES,
                json!({"sharedChannels": [{"id": "19:two", "displayName": "Zwei", "members": [ADA]}]}),
            ),
            only(
                "servicePrincipal",
                PAYROLL,
                json!({"appRoles": null, "signIns": [{"userId": CYD, "lastSignInDateTime": "2026-11-02T08:00:00Z"}]}),
            ),
            only("directoryRole", ADMINS, json!({"eligibleMembers": [CYD]})),
            only("accessPackage", KIT, json!({"assignmentPolicies": [{"id": ADA, "displayName": "Staff"}]})),
        ])
        .await;
    let after = directory.everything().await;
    assert_eq!(after["shared_channels"][0]["display_name"], "Zwei");
    assert_eq!(after["shared_channel_members"].as_array().unwrap().len(), 1);
    assert_eq!(after["shared_channel_members"][0]["member_id"], ADA);
    assert_eq!(after["app_roles"], json!([]));
    assert_eq!(
        after["application_sign_ins"],
        json!([{"service_principal_id": PAYROLL, "user_id": CYD, "last_sign_in_at": "2026-11-02T08:00:00+00:00"}])
    );
    assert_eq!(after["role_eligibilities"].as_array().unwrap().len(), 1);
    assert_eq!(after["access_package_assignments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_assignment_needs_a_policy_of_its_own_package_and_a_target_that_can_hold_it() {
    let directory = Directory::small().await;
    let package = |assignments: Value| {
        kit(json!({"assignmentPolicies": [{"id": ADA, "displayName": "Staff"}], "assignments": assignments}))
    };

    assert_eq!(
        directory.refuses(&[package(json!([{"id": "1", "assignmentPolicyId": BOB, "targetId": ADA}]))]).await,
        format!(
            "nothing was imported, because of\n  line 1: assignments.assignmentPolicyId: {BOB} is not a policy of this access package"
        )
    );
    assert_eq!(
        directory.refuses(&[package(json!([{"id": "1", "assignmentPolicyId": ADA, "targetId": SALES}]))]).await,
        format!(
            "nothing was imported, because of\n  line 1: assignments.targetId: {SALES} is a group, which cannot stand here"
        )
    );
    directory.accepts(&[package(json!([]))]).await;
    directory
        .accepts(&[only(
            "accessPackage",
            KIT,
            json!({"assignments": [{"id": "1", "assignmentPolicyId": ADA, "targetId": ADA}]}),
        )])
        .await;
}

#[tokio::test]
async fn references_may_point_forwards_and_to_what_is_stored() {
    let directory = Directory::small().await;

    directory.accepts(&[staff(json!({"members": [CYD, SALES, ADA]})), cyd(json!({"manager": BOB}))]).await;

    assert_eq!(directory.members(STAFF).await, [json!([ADA, "user"]), json!([CYD, "user"]), json!([SALES, "group"])]);
    assert_eq!(directory.user(CYD).await["manager_id"], BOB);
}

#[tokio::test]
async fn what_is_absent_stays() {
    let directory = Directory::new().await;
    let full = json!({
        "mail": "m@acme.example", "userType": "Guest", "accountEnabled": false, "department": "R&D", "jobTitle": "Engineer",
        "country": "GB", "manager": BOB, "createdDateTime": "2024-02-01T00:00:00Z",
        "signInActivity": {"lastSignInDateTime": "2026-11-01T08:00:00Z"}
    });
    directory
        .accepts(&[
            ada(full),
            bob(json!({})),
            sales(json!({"groupTypes": ["Unified"], "isAssignableToRole": true, "members": [ADA], "owners": [BOB]})),
            payroll(json!({"appId": ADA, "owners": [ADA], "appRoleAssignedTo": [{"id": "a", "principalId": ADA, "appRoleId": ADA}]})),
            admins(json!({"roleTemplateId": ADA, "members": [ADA]})),
        ])
        .await;
    let mut before = directory.everything().await;

    let report = directory
        .accepts(&[
            only("user", ADA, json!({"jobTitle": "Countess"})),
            only("group", SALES, json!({})),
            only("servicePrincipal", PAYROLL, json!({})),
            only("directoryRole", ADMINS, json!({})),
        ])
        .await;

    let mut after = directory.everything().await;
    for user in before["users"].as_array_mut().unwrap() {
        if user["user_id"] == ADA {
            user["job_title"] = "Countess".into();
        }
    }
    for directory in [&mut before, &mut after] {
        // rows are ordered by what is in them
        directory["users"].as_array_mut().unwrap().sort_by_key(|user| user["user_id"].to_string());
    }
    before["events"] = Value::Null;
    after["events"] = Value::Null;
    assert_eq!(after, before);
    assert_eq!((report.users.told, report.users.inserted, report.users.updated), (1, 0, 1));
    assert_eq!((report.groups.told, report.groups.inserted, report.groups.updated), (1, 0, 0));
}

#[tokio::test]
async fn null_clears() {
    let directory = Directory::small().await;
    directory
        .accepts(&[
            ada(json!({
                "mail": "m@acme.example", "userType": "Guest", "accountEnabled": false, "department": "R&D", "jobTitle": "Engineer",
                "country": "GB", "manager": BOB, "createdDateTime": "2024-02-01T00:00:00Z",
                "signInActivity": {"lastSignInDateTime": "2026-11-01T08:00:00Z"}
            })),
            payroll(json!({"appId": ADA, "owners": [ADA], "appRoleAssignedTo": [{"id": "a", "principalId": ADA, "appRoleId": ADA}]})),
            admins(json!({"roleTemplateId": ADA, "members": [ADA]})),
        ])
        .await;

    directory
        .accepts(&[
            only(
                "user",
                ADA,
                json!({
                    "mail": null, "userType": null, "accountEnabled": null, "department": null, "jobTitle": null, "country": null,
                    "manager": null, "createdDateTime": null, "signInActivity": null
                }),
            ),
            only("group", SALES, json!({"members": null, "owners": null})),
            only("servicePrincipal", PAYROLL, json!({"appId": null, "owners": null, "appRoleAssignedTo": null})),
            only("directoryRole", ADMINS, json!({"roleTemplateId": null, "members": null})),
        ])
        .await;

    let ada = directory.user(ADA).await;
    for column in ["mail", "department", "job_title", "country", "manager_id", "created_at", "last_sign_in_at"] {
        assert_eq!(ada[column], Value::Null, "{column}");
    }
    assert_eq!(ada["user_type"], "Member");
    assert_eq!(ada["account_enabled"], true);
    assert_eq!(ada["sign_in_known"], false);
    let everything = directory.everything().await;
    for table in
        ["group_members", "group_owners", "service_principal_owners", "app_role_assignments", "role_assignments"]
    {
        assert_eq!(everything[table], json!([]), "{table}");
    }
    assert_eq!(everything["service_principals"][0]["app_id"], Value::Null);
    assert_eq!(everything["directory_roles"][0]["role_template_id"], Value::Null);
}

/// LC-RCM-05
#[tokio::test]
async fn never_signed_in_differs_from_no_information() {
    let directory = Directory::new().await;
    let sign_in = async || {
        let ada = directory.user(ADA).await;
        (ada["sign_in_known"].clone(), ada["last_sign_in_at"].clone())
    };

    directory.accepts(&[ada(json!({}))]).await;
    assert_eq!(sign_in().await, (json!(false), Value::Null));

    directory.accepts(&[ada(json!({"signInActivity": {"lastSignInDateTime": "2026-11-01T08:00:00Z"}}))]).await;
    assert_eq!(sign_in().await, (json!(true), json!("2026-11-01T08:00:00+00:00")));

    directory.accepts(&[ada(json!({"signInActivity": {"lastSignInDateTime": null}}))]).await;
    assert_eq!(sign_in().await, (json!(true), Value::Null));
}

#[tokio::test]
async fn a_list_that_is_told_replaces_the_whole_list() {
    let directory = Directory::small().await;

    let report = directory.accepts(&[cyd(json!({})), only("group", SALES, json!({"members": [CYD, BOB, CYD]}))]).await;

    assert_eq!(directory.members(SALES).await, [json!([BOB, "user"]), json!([CYD, "user"])]);
    assert_eq!(directory.owners(SALES).await, [json!([BOB, "user"])]);
    assert_eq!((report.group_members.told, report.group_members.added, report.group_members.removed), (2, 1, 1));
}

#[tokio::test]
async fn an_assignment_keeps_its_id_when_it_comes_to_mean_somebody_else() {
    let directory = Directory::small().await;
    let assignment = |id: &str, principal: &str| json!({"id": id, "principalId": principal, "appRoleId": ADMINS});
    directory.accepts(&[payroll(json!({"appRoleAssignedTo": [assignment("a", ADA), assignment("b", ADA)]}))]).await;

    let report = directory
        .accepts(&[payroll(json!({"appRoleAssignedTo": [assignment("a", SALES), assignment("c", ADA)]}))])
        .await;

    assert_eq!(
        directory.assignments().await,
        [json!(["a", SALES, "group", ADMINS]), json!(["c", ADA, "user", ADMINS])]
    );
    let counts = report.app_role_assignments;
    assert_eq!((counts.told, counts.added, counts.removed), (2, 2, 1));
}

#[tokio::test]
async fn importing_the_same_file_again_changes_nothing() {
    let directory = Directory::new().await;
    let file = [
        ada(json!({"manager": BOB, "signInActivity": {"lastSignInDateTime": null}})),
        bob(json!({"mail": null})),
        sales(json!({"groupTypes": ["Unified"], "members": [ADA, BOB], "owners": [BOB]})),
        payroll(json!({"appId": ADA, "appRoleAssignedTo": [{"id": "a", "principalId": ADA, "appRoleId": ADA}]})),
        admins(json!({"members": [ADA]})),
    ];
    let first = directory.accepts(&file).await;
    assert_eq!((first.users.told, first.users.inserted, first.users.updated), (2, 2, 0));
    assert_eq!((first.group_members.told, first.group_members.added, first.group_members.removed), (2, 2, 0));
    let before = directory.everything().await;

    let again = directory.accepts(&file).await;

    for counts in [again.users, again.groups, again.service_principals, again.directory_roles] {
        assert_eq!((counts.inserted, counts.updated), (0, 0));
    }
    for counts in [again.group_members, again.group_owners, again.app_role_assignments, again.role_members] {
        assert_eq!((counts.added, counts.removed), (0, 0));
    }
    assert_eq!(directory.everything().await["users"], before["users"]);
}

#[tokio::test]
async fn an_import_is_an_event_with_its_report() {
    let directory = Directory::new().await;

    let report = directory.accepts(&[ada(json!({})), sales(json!({"members": [ADA]}))]).await;

    let events = directory.query("select to_jsonb(e) from events e where tenant_id = $1").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["activity"], "Directory imported");
    assert_eq!(events[0]["actor_kind"], "system");
    assert_eq!(events[0]["actor_id"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(events[0]["after"], serde_json::to_value(report).unwrap());
    assert_eq!(events[0]["after"]["groupMembers"], json!({"told": 1, "added": 1, "removed": 0}));
}

#[tokio::test]
async fn after_a_large_import_the_planner_knows_the_directory() {
    let pool = Database::own().await.pool().await;
    let tenant = new_tenant(&pool).await;
    let directory = Directory { pool, tenant };
    sqlx::query("alter table users set (autovacuum_enabled = false)").execute(&directory.pool).await.unwrap();
    let users: String = (0..20_000)
        .map(|number| {
            let user = json!({ "type": "user", "id": Uuid::from_u128(number + 1), "displayName": "u",
                "userPrincipalName": format!("u{number}@acme.example") });
            format!("{user}\n")
        })
        .collect();

    directory.import_text(users.as_bytes()).await.unwrap();

    let known: f32 = sqlx::query_scalar("select reltuples from pg_class where relname = 'users'")
        .fetch_one(&directory.pool)
        .await
        .unwrap();
    assert!(known >= 20_000.0, "{known}");
}

#[tokio::test]
async fn the_event_of_a_sandbox_stands_at_the_clock_of_the_sandbox() {
    let directory = Directory::new().await;
    let advance = "update tenants set sandbox = true, clock_offset = interval '7 days' where tenant_id = $1";
    sqlx::query(advance).bind(directory.tenant.as_uuid()).execute(&directory.pool).await.unwrap();

    directory.accepts(&[ada(json!({}))]).await;

    let ahead = "select to_jsonb(at - recorded_at between interval '6 days 23 hours' and interval '7 days') from events
                  where tenant_id = $1";
    assert_eq!(directory.query(ahead).await, [json!(true)]);
}

#[tokio::test]
async fn a_bad_line_is_told_with_its_number_and_nothing_is_applied() {
    let directory = Directory::small().await;
    let text = format!(
        "{}\n\n{}\nnot json\n{}\n",
        cyd(json!({})),
        only("user", ADA, json!({"jobTitle": "Countess"})),
        only("user", BOB, json!({"mail": 1, "shoeSize": 43}))
    );

    let message = directory.refuses_text(text.as_bytes()).await;

    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 4, "{message}");
    assert_eq!(lines[0], "nothing was imported, because of");
    assert!(lines[1].starts_with("  line 4: is not JSON at column 2"), "{message}");
    assert!(lines[2].starts_with("  line 5: shoeSize: is not a member of a user"), "{message}");
    assert_eq!(lines[3], "  line 5: mail: must be a string or null, not a number");
}

#[tokio::test]
async fn of_many_bad_lines_the_first_twenty_are_told() {
    let directory = Directory::new().await;

    let message = directory.refuses_text("x\n".repeat(50).as_bytes()).await;

    assert_eq!(message.lines().count(), 22, "{message}");
    assert!(message.contains("line 20: ") && !message.contains("line 21: "), "{message}");
    assert!(message.ends_with("and more"), "{message}");
}

#[tokio::test]
async fn a_bad_line_after_many_good_ones_undoes_them() {
    let directory = Directory::small().await;
    let mut text = Vec::new();
    for number in 0..12_000 {
        let line = person(&any_id().to_string(), &format!("u{number}"), json!({}));
        writeln!(text, "{line}").unwrap();
    }
    text.extend_from_slice(b"{\"type\":\"user\"}\n");

    let message = directory.refuses_text(&text).await;

    assert!(message.contains("line 12001: id: is required"), "{message}");
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_told_with_their_line() {
    let directory = Directory::small().await;

    let message = directory.refuses_text(b"\n{\"type\":\"us\xffer\"}\n").await;

    assert!(message.contains("line 2: is not UTF-8 at column 12"), "{message}");
}

#[tokio::test]
async fn empty_lines_line_ends_of_both_kinds_and_a_byte_order_mark_are_passed_over() {
    let directory = Directory::new().await;

    let text = format!("\u{feff}{}\r\n\r\n  \n{}", ada(json!({})), bob(json!({})));
    let report = directory.import_text(text.as_bytes()).await.unwrap();

    assert_eq!(report.users.inserted, 2);
}

#[tokio::test]
async fn an_empty_file_changes_nothing() {
    let directory = Directory::small().await;

    assert_eq!(directory.import_text(b"").await.unwrap(), ImportReport::default());
}

#[tokio::test]
async fn a_line_without_end_is_refused_in_bounded_memory() {
    /// So many bytes of `x`, and no line end.
    struct Endless(usize);

    impl AsyncRead for Endless {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let some = buffer.remaining().min(self.0);
            buffer.initialize_unfilled_to(some).fill(b'x');
            buffer.advance(some);
            self.0 -= some;
            Poll::Ready(Ok(()))
        }
    }

    let directory = Directory::new().await;
    let store = PgDirectoryImport { pool: directory.pool.clone() };
    let source = BufReader::with_capacity(1 << 20, Endless(200 << 20));

    let error = import_directory(&store, directory.tenant, source, &NoProgress).await.unwrap_err();

    assert!(error.to_string().contains("line 1: is longer than 67108864 bytes"), "{error}");
}

#[tokio::test]
async fn a_source_that_breaks_off_applies_nothing() {
    struct Broken(Vec<u8>);

    impl AsyncRead for Broken {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if self.0.is_empty() {
                return Poll::Ready(Err(io::Error::other("the disk is gone")));
            }
            buffer.put_slice(&std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    let directory = Directory::small().await;
    let before = directory.everything().await;
    let store = PgDirectoryImport { pool: directory.pool.clone() };
    let source = BufReader::new(Broken(format!("{}\n", cyd(json!({}))).into_bytes()));

    let error = import_directory(&store, directory.tenant, source, &NoProgress).await.unwrap_err();

    assert_eq!(error.to_string(), "reading stopped after line 1: the disk is gone");
    assert_eq!(directory.everything().await, before);
}

#[tokio::test]
async fn a_new_object_needs_its_names() {
    let directory = Directory::small().await;

    let message = directory
        .refuses(&[
            only("user", ADA, json!({})),
            only("user", CYD, json!({"mail": "x@acme.example"})),
            only("group", STAFF, json!({})),
            only("servicePrincipal", PAYROLL, json!({})),
            only("directoryRole", ADMINS, json!({})),
        ])
        .await;

    let told: Vec<&str> = message.lines().skip(1).collect();
    let missing = |line: u32, property: &str, id: &str| {
        format!("  line {line}: {property}: is required because {id} is not in the directory yet")
    };
    assert_eq!(
        told,
        [
            missing(2, "userPrincipalName", CYD),
            missing(2, "displayName", CYD),
            missing(3, "displayName", STAFF),
            missing(4, "displayName", PAYROLL),
            missing(5, "displayName", ADMINS),
        ]
    );
}

#[tokio::test]
async fn a_reference_to_nothing_is_refused_with_line_property_and_id() {
    let directory = Directory::small().await;
    let cases = [
        (cyd(json!({"manager": NOTHING})), "manager"),
        (staff(json!({"members": [ADA, NOTHING]})), "members"),
        (staff(json!({"owners": [NOTHING]})), "owners"),
        (payroll(json!({"owners": [NOTHING]})), "owners"),
        (
            payroll(json!({"appRoleAssignedTo": [{"id": "a", "principalId": NOTHING, "appRoleId": NOTHING}]})),
            "appRoleAssignedTo.principalId",
        ),
        (payroll(json!({"signIns": [{"userId": NOTHING, "lastSignInDateTime": null}]})), "signIns.userId"),
        (admins(json!({"members": [NOTHING]})), "members"),
    ];

    for (line, property) in cases {
        let message = directory.refuses(&[bob(json!({})), line]).await;
        assert_eq!(
            message,
            format!(
                "nothing was imported, because of\n  line 2: {property}: {NOTHING} is neither in the file nor in the directory"
            )
        );
    }
}

#[tokio::test]
async fn of_many_bad_references_the_first_twenty_are_told() {
    let directory = Directory::new().await;
    let strangers: Vec<String> = (0..30).map(|_| any_id().to_string()).collect();

    let message = directory.refuses(&[sales(json!({"members": strangers}))]).await;

    assert_eq!(message.lines().count(), 22, "{message}");
    assert!(message.ends_with("and more"), "{message}");
}

#[tokio::test]
async fn a_reference_to_the_wrong_kind_of_object_is_refused() {
    let directory = Directory::small().await;
    directory.accepts(&[admins(json!({}))]).await;

    let message = directory
        .refuses(&[
            cyd(json!({"manager": SALES})),
            staff(json!({"members": [ADMINS], "owners": [SALES]})),
            payroll(
                json!({"owners": [SALES], "appRoleAssignedTo": [{"id": "a", "principalId": ADMINS, "appRoleId": ADA}],
                    "signIns": [{"userId": SALES, "lastSignInDateTime": null}]}),
            ),
            admins(json!({"members": [ADMINS]})),
        ])
        .await;

    let told: Vec<&str> = message.lines().skip(1).collect();
    assert_eq!(
        told,
        [
            format!("  line 1: manager: {SALES} is a group, which cannot stand here"),
            format!("  line 2: members: {ADMINS} is a directory role, which cannot stand here"),
            format!("  line 2: owners: {SALES} is a group, which cannot stand here"),
            format!("  line 3: appRoleAssignedTo.principalId: {ADMINS} is a directory role, which cannot stand here"),
            format!("  line 3: owners: {SALES} is a group, which cannot stand here"),
            format!("  line 3: signIns.userId: {SALES} is a group, which cannot stand here"),
            format!("  line 4: members: {ADMINS} is a directory role, which cannot stand here"),
        ]
    );
}

#[tokio::test]
async fn the_same_id_in_two_lines_is_refused_with_both() {
    let directory = Directory::small().await;

    let message =
        directory.refuses(&[cyd(json!({})), ada(json!({})), only("user", &CYD.to_uppercase(), json!({}))]).await;
    assert!(message.ends_with(&format!("  line 3: id: {CYD} is already used in line 1")), "{message}");

    let message = directory.refuses(&[cyd(json!({})), only("group", CYD, json!({"displayName": "Cyd"}))]).await;
    assert!(message.ends_with(&format!("  line 2: id: {CYD} is already used in line 1")), "{message}");
}

#[tokio::test]
async fn an_id_cannot_change_its_kind() {
    let directory = Directory::small().await;

    let message = directory.refuses(&[only("group", ADA, json!({"displayName": "Ada"}))]).await;

    assert!(
        message.ends_with(&format!(
            "line 1: id: {ADA} is the id of a user in the directory and cannot become that of a group"
        )),
        "{message}"
    );
}

#[tokio::test]
async fn a_user_principal_name_in_two_lines_is_refused_whatever_its_letter_case() {
    let directory = Directory::new().await;

    let message = directory.refuses(&[ada(json!({})), bob(json!({"userPrincipalName": "ADA@acme.example"}))]).await;

    assert!(message.ends_with("line 2: userPrincipalName: ADA@acme.example is already used in line 1"), "{message}");
}

#[tokio::test]
async fn a_user_principal_name_of_somebody_in_the_directory_is_refused() {
    let directory = Directory::small().await;
    let taken = cyd(json!({"userPrincipalName": "Ada@Acme.example"}));

    let message = directory.refuses(std::slice::from_ref(&taken)).await;
    assert!(
        message.ends_with(&format!("line 1: userPrincipalName: Ada@Acme.example belongs to the user {ADA}")),
        "{message}"
    );

    // also when the file speaks of the holder, but not of his name
    directory.refuses(&[taken, only("user", ADA, json!({"jobTitle": "x"}))]).await;
}

#[tokio::test]
async fn users_may_exchange_and_pass_on_their_names_within_a_file() {
    let directory = Directory::small().await;

    let report = directory
        .accepts(&[
            ada(json!({"userPrincipalName": "Bob@acme.example"})),
            bob(json!({"userPrincipalName": "new@acme.example"})),
            cyd(json!({"userPrincipalName": "ada@acme.example"})),
        ])
        .await;

    assert_eq!((report.users.inserted, report.users.updated), (1, 2));
    assert_eq!(directory.user(ADA).await["user_principal_name"], "Bob@acme.example");
    assert_eq!(directory.user(BOB).await["user_principal_name"], "new@acme.example");
    assert_eq!(directory.user(CYD).await["user_principal_name"], "ada@acme.example");

    directory
        .accepts(&[
            ada(json!({"userPrincipalName": "NEW@acme.example"})),
            bob(json!({"userPrincipalName": "bob@acme.example"})),
        ])
        .await;
    assert_eq!(directory.user(ADA).await["user_principal_name"], "NEW@acme.example");
    assert_eq!(directory.user(BOB).await["user_principal_name"], "bob@acme.example");
}

#[tokio::test]
async fn managers_in_a_circle_are_refused_and_the_circle_is_told() {
    let directory = Directory::small().await;

    let within_the_file =
        directory.refuses(&[cyd(json!({"manager": DAN})), person(DAN, "Dan", json!({"manager": CYD}))]).await;
    assert!(within_the_file.ends_with(&format!("in a circle: {CYD} → {DAN} → {CYD}")), "{within_the_file}");

    // Ada is managed by Bob already; Cyd stands between them now
    let through_the_directory =
        directory.refuses(&[only("user", BOB, json!({"manager": CYD})), cyd(json!({"manager": ADA}))]).await;
    assert!(
        through_the_directory.ends_with(&format!("in a circle: {ADA} → {BOB} → {CYD} → {ADA}")),
        "{through_the_directory}"
    );
}

#[tokio::test]
async fn a_circle_that_the_same_file_opens_is_none() {
    let directory = Directory::small().await;

    directory.accepts(&[only("user", ADA, json!({"manager": null})), only("user", BOB, json!({"manager": ADA}))]).await;

    assert_eq!(directory.user(BOB).await["manager_id"], ADA);
}

#[tokio::test]
async fn groups_may_nest_in_a_circle() {
    let directory = Directory::small().await;

    directory.accepts(&[staff(json!({"members": [SALES, STAFF]})), sales(json!({"members": [STAFF, ADA]}))]).await;

    assert_eq!(directory.members(SALES).await, [json!([ADA, "user"]), json!([STAFF, "group"])]);
    assert_eq!(directory.members(STAFF).await, [json!([SALES, "group"]), json!([STAFF, "group"])]);
}

#[tokio::test]
async fn the_ids_of_another_tenant_are_unknown_and_free() {
    let directory = Directory::small().await;
    let other = Directory { pool: directory.pool.clone(), tenant: new_tenant(&directory.pool).await };
    let before = directory.everything().await;

    let message = other.refuses(&[staff(json!({"members": [ADA]}))]).await;
    assert!(message.contains(&format!("members: {ADA} is neither in the file nor in the directory")), "{message}");
    let message = other.refuses(&[only("user", ADA, json!({"jobTitle": "x"}))]).await;
    assert!(message.contains("displayName: is required"), "{message}");

    // there, the same id is another object of another kind, and the same name another user
    other
        .accepts(&[
            only("group", ADA, json!({"displayName": "Ada", "members": [CYD]})),
            cyd(json!({"userPrincipalName": "bob@acme.example"})),
        ])
        .await;
    other.accepts(&[only("group", ADA, json!({"members": []}))]).await;

    assert_eq!(directory.everything().await, before);
}

#[tokio::test]
async fn an_unknown_tenant_is_refused() {
    let directory = Directory::new().await;
    let store = PgDirectoryImport { pool: directory.pool.clone() };
    let nobody = TenantId::new(any_id());

    let error = import_directory(&store, nobody, &b""[..], &NoProgress).await.unwrap_err();

    assert!(matches!(error, ImportError::UnknownTenant(tenant) if tenant == nobody));
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_at_the_same_time_follow_each_other() {
    let directory = Directory::small().await;
    // each alone is fine; together they are a circle, and both make the same user
    let left = [only("user", BOB, json!({"manager": CYD})), cyd(json!({}))];
    let right = [cyd(json!({"manager": ADA}))];

    for _ in 0..10 {
        let (left, right) = tokio::join!(directory.import(&left), directory.import(&right));
        let accepted = u32::from(left.is_ok()) + u32::from(right.is_ok());
        assert_eq!(accepted, 1, "{left:?} {right:?}");
        for error in [left.err(), right.err()].into_iter().flatten() {
            assert!(matches!(error, ImportError::ManagerCycles(_)), "{error}");
        }
        directory.accepts(&[only("user", BOB, json!({"manager": null})), cyd(json!({"manager": null}))]).await;
    }
}

#[tokio::test]
async fn progress_tells_phases_in_order_and_everything_that_was_read() {
    #[derive(Default)]
    struct Heard {
        phases: Mutex<Vec<ImportPhase>>,
        bytes: AtomicU64,
        lines: AtomicU64,
    }

    impl ImportProgress for Heard {
        fn phase(&self, phase: ImportPhase) {
            self.phases.lock().unwrap().push(phase);
        }

        fn read(&self, bytes: u64, lines: u64) {
            assert!(self.bytes.swap(bytes, Ordering::Relaxed) <= bytes);
            self.lines.store(lines, Ordering::Relaxed);
        }
    }

    let directory = Directory::new().await;
    let store = PgDirectoryImport { pool: directory.pool.clone() };
    let text = format!("{}\n{}\n", ada(json!({})), bob(json!({})));
    let heard = Heard::default();

    import_directory(&store, directory.tenant, text.as_bytes(), &heard).await.unwrap();

    assert_eq!(*heard.phases.lock().unwrap(), [ImportPhase::Reading, ImportPhase::Checking, ImportPhase::Writing]);
    assert_eq!(heard.bytes.into_inner(), text.len() as u64);
    assert_eq!(heard.lines.into_inner(), 2);
}
