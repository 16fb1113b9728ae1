//! A telephone of a few lines, which registers in ways that no telephone of Debian's would: over UDP, with SHA-256.

use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(10);

pub struct ByHand {
    socket: UdpSocket,
    server: SocketAddr,
    /// Of the last challenge.
    nonce: String,
    sent: u32,
}

fn hash(text: String) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ByHand {
    /// Has asked, and was challenged.
    pub async fn challenged(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        socket.connect(server).await.expect("a way");
        let mut phone = Self { socket, server, nonce: String::new(), sent: 0 };
        let answer = phone.ask(1, "", "").await;
        assert!(answer.starts_with("SIP/2.0 401 "), "{answer}");
        let (_, nonce) = answer.split_once("nonce=\"").expect("a nonce");
        phone.nonce = nonce.split('"').next().expect("its end").to_owned();
        phone
    }

    /// Its name is 101, its password "duologue".
    pub async fn registers(&mut self, cseq: u32, contact: &str) -> String {
        let uri = format!("sip:{}", self.server);
        let (who, what) = (hash("101:duologue:duologue".into()), hash(format!("REGISTER:{uri}")));
        let response = hash(format!("{who}:{}:{what}", self.nonce));
        let proof = format!(
            "Authorization: Digest username=\"101\", realm=\"duologue\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm=SHA-256\r\n",
            self.nonce
        );
        self.ask(cseq, &proof, contact).await
    }

    async fn ask(&mut self, cseq: u32, proof: &str, contact: &str) -> String {
        self.sent += 1;
        let (server, sent) = (self.server, self.sent);
        let request = format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-by-hand-{sent};rport\r\n\
             From: <sip:101@{server}>;tag=1\r\nTo: <sip:101@{server}>\r\nCall-ID: by-hand\r\nCSeq: {cseq} REGISTER\r\n\
             Max-Forwards: 70\r\n{proof}{contact}Content-Length: 0\r\n\r\n"
        );
        self.socket.send(request.as_bytes()).await.expect("sent");
        let mut buffer = vec![0; 4_096];
        loop {
            let heard = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect("an answer in time");
            let answer = String::from_utf8_lossy(&buffer[..heard.expect("an answer")]).into_owned();
            if answer.contains(&format!("z9hG4bK-by-hand-{sent};")) && !answer.starts_with("SIP/2.0 100 ") {
                return answer;
            }
        }
    }
}
