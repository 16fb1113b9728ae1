//! One telephone call: from the INVITE to the last BYE. One task, which has the dialog and reads the socket.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use duologue_signaling::phone_sdp::{self, PhoneAgreed, Said};
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Request, StatusCode, Transport};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ending::gone;
use super::line::{Latch, RtpLine, Wire};
use super::offers::{cseq, is_sdp};
use super::party::Party;
use super::protection::Protection;
use super::referral::{self, Referral};
use super::refresh::{Agreed, SessionTimer, TooBrief, reads_update};
use super::ringing::{Refused, Ringing};
use super::rtcp::Rtcp;
use super::transfer::{Asked, Referred, answered};
use super::{Exchange, answer, request, sdp, warning};
use crate::call::leg::{Echoes, Leg};
use crate::call::wire;
use crate::journal::CallId;
use crate::media::keys::KeyReader;
use crate::peer::{Ending, GoneWhy, PeerEvent};
use crate::time::CallTime;

/// The largest datagram that is read: L16 at 48 kHz would be 1,932.
const DATAGRAM: usize = 2_048;
/// How often what is overdue is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Exchange {
    /// Answers an INVITE that begins a call, and stays with the call to its end.
    pub(super) async fn ring(self: &Arc<Self>, mut invite: Transaction) {
        let came_from = request::came_from(&invite.original);
        let Some(came_from) = came_from else {
            return answer(&mut invite, StatusCode::BadRequest, Vec::new()).await;
        };
        // A trunk that we are registered with calls because we have asked it to, and has no password of ours.
        let known = self.registrar.knows(&invite.original, came_from);
        let anybody = known.is_some() || self.settings.guard.is_open();
        let name = if anybody { Ok(None) } else { self.proved(&invite.original, came_from).map(Some) };
        let name = match name {
            Ok(name) => name,
            Err((status, headers)) => return answer(&mut invite, status, headers).await,
        };
        let party = self.caller_is(name.as_deref(), known);
        let over = match self.replaced(&invite.original, name.as_deref(), came_from) {
            Ok(over) => over,
            Err(status) => return answer(&mut invite, status, Vec::new()).await,
        };
        if let Err(TooBrief(least)) = Agreed::by_request(&invite.original, self.settings.session) {
            return answer(&mut invite, TooBrief::STATUS, vec![least]).await;
        }
        let transport = invite.connection.as_ref().map_or(Transport::Udp, |connection| connection.transport());
        let ringing = match self.admit(&invite.original, transport, came_from, name, over).await {
            Ok(ringing) => ringing,
            Err(Refused(status, why)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::info!(code = status.code(), why, "a telephone's call is refused");
                return answer(&mut invite, status, vec![warning(&why)]).await;
            }
        };
        let contact = request::contact(SocketAddr::new(ringing.here, self.port(transport)), &invite);
        let (states_in, states) = self.dialogs.new_dialog_state_channel();
        let dialog = match self.dialogs.get_or_create_server_invite(&invite, states_in, None, Some(contact)) {
            Ok(dialog) => dialog,
            Err(fault) => {
                tracing::debug!(%fault, "an INVITE that makes no dialog");
                return answer(&mut invite, StatusCode::BadRequest, Vec::new()).await;
            }
        };
        let mut handled = dialog.clone();
        // Until the ACK, or until there is none.
        let handling = async {
            if let Err(fault) = handled.handle(&mut invite).await {
                tracing::debug!(%fault, "an INVITE was not finished");
            }
        };
        tokio::join!(handling, self.hold(&dialog, states, ringing, party));
        self.dialogs.remove_dialog(&dialog.id());
    }

    /// Lets it ring; false where the caller has given up meanwhile.
    async fn rung(&self, states: &mut DialogStateReceiver) -> bool {
        if self.settings.ring.is_zero() {
            return true;
        }
        let answer = Instant::now() + self.settings.ring;
        loop {
            match tokio::time::timeout_at(answer, states.recv()).await {
                Ok(None | Some(DialogState::Terminated(..))) => return false,
                Ok(Some(_)) => {}
                Err(_) => return true,
            }
        }
    }

    /// The call, from ringing on.
    async fn hold(
        self: &Arc<Self>,
        dialog: &InviteDialog,
        mut states: DialogStateReceiver,
        ringing: Ringing,
        party: Party,
    ) {
        // Whose ringing has to be reliable (RFC 3262) is told of the answer alone: nothing in between needs to be acknowledged then.
        if !request::wants(&dialog.initial_request(), "100rel") {
            let _ = dialog.ringing(None, None);
        }
        if !self.rung(&mut states).await {
            return;
        }
        let Ringing { place, theirs, came_from, here, wire } = ringing;
        let invite = dialog.initial_request();
        // One that is too brief was refused before it rang.
        let agreed_time = Agreed::by_request(&invite, self.settings.session).ok().flatten();
        let (events_in, events) = wire::leg_events();
        let (hang_up, finished) = (CancellationToken::new(), CancellationToken::new());
        // However this ends, whoever waits for it is told.
        let _told = finished.clone().drop_guard();
        let agreed = theirs.as_ref().map_or_else(|| phone_sdp::promised(self.first_codec()), |(_, agreed)| *agreed);
        let leg = Leg {
            events,
            line: Arc::new(RtpLine(wire.clone())),
            spoken: sdp::spoken(&agreed),
            transport: "sip",
            echoes: Echoes::Likely,
            ending: Ending::new(hang_up.clone(), self.tasks.spawn(finished.clone().cancelled_owned())),
        };
        let call = match self.take_place(place, leg, request::caller(&invite)).await {
            Ok(call) => call,
            Err(fault) => {
                let _ = dialog.reject(Some(fault.0), Some(fault.1));
                return;
            }
        };
        self.answered.fetch_add(1, Ordering::Relaxed);
        let said = theirs.as_ref().map_or(SocketAddr::new(came_from, 9), |(sdp, _)| sdp.address);
        let here = SocketAddr::new(here, wire.port());
        let (call_held, peer) = (call.clone(), came_from);
        let parties = Parties { exchange: self, dialog, events: events_in, wire, call: call_held, party, peer };
        let mut held = Call::new(parties, Latch::new(said, came_from), agreed, here);
        held.offered = theirs.is_none().then(|| cseq(&invite)).flatten();
        held.timer.by_update = reads_update(invite.headers.iter());
        held.timer.begin(agreed_time);
        let secured = theirs.as_ref().map_or(Ok(()), |(theirs, _)| held.secure(theirs, Said::InOffer));
        let body = match (&theirs, secured) {
            (_, Err(why)) => {
                let _ = dialog.reject(Some(StatusCode::NotAcceptableHere), Some(why.to_string()));
                return held.end(GoneWhy::Failed(why.to_string()), finished).await;
            }
            (Some((theirs, agreed)), Ok(())) => held.answer(theirs, agreed),
            (None, Ok(())) => held.offer(),
        };
        let mut headers = is_sdp();
        headers.extend(self.in_calls());
        headers.extend(agreed_time.into_iter().flat_map(|time| time.headers(&invite)));
        if let Err(fault) = dialog.accept(Some(headers), Some(body.into_bytes())) {
            tracing::debug!(%call, %fault, "the call was not answered");
        }
        let _known = self.know(dialog.id(), &call, came_from);
        let why = held.run(&mut states, &hang_up).await;
        held.end(why, finished).await;
    }
}

/// Whom a call is between.
pub(super) struct Parties<'a> {
    pub(super) exchange: &'a Arc<Exchange>,
    pub(super) dialog: &'a InviteDialog,
    pub(super) events: mpsc::Sender<PeerEvent>,
    pub(super) wire: Arc<Wire>,
    pub(super) call: CallId,
    /// Who the other side is, and where its SIP comes from.
    pub(super) party: Party,
    pub(super) peer: IpAddr,
}

/// A call that was answered.
pub(super) struct Call<'a> {
    pub(super) exchange: &'a Arc<Exchange>,
    pub(super) dialog: &'a InviteDialog,
    pub(super) call: CallId,
    pub(super) party: Party,
    pub(super) peer: IpAddr,
    pub(super) events: mpsc::Sender<PeerEvent>,
    pub(super) wire: Arc<Wire>,
    pub(super) latch: Latch,
    pub(super) keys: KeyReader,
    pub(super) protection: Protection,
    pub(super) rtcp: Rtcp,
    /// Reports travel with the sound; else where the telephone says that it wants them.
    pub(super) mux: bool,
    pub(super) reports_said: SocketAddr,
    /// Where our sound is.
    pub(super) here: SocketAddr,
    pub(super) agreed: PhoneAgreed,
    pub(super) session: u64,
    pub(super) version: u32,
    /// The offer was ours; the ACK of the INVITE with this number has the answer.
    pub(super) offered: Option<u32>,
    /// The other side has our answer, or we have its.
    pub(super) acknowledged: bool,
    pub(super) connected: bool,
    pub(super) held: bool,
    pub(super) began: Instant,
    /// The last packet of the telephone's.
    pub(super) heard: Instant,
    /// What the telephone was asked to do, and has not answered; and whom it is to call in our place.
    pub(super) asked: Option<Asked>,
    pub(super) referred: Option<Referred>,
    /// Whom the telephone has asked us to call in its place.
    pub(super) referral: Option<Referral>,
    /// It has hung up, and the call waits for him.
    pub(super) left: bool,
    /// Why the call ends once what was just asked of us is answered.
    pub(super) leaving: Option<GoneWhy>,
    pub(super) timer: SessionTimer,
    /// Packets of others.
    pub(super) strangers: u64,
    /// Packets that did not prove themselves.
    pub(super) unopened: u64,
    /// Packets that the call did not take in time.
    pub(super) untaken: u64,
}

impl<'a> Call<'a> {
    pub(super) fn new(parties: Parties<'a>, latch: Latch, agreed: PhoneAgreed, here: SocketAddr) -> Self {
        let Parties { exchange, dialog, events, wire, call, party, peer } = parties;
        wire.reads_keys(agreed.keys);
        Self {
            exchange,
            dialog,
            call,
            party,
            peer,
            events,
            wire,
            latch,
            keys: KeyReader::new(agreed.keys.map_or(8_000, |keys| keys.clock_hz)),
            protection: Protection::default(),
            rtcp: Rtcp::new(),
            mux: false,
            reports_said: here,
            here,
            agreed,
            // RFC 8866, section 5.2: a number that nobody else has.
            session: rand::random::<u64>() >> 2,
            version: 0,
            offered: None,
            acknowledged: false,
            connected: false,
            held: false,
            began: Instant::now(),
            heard: Instant::now(),
            asked: None,
            referred: None,
            referral: None,
            left: false,
            leaving: None,
            timer: SessionTimer::new(),
            strangers: 0,
            unopened: 0,
            untaken: 0,
        }
    }

    /// Tells the call. One that does not read any more has ended by itself.
    pub(super) async fn tell(&self, event: PeerEvent) {
        let _ = self.events.send(event).await;
    }

    /// The call whose first offer was made already, under this number.
    pub(super) fn in_session(self, session: u64) -> Self {
        Self { session, version: 1, ..self }
    }

    /// Until somebody hangs up.
    pub(super) async fn run(&mut self, states: &mut DialogStateReceiver, hang_up: &CancellationToken) -> GoneWhy {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let wire = self.wire.clone();
        let mut transfers = wire.transfers();
        let (mut datagram, mut report) = (BytesMut::with_capacity(DATAGRAM), BytesMut::with_capacity(DATAGRAM));
        loop {
            tokio::select! {
                biased;
                () = hang_up.cancelled() => return GoneWhy::ClosedHere,
                state = states.recv() => match state {
                    None => return GoneWhy::Failed("the SIP stack let go of the call".into()),
                    Some(DialogState::Terminated(_, reason)) => {
                        if !self.stays_without_it().await {
                            return gone(self.dialog.role(), reason);
                        }
                    }
                    Some(state) => {
                        let answered = matches!(state, DialogState::Confirmed(..));
                        self.on_state(state).await;
                        if let Some(why) = self.leaving.take_if(|_| answered) {
                            return why;
                        }
                        self.begin_notices(answered);
                    }
                },
                Ok(()) = transfers.changed() => {
                    let onto = transfers.borrow_and_update().clone();
                    self.refer(onto).await;
                }
                answer = answered(&mut self.asked) => self.on_referred(answer).await,
                answer = answered(&mut self.timer.asked) => {
                    if let Some(why) = self.on_refreshed(answer).await {
                        return why;
                    }
                }
                came = referral::told(&mut self.referral) => {
                    if let Some(why) = self.on_came(came).await {
                        return why;
                    }
                }
                received = wire.socket.recv_buf_from(&mut datagram), if !self.left => {
                    if let Ok((_, from)) = received {
                        self.on_datagram(from, datagram.split().freeze()).await;
                    }
                    datagram.reserve(DATAGRAM);
                }
                received = wire.reports.recv_buf_from(&mut report), if !self.left => {
                    if let Ok((_, from)) = received {
                        self.on_report(from, report.split().freeze()).await;
                    }
                    report.reserve(DATAGRAM);
                }
                _ = look.tick(), if !self.left => {
                    if let Some(why) = self.overdue().or_else(|| self.mind_handshakes()).or_else(|| self.mind_session()) {
                        return why;
                    }
                    self.mind_transfer().await;
                    self.mind_reports();
                }
            }
        }
    }

    /// The goodbye: the call is told first, so that it need not wait for the network.
    pub(super) async fn end(mut self, why: GoneWhy, finished: CancellationToken) {
        self.send_report(true);
        self.close_handshakes();
        if self.strangers + self.unopened + self.untaken + self.wire.unsent() + self.keys.ignored() > 0 {
            tracing::debug!(
                strangers = self.strangers,
                unopened = self.unopened,
                untaken = self.untaken,
                unsent = self.wire.unsent(),
                no_keys = self.keys.ignored(),
                "RTP packets that came to nothing"
            );
        }
        // One that another telephone holds by now has not ended with this one.
        let replaced = match self.referral.take() {
            Some(referral) => referral.is_over().await,
            None => false,
        };
        // A call that does not read any more has ended by itself.
        if !replaced {
            let _ = tokio::time::timeout(LOOK_EVERY, self.events.send(PeerEvent::Gone(why))).await;
        }
        finished.cancel();
        if self.dialog.state().is_terminated() {
            return;
        }
        if let Err(fault) = self.dialog.bye().await {
            tracing::debug!(%fault, "a BYE was not answered");
        }
    }

    async fn on_state(&mut self, state: DialogState) {
        match state {
            DialogState::Confirmed(..) if !self.connected || self.offered.is_some() => self.on_ack().await,
            DialogState::Updated(_, request, handle) => self.on_offer(&request, handle).await,
            DialogState::Info(_, request, handle) => {
                let status = self.on_info(&request).await;
                let _ = handle.reply(status).await;
            }
            DialogState::Options(_, _, handle) => {
                let _ = handle.respond(StatusCode::OK, Some(self.exchange.what_is_spoken()), None).await;
            }
            DialogState::Refer(_, refer, handle) => self.on_refer(&refer, handle).await,
            DialogState::Notify(_, notify, handle) => self.on_notify(&notify, handle).await,
            DialogState::Message(_, _, handle) | DialogState::Publish(_, _, handle) => {
                let spoken = self.exchange.what_is_spoken();
                let _ = handle.respond(StatusCode::MethodNotAllowed, Some(spoken), None).await;
            }
            _ => {}
        }
    }

    /// A key in an INFO, as older exchanges send it.
    async fn on_info(&mut self, request: &Request) -> StatusCode {
        match request::key(request) {
            Ok(Some((key, held))) => {
                let _ = self.events.send(PeerEvent::Key { key, held }).await;
                StatusCode::OK
            }
            Ok(None) => StatusCode::OK,
            Err(status) => status,
        }
    }

    pub(super) fn press(&mut self, key: char, held: Duration) {
        if self.events.try_send(PeerEvent::Key { key, held }).is_err() {
            self.untaken += 1;
        }
    }

    /// Ten times a second.
    fn overdue(&mut self) -> Option<GoneWhy> {
        if let Some(key) = self.keys.overdue(self.now()) {
            self.press(key.key, key.held);
        }
        let silent = self.exchange.settings.silent.filter(|_| self.connected && !self.held);
        silent.filter(|silent| self.heard.elapsed() >= *silent).map(|_| GoneWhy::Silent)
    }

    pub(super) fn now(&self) -> CallTime {
        CallTime::ZERO + self.began.elapsed()
    }
}
