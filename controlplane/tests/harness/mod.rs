//! A control plane in this process with files in a temporary directory, and proxies that speak the
//! wire to its socket. Nothing sleeps to wait: every wait is for a state, with a deadline.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ringmain_config::{
    document::Document,
    node::Node,
    problem::Problem,
    wire::{Ack, Decoder, Held, Hello, MINOR, Message, Nack, Query},
};
use ringmain_controlplane::{
    Limits, Options, Running, client,
    status::{ProxyStatus, Status, Sync},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

/// For everything that is waited for; what takes longer has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Plane {
    pub(crate) directory: TempDir,
    limits: Limits,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Plane {
    pub(crate) async fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, Limits::default()).await
    }

    pub(crate) async fn start_with(files: &[(&str, &str)], limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("resources")).expect("created");
        let mut plane = Self {
            directory,
            limits,
            running: None,
        };
        for (name, text) in files {
            plane.write(name, text);
        }
        plane.restart().await;
        plane
    }

    /// Stops it, when it runs, and starts it anew on what it left.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let options = Options {
            resources: self.resources(),
            socket: self.socket(),
            limits: self.limits,
            ..Options::default()
        };
        let running = Running::start(options).await.expect("it starts");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(running.serve(async move {
            let _ = stopped.await;
        }));
        self.running = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.send(()).expect("it runs");
            within(task).await.expect("it stops");
        }
    }

    pub(crate) fn resources(&self) -> PathBuf {
        self.directory.path().join("resources")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.resources().join(name)
    }

    /// Writes in place, as an editor that knows no better does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    pub(crate) async fn status(&self) -> Status {
        let body = client::query(&self.socket(), Query::Status).await;
        serde_json::from_value(body.expect("an answer")).expect("a status")
    }

    /// The target of a proxy of namespace `default`.
    pub(crate) async fn document(&self, name: &str) -> Document {
        let query = Query::Document {
            namespace: "default".to_owned(),
            name: name.to_owned(),
        };
        let body = client::query(&self.socket(), query).await;
        serde_json::from_value(body.expect("an answer")).expect("a document")
    }

    /// Waits for a status that `holds`.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.status().await;
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the only proxy of this name is in this state.
    pub(crate) async fn until_proxy(&self, name: &str, sync: Sync) -> ProxyStatus {
        let of = |status: &Status| {
            let mut proxies = status.proxies.iter();
            proxies.find(|proxy| proxy.name == name).cloned()
        };
        let what = format!("{name} {sync:?}");
        let status = self
            .until(&what, |status| {
                of(status).is_some_and(|proxy| proxy.sync == sync)
            })
            .await;
        of(&status).expect("it was there")
    }
}

/// A proxy as the control plane sees one. What it holds outlives its connection.
pub(crate) struct Proxy {
    pub(crate) node: Node,
    pub(crate) held: Document,
    pub(crate) connection: Option<Connection>,
}

/// What a generation brought.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) generation: u64,
    /// As `kind "name"`, in the order they came.
    pub(crate) upserts: Vec<String>,
    pub(crate) removals: Vec<String>,
    document: Document,
}

impl Proxy {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node,
            held: Document::default(),
            connection: None,
        }
    }

    /// Connects and is welcomed.
    pub(crate) async fn connect(&mut self, plane: &Plane) {
        let mut connection = Connection::open(&plane.socket()).await;
        connection.say(&Message::Hello(self.hello())).await;
        let answer = connection.hear().await;
        assert!(matches!(answer, Some(Message::Welcome(_))), "{answer:?}");
        self.connection = Some(connection);
    }

    pub(crate) fn hello(&self) -> Hello {
        let versions = self.held.versions().into_iter();
        Hello {
            minor: MINOR,
            program: "0.0.0-test".to_owned(),
            node: self.node.clone(),
            holds: versions
                .map(|(key, version)| Held { key, version })
                .collect(),
            generation: self.held.generation,
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// The next generation, neither taken nor refused yet.
    pub(crate) async fn receive(&mut self) -> Received {
        let mut received = Received {
            document: self.held.clone(),
            ..Received::default()
        };
        loop {
            match self.connection().hear().await {
                Some(Message::Update(update)) => {
                    for upsert in update.upserts {
                        received.upserts.push(upsert.part.key().to_string());
                        assert_eq!(upsert.part.version(), upsert.version);
                        let version = upsert.version;
                        received.document.upsert_versioned(upsert.part, version);
                    }
                    for key in &update.removals {
                        received.removals.push(key.to_string());
                        received.document.remove(key);
                    }
                }
                Some(Message::Commit(commit)) => {
                    let is_confirmed =
                        received.document == self.held && commit.generation == self.held.generation;
                    assert!(is_confirmed || commit.generation > self.held.generation);
                    received.generation = commit.generation;
                    received.document.generation = commit.generation;
                    return received;
                }
                other => panic!("{other:?} instead of an update"),
            }
        }
    }

    /// Takes the next generation.
    pub(crate) async fn take(&mut self) -> Received {
        let mut received = self.receive().await;
        self.acknowledge(&mut received).await;
        received
    }

    pub(crate) async fn acknowledge(&mut self, received: &mut Received) {
        self.held = std::mem::take(&mut received.document);
        let generation = received.generation;
        self.connection()
            .say(&Message::Ack(Ack { generation }))
            .await;
    }

    pub(crate) async fn refuse(&mut self, received: &Received, reason: &str) {
        let nack = Nack {
            generation: received.generation,
            problems: vec![Problem::error("listener \"x\"", reason)],
        };
        self.connection().say(&Message::Nack(nack)).await;
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is connected")
    }
}

/// One end of the socket, raw.
pub(crate) struct Connection {
    pub(crate) stream: UnixStream,
    decoder: Decoder,
}

impl Connection {
    pub(crate) async fn open(socket: &Path) -> Self {
        Self {
            stream: UnixStream::connect(socket).await.expect("connected"),
            decoder: Decoder::default(),
        }
    }

    pub(crate) async fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("short");
        self.stream.write_all(&bytes).await.expect("written");
    }

    /// The next message; `None` at the end of the stream, which a reset is, too.
    pub(crate) async fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.decoder.message().expect("our protocol") {
                return Some(message);
            }
            let mut piece = vec![0; 64 << 10];
            match within(self.stream.read(&mut piece)).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.decoder.extend(&piece[..read]),
            }
        }
    }
}

pub(crate) fn node(name: &str, labels: &[(&str, &str)]) -> Node {
    Node {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        ..Node::default()
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}
