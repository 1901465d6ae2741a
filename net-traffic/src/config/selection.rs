//! The values of the selection: states, networks, columns, network namespaces.

use std::path::Path;

use super::{ConfigError, refuse};
use crate::args::{SelectionArgs, TableArg};
use net_traffic_model::{Network, Protocol, RemoteMatch, Selection, State, TextMatch};
use net_traffic_snapshot::{LiveOptions, Netns, SocketFilter};
use net_traffic_view::{States, TableId};

pub(super) fn selection(args: &SelectionArgs) -> Result<Selection, ConfigError> {
    for (option, values) in
        [("-i", &args.interfaces), ("--process", &args.processes), ("--container", &args.containers)]
    {
        if values.iter().any(String::is_empty) {
            return refuse(format!("{option}: a name must not be empty"));
        }
    }
    let mut protocols = Vec::new();
    if args.tcp {
        protocols.extend([Protocol::Tcp, Protocol::Mptcp]);
    }
    if args.udp {
        protocols.push(Protocol::Udp);
    }
    let remotes =
        args.remotes.iter().map(|text| network(text).map(RemoteMatch::Network)).collect::<Result<_, _>>()?;
    let names = |texts: &[String]| texts.iter().cloned().map(TextMatch::Name).collect();
    Ok(Selection {
        protocols,
        ipv4: args.ipv4,
        ipv6: args.ipv6,
        traced: false,
        pids: args.pids.clone(),
        processes: names(&args.processes),
        containers: names(&args.containers),
        netns: None,
        interfaces: args.interfaces.iter().filter(|name| *name != "any").cloned().collect(),
        remotes,
        ports: args.ports.clone(),
        states: None,
    })
}

/// Limits a live source to the sockets that the selection can show, and widens it to the namespaces they may be in.
pub(super) fn narrow(live: &mut LiveOptions, selection: &Selection) {
    let Selection { protocols, ipv4, ipv6, pids, containers, interfaces, .. } = selection;
    let every = protocols.is_empty();
    // A PID, container or interface may be in any network namespace.
    let anywhere = !(pids.is_empty() && containers.is_empty() && interfaces.is_empty());
    live.everywhere |= anywhere && live.netns.is_none();
    let both = ipv4 == ipv6;
    live.sockets = SocketFilter {
        tcp: every || protocols.contains(&Protocol::Tcp),
        udp: every || protocols.contains(&Protocol::Udp),
        others: every,
        // A dual-stack socket is an IPv6 socket, also while it carries IPv4.
        ipv4: both || *ipv4,
        ipv6: true,
        connected: true,
        unconnected: true,
    };
}

pub(super) fn states(names: &[String]) -> Result<States, ConfigError> {
    let mut states = States::default();
    for name in names {
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        states.named.push(match plain.as_str() {
            "established" | "estab" => State::Established,
            "synsent" => State::SynSent,
            "synreceived" | "synrecv" => State::SynReceived,
            "finwait1" => State::FinWait1,
            "finwait2" => State::FinWait2,
            "timewait" => State::TimeWait,
            "closed" | "close" | "unconn" | "unconnected" => State::Closed,
            "closewait" => State::CloseWait,
            "lastack" => State::LastAck,
            "listen" | "listening" => State::Listen,
            "closing" => State::Closing,
            _ => {
                return refuse(format!(
                    "--state: '{name}' is no state; the states are established, syn_sent, syn_received, fin_wait_1, \
                     fin_wait_2, time_wait, closed, close_wait, last_ack, listen, closing"
                ));
            }
        });
    }
    Ok(states)
}

/// The key of a column, given by its key or by its heading in a table.
pub(super) fn column(
    name: &str,
    view: &str,
    tables: &[(&'static str, Vec<&'static str>)],
    table: Option<TableId>,
) -> Result<String, ConfigError> {
    let lower = name.to_ascii_lowercase();
    let key = match lower.as_str() {
        "rx" => "rx_bytes",
        "tx" => "tx_bytes",
        "rx/s" => "rx_bps",
        "tx/s" => "tx_bps",
        "rtt" => "rtt_us",
        "retrans" => "retransmits",
        "age" => "age_ms",
        "proto" => "protocol",
        "iface" => "interface",
        "conns" => "connections",
        other => other,
    };
    let searched = || tables.iter().filter(|(key, _)| table.is_none_or(|table| table.key() == *key));
    if searched().any(|(_, columns)| columns.contains(&key)) {
        return Ok(key.to_owned());
    }
    let mut known: Vec<&str> = searched().flat_map(|(_, columns)| columns.iter().copied()).collect();
    known.sort_unstable();
    known.dedup();
    refuse(format!("--sort: {view} has no column '{name}'; it has {}", known.join(", ")))
}

pub(super) fn table(table: TableArg) -> TableId {
    match table {
        TableArg::Connection => TableId::Connection,
        TableArg::Process => TableId::Process,
        TableArg::Container => TableId::Container,
        TableArg::Destination => TableId::Destination,
        TableArg::Interface => TableId::Interface,
    }
}

/// The lowest inode of a namespace (`PROC_DYNAMIC_FIRST`); process ids are smaller.
/// <https://github.com/gregkh/linux/blob/v6.12.117/fs/proc/generic.c#L197>
const FIRST_INODE: u32 = 0xF000_0000;

pub(super) fn netns(text: &Path) -> Result<Netns, ConfigError> {
    let Some(digits) = text.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())) else {
        return Ok(Netns::Path(text.to_owned()));
    };
    match digits.parse::<u32>() {
        Ok(0) | Err(_) => refuse(format!("--netns: '{digits}' is neither a path nor a process id")),
        Ok(inode) if inode >= FIRST_INODE => Ok(Netns::Inode(inode)),
        Ok(pid) => Ok(Netns::Pid(pid)),
    }
}

fn network(text: &str) -> Result<Network, ConfigError> {
    text.parse().map_err(|error| ConfigError(format!("--remote '{text}': {error}")))
}
