//! Our server does what the client asks it for: seen in the kernel's sockets, and in what iperf3 as client reports.

use serde_json::Value;

use crate::options::{count, number};
use crate::stage::{End, IPERF3, OURS, Stage, THERE, on_stage, on_stage_first, up_to_three_times, wait_for};

/// The client's report of a test by iperf3 against our server, and the server's.
fn test(stage: &Stage, port: u16, options: &str) -> (Value, Value) {
    let server = stage.serve(End::There, OURS, port, "-1 -J");
    let client = stage.start(End::Here, IPERF3, &format!("-c {THERE} -p {port} {options} -J")).end();
    assert_eq!(client.code, Some(0), "{options}: {}{}", client.out, client.err);
    (client.json(), server.end().json())
}

#[test]
fn its_sockets_are_as_the_client_asked() {
    on_stage("its_sockets_are_as_the_client_asked", |stage| {
        // Twelve octets of each segment are the timestamps; the kernel doubles what a buffer is asked for.
        for (port, options, wanted) in [
            (6001, "-R -M 900", "mss:888"),
            (6002, "-R -C reno", " reno "),
            (6003, "-R -w 32K", "tb65536"),
            (6004, "-w 32K", "rb65536"),
        ] {
            let _serving = stage.serve(End::There, OURS, port, "");
            let testing =
                stage.start(End::Here, IPERF3, &format!("-c {THERE} -p {port} -t 30 -b 50M {options}"));
            let mut said = String::new();
            wait_for(&format!("{options}: {wanted}"), || {
                said = stage.start(End::There, "ss", &format!("-tinmH sport = {port}")).end().out;
                said.contains(wanted)
            });
            drop(testing);
        }
    });
}

#[test]
fn it_sends_blocks_and_amounts_as_the_client_asked() {
    on_stage("it_sends_blocks_and_amounts_as_the_client_asked", |stage| {
        let (client, server) = test(stage, 6011, "-R -u -b 2M -t 1 -l 300");
        let (sent, packets) = (count(&server, "/end/sum/bytes"), count(&server, "/end/sum/packets"));
        assert!(packets > 0 && sent == 300 * packets, "{server}");
        assert_eq!(count(&client, "/start/test_start/blksize"), 300);
        let (client, server) = test(stage, 6012, "-R -n 3M -P 3");
        assert_eq!(count(&client, "/end/sum_sent/bytes"), count(&server, "/end/sum_sent/bytes"));
        assert!(count(&server, "/end/sum_sent/bytes") >= 3 << 20, "{server}");
        assert_eq!(server["end"]["streams"].as_array().unwrap().len(), 3, "{server}");
    });
}

#[test]
fn it_keeps_the_bitrate_that_the_client_asked_for() {
    on_stage_first("it_keeps_the_bitrate_that_the_client_asked_for", |stage| {
        for (port, options, wanted) in [(6021, "-R -b 8M -t 2", 8e6), (6022, "-R -u -b 4M -t 2", 4e6)] {
            up_to_three_times(|| {
                let (client, _) = test(stage, port, options);
                let sum = if options.contains("-u") { "sum" } else { "sum_received" };
                let rate = number(&client, &format!("/end/{sum}/bits_per_second"));
                if (wanted * 0.9..wanted * 1.1).contains(&rate) {
                    Ok(())
                } else {
                    Err(format!("{options}: {rate}"))
                }
            });
        }
    });
}
