//! The signed form of a vCon: JWS in its general JSON serialisation (RFC 7515, section 7.2.1; the draft's section 5.2).
//!
//! `alg` stands in the protected header alone. The draft's own examples say it twice; RFC 7515 forbids that, and what is not
//! protected can be changed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::key::{SigningKey, fingerprint, name_in, public_key_in};

/// What the draft asks for (section 5.2.2).
const ALG: &str = "RS256";

/// What is wrong with a signature, or why there is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsFault {
    #[error("the key did not sign")]
    NotSigned,
    #[error("it has no signature")]
    NoSignature,
    #[error("{0} is missing, or not what it should be")]
    Malformed(&'static str),
    #[error("it is signed with {0}, and only RS256 is known here")]
    OtherAlgorithm(String),
    #[error("the signature is not of these words: something was changed, or somebody else signed")]
    Wrong,
    #[error("it says that it is {header}, and it is {inside}")]
    OtherUuid { header: String, inside: String },
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The name in the certificate.
    pub name: String,
    /// SHA-256 of the certificate, in hex.
    pub fingerprint: String,
}

/// Signs a vCon.
///
/// # Errors
/// When the key does not sign.
pub fn sign(vcon: &Value, key: &SigningKey) -> Result<Value, JwsFault> {
    let payload = URL_SAFE_NO_PAD.encode(vcon.to_string());
    let protected = URL_SAFE_NO_PAD.encode(json!({"alg": ALG}).to_string());
    let signature = key.sign(format!("{protected}.{payload}").as_bytes()).map_err(|_| JwsFault::NotSigned)?;
    let certificates: Vec<String> = key.certificates().iter().map(|der| STANDARD.encode(der)).collect();
    Ok(json!({
        "payload": payload,
        "signatures": [{
            "header": {"x5c": certificates, "uuid": vcon["uuid"]},
            "protected": protected,
            "signature": URL_SAFE_NO_PAD.encode(signature),
        }],
    }))
}

/// The words that are signed, and who signed them, where every signature is right.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn opened(jws: &Value) -> Result<(Vec<u8>, Vec<Signer>), JwsFault> {
    let payload = jws["payload"].as_str().ok_or(JwsFault::Malformed("payload"))?;
    let signatures = jws["signatures"].as_array().filter(|all| !all.is_empty()).ok_or(JwsFault::NoSignature)?;
    let signers = signatures.iter().map(|one| signer(payload, one)).collect::<Result<_, _>>()?;
    let words = URL_SAFE_NO_PAD.decode(payload).map_err(|_| JwsFault::Malformed("payload"))?;
    Ok((words, signers))
}

fn signer(payload: &str, one: &Value) -> Result<Signer, JwsFault> {
    let protected = one["protected"].as_str().ok_or(JwsFault::Malformed("protected"))?;
    let head = URL_SAFE_NO_PAD.decode(protected).ok().and_then(|head| serde_json::from_slice::<Value>(&head).ok());
    let head = head.ok_or(JwsFault::Malformed("protected"))?;
    match head["alg"].as_str() {
        Some(ALG) => {}
        other => return Err(JwsFault::OtherAlgorithm(other.unwrap_or("nothing").to_owned())),
    }
    // Extensions that must be understood (RFC 7515, section 4.1.11): none is.
    if head.get("crit").is_some() {
        return Err(JwsFault::Malformed("crit"));
    }
    let first = [&head, &one["header"]].into_iter().find_map(|header| header["x5c"][0].as_str());
    let certificate = first.and_then(|text| STANDARD.decode(text).ok()).ok_or(JwsFault::Malformed("x5c"))?;
    let key = public_key_in(&certificate).ok_or(JwsFault::Malformed("x5c"))?;
    let signature = one["signature"].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let signature = signature.ok_or(JwsFault::Malformed("signature"))?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(format!("{protected}.{payload}").as_bytes(), &signature)
        .map_err(|_| JwsFault::Wrong)?;
    Ok(Signer { name: name_in(&certificate).unwrap_or_default(), fingerprint: fingerprint(&certificate) })
}
