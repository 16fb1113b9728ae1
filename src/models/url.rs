//! Fetches one file over http(s), resuming where an earlier attempt was cut: for a user's own model and for a
//! publisher's copy of a listed one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{Client, Response, StatusCode};

use super::digest::Digests;
use super::error::ModelError;
use super::progress::Progress;

#[cfg(test)]
mod tests;

/// A cut connection is taken up again this often before the fault is shown.
const ATTEMPTS: u32 = 3;

/// Fetches `url` to `dest`. A cut download leaves `dest.part`, which the next call completes if the server still has the
/// same file. With `sha256`, a file that differs is refused and removed.
///
/// # Errors
/// Names the URL, the fault and what is kept.
pub async fn fetch_url(url: &str, sha256: Option<&str>, dest: &Path) -> Result<(), ModelError> {
    let client = client().map_err(|fault| failed(url, &fault, 0))?;
    let download = Download::new(url, dest)?;
    let mut progress = Progress::new(0);
    progress.label(&dest.file_name().unwrap_or_default().to_string_lossy());
    let mut fault = String::new();
    for _ in 0..ATTEMPTS {
        match download.attempt(&client, &mut progress).await {
            Ok(()) => return download.install(sha256),
            Err(Cut::Local(fault)) => return Err(fault),
            Err(Cut::Refused(fault)) => return Err(failed(url, &fault, download.kept())),
            Err(Cut::Network(network)) => fault = network,
        }
    }
    Err(failed(url, &fault, download.kept()))
}

fn failed(url: &str, fault: &dyn ToString, kept: u64) -> ModelError {
    ModelError::Url { url: url.to_owned(), fault: fault.to_string(), kept }
}

fn client() -> Result<Client, reqwest::Error> {
    // Refused only where another part of the program has installed a provider already: that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().connect_timeout(Duration::from_secs(20)).read_timeout(Duration::from_secs(60)).build()
}

/// Why an attempt ended.
enum Cut {
    /// Worth another attempt.
    Network(String),
    /// The server does not give the file.
    Refused(String),
    /// This machine cannot keep it.
    Local(ModelError),
}

impl From<reqwest::Error> for Cut {
    fn from(fault: reqwest::Error) -> Self {
        // reqwest's own text leaves out the cause, which is what helps.
        let mut text = fault.to_string();
        let mut cause = std::error::Error::source(&fault);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Cut::Network(text)
    }
}

struct Download<'a> {
    url: &'a str,
    dest: &'a Path,
    part: PathBuf,
    /// Holds the server's mark of the version that `part` is from; without it nothing can be resumed safely.
    version: PathBuf,
}

impl<'a> Download<'a> {
    fn new(url: &'a str, dest: &'a Path) -> Result<Self, ModelError> {
        if let Some(directory) = dest.parent() {
            fs::create_dir_all(directory).map_err(ModelError::io(directory))?;
        }
        let beside = |ending: &str| {
            let mut path = dest.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        Ok(Download { url, dest, part: beside(".part"), version: beside(".part.version") })
    }

    fn kept(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |metadata| metadata.len())
    }

    async fn attempt(&self, client: &Client, progress: &mut Progress) -> Result<(), Cut> {
        let version = fs::read_to_string(&self.version).ok().filter(|_| self.kept() > 0);
        let mut request = client.get(self.url);
        if let Some(version) = version {
            request = request.header(RANGE, format!("bytes={}-", self.kept())).header(IF_RANGE, version);
        }
        let mut response = request.send().await?;
        let mut file = match response.status() {
            StatusCode::PARTIAL_CONTENT => OpenOptions::new().append(true).open(&self.part),
            status if status.is_success() => self.begin(&response).and_then(|()| File::create(&self.part)),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let _ = fs::remove_file(&self.version);
                return Err(Cut::Network("the server no longer has the file that was begun".to_owned()));
            }
            status if status.is_server_error() => return Err(Cut::Network(format!("the server says {status}"))),
            status => return Err(Cut::Refused(format!("the server says {status}"))),
        }
        .map_err(|fault| self.local(fault))?;
        let mut arrived = if response.status() == StatusCode::PARTIAL_CONTENT { self.kept() } else { 0 };
        progress.total(arrived + response.content_length().unwrap_or(0));
        while let Some(chunk) = response.chunk().await? {
            file.write_all(&chunk).map_err(|fault| self.local(fault))?;
            arrived += chunk.len() as u64;
            progress.at(arrived);
        }
        file.sync_all().map_err(|fault| self.local(fault))
    }

    /// Remembers which version of the file is begun.
    fn begin(&self, response: &Response) -> std::io::Result<()> {
        match version_of(response.headers()) {
            Some(version) => fs::write(&self.version, version),
            None => match fs::remove_file(&self.version) {
                Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => Err(fault),
                _ => Ok(()),
            },
        }
    }

    fn local(&self, fault: std::io::Error) -> Cut {
        Cut::Local(ModelError::io(&self.part)(fault))
    }

    fn install(&self, sha256: Option<&str>) -> Result<(), ModelError> {
        let _ = fs::remove_file(&self.version);
        if let Some(expected) = sha256 {
            let got = Digests::of(&self.part, false).map_err(ModelError::io(&self.part))?.sha256;
            if !got.eq_ignore_ascii_case(expected) {
                let _ = fs::remove_file(&self.part);
                let file = self.url.to_owned();
                return Err(ModelError::UrlDigest { file, expected: expected.to_owned(), got });
            }
        }
        fs::rename(&self.part, self.dest).map_err(ModelError::io(self.dest))
    }
}

/// A strong validator (RFC 9110, 13.1.5): a weak tag must not be used to join byte ranges.
fn version_of(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = text(ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}
