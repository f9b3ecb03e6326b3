//! What is known of the control plane, for `/server_info` and `ringmain status`.

use std::time::SystemTime;

use ringmain_config::problem::Problem;
use serde::{Serialize, Serializer};

use super::Lost;

/// A picture of the client at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Is there a connection?
    pub connection: Connection,
    /// Generation that all workers use; 0: none.
    pub generation: u64,
    /// Version of the control plane's program, once it has said so.
    pub control_plane: Option<String>,
    /// Why the last connection ended or could not be made.
    pub last_error: Option<Failed>,
    /// The last generation that this proxy refused, unless a later one was applied.
    pub last_nack: Option<Refusal>,
    /// Generations applied since the start.
    pub applied: u64,
    /// Generations refused since the start.
    pub refused: u64,
}

/// Is there a connection?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Connection {
    /// None; tried again after a while.
    Disconnected {
        /// Since when.
        #[serde(serialize_with = "rfc3339")]
        since: SystemTime,
    },
    /// Being made.
    Connecting,
    /// The control plane welcomed us.
    Connected {
        /// Since when.
        #[serde(serialize_with = "rfc3339")]
        since: SystemTime,
    },
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    /// What, why and what to do.
    pub message: String,
}

/// A generation that this proxy refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    /// Which.
    pub generation: u64,
    /// How many problems it has.
    pub problem_count: usize,
    /// The first of them.
    pub problems: Vec<Problem>,
}

/// Problems kept for showing; the control plane was sent more.
const PROBLEMS_MAX: usize = 20;

impl Status {
    pub(super) fn new(generation: u64) -> Self {
        Self {
            connection: Connection::Connecting,
            generation,
            control_plane: None,
            last_error: None,
            last_nack: None,
            applied: 0,
            refused: 0,
        }
    }

    pub(super) fn connecting(&mut self) {
        self.connection = Connection::Connecting;
    }

    pub(super) fn welcomed(&mut self, program: String) {
        self.connection = Connection::Connected {
            since: SystemTime::now(),
        };
        self.control_plane = Some(program);
    }

    pub(super) fn lost(&mut self, lost: &Lost) {
        let now = SystemTime::now();
        self.connection = Connection::Disconnected { since: now };
        self.last_error = Some(Failed {
            at: now,
            message: lost.to_string(),
        });
    }

    pub(super) fn applied(&mut self, generation: u64) {
        self.generation = generation;
        self.applied += 1;
        self.last_nack = None;
    }

    pub(super) fn refused(&mut self, generation: u64, problems: &[Problem]) {
        self.refused += 1;
        self.last_nack = Some(Refusal {
            at: SystemTime::now(),
            generation,
            problem_count: problems.len(),
            problems: problems.iter().take(PROBLEMS_MAX).cloned().collect(),
        });
    }
}

/// `2026-01-31T10:00:00Z`.
pub(crate) fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}
