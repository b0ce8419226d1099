//! Whether a token's signature is a key's, by *ring*, which does the service's TLS as well: the libraries behind `jsonwebtoken` take
//! several times as long.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

/// Whether `signature`, in base64url, is that of this key on `text`.
pub(super) fn is_of(key: &DecodingKey, text: &[u8], signature: &str, algorithm: Algorithm) -> bool {
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    match key.kind() {
        DecodingKeyKind::SecretOrDer(point) => point_algorithm(algorithm)
            .is_some_and(|algorithm| UnparsedPublicKey::new(algorithm, point).verify(text, &signature).is_ok()),
        DecodingKeyKind::RsaModulusExponent { n, e } => rsa_parameters(algorithm).is_some_and(|parameters| {
            let key = RsaPublicKeyComponents { n: significant(n), e: significant(e) };
            key.verify(parameters, text, &signature).is_ok()
        }),
    }
}

/// For keys that are a point on a curve.
fn point_algorithm(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Some(&signature::ED25519),
        _ => None,
    }
}

/// For keys that are a modulus and an exponent, of 2048 bits and more.
fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// Without the zeros that some providers write before a number.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
