//! What [`super::explain()`] answers with, as programs and people read it.

use std::net::SocketAddr;

use ringmain_config::{
    cluster::{Protocol, Service},
    endpoint::Workload,
    listener::Direction,
    origin::Origin,
};
use serde::Serialize;

use super::{FiltersPart, HashPart, LimitsPart, MirrorPart, PresentedPart, RetryPart};
use crate::{grpc, snapshot::Listener};

/// What would happen to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Where it comes in.
    pub listener: ListenerPart,
    /// Whose virtual hosts are asked.
    pub route_table: String,
    /// It is one of gRPC.
    #[serde(skip_serializing_if = "is_false")]
    pub is_grpc: bool,
    /// How routes see its fields; absent when none is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presented: Option<PresentedPart>,
    /// Its path as it is matched and forwarded; absent when it is refused for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The one that has its authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_host: Option<NamedPart>,
    /// Routes before the deciding one, and why each is not it.
    pub passed_over: Vec<PassedOver>,
    /// The deciding one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RoutePart>,
    /// What is done.
    pub outcome: Outcome,
}

/// The listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListenerPart {
    /// In the Document.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which way its traffic flows.
    pub direction: Direction,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl ListenerPart {
    pub(super) fn of(listener: &Listener) -> Self {
        Self {
            name: listener.config.name.clone(),
            address: listener.config.address,
            direction: listener.config.direction,
            origin: listener.config.origin.clone(),
        }
    }
}

/// A part that has only a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedPart {
    /// In the Document.
    pub name: String,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The deciding route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoutePart {
    /// ROUTE_NAME of the access log.
    pub name: String,
    /// For all tries together, as `1.5s`; absent when there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// What the request meets before the action.
    #[serde(skip_serializing_if = "FiltersPart::is_empty")]
    pub filters: FiltersPart,
    /// What is done about tries that fail; absent when there is one try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPart>,
    /// Copies of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<MirrorPart>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A route that does not match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub route: String,
    /// Its first condition that does not hold: `header "x-user" is "jason"`.
    pub condition: String,
    /// What the request has there; absent when it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What is done with the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Sent on to one of these.
    Forward(Vec<DestinationPart>),
    /// Answered with a redirect.
    Redirect {
        /// Of the answer.
        status: u16,
        /// The same to a client of gRPC; `status` is then 200.
        #[serde(skip_serializing_if = "Option::is_none")]
        grpc_status: Option<u8>,
        /// Where it leads.
        location: String,
        /// Edits of the answer.
        response_headers: Vec<EditsPart>,
    },
    /// Answered as written.
    Direct {
        /// Of the answer.
        status: u16,
        /// The same to a client of gRPC; `status` is then 200.
        #[serde(skip_serializing_if = "Option::is_none")]
        grpc_status: Option<u8>,
        /// Of the answer.
        body_bytes: usize,
        /// Edits of the answer.
        response_headers: Vec<EditsPart>,
    },
    /// Refused.
    Refused(RefusedPart),
}

impl Outcome {
    /// An answer of the proxy's as a client of gRPC gets it.
    pub(super) fn for_grpc(mut self) -> Self {
        let (status, grpc_status, bytes) = match &mut self {
            Self::Forward(_) => return self,
            Self::Redirect {
                status,
                grpc_status,
                ..
            } => (status, grpc_status, None),
            Self::Direct {
                status,
                grpc_status,
                body_bytes,
                ..
            } => (status, grpc_status, Some(body_bytes)),
            Self::Refused(part) => (&mut part.status, &mut part.grpc_status, None),
        };
        *grpc_status = Some(grpc::status_of_http(*status));
        *status = grpc::LocalAnswer::HTTP_STATUS;
        // What would be the body is the message.
        if let Some(bytes) = bytes {
            *bytes = 0;
        }
        self
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Which part refused the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedPart {
    /// `method`, `path`, `header "x_y"`, `route table "x"`, `virtual host "y"` or `route "z"`.
    pub by: String,
    /// One sentence without a full stop.
    pub reason: String,
    /// Of the answer.
    pub status: u16,
    /// The same to a client of gRPC; `status` is then 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u8>,
    /// Response flag of the access log; `-` for an answer that the configuration holds.
    pub flag: &'static str,
}

/// A cluster that the request may go to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DestinationPart {
    /// Name of the cluster.
    pub cluster: String,
    /// Of the requests, in percent.
    pub share: f64,
    /// It is part of.
    pub service: Service,
    /// Of the service; empty for all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// Path and query that are sent.
    pub target: String,
    /// That is sent.
    pub authority: String,
    /// What is spoken to its endpoints.
    pub protocol: Protocol,
    /// What keeps a client at one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<HashPart>,
    /// What bounds requests to it, of one proxy.
    #[serde(skip_serializing_if = "LimitsPart::is_empty")]
    pub limits: LimitsPart,
    /// Nothing is there to send to: its share is answered with this status, flagged NC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<u16>,
    /// The same to a client of gRPC, or what it is told while there is no endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u8>,
    /// Edits of the request, in the order they are applied in.
    pub request_headers: Vec<EditsPart>,
    /// Edits of the response, in the order they are applied in.
    pub response_headers: Vec<EditsPart>,
    /// Who answers; when there is none, requests are answered 503 with flag UH.
    pub endpoints: Vec<EndpointPart>,
    /// Who asked for the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointPart {
    /// Where it listens: an address or, for the proxy to look up, a name, with the port.
    pub address: String,
    /// Relative to the others.
    pub weight: u32,
    /// Who listens there.
    #[serde(skip_serializing_if = "Workload::is_unknown")]
    pub workload: Workload,
}

/// Header edits of a route or destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EditsPart {
    /// Names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Names and values that replace others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// Names and values beside others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<(String, String)>,
}
