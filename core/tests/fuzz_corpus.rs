//! The fuzz targets over their corpus: they compile, and what was found once is not found again. docs/FUZZING.md has more.

use std::path::Path;

#[path = "../../fuzz/targets/client_message.rs"]
mod client_message;
#[path = "../../fuzz/targets/doors.rs"]
mod doors;
#[path = "../../fuzz/targets/dtls.rs"]
mod dtls;
#[path = "../../fuzz/targets/offer.rs"]
mod offer;
#[path = "../../fuzz/targets/opus.rs"]
mod opus;
#[path = "../../fuzz/targets/phone_sdp.rs"]
mod phone_sdp;
#[path = "../../fuzz/targets/receiver.rs"]
mod receiver;
#[path = "../../fuzz/targets/rtcp.rs"]
mod rtcp;
#[path = "../../fuzz/targets/sip_datagram.rs"]
mod sip_datagram;
#[path = "../../fuzz/targets/stun.rs"]
mod stun;
#[path = "../../fuzz/targets/telephone.rs"]
mod telephone;

fn each_of(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a readable input");
        // A panic of the target fails the test; what it was working on is told before.
        println!("{}", path.display());
        run(&bytes);
        // Every beginning of it, too: packets that stop in the middle.
        (0..bytes.len()).step_by(bytes.len() / 16 + 1).for_each(|end| run(&bytes[..end]));
        seen += 1;
    }
    assert!(seen >= 3, "{} has {seen} inputs", folder.display());
}

#[test]
fn packets_of_any_kind_are_received() {
    each_of("receiver", receiver::run);
}

#[test]
fn payloads_of_any_kind_are_decoded() {
    each_of("opus", opus::run);
}

#[test]
fn offers_of_any_kind_are_read_or_refused() {
    each_of("offer", offer::run);
}

#[test]
fn messages_of_any_kind_are_read_or_refused() {
    each_of("client_message", client_message::run);
}

#[test]
fn a_telephone_s_sdp_of_any_kind_is_answered_or_refused() {
    each_of("phone_sdp", phone_sdp::run);
}

#[test]
fn datagrams_of_any_kind_are_read_or_refused() {
    each_of("sip_datagram", sip_datagram::run);
}

#[test]
fn a_telephone_s_packets_of_any_kind_are_heard_or_passed_over() {
    each_of("telephone", telephone::run);
}

#[test]
fn what_the_clients_of_the_doors_say_is_read_or_refused() {
    each_of("doors", doors::run);
}

#[test]
fn reports_of_any_kind_are_read_or_refused() {
    each_of("rtcp", rtcp::run);
}

#[test]
fn datagrams_on_the_port_of_all_calls_go_to_whom_they_are_for() {
    each_of("stun", stun::run);
}

#[test]
fn a_handshake_is_handed_what_it_is_made_of_and_nothing_else() {
    each_of("dtls", dtls::run);
}
