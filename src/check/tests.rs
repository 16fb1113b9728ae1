use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use super::*;
use crate::backend::contract;
use crate::config::ModelRef;

/// No models, a folder of its own, ports that the system chooses: nothing to fail on.
fn sound(folder: &Path) -> Config {
    let persona = "---\nname: default\n---\nYou are brief.\n";
    std::fs::create_dir(folder.join("personas")).expect("a folder");
    std::fs::write(folder.join("personas/default.md"), persona).expect("a persona");
    let text = "[http]\nlisten = \"127.0.0.1:0\"\n[media]\nudp_port = 0\n[asr]\nbackend = \"scripted\"\n\
                [turn]\nmodel = \"none\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n\
                [judge]\nkind = \"rules\"\n";
    let mut config = Config::parse(text, "test").expect("valid");
    config.store.path = folder.join("duologue.db");
    config.personas.dir = folder.join("personas");
    config.personas.default = "default".into();
    config.models.dir = Some(folder.join("models"));
    config
}

#[tokio::test]
async fn each_thing_in_the_way_is_one_failure_with_its_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tcp, udp) =
        (TcpListener::bind("127.0.0.1:0").expect("a port"), UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let mut config = sound(folder.path());
    config.http.listen = tcp.local_addr().expect("an address");
    config.media.udp_port = udp.local_addr().expect("an address").port();
    config.store.path = folder.path().join("nowhere/duologue.db");
    config.personas.default = "nobody".into();
    config.llm.key_env = Some("DUOLOGUE_TEST_NO_SUCH_VARIABLE".into());
    config.tts.backend = crate::config::TtsBackend::Piper;
    config.tts.voice = ModelRef::Path(folder.path().join("none.onnx"));
    let all = findings(&config, |_| {}).await;
    let expected = [
        ("DUOLOGUE_TEST_NO_SUCH_VARIABLE", "set it"),
        ("nobody", "personas.dir"),
        ("does not exist", "store.path"),
        ("TCP", "http.listen"),
        ("UDP", "media.udp_port"),
        ("none.onnx", "tts.voice"),
        ("onnxruntime", "duologue models fetch onnxruntime"),
    ];
    let failed: Vec<String> =
        all.iter().filter(|finding| finding.verdict == Verdict::Fail).map(ToString::to_string).collect();
    assert_eq!(failed.len(), expected.len(), "{failed:#?}");
    for (line, (what, way_out)) in failed.iter().zip(expected) {
        assert!(line.contains(what) && line.contains(way_out), "{what:?} and {way_out:?} are not in {line:?}");
    }
    assert_eq!(all.last(), Some(&engines::not_tried()));
}

#[tokio::test]
async fn what_is_as_it_should_be_is_one_line_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = sound(folder.path());
    let mut ground = ground::personas(&config);
    ground.push(ground::database(&config).await.0);
    ground.extend(ground::ports(&config, false));
    ground.extend(engines::models(&config).await);
    assert_eq!(ground.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [Verdict::Ok; 4], "{ground:#?}");
}

#[tokio::test]
async fn a_server_that_has_its_own_file_and_ports_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = sound(folder.path());
    let running = crate::store::Store::open(&config.store.path).await.expect("a database");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    config.http.listen = tcp.local_addr().expect("an address");
    let (database, served) = ground::database(&config).await;
    assert_eq!((database.verdict, served), (Verdict::Warn, true));
    let verdicts: Vec<Verdict> = ground::ports(&config, served).iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Warn, Verdict::Ok]);
    running.close().await;
}

#[tokio::test]
async fn without_its_model_the_judge_is_a_warning_with_both_ways_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = sound(folder.path());
    config.judge.kind = crate::config::JudgeKind::Tuned;
    let found = engines::models(&config).await;
    assert_eq!(found.iter().map(|finding| finding.verdict).collect::<Vec<_>>(), [Verdict::Warn], "{found:#?}");
    let line = found[0].to_string();
    assert!(line.contains("duologue models fetch minilm") && line.contains("judge.kind = \"rules\""), "{line}");
}

#[test]
fn a_contract_is_one_line_when_kept_and_a_line_for_each_broken_promise() {
    let finding = |name, outcome| contract::Finding { name, outcome };
    let kept = [
        finding("streams", contract::Outcome::Holds),
        finding("primes", contract::Outcome::NotOffered("no cache".into())),
    ];
    let lines: Vec<String> = contract_rows("a model", &kept).iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "ok    back ends: a model keeps its contract (1 of 2 promises)");
    assert!(lines[1].starts_with("warn  back ends: a model does not offer: primes (no cache)"), "{}", lines[1]);
    let broken =
        [finding("streams", contract::Outcome::Broken("silence".into())), finding("stops", contract::Outcome::Holds)];
    let lines: Vec<String> = contract_rows("a model", &broken).iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("FAIL  back ends: a model breaks its contract: streams: silence\n      -> choose"),
        "{}",
        lines[0]
    );
}
