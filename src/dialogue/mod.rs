//! Ring 1: the conversation. Who holds the floor, what was said and heard, what to do next. Pure; told the time.

pub mod judge;
pub mod persona;
pub mod sentence;
