//! The shapes of tokens that need no mapping of one's own.

use url::Url;
use uuid::Uuid;

use super::{
    ApplicationClaim, ApplicationMatch, ApplicationRule, ClaimMapping, ClaimName, SigningAlgorithm, TenantClaim,
    UserClaim, UserMatch,
};

/// Hosts of Entra's issuers: of version 2 tokens in the public and the national clouds, and of version 1 tokens.
const ENTRA_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "sts.windows.net",
    "sts.chinacloudapi.cn",
];

impl ClaimMapping {
    /// Entra's access tokens, version 1 and 2: `oid`, `idtyp`, `scp`, `roles`, `wids`.
    pub fn entra() -> Self {
        Self {
            user: UserClaim { claim: ClaimName::known("oid"), matches: UserMatch::Id },
            application: ApplicationClaim { claim: ClaimName::known("oid"), matches: ApplicationMatch::Id },
            application_when: ApplicationRule::Entra,
            scopes: Some(ClaimName::known("scp")),
            roles: Some(ClaimName::known("roles")),
            directory_roles: Some(ClaimName::known("wids")),
            display_name: Some(ClaimName::known("name")),
        }
    }

    /// JWT access tokens as RFC 9068 describes them. Which claim names the user is for the tenant to say: a wrong guess would
    /// take somebody for somebody else.
    pub fn openid(user: UserClaim) -> Self {
        Self {
            user,
            application: ApplicationClaim { claim: ClaimName::known("client_id"), matches: ApplicationMatch::AppId },
            application_when: ApplicationRule::SubjectIsClient,
            scopes: Some(ClaimName::known("scope")),
            roles: None,
            directory_roles: None,
            display_name: Some(ClaimName::known("name")),
        }
    }

    /// The mapping that needs no word, for issuers that are known.
    pub fn of_issuer(issuer: &str) -> Option<Self> {
        entra_tenant(issuer).map(|_| Self::entra())
    }
}

impl TenantClaim {
    /// The tenant that Entra's issuers carry in their name.
    pub fn of_issuer(issuer: &str) -> Option<Self> {
        entra_tenant(issuer).map(|tenant| Self { name: ClaimName::known("tid"), value: tenant.to_string() })
    }
}

impl SigningAlgorithm {
    /// What is accepted unless told otherwise: what providers sign with by default.
    pub const USUAL: [Self; 3] = [Self::RS256, Self::PS256, Self::ES256];
}

/// Entra's tenant in `https://sts.windows.net/{tid}/` and `https://login.microsoftonline.com/{tid}/v2.0`.
fn entra_tenant(issuer: &str) -> Option<Uuid> {
    let url = Url::parse(issuer).ok()?;
    if url.scheme() != "https" || !url.host_str().is_some_and(|host| ENTRA_HOSTS.contains(&host)) {
        return None;
    }
    Uuid::parse_str(url.path_segments()?.next()?).ok()
}
