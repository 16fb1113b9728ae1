//! Between the telephones' SDP and the call's codecs.

use duologue_signaling::phone_sdp::{PhoneAgreed, PhoneCodec};

use crate::audio::codec::LineCodec;
use crate::config::SpokenCodec;
use crate::peer::Spoken;

/// As the configuration names it.
pub(super) const fn codec_of(codec: SpokenCodec) -> PhoneCodec {
    match codec {
        SpokenCodec::Opus => PhoneCodec::Opus,
        SpokenCodec::G722 => PhoneCodec::G722,
        SpokenCodec::Pcma => PhoneCodec::Pcma,
        SpokenCodec::Pcmu => PhoneCodec::Pcmu,
    }
}

/// What was agreed on, as the call has it.
pub(super) const fn spoken(agreed: &PhoneAgreed) -> Spoken {
    let codec = match agreed.codec {
        PhoneCodec::Opus => LineCodec::Opus,
        PhoneCodec::G722 => LineCodec::G722,
        PhoneCodec::Pcma => LineCodec::Pcma,
        PhoneCodec::Pcmu => LineCodec::Pcmu,
    };
    Spoken { codec, payload_type: agreed.payload_type, red: None }
}
