//! Finding in the directory whom a token names.

use async_trait::async_trait;
use uuid::Uuid;

use super::PgUnitOfWork;
use crate::{
    domain::{
        definition::Identity,
        ids::ObjectId,
        token_issuer::assertion::{ApplicationKey, UserKey},
    },
    store::{
        DirectoryRepository, StoreError,
        issuers::{CallerRepository, KnownUser},
    },
};

/// A user's columns that matter to sign in.
struct UserRow {
    user_id: Uuid,
    display_name: String,
    user_principal_name: String,
    account_enabled: bool,
}

impl From<UserRow> for KnownUser {
    fn from(row: UserRow) -> Self {
        Self {
            identity: Identity {
                id: ObjectId::new(row.user_id),
                display_name: row.display_name,
                user_principal_name: row.user_principal_name,
            },
            account_enabled: row.account_enabled,
        }
    }
}

#[async_trait]
impl CallerRepository for PgUnitOfWork {
    async fn users(&mut self, key: &UserKey) -> Result<Vec<KnownUser>, StoreError> {
        let tenant = self.tenant.as_uuid();
        // One statement a key: each has an index of its own.
        let rows = match key {
            UserKey::Id(id) => {
                sqlx::query_as!(
                    UserRow,
                    r#"
                    select user_id, display_name, user_principal_name, account_enabled
                      from users
                     where tenant_id = $1
                       and user_id = $2
                    "#,
                    tenant,
                    id.as_uuid(),
                )
                .fetch_all(self.connection()?)
                .await?
            }
            UserKey::UserPrincipalName(name) => {
                sqlx::query_as!(
                    UserRow,
                    r#"
                    select user_id, display_name, user_principal_name, account_enabled
                      from users
                     where tenant_id = $1
                       and lower(user_principal_name) = lower($2)
                     limit 2
                    "#,
                    tenant,
                    name,
                )
                .fetch_all(self.connection()?)
                .await?
            }
            UserKey::Mail(address) => {
                sqlx::query_as!(
                    UserRow,
                    r#"
                    select user_id, display_name, user_principal_name, account_enabled
                      from users
                     where tenant_id = $1
                       and mail is not null
                       and lower(mail) = lower($2)
                     limit 2
                    "#,
                    tenant,
                    address,
                )
                .fetch_all(self.connection()?)
                .await?
            }
        };
        Ok(rows.into_iter().map(KnownUser::from).collect())
    }

    async fn application(&mut self, key: &ApplicationKey) -> Result<Option<Identity>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let (object, application) = match key {
            ApplicationKey::Id(id) => (Some(id.as_uuid()), None),
            ApplicationKey::ApplicationId { id, .. } => (None, Uuid::parse_str(id).ok()),
        };
        let row = sqlx::query!(
            r#"
            select service_principal_id, display_name
              from service_principals
             where tenant_id = $1
               and (service_principal_id = $2 or app_id = $3)
             order by service_principal_id
             limit 1
            "#,
            tenant,
            object,
            application,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| Identity {
            id: ObjectId::new(row.service_principal_id),
            display_name: row.display_name,
            user_principal_name: String::new(),
        }))
    }

    async fn role_templates(&mut self, id: ObjectId) -> Result<Vec<Uuid>, StoreError> {
        self.role_templates_of(id).await
    }
}
