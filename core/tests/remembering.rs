//! What is remembered of what callers say: one table of sentences and what they leave, one of sentences that leave nothing.

use duologue_core::journal::{Speaker, TurnRow};
use duologue_core::memory::calendar::Day;
use duologue_core::memory::keeping;
use duologue_core::memory::notebook::Notebook;
use duologue_core::memory::recollection::Open;
use duologue_core::memory::{Gleanings, Party, Wish, glean};
use duologue_signaling::event::LatencyParts;
use proptest::prelude::*;

/// 2026-11-25, a Wednesday.
fn today() -> Day {
    Day::of(2026, 11, 25).expect("a day")
}

fn lines(gleanings: &Gleanings) -> Vec<String> {
    gleanings.facts.iter().map(duologue_core::memory::Fact::line).collect()
}

#[test]
fn what_callers_say_of_themselves_is_kept_in_a_short_line() {
    let table: &[(&str, &[&str])] = &[
        ("Hello, my name is Ada Lovelace.", &["is called Ada Lovelace"]),
        ("Hi, I'm Ada and I'm allergic to nuts.", &["is called Ada", "allergic to nuts"]),
        ("my name is ada", &["is called Ada"]),
        ("This is Grace speaking.", &["is called Grace"]),
        ("Please call me Vincent van Gogh.", &["is called Vincent van Gogh"]),
        ("I'm in room two hundred and four.", &["is in room 204"]),
        (
            "We're staying in room 12, and my phone number is oh seven double five 123.",
            &["is in room 12", "phone number 0755123"],
        ),
        ("Actually, it's room fourteen.", &["is in room 14"]),
        ("You can reach me on 0170 555 0123.", &["phone number 01705550123"]),
        ("I live in Leeds with my sister.", &["lives in Leeds"]),
        ("I moved to Turin last year.", &["lives in Turin last year"]),
        ("I'm from a small town near Bergen.", &["comes from a small town near Bergen"]),
        ("My birthday is on the third of June.", &["birthday 2026-06-03"]),
        ("I work as a nurse.", &["works as a nurse"]),
        ("I'm a vegetarian and I hate mushrooms.", &["is vegetarian", "does not like mushrooms"]),
        ("I prefer a room on the quiet side, please.", &["likes a room on the quiet side"]),
        ("I'm allergic to nuts, shellfish and milk.", &["allergic to nuts shellfish and milk"]),
        ("I have a nut allergy.", &["allergic to nut"]),
        ("My favourite tea is Darjeeling.", &["likes Darjeeling (tea)"]),
        ("I'm afraid of dogs, is that a problem?", &["afraid of dogs"]),
        ("Lifts frighten me.", &["afraid of Lifts"]),
        ("I've been living in Cardiff for six years.", &["lives in Cardiff"]),
        ("Our flat is in Bristol.", &["lives in Bristol"]),
        ("I grew up on a farm near Kendal.", &["comes from Kendal"]),
        ("We all grew up in Bergen as children.", &["comes from Bergen"]),
        ("I was born in Trieste, you know.", &["comes from Trieste"]),
        ("I'm from Galway originally.", &["comes from Galway"]),
        ("I'm a nurse at the infirmary.", &["works as a nurse at the infirmary"]),
        ("My brother is a roofer.", &["brother works as a roofer"]),
        ("My wife teaches chemistry.", &["wife works teaching chemistry"]),
        ("I really love crossword puzzles.", &["likes crossword puzzles"]),
        ("I can't stand coriander.", &["does not like coriander"]),
        ("I can't eat gluten.", &["allergic to gluten"]),
        ("I've got diabetes.", &["has diabetes"]),
        ("You can call me Lou.", &["is called Lou"]),
        ("We've got a dog called Biscuit.", &["dog is called Biscuit"]),
        ("My sister is called Mia.", &["sister is called Mia"]),
        ("I have a dog called Rex.", &["dog is called Rex"]),
        ("My daughter is allergic to eggs.", &["daughter allergic to eggs"]),
        ("I'm arriving on Friday.", &["arrives on 2026-11-27"]),
        ("I'm coming next Monday with two dogs.", &["2026-11-30: coming next Monday with two dogs"]),
        ("Yesterday I went to the lighthouse.", &["2026-11-24: went to the lighthouse"]),
        ("We went to the market on Monday with my sister.", &["2026-11-23: went to the market with their sister"]),
        ("Last night I was at the theatre.", &["2026-11-24: was at the theatre"]),
        ("I painted the fence yesterday and then I slept.", &["2026-11-24: painted the fence"]),
        ("Don't forget that I'm allergic to nuts.", &["allergic to nuts"]),
    ];
    for (said, kept) in table {
        assert_eq!(lines(&glean(said, None, today())), *kept, "{said}");
    }
}

#[test]
fn a_bare_answer_says_what_was_asked() {
    let table = [
        ("May I have your name?", "Ada Lovelace.", "is called Ada Lovelace"),
        ("Good evening. Who am I speaking to? And what is your name?", "Ada.", "is called Ada"),
        ("Which room are you in?", "Twelve.", "is in room 12"),
        ("What is your phone number?", "Oh one seven five five.", "phone number 01755"),
        ("When do you arrive?", "On Friday.", "arrives on 2026-11-27"),
        ("What are you allergic to?", "Nuts.", "allergic to Nuts"),
    ];
    for (agent, said, kept) in table {
        assert_eq!(lines(&glean(said, Some(agent), today())), [kept], "{agent} {said}");
        assert!(glean(said, Some("How are you today?"), today()).facts.is_empty(), "{said} to another question");
    }
}

#[test]
fn questions_suppositions_quotations_and_hearsay_leave_nothing() {
    for said in [
        "What is your name?",
        "Am I in room twelve?",
        "Is my room 12?",
        "Do I live in Leeds?",
        "I'm in room twelve?",
        "If I were allergic to nuts, what would you do?",
        "Suppose my name is Bob.",
        "Maybe I'll come on Friday.",
        "Let's say I'm in room ten, would that be better?",
        "My mother said I'm allergic to nuts.",
        "He told me my name is silly.",
        "The sign says \"I live in Leeds\".",
        "My name is not Bob.",
        "My name is on the list.",
        "I'm not in room twelve.",
        "I'm German.",
        "I'm fine, thanks.",
        "Call me tomorrow.",
        "Call me back later.",
        "I didn't go to the lighthouse yesterday.",
        "I might have gone to the market yesterday.",
        "I wish I lived in Paris.",
        "You live in a lighthouse.",
        "The weather was nice yesterday.",
        "I'm just joking, my name is Napoleon.",
        "I like it.",
        "I like your voice.",
        "I'm from the second floor.",
        "I'm a bit late.",
        "I can't stand here all night.",
        "I have a question.",
        "I've got five minutes.",
        "You can call me tomorrow.",
        "My dog is barking.",
        "I can't come on Friday.",
        "My room is cold.",
        "How do I get to the lighthouse?",
        "",
        "...",
    ] {
        let gleanings = glean(said, None, today());
        assert!(gleanings.is_empty(), "{said:?} left {gleanings:?}");
    }
}

#[test]
fn what_is_no_longer_so_ends() {
    let gleanings = glean("I'm not allergic to nuts anymore.", None, today());
    assert!(gleanings.facts.is_empty());
    assert_eq!(gleanings.ended[0].value, "nuts");
    assert_eq!(glean("I don't live in Leeds any more.", None, today()).ended.len(), 1);
}

#[test]
fn promises_have_a_maker_and_a_day() {
    let mut notebook = Notebook::new(today());
    let agent = notebook.read(&turn(Speaker::Agent, 1, "I'll ask the cook in the morning. I'll have a look."));
    assert_eq!(agent.commitments.len(), 1, "{agent:?}");
    assert_eq!(agent.commitments[0].what, "ask the cook in the morning");
    assert_eq!(agent.commitments[0].due.map(|day| day.to_string()).as_deref(), Some("2026-11-26"));
    let caller = notebook.read(&turn(Speaker::Caller, 2, "Thanks. I'll call you back on Friday."));
    assert_eq!(caller.commitments[0].due.map(|day| day.to_string()).as_deref(), Some("2026-11-27"));
    assert!(notebook.summary().expect("something").contains("the agent promised to ask the cook"));
    // What was not heard was not promised.
    let mut unheard = turn(Speaker::Agent, 3, "I'll send a letter.");
    unheard.heard = Some(String::new());
    assert!(notebook.read(&unheard).is_empty());
}

#[test]
fn a_wish_to_be_forgotten_is_understood_and_teaches_nothing() {
    let table = [
        ("Please forget everything you know about me.", Wish::ForgetEverything),
        ("Can you forget what I said about my knee?", Wish::ForgetAbout("my knee".into())),
        ("Forget my phone number.", Wish::ForgetAbout("phone number".into())),
        ("I'd like you to delete everything.", Wish::ForgetEverything),
    ];
    for (said, wish) in table {
        let gleanings = glean(said, None, today());
        assert_eq!(gleanings.wishes, [wish], "{said}");
        assert!(gleanings.facts.is_empty(), "{said}");
    }
    for said in ["Don't forget my birthday.", "I forgot my key.", "Forget it.", "Never mind, forget about it."] {
        assert_eq!(glean(said, None, today()).wishes, [], "{said}");
    }
}

fn turn(speaker: Speaker, turn: u32, text: &str) -> TurnRow {
    TurnRow {
        call: "c".into(),
        turn,
        speaker,
        started_ms: 0,
        ended_ms: 900,
        text: text.into(),
        heard: (speaker == Speaker::Agent).then(|| text.into()),
        typed: false,
        outcome: None,
        action: None,
        reason: None,
        latency: LatencyParts::default(),
    }
}

#[test]
fn a_promise_is_open_once_however_often_it_is_told() {
    let open =
        Open { who: Party::Agent, what: "ask the cook about the eggs".into(), due: None, made: today(), persona: None };
    let mut notebook = Notebook::new(today());
    notebook.know(std::slice::from_ref(&open));
    notebook.know(std::slice::from_ref(&open));
    let brings_it_up = TurnRow { reason: Some("promise".into()), ..turn(Speaker::Agent, 1, &keeping::raised(&open)) };
    for closed in [1, 0] {
        notebook.read(&brings_it_up);
        assert_eq!(notebook.read(&turn(Speaker::Caller, 2, "Never mind.")).closed.len(), closed);
    }
}

#[test]
fn what_is_to_be_forgotten_is_not_in_the_summary_and_not_brought_up() {
    let mut notebook = Notebook::new(today());
    notebook.read(&turn(Speaker::Caller, 1, "I'm allergic to nuts. I'll call you back about my knee."));
    assert!(notebook.summary().is_some_and(|text| text.contains("nuts") && text.contains("knee")));
    notebook.read(&turn(Speaker::Caller, 3, "Please forget what I said about my knee."));
    assert_eq!(notebook.summary(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is said, every value that is learned was said: nothing is made up.
    #[test]
    fn nothing_is_made_up(
        said in "((I'm|my name is|I live in|yesterday I|forget|on|room|and|not|if|[A-Za-z0-9é'?.,\"]{1,8}) ){0,14}",
        agent in proptest::option::of("(what is your name|which room|how are you)[?.]"),
    ) {
        let gleanings = glean(&said, agent.as_deref(), today());
        let heard = duologue_core::dialogue::words::words(&said);
        for fact in &gleanings.facts {
            prop_assert!(fact.value.len() <= 200 && !fact.value.trim().is_empty());
            let digits = fact.value.chars().any(|c| c.is_ascii_digit());
            let told = ["their", "them", "themselves", "was", "vegetarian"];
            for word in duologue_core::dialogue::words::words(&fact.value) {
                prop_assert!(digits || heard.contains(&word) || told.contains(&word.as_str()), "{word:?} of {fact:?}");
            }
        }
    }

    /// Any text at all is read without a panic, and its summary keeps its length.
    #[test]
    fn any_text_can_be_read(said in "\\PC{0,200}", agent in "\\PC{0,80}") {
        let mut notebook = Notebook::new(today());
        notebook.read(&turn(Speaker::Agent, 1, &agent));
        notebook.read(&turn(Speaker::Caller, 2, &said));
        prop_assert!(notebook.summary().is_none_or(|text| text.len() <= 300));
    }
}
