//! Ring 1: the media path as state machines, told the time. Packets in, frames out; frames in, packets out.

pub mod crossing;
pub mod downlink;
pub mod ear;
pub mod echo;
pub mod far_ear;
pub mod jitter;
pub mod keys;
pub mod lateness;
pub mod network;
pub mod parrot;
pub mod playout;
pub mod quality;
pub mod receiver;
pub mod reception;
pub mod recording;
pub mod red;
pub mod rtcp;
pub mod rtp;
pub mod segment;
pub mod self_voice;
