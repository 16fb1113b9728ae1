//! The personas that come with the program, and files with faults, as `duologue persona` tells of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use duologue::serve::load_personas;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("personas")
}

fn persona(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_duologue"))
        .arg("persona")
        .args(arguments)
        .current_dir(home.path())
        .output()
        .expect("the program runs")
}

#[test]
fn four_characters_come_along_each_with_its_own_temper() {
    let all = load_personas(&folder(), "porter").expect("sound files");
    let talking: Vec<_> = all.iter().filter(|persona| !persona.echo).collect();
    let names: Vec<&str> = talking.iter().map(|persona| persona.name.as_str()).collect();
    assert_eq!(names, ["clinic", "companion", "porter", "tutor"]);
    for (n, persona) in talking.iter().enumerate() {
        assert!(!persona.role.is_empty() && !persona.stance.is_empty(), "{}: a judge reads both", persona.name);
        let alike = talking[..n].iter().find(|other| {
            (other.budgets, &other.priors, &other.ladder) == (persona.budgets, &persona.priors, &persona.ladder)
        });
        assert!(alike.is_none(), "{} is as {}", persona.name, alike.map_or("", |other| &other.name));
    }
}

#[test]
fn every_fault_of_a_file_is_named_by_its_line() {
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("faulty.md");
    let text =
        "---\nname: Faulty One\ntemperature: 9\nbudgets:\n  interrupts: 99\nopenning: Hello\n---\nYou are faulty.\n";
    std::fs::write(&file, text).expect("a file");
    let told = persona(&["check", &file.display().to_string()]);
    let out = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(!told.status.success(), "{out}");
    for line in ["line 2", "line 3", "line 5", "line 6"] {
        assert!(out.contains(line), "{line} is missing:\n{out}");
    }
    assert!(out.contains("did you mean 'opening'"), "{out}");
}

#[test]
fn a_sound_file_is_said_to_be_sound_and_a_missing_one_is_named() {
    let porter = folder().join("porter.md").display().to_string();
    let told = persona(&["check", &porter]);
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("'porter' is sound"), "{told:?}");
    let told = persona(&["check", "/nowhere/nobody.md"]);
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("/nowhere/nobody.md"), "{told:?}");
}
