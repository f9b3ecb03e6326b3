//! What is printed in the book.

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};

pub(super) fn router() -> Router {
    Router::new().route("/details/{id}", get(details))
}

async fn details(Path(id): Path<u32>) -> Json<Value> {
    Json(json!({
        "id": id,
        "author": "William Shakespeare",
        "year": 1623,
        "type": "paperback",
        "pages": 160,
        "publisher": "Loop Street Press",
        "language": "English",
        "ISBN-10": "0000000000",
        "ISBN-13": "000-0000000000",
    }))
}
