//! What is remembered of what callers say: `make bench-extraction`. The rules, and the embedded language model beside them
//! (`memory.extractor = "llm"`), over the turns of `extraction.txt`; each fact that is wrong is printed with `-v`.
//!
//! A fact is right if somebody who wrote the turns down wanted it: subject and predicate are the same, and all words wanted stand in the
//! value. Precision: the share of facts that are right. Recall: the share of wanted ones that were found.

#[path = "../tests/shared/mod.rs"]
mod shared;

use std::path::Path;
use std::time::{Duration, Instant};

use duologue::backend::llm::Patience;
use duologue::backend::llm::worker::{LlmWorker, WorkerSettings};
use duologue::backend::{ChatRequest, Llm};
use duologue_core::memory::calendar::Day;
use duologue_core::memory::extract::{question, read};
use duologue_core::memory::glean;
use duologue_core::memory::{Fact, Predicate};
use futures_util::StreamExt as _;

/// A fact that is to be found.
struct Wanted {
    subject: String,
    predicate: String,
    words: Vec<String>,
}

struct Turn {
    said: String,
    wanted: Vec<Wanted>,
}

/// How one extractor did.
#[derive(Default)]
struct Tally {
    found: usize,
    right: usize,
    missed: usize,
    /// Turns of which something is remembered that is not so.
    spoilt: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn count(&mut self, turn: &Turn, facts: &[Fact]) {
        let right = |fact: &&Fact| turn.wanted.iter().any(|wanted| wanted.is(fact));
        let wrong: Vec<&Fact> = facts.iter().filter(|fact| !right(fact)).collect();
        self.found += facts.len();
        self.right += facts.len() - wrong.len();
        self.missed += turn.wanted.iter().filter(|wanted| !facts.iter().any(|fact| wanted.is(fact))).count();
        self.spoilt += usize::from(!wrong.is_empty());
        self.wrong.extend(wrong.iter().map(|fact| format!("{}  <-  {}", fact.line(), turn.said)));
    }

    fn tell(&self, name: &str, turns: usize, wanted: usize) {
        let share = |part: usize, all: usize| 100.0 * part as f64 / all.max(1) as f64;
        println!(
            "{name}: {} facts, precision {:.0} %, recall {:.0} % of {wanted}; something wrong of {} of {turns} turns",
            self.found,
            share(self.right, self.found),
            share(wanted - self.missed, wanted),
            self.spoilt
        );
        if std::env::args().any(|argument| argument == "-v") {
            self.wrong.iter().for_each(|line| println!("    {line}"));
        }
    }
}

impl Wanted {
    fn is(&self, fact: &Fact) -> bool {
        let value = words(&fact.value);
        fact.subject == self.subject
            && fact.predicate.as_str() == self.predicate
            && self.words.iter().all(|word| value.contains(word))
    }
}

fn words(text: &str) -> Vec<String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.');
    text.to_lowercase()
        .split(|c| !plain(c))
        .map(|word| word.trim_matches('.').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn turns() -> Vec<Turn> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/extraction.txt");
    let text = std::fs::read_to_string(file).expect("the turns");
    let wanted = |told: &str| {
        let (whose, value) = told.split_once(':').expect("subject predicate: value");
        let (subject, predicate) = whose.trim().split_once(' ').expect("subject predicate");
        Wanted { subject: subject.into(), predicate: predicate.into(), words: words(value) }
    };
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('|'));
    lines
        .map(|(said, told)| Turn {
            said: said.trim().into(),
            wanted: told.split(';').filter(|told| !told.trim().is_empty()).map(wanted).collect(),
        })
        .collect()
}

/// What is for the rules alone is not counted: days, rooms and plans.
fn lasting(fact: &Fact) -> bool {
    use Predicate as P;
    !matches!(fact.predicate, P::Room | P::Birthday | P::Diet | P::Arrival | P::Departure | P::Plans | P::Did | P::Note)
}

async fn ask(llm: &LlmWorker, request: ChatRequest) -> String {
    let mut pieces = llm.chat(request).await.expect("an answer begins");
    let mut answer = String::new();
    while let Some(piece) = pieces.next().await {
        answer.push_str(&piece.expect("the answer goes on"));
    }
    answer
}

#[tokio::main]
async fn main() {
    let turns = turns();
    let wanted: usize = turns.iter().map(|turn| turn.wanted.len()).sum();
    let today = Day::of(2026, 11, 25).expect("a day");
    let by_rules =
        |turn: &Turn| -> Vec<Fact> { glean(&turn.said, None, today).facts.into_iter().filter(lasting).collect() };
    let mut rules = Tally::default();
    turns.iter().for_each(|turn| rules.count(turn, &by_rules(turn)));
    rules.tell("rules", turns.len(), wanted);

    let name = std::env::var("MODEL").unwrap_or_else(|_| "qwen2.5-coder-0.5b-instruct-q4".into());
    let Some(model) = shared::model(&format!("{name}.gguf"), "qwen2.5-0.5b") else { return };
    let settings = WorkerSettings {
        executable: std::env::var_os("DUOLOGUE_LLM").map(Into::into),
        ..WorkerSettings::new(model, &name)
    };
    let llm = LlmWorker::start(settings, Patience::default()).expect("the worker starts");
    llm.ready().await.expect("the worker is ready");
    let (mut both, mut alone, mut refused, mut no_form) = (Tally::default(), Tally::default(), 0, 0);
    let mut took: Vec<Duration> = Vec::new();
    for turn in &turns {
        let mut facts = Vec::new();
        if let Some(request) = question(&turn.said) {
            let began = Instant::now();
            let answer = ask(&llm, request).await;
            took.push(began.elapsed());
            match read(&answer, &turn.said) {
                Ok(found) => {
                    refused += found.refused;
                    facts = found.facts;
                }
                Err(_) => no_form += 1,
            }
        }
        alone.count(turn, &facts);
        let known = by_rules(turn);
        facts.retain(|fact| !known.contains(fact));
        facts.extend(known);
        both.count(turn, &facts);
    }
    alone.tell(&format!("{name} alone"), turns.len(), wanted);
    both.tell("rules and the model", turns.len(), wanted);
    took.sort();
    println!(
        "{} turns asked about, {:.0} ms at the median; {refused} facts not in the caller's words, {no_form} answers in no form",
        took.len(),
        took.get(took.len() / 2).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
    );
}
