//! What vCons are signed with: an RSA key and the certificate that goes with it, in one PEM file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, PKCS_RSA_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::OsRng;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::memory::calendar::Day;
use crate::store::utc_ms;

/// What is reckoned safe until 2030 (NIST SP 800-57, part 1, table 4), and what every reader takes.
const RSA_BITS: usize = 2_048;
/// How long a certificate of ours is valid.
const YEARS: i32 = 10;
const DAYS_A_YEAR: i32 = 365;

/// A key with its certificates, the signer's own first.
pub struct SigningKey {
    pair: RsaKeyPair,
    certificates: Vec<Vec<u8>>,
    host: String,
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    #[error("{} is there already: name another file, or take it away", .0.display())]
    There(PathBuf),
    #[error("the signing key {} cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("the signing key {} does not do: {why}; `duologue export key FILE` makes one", file.display())]
    Unfit { file: PathBuf, why: String },
    #[error("no key was made: {0}")]
    NotMade(String),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("host", &self.host).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads the file: a private RSA key (PKCS #8) and at least one certificate.
    ///
    /// # Errors
    /// When it cannot be read, or something is missing in it.
    pub fn read(file: &Path) -> Result<Self, KeyFault> {
        let pem = std::fs::read(file)
            .map_err(|why| KeyFault::Unreadable { file: file.to_path_buf(), why: why.to_string() })?;
        Self::of_pem(&pem).map_err(|why| KeyFault::Unfit { file: file.to_path_buf(), why })
    }

    fn of_pem(pem: &[u8]) -> Result<Self, String> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|why| format!("no private key in it ({why})"))?;
        let PrivateKeyDer::Pkcs8(key) = key else { return Err("its key is not in PKCS #8".into()) };
        let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
            .map_err(|why| format!("no RSA key of 2048 to 4096 bits ({why})"))?;
        let certificates: Result<Vec<Vec<u8>>, _> =
            CertificateDer::pem_slice_iter(pem).map(|found| found.map(|der| der.to_vec())).collect();
        let certificates = certificates.map_err(|why| why.to_string())?;
        let first = certificates.first().ok_or("no certificate in it")?;
        let host = name_in(first).ok_or("its certificate has no name")?;
        if public_key_in(first).as_deref() != Some(pair.public().as_ref()) {
            return Err("its first certificate is of another key".into());
        }
        Ok(Self { pair, certificates, host })
    }

    /// Makes a key and a certificate for `host` that it signs itself, and writes both into a file that only its owner reads.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub fn make(file: &Path, host: &str) -> Result<Self, KeyFault> {
        let not_made = |why: String| KeyFault::NotMade(why);
        let mut out =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(file).map_err(|why| match why.kind() {
                std::io::ErrorKind::AlreadyExists => KeyFault::There(file.to_path_buf()),
                _ => not_made(format!("cannot write {}: {why}", file.display())),
            })?;
        let pem = pem_for(host).map_err(not_made)?;
        out.write_all(pem.as_bytes()).map_err(|why| not_made(format!("cannot write {}: {why}", file.display())))?;
        Self::of_pem(pem.as_bytes()).map_err(not_made)
    }

    /// Whose it is: the name in its certificate.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The certificates, the signer's own first.
    pub(super) fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// SHA-256 of the signer's certificate, in hex.
    pub fn fingerprint(&self) -> String {
        self.certificates.first().map_or_else(String::new, |der| fingerprint(der))
    }

    /// RS256 (RFC 7518, section 3.3).
    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)?;
        Ok(signature)
    }
}

fn pem_for(host: &str) -> Result<String, String> {
    let text = |why: &dyn std::fmt::Display| why.to_string();
    let key = rsa::RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(|why| text(&why))?;
    let der = key.to_pkcs8_der().map_err(|why| text(&why))?;
    let der = PrivatePkcs8KeyDer::from(der.as_bytes().to_vec());
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).map_err(|why| text(&why))?;
    let mut wanted = CertificateParams::new(vec![host.to_owned()]).map_err(|why| text(&why))?;
    wanted.distinguished_name.push(DnType::CommonName, host);
    let today = Day::of_utc_ms(utc_ms());
    let date = |day: Day| {
        let (year, month, day) = day.civil();
        rcgen::date_time_ymd(year, month as u8, day as u8)
    };
    wanted.not_before = date(today.plus(-1));
    wanted.not_after = date(today.plus(YEARS * DAYS_A_YEAR));
    let certificate = wanted.self_signed(&pair).map_err(|why| text(&why))?;
    Ok(format!("{}{}", pair.serialize_pem(), certificate.pem()))
}

/// The name that a certificate is for.
pub(super) fn name_in(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

/// A certificate's public key (RFC 8017, appendix A.1.1).
pub(super) fn public_key_in(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().subject_public_key.data.to_vec())
}

/// SHA-256 of a certificate, in hex.
pub(super) fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same of the first certificate in a PEM file.
///
/// # Errors
/// When there is none.
pub fn fingerprint_of_file(file: &Path) -> Result<String, KeyFault> {
    let unreadable = |why: String| KeyFault::Unreadable { file: file.to_path_buf(), why };
    let pem = std::fs::read(file).map_err(|why| unreadable(why.to_string()))?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|why| unreadable(why.to_string()))?;
    Ok(fingerprint(&der))
}
