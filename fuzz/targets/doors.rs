//! Any bytes as what the clients of the doors say: AudioSocket's stream, Twilio's and Realtime's messages, a trickled fragment.

use duologue_signaling::audio_socket::Reader;
use duologue_signaling::realtime::session::{Session, Step};
use duologue_signaling::realtime::settings::Given;
use duologue_signaling::whip::{Credentials, FragmentFault, fragment_of, restarted};
use duologue_signaling::{twilio, whip};

/// The first byte says whose bytes these are.
pub fn run(bytes: &[u8]) {
    let [door, bytes @ ..] = bytes else { return };
    let text = std::str::from_utf8(bytes);
    match (door, text) {
        (b'a', _) => {
            let mut reader = Reader::default();
            reader.push(bytes);
            let mut left = bytes.len();
            while reader.next().is_some() {
                left = left.checked_sub(3).expect("each message has a head");
            }
        }
        (b't', Ok(text)) => {
            let _ = twilio::read(text);
        }
        (b'w', Ok(text)) => match whip::read(text) {
            Ok(fragment) => {
                let credentials = fragment
                    .credentials
                    .unwrap_or(Credentials { ufrag: "abcd".into(), pwd: "abcdefghijklmnopqrstuv".into() });
                let _ = fragment_of(&restarted(text, &credentials, &fragment.candidates));
            }
            Err(fault) => assert!(!matches!(fault, FragmentFault::TooLong) || text.len() > 64),
        },
        (b'r', Ok(text)) => {
            let mut session = Session::new("fuzz", Given::default(), false);
            session.steps();
            for line in text.lines() {
                session.ask(line);
                let steps = session.steps();
                assert!(steps.iter().all(|step| !matches!(step, Step::Tell(event) if event["event_id"].is_null())));
            }
        }
        _ => {}
    }
}
