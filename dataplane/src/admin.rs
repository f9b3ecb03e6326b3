//! The admin endpoint: what a proxy is doing, in Envoy's paths and words, over HTTP on loopback.
//!
//! It reads the supervisor through [`AdminState`] and never a worker. What changes something is
//! POST only. It has no authentication of its own: whoever may connect may ask, so it belongs on
//! loopback, and [`guard`] refuses what a web page in a browser on this host could send. Start in
//! [`endpoint`], the list of paths; [`render`] writes the bodies, [`server`] is the bounded HTTP
//! around them.

mod endpoint;
mod guard;
mod render;
mod server;
#[cfg(test)]
mod tests;
mod view;

pub use self::{
    server::{Admin, BindError, Bound, Limits, bind},
    view::{
        AdminState, ClusterView, ConfigSource, Configuration, EndpointView, Health, ListenerView,
        Readiness, ServerInfo, State, WorkerListener,
    },
};
