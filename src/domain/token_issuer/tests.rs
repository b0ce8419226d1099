use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    assertion::{ApplicationKey, AssertedCaller, ClaimFault, Subject, UserKey, assert_caller},
    *,
};
use crate::domain::{
    authorization::{CallerKind, RoleSet},
    ids::ObjectId,
};

const ISSUER: &str = "https://login.acme.example";
const TENANT: &str = "7a3e4f9c-0a52-4d4e-9d0e-6f3b1a2c4d5e";

fn openid(claim: &str, matches: UserMatch) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        display_name: String::new(),
        audiences: vec!["api://attestry".to_owned()],
        discovery_url: None,
        algorithms: SigningAlgorithm::USUAL.to_vec(),
        tenant_claim: None,
        claims: ClaimMapping::openid(UserClaim { claim: ClaimName::new(claim), matches }),
        grants: Vec::new(),
    }
}

fn entra() -> IssuerSettings {
    IssuerSettings { claims: ClaimMapping::entra(), ..openid("sub", UserMatch::Id) }
}

fn grant(claim: &str, value: &str, gives: Given) -> Grant {
    Grant { claim: ClaimName::new(claim), value: value.to_owned(), gives }
}

fn asserted(settings: &IssuerSettings, claims: Value) -> Result<AssertedCaller, ClaimFault> {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    assert_caller(&claims, TenantId::new(Uuid::from_u128(1)), settings)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The members of a version 1 token that matter, and some that do not.
#[test]
fn entras_tokens_of_version_1_work_as_they_are() {
    let user = json!({
        "aud": "api://attestry", "iss": format!("https://sts.windows.net/{TENANT}/"), "acr": "1", "amr": ["pwd", "mfa"],
        "appid": id(9), "appidacr": "1", "name": "Ada Byron", "oid": id(7), "scp": "AccessReview.ReadWrite.All User.Read",
        "sub": "pairwise", "tid": TENANT, "unique_name": "ada@acme.example", "upn": "ada@acme.example", "ver": "1.0",
        "wids": ["62e90394-69f5-4237-9190-012177145e10", "b79fbf4d-3ef9-4689-8143-76b194e85509"],
    });
    let caller = asserted(&entra(), user).unwrap();
    assert_eq!(caller.subject, Subject::User(UserKey::Id(ObjectId::new(id(7)))));
    assert_eq!((caller.kind, caller.permission), (CallerKind::User, Some(Permission::ReadWrite)));
    assert_eq!(caller.roles, RoleSet::of(&[DirectoryRole::GlobalAdministrator]));

    let application = json!({
        "aud": "api://attestry", "appid": id(9), "appidacr": "1", "oid": id(8), "roles": ["AccessReview.Read.All"],
        "sub": id(8), "tid": TENANT, "ver": "1.0", "wids": ["62e90394-69f5-4237-9190-012177145e10"],
    });
    let caller = asserted(&entra(), application).unwrap();
    let key = ApplicationKey::Id(ObjectId::new(id(8)));
    assert_eq!(caller.subject, Subject::Application { key, display_name: id(8).to_string() });
    assert_eq!((caller.kind, caller.permission), (CallerKind::Application, Some(Permission::Read)));
    assert_eq!(caller.roles, RoleSet::EMPTY, "an application has no directory role");
}

#[test]
fn entras_tokens_of_version_2_work_as_they_are() {
    let user = json!({
        "aud": id(5), "azp": id(9), "azpacr": "0", "idtyp": "user", "name": "Ada", "oid": id(7),
        "preferred_username": "ada@acme.example", "scp": "AccessReview.Read.All", "roles": ["AccessReview.ReadWrite.All"],
        "tid": TENANT, "ver": "2.0",
    });
    let caller = asserted(&entra(), user).unwrap();
    assert_eq!((caller.kind, caller.permission), (CallerKind::User, Some(Permission::Read)));

    let application = json!({
        "aud": id(5), "azp": id(9), "idtyp": "app", "oid": id(8), "roles": ["IdentityProvider.ReadWrite.All"],
        "scp": "AccessReview.ReadWrite.All", "tid": TENANT, "ver": "2.0",
    });
    let caller = asserted(&entra(), application).unwrap();
    assert_eq!((caller.kind, caller.permission), (CallerKind::Application, None));
    assert_eq!(caller.identity_provider_permission, Some(IdentityProviderPermission::ReadWrite));
}

#[test]
fn a_registration_of_entra_needs_no_mapping_and_is_bound_to_the_tenant_in_its_name() {
    for issuer in [
        format!("https://sts.windows.net/{TENANT}/"),
        format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
        format!("https://login.microsoftonline.us/{TENANT}/v2.0"),
    ] {
        assert_eq!(ClaimMapping::of_issuer(&issuer), Some(ClaimMapping::entra()), "{issuer}");
        let claim = TenantClaim::of_issuer(&issuer).unwrap();
        assert_eq!((claim.name.as_str(), claim.value.as_str()), ("tid", TENANT));
    }
    for issuer in [
        "https://login.microsoftonline.com/common/v2.0".to_owned(),
        format!("http://sts.windows.net/{TENANT}/"),
        format!("https://sts.windows.net.evil.example/{TENANT}/"),
        ISSUER.to_owned(),
    ] {
        assert_eq!((ClaimMapping::of_issuer(&issuer), TenantClaim::of_issuer(&issuer)), (None, None), "{issuer}");
    }
}

#[test]
fn a_user_is_named_by_the_claim_that_the_registration_says() {
    let claims = || {
        json!({ "sub": id(7), "client_id": "portal", "email": "ada@mail.example", "email_verified": true,
            "preferred_username": "ada@acme.example" })
    };
    for (claim, matches, key) in [
        ("sub", UserMatch::Id, UserKey::Id(ObjectId::new(id(7)))),
        ("email", UserMatch::Mail, UserKey::Mail("ada@mail.example".to_owned())),
        ("preferred_username", UserMatch::UserPrincipalName, UserKey::UserPrincipalName("ada@acme.example".to_owned())),
    ] {
        assert_eq!(asserted(&openid(claim, matches), claims()).unwrap().subject, Subject::User(key), "{claim}");
    }
    for (claim, matches) in [("upn", UserMatch::UserPrincipalName), ("preferred_username", UserMatch::Id)] {
        assert_eq!(asserted(&openid(claim, matches), claims()), Err(ClaimFault::CallerMissing), "{claim}");
    }
}

#[test]
fn a_mail_address_that_the_provider_did_not_check_names_nobody() {
    for (claim, matches) in
        [("email", UserMatch::Mail), ("/email", UserMatch::UserPrincipalName), ("preferred_username", UserMatch::Mail)]
    {
        let settings = openid(claim, matches);
        for (verified, refused) in [
            (json!(false), true),
            (json!("false"), true),
            (json!(1), true),
            (json!(true), false),
            (json!("true"), false),
        ] {
            let claims = json!({ "sub": "x", "email": "ada@acme.example", "preferred_username": "ada@acme.example",
                "email_verified": verified });
            let answer = asserted(&settings, claims);
            assert_eq!(answer == Err(ClaimFault::MailNotVerified), refused, "{claim}: {verified}");
        }
    }
    let settings = openid("email", UserMatch::Mail);
    assert!(asserted(&settings, json!({ "sub": "x", "email": "ada@acme.example" })).is_ok());
}

#[test]
fn a_client_whose_token_is_its_own_is_an_application() {
    let settings = openid("preferred_username", UserMatch::UserPrincipalName);
    let own = asserted(&settings, json!({ "sub": "sync", "client_id": "sync", "scope": "AccessReview.ReadWrite.All" }));
    let own = own.unwrap();
    let key = ApplicationKey::ApplicationId { issuer: ISSUER.to_owned(), id: "sync".to_owned() };
    assert_eq!(own.subject, Subject::Application { key, display_name: "sync".to_owned() });
    assert_eq!(own.permission, None, "what is delegated is for users");

    for claims in [
        json!({ "sub": "ada", "client_id": "sync", "preferred_username": "ada" }),
        json!({ "preferred_username": "ada" }),
        json!({ "sub": "ada", "preferred_username": "ada" }),
    ] {
        assert_eq!(asserted(&settings, claims.clone()).unwrap().kind, CallerKind::User, "{claims}");
    }

    let mut settings = settings;
    settings.claims.application_when =
        ApplicationRule::ClaimEquals { claim: ClaimName::new("gty"), value: "client-credentials".to_owned() };
    let kind = |gty: &str| {
        let claims = json!({ "sub": "x", "client_id": "sync", "preferred_username": "ada", "gty": gty });
        asserted(&settings, claims).unwrap().kind
    };
    assert_eq!((kind("client-credentials"), kind("password")), (CallerKind::Application, CallerKind::User));
}

#[test]
fn the_value_of_a_group_gives_a_role_to_users_and_a_permission_to_applications() {
    let settings = IssuerSettings {
        grants: vec![
            grant("groups", "Review Admins", Given::DirectoryRole(DirectoryRole::IdentityGovernanceAdministrator)),
            grant("/realm_access/roles", "reader", Given::DirectoryRole(DirectoryRole::GlobalReader)),
            grant(
                "scope",
                "reviews",
                Given::DelegatedPermission(GrantedPermission::AccessReview(Permission::ReadWrite)),
            ),
            grant("groups", "bots", Given::ApplicationPermission(GrantedPermission::AccessReview(Permission::Read))),
        ],
        ..openid("sub", UserMatch::Id)
    };

    let claims = json!({ "sub": id(7), "groups": ["bots", "Review Admins"], "scope": "openid reviews",
        "realm_access": { "roles": ["reader"] } });
    let user = asserted(&settings, claims).unwrap();
    assert_eq!(user.permission, Some(Permission::ReadWrite));
    assert_eq!(user.roles, RoleSet::of(&[DirectoryRole::IdentityGovernanceAdministrator, DirectoryRole::GlobalReader]));

    let claims = json!({ "sub": "s", "client_id": "s", "groups": ["bots", "Review Admins"], "scope": "reviews" });
    let application = asserted(&settings, claims).unwrap();
    assert_eq!((application.permission, application.roles), (Some(Permission::Read), RoleSet::EMPTY));
}

/// A group may have spaces in its name; a part of it is another group.
#[test]
fn a_grant_wants_the_whole_value() {
    let role = Given::DirectoryRole(DirectoryRole::GlobalAdministrator);
    let settings = IssuerSettings { grants: vec![grant("groups", "Admins", role)], ..openid("sub", UserMatch::Id) };
    for (groups, given) in [
        (json!("Admins"), true),
        (json!(["Admins"]), true),
        (json!("Coffee Admins"), false),
        (json!(["Coffee Admins", "admins", "Admins "]), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        let caller = asserted(&settings, json!({ "sub": id(7), "groups": groups })).unwrap();
        assert_eq!(caller.roles != RoleSet::EMPTY, given, "{groups}");
    }
}

#[test]
fn a_claim_of_a_type_it_never_has_is_malformed() {
    let settings = IssuerSettings {
        grants: vec![grant("groups", "x", Given::DirectoryRole(DirectoryRole::GlobalReader))],
        ..openid("sub", UserMatch::Id)
    };
    for claims in [
        json!({ "sub": 7 }),
        json!({ "sub": [id(7)] }),
        json!({ "sub": id(7), "scope": { "a": 1 } }),
        json!({ "sub": id(7), "scope": [1] }),
        json!({ "sub": id(7), "groups": true }),
        json!({ "sub": id(7), "client_id": {} }),
        json!({ "sub": "a\0b" }),
    ] {
        assert_eq!(asserted(&settings, claims.clone()), Err(ClaimFault::Malformed), "{claims}");
    }
}

#[test]
fn nobody_and_the_blank_are_no_callers() {
    for sub in [json!(Uuid::nil()), json!(""), json!("  "), json!("ada"), Value::Null] {
        let claims = json!({ "sub": sub });
        assert_eq!(asserted(&openid("sub", UserMatch::Id), claims), Err(ClaimFault::CallerMissing), "{sub}");
    }
}

#[test]
fn a_registration_tells_all_its_faults_by_their_paths() {
    let settings = IssuerSettings {
        issuer: "http://login.acme.example?x=1".to_owned(),
        discovery_url: Some("ftp://x".to_owned()),
        audiences: vec![" ".to_owned()],
        algorithms: Vec::new(),
        tenant_claim: Some(TenantClaim { name: ClaimName::new(""), value: "x".repeat(600) }),
        claims: ClaimMapping::openid(UserClaim { claim: ClaimName::new("/"), matches: UserMatch::Id }),
        grants: vec![grant("groups", "", Given::DirectoryRole(DirectoryRole::GlobalReader))],
        ..openid("sub", UserMatch::Id)
    };
    let paths: Vec<_> =
        settings.violations(AddressPolicy::default()).into_iter().map(|violation| violation.path).collect();

    assert_eq!(
        paths,
        [
            "issuer",
            "discoveryUrl",
            "audiences[0]",
            "algorithms",
            "tenantClaim.name",
            "tenantClaim.value",
            "claims.user.claim",
            "grants[0].value"
        ]
    );
    assert_eq!(openid("sub", UserMatch::Id).violations(AddressPolicy::default()), []);
}

#[test]
fn an_address_is_https_and_nothing_but_an_address() {
    let strict = AddressPolicy::default();
    let lenient = AddressPolicy { allow_http: true, allow_private: true };
    for (address, by_default, allowed) in [
        ("https://login.acme.example/realms/staff", true, true),
        ("https://login.acme.example:8443/", true, true),
        ("http://localhost:3000", true, true),
        ("http://127.0.0.1:3000", true, true),
        ("http://[::1]:3000/x", true, true),
        ("http://login.acme.example", false, true),
        ("http://localhost.evil.example", false, true),
        ("https://user:secret@login.acme.example", false, false),
        ("https://login.acme.example/?a=b", false, false),
        ("https://login.acme.example/#a", false, false),
        ("file:///etc/passwd", false, false),
        ("login.acme.example", false, false),
        ("", false, false),
    ] {
        assert_eq!((strict.check(address).is_ok(), lenient.check(address).is_ok()), (by_default, allowed), "{address}");
    }
}

/// LC-AUTH-07
#[test]
fn two_tenants_share_an_issuer_only_where_one_claim_keeps_them_apart() {
    let claim = |name: &str, value: &str| TenantClaim { name: ClaimName::new(name), value: value.to_owned() };
    let (a, b, other) = (claim("tid", "a"), claim("tid", "b"), claim("org", "b"));

    assert!(may_share_the_name(Some(&a), Some(&b)));
    for (ours, theirs) in
        [(None, None), (Some(&a), None), (None, Some(&a)), (Some(&a), Some(&a)), (Some(&a), Some(&other))]
    {
        assert!(!may_share_the_name(ours, theirs), "{ours:?} {theirs:?}");
    }
    assert!(!may_share_the_name(Some(&a), Some(&claim("tid", "A"))), "letter case keeps nobody apart");
}

#[test]
fn the_discovery_document_is_below_the_issuer() {
    for (issuer, expected) in [
        ("https://a.example", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/realms/x", "https://a.example/realms/x/.well-known/openid-configuration"),
    ] {
        let settings = IssuerSettings { issuer: issuer.to_owned(), ..openid("sub", UserMatch::Id) };
        assert_eq!(settings.discovery_address(), expected);
    }
}

#[test]
fn a_nested_claim_is_named_by_a_pointer_and_a_name_with_dots_and_slashes_by_itself() {
    let Value::Object(claims) = json!({
        "https://acme.example/roles": "plain", "a.b": "dots", "a": { "b": "nested", "c/d": ["list"] }, "n": null,
    }) else {
        panic!("an object")
    };
    let of = |name: &str| ClaimName::new(name).of(&claims).cloned();

    assert_eq!(of("https://acme.example/roles"), Some(json!("plain")));
    assert_eq!(of("a.b"), Some(json!("dots")));
    assert_eq!(of("/a/b"), Some(json!("nested")));
    assert_eq!(of("/a/c~1d"), Some(json!(["list"])));
    assert_eq!((of("n"), of("/a/x"), of("/"), of("b")), (None, None, None, None));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zA-Z.@ ]{0,12}".prop_map(Value::from),
        Just(json!("AccessReview.ReadWrite.All")),
        Just(json!(id(7))),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
}

proptest! {
    #[test]
    fn whatever_claims_say_nobody_panics_and_an_application_gets_no_role(
        values in prop::collection::vec(anything(), 8), by_id: bool, is_entra: bool,
    ) {
        let names = ["sub", "client_id", "oid", "idtyp", "scp", "scope", "roles", "wids"];
        let claims: Value = names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value)).collect();
        let settings = match is_entra {
            true => entra(),
            false => openid("sub", if by_id { UserMatch::Id } else { UserMatch::UserPrincipalName }),
        };
        if let Ok(caller) = asserted(&settings, claims) && caller.kind == CallerKind::Application {
            prop_assert_eq!(caller.roles, RoleSet::EMPTY);
        }
    }

    #[test]
    fn what_is_stored_is_read_back(claim in "[a-z/:.]{1,12}", value in "\\PC{1,12}", which in 0usize..4) {
        let permissions: Vec<_> = GrantedPermission::all().collect();
        let gives = [
            Given::DirectoryRole(DirectoryRole::ALL[which]),
            Given::DelegatedPermission(permissions[which]),
            Given::ApplicationPermission(permissions[which]),
        ];
        let grants: Vec<_> = gives.into_iter().map(|gives| grant(&claim, &value, gives)).collect();
        let mut mapping = ClaimMapping::openid(UserClaim { claim: ClaimName::new(claim.clone()), matches: UserMatch::Mail });
        mapping.application_when = ApplicationRule::ClaimEquals { claim: ClaimName::new(claim), value };

        let stored = serde_json::to_value((&mapping, &grants)).expect("they can be written");
        prop_assert_eq!(serde_json::from_value::<(ClaimMapping, Vec<Grant>)>(stored).expect("they can be read"), (mapping, grants));
    }
}
