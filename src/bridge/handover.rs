//! A warm handover: somebody is called, told what is known of the caller, and connected with him. Meanwhile the agent talks with the
//! caller; afterwards it listens.

use std::sync::Arc;
use std::time::Duration;

use duologue_signaling::event::BridgeState;
use tokio_util::sync::CancellationToken;

use super::course::{Course, Left, Told};
use super::{Bridges, Manners, NotHandedOver};
use crate::call::bridging::NotBridged;
use crate::call::registry::Asked;
use crate::config::HumanLeaves;
use crate::journal::CallId;
use crate::sip::Dialler;

/// Whoever picks a telephone up says who he is first: people begin that within a second of lifting the handset. What he says in that
/// time is waited for to its end.
const HELLO: Duration = Duration::from_secs(1);
/// Two sentences take some ten seconds, a slow voice on a busy machine included; then they are connected all the same.
const TOLD_WITHIN: Duration = Duration::from_secs(40);

/// What came of the call to somebody.
enum Rang {
    Answered,
    /// He did not take it: the end of his call.
    NotTaken(Option<String>),
    /// The caller has left meanwhile.
    CallerGone,
    /// It was given up from outside.
    GivenUp,
}

/// Calls, and follows it from there.
pub(super) async fn begin(
    bridges: &Bridges,
    dialler: &Dialler,
    call: &str,
    to: &str,
    announce: bool,
) -> Result<CallId, NotHandedOver> {
    let registry = &bridges.registry;
    let parting = CancellationToken::new();
    let claim = registry.claim(call, &parting)?;
    let gone = || NotBridged::NoSuchCall(call.to_owned());
    let heard = registry.listen(call).ok_or_else(gone)?;
    let brief = registry.brief(call).await.ok_or_else(gone)?;
    // A caller who does not want to be recorded is not recorded at the other end either.
    let asked = Asked { persona: Some(&brief.briefing.persona), caller: None, recorded: brief.taped, listens: true };
    let mut there = None;
    let other = dialler.dial_and(to, asked, |other| there = registry.listen(other)).await?;
    let gone = || NotBridged::NoSuchCall(other.clone());
    let (heard_there, claim_there) = (there.ok_or_else(gone)?, registry.claim(&other, &parting)?);
    let ours = (call, heard, claim);
    let course = Course::new(registry.clone(), "handover", ours, (&other, heard_there, claim_there), parting);
    let manners = bridges.manners.clone();
    registry.follow(course.hand_over(to.to_owned(), announce, manners));
    Ok(other)
}

impl Course {
    async fn hand_over(mut self, to: String, announce: bool, manners: Arc<Manners>) {
        self.tell_call(BridgeState::Asked, &format!("{to} is called.")).await;
        self.say(&self.call.call, &manners.asking, Duration::ZERO).await;
        let rang = match self.until_answered().await {
            Rang::Answered if announce => self.announce().await,
            rang => rang,
        };
        if !matches!(rang, Rang::Answered) {
            return self.not_taken(rang, &to, &manners).await;
        }
        if self.join().await {
            let left = self.until_left().await;
            self.leave(left, &manners).await;
        }
    }

    async fn until_answered(&mut self) -> Rang {
        loop {
            let told = tokio::select! {
                biased;
                _ = self.call.ended() => return Rang::CallerGone,
                () = self.parting.cancelled() => return Rang::GivenUp,
                told = self.other.told() => told,
            };
            match told {
                Told::Started => return Rang::Answered,
                Told::Ended(reason) => return Rang::NotTaken(reason),
                Told::Said(_) => {}
            }
        }
    }

    /// Tells who has answered what is known of the caller, as it stands by now.
    async fn announce(&mut self) -> Rang {
        let Some(brief) = self.registry.brief(&self.call.call).await else { return Rang::CallerGone };
        let words = brief.briefing.words;
        self.say(&self.other.call, &words, HELLO).await;
        let late = tokio::time::sleep(TOLD_WITHIN);
        tokio::pin!(late);
        loop {
            let told = tokio::select! {
                biased;
                _ = self.call.ended() => return Rang::CallerGone,
                () = self.parting.cancelled() => return Rang::GivenUp,
                told = self.other.told() => told,
                () = &mut late => return Rang::Answered,
            };
            match told {
                Told::Said(said) if said.trim() == words.trim() => return Rang::Answered,
                Told::Ended(reason) => return Rang::NotTaken(reason),
                _ => {}
            }
        }
    }

    /// It came to nothing: the agent goes on with the caller, where he is still there.
    async fn not_taken(&mut self, rang: Rang, to: &str, manners: &Manners) {
        let other = self.other.call.clone();
        let outcome = match rang {
            Rang::CallerGone => {
                self.hang_up(&other, "The caller hung up.").await;
                "call-ended"
            }
            Rang::GivenUp => {
                self.hang_up(&other, "The call was not to be handed over any more.").await;
                self.tell_call(BridgeState::Failed, "It was given up.").await;
                "parted"
            }
            Rang::Answered | Rang::NotTaken(_) => {
                let outcome = outcome(&rang);
                self.tell_call(BridgeState::Failed, &format!("{to} did not take the call: {outcome}.")).await;
                self.say(&self.call.call, &manners.nobody, Duration::ZERO).await;
                outcome
            }
        };
        self.end(outcome);
    }

    /// One of the two is gone.
    async fn leave(&mut self, left: Left, manners: &Manners) {
        let (call, other) = (self.call.call.clone(), self.other.call.clone());
        let outcome = match left {
            Left::Call(_) => {
                self.hang_up(&other, "The caller hung up.").await;
                "call-ended"
            }
            Left::Other(reason) => {
                // Who hangs up has said goodbye; a line that breaks has not.
                let hung_up = reason.as_deref() == Some("caller-hangup");
                if hung_up && manners.human_leaves == HumanLeaves::End {
                    self.hang_up(&call, "Whom the caller was connected with hung up.").await;
                } else {
                    self.part_call("Whom the caller was connected with is gone.", &manners.back).await;
                }
                "other-ended"
            }
            Left::Parted => {
                self.part_call("The two were parted.", &manners.back).await;
                self.hang_up(&other, "The two were parted.").await;
                "parted"
            }
        };
        self.end(outcome);
    }
}

/// As it stands in the row. Who has hung up on what he was told did not want the call.
fn outcome(rang: &Rang) -> &'static str {
    let Rang::NotTaken(Some(reason)) = rang else { return "unreachable" };
    match reason.as_str() {
        "busy" => "busy",
        "declined" | "caller-hangup" => "declined",
        "no-answer" => "no-answer",
        _ => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_instead_of_a_handover_has_a_name() {
        let of = |reason: &str| outcome(&Rang::NotTaken(Some(reason.into())));
        assert_eq!(of("busy"), "busy");
        assert_eq!(of("caller-hangup"), "declined");
        assert_eq!(of("network-gone"), "unreachable");
        assert_eq!(outcome(&Rang::NotTaken(None)), "unreachable");
    }
}
