//! How values are kept in a journal that serde does not keep by itself.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A word of a short list that stands in the program: a judge's name, a reason.
pub type Code = &'static str;

/// Longer ones are none of ours.
const CODE_BYTES: usize = 80;
/// More different ones are none of ours either: codes that are read stay in memory.
const CODES: usize = 1_024;
/// Sound longer than this is a damaged length: ten minutes at 48 kHz.
const SAMPLES: usize = 600 * 48_000;

static KNOWN: Mutex<BTreeSet<Code>> = Mutex::new(BTreeSet::new());

/// # Errors
/// When it is none.
pub fn code<'de, D: Deserializer<'de>>(from: D) -> Result<Code, D::Error> {
    known(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// # Errors
/// As [`code`].
pub fn maybe_code<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Code>, D::Error> {
    let word = Option::<String>::deserialize(from)?;
    word.map(|word| known(&word).map_err(D::Error::custom)).transpose()
}

fn known(word: &str) -> Result<Code, String> {
    let mut codes = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = codes.get(word) {
        return Ok(code);
    }
    if word.len() > CODE_BYTES || codes.len() >= CODES {
        return Err("a code that is none of this program's".into());
    }
    let code: Code = Box::leak(word.to_owned().into_boxed_str());
    codes.insert(code);
    Ok(code)
}

/// Of the agent's sound its length is kept: nothing that decides looks at the samples ([`crate::media::ear::Sensed`] has what the
/// ear made of their echo), and they would be the most of a journal by far.
pub mod length {
    use super::{Deserialize, Deserializer, SAMPLES};
    use serde::Serializer;
    use serde::de::Error as _;

    /// # Errors
    /// Those of the format.
    pub fn serialize<T: AsRef<[f32]>, S: Serializer>(sound: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(sound.as_ref().len() as u64)
    }

    /// Silence of that length.
    ///
    /// # Errors
    /// When no sound is so long.
    pub fn deserialize<'de, T: From<Vec<f32>>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let samples = u64::deserialize(from)?;
        let samples = usize::try_from(samples).ok().filter(|samples| *samples <= SAMPLES);
        samples.map(|samples| vec![0.0; samples].into()).ok_or_else(|| D::Error::custom("no sound is so long"))
    }
}

/// What is shared is kept each time.
pub mod shared {
    use std::sync::Arc;

    use super::{Deserialize, Deserializer};
    use serde::{Serialize, Serializer};

    /// # Errors
    /// Those of the format.
    pub fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, to)
    }

    /// # Errors
    /// Those of the format.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
