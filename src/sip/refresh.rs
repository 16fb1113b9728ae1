//! Session timers (RFC 4028): one of the two sides says at half the time agreed on that it is still there, or the call is over. So a call
//! whose BYE was lost ends, and exchanges on the way that keep count of calls know.

use std::time::Duration;

use rsipstack::sip::{Header, Request, Response, StatusCode, StatusCodeKind};
use tokio::time::Instant;

use super::call::Call;
use super::offers::is_sdp;
use super::request::value_of;
use super::transfer::Asked;
use crate::peer::GoneWhy;

/// An answer that is neither yes nor the call's end (491, 500, ...) is asked for again after so long (RFC 3261, section 14.1).
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// Before the time is out the call is ended, by so much or by a third of it (RFC 4028, section 10).
const BEFORE_THE_END_S: u32 = 32;

/// Extensions of ours, as `Supported` has them in one line: this one, and that a call can be taken over (RFC 3891).
const KNOWN: &str = "timer, replaces";

/// What the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// What is asked for, seconds. 0: nothing; what the other side asks for is still kept.
    pub ours_s: u32,
    /// Less is refused: `Min-SE`, seconds.
    pub least_s: u32,
}

/// The other side wants less than is done here; the header says how much that is.
#[derive(Debug, PartialEq)]
pub(super) struct TooBrief(pub(super) Header);

impl TooBrief {
    /// 422 Session Interval Too Small
    pub(super) const STATUS: StatusCode = StatusCode::SessionIntervalTooSmall;
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    expires_s: u32,
    /// It is ours to say that we are here.
    ours: bool,
}

/// `Session-Expires`: seconds, and who is to refresh: true is the one who asks.
fn expires<'a>(headers: impl Iterator<Item = &'a Header>) -> Option<(u32, Option<bool>)> {
    let value = value_of(headers, "Session-Expires")?.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let seconds = parts.next()?.parse().ok().filter(|seconds| (1..=1_000_000).contains(seconds))?;
    let asker = parts.find_map(|part| match part.strip_prefix("refresher=")? {
        "uac" => Some(true),
        "uas" => Some(false),
        _ => None,
    });
    Some((seconds, asker))
}

/// `Min-SE`, seconds.
pub(super) fn least<'a>(headers: impl Iterator<Item = &'a Header>) -> Option<u32> {
    value_of(headers, "Min-SE")?.split(';').next()?.trim().parse().ok().filter(|least| *least <= 1_000_000)
}

/// Whether the other side knows session timers.
fn knows(request: &Request) -> bool {
    let mut named = request.headers.iter().filter_map(|header| match header {
        Header::Supported(_) | Header::Require(_) => Some(header.value()),
        _ => None,
    });
    named.any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("timer")))
}

impl Agreed {
    /// By an INVITE or UPDATE of the other side's. `None`: there is no time.
    pub(super) fn by_request(request: &Request, times: SessionTimes) -> Result<Option<Self>, TooBrief> {
        let knows = knows(request);
        let asked = expires(request.headers.iter());
        if knows && asked.is_some_and(|(seconds, _)| seconds < times.least_s) {
            return Err(TooBrief(Header::MinSE(times.least_s.to_string().into())));
        }
        let least = least(request.headers.iter()).unwrap_or(0).max(times.least_s);
        Ok(match asked {
            // Who does not know of it is not refused, nor asked to do it: something on the way wants it.
            Some((expires_s, _)) if !knows => Some(Self { expires_s, ours: true }),
            Some((expires_s, asker)) => {
                let ours = if times.ours_s == 0 { expires_s } else { times.ours_s.max(least) };
                Some(Self { expires_s: expires_s.min(ours), ours: asker != Some(true) })
            }
            None if times.ours_s == 0 => None,
            None => Some(Self { expires_s: times.ours_s.max(least), ours: true }),
        })
    }

    /// By the answer to an INVITE or UPDATE of ours. `None`: the other side keeps no time.
    pub(super) fn by_answer(answer: &Response) -> Option<Self> {
        let (expires_s, asker) = expires(answer.headers.iter())?;
        Some(Self { expires_s, ours: asker != Some(false) })
    }

    /// As it stands in the answer to that request.
    pub(super) fn headers(self, request: &Request) -> Vec<Header> {
        let who = if self.ours { "uas" } else { "uac" };
        let mut headers = vec![
            Header::SessionExpires(format!("{};refresher={who}", self.expires_s).into()),
            Header::Supported(KNOWN.into()),
        ];
        if knows(request) {
            headers.push(Header::Require("timer".into()));
        }
        headers
    }

    /// As it stands in a request of ours that says that we are here.
    fn again(self, times: SessionTimes) -> Vec<Header> {
        let who = if self.ours { "uac" } else { "uas" };
        let value = format!("{};refresher={who}", self.expires_s);
        vec![
            Header::Supported(KNOWN.into()),
            Header::SessionExpires(value.into()),
            Header::MinSE(times.least_s.to_string().into()),
        ]
    }

    const fn half(self) -> Duration {
        Duration::from_millis(self.expires_s as u64 * 500)
    }

    /// When the call is over, if nobody has said anything since.
    fn out(self) -> Duration {
        let early = BEFORE_THE_END_S.min(self.expires_s / 3);
        Duration::from_secs(u64::from(self.expires_s - early))
    }
}

/// As it stands in an INVITE of ours. `at_least`: what the other side has said that it does (422).
pub(super) fn wanted(times: SessionTimes, at_least: u32) -> Vec<Header> {
    let mut headers = vec![Header::Supported(KNOWN.into())];
    if times.ours_s > 0 || at_least > 0 {
        let least = times.least_s.max(at_least);
        headers.push(Header::SessionExpires(times.ours_s.max(least).to_string().into()));
        headers.push(Header::MinSE(least.to_string().into()));
    }
    headers
}

/// Whether UPDATE (RFC 3311) is read there; else it is a further INVITE.
pub(super) fn reads_update<'a>(mut headers: impl Iterator<Item = &'a Header>) -> bool {
    headers.any(|header| matches!(header, Header::Allow(_)) && header.value().to_ascii_uppercase().contains("UPDATE"))
}

/// A call's time.
pub(super) struct SessionTimer {
    agreed: Option<Agreed>,
    /// When somebody said last that he is here.
    since: Instant,
    ask_at: Option<Instant>,
    /// What was asked, and is not answered.
    pub(super) asked: Option<Asked>,
    pub(super) by_update: bool,
}

impl SessionTimer {
    pub(super) fn new() -> Self {
        Self { agreed: None, since: Instant::now(), ask_at: None, asked: None, by_update: false }
    }

    /// The time begins anew, as agreed on.
    pub(super) fn begin(&mut self, agreed: Option<Agreed>) {
        self.since = Instant::now();
        self.agreed = agreed;
        self.ask_at = agreed.filter(|agreed| agreed.ours).map(|agreed| self.since + agreed.half());
    }

    fn is_out(&self) -> bool {
        self.agreed.is_some_and(|agreed| self.since.elapsed() >= agreed.out())
    }
}

impl Call<'_> {
    /// Ten times a second: says that we are here where it is time, and ends the call where nobody has for too long.
    pub(super) fn mind_session(&mut self) -> Option<GoneWhy> {
        if self.timer.is_out() {
            return Some(GoneWhy::Expired);
        }
        let (Some(agreed), Some(at)) = (self.timer.agreed, self.timer.ask_at) else { return None };
        if Instant::now() < at || self.timer.asked.is_some() || !self.connected {
            return None;
        }
        self.timer.ask_at = None;
        let (dialog, mut headers) = (self.dialog.clone(), agreed.again(self.exchange.settings.session));
        self.timer.asked = Some(if self.timer.by_update {
            self.exchange.tasks.spawn(async move { dialog.update(Some(headers), None).await })
        } else {
            let offer = self.offer().into_bytes();
            headers.extend(is_sdp());
            self.exchange.tasks.spawn(async move { dialog.reinvite(Some(headers), Some(offer)).await })
        });
        None
    }

    /// The answer to that.
    pub(super) async fn on_refreshed(&mut self, answer: Result<Response, String>) -> Option<GoneWhy> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                tracing::debug!(why, "nobody says any more that he is there");
                return Some(GoneWhy::Expired);
            }
        };
        match answer.status_code.code() {
            _ if answer.status_code.kind() == StatusCodeKind::Successful => {
                self.on_offer_answered(&answer).await;
                // A side that keeps no time has answered all the same: we go on asking.
                let agreed = Agreed::by_answer(&answer).or(self.timer.agreed);
                self.timer.begin(agreed);
            }
            // The call is none there any more (RFC 3261, section 12.2.1.2).
            408 | 481 => return Some(GoneWhy::Expired),
            422 => {
                let least = least(answer.headers.iter());
                if let (Some(agreed), Some(least)) = (&mut self.timer.agreed, least) {
                    agreed.expires_s = agreed.expires_s.max(least);
                }
                self.timer.ask_at = Some(Instant::now());
            }
            405 | 501 if self.timer.by_update => {
                self.timer.by_update = false;
                self.timer.ask_at = Some(Instant::now());
            }
            _ => self.timer.ask_at = Some(Instant::now() + AGAIN_AFTER),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: SessionTimes = SessionTimes { ours_s: 1_800, least_s: 90 };

    fn request(headers: &str) -> Request {
        let text = format!(
            "INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>\r\nCall-ID: 1@x\r\nCSeq: 2 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    fn agreed(headers: &str) -> Option<(u32, bool)> {
        let agreed = Agreed::by_request(&request(headers), TIMES).expect("not too brief");
        agreed.map(|agreed| (agreed.expires_s, agreed.ours))
    }

    #[test]
    fn what_is_agreed_on_is_what_the_caller_wants_and_no_more_than_ours() {
        assert_eq!(agreed("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n"), Some((600, false)));
        assert_eq!(agreed("k: 100rel, timer\r\nx: 600 ; refresher=uas\r\n"), Some((600, true)));
        assert_eq!(agreed("Supported: timer\r\nSession-Expires: 600\r\n"), Some((600, true)));
        assert_eq!(agreed("Supported: timer\r\nSession-Expires: 90000\r\n"), Some((1_800, true)));
        assert_eq!(agreed("Supported: timer\r\nSession-Expires: 9000\r\nMin-SE: 3000\r\n"), Some((3_000, true)));
        assert_eq!(agreed("Supported: timer\r\n"), Some((1_800, true)));
        assert_eq!(agreed(""), Some((1_800, true)), "who knows nothing of it is asked whether he is there");
        assert_eq!(agreed("Session-Expires: 60;refresher=uac\r\n"), Some((60, true)), "a proxy's wish");
        assert_eq!(Agreed::by_request(&request(""), SessionTimes { ours_s: 0, ..TIMES }), Ok(None));
    }

    #[test]
    fn too_brief_a_time_is_refused_with_the_least() {
        let brief = request("Supported: timer\r\nSession-Expires: 30\r\n");
        assert_eq!(Agreed::by_request(&brief, TIMES), Err(TooBrief(Header::MinSE("90".into()))));
    }

    #[test]
    fn the_answer_says_who_refreshes() {
        let asked = request("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n");
        let agreed = Agreed::by_request(&asked, TIMES).expect("long enough").expect("a time");
        let written: Vec<String> = agreed.headers(&asked).iter().map(ToString::to_string).collect();
        assert_eq!(written, ["Session-Expires: 600;refresher=uac", "Supported: timer, replaces", "Require: timer"]);
        assert_eq!((agreed.half(), agreed.out()), (Duration::from_secs(300), Duration::from_secs(568)));
    }
}
