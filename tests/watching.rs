//! Whoever watches the server is told how it is, and the page about it is true.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use house::House;
use house::typed::TypedCall;
use reqwest::{Client, StatusCode};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

async fn get(house: &House, path: &str) -> (StatusCode, String) {
    let answer = Client::new().get(format!("{}/{path}", house.url)).send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Each family, under the name by which it is asked for.
fn families_of(metrics: &str) -> BTreeSet<String> {
    let families: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').expect("a kind"))
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    assert!(families.len() >= 16, "{families:?}");
    families
}

type Labels = BTreeMap<String, BTreeSet<String>>;

/// The labels of each family that has some, but for the bounds of histograms.
fn labels_of(metrics: &str) -> Labels {
    let mut found = Labels::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let names = rest.split("=\"").map(|part| part.rsplit(['{', ',', '"']).next().unwrap_or_default());
        let names: BTreeSet<String> =
            names.filter(|name| name.chars().all(char::is_alphabetic)).map(str::to_owned).collect();
        let names = names.into_iter().filter(|name| !name.is_empty() && name != "le").collect::<BTreeSet<_>>();
        if !names.is_empty() {
            found.entry(name.to_owned()).or_default().extend(names);
        }
    }
    found
}

/// The same, as the page's table has it: what stands in brackets tells of a label's values.
fn labels_told(page: &str) -> Labels {
    let rows = page.lines().filter(|line| line.starts_with("| `duologue_"));
    let ticked = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let told = rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let plain: String = cells[3].split('(').map(|part| part.rsplit(')').next().unwrap_or_default()).collect();
        let labels = ticked(&plain);
        ticked(cells[1]).into_iter().map(move |name| (name, labels.clone()))
    });
    told.filter(|(_, labels)| !labels.is_empty()).collect()
}

/// What a label's first value is on each line that begins so.
fn values(metrics: &str, start: &str) -> BTreeSet<String> {
    let rest = metrics.lines().filter_map(|line| line.strip_prefix(start));
    rest.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

/// Names of metrics, labels to sum by, and values of labels.
fn the_dashboard_asks_for_what_there_is(docs: &Path, metrics: &str, families: &BTreeSet<String>, labels: &Labels) {
    let dashboard = std::fs::read_to_string(docs.join("grafana.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let asked: Vec<&str> = dashboard["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
        .map(|target| target["expr"].as_str().expect("an expression"))
        .collect();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut seen = BTreeSet::new();
    for expression in &asked {
        let names: Vec<&str> = expression.split(|c| !word(c)).filter(|name| name.starts_with("duologue_")).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(families.contains(family), "{expression}: there is no {name}");
            assert_eq!(name != family, metrics.contains(&format!("# TYPE {family} histogram")), "{expression}");
            seen.insert(family.to_owned());
            let by = expression.split("sum by (").skip(1).filter_map(|rest| rest.split(')').next());
            for label in by.filter(|label| *label != "le") {
                assert!(labels.get(family).is_some_and(|known| known.contains(label)), "{expression}: {label}");
            }
        }
        // `{moment="end_of_turn"}`: on this very server there is such a series.
        for chosen in expression.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            assert!(metrics.contains(chosen), "{expression}: nothing has {chosen}");
        }
    }
    let unseen: Vec<&String> = families.difference(&seen).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_and_the_page_names_every_metric() {
    let house = House::scripted_with("[judge]\nkind = \"rules\"\n").await;
    assert_eq!(get(&house, "healthz").await, (StatusCode::OK, "ok\n".into()));
    assert_eq!(get(&house, "readyz").await, (StatusCode::OK, "ready\n".into()));
    let mut call = TypedCall::open(&house.server, "?caller=Ada").await;
    call.send(&serde_json::json!({"type": "nonsense"}));
    for text in ["Is breakfast included?", "Thank you."] {
        call.types(text);
        call.answer().await;
    }
    call.close(&house.server).await;
    let (_, metrics) = get(&house, "metrics").await;
    assert_eq!(value(&metrics, "duologue_calls_active"), Some(0.0), "{metrics}");
    assert_eq!(value(&metrics, "duologue_calls_ended_total{reason=\"caller-hangup\"}"), Some(1.0), "{metrics}");
    assert_eq!(value(&metrics, "duologue_turns_total{speaker=\"caller\",outcome=\"\"}"), Some(2.0), "{metrics}");
    assert_eq!(
        value(&metrics, "duologue_judgements_total{moment=\"end_of_turn\",action=\"respond\"}"),
        Some(2.0),
        "{metrics}"
    );
    assert!(value(&metrics, "duologue_rtp_packets_sent_total").is_some_and(|sent| sent > 50.0), "{metrics}");
    assert_eq!(value(&metrics, "duologue_troubles_total{code=\"bad-message\"}"), Some(1.0), "{metrics}");
    assert!(metrics.ends_with("# EOF\n") && !metrics.contains("Ada"), "{metrics}");

    let (families, labels) = (families_of(&metrics), labels_of(&metrics));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = std::fs::read_to_string(docs.join("OBSERVABILITY.md")).expect("the page");
    let told: BTreeSet<String> =
        page.split('`').skip(1).step_by(2).filter(|word| word.starts_with("duologue_")).map(str::to_owned).collect();
    assert_eq!(told, families);
    assert_eq!(labels_told(&page), labels, "each label by its name, and no other");
    let reasons = values(&metrics, "duologue_sip_rejected_total{reason=\"");
    let table = page.split("| `reason` of what the SIP port did not take").nth(1).expect("the table of reasons");
    let table = table.split("\n\n").next().unwrap_or_default();
    let told: BTreeSet<String> =
        table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    assert_eq!(told, reasons);
    the_dashboard_asks_for_what_there_is(&docs, &metrics, &families, &labels);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_no_line_free_is_not_ready() {
    let house = House::scripted_with("[calls]\nmax = 1\n").await;
    let port =
        duologue::peer::Port::bind(duologue::peer::PortConfig::local("127.0.0.1:0".parse().expect("an address")));
    let port = port.await.expect("a port");
    let offer = duologue::peer::client::Caller::new(&port).await.expect("an offer");
    let wanted = duologue::call::registry::Asked::default();
    let opened = house.server.registry.open(offer.offer(), wanted).await.expect("a call");
    let _peer = offer.answered(&opened.answer).await.expect("usable");
    let (status, problem) = get(&house, "readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(problem.contains("all-lines-taken"), "{problem}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_database_cannot_be_written_is_alive_and_not_ready() {
    let house = House::scripted().await;
    let mut other = SqliteConnectOptions::new().filename(house.database()).connect().await.expect("a database");
    let holding = other.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    let mut call = TypedCall::open(&house.server, "").await;
    let (status, problem) = get(&house, "readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert!(problem.contains("store-unwritable") && problem.contains("calls.db"), "{problem}");
    assert_eq!(get(&house, "healthz").await.0, StatusCode::OK);
    call.types("What time do you close?");
    assert!(!call.answer().await.is_empty(), "the call goes on");
    assert_eq!(value(&get(&house, "metrics").await.1, "duologue_calls_active"), Some(1.0));
    holding.rollback().await.expect("the lock given back");
    while get(&house, "readyz").await.0 != StatusCode::OK {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    call.close(&house.server).await;
    assert_eq!(value(&get(&house, "metrics").await.1, "duologue_rows_lost_total"), Some(0.0));
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM turns WHERE speaker = 'caller'")
        .fetch_one(&mut other)
        .await
        .expect("a number");
    assert_eq!(kept, 1, "and is in the file now");
    house.server.stop().await;
}
