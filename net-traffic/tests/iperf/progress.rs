//! On a terminal a line with the rates so far moves below the report; elsewhere nothing of it is written.

use crate::stage::{End, IPERF3, OURS, THERE, on_stage, on_stage_first, wait_for};
use crate::tmux::Terminal;

#[test]
fn a_terminal_shows_how_the_rate_goes() {
    on_stage_first("a_terminal_shows_how_the_rate_goes", |stage| {
        let _serving = stage.serve(End::There, IPERF3, 5811, "");
        let Some(terminal) = stage.inside(End::Here, || Terminal::open(100, 30)) else { return };
        terminal.type_line(&format!("{} {OURS} iperf {THERE} -p 5811 -t 6 -b 8M", stage.before()));
        let progress = |screen: &str| {
            screen
                .lines()
                .any(|line| line.contains('\u{2588}') && line.contains("Mbit/s") && line.ends_with("/6 s"))
        };
        wait_for("a line of progress", || progress(&terminal.screen()));
        terminal.wait_for("Limited by: the rate that was asked for");
        let screen = terminal.screen();
        assert!(!progress(&screen), "what moved is gone: {screen}");
        assert!(screen.contains("iperf Done."), "{screen}");
    });
}

#[test]
fn a_pipe_gets_the_report_alone() {
    on_stage("a_pipe_gets_the_report_alone", |stage| {
        let _serving = stage.serve(End::There, IPERF3, 5812, "");
        let ended = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5812 -t 1 -b 20M")).end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!ended.out.contains(['\r', '\x1b', '\u{2588}']), "{:?}", ended.out);
    });
}
