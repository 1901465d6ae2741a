//! The primitives and examples of the manual page pcap-filter(7) of libpcap 1.10, in its order: the verdicts and the
//! refusals of the installed libpcap.

use std::net::{IpAddr, ToSocketAddrs};

use pcap_filter::compile;

use super::data;
use super::libpcap::Libpcap;
use super::random::{Comparison, LINKTYPES, system_names};

#[test]
fn manual_expressions_have_libpcaps_verdicts() {
    let networks = std::fs::read_to_string("/etc/networks").unwrap_or_default();
    let ethers = std::fs::read_to_string("/etc/ethers").unwrap_or_default();
    let names = system_names().with_places(&networks, &ethers).with_hosts(addresses);
    let mut comparison = Comparison::default();
    for linktype in LINKTYPES {
        let libpcap = match Libpcap::open(linktype) {
            Ok(libpcap) => libpcap,
            Err(reason) => return crate::skip(&reason),
        };
        let frames = data::frames(linktype);
        let options = data::options(data::linktype(linktype), &names);
        for expression in EXPRESSIONS {
            comparison.add(&libpcap, expression, &options, &frames);
        }
    }
    comparison.assert_equal();
    assert!(comparison.accepted > 400 && comparison.refused > 200);
}

/// The addresses of a host. The only host in the expressions is localhost, which `/etc/hosts` resolves.
fn addresses(host: &str) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        (host, 0).to_socket_addrs().map_or_else(|_| Vec::new(), |found| found.map(|a| a.ip()).collect());
    addresses.dedup();
    addresses
}

#[test]
fn ip_broadcast_depends_on_the_netmask() {
    let names = data::names();
    let mut options = data::options(data::linktype("EN10MB"), &names);
    assert!(compile("ip broadcast", &options).is_err());
    options.netmask = Some(0xffff_ff00);
    let program = compile("ip broadcast", &options).unwrap();
    let to = |last: u8| {
        let mut frame = [0; 34];
        frame[12] = 8;
        frame[30..34].copy_from_slice(&[10, 0, 7, last]);
        frame
    };
    for (last, is_broadcast) in [(0, true), (255, true), (1, false), (127, false)] {
        let frame = data::Frame { data: to(last).to_vec(), wire_length: 34 };
        assert_eq!(data::verdict(&program, &[frame]), [is_broadcast], "10.0.7.{last}");
    }
}

const EXPRESSIONS: &[&str] = &[
    "port ftp and not port ftp-data",
    "ether host aa:bb:cc:dd:ee:ff",
    "ether host aa.bb.cc.dd.ee.ff",
    "ether host aa-bb-cc-dd-ee-ff",
    "ether host aabb.ccdd.eeff",
    "ether host aabbccddeeff",
    "ether dst a:b:c:d:e:f",
    "ether src aa-bb-cc-dd-ee-ff or ether src aa:bb:cc:dd:ee:ff",
    "fddi host aa:bb:cc:dd:ee:ff",
    "tr host aa:bb:cc:dd:ee:ff",
    "wlan host aa:bb:cc:dd:ee:ff",
    "wlan addr2 0:2:3:4:5:6",
    "wlan ra 0:2:3:4:5:6",
    "type mgt",
    "type data subtype qos-data",
    "subtype beacon",
    "dir nods",
    "fddi proto 6",
    "tr broadcast",
    "wlan multicast",
    "addr1 0:2:3:4:5:6",
    "gateway foo",
    "net 128.3",
    "dst net 128.3",
    "src or dst port ftp-data",
    "net 192.168.1.0",
    "net 192.168.1",
    "net 10",
    "net 10.0.0.0/8",
    "net 10.0.0.0 mask 255.0.0.0",
    "net 10.0.0.1/8",
    "src net 2001:db8::/32",
    "net 2001:db8::1",
    "net loopback",
    "dst host localhost",
    "src host localhost",
    "ip host localhost",
    "ip6 host localhost",
    "udp portrange 7000-7009",
    "portrange ftp-ssh",
    "portrange 7000",
    "tcp src port 80",
    "dst port 513",
    "port domain",
    "port http",
    "udp port http",
    "sctp port 80",
    "less 100",
    "greater 100",
    "ip proto 17",
    r"ip proto \udp",
    "ip proto udp",
    r"ip6 proto \tcp",
    r"ip proto \ipv6-icmp",
    r"ip6 proto \ipv6-icmp",
    "ip proto eigrp",
    "ip proto vrrp",
    r"ip proto \vrrp",
    "proto 17",
    r"proto \icmp",
    "ah",
    "esp",
    "pim",
    "icmp6",
    "igmp",
    "igrp",
    "vrrp",
    "carp",
    "ip6 protochain 6",
    "ip protochain 6",
    "protochain 6",
    r"ip6 protochain \tcp",
    "ether broadcast",
    "broadcast",
    "ip broadcast",
    "ether multicast",
    "multicast",
    "ip multicast",
    "ip6 multicast",
    "ether proto 0x0806",
    r"ether proto \arp",
    r"ether proto \aarp",
    r"ether proto \loopback",
    "ether proto loopback",
    r"ether proto \stp",
    r"ether proto \netbeui",
    r"ether proto \ipx",
    r"ether proto \lat",
    "decnet src 10.123",
    "decnet dst 10.123",
    "decnet host 10.123",
    "llc",
    "llc i",
    "llc s",
    "llc u",
    "llc rr",
    "llc rnr",
    "llc rej",
    "llc ui",
    "llc ua",
    "llc disc",
    "llc sabme",
    "llc test",
    "llc xid",
    "llc frmr",
    "inbound",
    "outbound",
    "ifname eth0",
    "on eth0",
    "rnr 5",
    "rulenum 5",
    "reason match",
    "rset foo",
    "ruleset foo",
    "srnr 5",
    "subrulenum 5",
    "action pass",
    "ifindex 1",
    "vlan",
    "vlan 100",
    "vlan 100 && vlan 200",
    "vlan && vlan 300 && ip",
    "mpls",
    "mpls 100000 && mpls 1024",
    "mpls && mpls 1024 && host 192.9.200.1",
    "pppoed",
    "pppoes",
    "pppoes 0x27",
    "pppoes && ip",
    "pppoes 0x27 && ip",
    "geneve",
    "geneve 0xb",
    "geneve 0xb && ip",
    "iso proto 5",
    r"iso proto \clnp",
    r"iso proto \esis",
    r"iso proto \isis",
    "clnp",
    "esis",
    "isis",
    "l1",
    "l2",
    "iih",
    "lsp",
    "snp",
    "csnp",
    "psnp",
    "vpi 5",
    "vci 5",
    "lane",
    "oamf4s",
    "oamf4e",
    "oamf4",
    "oam",
    "metac",
    "bcc",
    "sc",
    "ilmic",
    "connectmsg",
    "metaconnect",
    "ether[0] & 1 != 0",
    "ip[0] & 0xf != 5",
    "ip[6:2] & 0x1fff = 0",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[13] == 2",
    "tcp[tcpflags] & tcp-ece != 0",
    "tcp[tcpflags] & tcp-cwr != 0",
    "tcp[tcpflags] == tcp-syn",
    "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply",
    "icmp[icmptype] = icmp-unreach",
    "icmp[icmpcode] = 1",
    "icmp[icmptype] = icmp-sourcequench",
    "icmp[icmptype] = icmp-redirect",
    "icmp[icmptype] = icmp-routeradvert",
    "icmp[icmptype] = icmp-routersolicit",
    "icmp[icmptype] = icmp-timxceed",
    "icmp[icmptype] = icmp-paramprob",
    "icmp[icmptype] = icmp-tstamp",
    "icmp[icmptype] = icmp-tstampreply",
    "icmp[icmptype] = icmp-ireq",
    "icmp[icmptype] = icmp-ireqreply",
    "icmp[icmptype] = icmp-maskreq",
    "icmp[icmptype] = icmp-maskreply",
    "icmp6[icmp6type] = icmp6-echo",
    "icmp6[icmp6type] = icmp6-echoreply",
    "icmp6[icmp6type] = icmp6-destinationrunreach",
    "icmp6[icmp6type] = icmp6-packettoobig",
    "icmp6[icmp6type] = icmp6-timeexceeded",
    "icmp6[icmp6type] = icmp6-parameterproblem",
    "icmp6[icmp6type] = icmp6-multicastlistenerquery",
    "icmp6[icmp6type] = icmp6-multicastlistenerreportv1",
    "icmp6[icmp6type] = icmp6-multicastlistenerdone",
    "icmp6[icmp6type] = icmp6-routersolicit",
    "icmp6[icmp6type] = icmp6-routeradvert",
    "icmp6[icmp6type] = icmp6-neighborsolicit",
    "icmp6[icmp6type] = icmp6-neighboradvert",
    "icmp6[icmp6type] = icmp6-redirect",
    "icmp6[icmp6type] = icmp6-routerrenum",
    "icmp6[icmp6type] = icmp6-nodeinformationquery",
    "icmp6[icmp6type] = icmp6-nodeinformationresponse",
    "icmp6[icmp6type] = icmp6-ineighbordiscoverysolicit",
    "icmp6[icmp6type] = icmp6-ineighbordiscoveryadvert",
    "icmp6[icmp6type] = icmp6-multicastlistenerreportv2",
    "icmp6[icmp6type] = icmp6-homeagentdiscoveryrequest",
    "icmp6[icmp6type] = icmp6-homeagentdiscoveryreply",
    "icmp6[icmp6type] = icmp6-mobileprefixsolicit",
    "icmp6[icmp6type] = icmp6-mobileprefixadvert",
    "icmp6[icmp6type] = icmp6-certpathsolicit",
    "icmp6[icmp6type] = icmp6-certpathadvert",
    "icmp6[icmp6type] = icmp6-multicastrouteradvert",
    "icmp6[icmp6type] = icmp6-multicastroutersolicit",
    "icmp6[icmp6type] = icmp6-multicastroutertermination",
    "icmp6[icmp6code] = 0",
    "radio[0] = 1",
    "link[0] = 1",
    "fddi[0] = 1",
    "wlan[0] = 1",
    "ppp[0] = 1",
    "slip[0] = 1",
    "udp[4:2] > 100",
    "len > 100",
    "host 10.0.0.1 and not (port 80 or port 25)",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "ether[0] & 1 = 0 and ip[16] >= 224",
    "ip host 10.0.0.1 and not 10.0.0.2",
    "(tcp port 80) || !(udp port 53)",
    "not not tcp",
    "1 + 1 = 2",
    "1 ^ 1 = 0",
    "5 % 3 = 2",
    "1 << 3 = 8",
    "ip[0] = 'a'",
];
