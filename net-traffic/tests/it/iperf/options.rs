//! Each option has its effect: checked in the kernel's sockets or in the report of iperf3 at the other end.

use super::network::{
    End, Ended, IPERF3, OURS, Program, THERE, THERE_V6, in_network, in_network_with_priority,
    up_to_three_times,
};
use super::reports::{Ends, count, number};

const ENDS: Ends = Ends { client: OURS, server: IPERF3 };

#[test]
fn client_sockets_have_requested_options() {
    in_network("client_sockets_have_requested_options", |network| {
        // Timestamps take 12 bytes of each segment.
        ENDS.check_socket(network, End::Here, 5901, "-M 900", "mss:888");
        ENDS.check_socket(network, End::Here, 5902, "-C reno", " reno ");
        // The kernel doubles the requested size (socket(7)).
        ENDS.check_socket(network, End::Here, 5903, "-w 32K", "tb65536");
        let (client, _) = ENDS.test(network, 5904, "-C reno -t 1");
        assert_eq!(client["end"]["sender_tcp_congestion"], "reno");
    });
}

#[test]
fn window_option_applies_to_both_ends() {
    in_network("window_option_applies_to_both_ends", |network| {
        let (client, server) = ENDS.test(network, 5905, "-w 32K -t 1");
        for report in [client, server] {
            let buffers = ["/start/sock_bufsize", "/start/sndbuf_actual", "/start/rcvbuf_actual"];
            assert_eq!(buffers.map(|path| count(&report, path)), [32 << 10, 64 << 10, 64 << 10], "{report}");
        }
    });
}

#[test]
fn blocks_have_requested_length() {
    in_network("blocks_have_requested_length", |network| {
        let (client, server) = ENDS.test(network, 5906, "-u -b 2M -t 1 -l 300");
        let (bytes, packets) = (count(&client, "/end/sum/bytes"), count(&client, "/end/sum/packets"));
        assert_eq!(bytes, 300 * packets, "{client}");
        assert_eq!(count(&server, "/start/test_start/blksize"), 300);
        let (client, server) = ENDS.test(network, 5907, "-t 1 -l 5000");
        assert_eq!(count(&client, "/end/sum_sent/bytes") % 5000, 0);
        assert_eq!(count(&server, "/start/test_start/blksize"), 5000);
    });
}

#[test]
fn amount_and_time_options_are_kept() {
    in_network("amount_and_time_options_are_kept", |network| {
        let (client, server) = ENDS.test(network, 5908, "-n 3M");
        for report in [&client, &server] {
            assert_eq!(count(report, "/end/sum_received/bytes"), 3 << 20, "{report}");
        }
        let (client, server) = ENDS.test(network, 5909, "-t 2 -b 8M");
        // The other end's clock; a busy machine makes it longer.
        let [ours, theirs] = [&client, &server].map(|report| number(report, "/end/sum_received/seconds"));
        assert!((1.9..2.1).contains(&ours) && (1.9..8.0).contains(&theirs), "{ours} {theirs}");
    });
}

#[test]
fn each_stream_keeps_requested_bitrate() {
    in_network_with_priority("each_stream_keeps_requested_bitrate", |network| {
        for (port, options, wanted) in
            [(5910, "-b 8M -t 2", 8e6), (5911, "-b 4M -P 3 -t 2", 12e6), (5912, "-u -b 6M -t 2", 6e6)]
        {
            up_to_three_times(|| {
                let (client, server) = ENDS.test(network, port, options);
                let streams = if options.contains("-P 3") { 3 } else { 1 };
                assert_eq!(server["end"]["streams"].as_array().unwrap().len(), streams, "{server}");
                let rates = if options.contains("-u") {
                    vec![number(&client, "/end/sum/bits_per_second")]
                } else {
                    [&client, &server].map(|both| number(both, "/end/sum_received/bits_per_second")).to_vec()
                };
                let kept = rates.iter().all(|rate| (wanted * 0.9..wanted * 1.1).contains(rate));
                if kept { Ok(()) } else { Err(format!("{options}: {rates:?}")) }
            });
        }
    });
}

#[test]
fn interval_option_sets_time_between_lines() {
    in_network_with_priority("interval_option_sets_time_between_lines", |network| {
        up_to_three_times(|| {
            let (client, _) = ENDS.test(network, 5913, "-t 2 -i 0.5 -b 20M");
            let intervals = client["intervals"].as_array().unwrap();
            let lengths: Vec<f64> =
                intervals.iter().map(|interval| number(interval, "/sum/seconds")).collect();
            let kept = lengths.len() == 4 && lengths.iter().all(|length| (0.4..0.6).contains(length));
            if kept { Ok(()) } else { Err(format!("{lengths:?}")) }
        });
        let lines = |program: &str, word: &str| {
            let _serving = network.serve(End::There, IPERF3, 5914, "-1");
            let told = network
                .start(End::Here, program, &format!("{word} -c {THERE} -p 5914 -t 2 -i 0 -b 20M"))
                .end();
            told.out.lines().filter(|line| line.contains(" sec ")).count()
        };
        assert_eq!(lines(OURS, "iperf"), lines(IPERF3, ""), "no lines but the last");
    });
}

#[test]
fn family_options_choose_address_family() {
    in_network("family_options_choose_address_family", |network| {
        let reach = |host: &str, port: u16, options: &str| {
            network.start(End::Here, OURS, &format!("iperf {host} -p {port} -n 128K {options}")).end()
        };
        let is_ok = |ended: &Ended| ended.code == Some(0);
        let four = network.serve(End::There, OURS, 5915, "-4");
        assert!(is_ok(&reach(THERE, 5915, "")));
        assert!(reach(THERE_V6, 5915, "").err.contains("Connection refused"));
        drop(four);
        let six = network.serve(End::There, OURS, 5916, "-6");
        assert!(is_ok(&reach(THERE_V6, 5916, "-6")));
        assert!(reach(THERE, 5916, "").err.contains("Connection refused"));
        drop(six);
        let _both = network.serve(End::There, OURS, 5917, "");
        assert!(is_ok(&reach(THERE, 5917, "-4")) && is_ok(&reach(THERE_V6, 5917, "-6")));
        for (host, option) in [(THERE_V6, "-4"), (THERE, "-6")] {
            let refused = reach(host, 5917, option);
            assert_eq!(refused.code, Some(1), "{host} {option}: {}", refused.out);
            assert!(!refused.err.is_empty());
        }
    });
}

#[test]
fn port_option_sets_server_port() {
    in_network("port_option_sets_server_port", |network| {
        let listening = |program: &Program| {
            let messages = network.start(End::There, "ss", "-tlnpH").end().out;
            let own = format!("pid={},", program.pid());
            messages.lines().filter(|line| line.contains(&own)).map(str::to_owned).collect::<Vec<_>>()
        };
        for (options, port) in [("", 5201), ("-p 5918", 5918)] {
            let server = network.start(End::There, OURS, &format!("iperf -s {options}"));
            network.wait_until_listening(End::There, port);
            let sockets = listening(&server);
            assert!(sockets.len() == 1 && sockets[0].contains(&format!(":{port} ")), "{sockets:?}");
            let tested = network.start(End::Here, OURS, &format!("iperf {THERE} {options} -n 128K")).end();
            assert_eq!(tested.code, Some(0), "{}", tested.err);
        }
    });
}

#[test]
fn one_off_server_exits_after_test() {
    in_network("one_off_server_exits_after_test", |network| {
        let once = network.serve(End::There, OURS, 5919, "-1");
        let mut ever = network.serve(End::There, OURS, 5920, "");
        for port in [5919, 5920] {
            let tested = network.start(End::Here, IPERF3, &format!("-c {THERE} -p {port} -n 128K")).end();
            assert_eq!(tested.code, Some(0), "{}", tested.err);
        }
        let ended = once.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ever.is_running());
    });
}
