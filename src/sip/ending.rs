//! Between SIP's reasons and the call's: why a dialog is over, and how a call is refused.

use rsipstack::dialog::dialog::TerminatedReason;
use rsipstack::sip::StatusCode;
use rsipstack::transaction::key::TransactionRole;

use crate::call::registry::OpenError;
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
