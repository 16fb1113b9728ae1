use super::*;

fn faults(text: &str) -> Vec<Fault> {
    Config::parse(text, "test.toml").expect_err("a fault").faults
}

#[test]
fn the_example_file_is_the_one_in_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("duologue.example.toml");
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(&path, Config::example()).expect("a writable repository");
    }
    let kept = std::fs::read_to_string(&path).expect("duologue.example.toml");
    let example = Config::example();
    let differs = kept.lines().zip(example.lines()).find(|(kept, made)| kept != made);
    assert_eq!(differs, None, "write it anew: UPDATE_EXAMPLES=1 cargo test --release --lib config");
    assert_eq!(kept.len(), example.len(), "write it anew: UPDATE_EXAMPLES=1 cargo test --release --lib config");
}

#[test]
fn the_example_file_reads_as_the_defaults() {
    assert_eq!(Config::parse(&Config::example(), "example"), Ok(Config::default()));
}

#[test]
fn every_line_that_the_example_shows_commented_out_is_valid() {
    let text: String = Config::example()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = \"") && !key.contains("_file") && key.starts_with(char::is_lowercase) => {
                format!("{key}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let config = Config::parse(&text, "example").expect("valid");
    assert_eq!(config.llm.url.as_ref().map(HttpUrl::as_str), Some("http://127.0.0.1:11434"));
    assert_eq!(config.llm.key_env.as_deref(), Some("OPENAI_API_KEY"));
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Config::parse("", "empty"), Ok(Config::default()));
}

#[test]
fn all_faults_are_named_at_once_with_key_value_range_and_unit() {
    let text = "[floor]\nendpoint_ms = 9\nvad_threshold = 7\nendpiont_ms = 3\n\n[http]\nlisten = \"localhost\"\n\n[lmm]\nx = 1\n";
    let found = faults(text);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 5, "{lines:#?}");
    assert_eq!(lines[0], "line 2: floor.endpoint_ms = 9: must be 80 to 2000 ms");
    assert_eq!(lines[1], "line 3: floor.vad_threshold = 7: must be 0.1 to 0.95");
    assert!(
        lines[2].starts_with("line 4: floor.endpiont_ms: unknown; the keys here are vad_threshold, onset_ms"),
        "{}",
        lines[2]
    );
    assert!(
        lines[3].starts_with("line 7: http.listen = \"localhost\": must be an IP address with a port"),
        "{}",
        lines[3]
    );
    assert!(lines[4].starts_with("line 9: lmm: unknown; the sections here are http, media"), "{}", lines[4]);
}

#[test]
fn broken_toml_is_named_with_its_line() {
    let found = faults("[floor]\nendpoint_ms = = 3\n");
    assert_eq!(found[0].line, Some(2), "{found:#?}");
    assert!(found[0].allowed.starts_with("not TOML"), "{}", found[0].allowed);
}

#[test]
fn values_of_the_wrong_type_are_faults_and_no_panic() {
    for value in ["\"x\"", "-1", "1e9", "99999999999999999999999", "[]", "{}", "1979-05-27", "true", "nan"] {
        for key in
            ["floor.onset_ms", "floor.vad_threshold", "http.cors_origins", "llm.url", "llm.backend", "log.filter"]
        {
            match Config::parse(&format!("{key} = {value}"), "t") {
                Ok(config) => assert!(
                    matches!((key, value), ("http.cors_origins", "[]") | ("log.filter", "\"x\"")),
                    "{key} = {value} was taken: {config:?}"
                ),
                Err(faults) => assert!(faults.to_string().contains(key), "{faults}"),
            }
        }
    }
}

#[test]
fn pairs_that_disagree_are_faults() {
    for (text, key) in [
        ("[floor]\nendpoint_ms = 900\nendpoint_ceiling_ms = 500", "floor.endpoint_ceiling_ms"),
        ("[floor]\nonset_ms = 300\nbarge_in_ms = 200", "floor.barge_in_ms"),
        ("[media]\njitter_min_ms = 100\njitter_max_ms = 90", "media.jitter_max_ms"),
        ("[llm]\nbackend = \"openai\"", "llm.url"),
        ("[llm]\nkey_env = \"A\"\nkey_file = \"b\"", "llm.key_file"),
        ("[tts]\nvoice = \"auto\"", "tts.voice"),
    ] {
        let found = faults(text);
        assert_eq!(found.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), [key], "{text}");
    }
}

#[test]
fn a_missing_file_says_so_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Config::load(Some(&folder.path().join("none.toml"))).expect_err("a fault").to_string();
    assert!(error.contains("none.toml") && error.contains("--config"), "{error}");
}

#[test]
fn a_model_is_an_id_a_path_or_an_address() {
    assert_eq!(ModelRef::from_text("auto"), ModelRef::Auto);
    assert_eq!(ModelRef::from_text("meta/llama-3:8b"), ModelRef::Id("meta/llama-3:8b".into()));
    assert_eq!(ModelRef::from_text("./a"), ModelRef::Path("./a".into()));
    assert_eq!(ModelRef::from_text("models/b.gguf"), ModelRef::Path("models/b.gguf".into()));
    assert_eq!(ModelRef::from_text("https://e.org/c.gguf"), ModelRef::Url("https://e.org/c.gguf".into()));
}

#[test]
fn a_secret_comes_from_its_file_and_is_never_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "s3cret\n").expect("written");
    let config = Config::parse(&format!("llm.key_file = {:?}", file.display().to_string()), "t").expect("valid");
    let key = config.llm.key().expect("readable").expect("a key");
    assert_eq!(key.reveal(), "s3cret");
    assert!(!format!("{key:?}").contains("s3cret"));

    std::fs::write(&file, "\n").expect("written");
    assert!(config.llm.key().expect_err("empty").to_string().contains("llm.key_file"));
    let unset = Config::parse("llm.key_env = \"DUOLOGUE_TEST_NO_SUCH_VARIABLE\"", "t").expect("valid");
    assert!(unset.llm.key().expect_err("unset").to_string().contains("DUOLOGUE_TEST_NO_SUCH_VARIABLE"));
}
