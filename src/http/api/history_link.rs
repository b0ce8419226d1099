//! Links to finished reports: they name one object until a moment, need no token, and nobody but this service can make one.
//! LC-HIST-06, section 7 of the API

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::ids::{HistoryInstanceId, TenantId};

/// Below this the reports are.
pub(super) const DOWNLOADS: &str = "/attestry/v1/historyReports";
/// Bytes of the seal in front of the payload.
const SEAL_BYTES: usize = 32;
/// Keeps these seals apart from others made with the tenant's key.
const PURPOSE: &[u8] = b"report download 1";

/// What a link leads to, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DownloadLink {
    pub tenant: TenantId,
    pub instance: HistoryInstanceId,
    /// In the tenant's time. UTC.
    pub ends_at: DateTime<Utc>,
}

/// A link as somebody sent it. Nothing it says is true before [`SealedLink::open`]; its tenant tells which key to try.
#[derive(Clone, Debug)]
pub(super) struct SealedLink {
    seal: [u8; SEAL_BYTES],
    claimed: DownloadLink,
}

impl DownloadLink {
    /// The link as text that needs no encoding in a path.
    pub(super) fn seal(&self, key: &[u8]) -> String {
        let mut sealed = self.mac(key).finalize().into_bytes().to_vec();
        sealed.extend(self.payload());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn payload(&self) -> [u8; 40] {
        let mut payload = [0; 40];
        payload[..16].copy_from_slice(self.tenant.as_uuid().as_bytes());
        payload[16..32].copy_from_slice(self.instance.as_uuid().as_bytes());
        payload[32..].copy_from_slice(&self.ends_at.timestamp_micros().to_be_bytes());
        payload
    }

    fn mac(&self, key: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(PURPOSE);
        // of one length always, so no two payloads read the same
        mac.update(&self.payload());
        mac
    }
}

impl SealedLink {
    /// Takes the text apart; `None` when it has not the form of a link.
    pub(super) fn read(text: &str) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (seal, payload) = sealed.split_at_checked(SEAL_BYTES)?;
        let (tenant, rest) = payload.split_at_checked(16)?;
        let (instance, end) = rest.split_at_checked(16)?;
        let ends_at = DateTime::from_timestamp_micros(i64::from_be_bytes(end.try_into().ok()?))?;
        Some(Self {
            seal: seal.try_into().ok()?,
            claimed: DownloadLink {
                tenant: TenantId::new(Uuid::from_slice(tenant).ok()?),
                instance: HistoryInstanceId::new(Uuid::from_slice(instance).ok()?),
                ends_at,
            },
        })
    }

    /// Whose key the seal has to fit.
    pub(super) fn claimed_tenant(&self) -> TenantId {
        self.claimed.tenant
    }

    /// The link, if it was sealed with this key; compares in constant time.
    pub(super) fn open(self, key: &[u8]) -> Option<DownloadLink> {
        self.claimed.mac(key).verify_slice(&self.seal).ok().map(|()| self.claimed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(tenant: u128, instance: u128, micros: i64) -> DownloadLink {
        DownloadLink {
            tenant: TenantId::new(Uuid::from_u128(tenant)),
            instance: HistoryInstanceId::new(Uuid::from_u128(instance)),
            ends_at: DateTime::from_timestamp_micros(micros).unwrap(),
        }
    }

    fn opened(text: &str, key: &[u8]) -> Option<DownloadLink> {
        SealedLink::read(text)?.open(key)
    }

    proptest! {
        #[test]
        fn a_link_opens_with_the_key_it_was_sealed_with_and_with_no_other(
            tenant: u128, instance: u128, micros in 0..4_000_000_000_000_000i64, key: [u8; 32], other: [u8; 32],
        ) {
            let link = link(tenant, instance, micros);
            let text = link.seal(&key);
            prop_assert_eq!(opened(&text, &key), Some(link));
            prop_assert_eq!(SealedLink::read(&text).unwrap().claimed_tenant(), link.tenant);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            if other != key {
                prop_assert_eq!(opened(&text, &other), None);
            }
        }

        #[test]
        fn a_link_with_any_bit_changed_does_not_open(
            tenant: u128, instance: u128, micros in 0..4_000_000_000_000_000i64, key: [u8; 32], bit in 0..72 * 8usize,
        ) {
            let text = link(tenant, instance, micros).seal(&key);
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            prop_assert_eq!(bytes.len(), 72);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(opened(&URL_SAFE_NO_PAD.encode(bytes), &key), None);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[A-Za-z0-9_-]{0,120}", wild in "\\PC{0,40}") {
            let _ = opened(&text, b"key");
            let _ = opened(&wild, b"key");
        }
    }
}
