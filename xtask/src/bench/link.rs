//! A pair of interfaces with a namespace at each end, and streams of 64-byte messages over it: from this process, on
//! one CPU, to a process in the other namespace, on the other CPU.

use std::{
    env,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::process;

/// What one call sends or receives.
pub(super) const MESSAGE: usize = 64;
/// The interface of this side.
pub(super) const INTERFACE: &str = "a";
const THERE: &str = "10.9.0.2";
const PORT: u16 = 5000;
const SENDER_CPU: usize = 0;
const RECEIVER_CPU: usize = 1;
/// Messages between two looks at the clock.
const BATCH: u32 = 256;

#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Udp,
    Tcp,
}

/// Both namespaces. The other one ends with its process, when this is dropped.
pub(super) struct Link {
    receiver: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    udp: UdpSocket,
    tcp: TcpStream,
}

impl Link {
    /// Called in a namespace of its own.
    pub(super) fn new() -> Result<Self> {
        let own = env::current_exe().context("find the chores' own program")?;
        let mut receiver = Command::new("unshare")
            .arg("--net")
            .arg(own)
            .arg("bench-receiver")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the receiver")?;
        let mut orders = receiver.stdin.take().context("talk to the receiver")?;
        let mut answers = BufReader::new(receiver.stdout.take().context("listen to the receiver")?);
        answer(&mut answers).context("wait for the receiver's namespace")?;
        let peer = receiver.id().to_string();
        for line in [
            format!("ip link add name {INTERFACE} type veth peer name b netns {peer}"),
            format!("ip addr add 10.9.0.1/24 dev {INTERFACE}"),
            format!("ip link set dev {INTERFACE} up"),
            format!("nsenter --net=/proc/{peer}/ns/net ip addr add {THERE}/24 dev b"),
            format!("nsenter --net=/proc/{peer}/ns/net ip link set dev b up"),
        ] {
            let mut words = line.split(' ');
            process::run(Command::new(words.next().unwrap_or_default()).args(words))?;
        }
        writeln!(orders, "listen").context("talk to the receiver")?;
        answer(&mut answers).context("wait for the receiver's sockets")?;
        let udp = UdpSocket::bind("0.0.0.0:0").context("make a socket")?;
        udp.connect((THERE, PORT)).context("connect to the receiver")?;
        let tcp = TcpStream::connect((THERE, PORT)).context("connect to the receiver")?;
        Ok(Self { receiver, orders: Some(orders), answers, udp, tcp })
    }

    /// Sends for that long as fast as it goes, and gives the messages that arrived in a second.
    pub(super) fn block(&mut self, stream: Stream, time: Duration) -> Result<f64> {
        pin(SENDER_CPU)?;
        let before = self.received()?;
        let began = Instant::now();
        while began.elapsed() < time {
            for _ in 0..BATCH {
                self.send(stream)?;
            }
        }
        // Together with the count: what waits in the socket of the receiver is neither counted nor waited for.
        let elapsed = began.elapsed();
        let bytes = self.received()? - before;
        let messages = f64::from(u32::try_from(bytes / MESSAGE as u64).context("count the messages")?);
        Ok(messages / elapsed.as_secs_f64())
    }

    fn send(&mut self, stream: Stream) -> Result<()> {
        let message = [b'm'; MESSAGE];
        match stream {
            Stream::Tcp => self.tcp.write_all(&message).context("send to the receiver")?,
            Stream::Udp => match self.udp.send(&message) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("send to the receiver"),
            },
        }
        Ok(())
    }

    /// How many bytes the other side has read so far.
    fn received(&mut self) -> Result<u64> {
        let orders = self.orders.as_mut().context("talk to the receiver")?;
        writeln!(orders, "count").context("talk to the receiver")?;
        answer(&mut self.answers)?.parse().context("understand the receiver")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Err(error) = self.receiver.wait() {
            eprintln!("the receiver: {error}");
        }
    }
}

fn answer(answers: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    answers.read_line(&mut line).context("listen to the receiver")?;
    match line.trim_end() {
        "" => bail!("the receiver ended"),
        line => Ok(line.to_owned()),
    }
}

/// What the process in the other namespace does, until its standard input ends.
#[expect(clippy::print_stdout, reason = "its answers")]
pub(crate) fn receive() -> Result<()> {
    static RECEIVED: AtomicU64 = AtomicU64::new(0);
    println!("here");
    for order in std::io::stdin().lines() {
        match order.context("wait for orders")?.as_str() {
            "listen" => {
                let udp = UdpSocket::bind((THERE, PORT)).context("make a socket")?;
                // It asks again and again: to be woken for each message would cost the sender more than to send it.
                udp.set_nonblocking(true).context("make a socket that does not sleep")?;
                let listener = TcpListener::bind((THERE, PORT)).context("listen")?;
                thread::spawn(move || read_all(&RECEIVED, |buffer| udp.recv(buffer)));
                thread::spawn(move || {
                    let (mut tcp, _) = listener.accept().context("accept")?;
                    read_all(&RECEIVED, |buffer| tcp.read(buffer))
                });
                println!("listening");
            }
            "count" => println!("{}", RECEIVED.load(Ordering::Relaxed)),
            order => bail!("nobody can {order}"),
        }
    }
    Ok(())
}

fn read_all(received: &AtomicU64, mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize>) -> Result<()> {
    pin(RECEIVER_CPU)?;
    let mut buffer = [0; MESSAGE];
    loop {
        match read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => _ = received.fetch_add(length as u64, Ordering::Relaxed),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("receive"),
        }
    }
}

fn pin(cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("pin a stream to a CPU")
}
