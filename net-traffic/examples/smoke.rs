use net_traffic::{source::{Collector, linux::{ebpf::Ebpf, load::Sizes}}, snapshot::Snapshot};
fn main() {
    let tier = std::env::args().nth(1).map(|t| t.parse().unwrap());
    let mut e = match Ebpf::start(tier, Sizes::default()) { Ok(e) => e, Err(e) => { eprintln!("{e}"); std::process::exit(1) } };
    for _ in 0..2 {
    let mut s = Snapshot::default();
    std::thread::sleep(std::time::Duration::from_secs(2));
    e.collect(&mut s).unwrap();
    println!("{}", serde_json::to_string_pretty(&s).unwrap());
    }
}
