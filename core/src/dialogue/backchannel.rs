//! What a short word over the agent's voice means: a sign that somebody listens, a wish to speak, or a turn.
//!
//! Pure and small: lists of phrases in five languages. A backchannel is what consists of nothing but such phrases;
//! what begins as one and goes on ("yeah, but...") is not one.

use super::words::{Phrases, find, words};

/// What words said over the agent's voice amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// No words: a cough, a laugh, a noise.
    Nothing,
    /// "I am listening": the agent goes on.
    Backchannel,
    /// Said to somebody who speaks, to make him stop: "stop", "wait", "excuse me", his name. Counts however softly.
    Address,
    /// The beginning of a contradiction or a question: "no", "sorry", "what ...".
    Objection,
    /// Anything else.
    Content,
}

/// Signs of attention. The same list for all languages: few words of one are something else in another, and a caller who
/// says "okay" in the middle of Spanish means it.
static SIGNS: Phrases = Phrases::new(
    "mhm, mh, m, h, hn, huh, ahh, aw, whoa, yea, yah, okey, mm, mmm, mm hm, mm hmm, mmhm, mmhmm, hm, hmm, uh huh, uhuh, uhhuh, um hum, ah, aha, oh, ooh, yeah, \
     yep, yup, yes, ya, okay, ok, k, alright, all right, right, sure, of course, i see, i see what you mean, \
     i know, i understand, understood, got it, gotcha, makes sense, that makes sense, exactly, absolutely, \
     totally, true, indeed, fine, good, great, perfect, nice, cool, lovely, wow, no problem, no worries, \
     thank you, thanks, cheers, haha, ha, hah, heh, you, uh, um, er, erm, ja, jaja, genau, stimmt, verstehe, \
     ich verstehe, klar, gut, aha, ach so, achso, mhmm, richtig, danke, sí, si, claro, vale, ya, ajá, \
     entiendo, de acuerdo, bueno, bien, exacto, gracias, oui, ouais, d accord, daccord, je vois, \
     je comprends, bien, bien sûr, très bien, exactement, merci, voilà, 嗯, 哦, 啊, 对, 是, 是的, 好, 好的, 行, 明白, \
     明白了, 知道了, 没错, 哈, 可以, 谢谢",
);

/// Nobody says these in a call.
static INVENTED: Phrases = Phrases::new(
    "thanks for watching, thank you for watching, please subscribe, bye bye bye, see you next time, subtitles by",
);

/// Yes and no in short: answers after a question that wants one.
static ASSENTS: Phrases = Phrases::new(
    "yes, yeah, yep, yup, sure, okay, ok, of course, absolutely, exactly, right, please, alright, all right, \
     fine, great, perfect, good, uh huh, mhm, mm hm, mm hmm, mhmm, ja, genau, gerne, klar, sí, si, claro, \
     vale, oui, ouais, d accord, bien sûr, 对, 是, 是的, 好, 好的, 可以, 行, 嗯",
);

/// Said to make somebody stop.
static ADDRESSES: Phrases = Phrases::new(
    "stop, wait, hold on, hang on, excuse me, pardon me, one moment, one second, \
     shut up, be quiet, halt, stopp, warte, warten sie, moment bitte, moment mal, einen moment, entschuldigung, espera, espere, perdón, \
     un momento, attends, attendez, arrête, arrêtez, pardon, excusez moi, 等, 停, 等一下, 不好意思, 打断一下",
);

/// The same where nothing else is said: "at the moment" stops nobody.
static ALONE: Phrases = Phrases::new("moment, moment moment");

/// What contradicts or asks, at the beginning of what is said.
static OBJECTIONS: Phrases = Phrases::new(
    "no, nope, nah, not, dont, hey, hello, listen, let me, sorry, but, actually, what, whats, when, where, who, whos, why, how, which, \
     whose, nein, nicht, doch, aber, was, wann, wo, wer, warum, wie, welche, pero, qué, cuándo, dónde, \
     quién, cómo, cuál, cuánto, por qué, non, mais, quoi, quand, où, qui, pourquoi, comment, quel, combien, \
     不, 不是, 没有, 但是, 什么, 怎么, 为什么, 哪, 谁, 几点, 多少",
);

/// Words that may come before an objection without changing it.
static LEAD_INS: Phrases = Phrases::new("and, so, well, oh, okay, ok, yeah, yes, um, uh, und, also, y, et, 那");

/// Reads what was said over the agent. `names` are what the agent is called.
pub fn read(text: &str, names: &[String]) -> Reading {
    let words = words(text);
    if words.is_empty() {
        return Reading::Nothing;
    }
    if SIGNS.make_up(&words) || words.len() <= 3 && words.iter().all(|word| is_letter(word)) {
        return Reading::Backchannel;
    }
    // What recognisers make of a breath at the end of a sound: they have read subtitles.
    if INVENTED.is(&words) {
        return Reading::Nothing;
    }
    let named = names.iter().any(|name| find(&words, name));
    if named || ADDRESSES.within(&words) || ALONE.is(&words) {
        return Reading::Address;
    }
    let lead_ins = LEAD_INS.lead(&words);
    if OBJECTIONS.begin(&words[lead_ins..]) {
        return Reading::Objection;
    }
    Reading::Content
}

/// A hum is written as letters: "H.", "E.R."
fn is_letter(word: &str) -> bool {
    word.len() == 1 && word.chars().all(|c| c.is_ascii_alphabetic())
}

/// Is this, after a question that wants yes or no, an answer to it?
pub fn assents(text: &str) -> bool {
    let words = words(text);
    !words.is_empty() && ASSENTS.make_up(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Reading {
        read(text, &["porter".into(), "Ada".into()])
    }

    #[test]
    fn signs_of_attention_are_no_turns() {
        for text in [
            "Mm-hm.",
            "Yeah.",
            "Yeah, yeah, okay.",
            "Uh-huh.",
            "I see.",
            "Oh, okay, right.",
            "Haha.",
            "Got it, thanks.",
            "Mmm.",
            "H.",
            "Huh.",
            "嗯嗯。",
            "对对对",
            "好的，明白了",
            "Ja, genau.",
            "Ach so.",
            "Sí, claro.",
            "Oui, d'accord.",
        ] {
            assert_eq!(reading(text), Reading::Backchannel, "{text}");
        }
    }

    #[test]
    fn a_sign_that_goes_on_is_a_turn() {
        for (text, wanted) in [
            ("Yeah, but I need it today.", Reading::Objection),
            ("Okay and what does it cost?", Reading::Objection),
            ("I see a problem with that.", Reading::Content),
            ("A room for tonight, please.", Reading::Content),
            ("Right behind the station?", Reading::Content),
        ] {
            assert_eq!(reading(text), wanted, "{text}");
        }
    }

    #[test]
    fn whoever_is_addressed_stops() {
        for text in [
            "Stop.",
            "Wait, wait.",
            "Okay, hold on.",
            "Excuse me?",
            "Porter?",
            "Hey Ada, listen.",
            "等一下",
            "Attendez !",
            "Moment.",
        ] {
            assert_eq!(reading(text), Reading::Address, "{text}");
        }
        assert_eq!(reading("I'm not having crashes at the moment."), Reading::Content);
        for text in ["No.", "No, no.", "Sorry?", "What?", "How much?", "Nein, danke.", "不是", "Non merci.", "¿Qué?"]
        {
            assert_eq!(reading(text), Reading::Objection, "{text}");
        }
    }

    #[test]
    fn sounds_without_words_are_nothing() {
        for text in ["", "...", "(laughs)", "*coughs*", "[BLANK_AUDIO]"] {
            assert_eq!(reading(text), Reading::Nothing, "{text}");
        }
    }

    #[test]
    fn assent_answers_and_attention_does_not() {
        assert!(assents("Yeah."));
        assert!(assents("Yes please."));
        assert!(assents("好的"));
        assert!(!assents("Oh."));
        assert!(!assents("I see."));
        assert!(!assents(""));
    }
}
