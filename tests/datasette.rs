//! The call database opens in Datasette as it is: its tables, views and full text.

mod common;
mod python;

use std::process::Command;

use common::morning::a_morning;
use common::place;
use duologue::store::Store;
use python::installed;
use serde_json::Value;

#[tokio::test]
async fn datasette_shows_tables_views_and_what_was_said() {
    let Some(home) = installed("", "datasette") else { return };
    let (_folder, path) = place();
    let store = Store::open(&path).await.expect("a database");
    a_morning().into_iter().for_each(|entry| store.recorder().record(entry));
    store.close().await;
    let get = |what: &str| -> Value {
        let mut datasette = Command::new("python3");
        datasette.args(["-m", "datasette"]).arg(&path).arg("--get").arg(what).env("PYTHONPATH", &home);
        let out = datasette.output().expect("Python");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        serde_json::from_str(&text)
            .unwrap_or_else(|why| panic!("{why}: {text}{}", String::from_utf8_lossy(&out.stderr)))
    };
    let calls = get("/duologue/call_overview.json?_shape=array");
    assert_eq!(calls.as_array().map(Vec::len), Some(3), "{calls}");
    let said = get(
        "/duologue.json?sql=select+turn+from+said_fts+join+turns+on+turns.id=said_fts.rowid+where+said_fts+match+'sunday'&_shape=array",
    );
    assert!(said.as_array().is_some_and(|turns| turns.len() >= 2), "{said}");
}
