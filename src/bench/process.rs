//! The CPU and memory of a process, as Linux shows them in `/proc`.

use std::fs;
use std::io;
use std::ops::Sub;

/// CPU time of a process since its start, over all its threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Nanoseconds on a core.
    pub nanos: u64,
    /// Nanoseconds ready to run while others had the core.
    pub waited: u64,
    /// Ticks in user space; good for a share only.
    pub user: u64,
    /// Ticks in the kernel.
    pub system: u64,
}

impl Cpu {
    /// Of that process.
    ///
    /// # Errors
    /// Those of the system, where there is no such process or no `/proc`.
    pub fn of(pid: u32) -> io::Result<Self> {
        let mut cpu = Self::default();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while they are counted.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse::<u64>().ok());
            cpu.nanos += numbers.next().unwrap_or(0);
            cpu.waited += numbers.next().unwrap_or(0);
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // Behind the name, which may contain anything: utime and stime are fields 14 and 15.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut ticks = rest.split_ascii_whitespace().skip(11).map_while(|number| number.parse::<u64>().ok());
        cpu.user = ticks.next().unwrap_or(0);
        cpu.system = ticks.next().unwrap_or(0);
        if cpu.nanos == 0 {
            // A kernel without schedstat. Its ticks are hundredths of a second on every Linux there is.
            cpu.nanos = (cpu.user + cpu.system) * 10_000_000;
        }
        Ok(cpu)
    }

    /// The part of it in user space, 0 to 1.
    pub fn user_share(&self) -> f64 {
        self.user as f64 / (self.user + self.system).max(1) as f64
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(earlier.nanos),
            waited: self.waited.saturating_sub(earlier.waited),
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// Bytes resident now.
pub fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// The most bytes that were ever resident.
pub fn resident_peak(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn of_this_process() {
        let pid = std::process::id();
        assert!(Cpu::of(pid).unwrap().nanos > 0);
        assert!(resident(pid) > 100_000 && resident_peak(pid) >= resident(pid) / 2);
        assert!(Cpu::of(u32::MAX).is_err());
    }
}
