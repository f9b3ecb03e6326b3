//! One request and its answer through each pair of protocols: what the client says, what the origin
//! says, and what either gets, without a word about how.

use std::sync::Arc;

use ringmain_tests::{
    Io,
    http2::{Frame, peer},
    mesh::Mesh,
    message::Message,
    origin::{Conversation, Origin},
};

/// What is spoken on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// What the client and the origin speak.
pub(crate) type Pair = (Speaks, Speaks);

/// All four.
pub(crate) const PAIRS: [Pair; 4] = [
    (Speaks::Http1, Speaks::Http1),
    (Speaks::Http1, Speaks::Http2),
    (Speaks::Http2, Speaks::Http1),
    (Speaks::Http2, Speaks::Http2),
];

pub(crate) type Pairs = &'static [(&'static str, &'static str)];

/// A body as its sender sends it.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// Its length is said before.
    Of(Vec<u8>),
    /// It comes in these parts, and nobody says how long it will be.
    Parts(Vec<Vec<u8>>),
    /// None, but this length is said.
    Said(usize),
}

impl Body {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None | Self::Said(_) => Vec::new(),
            Self::Of(bytes) => bytes.clone(),
            Self::Parts(parts) => parts.concat(),
        }
    }

    fn parts(&self) -> Vec<Vec<u8>> {
        match self {
            Self::None | Self::Said(_) => Vec::new(),
            Self::Of(bytes) => vec![bytes.clone()],
            Self::Parts(parts) => parts.clone(),
        }
    }

    fn length(&self) -> Option<usize> {
        match self {
            Self::Of(bytes) => Some(bytes.len()),
            Self::Said(bytes) => Some(*bytes),
            Self::None | Self::Parts(_) => None,
        }
    }
}

/// A message without its first line.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) fields: Pairs,
    pub(crate) body: Body,
    pub(crate) trailers: Pairs,
}

impl Content {
    fn text(&self, first: &str) -> Vec<u8> {
        let mut head = format!("{first}\r\n");
        for (name, value) in self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = self.body.length() {
            head += &format!("content-length: {length}\r\n");
        }
        let is_chunked = matches!(self.body, Body::Parts(_));
        if is_chunked {
            head += "transfer-encoding: chunked\r\n";
        }
        let mut text = (head + "\r\n").into_bytes();
        for part in self.body.parts() {
            if is_chunked && !part.is_empty() {
                text.extend(format!("{:x}\r\n", part.len()).bytes());
            }
            text.extend(&part);
            if is_chunked && !part.is_empty() {
                text.extend(b"\r\n");
            }
        }
        if is_chunked {
            text.extend(b"0\r\n");
            for (name, value) in self.trailers {
                text.extend(format!("{name}: {value}\r\n").bytes());
            }
            text.extend(b"\r\n");
        }
        text
    }

    /// Frames of at most the least size that all must take, as many bytes at once as the receiver
    /// gives room for.
    fn send(&self, peer: &mut peer::Peer, stream: u32, first: &[(&str, &str)]) {
        let length = self.body.length().map(|length| length.to_string());
        let length = length
            .iter()
            .map(|digits| ("content-length", digits.as_str()));
        let fields = first.iter().chain(self.fields).copied().chain(length);
        let is_bodiless = matches!(self.body, Body::None | Body::Said(_));
        let has_trailers = !self.trailers.is_empty();
        peer.send(&Frame::headers(
            stream,
            fields,
            is_bodiless && !has_trailers,
        ));
        let parts = self.body.parts();
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len() && !has_trailers;
            peer.send_body(stream, part, is_last);
        }
        if has_trailers {
            peer.send(&Frame::headers(stream, self.trailers.iter().copied(), true));
        }
    }
}

/// An exchange.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) request: Content,
    /// Interim answers.
    pub(crate) interim: &'static [(u16, Pairs)],
    pub(crate) status: u16,
    pub(crate) answer: Content,
}

impl Exchange {
    fn answer_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (status, fields) in self.interim {
            let lines = fields
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"));
            let lines: String = lines.collect();
            text.extend(format!("HTTP/1.1 {status} Interim\r\n{lines}\r\n").bytes());
        }
        text.extend(self.answer.text(&format!("HTTP/1.1 {} Final", self.status)));
        text
    }

    fn answer_frames(&self, peer: &mut peer::Peer, stream: u32) {
        for (status, fields) in self.interim {
            let status = status.to_string();
            let fields = [(":status", status.as_str())]
                .into_iter()
                .chain(fields.iter().copied());
            peer.send(&Frame::headers(stream, fields, false));
        }
        let status = self.status.to_string();
        self.answer.send(peer, stream, &[(":status", &status)]);
    }
}

/// What either side got.
pub(crate) struct Seen {
    pub(crate) request: Message,
    pub(crate) answer: Message,
}

/// A mesh in which each exchange is answered as it says. The path is its place in the list.
pub(crate) fn mesh(io: Io, pair: Pair, exchanges: &[Exchange]) -> (Mesh, Origin) {
    let exchanges: Arc<[Exchange]> = exchanges.into();
    let index = |request: &Message| -> usize {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        path[1..]
            .parse()
            .expect("a path is the place of an exchange")
    };
    match pair.1 {
        Speaks::Http1 => {
            let origin = Origin::start(move |conversation: &mut Conversation| {
                while let Ok(request) = conversation.request() {
                    conversation.send(exchanges[index(&request)].answer_text());
                }
            });
            (Mesh::to(io, &origin), origin)
        }
        Speaks::Http2 => {
            let origin = Origin::http2(&[], move |peer, stream, request| {
                exchanges[index(request)].answer_frames(peer, stream);
            });
            (Mesh::to_http2(io, &origin), origin)
        }
    }
}

/// A client of the mesh.
pub(crate) enum Client {
    Http1(ringmain_tests::client::Client),
    Http2(Box<peer::Peer>),
}

impl Client {
    pub(crate) fn of(mesh: &Mesh, pair: Pair) -> Self {
        match pair.0 {
            Speaks::Http1 => Self::Http1(mesh.client()),
            Speaks::Http2 => Self::Http2(Box::new(mesh.http2_client())),
        }
    }

    /// Sends the request of the exchange at this place, and reads its answer.
    pub(crate) fn exchange(&mut self, index: usize, exchange: &Exchange) -> Message {
        match self {
            Self::Http1(client) => {
                let first = format!(
                    "{} /{index} HTTP/1.1\r\nhost: example.test",
                    exchange.method
                );
                client.send(exchange.request.text(&first));
                client.response(exchange.method)
            }
            Self::Http2(peer) => {
                let stream = peer.next_stream();
                let path = format!("/{index}");
                let first = peer::request(exchange.method, &path);
                exchange.request.send(peer, stream, &first);
                peer.response(stream)
            }
        }
    }
}
