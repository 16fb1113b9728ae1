//! What a Realtime session asks of its call, carried out.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::realtime::session::Order;
use duologue_signaling::realtime::settings::Given;
use serde_json::json;

use crate::call::registry::{OpenError, Registry};
use crate::call::wire::Control;
use crate::dialogue::conversation::Errand;
use crate::dialogue::persona::Persona;

/// Whose call a session is.
pub struct Party {
    pub registry: Arc<Registry>,
    pub call: String,
    pub persona: Arc<Persona>,
}

impl Party {
    /// Has the call do this. False: it has too much to do, or is over.
    pub fn order(&self, order: Order) -> bool {
        let control = match order {
            Order::Type(text) => Control::Message(json!({"type": "text", "text": text}).to_string()),
            Order::Know { text, speak } => {
                let errand = Errand::News { name: "client".into(), text, speak };
                Control::Errand { errand, after: Duration::ZERO }
            }
            Order::Stop => Control::Stop,
            Order::Become(prompt) => {
                let persona = Persona { prompt, ..Persona::clone(&self.persona) };
                Control::Persona(Arc::new(persona))
            }
            Order::Truncated { turn, heard_ms } => Control::Truncated { turn, played: Duration::from_millis(heard_ms) },
        };
        self.registry.tell(&self.call, control) == Some(true)
    }
}

/// Who answers a client that names a model: a persona of that name, or whoever answers nobody in particular. Clients must
/// name a model, and few name one of ours.
///
/// # Errors
/// When `persona` names nobody.
pub fn answers(registry: &Registry, persona: Option<&str>, model: Option<&str>) -> Result<Arc<Persona>, OpenError> {
    let named = |name: &str| registry.personas().iter().find(|persona| persona.name == name).cloned();
    match (persona.filter(|name| !name.is_empty()), model.and_then(named)) {
        (Some(name), _) => named(name).ok_or_else(|| registry.no_such_persona(name)),
        (None, Some(persona)) => Ok(persona),
        (None, None) => named(registry.default_persona()).ok_or_else(|| registry.no_such_persona("")),
    }
}

/// What holds in a session with this persona.
pub fn given(registry: &Registry, persona: &Persona) -> Given {
    let engines = registry.engines();
    Given {
        model: engines.llm.name(),
        recogniser: engines.asr.name(),
        voice: engines.tts.name(),
        instructions: persona.prompt.clone(),
    }
}
