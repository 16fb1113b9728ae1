//! baresip as a caller, or called: it plays a file, and keeps what it hears.

#![allow(dead_code)] // each test program uses its own part of it

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use duologue::backend::scripted_voice::{WordCode, heard};

/// What it sends, and as what.
pub struct Sounds<'a> {
    pub codec: &'a str,
    pub rate_hz: u32,
    pub channels: u16,
    pub voice_from_ms: u32,
    pub voice_ms: u32,
    /// It hangs up when its file is over.
    pub all_ms: u32,
}

/// A telephone.
pub struct Baresip {
    process: Child,
    folder: tempfile::TempDir,
    control: TcpStream,
    server: u16,
    /// Where it is called.
    pub sip: u16,
}

/// What else it is told.
#[derive(Clone, Copy, Default)]
pub struct More<'a> {
    /// Lines of its configuration.
    pub config: &'a str,
    /// Parameters of its account, each with its semicolon.
    pub account: &'a str,
}

impl Baresip {
    pub fn start(server: u16, sounds: Sounds<'_>) -> Self {
        Self::start_as(server, None, sounds, More::default())
    }

    pub fn start_with(server: u16, sounds: Sounds<'_>, more: More<'_>) -> Self {
        Self::start_as(server, None, sounds, more)
    }

    /// It registers with the server, by this name and password, for a minute at a time.
    pub fn registering(server: u16, name: &str, password: &str, sounds: Sounds<'_>) -> Self {
        Self::start_as(server, Some((name, password, "")), sounds, More::default())
    }

    /// The same with the password "duologue", with parameters of the server's address, each with its semicolon, and told more.
    pub fn registering_over(server: u16, name: &str, params: &str, sounds: Sounds<'_>, more: More<'_>) -> Self {
        Self::start_as(server, Some((name, "duologue", params)), sounds, more)
    }

    fn start_as(server: u16, registers: Option<(&str, &str, &str)>, sounds: Sounds<'_>, more: More<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("heard")).expect("a folder");
        write_voice(&at("voice.wav"), &sounds);
        let (sip, control) = free_ports();
        let codec = if sounds.codec.starts_with("opus") { "opus.so" } else { "g711.so" };
        let modules = if PathBuf::from("/usr/lib/baresip/modules/menu.so").exists() {
            "/usr/lib/baresip/modules"
        } else {
            "/usr/lib/x86_64-linux-gnu/baresip/modules"
        };
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{sip}\ncall_local_timeout 120\ncall_max_calls 2\n\
             audio_player aubridge,nil\naudio_source aufile,{voice}\naudio_alert aubridge,nil\n\
             ausrc_srate {rate}\nauplay_srate {rate}\nausrc_channels {channels}\nauplay_channels {channels}\n\
             rtp_ports 30000-31000\nrtp_stats no\njitter_buffer_delay 5-10\nnet_interface 127.0.0.1\n\
             module_path {modules}\nmodule {codec}\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
             module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\nsnd_path {heard}\n{more}",
            more = more.config,
            voice = at("voice.wav").display(),
            rate = sounds.rate_hz,
            channels = sounds.channels,
            heard = at("heard").display(),
        );
        std::fs::write(at("config"), config).expect("a file");
        let address = match registers {
            Some((name, password, params)) => {
                format!("<sip:{name}@127.0.0.1:{server}{params}>;auth_pass={password};regint=60")
            }
            None => format!("<sip:anna@127.0.0.1:{sip}>;regint=0"),
        };
        let account =
            format!("{address};audio_codecs={};dtmfmode=rtpevent;answermode=auto{}\n", sounds.codec, more.account);
        std::fs::write(at("accounts"), account).expect("a file");
        std::fs::write(at("contacts"), "").expect("a file");
        let log = File::create(at("log")).expect("a file");
        let process = Command::new("baresip")
            .args(["-n", "127.0.0.1", "-f"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a file"))
            .stdout(log)
            .spawn()
            .expect("baresip: install it with scripts/system-packages.sh --test (baresip-core)");
        let patience = Instant::now() + Duration::from_secs(10);
        let control = loop {
            match TcpStream::connect(("127.0.0.1", control)) {
                Ok(stream) => break stream,
                Err(why) if Instant::now() > patience => {
                    let log = std::fs::read_to_string(at("log")).unwrap_or_default();
                    panic!("baresip does not listen: {why}\n{log}");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        Self { process, folder, control, server, sip }
    }

    /// What it plays from its next call on, instead of its buzz: sound at this rate, in one channel.
    pub fn plays(&self, samples: &[f32], rate_hz: u32) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(self.folder.path().join("voice.wav"), spec).expect("a file");
        for sample in samples {
            wav.write_sample((sample * 32_767.0) as i16).expect("room on the disk");
        }
        wav.finalize().expect("a whole file");
    }

    /// Calls this persona.
    pub fn dial(&mut self, user: &str) {
        self.dial_as(user, "");
    }

    /// The same, with parameters of the address, each with its semicolon.
    pub fn dial_as(&mut self, user: &str, params: &str) {
        let to = format!("sip:{user}@127.0.0.1:{}{params}", self.server);
        self.command("dial", &to);
    }

    pub fn hang_up(&mut self) {
        self.command("hangup", "");
    }

    /// Its transfer key: whoever it talks with is to call there in its place.
    pub fn transfers(&mut self, to: &str) {
        self.command("transfer", to);
    }

    /// Puts the call on hold, or takes it back.
    pub fn holds(&mut self, on: bool) {
        self.command(if on { "hold" } else { "resume" }, "");
    }

    /// Its line breaks: it sends and answers nothing from here on, and does not say so.
    pub fn freezes(&self) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &process]).status().expect("kill of util-linux").success());
    }

    /// Presses keys one after the other.
    pub fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.command("sndcode", &key.to_string());
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// A netstring of JSON, as its control port wants it.
    fn command(&mut self, command: &str, params: &str) {
        let json = format!("{{\"command\":\"{command}\",\"params\":\"{params}\",\"token\":\"t\"}}");
        self.control.write_all(format!("{}:{json},", json.len()).as_bytes()).expect("baresip listens");
    }

    /// What it printed, and what it answered to commands.
    pub fn log(&mut self) -> String {
        let mut answers = vec![0; 16_384];
        self.control.set_nonblocking(true).expect("a socket");
        let read = self.control.read(&mut answers).unwrap_or(0);
        self.control.set_nonblocking(false).expect("a socket");
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        format!("{log}\n{}", String::from_utf8_lossy(&answers[..read]))
    }

    pub fn is_told(&mut self, what: &str, within: Duration) -> bool {
        let patience = Instant::now() + within;
        while Instant::now() < patience {
            if self.log().contains(what) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// The agent's words in what came out of its loudspeaker.
    pub fn heard(&mut self) -> Vec<WordCode> {
        // Its files are whole when it has gone.
        self.command("quit", "");
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.folder.path().join("heard")).expect("a folder").flatten() {
            if !entry.file_name().to_string_lossy().ends_with("-dec.wav") {
                continue;
            }
            let mut wav = hound::WavReader::open(entry.path()).expect("a recording");
            let (rate_hz, channels) = (wav.spec().sample_rate, usize::from(wav.spec().channels));
            let samples: Vec<f32> =
                wav.samples::<i16>().map_while(Result::ok).step_by(channels).map(|x| f32::from(x) / 32_768.0).collect();
            all.extend(heard(&samples, rate_hz));
        }
        all
    }
}

/// Where one listens: SIP's port, over UDP and TCP, of which the next is for TLS, and its control port. They are below those that the system
/// gives to whoever connects to somebody, so that no other test takes one in the moment between here and there.
fn free_ports() -> (u16, u16) {
    loop {
        let sip = 20_000 + 4 * (rand::random::<u16>() % 700);
        let tcp = |port: u16| TcpListener::bind(("127.0.0.1", port));
        let held = (UdpSocket::bind(("127.0.0.1", sip)), tcp(sip), tcp(sip + 1), tcp(sip + 2));
        if let (Ok(_), Ok(_), Ok(_), Ok(_)) = held {
            return (sip, sip + 2);
        }
    }
}

/// The share of these words that were heard, in their order.
pub fn share(heard: &[WordCode], said: &str) -> f32 {
    let said = WordCode::of_text(said);
    let mut longest = vec![0_usize; heard.len() + 1];
    for word in &said {
        let mut corner = 0;
        for (n, heard) in heard.iter().enumerate() {
            let above = longest[n + 1];
            longest[n + 1] = if heard == word { corner + 1 } else { above.max(longest[n]) };
            corner = above;
        }
    }
    longest[heard.len()] as f32 / said.len() as f32
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Silence, a buzz with the harmonics of a voice in syllables, silence.
fn write_voice(to: &std::path::Path, sounds: &Sounds<'_>) {
    let spec = hound::WavSpec {
        channels: sounds.channels,
        sample_rate: sounds.rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(to, spec).expect("a file");
    let per_ms = sounds.rate_hz / 1_000;
    let voiced = sounds.voice_from_ms * per_ms..(sounds.voice_from_ms + sounds.voice_ms) * per_ms;
    for n in 0..sounds.all_ms * per_ms {
        let t = n as f32 / sounds.rate_hz as f32 * std::f32::consts::TAU;
        let voice: f32 = (1..=12).map(|k| (t * 140.0 * k as f32).sin() / k as f32).sum();
        let sample = if voiced.contains(&n) { 0.2 * voice * (0.7 + 0.3 * (t * 4.0).sin()) } else { 0.0 };
        for _ in 0..sounds.channels {
            wav.write_sample((sample * 32_767.0) as i16).expect("room on the disk");
        }
    }
    wav.finalize().expect("a whole file");
}
