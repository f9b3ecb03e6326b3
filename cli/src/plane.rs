//! Asks a running control plane one question over its Unix socket.

use std::path::Path;

use ringmain_config::wire::Query;
use ringmain_controlplane::client;
use serde::de::DeserializeOwned;

use crate::{fault::Fault, runtime};

/// Where a control plane listens unless told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/ringmain/control.sock";

/// What the control plane at `socket` answers to `query`.
pub(crate) fn ask<T: DeserializeOwned>(socket: &Path, query: Query) -> Result<T, Fault> {
    let answer = runtime::block_on(async {
        let answer = client::query(socket, query).await;
        answer.map_err(|error| Fault::new(error.to_string()))
    })?;
    serde_json::from_value(answer).map_err(|error| {
        Fault::with(
            format!(
                "the control plane at {} answers something unknown: {error}",
                socket.display()
            ),
            "use the `ringmain` of the control plane's version",
        )
    })
}
