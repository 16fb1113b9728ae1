//! Ring 3: calls that are connected with one another, or handed over to somebody. What becomes of the two is decided here, beside
//! them, from what their events tell; the sound goes from task to task ([`crate::call::bridging`]).

mod course;
mod handover;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::call::bridging::NotBridged;
use crate::call::registry::Registry;
use crate::config::{Handover, HumanLeaves};
use crate::journal::CallId;
use crate::sip::{Dialler, NotDialled};
use course::{Course, Left};

/// What the caller is told, and what becomes of him.
#[derive(Clone, Debug)]
pub struct Manners {
    asking: String,
    nobody: String,
    back: String,
    human_leaves: HumanLeaves,
}

impl From<&Handover> for Manners {
    fn from(handover: &Handover) -> Self {
        let Handover { asking, nobody, back, human_leaves } = handover.clone();
        Self { asking, nobody, back, human_leaves }
    }
}

/// Connects calls.
#[derive(Clone)]
pub struct Bridges {
    registry: Arc<Registry>,
    /// Who calls telephones, where there are any.
    dialler: Option<Dialler>,
    manners: Arc<Manners>,
}

/// Why a call was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedOver {
    #[error("this server has no telephone")]
    NoTelephone,
    #[error(transparent)]
    Bridged(#[from] NotBridged),
    #[error(transparent)]
    Dialled(#[from] NotDialled),
}

impl Bridges {
    pub fn new(registry: Arc<Registry>, dialler: Option<Dialler>, manners: Manners) -> Self {
        Self { registry, dialler, manners: Arc::new(manners) }
    }

    /// Who calls telephones, where there are any.
    pub const fn dialler(&self) -> Option<&Dialler> {
        self.dialler.as_ref()
    }

    /// Connects two live calls: their sides hear each other, and the agents only listen, until one of them leaves or they are parted.
    ///
    /// # Errors
    /// When one of them is not there, or connected with somebody already.
    pub fn bridge(&self, call: &str, other: &str) -> Result<(), NotBridged> {
        if call == other {
            return Err(NotBridged::Itself);
        }
        let parting = CancellationToken::new();
        let (ours, theirs) = (self.registry.claim(call, &parting)?, self.registry.claim(other, &parting)?);
        let gone = |call: &str| NotBridged::NoSuchCall(call.to_owned());
        let heard = self.registry.listen(call).ok_or_else(|| gone(call))?;
        let heard_there = self.registry.listen(other).ok_or_else(|| gone(other))?;
        let mut course =
            Course::new(self.registry.clone(), "bridge", (call, heard, ours), (other, heard_there, theirs), parting);
        let manners = self.manners.clone();
        self.registry.follow(async move {
            if course.join().await {
                let left = course.until_left().await;
                course.give_back(left, &manners).await;
            }
        });
        Ok(())
    }

    /// Ends the bridge of a call, or the attempt at one. `None`: there is no such live call. `Some(false)`: it has none.
    pub fn part(&self, call: &str) -> Option<bool> {
        self.registry.part(call)
    }

    /// Has somebody called who is to take this call over, and gives his call's number; what comes of it is told by the events of both.
    ///
    /// # Errors
    /// When nobody may be called there, there is no such call, or somebody is called for it already.
    pub async fn hand_over(&self, call: &str, to: &str, announce: bool) -> Result<CallId, NotHandedOver> {
        let dialler = self.dialler.as_ref().ok_or(NotHandedOver::NoTelephone)?;
        handover::begin(self, dialler, call, to, announce).await
    }
}

impl Course {
    /// Who is left of two calls that were connected is with his agent again.
    async fn give_back(mut self, left: Left, manners: &Manners) {
        let (outcome, detail) = match &left {
            Left::Call(_) => ("call-ended", "The other side has left."),
            Left::Other(_) => ("other-ended", "The other side has left."),
            Left::Parted => ("parted", "The two were parted."),
        };
        if !matches!(left, Left::Call(_)) {
            self.part_call(detail, &manners.back).await;
        }
        if !matches!(left, Left::Other(_)) {
            self.part_other(detail, &manners.back).await;
        }
        self.end(outcome);
    }
}
