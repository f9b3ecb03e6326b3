//! The page of the book shop, and the same as JSON.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Form, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    calls::{CallError, Calls},
    page,
};

/// The only book of this shop.
const BOOK: u32 = 0;
pub(super) const TITLE: &str = "The Comedy of Errors";
const USER_COOKIE: &str = "user=";
const USER_BYTES_MAX: usize = 64;

pub(super) fn router(calls: Arc<Calls>) -> Router {
    let style = || async { ([(header::CONTENT_TYPE, "text/css")], page::STYLE) };
    Router::new()
        .route("/", get(|| async { Redirect::to("/productpage") }))
        .route("/productpage", get(productpage))
        .route("/static/style.css", get(style))
        .route("/login", post(login))
        .route("/logout", get(logout))
        .route("/api/v1/products", get(|| async { Json(products()) }))
        .route("/api/v1/products/{id}", get(product))
        .route("/api/v1/products/{id}/reviews", get(reviews))
        .route("/api/v1/products/{id}/ratings", get(ratings))
        .with_state(calls)
}

fn products() -> Value {
    json!([{
        "id": BOOK,
        "title": TITLE,
        "descriptionHtml": "A play about two pairs of twins who were parted at birth.",
    }])
}

async fn productpage(State(calls): State<Arc<Calls>>, headers: HeaderMap) -> Html<String> {
    let (headers, user) = with_user(headers);
    let details_path = format!("/details/{BOOK}");
    let reviews_path = format!("/reviews/{BOOK}");
    let (details, reviews) = tokio::join!(
        calls.json("details", &details_path, &headers),
        calls.json("reviews", &reviews_path, &headers),
    );
    Html(page::html(user.as_deref(), &details, &reviews))
}

async fn product(state: State<Arc<Calls>>, id: Path<u32>, headers: HeaderMap) -> Response {
    forward(state, "details", &format!("/details/{}", id.0), headers).await
}

async fn reviews(state: State<Arc<Calls>>, id: Path<u32>, headers: HeaderMap) -> Response {
    forward(state, "reviews", &format!("/reviews/{}", id.0), headers).await
}

async fn ratings(state: State<Arc<Calls>>, id: Path<u32>, headers: HeaderMap) -> Response {
    forward(state, "ratings", &format!("/ratings/{}", id.0), headers).await
}

async fn forward(
    State(calls): State<Arc<Calls>>,
    name: &str,
    path: &str,
    headers: HeaderMap,
) -> Response {
    let (headers, _) = with_user(headers);
    match calls.json(name, path, &headers).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refusal(name, &error),
    }
}

fn refusal(name: &str, error: &CallError) -> Response {
    let body = json!({"error": format!("{name}: {error}")});
    (error.status(), Json(body)).into_response()
}

#[derive(Deserialize)]
struct Login {
    username: String,
}

async fn login(Form(login): Form<Login>) -> Response {
    let name: String = login
        .username
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
        .take(USER_BYTES_MAX)
        .collect();
    if name.is_empty() {
        return (
            StatusCode::BAD_REQUEST,
            "a user name has letters or digits\n",
        )
            .into_response();
    }
    remember(&format!(
        "{USER_COOKIE}{name}; Path=/; HttpOnly; SameSite=Strict"
    ))
}

async fn logout() -> Response {
    remember(&format!("{USER_COOKIE}; Path=/; Max-Age=0"))
}

fn remember(cookie: &str) -> Response {
    let cookie = HeaderValue::from_str(cookie).expect("letters and digits only");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/productpage")).into_response()
}

/// Who is signed in becomes the header `end-user`, by which the mesh may route.
fn with_user(mut headers: HeaderMap) -> (HeaderMap, Option<String>) {
    let cookies = headers.get_all(header::COOKIE).iter();
    let user = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(USER_COOKIE))
        .filter(|user| !user.is_empty() && user.len() <= USER_BYTES_MAX)
        .map(str::to_owned);
    if let Some(value) = user
        .as_ref()
        .and_then(|user| HeaderValue::from_str(user).ok())
    {
        headers.insert("end-user", value);
    }
    (headers, user)
}
