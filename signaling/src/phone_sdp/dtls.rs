//! Keys from DTLS in SDP (RFC 5763): by what the other side's certificate is known (RFC 8122), and who begins (RFC 4145). No certificate is
//! looked at here.

use core::fmt::Write as _;

use super::PhoneSdpFault;

/// Fingerprints that are kept of one side: a certificate for each kind of key that it may show.
const MOST_FINGERPRINTS: usize = 4;

/// What a certificate is named by (RFC 8122, section 5), the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateHash {
    /// Of older telephones. Nobody has found another certificate to a given hash.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl CertificateHash {
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// As SDP names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// How long one is.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// One `a=fingerprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub hash: CertificateHash,
    pub digest: Vec<u8>,
}

impl Fingerprint {
    /// Reads what stands behind `a=fingerprint:`. `None` for a hash that is not known here, and for what is none.
    pub(super) fn read(value: &str) -> Option<Self> {
        let (name, digits) = value.trim().split_once(' ')?;
        let hash = CertificateHash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))?;
        let two = |pair: &str| {
            let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let digest = digits.trim().split(':').map(two).collect::<Option<Vec<u8>>>()?;
        (digest.len() == hash.bytes()).then_some(Self { hash, digest })
    }

    /// Takes one more. Of several hashes the strongest alone counts (RFC 8122, section 5.1): a weaker one beside it would open a second door.
    pub(super) fn join(kept: &mut Vec<Self>, one: Self) {
        match kept.first().map(|first| first.hash) {
            Some(best) if one.hash < best => return,
            Some(best) if one.hash > best => kept.clear(),
            _ => {}
        }
        if kept.len() < MOST_FINGERPRINTS {
            kept.push(one);
        }
    }
}

/// `a=setup` (RFC 4145, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Whoever says it begins.
    Active,
    /// The other side begins.
    Passive,
    /// Of an offer: the answer says who begins.
    ActPass,
    /// Nobody begins for now (`holdconn`, which RFC 5763, section 5, forbids), or it is no word that RFC 4145 has.
    Neither,
}

impl Setup {
    pub(super) fn of(name: &str) -> Self {
        let known = [Self::Active, Self::Passive, Self::ActPass];
        known.into_iter().find(|setup| setup.name() == name).unwrap_or(Self::Neither)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::Neither => "holdconn",
        }
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    InOffer,
    InAnswer,
}

/// Which side of DTLS we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// We begin.
    Client,
    Server,
}

impl DtlsRole {
    /// As our answer says it.
    pub const fn setup(self) -> Setup {
        match self {
            Self::Client => Setup::Active,
            Self::Server => Setup::Passive,
        }
    }
}

/// What the other side says of its DTLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsSdp {
    /// Its certificate has one of them; all are of one hash.
    pub fingerprints: Vec<Fingerprint>,
    /// `None`: it does not say.
    pub setup: Option<Setup>,
}

impl DtlsSdp {
    /// Which side we are. `now`: which one we are already, where keys were agreed on before; `rather`: which one, where it is ours to say.
    ///
    /// Who says nothing, and who answers with the word of an offer, leaves it as it is: telephones repeat in an answer what they have
    /// offered once. Before anything was agreed on, nothing said is RFC 4145's default (section 4.1): who offers begins.
    ///
    /// # Errors
    /// When neither side would begin.
    pub fn role(&self, said: Said, now: Option<DtlsRole>, rather: DtlsRole) -> Result<DtlsRole, PhoneSdpFault> {
        match (self.setup, said) {
            (Some(Setup::Active), _) => Ok(DtlsRole::Server),
            (Some(Setup::Passive), _) => Ok(DtlsRole::Client),
            (Some(Setup::ActPass), Said::InOffer) => Ok(now.unwrap_or(rather)),
            (Some(Setup::ActPass), Said::InAnswer) => now.ok_or(PhoneSdpFault::NobodyBegins),
            (Some(Setup::Neither), _) => Err(PhoneSdpFault::NobodyBegins),
            (None, Said::InOffer) => Ok(now.unwrap_or(DtlsRole::Server)),
            (None, Said::InAnswer) => Ok(now.unwrap_or(DtlsRole::Client)),
        }
    }
}

/// What we say of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurDtls {
    /// Of our certificate.
    pub sha256: [u8; 32],
    pub setup: Setup,
}

impl OurDtls {
    /// Its lines.
    pub(super) fn write(&self, sdp: &mut String) {
        let digits: Vec<String> = self.sha256.iter().map(|byte| format!("{byte:02X}")).collect();
        let name = CertificateHash::Sha256.name();
        let _ = write!(sdp, "a=fingerprint:{name} {}\r\na=setup:{}\r\n", digits.join(":"), self.setup.name());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    fn one(hash: CertificateHash, byte: u8) -> Fingerprint {
        Fingerprint { hash, digest: vec![byte; hash.bytes()] }
    }

    #[test]
    fn a_fingerprint_is_read_whatever_its_letters_and_nothing_else_is() {
        for hash in CertificateHash::ALL {
            let line = format!("{} {}", hash.name(), digits(&vec![0xab; hash.bytes()]));
            assert_eq!(Fingerprint::read(&line), Some(one(hash, 0xab)));
            assert_eq!(Fingerprint::read(&line.to_uppercase()), Some(one(hash, 0xab)));
            assert_eq!(Fingerprint::read(&line.to_lowercase()), Some(one(hash, 0xab)));
        }
        let right = digits(&[7; 32]);
        for wrong in [
            String::new(),
            "sha-256".into(),
            "sha-256 ".into(),
            format!("sha-256{right}"),
            format!("md5 {}", digits(&[7; 16])),
            format!("sha-1 {right}"),
            format!("sha-256 {}", &right[..right.len() - 3]),
            format!("sha-256 {right}:07"),
            format!("sha-256 {right}:"),
            format!("sha-256 {}", right.replace("07:", "7:")),
            format!("sha-256 {}", right.replacen("07", "+7", 1)),
            format!("sha-256 {}", right.replacen("07", "0g", 1)),
            format!("sha-256 {}", right.replace(':', "")),
        ] {
            assert_eq!(Fingerprint::read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_strongest_hash_alone_counts_and_of_it_a_few() {
        let mut kept = Vec::new();
        for (hash, byte) in [
            (CertificateHash::Sha256, 1),
            (CertificateHash::Sha1, 2),
            (CertificateHash::Sha256, 3),
            (CertificateHash::Sha512, 4),
            (CertificateHash::Sha256, 5),
        ] {
            Fingerprint::join(&mut kept, one(hash, byte));
        }
        assert_eq!(kept, [one(CertificateHash::Sha512, 4)]);
        (0..100).for_each(|byte| Fingerprint::join(&mut kept, one(CertificateHash::Sha512, byte)));
        assert_eq!(kept.len(), MOST_FINGERPRINTS);
    }

    #[test]
    fn who_begins_is_what_both_have_said() {
        use DtlsRole::{Client, Server};
        use Said::{InAnswer, InOffer};
        use Setup::{ActPass, Active, Neither, Passive};
        let nobody = Err(PhoneSdpFault::NobodyBegins);
        for (setup, said, now, role) in [
            (Some(ActPass), InOffer, None, Ok(Client)),
            (Some(ActPass), InOffer, Some(Server), Ok(Server)),
            (Some(Active), InOffer, None, Ok(Server)),
            (Some(Active), InOffer, Some(Client), Ok(Server)),
            (Some(Passive), InOffer, Some(Server), Ok(Client)),
            (None, InOffer, None, Ok(Server)),
            (None, InOffer, Some(Client), Ok(Client)),
            (Some(Neither), InOffer, Some(Client), nobody.clone()),
            (Some(Active), InAnswer, None, Ok(Server)),
            (Some(Passive), InAnswer, None, Ok(Client)),
            (None, InAnswer, None, Ok(Client)),
            (None, InAnswer, Some(Server), Ok(Server)),
            (Some(ActPass), InAnswer, None, nobody.clone()),
            (Some(ActPass), InAnswer, Some(Server), Ok(Server)),
            (Some(Neither), InAnswer, None, nobody),
        ] {
            let theirs = DtlsSdp { fingerprints: Vec::new(), setup };
            assert_eq!(theirs.role(said, now, Client), role, "{setup:?} {said:?} {now:?}");
        }
        let offer = DtlsSdp { fingerprints: Vec::new(), setup: Some(ActPass) };
        assert_eq!(offer.role(InOffer, None, Server), Ok(Server), "where we would rather not");
        assert_eq!(
            (Setup::of("holdconn"), Setup::of("ACTIVE")),
            (Neither, Neither),
            "it is a word of RFC 4145, as it stands there"
        );
    }

    proptest! {
        #[test]
        fn what_we_write_is_read_and_no_text_is_more_than_none(sha256: [u8; 32], text in ".{0,200}") {
            let mut lines = String::new();
            OurDtls { sha256, setup: Setup::ActPass }.write(&mut lines);
            let value = lines.strip_prefix("a=fingerprint:").and_then(|rest| rest.lines().next()).expect("a line");
            let read = Fingerprint::read(value);
            prop_assert_eq!(read, Some(Fingerprint { hash: CertificateHash::Sha256, digest: sha256.to_vec() }));
            if let Some(read) = Fingerprint::read(&text) {
                prop_assert_eq!(read.digest.len(), read.hash.bytes());
            }
        }
    }
}
