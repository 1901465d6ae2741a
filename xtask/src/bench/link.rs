//! A veth pair between two namespaces, with streams of 64-byte messages at the highest rate of two CPUs.
//!
//! Each CPU runs one thread. The thread has both ends of a stream, sends a burst and receives it, so no thread waits for
//! another CPU: on a virtual machine, a wake-up across CPUs costs more than the effects that are measured.

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

/// Bytes per send or receive call.
pub(super) const MESSAGE: usize = 64;
/// The interface in the near namespace.
pub(super) const INTERFACE: &str = "a";
const FAR_ADDRESS: &str = "10.9.0.2";
const CPUS: usize = 2;
/// Messages in flight per stream. They fit into the default socket buffers.
const BURST: u32 = 32;

#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Udp,
    Tcp,
}

/// The veth pair, and a UDP and a TCP stream per CPU. Dropping it ends the far namespace's process and the namespace.
pub(super) struct Link {
    holder: Child,
    stdin: Option<ChildStdin>,
    streams: Vec<Endpoints>,
}

/// The near and the far sockets of one CPU's streams.
struct Endpoints {
    udp: (UdpSocket, UdpSocket),
    tcp: (TcpStream, TcpStream),
}

impl Link {
    /// The caller must be in a network namespace of its own.
    pub(super) fn new() -> Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the process of the far namespace")?;
        let mut stdin = holder.stdin.take().context("write to the far namespace's process")?;
        // `cat` echoes the line after `unshare` has created the namespace.
        writeln!(stdin, "ready").context("write to the far namespace's process")?;
        let stdout = holder.stdout.take().context("read from the far namespace's process")?;
        BufReader::new(stdout)
            .read_line(&mut String::new())
            .context("read from the far namespace's process")?;
        let mut link = Self { holder, stdin: Some(stdin), streams: Vec::new() };
        link.configure()?;
        for _ in 0..CPUS {
            link.streams.push(link.open()?);
        }
        Ok(link)
    }

    fn configure(&self) -> Result<()> {
        let other = self.holder.id();
        for line in [
            format!("ip link add name {INTERFACE} type veth peer name b netns {other}"),
            format!("ip addr add 10.9.0.1/24 dev {INTERFACE}"),
            format!("ip link set dev {INTERFACE} up"),
            format!("nsenter --net=/proc/{other}/ns/net ip addr add {FAR_ADDRESS}/24 dev b"),
            format!("nsenter --net=/proc/{other}/ns/net ip link set dev b up"),
        ] {
            let mut words = line.split(' ');
            process::run(Command::new(words.next().unwrap_or_default()).args(words))?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Endpoints> {
        let (far, listener) = self.in_far_namespace(|| {
            let far = UdpSocket::bind((FAR_ADDRESS, 0)).context("open a socket")?;
            Ok((far, TcpListener::bind((FAR_ADDRESS, 0)).context("listen")?))
        })?;
        let near = UdpSocket::bind("0.0.0.0:0").context("open a socket")?;
        near.connect(far.local_addr()?).context("connect")?;
        far.set_nonblocking(true)?;
        let client = TcpStream::connect(listener.local_addr()?).context("connect")?;
        // One packet per message, as with UDP.
        client.set_nodelay(true)?;
        let server = listener.accept().context("accept")?.0;
        server.set_nonblocking(true)?;
        Ok(Endpoints { udp: (near, far), tcp: (client, server) })
    }

    /// Runs a function in the far namespace, in a thread.
    fn in_far_namespace<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id()))?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).context("enter the far namespace")?;
                act()
            });
            inside.join().map_err(|_panic| anyhow!("a thread of the benchmark panicked"))?
        })
    }

    /// Runs all streams of a kind for this time. Returns the received messages per second.
    pub(super) fn block(&mut self, stream: Stream, time: Duration) -> Result<f64> {
        thread::scope(|scope| {
            let workers: Vec<_> = self
                .streams
                .iter_mut()
                .enumerate()
                .map(|(cpu, endpoints)| scope.spawn(move || endpoints.run(cpu, stream, time)))
                .collect();
            let mut rate = 0.0;
            for worker in workers {
                rate += worker.join().map_err(|_panic| anyhow!("a thread of the benchmark panicked"))??;
            }
            Ok(rate)
        })
    }
}

impl Endpoints {
    fn run(&mut self, cpu: usize, stream: Stream, time: Duration) -> Result<f64> {
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

/// Sends a burst and receives the messages that have arrived. The next burst receives the rest.
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
            eprintln!("the process of the far namespace: {error}");
        }
    }
}
