//! The built-in token issuer for development and tests: `attestry token`, `attestry demo`.
//!
//! Its tokens count only where development issuers are switched on. Storing the keys and finding the user or the service
//! principal is the caller's part.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::{
    SecretKey,
    elliptic_curve::sec1::ToEncodedPoint,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{
    authorization::{DirectoryRole, Permission},
    duration::IsoDuration,
    ids::{ObjectId, TenantId},
};

/// The audience of the built-in issuer's tokens.
pub const AUDIENCE: &str = "api://attestry";

/// The algorithm the built-in issuer signs with.
pub const ALGORITHM: &str = "ES256";

/// The name of a tenant's built-in issuer. The domain is reserved, so it can be nobody's.
pub fn issuer(tenant: TenantId) -> String {
    format!("https://attestry.invalid/{tenant}/v2.0")
}

/// The private half of a tenant's built-in issuer: a row of `development_keys`.
#[derive(Clone, Debug)]
pub struct DevelopmentKey {
    /// The tenant it speaks for.
    pub tenant_id: TenantId,
    /// The token header's `kid`.
    pub key_id: String,
    /// PKCS #8 in PEM.
    pub private_key: SecretString,
}

/// A new built-in issuer.
#[derive(Clone, Debug)]
pub struct DevelopmentIssuer {
    /// What signs.
    pub key: DevelopmentKey,
    /// The public key as a JSON Web Key Set, for `tenant_issuers.jwks`.
    pub jwks: serde_json::Value,
}

/// Makes the built-in issuer of a tenant, with a new key.
///
/// # Errors
/// When the key cannot be written down.
pub fn generate(tenant_id: TenantId) -> Result<DevelopmentIssuer, DevelopmentTokenError> {
    let secret = loop {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        // refuses zero and what lies beyond the curve's order, which practically never comes up
        if let Ok(secret) = SecretKey::from_slice(&bytes) {
            break secret;
        }
    };
    let point = secret.public_key().to_encoded_point(false);
    let key_id = URL_SAFE_NO_PAD.encode(&Sha256::digest(point.as_bytes())[..16]);
    let jwks = serde_json::json!({
        "keys": [{
            "kty": "EC",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": key_id,
            "crv": "P-256",
            "x": point.x().map(|x| URL_SAFE_NO_PAD.encode(x)),
            "y": point.y().map(|y| URL_SAFE_NO_PAD.encode(y)),
        }]
    });
    let pem = secret.to_pkcs8_pem(LineEnding::LF).map_err(DevelopmentTokenError::KeyNotWritten)?;
    let private_key = SecretString::from(pem.as_str());
    Ok(DevelopmentIssuer { key: DevelopmentKey { tenant_id, key_id, private_key }, jwks })
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentTokenError {
    /// The new key has no PKCS #8 form.
    #[error("the new development key could not be written")]
    KeyNotWritten(#[source] p256::pkcs8::Error),
    /// The stored key cannot sign.
    #[error("the tenant's development key cannot be used")]
    KeyUnusable(#[source] jsonwebtoken::errors::Error),
    /// Neither a known name nor a template id.
    #[error("`{given}` is no directory role; known are {}, and any role by its template id", known_roles())]
    UnknownRole { given: String },
    /// An application is not signed in for anybody.
    #[error("an application has no delegated scopes; give its permissions as roles")]
    ScopeOfApplication,
    /// No length of time that a token can have.
    #[error("`{0}` is no lifetime such as 90s, 30m, 1h, 7d or PT1H")]
    InvalidLifetime(String),
}

fn known_roles() -> String {
    DirectoryRole::ALL.map(DirectoryRole::name).join(", ")
}

/// For whom a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A signed-in user of the directory.
    User { id: ObjectId, user_principal_name: String, display_name: String },
    /// An application by itself: a service principal, or [`application_id`] of its name when the directory has none.
    Application { id: ObjectId, display_name: String },
}

/// A token that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    pub subject: Subject,
    /// Application permissions (`roles`); empty for a user.
    pub roles: Vec<String>,
    /// Delegated scopes (`scp`); empty for an application.
    pub scopes: Vec<String>,
    /// Template ids of the user's directory roles (`wids`); empty for an application.
    pub directory_roles: Vec<Uuid>,
    /// How long it counts. Not zero.
    pub lifetime: IsoDuration,
}

impl TokenRequest {
    /// A token as the command line asks for it.
    ///
    /// For a user `roles` are directory roles, by name or template id, and `scopes` replace the default
    /// `AccessReview.ReadWrite.All`. For an application `roles` are application permissions and replace that default.
    ///
    /// # Errors
    /// For an unknown directory role, and for scopes of an application.
    pub fn new(
        subject: Subject,
        roles: &[String],
        scopes: &[String],
        lifetime: IsoDuration,
    ) -> Result<Self, DevelopmentTokenError> {
        let or_default = |values: &[String]| match values {
            [] => vec![Permission::ReadWrite.as_str().to_owned()],
            values => values.to_vec(),
        };
        Ok(match subject {
            Subject::User { .. } => Self {
                subject,
                roles: Vec::new(),
                scopes: or_default(scopes),
                directory_roles: roles.iter().map(|role| directory_role(role)).collect::<Result<_, _>>()?,
                lifetime,
            },
            Subject::Application { .. } if !scopes.is_empty() => return Err(DevelopmentTokenError::ScopeOfApplication),
            Subject::Application { .. } => {
                Self { subject, roles: or_default(roles), scopes: Vec::new(), directory_roles: Vec::new(), lifetime }
            }
        })
    }
}

/// The template id of a role given by its name, in any case and spacing, or by the id itself.
fn directory_role(given: &str) -> Result<Uuid, DevelopmentTokenError> {
    DirectoryRole::from_name(given)
        .map(DirectoryRole::template_id)
        .or_else(|| Uuid::parse_str(given.trim()).ok())
        .ok_or_else(|| DevelopmentTokenError::UnknownRole { given: given.to_owned() })
}

/// The id of an application that the directory does not know: the same for the same name in the same tenant.
pub fn application_id(tenant: TenantId, name: &str) -> ObjectId {
    let digest = Sha256::new()
        .chain_update(b"attestry development application\0")
        .chain_update(tenant.as_uuid().as_bytes())
        .chain_update(name.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    ObjectId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Reads a lifetime: a number with `s`, `m`, `h` or `d`, or an ISO 8601 duration. Not zero.
///
/// # Errors
/// For any other text.
pub fn parse_lifetime(text: &str) -> Result<IsoDuration, DevelopmentTokenError> {
    let invalid = || DevelopmentTokenError::InvalidLifetime(text.to_owned());
    let trimmed = text.trim();
    let iso = if trimmed.starts_with('P') {
        trimmed.to_owned()
    } else {
        let unit = trimmed.chars().next_back().ok_or_else(invalid)?;
        let amount = &trimmed[..trimmed.len() - unit.len_utf8()];
        match unit {
            's' | 'm' | 'h' => format!("PT{amount}{}", unit.to_ascii_uppercase()),
            'd' => format!("P{amount}D"),
            _ => return Err(invalid()),
        }
    };
    iso.parse().ok().filter(|lifetime| *lifetime != IsoDuration::days(0)).ok_or_else(invalid)
}

/// Entra's claim names. Section 6 of the design
#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    aud: &'static str,
    iat: i64,
    nbf: i64,
    exp: i64,
    tid: TenantId,
    oid: ObjectId,
    sub: ObjectId,
    idtyp: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    upn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scp: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "<[Uuid]>::is_empty")]
    wids: &'a [Uuid],
}

/// Signs a token that counts from `now` on. `now` is real time, not a sandbox tenant's.
///
/// # Errors
/// When the stored key cannot be used.
pub fn sign(key: &DevelopmentKey, request: &TokenRequest, now: DateTime<Utc>) -> Result<String, DevelopmentTokenError> {
    let (id, name, upn, idtyp) = match &request.subject {
        Subject::User { id, user_principal_name, display_name } => {
            (*id, display_name, Some(user_principal_name.as_str()), "user")
        }
        Subject::Application { id, display_name } => (*id, display_name, None, "app"),
    };
    let claims = Claims {
        iss: issuer(key.tenant_id),
        aud: AUDIENCE,
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: request.lifetime.after(now).timestamp(),
        tid: key.tenant_id,
        oid: id,
        sub: id,
        idtyp,
        name,
        upn,
        scp: upn.is_some().then(|| request.scopes.join(" ")),
        roles: &request.roles,
        wids: &request.directory_roles,
    };
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.key_id.clone());
    EncodingKey::from_ec_pem(key.private_key.expose_secret().as_bytes())
        .and_then(|signer| jsonwebtoken::encode(&header, &claims, &signer))
        .map_err(DevelopmentTokenError::KeyUnusable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject() -> Subject {
        Subject::User {
            id: ObjectId::new(Uuid::from_u128(7)),
            user_principal_name: "ada@acme.example".to_owned(),
            display_name: "Ada Byron".to_owned(),
        }
    }

    #[test]
    fn a_lifetime_is_a_number_with_a_unit_or_an_iso_duration() {
        for (text, iso) in
            [("90s", "PT90S"), ("30m", "PT30M"), ("1h", "PT1H"), ("7d", "P7D"), ("PT1H30M", "PT90M"), (" 1h ", "PT1H")]
        {
            assert_eq!(parse_lifetime(text).ok(), iso.parse().ok(), "{text}");
        }
        for text in ["", "h", "1", "1w", "-1h", "+1h", "0s", "PT0S", "1 h", "1:00:00", "1H", "ä", "99999999999h"] {
            assert!(parse_lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_directory_role_is_given_by_name_or_by_template_id() {
        let custom = Uuid::from_u128(9);
        let roles = ["identity governance administrator", "GlobalReader", &custom.to_string()].map(str::to_owned);
        let request = TokenRequest::new(subject(), &roles, &[], IsoDuration::days(1)).expect("the roles are known");

        assert_eq!(
            request.directory_roles,
            [
                DirectoryRole::IdentityGovernanceAdministrator.template_id(),
                DirectoryRole::GlobalReader.template_id(),
                custom
            ]
        );
        assert_eq!(request.scopes, ["AccessReview.ReadWrite.All"]);
    }

    #[test]
    fn an_unknown_role_is_refused_and_the_known_ones_are_named() {
        let error = TokenRequest::new(subject(), &["Janitor".to_owned()], &[], IsoDuration::days(1))
            .expect_err("there is no such role");

        assert!(error.to_string().contains("Janitor") && error.to_string().contains("Security Reader"));
    }

    #[test]
    fn an_application_has_no_scopes() {
        let application = Subject::Application { id: ObjectId::new(Uuid::from_u128(8)), display_name: "x".to_owned() };
        assert!(matches!(
            TokenRequest::new(application, &[], &["openid".to_owned()], IsoDuration::days(1)),
            Err(DevelopmentTokenError::ScopeOfApplication)
        ));
    }

    #[test]
    fn two_tenants_never_share_a_key_and_debug_output_shows_none() {
        let left = generate(TenantId::new(Uuid::from_u128(1))).expect("a key can be made");
        let right = generate(TenantId::new(Uuid::from_u128(2))).expect("a key can be made");

        assert_ne!(left.jwks, right.jwks);
        assert_ne!(left.key.key_id, right.key.key_id);
        assert!(!format!("{left:?}").contains("PRIVATE"));
    }

    proptest! {
        #[test]
        fn an_applications_id_is_the_same_for_the_same_name_and_tenant_only(
            left in "\\PC{0,20}", right in "\\PC{0,20}", tenant: u128, other: u128,
        ) {
            let id = |tenant, name: &str| application_id(TenantId::new(Uuid::from_u128(tenant)), name);

            prop_assert_eq!(id(tenant, &left), id(tenant, &left));
            prop_assert_eq!(id(tenant, &left).as_uuid().get_version_num(), 8);
            prop_assert_eq!(id(tenant, &left) == id(tenant, &right), left == right);
            prop_assert_eq!(id(tenant, &left) == id(other, &left), tenant == other);
        }
    }
}
