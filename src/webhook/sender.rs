//! Messages go out one after the other, in the order in which they happened. While the receiver does not take them the pauses grow,
//! and what waits becomes too old, or too much; then it is given up, counted, and a row of `undelivered`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use duologue_signaling::webhook::{Data, Hook};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{LAST_MESSAGES, Message, Settings};
use crate::export::rfc3339;
use crate::journal::{Entry, UndeliveredRow};
use crate::store::{Recorder, utc_ms};

/// How long a receiver may take for a message. The standard suggests 15 to 30 s; a call has other events to tell of by then.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(10);
/// Pauses while the receiver does not take messages, doubling.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why an attempt failed.
struct Failed {
    why: String,
    /// The receiver is there and does not want this message, however often it comes.
    for_good: bool,
}

impl Failed {
    fn for_now(why: String) -> Self {
        Self { why, for_good: false }
    }
}

pub(super) struct Sender {
    settings: Settings,
    client: reqwest::Client,
    recorder: Recorder,
    inbox: mpsc::Receiver<Message>,
    dropped: Arc<AtomicU64>,
    closing: CancellationToken,
    /// The next pause, while the receiver does not take messages.
    pause: Option<Duration>,
}

impl Sender {
    pub(super) fn new(
        settings: Settings,
        recorder: Recorder,
        inbox: mpsc::Receiver<Message>,
        dropped: Arc<AtomicU64>,
        closing: CancellationToken,
    ) -> Result<Self, String> {
        // A redirection would carry what was said to wherever the receiver points.
        let client = reqwest::Client::builder().timeout(ATTEMPT_WITHIN).redirect(reqwest::redirect::Policy::none());
        let client = client.build().map_err(|why| why.to_string())?;
        Ok(Self { settings, client, recorder, inbox, dropped, closing, pause: None })
    }

    /// Until it is closed, or nobody has anything to send any more.
    pub(super) async fn run(mut self) {
        loop {
            self.tell_dropped();
            let closing = self.closing.clone();
            let message = tokio::select! {
                biased;
                () = closing.cancelled() => break,
                message = self.inbox.recv() => message,
            };
            let Some(message) = message else { break };
            self.deliver(message).await;
        }
        self.finish().await;
    }

    /// Until it is delivered or given up.
    async fn deliver(&mut self, message: Message) {
        for attempts in 1.. {
            let Err(failed) = self.attempt_in_time(&message).await else { return self.taken() };
            let age_ms = utc_ms().saturating_sub(message.at_utc_ms);
            let too_old = age_ms >= i64::try_from(self.settings.patience.as_millis()).unwrap_or(i64::MAX);
            if failed.for_good || too_old {
                self.give_up(&message, attempts, &failed.why);
            }
            if failed.for_good {
                return;
            }
            let goes_on = self.rest(&failed.why).await;
            if too_old {
                return;
            }
            if !goes_on {
                return self.give_up(&message, attempts, &format!("the server stopped; {}", failed.why));
            }
        }
    }

    fn taken(&mut self) {
        self.recorder.meters().deliver();
        if self.pause.take().is_some() {
            tracing::info!("the receiver of webhooks takes them again");
        }
    }

    /// Waits before the next attempt; false: there will be none.
    async fn rest(&mut self, why: &str) -> bool {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        if self.pause.is_none() {
            tracing::warn!(why, "the receiver of webhooks does not take them; calls go on");
        }
        self.pause = Some(pause);
        tokio::select! {
            biased;
            () = self.closing.cancelled() => false,
            () = sleep(pause) => true,
        }
    }

    /// One attempt, which a server that stops does not wait for.
    async fn attempt_in_time(&self, message: &Message) -> Result<(), Failed> {
        let late = async {
            self.closing.cancelled().await;
            sleep(LAST_MESSAGES).await;
        };
        tokio::select! {
            done = self.attempt(message) => done,
            () = late => Err(Failed::for_now("it is slow".into())),
        }
    }

    async fn attempt(&self, message: &Message) -> Result<(), Failed> {
        let hook = Hook {
            kind: message.event.event.name().to_owned(),
            timestamp: rfc3339(message.at_utc_ms),
            data: Data { call: message.call.clone(), event: message.event.clone() },
        };
        let body = serde_json::to_string(&hook).map_err(|why| Failed { why: why.to_string(), for_good: true })?;
        let at_s = utc_ms() / 1_000;
        let signature = self.settings.key.sign(&message.id, at_s, &body);
        let request = self
            .client
            .post(&self.settings.url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", at_s.to_string())
            .header("webhook-signature", signature)
            .body(body);
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            // Too long, not understood, gone: the next attempt would be the same. Others pass: a key that is being changed, a
            // server that starts.
            Ok(response) => {
                let status = response.status();
                let for_good = matches!(status.as_u16(), 400 | 410 | 413 | 415 | 422);
                Err(Failed { why: format!("it answers {status}"), for_good })
            }
            // The address may have a token in it.
            Err(fault) => Err(Failed::for_now(in_words(&fault.without_url()))),
        }
    }

    fn give_up(&self, message: &Message, attempts: u32, why: &str) {
        self.recorder.record(Entry::Undelivered(UndeliveredRow {
            call: Some(message.call.clone()),
            at_utc_ms: utc_ms(),
            kind: message.event.event.name(),
            message: message.id.clone(),
            messages: 1,
            attempts,
            why: why.chars().take(300).collect(),
        }));
    }

    /// What found no room since this was told last: one row for all of it.
    fn tell_dropped(&self) {
        let messages = self.dropped.swap(0, Ordering::Relaxed);
        if messages > 0 {
            tracing::warn!(messages, "webhooks are lost: the receiver is behind");
            self.recorder.record(Entry::Undelivered(UndeliveredRow {
                call: None,
                at_utc_ms: utc_ms(),
                kind: "",
                message: String::new(),
                messages,
                attempts: 0,
                why: "too many were waiting".into(),
            }));
        }
    }

    /// What still waits is tried once, as long as the receiver takes it and there is time.
    async fn finish(&mut self) {
        let until = Instant::now() + LAST_MESSAGES;
        let mut trying = self.pause.is_none();
        self.inbox.close();
        while let Some(message) = self.inbox.recv().await {
            let sent = match trying {
                true => timeout_at(until, self.attempt(&message)).await.unwrap_or(Err(Failed::for_now("late".into()))),
                false => Err(Failed::for_now("it was not taking any".into())),
            };
            match sent {
                Ok(()) => self.taken(),
                Err(failed) => {
                    self.give_up(&message, u32::from(trying), &format!("the server stopped; {}", failed.why));
                    trying = trying && failed.for_good;
                }
            }
        }
        self.tell_dropped();
    }
}

/// An error with what is behind it: the outer one alone says "error sending request".
fn in_words(fault: &reqwest::Error) -> String {
    let mut words = fault.to_string();
    let mut behind = std::error::Error::source(fault);
    while let Some(fault) = behind {
        words.push_str(&format!(": {fault}"));
        behind = fault.source();
    }
    words
}
