//! Who may do what: policies for connections and requests.

use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// The policies of the listeners that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Unique in a Document, for example `inbound`.
    pub name: String,
    /// In the order of their names.
    pub policies: Vec<AuthorizationPolicy>,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationPolicy {
    /// `namespace/name`.
    pub name: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}
