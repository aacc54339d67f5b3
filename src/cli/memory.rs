//! How much memory a process like this one may have: the least that the machine, its control groups and its own limits
//! leave.
//!
//! Control groups are those of cgroups(7), version 1 and 2: each group on the way up may have a limit. Where they are
//! mounted and which group this process is in stand in `/proc/self`. All files are read by a function that is handed
//! over, so that the rows of the tests are files of other machines.

use std::fmt;
use std::path::{Path, PathBuf};

/// The memory that there is, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// How much.
    pub bytes: usize,
    /// What leaves no more.
    pub by: By,
}

/// What leaves no more memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The machine: what is not in use.
    Machine,
    /// The limit of a control group, in this file.
    Group(PathBuf),
    /// The limit of the process (`ulimit -v`, `LimitAS=`).
    Process,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("on this machine"),
            Self::Group(file) => write!(f, "within the limit of the control group ({})", file.display()),
            Self::Process => f.write_str("within the limit of the process (ulimit -v)"),
        }
    }
}

/// What this process may have; `None` where the system does not say.
pub fn available() -> Option<Available> {
    // A system call that fails leaves that limit out.
    let process = rustix::process::getrlimit(rustix::process::Resource::As).current;
    least(process, |path| std::fs::read_to_string(path).ok())
}

/// The least of all limits: that of the process, and those in files.
fn least(process: Option<u64>, read: impl Fn(&Path) -> Option<String>) -> Option<Available> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let process = process.map(|bytes| (bytes, By::Process));
    let all = groups(&read).into_iter().chain(process).chain(machine.map(|bytes| (bytes, By::Machine)));
    let (bytes, by) = all.min_by_key(|(bytes, _)| *bytes)?;
    Some(Available { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), by })
}

/// The limits of the groups that this process is in.
fn groups(read: &impl Fn(&Path) -> Option<String>) -> Vec<(u64, By)> {
    let mounts = read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    let mine = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for mount in mounts.lines().filter_map(Mount::read) {
        // `0::/path` in version 2; `4:memory:/path` in version 1, perhaps with other controllers beside it.
        let Some(group) = mine.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it =
                if mount.old { controllers.split(',').any(|name| name == "memory") } else { controllers.is_empty() };
            is_it.then_some(path)
        }) else {
            continue;
        };
        let name = if mount.old { "memory.limit_in_bytes" } else { "memory.max" };
        // A container sees its own group as the root of the mount, whatever the path says.
        let below = Path::new(group).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        let mut folder = mount.at.join(below);
        loop {
            let file = folder.join(name);
            // `max` is no number, and means none; version 1 has a number beyond every machine.
            if let Some(limit) = read(&file).and_then(|text| text.trim().parse::<u64>().ok()) {
                limits.push((limit, By::Group(file)));
            }
            if folder == mount.at || !folder.pop() {
                break;
            }
        }
    }
    limits
}

/// Where groups with the memory controller can be seen.
struct Mount {
    /// Which group is there.
    root: PathBuf,
    at: PathBuf,
    /// Version 1.
    old: bool,
}

impl Mount {
    /// A line of `mountinfo`: `ID PARENT DEVICE ROOT AT OPTIONS ... - KIND SOURCE MORE`, as proc(5) has it.
    fn read(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, at) = (place.next()?.into(), place.next()?.into());
        let mut kind = kind.split(' ');
        match (kind.next()?, kind.nth(1)?) {
            ("cgroup2", _) => Some(Self { root, at, old: false }),
            ("cgroup", more) if more.split(',').any(|option| option == "memory") => Some(Self { root, at, old: true }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    4096 kB\n");
    const NEW: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const OLD: &str = "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                       32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    /// Each row: files, the limit of the process, the least in KiB, and what leaves no more.
    #[test]
    fn the_least_of_all_limits_holds() {
        let group = |file: &str| By::Group(format!("/sys/fs/cgroup/{file}").into());
        for (files, process, kib, by) in [
            (&[][..], None, 4096, By::Machine),
            (&[], Some(1024 << 10), 1024, By::Process),
            (&[], Some(8192 << 10), 4096, By::Machine),
            // Version 2: the group itself, a group above it, no limit at all.
            (
                &[
                    ("/proc/self/mountinfo", NEW),
                    ("/proc/self/cgroup", "0::/system.slice/salon.service\n"),
                    ("/sys/fs/cgroup/system.slice/salon.service/memory.max", "1048576\n"),
                    ("/sys/fs/cgroup/system.slice/memory.max", "max\n"),
                ],
                None,
                1024,
                group("system.slice/salon.service/memory.max"),
            ),
            (
                &[
                    ("/proc/self/mountinfo", NEW),
                    ("/proc/self/cgroup", "0::/system.slice/salon.service\n"),
                    ("/sys/fs/cgroup/system.slice/salon.service/memory.max", "max\n"),
                    ("/sys/fs/cgroup/system.slice/memory.max", "524288\n"),
                ],
                None,
                512,
                group("system.slice/memory.max"),
            ),
            (
                &[
                    ("/proc/self/mountinfo", NEW),
                    ("/proc/self/cgroup", "0::/a\n"),
                    ("/sys/fs/cgroup/a/memory.max", "max\n"),
                ],
                None,
                4096,
                By::Machine,
            ),
            // In a container the group is the root.
            (
                &[
                    ("/proc/self/mountinfo", NEW),
                    ("/proc/self/cgroup", "0::/\n"),
                    ("/sys/fs/cgroup/memory.max", "2097152\n"),
                ],
                None,
                2048,
                group("memory.max"),
            ),
            // Version 1, as seen from the machine, and from a container, whose path is the machine's.
            (
                &[
                    ("/proc/self/mountinfo", OLD),
                    ("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/salon\n"),
                    ("/sys/fs/cgroup/memory/salon/memory.limit_in_bytes", "1048576\n"),
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                None,
                1024,
                group("memory/salon/memory.limit_in_bytes"),
            ),
            (
                &[
                    (
                        "/proc/self/mountinfo",
                        "32 23 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                    ),
                    ("/proc/self/cgroup", "4:memory:/docker/abc\n"),
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n"),
                ],
                None,
                1024,
                group("memory/memory.limit_in_bytes"),
            ),
        ] {
            let read = |path: &Path| {
                let all = files.iter().chain([&MACHINE]);
                all.clone().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(least(process, read), Some(Available { bytes: kib << 10, by }), "{files:?}");
        }
        assert_eq!(least(None, |_| None), None, "a system that says nothing");
    }
}
