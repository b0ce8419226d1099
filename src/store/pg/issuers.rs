//! Which token issuers speak for which tenant.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{PgStore, PgUnitOfWork, error::corrupt};
use crate::{
    domain::{
        ids::{IssuerId, TenantId},
        token_issuer::{ClaimName, IssuerSettings, SigningAlgorithm, TenantClaim, TokenIssuer},
    },
    store::{
        Lane, StoreError,
        issuers::{DevelopmentIssuer, IssuerRepository, Registrant, StoredIssuer},
    },
};

/// A row of `tenant_issuers`.
struct IssuerRow {
    tenant_id: Uuid,
    issuer_id: Uuid,
    issuer: String,
    display_name: String,
    audiences: Vec<String>,
    discovery_url: Option<String>,
    algorithms: Vec<String>,
    tenant_claim: Option<String>,
    tenant_value: String,
    claims: Option<Value>,
    grants: Value,
    jwks: Option<String>,
    revision: i64,
    created_at: DateTime<Utc>,
    modified_at: DateTime<Utc>,
}

impl IssuerRow {
    fn into_stored(self) -> Result<StoredIssuer, StoreError> {
        match self.jwks {
            None => Ok(StoredIssuer::Registered(Box::new(self.into_registered()?))),
            Some(jwks) => Ok(StoredIssuer::Development(DevelopmentIssuer {
                id: IssuerId::new(self.issuer_id),
                tenant: TenantId::new(self.tenant_id),
                issuer: self.issuer,
                audiences: self.audiences,
                jwks,
                algorithms: self.algorithms,
            })),
        }
    }

    fn into_registered(self) -> Result<TokenIssuer, StoreError> {
        let unreadable = |column| corrupt("tenant_issuers", column, self.issuer_id);
        let algorithms = self
            .algorithms
            .iter()
            .map(|name| SigningAlgorithm::from_name(name).ok_or_else(|| unreadable("algorithms")))
            .collect::<Result<_, _>>()?;
        let claims = self.claims.ok_or_else(|| unreadable("claims"))?;
        Ok(TokenIssuer {
            id: IssuerId::new(self.issuer_id),
            tenant_id: TenantId::new(self.tenant_id),
            revision: self.revision,
            created_at: self.created_at,
            modified_at: self.modified_at,
            settings: IssuerSettings {
                issuer: self.issuer,
                display_name: self.display_name,
                audiences: self.audiences,
                discovery_url: self.discovery_url,
                algorithms,
                tenant_claim: tenant_claim(self.tenant_claim, self.tenant_value),
                claims: serde_json::from_value(claims).map_err(|_| unreadable("claims"))?,
                grants: serde_json::from_value(self.grants).map_err(|_| unreadable("grants"))?,
            },
        })
    }
}

fn tenant_claim(name: Option<String>, value: String) -> Option<TenantClaim> {
    name.map(|name| TenantClaim { name: ClaimName::new(name), value })
}

/// The columns of settings, as they are bound.
struct Columns {
    algorithms: Vec<String>,
    tenant_claim: Option<String>,
    tenant_value: String,
    claims: Value,
    grants: Value,
}

impl Columns {
    fn of(settings: &IssuerSettings) -> Result<Self, StoreError> {
        let (tenant_claim, tenant_value) = match &settings.tenant_claim {
            Some(TenantClaim { name, value }) => (Some(name.to_string()), value.clone()),
            None => (None, String::new()),
        };
        Ok(Self {
            algorithms: settings.algorithms.iter().map(|algorithm| algorithm.as_str().to_owned()).collect(),
            tenant_claim,
            tenant_value,
            claims: serde_json::to_value(&settings.claims).map_err(|error| StoreError::Other(error.into()))?,
            grants: serde_json::to_value(&settings.grants).map_err(|error| StoreError::Other(error.into()))?,
        })
    }
}

impl PgStore {
    /// Everybody's registrations of this exact name.
    pub(super) async fn find_issuers(&self, issuer: &str) -> Result<Vec<StoredIssuer>, StoreError> {
        let mut connection = self.lend(Lane::Interactive, None).await?;
        let rows = sqlx::query_as!(
            IssuerRow,
            r#"
            select tenant_id, issuer_id, issuer, display_name, audiences, discovery_url, algorithms, tenant_claim, tenant_value,
                   claims, grants, jwks::text as jwks, revision, created_at, modified_at
              from tenant_issuers
             where issuer = $1
            "#,
            issuer,
        )
        .fetch_all(&mut *connection)
        .await?;
        connection.is_sound();
        rows.into_iter().map(IssuerRow::into_stored).collect()
    }
}

#[async_trait]
impl IssuerRepository for PgUnitOfWork {
    async fn list(&mut self) -> Result<Vec<TokenIssuer>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query_as!(
            IssuerRow,
            r#"
            select tenant_id, issuer_id, issuer, display_name, audiences, discovery_url, algorithms, tenant_claim, tenant_value,
                   claims, grants, jwks::text as jwks, revision, created_at, modified_at
              from tenant_issuers
             where tenant_id = $1
               and not development
             order by created_at, issuer_id
            "#,
            tenant,
        )
        .fetch_all(self.connection()?)
        .await?;
        rows.into_iter().map(IssuerRow::into_registered).collect()
    }

    async fn find(&mut self, id: IssuerId) -> Result<Option<TokenIssuer>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            IssuerRow,
            r#"
            select tenant_id, issuer_id, issuer, display_name, audiences, discovery_url, algorithms, tenant_claim, tenant_value,
                   claims, grants, jwks::text as jwks, revision, created_at, modified_at
              from tenant_issuers
             where tenant_id = $1
               and issuer_id = $2
               and not development
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        row.map(IssuerRow::into_registered).transpose()
    }

    async fn lock(&mut self, id: IssuerId) -> Result<Option<TokenIssuer>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            IssuerRow,
            r#"
            select tenant_id, issuer_id, issuer, display_name, audiences, discovery_url, algorithms, tenant_claim, tenant_value,
                   claims, grants, jwks::text as jwks, revision, created_at, modified_at
              from tenant_issuers
             where tenant_id = $1
               and issuer_id = $2
               and not development
               for update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        row.map(IssuerRow::into_registered).transpose()
    }

    async fn lock_name(&mut self, issuer: &str) -> Result<Vec<Registrant>, StoreError> {
        // In a statement of its own: what the lock waited for must be seen by the next one.
        sqlx::query!(
            r#"select pg_advisory_xact_lock(hashtextextended('token issuer ' || $1::text, 0))::text as "locked""#,
            issuer,
        )
        .fetch_one(self.connection()?)
        .await?;
        let rows =
            sqlx::query!("select tenant_id, tenant_claim, tenant_value from tenant_issuers where issuer = $1", issuer)
                .fetch_all(self.connection()?)
                .await?;
        Ok(rows
            .into_iter()
            .map(|row| Registrant {
                tenant: TenantId::new(row.tenant_id),
                tenant_claim: tenant_claim(row.tenant_claim, row.tenant_value),
            })
            .collect())
    }

    async fn insert(&mut self, issuer: &TokenIssuer) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let settings = &issuer.settings;
        let columns = Columns::of(settings)?;
        sqlx::query!(
            r#"
            insert into tenant_issuers
                (tenant_id, issuer_id, issuer, display_name, audiences, discovery_url, algorithms, tenant_claim, tenant_value,
                 claims, grants, revision, created_at, modified_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            "#,
            tenant,
            issuer.id.as_uuid(),
            settings.issuer,
            settings.display_name,
            &settings.audiences,
            settings.discovery_url.as_deref(),
            &columns.algorithms,
            columns.tenant_claim,
            columns.tenant_value,
            columns.claims,
            columns.grants,
            issuer.revision,
            issuer.created_at,
            issuer.modified_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn update(&mut self, issuer: &TokenIssuer) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let settings = &issuer.settings;
        let columns = Columns::of(settings)?;
        sqlx::query!(
            r#"
            update tenant_issuers
               set display_name = $3,
                   audiences = $4,
                   discovery_url = $5,
                   algorithms = $6,
                   tenant_claim = $7,
                   tenant_value = $8,
                   claims = $9,
                   grants = $10,
                   revision = $11,
                   modified_at = $12
             where tenant_id = $1
               and issuer_id = $2
               and not development
            "#,
            tenant,
            issuer.id.as_uuid(),
            settings.display_name,
            &settings.audiences,
            settings.discovery_url.as_deref(),
            &columns.algorithms,
            columns.tenant_claim,
            columns.tenant_value,
            columns.claims,
            columns.grants,
            issuer.revision,
            issuer.modified_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn delete(&mut self, id: IssuerId) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let deleted = sqlx::query!(
            "delete from tenant_issuers where tenant_id = $1 and issuer_id = $2 and not development",
            tenant,
            id.as_uuid(),
        )
        .execute(self.connection()?)
        .await?;
        Ok(deleted.rows_affected() == 1)
    }
}
