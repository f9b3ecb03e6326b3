//! The demo's book shop with everybody in it, `ringmain demo --manual`, and a user who copies rules
//! into its mesh, asks, and reads what proxies and `ringmain explain` say of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    access_log::Line, admin, binary, client::Client, message::Message, metrics::Metrics,
    process::Process, wait,
};

/// A running shop.
pub struct Shop {
    process: Process,
    /// Where the demo has everything.
    directory: PathBuf,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Files of the mesh as they were, by name.
    first: BTreeMap<String, String>,
    /// Folders of rules in force.
    rules: Vec<String>,
    /// All that ever were.
    tried: BTreeSet<String>,
    /// Bytes of each log before the rules in force, by its name.
    logged_before: BTreeMap<String, usize>,
    _scratch: TempDir,
}

/// An answer, and by what to find the request in logs: applications hand it on.
#[derive(Debug)]
pub struct Asked {
    /// The answer.
    pub answer: Message,
    agent: String,
}

/// What `ringmain explain` says of a request.
#[derive(Debug)]
pub struct Explained {
    /// All of it.
    pub json: Value,
    /// The deciding rule's file, without its directory, and its line.
    pub decided: String,
}

/// Proxies of the shop, the gateway's included.
const PROXIES: usize = 13;
/// Of every service that speaks HTTP.
const PORT: u16 = 9080;
const ADMIN_PORT: u16 = 15_000;

impl Shop {
    /// Starts it, and waits until every proxy uses what it is meant to.
    pub fn open() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut temporary = std::ffi::OsString::from("TMPDIR=");
        temporary.push(scratch.path());
        let demo = ["demo".as_ref(), "--manual".as_ref()];
        let arguments = [&*temporary, binary::ringmain().as_os_str()];
        let mut process = Process::start("env", arguments.into_iter().chain(demo));
        process.wait_for("Ctrl-C ends it");
        let out = process.out();
        let gateway = between(&out, "the page is at http://", "/productpage");
        let directory = PathBuf::from(between(&out, "a gateway in ", "\n"));
        let shop = Self {
            process,
            gateway: gateway.parse().unwrap(),
            first: files(&directory.join("mesh")),
            directory,
            rules: Vec::new(),
            tried: BTreeSet::new(),
            logged_before: BTreeMap::new(),
            _scratch: scratch,
        };
        wait::until("all proxies to use what they are meant to", || {
            let status = shop.status();
            match shop.is_used(&status) && held(&status).len() == PROXIES {
                true => Ok(()),
                false => Err(status),
            }
        });
        shop
    }

    /// Makes the mesh what it was in the beginning, with the files of these folders of rules in the
    /// place of others; returns when all proxies use it.
    pub fn apply(&mut self, folders: &[&str]) {
        let mut wanted = self.first.clone();
        for folder in folders {
            let rules = files(&self.directory.join("routes").join(folder));
            assert!(!rules.is_empty(), "{folder} has no rules");
            wanted.extend(rules);
            self.tried.insert((*folder).to_owned());
        }
        let logs = files(&self.directory.join("logs")).into_iter();
        self.logged_before = logs.map(|(name, text)| (name, text.len())).collect();
        self.rules = folders.iter().map(|&folder| folder.to_owned()).collect();
        for (name, text) in &wanted {
            let path = self.directory.join("mesh").join(name);
            if fs::read_to_string(&path).unwrap() != *text {
                self.replace(&path, text);
            }
        }
    }

    /// A file at a time: what the proxies use afterwards is known to have this one in it. It must
    /// change something for one of them.
    fn replace(&self, path: &Path, text: &str) {
        let before = held(&self.status());
        let draft = path.with_extension("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, path).unwrap();
        let what = format!("the proxies to use {} of {self}", path.display());
        wait::until(what, || {
            let status = self.status();
            assert_eq!(problems(&status), Vec::<String>::new(), "{self}");
            let now = held(&status);
            let is_newer = now.iter().any(|(name, &held)| held > before[name]);
            match is_newer && self.is_used(&status) {
                true => Ok(()),
                false => Err(status),
            }
        });
    }

    /// Every proxy uses what it is meant to.
    fn is_used(&self, status: &Value) -> bool {
        proxies(status).all(|proxy| proxy["sync"] == "in_sync")
    }

    fn status(&self) -> Value {
        let socket = self.directory.join("control.sock");
        let arguments = ["status".as_ref(), "--socket".as_ref(), socket.as_os_str()];
        let json = ["-o".as_ref(), "json".as_ref()];
        let (_, out, error) = binary::run(arguments.into_iter().chain(json));
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("no status: {out}{error}"))
    }

    /// Folders of rules that were applied so far.
    pub fn tried(&self) -> &BTreeSet<String> {
        &self.tried
    }

    /// Folders of rules that there are.
    pub fn folders(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.directory.join("routes")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// A file of a folder of rules, or of the mesh.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.join(path)).unwrap()
    }

    /// `GET path` at the gateway, as a browser that is signed in as this user.
    pub fn ask(&self, path: &str, user: Option<&str>) -> Asked {
        let cookie = user.map(|user| format!("cookie: user={user}\r\n"));
        self.get(self.gateway, "shop.example", path, cookie)
    }

    /// `GET path` of a service, as the application of a workload does: through its own proxy.
    pub fn call(&self, from: SocketAddr, host: &str, path: &str, user: Option<&str>) -> Asked {
        let field = user.map(|user| format!("end-user: {user}\r\n"));
        self.get(from, host, path, field)
    }

    fn get(&self, at: SocketAddr, host: &str, path: &str, fields: Option<String>) -> Asked {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let agent = format!("test/{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let fields = fields.unwrap_or_default();
        let answer = Client::connect(at).exchange(format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\n{fields}\r\n"
        ));
        Asked { answer, agent }
    }

    /// Where the proxy number `host` listens for its application, of services that speak HTTP.
    pub fn outbound(&self, host: u8) -> SocketAddr {
        SocketAddr::new(self.at(1, host), PORT)
    }

    /// An address of the shop: 0 for workloads and their proxies, 1 for what applications call.
    pub fn at(&self, network: u8, host: u8) -> IpAddr {
        let IpAddr::V4(gateway) = self.gateway.ip() else {
            unreachable!("the demo has addresses of IPv4");
        };
        let [loopback, block, ..] = gateway.octets();
        Ipv4Addr::new(loopback, block, network, host).into()
    }

    /// What a proxy has logged, under the rules in force, of a request, or of one that it caused,
    /// for a service of this name. Waits for it.
    pub fn logged(&self, proxy: &str, asked: &Asked, service: &str) -> Line {
        let name = format!("proxy-{proxy}.log");
        let log = self.directory.join("logs").join(&name);
        let before = self.logged_before.get(&name).copied().unwrap_or(0);
        let what = format!(
            "a line of {} for {service} in {} ({self})",
            asked.agent,
            log.display()
        );
        wait::until(what, || {
            let text = fs::read(&log).unwrap().split_off(before);
            let text = String::from_utf8(text).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines = whole.lines().filter(|line| line.contains(&asked.agent));
            let found = lines.map(Line::parse).find(|line| {
                let authority = line.get("authority").split(':').next();
                line.get("user_agent") == asked.agent && authority == Some(service)
            });
            found.ok_or(text)
        })
    }

    /// `/stats/prometheus` of the proxy number `host`.
    pub fn metrics(&self, host: u8) -> Metrics {
        let address = SocketAddr::new(self.at(0, host), ADMIN_PORT);
        let answer = admin::ask(address, "GET", "/stats/prometheus");
        Metrics::parse(&answer.expect("the admin endpoint answers").text())
    }

    /// What `ringmain explain` says of the mesh as it is: `place` is `--from` or `--gateway` with a
    /// name, `subject` a method and a URL, or a URL of `tcp`.
    pub fn explain(&self, place: [&str; 2], subject: &[&str], user: Option<&str>) -> Explained {
        let mesh = self.directory.join("mesh");
        let mut arguments = vec![
            "explain",
            "--resources",
            mesh.to_str().unwrap(),
            "-o",
            "json",
        ];
        arguments.extend(place);
        arguments.extend(subject);
        let field = user.map(|user| format!("end-user: {user}"));
        if let Some(field) = &field {
            arguments.extend(["-H", field]);
        }
        let (_, out, error) = binary::run(&arguments);
        let json: Value = serde_json::from_str(&out)
            .unwrap_or_else(|_| panic!("{self}: {arguments:?}: {out}{error}"));
        let origin = &json["route"]["origin"];
        let file = Path::new(origin["file"].as_str().unwrap_or_default());
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        let decided = format!("{file}:{}", origin["line"]);
        Explained { json, decided }
    }

    /// Ends it: every process well, none left, nothing left behind.
    pub fn close(mut self) {
        let logs = self.directory.join("logs");
        for (name, text) in files(&logs) {
            assert!(!text.contains("panicked"), "{name}: {text}");
        }
        let status = self.process.terminate();
        let (out, error) = (self.process.out(), self.process.error());
        assert_eq!((status.code(), &*error), (Some(0), ""), "{out}");
        assert!(!self.directory.exists(), "{out}");
        assert!(std::net::TcpStream::connect(self.gateway).is_err());
    }
}

/// The rules in force, as every message names them.
impl std::fmt::Display for Shop {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "examples/bookinfo/routes/{{{}}}",
            self.rules.join(",")
        )
    }
}

fn proxies(status: &Value) -> impl Iterator<Item = &Value> {
    status["proxies"].as_array().into_iter().flatten()
}

/// Generation that each proxy uses, by name.
fn held(status: &Value) -> BTreeMap<String, u64> {
    let named = proxies(status).map(|proxy| {
        let name = proxy["name"].as_str().unwrap().to_owned();
        (name, proxy["generation_held"].as_u64().unwrap())
    });
    named.collect()
}

/// Everything that the control plane finds wrong or doubtful, which is nothing.
fn problems(status: &Value) -> Vec<String> {
    let source = &status["source"];
    let files = source["files"].as_array().into_iter().flatten();
    let lists = ["refused", "problems", "warnings"].map(|list| &source[list]);
    let lists = lists.into_iter().chain(files.map(|file| &file["problems"]));
    let found = lists.filter_map(Value::as_array).flatten();
    found.map(Value::to_string).collect()
}

/// Files of a directory, by name.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    });
    files.collect()
}

fn between<'a>(text: &'a str, before: &str, behind: &str) -> &'a str {
    let found = text
        .split_once(before)
        .and_then(|(_, rest)| rest.split_once(behind));
    found.unwrap_or_else(|| panic!("no {before:?} in {text}")).0
}
