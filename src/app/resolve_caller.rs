//! From whom a token names to a caller of this tenant: the directory says who that is and which roles he holds.

use sha2::{Digest, Sha256};

use super::{Refused, Services};
use crate::{
    domain::{
        authorization::{Caller, CallerKind, Reason},
        definition::Identity,
        ids::{ObjectId, TenantId},
        token_issuer::assertion::{ApplicationKey, AssertedCaller, Subject},
    },
    store::UnitOfWork,
};

/// The caller, with the roles of the token and of the directory. LC-AUTH-01
///
/// A user whom the directory does not know, or whose account it calls disabled, is refused; an application is known by its token
/// alone.
pub async fn resolve_caller(services: &Services, asserted: &AssertedCaller) -> Result<Caller, Refused> {
    let mut uow = services.begin(asserted.tenant_id).await?;
    let identity = identity(uow.as_mut(), asserted).await?;
    let templates = match asserted.kind {
        CallerKind::Application => Vec::new(),
        CallerKind::User => uow.callers().role_templates(identity.id).await?,
    };
    let caller = Caller {
        tenant_id: asserted.tenant_id,
        identity,
        kind: asserted.kind,
        permission: asserted.permission,
        identity_provider_permission: asserted.identity_provider_permission,
        roles: asserted.roles,
    };
    Ok(caller.with_directory_roles(templates))
}

async fn identity(uow: &mut dyn UnitOfWork, asserted: &AssertedCaller) -> Result<Identity, Refused> {
    match &asserted.subject {
        Subject::Stated(stated) => Ok(stated.clone().into()),
        Subject::User(key) => {
            let mut users = uow.callers().users(key).await?;
            match (users.pop(), users.is_empty()) {
                (None, _) => Err(Reason::CallerNotInDirectory.into()),
                (Some(_), false) => Err(Reason::CallerAmbiguous.into()),
                (Some(user), true) if !user.account_enabled => Err(Reason::AccountDisabled.into()),
                (Some(user), true) => Ok(user.identity),
            }
        }
        Subject::Application { key, display_name } => {
            let known = uow.callers().application(key).await?;
            Ok(known.unwrap_or_else(|| Identity {
                id: id_of_application(asserted.tenant_id, key),
                display_name: display_name.clone(),
                user_principal_name: String::new(),
            }))
        }
    }
}

/// The id of an application that the directory does not know: the same for the same client of the same issuer.
fn id_of_application(tenant: TenantId, key: &ApplicationKey) -> ObjectId {
    match key {
        ApplicationKey::Id(id) => *id,
        ApplicationKey::ApplicationId { issuer, id } => {
            let digest = Sha256::new()
                .chain_update(b"attestry application of an issuer\0")
                .chain_update(tenant.as_uuid().as_bytes())
                .chain_update(issuer.as_bytes())
                .chain_update(b"\0")
                .chain_update(id.as_bytes())
                .finalize();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&digest[..16]);
            ObjectId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn two_issuers_may_call_two_applications_the_same(
            tenant: u128, left in "[a-z]{1,8}", right in "[a-z]{1,8}", first in "[a-z]{1,8}", second in "[a-z]{1,8}",
        ) {
            let id = |issuer: &String, id: &String| {
                let key = ApplicationKey::ApplicationId { issuer: issuer.clone(), id: id.clone() };
                id_of_application(TenantId::new(Uuid::from_u128(tenant)), &key)
            };

            prop_assert_eq!(id(&left, &first) == id(&right, &second), (&left, &first) == (&right, &second));
            prop_assert_eq!(id(&left, &first).as_uuid().get_version_num(), 8);
        }
    }
}
