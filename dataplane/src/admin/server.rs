//! HTTP for the admin endpoint, bounded in every direction: one request for each connection, so
//! many connections, so long. Connections beyond the limit wait in the kernel's accept queue.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{AdminState, endpoint::router};

/// What one client of the admin endpoint may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are served at once.
    pub connections_max: usize,
    /// Bytes of a request's line and header.
    pub head_bytes_max: usize,
    /// From accepting a connection to the end of its request's header.
    pub head_deadline: Duration,
    /// From accepting a connection to the last byte of its response.
    pub connection_deadline: Duration,
}

impl Default for Limits {
    /// 64 connections, 16 KiB, 10 s, 60 s.
    fn default() -> Self {
        Self {
            connections_max: 64,
            head_bytes_max: 16 << 10,
            head_deadline: Duration::from_secs(10),
            connection_deadline: Duration::from_secs(60),
        }
    }
}

/// The admin endpoint cannot be opened.
#[derive(Debug, Error)]
#[error(
    "cannot open the admin endpoint on {address}: {source}; {}",
    hint(source)
)]
pub struct BindError {
    /// What was asked for.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has this port (`ss -ltnp` names it): end it, or choose another \
             `[admin] listen` in the proxy's file"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this host has this address: correct `[admin] listen` in the proxy's file"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose another `[admin] listen`"
        }
        _ => "check `[admin] listen` in the proxy's file",
    }
}

/// The port, taken but not served yet.
#[derive(Debug)]
pub struct Bound {
    listener: StdListener,
    address: SocketAddr,
}

impl Bound {
    /// With the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes the port.
///
/// # Errors
/// With what was tried, why it failed and what to do.
pub fn bind(address: SocketAddr) -> Result<Bound, BindError> {
    let error = |source| BindError { address, source };
    let listener = StdListener::bind(address).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    if !address.ip().is_loopback() {
        tracing::warn!(
            "the admin endpoint on {address} can be reached from other hosts, and whoever reaches \
             it may stop this proxy; put it on 127.0.0.1"
        );
    }
    Ok(Bound { listener, address })
}

/// The running endpoint; dropping it ends it at once.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Admin {
    /// Serves on the current tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub fn start(
        bound: Bound,
        state: Arc<dyn AdminState>,
        limits: Limits,
    ) -> Result<Self, BindError> {
        let Bound { listener, address } = bound;
        let listener =
            TcpListener::from_std(listener).map_err(|source| BindError { address, source })?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, router(state), limits, stopped));
        Ok(Self {
            address,
            stop: Some(stop),
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, lets the responses that are under way end within `deadline`, and ends: the
    /// answer to `/quitquitquit` should reach its sender.
    pub async fn finish(mut self, deadline: Duration) {
        drop(self.stop.take());
        // Either way it is over: what is left is aborted by the drop.
        let _ = timeout(deadline, &mut self.task).await;
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Wait after an accept that failed, usually for want of file descriptors: trying at once would
/// only burn the supervisor's core.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: oneshot::Receiver<()>,
) {
    // Owned here, so that ending this task ends them.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections_max => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, router.clone(), limits));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, limits: Limits) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_deadline)
        .max_buf_size(limits.head_bytes_max)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whether it ended well is the client's matter.
    let _ = timeout(limits.connection_deadline, served).await;
}
