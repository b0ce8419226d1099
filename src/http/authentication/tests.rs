use std::sync::{
    Arc, LazyLock, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use proptest::prelude::*;
use rsa::pkcs1::EncodeRsaPrivateKey;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    app::development_tokens,
    domain::{
        authorization::{CallerKind, DirectoryRole, Permission, RoleSet},
        ids::{IssuerId, ObjectId, TenantId},
        token_issuer::{
            ClaimMapping, ClaimName, IssuerSettings, SigningAlgorithm, TenantClaim,
            assertion::{AssertedCaller, StatedIdentity, Subject, UserKey},
        },
    },
    openid::{FetchError, FetchedKeys, KeyAddress, KeySource},
};

const ISSUER: &str = "https://login.acme.example/v2.0";
const AUDIENCE: &str = "api://attestry";
const CALLER: Uuid = Uuid::from_u128(0xca11e4);

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(0xacce))
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time in 2027")
}

/// A key pair that was made for this run.
#[derive(Clone)]
struct Pair {
    signer: EncodingKey,
    public: Jwk,
}

impl Pair {
    fn new(signer: EncodingKey, algorithm: Algorithm, kid: &str) -> Self {
        let mut public = Jwk::from_encoding_key(&signer, algorithm).expect("a public key follows from a private key");
        public.common.key_id = Some(kid.to_owned());
        Self { signer, public }
    }

    /// PKCS #8 around 48 random bytes or fewer: what stands before the key is the same for every key of a kind.
    fn from_random(before: &[u8], length: usize, algorithm: Algorithm, kid: &str) -> Self {
        let mut der = before.to_vec();
        der.extend(std::iter::repeat_with(rand::random::<u8>).take(length));
        let signer = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_ec_der(&der),
        };
        Self::new(signer, algorithm, kid)
    }

    fn p256(kid: &str) -> Self {
        let before =
            b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
                       \x04\x27\x30\x25\x02\x01\x01\x04\x20";
        Self::from_random(before, 32, Algorithm::ES256, kid)
    }

    fn p384(kid: &str) -> Self {
        let before = b"\x30\x4e\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\
                       \x04\x37\x30\x35\x02\x01\x01\x04\x30";
        Self::from_random(before, 48, Algorithm::ES384, kid)
    }

    fn ed25519(kid: &str) -> Self {
        let before = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        Self::from_random(before, 32, Algorithm::EdDSA, kid)
    }

    fn rsa(bits: usize, kid: &str) -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).expect("an RSA key can be made");
        let der = key.to_pkcs1_der().expect("an RSA key can be written");
        let mut pair = Self::new(EncodingKey::from_rsa_der(der.as_bytes()), Algorithm::RS256, kid);
        // for every RSA algorithm
        pair.public.common.key_algorithm = None;
        pair
    }

    fn sign(&self, algorithm: Algorithm, claims: &Value) -> String {
        let mut header = Header::new(algorithm);
        header.kid = self.public.common.key_id.clone();
        jsonwebtoken::encode(&header, claims, &self.signer).expect("the claims can be signed")
    }
}

static P256: LazyLock<Pair> = LazyLock::new(|| Pair::p256("p256"));
static P384: LazyLock<Pair> = LazyLock::new(|| Pair::p384("p384"));
static ED25519: LazyLock<Pair> = LazyLock::new(|| Pair::ed25519("ed25519"));
static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::rsa(2048, "rsa"));

/// Issuers, and how often they were asked for.
#[derive(Clone)]
struct Registered {
    issuers: Arc<Mutex<Vec<TrustedIssuer>>>,
    asked: Arc<AtomicUsize>,
}

impl Registered {
    fn new(issuer: TrustedIssuer) -> Self {
        Self { issuers: Arc::new(Mutex::new(vec![issuer])), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl IssuerSource for Registered {
    async fn issuers(&self, issuer: &str) -> Result<Vec<TrustedIssuer>, SourceUnavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let issuers = self.issuers.lock().expect("no test panics with the lock").clone();
        Ok(issuers.into_iter().filter(|row| row.settings.issuer == issuer).collect())
    }
}

/// No provider is asked: the keys stand beside the issuers.
struct NoProvider;

#[async_trait]
impl KeySource for NoProvider {
    async fn keys(&self, _: &KeyAddress) -> Result<FetchedKeys, FetchError> {
        Err(FetchError::OtherIssuer)
    }
}

fn verifier<S: IssuerSource>(source: S, accept_development_issuers: bool) -> TokenVerifier<S> {
    TokenVerifier::new(source, Arc::new(NoProvider), accept_development_issuers)
}

fn issuer_with(keys: &[&Pair], algorithms: &[SigningAlgorithm]) -> TrustedIssuer {
    TrustedIssuer {
        id: IssuerId::new(Uuid::from_u128(0x155)),
        revision: 1,
        tenant_id: tenant(),
        settings: IssuerSettings {
            issuer: ISSUER.to_owned(),
            display_name: String::new(),
            audiences: vec![AUDIENCE.to_owned(), "api://second".to_owned()],
            discovery_url: None,
            algorithms: algorithms.to_vec(),
            tenant_claim: Some(TenantClaim { name: ClaimName::new("tid"), value: tenant().to_string() }),
            claims: ClaimMapping::entra(),
            grants: Vec::new(),
        },
        fixed_keys: Some(FixedKeys { jwks: key_set(keys).to_string(), development: false }),
    }
}

fn key_set(keys: &[&Pair]) -> Value {
    json!({ "keys": keys.iter().map(|pair| &pair.public).collect::<Vec<_>>() })
}

/// An issuer with one P-256 key.
fn issuer() -> TrustedIssuer {
    issuer_with(&[&*P256], &[SigningAlgorithm::ES256])
}

/// The claims of a user who may write, good for an hour from [`now`].
fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "nbf": now().timestamp(),
        "exp": now().timestamp() + 3_600,
        "tid": tenant(),
        "oid": CALLER,
        "scp": "openid AccessReview.ReadWrite.All",
        "wids": [DirectoryRole::UserAdministrator.template_id()],
        "upn": "ada@acme.example",
        "name": "Ada Byron",
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("claims are an object").remove(name);
    claims
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn authenticate(issuer: TrustedIssuer, token: &str) -> Result<AssertedCaller, Refusal> {
    authenticate_at(issuer, token, now())
}

fn authenticate_at(issuer: TrustedIssuer, token: &str, at: DateTime<Utc>) -> Result<AssertedCaller, Refusal> {
    let verifier = verifier(Registered::new(issuer), false);
    outcome(run(verifier.authenticate(Some(&format!("Bearer {token}")), at)))
}

fn outcome(result: Result<VerifiedToken, AuthenticationError>) -> Result<AssertedCaller, Refusal> {
    match result {
        Ok(caller) => Ok(AssertedCaller::clone(&caller)),
        Err(AuthenticationError::Refused(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[test]
fn a_users_token_makes_a_caller_with_its_permission_and_roles() {
    let caller = authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims())).expect("the token is good");

    assert_eq!(caller.tenant_id, tenant());
    assert_eq!(caller.kind, CallerKind::User);
    assert_eq!(caller.permission, Some(Permission::ReadWrite));
    assert_eq!(caller.roles, RoleSet::of(&[DirectoryRole::UserAdministrator]));
    assert_eq!(caller.subject, Subject::User(UserKey::Id(ObjectId::new(CALLER))));
}

#[test]
fn an_applications_token_counts_its_application_permissions_and_no_directory_role() {
    let mut claims = claims_without("scp");
    claims["roles"] = json!(["AccessReview.Read.All"]);

    let caller = authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims)).expect("the token is good");

    assert_eq!(caller.kind, CallerKind::Application);
    assert_eq!(caller.permission, Some(Permission::Read));
    assert_eq!(caller.roles, RoleSet::EMPTY);
}

#[test]
fn the_kind_of_token_decides_which_permissions_count() {
    for (idtyp, scp, roles, kind, permission) in [
        (Some("app"), Some("AccessReview.ReadWrite.All"), json!([]), CallerKind::Application, None),
        (Some("user"), None, json!(["AccessReview.ReadWrite.All"]), CallerKind::User, None),
        (None, Some("openid"), json!(["AccessReview.ReadWrite.All"]), CallerKind::User, None),
        (None, None, json!(["AccessReview.Read.All"]), CallerKind::Application, Some(Permission::Read)),
    ] {
        let mut claims = claims();
        claims["idtyp"] = json!(idtyp);
        claims["scp"] = json!(scp);
        claims["roles"] = roles;
        let caller = authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims)).expect("the token is good");

        assert_eq!((caller.kind, caller.permission), (kind, permission), "{claims}");
    }
}

#[test]
fn every_family_of_keys_is_accepted() {
    for (pair, algorithm) in [
        (&*P256, Algorithm::ES256),
        (&*P384, Algorithm::ES384),
        (&*ED25519, Algorithm::EdDSA),
        (&*RSA, Algorithm::RS256),
        (&*RSA, Algorithm::RS384),
        (&*RSA, Algorithm::RS512),
        (&*RSA, Algorithm::PS256),
        (&*RSA, Algorithm::PS384),
        (&*RSA, Algorithm::PS512),
    ] {
        let issuer = issuer_with(&[&*P256, &*P384, &*ED25519, &*RSA], &SigningAlgorithm::ALL);
        assert!(authenticate(issuer, &pair.sign(algorithm, &claims())).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn the_audience_may_be_one_of_several() {
    let token = P256.sign(Algorithm::ES256, &claims_with("aud", json!(["api://other", AUDIENCE])));

    assert!(authenticate(issuer(), &token).is_ok());
}

#[test]
fn a_signature_by_another_key_of_the_same_name_is_refused() {
    let token = Pair::p256("p256").sign(Algorithm::ES256, &claims());

    assert_eq!(authenticate(issuer(), &token), Err(Refusal::BadSignature));
}

#[test]
fn claims_changed_after_signing_are_refused() {
    let token = P256.sign(Algorithm::ES256, &claims());
    let (header, rest) = token.split_once('.').expect("three parts");
    let (_, signature) = rest.split_once('.').expect("three parts");
    let changed = encoded(&claims_with("oid", json!(Uuid::from_u128(1))));

    assert_eq!(authenticate(issuer(), &format!("{header}.{changed}.{signature}")), Err(Refusal::BadSignature));
    assert_eq!(authenticate(issuer(), &format!("{header}.{changed}.")), Err(Refusal::BadSignature));
}

#[test]
fn an_issuer_nobody_registered_is_refused() {
    for iss in [json!("https://login.evil.example/v2.0"), json!(""), json!("i".repeat(600))] {
        let token = P256.sign(Algorithm::ES256, &claims_with("iss", iss));

        assert_eq!(authenticate(issuer(), &token), Err(Refusal::UntrustedIssuer));
    }
}

/// LC-AUTH-07
#[test]
fn an_issuer_cannot_speak_for_another_tenant() {
    for claims in
        [claims_with("tid", json!(Uuid::from_u128(7))), claims_with("tid", json!("acme")), claims_without("tid")]
    {
        assert_eq!(
            authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims)),
            Err(Refusal::WrongTenant),
            "{claims}"
        );
    }
}

#[test]
fn another_audience_is_refused() {
    for claims in [
        claims_with("aud", json!("api://other")),
        claims_with("aud", json!(["api://other"])),
        claims_with("aud", json!([])),
        claims_without("aud"),
    ] {
        assert_eq!(
            authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims)),
            Err(Refusal::WrongAudience),
            "{claims}"
        );
    }
}

#[test]
fn a_token_counts_from_a_minute_before_its_time_until_a_minute_after_it() {
    let token = P256.sign(Algorithm::ES256, &claims());
    let at = |seconds| authenticate_at(issuer(), &token, now() + TimeDelta::seconds(seconds)).map(|_| ());

    assert_eq!(at(-61), Err(Refusal::NotYetValid));
    assert_eq!(at(-60), Ok(()));
    assert_eq!(at(3_659), Ok(()));
    assert_eq!(at(3_660), Err(Refusal::Expired));
}

#[test]
fn a_token_that_never_expires_is_refused() {
    assert_eq!(
        authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims_without("exp"))),
        Err(Refusal::ExpiryMissing)
    );
}

#[test]
fn a_token_without_a_caller_is_refused() {
    for claims in [
        claims_without("oid"),
        claims_with("oid", json!("ada")),
        claims_with("oid", json!(Uuid::nil())),
        claims_with("oid", Value::Null),
    ] {
        assert_eq!(
            authenticate(issuer(), &P256.sign(Algorithm::ES256, &claims)),
            Err(Refusal::CallerMissing),
            "{claims}"
        );
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    for alg in ["none", "None", "NONE", ""] {
        let header = encoded(&json!({"alg": alg, "typ": "JWT", "kid": "p256"}));
        let token = format!("{header}.{}.", encoded(&claims()));

        assert_eq!(authenticate(issuer(), &token), Err(Refusal::AlgorithmNotAccepted), "{alg}");
    }
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let public = serde_json::to_vec(&P256.public).expect("a key can be written");
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("p256".to_owned());
    let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public)).expect("it can be signed");

    assert_eq!(authenticate(issuer(), &token), Err(Refusal::AlgorithmNotAccepted));

    let named = SigningAlgorithm::from_name("HS256");
    assert_eq!(named, None, "no issuer can be registered with it");
}

#[test]
fn an_algorithm_that_the_issuer_is_not_registered_with_is_refused() {
    let issuer = issuer_with(&[&*P256, &*P384], &[SigningAlgorithm::ES256]);

    assert_eq!(authenticate(issuer, &P384.sign(Algorithm::ES384, &claims())), Err(Refusal::AlgorithmNotAccepted));
}

#[test]
fn a_key_that_the_issuer_has_not_published_is_refused() {
    let token = Pair::p256("tomorrow").sign(Algorithm::ES256, &claims());

    assert_eq!(authenticate(issuer(), &token), Err(Refusal::UnknownKey));
}

#[test]
fn a_token_that_names_no_key_is_refused() {
    let token =
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims(), &P256.signer).expect("it can be signed");

    assert_eq!(authenticate(issuer(), &token), Err(Refusal::KeyMissing));
}

#[test]
fn a_key_of_another_algorithm_is_refused() {
    let mut misnamed = P384.clone();
    misnamed.public.common.key_id = Some("p256".to_owned());
    let token = misnamed.sign(Algorithm::ES384, &claims());
    assert_eq!(authenticate(issuer_with(&[&*P256], &SigningAlgorithm::ALL), &token), Err(Refusal::KeyNotForAlgorithm));

    let mut narrow = RSA.clone();
    narrow.public.common.key_algorithm = Some(KeyAlgorithm::RS256);
    assert_eq!(
        authenticate(issuer_with(&[&narrow], &SigningAlgorithm::ALL), &narrow.sign(Algorithm::PS256, &claims())),
        Err(Refusal::KeyNotForAlgorithm)
    );
}

#[test]
fn keys_for_encryption_and_short_rsa_keys_are_not_used() {
    let mut encrypting = P256.clone();
    encrypting.public.common.public_key_use = Some(PublicKeyUse::Encryption);
    let token = encrypting.sign(Algorithm::ES256, &claims());
    assert_eq!(authenticate(issuer_with(&[&encrypting], &SigningAlgorithm::ALL), &token), Err(Refusal::UnknownKey));

    let short = Pair::rsa(1024, "short");
    let token = short.sign(Algorithm::RS256, &claims());
    assert_eq!(authenticate(issuer_with(&[&short], &SigningAlgorithm::ALL), &token), Err(Refusal::UnknownKey));
}

#[test]
fn a_header_that_demands_extensions_is_refused() {
    let header = encoded(&json!({"alg": "ES256", "kid": "p256", "crit": ["b64"], "b64": false}));

    assert_eq!(
        authenticate(issuer(), &format!("{header}.{}.AAAA", encoded(&claims()))),
        Err(Refusal::CriticalExtension)
    );
}

#[test]
fn garbage_is_refused() {
    let header = encoded(&json!({"alg": "ES256", "kid": "p256"}));
    for token in [
        "x".to_owned(),
        "a.b".to_owned(),
        "a.b.c.d".to_owned(),
        "..".to_owned(),
        "!!!.###.$$$".to_owned(),
        format!("{header}..AAAA"),
        format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode("no json")),
        format!("{header}.{}.AAAA", encoded(&json!({"iss": 7}))),
        format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode(format!(r#"{{"iss":"{ISSUER}","iss":"x"}}"#))),
        format!("{}.{}.AAAA", encoded(&json!([])), encoded(&claims())),
        P256.sign(Algorithm::ES256, &claims_with("exp", json!("tomorrow"))),
        P256.sign(Algorithm::ES256, &claims_with("scp", json!({ "AccessReview.Read.All": true }))),
        P256.sign(Algorithm::ES256, &claims_with("aud", json!({}))),
        P256.sign(Algorithm::ES256, &claims_with("iat", json!("now"))),
    ] {
        assert_eq!(authenticate(issuer(), &token), Err(Refusal::Malformed), "{token}");
    }
}

#[test]
fn an_oversized_token_is_refused_before_it_is_read() {
    let registered = Registered::new(issuer());
    let verifier = verifier(registered.clone(), false);
    let token = P256.sign(Algorithm::ES256, &claims_with("padding", json!("x".repeat(MAXIMUM_TOKEN_BYTES))));

    assert_eq!(outcome(run(verifier.authenticate(Some(&format!("Bearer {token}")), now()))), Err(Refusal::Oversized));
    assert_eq!(registered.asked(), 0);
}

#[test]
fn the_word_bearer_may_be_written_in_any_case_and_nothing_else_stands_for_it() {
    let verifier = verifier(Registered::new(issuer()), false);
    let token = P256.sign(Algorithm::ES256, &claims());
    let ask = |header: Option<&str>| outcome(run(verifier.authenticate(header, now()))).map(|_| ());

    for scheme in ["Bearer", "bearer", "BEARER", "  bEaReR "] {
        assert_eq!(ask(Some(&format!("{scheme} {token}"))), Ok(()), "{scheme}");
    }
    assert_eq!(ask(None), Err(Refusal::Missing));
    assert_eq!(ask(Some("  ")), Err(Refusal::Missing));
    for header in ["Bearer", token.as_str(), "Basic QTpC", &format!("Bearer{token}"), &format!("Token {token}")] {
        assert_eq!(ask(Some(header)), Err(Refusal::NotBearer), "{header}");
    }
}

fn development_token(request: &development_tokens::TokenRequest) -> (TrustedIssuer, String) {
    let made = development_tokens::generate(tenant()).expect("a key can be made");
    let token = development_tokens::sign(&made.key, request, now()).expect("the token can be signed");
    let mut issuer = issuer();
    issuer.settings.issuer = development_tokens::issuer(tenant());
    issuer.fixed_keys = Some(FixedKeys { jwks: made.jwks.to_string(), development: true });
    (issuer, token)
}

fn ada(roles: &[&str], scopes: &[&str]) -> development_tokens::TokenRequest {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    development_tokens::TokenRequest::new(
        development_tokens::Subject::User {
            id: crate::domain::ids::ObjectId::new(CALLER),
            user_principal_name: "ada@acme.example".to_owned(),
            display_name: "Ada Byron".to_owned(),
        },
        &texts(roles),
        &texts(scopes),
        development_tokens::parse_lifetime("1h").expect("an hour"),
    )
    .expect("the request is good")
}

#[test]
fn a_development_issuer_counts_only_while_switched_on() {
    let (issuer, token) = development_token(&ada(&["global reader"], &[]));
    let header = format!("Bearer {token}");

    let off = verifier(Registered::new(issuer.clone()), false);
    assert_eq!(outcome(run(off.authenticate(Some(&header), now()))), Err(Refusal::UntrustedIssuer));

    let on = verifier(Registered::new(issuer), true);
    let caller = outcome(run(on.authenticate(Some(&header), now()))).expect("development issuers are on");
    assert_eq!(caller.kind, CallerKind::User);
    assert_eq!(caller.permission, Some(Permission::ReadWrite));
    assert_eq!(caller.roles, RoleSet::of(&[DirectoryRole::GlobalReader]));
    let stated = StatedIdentity {
        id: ObjectId::new(CALLER),
        display_name: "Ada Byron".to_owned(),
        user_principal_name: "ada@acme.example".to_owned(),
    };
    assert_eq!(caller.subject, Subject::Stated(stated));
}

#[test]
fn a_scope_that_is_asked_for_replaces_the_default() {
    let (issuer, token) = development_token(&ada(&[], &["AccessReview.Read.All", "openid"]));
    let verifier = verifier(Registered::new(issuer), true);

    let caller = outcome(run(verifier.authenticate(Some(&format!("Bearer {token}")), now()))).expect("a good token");
    assert_eq!(caller.permission, Some(Permission::Read));
}

#[test]
fn an_application_gets_its_permissions_from_the_built_in_issuer() {
    for (roles, permission) in [
        (vec![], Some(Permission::ReadWrite)),
        (vec!["AccessReview.Read.All".to_owned()], Some(Permission::Read)),
        (vec!["Something.Else".to_owned()], None),
    ] {
        let id = development_tokens::application_id(tenant(), "payroll");
        let request = development_tokens::TokenRequest::new(
            development_tokens::Subject::Application { id, display_name: "payroll".to_owned() },
            &roles,
            &[],
            development_tokens::parse_lifetime("P1D").expect("a day"),
        )
        .expect("the request is good");
        let (issuer, token) = development_token(&request);
        let verifier = verifier(Registered::new(issuer), true);

        let caller =
            outcome(run(verifier.authenticate(Some(&format!("Bearer {token}")), now()))).expect("a good token");
        assert_eq!((caller.kind, caller.permission), (CallerKind::Application, permission));
        assert!(matches!(caller.subject, Subject::Stated(stated) if stated.id == id));
    }
}

#[test]
fn an_issuer_is_asked_for_once_a_second() {
    let registered = Registered::new(issuer());
    let verifier = verifier(registered.clone(), false);
    for number in 0..5 {
        let token = P256.sign(Algorithm::ES256, &claims_with("jti", json!(number)));
        let at = now() + TimeDelta::milliseconds(number * 199);
        assert!(run(verifier.authenticate(Some(&format!("Bearer {token}")), at)).is_ok());
    }
    assert_eq!(registered.asked(), 1);

    let token = P256.sign(Algorithm::ES256, &claims_with("jti", json!("later")));
    let at = now() + TimeDelta::seconds(1);
    assert!(run(verifier.authenticate(Some(&format!("Bearer {token}")), at)).is_ok());
    assert_eq!(registered.asked(), 2);
}

#[test]
fn an_unknown_issuer_is_asked_for_again_soon_but_not_at_once() {
    let registered = Registered::new(issuer());
    let held_back = std::mem::take(&mut *registered.issuers.lock().expect("the lock"));
    let verifier = verifier(registered.clone(), false);
    let header = format!("Bearer {}", P256.sign(Algorithm::ES256, &claims()));
    let at =
        |seconds| outcome(run(verifier.authenticate(Some(&header), now() + TimeDelta::seconds(seconds)))).map(|_| ());

    assert_eq!(at(0), Err(Refusal::UntrustedIssuer));
    *registered.issuers.lock().expect("the lock") = held_back;
    assert_eq!(at(4), Err(Refusal::UntrustedIssuer));
    assert_eq!(registered.asked(), 1);
    assert_eq!(at(5), Ok(()));
}

#[test]
fn an_issuer_that_was_removed_elsewhere_stops_counting_within_a_second() {
    let registered = Registered::new(issuer());
    let verifier = verifier(registered.clone(), false);
    let header = format!("Bearer {}", P256.sign(Algorithm::ES256, &claims()));
    let at = |milliseconds| {
        outcome(run(verifier.authenticate(Some(&header), now() + TimeDelta::milliseconds(milliseconds)))).map(|_| ())
    };

    assert_eq!(at(0), Ok(()));
    registered.issuers.lock().expect("the lock").clear();
    assert_eq!(at(999), Ok(()));
    assert_eq!(at(1_000), Err(Refusal::UntrustedIssuer));
}

#[test]
fn what_is_forgotten_is_asked_for_at_once() {
    let registered = Registered::new(issuer());
    let verifier = verifier(registered.clone(), false);
    let header = format!("Bearer {}", P256.sign(Algorithm::ES256, &claims()));
    let ask = || outcome(run(verifier.authenticate(Some(&header), now()))).map(|_| ());
    assert_eq!(ask(), Ok(()));

    let held_back = std::mem::take(&mut *registered.issuers.lock().expect("the lock"));
    verifier.forget(ISSUER);
    assert_eq!(ask(), Err(Refusal::UntrustedIssuer));

    *registered.issuers.lock().expect("the lock") = held_back;
    verifier.forget(ISSUER);
    assert_eq!(ask(), Ok(()));
}

/// A remembered token is judged by the registration as it is.
#[test]
fn a_changed_registration_counts_for_tokens_that_were_verified_before() {
    let registered = Registered::new(issuer());
    let verifier = verifier(registered.clone(), false);
    let header = format!("Bearer {}", P256.sign(Algorithm::ES256, &claims()));
    let ask = || outcome(run(verifier.authenticate(Some(&header), now()))).map(|caller| caller.roles);
    assert_eq!(ask(), Ok(RoleSet::of(&[DirectoryRole::UserAdministrator])));

    let change = |change: &dyn Fn(&mut TrustedIssuer)| {
        let mut issuers = registered.issuers.lock().expect("the lock");
        change(&mut issuers[0]);
        issuers[0].revision += 1;
        verifier.forget(ISSUER);
    };
    change(&|issuer| issuer.settings.claims.directory_roles = None);
    assert_eq!(ask(), Ok(RoleSet::EMPTY));
    change(&|issuer| issuer.settings.audiences = vec!["api://other".to_owned()]);
    assert_eq!(ask(), Err(Refusal::WrongAudience));
}

#[test]
fn one_issuer_may_serve_two_tenants_when_a_claim_says_which() {
    let other = TenantId::new(Uuid::from_u128(0xbee));
    let mut theirs = issuer();
    theirs.id = IssuerId::new(Uuid::from_u128(2));
    theirs.tenant_id = other;
    theirs.settings.tenant_claim = Some(TenantClaim { name: ClaimName::new("tid"), value: other.to_string() });
    let registered = Registered::new(issuer());
    registered.issuers.lock().expect("the lock").push(theirs);
    let verifier = verifier(registered.clone(), false);
    let tenant_of = |tid: Value| {
        // Another token each time: one that was verified is only asked whether its own registration changed.
        let mut claims = claims_with("tid", tid);
        claims["jti"] = json!(registered.asked());
        let token = P256.sign(Algorithm::ES256, &claims);
        outcome(run(verifier.authenticate(Some(&format!("Bearer {token}")), now()))).map(|caller| caller.tenant_id)
    };

    assert_eq!(tenant_of(json!(tenant())), Ok(tenant()));
    assert_eq!(tenant_of(json!(other)), Ok(other));
    assert_eq!(tenant_of(json!("third")), Err(Refusal::WrongTenant));
    registered.issuers.lock().expect("the lock")[1].settings.tenant_claim = None;
    verifier.forget(ISSUER);
    assert_eq!(tenant_of(json!(tenant())), Err(Refusal::WrongTenant), "two that cannot be told apart");
}

#[test]
fn a_remembered_token_still_expires() {
    let verifier = verifier(Registered::new(issuer()), false);
    let header = format!("Bearer {}", P256.sign(Algorithm::ES256, &claims_with("exp", json!(now().timestamp() - 30))));
    let at =
        |seconds| outcome(run(verifier.authenticate(Some(&header), now() + TimeDelta::seconds(seconds)))).map(|_| ());

    assert_eq!(at(0), Ok(()));
    assert_eq!(at(29), Ok(()));
    assert_eq!(at(30), Err(Refusal::Expired));
    assert_eq!(at(-61), Err(Refusal::NotYetValid));
}

#[test]
fn issuers_that_cannot_be_read_are_no_fault_of_the_token() {
    struct Broken;

    #[async_trait]
    impl IssuerSource for Broken {
        async fn issuers(&self, _: &str) -> Result<Vec<TrustedIssuer>, SourceUnavailable> {
            Err(SourceUnavailable("the database is not reachable".into()))
        }
    }
    let header = format!("Bearer {}", P256.sign(Algorithm::ES256, &claims()));

    assert!(matches!(
        run(verifier(Broken, false).authenticate(Some(&header), now())),
        Err(AuthenticationError::Unavailable(_))
    ));
}

/// CL-11
#[test]
fn a_challenge_is_a_quoted_sentence_and_never_asks_for_claims() {
    for refusal in [
        Refusal::Missing,
        Refusal::NotBearer,
        Refusal::Oversized,
        Refusal::Malformed,
        Refusal::CriticalExtension,
        Refusal::AlgorithmNotAccepted,
        Refusal::UntrustedIssuer,
        Refusal::KeyMissing,
        Refusal::UnknownKey,
        Refusal::KeyNotForAlgorithm,
        Refusal::BadSignature,
        Refusal::WrongAudience,
        Refusal::WrongTenant,
        Refusal::Expired,
        Refusal::NotYetValid,
        Refusal::ExpiryMissing,
        Refusal::CallerMissing,
        Refusal::MailNotVerified,
        Refusal::PersonalAccount,
    ] {
        let challenge = refusal.www_authenticate();

        assert!(challenge.starts_with(r#"Bearer realm="attestry""#));
        assert!(!challenge.contains("claims="));
        assert!(challenge.is_ascii() && !challenge.contains(['\\', '\n']), "{challenge}");
        assert_eq!(challenge.matches('"').count() % 2, 0);
        assert_eq!(challenge.contains("invalid_token"), refusal != Refusal::Missing);
    }
}

/// CL-13
#[test]
fn the_message_about_a_missing_token_says_how_clients_lose_it() {
    let message = Refusal::Missing.to_string();

    assert!(message.contains("allowed hosts") && message.contains("http instead of https"));
}

#[test]
fn a_verifier_can_be_shared_between_threads_and_tasks() {
    fn shared<T: Send + Sync>(_: &T) {}
    fn sendable<T: Send>(_: &T) {}
    let verifier = verifier(Registered::new(issuer()), false);

    shared(&verifier);
    sendable(&verifier.authenticate(None, now()));
}

proptest! {
    #[test]
    fn no_header_makes_the_verifier_panic_or_a_caller(header in "(Bearer )?[A-Za-z0-9_.-]{0,80}") {
        let verifier = verifier(Registered::new(issuer()), true);

        prop_assert!(run(verifier.authenticate(Some(&header), now())).is_err());
    }

    #[test]
    fn a_token_with_any_one_byte_changed_is_refused(at: prop::sample::Index, bit in 0u8..7) {
        let token = P256.sign(Algorithm::ES256, &claims());
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(authenticate(issuer(), &changed).is_err(), "{} became {}", token, changed);
        }
    }
}
