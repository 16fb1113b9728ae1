//! `--set floor.endpoint_ms=600`: the call's own settings with another number in them.

use serde_json::Value;

use duologue_core::machine::MachineSettings;

use crate::config::Config;
use crate::serve::{conversation_settings, ear_settings};

/// Sections whose numbers a machine is made from.
const SECTIONS: [&str; 8] = ["media", "floor", "asr", "turn", "judge", "knowledge", "search", "follow_ups"];
/// What says something about the house and nothing about calls.
const PRIVATE: [&str; 3] = ["public_addresses", "url", "key"];

/// Why something cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetFault {
    #[error("--set {0}: write it as section.key=value, as in floor.endpoint_ms=600")]
    Form(String),
    #[error("--set {what}: {why}")]
    Value { what: String, why: String },
    #[error("--set {0} changes nothing that a call's machine is made from")]
    Nothing(String),
}

/// What is set otherwise than usual of what calls depend on, as TOML: for heads.
pub fn config_of(config: &Config) -> String {
    let (mine, usual) = (config.text(), Config::default().text());
    let mut out = String::new();
    let mut section = "";
    let mut told = "";
    for (line, usual) in mine.lines().zip(usual.lines()) {
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            section = name;
        } else if line != usual
            && !line.starts_with('#')
            && SECTIONS.contains(&section)
            && !PRIVATE.iter().any(|word| line.starts_with(word))
        {
            if told != section {
                out.push_str(&format!("[{section}]\n"));
                told = section;
            }
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

/// Puts `section.key=value` into a call's settings, where `config` is the one that it had.
///
/// # Errors
/// When there is no such key, the value is out of its range, or no machine depends on it.
pub fn apply(settings: &MachineSettings, config: &str, what: &str) -> Result<MachineSettings, SetFault> {
    let form = || SetFault::Form(what.to_owned());
    let ((section, key), value) =
        what.split_once('=').and_then(|(path, value)| Some((path.split_once('.')?, value))).ok_or_else(form)?;
    let fault = |why: String| SetFault::Value { what: what.to_owned(), why };
    let before = Config::parse(config, "the call's configuration").unwrap_or_default();
    let changed = changed(config, section.trim(), key.trim(), value.trim());
    let after = Config::parse(&changed, "what it would be").map_err(|faults| fault(faults.to_string()))?;
    let of = |config: &Config| {
        serde_json::to_value((conversation_settings(config), ear_settings(config)))
            .map_err(|why| fault(why.to_string()))
    };
    let mut mine =
        serde_json::to_value((&settings.conversation, &settings.ear)).map_err(|why| fault(why.to_string()))?;
    if !put_changes(&mut mine, &of(&before)?, &of(&after)?) {
        return Err(SetFault::Nothing(what.to_owned()));
    }
    let (conversation, ear) = serde_json::from_value(mine).map_err(|why| fault(why.to_string()))?;
    Ok(MachineSettings { conversation, ear, ..settings.clone() })
}

/// The configuration with one value changed; a word is quoted where TOML wants it.
fn changed(config: &str, section: &str, key: &str, value: &str) -> String {
    let mut document: toml::Table = config.parse().unwrap_or_default();
    let plain = format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    let value = plain.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let place = document.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(table) = place.as_table_mut() {
        table.insert(key.to_owned(), value);
    }
    document.to_string()
}

/// Where `after` differs from `before`, `mine` becomes like `after`. True where it does anywhere.
fn put_changes(mine: &mut Value, before: &Value, after: &Value) -> bool {
    match (mine, before, after) {
        (Value::Object(mine), Value::Object(before), Value::Object(after)) => {
            let mut any = false;
            for (key, after) in after {
                if let (Some(mine), Some(before)) = (mine.get_mut(key), before.get(key)) {
                    any |= put_changes(mine, before, after);
                }
            }
            any
        }
        (Value::Array(mine), Value::Array(before), Value::Array(after)) => {
            let values = mine.iter_mut().zip(before).zip(after);
            values.fold(false, |any, ((mine, before), after)| put_changes(mine, before, after) | any)
        }
        (mine, before, after) if before != after => {
            *mine = after.clone();
            true
        }
        _ => false,
    }
}
