//! What the stages of a configuration took on its way to the workers, for operators who ask why a
//! change was slow. The control plane's part of the way is in `ringmain status`.

use std::time::Duration;

use ringmain_core::metrics::{Family, Kind};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    control::Receipt,
    metrics::{Metric, Value},
};

/// Of one configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// From the control plane; zero for one from the disk.
    pub receipt: Receipt,
    /// Waiting for the names of endpoints to be looked up.
    pub names: Duration,
    /// Making the snapshot.
    pub compile: Duration,
    /// Opening the sockets of new listeners.
    pub bind: Duration,
    /// Until the last worker uses the snapshot.
    pub adopt: Duration,
}

impl Stages {
    /// Names and times, in their order.
    pub fn list(&self) -> [(&'static str, Duration); STAGES] {
        let waiting = self.receipt.receive.saturating_sub(self.receipt.decode);
        [
            ("receive", waiting),
            ("decode", self.receipt.decode),
            ("merge", self.receipt.merge),
            ("names", self.names),
            ("compile", self.compile),
            ("bind", self.bind),
            ("adopt", self.adopt),
        ]
    }
}

/// How many there are.
const STAGES: usize = 7;

impl Serialize for Stages {
    /// `{"receive": "0.001s", ...}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(STAGES))?;
        for (name, took) in self.list() {
            map.serialize_entry(name, &ringmain_config::duration::format(took))?;
        }
        map.end()
    }
}

/// Of all configurations since the start.
#[derive(Debug, Default)]
pub(super) struct Totals {
    applied: u64,
    micros: [u64; STAGES],
}

impl Totals {
    pub(super) fn add(&mut self, stages: &Stages) {
        self.applied += 1;
        for (total, (_, took)) in self.micros.iter_mut().zip(stages.list()) {
            *total = total.saturating_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Divided by each other they say what a stage takes on average.
    pub(super) fn metrics(&self) -> [Metric; 2] {
        let applied = Family {
            name: "ringmain_configurations_applied_total",
            help: "Configurations that were brought to all workers.",
            kind: Kind::Counter,
        };
        let names = Stages::default().list().map(|(name, _)| name);
        let samples = names.into_iter().zip(self.micros).map(|(name, micros)| {
            let label = ("stage", name.to_owned());
            (vec![label], Value::Micros(micros))
        });
        let stages = Metric {
            family: Family {
                name: "ringmain_configuration_stage_seconds_total",
                help: "Time that configurations spent in each stage on their way to the workers.",
                kind: Kind::Counter,
            },
            samples: samples.collect(),
        };
        [Metric::new(applied, self.applied), stages]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Stages, Totals};
    use crate::{control::Receipt, metrics::Value};

    #[test]
    fn stages_are_shown_and_summed() {
        let millis = Duration::from_millis;
        let stages = Stages {
            receipt: Receipt {
                receive: millis(5),
                decode: millis(3),
                merge: millis(1),
            },
            compile: millis(4),
            ..Stages::default()
        };
        let json = serde_json::to_value(stages).expect("a map of texts");
        assert_eq!(json["receive"], "0.002s", "without what decoding took");
        assert_eq!(json["decode"], "0.003s");
        assert_eq!(json["adopt"], "0s");
        let mut totals = Totals::default();
        totals.add(&stages);
        totals.add(&stages);
        let [applied, stages] = totals.metrics();
        assert_eq!(applied.samples[0].1, Value::Whole(2));
        let of = |stage: &str| {
            let mut samples = stages.samples.iter();
            samples
                .find(|(labels, _)| labels[0].1 == stage)
                .map(|(_, value)| *value)
        };
        assert_eq!(of("compile"), Some(Value::Micros(8000)));
        assert_eq!(of("names"), Some(Value::Micros(0)));
    }
}
