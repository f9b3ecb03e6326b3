//! TLS towards an endpoint, where its cluster asks for it. What cannot be made so is not made in
//! plain text instead.

use std::{io, sync::Arc, time::Duration};

use ringmain_config::{
    cluster::{Cluster, Transport},
    tls::{ClientTls, ServerNameToAsk},
};
use rustls::{client::UnbufferedClientConnection, pki_types::ServerName};

use super::Lease;
use crate::{
    io::{deadline::Expiry, stream::Stream},
    tls::session::Session,
    worker::Worker,
};

/// What is to be connected to.
pub struct Target {
    cluster: Arc<Cluster>,
    /// Its proxy speaks the mesh's TLS.
    is_in_mesh: bool,
}

/// What is spoken within a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1 or bytes.
    Any,
    /// HTTP/2.
    Http2,
}

impl Target {
    /// The leased endpoint.
    pub fn of(lease: &Lease) -> Self {
        Self {
            cluster: Arc::clone(&lease.cluster.cluster),
            is_in_mesh: lease.cluster.endpoints[lease.index()].is_in_mesh,
        }
    }

    /// Begins what the cluster asks for on a new connection, within `left`.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn secure(
        &self,
        worker: &Worker,
        stream: &Stream,
        spoken: Spoken,
        left: Duration,
    ) -> io::Result<()> {
        let tls = match &self.cluster.transport {
            Transport::Plaintext => return Ok(()),
            Transport::Mesh(_) if !self.is_in_mesh => return Ok(()),
            Transport::Mesh(tls) | Transport::Tls(tls) => tls,
        };
        let name = &self.cluster.name;
        let client = worker.tls_client(name).ok_or_else(|| {
            io::Error::other("TLS cannot be spoken (see the log of the proxy for its secrets)")
        })?;
        let config = Arc::clone(client.config(worker.index));
        let server_name = self.server_name(tls)?;
        let alpn = match (tls.alpn.is_empty(), spoken) {
            (false, _) => config.alpn_protocols.clone(),
            (true, Spoken::Http2) => vec![b"h2".to_vec()],
            (true, Spoken::Any) => Vec::new(),
        };
        let connection = UnbufferedClientConnection::new_with_alpn(config, server_name, alpn);
        let connection = connection.map_err(io::Error::other)?;
        let buffers = (worker.buffers.none(), worker.buffers.none());
        stream.secure(Session::client(connection, buffers));
        stream.deadline().set_after(left, Expiry::Close);
        let shaken = stream.handshake().await;
        let is_late = stream.deadline().expired();
        stream.deadline().clear();
        if is_late {
            return Err(io::ErrorKind::TimedOut.into());
        }
        shaken.map_err(|error| io::Error::other(format!("TLS_error: {error}")))
    }

    /// The name that the endpoint is asked for by.
    fn server_name(&self, tls: &ClientTls) -> io::Result<ServerName<'static>> {
        let name = match &tls.server_name {
            ServerNameToAsk::Fixed(name) => name,
            ServerNameToAsk::Authority => &self.cluster.service.host,
        };
        ServerName::try_from(name.clone())
            .map_err(|_| io::Error::other(format!("{name:?} is no name to ask a server for")))
    }
}
