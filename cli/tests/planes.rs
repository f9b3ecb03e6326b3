//! `run`, `control` and the commands that ask them, as real processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes longer than a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A mesh of one gateway that answers by itself, and a running `ringmain run` on it.
struct Mesh {
    directory: TempDir,
    port: u16,
    run: Child,
    /// Lines of standard output; closed at its end.
    lines: Receiver<String>,
}

impl Mesh {
    /// Starts it; `port` is what the gateway listens on.
    fn start(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("mesh")).unwrap();
        write(directory.path(), port, "one");
        let tuning = "[workers]\ncount = 1\npin = false\nentries = 256\n\
                      [admin]\nlisten = '127.0.0.1:0'\n";
        std::fs::write(directory.path().join("ringmain.toml"), tuning).unwrap();
        let mut run = ringmain(["run", "--resources", "mesh", "--config", "ringmain.toml"])
            .current_dir(&directory)
            .env("TMPDIR", directory.path())
            .env_remove("XDG_RUNTIME_DIR")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(directory.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(run.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines() {
                if line.map_or(true, |line| sender.send(line).is_err()) {
                    return;
                }
            }
        });
        Self {
            directory,
            port,
            run,
            lines,
        }
    }

    /// Starts it and waits until it is ready; the lines before that.
    fn ready() -> (Self, Vec<String>) {
        let mesh = Self::start(free_port());
        let mut before = Vec::new();
        loop {
            match mesh.lines.recv_timeout(DEADLINE) {
                Ok(line) if line == "ready" => return (mesh, before),
                Ok(line) => before.push(line),
                Err(error) => panic!("not ready: {error}: {before:?}\n{}", mesh.errors()),
            }
        }
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap()
    }

    /// The control plane's socket, in the directory that only this run uses.
    fn socket(&self) -> PathBuf {
        let private = private_directories(self.directory.path());
        assert_eq!(private.len(), 1, "{private:?}");
        private[0].join("control.sock")
    }

    /// Exit code and what a command that asks this control plane says as JSON.
    fn ask(&self, words: &[&str]) -> (i32, Value) {
        let socket = self.socket();
        let output = ringmain(words)
            .args(["-o", "json", "--socket", socket.to_str().unwrap()])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout).expect(&error);
        (output.status.code().unwrap(), answer)
    }

    /// Process ids of the control plane and the proxy.
    fn processes(&self) -> [u64; 2] {
        let (_, status) = self.ask(&["status"]);
        let proxy = &status["proxies"][0];
        [&status["pid"], &proxy["peer"]["pid"]].map(|pid| pid.as_u64().unwrap())
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of `ringmain run`", || {
            status = self.run.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Mesh {
    /// A test that failed leaves no process behind: the children end with their parent.
    fn drop(&mut self) {
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn ringmain<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command
        .args(arguments)
        .env_remove("RINGMAIN_LOG")
        .env_remove("RINGMAIN_SOCKET")
        .stdin(Stdio::null());
    command
}

/// The gateway answers every request with `body`.
fn write(directory: &Path, port: u16, body: &str) {
    let text = format!(
        "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: web }}
spec:
  selector: {{ istio: ingressgateway }}
  servers:
  - port: {{ number: {port}, name: http, protocol: HTTP }}
    bind: 127.0.0.1
    hosts: ['*']
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: web }}
spec:
  hosts: ['*']
  gateways: [web]
  http:
  - name: answer
    directResponse: {{ status: 200, body: {{ string: '{body}' }} }}
"
    );
    std::fs::write(directory.join("mesh/web.yaml"), text).unwrap();
}

fn private_directories(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).unwrap();
    let is_private = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("ringmain-")
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(is_private)
        .collect()
}

/// Nobody listens there now, and the kernel gives it to nobody else soon.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn get(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits for a state that can be observed.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, pid: u64) {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}

/// It ended, and somebody took notice.
fn is_gone(pid: u64) -> bool {
    !Path::new(&format!("/proc/{pid}/stat")).exists()
}

#[test]
fn run_serves_follows_the_files_and_stops_in_order() {
    let (mut mesh, before) = Mesh::ready();
    let port = mesh.port;
    let listening = format!("listening on 127.0.0.1:{port} (127.0.0.1_{port})");
    assert!(before.contains(&listening), "{before:?}");
    assert!(get(port).ends_with("\r\n\r\none"), "{}", get(port));

    write(mesh.directory.path(), port, "two");
    eventually("the changed answer", || get(port).ends_with("\r\n\r\ntwo"));
    let (code, status) = mesh.ask(&["status"]);
    assert_eq!(
        (code, status["proxies"].as_array().unwrap().len()),
        (0, 1),
        "{status}"
    );

    // A broken file changes nothing, and is shown.
    std::fs::write(mesh.directory.path().join("mesh/broken.yaml"), "kind: [").unwrap();
    eventually("the broken file in the status", || {
        mesh.ask(&["status"]).0 == 1
    });
    assert!(get(port).ends_with("\r\n\r\ntwo"));

    let processes = mesh.processes();
    signal("TERM", mesh.run.id().into());
    assert!(mesh.ended().success(), "{}", mesh.errors());
    for pid in processes {
        assert!(is_gone(pid), "{pid}");
    }
    assert!(private_directories(mesh.directory.path()).is_empty());
    assert!(mesh.lines.iter().any(|line| line == "draining"));
}

#[test]
fn get_shows_what_the_proxy_runs() {
    let (mesh, before) = Mesh::ready();
    let admin = before
        .iter()
        .find_map(|line| line.strip_prefix("admin http://"))
        .unwrap();
    let (_, proxies) = mesh.ask(&["get", "proxies"]);
    let name = proxies[0]["name"].as_str().unwrap().to_owned();
    for kind in ["listeners", "routes", "clusters", "endpoints"] {
        let asked_proxy = ringmain(["get", kind, "--admin", admin, "-o", "json"])
            .output()
            .unwrap();
        let of_proxy: Value = serde_json::from_slice(&asked_proxy.stdout).unwrap();
        let (code, of_plane) = mesh.ask(&["get", kind, "--proxy", &name]);
        assert_eq!((code, of_plane), (0, of_proxy), "{kind}");
    }
    let table = ringmain(["get", "routes", "--admin", admin])
        .output()
        .unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    let rows: Vec<Vec<_>> = table
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows[0],
        ["TABLE", "DOMAINS", "ROUTE", "MATCH", "ACTION", "FROM"]
    );
    assert_eq!(
        rows[1][2..],
        ["answer", "*", "answer 200", "mesh/web.yaml:18"]
    );

    let (code, resources) = mesh.ask(&["get", "resources", "default/web"]);
    let kinds: Vec<_> = resources
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["kind"].as_str().unwrap())
        .collect();
    assert_eq!((code, kinds), (0, vec!["Gateway", "VirtualService"]));

    let live = ringmain(["status", "--admin", admin, "-o", "json"])
        .output()
        .unwrap();
    assert_eq!(live.status.code(), Some(0));
    let unknown = ringmain(["get", "listeners", "nonsense", "--admin", admin])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn run_says_when_a_plane_dies() {
    for (index, name) in [(0, "control plane"), (1, "proxy")] {
        let (mut mesh, _) = Mesh::ready();
        let processes = mesh.processes();
        signal("KILL", processes[index]);
        assert_eq!(mesh.ended().code(), Some(1), "{name}");
        let errors = mesh.errors();
        let said = format!("ringmain: the {name} ended with signal: 9");
        assert!(errors.contains(&said), "{errors}");
        for pid in processes {
            assert!(is_gone(pid), "{name}: {pid}");
        }
    }
}

#[test]
fn no_process_outlives_run() {
    let (mut mesh, _) = Mesh::ready();
    let processes = mesh.processes();
    signal("KILL", mesh.run.id().into());
    mesh.ended();
    for pid in processes {
        // Nobody but init is left to take notice of their end: a zombie counts as gone.
        eventually("the end of a child", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
    }
}

#[test]
fn a_taken_port_ends_run_with_one_clear_line() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let mut mesh = Mesh::start(address.port());
    assert_eq!(mesh.ended().code(), Some(1));
    let errors = mesh.errors();
    assert!(errors.contains(&address.to_string()), "{errors}");
    assert!(mesh.lines.iter().all(|line| line != "ready"));
}

#[test]
fn resources_with_errors_start_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.yaml"), "kind: [").unwrap();
    for command in ["run", "control"] {
        let output = ringmain([command, "--resources", "."])
            .args(if command == "control" {
                &["--socket", "s"][..]
            } else {
                &[]
            })
            .current_dir(&directory)
            .env("TMPDIR", directory.path())
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {error}");
        assert!(error.contains("a.yaml:1:8: error: "), "{command}: {error}");
    }
    assert!(private_directories(directory.path()).is_empty());
}

#[test]
fn proxy_without_its_last_good_waits_and_drains() {
    let directory = tempfile::tempdir().unwrap();
    let tuning = "[workers]\ncount = 1\npin = false\nentries = 256\n\
                  [admin]\nlisten = '127.0.0.1:0'\n[control]\nsocket = 'none.sock'\nsnapshot = 's.json'\n";
    std::fs::write(directory.path().join("p.toml"), tuning).unwrap();
    let mut proxy = ringmain(["proxy", "--config", "p.toml"])
        .current_dir(&directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(proxy.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let admin = line.trim().strip_prefix("admin http://").unwrap();
    let status = ringmain(["status", "--admin", admin]).output().unwrap();
    assert_eq!(
        status.status.code(),
        Some(1),
        "not live without a configuration"
    );
    signal("TERM", proxy.id().into());
    assert!(proxy.wait().unwrap().success());
}
