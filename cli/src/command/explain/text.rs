//! An explanation for people: one fact a line, each with the file and line it comes from.

use ringmain_config::cluster::Protocol;
use ringmain_core::explain::{
    Described, DestinationPart, EditsPart, Explanation, Outcome, PresentedPart, WrittenPart,
    tcp::{TcpDestinationPart, TcpExplanation, TcpOutcome},
};

use super::{
    Answer,
    besides::{besides, chosen_by},
    connection::Connection,
    lines::{Lines, endpoints, passed_over, with_share},
};
use crate::command::words;

/// The whole story of a request, from listener to answer.
pub(super) fn of_request(request: &Described, answer: &Answer<Explanation>) -> String {
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
    if let Some(presented) = &explanation.presented {
        self::presented(&mut lines, request, presented);
    }
    if let Some(path) = &explanation.path {
        lines.fact("path", path);
    }
    if let Some(host) = &explanation.virtual_host {
        lines.from("virtual host", &host.name, host.origin.as_ref());
    }
    for passed in &explanation.passed_over {
        passed_over(&mut lines, named(&passed.route), passed);
    }
    if let Some(route) = &explanation.route {
        lines.from("route", named(&route.name), route.origin.as_ref());
        besides(&mut lines, route);
    }
    outcome(&mut lines, answer);
    for warning in &answer.warnings {
        lines.fact("note", warning);
    }
    lines.finish()
}

/// How routes see the request, where that is not as it was sent.
fn presented(lines: &mut Lines, request: &Described, presented: &PresentedPart) {
    let scheme = presented.scheme;
    match scheme == request.scheme {
        true => lines.fact("scheme", scheme),
        false => lines.fact("scheme", format!("{scheme}, whatever the client means")),
    }
    for name in &presented.left_out {
        let why = match name.contains('_') {
            true => "its name holds `_`",
            false => "it is not believed of this client",
        };
        lines.fact("left out", format!("{name}: {why}"));
    }
    let written = presented.written.iter();
    let written = written.map(|WrittenPart { name, value }| match value {
        Some(value) => format!("{name}: {value}"),
        None => format!("{name} of its own"),
    });
    let written: Vec<String> = written.collect();
    if !written.is_empty() {
        lines.fact("written", written.join(", "));
    }
}

/// The whole story of a connection, from listener to endpoint.
pub(super) fn of_connection(connection: &Connection, answer: &Answer<TcpExplanation>) -> String {
    let explanation = &answer.explanation;
    let mut lines = Lines::default();
    let source = match connection.source {
        Some(source) => format!(" from {source}"),
        None => String::new(),
    };
    lines.plain(&format!("{}{source} at {}", connection.url, answer.at));
    let listener = &explanation.listener;
    lines.from("listener", &listener.name, listener.origin.as_ref());
    for passed in &explanation.passed_over {
        passed_over(&mut lines, &passed.route, passed);
    }
    if let Some(route) = &explanation.route {
        let name = format!("route {}", route.number);
        lines.from("route", name, route.origin.as_ref());
    }
    match &explanation.outcome {
        TcpOutcome::Forward(destinations) => {
            for destination in destinations {
                carried(&mut lines, destination);
            }
        }
        TcpOutcome::Refused { reason, flag } => {
            let by = format!("by listener {:?}: {reason}", listener.name);
            lines.fact("refused", by);
            lines.fact(
                "connection",
                format!("closed at once, response flag {flag}"),
            );
        }
    }
    for warning in &answer.warnings {
        lines.fact("note", warning);
    }
    lines.finish()
}

fn carried(lines: &mut Lines, destination: &TcpDestinationPart) {
    let name = with_share(&destination.cluster, destination.share);
    lines.from("cluster", name, destination.origin.as_ref());
    if !destination.subset.is_empty() {
        lines.fact("  subset", &destination.subset);
    }
    let without = "closed at once, response flag UH";
    endpoints(lines, &destination.endpoints, without);
}

fn outcome(lines: &mut Lines, answer: &Answer<Explanation>) {
    match &answer.explanation.outcome {
        Outcome::Forward(destinations) => {
            for destination in destinations {
                forwarded(lines, destination);
            }
        }
        Outcome::Redirect {
            status,
            grpc_status,
            location,
            response_headers,
        } => {
            let status = words::answer(*status, *grpc_status);
            lines.fact("answer", format!("{status}, location: {location}"));
            edits(lines, "response", response_headers);
        }
        Outcome::Direct {
            status,
            grpc_status,
            body_bytes,
            response_headers,
        } => {
            let answer = match grpc_status {
                // Its body is the message of the status.
                Some(_) => words::answer(*status, *grpc_status),
                None => format!("{status} with {body_bytes} bytes of body"),
            };
            lines.fact("answer", answer);
            edits(lines, "response", response_headers);
        }
        Outcome::Refused(refused) => {
            let what = format!("by {}: {}", refused.by, refused.reason);
            lines.fact("refused", what);
            let status = words::answer(refused.status, refused.grpc_status);
            let answer = format!("{status}, response flag {}", refused.flag);
            lines.fact("answer", answer);
        }
    }
}

fn forwarded(lines: &mut Lines, destination: &DestinationPart) {
    let name = with_share(&destination.cluster, destination.share);
    lines.from("cluster", name, destination.origin.as_ref());
    if !destination.subset.is_empty() {
        lines.fact("  subset", &destination.subset);
    }
    lines.fact(
        "  sent as",
        format!("{} for {}", destination.target, destination.authority),
    );
    if destination.protocol != Protocol::Http1 {
        lines.fact("  protocol", words::protocol(destination.protocol));
    }
    edits(lines, "  request", &destination.request_headers);
    edits(lines, "  response", &destination.response_headers);
    if let Some(hash) = &destination.hash {
        lines.fact("  chosen by", chosen_by(hash));
    }
    let limits = words::limits(&destination.limits);
    if !limits.is_empty() {
        lines.fact("  at most", limits.join(", "));
    }
    if let Some(status) = destination.answer {
        let status = words::answer(status, destination.grpc_status);
        let answer = format!("{status}: nothing is there to send to, response flag NC");
        lines.fact("  answer", answer);
        return;
    }
    let status = words::answer(503, destination.grpc_status);
    let without = format!("answered {status}, response flag UH");
    endpoints(lines, &destination.endpoints, &without);
}

/// Naming the entries of a VirtualService is optional.
fn named(route: &str) -> &str {
    if route.is_empty() { "(unnamed)" } else { route }
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
