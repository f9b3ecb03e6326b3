//! What one process of the demo answers to a GET: for readiness and for numbers.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A scrape of a proxy of the demo has some tens of KiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Keeps connections.
#[derive(Clone, Debug)]
pub(super) struct Http(Client<HttpConnector, Body>);

impl Http {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Status and body of `GET http://address/path`; or what went wrong, as part of a sentence.
    pub(super) async fn get(
        &self,
        address: SocketAddr,
        path: &str,
    ) -> Result<(StatusCode, String), String> {
        let request = Request::get(format!("http://{address}{path}"))
            .body(Body::empty())
            .map_err(|error| error.to_string())?;
        let answer = async {
            let response = self.0.request(request).await;
            let response = response.map_err(|error| with_cause(&error))?;
            let status = response.status();
            let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await;
            let body = body.map_err(|error| with_cause(&error))?;
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        match timeout(ANSWER_TIMEOUT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {ANSWER_TIMEOUT:?}")),
        }
    }
}

/// The last cause says what happened; the errors around it only that something did.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
