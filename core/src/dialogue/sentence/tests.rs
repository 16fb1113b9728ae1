use proptest::prelude::*;

use super::*;

fn cut_whole(text: &str) -> Vec<Cut> {
    let mut cutter = ClauseCutter::default();
    let mut cuts = cutter.push(text);
    cuts.extend(cutter.finish());
    cuts
}

fn cut_in_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<Cut> {
    let mut cutter = ClauseCutter::default();
    let mut cuts: Vec<Cut> = pieces.into_iter().flat_map(|piece| cutter.push(piece)).collect();
    cuts.extend(cutter.finish());
    cuts
}

fn texts(cuts: &[Cut]) -> Vec<&str> {
    cuts.iter().map(|cut| cut.text.as_str()).collect()
}

#[test]
fn every_line_of_the_golden_table_is_cut_as_marked() {
    let mut lines = 0;
    let mut wrong = Vec::new();
    for line in include_str!("golden.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        lines += 1;
        let line = line.replace('⏎', "\n");
        let expected: Vec<&str> = line.split('¦').map(str::trim).filter(|text| !text.is_empty()).collect();
        let cuts = cut_whole(&line.replace(" ¦ ", " ").replace('¦', ""));
        if texts(&cuts) != expected {
            wrong.push(format!("expected {expected:?}\n     got {:?}", texts(&cuts)));
        }
    }
    assert!(wrong.is_empty(), "{} of {lines} lines:\n{}", wrong.len(), wrong.join("\n"));
    assert!(lines >= 60, "the table has shrunk to {lines} lines");
}

#[test]
fn a_clause_comes_out_as_soon_as_its_mark_is_sure() {
    let mut cutter = ClauseCutter::default();
    assert_eq!(cutter.push("It is 3."), [], "3.14 may follow");
    assert_eq!(cutter.push("14 or so."), [], "a letter may follow");
    assert_eq!(texts(&cutter.push(" G")), ["It is 3.14 or so."]);
    assert_eq!(cutter.push("ood. Dr"), [Cut { text: "Good.".into(), range: 17..23 }]);
    assert_eq!(cutter.push(". Smith"), []);
    assert_eq!(texts(&cutter.push(" is in.\n")), ["Dr. Smith is in."], "a new line makes it sure");
    assert_eq!(cutter.finish(), [], "white space is no clause");
}

#[test]
fn a_pause_of_the_model_gives_out_what_ends_in_a_sure_mark() {
    for (text, given) in [
        ("How are you?", true),
        ("I am fine.", true),
        ("你好。", true),
        ("First of all,", true),
        ("He said \"no.\"", true),
        ("I am", false),
        ("It is 3.", false),
        ("It costs 1,", false),
        ("I met Dr.", false),
        ("Meet me at 5 p.m.", false),
        ("1.", false),
        ("Well,", false),
    ] {
        let mut cutter = ClauseCutter::default();
        assert_eq!(cutter.push(text), []);
        assert_eq!(cutter.flush_if_waiting().map(|cut| cut.text), given.then(|| text.to_owned()), "{text}");
        assert_eq!(cutter.flush_if_waiting(), None, "{text}: once");
        assert_eq!(texts(&cutter.finish()), if given { vec![] } else { vec![text] });
    }
}

#[test]
fn a_long_sentence_is_cut_at_its_best_mark_and_not_at_its_last_word() {
    let text = "Fine. When you come to the end of the long road, which is not easy to see in the dark; turn left at the old \
                church, walk on past the shop with the red door and ring the bell twice.";
    let cuts = cut_whole(text);
    assert_eq!(cuts.len(), 3);
    assert!(cuts[1].text.ends_with("in the dark;"), "{:?}", cuts[1].text);
}

#[test]
fn a_wall_of_letters_is_cut_all_the_same() {
    let cuts = cut_whole(&"x".repeat(5_000));
    assert_eq!(cuts.iter().map(|cut| cut.text.len()).collect::<Vec<_>>(), [1_000; 5]);
    let wall = "汉".repeat(500);
    assert!(cut_whole(&wall).iter().all(|cut| cut.text.chars().count() <= 80));
}

#[test]
fn the_limits_decide_how_long_a_clause_may_be() {
    let limits = ClauseLimits { first_mark: 9, first_most: 9, later_mark: 3, later_most: 5 };
    let mut cutter = ClauseCutter::new(limits);
    let text = "One, two three four five six seven eight nine ten eleven, twelve thirteen fourteen, fifteen";
    let mut cuts = cutter.push(text);
    cuts.extend(cutter.finish());
    let expected =
        ["One, two three four five six seven eight nine", "ten eleven,", "twelve thirteen fourteen,", "fifteen"];
    assert_eq!(texts(&cuts), expected);
}

#[test]
fn a_voice_gets_no_pictures_and_no_mark_up_and_every_byte_keeps_its_place() {
    for (written, spoken) in [
        ("**Great!** 😀 Let's go.", "  Great!        Let's go."),
        ("- Milk\n* Eggs\n# End", "  Milk\n  Eggs\n  End"),
        ("use `a_b` and _this_", "use  a_b  and  this "),
        ("2 * 3 - 1 is 5, well-known", "2 * 3 - 1 is 5, well-known"),
        ("-5 degrees", "-5 degrees"),
        ("1️⃣ go", "1       go"),
    ] {
        assert_eq!(speakable(written), spoken);
        assert_eq!(speakable(written).len(), written.len());
    }
}

/// Texts that are rich in what the cutter looks at.
fn text() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        ".",
        "...",
        "!",
        "?",
        "…",
        "。",
        "，",
        "、",
        "؟",
        "،",
        "।",
        ",",
        ";",
        ":",
        "—",
        " - ",
        "-",
        " ",
        "  ",
        "\n",
        "\t",
        "\"",
        "“",
        "”",
        "«",
        " »",
        "(",
        ")",
        "**",
        "😀",
        "👍🏽",
        "\u{fe0f}",
        "Dr",
        "e.g",
        "U.S",
        "a.m",
        "No",
        "3",
        "14",
        "1",
        "I",
        "The",
        "and",
        "we",
        "hello",
        "World",
        "你好",
        "漢",
        "สวัสดี",
        "नमस्ते",
        "مرحبا",
        "e\u{301}",
        "http://a.b/c?d",
        "x@y.z",
        "\u{200d}",
    ]);
    prop_oneof![
        4 => prop::collection::vec(bits, 0..80).prop_map(|bits| bits.concat()),
        1 => any::<String>(),
    ]
}

/// The same text in pieces of any sizes.
fn pieces(text: &str, sizes: &[usize]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut sizes = sizes.iter().cycle();
    let mut left = *sizes.next().unwrap();
    for c in text.chars() {
        if left == 0 {
            pieces.push(String::new());
            left = *sizes.next().unwrap();
        }
        left = left.saturating_sub(1);
        pieces.last_mut().unwrap().push(c);
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_cuts_tile_the_text(text in text()) {
        let cuts = cut_whole(&text);
        let mut from = 0;
        for cut in &cuts {
            prop_assert_eq!(cut.range.start, from, "nothing lost, nothing twice");
            prop_assert_eq!(&cut.text, text[cut.range.clone()].trim());
            prop_assert!(!cut.text.is_empty());
            from = cut.range.end;
        }
        prop_assert_eq!(text[from..].trim(), "");
    }

    #[test]
    fn how_the_text_arrives_does_not_matter(text in text(), sizes in prop::collection::vec(1_usize..9, 1..6)) {
        let pieces = pieces(&text, &sizes);
        prop_assert_eq!(cut_in_pieces(pieces.iter().map(String::as_str)), cut_whole(&text));
    }

    #[test]
    fn pauses_lose_nothing(text in text(), sizes in prop::collection::vec(1_usize..9, 1..6)) {
        let mut cutter = ClauseCutter::default();
        let mut cuts = Vec::new();
        for piece in pieces(&text, &sizes) {
            cuts.extend(cutter.push(&piece));
            cuts.extend(cutter.flush_if_waiting());
        }
        cuts.extend(cutter.finish());
        let joined: String = cuts.iter().map(|cut| &text[cut.range.clone()]).collect();
        prop_assert_eq!(joined.trim_end(), text.trim_end());
        prop_assert_eq!(cutter.text(), text);
    }

    #[test]
    fn what_a_voice_gets_is_as_long_as_what_was_written(text in text()) {
        prop_assert_eq!(speakable(&text).len(), text.len());
    }
}
