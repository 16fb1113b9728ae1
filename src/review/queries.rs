//! The questions of a morning after, by name. Each is a file of `review/`; its first line is the question.

/// A question with a name.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub name: &'static str,
    text: &'static str,
}

impl Query {
    /// In words.
    pub fn question(&self) -> &'static str {
        self.text.lines().next().and_then(|line| line.strip_prefix("-- ")).unwrap_or(self.name)
    }

    /// As it is asked.
    pub fn sql(&self) -> &'static str {
        self.text.split_once("\n\n").map_or(self.text, |(_, sql)| sql).trim()
    }
}

macro_rules! named {
    ($name:literal) => {
        Query { name: $name, text: include_str!(concat!("../../review/", $name, ".sql")) }
    };
}

/// All of them, in the order in which one would ask.
pub const QUERIES: &[Query] = &[
    named!("last-calls"),
    named!("last-call"),
    named!("response-latency"),
    named!("where-time-goes"),
    named!("slowest-turns"),
    named!("talked-over-the-caller"),
    named!("barge-ins"),
    named!("cut-in-words"),
    named!("unheard-answers"),
    named!("drafts"),
    named!("backchannels"),
    named!("refusals"),
    named!("deflections"),
    named!("agent-interruptions"),
    named!("decisions"),
    named!("overruled"),
    named!("unsure"),
    named!("facts-that-decided"),
    named!("contradictions"),
    named!("open-promises"),
    named!("last-words"),
    named!("apologies"),
    named!("wanted-a-person"),
    named!("bad-lines"),
    named!("bad-ways-out"),
    named!("most-barge-ins"),
    named!("longest-silences"),
    named!("talk-time"),
    named!("endings"),
    named!("troubles"),
    named!("blocks"),
    named!("recordings"),
    named!("redactions"),
    named!("imports"),
    named!("gaps-in-this-file"),
];

/// The query of that name.
pub fn find(name: &str) -> Option<&'static Query> {
    QUERIES.iter().find(|query| query.name == name)
}
