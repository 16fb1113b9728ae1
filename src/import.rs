//! Ring 3: `duologue import`: a call that was held elsewhere, from its vCon, as rows and a recording.

use std::io::{Cursor, Error};
use std::path::PathBuf;

use crate::audio::opus::StereoEncoder;
use crate::audio::resample::Resampler;
use crate::audio::{LINE_FRAME, LINE_RATE, wav};
use crate::config::Config;
use crate::export::{Incoming, IncomingSound, fingerprint_of_file, incoming, verify};
use crate::recording::{RecordingShelf, file_of, whole_file};
use crate::store::{ImportRow, Reader, import_call};

/// A call that was held elsewhere, from its vCon: it becomes rows, and a recording where the file has the sound
#[derive(clap::Args, Debug)]
pub struct ImportArguments {
    /// The vCon, signed or not
    file: PathBuf,
    /// It must be signed with this certificate or key (PEM)
    #[arg(long)]
    by: Option<PathBuf>,
}

/// Imports and tells.
///
/// # Errors
/// When it is no vCon, it was changed after it was signed, somebody else signed it, or the call is here already.
pub async fn run(config: &Config, arguments: ImportArguments) -> anyhow::Result<()> {
    let path = &config.store.path;
    anyhow::ensure!(path.exists(), "there is no database {}: start the server once, or set store.path", path.display());
    let found = verify(&std::fs::read(&arguments.file)?)?;
    if let Some(by) = &arguments.by {
        let wanted = fingerprint_of_file(by)?;
        let signed = found.signers.iter().any(|signer| signer.fingerprint == wanted);
        anyhow::ensure!(signed, "it is not signed with the certificate in {}", by.display());
    }
    let Incoming { mut call, sound, facts } = incoming(&found)?;
    let here = Reader::of(path).call(&call.call).await?.is_some();
    // Before its sound is put anywhere: something may have been taken out of the one that is here.
    anyhow::ensure!(!here, "the call {} is here already", call.call);
    let shelf = config.recording.shelf()?;
    let mut beside = None;
    if let Some(sound) = sound {
        let kept = tokio::task::spawn_blocking({
            let name = call.call.clone();
            move || put_sound(&shelf, &name, &sound)
        });
        match kept.await? {
            Ok((row, file)) => (call.recording, beside) = (Some(row), Some(file)),
            Err(why) => println!("its sound is left out: {why}"),
        }
    }
    let done = import_call(path, &call).await;
    if !matches!(done, Ok(true))
        && let Some(file) = beside
    {
        let _ = std::fs::remove_file(file);
    }
    anyhow::ensure!(done?, "the call {} is here already", call.call);
    match found.signers.first() {
        Some(signer) => println!("signed by {} (certificate {}): it is as it was", signer.name, signer.fingerprint),
        None => println!("nobody has signed it: it may be anything"),
    }
    let (turns, judgements, events) = (call.turns.len(), call.judgements.len(), call.events.len());
    println!("call {}: {turns} turns, {judgements} judgements, {events} events", call.call);
    if facts > 0 {
        println!(
            "{facts} facts stay in the file: it proves nothing of who called, and they would be told to whoever has that name here"
        );
    }
    Ok(())
}

/// Our own file as it is; a WAV becomes one of ours, its only side the caller's.
fn put_sound(shelf: &RecordingShelf, call: &str, sound: &IncomingSound) -> Result<(ImportRow, PathBuf), Error> {
    let bytes = match sound.media_type.split(';').next().unwrap_or_default().trim() {
        "audio/ogg" => sound.bytes.clone(),
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => of_wav(&sound.bytes, call)?,
        other => return Err(Error::other(format!("{other:?} is not known here; audio/ogg of ours and WAV are"))),
    };
    std::fs::create_dir_all(&shelf.folder)?;
    let file = file_of(&call.to_owned());
    let ((duration_ms, bytes, sha256), key_id) = shelf.put(&file, &bytes)?;
    let row = serde_json::json!({
        "file": file, "started_ms": sound.started_ms, "duration_ms": duration_ms, "bytes": bytes, "sha256": sha256, "key_id": key_id,
    });
    let serde_json::Value::Object(row) = row else { return Err(Error::other("no row")) };
    Ok((row, shelf.path(&file)))
}

fn of_wav(bytes: &[u8], call: &str) -> Result<Vec<u8>, Error> {
    let sound = wav::read(Cursor::new(bytes)).map_err(Error::other)?;
    let raised = |side: &[f32]| -> Result<Vec<f32>, Error> {
        let mut resampler = Resampler::new(sound.rate_hz, LINE_RATE).map_err(Error::other)?;
        let mut out = Vec::new();
        resampler.push(side, &mut out);
        resampler.flush(&mut out);
        Ok(out)
    };
    let left = raised(&sound.left)?;
    let right = sound.right.as_deref().map(raised).transpose()?.unwrap_or_default();
    let frame = |side: &[f32], n: usize| -> [f32; LINE_FRAME] {
        std::array::from_fn(|k| side.get(n * LINE_FRAME + k).copied().unwrap_or(0.0))
    };
    let mut encoder = StereoEncoder::new().map_err(Error::other)?;
    let packets: Result<Vec<Vec<u8>>, Error> = (0..left.len().max(right.len()).div_ceil(LINE_FRAME) + 1)
        .map(|n| {
            encoder.encode(&frame(&left, n), &frame(&right, n)).map(|packet| packet.to_vec()).map_err(Error::other)
        })
        .collect();
    Ok(whole_file(encoder.pre_skip(), &[("CALL", call)], packets?))
}
