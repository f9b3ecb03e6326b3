//! A small origin for measurements: HTTP/1.1 and HTTP/2 answers of chosen sizes, unary gRPC,
//! and three TCP services.
//!
//! It shares a core with the load that is generated, so what it costs is taken from what a proxy
//! can be asked to carry. It does as little as an origin can: answers are made once and written
//! with one call, and one thread serves everything from one ring. It is no server for anything
//! else: it trusts its clients and keeps no deadlines.
//!
//! Everything it does is counted, and `/origin/counts` tells the counts, so that a measurement can
//! check that each request reached it exactly once. See [`http`] for paths, [`http2`] for gRPC and
//! [`tcp`] for the rest.

mod http;
mod http2;
mod tcp;

use std::{
    cell::Cell,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use monoio::net::{ListenerOpts, TcpListener, TcpStream};

use crate::ring::{self, Io};

/// Where the services listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP/1.1.
    pub http: SocketAddr,
    /// HTTP/2 with prior knowledge.
    pub http2: SocketAddr,
    /// Sends back what it receives.
    pub echo: SocketAddr,
    /// Takes what it receives.
    pub sink: SocketAddr,
    /// Sends until the connection is closed.
    pub source: SocketAddr,
}

impl fmt::Display for Addresses {
    /// One line, as a parent process reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            http,
            http2,
            echo,
            sink,
            source,
        } = self;
        write!(
            formatter,
            "http={http} http2={http2} echo={echo} sink={sink} source={source}"
        )
    }
}

/// Serves on free ports of `host` until the process ends. `announce` is told where, once
/// connections are accepted.
///
/// # Errors
/// When the host refuses a ring, a socket, or to accept another connection.
pub fn serve(io: Io, host: IpAddr, announce: impl FnOnce(Addresses)) -> io::Result<()> {
    ring::run(io, |_| async move {
        let [http, http2, echo, sink, source] = [(); 5].map(|()| listen(host));
        let (http, http2) = (http?, http2?);
        let (echo, sink, source) = (echo?, sink?, source?);
        announce(Addresses {
            http: http.local_addr()?,
            http2: http2.local_addr()?,
            echo: echo.local_addr()?,
            sink: sink.local_addr()?,
            source: source.local_addr()?,
        });
        let counts = Rc::new(Counts::default());
        let answers = Rc::new(http::Answers::default());
        let of = |counts: &Rc<Counts>| Rc::clone(counts);
        let (a, b, c, d) = (of(&counts), of(&counts), of(&counts), of(&counts));
        let bodies = Rc::new(http2::Bodies::new());
        let services = [
            monoio::spawn(accept(http2, move |stream| {
                http2::serve(stream, Rc::clone(&bodies), of(&d))
            })),
            monoio::spawn(accept(echo, move |stream| {
                tcp::counted(of(&a), tcp::echo(stream, of(&a)))
            })),
            monoio::spawn(accept(sink, move |stream| {
                tcp::counted(of(&b), tcp::sink(stream, of(&b)))
            })),
            monoio::spawn(accept(source, move |stream| {
                tcp::counted(of(&c), tcp::source(stream, of(&c)))
            })),
        ];
        accept(http, move |stream| {
            http::serve(stream, Rc::clone(&answers), Rc::clone(&counts))
        })
        .await?;
        for service in services {
            service.await?;
        }
        Ok(())
    })?
}

fn listen(host: IpAddr) -> io::Result<TcpListener> {
    let options = ListenerOpts::new()
        .backlog(4096)
        .reuse_addr(true)
        .reuse_port(false);
    TcpListener::bind_with_config(SocketAddr::new(host, 0), &options)
}

/// Serves each connection in a task of its own. A connection that fails is the client's affair.
async fn accept<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let served = serve(stream);
        monoio::spawn(async move { drop(served.await) });
    }
}

/// What was done since the start.
#[derive(Debug, Default)]
struct Counts {
    /// HTTP requests, each counted when it was received to its end.
    requests: Cell<u64>,
    /// HTTP connections that were opened.
    connections: Cell<u64>,
    /// Those among them that are closed: what was sent on them has been counted.
    closed: Cell<u64>,
    /// Of HTTP requests' bodies.
    body_bytes: Cell<u64>,
    /// Connections to the services without a protocol that were opened.
    streams: Cell<u64>,
    /// Those among them that are closed: what they moved has been counted.
    streams_closed: Cell<u64>,
    echo_bytes: Cell<u64>,
    sink_bytes: Cell<u64>,
    source_bytes: Cell<u64>,
}

impl Counts {
    /// As a JSON object.
    fn to_json(&self) -> String {
        let fields = [
            ("requests", &self.requests),
            ("connections", &self.connections),
            ("closed", &self.closed),
            ("body_bytes", &self.body_bytes),
            ("streams", &self.streams),
            ("streams_closed", &self.streams_closed),
            ("echo_bytes", &self.echo_bytes),
            ("sink_bytes", &self.sink_bytes),
            ("source_bytes", &self.source_bytes),
        ];
        let fields = fields.map(|(name, count)| format!("\"{name}\":{}", count.get()));
        format!("{{{}}}", fields.join(","))
    }
}

fn add(count: &Cell<u64>, more: usize) {
    count.set(count.get() + more as u64);
}

#[cfg(test)]
mod tests;
