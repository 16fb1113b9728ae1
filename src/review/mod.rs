//! Ring 3: asking the call database. Any one statement that reads, within limits of time and size, and questions with names.

mod ask;
mod cli;
mod queries;
mod single;

pub use ask::{AskFault, Limits, Table, ask};
pub use cli::{ReviewCommand, SqlArguments, review, sql};
pub use queries::{QUERIES, Query, find};
pub use single::{NotOne, one_reading_statement};
