//! Why a call is not authenticated, and how the client is told. CL-11, CL-13

use std::time::Duration;

use crate::http::authentication::SourceUnavailable;

/// The error code of every 401. Section 7 of the conventions
pub const ERROR_CODE: &str = "InvalidAuthenticationToken";

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The token, or its absence: 401.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The issuers could not be read, so nothing is known about the token: 503, nothing was done.
    #[error(transparent)]
    Unavailable(#[from] SourceUnavailable),
    /// The token's key is not known and its provider does not answer: 503, nothing was done.
    #[error("the provider of the token's issuer does not answer")]
    ProviderUnavailable {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
}

/// What is wrong with the token. The text is the client's message; it is constant, so that it cannot repeat a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `Authorization` header. Some clients drop the token without a word. CL-13
    #[error(
        "Access token is empty: the request has no Authorization header. Clients leave it out silently when the host is not in \
         their list of allowed hosts, and the JavaScript client also when the address begins with http instead of https."
    )]
    Missing,
    /// Another scheme, or no token behind it.
    #[error("The Authorization header must be the word Bearer, a space and an access token.")]
    NotBearer,
    /// Longer than [`MAXIMUM_TOKEN_BYTES`](crate::http::authentication::MAXIMUM_TOKEN_BYTES).
    #[error("The access token is longer than this service accepts.")]
    Oversized,
    /// Not three parts of base64url, or not JSON, or a claim of the wrong type.
    #[error("The access token is not a well-formed JSON Web Token.")]
    Malformed,
    /// `crit` names extensions; none is understood here.
    #[error("The access token's header demands extensions that this service does not know.")]
    CriticalExtension,
    /// `none`, a shared-secret algorithm, an unknown one, or one the issuer is not registered with.
    #[error("The access token is signed with an algorithm that is not accepted from its issuer.")]
    AlgorithmNotAccepted,
    /// No tenant has registered the issuer, or it is a development issuer while these are off.
    #[error(
        "The access token's issuer is not trusted. Tokens of the built-in development issuer count only while \
         ATTESTRY_DEV_ISSUER=1."
    )]
    UntrustedIssuer,
    /// `kid` is absent.
    #[error("The access token's header does not name its key (kid).")]
    KeyMissing,
    /// `kid` names no signing key of the issuer.
    #[error("The access token is signed with a key that its issuer has not published.")]
    UnknownKey,
    /// `kid` names a key that is not for `alg`.
    #[error("The access token names a key that is not for its algorithm.")]
    KeyNotForAlgorithm,
    /// The signature is not the key's.
    #[error("The access token's signature is not valid.")]
    BadSignature,
    /// `aud` is absent or another.
    #[error("The access token is for another audience.")]
    WrongAudience,
    /// The claim that says which tenant is meant (`tid`) is absent, or it is none that the issuer is registered for.
    #[error("The access token is for another tenant than its issuer speaks for.")]
    WrongTenant,
    /// `exp` is past.
    #[error("The access token has expired.")]
    Expired,
    /// `nbf` is to come.
    #[error("The access token is not valid yet.")]
    NotYetValid,
    /// `exp` is absent.
    #[error("The access token does not say when it expires (exp).")]
    ExpiryMissing,
    /// The claim that names the caller is absent, or no UUID where an object id is wanted.
    #[error(
        "The access token does not name its caller in the claim that its issuer is registered with (claims.user, \
         claims.application; oid for Entra), or not by a directory object id where that is wanted."
    )]
    CallerMissing,
    /// `email` names the caller, and `email_verified` says that anybody could.
    #[error("The access token names its caller by a mail address that the provider has not verified.")]
    MailNotVerified,
    /// A personal account. LC-AUTH-06
    #[error("The access token is of a personal account; only accounts of an organisation are accepted.")]
    PersonalAccount,
}

impl Refusal {
    /// The value of the answer's `WWW-Authenticate` header. Never with `claims=`, which makes clients ask twice. CL-11
    pub fn www_authenticate(self) -> String {
        match self {
            // RFC 6750, section 3.1: who sent no token gets no error code
            Self::Missing => r#"Bearer realm="attestry""#.to_owned(),
            other => format!(r#"Bearer realm="attestry", error="invalid_token", error_description="{other}""#),
        }
    }
}
