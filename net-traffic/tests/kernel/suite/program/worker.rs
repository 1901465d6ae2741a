//! The watched processes: the test binary, started a second time with a role.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::setsid;

const WORK: &str = "--worker";
/// A daemon starts its work after this time, when its parent has exited.
const LATER: Duration = Duration::from_millis(300);
/// The bytes of a datagram.
pub(super) const DROP: usize = 64;

/// The command line of a worker.
pub(in crate::suite) fn command(role: &str, arguments: &[&str]) -> Vec<String> {
    let this = std::env::current_exe().unwrap_or_default().to_string_lossy().into_owned();
    let words = [this.as_str(), WORK, role].into_iter().chain(arguments.iter().copied());
    words.map(str::to_owned).collect()
}

/// Plays a role if the arguments request it.
pub(crate) fn run_role_if_requested() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().collect();
    let (first, role, rest) = (words.get(1)?, words.get(2)?, words.get(3..)?);
    if first != WORK {
        return None;
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    Some(work(role, &rest).unwrap_or(ExitCode::from(99)))
}

fn work(role: &str, words: &[&str]) -> Result<ExitCode, Failed> {
    let word = |at: usize| words.get(at).copied().ok_or_else(|| Failed::from("an argument is missing"));
    let number = |at: usize| Ok::<_, Failed>(word(at)?.parse::<usize>()?);
    let server = || Ok::<_, Failed>(word(0)?.parse::<SocketAddr>()?);
    match role {
        "stream" => stream(server()?, number(1)?)?,
        "datagrams" => datagrams(server()?, number(1)?, number(2)?)?,
        "late_peer" => late_peer(server()?)?,
        "threads" => threads(server()?, number(1)?, number(2)?)?,
        "many" => {
            for _ in 0..number(1)? {
                start("stream", &[word(0)?, word(2)?])?.wait()?;
            }
        }
        "daemon" => drop(start("detach", words)?.wait()?),
        "detach" => {
            setsid()?;
            start("later", words)?;
        }
        "later" => {
            thread::sleep(LATER);
            stream(server()?, number(1)?)?;
        }
        "exec" => {
            let stream = connect_inherited(server()?, number(1)?)?;
            let rest = command("continue", &[&stream.as_raw_fd().to_string(), word(2)?]);
            return Err(Command::new(&rest[0]).args(&rest[1..]).exec().into());
        }
        "share" => {
            let stream = connect_inherited(server()?, number(1)?)?;
            start("continue", &[&stream.as_raw_fd().to_string(), word(2)?])?.wait()?;
        }
        "continue" => {
            // SAFETY: the parent passed this descriptor, and no other code of this process owns it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(word(0)?.parse()?) };
            finish(descriptor.into(), number(1)?)?;
        }
        "leaderless" => leaderless(server()?, number(1)?),
        "storm" => storm(server()?, number(1)?)?,
        "visits" => visits(server()?, number(1)?, word(2)?.parse()?)?,
        "at_once" => at_once(server()?, number(1)?)?,
        "exit" => return Ok(ExitCode::from(word(0)?.parse::<u8>()?)),
        "copy" => drop(std::io::copy(&mut std::io::stdin(), &mut std::io::stdout())?),
        "sleep" => {
            thread::sleep(Duration::from_secs(30));
        }
        _ => return Err("no such role".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn start(role: &str, words: &[&str]) -> Result<std::process::Child, Failed> {
    let command = command(role, words);
    Ok(Command::new(&command[0]).args(&command[1..]).spawn()?)
}

fn stream(server: SocketAddr, bytes: usize) -> Result<(), Failed> {
    finish(TcpStream::connect(server)?, bytes)
}

/// Sends, shuts down the sending direction, and reads the reply to its end.
fn finish(mut stream: TcpStream, bytes: usize) -> Result<(), Failed> {
    stream.write_all(&vec![b'x'; bytes])?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Sends on a connection that child processes inherit.
fn connect_inherited(server: SocketAddr, bytes: usize) -> Result<TcpStream, Failed> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(&vec![b'x'; bytes])?;
    fcntl(&stream, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(stream)
}

fn datagrams(server: SocketAddr, count: usize, bytes: usize) -> Result<(), Failed> {
    let socket = UdpSocket::bind((server.ip(), 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    for _ in 0..count {
        socket.send(&vec![b'x'; bytes])?;
        socket.recv(&mut [0; 2048])?;
    }
    Ok(())
}

/// Sends one datagram unconnected and one connected. The kernel chooses the local address.
fn late_peer(server: SocketAddr) -> Result<(), Failed> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(&[b'x'; DROP], server)?;
    socket.connect(server)?;
    socket.send(&[b'x'; DROP])?;
    Ok(())
}

fn threads(server: SocketAddr, count: usize, bytes: usize) -> Result<(), Failed> {
    let threads: Vec<_> = (0..count).map(|_| thread::spawn(move || stream(server, bytes).is_ok())).collect();
    let all = threads.into_iter().all(|thread| thread.join().unwrap_or(false));
    if all { Ok(()) } else { Err("a thread failed".into()) }
}

/// The main thread exits at once; a second thread works.
fn leaderless(server: SocketAddr, bytes: usize) {
    thread::spawn(move || {
        thread::sleep(LATER);
        let status = i32::from(stream(server, bytes).is_err());
        std::process::exit(status);
    });
    // SAFETY: exit ends this thread only, and no other thread uses its stack.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Starts processes that send one datagram each, as fast as possible, and prints their rate.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "the rate is for people")]
fn storm(server: SocketAddr, count: usize) -> Result<(), Failed> {
    let began = std::time::Instant::now();
    let mut stack = vec![0; STACK];
    for _ in 0..count {
        in_a_process(&mut stack, || send_drop(server).is_ok_and(|sent| sent == DROP))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{count} processes in {seconds:.1} s");
    Ok(())
}

/// Starts processes that make one connection each, at this rate or as fast as possible, and prints their number
/// repeatedly.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "they come at a pace, and whoever asked counts them"
)]
fn visits(server: SocketAddr, rate: usize, seconds: u32) -> Result<(), Failed> {
    const TICKS: u32 = 50;
    let began = std::time::Instant::now();
    let mut stack = vec![0; STACK];
    let (mut made, mut due) = (0, Duration::ZERO);
    while began.elapsed() < Duration::from_secs(1) * seconds {
        for _ in 0..rate / TICKS as usize {
            in_a_process(&mut stack, || send_stream(server).is_ok())?;
            made += 1;
        }
        println!("{made}");
        due += Duration::from_secs(1) / TICKS;
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
}

/// The stack of such a process.
const STACK: usize = 128 << 10;

/// Runs a function in a process that shares the memory and has its own stack, as with `vfork(2)`.
fn in_a_process(stack: &mut [u8], act: impl Fn() -> bool) -> Result<(), Failed> {
    let shared = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    let live = Box::new(|| isize::from(!act()));
    // SAFETY: only the child uses the stack, and CLONE_VFORK suspends this process until the child has exited.
    let child = unsafe { clone(live, stack, shared, Some(libc::SIGCHLD)) }?;
    if waitpid(child, None)? != WaitStatus::Exited(child, 0) {
        return Err("a process could not send".into());
    }
    Ok(())
}

fn send_stream(server: SocketAddr) -> std::io::Result<()> {
    TcpStream::connect(server)?.write_all(&[b'x'; DROP])
}

fn send_drop(server: SocketAddr) -> std::io::Result<usize> {
    let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0))?;
    socket.connect(server)?;
    socket.send(&[b'x'; DROP])
}

/// Two threads send the first datagram of each socket at the same time.
fn at_once(server: SocketAddr, count: usize) -> Result<(), Failed> {
    let local = SocketAddr::new(server.ip(), 0);
    let connected = || UdpSocket::bind(local).and_then(|socket| socket.connect(server).map(|()| socket));
    let sockets = (0..count).map(|_| connected()).collect::<Result<Vec<_>, _>>()?;
    let ready = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let send = |this: usize| {
        sockets.iter().enumerate().all(|(at, socket)| {
            ready[this].store(at + 1, Ordering::SeqCst);
            while ready[1 - this].load(Ordering::SeqCst) <= at {
                std::hint::spin_loop();
            }
            socket.send(&[b'x'; DROP]).is_ok()
        })
    };
    let all = thread::scope(|scope| {
        let other = scope.spawn(|| send(1));
        send(0) && other.join().unwrap_or(false)
    });
    if all { Ok(()) } else { Err("a datagram was not sent".into()) }
}
