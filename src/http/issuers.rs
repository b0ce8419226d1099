//! Token issuers as clients write and read them; the command line speaks the same form.

use serde_json::{Value, json};

use crate::{
    domain::{
        authorization::DirectoryRole,
        token_issuer::{
            ApplicationClaim, ApplicationMatch, ApplicationRule, ClaimMapping, ClaimName, Given, Grant,
            GrantedPermission, IssuerSettings, SigningAlgorithm, TenantClaim, TokenIssuer, UserClaim, UserMatch,
        },
        violation::Violation,
    },
    http::{
        definitions::view::render_date_time,
        json_reader::{Faults, ObjectReader, Sent, choose},
    },
};

/// Members that a client may send back and that the server decides.
const READ_ONLY: [&str; 3] = ["id", "createdDateTime", "lastModifiedDateTime"];
/// More entries of a list are not read; the rules are stricter.
const MOST_ENTRIES: usize = 1_000;

/// An issuer as clients read it.
pub fn render(issuer: &TokenIssuer) -> Value {
    let settings = &issuer.settings;
    let claims = &settings.claims;
    json!({
        "id": issuer.id,
        "issuer": settings.issuer,
        "displayName": settings.display_name,
        "audiences": settings.audiences,
        "discoveryUrl": settings.discovery_url,
        "algorithms": settings.algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>(),
        "tenantClaim": settings.tenant_claim.as_ref().map(|TenantClaim { name, value }| {
            json!({ "name": name.as_str(), "value": value })
        }),
        "claims": {
            "user": { "claim": claims.user.claim.as_str(), "matches": claims.user.matches.as_str() },
            "application":
                { "claim": claims.application.claim.as_str(), "matches": claims.application.matches.as_str() },
            "applicationWhen": render_rule(&claims.application_when),
            "scopes": claims.scopes.as_ref().map(ClaimName::as_str),
            "roles": claims.roles.as_ref().map(ClaimName::as_str),
            "directoryRoles": claims.directory_roles.as_ref().map(ClaimName::as_str),
            "displayName": claims.display_name.as_ref().map(ClaimName::as_str),
        },
        "grants": settings.grants.iter().map(render_grant).collect::<Vec<_>>(),
        "createdDateTime": render_date_time(issuer.created_at),
        "lastModifiedDateTime": render_date_time(issuer.modified_at),
    })
}

fn render_rule(rule: &ApplicationRule) -> Value {
    match rule {
        ApplicationRule::Entra => json!({ "rule": "entra" }),
        ApplicationRule::SubjectIsClient => json!({ "rule": "subjectIsClient" }),
        ApplicationRule::ClaimEquals { claim, value } => {
            json!({ "rule": "claimEquals", "claim": claim.as_str(), "value": value })
        }
    }
}

fn render_grant(grant: &Grant) -> Value {
    let (member, given) = match grant.gives {
        Given::DirectoryRole(role) => ("directoryRole", role.name()),
        Given::DelegatedPermission(permission) => ("delegatedPermission", permission.as_str()),
        Given::ApplicationPermission(permission) => ("applicationPermission", permission.as_str()),
    };
    json!({ "claim": grant.claim.as_str(), "value": grant.value, member: given })
}

/// Reads what registers an issuer.
///
/// An issuer of Entra needs its audiences only: the shape of its tokens and the tenant in its name are known. Any other must say
/// which claim names a user.
///
/// # Errors
/// Everything that is wrong with the form; whether the values are good is the domain's to say.
pub fn parse_new(body: &Value) -> Result<IssuerSettings, Vec<Violation>> {
    let faults = Faults::default();
    let settings = ObjectReader::new("", body, &faults).and_then(|mut reader| {
        let issuer = reader.required_text("issuer").map(str::to_owned);
        let preset = ClaimMapping::of_issuer(issuer.as_deref().unwrap_or_default());
        let claims = match (reader.object("claims"), preset) {
            (Sent::Value(claims), preset) => read_claims(claims, preset),
            (Sent::Absent | Sent::Null, Some(preset)) => Some(preset),
            (Sent::Absent | Sent::Null, None) => {
                // A claim that is no object has been told already.
                if !reader.mentions("claims") || body["claims"].is_null() {
                    reader.report("claims.user", WHICH_USER);
                }
                None
            }
        };
        let tenant_claim = match read_tenant_claim(&mut reader) {
            Sent::Value(claim) => Some(claim),
            Sent::Null => None,
            Sent::Absent => TenantClaim::of_issuer(issuer.as_deref().unwrap_or_default()),
        };
        let audiences = read_audiences(&mut reader);
        if !reader.mentions("audiences") {
            reader.report("audiences", "is required: the audiences (aud) of tokens for this service");
        }
        let display_name = reader.nullable_text("displayName").unwrap_or_default().to_owned();
        let discovery_url = reader.nullable_text("discoveryUrl").map(str::to_owned);
        let algorithms = read_algorithms(&mut reader).unwrap_or_else(|| SigningAlgorithm::USUAL.to_vec());
        let grants = read_grants(&mut reader).unwrap_or_default();
        reader.ignore(&READ_ONLY);
        reader.finish();
        Some(IssuerSettings {
            issuer: issuer?,
            display_name,
            audiences: audiences?,
            discovery_url,
            algorithms,
            tenant_claim,
            claims: claims?,
            grants,
        })
    });
    match settings {
        Some(settings) if faults.is_empty() => Ok(settings),
        Some(_) | None => Err(faults.into_violations()),
    }
}

/// Reads what changes an issuer: a member that is there replaces what was stored, all of it.
///
/// # Errors
/// As [`parse_new`]; and when the issuer's name would change.
pub fn parse_change(body: &Value, before: IssuerSettings) -> Result<IssuerSettings, Vec<Violation>> {
    let faults = Faults::default();
    let settings = ObjectReader::new("", body, &faults).map(|mut reader| {
        if let Sent::Value(issuer) = reader.text("issuer")
            && issuer != before.issuer
        {
            reader.report("issuer", "cannot be changed; remove this issuer and register the other one");
        }
        let claims = match reader.object("claims") {
            Sent::Value(claims) => read_claims(claims, ClaimMapping::of_issuer(&before.issuer)),
            Sent::Null => {
                reader.report("claims", "must not be null");
                None
            }
            Sent::Absent => None,
        };
        let tenant_claim = match read_tenant_claim(&mut reader) {
            Sent::Value(claim) => Some(claim),
            Sent::Null => None,
            Sent::Absent => before.tenant_claim,
        };
        let display_name = match reader.text("displayName") {
            Sent::Value(name) => name.to_owned(),
            Sent::Null => String::new(),
            Sent::Absent => before.display_name,
        };
        let discovery_url = match reader.text("discoveryUrl") {
            Sent::Value(url) => Some(url.to_owned()),
            Sent::Null => None,
            Sent::Absent => before.discovery_url,
        };
        let settings = IssuerSettings {
            issuer: before.issuer,
            display_name,
            audiences: read_audiences(&mut reader).unwrap_or(before.audiences),
            discovery_url,
            algorithms: read_algorithms(&mut reader).unwrap_or(before.algorithms),
            tenant_claim,
            claims: claims.unwrap_or(before.claims),
            grants: read_grants(&mut reader).unwrap_or(before.grants),
        };
        reader.ignore(&READ_ONLY);
        reader.finish();
        settings
    });
    match settings {
        Some(settings) if faults.is_empty() => Ok(settings),
        Some(_) | None => Err(faults.into_violations()),
    }
}

const WHICH_USER: &str = "is required: which claim names the user and what it matches, such as \
                          {\"claim\":\"preferred_username\",\"matches\":\"userPrincipalName\"}";

fn read_audiences(reader: &mut ObjectReader<'_>) -> Option<Vec<String>> {
    let texts = reader.texts("audiences", MOST_ENTRIES)?;
    Some(texts.into_iter().map(|(_, text)| text.to_owned()).collect())
}

fn read_algorithms(reader: &mut ObjectReader<'_>) -> Option<Vec<SigningAlgorithm>> {
    let faults = reader.faults();
    let texts = reader.texts("algorithms", MOST_ENTRIES)?;
    let read = texts.into_iter().filter_map(|(path, text)| {
        let known = SigningAlgorithm::from_name(text);
        if known.is_none() {
            let all = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str).join(", ");
            faults.report(path, format!("must be one of {all}"));
        }
        known
    });
    Some(read.collect())
}

fn read_tenant_claim(reader: &mut ObjectReader<'_>) -> Sent<TenantClaim> {
    match reader.object("tenantClaim") {
        Sent::Absent => Sent::Absent,
        Sent::Null => Sent::Null,
        Sent::Value(mut claim) => {
            let name = claim.required_text("name").map(ClaimName::new);
            let value = claim.required_text("value").map(str::to_owned);
            claim.finish();
            match (name, value) {
                (Some(name), Some(value)) => Sent::Value(TenantClaim { name, value }),
                (_, _) => Sent::Absent,
            }
        }
    }
}

/// What is not said is as the preset has it: Entra's for its issuers, else that of RFC 9068.
fn read_claims(mut reader: ObjectReader<'_>, preset: Option<ClaimMapping>) -> Option<ClaimMapping> {
    let user = match reader.object("user") {
        Sent::Value(mut user) => {
            let claim = user.required_text("claim").map(ClaimName::new);
            let matches = user.required_choice("matches", &UserMatch::ALL, UserMatch::as_str);
            user.finish();
            claim.zip(matches).map(|(claim, matches)| UserClaim { claim, matches })
        }
        Sent::Absent | Sent::Null => {
            let preset = preset.as_ref().map(|preset| preset.user.clone());
            if preset.is_none() && !reader.mentions("user") {
                reader.report("user", WHICH_USER);
            }
            preset
        }
    };
    // Read on without it, so that all faults are told at once.
    let stand_in = || UserClaim { claim: ClaimName::new("sub"), matches: UserMatch::Id };
    let preset = preset.unwrap_or_else(|| ClaimMapping::openid(user.clone().unwrap_or_else(stand_in)));
    let application = match reader.object("application") {
        Sent::Value(mut application) => {
            let claim = application.required_text("claim").map(ClaimName::new);
            let matches = application.required_choice("matches", &ApplicationMatch::ALL, ApplicationMatch::as_str);
            application.finish();
            claim.zip(matches).map(|(claim, matches)| ApplicationClaim { claim, matches })
        }
        Sent::Absent | Sent::Null => Some(preset.application),
    };
    let application_when = match reader.object("applicationWhen") {
        Sent::Value(rule) => read_rule(rule),
        Sent::Absent | Sent::Null => Some(preset.application_when),
    };
    let mut name = |member, preset| match reader.text(member) {
        Sent::Value(name) => Some(ClaimName::new(name)),
        Sent::Null => None,
        Sent::Absent => preset,
    };
    let scopes = name("scopes", preset.scopes);
    let roles = name("roles", preset.roles);
    let directory_roles = name("directoryRoles", preset.directory_roles);
    let display_name = name("displayName", preset.display_name);
    reader.finish();
    Some(ClaimMapping {
        user: user?,
        application: application?,
        application_when: application_when?,
        scopes,
        roles,
        directory_roles,
        display_name,
    })
}

fn read_rule(mut reader: ObjectReader<'_>) -> Option<ApplicationRule> {
    const RULES: [&str; 3] = ["entra", "subjectIsClient", "claimEquals"];
    let rule = match reader.required_choice("rule", &RULES, |rule| rule)? {
        "entra" => Some(ApplicationRule::Entra),
        "subjectIsClient" => Some(ApplicationRule::SubjectIsClient),
        _ => {
            let claim = reader.required_text("claim").map(ClaimName::new);
            let value = reader.required_text("value").map(str::to_owned);
            claim.zip(value).map(|(claim, value)| ApplicationRule::ClaimEquals { claim, value })
        }
    };
    reader.finish();
    rule
}

fn read_grants(reader: &mut ObjectReader<'_>) -> Option<Vec<Grant>> {
    let grants = reader.objects("grants", MOST_ENTRIES)?;
    Some(grants.into_iter().filter_map(read_grant).collect())
}

fn read_grant(mut reader: ObjectReader<'_>) -> Option<Grant> {
    let claim = reader.required_text("claim").map(ClaimName::new);
    let value = reader.required_text("value").map(str::to_owned);
    let mut gives = Vec::new();
    if let Sent::Value(text) = reader.text("directoryRole") {
        let role = role(text);
        if role.is_none() {
            let all = DirectoryRole::ALL.map(DirectoryRole::name).join(", ");
            reader.report("directoryRole", format!("must be the name or the template id of one of {all}"));
        }
        gives.push(role.map(Given::DirectoryRole));
    }
    let permissions: Vec<_> = GrantedPermission::all().collect();
    for (member, given) in [
        ("delegatedPermission", Given::DelegatedPermission as fn(GrantedPermission) -> Given),
        ("applicationPermission", Given::ApplicationPermission),
    ] {
        if let Sent::Value(text) = reader.text(member) {
            let permission = choose(text, &permissions, GrantedPermission::as_str);
            if let Err(reason) = &permission {
                reader.report(member, reason);
            }
            gives.push(permission.ok().map(given));
        }
    }
    if gives.len() != 1 {
        let path = reader.path().to_owned();
        reader.faults().report(path, "must give one of directoryRole, delegatedPermission and applicationPermission");
    }
    reader.finish();
    Some(Grant { claim: claim?, value: value?, gives: gives.into_iter().flatten().next()? })
}

/// A role by its name, in any case and spacing, or by its template id.
fn role(text: &str) -> Option<DirectoryRole> {
    DirectoryRole::from_name(text).or_else(|| DirectoryRole::from_template_id(text.parse().ok()?))
}
