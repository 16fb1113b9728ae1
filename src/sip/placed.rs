//! A call of the server's own on its way: the INVITE, the ringing, the answer or what came instead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use duologue_signaling::demux::{Kind, kind};
use duologue_signaling::event::TransferState;
use duologue_signaling::phone_sdp::{self, PhoneSdp, PhoneSdpFault, Said};
use duologue_signaling::refer::Replaces;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invitation::{InviteAsyncResult, InviteOption};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Response, StatusCodeKind};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Exchange;
use super::call::{Call, Parties};
use super::ending::outcome;
use super::line::{Latch, Wire};
use super::party::Party;
use super::protection::Offered;
use super::referral::Came;
use super::refresh::{self, Agreed};
use super::target::Target;
use crate::call::leg::Leg;
use crate::journal::{CallId, EndReason};
use crate::peer::{GoneWhy, PeerEvent};

/// A call that was given up is followed for so long: the INVITE's own time (64*T1, RFC 3261, section 17.1.1.2), and a little.
const GIVEN_UP: Duration = Duration::from_secs(40);
/// Of early media nothing is kept.
const DATAGRAM: usize = 2_048;

/// A call that is to be made.
pub(super) struct Placed {
    pub(super) call: CallId,
    pub(super) line: OurLine,
    pub(super) purpose: Purpose,
}

/// What somebody is called for.
pub(super) enum Purpose {
    /// To hold a call of his own, which has begun with the dialling.
    Own,
    /// To hold one that is there, in the place of the telephone that has asked for it.
    InPlace(Successor),
}

/// Whoever is called in a telephone's place.
pub(super) struct Successor {
    /// Over which the call is held from his answer on.
    pub(super) leg: Option<Leg>,
    /// His address, and his name.
    pub(super) to: String,
    pub(super) by: String,
    pub(super) tells: watch::Sender<Came>,
}

/// The line to him.
pub(super) struct OurLine {
    pub(super) invite: InviteOption,
    /// The dialog there whose place it is to take.
    pub(super) replaces: Option<Replaces>,
    /// To whom a connection is made before; a telephone that is registered has one.
    pub(super) connects: Option<Target>,
    pub(super) there: SocketAddr,
    pub(super) party: Party,
    pub(super) here: SocketAddr,
    pub(super) session: u64,
    /// How sound is offered.
    pub(super) offered: Offered,
    /// The first of a handshake that has come before the answer: where from, and what.
    pub(super) early: Option<(SocketAddr, Bytes)>,
    pub(super) wire: Arc<Wire>,
    pub(super) events: mpsc::Sender<PeerEvent>,
    pub(super) hang_up: CancellationToken,
    pub(super) finished: CancellationToken,
    /// However it ends, whoever waits for it is told.
    pub(super) _told: DropGuard,
    /// Leave to be one of the calls that the server makes at once, until it is over.
    pub(super) one_of: Option<OwnedSemaphorePermit>,
}

/// What came of the ringing.
enum Rung {
    Answered(Box<Response>),
    /// It wants longer times between two signs of life: so many seconds.
    TooBrief(u32),
    /// It has an end already.
    Ended(GoneWhy),
    /// It was given up here, and the other side has yet to hear of it.
    GivenUp(GoneWhy),
}

impl Rung {
    /// Where the answer to our offer came while it rang, that to the INVITE need not have it again (RFC 3262, section 5).
    fn with(mut self, promised: Vec<u8>) -> Self {
        if let Self::Answered(answer) = &mut self
            && answer.body.is_empty()
        {
            answer.body = promised;
        }
        self
    }
}

impl Exchange {
    /// From the INVITE to the end of the call.
    pub(super) async fn place(self: Arc<Self>, mut placed: Placed) {
        let connect = async {
            match &placed.line.connects {
                Some(hop) => self.connect(hop, placed.line.there).await,
                None => Ok(()),
            }
        };
        let connected = placed.line.hang_up.run_until_cancelled(connect).await;
        match connected {
            Some(Ok(())) => {}
            Some(Err(why)) => {
                return placed.is_over(GoneWhy::NotTaken(EndReason::Unreachable, why.to_string())).await;
            }
            None => return placed.tell(GoneWhy::ClosedHere).await,
        }
        let again = placed.line.invite.clone();
        if let Some(least) = self.place_once(&mut placed).await {
            // It wants to be asked less often whether it is there (422).
            let asks = self.asks(least, placed.line.replaces.as_ref());
            placed.line.invite = InviteOption { headers: Some(asks), ..again };
            if self.place_once(&mut placed).await.is_some() {
                let why = "the other side answered 422 to the time that it had asked for itself".into();
                placed.tell(GoneWhy::NotTaken(EndReason::Unreachable, why)).await;
            }
        }
    }

    /// One INVITE, and what comes of it. A time is that which the other side wants between two signs of life at the least: then it
    /// was not told that the call is over.
    async fn place_once(self: &Arc<Self>, placed: &mut Placed) -> Option<u32> {
        let (states_in, mut states) = self.dialogs.new_dialog_state_channel();
        let invite = std::mem::take(&mut placed.line.invite);
        let (dialog, mut asked) = match self.dialogs.do_invite_async(invite, states_in) {
            Ok(asked) => asked,
            Err(fault) => {
                placed.is_over(GoneWhy::NotTaken(EndReason::Unreachable, fault.to_string())).await;
                return None;
            }
        };
        let mut least = None;
        match self.wait(&dialog, &mut asked, &mut states, placed).await {
            Rung::TooBrief(wants) => least = Some(wants),
            Rung::Answered(answer) => self.talk(&dialog, &mut states, placed, &answer).await,
            Rung::Ended(why) => placed.is_over(why).await,
            Rung::GivenUp(why) => {
                placed.tell(why).await;
                let end = async {
                    if let Err(fault) = dialog.cancel().await {
                        tracing::debug!(%fault, "a CANCEL was not answered");
                    }
                    let _ = (&mut asked).await;
                    // It was answered in the same moment: to the other side it is a call, until it hears otherwise.
                    if dialog.state().is_confirmed() {
                        hang_up(&dialog).await;
                    }
                };
                if tokio::time::timeout(GIVEN_UP, end).await.is_err() {
                    asked.abort();
                }
            }
        }
        self.dialogs.remove_dialog(&dialog.id());
        least
    }

    /// While it rings. What comes before the answer (ringing tones, announcements) is not heard: nobody has answered yet.
    async fn wait(
        &self,
        dialog: &InviteDialog,
        asked: &mut JoinHandle<InviteAsyncResult>,
        states: &mut DialogStateReceiver,
        placed: &mut Placed,
    ) -> Rung {
        let patience = self.settings.answer;
        let give_up = Instant::now() + patience;
        let (mut rang, mut early) = (false, BytesMut::with_capacity(DATAGRAM));
        let mut promised = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = placed.line.hang_up.cancelled() => return Rung::GivenUp(GoneWhy::ClosedHere),
                () = tokio::time::sleep_until(give_up) => {
                    let (reason, what) =
                        if rang { (EndReason::NoAnswer, "nobody answered") } else { (EndReason::Unreachable, "it did not ring") };
                    return Rung::GivenUp(GoneWhy::NotTaken(reason, format!("{what} within {} s", patience.as_secs())));
                }
                result = &mut *asked => return came_of(result, rang).with(promised),
                Some(state) = states.recv() => {
                    if let DialogState::Early(_, response) = state {
                        if !rang {
                            tracing::debug!(call = placed.call, dialog = %dialog.id(), "it rings");
                        }
                        rang = true;
                        placed.purpose.rings();
                        if !response.body.is_empty() {
                            promised = response.body;
                        }
                    }
                }
                received = placed.line.wire.socket.recv_buf_from(&mut early) => {
                    let datagram = early.split().freeze();
                    // A telephone that answers begins at once: else it would begin again a second later.
                    if let Ok((_, from)) = received && kind(&datagram) == Kind::Dtls {
                        placed.line.early = Some((from, datagram));
                    }
                    early.reserve(DATAGRAM);
                }
            }
        }
    }

    /// The call, once it is answered.
    async fn talk(
        self: &Arc<Self>,
        dialog: &InviteDialog,
        states: &mut DialogStateReceiver,
        placed: &mut Placed,
        answer: &Response,
    ) {
        let read = PhoneSdp::read(&answer.body).and_then(|sdp| {
            placed.line.offered.is_answered_by(&sdp)?;
            Ok((sdp.agree(&self.settings.codecs)?, sdp))
        });
        let (agreed, theirs) = match read {
            Ok(read) => read,
            Err(why) => return placed.useless(dialog, why).await,
        };
        let latch = Latch::called(theirs.address, placed.line.there.ip());
        placed.line.wire.aim(latch.target());
        let (events, wire) = (placed.line.events.clone(), placed.line.wire.clone());
        let (call, party, peer) = (placed.call.clone(), placed.line.party.clone(), placed.line.there.ip());
        let parties = Parties { exchange: self, dialog, events, wire, call, party, peer };
        let mut held = Call::new(parties, latch, phone_sdp::promised(self.first_codec()), placed.line.here)
            .in_session(placed.line.session);
        held.timer.by_update = refresh::reads_update(answer.headers.iter());
        held.timer.begin(Agreed::by_answer(answer));
        held.protection.key = placed.line.offered.key();
        if let Err(why) = held.secure(&theirs, Said::InAnswer) {
            return placed.useless(dialog, why).await;
        }
        if !self.put_through(placed).await {
            placed.line.finished.cancel();
            return hang_up(dialog).await;
        }
        held.follow(&theirs, agreed).await;
        if let Some((from, datagram)) = placed.line.early.clone() {
            held.on_datagram(from, datagram).await;
        }
        held.on_ack().await;
        let _known = self.know(dialog.id(), &placed.call, placed.line.there.ip());
        let why = held.run(states, &placed.line.hang_up).await;
        held.end(why, placed.line.finished.clone()).await;
    }

    /// Whoever was called in a telephone's place holds its call from here on. False: it is over.
    async fn put_through(&self, placed: &mut Placed) -> bool {
        let Purpose::InPlace(successor) = &mut placed.purpose else { return true };
        let Some(leg) = successor.leg.take().filter(|_| !placed.line.hang_up.is_cancelled()) else { return false };
        // Before the telephone's own line is let go of: then it is known why.
        successor.tells.send_replace(Came::Answered);
        let (to, by) = (successor.to.clone(), successor.by.clone());
        if !self.registry.take_over(&placed.call, leg, by).await {
            return false;
        }
        let detail = "The call is held there from here on.".to_owned();
        let done = PeerEvent::Transfer { to, state: TransferState::Done, detail };
        placed.line.events.send(done).await.is_ok()
    }
}

impl Purpose {
    fn rings(&self) {
        if let Self::InPlace(successor) = self {
            successor.tells.send_if_modified(|came| {
                let news = *came == Came::Called;
                if news {
                    *came = Came::Rings;
                }
                news
            });
        }
    }
}

impl Placed {
    /// It was answered with something that no call can be held over.
    async fn useless(&self, dialog: &InviteDialog, why: PhoneSdpFault) {
        self.tell(GoneWhy::NotTaken(EndReason::Unreachable, format!("its answer is of no use: {why}"))).await;
        hang_up(dialog).await;
    }

    /// The call is over before it began, and the other side knows: whoever is told so may have the next one made.
    async fn is_over(&mut self, why: GoneWhy) {
        self.line.one_of = None;
        self.tell(why).await;
    }

    /// The call is over before it began.
    async fn tell(&self, why: GoneWhy) {
        tracing::info!(call = self.call, %why, "a call of ours was not answered");
        match (&self.purpose, why) {
            // A call that does not read any more has ended by itself.
            (Purpose::Own, why) => {
                let gone = self.line.events.send(PeerEvent::Gone(why));
                let _ = tokio::time::timeout(Duration::from_millis(100), gone).await;
            }
            (Purpose::InPlace(successor), GoneWhy::NotTaken(reason, why)) => {
                successor.tells.send_replace(Came::NotTaken(reason, why));
            }
            // It was given up by whom there is nobody to tell.
            (Purpose::InPlace(_), _) => {}
        }
        self.line.finished.cancel();
    }
}

async fn hang_up(dialog: &InviteDialog) {
    if let Err(fault) = dialog.bye().await {
        tracing::debug!(%fault, "a BYE was not answered");
    }
}

/// What the INVITE brought.
fn came_of(result: Result<InviteAsyncResult, tokio::task::JoinError>, rang: bool) -> Rung {
    let unreachable = |why: String| Rung::Ended(GoneWhy::NotTaken(EndReason::Unreachable, why));
    match result {
        Ok(Ok((_, Some(answer)))) if answer.status_code.kind() == StatusCodeKind::Successful => {
            Rung::Answered(Box::new(answer))
        }
        Ok(Ok((_, Some(answer)))) => {
            if let (422, Some(least)) = (answer.status_code.code(), refresh::least(answer.headers.iter())) {
                return Rung::TooBrief(least);
            }
            let code = answer.status_code.code();
            Rung::Ended(GoneWhy::NotTaken(outcome(code, rang), format!("the other side answered {code}")))
        }
        Ok(Ok((_, None))) => unreachable("no answer came".into()),
        Ok(Err(fault)) => unreachable(fault.to_string()),
        Err(fault) => unreachable(fault.to_string()),
    }
}
