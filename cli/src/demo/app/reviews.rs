//! What readers say of the book. v1 knows no stars; v2 and v3 ask ratings for them.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::get,
};
use serde_json::{Value, json};

use super::calls::Calls;

/// The way to ratings and the colour of the stars.
type Stars = Option<(Arc<Calls>, &'static str)>;

pub(super) fn router(stars: Stars) -> Router {
    Router::new()
        .route("/reviews/{id}", get(reviews))
        .with_state(stars)
}

async fn reviews(
    State(stars): State<Stars>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Json<Value> {
    let ratings = match &stars {
        Some((calls, color)) => {
            let answer = calls
                .json("ratings", &format!("/ratings/{id}"), &headers)
                .await;
            Some((answer, *color))
        }
        None => None,
    };
    let reviews: Vec<Value> = REVIEWS
        .iter()
        .map(|(reviewer, text)| {
            let mut review = json!({"reviewer": reviewer, "text": text});
            match &ratings {
                Some((Ok(ratings), color)) => {
                    let stars = &ratings["ratings"][reviewer];
                    review["rating"] = json!({"stars": stars, "color": color});
                }
                // The reviews themselves are still worth an answer.
                Some((Err(error), _)) => {
                    review["rating"] = json!({"error": format!("ratings: {error}")});
                }
                None => {}
            }
            review
        })
        .collect();
    Json(json!({"id": id.to_string(), "reviews": reviews}))
}

const REVIEWS: [(&str, &str); 2] = [
    (
        "Reviewer1",
        "Two pairs of twins, one town, and not a dull page. I laughed on the tram and missed my stop.",
    ),
    (
        "Reviewer2",
        "Everybody takes everybody for somebody else, and still it ends well. Best read aloud.",
    ),
];
