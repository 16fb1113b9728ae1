//! The section about recordings.

use std::path::PathBuf;
use std::sync::Arc;

use toml::de::DeValue;

use super::knob::{Knob, quoted};
use super::values::{HttpUrl, RecordCalls, Secret, SecretError, home_expanded};
use crate::recording::{KEY_CHARS_LEAST, ObjectSettings, ObjectShelf, RecordingShelf, SealKey, SealKeys};

section! {
    /// How calls sounded, for whoever reviews them: one stereo file a call, the caller left, the agent right.
    pub struct Recording in "recording" {
        /// "tone" records and says so with a short tone at the beginning; "announced" says it in words; "silent" leaves it to the
        /// client, which is told; "off" records nothing. Which of them is lawful is for you to know.
        calls: RecordCalls = RecordCalls::Tone, (), "";
        /// The words of "announced", before the persona's greeting.
        announcement: String = "This call is recorded.".into(), Text { most: 300 }, "";
        /// The folder of the files. It holds what callers said: keep it as you keep the database.
        dir: PathBuf = PathBuf::from("recordings"), (), "";
        /// Recordings are taken away after so many days; 0 keeps them for ever.
        keep_days: u32 = 30, 0..=36_500, "days";
        /// The environment variable that holds the key with which new recordings and journals are sealed: 32 characters of chance or more,
        /// as `openssl rand -hex 32` gives. Without the key nobody hears them, you neither.
        key_env: Option<String> = None, Optional { each: Text { most: 128 }, example: "\"DUOLOGUE_RECORDING_KEY\"" }, "";
        /// The file that holds the key, instead of key_env.
        key_file: Option<PathBuf> = None, Optional { each: (), example: "\"/run/secrets/recording-key\"" }, "";
        /// Files with keys of before: what they sealed is opened still. To change the key, name the new one as key_file and the old one
        /// here, until retention has taken what it sealed.
        old_key_files: Vec<String> = Vec::new(), ListOf { most: 16, each: Text { most: 1_000 } }, "";
        /// A bucket of a store that speaks S3, and what names in it begin with. Finished recordings move there, with their hash, and only
        /// then leave the folder; while the store is away they stay. Journals stay in the folder. A bucket that keeps versions keeps what
        /// is taken away: turn that off there.
        store: Option<S3Place> = None, Optional { each: (), example: "\"s3://my-bucket/recordings\"" }, "";
        /// Where that store is, where it is not Amazon's. Without TLS only where http:// stands here: sound that is not sealed can be
        /// listened to on the way then.
        store_endpoint: Option<HttpUrl> = None, Optional { each: (), example: "\"https://s3.example.org\"" }, "";
        /// Its region. Many stores other than Amazon's do not mind.
        store_region: String = "us-east-1".into(), Text { most: 64 }, "";
        /// The environment variable that holds the id of the access key.
        store_key_env: String = "AWS_ACCESS_KEY_ID".into(), Text { most: 128 }, "";
        /// The environment variable that holds its secret.
        store_secret_env: String = "AWS_SECRET_ACCESS_KEY".into(), Text { most: 128 }, "";
    }
}

impl Recording {
    /// Where recordings lie, and what opens them.
    ///
    /// # Errors
    /// When a variable or a file with a key is not there, is unreadable or has too short a key; the text names which.
    pub fn shelf(&self) -> Result<RecordingShelf, SecretError> {
        let new = match (&self.key_env, &self.key_file) {
            (Some(name), _) => Some(seal_key("recording.key_env", Secret::from_env("recording.key_env", name)?)?),
            (None, Some(file)) => Some(seal_key("recording.key_file", Secret::from_file("recording.key_file", file)?)?),
            (None, None) => None,
        };
        let old = |file: &String| {
            const OLD: &str = "recording.old_key_files";
            seal_key(OLD, Secret::from_file(OLD, &home_expanded(file))?)
        };
        let old = self.old_key_files.iter().map(old).collect::<Result<_, _>>()?;
        Ok(RecordingShelf { folder: self.dir.clone(), keys: SealKeys { new, old }, objects: self.objects()? })
    }

    /// The store that finished ones move to; `None` where none is named.
    fn objects(&self) -> Result<Option<Arc<ObjectShelf>>, SecretError> {
        let Some(S3Place { bucket, prefix }) = self.store.clone() else { return Ok(None) };
        let secret = |key, name: &str| Secret::from_env(key, name).map(|secret| secret.reveal().to_owned());
        let settings = ObjectSettings {
            bucket,
            prefix,
            endpoint: self.store_endpoint.as_ref().map(|url| url.as_str().to_owned()),
            region: self.store_region.clone(),
            key_id: secret("recording.store_key_env", &self.store_key_env)?,
            secret: secret("recording.store_secret_env", &self.store_secret_env)?,
        };
        let made = ObjectShelf::new(settings).map_err(SecretError::NoStore)?;
        Ok(Some(Arc::new(made)))
    }
}

/// A place in a store that speaks S3: `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    pub bucket: String,
    /// Without a slash at both ends; may be empty.
    pub prefix: String,
}

impl Knob for S3Place {
    type Limit = ();

    fn read(value: &DeValue<'_>, (): &()) -> Option<Self> {
        let place = value.as_str()?.strip_prefix("s3://")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_end_matches('/');
        // The names that Amazon allows for buckets, and keys without what an address would have to escape.
        let named = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c));
        let whole = prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
        ((3..=63).contains(&bucket.len()) && named(bucket) && plain(prefix) && prefix.len() <= 500 && whole)
            .then(|| Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    fn allowed((): &()) -> String {
        "s3://bucket or s3://bucket/prefix, of letters, digits, - . _ and /".into()
    }

    fn toml(&self) -> Option<String> {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        Some(quoted(&format!("s3://{}{slash}{}", self.bucket, self.prefix)))
    }
}

fn seal_key(key: &'static str, secret: Secret) -> Result<Arc<SealKey>, SecretError> {
    let sealing = SealKey::new(secret.reveal().as_bytes());
    sealing.map(Arc::new).map_err(|found| SecretError::TooShort { key, found, least: KEY_CHARS_LEAST })
}
