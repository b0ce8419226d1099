//! What a token says, with Entra's claim names, and the caller it makes.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    domain::{
        authorization::{Caller, CallerKind, Permission, RoleSet},
        definition::Identity,
        ids::ObjectId,
    },
    http::authentication::{Refusal, issuers::ReadyIssuer},
};

/// Seconds by which clocks may differ.
const LEEWAY: f64 = 60.0;

/// The claims that are read; all others are passed over.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<f64>,
    nbf: Option<f64>,
    tid: Option<String>,
    oid: Option<String>,
    idtyp: Option<String>,
    scp: Option<String>,
    roles: Option<Vec<String>>,
    wids: Option<Vec<String>>,
    upn: Option<String>,
    name: Option<String>,
}

/// `aud` is a text or a list of texts. RFC 7519, section 4.1.3
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// From when until when a token counts, in seconds since 1970. Fractions are allowed by RFC 7519.
#[derive(Clone, Copy)]
pub(super) struct Validity {
    not_before: Option<f64>,
    expires: f64,
}

impl Validity {
    /// Refuses a token before and after its time.
    ///
    /// `now` is real time also for a sandbox tenant: a token's life is a matter of security, not business time, and an
    /// advanced clock must neither end a session nor bring an old token back.
    pub(super) fn check(self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let now = now.timestamp_millis() as f64 / 1_000.0;
        if now >= self.expires + LEEWAY {
            return Err(Refusal::Expired);
        }
        if self.not_before.is_some_and(|not_before| now < not_before - LEEWAY) {
            return Err(Refusal::NotYetValid);
        }
        Ok(())
    }
}

impl Claims {
    /// The caller these claims make, if they are for this service and for the issuer's tenant.
    ///
    /// The roles are those of `wids`; the directory's are added where the database is at hand.
    pub(super) fn caller(self, issuer: &ReadyIssuer) -> Result<(Caller, Validity), Refusal> {
        if self.iss.as_deref() != Some(issuer.issuer.as_str()) {
            return Err(Refusal::UntrustedIssuer);
        }
        let for_us = match &self.aud {
            None => false,
            Some(OneOrMany::One(audience)) => *audience == issuer.audience,
            Some(OneOrMany::Many(audiences)) => audiences.contains(&issuer.audience),
        };
        if !for_us {
            return Err(Refusal::WrongAudience);
        }
        if uuid(self.tid.as_deref()) != Some(issuer.tenant_id.as_uuid()) {
            return Err(Refusal::WrongTenant);
        }
        let id = uuid(self.oid.as_deref())
            .map(ObjectId::new)
            .filter(|id| *id != ObjectId::NOBODY)
            .ok_or(Refusal::CallerMissing)?;
        let validity = Validity { not_before: self.nbf, expires: self.exp.ok_or(Refusal::ExpiryMissing)? };

        let kind = match self.idtyp.as_deref() {
            Some("app") => CallerKind::Application,
            Some(_) => CallerKind::User,
            None if self.scp.is_some() => CallerKind::User,
            None => CallerKind::Application,
        };
        let roles = self.roles.unwrap_or_default();
        let caller = match kind {
            CallerKind::Application => Caller {
                tenant_id: issuer.tenant_id,
                identity: Identity {
                    id,
                    display_name: self.name.unwrap_or_default(),
                    user_principal_name: String::new(),
                },
                kind,
                permission: Permission::highest(roles.iter().map(String::as_str)),
                roles: RoleSet::EMPTY,
            },
            CallerKind::User => Caller {
                tenant_id: issuer.tenant_id,
                identity: Identity {
                    id,
                    display_name: self.name.unwrap_or_default(),
                    user_principal_name: self.upn.unwrap_or_default(),
                },
                kind,
                // not `roles`: for a user these are the application's own roles, not what was consented to
                permission: Permission::highest(self.scp.unwrap_or_default().split_ascii_whitespace()),
                roles: RoleSet::from_template_ids(
                    self.wids.unwrap_or_default().iter().filter_map(|id| Uuid::parse_str(id).ok()),
                ),
            },
        };
        Ok((caller, validity))
    }
}

fn uuid(text: Option<&str>) -> Option<Uuid> {
    Uuid::parse_str(text?).ok()
}
