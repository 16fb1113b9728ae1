//! How calls are set up and what is said about them: offers, events, problem documents, and the
//! protocols of others. Pure: no sockets here.
#![forbid(unsafe_code)]

pub mod audio_socket;
pub mod bindings;
pub mod demux;
pub mod detour;
pub mod dtls;
pub mod event;
pub mod ingest;
pub mod offer;
pub mod phone_sdp;
pub mod problem;
pub mod realtime;
pub mod refer;
pub mod sip_datagram;
pub mod sip_stream;
pub mod twilio;
pub mod webhook;
pub mod whip;
