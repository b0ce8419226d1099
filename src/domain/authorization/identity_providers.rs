//! Who may say which token issuers a tenant trusts: whoever may, can become anybody, so it stands apart from reviews.

use super::{Caller, CallerKind, DirectoryRole, Reason};

/// A permission on the identity providers of a tenant; the greater includes the smaller. The names are Graph's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityProviderPermission {
    /// `IdentityProvider.Read.All`
    Read,
    /// `IdentityProvider.ReadWrite.All`
    ReadWrite,
}

impl IdentityProviderPermission {
    /// Every permission, the smaller first.
    pub const ALL: [Self; 2] = [Self::Read, Self::ReadWrite];

    /// The value in `scp` or `roles`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "IdentityProvider.Read.All",
            Self::ReadWrite => "IdentityProvider.ReadWrite.All",
        }
    }

    /// The highest permission among these values; values without a meaning here are passed over.
    pub fn highest<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        values
            .into_iter()
            .filter_map(|value| Self::ALL.into_iter().find(|permission| permission.as_str() == value))
            .max()
    }
}

/// Decides whether `caller` may do what needs `needed` to the tenant's token issuers.
///
/// The permission first, also for a user: what was consented to for reviews must not change who signs in. A user must be a
/// Global Administrator besides; an application needs the permission only.
///
/// # Errors
/// [`Reason`] says what is missing.
pub fn may_administer_issuers(caller: &Caller, needed: IdentityProviderPermission) -> Result<(), Reason> {
    if caller.identity_provider_permission < Some(needed) {
        return Err(match needed {
            IdentityProviderPermission::Read => Reason::IdentityProviderPermissionMissing,
            IdentityProviderPermission::ReadWrite => Reason::IdentityProviderWriteMissing,
        });
    }
    match caller.kind {
        CallerKind::Application => Ok(()),
        CallerKind::User if caller.roles.contains(DirectoryRole::GlobalAdministrator) => Ok(()),
        CallerKind::User => Err(Reason::GlobalAdministratorMissing),
    }
}
