//! The models' files, and whether what is made of them keeps its contract.

use crate::assembly;
use crate::backend::contract::{self, Outcome};
use crate::config::{AsrBackend, Config, JudgeKind, LlmBackend, ModelRef, TtsBackend, TurnKind};
use crate::models::{Library, Presence};

use super::{Finding, Verdict};

/// The key that names the judge: without its model the rules judge, and calls are taken.
const JUDGE: &str = "judge.kind";

/// The models that a configuration needs, each once, with the key that names it.
fn needed(config: &Config) -> Vec<(&'static str, ModelRef)> {
    let own = |id: &str| ModelRef::Id(id.to_owned());
    let mut needed = Vec::new();
    if config.asr.backend == AsrBackend::Whisper {
        let partial = config.asr.partial_model.or_auto("whisper-tiny.en");
        let last = config.asr.final_model.or_auto(assembly::auto_final_model());
        if partial != last {
            needed.push(("asr.partial_model", partial));
        }
        needed.push(("asr.final_model", last));
        needed.push(("voice detection", own("silero-vad")));
    }
    let hears_turns = config.turn.model == TurnKind::SmartTurn && config.asr.backend == AsrBackend::Whisper;
    if hears_turns {
        needed.push(("turn.model", own("smart-turn")));
    }
    if config.llm.backend == LlmBackend::Embedded {
        needed.push(("llm.model", config.llm.model.clone()));
    }
    if config.tts.backend == TtsBackend::Piper {
        needed.push(("tts.voice", config.tts.voice.clone()));
    }
    if config.judge.kind == JudgeKind::Tuned {
        needed.push((JUDGE, own("minilm")));
    }
    if hears_turns || config.tts.backend == TtsBackend::Piper {
        needed.push(("voice and end of turn", own("onnxruntime")));
    }
    needed
}

/// Each model's files: there, whole, and what the manifest says that they are. Reads all of them.
pub(super) async fn models(config: &Config) -> Vec<Finding> {
    let library = match Library::open(config.models.dir.clone()) {
        Ok(library) => library,
        Err(error) => return vec![Finding::error("models", error)],
    };
    let needed = needed(config);
    let verified = tokio::task::spawn_blocking(move || {
        needed.iter().flat_map(|(key, model)| model_rows(&library, key, model)).collect()
    });
    verified.await.unwrap_or_else(|panic| vec![Finding::error("models", panic)])
}

fn model_rows(library: &Library, key: &str, model: &ModelRef) -> Vec<Finding> {
    let what = format!("models: {model} ({key})");
    match model {
        ModelRef::Id(id) => match library.manifest().model(id).map(|known| library.presence(known)) {
            // One line, however many files it has.
            Ok(Presence::Absent) if key == JUDGE => {
                let what = format!("{what} is not here: the rules judge, and nothing is refused or deflected");
                vec![Finding::warn(what, format!("duologue models fetch {id}, or set judge.kind = \"rules\""))]
            }
            Ok(Presence::Absent) => {
                vec![Finding::fail(format!("{what} is not here"), format!("duologue models fetch {id}"))]
            }
            Ok(_) => match library.verify(&[id]) {
                Ok(()) => vec![Finding::ok(format!("{what} is here and intact"))],
                Err(faults) => faults.iter().map(|fault| Finding::error(&what, fault)).collect(),
            },
            Err(fault) => vec![Finding::error(&what, fault)],
        },
        ModelRef::Path(path) if path.is_file() => vec![Finding::ok(format!("{what} is a file of your own"))],
        ModelRef::Path(_) => vec![Finding::fail(format!("{what} is not there"), format!("correct the path in {key}"))],
        ModelRef::Url(_) => vec![Finding::ok(format!("{what} is fetched when it is not here yet"))],
        ModelRef::Auto => {
            vec![Finding::fail(format!("{what} cannot be chosen for you"), format!("name a model as {key}"))]
        }
    }
}

/// Said in place of the back ends while a model is missing.
pub(super) fn not_tried() -> Finding {
    Finding::warn("back ends: not tried without their models", "fetch the models above, then check again")
}

/// Loads every engine and holds it to its contract.
pub(super) async fn back_ends(config: &Config) -> Vec<Finding> {
    let engines = match assembly::assemble(config, Vec::new()).await {
        Ok(engines) => engines,
        Err(error) => return vec![Finding::error("back ends", error)],
    };
    let mut rows = contract_rows(&engines.asr.name(), &contract::check_asr(engines.asr.as_ref()).await);
    rows.extend(contract_rows(&engines.llm.name(), &contract::check_llm(engines.llm.as_ref()).await));
    rows.extend(contract_rows(&engines.tts.name(), &contract::check_tts(engines.tts.as_ref()).await));
    rows
}

/// A back end's contract as rows: one when all of it is kept, else one for each promise that is not.
pub fn contract_rows(engine: &str, found: &[contract::Finding]) -> Vec<Finding> {
    let row = |finding: &contract::Finding| match &finding.outcome {
        Outcome::Holds => None,
        Outcome::NotOffered(why) => {
            Some(Finding::warn(format!("back ends: {engine} does not offer: {} ({why})", finding.name), ""))
        }
        Outcome::Broken(why) => Some(Finding::fail(
            format!("back ends: {engine} breaks its contract: {}: {why}", finding.name),
            "choose another model or back end in the configuration, or update the server behind it",
        )),
    };
    let mut rows: Vec<Finding> = found.iter().filter_map(row).collect();
    if rows.iter().all(|row| row.verdict != Verdict::Fail) {
        let kept = found.iter().filter(|finding| finding.outcome == Outcome::Holds).count();
        rows.insert(
            0,
            Finding::ok(format!("back ends: {engine} keeps its contract ({kept} of {} promises)", found.len())),
        );
    }
    rows
}
