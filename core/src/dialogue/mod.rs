//! Ring 1: the conversation. Who holds the floor, what was said and heard, what to do next. Pure; told the time.
//!
//! Read [`floor`] first: one page, five states. [`conversation`] composes the rest around it.

pub mod backchannel;
pub mod budget;
pub mod conversation;
pub mod courtesy;
pub mod endpoint;
pub mod floor;
pub mod history;
pub mod judge;
pub mod ladder;
pub mod ledger;
pub mod lookup;
pub mod parts;
pub mod permit;
pub mod persona;
pub mod question;
pub mod sentence;
pub mod stable;
pub mod suspicion;
pub mod timers;
pub mod topic;
pub mod words;
