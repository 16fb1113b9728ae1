//! From messages to the tokens of a prompt, by the model's own chat template; or as a transcript inside of it.

use llama_cpp_2::model::{LlamaChatMessage, LlamaChatTemplate, LlamaModel};
use llama_cpp_2::vocab::LlamaVocab;

use crate::slots::TokenId;
use crate::transcript;
use crate::wire::{Ask, Message};

/// How a chat is put to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// Message by message, by the model's template.
    #[default]
    Chat,
    /// As one telephone call that the model writes down.
    Transcript,
}

/// Writes prompts for one model.
pub struct Prompter<'m> {
    model: &'m LlamaModel,
    layout: Layout,
    /// `None`: the model has no template, or one that llama.cpp does not know; ChatML is written then.
    template: Option<LlamaChatTemplate>,
    /// The spelling of the model's control tokens.
    controls: Vec<String>,
}

impl<'m> Prompter<'m> {
    /// Finds out how the model wants a chat written.
    pub fn new(model: &'m LlamaModel, layout: Layout) -> Self {
        let template = model.chat_template(None).ok().filter(|template| {
            let probe = [message("system", "a"), message("user", "b")].into_iter().collect::<Option<Vec<_>>>();
            probe.is_some_and(|probe| model.apply_chat_template(template, &probe, true).is_ok())
        });
        let vocab = model.vocab();
        let controls = vocab
            .tokens()
            .filter(|token| vocab.is_control(*token))
            .filter_map(|token| String::from_utf8(vocab.token_to_piece(token, true, None)).ok())
            .filter(|text| text.chars().count() > 1)
            .collect();
        Self { model, layout, template, controls }
    }

    /// The vocabulary that the tokens come from.
    pub fn vocab(&self) -> LlamaVocab<'m> {
        self.model.vocab()
    }

    /// How a request is put to the model: an answer that has a form is no line of a call.
    pub fn layout_of(&self, ask: &Ask) -> Layout {
        if ask.format.is_some() { Layout::Chat } else { self.layout }
    }

    /// The tokens of a chat; with `open_reply` the assistant's turn is opened at the end.
    pub fn tokens(&self, messages: &[Message], layout: Layout, open_reply: bool) -> Vec<TokenId> {
        let messages: Vec<Message> = messages
            .iter()
            .map(|message| Message { role: message.role.clone(), content: self.disarm(&message.content) })
            .collect();
        let text = match layout {
            Layout::Chat => self.text(&messages, open_reply),
            Layout::Transcript => {
                let (head, lines) = transcript::of(&messages, open_reply);
                self.text(&head, true) + &lines
            }
        };
        self.words(&text)
    }

    /// The tokens of a text.
    pub fn words(&self, text: &str) -> Vec<TokenId> {
        self.vocab().tokenize(text.as_bytes(), true, true).into_iter().map(|token| token.0).collect()
    }

    fn text(&self, messages: &[Message], open_reply: bool) -> String {
        self.by_template(messages, open_reply).unwrap_or_else(|| chat_ml(messages, open_reply))
    }

    fn by_template(&self, messages: &[Message], open_reply: bool) -> Option<String> {
        let template = self.template.as_ref()?;
        let chat: Option<Vec<_>> = messages.iter().map(|said| message(&said.role, &said.content)).collect();
        self.model.apply_chat_template(template, &chat?, open_reply).ok()
    }

    /// The prompt is tokenised with control tokens read as such, so a caller who types `<|im_end|>` could end his own
    /// turn and open another: a space after the first character makes plain text of it. NUL would end the C string.
    fn disarm(&self, content: &str) -> String {
        let mut content = content.replace('\0', "");
        for control in &self.controls {
            if content.contains(control.as_str()) {
                let split = control.chars().next().map_or(0, char::len_utf8);
                content = content.replace(control.as_str(), &format!("{} {}", &control[..split], &control[split..]));
            }
        }
        content
    }
}

fn message(role: &str, content: &str) -> Option<LlamaChatMessage> {
    LlamaChatMessage::new(role.to_owned(), content.to_owned()).ok()
}

/// ChatML, the form that most small instruct models were taught.
fn chat_ml(messages: &[Message], open_reply: bool) -> String {
    let mut text = String::new();
    for Message { role, content } in messages {
        text.push_str(&format!("<|im_start|>{role}\n{content}<|im_end|>\n"));
    }
    if open_reply {
        text.push_str("<|im_start|>assistant\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primed_chat_is_the_beginning_of_the_same_chat_with_one_turn_more() {
        let system = Message { role: "system".into(), content: "Be brief.".into() };
        let user = Message { role: "user".into(), content: "Hello".into() };
        let primed = chat_ml(std::slice::from_ref(&system), false);
        let asked = chat_ml(&[system, user], true);
        assert!(asked.starts_with(&primed));
        assert!(asked.ends_with("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"));
    }
}
