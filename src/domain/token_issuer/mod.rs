//! Token issuers that a tenant trusts: what a registration says, and when it is good. Section 6 of the design
//!
//! A registration binds an issuer and its audiences to one tenant and says how claims become a caller. What a token's claims
//! make of it is [`assertion`]; keys and signatures are the edge's matter.

pub mod assertion;
mod check;
mod preset;

use std::{borrow::Cow, fmt};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{
    authorization::{DirectoryRole, IdentityProviderPermission, Permission},
    ids::{IssuerId, TenantId},
};

pub use check::{AddressPolicy, LONGEST_ISSUER_BYTES, MOST_ISSUERS_PER_TENANT, may_share_the_name};

/// An issuer whose tokens speak for a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenIssuer {
    pub id: IssuerId,
    /// The tenant it speaks for.
    pub tenant_id: TenantId,
    /// Counts up with every change, so that whoever remembers a token can tell.
    pub revision: i64,
    /// UTC.
    pub created_at: DateTime<Utc>,
    /// UTC.
    pub modified_at: DateTime<Utc>,
    pub settings: IssuerSettings,
}

/// What an administrator says of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The exact `iss`. Never changed: another issuer is another registration.
    pub issuer: String,
    /// For people; may be empty.
    pub display_name: String,
    /// `aud` must be or hold one of these.
    pub audiences: Vec<String>,
    /// Where the discovery document is, if not below the issuer.
    pub discovery_url: Option<String>,
    /// The only algorithms accepted from it.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Which tenant of the issuer it is about: one issuer may serve several, each registered by one tenant here.
    pub tenant_claim: Option<TenantClaim>,
    /// How claims name the caller.
    pub claims: ClaimMapping,
    /// What values of claims give.
    pub grants: Vec<Grant>,
}

impl IssuerSettings {
    /// Where the discovery document is. OpenID Connect Discovery 1.0, section 4
    pub fn discovery_address(&self) -> String {
        match &self.discovery_url {
            Some(url) => url.clone(),
            None => format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/')),
        }
    }
}

/// Signatures that an issuer may be registered with: never none, never a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The value of `alg`. RFC 7518, section 3.1; RFC 8037
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of this exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// A claim and the value it must have, letter case aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantClaim {
    pub name: ClaimName,
    pub value: String,
}

/// The name of a claim; one that begins with `/` is a JSON pointer into nested claims, as `/realm_access/roles`. RFC 6901
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimName(Cow<'static, str>);

impl ClaimName {
    /// A name as written.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// A name that everybody knows, which takes no memory of its own.
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The claim; `None` when absent or null.
    pub fn of<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let found = match self.0.strip_prefix('/') {
            None => claims.get(self.as_str()),
            Some(path) => {
                let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
                let inner = claims.get(&first.replace("~1", "/").replace("~0", "~"));
                match rest {
                    None => inner,
                    Some(rest) => inner.and_then(|value| value.pointer(&format!("/{rest}"))),
                }
            }
        };
        found.filter(|value| !value.is_null())
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How claims name the caller and what he may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimMapping {
    /// Which claim names a signed-in user, and by what of the directory.
    pub user: UserClaim,
    /// Which claim names an application that calls for itself.
    pub application: ApplicationClaim,
    /// When the caller is an application and nobody is signed in.
    pub application_when: ApplicationRule,
    /// Delegated permissions of a user's token, separated by spaces or as a list.
    pub scopes: Option<ClaimName>,
    /// Application permissions of an application's token.
    pub roles: Option<ClaimName>,
    /// A user's directory roles, by template id.
    pub directory_roles: Option<ClaimName>,
    /// The caller's name, where the directory has none.
    pub display_name: Option<ClaimName>,
}

/// The claim that names a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaim {
    pub claim: ClaimName,
    pub matches: UserMatch,
}

/// What of a directory user the claim is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserMatch {
    /// The object id.
    Id,
    /// The user principal name, in any case.
    UserPrincipalName,
    /// The mail address, in any case; it must be one user's only.
    Mail,
}

impl UserMatch {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Id, Self::UserPrincipalName, Self::Mail];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::UserPrincipalName => "userPrincipalName",
            Self::Mail => "mail",
        }
    }
}

/// The claim that names an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationClaim {
    pub claim: ClaimName,
    pub matches: ApplicationMatch,
}

/// What of a service principal the claim is compared with. An application needs no directory object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApplicationMatch {
    /// The object id.
    Id,
    /// The application (client) id.
    AppId,
}

impl ApplicationMatch {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Id, Self::AppId];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::AppId => "appId",
        }
    }
}

/// When a token is an application's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "camelCase")]
pub enum ApplicationRule {
    /// `idtyp` is `app`; where there is no `idtyp`, there are no scopes. Entra
    Entra,
    /// `sub` and the claim that names the application are the same. RFC 9068, section 2.2
    SubjectIsClient,
    /// A claim has this value.
    ClaimEquals { claim: ClaimName, value: String },
}

/// What a value of a claim gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub claim: ClaimName,
    /// Compared exactly; of a list, with every entry.
    pub value: String,
    #[serde(flatten)]
    pub gives: Given,
}

/// What can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Given {
    /// To a user.
    DirectoryRole(#[serde(with = "role_by_template_id")] DirectoryRole),
    /// To a user, as if it stood among the token's scopes.
    DelegatedPermission(GrantedPermission),
    /// To an application.
    ApplicationPermission(GrantedPermission),
}

/// A permission by its full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum GrantedPermission {
    AccessReview(Permission),
    IdentityProvider(IdentityProviderPermission),
}

impl GrantedPermission {
    /// Every permission.
    pub fn all() -> impl Iterator<Item = Self> {
        let identity_provider = IdentityProviderPermission::ALL.map(Self::IdentityProvider);
        Permission::ALL.map(Self::AccessReview).into_iter().chain(identity_provider)
    }

    /// The full name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessReview(permission) => permission.as_str(),
            Self::IdentityProvider(permission) => permission.as_str(),
        }
    }

    /// The permission of this exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|permission| permission.as_str() == name)
    }
}

impl TryFrom<String> for GrantedPermission {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).ok_or_else(|| format!("`{name}` is no permission"))
    }
}

impl From<GrantedPermission> for &'static str {
    fn from(permission: GrantedPermission) -> Self {
        permission.as_str()
    }
}

/// A directory role, stored as its template id.
mod role_by_template_id {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use uuid::Uuid;

    use crate::domain::authorization::DirectoryRole;

    pub(super) fn serialize<S: Serializer>(role: &DirectoryRole, serializer: S) -> Result<S::Ok, S::Error> {
        role.template_id().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DirectoryRole, D::Error> {
        let id = Uuid::deserialize(deserializer)?;
        DirectoryRole::from_template_id(id)
            .ok_or_else(|| D::Error::custom(format!("{id} is no role with a right here")))
    }
}

#[cfg(test)]
mod tests;
