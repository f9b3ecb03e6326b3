//! Connections are open files, of which many hosts allow a process 1024 unless it asks for more.

use std::collections::BTreeSet;

use ringmain_loadgen::{Kind, Plan, Usage};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fault::Fault;

/// What the process has open besides its connections: the terminal, rings, timers, and files that
/// are read. Rather too many.
const OTHERS_PER_WORKER: u64 = 16;

/// Asks for as many open files as this process may have.
///
/// # Errors
/// When they are not enough for the connections that `plan` opens in any case.
pub(super) fn allow(plan: &Plan) -> Result<(), Fault> {
    let limit = getrlimit(Resource::Nofile);
    let wider = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused only where the call is; then what was allowed so far has to do.
    let allowed = match setrlimit(Resource::Nofile, wider) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let needed = needed(plan);
    match allowed {
        Some(allowed) if allowed < needed => Err(Fault::with(
            format!(
                "{} connections need {needed} open files, and this process may have {allowed}",
                plan.connections
            ),
            "use fewer connections or raise the limit (`ulimit -n`)",
        )),
        _ => Ok(()),
    }
}

/// Open files that a run of `plan` cannot do without.
fn needed(plan: &Plan) -> u64 {
    let others = OTHERS_PER_WORKER * (plan.workers as u64 + 1);
    if plan.usage == Usage::Few {
        return others;
    }
    let places: BTreeSet<_> = plan
        .targets
        .iter()
        .map(|target| {
            let url = &target.url;
            // WebSockets of different paths have connections of their own.
            let path = match plan.kind {
                Kind::WebSocket => url.target.as_str(),
                _ => "",
            };
            (&url.host, url.port, url.scheme.is_secure(), path)
        })
        .collect();
    plan.connections as u64 * places.len() as u64 + others
}

#[cfg(test)]
mod tests {
    use ringmain_loadgen::{Pace, Target};

    use super::*;

    #[test]
    fn files_of_plans() {
        let check = |kind, usage, urls: &[&str], expected| {
            let targets = urls.iter().map(|url| Target::get(url.parse().unwrap()));
            let plan = Plan {
                kind,
                usage,
                connections: 100,
                ..Plan::new(targets.collect(), Pace::Closed)
            };
            assert_eq!(needed(&plan), expected, "{kind:?} {usage:?} {urls:?}");
        };
        let same = ["http://a/", "http://a/b"];
        check(Kind::Http1, Usage::All, &same, 132);
        check(Kind::Http1, Usage::Few, &same, 32);
        check(Kind::Http1, Usage::All, &["http://a/", "http://b/"], 232);
        check(Kind::Http1, Usage::All, &["http://a/", "https://a/"], 232);
        check(Kind::WebSocket, Usage::All, &["ws://a/", "ws://a/b"], 232);
    }
}
