//! How turns are taken: a labelled duplex corpus through the real ear, the real recogniser and turn model, and the real
//! conversation in virtual time, beside two other policies on the same sound and the same model answers.
//!
//! `make bench-floor`, or `cargo bench --profile release --bench floor -- --set floor.barge_in_ms=240`; `--help` has the rest.
//! docs/CORPUS.md says what is in the corpus and what of it is synthetic.

mod baselines;
mod evidence;
mod models;
mod ours;
mod play;
mod recipe;
mod render;
mod report;
mod score;
mod sound;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use duologue::audio::vad::SileroWeights;
use duologue::config::Config;
use duologue::dialogue::conversation::ConversationSettings;
use duologue::media::ear::EarSettings;
use duologue::serve;

use baselines::{Baseline, Rules};
use models::Models;
use ours::Ours;
use play::{Agent, Caller, Lines, Played, play};
use recipe::{Kind, Recipe, Scene};
use render::Renderer;
use score::{Row, score};

const OURS: &str = "duologue";
const SILENCE: &str = "700 ms of silence";
const CLEAN: &str = "CleanS2S's rules";

#[derive(Parser)]
struct Arguments {
    /// The settings to be measured; the defaults where none is named
    #[arg(long, value_name = "TOML")]
    settings: Option<PathBuf>,
    /// One setting: floor.barge_in_ms=240; again for more
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Only these kinds of scenes: turn,hesitate,dictate,backchannel,noise,side,interrupt,echo
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only the scenes whose names begin so
    #[arg(long)]
    scene: Option<String>,
    /// Leave the other two policies out
    #[arg(long)]
    alone: bool,
    /// Only one half of the scenes, a or b: no speaker, words or noise of the one is in the other
    #[arg(long)]
    half: Option<char>,
    /// Writes what is known at each pause of a caller's turn, one JSON line each, and stops
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Every n-th scene of each kind
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Writes each scene as a WAV with its labels in a JSON file beside it, and stops
    #[arg(long, value_name = "FOLDER")]
    render: Option<PathBuf>,
    /// One line for each scene and policy; beside the cache unless named
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Synthesised clips and the models' answers
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// The recordings
    #[arg(long, value_name = "FOLDER")]
    testdata: Option<PathBuf>,
    /// The scripted language model's first token after the request
    #[arg(long, default_value_t = 250.0)]
    first_token_ms: f32,
    /// And each word after that
    #[arg(long, default_value_t = 48.0)]
    word_ms: f32,
    /// A clause's first sound
    #[arg(long, default_value_t = 90.0)]
    voice_ms: f32,
    /// From cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Everything that is the same for all scenes.
struct Rig {
    arguments: Arguments,
    recipe: Recipe,
    models: Models,
    weights: Arc<SileroWeights>,
    conversation: ConversationSettings,
    ear: EarSettings,
    /// Calls in which nothing happens, by question and policy.
    undisturbed: HashMap<(usize, &'static str), Played>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = settings(&arguments)?;
    let recipe = Recipe::parse(include_str!("corpus.txt")).map_err(anyhow::Error::msg)?;
    let cache = arguments.cache.clone().unwrap_or_else(|| cache_folder().join("duologue/corpus"));
    let models = Models::open(config.models.folder(), &cache)?;
    let testdata =
        arguments.testdata.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/testdata"));
    let csv = arguments.csv.clone().unwrap_or_else(|| cache.join("floor.csv"));
    let mut rig = Rig {
        weights: models.silero()?,
        conversation: serve::conversation_settings(&config),
        ear: serve::ear_settings(&config),
        undisturbed: HashMap::new(),
        arguments,
        recipe,
        models,
    };
    let recipe = rig.recipe.clone();
    let mut renderer = Renderer::new(&recipe, testdata);
    if let Some(folder) = rig.arguments.render.clone() {
        return rig.write_corpus(&mut renderer, &folder);
    }
    if let Some(file) = rig.arguments.evidence.clone() {
        return rig.write_evidence(&mut renderer, &file);
    }
    let policies: Vec<&'static str> = if rig.arguments.alone { vec![OURS] } else { vec![OURS, SILENCE, CLEAN] };
    let began = std::time::Instant::now();
    let before = load();
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for scene in rig.scenes() {
        match rig.measure(&scene, &mut renderer, &policies) {
            Ok(measured) => rows.extend(measured),
            Err(fault) => left_out.push(format!("{}: {fault:#}", scene.name)),
        }
    }
    println!("{}", report::tables(&rows, &policies));
    println!(
        "{} scenes in {:.0} s; load average {before} before, {} after; {} answers of models, {} of them fresh",
        rows.len() / policies.len(),
        began.elapsed().as_secs_f64(),
        load(),
        rig.models.asked,
        rig.models.fresh
    );
    for line in &left_out {
        println!("left out: {line}");
    }
    std::fs::write(&csv, report::csv(&rows)).with_context(|| csv.display().to_string())?;
    println!("each scene: {}", csv.display());
    anyhow::ensure!(!rows.is_empty(), "nothing was measured");
    Ok(())
}

impl Rig {
    fn scenes(&self) -> Vec<Scene> {
        let mut seen: HashMap<Kind, usize> = HashMap::new();
        let wanted = |scene: &&Scene| {
            let kinds = &self.arguments.only;
            let kind = kinds.is_empty() || kinds.iter().any(|kind| kind == scene.kind.name());
            kind && self.arguments.half.is_none_or(|half| half == scene.half)
                && self.arguments.scene.as_ref().is_none_or(|name| scene.name.starts_with(name.as_str()))
        };
        let mut turn_of = |scene: &&Scene| {
            let n = seen.entry(scene.kind).or_default();
            *n += 1;
            (*n - 1) % self.arguments.every.max(1) == 0
        };
        self.recipe.scenes.iter().filter(wanted).filter(|scene| turn_of(scene)).cloned().collect()
    }

    fn measure(
        &mut self,
        scene: &Scene,
        renderer: &mut Renderer<'_>,
        policies: &[&'static str],
    ) -> anyhow::Result<Vec<Row>> {
        let track = renderer.render(scene, &mut self.models)?;
        let echo = (scene.kind == Kind::Echo).then_some((scene.db, scene.delay_ms));
        let caller = Caller::new(&track.samples, echo)?;
        let question = scene.number % self.recipe.questions.len();
        let mut rows = Vec::new();
        for &policy in policies {
            if track.labels.event.is_some() && !self.undisturbed.contains_key(&(question, policy)) {
                let quiet = Caller::new(&renderer.render_undisturbed(scene, &mut self.models)?, None)?;
                let played = self.play(scene, policy, &quiet)?;
                self.undisturbed.insert((question, policy), played);
            }
            let played = self.play(scene, policy, &caller)?;
            let undisturbed = track.labels.event.as_ref().and_then(|_| self.undisturbed.get(&(question, policy)));
            rows.push(score(scene, &track.labels, policy, &played, undisturbed));
        }
        Ok(rows)
    }

    fn play(&mut self, scene: &Scene, policy: &'static str, caller: &Caller) -> anyhow::Result<Played> {
        let says = |name: &str| self.recipe.says(name).to_owned();
        let lines = Lines {
            opening: scene.ask.as_deref().map(says).unwrap_or_default(),
            first: says(if scene.kind.is_over_agent() { "long" } else { "short" }),
            later: says("short"),
            first_token_ms: self.arguments.first_token_ms,
            word_ms: self.arguments.word_ms,
            voice_ms: self.arguments.voice_ms,
        };
        let mut agent: Box<dyn Agent> = match policy {
            OURS => Box::new(Ours::new(lines, self.conversation.clone())),
            SILENCE => Box::new(Baseline::new(Rules::Silence, lines)),
            _ => Box::new(Baseline::new(Rules::CleanS2s, lines)),
        };
        // The others hear a turn in one piece.
        let part_ms = if policy == OURS { self.ear.part_ms } else { u32::MAX };
        play(caller, agent.as_mut(), EarSettings { part_ms, ..self.ear }, &self.weights, &mut self.models)
    }

    fn write_evidence(&mut self, renderer: &mut Renderer<'_>, file: &Path) -> anyhow::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
        for scene in self.scenes() {
            let track = renderer.render(&scene, &mut self.models)?;
            let mut listener = evidence::Listener::default();
            let caller = Caller::new(&track.samples, None)?;
            play(&caller, &mut listener, self.ear, &self.weights, &mut self.models)?;
            let question = scene.ask.as_deref().map(|ask| self.recipe.says(ask).to_owned()).unwrap_or_default();
            listener.write(&scene, &question, &track.labels, &mut out)?;
        }
        Ok(())
    }

    fn write_corpus(&mut self, renderer: &mut Renderer<'_>, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let (mut seconds, mut left_out) = (0.0, 0);
        for scene in self.scenes() {
            let track = match renderer.render(&scene, &mut self.models) {
                Ok(track) => track,
                Err(fault) => {
                    println!("left out: {}: {fault:#}", scene.name);
                    left_out += 1;
                    continue;
                }
            };
            let path = folder.join(format!("{}.wav", scene.name));
            let file = std::io::BufWriter::new(std::fs::File::create(&path)?);
            duologue::audio::wav::write_mono(file, 16_000, &track.samples)?;
            std::fs::write(path.with_extension("json"), serde_json::to_string_pretty(&track.labels)?)?;
            seconds += track.samples.len() as f64 / 16_000.0;
        }
        println!("{}: {:.1} minutes; {left_out} scenes left out", folder.display(), seconds / 60.0);
        Ok(())
    }
}

/// The file, with what was `--set` put into it.
fn settings(arguments: &Arguments) -> anyhow::Result<Config> {
    let text = arguments.settings.as_ref().map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    let mut table: toml::Table = toml::from_str(&text)?;
    for pair in &arguments.set {
        let with = |what: &str| format!("--set {pair}: {what}");
        let (path, _) = pair.split_once('=').with_context(|| with("KEY=VALUE"))?;
        let (section, key) = path.trim().split_once('.').with_context(|| with("the key is section.name"))?;
        let one: toml::Table = toml::from_str(pair).with_context(|| with("no TOML"))?;
        let value = one.get(section).and_then(|inner| inner.get(key)).with_context(|| with("no value"))?.clone();
        let inner = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner.as_table_mut().with_context(|| with("no section"))?.insert(key.to_owned(), value);
    }
    Ok(Config::parse(&toml::to_string(&table)?, "the settings")?)
}

fn cache_folder() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache"))).unwrap_or_else(std::env::temp_dir)
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}
