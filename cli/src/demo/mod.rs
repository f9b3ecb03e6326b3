//! A whole mesh on this host: `ringmain demo`.
//!
//! [`stage`] starts it: applications, a proxy for each, the gateway and the control plane, all
//! processes of this program. [`show`] sends traffic, shifts versions by changing a file, and tells
//! what the proxies report of it; [`manual`] leaves both to whoever started it. [`summary`] says at
//! the end whether all went well. Everything that is shown is read as an outside observer would:
//! from `/stats/prometheus` of the proxies and from the control plane's status.

mod addresses;
pub(crate) mod app;
mod cast;
mod effect;
mod embedded;
mod files;
mod fleet;
mod http;
mod manual;
mod observe;
mod ready;
mod screen;
mod show;
mod stage;
mod summary;
mod table;
mod timeline;

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    fault::{Exit, Fault},
    output,
    runtime::{self, Signals},
};
use screen::Screen;

/// Show a mesh at work on this host.
///
/// Starts Bookinfo: six applications that call each other through a proxy each, an ingress gateway
/// and a control plane, all on loopback addresses of their own. Sends a steady stream of requests
/// and shifts the traffic of one service from its version v1 to v3 by rewriting a VirtualService:
/// 10 %, then 50 %. On a terminal a table shows what the proxies report of each edge. Nothing is
/// made to fail.
///
/// Without --duration it goes on until Ctrl-C. Exits with 0 only if every request succeeded and
/// every shift was observed as written. Leaves no process behind.
///
/// With --manual nothing is sent and nothing shifts. Further versions, databases and a shop outside
/// of the mesh take part, and the demo says which files to copy where: rules that divide requests,
/// choose by user, delay, refuse, or lead elsewhere.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  ringmain demo --duration 20s
  ringmain demo --manual")]
pub(crate) struct Arguments {
    /// End by itself after this time; the phases share it.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Requests per second to the page; each causes two or three more inside the mesh.
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, value_parser = rate)]
    rate: f64,
    /// Port of the gateway.
    #[arg(long, value_name = "PORT", default_value_t = 8080,
        value_parser = clap::value_parser!(u16).range(1..))]
    gateway_port: u16,
    /// Only run the mesh, with everybody in it, for rules that you try yourself.
    #[arg(long, conflicts_with_all = ["duration", "rate"])]
    manual: bool,
    /// Keep the directory with configuration and logs; proxies then write access logs, too, as they
    /// do with --manual.
    #[arg(long)]
    keep: bool,
}

/// Each phase must be long enough for its change to arrive and be seen.
const DURATION_MIN: Duration = Duration::from_secs(6);
const RATE_MAX: f64 = 10_000.0;
/// For the processes to end once they are told; a proxy drains for 5 s at most.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < DURATION_MIN {
        return Err(format!("the phases need {DURATION_MIN:?} together"));
    }
    Ok(duration)
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=RATE_MAX).contains(&rate) => Ok(rate),
        Ok(_) => Err(format!("give a number from 1 to {RATE_MAX}")),
        Err(_) => Err("not a number".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    runtime::block_on(play(arguments))
}

async fn play(arguments: &Arguments) -> Result<Exit, Fault> {
    let mut signals = Ends::new()?;
    let mut screen = Screen::new();
    let mut stage = stage::Stage::new(arguments)?;
    let outcome = tokio::select! {
        ready = stage.start(&mut screen) => ready.map(|()| true),
        () = signals.stop() => Ok(false),
    };
    let outcome = match outcome {
        Ok(true) if arguments.manual => manual::stand(&mut stage, &mut screen, &mut signals).await,
        Ok(true) => show::show(arguments, &mut stage, &mut screen, &mut signals).await,
        Ok(false) => Err(Fault::new("stopped before the mesh was ready")),
        Err(fault) => Err(fault),
    };
    screen.clear();
    let exit = outcome.unwrap_or_else(|fault| {
        output::complain(&fault.to_string());
        fault.exit()
    });
    let faults = tokio::select! {
        faults = stage.stop(&mut screen) => faults,
        () = signals.stop() => vec![Fault::new("stopped at once by a second signal")],
    };
    for fault in &faults {
        output::complain(&fault.to_string());
    }
    match exit {
        Exit::Fine if !faults.is_empty() => Ok(Exit::Bad),
        exit => Ok(exit),
    }
}

/// The signals that end the demo: those that end every command, and that of a terminal which was
/// closed.
struct Ends {
    signals: Signals,
    hangup: Signal,
}

impl Ends {
    fn new() -> Result<Self, Fault> {
        let hangup = signal(SignalKind::hangup())
            .map_err(|error| Fault::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            signals: Signals::new()?,
            hangup,
        })
    }

    /// The next of them. May be dropped and called again.
    async fn stop(&mut self) {
        tokio::select! {
            () = self.signals.stop() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        for (text, expected) in [
            ("20s", Ok(Duration::from_secs(20))),
            ("1m 30s", Ok(Duration::from_secs(90))),
            ("5s", Err("the phases need")),
            ("20", Err("time unit needed")),
        ] {
            match (duration(text), expected) {
                (Ok(actual), Ok(expected)) => assert_eq!(actual, expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (actual, _) => panic!("{text}: {actual:?}"),
            }
        }
        assert_eq!(rate("50"), Ok(50.0));
        for text in ["0", "-1", "x", "NaN", "1e9"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
