//! Where and with what a run was made.

use std::{fmt::Write, fs, path::Path, time::SystemTime};

use crate::{bench::Bench, peer::version, process::Program};

/// The name of the directory that results of today go to.
pub fn directory_name() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let (date, _) = now.split_once('T').unwrap_or((&now, ""));
    format!("{date}-{}", host())
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
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    say("cores", &cores.to_string());
    say("proxy_core", &bench.core.to_string());
    say("load_and_origin_core", &bench.load_core.to_string());
    say("load_average_before", &read("/proc/loadavg"));
    say("revision", &revision(&bench.workspace));
    say(
        "ringmain",
        &version(&bench.binary.display().to_string(), "--version"),
    );
    say("haproxy", &version("haproxy", "-v"));
    say("nginx", &version("nginx", "-v"));
    say("wrk", &version("wrk", "-v"));
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

fn revision(workspace: &Path) -> String {
    let git = |arguments: &[&str]| {
        Program::on_core(0, &[], Path::new("git"), "git")
            .args(["-C", &workspace.display().to_string()])
            .args(arguments)
            .output()
    };
    let Ok(head) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let is_changed = changed.is_ok_and(|changes| !changes.is_empty());
    let suffix = if is_changed { ", with changes" } else { "" };
    format!("{}{suffix}", head.trim())
}
