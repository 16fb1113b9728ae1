//! Any bytes as a telephone's RTCP: reports that are as many as can stand in it, or none at all.

use duologue_core::media::rtcp::read;

/// One datagram.
pub fn run(bytes: &[u8]) {
    let Some(reports) = read(bytes) else { return };
    let blocks: usize = reports.iter().map(|report| report.blocks.len()).sum();
    let senders = reports.iter().filter(|report| report.ntp_time.is_some()).count();
    assert!(8 * reports.len() + 20 * senders + 24 * blocks <= bytes.len());
    assert!(reports.iter().flat_map(|report| &report.blocks).all(|block| block.lost < 1 << 24));
    // Two compounds behind each other are one.
    let twice = read(&[bytes, bytes].concat()).expect("each was read");
    assert!(twice.len() == 2 * reports.len() && twice[..reports.len()] == reports);
}
