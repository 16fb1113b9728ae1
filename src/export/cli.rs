//! `duologue export`: a call as a file; the key for signing it; a look at such a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::verify::Recording;
use super::{As, Carried, ExportHouse, KeyFault, SigningKey, verify};
use crate::config::Config;
use crate::recording::RecordingShelf;

/// A call as a file for others; `key` makes a signing key, `verify` looks at a vCon
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ExportArguments {
    #[command(subcommand)]
    command: Option<ExportCommand>,
    /// The call's name, as `duologue review run last-calls` shows it
    call: Option<String>,
    /// What it becomes
    #[arg(long = "as", value_enum, default_value = "vcon")]
    form: As,
    /// How a vCon has the recording
    #[arg(long, value_enum, default_value = "inline")]
    recording: Carried,
    /// Where it is written; standard output where it is left out
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Subcommand, Debug)]
enum ExportCommand {
    /// Make a key to sign vCons with, and its certificate; name the file as export.key_file
    Key {
        /// The file to make
        file: PathBuf,
        /// Whose it is: the name in the certificate
        #[arg(long, default_value = "localhost")]
        host: String,
    },
    /// Is a vCon as it was when it was signed, and who signed it?
    Verify {
        /// The vCon
        file: PathBuf,
        /// Hold this recording against it, too
        #[arg(long)]
        recording: Option<PathBuf>,
        /// It must be signed with this certificate or key (PEM)
        #[arg(long)]
        by: Option<PathBuf>,
    },
}

/// Where the configuration has calls exported from.
///
/// # Errors
/// When its key cannot be had.
pub fn house(config: &Config, recordings: RecordingShelf) -> Result<ExportHouse, KeyFault> {
    let key = config.export.key_file.as_deref().map(SigningKey::read).transpose()?;
    Ok(ExportHouse {
        database: config.store.path.clone(),
        recordings,
        key: key.map(std::sync::Arc::new),
        address: config.export.address.as_ref().map(|address| address.as_str().to_owned()),
    })
}

/// Exports, makes a key or verifies.
///
/// # Errors
/// When what is asked for cannot be had, or a file is not as it was.
pub async fn run(config: &Config, arguments: ExportArguments) -> anyhow::Result<()> {
    match arguments.command {
        Some(ExportCommand::Key { file, host }) => {
            let key = SigningKey::make(&file, &host)?;
            println!("{}: a key for {} (certificate {})", file.display(), key.host(), key.fingerprint());
            println!("set export.key_file = {:?}", file.display().to_string());
            Ok(())
        }
        Some(ExportCommand::Verify { file, recording, by }) => look(&file, recording.as_deref(), by.as_deref()),
        None => {
            let call = arguments.call.ok_or_else(|| anyhow::anyhow!("which call? `duologue review run last-calls`"))?;
            let path = &config.store.path;
            anyhow::ensure!(
                path.exists(),
                "there is no database {}: nobody has called yet, or set store.path",
                path.display()
            );
            let made =
                house(config, config.recording.shelf()?)?.export(&call, arguments.form, arguments.recording).await?;
            match arguments.out {
                Some(out) => std::fs::write(out, made.bytes)?,
                None => std::io::stdout().write_all(&made.bytes)?,
            }
            Ok(())
        }
    }
}

fn look(file: &Path, recording: Option<&Path>, by: Option<&Path>) -> anyhow::Result<()> {
    let found = verify(&std::fs::read(file)?)?;
    println!("vCon {}", found.vcon["uuid"].as_str().unwrap_or_default());
    if let Some(follows) = found.vcon["analysis"][0]["body"]["follows"].as_str() {
        println!("  follows {follows}");
    }
    for signer in &found.signers {
        println!("  signed by {} (certificate {}): it is as it was", signer.name, signer.fingerprint);
    }
    if found.carried > 0 {
        println!("  {} file in it fits its hash", found.carried);
    }
    if let Some(path) = recording {
        match found.holds(&std::fs::read(path)?)? {
            Recording::Same => println!("  {} is its recording, as it was", path.display()),
            Recording::Redacted(pages) => println!(
                "  {} is its recording; pages {pages:?} are others (page 2 is the first second), the rest is as it was",
                path.display()
            ),
        }
    }
    anyhow::ensure!(!found.signers.is_empty(), "nobody has signed it: it may be anything");
    if let Some(by) = by {
        let wanted = super::key::fingerprint_of_file(by)?;
        let signed = found.signers.iter().any(|signer| signer.fingerprint == wanted);
        anyhow::ensure!(signed, "it is not signed with the certificate in {}", by.display());
        println!("  that is the certificate in {}", by.display());
    } else {
        println!("  whether that certificate is the right one is for you to know (--by FILE)");
    }
    Ok(())
}
