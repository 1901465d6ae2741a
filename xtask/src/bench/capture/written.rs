//! Counts the packets in a pcap or pcapng file of the host's byte order.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const ENHANCED_PACKET: u32 = 6;

pub(super) fn packets(file: &Path) -> Result<f64> {
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let count = if read_u32(&bytes, 0)? == SECTION_HEADER { pcapng(&bytes)? } else { pcap(&bytes)? };
    Ok(count.into())
}

fn pcap(bytes: &[u8]) -> Result<u32> {
    let (mut at, mut count) = (24, 0);
    while at < bytes.len() {
        at += 16 + read_u32(bytes, at + 8)? as usize;
        count += 1;
    }
    ensure!(at == bytes.len(), "the file ends within a packet");
    Ok(count)
}

fn pcapng(bytes: &[u8]) -> Result<u32> {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        count += u32::from(read_u32(bytes, at)? == ENHANCED_PACKET);
        let length = read_u32(bytes, at + 4)? as usize;
        ensure!(length >= 12, "a block is shorter than its header");
        at += length;
    }
    ensure!(at == bytes.len(), "the file ends within a block");
    Ok(count)
}

fn read_u32(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..at + 4).context("the file ends within an integer")?;
    Ok(u32::from_ne_bytes(bytes.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_in_both_formats_are_counted() {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        let classic = words(&[0xa1b2_c3d4, 0, 0, 0, 0, 1, 5, 6, 4, 4, 99, 5, 6, 8, 8, 1, 2]);
        assert_eq!(pcap(&classic).unwrap(), 2);
        assert!(pcap(&classic[..classic.len() - 4]).is_err());
        let blocks = words(&[SECTION_HEADER, 12, 12, ENHANCED_PACKET, 16, 9, 16, 5, 12, 12]);
        assert_eq!(pcapng(&blocks).unwrap(), 1);
        assert!(pcapng(&blocks[..blocks.len() - 4]).is_err());
    }
}
