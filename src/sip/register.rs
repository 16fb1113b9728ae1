//! Registration with trunks (RFC 3261, section 10): each that the configuration names is told where calls for us go, again before that
//! runs out, and at the end that they go nowhere. Its calls to what it was told need no password here ([`super::known`]).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::registration::{Registration, backoff_interval, refresh_interval};
use rsipstack::sip::{HostWithPort, Param, Request, Response, StatusCode, StatusCodeKind, Uri, typed};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Exchange;
use super::dial::address;
use super::known::{self, Claim, Token};
use super::outbound::Trunk;
use super::request::value_of;
use super::target::Target;

/// A registrar that asks for longer than a day (423) is mistaken.
const LONGEST_S: u32 = 86_400;
/// A registrar that refuses the password may shut out who goes on trying it: a minute is what those allow who count such tries.
const REFUSED: Duration = Duration::from_secs(60);
/// What a registrar is given to take us out, at the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the server knows of its registrations.
pub(super) struct Registrar {
    /// By trunk: where it is, while it calls us.
    there: Vec<watch::Sender<Option<IpAddr>>>,
    /// By trunk: what it was told, and nobody else.
    told: Vec<Token>,
    tasks: TaskTracker,
    leaving: CancellationToken,
}

impl Registrar {
    pub(super) fn new(trunks: usize) -> Self {
        let there = (0..trunks).map(|_| watch::Sender::new(None)).collect();
        let told = (0..trunks).map(|_| Token::new()).collect();
        Self { there, told, tasks: TaskTracker::new(), leaving: CancellationToken::new() }
    }

    /// Of which trunk a call is that we are registered with, in their order: it calls us because we have asked it to.
    pub(super) fn knows(&self, invite: &Request, from: IpAddr) -> Option<usize> {
        let trunks = self.there.iter().map(|there| *there.borrow()).zip(&self.told);
        let claim = known::claim(trunks, invite, from);
        if claim == Claim::AddressAlone {
            tracing::info!(%from, "a call from the address of a trunk, but not to the Contact that it was told: it is asked for a password");
        }
        if let Claim::Proved(trunk) = claim { Some(trunk) } else { None }
    }

    /// How many trunks we are registered with, and with how many that we want to be we are not.
    pub(super) fn count(&self) -> (usize, usize) {
        let known = self.there.iter().filter(|known| known.borrow().is_some()).count();
        (known, self.there.len() - known)
    }
}

impl Exchange {
    /// Registers with every trunk that is to call us, and stays so.
    pub(super) fn register_all(self: &Arc<Self>) {
        for (n, trunk) in self.settings.outbound.registered().enumerate() {
            let (exchange, trunk) = (self.clone(), trunk.clone());
            self.registrar.tasks.spawn(async move { exchange.stay_registered(n, &trunk).await });
        }
        self.registrar.tasks.close();
    }

    /// Takes us out everywhere.
    pub(super) async fn unregister_all(&self) {
        self.registrar.leaving.cancel();
        let _ = tokio::time::timeout(GOODBYE, self.registrar.tasks.wait()).await;
    }

    async fn stay_registered(&self, n: usize, trunk: &Trunk) {
        let (mut registration, told) = (self.registration(trunk), self.registrar.told[n].param());
        let (mut wanted_s, mut failures) = (self.settings.register_s, 0);
        loop {
            let outcome =
                self.registrar.leaving.run_until_cancelled(self.register(trunk, &told, &mut registration, wanted_s));
            let Some(outcome) = outcome.await else { break };
            let wait = match outcome {
                Ok(Registered { there, for_s }) => {
                    if failures > 0 || self.registrar.there[n].borrow().is_none() {
                        tracing::info!(trunk = trunk.name, for_s, "registered");
                    }
                    failures = 0;
                    self.now_registered(n, Some(there));
                    refresh_interval(for_s)
                }
                Err(NotRegistered::TooBrief(least)) if wanted_s < least && least <= LONGEST_S => {
                    wanted_s = least;
                    Duration::ZERO
                }
                Err(why) => {
                    failures += 1;
                    let mut wait = backoff_interval(failures - 1);
                    if matches!(why, NotRegistered::Refused(_)) {
                        wait = wait.max(REFUSED);
                    }
                    tracing::warn!(trunk = trunk.name, %why, again_s = wait.as_secs(), "not registered: it does not call us");
                    self.now_registered(n, None);
                    wait
                }
            };
            if self.registrar.leaving.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
        }
        if self.registrar.there[n].borrow().is_some() {
            let gone = self.register(trunk, &told, &mut registration, 0).await;
            tracing::info!(trunk = trunk.name, taken_out = gone.is_ok(), "no longer registered");
            self.now_registered(n, None);
        }
    }

    fn now_registered(&self, n: usize, there: Option<IpAddr>) {
        self.registrar.there[n].send_replace(there);
        let (known, missing) = self.registrar.count();
        self.registry.recorder().meters().registered(known, missing);
    }

    fn registration(&self, trunk: &Trunk) -> Registration {
        // The user part of what is registered comes from here, where there is no password too.
        let password = trunk.password.as_ref().map_or_else(String::new, |password| password.reveal().to_owned());
        let credential = Credential { username: trunk.ours.user.clone(), password, ..Credential::default() };
        Registration::new(self.endpoint.clone(), Some(credential))
    }

    /// Asks once. For 0 s: to be taken out.
    async fn register(
        &self,
        trunk: &Trunk,
        told: &Param,
        registration: &mut Registration,
        for_s: u32,
    ) -> Result<Registered, NotRegistered> {
        let there = self.find(&trunk.ours).await.map_err(|why| NotRegistered::Failed(why.to_string()))?;
        self.connect(&trunk.ours, there).await.map_err(|why| NotRegistered::Failed(why.to_string()))?;
        let here = SocketAddr::new(self.here(there.ip()), self.port(trunk.ours.way.transport()));
        registration.outbound_proxy = Some(there);
        let mut uri = address(&trunk.ours.user, here, &trunk.ours);
        uri.params.push(told.clone());
        registration.contact = Some(typed::Contact { display_name: None, uri, params: Vec::new() });
        let answer = registration.register(server(&trunk.ours)?, Some(for_s)).await;
        let answer = answer.map_err(|fault| NotRegistered::Failed(fault.to_string()))?;
        match answer.status_code.code() {
            _ if answer.status_code.kind() == StatusCodeKind::Successful => {
                let granted = registration.granted_expires.filter(|granted| *granted > 0).unwrap_or(for_s);
                Ok(Registered { there: there.ip(), for_s: granted })
            }
            423 => Err(NotRegistered::TooBrief(least(&answer).unwrap_or(0))),
            401 | 403 | 407 => Err(NotRegistered::Refused(answer.status_code)),
            _ => Err(NotRegistered::Failed(format!("it answered {}", answer.status_code))),
        }
    }
}

/// With whom, and for how long.
struct Registered {
    there: IpAddr,
    for_s: u32,
}

#[derive(Debug, thiserror::Error)]
enum NotRegistered {
    #[error("it wants registrations of {0} s at the least")]
    TooBrief(u32),
    #[error("it refuses the name or the password of sip.trunks ({0})")]
    Refused(StatusCode),
    #[error("{0}")]
    Failed(String),
}

/// The registrar's own address: no user is in it (RFC 3261, section 10.2).
fn server(ours: &Target) -> Result<Uri, NotRegistered> {
    let uri = ours.uri().map_err(|fault| NotRegistered::Failed(fault.to_string()))?;
    let host_with_port = HostWithPort { port: ours.port.map(Into::into), ..uri.host_with_port };
    Ok(Uri { auth: None, host_with_port, ..uri })
}

/// `Min-Expires`, seconds.
fn least(answer: &Response) -> Option<u32> {
    value_of(answer.headers.iter(), "Min-Expires")?.parse().ok()
}
