//! The lines of an explanation: a label, what it says, and where that was written.

use std::fmt::{Display, Write};

use ringmain_config::origin::Origin;
use ringmain_core::explain::{EndpointPart, PassedOver};

/// The lines so far.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
}

impl Lines {
    /// All of them.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// A line as it is.
    pub(super) fn plain(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A label and what it says.
    pub(super) fn fact(&mut self, label: &str, value: impl Display) {
        let _ = writeln!(self.text, "{label:<13} {value}");
    }

    /// As [`Self::fact`], with who asked for it.
    pub(super) fn from(&mut self, label: &str, value: impl Display, origin: Option<&Origin>) {
        match origin {
            Some(origin) => self.fact(label, format!("{value}  <- {origin}")),
            None => self.fact(label, value),
        }
    }
}

/// A route that does not match, and its first condition that does not hold.
pub(super) fn passed_over(lines: &mut Lines, route: &str, passed: &PassedOver) {
    let found = match &passed.found {
        Some(found) => format!("{found:?}"),
        None => "nothing".to_owned(),
    };
    let why = format!("{route} ({}): found {found}", passed.condition);
    lines.from("passed over", why, passed.origin.as_ref());
}

/// `cluster (90 %)`; a share of all needs no saying.
pub(super) fn with_share(cluster: &str, percent: f64) -> String {
    match percent < 100.0 {
        true => format!("{cluster} ({} %)", share(percent)),
        false => cluster.to_owned(),
    }
}

/// Percent without needless decimals.
pub(super) fn share(percent: f64) -> String {
    let text = format!("{percent:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Who answers, and what happens `without` anybody.
pub(super) fn endpoints(lines: &mut Lines, endpoints: &[EndpointPart], without: &str) {
    for endpoint in endpoints {
        let mut words = endpoint.address.clone();
        if endpoint.weight != 1 {
            let _ = write!(words, ", weight {}", endpoint.weight);
        }
        if !endpoint.workload.name.is_empty() {
            let workload = &endpoint.workload;
            let _ = write!(words, ", {}/{}", workload.namespace, workload.name);
        }
        lines.fact("  endpoint", words);
    }
    if endpoints.is_empty() {
        lines.fact("  endpoint", format!("none: {without}"));
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares() {
        for (percent, expected) in [
            (50.0, "50"),
            (100.0 / 3.0, "33.3333"),
            (0.5, "0.5"),
            (90.0, "90"),
        ] {
            assert_eq!(share(percent), expected);
        }
    }
}
