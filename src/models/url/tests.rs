use super::*;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const FILE: &[u8] = b"0123456789abcdefghij";

/// Serves `FILE` under `tag` with byte ranges, cutting each connection of `cuts` after so many bytes of the body. Ends
/// with the requests that it has seen once `requests` were answered.
async fn serve(tag: &'static str, cuts: &'static [usize], requests: usize) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let mut seen = Vec::new();
        for i in 0..requests {
            let (mut socket, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let byte = socket.read_u8().await.expect("a request");
                request.push(byte);
            }
            let request = String::from_utf8(request).expect("text").to_ascii_lowercase();
            let range = request.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
            let same = request.contains(&format!("if-range: {tag}\r\n"));
            let from = range.filter(|_| same).map_or(0, |from| from.parse().expect("a number"));
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let body = &FILE[from..];
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let sent = cuts.get(i).map_or(body.len(), |&cut| cut.min(body.len()));
            socket.write_all(head.as_bytes()).await.expect("sent");
            socket.write_all(&body[..sent]).await.expect("sent");
            seen.push(request);
        }
        seen
    });
    (address, server)
}

fn sha256(bytes: &[u8]) -> String {
    let mut digester = crate::models::digest::Digester::new(false);
    digester.update(bytes);
    digester.finish().sha256
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_was_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let dest = directory.path().join("model.gguf");
    let (address, server) = serve("\"v1\"", &[7], 2).await;
    let url = format!("http://{address}/model.gguf");
    fetch_url(&url, Some(&sha256(FILE)), &dest).await.expect("fetched");
    assert_eq!(fs::read(&dest).expect("readable"), FILE);
    let requests = server.await.expect("served");
    assert!(requests[1].contains("range: bytes=7-"), "{}", requests[1]);
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing is left beside the file");
}

#[tokio::test]
async fn a_later_call_resumes_what_an_earlier_one_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let dest = directory.path().join("model.gguf");
    let (address, server) = serve("\"v1\"", &[3, 3, 3], 3).await;
    let url = format!("http://{address}/model.gguf");
    let fault = fetch_url(&url, None, &dest).await.expect_err("cut three times").to_string();
    assert!(fault.contains("9 bytes") && !dest.exists(), "{fault}");
    server.await.expect("served");

    let (address, server) = serve("\"v1\"", &[], 1).await;
    let url = format!("http://{address}/model.gguf");
    fetch_url(&url, Some(&sha256(FILE)), &dest).await.expect("fetched");
    assert!(server.await.expect("served")[0].contains("range: bytes=9-"));
}

#[tokio::test]
async fn a_file_that_changed_at_the_server_is_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let dest = directory.path().join("model.gguf");
    fs::write(directory.path().join("model.gguf.part"), "old").expect("written");
    fs::write(directory.path().join("model.gguf.part.version"), "\"v0\"").expect("written");
    let (address, _server) = serve("\"v1\"", &[], 1).await;
    fetch_url(&format!("http://{address}/model.gguf"), None, &dest).await.expect("fetched");
    assert_eq!(fs::read(&dest).expect("readable"), FILE);
}

#[tokio::test]
async fn a_wrong_sha256_is_refused_and_nothing_is_installed() {
    let directory = tempfile::tempdir().expect("a directory");
    let dest = directory.path().join("model.gguf");
    let (address, _server) = serve("\"v1\"", &[], 1).await;
    let expected = "0".repeat(64);
    let fault = fetch_url(&format!("http://{address}/model.gguf"), Some(&expected), &dest).await;
    let fault = fault.expect_err("refused").to_string();
    assert!(fault.contains("model.gguf") && fault.contains(&expected) && fault.contains(&sha256(FILE)), "{fault}");
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
}

#[tokio::test]
async fn an_unreachable_server_is_named_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address")
    };
    let url = format!("http://{address}/model.gguf");
    let fault = fetch_url(&url, None, &directory.path().join("model.gguf")).await.expect_err("nobody there");
    let text = fault.to_string().to_ascii_lowercase();
    assert!(text.contains(&url) && text.contains("refused"), "{text}");
}
