//! A run as a text for people, and the parts of it that a page shows as well.

use std::fmt::Write;

use super::{
    number,
    summary::{Generator, Latency, Mode, Summary},
    table,
};

/// Everything a reader needs to know of `summary`; what casts doubt on the figures stands above
/// them.
pub fn text(summary: &Summary) -> String {
    let mut text = format!("{}\n", summary.label());
    for target in targets(summary) {
        let _ = writeln!(text, "{target}");
    }
    let _ = writeln!(text, "{}", setting(summary));
    for doubt in doubts(summary) {
        let _ = writeln!(text, "\nWARNING: {doubt}");
    }
    text.push('\n');
    for [name, value] in figures(summary) {
        let _ = writeln!(text, "{name:<9}  {value}");
    }
    if summary.latency_us.is_none() && summary.mode != Mode::Stream {
        text.push_str("\nno latency: nothing was answered\n");
    }
    for part in parts(summary) {
        let _ = write!(text, "\n{}", part.text());
    }
    text
}

/// A table and what it is about.
pub(super) struct Part {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Part {
    fn new<const COLUMNS: usize>(
        header: [&str; COLUMNS],
        rows: impl Iterator<Item = [String; COLUMNS]>,
    ) -> Self {
        Self {
            header: header.map(str::to_owned).to_vec(),
            rows: rows.map(|row| row.to_vec()).collect(),
        }
    }

    fn text(&self) -> String {
        table::text(&self.header, &self.rows)
    }
}

/// What was requested, one line for each target.
pub(super) fn targets(summary: &Summary) -> Vec<String> {
    let targets = summary.targets.iter().map(|target| {
        let mut line = match &target.method {
            Some(method) => format!("{method} {}", target.url),
            None => target.url.clone(),
        };
        if target.body_bytes > 0 {
            let _ = write!(line, " with {}", number::bytes(target.body_bytes as f64));
        }
        if summary.targets.len() > 1 {
            let _ = write!(line, ", weight {}", target.weight);
        }
        line
    });
    targets.collect()
}

/// How it was measured, in one line.
pub(super) fn setting(summary: &Summary) -> String {
    let mut parts = vec![summary.protocol.clone()];
    let connections = count(summary.connections, "connection");
    parts.push(match summary.connect_per_request {
        true => format!(
            "a connection per request, {} at a time",
            summary.connections
        ),
        false => connections,
    });
    if summary.streams > 1 {
        parts.push(format!("up to {} streams on each", summary.streams));
    }
    parts.push(count(summary.workers, "worker"));
    if summary.warmup_s > 0.0 {
        let warmup = number::seconds(summary.warmup_s);
        parts.push(format!("measured after {warmup} of warm-up"));
    }
    parts.join(", ")
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What casts doubt on the figures, one sentence each.
pub(super) fn doubts(summary: &Summary) -> Vec<String> {
    let mut doubts = Vec::new();
    if summary.generator.bottleneck {
        let reason = summary.generator.reason.as_deref();
        doubts.push(format!(
            "the generator was the bottleneck, these figures describe it and not what it \
             measured: {}",
            reason.unwrap_or("it does not say why")
        ));
    }
    if summary.interrupted {
        doubts.push(format!(
            "interrupted after {}; this is what was measured until then",
            number::seconds(summary.duration_s)
        ));
    }
    doubts
}

/// Name and value of everything that is one number.
pub(super) fn figures(summary: &Summary) -> Vec<[String; 2]> {
    let bytes = |count: u64| {
        let total = number::bytes(count as f64);
        match summary.duration_s {
            0.0 => total,
            seconds => format!("{total} ({}/s)", number::bytes(count as f64 / seconds)),
        }
    };
    let mut figures = vec![("duration", number::seconds(summary.duration_s))];
    if summary.mode != Mode::Stream {
        figures.push(("requests", summary.requests.to_string()));
        figures.push(("rate", rate(summary)));
        let share = number::share(summary.failed_share());
        figures.push(("failed", format!("{} ({share})", summary.failed)));
    }
    if !summary.status.is_empty() {
        let counts = summary.status.iter();
        let counts: Vec<_> = counts
            .map(|(code, count)| format!("{code}: {count}"))
            .collect();
        figures.push(("status", counts.join(", ")));
    }
    figures.push(("bytes in", bytes(summary.bytes_in)));
    figures.push(("bytes out", bytes(summary.bytes_out)));
    figures.push(("generator", generator(&summary.generator)));
    let figures = figures.into_iter();
    figures
        .map(|(name, value)| [name.to_owned(), value])
        .collect()
}

fn rate(summary: &Summary) -> String {
    let answered = number::rate(summary.achieved_rate);
    match summary.intended_rate {
        Some(intended) => format!(
            "{answered}/s answered of {}/s intended",
            number::rate(intended)
        ),
        None => format!("{answered}/s"),
    }
}

fn generator(generator: &Generator) -> String {
    let mut parts = Vec::new();
    let busiest = generator.threads.iter();
    let busiest = busiest.max_by(|one, other| one.ran.total_cmp(&other.ran));
    if let Some(thread) = busiest {
        parts.push(format!(
            "busiest worker ran {:.0}% of the time",
            thread.ran * 100.0
        ));
    }
    if let Some(slip) = generator.slip_us {
        parts.push(format!(
            "requests late by {} (p50), {} (p99), {} (max)",
            number::micros(slip.p50 as f64),
            number::micros(slip.p99 as f64),
            number::micros(slip.max as f64)
        ));
    }
    parts.push(generator.io.clone());
    parts.push(format!(
        "{} opened",
        count(generator.connections_opened, "connection")
    ));
    if generator.resumed > 0 {
        parts.push(format!("{} by TLS resumption", generator.resumed));
    }
    if generator.resent > 0 {
        parts.push(format!("{} sent again", count(generator.resent, "request")));
    }
    parts.join(", ")
}

/// The tables, without those that would be empty.
pub(super) fn parts(summary: &Summary) -> Vec<Part> {
    let parts = [
        latencies(summary),
        by_target(summary),
        errors(summary),
        objectives(summary),
    ];
    let parts = parts.into_iter();
    parts.filter(|part| !part.rows.is_empty()).collect()
}

fn latencies(summary: &Summary) -> Part {
    let lines = [
        ("latency", &summary.latency_us),
        ("connect", &summary.connect_us),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(name, latency)| Some((name, latency.as_ref()?)));
    let names = Latency::NAMES;
    let mut header = vec!["TIMES".to_owned()];
    header.extend(names.map(str::to_owned));
    let rows = lines.map(|(name, latency)| {
        let mut row = vec![name.to_owned()];
        row.extend(latency.figures().map(number::micros));
        row
    });
    Part {
        header,
        rows: rows.collect(),
    }
}

/// Only where they say more than the whole.
fn by_target(summary: &Summary) -> Part {
    let several = summary.targets.len() > 1;
    let targets = summary.targets.iter().filter(|_| several);
    let rows = targets.map(|target| {
        let latency = |of: fn(&Latency) -> u64| match &target.latency_us {
            Some(latency) => number::micros(of(latency) as f64),
            None => "-".to_owned(),
        };
        [
            target.url.clone(),
            target.requests.to_string(),
            target.failed.to_string(),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
            latency(|latency| latency.max),
        ]
    });
    Part::new(["URL", "REQUESTS", "FAILED", "p50", "p99", "max"], rows)
}

fn errors(summary: &Summary) -> Part {
    let rows = summary.errors.iter().map(|(kind, count)| {
        let example = summary.error_examples.get(kind).cloned();
        [kind.clone(), count.to_string(), example.unwrap_or_default()]
    });
    Part::new(["ERROR", "COUNT", "THE FIRST OF THEM"], rows)
}

fn objectives(summary: &Summary) -> Part {
    let rows = summary.objectives.iter().map(|verdict| {
        let held = if verdict.held { "held" } else { "MISSED" };
        [
            verdict.to_string(),
            verdict.measured_text(),
            held.to_owned(),
        ]
    });
    Part::new(["OBJECTIVE", "MEASURED", "VERDICT"], rows)
}

#[cfg(test)]
mod tests;
