#![no_main]

#[path = "../../src/sip/srtp.rs"]
#[allow(dead_code, reason = "the server uses the rest")]
mod srtp;
#[path = "../targets/srtp.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
