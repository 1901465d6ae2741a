//! The options of the throughput test; they are iperf3's.

use clap::{ArgGroup, Args};

use super::{TierArg, VerbosityArgs};

#[derive(Debug, Args)]
#[command(
    override_usage = "net-traffic iperf [OPTIONS] HOST\n       net-traffic iperf [OPTIONS] -s",
    after_help = IPERF_HELP,
    next_help_heading = "Test",
    group(ArgGroup::new("role").required(true).args(["host", "client", "server"]))
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct IperfArgs {
    /// The server to test against
    #[arg(help_heading = "Arguments", value_name = "HOST")]
    pub host: Option<String>,
    /// Same as HOST
    #[arg(short, long, value_name = "HOST")]
    pub client: Option<String>,
    /// Serve tests
    #[arg(short, long)]
    pub server: bool,
    /// Serve one test, then exit
    #[arg(short = '1', long, requires = "server", conflicts_with_all = ["host", "client"])]
    pub one_off: bool,
    /// Port of the server
    #[arg(short, long, value_name = "PORT", default_value_t = 5201, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Only IPv4
    #[arg(short = '4', help_heading = "Selection", long = "version4", conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Only IPv6
    #[arg(short = '6', help_heading = "Selection", long = "version6")]
    pub ipv6: bool,
    /// Print iperf3's JSON with the additional key `net_traffic`
    #[arg(short = 'J', long, help_heading = "Output")]
    pub json: bool,
    #[command(flatten)]
    pub test: TestArgs,
    /// Count other traffic by this tier [default: auto]
    #[arg(long = "backend", help_heading = "Source", visible_alias = "tier", value_name = "BACKEND")]
    pub tier: Option<TierArg>,
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

const IPERF_HELP: &str = "Examples:
  net-traffic iperf -s                     serve tests, to iperf3 too
  net-traffic iperf 192.0.2.1 -R           the server sends
  net-traffic iperf 192.0.2.1 -u -b 50M -J";

/// Options that the client sets for both ends.
#[derive(Debug, Args)]
#[command(next_help_heading = "Test")]
pub(crate) struct TestArgs {
    /// Seconds of the test [default: 10]
    #[arg(short, long, value_name = "SECONDS", conflicts_with = "server", value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub time: Option<u32>,
    /// Send this many bytes instead of -t SECONDS
    #[arg(short = 'n', long, value_name = "N[KMGT]", conflicts_with_all = ["server", "time"])]
    pub bytes: Option<String>,
    /// Number of parallel streams
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, conflicts_with = "server", value_parser = clap::value_parser!(u32).range(1..=128))]
    pub parallel: u32,
    /// The server sends and the client receives
    #[arg(short = 'R', long, conflicts_with_all = ["server", "bidir"])]
    pub reverse: bool,
    /// Both ends send
    #[arg(long, conflicts_with = "server")]
    pub bidir: bool,
    /// Use UDP instead of TCP
    #[arg(short, long, conflicts_with = "server")]
    pub udp: bool,
    /// Send at most this many bits per second on each stream; 0 means no limit [default: 1M for UDP, no limit for TCP]
    #[arg(short, long, value_name = "N[KMGT]", conflicts_with = "server")]
    pub bitrate: Option<String>,
    /// Seconds between lines of the report; 0 means no lines [default: 1]
    #[arg(short, long, value_name = "SECONDS", conflicts_with = "server")]
    pub interval: Option<f64>,
    /// Bytes of each read and write call
    #[arg(short, long, value_name = "N[KMG]", conflicts_with = "server")]
    pub length: Option<String>,
    /// Socket buffer size at both ends
    #[arg(short, long, value_name = "N[KMG]", conflicts_with = "server")]
    pub window: Option<String>,
    /// TCP's maximum segment size
    #[arg(short = 'M', long, value_name = "N", conflicts_with_all = ["server", "udp"], value_parser = clap::value_parser!(i32).range(88..=65495))]
    pub set_mss: Option<i32>,
    /// TCP's congestion control algorithm
    #[arg(short = 'C', long, value_name = "NAME", conflicts_with_all = ["server", "udp"])]
    pub congestion: Option<String>,
}
