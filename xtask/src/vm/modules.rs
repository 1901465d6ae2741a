//! Selects and decompresses the guest's kernel modules, in an order that satisfies their dependencies.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use super::{kernel::Kernel, quiet};

/// Modules that the tests' networks and net-traffic need. Ciphers stand before the modules that request them by name,
/// because the guest has no modprobe for the kernel's `request_module`.
const MODULES: [&str; 30] = [
    "8021q",
    "bridge",
    "cls_bpf",
    "crypto_null",
    "ctr",
    "dummy",
    "ghash_generic",
    "gcm",
    "inet_diag",
    "ip_gre",
    "ipip",
    "macvlan",
    "mptcp_diag",
    "nf_conntrack_netlink",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_masq",
    "nft_nat",
    "raw_diag",
    "sch_fq",
    "sch_ingress",
    "sch_netem",
    "tcp_diag",
    "tls",
    "tun",
    "udp_diag",
    "veth",
    "vxlan",
    "wireguard",
];

/// Name and content of each module in load order, without modules that are built into the kernel.
pub(super) fn load_order(kernel: &Kernel) -> Result<Vec<(String, Vec<u8>)>> {
    let files = module_files(&kernel.modules.join("kernel"))?;
    let builtin =
        fs::read_to_string(kernel.modules.join("modules.builtin")).context("read modules.builtin")?;
    let builtin: Vec<_> = builtin.lines().map(|line| module_name(Path::new(line))).collect();

    let mut order = Vec::new();
    for name in MODULES {
        if builtin.iter().any(|other| other == name) {
            continue;
        }
        ensure!(files.contains_key(name), "linux {} has no module {name}", kernel.release);
        visit(name, &files, &mut order)?;
    }
    Ok(order)
}

/// Appends a module after its dependencies.
fn visit(name: &str, files: &HashMap<String, PathBuf>, order: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    if order.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let file = files.get(name).with_context(|| format!("find the module {name}"))?;
    let content = decompress(file)?;
    for dependency in dependencies(&content) {
        visit(&dependency, files, order)?;
    }
    order.push((name.into(), content));
    Ok(())
}

/// The modules that `depends=` in the section `.modinfo` lists.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(begin) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[begin + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn decompress(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(file).with_context(|| format!("read {}", file.display())),
    };
    let output = quiet(program).arg("-dc").arg(file).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program} failed to decompress {}", file.display());
    }
    Ok(output.stdout)
}

fn module_files(dir: &Path) -> Result<HashMap<String, PathBuf>> {
    let mut found = HashMap::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.insert(module_name(&path), path);
            }
        }
    }
    Ok(found)
}

/// The module's name as `depends=` spells it: `kernel/net/sched/act-x.ko.xz` is `act_x`.
fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modinfo_depends_lists_module_names() {
        assert_eq!(dependencies(b"\x7fELF\0license=GPL\0depends=nf-tables,x\0name=y\0"), ["nf_tables", "x"]);
        assert!(dependencies(b"license=GPL\0depends=\0name=y\0").is_empty());
        assert!(dependencies(b"license=GPL\0").is_empty());
    }

    #[test]
    fn module_follows_its_dependencies_once() {
        let dir = std::env::temp_dir().join(format!("net-traffic-modules-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for (name, depends) in [("top", "left,right"), ("left", "base"), ("right", "base"), ("base", "")] {
            fs::write(dir.join(format!("{name}.ko")), format!("\0depends={depends}\0")).unwrap();
        }
        let files = module_files(&dir).unwrap();
        let mut order = Vec::new();
        visit("top", &files, &mut order).unwrap();
        visit("left", &files, &mut order).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        let names: Vec<_> = order.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["base", "left", "right", "top"]);
    }

    #[test]
    fn file_name_maps_to_module_name() {
        assert_eq!(module_name(Path::new("kernel/net/sched/act-x.ko.xz")), "act_x");
    }
}
