//! How a request shows that it comes from Twilio: `X-Twilio-Signature`, HMAC-SHA1 with the account's token over the address that was
//! asked for, in base64 (<https://www.twilio.com/docs/usage/security>). A WebSocket has no parameters, so the address is all.
//!
//! It is the same for each stream to one address: whoever has seen one has all of them. It keeps strangers out, as the key does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::config::Secret;

/// Whether this is the signature of a request for one of these addresses.
pub fn is_of(token: &Secret, signature: &str, addresses: &[String]) -> bool {
    let Ok(code) = STANDARD.decode(signature.trim()) else { return false };
    addresses.iter().any(|address| {
        // A key of any length is taken (RFC 2104, section 2). Compared in a time that does not tell how much of it was right.
        Hmac::<Sha1>::new_from_slice(token.reveal().as_bytes())
            .is_ok_and(|mac| mac.chain_update(address.as_bytes()).verify_slice(&code).is_ok())
    })
}

/// The addresses that Twilio may have asked for: the one that was set; or what the request names as its host, over TLS, since Twilio
/// speaks to no other. With and without a slash at the end, which Twilio's own libraries treat both ways.
pub fn addresses(set: Option<&str>, host: &str, path_and_query: &str) -> Vec<String> {
    let bare = match set {
        Some(address) => vec![address.trim_end_matches('/').to_owned()],
        None => ["wss", "https"].map(|scheme| format!("{scheme}://{host}{path_and_query}")).to_vec(),
    };
    bare.iter().flat_map(|address| [address.clone(), format!("{address}/")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twilio's documentation, "Validating signatures from Twilio": the address, and the parameters of its example behind it.
    #[test]
    fn twilio_s_own_example_is_from_twilio() {
        let signed = "https://mycompany.com/myapp.php?foo=1&bar=2CallSidCA1234567890ABCDECaller+14158675309Digits1234\
                      From+14158675309To+18005551212";
        let token = Secret::of("12345");
        assert!(is_of(&token, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", &[signed.to_owned()]));
        assert!(!is_of(&Secret::of("12346"), "RSOYDt4T1cUTdK1PDd93/VVr8B8=", &[signed.to_owned()]));
        for wrong in ["", "%", "AAAA"] {
            assert!(!is_of(&token, wrong, &[signed.to_owned()]));
        }
    }

    #[test]
    fn the_address_is_the_one_that_was_set_or_the_host_s() {
        let all = addresses(None, "calls.example.org", "/v1/twilio");
        assert!(all.contains(&"wss://calls.example.org/v1/twilio".to_owned()) && all.len() == 4);
        let set = addresses(Some("wss://other.example.org/v1/twilio/"), "10.0.0.1:8080", "/v1/twilio");
        assert_eq!(set, ["wss://other.example.org/v1/twilio", "wss://other.example.org/v1/twilio/"]);
    }
}
