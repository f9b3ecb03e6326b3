//! One thread, one listener, and an end that lets running requests finish.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::Router;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// For requests under way when the process is told to end.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Why an application does not serve.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// Runtime or signals.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
}

/// Until SIGTERM or SIGINT.
pub(crate) fn serve(listen: SocketAddr, router: Router) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let end = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| ServeError::Listen(listen, error))?;
        serve_until(listener, router, end).await?;
        Ok(())
    })
}

/// Until `end`, and then for as long as requests are under way, but at most [`DRAIN_MAX`].
pub(crate) async fn serve_until(
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
