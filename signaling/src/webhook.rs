//! What a webhook carries: an event, the call it is of, and when it happened.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Stamped;

/// The body of a webhook, with the members that Standard Webhooks suggest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// The event's name: the `type` of `data.event`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened: RFC 3339, in UTC.
    pub timestamp: String,
    pub data: Data,
}

/// What a [`Hook`] is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Data {
    /// The call's id.
    pub call: String,
    /// As it went to the client and to whoever listens.
    pub event: Stamped,
}
