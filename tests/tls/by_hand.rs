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

/// A telephone in a call.
pub struct ByHand {
    sip: UdpSocket,
    pub sound: UdpSocket,
    pub reports: UdpSocket,
    /// Where the server's sound is.
    pub there: SocketAddr,
    /// The server's packets.
    pub theirs: Context,
    to: String,
}

/// An even port and the next.
async fn pair() -> (UdpSocket, UdpSocket) {
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
    /// Calls, with `suite` for the sound.
    pub async fn call(server: SocketAddr) -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        sip.connect(server).await.expect("an address");
        let (sound, reports) = pair().await;
        let here = sip.local_addr().expect("an address");
        let port = sound.local_addr().expect("an address").port();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/SAVP 8\r\n\
             a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n",
            STANDARD.encode(OURS)
        );
        let invite = format!(
            "INVITE sip:porter@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKhand1;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:hand@127.0.0.1>;tag=hand\r\nTo: <sip:porter@{server}>\r\nCall-ID: hand@x\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:hand@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        sip.send(invite.as_bytes()).await.expect("sent");
        let answer = loop {
            let mut buffer = vec![0; 8_192];
            let read = tokio::time::timeout(PATIENCE, sip.recv(&mut buffer)).await.expect("an answer in time");
            let answer = String::from_utf8_lossy(&buffer[..read.expect("a datagram")]).into_owned();
            if answer.contains("CSeq: 1 INVITE") && !answer.starts_with("SIP/2.0 1") {
                break answer;
            }
        };
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        let line = |start: &str| answer.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
        let key = line("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:").expect("the same line, with another key");
        let there = line("m=audio ").and_then(|line| line.strip_suffix(" RTP/SAVP 8")?.parse().ok()).expect("a port");
        let to = line("To: ").expect("To");
        let ack = format!(
            "ACK sip:porter@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKhand2;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:hand@127.0.0.1>;tag=hand\r\nTo: {to}\r\nCall-ID: hand@x\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        );
        sip.send(ack.as_bytes()).await.expect("sent");
        let theirs = context(&STANDARD.decode(key).expect("base64"));
        Self { sip, sound, reports, there: SocketAddr::new(server.ip(), there), theirs, to }
    }

    pub async fn hang_up(&self) {
        let (server, here) = (self.sip.peer_addr().expect("a server"), self.sip.local_addr().expect("an address"));
        let bye = format!(
            "BYE sip:porter@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKhand3;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:hand@127.0.0.1>;tag=hand\r\nTo: {}\r\nCall-ID: hand@x\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
            self.to
        );
        self.sip.send(bye.as_bytes()).await.expect("sent");
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
