//! What is printed in the book.

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};

use super::Version;

/// Versions after the first know of the electronic edition.
pub(super) fn router(version: Version) -> Router {
    let kind = match version {
        Version::V1 => "paperback",
        Version::V2 | Version::V3 => "electronic",
    };
    let details = async move |Path(id)| Json(details(id, kind));
    Router::new().route("/details/{id}", get(details))
}

fn details(id: u32, kind: &str) -> Value {
    json!({
        "id": id,
        "author": "William Shakespeare",
        "year": 1623,
        "type": kind,
        "pages": 160,
        "publisher": "Loop Street Press",
        "language": "English",
        "ISBN-10": "0000000000",
        "ISBN-13": "000-0000000000",
    })
}
