//! A telephone by hand, for what no telephone from Debian does: sound over SRTP that is forged, repeated, and sent from elsewhere. SIP
//! goes over UDP, which `sip.srtp_in_clear` allows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duologue::media::rtp::RtpPacket;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(10);
/// Our key, and one that nobody has agreed on.
pub const OURS: [u8; 30] = [1; 30];
pub const FORGED: [u8; 30] = [2; 30];

pub fn context(key: &[u8]) -> Context {
    let provider = rtc_crypto::default_provider().expect("cryptography");
    let (rtp, rtcp) = (srtp_replay_protection(64), srtcp_replay_protection(64));
    let profile = ProtectionProfile::Aes128CmHmacSha1_80;
    Context::new(&key[..16], &key[16..], profile, Some(rtp), Some(rtcp), provider.crypto()).expect("a key")
}

/// What a telephone says to the server over UDP in one call.
pub struct Dialog {
    sip: UdpSocket,
    to: String,
    said: u32,
}

impl Dialog {
    pub async fn with(server: SocketAddr) -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        sip.connect(server).await.expect("an address");
        Self { sip, to: format!("<sip:porter@{server}>"), said: 0 }
    }

    async fn request(&self, method: &str, body: &str) {
        let (server, here) = (self.sip.peer_addr().expect("a server"), self.sip.local_addr().expect("an address"));
        let Self { to, said, .. } = self;
        // Of two calls of a test each is its own.
        let id = here.port();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let request = format!(
            "{method} sip:porter@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{said}{id};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:hand@127.0.0.1>;tag=hand\r\nTo: {to}\r\nCall-ID: hand{id}@x\r\nCSeq: {said} {method}\r\n\
             Contact: <sip:hand@{here}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send(request.as_bytes()).await.expect("sent");
    }

    /// The next message that has this in it.
    async fn told(&self, what: &str) -> String {
        loop {
            let mut buffer = vec![0; 8_192];
            let read = tokio::time::timeout(PATIENCE, self.sip.recv(&mut buffer)).await.expect("a message in time");
            let message = String::from_utf8_lossy(&buffer[..read.expect("a datagram")]).into_owned();
            if message.contains(what) && !message.starts_with("SIP/2.0 1") {
                return message;
            }
        }
    }

    /// Offers this, first or again; the answer.
    pub async fn offers(&mut self, body: &str) -> String {
        self.said += 1;
        self.request("INVITE", body).await;
        let answer = self.told(&format!("CSeq: {} INVITE", self.said)).await;
        if answer.starts_with("SIP/2.0 200 ") {
            self.to = line_of(&answer, "To: ").expect("To");
            self.request("ACK", "").await;
        }
        answer
    }

    /// The server hangs up.
    pub async fn is_hung_up(&self) {
        self.told("BYE sip:").await;
    }

    pub async fn hang_up(&mut self) {
        self.said += 1;
        self.request("BYE", "").await;
    }
}

/// What stands behind this at the start of a line.
pub fn line_of(message: &str, start: &str) -> Option<String> {
    message.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned)
}

/// The port of the server's sound.
pub fn port_of(answer: &str) -> u16 {
    let sound = line_of(answer, "m=audio ").expect("sound");
    sound.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
}

/// A telephone in a call.
pub struct ByHand {
    dialog: Dialog,
    pub sound: UdpSocket,
    pub reports: UdpSocket,
    /// Where the server's sound is.
    pub there: SocketAddr,
    /// The server's packets.
    pub theirs: Context,
}

/// An even port and the next.
pub async fn pair() -> (UdpSocket, UdpSocket) {
    loop {
        let sound = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = sound.local_addr().expect("an address").port();
        if port % 2 == 0
            && let Ok(reports) = UdpSocket::bind(("127.0.0.1", port + 1)).await
        {
            return (sound, reports);
        }
    }
}

impl ByHand {
    /// Calls, with a key in the SDP.
    pub async fn call(server: SocketAddr) -> Self {
        let (sound, reports) = pair().await;
        let port = sound.local_addr().expect("an address").port();
        let mut dialog = Dialog::with(server).await;
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/SAVP 8\r\n\
             a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n",
            STANDARD.encode(OURS)
        );
        let answer = dialog.offers(&body).await;
        assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains(" RTP/SAVP 8\r\n"), "{answer}");
        let key = line_of(&answer, "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:");
        let theirs = context(&STANDARD.decode(key.expect("the same line, with another key")).expect("base64"));
        let there = SocketAddr::new(server.ip(), port_of(&answer));
        Self { dialog, sound, reports, there, theirs }
    }

    pub async fn hang_up(&mut self) {
        self.dialog.hang_up().await;
    }

    /// The next packet of the server's sound, opened.
    pub async fn hears(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 2_048];
        let read = tokio::time::timeout(PATIENCE, self.sound.recv(&mut buffer)).await.expect("sound in time");
        self.theirs.decrypt_rtp(&buffer[..read.expect("a datagram")]).expect("by the key that was agreed on").to_vec()
    }

    /// The next report, opened.
    pub async fn is_told(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 2_048];
        let read = tokio::time::timeout(PATIENCE, self.reports.recv(&mut buffer)).await.expect("a report in time");
        self.theirs.decrypt_rtcp(&buffer[..read.expect("a datagram")]).expect("by the key that was agreed on").to_vec()
    }

    /// Whether sound still comes, after what is on its way has come.
    pub async fn still_hears(&mut self) -> bool {
        let mut buffer = vec![0; 2_048];
        while self.sound.try_recv(&mut buffer).is_ok() {}
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            if self.sound.try_recv(&mut buffer).is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

/// 20 ms of silence in A-law.
pub fn silence(sequence: u16) -> Vec<u8> {
    let packet = RtpPacket {
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 77,
        marker: false,
        payload: vec![0xd5; 160].into(),
    };
    packet.write().to_vec()
}
