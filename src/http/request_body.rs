//! The bytes of a request's body, unpacked. CL-08
//!
//! Both the packed and the unpacked size are limited, the latter while unpacking: a small body that unpacks to a huge one costs no
//! more memory than the limit.

use std::{io::Read, time::Duration};

use actix_web::{
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap},
    web::BytesMut,
};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures_util::StreamExt;

use crate::{domain::violation::Violation, http::error::ApiError};

/// The largest body that is read, packed or unpacked, in bytes.
pub const LIMIT: usize = 4 * 1024 * 1024;
/// How long a body may take to arrive.
const DEADLINE: Duration = Duration::from_secs(60);

/// Reads the body to its end.
///
/// # Errors
/// 413 over the limit, 415 for an encoding other than gzip and deflate, 400 for a body that breaks off, takes too long or does
/// not unpack.
pub async fn read(headers: &HeaderMap, payload: &mut Payload) -> Result<Vec<u8>, ApiError> {
    let encoding = Encoding::of(headers)?;
    let packed = tokio::time::timeout(DEADLINE, collect(payload))
        .await
        .map_err(|_| malformed(format!("the body did not arrive within {} seconds", DEADLINE.as_secs())))??;
    match encoding {
        Encoding::Identity => Ok(packed),
        Encoding::Gzip => unpack(MultiGzDecoder::new(packed.as_slice())),
        Encoding::Deflate if is_zlib(&packed) => unpack(ZlibDecoder::new(packed.as_slice())),
        Encoding::Deflate => unpack(DeflateDecoder::new(packed.as_slice())),
    }
}

/// What is read away of a refused request, in bytes, and for how long.
const READ_AWAY: u64 = 64 * 1024;
const READ_AWAY_FOR: Duration = Duration::from_secs(1);

/// Reads a small body that nobody looks at. Else the connection would be closed behind the answer, and whoever is told to come again
/// later would have to open another one for it.
pub async fn read_away(headers: &HeaderMap, payload: &mut Payload) {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if length.is_some_and(|length: u64| length <= READ_AWAY) {
        let read = async { while let Some(Ok(_)) = payload.next().await {} };
        let _in_time = tokio::time::timeout(READ_AWAY_FOR, read).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let named =
            headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
        match named.as_deref() {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("deflate") => Ok(Self::Deflate),
            Some(_) => Err(ApiError::unsupported_content_encoding("gzip, deflate")),
        }
    }
}

async fn collect(payload: &mut Payload) -> Result<Vec<u8>, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| malformed(format!("the body cannot be read: {error}")))?;
        if body.len() + chunk.len() > LIMIT {
            return Err(ApiError::payload_too_large(LIMIT));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn unpack(unpacked: impl Read) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    let beyond = u64::try_from(LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    unpacked
        .take(beyond)
        .read_to_end(&mut body)
        .map_err(|_| malformed("the body is not what its Content-Encoding says".to_owned()))?;
    if body.len() > LIMIT { Err(ApiError::payload_too_large(LIMIT)) } else { Ok(body) }
}

/// `deflate` means the zlib format, yet some send the bare stream. RFC 9110, section 8.4.1.2
fn is_zlib(packed: &[u8]) -> bool {
    match packed {
        [first, second, ..] => first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0,
        _ => false,
    }
}

fn malformed(reason: String) -> ApiError {
    ApiError::bad_request(vec![Violation::new("", reason)])
}
