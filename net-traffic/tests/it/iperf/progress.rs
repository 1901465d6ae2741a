//! A terminal shows a progress line below the report; a pipe gets the report only.

use net_traffic_testing::wait_until;

use super::network::{End, IPERF3, OURS, THERE, in_network, in_network_with_priority};
use crate::tmux::Terminal;

#[test]
fn terminal_shows_progress_line() {
    in_network_with_priority("terminal_shows_progress_line", |network| {
        let _serving = network.serve(End::There, IPERF3, 5811, "");
        let Some(terminal) = network.inside(End::Here, || Terminal::open(100, 30)) else { return };
        terminal.type_line(&format!("{} {OURS} iperf {THERE} -p 5811 -t 6 -b 8M", network.before()));
        let progress = |screen: &str| {
            screen
                .lines()
                .any(|line| line.contains('\u{2588}') && line.contains("Mbit/s") && line.ends_with("/6 s"))
        };
        wait_until("a line of progress", || progress(&terminal.screen()));
        terminal.wait_for("Limited by: the rate that was asked for");
        let screen = terminal.screen();
        assert!(!progress(&screen), "what moved is gone: {screen}");
        assert!(screen.contains("iperf Done."), "{screen}");
    });
}

#[test]
fn pipe_gets_report_without_progress() {
    in_network("pipe_gets_report_without_progress", |network| {
        let _serving = network.serve(End::There, IPERF3, 5812, "");
        let ended = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5812 -t 1 -b 20M")).end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!ended.out.contains(['\r', '\x1b', '\u{2588}']), "{:?}", ended.out);
    });
}
