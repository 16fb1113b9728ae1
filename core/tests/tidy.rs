//! The house rules that a machine can check: rings, sizes, channels, owners of tasks. A rule that fails names the line.

use std::path::{Path, PathBuf};

/// Lines of code in one file, blank lines and comments not counted.
const FILE_MAX: usize = 400;
/// Lines of one function, from `fn` to its closing brace.
const FUNCTION_MAX: usize = 70;

/// The workspace's.
fn root() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.parent().unwrap_or(core).to_owned()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<PathBuf> {
    ["src", "core/src", "judge/src", "signaling/src", "worker/src"]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a readable source file")
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}

#[test]
fn no_file_is_too_long_to_be_known() {
    let long: Vec<String> = sources()
        .iter()
        .chain(&rust_files("tests"))
        .chain(&rust_files("core/tests"))
        .filter_map(|path| {
            let lines = read(path).lines().filter(|line| is_code(line)).count();
            (lines > FILE_MAX).then(|| format!("{}: {lines} lines of code", shown(path)))
        })
        .collect();
    assert!(long.is_empty(), "over {FILE_MAX} lines of code:\n{}", long.join("\n"));
}

#[test]
fn no_function_is_too_long_to_be_seen_at_once() {
    let mut long = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            if !(trimmed.contains("fn ") && is_code(line) && starts_function(trimmed)) {
                continue;
            }
            let close = format!("{}}}", " ".repeat(indent));
            let Some(length) = lines[start..].iter().position(|line| line.trim_end() == close) else { continue };
            if length + 1 > FUNCTION_MAX {
                long.push(format!("{}:{}: {} lines", shown(&path), start + 1, length + 1));
            }
        }
    }
    assert!(long.is_empty(), "functions over {FUNCTION_MAX} lines:\n{}", long.join("\n"));
}

fn starts_function(line: &str) -> bool {
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", "fn", "unsafe", "extern"];
    line.split_whitespace().take_while(|word| words.contains(word)).any(|word| word == "fn")
}

/// Modules of a ring may name their own ring and the ones below it.
#[test]
fn rings_look_inwards_only() {
    let above: &[(&str, &[&str])] = &[
        (
            "core/src/audio",
            &["media", "dialogue", "journal", "backend", "call", "peer", "store", "web", "models", "config"],
        ),
        ("core/src/media", &["dialogue::conversation", "call", "peer", "store", "web", "models", "config"]),
        ("core/src/dialogue", &["call", "peer", "store", "web", "models", "config"]),
        ("core/src/machine", &["call", "peer", "store", "web", "models", "config"]),
        ("core/src/replay", &["call", "peer", "store", "web", "models", "config"]),
        ("src/backend", &["dialogue::conversation", "call", "peer", "store", "web"]),
        ("src/peer", &["call", "store", "web", "dialogue"]),
        ("src/store", &["call", "peer", "web", "dialogue"]),
        ("signaling/src", &["call", "peer", "store", "web"]),
    ];
    let mut wrong = Vec::new();
    for (folder, forbidden) in above {
        for path in rust_files(folder) {
            for (n, line) in read(&path).lines().enumerate().filter(|(_, line)| is_code(line)) {
                for module in *forbidden {
                    if line.contains(&format!("crate::{module}::")) || line.contains(&format!("crate::{module};")) {
                        wrong.push(format!("{}:{}: {}", shown(&path), n + 1, line.trim()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "looking outwards:\n{}", wrong.join("\n"));
}

/// The pure rings know no socket, file, clock or thread.
#[test]
fn pure_rings_touch_nothing() {
    let forbidden =
        ["std::fs", "std::net", "tokio::", "Instant::now", "SystemTime", "std::thread", "std::env", "println!"];
    let mut wrong = Vec::new();
    for path in ["core/src", "signaling/src"].iter().flat_map(|folder| rust_files(folder)) {
        let text = read(&path);
        let shipped = text.split("#[cfg(test)]").next().unwrap_or("");
        if shown(&path).contains("tests") {
            continue;
        }
        for (n, line) in shipped.lines().enumerate().filter(|(_, line)| is_code(line)) {
            if forbidden.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}: {}", shown(&path), n + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

#[test]
fn everything_is_bounded_and_owned() {
    let forbidden = [
        ("unbounded_channel", "a channel without a bound"),
        ("mpsc::unbounded", "a channel without a bound"),
        ("Arc<Mutex", "shared state behind a lock"),
        ("Arc<RwLock", "shared state behind a lock"),
        ("tokio::spawn(", "a task without an owner"),
        ("todo!(", "a stub"),
        ("unimplemented!(", "a stub"),
    ];
    let mut wrong = Vec::new();
    for path in sources() {
        for (n, line) in read(&path).lines().enumerate().filter(|(_, line)| is_code(line)) {
            for (word, what) in forbidden {
                let bare = word != "tokio::spawn(" || line.trim_start().starts_with(word);
                if line.contains(word) && bare {
                    wrong.push(format!("{}:{}: {what}: {}", shown(&path), n + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table in call/wire.rs names who makes channels; nobody else does.
#[test]
fn channels_are_made_where_the_table_says() {
    let makers = [
        "src/call/wire.rs",
        "src/peer/",
        "src/store/",
        "src/recording/",
        "src/traces/",
        "src/webhook/",
        "src/replay/",
        "src/backend/",
        "worker/src/",
    ];
    let mut wrong = Vec::new();
    for path in sources() {
        let name = shown(&path);
        if makers.iter().any(|maker| name.starts_with(maker)) {
            continue;
        }
        let text = read(&path);
        let shipped = text.split("#[cfg(test)]").next().unwrap_or("");
        for (n, line) in shipped.lines().enumerate().filter(|(_, line)| is_code(line)) {
            if line.contains("mpsc::channel(") || line.contains("broadcast::channel(") || line.contains("sync_channel(")
            {
                wrong.push(format!("{name}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "channels outside of the table:\n{}", wrong.join("\n"));
}

/// The core is pure because of what it is built from.
#[test]
fn the_core_is_built_without_io_crates() {
    let out = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--prefix", "none", "--offline", "-p", "duologue-core"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let tree = String::from_utf8_lossy(&out.stdout);
    assert!(tree.contains("duologue"), "cargo tree said: {}", String::from_utf8_lossy(&out.stderr));
    for io in ["tokio", "axum", "hyper", "reqwest", "sqlx", "webrtc", "rtc", "ort", "whisper-rs", "mio", "socket2"] {
        let found = tree.lines().find(|line| line.split(' ').next() == Some(io));
        assert!(found.is_none(), "the core depends on {io}");
    }
}
