//! Clients and origins of either version of HTTP, for what holds whichever is spoken.

use std::net::SocketAddr;

use ringmain_tests::{
    Io,
    http2::{Frame, peer},
    mesh::{Builder, Mesh},
    message::Message,
    origin::{Conversation, Origin},
    yaml,
};

use crate::place::{self, answer};

/// What is spoken on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

impl Speaks {
    /// A service `NAME.test` with this endpoint, which speaks so.
    pub(crate) fn service(self, name: &str, endpoint: SocketAddr) -> String {
        match self {
            Self::Http1 => yaml::service(name, &[endpoint]),
            Self::Http2 => yaml::http2_service(name, &[endpoint]),
        }
    }
}

/// What the client and the origin speak.
pub(crate) type Pair = (Speaks, Speaks);

/// Those in which HTTP/2 is spoken.
pub(crate) const WITH_HTTP2: [Pair; 3] = [
    (Speaks::Http1, Speaks::Http2),
    (Speaks::Http2, Speaks::Http1),
    (Speaks::Http2, Speaks::Http2),
];

/// What an origin does about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Answers with this status, and with its digits as the text.
    Answer(u16),
    /// Ends the connection.
    Close,
    /// Ends the connection with a reset.
    Reset,
    /// Ends the stream for this reason.
    ResetStream(u32),
    /// Says that it has not looked at it, and ends the connection.
    GoAwayBefore,
    /// Says that it will look at no further one, for this reason, and ends the connection.
    GoAwayBehind(u32),
    /// Waits until nobody waits any more.
    Silence,
}

impl Deed {
    /// It can be done where this is spoken.
    pub(crate) fn suits(self, speaks: Speaks) -> bool {
        let is_of_streams = matches!(
            self,
            Self::ResetStream(_) | Self::GoAwayBefore | Self::GoAwayBehind(_)
        );
        speaks == Speaks::Http2 || !is_of_streams
    }
}

/// Number of the try that a request says.
pub(crate) fn attempt(request: &Message) -> u32 {
    let attempt = request.get("x-envoy-attempt-count");
    attempt.and_then(|digits| digits.parse().ok()).unwrap()
}

/// Does with each whole request as `decide` says.
pub(crate) fn origin(
    speaks: Speaks,
    decide: impl Fn(&Message) -> Deed + Send + Sync + 'static,
) -> Origin {
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => serve_http1(conversation, &decide),
        Speaks::Http2 => serve_http2(conversation, &decide),
    })
}

fn serve_http1(conversation: &mut Conversation, decide: &dyn Fn(&Message) -> Deed) {
    while let Ok(request) = conversation.request() {
        match decide(&request) {
            Deed::Answer(status) => {
                if !conversation.send(answer(status, "")) {
                    return;
                }
            }
            Deed::Close => return,
            Deed::Reset => return conversation.reset(),
            Deed::Silence => return conversation.wait_for_end(),
            deed => panic!("{deed:?} is of HTTP/2"),
        }
    }
}

fn serve_http2(conversation: &mut Conversation, decide: &dyn Fn(&Message) -> Deed) {
    let Ok(mut peer) = conversation.http2(&[]) else {
        return;
    };
    while let Ok((stream, request)) = peer.request() {
        conversation.keep(&request);
        match decide(&request) {
            Deed::Answer(status) => {
                let text = status.to_string();
                let head = [(":status", text.as_str())];
                peer.send(&Frame::headers(stream, head, false));
                peer.send(&Frame::data(stream, text, true));
            }
            Deed::Close => return,
            Deed::Reset => return conversation.reset(),
            Deed::ResetStream(code) => {
                peer.send(&Frame::reset(stream, code));
            }
            Deed::GoAwayBefore => {
                peer.send(&Frame::go_away(stream - 1, 0));
                return;
            }
            Deed::GoAwayBehind(code) => {
                peer.send(&Frame::go_away(stream, code));
                return;
            }
            Deed::Silence => {
                drop(peer.until(|peer| peer.stream(stream).reset.is_some()));
            }
        }
    }
}

/// As [`place::ruled`], of origins that speak so.
pub(crate) fn ruled(io: Io, speaks: Speaks, origins: &[&Origin], fields: &str) -> Builder {
    let builder = place::ruled(io, origins, fields);
    match speaks {
        Speaks::Http1 => builder,
        Speaks::Http2 => {
            let endpoints: Vec<_> = origins.iter().map(|origin| origin.address()).collect();
            builder.resource("service-s", &yaml::http2_service("s", &endpoints))
        }
    }
}

/// A client that sends one request after the other, on one connection for as long as that lasts.
pub(crate) enum Client {
    Http1(ringmain_tests::client::Client),
    Http2(Box<peer::Peer>),
}

impl Client {
    pub(crate) fn of(mesh: &Mesh, speaks: Speaks) -> Self {
        match speaks {
            Speaks::Http1 => Self::Http1(mesh.client()),
            Speaks::Http2 => Self::Http2(Box::new(mesh.http2_client())),
        }
    }

    /// `GET path`, and the whole answer.
    pub(crate) fn get(&mut self, path: &str) -> Message {
        match self {
            Self::Http1(client) => client.get(path),
            Self::Http2(peer) => {
                let stream = peer.get(path);
                peer.response(stream)
            }
        }
    }

    /// `POST path` with a body of a length that is said before, and the whole answer.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Message {
        let length = body.len().to_string();
        match self {
            Self::Http1(client) => {
                let head = format!("POST {path} HTTP/1.1\r\nhost: example.test\r\n");
                let head = format!("{head}content-length: {length}\r\n\r\n");
                let answer = client.exchange([head.as_bytes(), body].concat());
                if answer.closes() {
                    let gateway = client.wire.stream.peer_addr().unwrap();
                    *client = ringmain_tests::client::Client::connect(gateway);
                }
                answer
            }
            Self::Http2(peer) => {
                let mut head = peer::request("POST", path);
                head.push(("content-length", &length));
                let stream = peer.begin(head, false);
                peer.send_body(stream, body, true);
                peer.response(stream)
            }
        }
    }
}
