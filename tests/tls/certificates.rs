//! Certificates for one test: an authority, and whoever it vouches for.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// PEM files in a folder that goes with it.
pub struct Certificates {
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Certificates {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        // Of the same name as those that it vouches for it would look like one of them.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).expect("a file");
        Self { folder, authority: Issuer::new(params, key) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes NAME.pem for this host, NAME-key.pem, and NAME-both.pem.
    pub fn issue(&self, name: &str, host: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate").pem();
        let write = |name: String, text: &str| std::fs::write(self.path(&name), text).expect("a file");
        write(format!("{name}.pem"), &certificate);
        write(format!("{name}-key.pem"), &key.serialize_pem());
        write(format!("{name}-both.pem"), &format!("{}{certificate}", key.serialize_pem()));
    }

    /// The lines of `[sip]` with which the server is `name`.
    pub fn lines(&self, name: &str) -> String {
        lines(&self.path(&format!("{name}.pem")), &self.path(&format!("{name}-key.pem")))
    }
}

pub fn lines(certificate: &Path, key: &Path) -> String {
    format!(
        "tls_listen = \"127.0.0.1:0\"\ntls_certificate = \"{}\"\ntls_key = \"{}\"\n",
        certificate.display(),
        key.display()
    )
}
