//! `duologue call` from the inside: a whole call on a network in memory, in virtual time.

use std::time::Duration;

use duologue::audio::opus::{OpusEncoder, OpusSettings};
use duologue::audio::{LINE_FRAME, LINE_RATE};
use duologue::call_client::conductor::Pace;
use duologue::call_client::conversation::{Handset, Outcome, Utterance, converse};
use duologue::call_client::ear::{Stretch, responses};
use duologue::peer::client::Caller;
use duologue::peer::net::Memory;
use duologue::peer::{GoneWhy, Peer, PeerEvent, Port, PortConfig};
use tokio::task::JoinHandle;

const PACE: Pace = Pace {
    turn_gap: Duration::from_millis(1_000),
    wait_for_agent: false,
    patience: Duration::from_secs(4),
    hang_up_after: None,
};

/// A tone from one millisecond to another, silence around it.
fn tone(total_ms: usize, from_ms: usize, to_ms: usize) -> Utterance {
    let per_ms = LINE_RATE as usize / 1000;
    let mut sound = vec![0.0; total_ms * per_ms];
    for (n, sample) in sound[from_ms * per_ms..to_ms * per_ms].iter_mut().enumerate() {
        *sample = 0.3 * (n as f32 * 0.03).sin();
    }
    let speech = vec![Stretch { start: (from_ms * per_ms) as u64, end: (to_ms * per_ms) as u64 }];
    Utterance { sound, speech }
}

/// An agent that sends what it is given and ends with the call. Gives back how many packets it heard.
fn agent(mut peer: Peer, says: Utterance, then_hangs_up: bool) -> JoinHandle<usize> {
    tokio::spawn(async move {
        while !matches!(peer.events.recv().await, Some(PeerEvent::Connected)) {}
        let mut encoder = OpusEncoder::new(OpusSettings::default()).expect("an encoder");
        let mut tick = tokio::time::interval(duologue::time::TICK);
        let mut heard = 0;
        let mut n = 0;
        loop {
            tokio::select! {
                event = peer.events.recv() => match event {
                    Some(PeerEvent::Rtp { .. }) => heard += 1,
                    Some(PeerEvent::Gone(_)) | None => return heard,
                    Some(_) => {}
                },
                _ = tick.tick() => {
                    let rest = &says.sound[(n * LINE_FRAME).min(says.sound.len())..];
                    if rest.is_empty() && then_hangs_up {
                        peer.close().await;
                        return heard;
                    }
                    let mut frame = [0.0; LINE_FRAME];
                    frame.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                    let packet = encoder.encode(&frame).expect("a packet");
                    peer.line.send_rtp(n as u16, (n * LINE_FRAME) as u32, n == 0, packet);
                    if n == 25 {
                        peer.line.send_message(r#"{"type":"floor"}"#.to_owned());
                    }
                    n += 1;
                }
            }
        }
    })
}

struct Made {
    outcome: Outcome,
    messages: Vec<String>,
    heard_by_agent: usize,
}

async fn call(caller_says: &[Utterance], agent_says: Utterance, agent_hangs_up: bool, pace: Pace) -> Made {
    let network = Memory::default();
    let config = || PortConfig::local("127.0.0.1:0".parse().expect("an address"));
    let server = Port::bind_in(config(), &network).await.expect("a port");
    let callers = Port::bind_in(config(), &network).await.expect("a port");
    let caller = Caller::new(&callers).await.expect("an offer");
    let (answering, answer) = server.accept(caller.offer()).await.expect("an answer");
    let agent = agent(answering, agent_says, agent_hangs_up);
    let mut peer = caller.answered(&answer).await.expect("a usable answer");
    let mut messages = Vec::new();
    let told = |_: Duration, text: &str| messages.push(text.to_owned());
    let outcome = converse(&mut peer, caller_says, pace, Handset::default(), told).await.expect("a call");
    peer.close().await;
    Made { outcome, messages, heard_by_agent: agent.await.expect("the agent ends") }
}

#[tokio::test(start_paused = true)]
async fn the_response_read_from_the_recording_is_the_one_that_was_given() {
    // The caller begins after 300 ms and speaks until 2,300 ms; the agent speaks from 3,000 to 3,900 ms.
    let made = call(&[tone(2_500, 500, 2_000)], tone(4_000, 3_000, 3_900), false, PACE).await;
    let responses = responses(&made.outcome.turns, made.outcome.agent.sound());
    assert_eq!(responses.len(), 1);
    assert_eq!(responses[0].speech_end_ms, 2_300);
    let response = responses[0].response_ms.expect("an answer");
    assert!((695..=720).contains(&response), "{response} ms for 700 ms");
    assert_eq!(made.messages, [r#"{"type":"floor"}"#]);
    // 3,900 ms and the gap of 1,000 ms, in packets of 20 ms.
    assert!((240..=250).contains(&made.outcome.packets_sent), "{}", made.outcome.packets_sent);
    assert!(made.heard_by_agent as u64 >= made.outcome.packets_sent - 1);
    assert_eq!(made.outcome.received.lost, 0);
    assert_eq!(made.outcome.gone, None, "the caller hung up");
}

#[tokio::test(start_paused = true)]
async fn a_second_turn_waits_for_the_answer_to_the_first() {
    let made = call(&[tone(1_000, 0, 1_000), tone(1_000, 0, 1_000)], tone(4_000, 2_000, 3_000), false, PACE).await;
    let starts: Vec<_> = made.outcome.turns.iter().map(|turn| turn.start * 1000 / u64::from(LINE_RATE)).collect();
    assert_eq!(starts[0], 300);
    assert!((4_000..=4_060).contains(&starts[1]), "a second after the agent's last sound: {starts:?}");
    let responses = responses(&made.outcome.turns, made.outcome.agent.sound());
    assert_eq!(responses[1].response_ms, None, "nobody answered the second");
}

#[tokio::test(start_paused = true)]
async fn when_the_agent_hangs_up_the_recording_is_kept() {
    let made = call(&[tone(60_000, 0, 60_000)], tone(2_000, 500, 1_500), true, PACE).await;
    assert_eq!(made.outcome.gone, Some(GoneWhy::ClosedByPeer));
    assert!(made.outcome.caller.sound().len() >= 90 * LINE_FRAME);
    assert!(made.outcome.agent.sound().len() >= 90 * LINE_FRAME);
}
