//! The configuration of `iperf`.

use crate::args::IperfArgs;
use net_traffic_snapshot::{Counting, LiveOptions};
use net_traffic_throughput::{Family, Interval, IperfOptions, Role, Test};

use super::{ConfigError, IperfConfig, refuse, tier};

/// The range of iperf3; 0 stands for no interval reports.
const INTERVAL_S: std::ops::RangeInclusive<f64> = 0.1..=60.0;

/// The collectors count, and read what only the kernel knows of a connection's waits.
pub(super) fn config(args: &IperfArgs) -> Result<IperfConfig, ConfigError> {
    let live = LiveOptions {
        tier: tier(args.tier),
        counting: Counting::Sockets,
        waits: true,
        ..LiveOptions::default()
    };
    Ok(IperfConfig { options: options(args)?, live, verbosity: args.verbosity.into() })
}

fn options(args: &IperfArgs) -> Result<IperfOptions, ConfigError> {
    let role = match args.host.as_ref().or(args.client.as_ref()) {
        Some(host) => Role::Client(Box::new(test(args, host)?)),
        None => Role::Server { one_off: args.one_off },
    };
    let family = match (args.ipv4, args.ipv6) {
        (true, _) => Some(Family::Ipv4),
        (_, true) => Some(Family::Ipv6),
        (false, false) => None,
    };
    Ok(IperfOptions { role, port: args.port, family, json: args.json })
}

fn test(args: &IperfArgs, host: &str) -> Result<Test, ConfigError> {
    let test = &args.test;
    Ok(Test {
        host: host.to_owned(),
        seconds: test.time,
        bytes: test.bytes.clone(),
        streams: test.parallel,
        reverse: test.reverse,
        bidirectional: test.bidir,
        udp: test.udp,
        bitrate: test.bitrate.clone(),
        interval: test.interval.map(interval).transpose()?,
        length: test.length.clone(),
        window: test.window.clone(),
        mss: test.set_mss,
        congestion: test.congestion.clone(),
    })
}

fn interval(seconds: f64) -> Result<Interval, ConfigError> {
    if seconds != 0.0 && !INTERVAL_S.contains(&seconds) {
        let (least, most) = (INTERVAL_S.start(), INTERVAL_S.end());
        return refuse(format!("-i {seconds}: the interval is 0 or from {least} to {most} seconds"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at most a minute")]
    Ok(Interval((seconds * 1000.0).round() as u32))
}
