//! Ring 3: the protocols of others as doors to the same calls. Each is a thin adapter: what comes in becomes RTP packets and
//! orders for a call, the call's sound and events become what the protocol has for them. Jitter buffer, floor, judge, memory
//! and rows know nothing of it.
//!
//! [`doorway`] is a leg of a call with its other end, [`pace`] plays what a client sends on the call's clock. The protocols'
//! own rules are pure, in the crate `signaling/`.

pub mod audio_socket;
pub mod doorway;
pub mod orders;
pub mod pace;
pub mod realtime;
pub mod twilio;
pub mod twilio_signature;
