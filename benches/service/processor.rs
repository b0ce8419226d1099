//! Processor time and memory, as the kernel accounts for them.

use std::{fs, time::Duration};

use anyhow::Context;

/// Processor time that was used up to a moment by the three parties.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub service: Duration,
    pub postgres: Duration,
    pub generator: Duration,
}

impl Usage {
    /// What was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            service: self.service.saturating_sub(earlier.service),
            postgres: self.postgres.saturating_sub(earlier.postgres),
            generator: self.generator.saturating_sub(earlier.generator),
        }
    }
}

/// Whose time is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// The first process of the service, or of whoever takes its place.
    pub service: Option<u32>,
    pub postmaster: u32,
}

impl Meter {
    /// Reads the clocks now.
    pub fn read(self) -> Usage {
        Usage {
            service: self.service.map(of_server).unwrap_or_default(),
            postgres: of_server(self.postmaster),
            generator: of_process(std::process::id()),
        }
    }
}

/// One process: user and system time of all its threads.
pub fn of_process(process: u32) -> Duration {
    read(process).map(|stat| stat.own).unwrap_or_default()
}

/// All processes of a server: the first one, its children that live, and those that ended and were reaped by it.
fn of_server(first: u32) -> Duration {
    let mut sum = read(first).map(|stat| stat.own + stat.reaped).unwrap_or_default();
    let Ok(processes) = fs::read_dir("/proc") else { return sum };
    for entry in processes.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = read(process).filter(|stat| stat.parent == first) {
            sum += stat.own;
        }
    }
    sum
}

struct Stat {
    parent: u32,
    own: Duration,
    reaped: Duration,
}

/// `/proc/…/stat`; `None` when the process has gone.
fn read(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows begins with the third field.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = |field: usize| number(field).map(|ticks| Duration::from_micros(ticks * 1_000_000 / ticks_per_second()));
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        own: ticks(14)? + ticks(15)?,
        reaped: ticks(16)? + ticks(17)?,
    })
}

fn ticks_per_second() -> u64 {
    // SAFETY: asks for a number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Resident memory of a process, from a moment on.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    process: u32,
    before: f64,
}

impl Memory {
    /// What is resident now is where growth counts from.
    ///
    /// # Errors
    /// When the process has gone.
    pub fn mark(process: u32) -> anyhow::Result<Self> {
        // 5 makes the kernel forget the peak: proc(5).
        fs::write(format!("/proc/{process}/clear_refs"), "5").context("forgetting the peak of resident memory")?;
        Ok(Self { process, before: resident_megabytes(process)? })
    }

    /// What was resident at the peak since, beyond what was at first. In MB of 2^20 bytes.
    ///
    /// # Errors
    /// When the process has gone.
    pub fn growth(self) -> anyhow::Result<f64> {
        Ok((peak_megabytes(self.process)? - self.before).max(0.0))
    }
}

/// The most memory a process has had resident. In MB of 2^20 bytes.
///
/// # Errors
/// When the process has gone.
pub fn peak_megabytes(process: u32) -> anyhow::Result<f64> {
    megabytes(process, "VmHWM:")
}

/// The memory that a process has resident now. In MB of 2^20 bytes.
///
/// # Errors
/// When the process has gone.
pub fn resident_megabytes(process: u32) -> anyhow::Result<f64> {
    megabytes(process, "VmRSS:")
}

fn megabytes(process: u32, name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such figure")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}
