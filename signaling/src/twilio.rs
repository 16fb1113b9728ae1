//! Twilio's Media Streams: JSON messages over a WebSocket, sound as μ-law at 8 kHz in base64, 20 ms a message. Pure, total
//! over any text.
//!
//! Twilio buffers what it is sent, and says by a `mark` when it has played up to there; a `clear` empties the buffer, and
//! the marks in it come back too. So a mark that comes back without a `clear` before it is the moment of a sample.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// What Twilio says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The socket is open; the stream follows.
    Connected,
    /// The stream begins.
    Start(Start),
    /// The caller's sound: μ-law at 8 kHz.
    Sound(Vec<u8>),
    /// A mark of ours has been played, or cleared.
    Mark(String),
    /// A key was pressed.
    Digit(String),
    /// The stream is over: the call is, or it goes on elsewhere.
    Stop,
}

/// Whose stream it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Goes into every message back.
    pub stream: String,
    pub call: String,
    /// What the TwiML's `<Parameter>`s say.
    pub parameters: BTreeMap<String, String>,
}

/// Why a message is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("not a message of Media Streams: {0}")]
    NotAMessage(String),
    #[error("the stream is {0}; only audio/x-mulaw at 8000 Hz with one channel is understood")]
    OtherFormat(String),
    #[error("the sound is no base64")]
    NotBase64,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Wire {
    Connected {},
    Start { start: WireStart },
    Media { media: WireMedia },
    Mark { mark: WireMark },
    Dtmf { dtmf: WireDtmf },
    Stop {},
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStart {
    stream_sid: String,
    #[serde(default)]
    call_sid: String,
    #[serde(default)]
    custom_parameters: BTreeMap<String, String>,
    media_format: WireFormat,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFormat {
    encoding: String,
    sample_rate: u32,
    channels: u32,
}

#[derive(Deserialize)]
struct WireMedia {
    #[serde(default)]
    track: String,
    payload: String,
}

#[derive(Deserialize)]
struct WireMark {
    name: String,
}

#[derive(Deserialize)]
struct WireDtmf {
    digit: String,
}

/// Reads one message. `None`: nothing that concerns a call, as our own sound coming along on a stream of both tracks.
///
/// # Errors
/// When it is none, or of a format that is not spoken here.
pub fn read(text: &str) -> Result<Option<Message>, Fault> {
    let wire: Wire = serde_json::from_str(text).map_err(|fault| Fault::NotAMessage(fault.to_string()))?;
    Ok(Some(match wire {
        Wire::Connected {} => Message::Connected,
        Wire::Start { start } => {
            let WireFormat { encoding, sample_rate, channels } = &start.media_format;
            if (encoding.as_str(), *sample_rate, *channels) != ("audio/x-mulaw", 8_000, 1) {
                let encoding: String = encoding.chars().take(60).collect();
                return Err(Fault::OtherFormat(format!("{encoding} at {sample_rate} Hz with {channels} channels")));
            }
            Message::Start(Start {
                stream: start.stream_sid,
                call: start.call_sid,
                parameters: start.custom_parameters,
            })
        }
        Wire::Media { media } if media.track == "outbound" => return Ok(None),
        Wire::Media { media } => Message::Sound(STANDARD.decode(media.payload).map_err(|_| Fault::NotBase64)?),
        Wire::Mark { mark } => Message::Mark(mark.name),
        Wire::Dtmf { dtmf } => Message::Digit(dtmf.digit),
        Wire::Stop {} => Message::Stop,
    }))
}

/// Sound for the caller: μ-law at 8 kHz.
pub fn sound(stream: &str, mulaw: &[u8]) -> Value {
    json!({"event": "media", "streamSid": stream, "media": {"payload": STANDARD.encode(mulaw)}})
}

/// Tell when everything before this has been played.
pub fn mark(stream: &str, name: &str) -> Value {
    json!({"event": "mark", "streamSid": stream, "mark": {"name": name}})
}

/// What has not been played yet is not to be.
pub fn clear(stream: &str) -> Value {
    json!({"event": "clear", "streamSid": stream})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As in Twilio's documentation.
    const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC0","streamSid":"MZ18","callSid":"CA0",
        "tracks":["inbound"],"customParameters":{"persona":"clinic"},"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,
        "channels":1}},"streamSid":"MZ18"}"#;

    #[test]
    fn the_messages_of_a_stream_are_understood() {
        let connected = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;
        assert_eq!(read(connected), Ok(Some(Message::Connected)));
        let parameters = BTreeMap::from([("persona".to_owned(), "clinic".to_owned())]);
        let start = Start { stream: "MZ18".into(), call: "CA0".into(), parameters };
        assert_eq!(read(START), Ok(Some(Message::Start(start))));
        let media = r#"{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"/3//"},"streamSid":"MZ18"}"#;
        assert_eq!(read(media), Ok(Some(Message::Sound(vec![0xff, 0x7f, 0xff]))));
        assert_eq!(read(&media.replace("inbound", "outbound")), Ok(None));
        let mark = r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ18","mark":{"name":"960"}}"#;
        assert_eq!(read(mark), Ok(Some(Message::Mark("960".into()))));
        let dtmf =
            r#"{"event":"dtmf","streamSid":"MZ18","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}"#;
        assert_eq!(read(dtmf), Ok(Some(Message::Digit("1".into()))));
        let stop =
            r#"{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"AC0","callSid":"CA0"},"streamSid":"MZ18"}"#;
        assert_eq!(read(stop), Ok(Some(Message::Stop)));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let other = START.replace("x-mulaw", "x-l16").replace("8000", "16000");
        assert!(matches!(read(&other), Err(Fault::OtherFormat(format)) if format.contains("audio/x-l16 at 16000 Hz")));
        assert!(matches!(read(r#"{"event":"dance"}"#), Err(Fault::NotAMessage(why)) if why.contains("dance")));
        let media = r#"{"event":"media","media":{"payload":"%"}}"#;
        assert_eq!(read(media), Err(Fault::NotBase64));
    }

    #[test]
    fn messages_back_carry_the_stream() {
        assert_eq!(sound("MZ1", &[0xff])["media"]["payload"], "/w==");
        for message in [sound("MZ1", &[]), mark("MZ1", "7"), clear("MZ1")] {
            assert_eq!(message["streamSid"], "MZ1");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", at in 0..START.len()) {
            let _ = read(&text);
            let holed = format!("{}{text}{}", START.get(..at).unwrap_or(""), START.get(at..).unwrap_or(""));
            let _ = read(&holed);
        }
    }
}
