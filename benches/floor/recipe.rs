//! The recipe of the corpus: one scene a line. The file's head has the grammar.

use std::collections::BTreeMap;

/// What a scene is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Turn,
    Hesitate,
    Dictate,
    Backchannel,
    Noise,
    Side,
    Interrupt,
    Echo,
}

impl Kind {
    const ALL: [(&'static str, Self); 8] = [
        ("turn", Self::Turn),
        ("hesitate", Self::Hesitate),
        ("dictate", Self::Dictate),
        ("backchannel", Self::Backchannel),
        ("noise", Self::Noise),
        ("side", Self::Side),
        ("interrupt", Self::Interrupt),
        ("echo", Self::Echo),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("?", |(name, _)| name)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Something happens while the agent answers at length.
    pub fn is_over_agent(self) -> bool {
        self >= Self::Backchannel
    }
}

/// Where a sound comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Piper: synthetic.
    Words(String),
    /// A recording of the test data, seconds from and to.
    Recording { path: String, part: Option<(f32, f32)> },
    /// Made by formula: synthetic.
    Formula { kind: String, seed: u32 },
}

impl Source {
    /// What sort it is, and what it must not share with the other half: the speaker, the words, the kind of noise.
    fn group(&self) -> (String, String) {
        match self {
            Self::Words(text) => ("words".into(), text.clone()),
            Self::Formula { kind, seed } => (kind.clone(), seed.to_string()),
            Self::Recording { path, .. } => {
                let (folder, file) = path.split_once('/').unwrap_or(("", path));
                let mut parts = file.split(['-', '_', '.']);
                let speaker = match folder {
                    "digits8k" => parts.nth(1),
                    // One meeting each.
                    "dialog" => Some(file),
                    _ => parts.next(),
                };
                (folder.into(), speaker.unwrap_or(file).into())
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub kind: Kind,
    pub name: String,
    /// 'a' or 'b': settings are fitted to the one and tried on the other.
    pub half: char,
    /// Which of the questions comes first, where one does.
    pub number: usize,
    pub speed: f32,
    /// Against the caller's usual level; an echo's against the agent's.
    pub db: f32,
    pub delay_ms: u32,
    pub ask: Option<String>,
    pub sounds: Vec<Source>,
    /// After each sound but the last, milliseconds.
    pub pauses_ms: Vec<u32>,
    /// The pause belongs into the middle of the only sound.
    pub split: bool,
}

impl Scene {
    /// Nobody real speaks in it.
    pub fn is_synthetic(&self) -> bool {
        !self.sounds.iter().any(|sound| matches!(sound, Source::Recording { .. }))
    }
}

#[derive(Clone, Debug, Default)]
pub struct Recipe {
    pub agent: BTreeMap<String, String>,
    pub questions: Vec<Scene>,
    pub scenes: Vec<Scene>,
}

impl Recipe {
    /// # Errors
    /// Names the line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut recipe = Self::default();
        for (n, line) in text.lines().enumerate() {
            let words = tokens(line);
            let Some((first, rest)) = words.split_first() else { continue };
            let fault = || format!("line {}: cannot read '{line}'", n + 1);
            match (first.text.as_str(), rest) {
                ("agent", [name, says]) => {
                    recipe.agent.insert(name.text.clone(), says.text.clone());
                }
                ("question", rest) => {
                    let scene = scene(Kind::Turn, format!("q{}", recipe.questions.len()), 0, rest).ok_or_else(fault)?;
                    recipe.questions.push(scene);
                }
                (kind, [name, rest @ ..]) => {
                    let kind = Kind::from_name(kind).ok_or_else(fault)?;
                    let number = recipe.scenes.len();
                    recipe.scenes.push(scene(kind, name.text.clone(), number, rest).ok_or_else(fault)?);
                }
                _ => return Err(fault()),
            }
        }
        recipe.halve();
        if recipe.questions.is_empty() {
            return Err("no question".into());
        }
        Ok(recipe)
    }

    /// Nobody who speaks, no words and no noise are in both halves: every other one of each kind is in the first.
    fn halve(&mut self) {
        let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for scene in &mut self.scenes {
            let (sort, group) = scene.sounds.first().map(Source::group).unwrap_or_default();
            let sort = if sort == "words" { format!("{} {sort}", scene.kind.name()) } else { sort };
            let groups = known.entry(sort).or_default();
            let place = groups.iter().position(|one| *one == group).unwrap_or(groups.len());
            if place == groups.len() {
                groups.push(group);
            }
            scene.half = if place % 2 == 0 { 'a' } else { 'b' };
        }
    }

    /// What the agent says under this name; nothing where the recipe has none.
    pub fn says(&self, name: &str) -> &str {
        self.agent.get(name).map_or("", String::as_str)
    }
}

struct Token {
    text: String,
    quoted: bool,
}

/// Words and quoted texts; nothing after a `#` that begins a line.
fn tokens(line: &str) -> Vec<Token> {
    let mut out = Vec::new();
    if line.starts_with('#') {
        return out;
    }
    for (n, piece) in line.split('"').enumerate() {
        if n % 2 == 1 {
            out.push(Token { text: piece.into(), quoted: true });
        } else {
            out.extend(piece.split_whitespace().map(|word| Token { text: word.into(), quoted: false }));
        }
    }
    out
}

fn scene(kind: Kind, name: String, number: usize, rest: &[Token]) -> Option<Scene> {
    let mut scene = Scene {
        kind,
        name,
        half: 'a',
        number,
        speed: 1.0,
        db: 0.0,
        delay_ms: 0,
        ask: None,
        sounds: Vec::new(),
        pauses_ms: Vec::new(),
        split: false,
    };
    for token in rest {
        let text = token.text.as_str();
        if token.quoted {
            scene.sounds.push(Source::Words(text.into()));
        } else if let Some((key, value)) = text.split_once('=') {
            match key {
                "speed" => scene.speed = value.parse().ok()?,
                "db" => scene.db = value.parse().ok()?,
                "delay" => scene.delay_ms = value.parse().ok()?,
                "ask" => scene.ask = Some(value.into()),
                _ => return None,
            }
        } else if text == "|" {
            scene.split = true;
        } else if let Ok(pause) = text.parse() {
            scene.pauses_ms.push(pause);
        } else {
            scene.sounds.push(source(text)?);
        }
    }
    let pauses = if scene.split { 1 } else { scene.sounds.len().saturating_sub(1) };
    (scene.pauses_ms.len() == pauses).then_some(scene)
}

fn source(text: &str) -> Option<Source> {
    if let Some((kind, seed)) = text.split_once(':') {
        return Some(Source::Formula { kind: kind.into(), seed: seed.parse().ok()? });
    }
    let (path, part) = match text.split_once('@') {
        None => (text, None),
        Some((path, part)) => {
            let (from, to) = part.split_once('-')?;
            (path, Some((from.parse().ok()?, to.parse().ok()?)))
        }
    };
    Some(Source::Recording { path: path.into(), part })
}
