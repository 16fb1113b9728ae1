//! An impairment as text: `loss=0.2,burst=3,jitter=0..60`. Times are milliseconds, shares are 0 to 1.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Impairment, Jitter, USUAL_QUEUE};

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecFault {
    #[error("{0:?} is no impairment; there are: loss, burst, delay, jitter, reorder, duplicate, order, rate, queue")]
    Unknown(String),
    #[error("{name}={value}: must be {allowed}")]
    Value { name: String, value: String, allowed: &'static str },
    #[error("{0}")]
    Together(&'static str),
}

/// The longest delay, in milliseconds: more is no path that anybody talks over.
const LONGEST_MS: f64 = 10_000.0;

impl FromStr for Impairment {
    type Err = SpecFault;

    /// An empty text is a network without faults.
    fn from_str(text: &str) -> Result<Self, SpecFault> {
        let mut read = Self { queue: USUAL_QUEUE, ..Self::default() };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| SpecFault::Unknown(part.to_owned()))?;
            read.set(name, value)?;
        }
        read.agree()?;
        Ok(read)
    }
}

impl Impairment {
    fn set(&mut self, name: &str, value: &str) -> Result<(), SpecFault> {
        let not = |allowed| SpecFault::Value { name: name.to_owned(), value: value.to_owned(), allowed };
        let share = || number(value, 0.0, 1.0).ok_or_else(|| not("a share of 0 to 1"));
        let time = || milliseconds(value).ok_or_else(|| not("0 to 10000 ms"));
        match name {
            "loss" => self.loss = share()?,
            "burst" => {
                self.burst = Some(number(value, 1.0, 100.0).ok_or_else(|| not("a mean of 1 to 100 packets in a row"))?)
            }
            "delay" => self.delay = time()?,
            "jitter" => {
                let forms = "FROM..TO, normal:MEAN:DEVIATION or exp:MEAN in ms, each 0 to 10000";
                self.jitter = jitter(value).ok_or_else(|| not(forms))?;
            }
            "reorder" => self.reorder = share()?,
            "duplicate" => self.duplicate = share()?,
            "order" => {
                self.keep_order = match value {
                    "keep" => true,
                    "free" => false,
                    _ => return Err(not("keep or free")),
                }
            }
            "rate" => {
                let rate = value.parse().ok().filter(|rate| *rate >= 8_000);
                self.rate_bps = Some(rate.ok_or_else(|| not("8000 bits a second or more"))?);
            }
            "queue" => self.queue = time()?,
            _ => return Err(SpecFault::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// What is possible one by one need not be together.
    fn agree(&self) -> Result<(), SpecFault> {
        if self.keep_order && self.reorder > 0.0 {
            return Err(SpecFault::Together("order=keep and reorder exclude each other"));
        }
        // Between two bursts there is at least one packet: the loss is at most burst / (burst + 1).
        if self.burst.is_some_and(|burst| self.loss < 1.0 && self.loss > burst / (burst + 1.0)) {
            return Err(SpecFault::Together(
                "bursts this short cannot make up so much loss: raise burst or lower loss",
            ));
        }
        Ok(())
    }
}

fn number(text: &str, least: f64, most: f64) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| (least..=most).contains(value))
}

fn milliseconds(text: &str) -> Option<Duration> {
    number(text, 0.0, LONGEST_MS).map(|ms| Duration::from_secs_f64(ms / 1_000.0))
}

fn jitter(text: &str) -> Option<Jitter> {
    if let Some((least, most)) = text.split_once("..") {
        let (least, most) = (milliseconds(least)?, milliseconds(most)?);
        return (least <= most).then_some(Jitter::Uniform { least, most });
    }
    let mut parts = text.split(':');
    let read = match (parts.next()?, parts.next(), parts.next()) {
        ("normal", Some(mean), Some(deviation)) => {
            Jitter::Normal { mean: milliseconds(mean)?, deviation: milliseconds(deviation)? }
        }
        ("exp", Some(mean), None) => Jitter::Exponential { mean: milliseconds(mean)? },
        (most, None, None) => Jitter::Uniform { least: Duration::ZERO, most: milliseconds(most)? },
        _ => return None,
    };
    parts.next().is_none().then_some(read)
}

impl fmt::Display for Impairment {
    /// As it is read.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        write!(out, "loss={}", self.loss)?;
        if let Some(burst) = self.burst {
            write!(out, ",burst={burst}")?;
        }
        write!(out, ",delay={}", ms(self.delay))?;
        match self.jitter {
            Jitter::None => {}
            Jitter::Uniform { least, most } => write!(out, ",jitter={}..{}", ms(least), ms(most))?,
            Jitter::Normal { mean, deviation } => write!(out, ",jitter=normal:{}:{}", ms(mean), ms(deviation))?,
            Jitter::Exponential { mean } => write!(out, ",jitter=exp:{}", ms(mean))?,
        }
        write!(out, ",reorder={},duplicate={}", self.reorder, self.duplicate)?;
        write!(out, ",order={}", if self.keep_order { "keep" } else { "free" })?;
        if let Some(rate) = self.rate_bps {
            write!(out, ",rate={rate}")?;
        }
        write!(out, ",queue={}", ms(self.queue))
    }
}
