//! OpenAI's Realtime protocol (the GA shape of 2025-08), as a pure translation: their events to what a call understands, the
//! call's events and sound to theirs. No socket, no clock.
//!
//! [`ask::read`] reads one message of the client's, [`session::Session`] is what stands between the two protocols, [`tell`]
//! writes theirs. Where the two differ, ours is told as it is: transcripts of the agent are what has been heard, and nothing
//! is said to hold that does not. docs/DOORS.md has the list.

pub mod ask;
pub mod format;
mod items;
pub mod session;
pub mod settings;
pub mod tell;

/// Samples a second of `audio/pcm`, the only rate that the protocol has for it.
pub const PCM_RATE_HZ: u32 = 24_000;

#[cfg(test)]
mod tests;
