//! A database of ten thousand calls, to measure questions and the review page on: scripted calls, each with everything that a real
//! one leaves behind, through the store's own writer. What callers give to remember is gleaned by the rules of real calls. The same
//! seed gives the same calls.

mod call;
mod script;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::dialogue::persona::Persona;
use crate::store::{Store, StoreError};

/// Makes a database of scripted calls
#[derive(clap::Args, Debug)]
pub struct GenerateArguments {
    /// The file to make; there must be none of that name
    file: PathBuf,
    /// How many calls
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,
    /// The same seed gives the same calls
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Why there is no such database.
#[derive(Debug, thiserror::Error)]
pub enum GenerateFault {
    #[error("{} is there already: name another file, or take it away", .0.display())]
    There(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{lost} of the rows were not taken: is the disk full?")]
    Lost { lost: u64 },
}

/// 2026-01-05T10:00:00Z, when the first call begins.
const FIRST_UTC_MS: i64 = 1_767_607_200_000;
/// From one call to the next, at most: ten thousand calls take some three weeks.
const BETWEEN_MS: i64 = 360_000;
/// Calls whose rows wait together: they fit the writer's queue.
const AT_ONCE: u32 = 30;
/// Of a thousand calls, so many are from callers with a name; each of these calls some ten times in ten thousand.
const NAMED_PER_MILLE: u32 = 700;
const CALLERS: u32 = 700;

/// Who answers in scripted calls.
const PERSONAS: [&str; 2] = [include_str!("../../../personas/porter.md"), include_str!("../../../personas/clinic.md")];

/// Makes the file.
///
/// # Errors
/// When it is there already, or cannot be written.
pub async fn generate(path: &Path, calls: u32, seed: u64) -> Result<(), GenerateFault> {
    if path.exists() {
        return Err(GenerateFault::There(path.to_path_buf()));
    }
    let personas: Vec<Arc<Persona>> =
        PERSONAS.iter().filter_map(|text| Persona::parse(text).ok()).map(Arc::new).collect();
    let store = Store::open(path).await?;
    let recorder = store.recorder();
    let mut dice = StdRng::seed_from_u64(seed);
    let mut started_utc_ms = FIRST_UTC_MS;
    for n in 0..calls {
        started_utc_ms += dice.random_range(1_000..BETWEEN_MS);
        let named = dice.random_range(0..1_000) < NAMED_PER_MILLE;
        let caller = named.then(|| script::caller(dice.random_range(0..CALLERS)));
        let persona = &personas[dice.random_range(0..personas.len())];
        let call = call::Scripted::new(n, started_utc_ms, caller, Arc::clone(persona), &mut dice);
        call.entries().into_iter().for_each(|entry| recorder.record(entry));
        if n % AT_ONCE == AT_ONCE - 1 {
            // A disk that does not take the rows is told at the end.
            let _waited = recorder.flush().await;
        }
    }
    match store.close().await.lost {
        0 => Ok(()),
        lost => Err(GenerateFault::Lost { lost }),
    }
}

/// `duologue review generate`.
///
/// # Errors
/// As [`generate`].
pub async fn run(arguments: &GenerateArguments) -> Result<(), GenerateFault> {
    generate(&arguments.file, arguments.calls, arguments.seed).await?;
    println!("{} calls in {}", arguments.calls, arguments.file.display());
    Ok(())
}
