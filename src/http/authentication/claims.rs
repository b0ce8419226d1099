//! The claims that every token has, whoever issued it: issuer, audience, times.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::http::authentication::Refusal;

/// All claims of a token.
pub(super) type Claims = Map<String, Value>;

/// Seconds by which clocks may differ.
const LEEWAY: f64 = 60.0;

/// From when until when a token counts, in seconds since 1970. Fractions are allowed by RFC 7519.
#[derive(Clone, Copy)]
pub(super) struct Validity {
    /// Before all times when the token says nothing.
    not_before: f64,
    expires: f64,
}

impl Validity {
    /// When the token counts by its own words: `exp`, `nbf`, and `iat`, which no token precedes.
    pub(super) fn of(claims: &Claims) -> Result<Self, Refusal> {
        let expires = seconds(claims, "exp")?.ok_or(Refusal::ExpiryMissing)?;
        let not_before = [seconds(claims, "nbf")?, seconds(claims, "iat")?].into_iter().flatten().reduce(f64::max);
        Ok(Self { not_before: not_before.unwrap_or(f64::NEG_INFINITY), expires })
    }

    /// Refuses a token before and after its time.
    ///
    /// `now` is real time also for a sandbox tenant: a token's life is a matter of security, not business time, and an
    /// advanced clock must neither end a session nor bring an old token back.
    pub(super) fn check(self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let now = now.timestamp_millis() as f64 / 1_000.0;
        if now >= self.expires + LEEWAY {
            return Err(Refusal::Expired);
        }
        if now < self.not_before - LEEWAY {
            return Err(Refusal::NotYetValid);
        }
        Ok(())
    }
}

/// A claim of one text.
pub(super) fn text<'a>(claims: &'a Claims, name: &str) -> Result<Option<&'a str>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(Refusal::Malformed),
    }
}

fn seconds(claims: &Claims, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Refusal::Malformed),
    }
}

/// Refuses a token that is for none of these audiences. `aud` is a text or a list of texts. RFC 7519, section 4.1.3
pub(super) fn check_audience(claims: &Claims, ours: &[String]) -> Result<(), Refusal> {
    let is_ours = |audience: &str| ours.iter().any(|our| our == audience);
    let is_for_us = match claims.get("aud") {
        None | Some(Value::Null) => false,
        Some(Value::String(audience)) => is_ours(audience),
        Some(Value::Array(audiences)) => {
            let texts: Option<Vec<_>> = audiences.iter().map(Value::as_str).collect();
            texts.ok_or(Refusal::Malformed)?.into_iter().any(is_ours)
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => return Err(Refusal::Malformed),
    };
    if is_for_us { Ok(()) } else { Err(Refusal::WrongAudience) }
}
