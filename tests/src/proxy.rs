//! `ringmain proxy` in a process of its own.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    Io, access_log::Line, admin, binary, message::Message, metrics::Metrics, process::Process, wait,
};

/// Its tuning file, section by section.
#[derive(Clone, Debug)]
pub struct Tuning(BTreeMap<String, BTreeMap<String, String>>);

impl Tuning {
    /// One unpinned worker; everything in `directory`, under this name.
    pub fn new(io: Io, name: &str, directory: &Path, admin: SocketAddr) -> Self {
        let mut tuning = Self(BTreeMap::new());
        let path = |end: &str| format!("{:?}", directory.join(format!("{name}{end}")));
        tuning.set("workload", "name", format!("{name:?}"));
        tuning.set("workers", "count", "1");
        tuning.set("workers", "pin", "false");
        tuning.set("workers", "io", format!("{:?}", io.name()));
        tuning.set(
            "control",
            "socket",
            format!("{:?}", directory.join("control.sock")),
        );
        tuning.set("control", "snapshot", path(".snapshot.json"));
        tuning.set("control", "reconnect_pause_min", "\"20ms\"");
        tuning.set("control", "reconnect_pause_max", "\"100ms\"");
        tuning.set("admin", "listen", format!("\"{admin}\""));
        tuning.set("log", "access", path(".access.log"));
        tuning
    }

    /// A key of a section, its value in TOML.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<String>) {
        let keys = self.0.entry(section.to_owned()).or_default();
        keys.insert(key.to_owned(), value.into());
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.0 {
            writeln!(text, "[{section}]").unwrap();
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        text
    }
}

/// A proxy, running or ended.
pub struct Proxy {
    /// The process.
    pub process: Process,
    /// Its tuning file.
    pub config: PathBuf,
    /// Its admin endpoint.
    pub admin: SocketAddr,
    log: PathBuf,
    snapshot: PathBuf,
}

impl Proxy {
    /// Starts it; it may not be ready.
    pub fn start(tuning: &Tuning, name: &str, directory: &Path, admin: SocketAddr) -> Self {
        let config = directory.join(format!("{name}.toml"));
        std::fs::write(&config, tuning.text()).unwrap();
        Self {
            process: launch(&config),
            config,
            admin,
            log: directory.join(format!("{name}.access.log")),
            snapshot: directory.join(format!("{name}.snapshot.json")),
        }
    }

    /// Starts the process again with the same file; the one before has ended.
    pub fn restart(&mut self) {
        assert!(!self.process.is_running(), "it runs");
        self.process = launch(&self.config);
    }

    /// Waits until `/ready` says so.
    pub fn wait_until_ready(&mut self) {
        wait::until(format!("the proxy at {} to be ready", self.admin), || {
            if !self.process.is_running() {
                panic!(
                    "it has ended:\n{}\n{}",
                    self.process.out(),
                    self.process.error()
                );
            }
            match admin::ask(self.admin, "GET", "/ready") {
                Some(ready) if ready.status() == 200 => Ok(()),
                Some(ready) => Err(ready.text()),
                None => Err("nobody there".to_owned()),
            }
        });
    }

    /// An answer of the admin endpoint.
    pub fn ask(&self, method: &str, path: &str) -> Message {
        admin::ask(self.admin, method, path).expect("the admin endpoint answers")
    }

    /// `/server_info`.
    pub fn info(&self) -> Value {
        serde_json::from_slice(&self.ask("GET", "/server_info").body).unwrap()
    }

    /// Generation that all workers use.
    pub fn generation(&self) -> u64 {
        self.info()["generation"].as_u64().unwrap()
    }

    /// Waits until the workers use another generation than `before`.
    pub fn wait_for_generation_after(&self, before: u64) -> u64 {
        wait::until(format!("a generation after {before}"), || {
            match self.generation() {
                generation if generation > before => Ok(generation),
                generation => Err(format!("{generation}: {}", self.info())),
            }
        })
    }

    /// `/stats/prometheus`.
    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&self.ask("GET", "/stats/prometheus").text())
    }

    /// Sum of a metric without labels, or over all of them.
    pub fn metric(&self, name: &str) -> u64 {
        self.metrics().sum(name, &[])
    }

    /// Waits until a metric has this value.
    pub fn wait_for_metric(&self, name: &str, value: u64) {
        wait::until_equal(name, value, || self.metric(name));
    }

    /// Waits until its worker has looked after itself so many times more, as it does every second:
    /// some gauges are set then.
    pub fn wait_for_turns(&self, count: u64) {
        let turns = || self.metric("ringmain_worker_turns_total");
        let enough = turns() + count;
        wait::until(format!("turn {enough} of the worker"), || match turns() {
            turn if turn >= enough => Ok(()),
            turn => Err(turn),
        });
    }

    /// The access log so far: whole lines.
    pub fn log(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(Line::parse).collect()
    }

    /// Waits until the access log has so many lines.
    pub fn wait_for_lines(&self, count: usize) -> Vec<Line> {
        wait::until(format!("{count} lines of access log"), || {
            let lines = self.log();
            if lines.len() >= count {
                Ok(lines)
            } else {
                Err(format!("{lines:#?}"))
            }
        })
    }

    /// The file that keeps the last good configuration.
    pub fn snapshot(&self) -> &Path {
        &self.snapshot
    }
}

fn launch(config: &Path) -> Process {
    Process::start(
        binary::ringmain(),
        ["proxy".as_ref(), "--config".as_ref(), config.as_os_str()],
    )
}
