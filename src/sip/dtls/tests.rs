use proptest::prelude::*;

use super::*;

fn identity() -> Identity {
    Identity::new().expect("a certificate")
}

fn named(identity: &Identity) -> Vec<Fingerprint> {
    vec![Fingerprint { hash: CertificateHash::Sha256, digest: identity.sha256.to_vec() }]
}

/// What a network does to the datagrams between two ends. One number a datagram, so that a seed is a network.
struct Network {
    seed: u64,
    /// Of a hundred.
    lost: u64,
    twice: u64,
    /// A datagram takes up to so long: later ones overtake it.
    longest_ms: u64,
}

impl Network {
    fn next(&mut self, below: u64) -> u64 {
        // Knuth's MMIX generator; its upper bits are good enough to lose packets by.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }
}

/// One end, its keys, and why there are none.
struct End {
    handshake: Handshake,
    keys: Option<AgreedKeys>,
    failed: Option<NoKeys>,
}

impl End {
    fn new(ours: &Identity, role: DtlsRole, theirs: &[Fingerprint], now: Instant) -> Self {
        let handshake = Handshake::new(ours, role, theirs, now).expect("a handshake");
        Self { handshake, keys: None, failed: None }
    }

    fn read(&mut self, datagram: &[u8], now: Instant) {
        match self.handshake.read(datagram, now) {
            Ok(Some(keys)) => assert!(self.keys.replace(keys).is_none(), "keys are agreed on once"),
            Ok(None) => {}
            Err(why) => self.failed = self.failed.take().or(Some(why)),
        }
    }
}

/// Both ends, until both have keys or one has none to expect; the time that it took.
fn shake(ends: &mut [End; 2], network: &mut Network, began: Instant) -> Duration {
    let mut flying: Vec<(Duration, usize, Bytes)> = Vec::new();
    for ms in (0..20_000).step_by(5) {
        let (passed, now) = (Duration::from_millis(ms), began + Duration::from_millis(ms));
        if ends[0].handshake.is_to_begin() {
            ends[0].handshake.begin(now).expect("a beginning");
        }
        let (come, still): (Vec<_>, Vec<_>) = flying.into_iter().partition(|(at, ..)| *at <= passed);
        flying = still;
        for (_, to, datagram) in come {
            ends[to].read(&datagram, now);
        }
        for n in 0..2 {
            if let Err(why) = ends[n].handshake.look(now) {
                ends[n].failed = ends[n].failed.take().or(Some(why));
            }
            while let Some(datagram) = ends[n].handshake.leaving() {
                let times =
                    if network.next(100) < network.lost { 0 } else { 1 + u64::from(network.next(100) < network.twice) };
                for _ in 0..times {
                    let at = passed + Duration::from_millis(1 + network.next(network.longest_ms));
                    flying.push((at, 1 - n, datagram.clone()));
                }
            }
        }
        if ends.iter().all(|end| end.keys.is_some()) || ends.iter().any(|end| end.failed.is_some()) {
            return passed;
        }
    }
    Duration::from_secs(20)
}

fn pair(now: Instant) -> [End; 2] {
    let (one, other) = (identity(), identity());
    [End::new(&one, DtlsRole::Client, &named(&other), now), End::new(&other, DtlsRole::Server, &named(&one), now)]
}

fn agree(ends: &[End; 2]) -> bool {
    let [Some(one), Some(other)] = [&ends[0].keys, &ends[1].keys] else { return false };
    assert!(one.ours == other.theirs && one.theirs == other.ours, "what one seals the other opens");
    assert!(one.ours != one.theirs, "each way has a key of its own");
    true
}

#[test]
fn both_ends_have_the_same_keys_whatever_order_datagrams_come_in() {
    let now = Instant::now();
    for seed in 0..10 {
        let mut ends = pair(now);
        let took = shake(&mut ends, &mut Network { seed, lost: 0, twice: 30, longest_ms: 80 }, now);
        assert!(agree(&ends), "{seed}: {:?} {:?}", ends[0].failed, ends[1].failed);
        assert!(took < Duration::from_secs(3), "{seed}: {took:?}");
    }
}

#[test]
fn what_is_lost_is_sent_again() {
    let now = Instant::now();
    let mut agreed = 0;
    for seed in 0..100 {
        let mut ends = pair(now);
        shake(&mut ends, &mut Network { seed, lost: 20, twice: 5, longest_ms: 60 }, now);
        // One end has keys, the other has run out of time: of that it was told by nobody.
        let late = ends.iter().filter_map(|end| end.failed.as_ref()).all(|why| *why == NoKeys::Late(None));
        assert!(late, "{seed}: {:?} {:?}", ends[0].failed, ends[1].failed);
        agreed += usize::from(agree(&ends));
    }
    assert!(agreed >= 97, "{agreed} of 100 with a fifth of all datagrams lost");
}

#[test]
fn another_certificate_than_the_one_that_was_named_is_told_by_either_end() {
    let now = Instant::now();
    for wrong in 0..2 {
        let ours = [identity(), identity()];
        let stranger = identity();
        let of = |n: usize| if n == wrong { named(&stranger) } else { named(&ours[1 - n]) };
        let mut ends =
            [End::new(&ours[0], DtlsRole::Client, &of(0), now), End::new(&ours[1], DtlsRole::Server, &of(1), now)];
        shake(&mut ends, &mut Network { seed: 1, lost: 0, twice: 0, longest_ms: 5 }, now);
        assert_eq!(ends[wrong].failed, Some(NoKeys::Fingerprint));
        assert!(ends[wrong].keys.is_none());
    }
}

#[test]
fn a_certificate_is_known_by_any_hash_that_names_it() {
    let der = [vec![7_u8; 600], vec![8; 9]];
    let digests = [
        Sha1::digest(&der[0]).to_vec(),
        Sha256::digest(&der[0]).to_vec(),
        Sha384::digest(&der[0]).to_vec(),
        Sha512::digest(&der[0]).to_vec(),
    ];
    for (hash, digest) in CertificateHash::ALL.into_iter().zip(digests) {
        let right = Fingerprint { hash, digest: digest.clone() };
        let wrong = Fingerprint { hash, digest: vec![0; digest.len()] };
        assert!(is_named(&[wrong.clone(), right.clone()], &der));
        assert!(!is_named(std::slice::from_ref(&wrong), &der) && !is_named(&[], &der));
        assert!(!is_named(std::slice::from_ref(&right), &der[1..]), "of a chain the first is its own");
        assert!(!is_named(&[right], &[]));
    }
}

#[test]
fn who_does_not_answer_is_waited_for_ten_seconds_and_an_alert_that_anybody_can_send_ends_nothing() {
    let now = Instant::now();
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 42];
    for role in [DtlsRole::Client, DtlsRole::Server] {
        let other = identity();
        let mut end = End::new(&identity(), role, &named(&other), now);
        if end.handshake.is_to_begin() {
            end.handshake.begin(now).expect("a beginning");
        }
        assert!(end.handshake.read(&alert, now).expect("no fault").is_none());
        for ms in (0..10_000).step_by(100) {
            assert_eq!(end.handshake.look(now + Duration::from_millis(ms)), Ok(()), "{role:?} {ms}");
        }
        let sent = std::iter::from_fn(|| end.handshake.leaving()).count();
        assert_eq!(sent > 5, role == DtlsRole::Client, "{sent}");
        let late = end.handshake.look(now + WITHIN).expect_err("too late");
        assert_eq!(late, NoKeys::Late(Some(42)));
        assert!(late.to_string().contains("within 10 s, and the other side told of alert 42"), "{late}");
    }
}

/// A client of the library's that knows nothing of SRTP.
#[test]
fn who_agrees_on_no_srtp_gets_no_keys() {
    let now = Instant::now();
    let (ours, theirs) = (identity(), identity());
    let mut server = End::new(&ours, DtlsRole::Server, &named(&theirs), now);
    let config = ConfigBuilder::default()
        .with_crypto_provider(rtc_crypto::default_provider().expect("cryptography"))
        .with_certificates(vec![theirs.certificate.clone()])
        .with_insecure_skip_verify(true)
        .build(true, None)
        .expect("a configuration");
    let mut client = Endpoint::new(THERE, TransportProtocol::UDP, None);
    client.connect(now, THERE, Arc::new(config), None).expect("a beginning");
    for _ in 0..10 {
        while let Some(datagram) = client.poll_transmit() {
            server.read(&datagram.message, now);
        }
        while let Some(datagram) = server.handshake.leaving() {
            let _ = client.read(now, THERE, None, BytesMut::from(datagram.as_ref()));
        }
    }
    assert!(matches!(&server.failed, Some(NoKeys::Failed(why)) if why.contains("use_srtp")), "{:?}", server.failed);
    assert!(server.keys.is_none());
}

#[test]
fn after_the_end_of_it_no_new_one_begins_and_little_is_read() {
    let now = Instant::now();
    let mut ends = pair(now);
    shake(&mut ends, &mut Network { seed: 3, lost: 0, twice: 0, longest_ms: 5 }, now);
    assert!(agree(&ends));
    // The client says that it is over, and somebody with its address begins anew.
    ends[0].handshake.close(now);
    let goodbye = ends[0].handshake.leaving().expect("a goodbye");
    ends[1].read(&goodbye, now);
    let mut again = pair(now);
    again[0].handshake.begin(now).expect("a beginning");
    let hello = again[0].handshake.leaving().expect("a hello");
    again[0].handshake.close(now);
    assert!(again[0].handshake.leaving().is_none(), "without keys nobody would believe a goodbye");
    while ends[1].handshake.leaving().is_some() {}
    for _ in 0..1_000 {
        ends[1].read(&hello, now);
    }
    assert!(ends[1].handshake.leaving().is_none() && ends[1].failed.is_none());
    let part =
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 13][..], &[1, 0, 0, 10, 0, 9, 0, 0, 0, 0, 0, 1, 7]].concat();
    for _ in 0..10 * PARTS {
        again[1].read(&part, now);
    }
    assert_eq!(again[1].handshake.parts, PARTS, "what is read is bounded");
}

/// Records as anybody can write them, whole or not.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    let record = (20_u8..=25, 0_u8..3, proptest::collection::vec(any::<u8>(), 0..80), any::<u8>()).prop_map(
        |(kind, epoch, body, number)| {
            [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, number, 0, body.len() as u8][..], &body].concat()
        },
    );
    prop_oneof![
        proptest::collection::vec(record, 1..4).prop_map(|records| records.concat()),
        proptest::collection::vec(any::<u8>(), 0..300)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_are_a_panic_or_more_than_is_read(
        datagrams in proptest::collection::vec(rubbish(), 0..60),
        client: bool,
        begins: bool,
    ) {
        let now = Instant::now();
        let role = if client { DtlsRole::Client } else { DtlsRole::Server };
        let mut end = End::new(&identity(), role, &named(&identity()), now);
        if begins && client {
            end.handshake.begin(now).expect("a beginning");
        }
        for (n, datagram) in datagrams.iter().enumerate() {
            end.read(datagram, now + Duration::from_millis(n as u64 * 100));
            let _ = end.handshake.look(now + Duration::from_millis(n as u64 * 100));
        }
        prop_assert!(end.keys.is_none());
        prop_assert!(end.handshake.parts <= PARTS && end.handshake.bytes <= BYTES);
    }

    /// One byte of a real handshake changed on the way: there are keys, the same at both ends, or none.
    #[test]
    fn a_handshake_that_is_changed_on_the_way_gives_no_other_keys(which in 0_usize..12, at: usize, with in 1_u8..) {
        let now = Instant::now();
        let mut ends = pair(now);
        ends[0].handshake.begin(now).expect("a beginning");
        let mut sent = 0;
        for _ in 0..12 {
            for n in 0..2 {
                while let Some(datagram) = ends[n].handshake.leaving() {
                    let mut datagram = datagram.to_vec();
                    if sent == which {
                        let at = at % datagram.len();
                        datagram[at] ^= with;
                    }
                    sent += 1;
                    ends[1 - n].read(&datagram, now);
                }
            }
        }
        if let [Some(one), Some(other)] = [&ends[0].keys, &ends[1].keys] {
            prop_assert!(one.ours == other.theirs && one.theirs == other.ours);
        }
    }
}

/// What anybody can send in the clear, and no handshake is made of, between all that it is made of.
#[test]
fn what_others_send_in_between_ends_no_handshake() {
    let now = Instant::now();
    let mut ends = pair(now);
    ends[0].handshake.begin(now).expect("a beginning");
    let others: [&[u8]; 6] = [
        &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 9, 0, 2, 2, 40],
        &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 9, 0, 2, 1, 0],
        &[23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 9, 0, 1, 7],
        &[20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 9, 0, 1, 7],
        &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 1, 9, 0, 200, 1],
        &[22, 0xfe, 0xfd],
    ];
    for _ in 0..12 {
        for n in 0..2 {
            others.iter().for_each(|other| ends[1 - n].read(other, now));
            while let Some(datagram) = ends[n].handshake.leaving() {
                ends[1 - n].read(&datagram, now);
            }
        }
    }
    assert!(agree(&ends), "{:?} {:?}", ends[0].failed, ends[1].failed);
}
