//! dataplane

pub mod admin;
pub mod back_off;
pub mod control;
pub mod cpus;
pub mod last_good;
pub mod resolve;
