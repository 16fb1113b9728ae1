//! Ring 1: the media path as state machines, told the time. Packets in, frames out; frames in, packets out.

pub mod ear;
pub mod echo;
pub mod jitter;
pub mod parrot;
pub mod playout;
pub mod rtp;
pub mod segment;
pub mod self_voice;
