//! What the kernel says of a process (Linux).

use std::fs;

use anyhow::{Context, Result};

/// What a process has used up to now.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub cpu_s: f64,
    pub memory_mb: f64,
    pub peak_mb: f64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self> {
        let gone = || format!("process {pid} cannot be looked at");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(gone)?;
        let kb = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        // Nanoseconds on a processor, the first number of each thread's schedstat: the clock ticks of
        // `stat` are ten milliseconds, more than an idle process uses in a while.
        let mut cpu_ns = 0.0;
        for thread in fs::read_dir(format!("/proc/{pid}/task")).with_context(gone)? {
            let path = thread.with_context(gone)?.path().join("schedstat");
            // A thread may have ended since the directory was read.
            let text = fs::read_to_string(path).unwrap_or_default();
            cpu_ns += text
                .split(' ')
                .next()
                .and_then(|ns| ns.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        Ok(Self {
            cpu_s: cpu_ns / 1e9,
            memory_mb: kb("VmRSS:").unwrap_or(0.0) / 1024.0,
            peak_mb: kb("VmHWM:").unwrap_or(0.0) / 1024.0,
        })
    }

    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
    }
}

/// How busy the machine was with everything since it booted, in seconds of one core. Says whether
/// something else ran while something was measured.
pub fn machine_cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers = stat.lines().next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = numbers.skip(1).filter_map(|n| n.parse().ok()).collect();
    let busy = |place: usize| ticks.get(place).copied().unwrap_or(0.0);
    // user, nice, system, irq, softirq, steal; idle and iowait are 3 and 4.
    [0, 1, 2, 5, 6, 7].into_iter().map(busy).sum::<f64>() / 100.0
}
