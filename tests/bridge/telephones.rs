//! Telephones that are connected: with one another, and with a page in a real browser.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use duologue::audio::LINE_RATE;
use duologue::backend::scripted_voice::heard;
use reqwest::{Client, StatusCode};
use serde_json::json;

use super::baresip::{More, share};
use super::browser::words;
use super::by_hand::ByHand;
use super::house::rows::rows;
use super::house::{House, browser_scenes, play};
use super::{ADA, DESK, ENOUGH, SIP, ask, desk_with, outcome, over};

/// Mu-law's two nothings.
const SILENCE: [u8; 2] = [0x7f, 0xff];

/// Waits until so many rows are there.
async fn until(house: &House, sql: &'static str, count: usize) -> Vec<(String,)> {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let found = rows::<(String,)>(house, sql).await;
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < patience, "{sql}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_speak_one_codec_and_no_echo_is_taken_out_each_gets_the_others_packets_as_they_were() {
    let scripted = "[asr]\nbackend = \"scripted\"\n[llm]\nbackend = \"scripted\"\n[tts]\nbackend = \"scripted\"\n[judge]\nkind = \"rules\"\n";
    let house = House::open(&format!("echo_canceller = \"off\"\n{scripted}{SIP}")).await;
    let port = house.server.telephones.as_ref().expect("telephones").address.port();
    let (anna, ben) = tokio::join!(ByHand::calls(port), ByHand::calls(port));
    until(&house, "SELECT call FROM events WHERE type = 'turn-ended'", 2).await;
    let calls = until(&house, "SELECT id FROM calls", 2).await;
    let (status, told) = ask(&house, &calls[0].0, "bridge", json!({"call": calls[1].0})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    until(&house, "SELECT id FROM bridges WHERE joined_utc_ms IS NOT NULL", 1).await;
    for (from, to) in [(&anna, &ben), (&ben, &anna)] {
        let before = from.packets().0.len();
        from.says(ADA).await;
        to.hears(ADA).await;
        let said: Vec<_> = from.packets().0.split_off(before);
        let said: Vec<_> = said.iter().filter(|payload| !payload.iter().all(|byte| SILENCE.contains(byte))).collect();
        let came: HashSet<_> = to.packets().1.into_iter().collect();
        let kept = said.iter().filter(|payload| came.contains(**payload)).count();
        println!("{kept} of {} packets came as they were sent", said.len());
        assert!(said.len() > 50 && kept * 10 >= said.len() * 9, "{kept} of {}", said.len());
    }
    anna.hang_up().await;
    ben.hang_up().await;
    over(&house).await;
    assert!(["call-ended", "other-ended"].contains(&outcome(&house).await.as_str()));
    let relayed = rows::<(i64,)>(&house, "SELECT relayed FROM bridges").await[0].0;
    assert!(relayed > 200, "{relayed} packets were passed on");
    house.server.stop().await;
}

/// One agrees on keys over DTLS, and the other has none: each call is protected on its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_with_keys_from_dtls_and_one_without_any_hear_each_other() {
    let house = House::scripted_with(SIP).await;
    let port = house.server.telephones.as_ref().expect("telephones").address.port();
    let more = More { config: "module dtls_srtp.so\n", account: ";mediaenc=dtls_srtp" };
    let mut desk = desk_with(port, 9_000, more).await;
    let plain = ByHand::calls(port).await;
    until(&house, "SELECT call FROM events WHERE type = 'turn-ended'", 1).await;
    desk.dial("porter");
    until(&house, "SELECT call FROM events WHERE type = 'turn-ended'", 2).await;
    let calls = until(&house, "SELECT id FROM calls", 2).await;
    let (status, told) = ask(&house, &calls[0].0, "bridge", json!({"call": calls[1].0})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    until(&house, "SELECT id FROM bridges WHERE joined_utc_ms IS NOT NULL", 1).await;
    plain.hears(DESK).await;
    plain.says(ADA).await;
    // It is a moment on its way, and in the telephone's own jitter buffer.
    tokio::time::sleep(Duration::from_secs(1)).await;
    desk.hang_up();
    plain.hang_up().await;
    over(&house).await;
    let heard = desk.heard();
    assert!(share(&heard, ADA) >= ENOUGH, "{heard:?}\n{}", desk.log());
    house.server.stop().await;
}

/// What is said into Chromium's microphone goes through its own processing of speech, which words made by formula do not survive as words: that way
/// it is told from nothing by its loudness.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_and_a_telephone_hear_each_other() {
    let Some(scenes) = browser_scenes() else { return };
    let house = House::scripted_with(SIP).await;
    let port = house.server.telephones.as_ref().expect("telephones").address.port();
    let mic = house.folder.path().join("words.wav");
    let said = words(&format!("{ADA} {ADA}")).await;
    let file = std::fs::File::create(&mic).expect("a file");
    duologue::audio::wav::write_mono(std::io::BufWriter::new(file), LINE_RATE, &said).expect("written");
    let mic = mic.display().to_string();
    let asks = ["--scene", "bridged", "--persona", "porter", "--lead-ms", "9000", "--mic", &mic];
    let desk = ByHand::calls(port).await;
    until(&house, "SELECT call FROM events WHERE type = 'turn-ended'", 1).await;
    let (seen, ()) = tokio::join!(play(&house, &scenes, &asks), async {
        until(&house, "SELECT call FROM events WHERE type = 'turn-ended'", 2).await;
        let page = &until(&house, "SELECT id FROM calls WHERE transport = 'webrtc'", 1).await[0].0;
        let telephone = &until(&house, "SELECT id FROM calls WHERE transport = 'sip'", 1).await[0].0;
        let (status, told) = ask(&house, page, "bridge", json!({"call": telephone})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{told}");
        until(&house, "SELECT id FROM bridges WHERE joined_utc_ms IS NOT NULL", 1).await;
        let quiet = desk.loud_ms();
        desk.says(DESK).await;
        let patience = Instant::now() + Duration::from_secs(30);
        // Half of what lies in the file.
        while desk.loud_ms() < quiet + 2_000 {
            assert!(Instant::now() < patience, "nothing of the microphone's came: {} ms", desk.loud_ms() - quiet);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let path = format!("{}/v1/calls/{page}/bridge", house.url);
        let parted = Client::new().delete(path).bearer_auth("duologue").send().await.expect("an answer");
        assert_eq!(parted.status(), StatusCode::ACCEPTED);
    });
    assert_eq!(seen["faults"], json!([]), "{seen}");
    let mut wav = hound::WavReader::open(seen["audio"]["path"].as_str().expect("a file")).expect("a recording");
    let rate_hz = wav.spec().sample_rate;
    let sound: Vec<f32> = wav.samples::<i16>().map(|sample| f32::from(sample.expect("readable")) / 32_768.0).collect();
    let heard = heard(&sound, rate_hz);
    assert!(share(&heard, DESK) >= ENOUGH, "the telephone's words came out of the browser: {heard:?}");
    desk.hang_up().await;
    over(&house).await;
    house.server.stop().await;
}
