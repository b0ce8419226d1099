//! TLS as the service speaks it: rustls with ring, versions 1.2 and 1.3, no client certificates.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
};

/// Why TLS cannot be served with these files. Never tells what is in the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of this kind.
    #[error("{} cannot be read as {what} in PEM form", path.display())]
    Unreadable { path: PathBuf, what: &'static str, source: PemError },
    /// The file holds no certificate at all.
    #[error("{} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    /// The key is of a kind that is not offered, or not the certificate's.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// What a listener needs to speak TLS with the certificate chain and the private key in these PEM files.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn server_config(certificate_chain: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let unreadable = |path: &Path, what| {
        let path = path.to_owned();
        move |source| TlsError::Unreadable { path, what, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate_chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(certificate_chain, "a certificate chain"))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate_chain.to_owned() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key, "a private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(config)
}
