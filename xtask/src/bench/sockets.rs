//! Opens loopback connections in separate processes and keeps them open for a benchmark.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// Keep loopback connections open until stdin closes; used by the benchmarks.
#[derive(clap::Args)]
pub(crate) struct Args {
    connections: usize,
}

/// Processes that keep connections open. Dropping it ends them.
pub(super) struct SocketHolders(Vec<(Child, Option<ChildStdin>)>);

impl SocketHolders {
    /// Each process has both sockets of its connections.
    pub(super) fn start(processes: usize, connections_each: usize) -> Result<Self> {
        let own = env::current_exe().context("find the path of xtask")?;
        let mut holders = Self(Vec::new());
        for _ in 0..processes {
            let mut child = Command::new("prlimit")
                .arg(format!("--nofile={}", 2 * connections_each + 64))
                .arg(&own)
                .args(["bench-sockets", &connections_each.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("start prlimit")?;
            let stdout = child.stdout.take();
            let stdin = child.stdin.take();
            holders.0.push((child, stdin));
            let mut line = String::new();
            BufReader::new(stdout.context("read from a process that holds sockets")?).read_line(&mut line)?;
            ensure!(line == "ready\n", "a process could not open {connections_each} connections");
        }
        Ok(holders)
    }
}

impl Drop for SocketHolders {
    fn drop(&mut self) {
        for (child, stdin) in &mut self.0 {
            drop(stdin.take());
            if let Err(error) = child.wait() {
                eprintln!("a process that holds sockets: {error}");
            }
        }
    }
}

/// The main function of such a process.
#[expect(clippy::print_stdout, reason = "the parent waits for this line")]
pub(crate) fn hold_sockets(args: &Args) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr()?;
    let mut open = Vec::new();
    for _ in 0..args.connections {
        open.push(TcpStream::connect(address).context("connect")?);
        open.push(listener.accept().context("accept")?.0);
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of stdin")?;
    Ok(())
}
