//! Calls to other applications, by name, through this application's own proxy.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header::HOST},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;

/// What an application copies from the request it serves to those it makes, so that traces and
/// routing by user work: no proxy can know which request caused which.
pub(crate) const COPIED: [&str; 16] = [
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-cloud-trace-context",
    "end-user",
    "user-agent",
];

/// The port that every service of the book shop has.
const PORT: u16 = 9080;
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The way out of an application.
#[derive(Debug)]
pub(crate) struct Calls {
    mesh: SocketAddr,
    client: Client<HttpConnector, Body>,
}

/// Why a call gave no JSON.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    #[error("the proxy at {0} cannot be reached: {1}")]
    Proxy(SocketAddr, hyper_util::client::legacy::Error),
    #[error("no answer within {CALL_TIMEOUT:?}")]
    Timeout,
    #[error("the answer broke off: {0}")]
    Body(axum::Error),
    #[error("status {}", words(*.0))]
    Status(StatusCode),
    #[error("the answer is not JSON: {0}")]
    Json(serde_json::Error),
}

/// The number, and its reason if it has one: faults may have any status.
fn words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_str().to_owned(),
    }
}

impl CallError {
    /// The status that a page shows for it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Status(status) => *status,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Proxy(..) | Self::Body(_) | Self::Json(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

impl Calls {
    /// Through the proxy that listens at `mesh`.
    pub(crate) fn new(mesh: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            mesh,
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// `GET path` of the service `name`, with the trace headers of `cause`.
    pub(crate) async fn json(
        &self,
        name: &str,
        path: &str,
        cause: &HeaderMap,
    ) -> Result<Value, CallError> {
        // The connection goes to the proxy; the host header says who is meant.
        let mut request = Request::get(format!("http://{}{path}", self.mesh))
            .header(HOST, format!("{name}:{PORT}"))
            .body(Body::empty())
            .expect("names and paths of this program are valid");
        for name in COPIED {
            if let Some(value) = cause.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let answer = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| CallError::Proxy(self.mesh, error))?;
            let status = response.status();
            // The body is read in any case: the connection is used again only after its end.
            let body = Body::new(response.into_body());
            let body = to_bytes(body, ANSWER_BYTES_MAX)
                .await
                .map_err(CallError::Body)?;
            if !status.is_success() {
                return Err(CallError::Status(status));
            }
            serde_json::from_slice(&body).map_err(CallError::Json)
        };
        match timeout(CALL_TIMEOUT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::Timeout),
        }
    }
}
