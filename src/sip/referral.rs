//! A telephone that asks to be replaced in its call (REFER, RFC 3515): the server calls whom it names, and when he answers the call is held
//! over his line, as if he had taken it over himself ([`super::replaced`]). The telephone is told by NOTIFY how it stands; until somebody has
//! answered the call goes on as it was, and where the telephone hangs up meanwhile it waits, on hold.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use duologue_signaling::event::TransferState;
use duologue_signaling::refer::{ReferFault, ReferTo, Replaces};
use futures_util::future::BoxFuture;
use rsipstack::dialog::dialog::TransactionHandle;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, HeadersExt as _, Request, StatusCode, StatusCodeKind};
use rsipstack::transaction::key::TransactionRole;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::dial::{NotDialled, Permits};
use super::offers::cseq;
use super::placed::{Placed, Purpose, Successor};
use super::request::{came_from, header};
use super::route::Allowed;
use super::{Exchange, warning};
use crate::journal::{CallId, EndReason};
use crate::peer::{GoneWhy, PeerEvent};

/// The last NOTIFY is waited for so long: a BYE that overtakes its answer is a fault to some.
const LAST_WORD: Duration = Duration::from_secs(2);
/// A subscription lasts as long as it may ring, and so much longer.
const BEYOND_RINGING_S: u64 = 15;

/// How it stands with whoever is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Called,
    Rings,
    /// His line holds the call from here on.
    Answered,
    NotTaken(EndReason, String),
}

impl Came {
    /// As the telephone is told (RFC 3420): what other sides have answered has its name in the call's end, and gets the usual number back.
    const fn status(&self) -> StatusCode {
        match self {
            Self::Called => StatusCode::Trying,
            Self::Rings => StatusCode::Ringing,
            Self::Answered => StatusCode::OK,
            Self::NotTaken(EndReason::Busy, _) => StatusCode::BusyHere,
            Self::NotTaken(EndReason::Declined, _) => StatusCode::Decline,
            Self::NotTaken(EndReason::NoAnswer, _) => StatusCode::TemporarilyUnavailable,
            Self::NotTaken(..) => StatusCode::ServiceUnavailable,
        }
    }

    const fn is_final(&self) -> bool {
        matches!(self, Self::Answered | Self::NotTaken(..))
    }
}

/// What a telephone has asked for, and has no end yet.
pub(super) struct Referral {
    to: String,
    came: watch::Receiver<Came>,
    /// Cancelled, nobody is called any more.
    give_up: CancellationToken,
    notices: Notices,
}

/// What the telephone is told.
enum Notices {
    /// It does not want to know (RFC 4488).
    None,
    /// Our answer is still on its way: whoever hears a NOTIFY before it knows of no subscription. This is its `Event`.
    After(String),
    Sent(JoinHandle<()>),
}

impl Referral {
    fn is_answered(&self) -> bool {
        *self.came.borrow() == Came::Answered
    }

    /// The telephone's line ends. True where another one holds the call by now; then it has been told so.
    pub(super) async fn is_over(mut self) -> bool {
        let answered = self.is_answered();
        if let Notices::Sent(notices) = &mut self.notices
            && (!answered || tokio::time::timeout(LAST_WORD, &mut *notices).await.is_err())
        {
            notices.abort();
        }
        answered
    }
}

/// Who is called for a line that is no more is called no more, unless he has answered: his line is the call's then.
impl Drop for Referral {
    fn drop(&mut self) {
        if !self.is_answered() {
            self.give_up.cancel();
        }
    }
}

/// The next that is heard of whoever is called, where somebody is.
pub(super) async fn told(referral: &mut Option<Referral>) -> Came {
    let Some(referral) = referral.as_mut().filter(|referral| !referral.is_answered()) else {
        return pending().await;
    };
    match referral.came.changed().await {
        Ok(()) => referral.came.borrow_and_update().clone(),
        Err(_) => Came::NotTaken(EndReason::Unreachable, "it was given up".into()),
    }
}

/// What is asked for, where it may be.
struct Wanted {
    to: String,
    replaces: Option<Replaces>,
    /// Nothing is to be told of it.
    quiet: bool,
    permits: Permits,
}

/// Why it is not done.
struct Refused(StatusCode, String);

impl From<ReferFault> for Refused {
    fn from(fault: ReferFault) -> Self {
        let status = match fault {
            ReferFault::Scheme(_) => StatusCode::UnsupportedUriScheme,
            _ => StatusCode::BadRequest,
        };
        Self(status, fault.to_string())
    }
}

impl From<NotDialled> for Refused {
    fn from(why: NotDialled) -> Self {
        let status = if matches!(why, NotDialled::Target(_)) { StatusCode::BadRequest } else { StatusCode::Decline };
        Self(status, why.to_string())
    }
}

impl Call<'_> {
    /// The telephone asks for somebody else to be called in its place.
    pub(super) async fn on_refer(&mut self, refer: &Request, handle: TransactionHandle) {
        // It may have heard of the end of the one before sooner than this task.
        let before = self.referral.as_ref().map(|referral| referral.came.borrow().clone());
        if let Some(came @ Came::NotTaken(..)) = before {
            self.on_came(came).await;
        }
        match self.wanted(refer) {
            Ok(wanted) => {
                let quiet = wanted.quiet.then(|| vec![Header::Other("Refer-Sub".into(), "false".into())]);
                let _ = handle.respond(StatusCode::Accepted, quiet, None).await;
                self.begin_referral(wanted, event(refer)).await;
            }
            Err(Refused(status, why)) => {
                tracing::info!(call = self.call, code = status.code(), why, "a telephone's REFER is refused");
                self.exchange.registry.recorder().meters().refuse_sip("refer");
                let _ = handle.respond(status, Some(vec![warning(&why)]), None).await;
            }
        }
    }

    /// What it asks for. Who may not ask is told nothing else; and whom the server may not call, it does not call for others either.
    fn wanted(&self, refer: &Request) -> Result<Wanted, Refused> {
        let exchange = self.exchange;
        let named = exchange.settings.refer_from.iter().any(|who| who.is(&self.party));
        // Whoever has overheard a dialog's tags may say something in it from elsewhere.
        if !named || came_from(refer) != Some(self.peer) {
            return Err(Refused(StatusCode::Decline, "sip.refer_from does not name who asks".into()));
        }
        if self.referral.is_some() || self.referred.is_some() || !self.connected {
            return Err(Refused(StatusCode::RequestPending, "the call is being handed on already".into()));
        }
        let mut values = refer.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("Refer-To"));
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refused(StatusCode::BadRequest, "Refer-To stands there once".into()));
        };
        let ReferTo { address: to, replaces } = ReferTo::read(value.value())?;
        if let Allowed::Address(target, _) = exchange.allowed(&to)?
            && exchange.is_ours(&target)
        {
            // A call between two of this server's own calls would be its agents talking with each other.
            return Err(Refused(StatusCode::Decline, format!("{to} is this server")));
        }
        let quiet = header(refer, "Refer-Sub").is_some_and(|wants| wants.eq_ignore_ascii_case("false"));
        Ok(Wanted { to, replaces, quiet, permits: exchange.permits()? })
    }

    async fn begin_referral(&mut self, wanted: Wanted, event: String) {
        let (give_up, tells) = (CancellationToken::new(), watch::Sender::new(Came::Called));
        let notices = if wanted.quiet { Notices::None } else { Notices::After(event) };
        let to = wanted.to.clone();
        self.referral = Some(Referral { to, came: tells.subscribe(), give_up: give_up.clone(), notices });
        let (exchange, call, name) = (self.exchange.clone(), self.call.clone(), our_name(self.dialog));
        self.exchange.tasks.spawn(exchange.replace(call, name, wanted, give_up, tells));
        self.tell_referral(TransferState::Asked, "The telephone asks for it to be called in its place.".into()).await;
    }

    /// Our answer to the REFER has left.
    pub(super) fn begin_notices(&mut self, answered: bool) {
        let Some(referral) = self.referral.as_mut().filter(|_| answered) else { return };
        let Notices::After(event) = &mut referral.notices else { return };
        let (event, came) = (std::mem::take(event), referral.came.clone());
        let lasts_s = self.exchange.settings.answer.as_secs() + BEYOND_RINGING_S;
        let notices = notify(self.dialog.clone(), came, event, lasts_s);
        referral.notices = Notices::Sent(self.exchange.tasks.spawn(notices));
    }

    /// What is heard of whoever is called. Where he does not come and the telephone has hung up, the call is over.
    pub(super) async fn on_came(&mut self, came: Came) -> Option<GoneWhy> {
        match came {
            // The line that holds the call from then on tells of it.
            Came::Called | Came::Answered => None,
            Came::Rings => {
                self.tell_referral(TransferState::Ringing, "It rings there.".into()).await;
                None
            }
            Came::NotTaken(reason, why) => {
                let goes_on = if self.left { "Nobody holds the call any more" } else { "The call goes on as it was" };
                self.tell_referral(TransferState::Failed, format!("{goes_on}: {why}.")).await;
                let to = self.referral.take().map(|referral| referral.to.clone()).unwrap_or_default();
                let why = format!("whom the telephone wanted called in its place ({to}) did not take the call: {why}");
                self.left.then_some(GoneWhy::NotTaken(reason, why))
            }
        }
    }

    /// The telephone has hung up. Where somebody is called in its place the call waits for him: most telephones do so as soon as they are told that
    /// it will be tried.
    pub(super) async fn stays_without_it(&mut self) -> bool {
        if self.referral.is_none() {
            return false;
        }
        self.left = true;
        self.wire.aim(None);
        self.on_hold(true).await;
        true
    }

    async fn tell_referral(&self, state: TransferState, detail: String) {
        let Some(Referral { to, .. }) = &self.referral else { return };
        tracing::info!(call = self.call, to, ?state, detail, "a telephone is replaced");
        self.tell(PeerEvent::Transfer { to: to.clone(), state, detail }).await;
    }
}

impl Exchange {
    /// Calls whoever is to hold this call, and stays with his line to its end. (Boxed: that line's telephone may ask for the same.)
    fn replace(
        self: Arc<Self>,
        call: CallId,
        name: String,
        wanted: Wanted,
        give_up: CancellationToken,
        tells: watch::Sender<Came>,
    ) -> BoxFuture<'static, ()> {
        self.dialled.fetch_add(1, Ordering::Relaxed);
        let Wanted { to, replaces, permits: Permits { one_of, minute }, .. } = wanted;
        self.count_for_a_minute(minute);
        Box::pin(async move {
            let prepared = async {
                let route = self.route(self.allowed(&to)?).await?;
                let (leg, line) = self.prepare(&route, &name, replaces, one_of, give_up.clone()).await?;
                Ok::<_, NotDialled>((route.name, leg, line))
            };
            match give_up.run_until_cancelled(prepared).await {
                None => {}
                Some(Err(why)) => {
                    tells.send_replace(Came::NotTaken(EndReason::Unreachable, why.to_string()));
                }
                Some(Ok((by, leg, line))) => {
                    let purpose = Purpose::InPlace(Successor { leg: Some(leg), to, by, tells });
                    self.clone().place(Placed { call, line, purpose }).await;
                }
            }
        })
    }
}

/// Tells the telephone how it stands, one after the other, until there is no more to tell or it does not want to hear it.
async fn notify(dialog: InviteDialog, mut came: watch::Receiver<Came>, event: String, lasts_s: u64) {
    loop {
        let now = came.borrow_and_update().clone();
        let state =
            if now.is_final() { "terminated;reason=noresource".into() } else { format!("active;expires={lasts_s}") };
        let headers = vec![
            Header::Event(event.as_str().into()),
            Header::SubscriptionState(state.into()),
            Header::ContentType("message/sipfrag;version=2.0".into()),
        ];
        let body = format!("SIP/2.0 {}\r\n", now.status());
        match dialog.notify(Some(headers), Some(body.into_bytes())).await {
            Ok(Some(answer)) if answer.status_code.kind() == StatusCodeKind::Successful => {}
            // Without a dialog there is none to be told (the telephone has hung up).
            Ok(answer) => {
                let status = answer.map(|answer| answer.status_code.code());
                return tracing::debug!(?status, "a telephone does not want to know what became of its REFER");
            }
            Err(fault) => return tracing::debug!(%fault, "a NOTIFY was not answered"),
        }
        if now.is_final() || came.changed().await.is_err() {
            return;
        }
    }
}

/// What its NOTIFYs are about: the number tells those of several REFERs apart (RFC 3515, section 2.4.6).
fn event(refer: &Request) -> String {
    cseq(refer).map_or_else(|| "refer".into(), |number| format!("refer;id={number}"))
}

/// As whom the telephone knows us: whoever it asks for is called by the same.
fn our_name(dialog: &InviteDialog) -> String {
    let invite = dialog.initial_request();
    let from = invite.from_header().ok().and_then(|from| from.uri().ok());
    let ours = if dialog.role() == TransactionRole::Server { Some(invite.uri) } else { from };
    let user = ours.as_ref().and_then(|uri| uri.user()).filter(|user| !user.is_empty());
    user.unwrap_or("duologue").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telephone_is_told_what_came_by_its_usual_number() {
        let not_taken = |reason| Came::NotTaken(reason, String::new());
        for (came, code, over) in [
            (Came::Called, 100, false),
            (Came::Rings, 180, false),
            (Came::Answered, 200, true),
            (not_taken(EndReason::Busy), 486, true),
            (not_taken(EndReason::Declined), 603, true),
            (not_taken(EndReason::NoAnswer), 480, true),
            (not_taken(EndReason::Unreachable), 503, true),
        ] {
            assert_eq!((came.status().code(), came.is_final()), (code, over));
        }
    }

    #[test]
    fn who_is_asked_for_badly_is_refused_with_the_reason() {
        let of = |value: &str| ReferTo::read(value).map_err(Refused::from).map_err(|Refused(status, _)| status.code());
        assert_eq!(of("<tel:+4930>").map(|_| ()), Err(416));
        assert_eq!(of("<https://example.org>").map(|_| ()), Err(416));
        assert_eq!(of("desk").map(|_| ()), Err(400));
        assert_eq!(of("<sip:a@x>, <sip:b@x>").map(|_| ()), Err(400));
    }

    #[tokio::test]
    async fn who_is_called_for_a_line_that_is_no_more_is_called_no_more_unless_he_has_answered() {
        for answered in [false, true] {
            let (give_up, tells) = (CancellationToken::new(), watch::Sender::new(Came::Called));
            let referral = Referral {
                to: "sip:a@x".into(),
                came: tells.subscribe(),
                give_up: give_up.clone(),
                notices: Notices::None,
            };
            if answered {
                tells.send_replace(Came::Answered);
            }
            assert_eq!(referral.is_over().await, answered);
            assert_eq!(give_up.is_cancelled(), !answered);
        }
    }
}
