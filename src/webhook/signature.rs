//! How a receiver knows that a message is ours and new: HMAC-SHA256 over its id, the moment and the body, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::Secret;

/// A key in the form of the standard begins like this; the rest is base64.
const PREFIX: &str = "whsec_";
/// Bytes of a key at least: 128 bits. The standard wants 24 to 64.
const SHORTEST: usize = 16;

/// What messages are signed with. Never printed.
pub struct Key(Vec<u8>);

/// A key that could be guessed, or is not what it begins like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of [webhook] must be whsec_ and base64, or any text, of at least {SHORTEST} bytes")]
pub struct KeyTooShort;

impl Key {
    /// `whsec_` and base64, as libraries for receivers take it; any other text is taken as it is.
    ///
    /// # Errors
    /// When it has fewer than 16 bytes, or begins like base64 and is none.
    pub fn read(secret: &Secret) -> Result<Self, KeyTooShort> {
        let bytes = match secret.reveal().strip_prefix(PREFIX) {
            Some(base64) => STANDARD.decode(base64).map_err(|_| KeyTooShort)?,
            None => secret.reveal().as_bytes().to_vec(),
        };
        if bytes.len() >= SHORTEST { Ok(Self(bytes)) } else { Err(KeyTooShort) }
    }

    /// `webhook-signature` of this message, sent at `at_s` (seconds of Unix time).
    pub(super) fn sign(&self, id: &str, at_s: i64, body: &str) -> String {
        // A key of any length is taken (RFC 2104, section 2).
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let signed = mac.map(|mac| mac.chain_update(format!("{id}.{at_s}.{body}")).finalize().into_bytes());
        format!("v1,{}", signed.map(|bytes| STANDARD.encode(bytes)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own libraries (test vectors of `standardwebhooks`).
    #[test]
    fn the_standard_s_own_example_is_signed_as_it_says() {
        let key = Key::read(&Secret::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).expect("a key");
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        for secret in ["short", "whsec_c2hvcnQ=", "whsec_no base64, whatever its length may be"] {
            assert!(Key::read(&Secret::of(secret)).is_err(), "{secret}");
        }
        assert!(Key::read(&Secret::of("sixteen bytes or more")).is_ok());
    }
}
