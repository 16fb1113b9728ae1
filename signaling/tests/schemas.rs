//! The JSON Schemas in `schemas/` are those of the types, and everything that goes over the wire has one.
//! `UPDATE_EXAMPLES=1 cargo test -p duologue-signaling --test schemas` writes them anew.

use std::path::Path;

use duologue_signaling::event::{ClientMessage, Stamped};
use duologue_signaling::problem::Problem;
use duologue_signaling::webhook::Hook;
use schemars::{Schema, schema_for};
use serde_json::Value;

#[test]
fn the_schemas_are_those_of_the_types() {
    let schemas: [(&str, Schema); 4] = [
        ("event", schema_for!(Stamped)),
        ("client-message", schema_for!(ClientMessage)),
        ("webhook", schema_for!(Hook)),
        ("problem", schema_for!(Problem)),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, schema) in schemas {
        let file = folder.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            std::fs::write(&file, text).expect("written");
            continue;
        }
        let there = std::fs::read_to_string(&file).expect("a schema");
        assert_eq!(there, text, "{} is not current: see the head of this test", file.display());
    }
}

#[test]
fn every_example_of_a_webhook_is_one() {
    for line in include_str!("../fixtures/webhooks.jsonl").lines() {
        let hook: Hook = serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        assert_eq!(hook.kind, hook.data.event.event.name());
        let written: Value = serde_json::to_value(&hook).expect("JSON");
        assert_eq!(written, serde_json::from_str::<Value>(line).expect("JSON"));
    }
}
