//! Tokens of a real OpenID provider, in good times and in bad ones.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Tenant,
    provider::{AUDIENCE, Provider, encoded, parts},
    server::Running,
};

/// A tenant that trusts a provider, and the service that may call it.
struct Trusting {
    t: Tenant,
    provider: Arc<Provider>,
    service: Running,
    /// Of the registration.
    id: String,
}

impl Trusting {
    async fn new() -> Self {
        Self::of(Arc::new(Provider::start())).await
    }

    async fn of(provider: Arc<Provider>) -> Self {
        let registration = provider.registration();
        Self::with(provider, registration).await
    }

    async fn with(provider: Arc<Provider>, registration: Value) -> Self {
        let t = Tenant::with_finance().await;
        // The port was perhaps that of a provider which another tenant trusted, in a test that is over.
        if Arc::strong_count(&provider) == 1 {
            t.database.execute(&format!("delete from tenant_issuers where issuer = '{}'", provider.issuer)).await;
        }
        let service = t.served_with_local_providers();
        let added = t.as_issuer_admin().at(&service.url()).post("//attestry/v1/issuers", &registration).await.is(201);
        let id = added.text("id").to_owned();
        Self { t, provider, service, id }
    }

    /// Somebody with this token.
    fn bearer(&self, token: &str) -> Client {
        self.t.with_authorization(Some(&format!("Bearer {token}"))).at(&self.service.url())
    }

    async fn user(&self, name: &str, groups: &[&str]) -> Client {
        let claims = json!({ "preferred_username": format!("{name}@acme.example"), "groups": groups });
        self.bearer(&self.provider.user_token(name, &claims).await)
    }

    async fn admin(&self) -> Client {
        self.user("carla", &["g-admins"]).await
    }

    fn administration(&self) -> Client {
        self.t.as_issuer_admin().at(&self.service.url())
    }
}

async fn definitions(client: &Client) -> Answer {
    client.get("/definitions").await
}

#[track_caller]
fn assert_unauthenticated(answer: Answer, said: &str) {
    let answer = answer.refused(401, "InvalidAuthenticationToken");
    assert!(answer.message().contains(said), "{}", answer.message());
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\"") && !challenge.contains("claims="), "{challenge}");
}

#[track_caller]
fn assert_unavailable(answer: Answer) {
    let answer = answer.refused(503, "ServiceUnavailable");
    assert!(answer.message().contains("OpenID provider"), "{}", answer.message());
    let seconds: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..180).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_users_token_counts_with_the_roles_that_its_groups_give() {
    let x = Trusting::new().await;

    let review = x.t.review();
    x.admin().await.post("/definitions", &review.body).await.is(201);
    definitions(&x.user("rita", &["g-readers", "g-others"]).await).await.is(200);
    let reader = x.user("rita", &["g-readers"]).await.post("/definitions", &review.body).await;
    reader.refused(403, "Forbidden");
    definitions(&x.user("zoe", &["g-others"]).await).await.refused(403, "Forbidden");
    definitions(&x.user("zoe", &["G-ADMINS", "g-admins "]).await).await.refused(403, "Forbidden");

    let created = x.t.events_of("Create access review").await;
    assert_eq!(created[0]["actor_name"], "carla", "the directory's name");
    assert_eq!(created[0]["actor_id"], crate::support::object_id("carla"));
}

#[tokio::test]
async fn an_applications_token_counts_with_the_permissions_that_are_granted() {
    let x = Trusting::new().await;

    let reading = x.bearer(&x.provider.client_token("sync", AUDIENCE, "reviews").await);
    definitions(&reading).await.is(200);
    reading.post("/definitions", &x.t.review().body).await.refused(403, "Forbidden");
    // What is delegated to an application for its users is not its own.
    let scope = "AccessReview.ReadWrite.All";
    definitions(&x.bearer(&x.provider.client_token("sync", AUDIENCE, scope).await)).await.refused(403, "Forbidden");
}

#[tokio::test]
async fn a_caller_whom_the_directory_does_not_know_is_told_so() {
    let x = Trusting::new().await;

    let answer = definitions(&x.user("nobody", &["g-admins"]).await).await.refused(403, "Forbidden");
    assert!(answer.message().contains("directory"), "{}", answer.message());
    x.t.import(&format!(
        "{}\n",
        json!({ "type": "user", "id": crate::support::object_id("zoe"), "accountEnabled": false })
    ))
    .await;
    let answer = definitions(&x.user("zoe", &["g-admins"]).await).await.refused(403, "Forbidden");
    assert!(answer.message().contains("disabled"), "{}", answer.message());
    let token = x.provider.user_token("carla", &json!({ "groups": ["g-admins"] })).await;
    assert_unauthenticated(definitions(&x.bearer(&token)).await, "claims.user");
}

/// LC-AUTH-06
#[tokio::test]
async fn a_personal_account_is_refused_even_where_it_is_registered_and_known() {
    let provider = Arc::new(Provider::start());
    let consumers = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let mut registration = provider.registration();
    registration["tenantClaim"] = json!({ "name": "tid", "value": consumers });
    let bound = Trusting::with(Arc::clone(&provider), registration).await;
    let claims = |more: Value| {
        let mut claims = json!({ "preferred_username": "carla@acme.example", "groups": ["g-admins"] });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let token = provider.user_token("carla", &claims(json!({ "tid": consumers }))).await;
    assert_unauthenticated(definitions(&bound.bearer(&token)).await, "personal account");

    let x = Trusting::new().await;
    let token = x.provider.user_token("carla", &claims(json!({ "idp": "live.com" }))).await;
    assert_unauthenticated(definitions(&x.bearer(&token)).await, "personal account");
    let token = x.provider.user_token("carla", &claims(json!({}))).await;
    definitions(&x.bearer(&token)).await.is(200);
}

#[tokio::test]
async fn a_user_may_be_named_by_a_verified_mail_address_or_by_an_id() {
    let provider = Arc::new(Provider::start());
    let mut registration = provider.registration();
    registration["claims"]["user"] = json!({ "claim": "email", "matches": "mail" });
    let x = Trusting::with(provider, registration).await;
    let client = async |verified: bool, email: &str| {
        let claims = json!({ "email": email, "email_verified": verified, "groups": ["g-readers"] });
        x.bearer(&x.provider.user_token("anything", &claims).await)
    };

    definitions(&client(true, "RITA@acme.example").await).await.is(200);
    assert_unauthenticated(definitions(&client(false, "rita@acme.example").await).await, "not verified");
    x.t.import(&format!(
        "{}\n",
        json!({ "type": "user", "id": crate::support::object_id("zoe"), "mail": "rita@acme.example" })
    ))
    .await;
    let other_case = client(true, "Rita@acme.example").await;
    let answer = definitions(&other_case).await.refused(403, "Forbidden");
    assert!(answer.message().contains("several users"), "{}", answer.message());

    let change = json!({ "claims": { "user": { "claim": "sub", "matches": "id" } } });
    x.administration().patch(&format!("//attestry/v1/issuers/{}", x.id), &change).await.is(200);
    let rita = crate::support::object_id("rita");
    let token = x.provider.user_token(&rita, &json!({ "groups": ["g-readers"] })).await;
    definitions(&x.bearer(&token)).await.is(200);
}

#[tokio::test]
async fn keys_are_rotated_while_requests_flow_and_no_good_token_is_refused() {
    let x = Arc::new(Trusting::new().await);
    definitions(&x.admin().await).await.is(200);
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (x, done, answered) = (Arc::clone(&x), Arc::clone(&done), Arc::clone(&answered));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    definitions(&x.admin().await).await.is(200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    for _ in 0..4 {
        x.provider.rotate(true).await;
        // At least two tokens of each caller were signed by the new key.
        let enough = answered.load(Ordering::SeqCst) + 12;
        while answered.load(Ordering::SeqCst) < enough && !callers.iter().any(|caller| caller.is_finished()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }

    assert_eq!(x.provider.asked().await, 5, "once at first, and once for each new key");
}

#[tokio::test]
async fn a_key_that_the_provider_withdrew_does_not_count_any_more() {
    let x = Trusting::new().await;
    let old = x.admin().await;
    definitions(&old).await.is(200);

    x.provider.rotate(false).await;
    definitions(&x.admin().await).await.is(200);

    assert_unauthenticated(definitions(&old).await, "not published");
}

#[tokio::test]
async fn the_last_good_keys_count_while_the_provider_is_gone_and_new_ones_are_found_when_it_is_back() {
    let x = Trusting::new().await;
    definitions(&x.admin().await).await.is(200);
    let another = x.user("rita", &["g-readers"]).await;

    x.provider.be("gone").await;
    definitions(&another).await.is(200);
    x.provider.rotate(true).await;
    let signed_by_a_new_key = x.admin().await;
    assert_unavailable(definitions(&signed_by_a_new_key).await);

    x.provider.be("well").await;
    crate::support::eventually("the provider is asked again", || async {
        definitions(&signed_by_a_new_key).await.status == 200
    })
    .await;
    definitions(&another).await.is(200);
}

#[tokio::test]
async fn without_any_keys_the_answer_is_to_come_back() {
    for mood in ["gone", "failing", "redirecting"] {
        let x = Trusting::new().await;
        x.provider.be(mood).await;

        assert_unavailable(definitions(&x.admin().await).await);
        assert_unavailable(definitions(&x.admin().await).await);
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_holds_up_nobody_else() {
    let slow = Trusting::new().await;
    let other = Trusting::of(Arc::new(Provider::start())).await;
    slow.provider.be("silent").await;
    let waiting = slow.admin().await;

    // One request waits for each worker thread and each connection there could be; all on one service.
    let held: Vec<_> = (0..40)
        .map(|_| {
            let waiting = waiting.at(&other.service.url());
            tokio::spawn(async move { definitions(&waiting).await })
        })
        .collect();
    crate::support::eventually("the slow provider is asked", || async { slow.provider.documents_asked().await == 1 })
        .await;
    for _ in 0..5 {
        definitions(&other.admin().await).await.is(200);
        definitions(&slow.t.as_admin().at(&other.service.url())).await.is(200);
    }
    assert!(held.iter().all(|request| !request.is_finished()), "they still wait");

    for request in held {
        assert_unavailable(request.await.unwrap());
    }
    assert_eq!(slow.provider.documents_asked().await, 1, "asked once for all");
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let x = Trusting::new().await;

    let token = x.provider.client_token("sync", "api://payroll", "reviews").await;

    assert_unauthenticated(definitions(&x.bearer(&token)).await, "another audience");
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let x = Trusting::new().await;

    let token = x.provider.expired_token("carla").await;

    assert_eq!(parts(&token).1["aud"], AUDIENCE);
    assert_unauthenticated(definitions(&x.bearer(&token)).await, "expired");
}

/// LC-AUTH-07
#[tokio::test]
async fn an_issuer_speaks_for_its_own_tenant_only() {
    let (a, b) = (Trusting::new().await, Trusting::new().await);
    let review = a.t.review().running().await;

    definitions(&a.admin().await).await.is(200);
    a.admin().await.get(&review.path()).await.is(200);
    b.admin().await.at(&a.service.url()).get(&review.path()).await.refused(404, "ResourceNotFound");
    let listed = definitions(&b.admin().await.at(&a.service.url())).await.is(200);
    assert_eq!(listed.body["value"], json!([]));

    // What a's token says of itself does not move it to b.
    let claims = json!({ "preferred_username": "carla@acme.example", "groups": ["g-admins"], "tid": b.t.id });
    let claiming = a.bearer(&a.provider.user_token("carla", &claims).await);
    claiming.get(&review.path()).await.is(200);
    // Nor may b say that a's issuer is its own.
    let taken = b.administration().post("//attestry/v1/issuers", &a.provider.registration()).await;
    taken.refused(409, "Conflict");
}

#[tokio::test]
async fn one_provider_serves_two_tenants_that_a_claim_tells_apart() {
    let provider = Arc::new(Provider::start());
    let of = |organisation: &str| {
        let mut registration = provider.registration();
        registration["tenantClaim"] = json!({ "name": "org", "value": organisation });
        registration
    };
    let north = Trusting::with(Arc::clone(&provider), of("north")).await;
    let south = Trusting::with(Arc::clone(&provider), of("south")).await;
    let review = north.t.review().running().await;
    let client = async |organisation: &str| {
        let claims = json!({ "preferred_username": "carla@acme.example", "groups": ["g-admins"], "org": organisation });
        north.bearer(&provider.user_token("carla", &claims).await)
    };

    client("north").await.get(&review.path()).await.is(200);
    client("south").await.get(&review.path()).await.refused(404, "ResourceNotFound");
    assert_unauthenticated(client("east").await.get(&review.path()).await, "another tenant");
    drop(south);
}

#[tokio::test]
async fn unsigned_tokens_and_those_signed_with_the_public_key_are_refused() {
    let x = Trusting::new().await;
    let claims = json!({ "preferred_username": "carla@acme.example", "groups": ["g-admins"] });
    let token = x.provider.user_token("carla", &claims).await;
    let (header, claims) = parts(&token);
    let (_, rest) = token.split_once('.').unwrap();
    definitions(&x.bearer(&token)).await.is(200);

    for algorithm in ["none", "None", "nOnE"] {
        let mut unsigned = header.clone();
        unsigned["alg"] = json!(algorithm);
        for signature in ["", rest.rsplit_once('.').unwrap().1] {
            let token = format!("{}.{}.{signature}", encoded(&unsigned), encoded(&claims));
            assert_unauthenticated(definitions(&x.bearer(&token)).await, "algorithm");
        }
    }

    let keys = x.provider.keys().await;
    let modulus = keys["keys"][0]["n"].as_str().unwrap();
    let mut symmetric = header.clone();
    symmetric["alg"] = json!("HS256");
    for secret in [keys.to_string(), keys["keys"][0].to_string(), modulus.to_owned()] {
        let signed = format!("{}.{}", encoded(&symmetric), encoded(&claims));
        let mut signer = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        signer.update(signed.as_bytes());
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.finalize().into_bytes()));
        assert_unauthenticated(definitions(&x.bearer(&token)).await, "algorithm");
    }

    // An algorithm that others may use, and this issuer was not registered with.
    let mut other = header.clone();
    other["alg"] = json!("RS512");
    let token = format!("{}.{rest}", encoded(&other));
    assert_unauthenticated(definitions(&x.bearer(&token)).await, "algorithm");
    let mut changed = claims.clone();
    changed["groups"] = json!(["g-admins", "g-readers"]);
    let token = format!("{}.{}.{}", encoded(&header), encoded(&changed), rest.rsplit_once('.').unwrap().1);
    assert_unauthenticated(definitions(&x.bearer(&token)).await, "signature");
}

#[tokio::test]
async fn a_removed_issuer_is_refused_at_once_and_one_that_is_registered_again_counts_at_once() {
    let x = Trusting::new().await;
    let admin = x.admin().await;
    definitions(&admin).await.is(200);

    x.administration().delete(&format!("//attestry/v1/issuers/{}", x.id)).await.is(204);
    assert_unauthenticated(definitions(&admin).await, "not trusted");

    x.administration().post("//attestry/v1/issuers", &x.provider.registration()).await.is(201);
    definitions(&admin).await.is(200);
}

#[tokio::test]
async fn a_changed_issuer_judges_tokens_that_were_verified_before() {
    let x = Trusting::new().await;
    let admin = x.admin().await;
    definitions(&admin).await.is(200);
    let change = async |change: Value| {
        x.administration().patch(&format!("//attestry/v1/issuers/{}", x.id), &change).await.is(200);
    };

    change(json!({ "grants": [] })).await;
    definitions(&admin).await.refused(403, "Forbidden");
    change(json!({ "grants": x.provider.registration()["grants"] })).await;
    definitions(&admin).await.is(200);
    change(json!({ "audiences": ["api://other"] })).await;
    assert_unauthenticated(definitions(&admin).await, "another audience");
}

/// The address comes from a tenant: it must not reach what only the service can reach.
#[tokio::test]
async fn a_provider_in_a_private_network_is_not_called_unless_the_operator_allows_it() {
    let x = Trusting::new().await;
    let strict = x.t.served_by(x.t.services.clone());

    assert_unavailable(definitions(&x.admin().await.at(&strict.url())).await);

    assert_eq!(x.provider.documents_asked().await, 0);
    definitions(&x.admin().await).await.is(200);
}

#[tokio::test]
async fn a_provider_whose_document_names_another_issuer_is_not_believed() {
    let real = Provider::start();
    let claimed = Arc::new(Provider::start());
    let mut registration = claimed.registration();
    registration["discoveryUrl"] = json!(format!("{}/.well-known/openid-configuration", real.issuer));
    let x = Trusting::with(claimed, registration).await;

    assert_unavailable(definitions(&x.admin().await).await);
}

#[tokio::test]
async fn guessed_key_names_do_not_make_the_service_hammer_the_provider() {
    let x = Trusting::new().await;
    let admin = x.admin().await;
    definitions(&admin).await.is(200);
    let claims = json!({ "preferred_username": "carla@acme.example", "groups": ["g-admins"] });
    let token = x.provider.user_token("carla", &claims).await;
    let (_, rest) = token.split_once('.').unwrap();
    let guesses: Vec<_> = (0..20)
        .map(|number| {
            let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": format!("guess-{number}") });
            let guess = x.bearer(&format!("{}.{rest}", encoded(&header)));
            tokio::spawn(async move { definitions(&guess).await })
        })
        .collect();

    definitions(&admin).await.is(200);
    for guess in guesses {
        assert_unauthenticated(guess.await.unwrap(), "not published");
    }
    let asked = x.provider.asked().await;
    assert!(asked <= 4, "asked {asked} times for 20 guesses");
}
