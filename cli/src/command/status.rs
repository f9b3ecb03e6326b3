//! `ringmain status`: is the mesh what its files say?

use std::{fmt::Write, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use ringmain_config::{
    duration,
    problem::{Problem, Severity},
    wire::Query,
};
use ringmain_controlplane::{
    source::FileState,
    status::{Cause, ChangeStatus, ProxyStatus, SourceStatus, Status, Sync},
};
use serde_json::Value;

use super::get::rows;
use crate::{
    admin,
    fault::{Exit, Fault},
    output::{self, Format},
    plane,
};

/// Show whether the proxies use what the files say.
///
/// Asks the control plane for its files and for every connected proxy: which generation it uses,
/// and why it is not the latest. With --admin asks one proxy about itself. Exits with 1 when a file
/// has errors, when a proxy refused its configuration or could not be given it, or when the proxy
/// of --admin is not live.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain status
  ringmain status --socket /run/ringmain/control.sock -o json
  ringmain status --admin 127.0.0.1:15000")]
pub(crate) struct Arguments {
    /// Unix socket of the control plane.
    #[arg(long, value_name = "PATH", env = "RINGMAIN_SOCKET", default_value = plane::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Ask the proxy with this admin endpoint instead.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    match arguments.admin {
        Some(address) => of_proxy(address, arguments.output),
        None => of_plane(arguments),
    }
}

fn of_plane(arguments: &Arguments) -> Result<Exit, Fault> {
    let status: Status = plane::ask(&arguments.socket, Query::Status)?;
    match arguments.output {
        Format::Text => output::print(&text(&status))?,
        Format::Json => output::json(&status)?,
    }
    let fine = status.proxies.iter().all(is_fine) && !has_errors(&status.source);
    Ok(if fine { Exit::Fine } else { Exit::Bad })
}

fn is_fine(proxy: &ProxyStatus) -> bool {
    match proxy.sync {
        Sync::InSync | Sync::Sending | Sync::Sent => true,
        Sync::Refused | Sync::Withheld => false,
    }
}

fn has_errors(source: &SourceStatus) -> bool {
    let files = source.files.iter().flat_map(|file| &file.problems);
    let mut problems = source.refused.iter().chain(&source.problems).chain(files);
    problems.any(|problem| problem.severity == Severity::Error)
}

fn text(status: &Status) -> String {
    let mut text = format!(
        "control plane {}, pid {}, up {}\n",
        status.program,
        status.pid,
        output::ago(status.up)
    );
    source(&mut text, &status.source);
    if let Some(last) = status.changes.first() {
        text.push_str(&change(last));
    }
    if status.proxies.is_empty() {
        text.push_str("\nno proxy is connected\n");
        return text;
    }
    let _ = write!(text, "\n{}", rows::proxies(&status.proxies));
    for proxy in &status.proxies {
        for problem in proxy.problems.iter().chain(&proxy.warnings) {
            let _ = writeln!(text, "{}/{}: {problem}", proxy.namespace, proxy.name);
        }
    }
    text
}

fn source(text: &mut String, source: &SourceStatus) {
    let resources: usize = source.files.iter().map(|file| file.resources).sum();
    let _ = writeln!(
        text,
        "{}: {resources} resources of {} files",
        source.directory,
        source.files.len()
    );
    if !source.refused.is_empty() {
        text.push_str("the files as they are now are not in force, what they said before is:\n");
        lines(text, &source.refused);
    }
    for file in &source.files {
        match file.state {
            FileState::InForce => {}
            FileState::LastGood => {
                let _ = writeln!(text, "{}: what it said before is in force:", file.file);
            }
            FileState::Refused => {
                let _ = writeln!(text, "{}: nothing of it is in force:", file.file);
            }
        }
        lines(text, &file.problems);
    }
    lines(text, &source.problems);
    lines(text, &source.warnings);
}

/// The last change, with what took how long.
fn change(change: &ChangeStatus) -> String {
    let cause = match change.cause {
        Cause::Files => "files",
        Cause::Registrations => "registrations",
    };
    let (ago, millis) = (output::ago(change.ago), |took: Duration| {
        took.as_secs_f64() * 1e3
    });
    let mut text = format!("last change: of {cause}, {ago} ago, ");
    let used = change.proxies - change.waiting.min(change.proxies);
    let _ = match (change.proxies, change.waiting) {
        (0, _) => write!(text, "for no proxy"),
        (proxies, 0) => write!(text, "used by all {proxies} proxies it is for"),
        (proxies, _) => write!(text, "used by {used} of {proxies} proxies"),
    };
    let _ = writeln!(text, " after {:.1} ms", millis(change.took));
    let stages = change.stages.iter();
    let stages: Vec<_> = stages
        .map(|stage| format!("{} {:.1}", stage.name, millis(stage.took)))
        .collect();
    if !stages.is_empty() {
        let _ = writeln!(text, "  ms: {}", stages.join(", "));
    }
    text
}

fn lines(text: &mut String, problems: &[Problem]) {
    for problem in problems {
        let _ = writeln!(text, "  {problem}");
    }
}

/// `/server_info`, which carries more than the table shows.
fn of_proxy(address: SocketAddr, format: Format) -> Result<Exit, Fault> {
    let info = admin::json(address, "/server_info")?;
    match format {
        Format::Text => output::print(&facts(&info))?,
        Format::Json => output::json(&info)?,
    }
    let live = info["state"] == "LIVE";
    Ok(if live { Exit::Fine } else { Exit::Bad })
}

/// What the configuration in force took, as far as it took anything.
fn stages(stages: &Value) -> String {
    let stages = stages.as_object().into_iter().flatten();
    let took = stages.filter_map(|(name, took)| {
        let took = duration::parse(took.as_str()?)?;
        let millis = took.as_secs_f64() * 1e3;
        (!took.is_zero()).then(|| format!("{name} {millis:.1} ms"))
    });
    let took: Vec<_> = took.collect();
    match took.is_empty() {
        true => "-".to_owned(),
        false => took.join(", "),
    }
}

fn facts(info: &Value) -> String {
    let node = &info["node"];
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let control = &info["control_plane"];
    let rows = [
        (
            "proxy",
            format!("{}/{}", word(&node["namespace"]), word(&node["name"])),
        ),
        ("state", word(&info["state"])),
        ("version", word(&info["version"])),
        ("pid", word(&info["pid"])),
        ("up", word(&info["uptime_all_epochs"])),
        ("workers", word(&info["workers"])),
        ("io", word(&info["io"])),
        ("generation", word(&info["generation"])),
        ("applied", word(&info["applied"])),
        ("stages", stages(&info["stages"])),
        ("from", word(&info["source"])),
        ("control plane", word(&control["connection"]["state"])),
        ("last error", word(&control["last_error"]["message"])),
        ("last refused", word(&control["last_nack"]["generation"])),
    ];
    output::table(
        ["FACT", "VALUE"],
        rows.map(|(fact, value)| [fact.to_owned(), value]),
    )
}
