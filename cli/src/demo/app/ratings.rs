//! How many stars readers give.

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};

pub(super) fn router() -> Router {
    Router::new().route("/ratings/{id}", get(ratings))
}

async fn ratings(Path(id): Path<u32>) -> Json<Value> {
    Json(json!({"id": id, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}))
}
