//! A store of objects that speaks S3: what finished recordings are sent to, read from and taken away from.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path as Key;
use object_store::{ClientOptions, Error, ObjectStoreExt as _, RetryConfig};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long somebody waits who plays, exports, redacts or takes away.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a recording may take to be sent: an hour of sound, 20 MB, at half a megabit a second.
const SEND_WITHIN: Duration = Duration::from_secs(320);
/// A store's own words in a fault: some send a page.
const SAID_MOST_CHARS: usize = 300;

/// Where the store is, and who we are to it.
#[derive(Clone)]
pub struct ObjectSettings {
    pub bucket: String,
    /// What names of objects begin with; empty, or without a slash at both ends.
    pub prefix: String,
    /// `None` is Amazon's own of the region. Without TLS where it is an http:// address, and only then.
    pub endpoint: Option<String>,
    pub region: String,
    pub key_id: String,
    pub secret: String,
}

/// The store.
pub struct ObjectShelf {
    settings: ObjectSettings,
    client: AmazonS3,
}

/// Without what opens it.
impl std::fmt::Debug for ObjectShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectShelf(s3://{}/{})", self.settings.bucket, self.settings.prefix)
    }
}

/// What [`ObjectShelf::probe`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The bucket keeps what is taken away as an older version.
    pub keeps_versions: bool,
}

impl ObjectShelf {
    /// Makes ready to speak with it; nothing is sent yet.
    ///
    /// # Errors
    /// When the address makes no client.
    pub fn new(settings: ObjectSettings) -> Result<Self, String> {
        // The HTTP client takes the process's cryptography.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.key_id)
            .with_secret_access_key(&settings.secret)
            // The store compares what came with what was sent.
            .with_checksum_algorithm(Checksum::SHA256)
            // One object at a time: not every store knows the request for many.
            .with_disable_bulk_delete(true)
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(plain)
                    .with_connect_timeout(CONNECT_WITHIN)
                    .with_timeout(SEND_WITHIN),
            )
            // Whoever asks tries again itself, with pauses that a person can follow.
            .with_retry(RetryConfig { max_retries: 1, retry_timeout: CONNECT_WITHIN, ..RetryConfig::default() });
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let client = builder.build().map_err(|why| why.to_string())?;
        Ok(Self { settings, client })
    }

    /// A name for a recording's object that no object has yet: one that is redacted gets another.
    pub(super) fn name_for(&self, call: &str) -> String {
        let ObjectSettings { bucket, prefix, .. } = &self.settings;
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("s3://{bucket}/{prefix}{slash}{call}-{:08x}.ogg", rand::random::<u32>())
    }

    /// The key of an object in the bucket.
    fn key_of(&self, object: &str) -> io::Result<Key> {
        let ours = format!("s3://{}/", self.settings.bucket);
        let key = object.strip_prefix(&ours).ok_or_else(|| {
            io::Error::other(format!(
                "{object} is not in the bucket {}: name its own as recording.store",
                self.settings.bucket
            ))
        })?;
        Key::parse(key).map_err(io::Error::other)
    }

    /// Sends a recording; the hash of the bytes goes along, and the store refuses what differs from it.
    ///
    /// # Errors
    /// When the store does not take it; the text names the fault and the way out, as of all of these.
    pub(super) async fn send(&self, object: &str, bytes: Vec<u8>) -> io::Result<()> {
        let key = self.key_of(object)?;
        self.within(SEND_WITHIN, object, self.client.put(&key, bytes.into())).await.map(drop)
    }

    /// An object, or a range of its bytes.
    pub(super) async fn fetch(&self, object: &str, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
        let key = self.key_of(object)?;
        let fetched = async {
            match range {
                Some(range) => self.client.get_range(&key, range).await,
                None => self.client.get(&key).await?.bytes().await,
            }
        };
        self.within(ANSWER_WITHIN, object, fetched).await.map(Into::into)
    }

    /// [`Self::fetch`] for a thread that may wait.
    ///
    /// # Errors
    /// Also when nothing runs that could fetch.
    pub(super) fn fetch_here(&self, object: &str, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
        tokio::runtime::Handle::try_current().map_err(io::Error::other)?.block_on(self.fetch(object, range))
    }

    /// Takes an object away; one that is not there is fine.
    pub(super) async fn take_away(&self, object: &str) -> io::Result<()> {
        let key = self.key_of(object)?;
        match self.within(ANSWER_WITHIN, object, self.client.delete(&key)).await {
            // Most say that it is done; some, that it is not there. A bucket that is not there is another matter: the object may be in
            // a bucket of that name elsewhere.
            Err(why) if why.kind() == io::ErrorKind::NotFound && why.to_string().contains("NoSuchKey") => Ok(()),
            other => other,
        }
    }

    /// Sends a small object, reads it and takes it away again: for `duologue check`.
    ///
    /// # Errors
    /// The first of the three that the store does not do.
    pub async fn probe(&self) -> io::Result<Probed> {
        const SAID: &[u8] = b"duologue check";
        let object = self.name_for("duologue-check");
        let key = self.key_of(&object)?;
        let put = self.within(ANSWER_WITHIN, &object, self.client.put(&key, SAID.to_vec().into())).await?;
        let read = self.fetch(&object, None).await;
        self.take_away(&object).await?;
        if read? != SAID {
            return Err(io::Error::other(format!("{object} came back as something else than what was sent")));
        }
        Ok(Probed { keeps_versions: put.version.is_some() })
    }

    async fn within<T>(
        &self,
        most: Duration,
        object: &str,
        doing: impl Future<Output = Result<T, Error>>,
    ) -> io::Result<T> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, self.told(object, "it does not answer in time", REACH));
        tokio::time::timeout(most, doing).await.map_err(|_| late())?.map_err(|why| self.fault(object, &why))
    }

    fn fault(&self, object: &str, why: &Error) -> io::Error {
        let (kind, way_out) = match why {
            Error::NotFound { .. } => (
                io::ErrorKind::NotFound,
                "the bucket or the object is not there: look at recording.store and its store_endpoint and store_region",
            ),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => (
                io::ErrorKind::PermissionDenied,
                "look at the key and the secret (recording.store_key_env, store_secret_env) and what they may do there",
            ),
            _ => (io::ErrorKind::Other, REACH),
        };
        // The innermost cause says most; each is told once.
        let (mut said, mut next) = (why.to_string(), std::error::Error::source(why));
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            next = cause.source();
        }
        io::Error::new(kind, self.told(object, &said, way_out))
    }

    /// Some stores repeat the key that they refuse.
    fn told(&self, object: &str, said: &str, way_out: &str) -> String {
        let ObjectSettings { key_id, secret, .. } = &self.settings;
        let said = said.replace(secret.as_str(), "(secret)").replace(key_id.as_str(), "(key)");
        let said: String =
            said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SAID_MOST_CHARS).collect();
        format!("{object}: {said}; {way_out}")
    }
}

const REACH: &str = "is the store up, and recording.store_endpoint right?";
