//! What is asked of a call from outside: by its client, on the data channel or the event socket, and over HTTP.

use std::sync::Arc;

use duologue_signaling::event::{ClientMessage, Event, Stamped};

use super::task::CallTask;
use super::wire::Control;
use crate::dialogue::conversation::Input;
use crate::dialogue::persona::Persona;
use crate::journal::EndReason;
use crate::media::echo::EchoMeans;
use crate::media::far_ear::PlayoutReport;
use crate::time::CallTime;

impl CallTask {
    pub(super) fn on_message(&mut self, text: &str) {
        let at = self.now();
        match serde_json::from_str(text) {
            Ok(ClientMessage::Text { text }) => {
                self.recall(&text);
                self.conversation.on(at, Input::Typed(text));
            }
            Ok(ClientMessage::Mute { on }) => self.conversation.on(at, Input::Muted(on)),
            // A parrot sends no words of ours whose hearing could be of interest.
            Ok(ClientMessage::Playout { .. }) if self.parrot.is_some() => {}
            Ok(ClientMessage::Playout { rtp_timestamp, at_ms }) => {
                let report = PlayoutReport { line: self.mouth.line(rtp_timestamp), at_ms };
                self.conversation.on(at, Input::Playout(report));
            }
            Ok(ClientMessage::NewTopic) => self.conversation.on(at, Input::NewTopic),
            Ok(ClientMessage::Persona { name }) => self.ask_for(at, &name),
            Ok(ClientMessage::Microphone { echo_cancelled }) if self.echo_by_client => {
                self.ear.mind_echo(if echo_cancelled { EchoMeans::NONE } else { EchoMeans::BOTH });
            }
            Ok(ClientMessage::Microphone { .. }) => {}
            Ok(ClientMessage::Record { on }) => self.stop_taping(at, on),
            Ok(ClientMessage::Hangup) => self.end(EndReason::CallerHangup, "The caller hung up."),
            Err(fault) => {
                let detail = format!("Not a client message ({fault}); see PROTOCOL.md.");
                self.emit(Stamped { at_ms: at.ms(), event: Event::Trouble { code: "bad-message".into(), detail } });
            }
        }
    }

    /// Somebody else is asked for: by name, of those who talk.
    fn ask_for(&mut self, at: CallTime, name: &str) {
        let known = || self.personas.iter().filter(|persona| persona.talks());
        if let Some(persona) = known().find(|persona| persona.name == name).cloned() {
            return self.switch_persona(persona);
        }
        let known: Vec<&str> = known().map(|persona| persona.name.as_str()).collect();
        let asked: String = name.chars().take(60).collect();
        let detail = format!("There is no persona '{asked}'; there are {}.", known.join(", "));
        self.emit(Stamped { at_ms: at.ms(), event: Event::Trouble { code: "no-such-persona".into(), detail } });
    }

    /// Neither an echo nor a recording.
    pub(super) const fn talks(&self) -> bool {
        self.parrot.is_none() && self.recording.is_none()
    }

    /// An echo or a recording is nobody who could be relieved.
    fn switch_persona(&mut self, persona: Arc<Persona>) {
        if self.talks() {
            self.hotwords = persona.recogniser_prompt().map(Into::into);
            self.conversation.on(self.now(), Input::Persona(persona));
        }
    }

    pub(super) fn on_control(&mut self, control: Control) {
        match control {
            Control::End { reason, detail } => self.end(reason, &detail),
            Control::Message(text) => self.on_message(&text),
            Control::Errand { errand, after } if self.talks() => {
                self.conversation.on(self.now(), Input::Errand { errand, after });
            }
            Control::Errand { .. } => {
                let detail = "An echo and a recording say nothing of their own; call a persona that talks.".into();
                let event = Event::Trouble { code: "nobody-talks".into(), detail };
                self.emit(Stamped { at_ms: self.now().ms(), event });
            }
            Control::Stop => self.conversation.on(self.now(), Input::Stop),
            Control::Truncated { turn, played } => self.conversation.on(self.now(), Input::Truncated { turn, played }),
            Control::Listener(line) => self.work.listeners.add(line),
            Control::Persona(persona) => self.switch_persona(persona),
            Control::Recollect => self.recollect(true),
        }
    }
}
