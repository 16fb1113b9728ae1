//! How the WebRTC stack is set up: one Opus track, alone or as redundant audio, and telephone events, DTLS server, no multicast, short timeouts.

use std::sync::Arc;
use std::time::Duration;

use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_TELEPHONE_EVENT, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::{SettingEngine, SettingEngineBuilder};
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::shared::error::Error;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

/// ICE (RFC 8445): silent for 5 s is disconnected, 10 s more is failed; our own checks every 2 s keep consent
/// (RFC 7675). A tab closed without a word is gone after 15 s.
const ICE_TIMEOUTS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(2)];

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        // Mono with forward error correction is what we want to receive (RFC 7587, section 6.1).
        sdp_fmtp_line: "minptime=10;useinbandfec=1;stereo=0".to_owned(),
        rtcp_feedback: vec![],
    }
}

fn telephone_event() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_TELEPHONE_EVENT.to_owned(),
        clock_rate: 48_000,
        channels: 0,
        sdp_fmtp_line: "0-16".to_owned(),
        rtcp_feedback: vec![],
    }
}

/// RFC 2198. Its blocks are named by payload type, which differs from offer to offer and which the stack would compare as
/// text: `answer::finish` writes them.
fn red() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "audio/red".to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![],
    }
}

/// The one that everybody has (RFC 8827, section 6.5), and no other. Which was agreed on the stack tells in its statistics alone, when packets may
/// have come by then, and with GCM a report's claim to be protected stands elsewhere (RFC 7714, section 9.2): without knowing where, [`super::port`]
/// could not tell which reports the stack would believe unproven.
const PROTECTION: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80;

pub(super) fn codecs() -> Result<MediaEngine, Error> {
    let mut engine = MediaEngine::default();
    for (rtp_codec, payload_type) in [(opus(), 111), (red(), 63), (telephone_event(), 110)] {
        let codec = RTCRtpCodecParameters { rtp_codec, payload_type };
        engine.register_codec(codec, RtpCodecKind::Audio)?;
    }
    Ok(engine)
}

pub(super) fn settings(ice_lite: bool) -> SettingEngine {
    let [disconnected, failed, keepalive] = ICE_TIMEOUTS.map(Some);
    SettingEngineBuilder::new()
        .with_lite(ice_lite)
        .with_include_loopback_candidate(true)
        // As DTLS client the stack begins when its timer next rings, and not at once.
        .with_answering_dtls_role(RTCDtlsRole::Server)
        .with_srtp_protection_profiles(vec![PROTECTION])
        // Its multicast socket would come out of the same runtime as the media socket. A browser's `.local` candidates
        // are not needed: its checks tell its address.
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_ice_timeouts(disconnected, failed, keepalive)
        .build()
}

pub(super) fn own_track(ssrc: u32) -> Arc<TrackLocalStaticRTP> {
    let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..RTCRtpCodingParameters::default() };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: coding,
        codec: opus(),
        ..RTCRtpEncodingParameters::default()
    };
    let track = MediaStreamTrack::new(
        "duologue".to_owned(),
        "voice".to_owned(),
        "voice".to_owned(),
        RtpCodecKind::Audio,
        vec![encoding],
    );
    Arc::new(TrackLocalStaticRTP::new(track))
}
