//! One thread, one listener, and an end that lets running requests finish.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::net::TcpListener;

use crate::{
    children::Parent,
    fault::Fault,
    runtime::{self, Signals},
};

/// For requests under way when the process is told to end.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Until SIGTERM or SIGINT.
pub(super) fn serve(listen: SocketAddr, router: Router, parent: Parent) -> Result<(), Fault> {
    let failed = |error: io::Error| Fault::new(format!("cannot serve: {error}"));
    runtime::block_on(async {
        let mut signals = Signals::new()?;
        parent.watch()?;
        let end = async move { signals.stop().await };
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Fault::with(
                format!("cannot listen on {listen}: {error}"),
                format!("see who does with `ss -ltnp 'sport = :{}'`", listen.port()),
            )
        })?;
        serve_until(listener, router, end).await.map_err(failed)
    })
}

/// Until `end`, and then for as long as requests are under way, but at most [`DRAIN_MAX`].
pub(super) async fn serve_until(
    listener: TcpListener,
    router: Router,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (ending, ended) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        end.await;
        // Nobody waits for it when serving has ended already.
        let _ = ending.send(());
    });
    let late = async {
        match ended.await {
            Ok(()) => tokio::time::sleep(DRAIN_MAX).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = async { serving.await } => result,
        () = late => Ok(()),
    }
}
