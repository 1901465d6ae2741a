//! A pair of interfaces with a namespace at each end, and streams of 64-byte messages over it, as fast as two CPUs go.
//!
//! Each CPU has a thread that holds both ends of a stream of its own, sends a burst and receives it: nobody waits for
//! another CPU, to which a virtual machine pays more than to all that is measured here.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, setns},
    unistd::Pid,
};

use crate::process;

/// What one call sends or receives.
pub(super) const MESSAGE: usize = 64;
/// The interface of this side.
pub(super) const INTERFACE: &str = "a";
const THERE: &str = "10.9.0.2";
const CPUS: usize = 2;
/// Messages under way at a time; they fit into the buffers of any socket.
const BURST: u32 = 32;

#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Udp,
    Tcp,
}

/// Both namespaces, and on each CPU a stream of each kind. The other namespace ends with its process, when this is
/// dropped.
pub(super) struct Link {
    holder: Child,
    stdin: Option<ChildStdin>,
    ends: Vec<Ends>,
}

/// The near and the far end of the streams of one CPU.
struct Ends {
    udp: (UdpSocket, UdpSocket),
    tcp: (TcpStream, TcpStream),
}

impl Link {
    /// Called in a namespace of its own.
    pub(super) fn new() -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the holder of the other namespace")?;
        let mut stdin = holder.stdin.take().context("talk to the holder")?;
        // What it says again it says from inside.
        writeln!(stdin, "here").context("talk to the holder")?;
        let stdout = holder.stdout.take().context("listen to the holder")?;
        BufReader::new(stdout).read_line(&mut String::new()).context("listen to the holder")?;
        let mut link = Self { holder, stdin: Some(stdin), ends: Vec::new() };
        link.configure()?;
        for _ in 0..CPUS {
            link.ends.push(link.open()?);
        }
        Ok(link)
    }

    fn configure(&self) -> Result<()> {
        let other = self.holder.id();
        for line in [
            format!("ip link add name {INTERFACE} type veth peer name b netns {other}"),
            format!("ip addr add 10.9.0.1/24 dev {INTERFACE}"),
            format!("ip link set dev {INTERFACE} up"),
            format!("nsenter --net=/proc/{other}/ns/net ip addr add {THERE}/24 dev b"),
            format!("nsenter --net=/proc/{other}/ns/net ip link set dev b up"),
        ] {
            let mut words = line.split(' ');
            process::run(Command::new(words.next().unwrap_or_default()).args(words))?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Ends> {
        let (far, listener) = self.there(|| {
            let far = UdpSocket::bind((THERE, 0)).context("make a socket")?;
            Ok((far, TcpListener::bind((THERE, 0)).context("listen")?))
        })?;
        let near = UdpSocket::bind("0.0.0.0:0").context("make a socket")?;
        near.connect(far.local_addr()?).context("connect")?;
        far.set_nonblocking(true)?;
        let client = TcpStream::connect(listener.local_addr()?).context("connect")?;
        // A message is a packet, as it is with UDP.
        client.set_nodelay(true)?;
        let server = listener.accept().context("accept")?.0;
        server.set_nonblocking(true)?;
        Ok(Ends { udp: (near, far), tcp: (client, server) })
    }

    /// Does something in the other namespace.
    fn there<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id()))?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).context("enter the other namespace")?;
                act()
            });
            inside.join().map_err(|_panic| anyhow!("a thread of the benchmark panicked"))?
        })
    }

    /// Sends and receives for that long, and gives the messages that arrived in a second.
    pub(super) fn block(&mut self, stream: Stream, time: Duration) -> Result<f64> {
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .ends
                .iter_mut()
                .enumerate()
                .map(|(cpu, ends)| scope.spawn(move || ends.work(cpu, stream, time)))
                .collect();
            let mut rate = 0.0;
            for worker in workers {
                rate += worker.join().map_err(|_panic| anyhow!("a thread of the benchmark panicked"))??;
            }
            Ok(rate)
        })
    }
}

impl Ends {
    fn work(&mut self, cpu: usize, stream: Stream, time: Duration) -> Result<f64> {
        let mut cpus = CpuSet::new();
        cpus.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &cpus).context("pin a stream to a CPU")?;
        let mut received = 0;
        let began = Instant::now();
        while began.elapsed() < time {
            received += match stream {
                Stream::Udp => {
                    let (near, far) = &self.udp;
                    burst(|message| near.send(message).map(drop), |buffer| far.recv(buffer))?
                }
                Stream::Tcp => {
                    let (near, far) = &mut self.tcp;
                    burst(|message| near.write_all(message), |buffer| far.read(buffer))?
                }
            };
        }
        Ok(f64::from(received) / began.elapsed().as_secs_f64())
    }
}

/// Sends so many messages and receives what arrived; what is still under way is received by the next.
fn burst(
    mut send: impl FnMut(&[u8]) -> std::io::Result<()>,
    mut receive: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
) -> Result<u32> {
    let mut message = [b'm'; MESSAGE];
    for _ in 0..BURST {
        send(&message).context("send")?;
    }
    for count in 0..BURST {
        match receive(&mut message) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count),
            Err(error) => return Err(error).context("receive"),
        }
    }
    Ok(BURST)
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("the holder of the other namespace: {error}");
        }
    }
}
