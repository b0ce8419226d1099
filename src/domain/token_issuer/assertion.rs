//! What a token's claims say of its caller, by the issuer's registration.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ApplicationMatch, ApplicationRule, ClaimName, Given, GrantedPermission, IssuerSettings, UserMatch};
use crate::domain::{
    authorization::{CallerKind, IdentityProviderPermission, Permission, RoleSet},
    definition::Identity,
    ids::{ObjectId, TenantId},
};

/// Who a token says is calling; the directory has not been asked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertedCaller {
    /// The tenant that the issuer speaks for.
    pub tenant_id: TenantId,
    pub subject: Subject,
    pub kind: CallerKind,
    /// The highest access-review permission.
    pub permission: Option<Permission>,
    /// The highest permission on identity providers.
    pub identity_provider_permission: Option<IdentityProviderPermission>,
    /// Directory roles of a user, as far as the token gives them.
    pub roles: RoleSet,
}

/// Whom the token names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Somebody whom the built-in issuer names in full; the directory need not know him.
    Stated(StatedIdentity),
    /// A signed-in user, who must be in the directory.
    User(UserKey),
    /// An application by itself; the directory may know it.
    Application { key: ApplicationKey, display_name: String },
}

/// An identity that can be a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatedIdentity {
    pub id: ObjectId,
    pub display_name: String,
    pub user_principal_name: String,
}

impl From<StatedIdentity> for Identity {
    fn from(stated: StatedIdentity) -> Self {
        Self { id: stated.id, display_name: stated.display_name, user_principal_name: stated.user_principal_name }
    }
}

/// By what the directory's user is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserKey {
    Id(ObjectId),
    UserPrincipalName(String),
    Mail(String),
}

/// By what the directory's service principal is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ApplicationKey {
    Id(ObjectId),
    /// The application id; of a provider other than Entra any text. The issuer tells apart what two providers call the same.
    ApplicationId {
        issuer: String,
        id: String,
    },
}

/// Why claims name no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFault {
    /// The claim that names the caller is absent, or in no form that can be matched.
    CallerMissing,
    /// The provider itself does not vouch for the mail address.
    MailNotVerified,
    /// A claim has a type it never has.
    Malformed,
}

/// The caller that the claims of a verified token make. Pure: whether he exists is the directory's to say.
///
/// # Errors
/// [`ClaimFault`] when nobody is named, or in a way that must not be trusted.
pub fn assert_caller(
    claims: &Map<String, Value>,
    tenant_id: TenantId,
    settings: &IssuerSettings,
) -> Result<AssertedCaller, ClaimFault> {
    let mapping = &settings.claims;
    let kind = kind_of(claims, settings)?;
    let subject = match kind {
        CallerKind::User => Subject::User(user_key(claims, &mapping.user.claim, mapping.user.matches)?),
        CallerKind::Application => {
            let named = text(claims, &mapping.application.claim)?.ok_or(ClaimFault::CallerMissing)?;
            let key = match mapping.application.matches {
                ApplicationMatch::Id => ApplicationKey::Id(object_id(named)?),
                ApplicationMatch::AppId => {
                    ApplicationKey::ApplicationId { issuer: settings.issuer.clone(), id: named.to_owned() }
                }
            };
            let name = match &mapping.display_name {
                Some(claim) => text(claims, claim)?,
                None => None,
            };
            Subject::Application { key, display_name: name.unwrap_or(named).to_owned() }
        }
    };

    let from_token = match kind {
        CallerKind::User => &mapping.scopes,
        // For a user these are the application's own roles, not what was consented to.
        CallerKind::Application => &mapping.roles,
    };
    let mut permissions = match from_token {
        Some(claim) => values(claims, claim, settings)?,
        None => Vec::new(),
    };
    let mut roles = match (&mapping.directory_roles, kind) {
        (Some(claim), CallerKind::User) => RoleSet::from_template_ids(
            values(claims, claim, settings)?.iter().filter_map(|id| Uuid::parse_str(id).ok()),
        ),
        (None, _) | (_, CallerKind::Application) => RoleSet::EMPTY,
    };
    for grant in &settings.grants {
        if !values(claims, &grant.claim, settings)?.contains(&grant.value.as_str()) {
            continue;
        }
        match (grant.gives, kind) {
            (Given::DirectoryRole(role), CallerKind::User) => roles = roles.union(RoleSet::of(&[role])),
            (Given::DelegatedPermission(permission), CallerKind::User)
            | (Given::ApplicationPermission(permission), CallerKind::Application) => {
                permissions.push(GrantedPermission::as_str(permission));
            }
            (Given::DirectoryRole(_) | Given::DelegatedPermission(_), CallerKind::Application)
            | (Given::ApplicationPermission(_), CallerKind::User) => {}
        }
    }
    Ok(AssertedCaller {
        tenant_id,
        subject,
        kind,
        permission: Permission::highest(permissions.iter().copied()),
        identity_provider_permission: IdentityProviderPermission::highest(permissions.iter().copied()),
        roles,
    })
}

fn kind_of(claims: &Map<String, Value>, settings: &IssuerSettings) -> Result<CallerKind, ClaimFault> {
    let mapping = &settings.claims;
    let is_application = match &mapping.application_when {
        ApplicationRule::Entra => match text(claims, &ClaimName::new("idtyp"))? {
            Some(kind) => kind == "app",
            None => match &mapping.scopes {
                Some(scopes) => scopes.of(claims).is_none(),
                None => false,
            },
        },
        ApplicationRule::SubjectIsClient => {
            let client = text(claims, &mapping.application.claim)?;
            client.is_some() && client == text(claims, &ClaimName::new("sub"))?
        }
        ApplicationRule::ClaimEquals { claim, value } => values(claims, claim, settings)?.contains(&value.as_str()),
    };
    Ok(if is_application { CallerKind::Application } else { CallerKind::User })
}

fn user_key(claims: &Map<String, Value>, claim: &ClaimName, matches: UserMatch) -> Result<UserKey, ClaimFault> {
    let named = text(claims, claim)?.ok_or(ClaimFault::CallerMissing)?;
    // Where anybody may call his address what he likes, a provider says that it did not check.
    let is_address = matches == UserMatch::Mail || claim.as_str().trim_start_matches('/') == "email";
    if is_address && claims.get("email_verified").is_some_and(|verified| !is_true(verified)) {
        return Err(ClaimFault::MailNotVerified);
    }
    Ok(match matches {
        UserMatch::Id => UserKey::Id(object_id(named)?),
        UserMatch::UserPrincipalName => UserKey::UserPrincipalName(named.to_owned()),
        UserMatch::Mail => UserKey::Mail(named.to_owned()),
    })
}

/// Some providers write flags as texts.
fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}

fn object_id(text: &str) -> Result<ObjectId, ClaimFault> {
    Uuid::parse_str(text).ok().map(ObjectId::new).filter(|id| *id != ObjectId::NOBODY).ok_or(ClaimFault::CallerMissing)
}

/// A claim of one text that is not blank.
fn text<'a>(claims: &'a Map<String, Value>, claim: &ClaimName) -> Result<Option<&'a str>, ClaimFault> {
    match claim.of(claims) {
        None => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => Err(ClaimFault::Malformed),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(ClaimFault::Malformed)
        }
    }
}

/// The values of a claim: a list, or one text. Only scopes are words of one text; the name of a group may have spaces.
fn values<'a>(
    claims: &'a Map<String, Value>,
    claim: &ClaimName,
    settings: &IssuerSettings,
) -> Result<Vec<&'a str>, ClaimFault> {
    let is_words = settings.claims.scopes.as_ref() == Some(claim) || matches!(claim.as_str(), "scope" | "scp");
    match claim.of(claims) {
        None => Ok(Vec::new()),
        Some(Value::String(words)) if is_words => Ok(words.split_ascii_whitespace().collect()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(entries)) => {
            entries.iter().map(|entry| entry.as_str().ok_or(ClaimFault::Malformed)).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(ClaimFault::Malformed),
    }
}
