//! Who may read and change how the tenant handles reviews: they concern reviews of every kind.

use super::{Caller, Permission, Reason, require_permission};

/// Decides whether `caller` may read the tenant's review settings: whoever reads some kind of review.
///
/// # Errors
/// [`Reason`] says what is missing.
pub fn may_read_review_settings(caller: &Caller) -> Result<(), Reason> {
    require_permission(caller)?;
    match caller.readable_kinds().is_empty() {
        false => Ok(()),
        true => Err(Reason::ReadRoleMissing),
    }
}

/// Decides whether `caller` may change them: whoever manages every kind of review.
///
/// # Errors
/// [`Reason`] says what is missing.
pub fn may_change_review_settings(caller: &Caller) -> Result<(), Reason> {
    if require_permission(caller)? != Permission::ReadWrite {
        return Err(Reason::ReadOnlyPermission);
    }
    match caller.manages_every_kind() {
        true => Ok(()),
        false => Err(Reason::SettingsRoleMissing),
    }
}
