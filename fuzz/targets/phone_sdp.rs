//! Any bytes as a telephone's SDP: an answer that can be read again, or a fault in words.

use duologue_signaling::phone_sdp::{KEY_BYTES, Key, OurDtls, Ours, PhoneCodec, PhoneSdp, Setup};

/// The body of one INVITE.
pub fn run(bytes: &[u8]) {
    let sdp = match PhoneSdp::read(bytes) {
        Ok(sdp) => sdp,
        Err(fault) => return assert!(!fault.to_string().is_empty()),
    };
    let Ok(agreed) = sdp.agree(&PhoneCodec::ALL) else { return };
    let here = "192.0.2.1:40000".parse().expect("an address");
    let key = sdp.crypto.map(|_| Key([7; KEY_BYTES]));
    let dtls = sdp.dtls.as_ref().map(|_| OurDtls { sha256: [7; 32], setup: Setup::Active });
    let ours = Ours { here, session: 1, version: 1, key, suite: None, dtls };
    let answer = PhoneSdp::read(sdp.answer(&agreed, &ours).as_bytes()).expect("our own answer is SDP");
    assert_eq!(answer.crypto.map(|crypto| crypto.suite), sdp.crypto.map(|crypto| crypto.suite));
    assert_eq!(answer.dtls.is_some(), sdp.dtls.is_some());
    assert_eq!((answer.address, answer.codecs.as_slice()), (here, &[(agreed.codec, agreed.payload_type)][..]));
}
