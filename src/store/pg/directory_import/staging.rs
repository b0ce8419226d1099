//! Records on their way into the staging tables.

use sqlx::PgConnection;

use super::{copy_buffer::CopyBuffer, statements};
use crate::domain::{
    directory::{
        AccessPackageRecord, AppRoleAssignment, DirectoryRecord, DirectoryRoleRecord, GroupRecord, PackageAssignment,
        ServicePrincipalRecord, SignIn, UserRecord,
    },
    ids::ObjectId,
};

/// So many entries of a list are buffered between two looks at how full the buffer is.
const ENTRIES_AT_ONCE: usize = 10_000;

/// One buffer per staging table.
pub(super) struct Staging {
    objects: CopyBuffer,
    users: CopyBuffer,
    groups: CopyBuffer,
    service_principals: CopyBuffer,
    directory_roles: CopyBuffer,
    group_members: CopyBuffer,
    user_sponsors: CopyBuffer,
    group_owners: CopyBuffer,
    group_eligible_owners: CopyBuffer,
    service_principal_owners: CopyBuffer,
    role_members: CopyBuffer,
    eligible_members: CopyBuffer,
    assignments: CopyBuffer,
    application_sign_ins: CopyBuffer,
    app_roles: CopyBuffer,
    channels: CopyBuffer,
    channel_members: CopyBuffer,
    access_packages: CopyBuffer,
    policies: CopyBuffer,
    package_assignments: CopyBuffer,
}

impl Staging {
    pub(super) const fn new() -> Self {
        Self {
            objects: CopyBuffer::new(statements::COPY_OBJECTS, 3),
            users: CopyBuffer::new(statements::COPY_USERS, 23),
            groups: CopyBuffer::new(statements::COPY_GROUPS, 14),
            service_principals: CopyBuffer::new(statements::COPY_SERVICE_PRINCIPALS, 9),
            directory_roles: CopyBuffer::new(statements::COPY_DIRECTORY_ROLES, 7),
            group_members: CopyBuffer::new(statements::COPY_GROUP_MEMBERS, 2),
            user_sponsors: CopyBuffer::new(statements::COPY_USER_SPONSORS, 2),
            group_owners: CopyBuffer::new(statements::COPY_GROUP_OWNERS, 2),
            group_eligible_owners: CopyBuffer::new(statements::COPY_GROUP_ELIGIBLE_OWNERS, 2),
            service_principal_owners: CopyBuffer::new(statements::COPY_SERVICE_PRINCIPAL_OWNERS, 2),
            role_members: CopyBuffer::new(statements::COPY_ROLE_MEMBERS, 2),
            eligible_members: CopyBuffer::new(statements::COPY_ELIGIBLE_MEMBERS, 2),
            assignments: CopyBuffer::new(statements::COPY_ASSIGNMENTS, 4),
            application_sign_ins: CopyBuffer::new(statements::COPY_APPLICATION_SIGN_INS, 3),
            app_roles: CopyBuffer::new(statements::COPY_APP_ROLES, 4),
            channels: CopyBuffer::new(statements::COPY_CHANNELS, 3),
            channel_members: CopyBuffer::new(statements::COPY_CHANNEL_MEMBERS, 3),
            access_packages: CopyBuffer::new(statements::COPY_ACCESS_PACKAGES, 9),
            policies: CopyBuffer::new(statements::COPY_POLICIES, 3),
            package_assignments: CopyBuffer::new(statements::COPY_PACKAGE_ASSIGNMENTS, 4),
        }
    }

    /// Sends what is left; answers how many rows were staged altogether.
    pub(super) async fn send_all(&mut self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let mut rows = 0;
        for buffer in [
            &mut self.objects,
            &mut self.users,
            &mut self.groups,
            &mut self.service_principals,
            &mut self.directory_roles,
            &mut self.group_members,
            &mut self.user_sponsors,
            &mut self.group_owners,
            &mut self.group_eligible_owners,
            &mut self.service_principal_owners,
            &mut self.role_members,
            &mut self.eligible_members,
            &mut self.assignments,
            &mut self.application_sign_ins,
            &mut self.app_roles,
            &mut self.channels,
            &mut self.channel_members,
            &mut self.access_packages,
            &mut self.policies,
            &mut self.package_assignments,
        ] {
            buffer.send(connection).await?;
            rows += buffer.rows();
        }
        Ok(rows)
    }

    pub(super) async fn record(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        record: &DirectoryRecord,
    ) -> Result<(), sqlx::Error> {
        self.objects.row().number(line).uuid(record.id().as_uuid()).text(record.kind().name());
        self.objects.send_if_full(connection).await?;
        match record {
            DirectoryRecord::User(user) => self.user(connection, line, user).await,
            DirectoryRecord::Group(group) => self.group(connection, line, group).await,
            DirectoryRecord::ServicePrincipal(service_principal) => {
                self.service_principal(connection, line, service_principal).await
            }
            DirectoryRecord::DirectoryRole(role) => self.directory_role(connection, line, role).await,
            DirectoryRecord::AccessPackage(package) => self.access_package(connection, line, package).await,
        }
    }

    async fn user(&mut self, connection: &mut PgConnection, line: u64, user: &UserRecord) -> Result<(), sqlx::Error> {
        let (sign_in_known, last_sign_in_at) = match user.sign_in {
            None => (None, None),
            Some(SignIn::Unknown) => (Some(false), None),
            Some(SignIn::Never) => (Some(true), None),
            Some(SignIn::At(at)) => (Some(true), Some(at)),
        };
        self.users
            .row()
            .number(line)
            .uuid(user.id.as_uuid())
            .text_or_null(user.user_principal_name.as_deref())
            .text_or_null(user.display_name.as_deref())
            .flag(user.mail.is_told())
            .text_or_null(user.mail.value().map(String::as_str))
            .text_or_null(user.user_type.map(|user_type| user_type.name()))
            .flag_or_null(user.account_enabled)
            .flag(user.department.is_told())
            .text_or_null(user.department.value().map(String::as_str))
            .flag(user.job_title.is_told())
            .text_or_null(user.job_title.value().map(String::as_str))
            .flag(user.country.is_told())
            .text_or_null(user.country.value().map(String::as_str))
            .flag(user.manager.is_told())
            .uuid_or_null(user.manager.value().map(|manager| manager.as_uuid()))
            .flag(user.created_at.is_told())
            .moment_or_null(user.created_at.value().copied())
            .flag_or_null(sign_in_known)
            .moment_or_null(last_sign_in_at)
            .flag(user.external_user_state.is_told())
            .text_or_null(user.external_user_state.value().map(|state| state.name()))
            .flag(user.sponsors.is_some());
        self.users.send_if_full(connection).await?;
        entries(&mut self.user_sponsors, connection, user.id, user.sponsors.as_deref()).await
    }

    async fn group(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        group: &GroupRecord,
    ) -> Result<(), sqlx::Error> {
        self.groups
            .row()
            .number(line)
            .uuid(group.id.as_uuid())
            .text_or_null(group.display_name.as_deref())
            .texts_or_null(group.group_types.as_deref())
            .texts_or_null(group.resource_provisioning_options.as_deref())
            .flag_or_null(group.is_assignable_to_role)
            .flag_or_null(group.on_premises_sync_enabled)
            .flag_or_null(group.mail_enabled)
            .flag_or_null(group.security_enabled)
            .flag_or_null(group.privileged_access)
            .flag(group.members.is_some())
            .flag(group.owners.is_some())
            .flag(group.eligible_owners.is_some())
            .flag(group.shared_channels.is_some());
        self.groups.send_if_full(connection).await?;
        entries(&mut self.group_members, connection, group.id, group.members.as_deref()).await?;
        entries(&mut self.group_owners, connection, group.id, group.owners.as_deref()).await?;
        entries(&mut self.group_eligible_owners, connection, group.id, group.eligible_owners.as_deref()).await?;
        let team = group.id.as_uuid();
        for channel in group.shared_channels.as_deref().unwrap_or_default() {
            self.channels.row().uuid(team).text(&channel.id).text(&channel.display_name);
            for member in &channel.members {
                self.channel_members.row().uuid(team).text(&channel.id).uuid(member.as_uuid());
            }
            self.channels.send_if_full(connection).await?;
            self.channel_members.send_if_full(connection).await?;
        }
        Ok(())
    }

    async fn service_principal(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        told: &ServicePrincipalRecord,
    ) -> Result<(), sqlx::Error> {
        self.service_principals
            .row()
            .number(line)
            .uuid(told.id.as_uuid())
            .flag(told.app_id.is_told())
            .uuid_or_null(told.app_id.value().map(|app_id| app_id.as_uuid()))
            .text_or_null(told.display_name.as_deref())
            .flag(told.owners.is_some())
            .flag(told.app_roles.is_some())
            .flag(told.app_role_assigned_to.is_some())
            .flag(told.sign_ins.is_some());
        self.service_principals.send_if_full(connection).await?;
        entries(&mut self.service_principal_owners, connection, told.id, told.owners.as_deref()).await?;
        for assignments in told.app_role_assigned_to.as_deref().unwrap_or_default().chunks(ENTRIES_AT_ONCE) {
            for AppRoleAssignment { id, principal_id, app_role_id } in assignments {
                self.assignments
                    .row()
                    .uuid(told.id.as_uuid())
                    .text(id)
                    .uuid(principal_id.as_uuid())
                    .uuid(app_role_id.as_uuid());
            }
            self.assignments.send_if_full(connection).await?;
        }
        for sign_ins in told.sign_ins.as_deref().unwrap_or_default().chunks(ENTRIES_AT_ONCE) {
            for sign_in in sign_ins {
                self.application_sign_ins
                    .row()
                    .uuid(told.id.as_uuid())
                    .uuid(sign_in.user_id.as_uuid())
                    .moment_or_null(sign_in.last_sign_in_at);
            }
            self.application_sign_ins.send_if_full(connection).await?;
        }
        for role in told.app_roles.as_deref().unwrap_or_default() {
            self.app_roles
                .row()
                .uuid(told.id.as_uuid())
                .uuid(role.id.as_uuid())
                .text(&role.display_name)
                .text_or_null(role.value.as_deref());
        }
        self.app_roles.send_if_full(connection).await
    }

    async fn directory_role(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        role: &DirectoryRoleRecord,
    ) -> Result<(), sqlx::Error> {
        self.directory_roles
            .row()
            .number(line)
            .uuid(role.id.as_uuid())
            .flag(role.role_template_id.is_told())
            .uuid_or_null(role.role_template_id.value().map(|role_template_id| role_template_id.as_uuid()))
            .text_or_null(role.display_name.as_deref())
            .flag(role.members.is_some())
            .flag(role.eligible_members.is_some());
        self.directory_roles.send_if_full(connection).await?;
        entries(&mut self.role_members, connection, role.id, role.members.as_deref()).await?;
        entries(&mut self.eligible_members, connection, role.id, role.eligible_members.as_deref()).await
    }

    async fn access_package(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        package: &AccessPackageRecord,
    ) -> Result<(), sqlx::Error> {
        let id = package.id.as_uuid();
        self.access_packages
            .row()
            .number(line)
            .uuid(id)
            .text_or_null(package.display_name.as_deref())
            .flag(package.catalog_id.is_told())
            .uuid_or_null(package.catalog_id.value().map(|catalog| catalog.as_uuid()))
            .flag(package.catalog_display_name.is_told())
            .text_or_null(package.catalog_display_name.value().map(String::as_str))
            .flag(package.assignment_policies.is_some())
            .flag(package.assignments.is_some());
        self.access_packages.send_if_full(connection).await?;
        for policy in package.assignment_policies.as_deref().unwrap_or_default() {
            self.policies.row().uuid(id).uuid(policy.id.as_uuid()).text(&policy.display_name);
        }
        self.policies.send_if_full(connection).await?;
        for assignments in package.assignments.as_deref().unwrap_or_default().chunks(ENTRIES_AT_ONCE) {
            for PackageAssignment { id: assignment, policy_id, target_id } in assignments {
                self.package_assignments
                    .row()
                    .uuid(id)
                    .text(assignment)
                    .uuid(policy_id.as_uuid())
                    .uuid(target_id.as_uuid());
            }
            self.package_assignments.send_if_full(connection).await?;
        }
        Ok(())
    }
}

async fn entries(
    buffer: &mut CopyBuffer,
    connection: &mut PgConnection,
    object: ObjectId,
    entries: Option<&[ObjectId]>,
) -> Result<(), sqlx::Error> {
    for some in entries.unwrap_or_default().chunks(ENTRIES_AT_ONCE) {
        for entry in some {
            buffer.row().uuid(object.as_uuid()).uuid(entry.as_uuid());
        }
        buffer.send_if_full(connection).await?;
    }
    Ok(())
}
