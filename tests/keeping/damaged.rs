//! A database that is really damaged: refused by name, read as far as it goes, and what can be read saved.

use std::path::{Path, PathBuf};

use duologue::review::{Limits, ask, generate};
use duologue::store::{RecoverFault, Recovered, Store, StoreError, probe, recover};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::common::morning::a_morning;
use crate::common::{opened, place};
use crate::{duologue, said};

const PAGE: usize = 4_096;

/// Sixty calls with everything that they leave, in one file without a log.
async fn sixty_calls() -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = place();
    generate(&path, 60, 1).await.expect("a database");
    (folder, path)
}

async fn count(path: &Path, question: &str) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.expect("a database");
    let count = sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut connection).await.expect("a number");
    connection.close().await.expect("closed");
    count
}

/// It opens, is whole, and no row speaks of what is not there.
async fn is_whole(path: &Path) {
    Store::open(path).await.unwrap_or_else(|why| panic!("{why}")).close().await;
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.expect("a database");
    let verdict: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.expect("a verdict");
    let loose = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await.expect("a list").len();
    assert_eq!((verdict.as_str(), loose), ("ok", 0));
    connection.close().await.expect("closed");
}

fn saved(recovered: &Recovered, table: &str) -> u64 {
    recovered.tables.iter().find(|one| one.table == table).map_or(0, |one| one.saved)
}

#[tokio::test]
async fn pages_that_were_overwritten_cost_their_rows_and_no_others() {
    let (folder, path) = sixty_calls().await;
    let whole = std::fs::read(&path).expect("readable");
    let (turns, calls) =
        (count(&path, "SELECT count(*) FROM turns").await, count(&path, "SELECT count(*) FROM calls").await);
    let pages = whole.len() / PAGE;
    let (mut least, mut mute) = (i64::MAX, 0);
    for n in 0..12 {
        let mut damaged = whole.clone();
        // Another two of them each time, anywhere behind the first.
        for page in [1 + (n * 37 + 11) % (pages - 1), 1 + (n * 101 + 53) % (pages - 1)] {
            damaged[page * PAGE..(page + 1) * PAGE].fill(0xa5);
        }
        std::fs::write(&path, &damaged).expect("written");
        let into = folder.path().join(format!("saved-{n}.db"));
        match recover(&path, &into).await {
            Ok(recovered) => {
                is_whole(&into).await;
                assert_eq!(std::fs::read(&path).expect("readable"), damaged, "the damaged file is as it was");
                let kept = count(&into, "SELECT count(*) FROM turns").await;
                assert_eq!(saved(&recovered, "turns") as i64, kept, "{recovered:?}");
                least = least.min(kept);
                assert!(count(&into, "SELECT count(*) FROM calls").await <= calls, "no call is invented");
            }
            // The list of tables lies in some pages, too.
            Err(RecoverFault::NoSchema { .. }) => mute += 1,
            Err(why) => panic!("{why}"),
        }
    }
    println!("{pages} pages; of {turns} turns at least {least} were saved; {mute} times no table could be told");
    assert!(mute <= 3 && least * 10 >= turns * 5, "{least} of {turns}, {mute}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|file| file.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("reading")), "{left:?}");
}

#[tokio::test]
async fn a_file_that_was_cut_off_gives_what_is_left_of_it() {
    let (folder, path) = sixty_calls().await;
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..whole.len() / PAGE * 2 / 3 * PAGE]).expect("written");
    let into = folder.path().join("saved.db");
    let recovered = recover(&path, &into).await.unwrap_or_else(|why| panic!("{why}"));
    is_whole(&into).await;
    assert!(
        saved(&recovered, "turns") > 0 && recovered.tables.iter().any(|table| table.lost != Some(0)),
        "{recovered:?}"
    );
    assert_eq!(count(&into, "SELECT count(*) FROM incidents WHERE detail LIKE 'recovered from%'").await, 1);
    assert!(matches!(recover(&path, &into).await, Err(RecoverFault::There(_))), "nothing is written over");
}

#[tokio::test]
async fn a_head_that_was_overwritten_is_mended_in_the_copy() {
    let (folder, path) = sixty_calls().await;
    let turns = count(&path, "SELECT count(*) FROM turns").await;
    let mut damaged = std::fs::read(&path).expect("readable");
    damaged[..100].fill(0);
    std::fs::write(&path, &damaged).expect("written");
    assert!(Store::open(&path).await.is_err());
    let into = folder.path().join("saved.db");
    let recovered = recover(&path, &into).await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(saved(&recovered, "turns") as i64, turns);
    is_whole(&into).await;
}

/// A server that was killed leaves its last rows in the log alone.
#[tokio::test]
async fn the_log_is_read_where_it_is_there_and_missed_where_it_is_not() {
    let (folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    a_morning().into_iter().for_each(|entry| store.recorder().record(entry));
    store.close().await;
    let store = Store::open(&path).await.expect("a database");
    store.recorder().record(opened("late", None));
    store.recorder().flush().await.expect("written");
    let (with, without) = (folder.path().join("with.db"), folder.path().join("without.db"));
    std::fs::copy(&path, &with).expect("copied");
    std::fs::copy(&path, &without).expect("copied");
    std::fs::copy(folder.path().join("duologue.db-wal"), folder.path().join("with.db-wal")).expect("copied");
    store.close().await;
    let late = "SELECT count(*) FROM calls WHERE id = 'late'";
    for (from, there) in [(with, 1), (without, 0)] {
        let into = from.with_extension("saved");
        recover(&from, &into).await.unwrap_or_else(|why| panic!("{why}"));
        is_whole(&into).await;
        assert_eq!(count(&into, late).await, there);
        let found = count(&into, "SELECT count(*) FROM said_fts WHERE said_fts MATCH 'open'").await;
        assert!(found > 0 && count(&into, "SELECT count(*) FROM call_totals").await > 0, "its words are found again");
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name_and_still_asked() {
    let (folder, path) = sixty_calls().await;
    let mut damaged = std::fs::read(&path).expect("readable");
    let page = damaged.len() / PAGE * 3 / 4;
    damaged[page * PAGE..(page + 1) * PAGE].fill(0);
    std::fs::write(&path, &damaged).expect("written");
    let refused = Store::open(&path).await.map(|_| ()).expect_err("a damaged file");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("duologue recover {}", path.display())), "{refused}");
    assert_eq!(probe(&path).await.map(|_| ()), Err(refused), "duologue check says the same");
    let asked = ask(&path, "SELECT count(*) FROM end_reasons", Limits::default()).await.expect("what is whole is read");
    assert!(asked.rows[0][0].as_i64().is_some_and(|reasons| reasons > 5));

    // The program: what it cannot read it says, with the way out; and the way out works.
    std::fs::write(folder.path().join("duologue.toml"), format!("[store]\npath = {path:?}\n")).expect("written");
    let everything = "SELECT sum(length(t.text)) + (SELECT sum(length(json)) FROM events) + (SELECT sum(length(situation)) FROM judgements) \
                      + (SELECT sum(length(text)) FROM words) + (SELECT sum(packets_sent) FROM downlink_stats) FROM turns AS t NOT INDEXED";
    let told = duologue(folder.path(), &["sql", everything]);
    assert!(told.status.success() || said(&told).contains("duologue recover"), "{}", said(&told));
    let file = path.display().to_string();
    let done = duologue(folder.path(), &["recover", &file]);
    assert!(done.status.success() && said(&done).contains("saved"), "{}", said(&done));
    is_whole(&folder.path().join("duologue.db.recovered")).await;
    let again = duologue(folder.path(), &["recover", &file]);
    assert!(!again.status.success() && said(&again).contains("--into"), "{}", said(&again));
}
