#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| net_traffic_fuzz::file::check(input));
