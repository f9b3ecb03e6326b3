//! HTTP as the server chooses it by ALPN (RFC 7301): HTTP/2 or HTTP/1.1. Without TLS there is no
//! choice, and it is HTTP/1.1.

use super::{
    Answer, Broken, Endpoint, Protocol,
    h2::{self, Lane},
    http1,
};
use crate::{
    failure::Failed,
    plan::{Plan, PlanError, Target},
    transport::Connector,
};

/// HTTP/2 or HTTP/1.1.
#[derive(Clone, Debug)]
pub(crate) struct Negotiated {
    connector: Connector,
    close: bool,
}

/// A request in the words of either.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    http1: http1::Message,
    h2: h2::Message,
}

/// What a connection turned out to be.
pub(crate) enum Session {
    Http1(Box<http1::Session>),
    Http2(Lane),
}

impl Protocol for Negotiated {
    type Message = Message;
    type Session = Session;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        let alpn = &[h2::ALPN, b"http/1.1"];
        Ok(Self {
            connector: Connector::new(&plan.tls, alpn, plan.is_secure())?,
            close: plan.connect_per_request,
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, target: &Target) -> Result<Message, PlanError> {
        Ok(Message {
            http1: http1::Message::new(target, self.close),
            h2: h2::Message::new(target)?,
        })
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Session, Failed> {
        let transport = self.connector.connect(endpoint).await?;
        Ok(match transport.alpn() == Some(h2::ALPN) {
            true => Session::Http2(Lane::open(&self.connector, transport).await?),
            false => Session::Http1(Box::new(http1::Session::new(transport))),
        })
    }

    fn fork(&self, session: &Session) -> Option<Session> {
        match session {
            Session::Http1(_) => None,
            Session::Http2(lane) => Some(Session::Http2(lane.fork())),
        }
    }

    async fn exchange(&self, session: &mut Session, message: &Message) -> Result<Answer, Broken> {
        match session {
            Session::Http1(session) => session.exchange(&message.http1).await,
            Session::Http2(lane) => h2::exchange(lane, &message.h2).await,
        }
    }

    fn is_reusable(&self, session: &Session, complete: bool) -> bool {
        match session {
            Session::Http1(session) => session.is_reusable(complete),
            Session::Http2(lane) => lane.is_reusable(complete),
        }
    }
}
