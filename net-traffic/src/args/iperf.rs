//! The options of the throughput test, as iperf3 has them.

use clap::{ArgGroup, Args};

use super::{TierArg, Verbosity};

#[derive(Debug, Args)]
#[command(
    override_usage = "net-traffic iperf [OPTIONS] HOST\n       net-traffic iperf [OPTIONS] -s",
    group(ArgGroup::new("role").required(true).args(["host", "client", "server"]))
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct IperfArgs {
    /// The server to test against
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
    /// The same, as iperf3 has it
    #[arg(short, long, value_name = "HOST")]
    pub client: Option<String>,
    /// Serve tests
    #[arg(short, long)]
    pub server: bool,
    /// Serve one test, then end
    #[arg(short = '1', long, requires = "server", conflicts_with_all = ["host", "client"])]
    pub one_off: bool,
    /// The server's port
    #[arg(short, long, value_name = "PORT", default_value_t = 5201, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Only IPv4
    #[arg(short = '4', long = "version4", conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', long = "version6")]
    pub ipv6: bool,
    /// iperf3's JSON, with the key `net_traffic`
    #[arg(short = 'J', long)]
    pub json: bool,
    #[command(flatten)]
    pub test: TestArgs,
    /// How bytes are counted meanwhile [default: auto]
    #[arg(long, value_name = "TIER")]
    pub tier: Option<TierArg>,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What the client chooses for both sides.
#[derive(Debug, Args)]
#[command(next_help_heading = "Client")]
pub(crate) struct TestArgs {
    /// Seconds to send for [default: 10]
    #[arg(short, long, value_name = "SECONDS", conflicts_with = "server", value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub time: Option<u32>,
    /// Bytes to send, instead of -t
    #[arg(short = 'n', long, value_name = "N[KMGT]", conflicts_with_all = ["server", "time"])]
    pub bytes: Option<String>,
    /// Streams at a time
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, conflicts_with = "server", value_parser = clap::value_parser!(u32).range(1..=128))]
    pub parallel: u32,
    /// The server sends, the client receives
    #[arg(short = 'R', long, conflicts_with_all = ["server", "bidir"])]
    pub reverse: bool,
    /// Both send
    #[arg(long, conflicts_with = "server")]
    pub bidir: bool,
    /// UDP instead of TCP
    #[arg(short, long, conflicts_with = "server")]
    pub udp: bool,
    /// Bits per second to send at, 0 for no limit [default: 1M for UDP, no limit for TCP]
    #[arg(short, long, value_name = "N[KMGT]", conflicts_with = "server")]
    pub bitrate: Option<String>,
    /// Seconds between lines of the report, 0 for none [default: 1]
    #[arg(short, long, value_name = "SECONDS", conflicts_with = "server")]
    pub interval: Option<f64>,
    /// Bytes to read or write at a time
    #[arg(short, long, value_name = "N[KMG]", conflicts_with = "server")]
    pub length: Option<String>,
    /// Size of the sockets' buffers on both sides
    #[arg(short, long, value_name = "N[KMG]", conflicts_with = "server")]
    pub window: Option<String>,
    /// The largest segment of TCP
    #[arg(short = 'M', long, value_name = "N", conflicts_with_all = ["server", "udp"], value_parser = clap::value_parser!(i32).range(88..=65495))]
    pub set_mss: Option<i32>,
    /// TCP's congestion control
    #[arg(short = 'C', long, value_name = "NAME", conflicts_with_all = ["server", "udp"])]
    pub congestion: Option<String>,
}
