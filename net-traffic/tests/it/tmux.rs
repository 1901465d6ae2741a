//! A terminal for a test: a tmux server of its own, which drop ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The interval and the number of polls; together a minute, which a busy machine does not reach.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1200;

nix::ioctl_read_bad!(input_length, libc::FIONREAD, libc::c_int);

/// A shell in a terminal.
pub(crate) struct Terminal {
    socket: String,
    /// The output of `stty -a` before the first command.
    settings: String,
}

impl Terminal {
    /// A terminal of this size. Skips and returns `None` without tmux.
    pub(crate) fn open(width: u16, height: u16) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            net_traffic_testing::skip("tmux is not installed; the screen was not seen in a terminal");
            return None;
        }
        let socket = format!("net-traffic-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut terminal = Self { socket, settings: String::new() };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = "env -u NO_COLOR PS1='$ ' sh -i";
        terminal.tmux(&["new-session", "-d", "-x", &width, "-y", &height, shell]);
        terminal.tmux(&["set-option", "-g", "escape-time", "0"]);
        terminal.wait_for("$");
        terminal.settings = terminal.stty();
        Some(terminal)
    }

    /// Types a command and Enter.
    pub(crate) fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, named as in tmux.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
        if key == "Escape" {
            self.wait_until_input_is_read();
        }
    }

    /// A program that reads ESC together with the next key takes both for one key with Alt.
    fn wait_until_input_is_read(&self) {
        // tmux has written the key to the tty when it answers the next command.
        let tty = File::open(self.ask("#{pane_tty}")).unwrap();
        self.wait("the program does not read its input", |_| {
            let mut length = 0;
            // SAFETY: FIONREAD writes one integer, and `length` is valid for that.
            unsafe { input_length(tty.as_raw_fd(), &raw mut length) }.unwrap();
            length == 0
        });
    }

    /// Sends bytes as a terminal emulator does.
    pub(crate) fn send_bytes(&self, bytes: &str) {
        self.tmux(&["send-keys", "-l", bytes]);
    }

    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Sends a signal to the program in the foreground.
    pub(crate) fn signal_foreground(&self, signal: &str) {
        let pid = self.foreground().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// The process id of the program in the foreground.
    pub(crate) fn foreground(&self) -> u32 {
        let tty = self.ask("#{pane_tty}");
        let name = tty.trim_start_matches("/dev/");
        let listed = Command::new("ps").args(["-t", name, "-o", "pid=,stat=,comm="]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let line =
            listed.lines().find(|line| line.contains("net-traffic")).unwrap_or_else(|| panic!("{listed}"));
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Waits until the screen shows the text.
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait(&format!("'{text}' did not appear"), |terminal| terminal.screen().contains(text));
    }

    /// Waits until the program has ended, and checks that the terminal's modes are restored.
    pub(crate) fn wait_until_given_back(&self) {
        self.wait("the program did not end", |terminal| terminal.ask("#{pane_current_command}") == "sh");
        for (fact, expected) in
            [("#{alternate_on}", "0"), ("#{mouse_any_flag}", "0"), ("#{cursor_flag}", "1")]
        {
            self.wait(&format!("{fact} is not {expected}"), |terminal| terminal.ask(fact) == expected);
        }
        assert_eq!(self.stty(), self.settings, "the line's settings are not what they were");
    }

    pub(crate) fn screen_with_attributes(&self) -> String {
        self.capture(&["capture-pane", "-p", "-e"])
    }

    pub(crate) fn screen(&self) -> String {
        self.capture(&["capture-pane", "-p"])
    }

    fn capture(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.tmux(arguments).stdout).unwrap()
    }

    /// The line settings of the pane's tty. The line editor of `sh` changes none.
    fn stty(&self) -> String {
        let tty = self.ask("#{pane_tty}");
        let output = Command::new("stty").args(["-F", &tty, "-a"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // The first line has the size, which a test may change.
        text.lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    fn ask(&self, format: &str) -> String {
        self.capture(&["display-message", "-p", format]).trim().to_owned()
    }

    /// Waits until the condition holds.
    pub(crate) fn wait(&self, complaint: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..LOOKS {
            if holds(self) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("{complaint}; the screen is\n{}", self.screen());
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let output = Command::new("tmux")
            .args(["-L", &self.socket, "-f", "/dev/null"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Terminal {
    #[expect(clippy::print_stdout, reason = "a server that stays must not stay unnoticed")]
    fn drop(&mut self) {
        let ended = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
        if let Err(error) = ended {
            println!("the terminal {} could not be ended: {error}", self.socket);
        }
        // The server removes its socket only after the last client has disconnected.
        let directory = std::env::var_os("TMUX_TMPDIR").unwrap_or_else(|| "/tmp".into());
        let owner = std::fs::metadata("/proc/self").map(|about| std::os::unix::fs::MetadataExt::uid(&about));
        if let Ok(uid) = owner {
            let socket = std::path::Path::new(&directory).join(format!("tmux-{uid}")).join(&self.socket);
            drop(std::fs::remove_file(socket));
        }
    }
}
