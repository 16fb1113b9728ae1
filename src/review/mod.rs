//! Ring 3: asking the call database. Any one statement that reads, within limits of time and size, and questions with names.

mod ask;
mod cli;
mod generate;
mod queries;
mod said;
mod single;

pub use ask::{AskFault, Limits, Table, ask, ask_with};
pub use cli::{ReviewCommand, SqlArguments, review, sql};
pub use generate::{GenerateArguments, GenerateFault, generate};
pub use queries::{QUERIES, Query, find};
pub use said::{SAID, match_all};
pub use single::{NotOne, one_reading_statement};
