//! One request in work: its prompt, how much of it the model has read, and the reply so far.

use std::time::Instant;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::{Event, Job, Refusal};
use crate::chat::{Layout, Prompter};
use crate::sampling::Chooser;
use crate::slots::{Slots, TokenId, common_prefix};
use crate::text::TextTail;
use crate::transcript;
use crate::wire::{DoneReason, Message, Outcome};

/// A request that has a slot.
pub struct Run {
    pub job: Job,
    pub slot: usize,
    pub prompt: Vec<TokenId>,
    /// Tokens of the prompt that the cache held when the request came.
    pub cached: usize,
    /// Tokens of the prompt that the model has read.
    pub read: usize,
    /// Chosen, but not yet seen by the model.
    pub pending: Option<TokenId>,
    /// `None`: the request only fills the cache.
    pub chooser: Option<Chooser>,
    layout: Layout,
    text: TextTail,
    /// Nothing of the reply has been told yet.
    mute: bool,
    limit: u32,
    made: u32,
    begun: Instant,
    prompt_done: Option<Instant>,
}

/// What a request became after a token.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    GoesOn,
    Over,
    /// The client is gone.
    Cancelled,
}

/// A prompt that is ready for a slot.
pub struct Prepared {
    job: Job,
    prompt: Vec<TokenId>,
    layout: Layout,
    chooser: Option<Chooser>,
    limit: u32,
}

impl Prepared {
    /// Writes the prompt and the sampler; a request that cannot be served is answered and gone.
    pub fn new(job: Job, prompter: &Prompter<'_>, model: &LlamaModel, ctx: usize) -> Option<Self> {
        let prime = job.ask.options.num_predict == Some(0);
        let layout = prompter.layout_of(&job.ask);
        let prepared = fitting_prompt(prompter, &job.ask.messages, layout, !prime, ctx).and_then(|prompt| {
            let copied = match layout {
                Layout::Transcript => prompter.words(&transcript::said(&job.ask.messages)),
                Layout::Chat => Vec::new(),
            };
            let chooser = (!prime).then(|| Chooser::new(model, &job.ask.options, job.ask.format.as_ref(), &copied));
            Ok((prompt, chooser.transpose()?))
        });
        match prepared {
            Ok((prompt, chooser)) => {
                let room = (ctx - prompt.len()) as u32;
                let limit = job.ask.options.num_predict.unwrap_or(room).min(room);
                Some(Self { job, prompt, layout, chooser, limit })
            }
            Err(fault) => {
                let _ = job.events.try_send(Event::Refused(Refusal::Bad(fault)));
                None
            }
        }
    }

    /// The prompt's tokens.
    pub fn prompt(&self) -> &[TokenId] {
        &self.prompt
    }

    /// Tokens of the cache that it may come to take.
    pub fn need(&self) -> usize {
        self.prompt.len() + self.limit as usize
    }

    /// It is a beginning that stays in the cache.
    pub fn keep(&self) -> bool {
        self.job.ask.keep
    }

    /// The client went away.
    pub fn cancelled(&self) -> bool {
        self.job.events.is_closed()
    }

    /// Takes its slot, of which `cached` tokens are the beginning of this prompt.
    pub fn run(self, slot: usize, cached: usize) -> Run {
        let mut stops = self.job.ask.options.stop.clone();
        if self.layout == Layout::Transcript {
            stops.push(transcript::ENDS.into());
        }
        Run {
            job: self.job,
            slot,
            prompt: self.prompt,
            cached,
            read: cached,
            pending: None,
            chooser: self.chooser,
            layout: self.layout,
            text: TextTail::new(stops),
            mute: true,
            limit: self.limit,
            made: 0,
            begun: Instant::now(),
            prompt_done: None,
        }
    }
}

impl Run {
    /// The client went away.
    pub fn cancelled(&self) -> bool {
        self.job.events.is_closed()
    }

    /// Tokens of the cache that it may come to take.
    pub fn need(&self) -> usize {
        self.prompt.len() + self.limit as usize
    }

    /// It is a beginning that stays in the cache.
    pub fn keep(&self) -> bool {
        self.job.ask.keep
    }

    /// Tokens of the prompt that the model has still to read.
    pub fn unread(&self) -> usize {
        self.prompt.len() - self.read
    }

    /// The model has read the whole prompt.
    pub fn prompt_read(&mut self) {
        self.prompt_done = Some(Instant::now());
    }

    /// A request that only fills the cache ends when its prompt is read.
    pub fn primed(&mut self) -> After {
        self.end(DoneReason::Stop)
    }

    /// Takes the next token of the reply; `last` when the context is full after it.
    pub fn take(&mut self, token: LlamaToken, prompter: &Prompter<'_>, last: bool) -> After {
        if prompter.vocab().is_eog(token) {
            return self.end(DoneReason::Stop);
        }
        self.made += 1;
        let mut text = self.text.push(&prompter.vocab().token_to_piece(token, false, None));
        if self.mute {
            // A line of a transcript has a blank behind its colon, which is no part of the reply.
            text = text.trim_start().to_owned();
            self.mute = text.is_empty();
        }
        if !text.is_empty() && self.job.events.try_send(Event::Text(text)).is_err() {
            return After::Cancelled;
        }
        if self.text.stopped() {
            return self.end(DoneReason::Stop);
        }
        if last || self.made >= self.limit {
            return self.end(DoneReason::Length);
        }
        self.pending = Some(token.0);
        After::GoesOn
    }

    /// Gives up with a reason for the client.
    pub fn refuse(&self, refusal: Refusal) {
        let _ = self.job.events.try_send(Event::Refused(refusal));
    }

    /// How much of the prompt marks the chat that may go on in this slot. A reply that was heard stays in the
    /// history with all that came before it; when the client went away, the last message may be put differently
    /// next time (a transcript that was revised), so only what stood before it counts.
    pub fn anchor(&self, prompter: &Prompter<'_>, complete: bool) -> usize {
        let messages = &self.job.ask.messages;
        if complete || messages.len() < 2 {
            return if complete { self.prompt.len() } else { 0 };
        }
        common_prefix(&prompter.tokens(&messages[..messages.len() - 1], self.layout, false), &self.prompt)
    }

    fn end(&mut self, reason: DoneReason) -> After {
        let rest = std::mem::take(&mut self.text).finish();
        let now = Instant::now();
        let read_at = self.prompt_done.unwrap_or(now);
        let outcome = Outcome {
            reason,
            total_ns: nanos(self.begun, now),
            prompt_tokens: self.prompt.len() as u64,
            cached_tokens: self.cached as u64,
            prompt_ns: nanos(self.begun, read_at),
            reply_tokens: u64::from(self.made),
            reply_ns: nanos(read_at, now),
        };
        let told = (rest.is_empty() || self.job.events.try_send(Event::Text(rest)).is_ok())
            && self.job.events.try_send(Event::Done(outcome)).is_ok();
        if told { After::Over } else { After::Cancelled }
    }
}

fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

/// Room that a reply has at least, in tokens.
const LEAST_REPLY: usize = 16;

/// The chat's tokens; where it is too long, the oldest messages that are not of the system go first, as in Ollama.
fn fitting_prompt(
    prompter: &Prompter<'_>,
    messages: &[Message],
    layout: Layout,
    open_reply: bool,
    ctx: usize,
) -> Result<Vec<TokenId>, String> {
    let most = ctx.saturating_sub(LEAST_REPLY);
    let all = prompter.tokens(messages, layout, open_reply);
    if all.len() <= most {
        return Ok(all);
    }
    let old: Vec<usize> = (0..messages.len().saturating_sub(1)).filter(|&at| messages[at].role != "system").collect();
    let without = |dropped: usize| {
        let kept: Vec<Message> = messages
            .iter()
            .enumerate()
            .filter(|(at, _)| !old[..dropped].contains(at))
            .map(|(_, message)| message.clone())
            .collect();
        prompter.tokens(&kept, layout, open_reply)
    };
    // fewer messages are never more tokens, so the least number to drop can be found by halving
    let (mut low, mut high) = (0, old.len());
    while low < high {
        let middle = (low + high) / 2;
        if without(middle).len() <= most { high = middle } else { low = middle + 1 }
    }
    let prompt = without(low);
    if prompt.len() > most {
        return Err(format!(
            "the last message and the system prompt are {} tokens; this model takes {most}",
            prompt.len()
        ));
    }
    Ok(prompt)
}

/// Counts what all slots hold.
pub fn slot_sizes(slots: &Slots) -> Vec<usize> {
    (0..slots.count()).map(|slot| slots.len(slot)).collect()
}
