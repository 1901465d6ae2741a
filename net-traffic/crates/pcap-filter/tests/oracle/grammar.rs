//! Random expressions: well-formed ones from a grammar, and damaged ones. None has a name that libpcap resolves in the
//! network.

/// A generator of random numbers (`SplitMix64`). A seed gives the same expressions on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % bound as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<'a>(&mut self, pool: &[&'a str]) -> &'a str {
        pool[self.below(pool.len())]
    }
}

const IPV4: [&str; 9] =
    ["10.0.0.1", "10.0.0.2", "192.168.1.1", "8.8.8.8", "10", "10.1", "192.168", "0x0a000001", "203.0.113.7"];
const NETS: [&str; 9] = [
    "10.0.0.0/8",
    "192.168/16",
    "172.16.0.0/12",
    "0.0.0.0/0",
    "10.0.0.0 mask 255.0.0.0",
    "10.1/16",
    "10.0.0.1/32",
    "10.0.0.1/8",
    "0/0",
];
const IPV6: [&str; 6] = ["2001:db8::1", "fe80::1", "ff02::1", "2001:db8::/32", "::/0", "fe80::/10"];
const ETHER: [&str; 4] = ["aa:bb:cc:dd:ee:ff", "00:11:22:33:44:55", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"];
const PORTS: [&str; 12] =
    ["53", "80", "443", "22", "0", "65535", "65536", "http", "domain", "ntp", "ssh", "0x50"];
const RANGES: [&str; 6] = ["1-1023", "80-443", "443-22", "80", "ssh-http", "domain-ssh"];
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "2",
    "4",
    "6",
    "17",
    "0x0f",
    "0xf0",
    "255",
    "058",
    "64",
    "0xffff",
    "0x0800",
    "31",
    "33",
    "0xffffffff",
];
const PROTOCOLS: [&str; 41] = [
    "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "sctp", "igmp", "ether", "link", "ah", "esp",
    "pim", "igrp", "vrrp", "carp", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl", "iso", "esis",
    "isis", "clnp", "stp", "ipx", "netbeui", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "radio", "ip",
];
const COMMON: [&str; 9] = ["ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "ether"];
const DIRECTIONS: [&str; 6] = ["src", "dst", "src or dst", "src and dst", "dst or src", "dst and src"];
const LLC: [&str; 16] =
    ["", "i", "s", "u", "rr", "rnr", "rej", "ui", "ua", "disc", "dm", "sabme", "test", "xid", "frmr", "foo"];
const SOUP: [&str; 76] = [
    "and",
    "or",
    "not",
    "!",
    "&&",
    "||",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    ":",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "&",
    "|",
    "<<",
    ">>",
    "=",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "tcp",
    "udp",
    "ip",
    "ip6",
    "arp",
    "ether",
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "protochain",
    "src",
    "dst",
    "less",
    "greater",
    "len",
    "byte",
    "broadcast",
    "multicast",
    "inbound",
    "ifindex",
    "vlan",
    "mpls",
    "pppoes",
    "pppoed",
    "llc",
    "mask",
    "gateway",
    "5",
    "80",
    "0",
    "10.0.0.1",
    "10.0",
    "::1",
    "fe80::/10",
    "1:2:3:4:5:6",
    "2:3",
    "0:2:",
    "rnr",
    "type",
    "radio",
    "tcpflags",
    "icmptype",
    "08",
    "tcp-syn",
];

/// A random expression, mostly well-formed.
pub(crate) fn expression(random: &mut Random, corpus: &[String]) -> String {
    match random.below(10) {
        0 => (0..=random.below(7)).map(|_| random.pick(&SOUP)).collect::<Vec<_>>().join(" "),
        1 => damaged(random, corpus),
        2 => format!("geneve {}and {}", if random.one_in(2) { "11 " } else { "" }, conjunction(random)),
        _ => {
            let depth = random.below(4);
            chain(random, depth)
        }
    }
}

/// A stored expression with a token removed, doubled or replaced, or two stored expressions joined.
fn damaged(random: &mut Random, corpus: &[String]) -> String {
    let stored = corpus[random.below(corpus.len())].clone();
    if random.one_in(2) {
        let other = &corpus[random.below(corpus.len())];
        return format!("{stored} {} {other}", random.pick(&["and", "or", "and not", "or not"]));
    }
    let mut tokens: Vec<&str> = stored.split(' ').collect();
    let at = random.below(tokens.len());
    match random.below(3) {
        0 => drop(tokens.remove(at)),
        1 => tokens.insert(at, tokens[at]),
        _ => tokens[at] = random.pick(&SOUP),
    }
    tokens.join(" ")
}

fn conjunction(random: &mut Random) -> String {
    (0..=random.below(2)).map(|_| primitive(random)).collect::<Vec<_>>().join(" and ")
}

fn chain(random: &mut Random, depth: usize) -> String {
    let mut text = operand(random, depth);
    for _ in 0..random.below(3) {
        let joint = random.pick(&[" and ", " or ", " && ", " || ", " and not ", " or not "]);
        // An identifier alone takes the qualifiers of the identifier before it.
        let next = if random.one_in(6) { identifier(random) } else { operand(random, depth) };
        text = format!("{text}{joint}{next}");
    }
    text
}

fn operand(random: &mut Random, depth: usize) -> String {
    let not = if random.one_in(5) { random.pick(&["not ", "! ", "not not "]) } else { "" };
    if depth > 0 && random.one_in(2) {
        let inner = chain(random, depth - 1);
        return format!("{not}({inner})");
    }
    format!("{not}{}", primitive(random))
}

fn identifier(random: &mut Random) -> String {
    let pool: &[&str] = match random.below(6) {
        0 | 1 => &IPV4,
        2 => &NETS,
        3 => &IPV6,
        4 => &ETHER,
        _ => &["80", "443", "22", "(80 or 443)", "(10.0.0.1 or not 10.0.0.2)", "not 53"],
    };
    random.pick(pool).to_owned()
}

fn protocol(random: &mut Random) -> &'static str {
    if random.one_in(3) { random.pick(&PROTOCOLS) } else { random.pick(&COMMON) }
}

/// A random primitive. Three of four are valid on every link type but raw IP.
fn primitive(random: &mut Random) -> String {
    if random.one_in(4) { wild_primitive(random) } else { tame_primitive(random) }
}

fn tame_primitive(random: &mut Random) -> String {
    let direction = if random.one_in(2) { format!("{} ", random.pick(&DIRECTIONS)) } else { String::new() };
    match random.below(9) {
        0 => random
            .pick(&["ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "rarp", "pim"])
            .to_owned(),
        1 => format!("{}{direction}host {}", random.pick(&["", "", "ip ", "arp "]), random.pick(&IPV4)),
        2 => format!("{}{direction}host {}", random.pick(&["", "ip6 "]), random.pick(&IPV6[..3])),
        3 => format!("{}{direction}net {}", random.pick(&["", "ip ", "rarp "]), random.pick(&NETS[..7])),
        4 => format!("{direction}net {}", random.pick(&IPV6)),
        5 => {
            format!(
                "{}{direction}port {}",
                random.pick(&["", "tcp ", "udp "]),
                random.pick(&["53", "80", "443", "22"])
            )
        }
        6 => format!("{direction}portrange {}", random.pick(&["1-1023", "80-443", "443-22"])),
        7 => format!(
            "{} {}",
            random.pick(&["less", "greater", "ip proto", "ip6 proto"]),
            random.pick(&NUMBERS[..9])
        ),
        _ => {
            let field = random
                .pick(&["ip[8]", "ip[2:2]", "tcp[13]", "udp[4:2]", "ether[0]", "ip6[6]", "len", "ip[12:4]"]);
            let operator = random.pick(&["&", "+", "-", "|", "*", ">>", "/", "%"]);
            let (operand, value) = (random.pick(&NUMBERS[1..9]), random.pick(&NUMBERS[..9]));
            format!("{field} {operator} {operand} {} {value}", random.pick(&["=", "!=", ">", "<="]))
        }
    }
}

fn wild_primitive(random: &mut Random) -> String {
    let proto = if random.one_in(2) { format!("{} ", protocol(random)) } else { String::new() };
    let direction = if random.one_in(2) { format!("{} ", random.pick(&DIRECTIONS)) } else { String::new() };
    let number = random.pick(&NUMBERS);
    match random.below(22) {
        0 | 1 => protocol(random).to_owned(),
        2 | 3 => {
            let kind = if direction.is_empty() { "host " } else { random.pick(&["host ", ""]) };
            format!("{proto}{direction}{kind}{}", identifier(random))
        }
        4 => format!("{proto}{direction}net {}", random.pick(&NETS)),
        5 => format!("{direction}net {}", random.pick(&IPV6)),
        6 => format!("ether {direction}host {}", random.pick(&ETHER)),
        7 | 8 => {
            let proto = random.pick(&["", "tcp ", "udp ", "sctp ", "ip "]);
            format!("{proto}{direction}port {}", random.pick(&PORTS))
        }
        9 => format!("{}{direction}portrange {}", random.pick(&["", "tcp ", "udp "]), random.pick(&RANGES)),
        10 => format!("{proto}proto {}", random.pick(&["6", "17", "1", "58", "44", "\\tcp", "\\udp", "256"])),
        11 => format!(
            "ether proto {}",
            random.pick(&[
                "0x0800", "0x86dd", "6", "0xaa", "\\arp", "\\ip", "\\iso", "\\ipx", "\\foo", "0x10000"
            ])
        ),
        12 => format!("{proto}{}", random.pick(&["broadcast", "multicast"])),
        13 => format!(
            "{} {number}",
            random.pick(&["less", "greater", "byte 9 >", "byte 0 =", "byte 1 <", "ifindex"])
        ),
        14 => random.pick(&["inbound", "outbound", "pppoed", "mpls", "vlan", "pppoes"]).to_owned(),
        15 => format!("{} {number}", random.pick(&["vlan", "mpls", "pppoes"])),
        16 => format!("llc {}", random.pick(&LLC)),
        17 => format!("{proto}protochain {}", random.pick(&["6", "17", "58", "\\tcp"])),
        _ => {
            let relation = random.pick(&["=", "==", "!=", "<", "<=", ">", ">="]);
            let (left, right) = (arithmetic(random, 2), arithmetic(random, 1));
            format!("{left} {relation} {right}")
        }
    }
}

fn arithmetic(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.one_in(3) {
        return match random.below(8) {
            0..=2 => random.pick(&NUMBERS).to_owned(),
            3 => "len".to_owned(),
            _ => {
                let offset = match random.below(5) {
                    0 => arithmetic(random, depth.saturating_sub(1)),
                    1 => random.pick(&["icmptype", "tcpflags", "0xfffffffe", "60"]).to_owned(),
                    _ => random.below(24).to_string(),
                };
                format!("{}[{offset}{}]", protocol(random), random.pick(&["", "", ":1", ":2", ":4", ":3"]))
            }
        };
    }
    let left = arithmetic(random, depth - 1);
    match random.below(6) {
        0 => format!("({left})"),
        1 => format!("- {left}"),
        _ => {
            let right = arithmetic(random, depth - 1);
            let operator = random.pick(&["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
            format!("{left} {operator} {right}")
        }
    }
}
