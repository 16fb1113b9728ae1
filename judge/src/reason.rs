//! Why an action was chosen, as a stable code: stored with each decision, so a code is never renamed or reused.

use crate::action::{Action, Floor};
use crate::situation::Item;
use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($variant:ident $word:literal $action:ident),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason { $(#[serde(rename = $word)] $variant),* }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as it is stored.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The action that it is a reason for.
            #[must_use]
            pub const fn action(self) -> Action {
                match self { $(Self::$variant => Action::$action),* }
            }
        }
    };
}

reasons! {
    CallerGoesOn "listen.caller_goes_on" Listen,
    Dictating "listen.dictating" Listen,
    Feelings "listen.feelings" Listen,
    HoldAsked "listen.hold_asked" Listen,
    NaturalGap "backchannel.natural_gap" Backchannel,
    WrongFact "interrupt.wrong_fact" Interrupt,
    Drifting "interrupt.drifting" Interrupt,
    AbuseBegins "interrupt.abuse" Interrupt,
    Emergency "interrupt.emergency" Interrupt,
    UselessDetail "interrupt.useless_detail" Interrupt,
    AnswerDue "respond.answer_due" Respond,
    HonestMistake "respond.honest_mistake" Respond,
    AgainstStance "refuse.against_stance" Refuse,
    AgainstFact "refuse.against_fact" Refuse,
    AsksForHarm "refuse.harm" Refuse,
    Prying "deflect.prying" Deflect,
    Loaded "deflect.loaded" Deflect,
    Tedious "deflect.tedious" Deflect,
    NotForAgent "silence.not_for_agent" Silence,
    ThinkingAloud "silence.thinking_aloud" Silence,
    GoodbyeAnswered "silence.goodbye_answered" Silence,
    Provocation "silence.provocation" Silence,
    NothingDue "silence.nothing_due" Silence,
    AbuseGoesOn "block.abuse_goes_on" Block,
    Greeting "initiate.greeting" Initiate,
    Unanswered "initiate.unanswered_question" Initiate,
    Reminder "initiate.reminder" Initiate,
}

impl Reason {
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Read from the sentence that says why: nobody labels codes by hand, so these are clues for the head, not truth.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        let why = item.why.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| why.contains(w));
        match (item.gold, item.floor) {
            (Action::Listen, Floor::Caller)
                if says(&["digit", "number", "address", "name", "spell", "号码", "地址", "名"]) =>
            {
                Self::Dictating
            }
            (Action::Listen, Floor::Caller)
                if says(&["feel", "grief", "sad", "tear", "cry", "难过", "感情", "伤心"]) =>
            {
                Self::Feelings
            }
            (Action::Listen, Floor::Caller) => Self::CallerGoesOn,
            (Action::Listen, _) => Self::HoldAsked,
            (Action::Backchannel, _) => Self::NaturalGap,
            (Action::Interrupt, _) => interrupt(&says),
            (Action::Respond, _) if says(&["mistake", "put it right", "correct", "wrong", "弄错", "记错", "纠正"]) => {
                Self::HonestMistake
            }
            (Action::Respond, _) => Self::AnswerDue,
            (Action::Refuse, _)
                if says(&["harm", "danger", "weapon", "illegal", "crime", "fraud", "fake", "害", "违法", "危险"]) =>
            {
                Self::AsksForHarm
            }
            (Action::Refuse, _)
                if says(&["fact", "stored", "record", "memory", "already", "on file", "记录", "已经"]) =>
            {
                Self::AgainstFact
            }
            (Action::Refuse, _) => Self::AgainstStance,
            (Action::Deflect, _)
                if says(&[
                    "pry", "private", "personal", "gossip", "flirt", "nosy", "curious", "打听", "隐私", "私",
                ]) =>
            {
                Self::Prying
            }
            (Action::Deflect, _)
                if says(&["tedious", "rambl", "push", "again", "nag", "selling", "纠缠", "啰嗦", "推销"]) =>
            {
                Self::Tedious
            }
            (Action::Deflect, _) => Self::Loaded,
            (Action::Silence, Floor::Idle) => Self::NothingDue,
            (Action::Silence, _) if says(&["bye", "goodbye", "farewell", "再见", "告别"]) => Self::GoodbyeAnswered,
            (Action::Silence, _) if says(&["aloud", "thinking", "mutter", "himself", "herself", "自言自语"]) => {
                Self::ThinkingAloud
            }
            (Action::Silence, _) if says(&["provo", "bait", "taunt", "sulk", "挑衅"]) => Self::Provocation,
            (Action::Silence, _) => Self::NotForAgent,
            (Action::Block, _) => Self::AbuseGoesOn,
            (Action::Initiate, _) if says(&["remind", "promis", "due", "commit", "提醒", "答应"]) => Self::Reminder,
            (Action::Initiate, _) if item.history.is_empty() => Self::Greeting,
            (Action::Initiate, _) => Self::Unanswered,
        }
    }
}

fn interrupt(says: &impl Fn(&[&str]) -> bool) -> Reason {
    if says(&["emergenc", "urgent", "danger", "at once", "now", "紧急", "危险"]) {
        Reason::Emergency
    } else if says(&["abus", "insult", "swear", "辱骂", "骂"]) {
        Reason::AbuseBegins
    } else if says(&["drift", "repeat", "off topic", "circles", "same thing", "ramble", "跑题", "重复"]) {
        Reason::Drifting
    } else if says(&["useless", "already clear", "reading out", "not needed", "没用", "不需要"]) {
        Reason::UselessDetail
    } else {
        Reason::WrongFact
    }
}
