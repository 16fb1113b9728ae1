//! TLS for SIP: our certificate, and whose certificates are believed where the server calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::Sip;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error(
        "sip.tls_listen needs sip.tls_certificate and sip.tls_key: PEM files with the certificates, ours first, and with its key"
    )]
    Files,
    #[error("{key} {path}: {why}", path = path.display())]
    File { key: &'static str, path: PathBuf, why: String },
    #[error(
        "sip.tls_key does not belong to the first certificate in sip.tls_certificate: name the key it was made for, and put ours before those that vouch for it"
    )]
    Mismatch,
    #[error("sip.tls_certificate and sip.tls_key cannot be used: {0}")]
    Unusable(String),
    #[error("this system trusts nobody (no certificates in /etc/ssl): install ca-certificates, or set sip.tls_ca")]
    NoRoots,
}

fn file(key: &'static str, path: &Path, why: impl ToString) -> TlsFault {
    TlsFault::File { key, path: path.to_owned(), why: why.to_string() }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let bytes = std::fs::read(path).map_err(|why| file(key, path, why))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|why| file(key, path, format!("is no PEM that can be read: {why}")))?;
    if found.is_empty() {
        return Err(file(key, path, "has no \"BEGIN CERTIFICATE\" in it: a PEM file is wanted"));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let key = "sip.tls_key";
    let bytes = std::fs::read(path).map_err(|why| file(key, path, why))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|why| {
        let why = format!("has no private key that can be read ({why}): a PEM file without a password is wanted");
        file(key, path, why)
    })
}

/// What telephones see that call over TLS. `None`: they cannot.
///
/// # Errors
/// A file that is missing or no PEM, and a key of another certificate.
pub(super) fn server(sip: &Sip) -> Result<Option<Arc<ServerConfig>>, TlsFault> {
    if sip.tls_listen.is_none() {
        return Ok(None);
    }
    let (Some(chain), Some(key)) = (&sip.tls_certificate, &sip.tls_key) else { return Err(TlsFault::Files) };
    let (chain, key) = (certificates("sip.tls_certificate", chain)?, private_key(key)?);
    let unusable = |why: rustls::Error| TlsFault::Unusable(why.to_string());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    match config {
        Ok(config) => Ok(Some(Arc::new(config))),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsFault::Mismatch),
        Err(why) => Err(unusable(why)),
    }
}

/// Whom the server believes where it calls: those that `sip.tls_ca` has, else whom the system trusts.
///
/// # Errors
/// A file that is missing or no PEM, or a system that trusts nobody.
pub(super) fn client(sip: &Sip) -> Result<Arc<ClientConfig>, TlsFault> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &sip.tls_ca {
        for root in certificates("sip.tls_ca", path)? {
            roots.add(root).map_err(|why| file("sip.tls_ca", path, why))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsFault::NoRoots);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| TlsFault::Unusable(why.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
