//! What is spoken, and what each protocol makes possible.

use super::Scheme;

/// What is spoken on the connections of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/1.1; over `https` without offering anything else.
    #[default]
    Http1,
    /// HTTP/2: over `http` with prior knowledge (RFC 9113 section 3.3), over `https` by ALPN, where
    /// a server without it is an error.
    Http2,
    /// Over `https` what the server chooses by ALPN from HTTP/2 and HTTP/1.1; over `http` HTTP/1.1.
    Negotiated,
    /// Unary gRPC calls over HTTP/2; the body is the message, without its five bytes of framing.
    Grpc,
    /// WebSocket messages that the server sends back (RFC 6455).
    WebSocket,
    /// Bytes that the server sends back.
    TcpEcho,
    /// Bytes as fast as they go.
    TcpStream(Direction),
}

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    #[default]
    Send,
    /// From the server.
    Receive,
    /// Both at the same time, neither waiting for the other.
    Both,
}

impl Kind {
    /// As in reports and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
            Self::Negotiated => "h2 or http/1.1",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::TcpEcho => "tcp-echo",
            Self::TcpStream(Direction::Send) => "tcp-stream send",
            Self::TcpStream(Direction::Receive) => "tcp-stream receive",
            Self::TcpStream(Direction::Both) => "tcp-stream both",
        }
    }

    /// A connection carries several requests at a time.
    pub fn has_streams(self) -> bool {
        matches!(self, Self::Http2 | Self::Negotiated | Self::Grpc)
    }

    /// There are no requests, only bytes: the result is bytes per second.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::TcpStream(_))
    }

    /// A complete answer with this status says that all is well: 200 to 399, for gRPC 0.
    pub fn is_success(self, status: u16) -> bool {
        match self {
            Self::Grpc => status == 0,
            _ => (200..400).contains(&status),
        }
    }

    /// Lanes of a connection when its plan says `streams`.
    pub(crate) fn lanes(self, streams: usize) -> usize {
        match self {
            Self::TcpStream(Direction::Both) => 2,
            _ if self.has_streams() => streams,
            _ => 1,
        }
    }

    pub(crate) fn carries(self, scheme: Scheme) -> bool {
        let http = matches!(scheme, Scheme::Http | Scheme::Https);
        match self {
            Self::Http1 | Self::Http2 | Self::Negotiated | Self::Grpc => http,
            Self::WebSocket => http || matches!(scheme, Scheme::Ws | Scheme::Wss),
            Self::TcpEcho | Self::TcpStream(_) => matches!(scheme, Scheme::Tcp | Scheme::Tls),
        }
    }

    pub(crate) fn schemes(self) -> &'static str {
        match self {
            Self::Http1 | Self::Http2 | Self::Negotiated | Self::Grpc => "http:// or https://",
            Self::WebSocket => "ws:// or wss://",
            Self::TcpEcho | Self::TcpStream(_) => "tcp:// or tls://",
        }
    }
}
