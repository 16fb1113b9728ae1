//! `duologue relay`: a bad network for anybody's tests, on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use crate::media::network::{Impairment, SpecFault};
use crate::peer::relay::{Relay, RelayConfig, RelayCounts};

/// `duologue relay`.
#[derive(Clone, Debug, clap::Args)]
pub struct RelayArguments {
    /// Take datagrams here; port 0 is a free one, which is printed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Send them on to here, and what comes back to whoever sent them
    #[arg(long, value_name = "ADDR")]
    pub to: SocketAddr,
    #[command(flatten)]
    pub impairment: ImpairmentArguments,
    /// Which way is impaired
    #[arg(long, value_enum, default_value_t = Ways::Both)]
    pub ways: Ways,
    /// Let STUN and DTLS pass untouched, so that calls come up at once
    #[arg(long)]
    pub spare_setup: bool,
    /// Stop after so many seconds; Ctrl-C stops at once
    #[arg(long = "for", value_name = "S", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Also listen or send beyond this machine
    #[arg(long)]
    pub beyond_loopback: bool,
}

/// What happens to packets. Times are milliseconds, shares are 0 to 1.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ImpairmentArguments {
    /// One seed is one trace
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of packets lost
    #[arg(long, value_name = "SHARE")]
    pub loss: Option<String>,
    /// Mean number lost in a row; independent losses otherwise
    #[arg(long, value_name = "PACKETS")]
    pub burst: Option<String>,
    /// One way
    #[arg(long, value_name = "MS")]
    pub delay: Option<String>,
    /// Added to it: FROM..TO, normal:MEAN:DEVIATION or exp:MEAN
    #[arg(long, value_name = "MS")]
    pub jitter: Option<String>,
    /// Share of packets that the next one overtakes
    #[arg(long, value_name = "SHARE")]
    pub reorder: Option<String>,
    /// Share of packets that come twice
    #[arg(long, value_name = "SHARE")]
    pub duplicate: Option<String>,
    /// Packets leave in the order in which they came, however they are delayed
    #[arg(long)]
    pub keep_order: bool,
    /// What the path carries
    #[arg(long, value_name = "BITS/S")]
    pub rate: Option<String>,
    /// How long the queue before that may get
    #[arg(long, value_name = "MS")]
    pub queue: Option<String>,
}

/// Directions, seen from whoever sends to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ways {
    Both,
    There,
    Back,
}

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum RelayFault {
    #[error(transparent)]
    Spec(#[from] SpecFault),
    #[error("{0} is beyond this machine: take a loopback address, or say --beyond-loopback")]
    BeyondLoopback(SocketAddr),
    #[error("cannot listen on UDP {listen}: {why}")]
    Listen { listen: SocketAddr, why: std::io::Error },
}

impl ImpairmentArguments {
    /// As one value, checked.
    ///
    /// # Errors
    /// When a value is out of its range, or two exclude each other.
    pub fn impairment(&self) -> Result<Impairment, SpecFault> {
        let order = self.keep_order.then(|| "keep".to_owned());
        let named = [
            ("loss", &self.loss),
            ("burst", &self.burst),
            ("delay", &self.delay),
            ("jitter", &self.jitter),
            ("reorder", &self.reorder),
            ("duplicate", &self.duplicate),
            ("order", &order),
            ("rate", &self.rate),
            ("queue", &self.queue),
        ];
        let parts: Vec<String> =
            named.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}"))).collect();
        parts.join(",").parse()
    }
}

/// Relays until it is stopped or its time is over; prints its address first and its counts last, as JSON.
///
/// # Errors
/// When it cannot be set up.
pub async fn run(args: RelayArguments) -> Result<RelayCounts, RelayFault> {
    for address in [args.listen, args.to] {
        if !address.ip().is_loopback() && !args.beyond_loopback {
            return Err(RelayFault::BeyondLoopback(address));
        }
    }
    let impairment = args.impairment.impairment()?;
    let unless = |spared: Ways| if args.ways == spared { Impairment::default() } else { impairment };
    let config = RelayConfig {
        listen: args.listen,
        to: args.to,
        there: unless(Ways::Back),
        back: unless(Ways::There),
        seed: args.impairment.seed,
        spare_setup: args.spare_setup,
    };
    let relay = Relay::start(config).await.map_err(|why| RelayFault::Listen { listen: args.listen, why })?;
    println!("relaying {} -> {}: seed {}, {impairment}", relay.local_addr(), args.to, args.impairment.seed);
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut term {
            Some(term) => term.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
        () = tokio::time::sleep(Duration::from_secs(args.seconds)) => {}
    }
    let counts = relay.stop().await;
    println!("{}", serde_json::to_string(&counts).unwrap_or_default());
    Ok(counts)
}
