//! Sends UDP packets of one length at the highest rate of one CPU.

use std::{
    io::IoSlice,
    net::{SocketAddrV4, UdpSocket},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sched::{CpuSet, sched_setaffinity},
    sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

pub(super) const OWN: &str = "10.77.0.1";
pub(super) const PEER: &str = "10.77.0.2";
/// Bytes of the Ethernet, IP and UDP headers.
const HEADERS: usize = 14 + 20 + 8;
/// Packets per `sendmmsg` call.
const BATCH: usize = 64;

pub(super) struct Sender {
    socket: UdpSocket,
    peer: SockaddrIn,
    payload: Vec<u8>,
}

/// The sender's figures of one turn.
pub(super) struct Sent {
    pub(super) packets: f64,
    pub(super) seconds: f64,
    pub(super) cpu_s: f64,
}

impl Sender {
    /// Pins the calling thread to the CPU.
    pub(super) fn open(cpu: usize, frame: usize) -> Result<Self> {
        let mut cpus = CpuSet::new();
        cpus.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("pin the sender to a CPU")?;
        let socket = UdpSocket::bind((OWN, 0)).context("open a socket")?;
        let peer = SocketAddrV4::new(PEER.parse()?, 9);
        Ok(Self { socket, peer: peer.into(), payload: vec![7; frame - HEADERS] })
    }

    pub(super) fn send(&mut self, duration: Duration) -> Result<Sent> {
        let slices = [[IoSlice::new(&self.payload)]; BATCH];
        let peers = [Some(self.peer); BATCH];
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        let (began, began_cpu) = (Instant::now(), cpu_s()?);
        let mut packets = 0_u32;
        while began.elapsed() < duration {
            for _ in 0..8 {
                let sent =
                    sendmmsg(self.socket.as_raw_fd(), &mut headers, &slices, peers, [], MsgFlags::empty());
                match sent {
                    Ok(results) => packets += u32::try_from(results.count())?,
                    Err(Errno::ENOBUFS | Errno::EAGAIN) => {}
                    Err(error) => return Err(error).context("send"),
                }
            }
        }
        Ok(Sent {
            packets: packets.into(),
            seconds: began.elapsed().as_secs_f64(),
            cpu_s: cpu_s()? - began_cpu,
        })
    }
}

fn cpu_s() -> Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the thread's CPU time")?;
    Ok(Duration::from(time).as_secs_f64())
}
