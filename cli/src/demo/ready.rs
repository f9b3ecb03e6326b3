//! How to see from outside that a process can be used.

use std::{net::SocketAddr, path::PathBuf};

use axum::http::StatusCode;
use tokio::net::UnixStream;

use super::http::Http;

/// One look.
#[derive(Clone, Debug)]
pub(super) enum Probe {
    /// Somebody accepts connections there.
    Socket(PathBuf),
    /// GET of this path is answered with 200.
    Http(SocketAddr, &'static str),
}

impl Probe {
    /// # Errors
    /// Why not, as part of a sentence.
    pub(super) async fn look(&self, http: &Http) -> Result<(), String> {
        match self {
            Self::Socket(path) => match UnixStream::connect(path).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{}: {error}", path.display())),
            },
            Self::Http(address, path) => {
                let answer = http.get(*address, path).await;
                match answer {
                    Ok((StatusCode::OK, _)) => Ok(()),
                    Ok((status, body)) => Err(format!(
                        "http://{address}{path} answers {status}: {}",
                        body.trim()
                    )),
                    Err(error) => Err(format!("http://{address}{path}: {error}")),
                }
            }
        }
    }
}
