//! The server applies the client's options: checked in the kernel's sockets and in iperf3's report.

use super::network::{End, IPERF3, OURS, in_network, in_network_with_priority, up_to_three_times};
use super::reports::{Ends, count, number};

const ENDS: Ends = Ends { client: IPERF3, server: OURS };

#[test]
fn server_sockets_have_requested_options() {
    in_network("server_sockets_have_requested_options", |network| {
        // Timestamps take 12 bytes of each segment. The kernel doubles the requested buffer size (socket(7)).
        for (port, options, wanted) in [
            (6001, "-R -M 900", "mss:888"),
            (6002, "-R -C reno", " reno "),
            (6003, "-R -w 32K", "tb65536"),
            (6004, "-w 32K", "rb65536"),
        ] {
            ENDS.check_socket(network, End::There, port, &format!("-b 50M {options}"), wanted);
        }
    });
}

#[test]
fn server_sends_requested_blocks_and_amounts() {
    in_network("server_sends_requested_blocks_and_amounts", |network| {
        let (client, server) = ENDS.test(network, 6011, "-R -u -b 2M -t 1 -l 300");
        let (sent, packets) = (count(&server, "/end/sum/bytes"), count(&server, "/end/sum/packets"));
        assert!(packets > 0 && sent == 300 * packets, "{server}");
        assert_eq!(count(&client, "/start/test_start/blksize"), 300);
        let (client, server) = ENDS.test(network, 6012, "-R -n 3M -P 3");
        assert_eq!(count(&client, "/end/sum_sent/bytes"), count(&server, "/end/sum_sent/bytes"));
        assert!(count(&server, "/end/sum_sent/bytes") >= 3 << 20, "{server}");
        assert_eq!(server["end"]["streams"].as_array().unwrap().len(), 3, "{server}");
    });
}

#[test]
fn server_keeps_requested_bitrate() {
    in_network_with_priority("server_keeps_requested_bitrate", |network| {
        for (port, options, wanted) in [(6021, "-R -b 8M -t 2", 8e6), (6022, "-R -u -b 4M -t 2", 4e6)] {
            up_to_three_times(|| {
                let (client, _) = ENDS.test(network, port, options);
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
