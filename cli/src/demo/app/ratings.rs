//! How many stars readers give, and the database that keeps them for later versions.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde_json::{Value, json};

use super::{Version, calls::Calls};

const RATINGS: &str = "/ratings/{id}";

pub(super) fn router() -> Router {
    Router::new().route(RATINGS, get(async |id| Json(ratings(&id, [5, 4]))))
}

/// All readers are of one mind, by which it is seen which database was asked.
pub(super) fn database_router(version: Version) -> Router {
    let stars = match version {
        Version::V1 => 1,
        Version::V2 => 2,
        Version::V3 => 3,
    };
    let ratings = async move |id| Json(ratings(&id, [stars; 2]));
    Router::new().route(RATINGS, get(ratings))
}

/// Knows nothing by itself.
pub(super) fn asking_router(database: Arc<Calls>) -> Router {
    Router::new().route(RATINGS, get(ask)).with_state(database)
}

async fn ask(
    State(database): State<Arc<Calls>>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Result<Json<Value>, (StatusCode, String)> {
    let path = format!("/ratings/{id}");
    match database.json("database", &path, &headers).await {
        Ok(ratings) => Ok(Json(ratings)),
        Err(error) => Err((error.status(), format!("database: {error}\n"))),
    }
}

fn ratings(id: &Path<u32>, stars: [u32; 2]) -> Value {
    json!({"id": id.0, "ratings": {"Reviewer1": stars[0], "Reviewer2": stars[1]}})
}
