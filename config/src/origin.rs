//! Where a part of a Document was written, so that a decision can name its cause.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::text::shared;

/// The resource, file and line that a listener, route or cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Kind and `namespace/name`, for example `VirtualService default/reviews`.
    #[serde(deserialize_with = "shared")]
    pub resource: Arc<str>,
    /// The file as it was named to the control plane.
    #[serde(deserialize_with = "shared")]
    pub file: Arc<str>,
    /// 1-based line of the deciding element inside the file.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}:{})", self.resource, self.file, self.line)
    }
}
