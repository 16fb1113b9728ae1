//! Ring 3: `duologue recover`: what can be read of a damaged database becomes a new one.

use std::path::PathBuf;

use crate::store::{Recovered, recover};

/// Save what can be read of a damaged database into a new one; the damaged file stays as it is
#[derive(clap::Args, Debug)]
pub struct RecoverArguments {
    /// The damaged file; its -wal is read where it is there
    file: PathBuf,
    /// The new file; FILE.recovered where it is left out
    #[arg(long, value_name = "NEW")]
    into: Option<PathBuf>,
}

/// Recovers and tells, table by table.
///
/// # Errors
/// As [`recover`].
pub async fn run(arguments: RecoverArguments) -> anyhow::Result<()> {
    let RecoverArguments { file, into } = arguments;
    anyhow::ensure!(file.is_file(), "there is no file {}", file.display());
    let into = into.unwrap_or_else(|| {
        let mut name = file.clone().into_os_string();
        name.push(".recovered");
        name.into()
    });
    let recovered = recover(&file, &into).await?;
    print!("{}", in_words(&recovered));
    println!(
        "{} is as it was. To go on with the new file, move it into its place, or name it as store.path.",
        file.display()
    );
    Ok(())
}

fn in_words(recovered: &Recovered) -> String {
    let mut out = format!("{:<20} {:>10} {:>10}\n", "table", "saved", "lost");
    for table in recovered.tables.iter().filter(|table| table.saved > 0 || table.lost != Some(0)) {
        let lost = table.lost.map_or_else(|| "unknown".into(), |lost| lost.to_string());
        out.push_str(&format!("{:<20} {:>10} {:>10}\n", table.table, table.saved, lost));
    }
    if recovered.calls_named > 0 {
        out.push_str(&format!(
            "{} calls lost their row and have one of what their turns tell\n",
            recovered.calls_named
        ));
    }
    if recovered.loose > 0 {
        out.push_str(&format!("{} rows spoke of lost ones: they went, or speak of nothing\n", recovered.loose));
    }
    out.push_str(&format!("saved in {}\n", recovered.into.display()));
    out
}
