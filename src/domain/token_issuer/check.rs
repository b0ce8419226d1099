//! When a registration is good.

use url::{Host, Url};

use super::{ApplicationRule, ClaimName, IssuerSettings, TenantClaim};
use crate::domain::violation::Violation;

/// Longer names are not registered and not looked up.
pub const LONGEST_ISSUER_BYTES: usize = 512;

/// Issuers of one tenant at most.
pub const MOST_ISSUERS_PER_TENANT: usize = 50;

const MOST_AUDIENCES: usize = 20;
const MOST_GRANTS: usize = 500;
const LONGEST_TEXT_BYTES: usize = 512;

/// What the operator allows of the addresses that tenants give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether plain http is spoken to hosts other than this machine.
    pub allow_http: bool,
    /// Whether addresses that are not of the public internet are called: private networks, this machine.
    pub allow_private: bool,
}

impl AddressPolicy {
    /// Reads an address that may be called: https, or http where allowed; without a user, a query or a fragment.
    ///
    /// # Errors
    /// The rule that it breaks, in words.
    pub fn check(self, address: &str) -> Result<Url, String> {
        let url = Url::parse(address).map_err(|_| "must be an address such as https://login.example".to_owned())?;
        let host = url.host().ok_or("must name a host")?;
        let is_this_machine = match &host {
            Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http || is_this_machine => {}
            _ => return Err("must begin with https://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or a password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must not have a query or a fragment".to_owned());
        }
        Ok(url)
    }
}

impl IssuerSettings {
    /// Everything that is wrong with a registration, by the path of the property.
    pub fn violations(&self, policy: AddressPolicy) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut report = |path: String, reason: String| found.push(Violation::new(path, reason));

        if self.issuer.len() > LONGEST_ISSUER_BYTES {
            report("issuer".to_owned(), format!("has at most {LONGEST_ISSUER_BYTES} bytes"));
        } else if let Err(reason) = policy.check(&self.issuer) {
            report("issuer".to_owned(), reason);
        }
        if let Some(url) = &self.discovery_url
            && let Err(reason) = policy.check(url)
        {
            report("discoveryUrl".to_owned(), reason);
        }
        if self.display_name.len() > LONGEST_TEXT_BYTES {
            report("displayName".to_owned(), format!("has at most {LONGEST_TEXT_BYTES} bytes"));
        }
        if self.audiences.is_empty() || self.audiences.len() > MOST_AUDIENCES {
            report("audiences".to_owned(), format!("must hold 1 to {MOST_AUDIENCES} audiences"));
        }
        for (index, audience) in self.audiences.iter().enumerate() {
            if let Some(reason) = text_fault(audience) {
                report(format!("audiences[{index}]"), reason);
            }
        }
        if self.algorithms.is_empty() {
            report("algorithms".to_owned(), "must name an algorithm".to_owned());
        }
        if let Some(TenantClaim { name, value }) = &self.tenant_claim {
            if let Some(reason) = name_fault(name) {
                report("tenantClaim.name".to_owned(), reason);
            }
            if let Some(reason) = text_fault(value) {
                report("tenantClaim.value".to_owned(), reason);
            }
        }

        let claims = &self.claims;
        let mut names =
            vec![("claims.user.claim", &claims.user.claim), ("claims.application.claim", &claims.application.claim)];
        for (path, name) in [
            ("claims.scopes", &claims.scopes),
            ("claims.roles", &claims.roles),
            ("claims.directoryRoles", &claims.directory_roles),
            ("claims.displayName", &claims.display_name),
        ] {
            names.extend(name.as_ref().map(|name| (path, name)));
        }
        if let ApplicationRule::ClaimEquals { claim, value } = &claims.application_when {
            names.push(("claims.applicationWhen.claim", claim));
            if let Some(reason) = text_fault(value) {
                report("claims.applicationWhen.value".to_owned(), reason);
            }
        }
        for (path, name) in names {
            if let Some(reason) = name_fault(name) {
                report(path.to_owned(), reason);
            }
        }

        if self.grants.len() > MOST_GRANTS {
            report("grants".to_owned(), format!("holds at most {MOST_GRANTS} entries"));
        }
        for (index, grant) in self.grants.iter().enumerate() {
            if let Some(reason) = name_fault(&grant.claim) {
                report(format!("grants[{index}].claim"), reason);
            }
            if let Some(reason) = text_fault(&grant.value) {
                report(format!("grants[{index}].value"), reason);
            }
        }
        found
    }
}

fn text_fault(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some("must not be empty".to_owned())
    } else if text.len() > LONGEST_TEXT_BYTES {
        Some(format!("has at most {LONGEST_TEXT_BYTES} bytes"))
    } else {
        None
    }
}

fn name_fault(name: &ClaimName) -> Option<String> {
    text_fault(name.as_str()).or_else(|| (name.as_str() == "/").then(|| "must name a claim".to_owned()))
}

/// Whether two tenants may both register an issuer: only when a token says by one claim which of them is meant.
///
/// Otherwise one would speak for the other's people, whoever came first.
pub fn may_share_the_name(ours: Option<&TenantClaim>, theirs: Option<&TenantClaim>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours.name == theirs.name && !ours.value.eq_ignore_ascii_case(&theirs.value),
        (None, _) | (_, None) => false,
    }
}
