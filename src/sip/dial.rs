//! A call that the server makes: from the question whether it may, over the ringing, to the answer or what came instead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use duologue_signaling::demux::{Kind, kind};
use duologue_signaling::phone_sdp::{self, Ours, PhoneSdp, PhoneSdpFault, Said};
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invitation::{InviteAsyncResult, InviteOption};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Host, HostWithPort, Param, Response, Scheme, StatusCodeKind, Uri};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::{Call, Parties};
use super::ending::outcome;
use super::line::{Latch, RtpLine, Wire};
use super::protection::Offered;
use super::refresh::{self, Agreed, wanted};
use super::route::Route;
use super::target::{Target, TargetFault, Trunk, Way};
use super::{Exchange, PhoneShown, sdp};
use crate::call::leg::{Echoes, Leg, NotTransferred, Onto};
use crate::call::registry::{Asked, OpenError};
use crate::call::wire;
use crate::journal::{CallId, EndReason};
use crate::peer::{Ending, GoneWhy, PeerEvent};

/// A name is looked up for so long.
const LOOK_UP: Duration = Duration::from_secs(5);
/// A call that was given up is followed for so long: the INVITE's own time (64*T1, RFC 3261, section 17.1.1.2), and a little.
const GIVEN_UP: Duration = Duration::from_secs(40);
/// Of early media nothing is kept.
const DATAGRAM: usize = 2_048;

/// Why nobody was called.
#[derive(Debug, thiserror::Error)]
pub enum NotDialled {
    #[error(transparent)]
    Target(#[from] TargetFault),
    #[error("{0} may not be called: no line of sip.outbound names it")]
    NotAllowed(Target),
    #[error("there is no telephone '{0}' in sip.phones")]
    NoSuchPhone(String),
    #[error("telephone {0} is not registered")]
    NotRegistered(String),
    #[error("{0} calls of the server's own are under way: sip.outbound_most allows no more")]
    AtOnce(u32),
    #[error("{0} calls were made within a minute: sip.outbound_a_minute allows no more")]
    TooFast(u32),
    #[error("{host} is not found: {why}")]
    NoSuchHost { host: String, why: String },
    #[error("no port for the sound: {0}")]
    NoPort(std::io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Makes calls, and hands them on.
#[derive(Clone)]
pub struct Dialler(pub(super) Arc<Exchange>);

/// A call that is to be made.
struct Placed {
    call: CallId,
    invite: InviteOption,
    /// To whom a connection is made before; a telephone that is registered has one.
    connects: Option<Target>,
    there: SocketAddr,
    here: SocketAddr,
    session: u64,
    /// How sound is offered.
    offered: Offered,
    /// The first of a handshake that has come before the answer: where from, and what.
    early: Option<(SocketAddr, Bytes)>,
    wire: Arc<Wire>,
    events: mpsc::Sender<PeerEvent>,
    hang_up: CancellationToken,
    finished: CancellationToken,
    /// However it ends, whoever waits for it is told.
    _told: DropGuard,
    _one_of: OwnedSemaphorePermit,
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

impl Dialler {
    /// Calls, and gives the call's number at once; what comes of it is told by the call's end and events. `asked.caller` is who is
    /// called, where memory knows him by another name than his address.
    ///
    /// # Errors
    /// When it may not be called, or there is no room. Nothing is left behind then.
    pub async fn dial(&self, to: &str, asked: Asked<'_>) -> Result<CallId, NotDialled> {
        self.dial_and(to, asked, |_| {}).await
    }

    /// The same; `begun` is told the number before anything can come of it.
    ///
    /// # Errors
    /// As [`Self::dial`].
    pub async fn dial_and(
        &self,
        to: &str,
        asked: Asked<'_>,
        begun: impl FnOnce(&CallId),
    ) -> Result<CallId, NotDialled> {
        let exchange = &self.0;
        let settings = &exchange.settings;
        let allowed = exchange.allowed(to)?;
        let one_of = exchange.outbound.clone().try_acquire_owned();
        let one_of = one_of.map_err(|_| NotDialled::AtOnce(settings.outbound_most))?;
        let minute = exchange.minute.clone().try_acquire_owned();
        let minute = minute.map_err(|_| NotDialled::TooFast(settings.outbound_a_minute))?;
        let route = exchange.route(allowed).await?;
        let asked = Asked { caller: asked.caller.or_else(|| Some(route.name.clone())), ..asked };
        let admitted = exchange.registry.admit(asked).await?;
        let here = exchange.here(route.there.ip());
        let ours = SocketAddr::new(here, exchange.port(route.hop.way.transport()));
        let from = from(route.trunk, admitted.persona(), ours, &route.hop);
        let wire = exchange.wire(here, None).await.map_err(NotDialled::NoPort)?;
        let (events, received) = wire::leg_events();
        let (hang_up, finished) = (CancellationToken::new(), CancellationToken::new());
        let session = rand::random::<u64>() >> 2;
        let sound = SocketAddr::new(here, wire.port());
        let offered = Offered::to(route.trunk);
        let (key, dtls) = (offered.key(), offered.dtls(&exchange.identity));
        let invite = exchange.invite(&route, from, &Ours { here: sound, session, version: 1, key, suite: None, dtls });
        let leg = Leg {
            events: received,
            line: Arc::new(RtpLine(wire.clone())),
            spoken: sdp::spoken(&phone_sdp::promised(exchange.first_codec())),
            transport: "sip-out",
            echoes: Echoes::Likely,
            ending: Ending::new(hang_up.clone(), exchange.tasks.spawn(finished.clone().cancelled_owned())),
        };
        let told = finished.clone().drop_guard();
        let call = exchange.registry.begin(admitted, leg)?;
        begun(&call);
        exchange.dialled.fetch_add(1, Ordering::Relaxed);
        exchange.count_for_a_minute(minute);
        let placed = Placed {
            call: call.clone(),
            invite,
            connects: route.connects.then(|| route.hop.clone()),
            there: route.there,
            here: sound,
            session,
            offered,
            early: None,
            wire,
            events,
            hang_up,
            finished,
            _told: told,
            _one_of: one_of,
        };
        let exchange = exchange.clone();
        self.0.tasks.spawn(async move { exchange.place(placed).await });
        Ok(call)
    }
}

impl Dialler {
    /// The telephones that may register, and where they are.
    pub fn phones(&self) -> Vec<PhoneShown> {
        self.0.phones.shown()
    }

    /// Hands a live call on to this address: its telephone is asked to call there, what comes of it is told by events. `None`: there is
    /// no such live call.
    ///
    /// # Errors
    /// When nobody may be called there, or the call is no telephone's.
    pub fn transfer(&self, call: &str, to: &str) -> Result<Option<Result<(), NotTransferred>>, NotDialled> {
        let target = Target::read(to)?;
        // Whoever is called there is called at the cost of the telephone's side, which believes us.
        self.0.settings.outbound.way(&target).ok_or_else(|| NotDialled::NotAllowed(target.clone()))?;
        let to = target.to_string();
        Ok(self.0.registry.transfer(call, Onto { refer_to: format!("<{to}>"), to }))
    }
}

impl Exchange {
    /// Where a host is. Of several addresses the first of the kind that is listened on.
    pub(super) async fn find(&self, hop: &Target) -> Result<SocketAddr, NotDialled> {
        let not_found = |why: String| NotDialled::NoSuchHost { host: hop.host.clone(), why };
        let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host(hop.place())).await;
        let mut found = found
            .map_err(|_| not_found(format!("no answer within {} s", LOOK_UP.as_secs())))?
            .map_err(|why| not_found(why.to_string()))?;
        let listen = self.address;
        found
            .find(|at| at.is_ipv4() == listen.is_ipv4())
            .ok_or_else(|| not_found("it has no address of the kind that sip.listen has".into()))
    }

    /// One of a minute's calls is used up, whatever comes of it.
    fn count_for_a_minute(&self, one: OwnedSemaphorePermit) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(60))).await;
            drop(one);
        });
    }

    fn invite(&self, route: &Route<'_>, from: Uri, ours: &Ours) -> InviteOption {
        let here = SocketAddr::new(ours.here.ip(), self.port(route.hop.way.transport()));
        let credential = route.trunk.and_then(|trunk| {
            let password = trunk.password.as_ref()?.reveal().to_owned();
            Some(Credential { username: trunk.ours.user.clone(), password, ..Credential::default() })
        });
        let hop = Target { sips: route.sips, ..route.hop.clone() };
        InviteOption {
            callee: route.callee.clone(),
            contact: address(from.user().unwrap_or("duologue"), here, &hop),
            caller: from,
            destination: Some(route.address()),
            content_type: Some("application/sdp".into()),
            offer: Some(phone_sdp::offer(ours, &self.settings.codecs).into_bytes()),
            credential,
            headers: Some(wanted(self.settings.session, 0)),
            // An INVITE that is sent again after 422 has the same one (RFC 4028, section 7.3).
            call_id: Some(format!("{:032x}", rand::random::<u128>())),
            // Ringing that comes reliably is acknowledged by the stack (RFC 3262).
            support_prack: true,
            ..InviteOption::default()
        }
    }

    /// From the INVITE to the end of the call.
    async fn place(self: Arc<Self>, mut placed: Placed) {
        let connect = async {
            match &placed.connects {
                Some(hop) => self.connect(hop, placed.there).await,
                None => Ok(()),
            }
        };
        let connected = placed.hang_up.run_until_cancelled(connect).await;
        match connected {
            Some(Ok(())) => {}
            Some(Err(why)) => {
                return placed.tell(GoneWhy::NotTaken(EndReason::Unreachable, why.to_string())).await;
            }
            None => return placed.tell(GoneWhy::ClosedHere).await,
        }
        let again = placed.invite.clone();
        if let Some(least) = self.place_once(&mut placed).await {
            // It wants to be asked less often whether it is there (422).
            placed.invite = InviteOption { headers: Some(wanted(self.settings.session, least)), ..again };
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
        let invite = std::mem::take(&mut placed.invite);
        let (dialog, mut asked) = match self.dialogs.do_invite_async(invite, states_in) {
            Ok(asked) => asked,
            Err(fault) => {
                placed.tell(GoneWhy::NotTaken(EndReason::Unreachable, fault.to_string())).await;
                return None;
            }
        };
        let mut least = None;
        match self.wait(&dialog, &mut asked, &mut states, placed).await {
            Rung::TooBrief(wants) => least = Some(wants),
            Rung::Answered(answer) => self.talk(&dialog, &mut states, placed, &answer).await,
            Rung::Ended(why) => placed.tell(why).await,
            Rung::GivenUp(why) => {
                placed.tell(why).await;
                let end = async {
                    if let Err(fault) = dialog.cancel().await {
                        tracing::debug!(%fault, "a CANCEL was not answered");
                    }
                    let _ = (&mut asked).await;
                    // It was answered in the same moment: to the other side it is a call, until it hears otherwise.
                    if dialog.state().is_confirmed()
                        && let Err(fault) = dialog.bye().await
                    {
                        tracing::debug!(%fault, "a BYE was not answered");
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
                () = placed.hang_up.cancelled() => return Rung::GivenUp(GoneWhy::ClosedHere),
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
                        if !response.body.is_empty() {
                            promised = response.body;
                        }
                    }
                }
                received = placed.wire.socket.recv_buf_from(&mut early) => {
                    let datagram = early.split().freeze();
                    // A telephone that answers begins at once: else it would begin again a second later.
                    if let Ok((_, from)) = received && kind(&datagram) == Kind::Dtls {
                        placed.early = Some((from, datagram));
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
        placed: &Placed,
        answer: &Response,
    ) {
        let read = PhoneSdp::read(&answer.body).and_then(|sdp| {
            placed.offered.is_answered_by(&sdp)?;
            Ok((sdp.agree(&self.settings.codecs)?, sdp))
        });
        let (agreed, theirs) = match read {
            Ok(read) => read,
            Err(why) => return placed.useless(dialog, why).await,
        };
        let latch = Latch::called(theirs.address, placed.there.ip());
        placed.wire.aim(latch.target());
        let parties = Parties { exchange: self, dialog, events: placed.events.clone(), wire: placed.wire.clone() };
        let mut held =
            Call::new(parties, latch, phone_sdp::promised(self.first_codec()), placed.here).in_session(placed.session);
        held.timer.by_update = refresh::reads_update(answer.headers.iter());
        held.timer.begin(Agreed::by_answer(answer));
        held.protection.key = placed.offered.key();
        if let Err(why) = held.secure(&theirs, Said::InAnswer) {
            return placed.useless(dialog, why).await;
        }
        held.follow(&theirs, agreed).await;
        if let Some((from, datagram)) = placed.early.clone() {
            held.on_datagram(from, datagram).await;
        }
        held.on_ack().await;
        let _known = self.know(dialog.id(), &placed.call, placed.there.ip());
        let why = held.run(states, &placed.hang_up).await;
        held.end(why, placed.finished.clone()).await;
    }
}

impl Placed {
    /// It was answered with something that no call can be held over.
    async fn useless(&self, dialog: &InviteDialog, why: PhoneSdpFault) {
        self.tell(GoneWhy::NotTaken(EndReason::Unreachable, format!("its answer is of no use: {why}"))).await;
        if let Err(fault) = dialog.bye().await {
            tracing::debug!(%fault, "a BYE was not answered");
        }
    }

    /// The call is over before it began.
    async fn tell(&self, why: GoneWhy) {
        tracing::info!(call = self.call, %why, "a call of ours was not answered");
        // A call that does not read any more has ended by itself.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.events.send(PeerEvent::Gone(why))).await;
        self.finished.cancel();
    }
}

/// Who calls: ourselves at the trunk, or a persona here, so that the number that is shown can be called back.
fn from(trunk: Option<&Trunk>, persona: &str, here: SocketAddr, hop: &Target) -> Uri {
    trunk
        .and_then(|trunk| Target { port: None, way: Way::Udp, sips: false, ..trunk.ours.clone() }.uri().ok())
        .unwrap_or_else(|| address(persona, here, hop))
}

pub(super) fn address(user: &str, at: SocketAddr, hop: &Target) -> Uri {
    let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric() || "+-._".contains(*c)).collect();
    Uri {
        // RFC 3261, section 8.1.1.8: who is called by a sips address is told one. Some telephones (baresip 1.0.0) cannot call one back.
        scheme: Some(if hop.sips { Scheme::Sips } else { Scheme::Sip }),
        auth: Some(user.into()),
        host_with_port: HostWithPort { host: Host::IpAddr(at.ip()), port: Some(at.port().into()) },
        params: if hop.way == Way::Udp { Vec::new() } else { vec![Param::Transport(hop.way.transport())] },
        ..Uri::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_s_name_is_an_address_whatever_is_in_it() {
        let at = "192.0.2.1:5060".parse().expect("an address");
        let of = |hop: &str| address("night \"porter\"<x>", at, &Target::read(hop).expect("an address")).to_string();
        assert_eq!(of("sip:a@x"), "sip:nightporterx@192.0.2.1:5060");
        assert_eq!(of("sips:a@x"), "sips:nightporterx@192.0.2.1:5060;transport=TLS");
    }
}
