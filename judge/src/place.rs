//! Where the base encoder lies.

use crate::judge::BASE_WEIGHTS;
use std::path::PathBuf;

/// The folder of all-MiniLM-L6-v2: `$DUOLOGUE_JUDGE_BASE`, else `minilm` in the models library (`$DUOLOGUE_MODELS`, else
/// `$XDG_DATA_HOME/duologue/models`, else `$HOME/.local/share/duologue/models`). The first that holds the weights.
#[must_use]
pub fn base_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let library = set("DUOLOGUE_MODELS")
        .or_else(|| Some(set("XDG_DATA_HOME")?.join("duologue/models")))
        .or_else(|| Some(set("HOME")?.join(".local/share/duologue/models")));
    let places = [set("DUOLOGUE_JUDGE_BASE"), library.map(|folder| folder.join("minilm"))];
    places.into_iter().flatten().find(|folder| folder.join(BASE_WEIGHTS).is_file())
}
