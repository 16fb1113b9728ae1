//! A call that another telephone takes over: an INVITE with `Replaces` (RFC 3891) names a dialog of ours, and its telephone holds the call
//! from then on. The call itself goes on: who talks, what was said and what is remembered stay.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duologue_signaling::refer::Replaces;
use rsipstack::dialog::DialogId;
use rsipstack::sip::{Header, Request, StatusCode};

use super::Exchange;
use crate::journal::CallId;

/// A dialog that was answered, and the call that is held over it.
struct Held {
    call: CallId,
    /// Where its telephone's SIP is.
    peer: IpAddr,
}

/// The dialogs that can be taken over.
#[derive(Default)]
pub(super) struct Takeable(Mutex<HashMap<DialogId, Held>>);

/// As long as this is there, the dialog can be taken over.
pub(super) struct Known {
    exchange: Arc<Exchange>,
    id: DialogId,
}

impl Takeable {
    fn held(&self) -> MutexGuard<'_, HashMap<DialogId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.exchange.takeable.held().remove(&self.id);
    }
}

impl Exchange {
    /// A call is held over this dialog from here on.
    pub(super) fn know(self: &Arc<Self>, id: DialogId, call: &CallId, peer: IpAddr) -> Known {
        self.takeable.held().insert(id.clone(), Held { call: call.clone(), peer });
        Known { exchange: self.clone(), id }
    }

    /// The call that an INVITE is to take over; `None` where it is to begin one. `user` is whose password it came with, where one was
    /// asked for.
    ///
    /// # Errors
    /// The answer where it is to take over what it cannot, or may not.
    pub(super) fn replaced(
        &self,
        invite: &Request,
        user: Option<&str>,
        came_from: IpAddr,
    ) -> Result<Option<CallId>, StatusCode> {
        let mut named = invite.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("Replaces"));
        let Some(first) = named.next().map(Header::value) else { return Ok(None) };
        // RFC 3891, section 3: one at the most.
        if named.next().is_some() {
            return Err(StatusCode::BadRequest);
        }
        let (id, early_only) = read(first).ok_or(StatusCode::BadRequest)?;
        // One that we have not answered, or that has not answered us, is taken over by nobody: 481, as where there is none.
        let (call, peer) = match self.takeable.held().get(&id) {
            Some(Held { call, peer }) => (call.clone(), *peer),
            None => return Err(StatusCode::CallTransactionDoesNotExist),
        };
        if early_only {
            return Err(StatusCode::BusyHere);
        }
        let caller = self.registry.caller_of(&call).ok_or(StatusCode::CallTransactionDoesNotExist)?;
        let may = match user {
            Some(user) => caller.as_deref() == Some(user),
            None => came_from == peer || self.registrar.knows(invite, came_from).is_some(),
        };
        if may { Ok(Some(call)) } else { Err(StatusCode::Forbidden) }
    }
}

/// The dialog that is named, as this side knows it, and whether only one that was not answered is meant. The other side's `to-tag` is
/// ours (RFC 3891, section 3).
fn read(value: &str) -> Option<(DialogId, bool)> {
    let Replaces { call_id, to_tag, from_tag, early_only } = Replaces::read(value)?;
    Some((DialogId { call_id, local_tag: to_tag, remote_tag: from_tag }, early_only))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialog_is_named_from_this_side() {
        let id = DialogId { call_id: "1@x".into(), local_tag: "b".into(), remote_tag: "a".into() };
        assert_eq!(read("1@x;from-tag=a;to-tag=b"), Some((id.clone(), false)));
        assert_eq!(read("1@x;from-tag=a;to-tag=b;early-only"), Some((id, true)));
        assert_eq!(read("1@x"), None);
    }
}
