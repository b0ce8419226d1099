//! What is told at the end: a table for people, an array for programs.

use serde_json::{Map, Value, json};

/// Which figure a bar is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Requests a second of the service ÷ transactions a second of the floor, or requests a second of a rival in its place.
    Throughput,
    /// Processor time of the service per request ÷ that of PostgreSQL per transaction of the floor, or ÷ that of a rival's processes.
    Processor,
    /// Processor time of PostgreSQL per request under the service ÷ the same under the floor, or under a rival.
    Database,
    /// 99th percentile of the service's latencies ÷ that of the floor's, each at 60 % of its peak.
    P99,
    /// A time ÷ another time; the workload says which.
    Time,
    /// Bytes of write-ahead log per request, without page images.
    Log,
    /// So many a second of the service.
    PerSecond,
    /// Memory of the service, or what it grew by: megabytes of 2^20 bytes.
    Memory,
    /// The service's latency, in milliseconds.
    Milliseconds,
    /// Seconds that the service's step takes.
    Seconds,
    /// Milliseconds of processor time a second that a process takes with nothing to do.
    Idle,
    /// Bytes on disk, indexes included.
    Stored,
    /// A part of a hundred.
    Percent,
}

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub figure: Figure,
    pub at_least: bool,
    pub value: f64,
}

/// The figure must not be less.
pub const fn at_least(figure: Figure, value: f64) -> Bar {
    Bar { figure, at_least: true, value }
}

/// The figure must not be more.
pub const fn at_most(figure: Figure, value: f64) -> Bar {
    Bar { figure, at_least: false, value }
}

/// What came out for one workload, in one of its variants, at one size.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub workload: &'static str,
    /// Empty for a workload that has one only.
    pub variant: String,
    pub size: u64,
    /// T
    pub throughput: Option<f64>,
    /// C
    pub processor: Option<f64>,
    /// D
    pub database: Option<f64>,
    pub p99_ratio: Option<f64>,
    pub time_ratio: Option<f64>,
    pub service_per_second: Option<f64>,
    pub floor_per_second: Option<f64>,
    pub service_cpu_us: Option<f64>,
    pub database_cpu_us: Option<f64>,
    pub floor_cpu_us: Option<f64>,
    pub generator_cpu_us: Option<f64>,
    pub service_p99_ms: Option<f64>,
    pub floor_p99_ms: Option<f64>,
    pub wal_bytes: Option<f64>,
    pub wal_bytes_with_images: Option<f64>,
    pub floor_wal_bytes: Option<f64>,
    /// Time of one operation, in seconds, where that is what is measured.
    pub service_seconds: Option<f64>,
    pub floor_seconds: Option<f64>,
    /// Memory of the service, or what it grew by, in megabytes of 2^20 bytes.
    pub memory_mb: Option<f64>,
    /// Milliseconds of processor time a second of a process with nothing to do.
    pub idle_ms: Option<f64>,
    /// Bytes on disk of one row, indexes included.
    pub stored_bytes: Option<f64>,
    /// A part of a hundred; the variant says of what.
    pub percent: Option<f64>,
    pub bars: Vec<Bar>,
    pub notes: Vec<String>,
}

impl Outcome {
    pub fn of(workload: &'static str, size: u64) -> Self {
        Self { workload, size, ..Self::default() }
    }

    /// With what it must reach.
    pub fn bars(mut self, bars: &[Bar]) -> Self {
        self.bars = bars.to_vec();
        self
    }

    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = variant.into();
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn figure(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Throughput => self.throughput,
            Figure::Processor => self.processor,
            Figure::Database => self.database,
            Figure::P99 => self.p99_ratio,
            Figure::Time => self.time_ratio,
            Figure::Log => self.wal_bytes,
            Figure::PerSecond => self.service_per_second,
            Figure::Milliseconds => self.service_p99_ms,
            Figure::Memory => self.memory_mb,
            Figure::Seconds => self.service_seconds,
            Figure::Idle => self.idle_ms,
            Figure::Stored => self.stored_bytes,
            Figure::Percent => self.percent,
        }
    }

    /// Whether every bar is reached; a figure that is not there reaches none.
    pub fn held(&self) -> bool {
        self.bars.iter().all(|bar| {
            self.figure(bar.figure)
                .is_some_and(|value| if bar.at_least { value >= bar.value } else { value <= bar.value })
        })
    }

    /// The bars in words.
    pub fn bar(&self) -> String {
        let told = self.bars.iter().map(|bar| {
            let name = match bar.figure {
                Figure::Throughput => "T",
                Figure::Processor => "C",
                Figure::Database => "D",
                Figure::P99 => "p99_ratio",
                Figure::Time => "time_ratio",
                Figure::Log => "wal_bytes",
                Figure::PerSecond => "service_per_second",
                Figure::Milliseconds => "service_p99_ms",
                Figure::Memory => "memory_mb",
                Figure::Seconds => "service_seconds",
                Figure::Idle => "idle_ms",
                Figure::Stored => "stored_bytes",
                Figure::Percent => "percent",
            };
            format!("{name} {} {:.2}", if bar.at_least { ">=" } else { "<=" }, bar.value)
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// Seconds that one request, or the operation, takes of the service: what is plotted against the size.
    pub fn seconds(&self) -> Option<f64> {
        self.service_seconds.or_else(|| self.service_per_second.map(|rate| 1.0 / rate))
    }

    /// The same of the floor.
    pub fn floor_time(&self) -> Option<f64> {
        self.floor_seconds.or_else(|| self.floor_per_second.map(|rate| 1.0 / rate))
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.workload, self.variant).trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("workload".to_owned(), json!(self.workload));
        if !self.variant.is_empty() {
            object.insert("variant".to_owned(), json!(self.variant));
        }
        object.insert("size".to_owned(), json!(self.size));
        let figures = [
            ("T", self.throughput),
            ("C", self.processor),
            ("D", self.database),
            ("p99_ratio", self.p99_ratio),
            ("time_ratio", self.time_ratio),
        ];
        let more = [
            ("service_per_second", self.service_per_second),
            ("floor_per_second", self.floor_per_second),
            ("service_cpu_us", self.service_cpu_us),
            ("database_cpu_us", self.database_cpu_us),
            ("floor_cpu_us", self.floor_cpu_us),
            ("generator_cpu_us", self.generator_cpu_us),
            ("service_p99_ms", self.service_p99_ms),
            ("floor_p99_ms", self.floor_p99_ms),
            ("wal_bytes", self.wal_bytes),
            ("wal_bytes_with_images", self.wal_bytes_with_images),
            ("floor_wal_bytes", self.floor_wal_bytes),
            ("service_seconds", self.service_seconds),
            ("floor_seconds", self.floor_seconds),
            ("memory_mb", self.memory_mb),
            ("idle_ms", self.idle_ms),
            ("stored_bytes", self.stored_bytes),
            ("percent", self.percent),
        ];
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        for (name, value) in figures {
            if let Some(value) = value {
                object.insert(name.to_owned(), json!(rounded(value)));
            }
        }
        if !self.bars.is_empty() {
            object.insert("bar".to_owned(), json!(self.bar()));
            object.insert("held".to_owned(), json!(self.held()));
        }
        for (name, value) in more {
            if let Some(value) = value {
                object.insert(name.to_owned(), json!(rounded(value)));
            }
        }
        if !self.notes.is_empty() {
            object.insert("note".to_owned(), json!(self.notes.join("; ")));
        }
        Value::Object(object)
    }
}

/// All outcomes as one array.
pub fn json(outcomes: &[Outcome]) -> String {
    let array: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
    format!("{:#}\n", Value::Array(array))
}

/// All outcomes as a table, a line each, with what does not fit below.
pub fn table(outcomes: &[Outcome]) -> String {
    let columns = [
        "workload",
        "size",
        "T",
        "C",
        "D",
        "p99",
        "time",
        "service/s",
        "floor/s",
        "service µs",
        "database µs",
        "floor µs",
        "generator µs",
        "p99 ms",
        "floor p99",
        "MB",
        "held",
        "bar",
    ];
    let number =
        |value: Option<f64>, places: usize| value.map_or_else(String::new, |value| format!("{value:.places$}"));
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    for outcome in outcomes {
        let held = if outcome.bars.is_empty() {
            ""
        } else if outcome.held() {
            "yes"
        } else {
            "NO"
        };
        rows.push(vec![
            outcome.name(),
            outcome.size.to_string(),
            number(outcome.throughput, 3),
            number(outcome.processor, 2),
            number(outcome.database, 2),
            number(outcome.p99_ratio, 2),
            number(outcome.time_ratio, 2),
            number(outcome.service_per_second, 0),
            number(outcome.floor_per_second, 0),
            number(outcome.service_cpu_us, 1),
            number(outcome.database_cpu_us, 1),
            number(outcome.floor_cpu_us, 1),
            number(outcome.generator_cpu_us, 1),
            number(outcome.service_p99_ms, 2),
            number(outcome.floor_p99_ms, 2),
            number(outcome.memory_mb, 1),
            held.to_owned(),
            outcome.bar(),
        ]);
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in &rows {
        let last = columns.len() - 1;
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            column if column == last => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for outcome in outcomes {
        if let (Some(records), Some(all)) = (outcome.wal_bytes, outcome.wal_bytes_with_images) {
            let floor = outcome.floor_wal_bytes.map_or_else(String::new, |bytes| format!("; the floor's {bytes:.0}"));
            text.push_str(&format!(
                "{} {}: {records:.0} bytes of log per request, {all:.0} with page images{floor}\n",
                outcome.name(),
                outcome.size
            ));
        }
        if let Some(idle) = outcome.idle_ms {
            text.push_str(&format!("{} {}: {idle:.1} ms of processor time a second\n", outcome.name(), outcome.size));
        }
        for note in &outcome.notes {
            text.push_str(&format!("{} {}: {note}\n", outcome.name(), outcome.size));
        }
    }
    text
}
