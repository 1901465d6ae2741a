//! The cause that limited a throughput test, with its evidence.

use super::Label;
pub use net_traffic_model::throughput::{InterfaceDelta, Observations, OtherProcess, StreamStats};
use net_traffic_model::throughput::{Limit, TestRequest, verdict};

/// The cause and the observations.
#[derive(Clone, Debug)]
pub struct Cause<'o> {
    pub limit: Label,
    /// The part of the time for which it applied, if known.
    pub share: Option<f64>,
    pub seen: &'o Observations,
    /// Missing observations, and the remedy for each.
    pub remarks: &'o [String],
}

/// The cause that the observations show.
#[must_use]
pub fn cause<'o>(seen: &'o Observations, request: &TestRequest, remarks: &'o [String]) -> Cause<'o> {
    let verdict = verdict(seen, request);
    Cause { limit: label(verdict.limit), share: verdict.share, seen, remarks }
}

const fn label(limit: Limit) -> Label {
    let (id, label) = match limit {
        Limit::RequestedRate => ("requested_rate", "the rate that was asked for"),
        Limit::SenderApplication => ("sender_application", "the sending program"),
        Limit::SendBuffer => ("send_buffer", "the sender's socket buffer"),
        Limit::ReceiverWindow => ("receiver_window", "the receiver's window"),
        Limit::ReceiverApplication => {
            ("receiver_application", "the receiving program, which reads too slowly")
        }
        Limit::InterfaceQueue => ("interface_queue", "the queue of this machine's interface"),
        Limit::Loss => ("loss", "packets lost on the way"),
        Limit::OtherTraffic => ("other_traffic", "other traffic on the interface"),
        Limit::Bottleneck => ("bottleneck", "a full link on the way, where packets wait"),
        Limit::Processor => ("processor", "a processor of this machine"),
        Limit::CongestionWindow => {
            ("congestion_window", "the congestion window, without loss or waiting packets")
        }
        Limit::RemoteSender => ("remote_sender", "the sender on the other side, which alone can tell why"),
        Limit::Unknown => ("unknown", "nothing that was seen from here"),
    };
    Label { id, label }
}
