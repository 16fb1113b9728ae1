//! docs/PERSONAS.md names every field that a persona's head may have.

use std::path::Path;

#[test]
fn every_field_of_the_head_is_told() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let head = std::fs::read_to_string(here.join("src/dialogue/persona/head.rs")).expect("the head");
    let page = std::fs::read_to_string(here.join("../docs/PERSONAS.md")).expect("the page");
    let fields = head.split("struct Head {").nth(1).and_then(|rest| rest.split('}').next()).expect("its fields");
    let names: Vec<&str> =
        fields.lines().filter_map(|line| line.trim().split_once(':')).map(|(name, _)| name).collect();
    assert!(names.len() > 25 && names.contains(&"examples"), "{names:?}");
    let untold: Vec<&&str> = names.iter().filter(|name| !page.contains(&format!("`{name}"))).collect();
    assert!(untold.is_empty(), "docs/PERSONAS.md does not tell of {untold:?}");
}
