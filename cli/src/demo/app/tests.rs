use std::sync::Mutex;

use axum::{
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;

/// Serves `router` on a free port for the rest of the test.
async fn start(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve::serve_until(listener, router, std::future::pending()));
    address
}

async fn start_app(name: Name, version: Version, mesh: Option<SocketAddr>) -> SocketAddr {
    let listen = "127.0.0.1:0".parse().unwrap();
    let args = Arguments {
        name,
        version,
        listen,
        mesh,
        parent: Parent::default(),
    };
    start(router(&args).unwrap()).await
}

/// What a stand-in for the mesh saw: host, path and headers.
type Seen = Arc<Mutex<Vec<(String, String, axum::http::HeaderMap)>>>;

/// Answers as the service named in the host header would, or 503 for the one in `broken`.
async fn start_mesh(broken: &'static str) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let answer = move |request: Request| {
        let record = Arc::clone(&record);
        async move {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let path = request.uri().path().to_owned();
            let service = host.strip_suffix(":9080").unwrap().to_owned();
            let headers = request.headers().clone();
            record
                .lock()
                .unwrap()
                .push((service.clone(), path, headers));
            if service == broken {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            stand_in(&service).await
        }
    };
    let address = start(Router::new().fallback(answer)).await;
    (address, seen)
}

async fn stand_in(service: &str) -> Response {
    let body = match service {
        "details" => json!({"id": 0, "author": "A. & B. <Sisters>", "pages": 7}),
        "reviews" => json!({"reviews": [
            {"reviewer": "R1", "text": "good", "rating": {"stars": 3, "color": "red"}},
        ]}),
        "ratings" => json!({"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}),
        other => panic!("{other} is no service of the shop"),
    };
    Json(body).into_response()
}

async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    use axum::body::{Body, to_bytes};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let mut request = axum::http::Request::get(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let response = client
        .request(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), 1 << 20)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get_json(address: SocketAddr, path: &str) -> Value {
    let (status, body) = get(address, path, &[]).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn leaves_answer_by_themselves() {
    let details = start_app(Name::Details, Version::V1, None).await;
    assert_eq!(get_json(details, "/details/7").await["id"], 7);
    let ratings = start_app(Name::Ratings, Version::V1, None).await;
    assert_eq!(
        get_json(ratings, "/ratings/0").await["ratings"]["Reviewer1"],
        5
    );
    assert_eq!(get_json(ratings, "/health").await["status"], "healthy");
    assert_eq!(get(ratings, "/nothing", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn versions_of_details_differ_in_kind() {
    for (version, kind) in [(Version::V1, "paperback"), (Version::V2, "electronic")] {
        let details = start_app(Name::Details, version, None).await;
        assert_eq!(get_json(details, "/details/0").await["type"], kind);
    }
}

/// A database is asked through the proxy's port for it, so it stands in for the mesh here.
#[tokio::test]
async fn later_ratings_are_those_of_a_database() {
    for (version, stars) in [(Version::V1, 1), (Version::V2, 2), (Version::V3, 3)] {
        let database = start_app(Name::Database, version, None).await;
        let ratings = start_app(Name::Ratings, Version::V2, Some(database)).await;
        let answer = get_json(ratings, "/ratings/7").await;
        let expected = json!({"id": 7, "ratings": {"Reviewer1": stars, "Reviewer2": stars}});
        assert_eq!(answer, expected);
    }
    let (mesh, _) = start_mesh("database").await;
    let ratings = start_app(Name::Ratings, Version::V2, Some(mesh)).await;
    let (status, body) = get(ratings, "/ratings/0", &[]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "database: status 503 Service Unavailable\n");
}

#[tokio::test]
async fn versions_of_reviews_differ_in_stars() {
    for (version, color) in [
        (Version::V1, Value::Null),
        (Version::V2, json!("black")),
        (Version::V3, json!("red")),
    ] {
        let (mesh, seen) = start_mesh("").await;
        let reviews = start_app(Name::Reviews, version, Some(mesh)).await;
        let answer = get_json(reviews, "/reviews/0").await;
        assert_eq!(
            answer["reviews"][0]["rating"]["color"], color,
            "{version:?}"
        );
        let asked: Vec<_> = seen
            .lock()
            .unwrap()
            .iter()
            .map(|call| call.0.clone())
            .collect();
        let expected = if version == Version::V1 {
            vec![]
        } else {
            vec!["ratings"]
        };
        assert_eq!(asked, expected, "{version:?}");
    }
}

#[tokio::test]
async fn the_page_asks_two_services_and_copies_headers() {
    let (mesh, seen) = start_mesh("").await;
    let page = start_app(Name::Productpage, Version::V1, Some(mesh)).await;
    let headers = [
        ("x-request-id", "id-1"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("cookie", "theme=dark; user=jason"),
        ("x-secret", "not copied"),
    ];
    let (status, body) = get(page, "/productpage", &headers).await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "A. &amp; B. &lt;Sisters&gt;",
        "class=\"red\"",
        "jason",
        "good",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let seen = seen.lock().unwrap();
    let mut paths: Vec<_> = seen.iter().map(|call| call.1.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/details/0", "/reviews/0"]);
    for (service, _, headers) in seen.iter() {
        assert_eq!(headers["x-request-id"], "id-1", "{service}");
        assert!(headers.contains_key("traceparent"), "{service}");
        assert_eq!(headers["end-user"], "jason", "{service}");
        assert!(!headers.contains_key("x-secret"), "{service}");
    }
}

#[tokio::test]
async fn a_broken_service_is_named() {
    let (mesh, _) = start_mesh("reviews").await;
    let page = start_app(Name::Productpage, Version::V1, Some(mesh)).await;
    let (status, body) = get(page, "/productpage", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        body.contains("reviews cannot be shown: status 503"),
        "{body}"
    );
    assert!(body.contains("Sisters"), "{body}");
    let (status, body) = get(page, "/api/v1/products/0/reviews", &[]).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("reviews: status 503"), "{body}");
    assert_eq!(get_json(page, "/api/v1/products/0").await["pages"], 7);
}

#[tokio::test]
async fn reviews_without_ratings_are_still_reviews() {
    let (mesh, _) = start_mesh("ratings").await;
    let reviews = start_app(Name::Reviews, Version::V3, Some(mesh)).await;
    let answer = get_json(reviews, "/reviews/0").await;
    let review = &answer["reviews"][0];
    assert_eq!(
        review["rating"]["error"],
        "ratings: status 503 Service Unavailable"
    );
    assert!(review["text"].is_string());
}

#[tokio::test]
async fn products_and_signing_in() {
    let (mesh, _) = start_mesh("").await;
    let page = start_app(Name::Productpage, Version::V1, Some(mesh)).await;
    assert_eq!(get_json(page, "/api/v1/products").await[0]["id"], 0);
    assert_eq!(get(page, "/logout", &[]).await.0, StatusCode::SEE_OTHER);
    assert_eq!(get(page, "/static/style.css", &[]).await.0, StatusCode::OK);
}

#[test]
fn statuses_of_faults_need_no_reason() {
    for (status, text) in [(503, "status 503 Service Unavailable"), (555, "status 555")] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(calls::CallError::Status(status).to_string(), text);
    }
}

#[test]
fn callers_need_a_proxy() {
    let listen = "127.0.0.1:0".parse().unwrap();
    for (name, version, needs) in [
        (Name::Productpage, Version::V1, true),
        (Name::Reviews, Version::V1, false),
        (Name::Reviews, Version::V2, true),
        (Name::Ratings, Version::V1, false),
        (Name::Ratings, Version::V2, true),
        (Name::Details, Version::V2, false),
        (Name::Database, Version::V1, false),
    ] {
        let args = Arguments {
            name,
            version,
            listen,
            mesh: None,
            parent: Parent::default(),
        };
        assert_eq!(router(&args).is_none(), needs, "{name:?} {version:?}");
    }
}
