//! The missing capabilities of this process, what each is needed for, and the command that grants them.
//!
//! Pure, but for reading `/proc`: no call is tried.

use std::io;

use net_traffic_snapshot::Status;

/// An effective capability set (<https://man7.org/linux/man-pages/man7/capabilities.7.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

/// The capabilities that the tool uses, by their bits in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    DacReadSearch = 2,
    NetAdmin = 12,
    NetRaw = 13,
    SysPtrace = 19,
    SysAdmin = 21,
    Perfmon = 38,
    Bpf = 39,
}

/// The slot of the owners of sockets.
pub const OWNERS: &str = "owners";
/// The slot of entering other network namespaces.
pub const NETNS: &str = "netns";
/// The slot of counting in the kernel.
pub const COUNTING: &str = "counting";
/// The slot of packets.
pub const CAPTURE: &str = "capture";

/// One entry for each slot that lacks a capability.
#[must_use]
pub fn missing(capabilities: Capabilities) -> Vec<Status> {
    NEEDS.iter().filter_map(|need| need.missing(capabilities)).collect()
}

/// The entry of one slot; `None` if it lacks no capability.
#[must_use]
pub fn missing_for(slot: &str, capabilities: Capabilities) -> Option<Status> {
    NEEDS.iter().find(|need| need.slot == slot)?.missing(capabilities)
}

/// The effective set of the calling thread.
///
/// # Errors
/// Without /proc.
pub fn effective() -> io::Result<Capabilities> {
    let status = std::fs::read_to_string("/proc/thread-self/status")?;
    Capabilities::parse(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Capabilities {
    /// Reads the line `CapEff:` of /proc/PID/status.
    #[must_use]
    pub fn parse(status: &str) -> Option<Self> {
        let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(set.trim(), 16).ok().map(Self)
    }

    /// Whether the set has a capability. `CAP_SYS_ADMIN` includes the two that Linux 5.8 split off
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/capability.h#L197>).
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        let split = matches!(capability, Capability::Bpf | Capability::Perfmon);
        self.bit(capability) || (split && self.bit(Capability::SysAdmin))
    }

    const fn bit(self, capability: Capability) -> bool {
        self.0 >> capability as u8 & 1 == 1
    }
}

impl Capability {
    /// The name in capabilities(7).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

struct Need {
    slot: &'static str,
    capabilities: &'static [Capability],
    /// The purpose, to be read after "for".
    gives: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        slot: OWNERS,
        capabilities: &[Capability::SysPtrace, Capability::DacReadSearch],
        gives: "the owners of other users' sockets",
    },
    Need {
        slot: COUNTING,
        capabilities: &[Capability::Bpf, Capability::Perfmon, Capability::NetAdmin],
        gives: "counting in the kernel: bytes of UDP, of processes, and of connections that have ended",
    },
    Need {
        slot: CAPTURE,
        capabilities: &[Capability::Bpf, Capability::Perfmon, Capability::NetAdmin, Capability::NetRaw],
        gives: "packets",
    },
    Need { slot: NETNS, capabilities: &[Capability::SysAdmin], gives: "other network namespaces" },
];

impl Need {
    fn missing(&self, capabilities: Capabilities) -> Option<Status> {
        let missing: Vec<_> = self
            .capabilities
            .iter()
            .filter(|need| !capabilities.has(**need))
            .map(|need| need.name())
            .collect();
        if missing.is_empty() {
            return None;
        }
        Some(Status {
            slot: self.slot.to_owned(),
            tier: None,
            program: None,
            covers: None,
            reason: Some(format!("{} missing, needed for {}", missing.join(" and "), self.gives)),
            remedy: Some(grant(&self.granted().join(","), &program())),
        })
    }

    /// The capabilities that the remedy grants: those of every slot but `NETNS`, whose `CAP_SYS_ADMIN` is nearly root.
    ///
    /// `setcap` replaces the capabilities of a file. With one set for all slots, no remedy takes away what another
    /// granted.
    fn granted(&self) -> Vec<String> {
        let mut granted: Vec<Capability> = Vec::new();
        for need in NEEDS.iter().filter(|need| need.slot != NETNS || need.slot == self.slot) {
            granted.extend(need.capabilities.iter().filter(|it| !granted.contains(it)).collect::<Vec<_>>());
        }
        granted.iter().map(|it| it.name().to_lowercase()).collect()
    }
}

/// The commands that grant capabilities to the members of the group `net-traffic`.
///
/// The mode comes first: a file with capabilities that every user may execute gives them to every user. `setcap` comes
/// last: `chown` clears capabilities (<https://man7.org/linux/man-pages/man2/chown.2.html>).
fn grant(capabilities: &str, program: &str) -> String {
    format!(
        "run with sudo, or once, for the members of a group: sudo groupadd -f net-traffic && \
         sudo chown root:net-traffic {program} && sudo chmod 0750 {program} && \
         sudo setcap {capabilities}+ep {program}"
    )
}

/// The path of this program, quoted for a shell.
fn program() -> String {
    match std::env::current_exe() {
        Ok(path) => format!("'{}'", path.display()),
        Err(_) => "\"$(command -v net-traffic)\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Capabilities = Capabilities(0x1ff_ffff_ffff);

    #[test]
    fn effective_set_is_parsed() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000082004\nCapBnd:\t0\n";
        let set = Capabilities::parse(status).unwrap();
        assert!(
            set.has(Capability::SysPtrace)
                && set.has(Capability::DacReadSearch)
                && set.has(Capability::NetRaw)
        );
        assert!(!set.has(Capability::Bpf) && !set.has(Capability::NetAdmin));
        assert_eq!(Capabilities::parse("Name:\tx\n"), None);
        assert_eq!(Capabilities::parse("CapEff:\tzz\n"), None);
        assert!(effective().is_ok());
    }

    #[test]
    fn full_set_lacks_nothing() {
        assert_eq!(missing(ALL), []);
    }

    #[test]
    fn empty_set_names_needs_of_every_slot() {
        let statuses = missing(Capabilities(0));
        let slots: Vec<_> = statuses.iter().map(|status| status.slot.as_str()).collect();
        assert_eq!(slots, [OWNERS, COUNTING, CAPTURE, NETNS]);
        assert_eq!(
            statuses[0].reason.as_deref(),
            Some(
                "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH missing, needed for the owners of other users' sockets"
            )
        );
    }

    #[test]
    fn one_command_grants_all_but_netns() {
        let remedies: Vec<_> =
            missing(Capabilities(0)).into_iter().filter_map(|status| status.remedy).collect();
        let program = std::env::current_exe().unwrap();
        let usual = "cap_sys_ptrace,cap_dac_read_search,cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw";
        let command = |all: &str| grant(all, &format!("'{}'", program.display()));
        assert_eq!(remedies[..3], [command(usual), command(usual), command(usual)]);
        assert_eq!(remedies[3], command(&format!("{usual},cap_sys_admin")));
    }

    #[test]
    fn mode_is_set_before_capabilities() {
        let remedy = grant("cap_bpf", "/p");
        let at = |part: &str| remedy.find(part).unwrap();
        assert!(at("chown root:net-traffic /p") < at("chmod 0750 /p"));
        assert!(at("chmod 0750 /p") < at("setcap cap_bpf+ep /p"));
    }

    #[test]
    fn partial_set_names_the_rest() {
        let status = missing_for(OWNERS, Capabilities(1 << Capability::SysPtrace as u8)).unwrap();
        assert!(status.reason.unwrap().starts_with("CAP_DAC_READ_SEARCH missing"));
        assert!(status.remedy.unwrap().contains("cap_sys_ptrace,cap_dac_read_search,"));
    }

    #[test]
    fn sys_admin_includes_bpf_and_perfmon() {
        let administrator = Capabilities(1 << Capability::SysAdmin as u8);
        assert!(administrator.has(Capability::Bpf) && administrator.has(Capability::Perfmon));
        assert!(!administrator.has(Capability::NetAdmin));
        assert!(missing_for(NETNS, administrator).is_none());
    }
}
