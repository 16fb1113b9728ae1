//! Rules that turn a caller's turn into facts: what a clause says about its subject, and what a bare answer says to what the
//! agent has just asked. They rather miss a fact than invent one: questions, suppositions, quotations, hearsay and negations
//! give none.

use super::calendar::{Day, Towards, find_day};
use super::clauses::{Clause, Word, statements};
use super::lexicon::{ADVERBS, ALLERGENS, CONDITIONS, KIN, TRADES};
use super::numbers::counted;
use super::past::past;
use super::promises::{promises, wishes};
use super::values::{MOST_WORDS, name, phone, place, room, value, value_with, whole_name};
use super::{CALLER, Fact, Gleanings, Party, Predicate};

/// How sure a fact is that was said outright, and one that answers a question of the agent's.
const OUTRIGHT: f32 = 0.9;
const ANSWERED: f32 = 0.8;

/// What a turn gives to remember: `text` is what the caller said, `agent` what the agent had said before it, `today` the
/// call's day.
pub fn glean(text: &str, agent: Option<&str>, today: Day) -> Gleanings {
    let mut gleanings = Gleanings { wishes: wishes(text), ..Gleanings::default() };
    if !gleanings.wishes.is_empty() {
        // What is to be forgotten is not learned from the same breath.
        return gleanings;
    }
    let asked = agent.and_then(topic);
    for clause in statements(text) {
        let mut known = false;
        if let Some((subject, rest, be)) = subject(&clause) {
            known = of_subject(&mut gleanings, &subject, &rest, be, &clause, asked, today);
        }
        if !known {
            known = impersonal(&mut gleanings, &clause, today);
        }
        if !known && let Some(asked) = asked {
            gleanings.facts.extend(answer(asked, &clause, today));
        }
    }
    gleanings.commitments.extend(promises(text, Party::Caller, today));
    gleanings
}

/// What the agent has just asked for.
fn topic(agent: &str) -> Option<Predicate> {
    let question = agent.trim_end().strip_suffix('?')?;
    let last = question.rsplit(['.', '!', '?']).next()?.to_lowercase();
    let asks = |words: &[&str]| words.iter().any(|word| last.contains(word));
    if asks(&["your name", "who am i speaking", "who is calling", "who's calling", "what are you called"]) {
        Some(Predicate::Name)
    } else if asks(&["your number", "phone number", "telephone number", "reach you", "call you back on"]) {
        Some(Predicate::Phone)
    } else if asks(&["which room", "what room", "room number", "your room"]) {
        Some(Predicate::Room)
    } else if asks(&["you arrive", "you arriving", "you coming", "you come", "your arrival", "you check in"]) {
        Some(Predicate::Arrival)
    } else if asks(&["you leave", "you leaving", "your departure", "you check out"]) {
        Some(Predicate::Departure)
    } else if asks(&["allergic to", "which allerg", "what allerg"]) {
        Some(Predicate::Allergy)
    } else {
        None
    }
}

/// Whose clause it is, the words after the subject, and whether "be" stood between them: "I'm", "my sister is".
fn subject(clause: &Clause) -> Option<(String, Vec<Word>, bool)> {
    let low = clause.low();
    let rest = |from: usize| clause.words[from..].to_vec();
    match low.as_slice() {
        ["i'm" | "we're", ..] => Some((CALLER.into(), rest(1), true)),
        ["i" | "we", "am" | "are" | "was" | "were", ..] => Some((CALLER.into(), rest(2), true)),
        ["i" | "we" | "i've" | "we've", ..] => Some((CALLER.into(), rest(1), false)),
        ["my" | "our", kin, "is", ..] if KIN.contains(kin) => Some(((*kin).into(), rest(3), true)),
        ["my" | "our", kin, ..] if KIN.contains(kin) => Some(((*kin).into(), rest(2), false)),
        _ => None,
    }
}

/// What a clause says about its subject; `true` where it is understood.
fn of_subject(
    gleanings: &mut Gleanings,
    subject: &str,
    rest: &[Word],
    be: bool,
    clause: &Clause,
    asked: Option<Predicate>,
    today: Day,
) -> bool {
    let adverbs = rest.iter().take_while(|word| ADVERBS.contains(&word.low.as_str())).count();
    let rest = &rest[adverbs..];
    let low: Vec<&str> = rest.iter().map(|word| word.low.as_str()).collect();
    let known = if be {
        being(gleanings, subject, rest, &low, clause.greeted || asked == Some(Predicate::Name))
    } else {
        doing(gleanings, subject, rest, &low)
    };
    known || past_or_plan(gleanings, subject, rest, &low, clause, today)
}

/// "I'm ...", "my sister is ...".
fn being(gleanings: &mut Gleanings, subject: &str, rest: &[Word], low: &[&str], named: bool) -> bool {
    let mut learn = |predicate: Predicate, value: Option<String>| {
        let Some(value) = value else { return false };
        gleanings.facts.push(Fact { subject: subject.into(), predicate, value, day: None, confidence: OUTRIGHT });
        true
    };
    if let ["not", "allergic", "to", ..] | ["no", "longer", "allergic", "to", ..] = low {
        let from = if low[0] == "not" { 3 } else { 4 };
        let ended = value(&rest[from..]);
        gleanings.ended.extend(ended.map(|value| fact(subject, Predicate::Allergy, value)));
        return true;
    }
    match low {
        ["called" | "named", ..] => learn(Predicate::Name, name(&rest[1..])),
        ["allergic", "to", ..] => learn(Predicate::Allergy, value(&rest[2..])),
        ["afraid" | "scared" | "terrified", "of", ..] => learn(Predicate::Fears, value(&rest[2..])),
        // "From the second floor" is where a call comes from; "the Netherlands" has a capital.
        ["from", "the" | "my" | "a", ..] if !rest[1..].iter().any(Word::is_capital) => false,
        ["from", ..] => learn(Predicate::Origin, place(&rest[1..])),
        ["born", "in" | "near", ..] => learn(Predicate::Origin, place(&rest[2..])),
        ["a" | "an", .., last] if TRADES.contains(last) && low.len() <= 4 => learn(Predicate::Work, as_a(rest)),
        ["a" | "an", trade, "at" | "in" | "for", ..] if TRADES.contains(trade) => learn(Predicate::Work, as_a(rest)),
        ["in", "room", ..] | ["staying", "in", "room", ..] => learn(Predicate::Room, room(low)),
        ["a" | "an", diet @ ("vegetarian" | "vegan" | "diabetic" | "coeliac" | "celiac"), ..]
        | [diet @ ("vegetarian" | "vegan" | "diabetic" | "coeliac" | "celiac"), ..] => {
            learn(Predicate::Diet, Some((*diet).to_owned()))
        }
        _ if subject == CALLER && named => learn(Predicate::Name, whole_name(rest)),
        _ => false,
    }
}

/// "I live ...", "my sister likes ...".
fn doing(gleanings: &mut Gleanings, subject: &str, rest: &[Word], low: &[&str]) -> bool {
    let mut learn = |predicate: Predicate, value: Option<String>| {
        let Some(value) = value else { return false };
        gleanings.facts.push(Fact { subject: subject.into(), predicate, value, day: None, confidence: OUTRIGHT });
        true
    };
    match low {
        ["live" | "lives", "in" | "at" | "on" | "near", ..] => learn(Predicate::Home, place(&rest[2..])),
        ["moved" | "have", "to" | "moved", ..] => match low.iter().position(|word| *word == "to") {
            Some(to) if low.contains(&"moved") => learn(Predicate::Home, place(&rest[to + 1..])),
            _ => false,
        },
        ["been", "living", "in" | "at" | "on" | "near", ..] => learn(Predicate::Home, place(&rest[3..])),
        // "On a farm near Kendal": what is nearest to the name of a place.
        ["grew", "up", "in" | "on" | "near", ..] => {
            let at = low.iter().rposition(|word| matches!(*word, "in" | "on" | "near")).unwrap_or(2);
            learn(Predicate::Origin, place(&rest[at + 1..]))
        }
        ["come" | "comes", "from", ..] => learn(Predicate::Origin, place(&rest[2..])),
        ["work" | "works", "as" | "for" | "at" | "in" | "on", ..] => {
            learn(Predicate::Work, value(rest.get(1..).unwrap_or(&[])))
        }
        ["have" | "has", "a" | "an", .., "allergy"] => learn(Predicate::Allergy, value(&rest[2..rest.len() - 1])),
        ["have" | "has", "an", "allergy", "to", ..] => learn(Predicate::Allergy, value(&rest[4..])),
        ["teach" | "teaches", _, ..] => {
            learn(Predicate::Work, value(&rest[1..]).map(|what| format!("teaching {what}")))
        }
        ["have" | "has" | "got", .., what] if CONDITIONS.contains(what) && low.len() <= 4 => {
            learn(Predicate::Has, value(&rest[usize::from(low[1] == "got") + 1..]))
        }
        ["have" | "has" | "got", "a", kin, "called" | "named", ..] if KIN.contains(kin) => {
            let named = name(&rest[4..]).map(|name| fact(kin, Predicate::Name, name));
            gleanings.facts.extend(named);
            true
        }
        ["have" | "has", "a" | "an" | "two" | "three" | "four" | "five", kin, ..]
            if KIN.contains(&kin.trim_end_matches('s')) || *kin == "children" =>
        {
            learn(Predicate::Has, value(&rest[1..3]))
        }
        ["have", "room", ..] => learn(Predicate::Room, room(low)),
        ["prefer" | "prefers" | "like" | "likes" | "love" | "loves" | "enjoy" | "enjoys" | "adore" | "adores", ..]
            if low.get(1) != Some(&"your") =>
        {
            learn(Predicate::Likes, value(&rest[1..]))
        }
        ["hate" | "hates" | "dislike" | "dislikes", ..] => learn(Predicate::Dislikes, value(&rest[1..])),
        ["don't" | "doesn't", "like" | "eat" | "drink" | "want", ..] if low[1] != "want" => {
            learn(Predicate::Dislikes, value(&rest[2..]))
        }
        ["never", "liked", ..] => learn(Predicate::Dislikes, value(&rest[2..])),
        ["can't" | "cannot", "stand" | "bear", next, ..] if *next != "here" => {
            learn(Predicate::Dislikes, value(&rest[2..]))
        }
        ["can't" | "cannot", "eat" | "drink" | "have", what, ..] if ALLERGENS.contains(what) => {
            learn(Predicate::Allergy, value(&rest[2..]))
        }
        ["can't" | "cannot", "eat" | "drink" | "have", ..] => learn(Predicate::Dislikes, value(&rest[2..])),
        ["don't", "live", "in", ..] => {
            gleanings.ended.extend(place(&rest[3..]).map(|value| fact(subject, Predicate::Home, value)));
            true
        }
        _ => false,
    }
}

fn fact(subject: &str, predicate: Predicate, value: String) -> Fact {
    Fact { subject: subject.into(), predicate, value, day: None, confidence: OUTRIGHT }
}

/// What is going to happen, or has happened on a day.
fn past_or_plan(
    gleanings: &mut Gleanings,
    subject: &str,
    rest: &[Word],
    low: &[&str],
    clause: &Clause,
    today: Day,
) -> bool {
    if let Some(event) = past(subject, rest, clause, today) {
        gleanings.facts.push(event);
        return true;
    }
    let Some((day, _)) = find_day(low, today, Towards::Future) else { return false };
    let goes = low.iter().find_map(|word| match *word {
        "arriving" | "arrive" | "arrives" => Some(Predicate::Arrival),
        "leaving" | "leave" | "leaves" => Some(Predicate::Departure),
        "coming" | "come" | "visiting" | "visit" | "staying" | "stay" | "going" | "travelling" | "flying"
        | "driving" | "getting" | "having" | "meeting" | "bringing" => Some(Predicate::Plans),
        _ => None,
    });
    let certain = !low.iter().any(|word| matches!(*word, "not" | "never" | "can't" | "cannot" | "won't" | "don't"));
    let Some(predicate) = goes.filter(|_| certain) else { return false };
    let value = match predicate {
        Predicate::Plans => match value_with(rest, MOST_WORDS) {
            Some(value) => value,
            None => return false,
        },
        _ => day.to_string(),
    };
    let day = Some(day);
    gleanings.facts.push(Fact { subject: subject.into(), predicate, value, day, confidence: ANSWERED });
    true
}

/// Clauses without a person for a subject: "My name is ...", "My sister's name is ...", "This is Ada speaking".
fn impersonal(gleanings: &mut Gleanings, clause: &Clause, today: Day) -> bool {
    let low = clause.low();
    let words = &clause.words;
    let mut learn = |whose: &str, predicate: Predicate, value: Option<String>| {
        gleanings.facts.extend(value.map(|value| fact(whose, predicate, value)));
        true
    };
    match low.as_slice() {
        ["my", "name's", ..] => learn(CALLER, Predicate::Name, name(&words[2..])),
        ["my" | "the", "name", "is", ..] => learn(CALLER, Predicate::Name, name(&words[3..])),
        ["my", "first" | "full" | "last", "name", "is", ..] if low[1] != "last" => {
            learn(CALLER, Predicate::Name, name(&words[4..]))
        }
        ["call", "me", "on" | "at" | "back", ..] => learn(CALLER, Predicate::Phone, phone(&low[2..])),
        ["call", "me", ..] => learn(CALLER, Predicate::Name, name(&words[2..])),
        ["this" | "it's", .., "speaking" | "calling" | "here"] => {
            let from = if low[0] == "this" && low.get(1) == Some(&"is") { 2 } else { 1 };
            learn(CALLER, Predicate::Name, words.get(from..words.len() - 1).and_then(name))
        }
        ["this", "is", ..] if clause.greeted => learn(CALLER, Predicate::Name, whole_name(&words[2..])),
        ["my", "room", ..] | ["it's", "room", ..] => learn(CALLER, Predicate::Room, room(&low)),
        ["my", ..] if low.windows(2).any(|pair| pair == ["number", "is"]) => {
            learn(CALLER, Predicate::Phone, phone(&low))
        }
        ["you", "can", "call", "me", _, ..] if phone(&low).is_none() => {
            learn(CALLER, Predicate::Name, name(&words[4..]))
        }
        ["you", "can", "reach" | "call", "me", ..] => learn(CALLER, Predicate::Phone, phone(&low)),
        ["my" | "our", "flat" | "house" | "home", "is", "in" | "near", ..] => {
            learn(CALLER, Predicate::Home, place(&words[4..]))
        }
        [.., "frighten" | "frightens" | "scare" | "scares" | "terrify" | "terrifies", "me"] => {
            learn(CALLER, Predicate::Fears, value(&words[..words.len() - 2]))
        }
        ["my", "email" | "e-mail", ..] => {
            learn(CALLER, Predicate::Email, low.iter().find(|word| word.contains('@')).map(|word| (*word).to_owned()))
        }
        ["my", "birthday", ..] | ["my", "date", "of", "birth", ..] => {
            // Without a year it is the last one that there was: the day and the month are what counts.
            let day = find_day(&low, today, Towards::Past);
            learn(CALLER, Predicate::Birthday, day.map(|(day, _)| day.to_string()))
        }
        ["my", kin, "name", "is", ..] => match kin.strip_suffix("'s").filter(|kin| KIN.contains(kin)) {
            Some(kin) => learn(kin, Predicate::Name, name(&words[4..])),
            None => false,
        },
        ["my", "favourite" | "favorite", what, "is", ..] => {
            let liked = value(&words[4..]).map(|liked| format!("{liked} ({what})"));
            learn(CALLER, Predicate::Likes, liked)
        }
        // "Yesterday I went ...": the day stands before the subject.
        _ => match low.iter().position(|word| matches!(*word, "i" | "we" | "i've" | "we've")) {
            Some(at) if find_day(&low[..at], today, Towards::Past).is_some() => {
                let event = past(CALLER, &words[at + 1..], clause, today);
                let known = event.is_some();
                gleanings.facts.extend(event);
                known
            }
            _ => false,
        },
    }
}

/// "A nurse at the infirmary" is what one works as.
fn as_a(rest: &[Word]) -> Option<String> {
    value(rest).map(|trade| format!("as {trade}"))
}

/// What a bare answer says: "Ada Lovelace.", "Twelve.", "On Friday."
fn answer(asked: Predicate, clause: &Clause, today: Day) -> Option<Fact> {
    let low = clause.low();
    let value = match asked {
        Predicate::Name => whole_name(&clause.words),
        Predicate::Room => {
            counted(&low).filter(|(_, taken)| *taken == low.len()).map(|(room, _)| room).or_else(|| room(&low))
        }
        Predicate::Phone => phone(&low),
        Predicate::Allergy => (clause.words.len() <= 3).then(|| value(&clause.words)).flatten(),
        Predicate::Arrival | Predicate::Departure if low.len() <= 6 => {
            find_day(&low, today, Towards::Future).map(|(day, _)| day.to_string())
        }
        _ => None,
    }?;
    let day = matches!(asked, Predicate::Arrival | Predicate::Departure).then(|| Day::parse(&value)).flatten();
    Some(Fact { subject: CALLER.into(), predicate: asked, value, day, confidence: ANSWERED })
}
