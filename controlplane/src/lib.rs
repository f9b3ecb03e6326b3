//! Istio's YAML in, one Document per proxy out.

pub mod assemble;
pub mod registry;
pub mod resource;
pub mod world;
