//! A call that is handed on: the telephone is asked to call somebody else in our place (REFER, RFC 3515), and tells with NOTIFY what
//! comes of it. Until it has come about the call goes on.

use std::future::pending;
use std::time::Duration;

use duologue_signaling::event::TransferState;
use rsipstack::dialog::dialog::TransactionHandle;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Request, Response, StatusCode, StatusCodeKind};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::call::Call;
use super::request::header;
use crate::call::leg::Onto;
use crate::peer::{GoneWhy, PeerEvent};

/// A telephone that has not told by then what came of it never will: it rings for three minutes at most (RFC 3261, section 13.3.1.1).
const TOLD_WITHIN: Duration = Duration::from_secs(200);

/// A request of ours in a call, and its answer.
pub(super) type Asked = JoinHandle<rsipstack::Result<Option<Response>>>;

/// The answer to a request of ours, where there is one.
pub(super) async fn answered(asked: &mut Option<Asked>) -> Result<Response, String> {
    let Some(waiting) = asked else { return pending().await };
    let answer = waiting.await;
    *asked = None;
    match answer {
        Ok(Ok(Some(answer))) => Ok(answer),
        Ok(Ok(None)) => Err("no answer came".into()),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// What a telephone was asked, and has not told the end of.
#[derive(Debug)]
pub(super) struct Referred {
    to: String,
    since: Instant,
    rang: bool,
}

/// Whom another telephone has to call to take this dialog over: its other side, with `Replaces` (RFC 3891) as that side knows the dialog.
pub(super) fn taken_over_by(dialog: &InviteDialog) -> Onto {
    let (id, other) = (dialog.id(), dialog.snapshot().remote_uri);
    let to = rsipstack::sip::Uri { headers: Vec::new(), ..other }.to_string();
    let replaces = format!("{};to-tag={};from-tag={}", id.call_id, id.remote_tag, id.local_tag);
    Onto { refer_to: format!("<{to}?Replaces={}>", escaped(&replaces)), to }
}

/// As it may stand in the headers of an address (RFC 3261, section 25.1: hnv-unreserved, and unreserved).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// How it stands there: the first line of a NOTIFY's body (RFC 3420), as status and words.
fn told(notify: &Request) -> Option<(StatusCode, String)> {
    let body = String::from_utf8_lossy(&notify.body[..notify.body.len().min(500)]).into_owned();
    let line = body.lines().next()?.trim().strip_prefix("SIP/2.0 ")?.to_owned();
    let code: u16 = line.split_whitespace().next()?.parse().ok()?;
    (100..700).contains(&code).then(|| (code.into(), line))
}

impl Call<'_> {
    /// Asks the telephone to call somebody else.
    pub(super) async fn refer(&mut self, onto: Option<Onto>) {
        let Some(Onto { to, refer_to }) = onto else { return };
        if self.referred.is_some() {
            return;
        }
        let dialog = self.dialog.clone();
        self.asked = Some(self.exchange.tasks.spawn(async move { dialog.refer(refer_to.as_str(), None, None).await }));
        self.referred = Some(Referred { to, since: Instant::now(), rang: false });
        self.tell_transfer(TransferState::Asked, "The other side was asked to call there.".into()).await;
    }

    /// Its answer to that: whether it will.
    pub(super) async fn on_referred(&mut self, answer: Result<Response, String>) {
        match answer {
            Ok(answer) if answer.status_code.kind() == StatusCodeKind::Successful => {}
            Ok(answer) => self.not_transferred(format!("The other side will not: {}.", answer.status_code)).await,
            Err(why) => self.not_transferred(format!("The other side was not asked: {why}.")).await,
        }
    }

    /// What comes of it. Another NOTIFY is nothing that was asked for.
    pub(super) async fn on_notify(&mut self, notify: &Request, handle: TransactionHandle) {
        let of_refer = header(notify, "Event").is_some_and(|event| event.to_ascii_lowercase().starts_with("refer"));
        if !of_refer || self.referred.is_none() {
            let status = if of_refer { StatusCode::CallTransactionDoesNotExist } else { StatusCode::BadEvent };
            let _ = handle.reply(status).await;
            return;
        }
        let _ = handle.reply(StatusCode::OK).await;
        let over = header(notify, "Subscription-State").is_some_and(|state| state.starts_with("terminated"));
        match told(notify) {
            Some((status, _)) if status.kind() == StatusCodeKind::Successful => self.transferred().await,
            Some((status, line)) if status.kind() != StatusCodeKind::Provisional => {
                self.not_transferred(format!("The other side was told {line}.")).await;
            }
            _ if over => self.not_transferred("The other side does not say what came of it.".into()).await,
            Some((status, _)) if status.code() >= 180 => self.on_ringing_there().await,
            _ => {}
        }
    }

    /// Ten times a second.
    pub(super) async fn mind_transfer(&mut self) {
        if self.referred.as_ref().is_some_and(|referred| referred.since.elapsed() >= TOLD_WITHIN) {
            self.not_transferred("The other side has not told what came of it.".into()).await;
        }
    }

    async fn on_ringing_there(&mut self) {
        if let Some(referred) = self.referred.as_mut().filter(|referred| !referred.rang) {
            referred.rang = true;
            self.tell_transfer(TransferState::Ringing, "It rings there.".into()).await;
        }
    }

    /// The call ends, when the NOTIFY has been answered: a BYE that overtakes the answer is a fault to some.
    async fn transferred(&mut self) {
        self.tell_transfer(TransferState::Done, "They are connected.".into()).await;
        self.leaving = self.referred.take().map(|referred| GoneWhy::Transferred(referred.to));
    }

    /// The call goes on, and may be handed on again.
    async fn not_transferred(&mut self, why: String) {
        self.tell_transfer(TransferState::Failed, why).await;
        self.referred = None;
        self.wire.not_handed_on();
    }

    async fn tell_transfer(&self, state: TransferState, detail: String) {
        if let Some(Referred { to, .. }) = &self.referred {
            tracing::info!(to, ?state, detail, "a call is handed on");
            self.tell(PeerEvent::Transfer { to: to.clone(), state, detail }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(body: &str) -> Request {
        let text = format!(
            "NOTIFY sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>;tag=2\r\nCall-ID: 1@x\r\nCSeq: 2 NOTIFY\r\no: refer;id=2\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    #[test]
    fn what_came_of_it_is_the_first_line() {
        let of = |body: &str| told(&notify(body)).map(|(status, line)| (status.code(), line));
        assert_eq!(of("SIP/2.0 486 Busy Here\r\n"), Some((486, "486 Busy Here".into())));
        assert_eq!(of("SIP/2.0 200 OK\r\nContact: <sip:x@y>\r\n"), Some((200, "200 OK".into())));
        for none in ["", "SIP/2.0", "SIP/2.0 99", "SIP/2.0 nine", "HTTP/1.1 200 OK"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(header(&notify(""), "Event").as_deref(), Some("refer;id=2"));
    }

    #[test]
    fn a_dialog_in_an_address_is_escaped() {
        assert_eq!(escaped("1@x;to-tag=a%"), "1%40x%3Bto-tag%3Da%25");
    }
}
