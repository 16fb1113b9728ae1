//! The section about telephones.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::values::{Secret, SecretError, SipDigest, SpokenCodec};

section! {
    /// Telephones: calls over SIP, by UDP, TCP and TLS, from a phone, an exchange or a trunk. Off until an address is given. See
    /// docs/TELEPHONY.md.
    pub struct Sip in "sip" {
        /// Address and port for SIP, as "0.0.0.0:5060". Whoever reaches it may call, unless `users` names
        /// who may: let only your exchange through the firewall.
        listen: Option<SocketAddr> = None, Optional { each: (), example: "\"0.0.0.0:5060\"" }, "";
        /// Address and port for SIP over TLS, beside `listen`. The certificate and the key are needed too.
        tls_listen: Option<SocketAddr> = None, Optional { each: (), example: "\"0.0.0.0:5061\"" }, "";
        /// PEM file with the certificate that telephones see, and behind it those that vouch for it. Read when the server starts.
        tls_certificate: Option<PathBuf> = None, Optional { each: (), example: "\"/etc/duologue/sip.pem\"" }, "";
        /// PEM file with its key, without a password.
        tls_key: Option<PathBuf> = None, Optional { each: (), example: "\"/etc/duologue/sip-key.pem\"" }, "";
        /// PEM file with the certificates that are believed where the server calls over TLS (`sips:`, `;transport=tls`). Unset: those that
        /// the system trusts. The other side has to show a certificate for the host that stands in its address.
        tls_ca: Option<PathBuf> = None, Optional { each: (), example: "\"/etc/duologue/pbx-ca.pem\"" }, "";
        /// The address under which telephones reach this machine, where it differs from its own (NAT, cloud). It stands in what the
        /// server sends as the address of SIP and of the sound.
        public_address: Option<IpAddr> = None, Optional { each: (), example: "\"203.0.113.7\"" }, "";
        /// The first and the last UDP port for sound: each call takes one with an even number. As many ports as twice calls.max
        /// at the least.
        rtp_first: u16 = 41_000, 1_024..=65_000, "";
        /// See rtp_first, and not below it.
        rtp_last: u16 = 41_999, 1_025..=65_535, "";
        /// What is spoken. Of these the first that the telephone names is taken.
        codecs: Vec<SpokenCodec> = vec![SpokenCodec::Opus, SpokenCodec::G722, SpokenCodec::Pcma, SpokenCodec::Pcmu],
            ListOf { most: 4, each: () }, "";
        /// Numbers that are dialled, and who answers, as "5000=porter"; "*=porter" answers every number that nobody else has. A
        /// persona's own name can always be dialled.
        numbers: Vec<String> = Vec::new(), ListOf { most: 1_000, each: Text { most: 200 } }, "";
        /// Who may call, as "name=VARIABLE", with the password in that environment variable (digest authentication). The name is then the
        /// caller's, whatever the telephone says. Empty: anybody who reaches the address may call.
        users: Vec<String> = Vec::new(), ListOf { most: 1_000, each: Text { most: 200 } }, "";
        /// Telephones that register here, as "101=VARIABLE", with the password in that environment variable. The server may call them
        /// ("phone:101"), and with their password they may call it. Names are of letters, digits, +, -, . and _, and not among `users`.
        phones: Vec<String> = Vec::new(), ListOf { most: 1_000, each: Text { most: 200 } }, "";
        /// A telephone that asks to be kept for less is told so (423).
        phones_least_s: u32 = 60, 1..=3_600, "s";
        /// A telephone that asks to be kept for longer is kept for so long; not below phones_least_s.
        phones_most_s: u32 = 3_600, 60..=86_400, "s";
        /// How a password may be proved, the best first. Some telephones give up at a first one that they do not know: for them leave
        /// "MD5" alone.
        digests: Vec<SipDigest> = vec![SipDigest::Sha256, SipDigest::Md5], ListOf { most: 2, each: () }, "";
        /// How long it rings before the agent answers.
        ring_ms: u32 = 0, 0..=30_000, "ms";
        /// Whom the server may call (`POST /v1/calls` with "to", `duologue dial`), as "user@host", where "*" stands for any letters:
        /// "anna@192.0.2.7", "+49*@pbx.example.org via office". A host without a port is its port 5060, with ":*" any port. "via" names
        /// one of `trunks`, through which the call goes. Empty: nobody is called, for calls cost whoever makes them.
        outbound: Vec<String> = Vec::new(), ListOf { most: 1_000, each: Text { most: 200 } }, "";
        /// Exchanges and providers that want a name and a password, as "office=sip:4711@pbx.example.org OFFICE_PASSWORD": the server's
        /// own address there, and the environment variable with the password (digest authentication).
        trunks: Vec<String> = Vec::new(), ListOf { most: 20, each: Text { most: 200 } }, "";
        /// Those of `trunks`, by name, that the server registers with (REGISTER): it is then called under its address there, the user part of which stands
        /// in `numbers`. Calls from there need no password of `users`.
        register: Vec<String> = Vec::new(), ListOf { most: 20, each: Text { most: 60 } }, "";
        /// To whom the server offers protected sound (SRTP) where it calls: "office" (one of `trunks`) with keys in the SDP (RFC 4568), "office=dtls" with
        /// keys that are agreed on over DTLS (RFC 5763); likewise "phone:101" ("phone:*" is every telephone that registers) and "anna@192.0.2.7" as in
        /// `outbound`. The first line that fits counts. One that answers in the clear gets no call. Who offers protected sound himself is answered
        /// in kind, whatever stands here.
        srtp: Vec<String> = Vec::new(), ListOf { most: 1_000, each: Text { most: 200 } }, "";
        /// Whose telephones may have themselves replaced in a call with the server (REFER: the transfer key): "phone:101", "user:anna" (with their
        /// passwords; "*" stands for any letters), the name of one of `trunks`, or "desk@192.0.2.7" as in `outbound`. The server then calls whom they
        /// name, and nobody but whom it may call. Empty: it does not (603).
        refer_from: Vec<String> = Vec::new(), ListOf { most: 1_000, each: Text { most: 200 } }, "";
        /// Whether keys in the SDP may travel without TLS, where whoever is on the way can read them. false: who offers them so is refused (488).
        srtp_in_clear: bool = false, (), "";
        /// How long they are asked to keep it; it asks again at three quarters of what they grant.
        register_s: u32 = 3_600, 60..=86_400, "s";
        /// Calls that the server may have made at once.
        outbound_most: u32 = 2, 1..=1_000, "";
        /// Calls that the server may make within a minute: what a mistake costs at most.
        outbound_a_minute: u32 = 6, 1..=600, "";
        /// How long it rings there before the server gives up.
        answer_s: u32 = 45, 1..=180, "s";
        /// SIP messages over UDP that one address may send within a second (an IPv6 address counts with its /64); what is more is passed
        /// over. An exchange sends some ten for each call.
        messages_a_second: u32 = 2_000, 10..=100_000, "";
        /// TCP and TLS connections to the SIP ports, of all telephones together. Each takes some 150 kB.
        tcp_most: u32 = 500, 1..=10_000, "";
        /// Such connections of one address (an IPv6 address counts with its /64). Telephones behind one router share its address.
        tcp_most_per_address: u32 = 50, 1..=10_000, "";
        /// Such a connection over which nothing comes for so long is closed.
        tcp_idle_s: u32 = 300, 5..=86_400, "s";
        /// How long a call lasts when neither side says that it is still there (session timers, RFC 4028); one of them does at half of it.
        /// 0: the server asks for no such time, and keeps those that telephones ask for.
        session_s: u32 = 1_800, 0..=86_400, "s";
        /// The least such time; who asks for less is told so (422, Min-SE). RFC 4028 has 90.
        session_least_s: u32 = 90, 1..=3_600, "s";
        /// A telephone that sends nothing for so long, and is not on hold, is gone. 0: it is waited for.
        silent_s: u32 = 60, 0..=3_600, "s";
    }
}

impl Sip {
    /// The lines of `trunks`, each with the password that its second word names.
    ///
    /// # Errors
    /// The first variable that is not set.
    pub fn trunk_passwords(&self) -> Result<Vec<(String, Option<Secret>)>, SecretError> {
        let password = |line: &String| {
            let variable = line.split_whitespace().nth(1);
            let password = variable.map(|variable| Secret::from_env("sip.trunks", variable)).transpose()?;
            Ok((line.clone(), password))
        };
        self.trunks.iter().map(password).collect()
    }

    /// Telephones that register, and their passwords.
    ///
    /// # Errors
    /// The first variable that is not set.
    pub fn phone_passwords(&self) -> Result<Vec<(String, Secret)>, SecretError> {
        named(&self.phones, "sip.phones")
    }

    /// Who may call, and the passwords. An entry without "=" names the variable and the user alike.
    ///
    /// # Errors
    /// The first variable that is not set.
    pub fn passwords(&self) -> Result<Vec<(String, Secret)>, SecretError> {
        named(&self.users, "sip.users")
    }
}

fn named(entries: &[String], key: &'static str) -> Result<Vec<(String, Secret)>, SecretError> {
    let password = |entry: &String| {
        let (name, variable) = entry.split_once('=').unwrap_or((entry, entry));
        Ok((name.trim().to_owned(), Secret::from_env(key, variable.trim())?))
    };
    entries.iter().map(password).collect()
}
