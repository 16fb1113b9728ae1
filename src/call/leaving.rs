//! A server that is about to stop takes no more calls and lets those that are there end by themselves.

use std::time::Duration;

use super::registry::Registry;

/// How often it is looked whether the last call is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Registry {
    /// From here on every call is refused; those that are there go on.
    pub fn take_no_more(&self) {
        self.lines.close();
    }

    /// Whether no more calls are taken.
    pub fn is_leaving(&self) -> bool {
        self.lines.is_closed()
    }

    /// Whether the next call would find all lines taken.
    pub fn is_full(&self) -> bool {
        self.lines.available_permits() == 0
    }

    /// Waits until no call is alive.
    pub async fn empty(&self) {
        while self.count() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
