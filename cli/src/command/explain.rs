//! `ringmain explain`: what would happen to a request or a TCP connection, and which line of which
//! file decided it.
//!
//! Builds the Document of one proxy as the control plane does, compiles it as the proxy does, and
//! runs the proxy's own decision on what is only described.

mod besides;
mod connection;
mod lines;
mod request;
mod stand;
mod text;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use ringmain_config::problem::Problem;
use ringmain_controlplane::{assemble::assemble, source, world::World};
use ringmain_core::{
    explain::{Compiled, Outcome, explain, tcp},
    snapshot::{Resolved, Snapshot},
};
use serde::Serialize;

use self::{connection::Connection, request::Request, stand::Stand};
use crate::{
    fault::{Exit, Fault},
    output::{self, Format},
    tuning,
};

/// Say what would happen to a request or a TCP connection, and which line of which file decided it.
///
/// Asks the proxies' own code; nothing is sent and nothing needs to run. The request or connection
/// comes in at a Gateway (--gateway), or is made by a workload with a Sidecar (--from); with one
/// Gateway and neither option, at that Gateway. Exits with 0 when it would be forwarded or
/// answered, with 1 when it would be refused.
#[derive(Debug, Args)]
#[command(
    override_usage = "ringmain explain [OPTIONS] --resources <DIR> <METHOD> <URL>
       ringmain explain [OPTIONS] --resources <DIR> tcp://<HOST>:<PORT>",
    after_help = "Examples:
  ringmain explain --resources examples/bookinfo/mesh \\
      GET http://bookinfo.example.com/productpage
  ringmain explain --resources mesh GET http://reviews:9080/reviews/0 --from productpage-v1 \\
      -H 'end-user: jason'
  ringmain explain --resources mesh tcp://10.0.0.9:5432 --source 192.168.7.1
  ringmain explain --resources mesh tcp://db:5432 --from app-v1"
)]
pub(crate) struct Arguments {
    /// Directory of YAML resources, or a single file.
    #[arg(long, value_name = "DIR")]
    resources: PathBuf,
    /// Method of the request, or `tcp://HOST:PORT` of a connection. A host counts only where a
    /// Sidecar has several listeners for the port: connections carry no names.
    #[arg(value_name = "METHOD|tcp://HOST:PORT")]
    method: String,
    /// URL as the client would call it: `http://HOST:PORT/PATH`.
    url: Option<String>,
    /// A header field, `name: value`. `host` replaces the authority of the URL.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The Gateway it comes in at: NAME, or NAMESPACE/NAME.
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    gateway: Option<String>,
    /// The workload that makes it: NAME, or NAMESPACE/NAME.
    #[arg(long, value_name = "WORKLOAD")]
    from: Option<String>,
    /// The client's address, for rules that look at the source of a connection, for endpoints that
    /// are chosen by it, and for what a gateway says of it.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// Tuning file of the proxy: it says what is made of paths, which header fields routes see, and
    /// how much is kept for another try. Without it /etc/ringmain/ringmain.toml if it is there,
    /// else the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What is asked about.
enum Subject {
    Request(Request),
    Connection(Connection),
}

/// All of the answer.
#[derive(Debug, Serialize)]
struct Answer<E> {
    /// Whose decision it is: `Gateway default/web`, `workload default/reviews-v1`.
    at: String,
    #[serde(flatten)]
    explanation: E,
    /// What was meant for this proxy and has no effect on it.
    warnings: Vec<Problem>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let subject = subject(arguments)?;
    let tuning = tuning::load(arguments.config.as_deref())?;
    let world = world(&arguments.resources)?;
    let stand = Stand::find(
        &world,
        arguments.gateway.as_deref(),
        arguments.from.as_deref(),
    )?;
    let (document, warnings) = assemble(&world, &stand.node);
    let snapshot = Snapshot::compile(None, &document, &Resolved::new()).map_err(Fault::Problems)?;
    let (at, format) = (stand.name(), arguments.output);
    let compiled = Compiled {
        document: &document,
        snapshot: &snapshot,
    };
    let served = match &subject {
        Subject::Request(request) => {
            let (listener, table) = stand.listener_of_request(&snapshot, request)?;
            let answer = Answer {
                at,
                explanation: explain(compiled, &tuning, (listener, table), &request.described),
                warnings,
            };
            let text = || text::of_request(&request.described, &answer);
            print(format, text, &answer)?;
            is_served(&answer.explanation.outcome)
        }
        Subject::Connection(connection) => {
            let place = stand.listener_of_connection(&snapshot, connection)?;
            let (listener, routes, incoming) = place;
            let answer = Answer {
                at,
                explanation: tcp::explain(compiled, listener, routes, &incoming),
                warnings,
            };
            let text = || text::of_connection(connection, &answer);
            print(format, text, &answer)?;
            is_carried(&answer.explanation.outcome)
        }
    };
    Ok(if served { Exit::Fine } else { Exit::Bad })
}

fn subject(arguments: &Arguments) -> Result<Subject, Fault> {
    let usage = |text: &str| Err(Fault::Usage(text.to_owned()));
    let Arguments {
        method,
        url,
        headers,
        source,
        ..
    } = arguments;
    match (connection::parse(method, *source), url) {
        (Some(_), Some(_)) => usage("a TCP connection has no method: write tcp://HOST:PORT alone"),
        (Some(_), None) if !headers.is_empty() => {
            usage("a TCP connection has no header fields; leave -H out")
        }
        (Some(connection), None) => connection.map(Subject::Connection),
        (None, None) => usage("name METHOD and URL of a request, or tcp://HOST:PORT"),
        (None, Some(url)) => {
            let mut request = request::parse(method, url, headers)?;
            request.described.source = *source;
            Ok(Subject::Request(request))
        }
    }
}

fn print<E: Serialize>(
    format: Format,
    text: impl FnOnce() -> String,
    answer: &Answer<E>,
) -> Result<(), Fault> {
    match format {
        Format::Text => output::print(&text()),
        Format::Json => output::json(answer),
    }
}

fn world(resources: &Path) -> Result<World, Fault> {
    let reading = source::load(resources).map_err(|problem| Fault::Problems(vec![problem]))?;
    if reading.has_errors() {
        return Err(Fault::Problems(reading.problems().cloned().collect()));
    }
    Ok(World::new(&reading.resources, []))
}

/// A cluster without endpoints refuses, so a request is served when one of its clusters has some.
fn is_served(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Forward(destinations) => destinations
            .iter()
            .any(|destination| !destination.endpoints.is_empty()),
        Outcome::Redirect { .. } | Outcome::Direct { .. } => true,
        Outcome::Refused(_) => false,
    }
}

/// As [`is_served`], of a connection.
fn is_carried(outcome: &tcp::TcpOutcome) -> bool {
    match outcome {
        tcp::TcpOutcome::Forward(destinations) => destinations
            .iter()
            .any(|destination| !destination.endpoints.is_empty()),
        tcp::TcpOutcome::Refused { .. } => false,
    }
}
