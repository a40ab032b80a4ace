//! How much memory this process uses, as the kernel says.

use std::fs;

/// What was in use at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before(u64);

impl Before {
    /// Forgets how much it ever was.
    pub(super) fn now() -> Option<Self> {
        fs::write("/proc/self/clear_refs", "5").ok()?;
        kilobytes("VmRSS:").map(Self)
    }

    /// How many MB more than before there were at most since then.
    pub(super) fn growth(self) -> Option<f64> {
        let peak = kilobytes("VmHWM:")?;
        Some(f64::from(u32::try_from(peak.saturating_sub(self.0)).ok()?) / 1024.0)
    }
}

fn kilobytes(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The processor time of this process so far, in seconds.
pub(super) fn processor_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may contain anything; in hundredths of a second on every Linux.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(f64::from(ticks(11)? + ticks(12)?) / 100.0)
}
