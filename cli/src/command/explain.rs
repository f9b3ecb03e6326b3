//! `ringmain explain`: what would happen to a request, and which line of which file decided it.
//!
//! Builds the Document of one proxy as the control plane does, compiles it as the proxy does, and
//! runs the proxy's own decision on a request that is only described.

mod request;
mod stand;
mod text;

use std::path::PathBuf;

use clap::Args;
use ringmain_config::{document::Document, problem::Problem};
use ringmain_controlplane::{assemble::assemble, source, world::World};
use ringmain_core::{
    explain::{Explanation, Outcome, explain},
    snapshot::{Resolved, Snapshot},
};
use serde::Serialize;

use self::stand::Stand;
use crate::{
    fault::{Exit, Fault},
    output::{self, Format},
};

/// Say what would happen to a request, and which line of which file decided it.
///
/// Asks the proxies' own code; nothing is sent and nothing needs to run. The request comes in at a
/// Gateway (--gateway), or is made by a workload with a Sidecar (--from); with one Gateway and
/// neither option, at that Gateway. Exits with 0 when it would be forwarded or answered, with 1 when
/// it would be refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain explain --resources examples/bookinfo GET http://bookinfo.example.com/productpage
  ringmain explain --resources mesh GET http://reviews:9080/reviews/0 --from productpage-v1 \\
      -H 'end-user: jason'")]
pub(crate) struct Arguments {
    /// Directory of YAML resources, or a single file.
    #[arg(long, value_name = "DIR")]
    resources: PathBuf,
    /// Method of the request.
    method: String,
    /// URL as the client would call it: `http://HOST:PORT/PATH`.
    url: String,
    /// A header field, `name: value`. `host` replaces the authority of the URL.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The Gateway it comes in at: NAME, or NAMESPACE/NAME.
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    gateway: Option<String>,
    /// The workload that makes it: NAME, or NAMESPACE/NAME.
    #[arg(long, value_name = "WORKLOAD")]
    from: Option<String>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// All of the answer.
#[derive(Debug, Serialize)]
struct Answer {
    /// Whose decision it is: `Gateway default/web`, `workload default/reviews-v1`.
    at: String,
    #[serde(flatten)]
    explanation: Explanation,
    /// What was meant for this proxy and has no effect on it.
    warnings: Vec<Problem>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let request = request::parse(&arguments.method, &arguments.url, &arguments.headers)?;
    let world = world(&arguments.resources)?;
    let stand = Stand::find(
        &world,
        arguments.gateway.as_deref(),
        arguments.from.as_deref(),
    )?;
    let (document, warnings) = assemble(&world, &stand.node);
    let snapshot = Snapshot::compile(None, &document, &Resolved::new()).map_err(Fault::Problems)?;
    let listener = stand.listener(&snapshot, &request)?;
    let answer = Answer {
        at: stand.name(),
        explanation: explain(&snapshot, listener, &request.described),
        warnings,
    };
    match arguments.output {
        Format::Text => output::print(&text::text(&request.described, &answer, &document))?,
        Format::Json => output::json(&answer)?,
    }
    let served = is_served(&answer.explanation.outcome, &document);
    Ok(if served { Exit::Fine } else { Exit::Bad })
}

fn world(resources: &std::path::Path) -> Result<World, Fault> {
    let reading = source::load(resources).map_err(|problem| Fault::Problems(vec![problem]))?;
    if reading.has_errors() {
        return Err(Fault::Problems(reading.problems().cloned().collect()));
    }
    Ok(World::new(&reading.resources, []))
}

/// A cluster without endpoints refuses, so a request is served when one of its clusters has some.
fn is_served(outcome: &Outcome, document: &Document) -> bool {
    match outcome {
        Outcome::Forward(destinations) => destinations.iter().any(|destination| {
            let set = document.endpoint_sets.get(&destination.cluster);
            set.is_some_and(|set| !set.value.endpoints.is_empty())
        }),
        Outcome::Redirect { .. } | Outcome::Direct { .. } => true,
        Outcome::Refused(_) => false,
    }
}
