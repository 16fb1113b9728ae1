//! The YAML head as it is written: read with the line of each value, so that every fault can be found by its line.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_saphyr::{Error as YamlFault, Spanned};

use super::fault::{PersonaFault, What, nearest};
use super::limits::{self, Limit};
use super::{Budgets, Exchange, KnowledgeFolder, NeverRule, Persona, QuietHours};
use crate::dialogue::judge::Action;
use crate::dialogue::ladder::{Patience, Rung};
use crate::dialogue::words::words;

type Placed<T> = Option<Spanned<T>>;
type Sentences = Option<Spanned<Vec<Spanned<String>>>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Head {
    name: Placed<String>,
    title: String,
    description: String,
    role: String,
    stance: String,
    priors: BTreeMap<String, Spanned<f32>>,
    budgets: BudgetsHead,
    never: Option<Vec<NeverRule>>,
    quiet_hours: Placed<String>,
    utc_offset_min: Placed<i32>,
    silence_ttl_ms: Placed<u64>,
    block_ttl_s: Placed<u64>,
    opening: String,
    trouble: Option<String>,
    long_turn: Option<String>,
    lead_ins: Sentences,
    greetings: Sentences,
    farewells: Sentences,
    warnings: Sentences,
    refusals: Sentences,
    deflections: Sentences,
    backchannels: Sentences,
    ladder: Vec<RungHead>,
    patience: PatienceHead,
    temperature: Placed<f32>,
    max_tokens: Placed<u32>,
    hotwords: Vec<String>,
    knowledge: Vec<Spanned<String>>,
    search: bool,
    looking_up: Sentences,
    transitions: Sentences,
    examples: Option<Spanned<Vec<ExchangeHead>>>,
    echo: bool,
    plays: Placed<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BudgetsHead {
    interrupts: Placed<u32>,
    per_turns: Placed<u32>,
    initiatives: Placed<u32>,
    silences: Placed<u32>,
    blocks: Placed<u32>,
    listen_ms: Placed<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PatienceHead {
    after_question: Placed<f32>,
    after_hold_on: Placed<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RungHead {
    after_ms: Spanned<u64>,
    say: Spanned<String>,
    #[serde(default)]
    hang_up: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeHead {
    caller: Spanned<String>,
    agent: Spanned<String>,
}

/// A file may have this many faults that YAML itself finds; more are not looked for.
const YAML_FAULTS_MOST: usize = 32;

/// Reads a whole file.
pub(super) fn read(file: &str) -> Result<Persona, Vec<PersonaFault>> {
    let Some((head, body)) = split(file) else {
        return Err(vec![PersonaFault { line: 1, what: What::NoHead }]);
    };
    let (parsed, faults) = parse(head);
    let mut checked = Checked { faults };
    let end = head.lines().count();
    let persona = checked.persona(parsed.unwrap_or_default(), body, end);
    let mut faults = checked.faults;
    if faults.is_empty() {
        return Ok(persona);
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

/// Head and body. The head begins with the line break after `---`, so its lines have the numbers of the file's.
fn split(file: &str) -> Option<(&str, &str)> {
    let rest = file.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let rest = rest.strip_prefix('\r').unwrap_or(rest);
    if !rest.starts_with('\n') {
        return None;
    }
    let end = rest.find("\n---")?;
    let body = rest[end + 4..].trim_start_matches(['-', '\r']);
    Some((&rest[..end + 1], body))
}

/// The head, and what YAML finds wrong with it. A value that is not what its field takes costs its own lines; the rest is
/// read on, so that one look finds all faults.
fn parse(head: &str) -> (Option<Head>, Vec<PersonaFault>) {
    let mut lines: Vec<&str> = head.lines().collect();
    let mut faults = Vec::new();
    while faults.len() < YAML_FAULTS_MOST {
        if lines.iter().all(|line| line.trim().is_empty()) {
            return (Some(Head::default()), faults);
        }
        let fault = match serde_saphyr::from_str::<Head>(&lines.join("\n")) {
            Ok(head) => return (Some(head), faults),
            Err(fault) => fault,
        };
        let fault = fault.without_snippet();
        let line = fault.location().map_or(1, |place| usize::try_from(place.line()).unwrap_or(1)).max(1);
        faults.push(PersonaFault { line, what: what(fault) });
        if !is_about_a_value(fault) || !blank(&mut lines, line - 1) {
            break;
        }
    }
    (None, faults)
}

fn what(fault: &YamlFault) -> What {
    match fault {
        YamlFault::SerdeUnknownField { field, expected, .. } => {
            What::Unknown { field: field.clone(), nearest: nearest(field, expected.iter().copied()).into() }
        }
        YamlFault::SerdeUnknownVariant { variant, expected, .. } => {
            What::Unknown { field: variant.clone(), nearest: nearest(variant, expected.iter().copied()).into() }
        }
        // The line is told beside it.
        _ => {
            let text = fault.to_string();
            What::Yaml(text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]).into())
        }
    }
}

/// Is the head itself in order, as YAML?
const fn is_about_a_value(fault: &YamlFault) -> bool {
    matches!(
        fault,
        YamlFault::Message { .. }
            | YamlFault::InvalidScalar { .. }
            | YamlFault::InvalidBooleanStrict { .. }
            | YamlFault::NullIntoString { .. }
            | YamlFault::Unexpected { .. }
            | YamlFault::SerdeInvalidType { .. }
            | YamlFault::SerdeInvalidValue { .. }
            | YamlFault::SerdeInvalidLength { .. }
            | YamlFault::SerdeUnknownVariant { .. }
            | YamlFault::SerdeUnknownField { .. }
            | YamlFault::SerdeMissingField { .. }
            | YamlFault::DuplicateMappingKey { .. }
    )
}

/// Takes a line out, and what belongs to it by its indentation; the lines after it keep their numbers.
fn blank(lines: &mut [&str], at: usize) -> bool {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let Some(first) = lines.get(at).filter(|line| !line.trim().is_empty()) else { return false };
    let depth = indentation(first);
    lines[at] = "";
    for line in lines[at + 1..].iter_mut().take_while(|line| line.trim().is_empty() || indentation(line) > depth) {
        *line = "";
    }
    true
}

fn line<T>(placed: &Spanned<T>) -> usize {
    usize::try_from(placed.referenced.line()).unwrap_or(1)
}

/// Checks values one by one, and keeps what is wrong with them.
struct Checked {
    faults: Vec<PersonaFault>,
}

impl Checked {
    fn fault(&mut self, line: usize, what: What) {
        self.faults.push(PersonaFault { line, what });
    }

    /// `body_line`: the last line of the head, where a missing body is told of.
    fn persona(&mut self, head: Head, body: &str, body_line: usize) -> Persona {
        let plays = head.plays.as_ref().map(|plays| plays.value.clone());
        if let Some(plays) = head.plays.as_ref().filter(|_| head.echo) {
            self.fault(line(plays), What::TwoMachines);
        }
        if body.trim().is_empty() && !head.echo && plays.is_none() {
            self.fault(body_line + 1, What::NoPrompt);
        }
        let name = self.name(head.name);
        let usual = Persona::blank(&name);
        Persona {
            title: if head.title.is_empty() { name.clone() } else { head.title },
            role: if head.role.is_empty() { head.description.clone() } else { head.role },
            description: head.description,
            stance: head.stance,
            priors: self.priors(head.priors),
            budgets: self.budgets(&head.budgets),
            never: head.never.map_or(usual.never, |rules| rules.into_iter().collect::<BTreeSet<_>>()),
            quiet_hours: self.quiet_hours(head.quiet_hours, head.utc_offset_min.as_ref()),
            silence_ttl_ms: self.number("silence_ttl_ms", head.silence_ttl_ms.as_ref(), &limits::SILENCE_TTL_MS),
            block_ttl_s: self.number("block_ttl_s", head.block_ttl_s.as_ref(), &limits::BLOCK_TTL_S),
            opening: head.opening,
            trouble: head.trouble.unwrap_or(usual.trouble),
            long_turn: head.long_turn.unwrap_or(usual.long_turn),
            lead_ins: self.sentences("lead_ins", head.lead_ins, usual.lead_ins),
            greetings: self.sentences("greetings", head.greetings, usual.greetings),
            farewells: self.sentences("farewells", head.farewells, usual.farewells),
            warnings: self.sentences("warnings", head.warnings, usual.warnings),
            refusals: self.sentences("refusals", head.refusals, usual.refusals),
            deflections: self.sentences("deflections", head.deflections, usual.deflections),
            backchannels: self.sentences("backchannels", head.backchannels, usual.backchannels),
            ladder: self.ladder(head.ladder),
            patience: self.patience(&head.patience),
            temperature: self.number("temperature", head.temperature.as_ref(), &limits::TEMPERATURE),
            max_tokens: self.number("max_tokens", head.max_tokens.as_ref(), &limits::MAX_TOKENS),
            hotwords: head.hotwords,
            search: head.search,
            looking_up: self.sentences("looking_up", head.looking_up, usual.looking_up),
            transitions: self.sentences("transitions", head.transitions, usual.transitions),
            examples: self.examples(head.examples),
            knowledge: self.knowledge(head.knowledge),
            echo: head.echo,
            plays,
            recording: None,
            prompt: body.trim().into(),
            name,
        }
    }

    fn name(&mut self, name: Placed<String>) -> String {
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let (at, name) = name.map_or((1, String::new()), |name| (line(&name), name.value));
        if name.is_empty() || name.len() > 40 || !name.chars().all(named) {
            self.fault(at, What::Name(name.clone()));
        }
        name
    }

    fn number<T>(&mut self, field: &str, value: Option<&Spanned<T>>, limit: &Limit<T>) -> T
    where
        T: PartialOrd + Copy + ToString,
    {
        let Some(value) = value else { return limit.usual };
        if limit.range.contains(&value.value) {
            return value.value;
        }
        let what = What::Range { field: field.into(), value: value.value.to_string(), range: limit.words };
        self.fault(line(value), what);
        limit.usual
    }

    fn priors(&mut self, head: BTreeMap<String, Spanned<f32>>) -> BTreeMap<Action, f32> {
        let mut priors = BTreeMap::new();
        for (name, prior) in head {
            let Some(action) = Action::ALL.into_iter().find(|action| action.as_str() == name) else {
                let nearest = nearest(&name, Action::ALL.iter().map(|action| action.as_str())).into();
                self.fault(line(&prior), What::Unknown { field: format!("priors.{name}"), nearest });
                continue;
            };
            priors.insert(action, self.number(&format!("priors.{name}"), Some(&prior), &limits::PRIOR));
        }
        priors
    }

    fn budgets(&mut self, head: &BudgetsHead) -> Budgets {
        Budgets {
            interrupts_most: self.number("budgets.interrupts", head.interrupts.as_ref(), &limits::INTERRUPTS),
            interrupts_per_turns: self.number("budgets.per_turns", head.per_turns.as_ref(), &limits::PER_TURNS),
            initiatives_most: self.number("budgets.initiatives", head.initiatives.as_ref(), &limits::INITIATIVES),
            silences_in_a_row: self.number("budgets.silences", head.silences.as_ref(), &limits::SILENCES),
            blocks_most: self.number("budgets.blocks", head.blocks.as_ref(), &limits::BLOCKS),
            listen_ms: self.number("budgets.listen_ms", head.listen_ms.as_ref(), &limits::LISTEN_MS),
        }
    }

    fn quiet_hours(&mut self, hours: Placed<String>, offset: Option<&Spanned<i32>>) -> Option<QuietHours> {
        let offset_min = self.number("utc_offset_min", offset, &limits::UTC_OFFSET_MIN);
        let hours = hours?;
        let read = QuietHours::parse(&hours.value, offset_min);
        if read.is_none() {
            self.fault(line(&hours), What::QuietHours(hours.value));
        }
        read
    }

    /// Sentences of one kind; those of every persona where the file has none.
    fn sentences(&mut self, field: &str, own: Sentences, usual: Vec<String>) -> Vec<String> {
        let Some(own) = own else { return usual };
        let count = Spanned::new(own.value.len(), own.referenced, own.defined);
        self.number(field, Some(&count), &limits::SENTENCES);
        own.value.into_iter().enumerate().map(|(i, said)| self.sentence(&format!("{field}[{i}]"), said)).collect()
    }

    /// Short, and with something in it to speak.
    fn sentence(&mut self, field: &str, said: Spanned<String>) -> String {
        let chars = Spanned::new(said.value.chars().count(), said.referenced, said.defined);
        self.number(field, Some(&chars), &limits::SENTENCE_CHARS);
        if words(&said.value).is_empty() && !said.value.is_empty() {
            self.fault(line(&said), What::Wordless { field: field.into(), sentence: said.value.clone() });
        }
        said.value
    }

    fn examples(&mut self, own: Option<Spanned<Vec<ExchangeHead>>>) -> Vec<Exchange> {
        let Some(own) = own else { return Vec::new() };
        let count = Spanned::new(own.value.len(), own.referenced, own.defined);
        self.number("examples", Some(&count), &limits::EXAMPLES);
        let example = |(i, said): (usize, ExchangeHead)| Exchange {
            caller: self.sentence(&format!("examples[{i}].caller"), said.caller),
            agent: self.sentence(&format!("examples[{i}].agent"), said.agent),
        };
        own.value.into_iter().enumerate().map(example).collect()
    }

    /// Whether they are there is for whoever can look.
    fn knowledge(&mut self, folders: Vec<Spanned<String>>) -> Vec<KnowledgeFolder> {
        if let Some(last) = folders.last() {
            let count = Spanned::new(folders.len(), last.referenced, last.defined);
            self.number("knowledge", Some(&count), &limits::KNOWLEDGE_FOLDERS);
        }
        let folder = |folder: Spanned<String>| {
            if folder.value.trim().is_empty() {
                self.fault(line(&folder), What::NoFolder { path: folder.value.clone() });
            }
            KnowledgeFolder { line: line(&folder), path: folder.value }
        };
        folders.into_iter().map(folder).collect()
    }

    fn ladder(&mut self, rungs: Vec<RungHead>) -> Vec<Rung> {
        let rung = |(i, rung): (usize, RungHead)| Rung {
            after_ms: self.number(&format!("ladder[{i}].after_ms"), Some(&rung.after_ms), &limits::RUNG_AFTER_MS),
            say: self.sentence(&format!("ladder[{i}].say"), rung.say),
            hang_up: rung.hang_up,
        };
        rungs.into_iter().enumerate().map(rung).collect()
    }

    fn patience(&mut self, head: &PatienceHead) -> Patience {
        Patience {
            after_question: self.number(
                "patience.after_question",
                head.after_question.as_ref(),
                &limits::AFTER_QUESTION,
            ),
            after_hold_on: self.number("patience.after_hold_on", head.after_hold_on.as_ref(), &limits::AFTER_HOLD_ON),
        }
    }
}
