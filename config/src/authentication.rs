//! Whose word is taken for who sent a request: JSON Web Tokens (RFC 7519).

use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// The rules of the listeners that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// Unique in a Document, for example `inbound`.
    pub name: String,
    /// In the order of their policies' names.
    pub rules: Vec<JwtRule>,
}

/// Tokens of one issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtRule {
    /// `iss` of its tokens.
    pub issuer: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}
