//! What is asked of a call over HTTP, and who can take it over.

use duologue_signaling::event::BridgeState;

use super::task::CallTask;
use super::wire::Control;
use crate::dialogue::conversation::Input;
use crate::machine::Happening;

impl CallTask {
    pub(super) fn on_control(&mut self, control: Control) {
        if let Control::Press(keys) = &control {
            self.mouth.press(keys);
        }
        let what = match control {
            Control::End { reason, detail } => Happening::End { reason, detail },
            Control::Message(text) => Happening::Message(text),
            Control::Errand { errand, after } => Happening::Errand { errand, after },
            Control::Persona(persona) => Happening::Persona(persona),
            Control::Press(keys) => Happening::KeysSent { keys },
            Control::Bridge { with, state, detail } => {
                self.work.joint.take_if(|_| state == BridgeState::Parted);
                Happening::Bridge { with, state, detail }
            }
            Control::Join { with, joint, detail } => {
                self.work.joint = Some(joint);
                Happening::Bridge { with, state: BridgeState::Joined, detail }
            }
            Control::Leg { leg, by } => return self.change_leg(*leg, by),
            Control::Brief(answer) => return self.brief(answer),
            Control::Recollect => Happening::Recollect,
            Control::Stop => Happening::Input(Input::Stop),
            Control::Truncated { turn, played } => Happening::Input(Input::Truncated { turn, played }),
            Control::Listener(line) => return self.work.listeners.add(line),
        };
        self.tell(what);
    }

    /// Somebody else is asked for: by name, of those who talk.
    pub(super) fn find_persona(&mut self, name: &str) {
        let known = || self.personas.iter().filter(|persona| persona.talks());
        let found = known().find(|persona| persona.name == name).cloned().map(Happening::Persona);
        let happening = found.unwrap_or_else(|| {
            let known: Vec<&str> = known().map(|persona| persona.name.as_str()).collect();
            let asked: String = name.chars().take(60).collect();
            Happening::NoPersona(format!("There is no persona '{asked}'; there are {}.", known.join(", ")))
        });
        self.tell(happening);
    }
}
