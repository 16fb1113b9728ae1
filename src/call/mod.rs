//! Ring 3: a live call. One task a call; inside it a tick is hear -> decide -> gate -> send, without waiting.
//!
//! [`wire`] is the table of every channel, [`turn`] the agent's turn as a value whose drop is the barge-in, [`task`] the
//! loop itself, [`leg`] what it is held over, [`registry`] the calls that are alive.

mod asked;
pub mod bridging;
mod consulting;
pub mod engines;
mod extraction;
pub mod judging;
pub mod keying;
mod leaving;
pub mod leg;
pub mod listeners;
pub mod memory;
mod mouth;
pub mod registry;
mod relaying;
mod taping;
pub mod task;
pub mod telephone;
pub mod turn;
pub mod wire;
