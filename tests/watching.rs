//! Whoever watches the server is told how it is, and the page about it is true.

mod house;

use std::collections::BTreeSet;
use std::path::Path;

use house::House;
use house::typed::TypedCall;
use reqwest::{Client, StatusCode};

async fn get(house: &House, path: &str) -> (StatusCode, String) {
    let answer = Client::new().get(format!("{}/{path}", house.url)).send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_and_the_page_names_every_metric() {
    let house = House::scripted_with("[judge]\nkind = \"rules\"\n").await;
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

    // Each family, under the name by which it is asked for.
    let families: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').expect("a kind"))
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    assert!(families.len() >= 16, "{families:?}");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = std::fs::read_to_string(docs.join("OBSERVABILITY.md")).expect("the page");
    let told: BTreeSet<String> =
        page.split('`').skip(1).step_by(2).filter(|word| word.starts_with("duologue_")).map(str::to_owned).collect();
    assert_eq!(told, families);
    let dashboard = std::fs::read_to_string(docs.join("grafana.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let asked: Vec<&str> = dashboard["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
        .map(|target| target["expr"].as_str().expect("an expression"))
        .collect();
    assert!(asked.len() >= 8, "{asked:?}");
    for expression in asked {
        assert!(families.iter().any(|family| expression.contains(family.as_str())), "{expression}");
    }
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
