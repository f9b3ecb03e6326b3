//! The admin endpoint: what a proxy is doing, in Envoy's paths and words, over loopback HTTP.
//!
//! It reads the supervisor through [`AdminState`] and never a worker. What changes something is POST
//! only.

mod view;

pub use self::view::{
    AdminState, ClusterView, ConfigSource, Configuration, EndpointView, Health, ListenerView,
    Readiness, ServerInfo, State, WorkerListener,
};
