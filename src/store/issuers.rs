//! What the use cases ask of storage about token issuers and the people their tokens name.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    definition::Identity,
    ids::{IssuerId, ObjectId, TenantId},
    token_issuer::{
        TenantClaim, TokenIssuer,
        assertion::{ApplicationKey, UserKey},
    },
};

/// An issuer of a token that nobody has verified yet.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredIssuer {
    /// One that a tenant has registered; its keys are fetched from where it says.
    Registered(Box<TokenIssuer>),
    /// The built-in issuer of a tenant, for development and tests.
    Development(DevelopmentIssuer),
}

/// The public half of a tenant's built-in issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct DevelopmentIssuer {
    pub id: IssuerId,
    pub tenant: TenantId,
    pub issuer: String,
    pub audiences: Vec<String>,
    /// A JSON Web Key Set, as text.
    pub jwks: String,
    /// Names of the algorithms accepted from it.
    pub algorithms: Vec<String>,
}

/// Who else has registered an issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct Registrant {
    pub tenant: TenantId,
    pub tenant_claim: Option<TenantClaim>,
}

#[async_trait]
pub trait IssuerRepository: Send {
    /// The issuers that the tenant has registered, the oldest first; never the built-in one.
    async fn list(&mut self) -> Result<Vec<TokenIssuer>, StoreError>;
    /// Reads without a lock.
    async fn find(&mut self, id: IssuerId) -> Result<Option<TokenIssuer>, StoreError>;
    /// Reads and keeps others from changing or deleting it until the unit ends.
    async fn lock(&mut self, id: IssuerId) -> Result<Option<TokenIssuer>, StoreError>;
    /// Everybody's registrations of this exact name, after keeping others from registering it until the unit ends.
    async fn lock_name(&mut self, issuer: &str) -> Result<Vec<Registrant>, StoreError>;
    /// Stores a new one. [`StoreError::Refused`] when the tenant has registered the name already.
    async fn insert(&mut self, issuer: &TokenIssuer) -> Result<(), StoreError>;
    /// Stores settings, revision and the instant of the change.
    async fn update(&mut self, issuer: &TokenIssuer) -> Result<(), StoreError>;
    /// `false` when there was none.
    async fn delete(&mut self, id: IssuerId) -> Result<bool, StoreError>;
}

/// A user as far as it matters to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUser {
    pub identity: Identity,
    pub account_enabled: bool,
}

#[async_trait]
pub trait CallerRepository: Send {
    /// The users that the key names; two at most, for more than one is too many to choose from.
    async fn users(&mut self, key: &UserKey) -> Result<Vec<KnownUser>, StoreError>;
    /// The service principal that the key names.
    async fn application(&mut self, key: &ApplicationKey) -> Result<Option<Identity>, StoreError>;
    /// Role template ids of the directory roles that a principal holds, directly or through a group.
    async fn role_templates(&mut self, id: ObjectId) -> Result<Vec<uuid::Uuid>, StoreError>;
}
