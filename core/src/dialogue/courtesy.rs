//! Greetings and goodbyes: turns that ask for nothing and want to be returned all the same.

use super::words::{Phrases, words};

/// Callers greet in a language of their own and then speak the line's: a greeting in a common one is a greeting on every line.
static GREETINGS: Phrases = Phrases::new(
    "hello, hello there, hi, hi there, hey, hey there, good morning, good afternoon, good evening, \
     hallo, guten morgen, guten tag, guten abend, bonjour, bonsoir, hola, buenos días, buenas tardes, 你好, 您好",
);

macro_rules! goodbyes {
    () => {
        "good night, goodbye, good bye, bye bye, bye, see you, see you soon, see you later, take care, auf wiederhören, tschüss, \
         au revoir, adiós, 再见"
    };
}

static GOODBYES: Phrases = Phrases::new(goodbyes!());

/// With what people say on their way to it: "Okay, thanks a lot then, bye."
static LEAVES: Phrases = Phrases::new(concat!(
    goodbyes!(),
    ", thank you very much, thank you so much, thanks a lot, thank you, thanks, ok, okay, right, alright, all right, great, well, \
     thats all, that was all, thats it, for now, then, so, and, danke, merci, gracias, 谢谢",
));

/// Words without which nobody refuses anything.
static NOES: Phrases = Phrases::new(
    "no, not, cant, cannot, wont, dont, doesnt, isnt, arent, couldnt, wouldnt, shouldnt, never, nobody, nothing, none, unable, sorry, \
     afraid, refuse, impossible, forbidden, nein, nicht, kein, keine, leider, non, pas, jamais, désolé, désolée, nunca, siento, 不, 没, \
     抱歉",
);

/// Whether a sentence can be a refusal.
pub fn says_no(text: &str) -> bool {
    NOES.within(&words(text))
}

/// What is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Courtesy {
    Greeting,
    Goodbye,
}

impl Courtesy {
    /// Of a turn that says no more than this: "Hello, the lamp is broken" is a turn like any other.
    pub fn of(text: &str) -> Option<Self> {
        let words = words(text);
        match () {
            () if GREETINGS.is(&words) => Some(Self::Greeting),
            () if GOODBYES.within(&words) && LEAVES.make_up(&words) => Some(Self::Goodbye),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_greeting_or_a_goodbye_is_one() {
        for said in ["Hello.", "Good evening!", "Hi there", "你好"] {
            assert_eq!(Courtesy::of(said), Some(Courtesy::Greeting), "{said}");
        }
        for said in
            ["Thank you. Goodbye.", "Good night.", "bye-bye", "Thank you. Bye bye.", "Okay, thanks a lot then, bye!"]
        {
            assert_eq!(Courtesy::of(said), Some(Courtesy::Goodbye), "{said}");
        }
        for said in [
            "",
            "Hello, you old fool.",
            "Good evening, is the bar open?",
            "Thank you.",
            "Goodbye is a film.",
            "Okay then.",
        ] {
            assert_eq!(Courtesy::of(said), None, "{said}");
        }
    }
}
