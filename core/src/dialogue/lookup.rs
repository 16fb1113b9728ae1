//! Is this asking for something that has to be looked up? A function of the words alone: a search costs a second and goes out of
//! the house, so that the rules rather miss one.

use super::words::{Phrases, words};

/// Whoever says so wants it looked up.
static ASKS: Phrases = Phrases::new(
    "look up, look that up, look it up, look this up, search for, search the web for, search the internet for, search online for, \
     search the web, search the internet, search online, do a search for, google, find out online, check online, \
     check the internet for, check the web for, look online for, look on the internet for, look online, 查一下, 搜一下, 搜索",
);

/// What nobody knows by heart: it is another today.
static CURRENT: Phrases = Phrases::new(
    "weather, weather forecast, forecast, news, headlines, exchange rate, share price, stock price, traffic, 天气, 新闻",
);

/// Of this moment.
static NOW: Phrases = Phrases::new(
    "today, tonight, right now, currently, at the moment, this morning, this afternoon, this evening, this week, this weekend, \
     this month, this year, tomorrow, yesterday, latest, most recent, 今天, 现在, 明天",
);

static QUESTION: Phrases = Phrases::new(
    "what, whats, when, whens, where, wheres, who, whos, which, how, is, are, was, were, did, does, do, has, have, will, any",
);

/// What is asked of the agent or its house is not in the web.
static OURS: Phrases = Phrases::new(
    "you, your, yours, youre, here, we, us, our, i, im, my, me, mine, appointment, book, booking, reservation",
);

static FORBIDS: Phrases = Phrases::new("dont, do not, never, stop, no need to, you neednt, instead of");

/// What a question may be wrapped in.
static POLITE: Phrases = Phrases::new(
    "can you tell me, could you tell me, would you tell me, do you know, tell me, please, okay, ok, so, well, um, uh, hey, and, also, \
     i want to know, id like to know, i would like to know",
);

/// What leads up to a query and is not in it.
static LEAD: Phrases = Phrases::new(
    "please, can, could, would, will, you, just, quickly, okay, ok, so, well, um, uh, hey, and, also, i, want, need, id, like, to, tell, \
     me, do, know, lets, us, for",
);

/// What stands behind one and is not in it.
static TRAIL: Phrases =
    Phrases::new("please, for me, would you, will you, thanks, thank you, online, on the internet, on the web");

/// Characters of a query at most.
const QUERY_MOST: usize = 200;
/// A turn of more words tells a story.
const WORDS_MOST: usize = 40;

/// What to search for, if these words of a caller ask for it. `before` are the caller's words of the turn before, which "look it up"
/// may mean.
pub fn wants_search(text: &str, before: Option<&str>) -> Option<String> {
    let said = words(text);
    if said.is_empty() || said.len() > WORDS_MOST {
        return None;
    }
    let asks = (0..said.len()).find(|from| ASKS.begin(&said[*from..]));
    if let Some(from) = asks {
        if FORBIDS.within(&said[..from]) {
            return None;
        }
        let to = from + longest(&ASKS, &said[from..]);
        let rest = query(&said[to..]);
        let empty = |rest: &str| matches!(rest, "" | "it" | "that" | "this" | "the answer");
        return if empty(&rest) {
            before.map(|before| query(&words(before))).filter(|q| !empty(q))
        } else {
            Some(rest)
        };
    }
    let bare = &said[longest(&POLITE, &said)..];
    let told_to = !QUESTION.begin(&said)
        && said.len() > bare.len()
        && said[..said.len() - bare.len()].iter().any(|word| word == "tell" || word == "know");
    let question = told_to || text.trim_end().ends_with(['?', '？']) || QUESTION.begin(bare);
    if !question || FORBIDS.within(&said) {
        return None;
    }
    let ours = OURS.within(bare);
    let current = CURRENT.within(&said) || (NOW.within(&said) && said.len() > 3);
    (current && !ours).then(|| query(&said)).filter(|query| !query.is_empty())
}

/// How many words the longest phrase at the beginning has.
fn longest(phrases: &Phrases, said: &[String]) -> usize {
    (1..=said.len().min(6)).rev().find(|n| phrases.make_up(&said[..*n])).unwrap_or(0)
}

fn without_lead(said: &[String]) -> Vec<String> {
    said[LEAD.lead(said)..].to_vec()
}

/// The words that matter, in their order.
fn query(said: &[String]) -> String {
    let mut rest = without_lead(said);
    while let Some(n) = (1..=rest.len().min(3)).rev().find(|n| TRAIL.make_up(&rest[rest.len() - n..])) {
        rest.truncate(rest.len() - n);
    }
    let query: String = rest.join(" ");
    query.chars().take(QUERY_MOST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Option<String> {
        wants_search(text, None)
    }

    #[test]
    fn whoever_asks_for_a_search_gets_one() {
        for (text, sought) in [
            ("Can you look up the ferry to Harwich, please?", "the ferry to harwich"),
            ("Please search for vegan restaurants in Leeds.", "vegan restaurants in leeds"),
            ("Okay, search the web for solar eclipse dates", "solar eclipse dates"),
            ("Could you google how tall the Eiffel tower is?", "how tall the eiffel tower is"),
        ] {
            assert_eq!(query(text).as_deref(), Some(sought), "{text}");
        }
        assert_eq!(wants_search("Look it up, please.", Some("Who won the cup?")).as_deref(), Some("who won the cup"));
        assert_eq!(query("Look it up."), None, "nobody knows what");
    }

    #[test]
    fn what_is_another_today_is_looked_up() {
        for (text, sought) in [
            ("What's the weather in Leeds?", "whats the weather in leeds"),
            ("Tell me the news.", "the news"),
            ("Who is playing at Anfield tonight?", "who is playing at anfield tonight"),
            ("Do you know what the exchange rate is?", "what the exchange rate is"),
        ] {
            assert_eq!(query(text).as_deref(), Some(sought), "{text}");
        }
    }

    #[test]
    fn the_rest_is_answered_from_what_is_known() {
        for text in [
            "What time does the kitchen close?",
            "Are you open today?",
            "Can I have an appointment tomorrow?",
            "Is breakfast included now?",
            "So I was in Leeds and the weather was awful.",
            "Do you have a room tonight?",
            "The weather was awful.",
            "Don't look it up, just tell me.",
            "I looked up at the ceiling today.",
            "What now?",
            "",
            "...",
        ] {
            assert_eq!(query(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_said_makes_a_query_without_end() {
        let long = "look up ".to_owned() + &"\u{4e00}".repeat(30) + &" word".repeat(20);
        assert!(query(&long).is_none_or(|query| query.chars().count() <= QUERY_MOST));
        assert_eq!(query(&"what is the weather today ".repeat(20)), None, "a story");
    }
}
