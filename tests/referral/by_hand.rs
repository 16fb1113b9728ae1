//! A telephone by hand, which the server calls: it asks for what no telephone of Debian's asks for, and tells what it hears. SIP over UDP; its
//! sound goes nowhere.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(20);

/// See the module's words.
pub struct ByHand {
    socket: UdpSocket,
    server: SocketAddr,
    /// What has come and was not asked for yet.
    came: Vec<String>,
    /// Of the call that it has.
    invite: String,
    said: u32,
}

/// The line of a header, with its name.
pub fn line<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message
        .lines()
        .map(str::trim_end)
        .find(|line| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name)))
}

/// The value of a header.
pub fn value<'a>(message: &'a str, name: &str) -> &'a str {
    line(message, name).and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
}

impl ByHand {
    pub async fn of(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        socket.connect(server).await.expect("a way");
        Self { socket, server, came: Vec::new(), invite: String::new(), said: 0 }
    }

    fn here(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    /// Where it is called.
    pub fn address(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.here())
    }

    /// The next message that begins so and has this in it.
    pub async fn hears(&mut self, start: &str, what: &str) -> String {
        let is = |message: &String| message.starts_with(start) && message.contains(what);
        loop {
            if let Some(at) = self.came.iter().position(is) {
                return self.came.remove(at);
            }
            let mut buffer = vec![0; 8_192];
            let read = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
            let Ok(read) = read else { panic!("{start} did not come: {:#?}", self.came) };
            self.came.push(String::from_utf8_lossy(&buffer[..read.expect("readable")]).into_owned());
        }
    }

    /// Whether something that begins so has come, or comes within so long.
    pub async fn has_heard(&mut self, start: &str, within: Duration) -> bool {
        tokio::time::timeout(within, self.hears(start, "")).await.is_ok()
    }

    /// Our side of the dialog, as `From` and `To` have it.
    fn ours(invite: &str) -> String {
        let to = value(invite, "To");
        if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=hand") }
    }

    /// Answers a request.
    pub async fn answers(&self, request: &str, status: &str, body: &str) {
        let via: Vec<&str> = request.lines().map(str::trim_end).filter(|line| line.starts_with("Via:")).collect();
        let [from, call_id, cseq] = ["From", "Call-ID", "CSeq"].map(|name| line(request, name).expect("a header"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let answer = format!(
            "SIP/2.0 {status}\r\n{}\r\n{from}\r\nTo: {}\r\n{call_id}\r\n{cseq}\r\nContact: <{}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            via.join("\r\n"),
            Self::ours(request),
            self.address("hand"),
            body.len()
        );
        self.socket.send(answer.as_bytes()).await.expect("sent");
    }

    /// It rings; the INVITE.
    pub async fn rings(&mut self) -> String {
        let invite = self.hears("INVITE ", "").await;
        self.answers(&invite, "180 Ringing", "").await;
        invite
    }

    /// Picks up what rings.
    pub async fn picks_up(&mut self, invite: &str) {
        let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n";
        self.answers(invite, "200 OK", body).await;
        self.hears("ACK ", value(invite, "Call-ID")).await;
        self.invite = invite.to_owned();
    }

    /// Sends a request in its call.
    async fn asks(&mut self, method: &str, headers: &str) {
        self.said += 1;
        let (invite, said, here) = (&self.invite, self.said, self.here());
        let (ours, theirs, call_id) = (Self::ours(invite), value(invite, "From"), value(invite, "Call-ID"));
        let contact = value(invite, "Contact").trim_start_matches('<');
        let to = contact.split('>').next().expect("an address");
        let request = format!(
            "{method} {to} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{said}{};rport\r\nMax-Forwards: 70\r\nFrom: {ours}\r\n\
             To: {theirs}\r\nCall-ID: {call_id}\r\nCSeq: {said} {method}\r\nContact: <sip:hand@{here}>\r\n{headers}Content-Length: 0\r\n\r\n",
            here.port()
        );
        self.socket.send(request.as_bytes()).await.expect("sent");
    }

    /// Sends a request in its call, and gives the answer.
    pub async fn asked(&mut self, method: &str, headers: &str) -> String {
        self.asks(method, headers).await;
        let cseq = format!("CSeq: {} {method}", self.said);
        self.hears("SIP/2.0 ", &cseq).await
    }

    /// Asks for this address in its place; the status that it is answered with.
    pub async fn refers(&mut self, to: &str) -> String {
        self.asked("REFER", &format!("Refer-To: {to}\r\n")).await[8..11].to_owned()
    }

    /// A REFER of no call of the server's.
    pub async fn refers_out_of_nowhere(&mut self) -> String {
        let (here, server) = (self.here(), self.server);
        let request = format!(
            "REFER sip:porter@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKnowhere;rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <sip:porter@{server}>\r\nCall-ID: nowhere\r\nCSeq: 1 REFER\r\nContact: <sip:a@{here}>\r\nRefer-To: <sip:b@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(request.as_bytes()).await.expect("sent");
        self.hears("SIP/2.0 ", "Call-ID: nowhere").await[8..11].to_owned()
    }

    /// The next that it is told of its REFER: what stands in it, and how the subscription is.
    pub async fn is_notified(&mut self) -> (String, String) {
        let notify = self.hears("NOTIFY ", "").await;
        self.answers(&notify, "200 OK", "").await;
        assert!(value(&notify, "Event").starts_with("refer"), "{notify}");
        assert!(value(&notify, "Content-Type").starts_with("message/sipfrag"), "{notify}");
        let body = notify.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_owned();
        (body, value(&notify, "Subscription-State").split(';').next().unwrap_or_default().to_owned())
    }

    /// It is told this and no more.
    pub async fn is_told(&mut self, states: &[(&str, &str)]) {
        for (status, state) in states {
            assert_eq!(self.is_notified().await, (format!("SIP/2.0 {status}"), (*state).to_owned()));
        }
    }

    pub async fn is_hung_up(&mut self) {
        let bye = self.hears("BYE ", "").await;
        self.answers(&bye, "200 OK", "").await;
    }

    pub async fn hangs_up(&mut self) {
        let answer = self.asked("BYE", "").await;
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    }
}
