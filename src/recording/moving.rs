//! The way of finished recordings to the store, and of those that are gone out of it. What cannot be done now is done later: rows
//! remember it.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::house::Housekeeping;
use super::objects::ObjectShelf;
use super::pages::hex;
use super::shelf::RecordingShelf;
use crate::journal::CallId;
use crate::store::{Reader, Unstored, name_object, object_removed, object_stored, utc_ms};

/// How often rows are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest pause before a store that fails is tried again.
const PAUSE_MOST: Duration = Duration::from_secs(300);

/// What a server knows of its moving.
#[derive(Debug)]
pub struct Moving {
    /// Until the store is tried again.
    pub pause: Duration,
    /// Recordings that the store did not take last time: others go first.
    refused: HashSet<CallId>,
    /// Recordings whose files are not what their rows say; told once, and looked at again after a sweep.
    strange: HashSet<CallId>,
}

impl Default for Moving {
    fn default() -> Self {
        Self { pause: LOOK_EVERY, refused: HashSet::new(), strange: HashSet::new() }
    }
}

impl Housekeeping {
    /// Takes away what is to go, sends what is finished. Where the store fails the rest waits, longer each time.
    pub async fn move_out(&self, moving: &mut Moving) {
        let Some(objects) = &self.shelf.objects else { return };
        let taken = self.take_away(objects).await;
        let sent = self.send_all(objects, moving).await;
        match taken.and(sent) {
            Ok(()) => moving.pause = LOOK_EVERY,
            Err(why) => {
                moving.pause = (moving.pause * 2).min(PAUSE_MOST);
                self.recorder.meters().store_failed();
                tracing::warn!(%why, next_try_s = moving.pause.as_secs(), "recordings wait for their store; nothing of them is lost");
            }
        }
    }

    async fn take_away(&self, objects: &ObjectShelf) -> io::Result<()> {
        for gone in self.store.unremoved().await.map_err(io::Error::other)? {
            // Nothing is being sent now: this task alone sends.
            objects.take_away(&gone.object).await?;
            object_removed(self.store.path(), &gone.object).await.map_err(io::Error::other)?;
        }
        Ok(())
    }

    async fn send_all(&self, objects: &ObjectShelf, moving: &mut Moving) -> io::Result<()> {
        let mut waiting = self.store.unstored().await.map_err(io::Error::other)?;
        waiting.sort_by_key(|row| moving.refused.contains(&row.call));
        let mut left = waiting.len();
        self.recorder.meters().recordings_waiting(left);
        for row in &waiting {
            if moving.strange.contains(&row.call) {
                continue;
            }
            match self.send(objects, row).await {
                Ok(true) => {
                    moving.refused.remove(&row.call);
                    left -= 1;
                    self.recorder.meters().recordings_waiting(left);
                }
                Ok(false) => {}
                Err(why) if why.kind() == io::ErrorKind::InvalidData => {
                    moving.strange.insert(row.call.clone());
                    tracing::warn!(%why, file = row.file, "a recording stays in the folder");
                }
                Err(why) => {
                    moving.refused.insert(row.call.clone());
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    /// True when it is on the store; false where there is nothing to send.
    async fn send(&self, objects: &ObjectShelf, row: &Unstored) -> io::Result<bool> {
        let path = self.store.path();
        let file = self.shelf.path(&row.file);
        let bytes = match (tokio::fs::read(&file).await, &row.object) {
            (Ok(bytes), _) => bytes,
            // Sent, and taken out of the folder, by a server that stopped before it could say so.
            (Err(why), Some(object)) if why.kind() == io::ErrorKind::NotFound => {
                match objects.fetch(object, None).await {
                    Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(strange(&why.to_string())),
                    fetched => fetched?,
                }
            }
            (Err(why), _) => return Err(strange(&why.to_string())),
        };
        let (keys, kept) = (self.shelf.keys.clone(), bytes.clone());
        let opened = tokio::task::spawn_blocking(move || keys.opened(kept).map(|sound| hex(&Sha256::digest(&sound))));
        let sha256 = opened.await.map_err(io::Error::other)?.map_err(|why| strange(&why.to_string()))?;
        if sha256 != row.sha256 {
            return Err(strange("the file is not the one whose hash is in the row"));
        }
        let object = row.object.clone().unwrap_or_else(|| objects.name_for(&row.call));
        if row.object.is_none() && !name_object(path, &row.call, &object).await.map_err(io::Error::other)? {
            return Ok(false);
        }
        if file.exists() {
            objects.send(&object, bytes).await?;
        }
        let take_away = || match std::fs::remove_file(&file) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
            _ => Ok(()),
        };
        let stored = object_stored(path, row, &object, utc_ms(), take_away).await.map_err(io::Error::other)?;
        if stored {
            self.recorder.meters().recording_stored();
        } else {
            // Taken away or redacted while it was on its way. Its name is in `unremoved`; whoever put it there leaves it to us.
            objects.take_away(&object).await?;
            object_removed(path, &object).await.map_err(io::Error::other)?;
        }
        Ok(stored)
    }
}

fn strange(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// Takes away what rows have let go of, of one call or of all, as far as it can be done at once; the server does the rest. `database` is the
/// path of the rows.
///
/// # Errors
/// When something of it is still on the store; the text says so and why.
pub async fn take_away_left(database: &Path, shelf: &RecordingShelf, call: Option<&str>) -> io::Result<()> {
    let reader = Reader::of(database);
    let mut left = Vec::new();
    let mut reason = "it was on its way".to_owned();
    for gone in reader.unremoved().await.map_err(io::Error::other)? {
        if call.is_some_and(|call| call != gone.call) {
            continue;
        }
        let taken = match &shelf.objects {
            _ if !gone.arrived => None,
            None => {
                "recording.store is not set".clone_into(&mut reason);
                None
            }
            Some(objects) => match objects.take_away(&gone.object).await {
                Ok(()) => Some(object_removed(database, &gone.object).await.map_err(io::Error::other)?),
                Err(why) => {
                    reason = why.to_string();
                    None
                }
            },
        };
        if taken.is_none() {
            left.push(gone.object);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} still on the store ({reason}); the server takes it away as soon as it can, and the table unremoved names it until then",
        left.join(", ")
    )))
}
