//! Unary gRPC calls over HTTP/2, with messages of raw bytes.
//!
//! A message has five bytes before it; an answer's status stands in the trailers, or in the head of
//! an answer that has nothing else. Sources are the gRPC project's `PROTOCOL-HTTP2.md` and
//! `http-grpc-status-mapping.md`.

mod message;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, header};

use super::{
    Answer, Broken, Endpoint, Protocol,
    h2::{self, Head, Lane, prepare},
};
use crate::{
    failure::Failed,
    plan::{Kind, Plan, PlanError, Target},
    transport::Connector,
};
use message::{Messages, frame};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// gRPC and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    connector: Connector,
}

/// A call, ready to be encoded.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    head: Request<()>,
    body: Bytes,
}

impl Protocol for Grpc {
    type Message = Message;
    type Session = Lane;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            connector: Connector::new(&plan.tls, &[h2::ALPN], plan.is_secure())?,
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, target: &Target) -> Result<Message, PlanError> {
        let head = Head {
            protocol: Kind::Grpc.name(),
            method: "POST".to_owned(),
            defaults: vec![
                (header::USER_AGENT, h2::AGENT.to_owned()),
                (header::CONTENT_TYPE, "application/grpc".to_owned()),
            ],
            fixed: vec![(header::TE, "trailers".to_owned())],
        };
        let head = prepare(target, &head)?;
        let body = frame(&target.body).ok_or_else(|| PlanError::Unsuited {
            setting: format!("a body of {} bytes", target.body.len()),
            kind: Kind::Grpc.name(),
            reason: "a message has a length of 32 bits",
        })?;
        Ok(Message {
            head,
            body: body.into(),
        })
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Lane, Failed> {
        let transport = self.connector.connect(endpoint).await?;
        Lane::open(&self.connector, transport).await
    }

    fn fork(&self, session: &Lane) -> Option<Lane> {
        Some(session.fork())
    }

    async fn exchange(&self, session: &mut Lane, message: &Message) -> Result<Answer, Broken> {
        let (head, mut body) = session
            .request(message.head.clone(), message.body.clone())
            .await?;
        let answer = |status, bytes_in| Answer {
            status: Some(status),
            bytes_in,
            bytes_out: message.body.len() as u64,
        };
        let is_grpc = head.status == http::StatusCode::OK && is_grpc(&head.headers);
        let mut messages = Messages::default();
        let mut bytes_in = 0;
        while let Some(data) = body.data().await? {
            bytes_in += data.len() as u64;
            if is_grpc {
                messages.feed(&data).map_err(Failed::protocol)?;
            }
        }
        // An answer of something that speaks no gRPC, such as a proxy on the way.
        if !is_grpc && !head.headers.contains_key(GRPC_STATUS) {
            return Ok(answer(equivalent(head.status.as_u16()), bytes_in));
        }
        let trailers = body.trailers().await?;
        let status = match trailers.as_ref().and_then(|fields| fields.get(GRPC_STATUS)) {
            Some(status) => status,
            None => head.headers.get(GRPC_STATUS).ok_or_else(|| {
                Failed::protocol("the answer has neither trailers nor a head with grpc-status")
            })?,
        };
        let digits = status.to_str().ok();
        let status = digits.and_then(|digits| digits.parse::<u16>().ok());
        let status = status.ok_or_else(|| Failed::protocol("its grpc-status is not a number"))?;
        if status == 0 {
            messages.complete().map_err(Failed::protocol)?;
        }
        Ok(answer(status, bytes_in))
    }

    fn is_reusable(&self, session: &Lane, complete: bool) -> bool {
        session.is_reusable(complete)
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    value.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The gRPC status that stands for an HTTP status without one.
fn equivalent(status: u16) -> u16 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_without_grpc() {
        for (http, grpc) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (503, 14),
            (200, 2),
            (500, 2),
        ] {
            assert_eq!(equivalent(http), grpc, "{http}");
        }
    }
}
