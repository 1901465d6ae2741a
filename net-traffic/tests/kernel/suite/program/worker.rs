//! The processes whose traffic the tests measure. A worker is the test binary with the arguments `--worker ROLE …`.

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

const WORKER_FLAG: &str = "--worker";
/// The delay before a worker sends, in which its parent or its main thread exits.
const SEND_DELAY: Duration = Duration::from_millis(300);
/// The payload of a datagram, and of a connection of `visits`, in bytes.
pub(super) const PAYLOAD_LEN: usize = 64;

/// The command line of a worker.
pub(in crate::suite) fn command(role: &str, arguments: &[&str]) -> Vec<String> {
    let this = std::env::current_exe().unwrap_or_default().to_string_lossy().into_owned();
    let words = [this.as_str(), WORKER_FLAG, role].into_iter().chain(arguments.iter().copied());
    words.map(str::to_owned).collect()
}

/// Runs a role, if the arguments of this process name one, and returns its exit status.
pub(crate) fn run_role_if_requested() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().collect();
    let (first, role, rest) = (words.get(1)?, words.get(2)?, words.get(3..)?);
    if first != WORKER_FLAG {
        return None;
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    Some(run_role(role, &rest).unwrap_or(ExitCode::from(99)))
}

fn run_role(role: &str, arguments: &[&str]) -> Result<ExitCode, Failed> {
    let argument =
        |index: usize| arguments.get(index).copied().ok_or_else(|| Failed::from("an argument is missing"));
    let number = |index: usize| Ok::<_, Failed>(argument(index)?.parse::<usize>()?);
    let server = || Ok::<_, Failed>(argument(0)?.parse::<SocketAddr>()?);
    match role {
        "stream" => stream(server()?, number(1)?)?,
        "datagrams" => datagrams(server()?, number(1)?, number(2)?)?,
        "late_peer" => late_peer(server()?)?,
        "threads" => threads(server()?, number(1)?, number(2)?)?,
        "many" => {
            for _ in 0..number(1)? {
                start("stream", &[argument(0)?, argument(2)?])?.wait()?;
            }
        }
        "daemon" => drop(start("detach", arguments)?.wait()?),
        "detach" => {
            setsid()?;
            start("later", arguments)?;
        }
        "later" => {
            thread::sleep(SEND_DELAY);
            stream(server()?, number(1)?)?;
        }
        "exec" => {
            let stream = connect_inherited(server()?, number(1)?)?;
            let rest = command("continue", &[&stream.as_raw_fd().to_string(), argument(2)?]);
            return Err(Command::new(&rest[0]).args(&rest[1..]).exec().into());
        }
        "share" => {
            let stream = connect_inherited(server()?, number(1)?)?;
            start("continue", &[&stream.as_raw_fd().to_string(), argument(2)?])?.wait()?;
        }
        "continue" => {
            // SAFETY: the parent passed this descriptor, and no other code of this process owns it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(argument(0)?.parse()?) };
            finish(descriptor.into(), number(1)?)?;
        }
        "leaderless" => leaderless(server()?, number(1)?),
        "storm" => storm(server()?, number(1)?)?,
        "visits" => visits(server()?, number(1)?, argument(2)?.parse()?)?,
        "at_once" => at_once(server()?, number(1)?)?,
        "exit" => return Ok(ExitCode::from(argument(0)?.parse::<u8>()?)),
        "copy" => drop(std::io::copy(&mut std::io::stdin(), &mut std::io::stdout())?),
        "sleep" => {
            thread::sleep(Duration::from_secs(30));
        }
        _ => return Err("no such role".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn start(role: &str, arguments: &[&str]) -> Result<std::process::Child, Failed> {
    let command = command(role, arguments);
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

/// Connects, sends, and clears `FD_CLOEXEC`: child processes and `execve(2)` keep the socket.
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

/// Sends one datagram before `connect(2)` and one after. The socket is bound to the wildcard address.
fn late_peer(server: SocketAddr) -> Result<(), Failed> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(&[b'x'; PAYLOAD_LEN], server)?;
    socket.connect(server)?;
    socket.send(&[b'x'; PAYLOAD_LEN])?;
    Ok(())
}

fn threads(server: SocketAddr, count: usize, bytes: usize) -> Result<(), Failed> {
    let threads: Vec<_> = (0..count).map(|_| thread::spawn(move || stream(server, bytes).is_ok())).collect();
    let all = threads.into_iter().all(|thread| thread.join().unwrap_or(false));
    if all { Ok(()) } else { Err("a thread failed".into()) }
}

/// The thread-group leader exits at once. A second thread sends.
fn leaderless(server: SocketAddr, bytes: usize) {
    thread::spawn(move || {
        thread::sleep(SEND_DELAY);
        let status = i32::from(stream(server, bytes).is_err());
        std::process::exit(status);
    });
    // SAFETY: exit ends this thread only, and no other thread uses its stack.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Starts `count` processes as fast as possible. Each sends one datagram. Prints the duration.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "measures and prints a duration")]
fn storm(server: SocketAddr, count: usize) -> Result<(), Failed> {
    let began = std::time::Instant::now();
    let mut stack = vec![0; STACK_LEN];
    for _ in 0..count {
        run_in_child(&mut stack, || send_datagram(server).is_ok_and(|sent| sent == PAYLOAD_LEN))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{count} processes in {seconds:.1} s");
    Ok(())
}

/// Starts processes for `seconds`: `rate` per second, or fewer if the machine is too slow. Each makes one connection.
/// Prints the number of connections after each tick.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "keeps a rate, and the caller reads the count from standard output"
)]
fn visits(server: SocketAddr, rate: usize, seconds: u32) -> Result<(), Failed> {
    const TICKS_PER_SECOND: u32 = 50;
    let began = std::time::Instant::now();
    let mut stack = vec![0; STACK_LEN];
    let (mut connections, mut next_tick) = (0, Duration::ZERO);
    while began.elapsed() < Duration::from_secs(1) * seconds {
        for _ in 0..rate / TICKS_PER_SECOND as usize {
            run_in_child(&mut stack, || send_stream(server).is_ok())?;
            connections += 1;
        }
        println!("{connections}");
        next_tick += Duration::from_secs(1) / TICKS_PER_SECOND;
        thread::sleep(next_tick.saturating_sub(began.elapsed()));
    }
    Ok(())
}

/// The stack size of a process that [`run_in_child`] starts, in bytes.
const STACK_LEN: usize = 128 << 10;

/// Runs a function in a child process and waits for its end. The child shares the memory, as with `vfork(2)`, and has
/// its own stack.
fn run_in_child(stack: &mut [u8], act: impl Fn() -> bool) -> Result<(), Failed> {
    let shared = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    let child_main = Box::new(|| isize::from(!act()));
    // SAFETY: only the child uses the stack, and CLONE_VFORK suspends this process until the child has exited.
    let child = unsafe { clone(child_main, stack, shared, Some(libc::SIGCHLD)) }?;
    if waitpid(child, None)? != WaitStatus::Exited(child, 0) {
        return Err("a process could not send".into());
    }
    Ok(())
}

fn send_stream(server: SocketAddr) -> std::io::Result<()> {
    TcpStream::connect(server)?.write_all(&[b'x'; PAYLOAD_LEN])
}

fn send_datagram(server: SocketAddr) -> std::io::Result<usize> {
    let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0))?;
    socket.connect(server)?;
    socket.send(&[b'x'; PAYLOAD_LEN])
}

/// Two threads send on each socket at the same time. Either datagram may be the socket's first.
fn at_once(server: SocketAddr, count: usize) -> Result<(), Failed> {
    let local = SocketAddr::new(server.ip(), 0);
    let connected = || UdpSocket::bind(local).and_then(|socket| socket.connect(server).map(|()| socket));
    let sockets = (0..count).map(|_| connected()).collect::<Result<Vec<_>, _>>()?;
    let ready = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let send = |this: usize| {
        sockets.iter().enumerate().all(|(index, socket)| {
            ready[this].store(index + 1, Ordering::SeqCst);
            while ready[1 - this].load(Ordering::SeqCst) <= index {
                std::hint::spin_loop();
            }
            socket.send(&[b'x'; PAYLOAD_LEN]).is_ok()
        })
    };
    let all = thread::scope(|scope| {
        let other = scope.spawn(|| send(1));
        send(0) && other.join().unwrap_or(false)
    });
    if all { Ok(()) } else { Err("a datagram was not sent".into()) }
}
