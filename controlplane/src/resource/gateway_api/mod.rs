//! gateway.networking.k8s.io: Gateway, HTTPRoute and GRPCRoute.
//!
//! A GRPCRoute is a [`Route`] like an HTTPRoute: gRPC calls are HTTP requests whose path names a
//! service and a method. What differs is kept as [`RouteKind`] and [`Rpc`], because precedence and
//! the answer to a failure differ. Which route is attached where is decided in
//! [`crate::world`], for two resources at a time.

mod backends;
mod fields;
mod filters;
mod form;
mod gateway;
mod grpc;
mod matches;
mod read;
mod route;
#[cfg(test)]
mod tests;
mod timing;

pub(super) use fields::{GRPC_ROUTE, HTTP_ROUTE};
pub(super) use gateway::DOCUMENT as GATEWAY;
pub use gateway::{AllowedRoutes, Gateway, Listener, Namespaces, Requirement};
pub use route::{
    Backend, BackendReference, Forward, Match, Mirror, Parent, ParentKind, PathCondition,
    PathModifier, Retry, Rewrite, Route, RouteKind, Rpc, RpcPattern, Rule, RuleAction, Target,
};
pub(super) use {gateway::read as read_gateway, read::read as read_route};

/// The API group.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";

/// The label that names the Gateway which a proxy of the same namespace serves.
pub const GATEWAY_NAME_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
