//! How calls are set up and what is said about them: offers, events and problem documents. Pure: no sockets here.
#![forbid(unsafe_code)]

pub mod detour;
pub mod event;
pub mod offer;
pub mod phone_sdp;
pub mod problem;
