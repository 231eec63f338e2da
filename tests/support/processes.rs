//! The processes of a program, and what is in their memory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::FileExt,
};

/// The process `root` and everything that it started, however deep, and whatever is in the process group of `root`. A service may be one process or
/// several.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let mut parents = BTreeMap::new();
    let mut family = vec![root];
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some([parent, group]) = parent_and_group(process) else { continue };
        parents.insert(process, parent);
        if group == root && process != root {
            family.push(process);
        }
    }
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        let children = parents.iter().filter(|(_, of)| **of == parent).map(|(process, _)| *process);
        let new: Vec<u32> = children.filter(|process| !family.contains(process)).collect();
        family.extend(new);
    }
    family.retain(|process| parents.contains_key(process));
    family
}

/// Of proc_pid_stat(5); the name of the program, in parentheses, may hold anything.
fn parent_and_group(process: u32) -> Option<[u32; 2]> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie has no memory, and is waited for by its parent.
    fields.next().filter(|state| *state != "Z")?;
    Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
}

/// The resident memory of a process (VmRSS), in KiB; 0 when it has ended.
pub(crate) fn resident(process: u32) -> usize {
    kib(process, "status", "VmRSS:")
}

/// The same, in which what several processes have in common counts for each of them in proportion (Pss of proc_pid_smaps(5)).
pub(crate) fn proportional(process: u32) -> usize {
    kib(process, "smaps_rollup", "Pss:")
}

fn kib(process: u32, file: &str, name: &str) -> usize {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// A part of the memory of a process.
pub(crate) struct Region {
    /// As in proc_pid_maps(5): `[heap]`, `[stack]`, a file, or nothing.
    pub(crate) name: String,
    pub(crate) octets: Vec<u8>,
}

/// Everything that the process can write to, as a core has it. `None`: we may not read it.
pub(crate) fn memory(process: u32) -> Option<Vec<Region>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let mut regions = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, permissions) = (fields.next()?, fields.next()?);
        if !permissions.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-')?;
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).expect("hexadecimal"));
        let mut octets = vec![0; usize::try_from(end - start).expect("a region fits")];
        // A region may go, or be unreadable as those of devices are.
        if memory.read_exact_at(&mut octets, start).is_ok() {
            regions.push(Region { name: fields.nth(3).unwrap_or_default().to_owned(), octets });
        }
    }
    Some(regions)
}
