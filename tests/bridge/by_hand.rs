//! A telephone by hand, for what no telephone from Debian does: it takes the place of another one (RFC 3891), and tells its packets byte for byte.
//! It talks and listens, in mu-law over plain RTP.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use duologue::audio::codec::{LineCodec, LineDecoder, LineEncoder};
use duologue::audio::opus::OpusSettings;
use duologue::audio::{HEAR_FRAME, HEAR_RATE};
use duologue::backend::scripted_voice::heard;
use duologue::media::rtp::RtpPacket;
use duologue::time::TICK;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::ENOUGH;
use super::baresip::share;
use super::browser::{next_frame, words};

const PATIENCE: Duration = Duration::from_secs(10);
/// Samples of 8 kHz in a packet.
const PACKET: u32 = 160;

/// An INVITE with these headers more, whose sound is at that port. `id` stands for everything that has to be one's own.
pub fn invite(here: SocketAddr, sound: u16, id: &str, headers: &str) -> String {
    let ip = here.ip();
    let body = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {sound} RTP/AVP 0\r\n");
    format!(
        "INVITE sip:porter@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:desk@{here}>;tag={id}\r\nTo: <sip:porter@127.0.0.1>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:desk@{here}>\r\n{headers}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The last answer to a request, the provisional ones passed over.
pub async fn answer(socket: &UdpSocket) -> String {
    let mut buffer = vec![0; 4_096];
    loop {
        let read = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await;
        let text = String::from_utf8_lossy(&buffer[..read.expect("an answer").expect("readable")]).into_owned();
        if text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
            return text;
        }
    }
}

#[derive(Default)]
struct Seen {
    to_say: VecDeque<f32>,
    sound: Vec<f32>,
    /// What has left and what has come, as payloads.
    left: Vec<Bytes>,
    came: Vec<Bytes>,
}

/// See the module's words.
pub struct ByHand {
    sip: UdpSocket,
    server: SocketAddr,
    id: String,
    /// With the server's tag.
    to: String,
    seen: Arc<Mutex<Seen>>,
    living: JoinHandle<()>,
}

impl ByHand {
    /// Takes the place of the telephone in this dialog, and is in the call.
    pub async fn takes_over(server: u16, dialog: &str) -> Self {
        Self::invites(server, &format!("Replaces: {dialog}\r\n")).await
    }

    /// Calls.
    pub async fn calls(server: u16) -> Self {
        Self::invites(server, "").await
    }

    async fn invites(server: u16, headers: &str) -> Self {
        let server = SocketAddr::from(([127, 0, 0, 1], server));
        let sip = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let sound = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let (here, port) = (sip.local_addr().expect("an address"), sound.local_addr().expect("an address").port());
        let id = uuid::Uuid::new_v4().simple().to_string();
        let asked = invite(here, port, &id, headers);
        sip.send_to(asked.as_bytes(), server).await.expect("sent");
        let answer = answer(&sip).await;
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        let after = |start: &str| answer.lines().find_map(|line| line.trim_end().strip_prefix(start)).expect("a line");
        let to = after("To: ").to_owned();
        let there = after("m=audio ").split(' ').next().expect("a port").parse().expect("a number");
        let seen = Arc::<Mutex<Seen>>::default();
        let living = tokio::spawn(live(sound, SocketAddr::from(([127, 0, 0, 1], there)), seen.clone()));
        let this = Self { sip, server, id, to, seen, living };
        this.sends("ACK", 1).await;
        this
    }

    async fn sends(&self, method: &str, cseq: u8) {
        let here = self.sip.local_addr().expect("an address");
        let (id, to) = (&self.id, &self.to);
        let request = format!(
            "{method} sip:porter@{} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{id}\r\nMax-Forwards: 70\r\n\
             From: <sip:desk@{here}>;tag={id}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            self.server
        );
        self.sip.send_to(request.as_bytes(), self.server).await.expect("sent");
    }

    /// Says this; returns when it has been said.
    pub async fn says(&self, text: &str) {
        let sound = words(text).await;
        self.seen.lock().expect("nobody panicked").to_say.extend(sound);
        while !self.seen.lock().expect("nobody panicked").to_say.is_empty() {
            tokio::time::sleep(TICK).await;
        }
    }

    /// Waits until this came out of it.
    pub async fn hears(&self, said: &str) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let heard = heard(&self.seen.lock().expect("nobody panicked").sound, HEAR_RATE);
            if share(&heard, said) >= ENOUGH {
                return;
            }
            assert!(Instant::now() < patience, "{said} was not heard: {heard:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How long there was sound in what it heard, in frames of 20 ms louder than -40 dBFS.
    pub fn loud_ms(&self) -> u64 {
        let seen = self.seen.lock().expect("nobody panicked");
        let frames = seen.sound.chunks(HEAR_FRAME);
        frames.filter(|frame| frame.iter().any(|sample| sample.abs() > 0.01)).count() as u64 * 20
    }

    /// The payloads that have left, and those that have come.
    pub fn packets(&self) -> (Vec<Bytes>, Vec<Bytes>) {
        let seen = self.seen.lock().expect("nobody panicked");
        (seen.left.clone(), seen.came.clone())
    }

    pub async fn hang_up(self) {
        self.sends("BYE", 2).await;
        let told = answer(&self.sip).await;
        assert!(told.starts_with("SIP/2.0 200 ") && told.contains("BYE"), "{told}");
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.living.abort();
    }
}

async fn live(socket: UdpSocket, there: SocketAddr, seen: Arc<Mutex<Seen>>) {
    let mut encoder = LineEncoder::new(LineCodec::Pcmu, OpusSettings::default()).expect("an encoder");
    let mut decoder = LineDecoder::new(LineCodec::Pcmu).expect("a decoder");
    let (mut tick, mut sequence, mut buffer) = (tokio::time::interval(TICK), 0_u16, [0; 2_048]);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let frame = next_frame(&mut seen.lock().expect("nobody panicked").to_say);
                let payload = encoder.encode(&frame).expect("a packet");
                let (number, time) = (sequence.to_be_bytes(), (u32::from(sequence) * PACKET).to_be_bytes());
                let packet = [&[0x80, 0][..], &number, &time, b"desk", &payload].concat();
                let _ = socket.send_to(&packet, there).await;
                sequence = sequence.wrapping_add(1);
                seen.lock().expect("nobody panicked").left.push(payload);
            }
            Ok((length, _)) = socket.recv_from(&mut buffer) => {
                if let Some(packet) = RtpPacket::read(&Bytes::copy_from_slice(&buffer[..length])) {
                    let mut seen = seen.lock().expect("nobody panicked");
                    decoder.decode(&packet.payload, &mut seen.sound);
                    seen.came.push(packet.payload);
                }
            }
        }
    }
}
