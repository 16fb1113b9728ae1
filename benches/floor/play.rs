//! One scene played against one policy, in virtual time: the caller's sound through Opus, the jitter buffer, the voice
//! detector and the segmenter, the policy's decisions, its sound back to the caller's ear.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use duologue::audio::opus::{OpusEncoder, OpusSettings};
use duologue::audio::resample::Resampler;
use duologue::audio::vad::{SileroVad, SileroWeights};
use duologue::audio::{HEAR_RATE, LINE_FRAME, LINE_RATE};
use duologue::media::ear::{Ear, EarSettings};
use duologue::media::echo::EchoMeans;
use duologue::media::rtp::RtpPacket;
use duologue::media::segment::Heard;
use duologue::time::CallTime;

use super::models::Models;

/// The network's delay, each way.
pub const NETWORK_MS: u64 = 10;
const TICK_MS: u64 = 20;
const OPUS: u8 = 111;
/// Below this amplitude (-45 dBFS) the agent is not heard.
pub const AUDIBLE: f32 = 0.005_6;

/// What the agent says and how fast its language model and voice are: the same for every policy.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Said first in the call; empty for nothing.
    pub opening: String,
    /// The first answer that is heard, and every later one.
    pub first: String,
    pub later: String,
    pub first_token_ms: f32,
    pub word_ms: f32,
    pub voice_ms: f32,
}

/// Somebody who takes turns.
pub trait Agent {
    /// 20 ms were heard.
    fn tick(&mut self, at: CallTime, heard: Heard, ear: &mut Ear, models: &mut Models) -> anyhow::Result<()>;
    /// The agent's next 20 ms, and the number of the reply that they belong to.
    fn frame(
        &mut self,
        at: CallTime,
        out: &mut [f32; LINE_FRAME],
        ear: &mut Ear,
        models: &mut Models,
    ) -> anyhow::Result<Option<u32>>;
    /// The replies that the caller stopped.
    fn stopped(&self) -> &[u32];
    /// When a turn of the caller's was judged over, milliseconds.
    fn judged(&self) -> &[f32];
    /// What happened, for people.
    fn trace(&self) -> String;
}

/// The caller's side: his packets, or his samples where the agent's own voice is mixed in on the way.
pub struct Caller {
    samples: Vec<f32>,
    packets: Vec<Bytes>,
    /// Gain and delay in samples at 48 kHz.
    echo: Option<(f32, usize)>,
}

impl Caller {
    /// # Errors
    /// When libopus refuses.
    pub fn new(track: &[f32], echo: Option<(f32, u32)>) -> anyhow::Result<Self> {
        let mut samples = Vec::new();
        let mut resampler = Resampler::new(HEAR_RATE, LINE_RATE)?;
        resampler.push(track, &mut samples);
        resampler.flush(&mut samples);
        samples.truncate(samples.len() / LINE_FRAME * LINE_FRAME);
        let echo = echo.map(|(db, ms)| (10f32.powf(db / 20.0), ms as usize * 48));
        let mut encoder = OpusEncoder::new(OpusSettings::default())?;
        let packets = match echo {
            Some(_) => Vec::new(),
            None => samples.as_chunks().0.iter().map(|frame| encoder.encode(frame)).collect::<Result<_, _>>()?,
        };
        Ok(Self { samples, packets, echo })
    }

    pub fn frames(&self) -> usize {
        self.samples.len() / LINE_FRAME
    }

    /// Packet `n`, spoken from `n` * 20 ms on; `ear` is what the caller has heard so far.
    fn packet(&self, n: usize, heard: &[f32], encoder: &mut OpusEncoder) -> anyhow::Result<Option<Bytes>> {
        let Some((gain, delay)) = self.echo else { return Ok(self.packets.get(n).cloned()) };
        let from = n * LINE_FRAME;
        let Some(own) = self.samples.get(from..from + LINE_FRAME) else { return Ok(None) };
        let mut frame = [0.0; LINE_FRAME];
        for (i, (slot, own)) in frame.iter_mut().zip(own).enumerate() {
            let back = (from + i).checked_sub(delay).and_then(|at| heard.get(at)).copied().unwrap_or(0.0);
            *slot = own + gain * back;
        }
        Ok(Some(encoder.encode(&frame)?))
    }
}

/// A reply as it was heard; milliseconds of the caller's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audible {
    pub first_ms: f32,
    pub last_ms: f32,
    /// Frames with sound, together.
    pub sounding_ms: f32,
}

/// What came of it, on the caller's clock.
pub struct Played {
    /// 48 kHz; the agent as he hears it.
    pub heard: Vec<f32>,
    pub replies: BTreeMap<u32, Audible>,
    pub stopped: Vec<u32>,
    pub judged: Vec<f32>,
    pub trace: String,
}

/// # Errors
/// When a model fails.
pub fn play(
    caller: &Caller,
    agent: &mut dyn Agent,
    ear: EarSettings,
    weights: &Arc<SileroWeights>,
    models: &mut Models,
) -> anyhow::Result<Played> {
    let mut ear = Ear::new(ear, Box::new(SileroVad::new(weights.clone())), OPUS)?;
    if caller.echo.is_some() {
        // As where the client says that nobody there cancels.
        ear.mind_echo(EchoMeans::BOTH);
    }
    let mut encoder = OpusEncoder::new(OpusSettings::default())?;
    let delay = (NETWORK_MS * 48) as usize;
    let mut heard = vec![0.0; delay];
    let mut replies: BTreeMap<u32, Audible> = BTreeMap::new();
    for n in 0..caller.frames() {
        let at = CallTime::from_ms(n as u64 * TICK_MS);
        // Complete 20 ms after its first sample, here 10 ms later: in time for the second tick after.
        if let Some(sent) = n.checked_sub(2)
            && let Some(payload) = caller.packet(sent, &heard, &mut encoder)?
        {
            let arrival = CallTime::from_ms((sent as u64 + 1) * TICK_MS + NETWORK_MS);
            ear.packet(arrival, rtp(sent, payload));
        }
        let listened = ear.listen(at);
        agent.tick(at, listened, &mut ear, models)?;
        let mut frame = [0.0; LINE_FRAME];
        let reply = agent.frame(at, &mut frame, &mut ear, models)?;
        if let Some(reply) = reply {
            note(replies.entry(reply).or_default(), &frame, heard.len());
        }
        ear.played(&frame);
        heard.extend_from_slice(&frame);
    }
    replies.retain(|_, reply| reply.sounding_ms > 0.0);
    Ok(Played {
        heard,
        replies,
        stopped: agent.stopped().to_vec(),
        judged: agent.judged().to_vec(),
        trace: agent.trace(),
    })
}

fn note(reply: &mut Audible, frame: &[f32; LINE_FRAME], offset: usize) {
    let ms = |sample: usize| (offset + sample) as f32 / 48.0;
    let Some(first) = frame.iter().position(|sample| sample.abs() > AUDIBLE) else { return };
    let last = frame.iter().rposition(|sample| sample.abs() > AUDIBLE).unwrap_or(first);
    if reply.sounding_ms == 0.0 {
        reply.first_ms = ms(first);
    }
    reply.last_ms = ms(last + 1);
    reply.sounding_ms += TICK_MS as f32;
}

fn rtp(n: usize, payload: Bytes) -> RtpPacket {
    RtpPacket {
        payload_type: OPUS,
        sequence: n as u16,
        timestamp: (n * LINE_FRAME) as u32,
        ssrc: 1,
        marker: false,
        payload,
    }
}
