//! A control plane that says what a test has it say.

use std::{path::PathBuf, sync::Arc};

use ringmain_config::{
    cluster::{Cluster, Service},
    document::{Document, Part},
    listener::{Direction, Listener, ListenerProtocol},
    node::Node,
    wire::{Ack, Commit, Held, Hello, MINOR, Message, Update, Upsert, Welcome},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::within;

/// A socket in a directory of its own.
pub(super) struct Peer {
    directory: TempDir,
    listener: Option<UnixListener>,
}

impl Peer {
    pub(super) fn listen() -> Self {
        Self::absent().appear()
    }

    /// Nobody listens yet.
    pub(super) fn absent() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            listener: None,
        }
    }

    pub(super) fn appear(mut self) -> Self {
        self.listener = Some(UnixListener::bind(self.socket()).expect("a socket"));
        self
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    pub(super) async fn accept(&self) -> Connected {
        let listener = self.listener.as_ref().expect("the peer listens");
        let (stream, _) = within("a connection", listener.accept())
            .await
            .expect("accept");
        Connected {
            stream,
            buffer: Vec::new(),
        }
    }

    /// A connection after its hello and welcome.
    pub(super) async fn greet(&self) -> Connected {
        let mut connected = self.accept().await;
        let hello = connected.message().await;
        assert!(matches!(hello, Message::Hello(_)), "{hello:?}");
        connected.send(&welcome()).await;
        connected
    }
}

/// One connection of the client.
pub(super) struct Connected {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Connected {
    pub(super) async fn send(&mut self, message: &Message) {
        self.raw(&frame(message)).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("write");
    }

    /// The next frame that the client sends.
    pub(super) async fn message(&mut self) -> Message {
        loop {
            if let Some((message, taken)) = Message::decode(&self.buffer).expect("a frame") {
                self.buffer.drain(..taken);
                return message;
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let read = within("a frame", read).await.expect("read");
            assert!(read > 0, "the client closed instead of sending a frame");
        }
    }

    /// Returns once the client has closed; a reset counts, it had no reason to read the rest.
    pub(super) async fn closed(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer);
        match within("the client's close", read).await {
            Ok(read) => assert_eq!(read, 0, "the client sent something instead of closing"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

pub(super) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes).expect("a short frame");
    bytes
}

pub(super) fn node() -> Node {
    Node {
        name: "web".into(),
        namespace: "default".into(),
        ..Node::default()
    }
}

/// The hello of a client that holds `document`.
pub(super) fn hello_of(document: &Document) -> Message {
    let holds = document.versions().into_iter();
    Message::Hello(Hello {
        minor: MINOR,
        program: "test".into(),
        node: node(),
        holds: holds.map(|(key, version)| Held { key, version }).collect(),
        generation: document.generation,
    })
}

pub(super) fn welcome() -> Message {
    Message::Welcome(Welcome {
        minor: MINOR,
        program: "scripted".into(),
    })
}

pub(super) fn update(parts: &[Part]) -> Message {
    let upserts = parts.iter().map(|part| Upsert {
        version: part.version(),
        part: part.clone(),
    });
    Message::Update(Update {
        upserts: upserts.collect(),
        removals: Vec::new(),
    })
}

pub(super) fn commit(generation: u64) -> Message {
    Message::Commit(Commit { generation })
}

pub(super) fn ack(generation: u64) -> Message {
    Message::Ack(Ack { generation })
}

pub(super) fn listener(name: &str, port: u16) -> Part {
    let address = ([127, 0, 0, 1], port).into();
    let protocol = ListenerProtocol::Http {
        route_table: "routes".into(),
    };
    let listener = Listener::new(name.into(), address, Direction::Gateway, protocol);
    Part::Listener(Arc::new(listener))
}

pub(super) fn cluster(name: &str) -> Part {
    Part::Cluster(Arc::new(Cluster {
        name: name.into(),
        service: Service::default(),
        subset: String::new(),
        balancer: Default::default(),
        connections: Default::default(),
        origin: None,
        ..Cluster::default()
    }))
}
