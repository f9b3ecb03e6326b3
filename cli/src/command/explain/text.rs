//! An explanation for people: one fact a line, each with the file and line it comes from.

use std::fmt::{Display, Write};

use ringmain_config::{document::Document, origin::Origin};
use ringmain_core::explain::{Described, DestinationPart, EditsPart, Outcome};

use super::Answer;

/// The whole story from listener to answer.
pub(super) fn text(request: &Described, answer: &Answer, document: &Document) -> String {
    let explanation = &answer.explanation;
    let mut lines = Lines::default();
    let Described {
        method,
        scheme,
        authority,
        target,
        ..
    } = request;
    lines.plain(&format!(
        "{method} {scheme}://{authority}{target} at {}",
        answer.at
    ));
    let listener = &explanation.listener;
    lines.from("listener", &listener.name, listener.origin.as_ref());
    lines.fact("route table", &explanation.route_table);
    if let Some(path) = &explanation.path {
        lines.fact("path", path);
    }
    if let Some(host) = &explanation.virtual_host {
        lines.from("virtual host", &host.name, host.origin.as_ref());
    }
    for passed in &explanation.passed_over {
        let found = match &passed.found {
            Some(found) => format!("{found:?}"),
            None => "nothing".to_owned(),
        };
        let route = named(&passed.route);
        let why = format!("{route} ({}): found {found}", passed.condition);
        lines.from("passed over", why, passed.origin.as_ref());
    }
    if let Some(route) = &explanation.route {
        lines.from("route", named(&route.name), route.origin.as_ref());
        if let Some(timeout) = &route.timeout {
            lines.fact("timeout", timeout);
        }
    }
    outcome(&mut lines, answer, document);
    for warning in &answer.warnings {
        lines.fact("note", warning);
    }
    lines.text
}

fn outcome(lines: &mut Lines, answer: &Answer, document: &Document) {
    match &answer.explanation.outcome {
        Outcome::Forward(destinations) => {
            for destination in destinations {
                forwarded(lines, destination, document);
            }
        }
        Outcome::Redirect {
            status,
            location,
            response_headers,
        } => {
            lines.fact("answer", format!("{status}, location: {location}"));
            edits(lines, "response", response_headers);
        }
        Outcome::Direct {
            status,
            body_bytes,
            response_headers,
        } => {
            lines.fact(
                "answer",
                format!("{status} with {body_bytes} bytes of body"),
            );
            edits(lines, "response", response_headers);
        }
        Outcome::Refused(refused) => {
            let what = format!("by {}: {}", refused.by, refused.reason);
            lines.fact("refused", what);
            lines.fact(
                "answer",
                format!("{}, response flag {}", refused.status, refused.flag),
            );
        }
    }
}

fn forwarded(lines: &mut Lines, destination: &DestinationPart, document: &Document) {
    let name = if destination.share < 100.0 {
        format!("{} ({} %)", destination.cluster, share(destination.share))
    } else {
        destination.cluster.clone()
    };
    lines.from("cluster", name, destination.origin.as_ref());
    if !destination.subset.is_empty() {
        lines.fact("  subset", &destination.subset);
    }
    lines.fact(
        "  sent as",
        format!("{} for {}", destination.target, destination.authority),
    );
    edits(lines, "  request", &destination.request_headers);
    edits(lines, "  response", &destination.response_headers);
    // The Document's, since names are looked up by the proxy and not here.
    let set = document.endpoint_sets.get(&destination.cluster);
    let endpoints = set
        .map(|set| set.value.endpoints.as_slice())
        .unwrap_or_default();
    for endpoint in endpoints {
        let mut words = endpoint.address.to_string();
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
        lines.fact("  endpoint", "none: answered 503, response flag UH");
    }
}

/// Naming the entries of a VirtualService is optional.
fn named(route: &str) -> &str {
    if route.is_empty() { "(unnamed)" } else { route }
}

/// Percent without needless decimals.
fn share(percent: f64) -> String {
    let text = format!("{percent:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn edits(lines: &mut Lines, what: &str, edits: &[EditsPart]) {
    for part in edits {
        for name in &part.remove {
            lines.fact(what, format!("remove {name}"));
        }
        for (name, value) in &part.set {
            lines.fact(what, format!("set {name}: {value}"));
        }
        for (name, value) in &part.add {
            lines.fact(what, format!("add {name}: {value}"));
        }
    }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn plain(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn fact(&mut self, label: &str, value: impl Display) {
        let _ = writeln!(self.text, "{label:<13} {value}");
    }

    fn from(&mut self, label: &str, value: impl Display, origin: Option<&Origin>) {
        match origin {
            Some(origin) => self.fact(label, format!("{value}  <- {origin}")),
            None => self.fact(label, value),
        }
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
