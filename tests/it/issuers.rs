//! Whom a tenant trusts, over HTTP: registering, changing and removing token issuers. No provider is asked here.

use serde_json::{Value, json};

use crate::support::{Client, Tenant};

const ISSUERS: &str = "//attestry/v1/issuers";
const ENTRA: &str = "7a3e4f9c-0a52-4d4e-9d0e-6f3b1a2c4d5e";

/// A registration of an issuer nobody else has.
fn registration() -> Value {
    json!({
        "issuer": format!("https://login.example/{}", attestry::app::ids::tenant()),
        "displayName": "Staff",
        "audiences": ["api://attestry"],
        "claims": { "user": { "claim": "email", "matches": "mail" } },
        "grants": [
            { "claim": "groups", "value": "admins", "directoryRole": "global administrator" },
            { "claim": "/realm_access/roles", "value": "bot", "applicationPermission": "AccessReview.Read.All" },
        ],
    })
}

fn path(issuer: &Value) -> String {
    format!("{ISSUERS}/{}", issuer["id"].as_str().unwrap())
}

async fn add(t: &Tenant, registration: &Value) -> Value {
    t.as_issuer_admin().post(ISSUERS, registration).await.is(201).body
}

#[tokio::test]
async fn an_issuer_is_registered_read_changed_and_removed_and_every_change_is_on_record() {
    let t = Tenant::with_finance().await;
    let admin = t.as_issuer_admin();
    let asked = registration();

    let answer = admin.post(ISSUERS, &asked).await.is(201);
    let added = answer.body.clone();
    assert_eq!(answer.headers["location"].to_str().unwrap(), format!("https://reviews.example{}", &path(&added)[1..]));
    assert_eq!(added["issuer"], asked["issuer"]);
    assert_eq!(added["algorithms"], json!(["RS256", "PS256", "ES256"]));
    assert_eq!(
        added["claims"],
        json!({
            "user": { "claim": "email", "matches": "mail" },
            "application": { "claim": "client_id", "matches": "appId" },
            "applicationWhen": { "rule": "subjectIsClient" },
            "scopes": "scope",
            "roles": null,
            "directoryRoles": null,
            "displayName": "name",
        })
    );
    assert_eq!(added["grants"][0]["directoryRole"], "Global Administrator");
    assert_eq!(admin.get(&path(&added)).await.is(200).body, added);
    assert_eq!(admin.get(ISSUERS).await.is(200).body, json!({ "value": [added.clone()] }));

    // What was read is sent back with one change.
    let mut changed = added.clone();
    changed["audiences"] = json!(["api://attestry", "4b1d"]);
    let after = admin.patch(&path(&added), &changed).await.is(200).body;
    assert_eq!(after["audiences"], changed["audiences"]);
    assert_eq!((&after["claims"], &after["grants"]), (&added["claims"], &added["grants"]));
    let after = admin.patch(&path(&added), &json!({ "displayName": null, "algorithms": ["EdDSA"] })).await.is(200).body;
    assert_eq!((&after["displayName"], &after["algorithms"]), (&json!(""), &json!(["EdDSA"])));

    admin.delete(&path(&added)).await.is(204);
    admin.get(&path(&added)).await.refused(404, "ResourceNotFound");
    admin.delete(&path(&added)).await.refused(404, "ResourceNotFound");
    assert_eq!(admin.get(ISSUERS).await.is(200).body, json!({ "value": [] }));

    assert_eq!(t.events_of("Token issuer added").await[0]["after"]["issuer"], asked["issuer"]);
    let changes = t.events_of("Token issuer changed").await;
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0]["before"]["audiences"], json!(["api://attestry"]));
    assert_eq!(changes[0]["after"]["audiences"], changed["audiences"]);
    let removed = t.events_of("Token issuer removed").await;
    assert_eq!((removed[0]["before"]["id"].clone(), removed[0]["after"].clone()), (added["id"].clone(), Value::Null));
    assert_eq!(removed[0]["actor_name"], "carla");
}

#[tokio::test]
async fn an_issuer_of_entra_needs_its_audience_only() {
    let t = Tenant::with_finance().await;
    // Somebody else's run may have the same: the tenant of Entra is part of the name.
    let tid = attestry::app::ids::tenant().to_string();
    for issuer in [format!("https://sts.windows.net/{tid}/"), format!("https://login.microsoftonline.com/{tid}/v2.0")] {
        let added = add(&t, &json!({ "issuer": issuer, "audiences": ["api://attestry"] })).await;

        assert_eq!(added["tenantClaim"], json!({ "name": "tid", "value": tid }));
        assert_eq!(added["claims"]["user"], json!({ "claim": "oid", "matches": "id" }));
        assert_eq!(added["claims"]["applicationWhen"], json!({ "rule": "entra" }));
        assert_eq!(added["claims"]["directoryRoles"], "wids");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_told_by_its_path() {
    let t = Tenant::with_finance().await;
    let admin = t.as_issuer_admin();
    let with = |member: &str, value: Value| {
        let mut body = registration();
        body[member] = value;
        body
    };
    let grant = |grant: Value| with("grants", json!([grant]));
    for (body, target) in [
        (json!({}), "issuer"),
        (with("issuer", json!("login.example")), "issuer"),
        (with("issuer", json!("http://login.example")), "issuer"),
        (with("issuer", json!("https://login.example/?a=b")), "issuer"),
        (with("issuer", json!(format!("https://login.example/{}", "x".repeat(512)))), "issuer"),
        (with("audiences", json!([])), "audiences"),
        (with("audiences", Value::Null), "audiences"),
        (with("audiences", json!("api://attestry")), "audiences"),
        (with("audiences", json!([7])), "audiences[0]"),
        (with("audience", json!("api://attestry")), "audience"),
        (with("algorithms", json!(["HS256"])), "algorithms[0]"),
        (with("algorithms", json!(["none"])), "algorithms[0]"),
        (with("algorithms", json!([])), "algorithms"),
        (with("discoveryUrl", json!("file:///etc/passwd")), "discoveryUrl"),
        (with("tenantClaim", json!({ "name": "tid" })), "tenantClaim.value"),
        (with("tenantClaim", json!({ "name": "tid", "value": "" })), "tenantClaim.value"),
        (with("claims", Value::Null), "claims.user"),
        (with("claims", json!({})), "claims.user"),
        (with("claims", json!({ "user": { "claim": "email", "matches": "email" } })), "claims.user.matches"),
        (with("claims", json!({ "user": { "matches": "mail" } })), "claims.user.claim"),
        (
            with("claims", json!({ "user": { "claim": "sub", "matches": "id" }, "applicationWhen": { "rule": "x" } })),
            "claims.applicationWhen.rule",
        ),
        (grant(json!({ "claim": "groups", "value": "x" })), "grants[0]"),
        (
            grant(json!({ "claim": "g", "value": "x", "directoryRole": "Global Reader",
                "delegatedPermission": "AccessReview.Read.All" })),
            "grants[0]",
        ),
        (grant(json!({ "claim": "g", "value": "x", "directoryRole": "Janitor" })), "grants[0].directoryRole"),
        (
            grant(json!({ "claim": "g", "value": "x", "applicationPermission": "User.Read" })),
            "grants[0].applicationPermission",
        ),
        (grant(json!({ "claim": "", "value": "x", "directoryRole": "Global Reader" })), "grants[0].claim"),
        (grant(json!({ "value": "x", "directoryRole": "Global Reader" })), "grants[0].claim"),
    ] {
        admin.post(ISSUERS, &body).await.faults(target);
    }
    assert_eq!(admin.get(ISSUERS).await.is(200).body, json!({ "value": [] }));
    assert_eq!(t.events_of("Token issuer added").await.len(), 0);

    let added = add(&t, &registration()).await;
    let other = json!({ "issuer": "https://other.example" });
    admin.patch(&path(&added), &other).await.faults("issuer");
    admin.patch(&path(&added), &json!({ "audiences": [] })).await.faults("audiences");
    admin.patch(&path(&added), &json!({ "claims": {} })).await.faults("claims.user");
    assert_eq!(admin.get(&path(&added)).await.is(200).body, added);
}

#[tokio::test]
async fn an_issuer_is_registered_once_unless_a_claim_keeps_two_tenants_apart() {
    let (a, b) = (Tenant::with_finance().await, Tenant::with_finance().await);
    let alone = registration();
    add(&a, &alone).await;
    for t in [&a, &b] {
        t.as_issuer_admin().post(ISSUERS, &alone).await.refused(409, "Conflict");
    }

    let of = |value: &str| {
        let mut shared = registration();
        shared["issuer"] = json!(format!("https://shared.example/{}", a.id));
        shared["tenantClaim"] = json!({ "name": "org", "value": value });
        shared
    };
    add(&a, &of("a")).await;
    let mut undivided = of("x");
    undivided["tenantClaim"] = Value::Null;
    let mut divided_otherwise = of("b");
    divided_otherwise["tenantClaim"]["name"] = json!("tid");
    for refused in [of("a"), of("A"), undivided, divided_otherwise] {
        b.as_issuer_admin().post(ISSUERS, &refused).await.refused(409, "Conflict");
    }
    let of_b = add(&b, &of("b")).await;
    for change in [json!({ "tenantClaim": null }), json!({ "tenantClaim": { "name": "org", "value": "a" } })] {
        b.as_issuer_admin().patch(&path(&of_b), &change).await.refused(409, "Conflict");
    }
}

#[tokio::test]
async fn two_who_register_one_issuer_at_once_do_not_both_get_it() {
    let (a, b) = (Tenant::with_finance().await, Tenant::with_finance().await);
    for _ in 0..5 {
        let asked = registration();
        let (a, b) = (a.as_issuer_admin(), b.as_issuer_admin());

        let (one, two) = tokio::join!(a.post(ISSUERS, &asked), b.post(ISSUERS, &asked));

        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
}

/// Whoever says whom a tenant trusts can be anybody: neither the right to manage reviews nor that of another role does.
#[tokio::test]
async fn issuers_are_administered_by_a_global_administrator_or_an_application_with_the_permission() {
    let t = Tenant::with_finance().await;
    let added = add(&t, &registration()).await;
    let (read, write, reviews) =
        ("IdentityProvider.Read.All", "IdentityProvider.ReadWrite.All", "AccessReview.ReadWrite.All");
    let user = |role: &str, scope: &str| t.as_user_with_scopes("carla", &[role], &[scope]);
    let before = t.events().await;

    for (client, reads) in [
        (user("Global Administrator", read), 200),
        (t.as_application_with(&[read]), 200),
        (user("Global Administrator", reviews), 403),
        (user("Identity Governance Administrator", write), 403),
        (user("Security Administrator", write), 403),
        (t.as_application_with(&[reviews]), 403),
        (t.as_admin(), 403),
        (t.as_user("mia"), 403),
    ] {
        let answers = |client: Client| {
            let added = added.clone();
            async move {
                [
                    client.get(ISSUERS).await.status,
                    client.get(&path(&added)).await.status,
                    client.post(ISSUERS, &registration()).await.status,
                    client.patch(&path(&added), &json!({ "displayName": "x" })).await.status,
                    client.delete(&path(&added)).await.status,
                ]
            }
        };
        assert_eq!(answers(client).await, [reads, reads, 403, 403, 403]);
    }
    assert_eq!(t.events().await, before);

    let application = t.as_application_with(&[write]);
    application.patch(&path(&added), &json!({ "displayName": "x" })).await.is(200);
    application.delete(&path(&added)).await.is(204);
}

/// LC-AUTH-07
#[tokio::test]
async fn the_issuers_of_another_tenant_and_the_built_in_one_are_not_there() {
    let (a, b) = (Tenant::with_finance().await, Tenant::with_finance().await);
    let added = add(&a, &registration()).await;
    let stranger = b.as_issuer_admin();

    assert_eq!(stranger.get(ISSUERS).await.is(200).body, json!({ "value": [] }));
    // The built-in issuer has the tenant's id.
    for path in [path(&added), format!("{ISSUERS}/{}", b.id), format!("{ISSUERS}/{ENTRA}"), format!("{ISSUERS}/x")] {
        stranger.get(&path).await.refused(404, "ResourceNotFound");
        stranger.patch(&path, &json!({ "displayName": "x" })).await.refused(404, "ResourceNotFound");
        stranger.delete(&path).await.refused(404, "ResourceNotFound");
    }
    assert_eq!(a.as_issuer_admin().get(&path(&added)).await.is(200).body, added);
}
