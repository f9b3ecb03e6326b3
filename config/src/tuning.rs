//! `ringmain.toml`: how one process runs. Mesh policy is not in it.
//!
//! [`Tuning`] is plain data with a default for every key. Each key is written down once, in
//! [`keys`]: its name, type, default, limits and meaning. The reader, the writer, the presets of
//! [`profile`] and the reference in `docs/configuration.md` are all made from that one table.
//!
//! Reading is total: [`Tuning::parse`] reports every problem of a file at once, each with its line,
//! and never a half-read result. It looks at no file, clock or machine: what depends on the machine
//! (the host's name, the number of cores) is an empty value here, filled in by whoever runs.

use std::path::PathBuf;

use crate::{node::Node, problem::Problem};

mod constraint;
mod http;
mod keys;
pub mod profile;
mod read;
mod section;
mod setting;
mod write;

pub use http::{
    EscapedSlashes, ForwardClientCert, PathNormalization, ServerHeader, UnderscoresInHeaders,
};
pub use keys::{Admin, Control, Http, Limits, Log, Workers, Workload};
pub use write::reference;

use section::Section;

/// How one process runs: the whole of a `ringmain.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Who the proxy stands beside.
    pub workload: Workload,
    /// Threads and rings.
    pub workers: Workers,
    /// Where configuration comes from.
    pub control: Control,
    /// The admin endpoint.
    pub admin: Admin,
    /// What it costs at most.
    pub limits: Limits,
    /// How requests are read.
    pub http: Http,
    /// What it writes down.
    pub log: Log,
}

/// Which interface to the kernel the workers use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Io {
    /// io_uring with the best flags that this kernel takes, else epoll.
    #[default]
    Auto,
    /// io_uring, or the process does not start.
    Uring,
    /// io_uring as kernels before 6.1 have it, without DEFER_TASKRUN, or the process does not
    /// start.
    UringCoop,
    /// epoll.
    Epoll,
}

/// Which of the program's own messages are written, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// None.
    Off,
    /// What needs a human.
    Error,
    /// What may soon need one.
    Warn,
    /// What an operator wants to have seen: start, configuration changes, drain.
    #[default]
    Info,
    /// Every decision of the supervisor.
    Debug,
    /// Everything.
    Trace,
}

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum AccessLog {
    /// Nowhere: no line is formatted.
    Off,
    /// Standard output, whatever it is (a file, a pipe, journald's socket).
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to this file.
    File(PathBuf),
}

impl Tuning {
    /// Reads the text of a `ringmain.toml`; `file` is its name in problems.
    ///
    /// # Errors
    /// Every problem of the text, in the order of its lines.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Problem>> {
        read::read(text, file)
    }

    /// The text of a `ringmain.toml` that says the same, every key with its comment.
    pub fn to_toml(&self) -> String {
        write::toml(self)
    }

    /// Who the proxy says it is to a control plane.
    pub fn node(&self) -> Node {
        let workload = self.workload.clone();
        Node {
            name: workload.name,
            namespace: workload.namespace,
            service_account: workload.service_account,
            labels: workload.labels,
            address: workload.address,
            ports: workload.ports,
            gateways: workload.gateways,
        }
    }

    fn sections(&self) -> [&dyn Section; 7] {
        [
            &self.workload,
            &self.workers,
            &self.control,
            &self.admin,
            &self.limits,
            &self.http,
            &self.log,
        ]
    }

    fn sections_mut(&mut self) -> [&mut dyn Section; 7] {
        [
            &mut self.workload,
            &mut self.workers,
            &mut self.control,
            &mut self.admin,
            &mut self.limits,
            &mut self.http,
            &mut self.log,
        ]
    }
}

#[cfg(test)]
mod tests;
