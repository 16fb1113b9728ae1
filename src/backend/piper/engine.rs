//! The voice's three graphs: the frontend, run once a sentence, and flow and vocoder, run chunk by chunk over its frames.
//!
//! Piper voices are VITS (Kim et al. 2021). The text encoder, the durations and all the noise are in the frontend; flow and
//! vocoder are convolutions that look only so many frames to either side, so a chunk decoded with that margin is the same as
//! its place in the whole.

use std::ops::Range;
use std::path::Path;

use ort::session::Session;
use ort::value::TensorRef;

/// Samples that the vocoder makes of one frame.
pub(super) const HOP: usize = 256;

/// Frames on either side of a chunk that the flow must see: measured on en_US-joe-medium against the whole, relative RMS error
/// 0.6 % at 12, 0.02 % at 20, 0.0003 % at 24.
const FLOW_MARGIN: usize = 24;
/// The same for the vocoder: 1 % at 4, 0.04 % at 8, nothing at 10.
const VOCODER_MARGIN: usize = 10;
/// The flow runs this far ahead of the vocoder once the first chunk is out: its margins cost less the longer its chunks are.
const FLOW_AHEAD: usize = 192;

/// What the frontend made of a sentence.
pub(super) struct Latent {
    /// `[channels, frames]`, row by row.
    z_p: Vec<f32>,
    channels: usize,
    frames: usize,
    /// What the flow has made of the first `flowed` frames, frame by frame (`[flowed, channels]`), so that it can grow.
    z: Vec<f32>,
    flowed: usize,
    /// Frames that each id lasts.
    durations: Vec<usize>,
}

impl Latent {
    /// Frames of the first so many ids.
    pub fn frames_of(&self, ids: usize) -> usize {
        self.durations.iter().take(ids).sum::<usize>().min(self.frames)
    }
}

/// How the voice is to speak; the voice's JSON file has its own values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Manner {
    pub noise_scale: f32,
    /// 1.0 is the voice's pace; more is slower.
    pub length_scale: f32,
    pub noise_w: f32,
}

/// The graphs, loaded.
pub(super) struct Engine {
    frontend: Session,
    flow: Session,
    vocoder: Session,
    manner: Manner,
}

impl Engine {
    /// Loads the graphs; `threads` compute within one run. ONNX Runtime must have been loaded.
    ///
    /// # Errors
    /// Names the file that cannot be used, and why.
    pub fn load(paths: [&Path; 3], threads: usize, manner: Manner) -> Result<Self, (usize, String)> {
        let load = |at: usize| session(paths[at], threads).map_err(|fault| (at, fault.to_string()));
        let (frontend, flow, vocoder) = (load(0)?, load(1)?, load(2)?);
        let wanted = [
            (&frontend, ["input", "input_lengths", "scales"].as_slice(), ["z_p", "durations"].as_slice()),
            (&flow, &["z_p", "mask"], &["z"]),
            (&vocoder, &["z"], &["output"]),
        ];
        for (at, (session, inputs, outputs)) in wanted.into_iter().enumerate() {
            let has = |name: &str, outlets: &[ort::value::Outlet]| outlets.iter().any(|outlet| outlet.name() == name);
            let missing = inputs.iter().find(|name| !has(name, session.inputs()));
            if let Some(name) = missing.or_else(|| outputs.iter().find(|name| !has(name, session.outputs()))) {
                return Err((at, format!("the graph has no `{name}`")));
            }
        }
        Ok(Self { frontend, flow, vocoder, manner })
    }

    /// Runs the frontend over a sentence.
    ///
    /// # Errors
    /// When the runtime fails.
    pub fn latent(&mut self, ids: &[i64]) -> ort::Result<Latent> {
        let scales = [self.manner.noise_scale, self.manner.length_scale, self.manner.noise_w];
        let outputs = self.frontend.run(ort::inputs![
            "input" => TensorRef::from_array_view(([1, ids.len()], ids))?,
            "input_lengths" => TensorRef::from_array_view(([1], &[ids.len() as i64][..]))?,
            "scales" => TensorRef::from_array_view(([3], &scales[..]))?,
        ])?;
        let (shape, z_p) = outputs["z_p"].try_extract_tensor::<f32>()?;
        let [1, channels, frames] = shape[..] else {
            return Err(ort::Error::new(format!("the frontend's z_p has the shape {shape:?}")));
        };
        let (_, durations) = outputs["durations"].try_extract_tensor::<f32>()?;
        Ok(Latent {
            z_p: z_p.to_vec(),
            channels: channels as usize,
            frames: frames as usize,
            z: Vec::new(),
            flowed: 0,
            durations: durations.iter().map(|frames| frames.max(0.0) as usize).collect(),
        })
    }

    /// The sound of some of the sentence's frames: [`HOP`] samples each. Frames are decoded best in order.
    ///
    /// # Errors
    /// When the runtime fails.
    pub fn decode(&mut self, latent: &mut Latent, frames: Range<usize>) -> ort::Result<Vec<f32>> {
        let frames = frames.start.min(latent.frames)..frames.end.min(latent.frames);
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let seen = frames.start.saturating_sub(VOCODER_MARGIN)..(frames.end + VOCODER_MARGIN).min(latent.frames);
        self.flow(latent, seen.end)?;
        let z = transposed(&latent.z[seen.start * latent.channels..seen.end * latent.channels], latent.channels);
        let outputs = self
            .vocoder
            .run(ort::inputs!["z" => TensorRef::from_array_view(([1, latent.channels, seen.len()], &z[..]))?])?;
        let (_, samples) = outputs["output"].try_extract_tensor::<f32>()?;
        let wanted = (frames.start - seen.start) * HOP..(frames.end - seen.start) * HOP;
        let got = samples.len();
        let part = samples.get(wanted).map(<[f32]>::to_vec);
        part.ok_or_else(|| ort::Error::new(format!("the vocoder made {got} samples of {} frames", seen.len())))
    }

    /// Runs the flow until at least `until` frames are through.
    fn flow(&mut self, latent: &mut Latent, until: usize) -> ort::Result<()> {
        while latent.flowed < until {
            // The first chunk is waited for, so it goes alone.
            let ahead = if latent.flowed == 0 { 0 } else { FLOW_AHEAD };
            let frames = latent.flowed..(until + ahead).min(latent.frames);
            let seen = frames.start.saturating_sub(FLOW_MARGIN)..(frames.end + FLOW_MARGIN).min(latent.frames);
            let rows = latent.z_p.chunks_exact(latent.frames);
            let z_p: Vec<f32> = rows.flat_map(|row| row[seen.clone()].iter().copied()).collect();
            let mask = vec![1.0_f32; seen.len()];
            let outputs = self.flow.run(ort::inputs![
                "z_p" => TensorRef::from_array_view(([1, latent.channels, seen.len()], &z_p[..]))?,
                "mask" => TensorRef::from_array_view(([1, 1, seen.len()], &mask[..]))?,
            ])?;
            let (_, z) = outputs["z"].try_extract_tensor::<f32>()?;
            let z = transposed(z, seen.len());
            let wanted = (frames.start - seen.start) * latent.channels..(frames.end - seen.start) * latent.channels;
            latent.z.extend_from_slice(&z[wanted]);
            latent.flowed = frames.end;
        }
        Ok(())
    }
}

/// Rows of `width` as columns.
fn transposed(values: &[f32], width: usize) -> Vec<f32> {
    let height = values.len() / width.max(1);
    (0..width).flat_map(|column| (0..height).map(move |row| values[row * width + column])).collect()
}

fn session(path: &Path, threads: usize) -> ort::Result<Session> {
    let mut builder = Session::builder()?
        .with_intra_threads(threads)?
        // Threads that spin between runs take the cores from the media path and from the other engines.
        .with_intra_op_spinning(false)?;
    builder.commit_from_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frontend draws noise, so one run of it serves both ways.
    #[test]
    fn chunks_sound_like_their_places_in_the_whole() {
        let Some(config) = super::super::tests::config() else { return };
        crate::backend::onnx_runtime::ensure(&config.onnx_runtime).unwrap();
        let manner = Manner { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 };
        let mut engine = Engine::load([&config.frontend, &config.flow, &config.vocoder], 1, manner).unwrap();
        let ids: Vec<i64> =
            std::iter::once(1).chain((0..120).flat_map(|n| [0, 14 + n * 7 % 90])).chain([0, 2]).collect();
        let latent = |latent: &Latent| Latent {
            z_p: latent.z_p.clone(),
            z: Vec::new(),
            flowed: 0,
            durations: latent.durations.clone(),
            ..*latent
        };
        let mut whole = engine.latent(&ids).unwrap();
        assert_eq!(whole.durations.iter().sum::<usize>(), whole.frames);
        let mut chunked = latent(&whole);
        let frames = whole.frames;
        let expected = engine.decode(&mut whole, 0..frames).unwrap();
        assert_eq!(expected.len(), frames * HOP);
        let (mut got, mut at) = (Vec::new(), 0);
        for chunk in [24, 48].into_iter().chain(std::iter::repeat(96)) {
            got.extend(engine.decode(&mut chunked, at..at + chunk).unwrap());
            at += chunk;
            if at >= frames {
                break;
            }
        }
        let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|x| f64::from(x * x)).sum::<f64>();
        let error = power(&mut got.iter().zip(&expected).map(|(a, b)| a - b));
        let relative = (error / power(&mut expected.iter().copied())).sqrt();
        assert_eq!(got.len(), expected.len());
        assert!(relative < 1e-3, "relative error {relative:.6}");
    }

    #[test]
    fn transposing_turns_rows_into_columns() {
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(transposed(&transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), 2), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
