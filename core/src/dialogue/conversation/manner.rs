//! How a decision is said: what the language model is told when the agent does anything but answer. The words stay the model's
//! and the persona's; that it is a no, and why, is not left to it.

use super::fixed::warns;
use crate::backend::{ChatMessage, ChatRequest, Role};
use crate::dialogue::judge::{Action, Verdict};
use crate::dialogue::persona::Persona;

/// The instruction for a verdict at the end of a turn; `None` where the model answers as it would.
pub(super) fn manner(persona: &Persona, verdict: &Verdict) -> Option<String> {
    let fact = verdict.rests_on.as_deref();
    match verdict.action {
        // Where the persona has no words for it.
        action if warns(action, verdict.reason) => Some(
            "Say calmly, in one short sentence, that you will not be spoken to like this and will end the call if it goes on."
                .into(),
        ),
        Action::Refuse => {
            let why = fact.map_or_else(|| why_not(persona), |fact| format!("What you know: {fact} Name it."));
            Some(format!("Refuse this. Say a clear no in one or two short sentences, in character, and do not give in. {why}").trim_end().into())
        }
        Action::Deflect if verdict.reason.ends_with("prying") => {
            Some("Do not answer this. Say one short, vague sentence that gives nothing away.".into())
        }
        Action::Deflect if verdict.reason.ends_with("delayed") => None,
        Action::Deflect => {
            Some("Do not answer this. Say one short sentence that turns to another topic, and ask something about it.".into())
        }
        _ => None,
    }
}

fn why_not(persona: &Persona) -> String {
    if persona.stance.is_empty() { String::new() } else { format!("Your reason: {}", persona.stance) }
}

/// The instruction for an interruption.
pub(super) fn cutting_in(verdict: &Verdict) -> String {
    let fact = verdict.rests_on.as_deref();
    match (fact, verdict.reason.rsplit('.').next().unwrap_or("")) {
        (Some(fact), _) => {
            format!("What the caller says is not right. What you know: {fact} Say so in one short sentence.")
        }
        (None, "drifting") => "The caller drifts. In one short sentence, ask for the point.".into(),
        (None, "abuse") => "Say calmly, in one short sentence, that you will not be spoken to like that.".into(),
        (None, "emergency") => "Tell the caller in one short sentence what to do at once.".into(),
        (None, "useless_detail") => "Say in one short sentence that this is enough, and what you need instead.".into(),
        (None, _) => "Say in one short sentence why you stopped the caller.".into(),
    }
}

/// Puts the instruction last, so that the model's cache of all before it stays good.
pub(super) fn manage(request: &mut ChatRequest, manner: &str) {
    request.messages.push(ChatMessage { role: Role::System, content: manner.into() });
}
