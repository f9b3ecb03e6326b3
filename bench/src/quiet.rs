//! How much of the machine others use, before a measurement and during it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// CPU time of a clock tick in `/proc` (`USER_HZ`, which is 100 on every Linux).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of the whole machine up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    busy: u64,
    stolen: u64,
    total: u64,
}

impl Usage {
    fn now() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Self::parse(&stat).context("/proc/stat does not begin as proc(5) says")
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal, then guest times that are part of
    /// the first two (proc(5)).
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .map_while(|ticks| ticks.parse().ok())
            .collect();
        let &[user, nice, system, idle, waiting, irq, softirq, stolen, ..] = &*ticks else {
            return None;
        };
        let busy = user + nice + system + irq + softirq;
        let total = busy + idle + waiting + stolen;
        Some(Self {
            busy,
            stolen,
            total,
        })
    }
}

/// What the machine did in an interval, as shares of all its cores' time, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Used by programs that are no part of the measurement.
    pub others: f64,
    /// Taken by the hypervisor.
    pub stolen: f64,
}

/// Watches the machine during a measurement.
#[derive(Debug)]
pub struct Watch {
    before: Usage,
    children_before: Duration,
    ended_before: Duration,
}

impl Watch {
    /// From now on.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn begin() -> Result<Self> {
        Ok(Self {
            before: Usage::now()?,
            children_before: own_and_ended()?,
            ended_before: ended()?,
        })
    }

    /// CPU time of child processes that have ended since, in steps of 10 ms.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn ended_children(&self) -> Result<Duration> {
        Ok(ended()?.saturating_sub(self.ended_before))
    }

    /// Up to now. `ours`: CPU time of the programs that take part and are still running; those
    /// that have ended are known.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn end(&self, ours: Duration) -> Result<Noise> {
        let now = Usage::now()?;
        let ours = ours + own_and_ended()?.saturating_sub(self.children_before);
        let ticks = |count: u64| count as f64 * TICK.as_secs_f64();
        let total = ticks(now.total - self.before.total).max(TICK.as_secs_f64());
        let busy = ticks(now.busy - self.before.busy);
        Ok(Noise {
            others: ((busy - ours.as_secs_f64()) / total).clamp(0.0, 1.0),
            stolen: ticks(now.stolen - self.before.stolen) / total,
        })
    }
}

/// CPU time of this process, and of its children that have ended.
fn own_and_ended() -> Result<Duration> {
    Ok(own_stat()?.iter().sum())
}

/// CPU time of children that have ended.
fn ended() -> Result<Duration> {
    Ok(own_stat()?[2..].iter().sum())
}

/// Fields 14 to 17 of proc(5)'s `stat`: of this process outside the kernel and in it, of ended
/// children the same.
fn own_stat() -> Result<[Duration; 4]> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    times(&stat).context("/proc/self/stat is not as proc(5) says")
}

fn times(stat: &str) -> Option<[Duration; 4]> {
    // The name stands in parentheses and may hold anything.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields = behind_name.split_whitespace().skip(11).take(4);
    let ticks: Vec<u32> = fields.map_while(|ticks| ticks.parse().ok()).collect();
    let ticks: [u32; 4] = ticks.try_into().ok()?;
    Some(ticks.map(|ticks| TICK * ticks))
}

/// Waits until others use less than `share` of the machine for two seconds. False when they never
/// did before `deadline`.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn wait(share: f64, deadline: Instant) -> Result<bool> {
    loop {
        let watch = Watch::begin()?;
        thread::sleep(Duration::from_secs(2));
        if watch.end(Duration::ZERO)?.others < share {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Usage, times};

    #[test]
    fn reads_own_times() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        let expected = [110, 120, 130, 140].map(Duration::from_millis);
        assert_eq!(times(stat), Some(expected));
        assert_eq!(times("7 (a) S 1 2"), None);
    }

    #[test]
    fn reads_the_first_line() {
        let stat = "cpu  10 1 20 300 5 2 3 4 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let expected = Usage {
            busy: 36,
            stolen: 4,
            total: 345,
        };
        assert_eq!(Usage::parse(stat), Some(expected));
        assert_eq!(Usage::parse("cpu  1 2 3\n"), None);
        assert_eq!(Usage::parse(""), None);
    }
}
