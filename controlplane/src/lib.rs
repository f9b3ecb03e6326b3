//! Istio's YAML in, one Document per proxy out.

pub mod resource;
