//! Every number of a moment, and its text for Prometheus.

use std::{
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use ringmain_core::metrics::{
    BOUNDS, Family, Kind, Labels, REQUEST_BYTES, REQUEST_DURATION, REQUESTS, RESPONSE_BYTES,
    TCP_CLOSED, TCP_OPENED, TCP_RECEIVED_BYTES, TCP_SENT_BYTES, write_label,
};

use super::{
    counters::FAMILIES,
    owned::HistogramTotals,
    series::{ConnectionTotals, Totals},
};

type Pick = fn(&ConnectionTotals) -> u64;

/// What is shown of TCP connections.
const TCP_FAMILIES: [(Family, Pick); 4] = [
    (TCP_OPENED, |totals| totals.opened),
    (TCP_CLOSED, |totals| totals.closed),
    (TCP_SENT_BYTES, |totals| totals.sent_bytes),
    (TCP_RECEIVED_BYTES, |totals| totals.received_bytes),
];

/// Series that nothing was counted in for the idle time and that were removed.
const SERIES_EXPIRED: Family = Family {
    name: "ringmain_series_expired_total",
    help: "Series of request metrics removed because nothing was counted in them for long.",
    kind: Kind::Counter,
};
/// What was counted in them. With it and the series there are, no request is missing.
const REQUESTS_EXPIRED: Family = Family {
    name: "ringmain_requests_expired_total",
    help: "Requests that were counted in series since removed.",
    kind: Kind::Counter,
};

/// A number from elsewhere than the workers, with others of its name.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Name, help and type; not a histogram.
    pub family: Family,
    /// Labels and value of each.
    pub samples: Vec<(Vec<(&'static str, String)>, Value)>,
}

/// A number and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// As it is.
    Whole(u64),
    /// Microseconds, written as seconds.
    Micros(u64),
}

impl Metric {
    /// One number without labels.
    pub fn new(family: Family, value: u64) -> Self {
        Self {
            family,
            samples: vec![(Vec::new(), Value::Whole(value))],
        }
    }

    /// A gauge that is a moment: seconds since 1970, with microseconds; 0 for none.
    pub fn moment(name: &'static str, help: &'static str, at: Option<SystemTime>) -> Self {
        let since_epoch = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let micros = since_epoch.unwrap_or_default().as_micros();
        let kind = Kind::Gauge;
        Self {
            family: Family { name, help, kind },
            samples: vec![(
                Vec::new(),
                Value::Micros(u64::try_from(micros).unwrap_or(u64::MAX)),
            )],
        }
    }

    /// A number of each worker, in their order.
    pub fn of_workers(family: Family, values: impl Iterator<Item = u64>) -> Self {
        let samples = values.enumerate().map(|(worker, value)| {
            let label = ("worker", worker.to_string());
            (vec![label], Value::Whole(value))
        });
        Self {
            family,
            samples: samples.collect(),
        }
    }

    /// A gauge that is always 1 and tells something by its labels.
    pub fn fact(
        name: &'static str,
        help: &'static str,
        labels: Vec<(&'static str, String)>,
    ) -> Self {
        let kind = Kind::Gauge;
        Self {
            family: Family { name, help, kind },
            samples: vec![(labels, Value::Whole(1))],
        }
    }

    /// `istio_build`: the version of this proxy.
    pub fn build(version: &str) -> Self {
        let labels = vec![
            ("component", "proxy".to_owned()),
            ("tag", version.to_owned()),
        ];
        Self::fact("istio_build", "Version of the component.", labels)
    }
}

/// Requests alike, over all workers.
#[derive(Clone, Debug)]
pub struct SeriesTotals {
    /// What they have in common.
    pub labels: Labels,
    /// Their numbers.
    pub totals: Totals,
}

#[derive(Clone, Debug)]
pub(super) struct WorkerTotals {
    pub(super) counters: [u64; FAMILIES.len()],
}

/// Every number at one moment.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// Requests, in the order their series were made.
    pub series: Vec<SeriesTotals>,
    pub(super) workers: Vec<WorkerTotals>,
    /// Series removed because they were idle.
    pub expired_series: u64,
    /// Requests that were counted in them.
    pub expired_requests: u64,
}

impl Scrape {
    /// Appends Prometheus' text format (version 0.0.4) of it and of `others`.
    pub fn render(&self, others: &[Metric], out: &mut Vec<u8>) {
        for metric in others {
            render_metric(metric, out);
        }
        let mut labels = Vec::new();
        for (index, family) in FAMILIES.iter().enumerate() {
            family.write_head(out);
            for (worker, totals) in self.workers.iter().enumerate() {
                labels.clear();
                write_label(&mut labels, "worker", &worker.to_string());
                family.write_sample(out, "", &labels);
                write_value(out, totals.counters[index]);
            }
        }
        for (family, value) in [
            (SERIES_EXPIRED, self.expired_series),
            (REQUESTS_EXPIRED, self.expired_requests),
        ] {
            render_metric(&Metric::new(family, value), out);
        }
        self.render_requests(out);
        for (family, pick) in TCP_FAMILIES {
            self.render_connections(out, &family, pick);
        }
    }

    fn of_requests(&self) -> impl Iterator<Item = &SeriesTotals> {
        self.series
            .iter()
            .filter(|series| series.totals.requests() > 0)
    }

    fn render_connections(&self, out: &mut Vec<u8>, family: &Family, pick: Pick) {
        let totals = self.series.iter();
        let mut of_connections = totals
            .filter(|series| series.totals.connections != ConnectionTotals::default())
            .peekable();
        if of_connections.peek().is_some() {
            family.write_head(out);
        }
        let mut labels = Vec::new();
        for series in of_connections {
            labels.clear();
            series.labels.write_of_connections(&mut labels);
            family.write_sample(out, "", &labels);
            write_value(out, pick(&series.totals.connections));
        }
    }

    fn render_requests(&self, out: &mut Vec<u8>) {
        let mut labels = Vec::new();
        if self.of_requests().next().is_some() {
            REQUESTS.write_head(out);
        }
        for series in self.of_requests() {
            labels.clear();
            series.labels.write(&mut labels);
            REQUESTS.write_sample(out, "", &labels);
            write_value(out, series.totals.requests());
        }
        self.render_histogram(
            out,
            &REQUEST_DURATION,
            |totals| &totals.duration,
            write_millis,
        );
        self.render_histogram(
            out,
            &REQUEST_BYTES,
            |totals| &totals.request_bytes,
            write_value,
        );
        self.render_histogram(
            out,
            &RESPONSE_BYTES,
            |totals| &totals.response_bytes,
            write_value,
        );
    }

    fn render_histogram(
        &self,
        out: &mut Vec<u8>,
        family: &Family,
        pick: fn(&Totals) -> &HistogramTotals,
        write_sum: fn(&mut Vec<u8>, u64),
    ) {
        let mut labels = Vec::new();
        if self.of_requests().next().is_some() {
            family.write_head(out);
        }
        for series in self.of_requests() {
            labels.clear();
            series.labels.write(&mut labels);
            let length = labels.len();
            let histogram = pick(&series.totals);
            let mut count = 0;
            for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS.iter().chain(&["+Inf"])) {
                count += bucket;
                labels.truncate(length);
                labels.push(b',');
                write_label(&mut labels, "le", bound);
                family.write_sample(out, "_bucket", &labels);
                write_value(out, count);
            }
            labels.truncate(length);
            family.write_sample(out, "_sum", &labels);
            write_sum(out, histogram.sum);
            family.write_sample(out, "_count", &labels);
            write_value(out, count);
        }
    }
}

fn render_metric(metric: &Metric, out: &mut Vec<u8>) {
    metric.family.write_head(out);
    let mut labels = Vec::new();
    for (pairs, value) in &metric.samples {
        labels.clear();
        for (index, (name, value)) in pairs.iter().enumerate() {
            if index > 0 {
                labels.push(b',');
            }
            write_label(&mut labels, name, value);
        }
        metric.family.write_sample(out, "", &labels);
        match *value {
            Value::Whole(value) => write_value(out, value),
            Value::Micros(micros) => write_seconds(out, micros),
        }
    }
}

fn write_value(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'\n');
}

/// Microseconds as seconds.
fn write_seconds(out: &mut Vec<u8>, micros: u64) {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    writeln!(out, "{seconds}.{rest:06}").expect("writing to a Vec cannot fail");
}

/// Microseconds as milliseconds.
fn write_millis(out: &mut Vec<u8>, micros: u64) {
    let (millis, rest) = (micros / 1000, micros % 1000);
    if rest == 0 {
        return write_value(out, millis);
    }
    writeln!(out, "{millis}.{rest:03}").expect("writing to a Vec cannot fail");
}
