//! What is asked of a call from outside: by its client, on the data channel or the event socket, and over HTTP.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::{ClientMessage, Event};

use super::{CallMachine, Output, Taping};
use crate::dialogue::conversation::{Errand, Input};
use crate::dialogue::persona::Persona;
use crate::journal::EndReason;
use crate::media::echo::EchoMeans;
use crate::media::far_ear::PlayoutReport;
use crate::time::CallTime;

impl CallMachine {
    pub(super) fn on_message(&mut self, at: CallTime, text: &str) {
        match serde_json::from_str(text) {
            Ok(ClientMessage::Text { text }) => {
                self.recall(at, &text);
                self.conversation.on(at, Input::Typed(text));
            }
            Ok(ClientMessage::Mute { on }) => self.conversation.on(at, Input::Muted(on)),
            // A parrot sends no words of ours whose hearing could be of interest.
            Ok(ClientMessage::Playout { .. }) if self.parrot.is_some() => {}
            Ok(ClientMessage::Playout { rtp_timestamp, at_ms }) => {
                let clocks = rtp_timestamp.wrapping_sub(self.settings.first_timestamp);
                let line = clocks.wrapping_mul(self.settings.codec.line_ticks());
                self.conversation.on(at, Input::Playout(PlayoutReport { line, at_ms }));
            }
            Ok(ClientMessage::NewTopic) => self.conversation.on(at, Input::NewTopic),
            Ok(ClientMessage::Persona { name }) => self.put(at, Output::FindPersona { name }),
            Ok(ClientMessage::Microphone { echo_cancelled }) if self.settings.echo_by_client => {
                self.ear.mind_echo(if echo_cancelled { EchoMeans::NONE } else { EchoMeans::BOTH });
            }
            Ok(ClientMessage::Microphone { .. }) => {}
            Ok(ClientMessage::FollowUps { most }) => self.conversation.on(at, Input::ShowsFollowUps(most)),
            Ok(ClientMessage::Record { on }) => self.stop_taping(at, on),
            Ok(ClientMessage::Hangup) => self.end(EndReason::CallerHangup, "The caller hung up."),
            Err(fault) => {
                self.trouble(at, "bad-message", format!("Not a client message ({fault}); see PROTOCOL.md."));
            }
        }
    }

    /// The caller's wish not to be recorded. What there is of it goes.
    fn stop_taping(&mut self, at: CallTime, on: bool) {
        if on {
            let detail = "A recording does not begin in the middle of a call.".into();
            return self.trouble(at, "cannot-record", detail);
        }
        if std::mem::replace(&mut self.taping, Taping::Off) != Taping::Off {
            self.tone = None;
            self.put(at, Output::StopTaping);
            self.emit(at, Event::Recording { on: false });
        }
    }

    /// An echo or a recording is nobody who could be relieved.
    pub(super) fn switch_persona(&mut self, at: CallTime, persona: Arc<Persona>) {
        if self.talks {
            self.hotwords = persona.recogniser_prompt().map(Into::into);
            self.conversation.on(at, Input::Persona(persona));
        }
    }

    pub(super) fn on_errand(&mut self, at: CallTime, errand: Errand, after: Duration) {
        if self.talks {
            return self.conversation.on(at, Input::Errand { errand, after });
        }
        let detail = "An echo and a recording say nothing of their own; call a persona that talks.".into();
        self.trouble(at, "nobody-talks", detail);
    }
}
