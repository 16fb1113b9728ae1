//! What the agent has just asked, and how far an answer to it has come. Rules over words, in the languages of
//! [`super::backchannel`]; whatever they do not know is an open question.

use super::backchannel::assents;
use super::words::{Phrases, words};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// "Shall I book it?"
    YesOrNo,
    /// "How many people?"
    Number,
    /// A telephone number: ten digits or more.
    Telephone,
    /// A postcode: five letters and digits or more.
    Postcode,
    /// A day.
    Date,
    /// An order or account number, or a spelling: nobody knows how long it is.
    Code,
    Name,
    /// Any other question.
    Open,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// What was asked for is there.
    Complete,
    /// Digits, letters or parts of a date are there, and some are missing, or may be.
    Dictating,
    /// Nothing can be said.
    Unknown,
}

/// Digits of a telephone number, the area's included: the least that is dialled in most countries.
const TELEPHONE_DIGITS: usize = 10;
/// Letters and digits of a postcode: five in the US, Germany, France, Spain; five to seven in Britain; six in China.
const POSTCODE_SIGNS: usize = 5;
/// A run of so many single digits or letters is being dictated, whatever was asked.
const DICTATED_RUN: usize = 3;
/// An answer that gives a number or a name has few words around it.
const SHORT_ANSWER: usize = 4;

/// Phrases that ask for a thing, the more particular first.
static WANTED: [(Asked, Phrases); 6] = [
    (
        Asked::Telephone,
        Phrases::new(
            "phone number, telephone number, telephone, mobile number, number to reach, number can we reach, \
             call you back, telefonnummer, handynummer, número de teléfono, teléfono, numéro de téléphone, 电话, 手机号, \
             号码",
        ),
    ),
    (
        Asked::Postcode,
        Phrases::new("postcode, post code, postal code, zip code, zip, postleitzahl, código postal, code postal, 邮编"),
    ),
    (
        Asked::Code,
        Phrases::new(
            "spell, order number, account number, booking number, reference, reservation number, customer number, \
             card number, buchstabieren, bestellnummer, kundennummer, deletrear, número de pedido, épeler, \
             numéro de commande, 订单号, 账号, 拼写",
        ),
    ),
    (
        Asked::Date,
        Phrases::new(
            "what date, which date, what day, which day, date of birth, for when, welches datum, welchen tag, \
             geburtsdatum, qué fecha, qué día, fecha de nacimiento, quelle date, quel jour, date de naissance, 哪天, \
             哪一天, 日期, 几号",
        ),
    ),
    (Asked::Number, Phrases::new("how many, how old, wie viele, wie alt, cuántos, cuántas, combien, 几位, 几个, 多少")),
    (
        Asked::Name,
        Phrases::new(
            "your name, the name, what name, ihr name, ihren namen, su nombre, tu nombre, votre nom, 名字, 贵姓, 怎么称呼",
        ),
    ),
];

/// Beginnings of questions that want yes or no.
static VERBS: Phrases = Phrases::new(
    "shall, should, do, does, did, is, are, was, were, would, will, can, could, may, have, has, am, any, \
     soll, sollen, möchten, möchtest, haben, hast, ist, sind, darf, wollen, können, kann, passt, quiere, \
     quieres, desea, puedo, podemos, tiene, es, está, voulez, veux, souhaitez, est ce que, puis, avez, êtes",
);
/// Ends of them.
static TAGS: Phrases =
    Phrases::new("right, okay, yes, correct, is it, isnt it, richtig, oder, verdad, no, nest ce pas, 吗, 对吧, 好吧");
static LEAD_INS: Phrases = Phrases::new("so, and, well, then, great, okay, alright, now, also, y, et, alors, 那, 那么");
static REFUSALS: Phrases = Phrases::new(
    "no, nope, nah, no thanks, no thank you, not now, not yet, nein, nein danke, non, non merci, no gracias, \
     不, 不用, 不是, 不要",
);

/// What the last sentence of `text` asks for; `None` where it asks for nothing.
pub fn asked(text: &str) -> Option<Asked> {
    let text = text.trim_end();
    let question = text.ends_with(['?', '？']);
    let sentence = last_sentence(text);
    let all = words(sentence);
    let wanted = WANTED.iter().find(|(_, phrases)| phrases.within(&all));
    match wanted {
        // "Please spell your name." wants an answer without being a question; "I have your name." does not.
        Some((asked, _)) if question || all.first().is_some_and(|word| word == "please") => Some(*asked),
        _ if !question => None,
        _ if wants_yes_or_no(&all) => Some(Asked::YesOrNo),
        _ => Some(Asked::Open),
    }
}

fn wants_yes_or_no(all: &[String]) -> bool {
    let lead_ins = LEAD_INS.lead(all);
    let rest = &all[lead_ins..];
    let choice = rest.iter().skip(1).any(|word| ["or", "oder", "o", "ou"].contains(&word.as_str()));
    TAGS.end(rest) || !choice && VERBS.begin(rest)
}

/// The question that the caller has just heard, or is about to have heard: an answer may come up to four words (a good
/// second) after it, and two words before its end.
pub fn near(generated: &str, heard: usize) -> Option<Asked> {
    const WORDS_AFTER: usize = 4;
    const WORDS_BEFORE: usize = 2;
    let (before, after) = (generated.get(..heard)?, generated.get(heard..)?);
    let blank = after.len() - after.trim_start().len();
    let words_to_come = after.trim_start().split_inclusive(char::is_whitespace).take(WORDS_BEFORE);
    let to_come = blank + words_to_come.map(str::len).sum::<usize>();
    let coming = &generated[..heard + to_come];
    let end = coming.rfind(['?', '？'])?;
    let mark = coming[end..].chars().next().map_or(1, char::len_utf8);
    let since = before.get(end + mark..).map_or(0, |since| since.split_whitespace().count());
    if since > WORDS_AFTER { None } else { asked(&coming[..end + mark]) }
}

/// From the last sentence mark before the end.
fn last_sentence(text: &str) -> &str {
    let body = text.trim_end_matches(['?', '？', '.', '!', '。', '！', ' ']);
    let start = body.rfind(['?', '？', '.', '!', '。', '！']).map_or(0, |at| at + 1);
    // The mark may be longer than a byte.
    let start = (start..=body.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[start..]
}

/// How far `text` answers what was `asked`.
pub fn progress(asked: Option<Asked>, text: &str) -> Progress {
    let all = words(text);
    if all.is_empty() {
        return Progress::Unknown;
    }
    let signs = signs(&all);
    let enough_of =
        |wanted: usize, signs: usize| if signs >= wanted { Progress::Complete } else { Progress::Dictating };
    let enough = |wanted: usize| enough_of(wanted, signs);
    match asked {
        Some(Asked::Telephone) if signs > 0 => enough_of(TELEPHONE_DIGITS, signs + misheard(&all, signs)),
        Some(Asked::Postcode) if signs > 0 => enough(POSTCODE_SIGNS),
        Some(Asked::Code) if signs > 0 => Progress::Dictating,
        Some(Asked::Date) => date(&all),
        Some(Asked::YesOrNo) if assents(text) || REFUSALS.make_up(&all) => Progress::Complete,
        Some(Asked::Number) if signs > 0 && all.len() <= SHORT_ANSWER => Progress::Complete,
        Some(Asked::Name) if all.len() <= SHORT_ANSWER => Progress::Complete,
        _ if trailing_run(&all) >= DICTATED_RUN => Progress::Dictating,
        _ => Progress::Unknown,
    }
}

/// Single digits and letters, and digits of numbers, in all of them.
fn signs(all: &[String]) -> usize {
    let alone: usize = all.iter().map(|word| signs_of(word)).sum();
    // "a" between two of them is an eight that was not understood, or a letter.
    let between = |three: &[String]| three[1] == "a" && signs_of(&three[0]) > 0 && signs_of(&three[2]) > 0;
    alone + all.windows(3).filter(|three| between(three)).count()
}

/// Words among dictated digits that are most likely digits, misheard: "one for a little one". Where fewer than half are signs,
/// something else is being said.
fn misheard(all: &[String], signs: usize) -> usize {
    static BESIDE: Phrases = Phrases::new(
        "my, number, is, its, it, thats, that, the, then, and, area, code, so, well, okay, yes, um, uh, er, sorry, no, again, to, country",
    );
    let others = all.iter().filter(|word| signs_of(word) == 0 && !BESIDE.has(word)).count();
    if others <= signs { others } else { 0 }
}

/// Those at the end without another word between.
fn trailing_run(all: &[String]) -> usize {
    all.iter().rev().map(|word| signs_of(word)).take_while(|signs| *signs > 0).sum()
}

/// How many dictated signs a word stands for: "seven" 1, "SW1A" 4, "42" 2, "b" 1, "table" 0. "A" and "I" are words.
fn signs_of(word: &str) -> usize {
    if word.chars().any(|c| c.is_ascii_digit()) {
        return word.chars().count();
    }
    if DIGITS.has(word) {
        return 1;
    }
    let letter = word.len() == 1
        && word.chars().all(|c| c.is_ascii_alphabetic())
        && !matches!(word, "a" | "i" | "y" | "o" | "e");
    usize::from(letter) + 2 * usize::from(TENS.has(word))
}

static DIGITS: Phrases = Phrases::new(
    "zero, oh, one, two, three, four, five, six, seven, eight, nine, double, null, eins, zwei, zwo, drei, \
     vier, fünf, sechs, sieben, acht, neun, cero, uno, dos, tres, cuatro, cinco, seis, siete, ocho, nueve, \
     zéro, un, deux, trois, quatre, cinq, sept, huit, neuf, 零, 一, 二, 三, 四, 五, 六, 七, 八, 九, 幺",
);
static TENS: Phrases = Phrases::new(
    "ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, nineteen, twenty, \
     thirty, forty, fifty, sixty, seventy, eighty, ninety",
);

/// A day is complete by a word that names one, or by a month with a number.
fn date(all: &[String]) -> Progress {
    static DAYS: Phrases = Phrases::new(
        "today, tomorrow, tonight, monday, tuesday, wednesday, thursday, friday, saturday, sunday, heute, \
     morgen, montag, dienstag, mittwoch, donnerstag, freitag, samstag, sonntag, hoy, mañana, lunes, martes, \
     miércoles, jueves, viernes, sábado, domingo, demain, lundi, mardi, mercredi, jeudi, vendredi, samedi, \
     dimanche, 今天, 明天, 后天",
    );
    static MONTHS: Phrases = Phrases::new(
        "january, february, march, april, may, june, july, august, september, october, november, december, \
     januar, februar, märz, mai, juni, juli, oktober, dezember, enero, febrero, marzo, abril, mayo, junio, \
     julio, agosto, septiembre, octubre, noviembre, diciembre, janvier, février, mars, avril, juin, juillet, \
     août, septembre, octobre, novembre, décembre, 月",
    );
    let ordinal = |word: &String| {
        ["st", "nd", "rd", "th"].iter().any(|end| word.strip_suffix(end).is_some_and(|n| n.parse::<u32>().is_ok()))
            || ORDINALS.has(word)
    };
    let (month, number) = (MONTHS.within(all), signs(all) > 0 || all.iter().any(ordinal));
    match (DAYS.within(all), month, number) {
        (true, ..) | (_, true, true) => Progress::Complete,
        (_, true, _) | (_, _, true) => Progress::Dictating,
        _ => Progress::Unknown,
    }
}

static ORDINALS: Phrases = Phrases::new(
    "first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth, \
     thirteenth, fourteenth, fifteenth, sixteenth, seventeenth, eighteenth, nineteenth, twentieth, \
     thirtieth",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_what_it_wants() {
        for (text, wanted) in [
            ("We have one left. Shall I book it?", Some(Asked::YesOrNo)),
            ("So, would you like breakfast?", Some(Asked::YesOrNo)),
            ("Would you like tea or coffee?", Some(Asked::Open)),
            ("That is for tonight, right?", Some(Asked::YesOrNo)),
            ("Could you give me your phone number?", Some(Asked::Telephone)),
            ("What is your postcode?", Some(Asked::Postcode)),
            ("Please spell your name.", Some(Asked::Code)),
            ("For which day?", Some(Asked::Date)),
            ("How many people?", Some(Asked::Number)),
            ("What is your name?", Some(Asked::Name)),
            ("What can I do for you?", Some(Asked::Open)),
            ("I have your name. We close at ten.", None),
            ("要我帮您订吗？", Some(Asked::YesOrNo)),
            ("您的电话是多少？", Some(Asked::Telephone)),
            ("", None),
        ] {
            assert_eq!(asked(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_question_is_near_for_a_second() {
        let text = "Shall I book it? We have a table at eight by the window.";
        let heard = |so_far: &str| near(text, so_far.len());
        assert_eq!(heard("Shall I"), Some(Asked::YesOrNo), "two words before its end");
        assert_eq!(heard("Shall I book"), Some(Asked::YesOrNo), "what comes after it is coming too");
        assert_eq!(heard("Shall"), None);
        assert_eq!(heard("Shall I book it?"), Some(Asked::YesOrNo));
        assert_eq!(heard("Shall I book it? We have a"), Some(Asked::YesOrNo));
        assert_eq!(heard("Shall I book it? We have a table at eight"), None);
        assert_eq!(near(text, 10_000), None, "past the end is nowhere");
    }

    #[test]
    fn an_answer_is_complete_when_what_was_asked_for_is_there() {
        for (question, text, wanted) in [
            (Asked::YesOrNo, "Yeah.", Progress::Complete),
            (Asked::YesOrNo, "No, thanks.", Progress::Complete),
            (Asked::YesOrNo, "Yes, but", Progress::Unknown),
            (Asked::Number, "For four people.", Progress::Complete),
            (Asked::Name, "Ada Lovelace.", Progress::Complete),
            (Asked::Telephone, "0 4 1 2", Progress::Dictating),
            (Asked::Telephone, "Oh four one two, seven seven", Progress::Dictating),
            (Asked::Telephone, "It is 0412 777 888.", Progress::Complete),
            (Asked::Telephone, "917, you will be full. Please take.", Progress::Dictating),
            (Asked::Telephone, "9 1 7, 2 for 3, 5 ate, 6 tree.", Progress::Complete),
            (Asked::Telephone, "I do not have one. Well, I have 1, but it is in the car.", Progress::Dictating),
            (Asked::Telephone, "1, a, 6, 2, 5, 2, 7, 6, 0, 1.", Progress::Complete),
            (Asked::Postcode, "SW1A", Progress::Dictating),
            (Asked::Postcode, "SW1A 1AA", Progress::Complete),
            (Asked::Code, "B as in, B, R, 7", Progress::Dictating),
            (Asked::Date, "On the fourth", Progress::Dictating),
            (Asked::Date, "The fourth of July.", Progress::Complete),
            (Asked::Date, "Tomorrow.", Progress::Complete),
            (Asked::Open, "A table for two.", Progress::Unknown),
        ] {
            assert_eq!(progress(Some(question), text), wanted, "{question:?}: {text}");
        }
    }

    #[test]
    fn digits_are_being_dictated_whatever_was_asked() {
        assert_eq!(progress(None, "My number is four seven one"), Progress::Dictating);
        assert_eq!(progress(None, "I want a room"), Progress::Unknown);
    }
}
