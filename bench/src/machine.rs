//! Where and with what a run was made.

use std::{fmt::Write, fs, path::Path, time::SystemTime};

use crate::{
    bench::Bench,
    peer::{Kind, version},
    process::Program,
};

/// Today, in UTC.
pub fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split_once('T')
        .map_or(now.clone(), |(date, _)| date.to_owned())
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// `machine.toml`: all that a reader needs to judge the figures beside it.
pub fn describe(bench: &Bench, command: &str) -> String {
    let mut text = String::new();
    let mut say = |key: &str, value: &str| {
        // A TOML basic string; what cannot stand in one is no part of a version.
        let value: String = value
            .chars()
            .filter(|character| !character.is_control() && !matches!(character, '"' | '\\'))
            .collect();
        let _ = writeln!(text, "{key} = \"{value}\"");
    };
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    say("measured_at", &now.to_string());
    say("command", command);
    say("host", &host());
    say(
        "kernel",
        &rustix::system::uname().release().to_string_lossy(),
    );
    say("cpu", &proc_value("/proc/cpuinfo", "model name"));
    say("memory", &proc_value("/proc/meminfo", "MemTotal"));
    say("network", "loopback");
    say("cores", &bench.cores.to_string());
    say("proxy_core", &bench.arguments.core.to_string());
    say("load_and_origin_core", &bench.load_cores());
    say("load_average_before", &read("/proc/loadavg"));
    let about = about(&bench.binary);
    let mut about = about.lines();
    say("ringmain", about.next().unwrap_or_default());
    let revision = about.find_map(|line| line.strip_prefix("revision "));
    say("revision", revision.unwrap_or("unknown"));
    say("binary", &bench.binary.display().to_string());
    for kind in [Kind::Haproxy, Kind::Nginx, Kind::Envoy] {
        say(kind.name(), &version(kind.name(), kind.version_argument()));
    }
    say("wrk", &version("wrk", "-v"));
    say("h2load", &version("h2load", "--version"));
    say("iperf3", &version("iperf3", "--version"));
    say("valgrind", &version("valgrind", "--version"));
    text
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn proc_value(path: &str, key: &str) -> String {
    let text = read(path);
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.trim() == key);
    found.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// What the measured program says of itself: its version, then the revision it was built from,
/// which need not be that of the directory it is run in.
fn about(binary: &Path) -> String {
    let program = Program::on_cores("0", &[], binary, "ringmain").args(["--version"]);
    program.output().unwrap_or_default()
}
