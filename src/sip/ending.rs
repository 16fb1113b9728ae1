//! Between SIP's reasons and the call's: why a dialog is over, and how a call is refused.

use rsipstack::dialog::dialog::TerminatedReason;
use rsipstack::sip::StatusCode;
use rsipstack::transaction::key::TransactionRole;

use crate::call::registry::OpenError;
use crate::journal::EndReason;
use crate::peer::GoneWhy;

/// Why a dialog is over.
pub(super) fn gone(ours: TransactionRole, reason: TerminatedReason) -> GoneWhy {
    match (ours, reason) {
        (_, TerminatedReason::Timeout) => GoneWhy::NeverConnected,
        (TransactionRole::Server, TerminatedReason::UacBye | TerminatedReason::UacCancel)
        | (TransactionRole::Client, TerminatedReason::UasBye) => GoneWhy::ClosedByPeer,
        (_, TerminatedReason::UasBye | TerminatedReason::UacBye) => GoneWhy::ClosedHere,
        (_, other) => GoneWhy::Failed(format!("{other:?}")),
    }
}

/// How a call is refused (RFC 3261, section 21).
pub(super) fn status_of(why: &OpenError) -> StatusCode {
    match why {
        OpenError::NoSuchPersona { .. } => StatusCode::NotFound,
        OpenError::Blocked(_) => StatusCode::Decline,
        OpenError::Full(_) => StatusCode::BusyHere,
        OpenError::ShuttingDown => StatusCode::ServiceUnavailable,
        _ => StatusCode::ServerInternalError,
    }
}

/// A refusal by its kind (RFC 3261, section 21). The stack makes a 408 of its own where nothing came at all.
pub(super) const fn outcome(code: u16, rang: bool) -> EndReason {
    match code {
        486 | 600 => EndReason::Busy,
        403 | 603 | 607 | 608 => EndReason::Declined,
        480 | 487 => EndReason::NoAnswer,
        408 if rang => EndReason::NoAnswer,
        _ => EndReason::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_name() {
        assert_eq!(outcome(486, true), EndReason::Busy);
        assert_eq!(outcome(603, true), EndReason::Declined);
        assert_eq!(outcome(480, false), EndReason::NoAnswer);
        assert_eq!(outcome(408, true), EndReason::NoAnswer);
        assert_eq!(outcome(408, false), EndReason::Unreachable, "nobody was there at all");
        assert_eq!(outcome(404, false), EndReason::Unreachable);
        assert_eq!(outcome(302, false), EndReason::Unreachable, "nobody is followed elsewhere: that costs");
        assert_eq!(outcome(407, false), EndReason::Unreachable, "a password that does not fit");
    }
}
