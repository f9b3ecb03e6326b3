//! HTTP/2, many requests at a time on a connection (RFC 9113).
//!
//! Over TLS the server has to choose it by ALPN; without TLS it is spoken with prior knowledge
//! (section 3.3). [`Lane`] is what gRPC shares: a connection's driver, and one stream after
//! another.
//!
//! Heads are compressed against all that was sent before on the connection, so they have no size
//! that belongs to one exchange. What counts as bytes are bodies, without the frames' heads.

mod lane;
mod request;

use bytes::Bytes;
use http::Request;

use super::{Answer, Broken, Endpoint, Protocol};
use crate::{
    failure::Failed,
    plan::{Plan, PlanError, Target},
    transport::Connector,
};

pub(crate) use lane::Lane;
pub(crate) use request::{AGENT, Head, prepare};

/// What ALPN calls it (RFC 9113 section 3.2).
pub(crate) const ALPN: &[u8] = b"h2";

/// HTTP/2 and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Http2 {
    connector: Connector,
}

/// A request, ready to be encoded.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    head: Request<()>,
    body: Bytes,
}

impl Message {
    /// # Errors
    /// When a header of `target` has no place in HTTP/2.
    pub(crate) fn new(target: &Target) -> Result<Self, PlanError> {
        Ok(Self {
            head: prepare(target, &Head::http(target))?,
            body: target.body.clone(),
        })
    }
}

impl Protocol for Http2 {
    type Message = Message;
    type Session = Lane;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            connector: Connector::new(&plan.tls, &[ALPN], plan.is_secure())?,
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, target: &Target) -> Result<Message, PlanError> {
        Message::new(target)
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Lane, Failed> {
        let transport = self.connector.connect(endpoint).await?;
        Lane::open(&self.connector, transport).await
    }

    fn fork(&self, session: &Lane) -> Option<Lane> {
        Some(session.fork())
    }

    async fn exchange(&self, session: &mut Lane, message: &Message) -> Result<Answer, Broken> {
        exchange(session, message).await
    }

    fn is_reusable(&self, session: &Lane, complete: bool) -> bool {
        session.is_reusable(complete)
    }
}

/// Sends a request and throws its answer away.
pub(crate) async fn exchange(lane: &mut Lane, message: &Message) -> Result<Answer, Broken> {
    let (head, mut body) = lane
        .request(message.head.clone(), message.body.clone())
        .await?;
    let mut bytes_in = 0;
    while let Some(data) = body.data().await? {
        bytes_in += data.len() as u64;
    }
    Ok(Answer {
        status: Some(head.status.as_u16()),
        bytes_in,
        bytes_out: message.body.len() as u64,
    })
}
