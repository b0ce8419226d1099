//! Continuations of paged collections: opaque, repeatable, bound to one request of one caller, and never a way around
//! rights.
//! Section 4 of the OData digest, A-09, CL-25

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::{
    domain::ids::TenantId,
    http::odata::{
        ODataError,
        options::{Parameters, SystemOption},
    },
};

/// What a continuation belongs to. It opens only where all of this is the same.
#[derive(Clone, Copy, Debug)]
pub struct TokenBinding<'a> {
    pub tenant: TenantId,
    /// The user's or application's id.
    pub caller: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// Of the request; the continuation itself and `$skip` do not count.
    pub parameters: &'a Parameters,
}

/// Bytes of the seal in front of the payload.
const SEAL_BYTES: usize = 32;
/// Keeps these seals apart from others made with the tenant's key.
const PURPOSE: &[u8] = b"skip token 1";

/// Seals the key of a page's last row with the tenant's key, as text that needs no encoding in a query.
///
/// # Errors
/// When `last_key` is not representable as JSON.
pub fn seal<T: Serialize>(key: &[u8], binding: &TokenBinding<'_>, last_key: &T) -> Result<String, serde_json::Error> {
    let payload = serde_json::to_vec(last_key)?;
    let mut sealed = mac(key, binding, &payload).finalize().into_bytes().to_vec();
    sealed.extend(payload);
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`ODataError::SkipToken`] for a continuation that is damaged, forged, or of another path, query, tenant or caller;
/// it does not
/// tell which.
pub fn open<T: DeserializeOwned>(key: &[u8], binding: &TokenBinding<'_>, token: &str) -> Result<T, ODataError> {
    let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| ODataError::SkipToken)?;
    let (seal, payload) = sealed.split_at_checked(SEAL_BYTES).ok_or(ODataError::SkipToken)?;
    // compares in constant time
    mac(key, binding, payload).verify_slice(seal).map_err(|_| ODataError::SkipToken)?;
    serde_json::from_slice(payload).map_err(|_| ODataError::SkipToken)
}

fn mac(key: &[u8], binding: &TokenBinding<'_>, payload: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    // each part with its length, so that no two sequences of parts read the same
    let mut part = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    part(PURPOSE);
    part(binding.tenant.as_uuid().as_bytes());
    part(binding.caller.as_bytes());
    part(binding.path.as_bytes());
    part(payload);
    for (name, value) in binding.parameters.bound() {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    mac
}

/// What stays literal in a query value: unreserved characters and the delimiters that mean nothing there.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b',')
    .remove(b':')
    .remove(b'/')
    .remove(b'(')
    .remove(b')');

/// The absolute link to the page after this one: every parameter of the request, encoded once, with the new
/// continuation and
/// without `$skip`, which the continuation already contains. CL-02, CL-25
///
/// `path` is the canonical path as it stands in a URL.
pub fn next_link(public_base_url: &str, path: &str, parameters: &Parameters, token: &str) -> String {
    let mut link = format!("{}{path}?", public_base_url.trim_end_matches('/'));
    for (name, value) in parameters.iter() {
        if name == SystemOption::SkipToken.as_str() || name == SystemOption::Skip.as_str() {
            continue;
        }
        link.extend(utf8_percent_encode(name, VALUE));
        link.push('=');
        link.extend(utf8_percent_encode(value, VALUE));
        link.push('&');
    }
    link.push_str(SystemOption::SkipToken.as_str());
    link.push('=');
    link.extend(utf8_percent_encode(token, VALUE));
    link
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const KEY: &[u8] = b"the tenant's own key";

    fn parameters(query: &str) -> Parameters {
        Parameters::read(query).expect("a readable query")
    }

    fn binding(parameters: &Parameters) -> TokenBinding<'_> {
        TokenBinding { tenant: TenantId::new(Uuid::from_u128(1)), caller: "adele", path: "/v1.0/x", parameters }
    }

    #[test]
    fn a_continuation_opens_as_often_as_it_is_sent() {
        let first = parameters("$top=2&$filter=status eq 'Completed'&$skip=4");
        let token = seal(KEY, &binding(&first), &("2026", 7)).expect("JSON");
        let next = parameters(&format!("%24filter=status+eq+%27Completed%27&$skiptoken={token}&$top=2"));
        for _ in 0..2 {
            assert_eq!(open::<(String, i32)>(KEY, &binding(&next), &token), Ok(("2026".to_owned(), 7)));
        }
    }

    #[test]
    fn a_continuation_of_another_request_tenant_caller_or_key_does_not_open() {
        let own = parameters("$top=2");
        let other = parameters("$top=3");
        let own = binding(&own);
        let token = seal(KEY, &own, &1).expect("JSON");
        let refused = |key, binding: TokenBinding<'_>| open::<i32>(key, &binding, &token) == Err(ODataError::SkipToken);

        assert_eq!(open(KEY, &own, &token), Ok(1));
        assert!(refused(b"another key", own));
        assert!(refused(KEY, TokenBinding { caller: "bianca", ..own }));
        assert!(refused(KEY, TokenBinding { path: "/v1.0/y", ..own }));
        assert!(refused(KEY, TokenBinding { tenant: TenantId::new(Uuid::from_u128(2)), ..own }));
        assert!(refused(KEY, TokenBinding { parameters: &other, ..own }));
    }

    #[test]
    fn a_damaged_continuation_does_not_open() {
        let none = Parameters::default();
        let token = seal(KEY, &binding(&none), &"last").expect("JSON");
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64");
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            let damaged = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(open::<String>(KEY, &binding(&none), &damaged), Err(ODataError::SkipToken));
            bytes[index] ^= 1;
        }
        for broken in ["", "x", "!", &token[1..], &token[..token.len() - 1]] {
            assert_eq!(open::<String>(KEY, &binding(&none), broken), Err(ODataError::SkipToken));
        }
    }

    #[test]
    fn a_continuation_with_another_kind_of_key_does_not_open() {
        let none = Parameters::default();
        let token = seal(KEY, &binding(&none), &"text").expect("JSON");
        assert_eq!(open::<i32>(KEY, &binding(&none), &token), Err(ODataError::SkipToken));
    }

    #[test]
    fn the_next_link_is_absolute_and_keeps_every_option_but_skip() {
        let request = parameters("%24filter=displayName%20eq%20'a%2Bb%26c'&TOP=2&$skip=4&$skiptoken=old&x=%C3%A9");
        assert_eq!(
            next_link("https://reviews.example.com/", "/v1.0/definitions/a%20b", &request, "new"),
            "https://reviews.example.com/v1.0/definitions/a%20b?$filter=displayName%20eq%20%27a%2Bb%26c%27\
             &$top=2&x=%C3%A9&$skiptoken=new"
        );
    }

    #[test]
    fn a_request_without_options_gets_a_link_with_only_the_continuation() {
        let link = next_link("http://localhost:8080", "/v1.0/x", &Parameters::default(), "t-_");
        assert_eq!(link, "http://localhost:8080/v1.0/x?$skiptoken=t-_");
    }

    proptest! {
        #[test]
        fn following_a_link_asks_for_the_same_as_the_request(filter in ".{0,30}", other in "[^$]{0,5}") {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let request = parameters(&format!("x{}={}&$filter={}", encode(&other), encode(&filter), encode(&filter)));
            let link = next_link("https://h", "/p", &request, "t");
            let followed = parameters(link.split_once('?').expect("a query").1);
            prop_assert_eq!(followed.bound(), request.bound());
            prop_assert_eq!(followed.iter().next(), request.iter().next());
            prop_assert!(url::Url::parse(&link).is_ok());
            prop_assert_eq!(next_link("https://h", "/p", &followed, "t"), link);
        }

        #[test]
        fn no_text_makes_opening_panic(token in ".{0,100}") {
            let none = Parameters::default();
            prop_assert!(open::<i32>(KEY, &binding(&none), &token).is_err());
        }
    }
}
