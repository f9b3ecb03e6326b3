//! The list of admin paths: adding one is adding an entry to [`ENDPOINTS`].

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{Query, Request},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use ringmain_config::{document::PartKind, problem::nearest};
use serde::Serialize;

use super::{
    AdminState, Health, Readiness,
    guard::{self, Sender},
    render,
};

/// One path.
struct Endpoint {
    method: Method,
    path: &'static str,
    /// Names of its query parameters.
    parameters: &'static [&'static str],
    /// For `/help`.
    help: &'static str,
    answer: fn(&dyn AdminState, &Parameters) -> Answer,
}

type Parameters = BTreeMap<String, String>;
type Answer = Result<Response, Bad>;

/// A query that is not understood: what is wrong with it.
struct Bad(String);

const fn read(
    path: &'static str,
    parameters: &'static [&'static str],
    help: &'static str,
    answer: fn(&dyn AdminState, &Parameters) -> Answer,
) -> Endpoint {
    Endpoint {
        method: Method::GET,
        path,
        parameters,
        help,
        answer,
    }
}

const fn change(
    path: &'static str,
    help: &'static str,
    answer: fn(&dyn AdminState, &Parameters) -> Answer,
) -> Endpoint {
    Endpoint {
        method: Method::POST,
        path,
        parameters: &[],
        help,
        answer,
    }
}

static ENDPOINTS: [Endpoint; 12] = [
    read("/", &[], "this list", help),
    read(
        "/clusters",
        &["format"],
        "clusters and their endpoints, with counters (?format=json)",
        |state, parameters| {
            let clusters = state.clusters();
            Ok(if is_json(parameters)? {
                json(&render::clusters_json(&clusters))
            } else {
                text(render::clusters_text(&clusters))
            })
        },
    ),
    read(
        "/config_dump",
        &["kind", "name"],
        "the configuration in force, where it came from and who asked for each part \
         (?kind=listener|route_table|cluster|endpoint_set, ?name=NAME)",
        |state, parameters| {
            let kind = parameters.get("kind").map(|kind| part_kind(kind));
            let name = parameters.get("name").map(String::as_str);
            let configuration = state.configuration();
            Ok(json(&render::config_dump(
                &configuration,
                kind.transpose()?,
                name,
            )))
        },
    ),
    change(
        "/drain_listeners",
        "accept no more connections; those that are open go on",
        |state, _| {
            state.drain_listeners();
            Ok(ok())
        },
    ),
    change(
        "/healthcheck/fail",
        "be not ready, so that traffic is taken away",
        |state, _| {
            state.set_health(Health::Fail);
            Ok(ok())
        },
    ),
    change("/healthcheck/ok", "undo /healthcheck/fail", |state, _| {
        state.set_health(Health::Ok);
        Ok(ok())
    }),
    read("/help", &[], "this list", help),
    read(
        "/listeners",
        &["format"],
        "listeners and whether they are bound (?format=json: on each worker)",
        |state, parameters| {
            let listeners = state.listeners();
            Ok(if is_json(parameters)? {
                json(&render::listeners_json(&listeners))
            } else {
                text(render::listeners_text(&listeners))
            })
        },
    ),
    change(
        "/quitquitquit",
        "drain, then end the process",
        |state, _| {
            state.quit();
            Ok(ok())
        },
    ),
    read(
        "/ready",
        &[],
        "200 when traffic can be sent here, 503 and the reason when not",
        |state, _| {
            Ok(match state.readiness() {
                Readiness::Live => text("LIVE\n".into()),
                Readiness::NotReady(reason) => {
                    let body = text(format!("{reason}\n"));
                    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
                }
            })
        },
    ),
    read(
        "/server_info",
        &[],
        "version, state, uptime, I/O, workers, control plane",
        |state, _| Ok(json(&state.server_info())),
    ),
    read(
        "/stats/prometheus",
        &[],
        "metrics for Prometheus",
        |state, _| {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            Ok(([(header::CONTENT_TYPE, kind)], state.metrics()).into_response())
        },
    ),
];

/// Every endpoint, behind the guard.
pub(super) fn router(state: Arc<dyn AdminState>) -> Router {
    let mut router = Router::new();
    for endpoint in &ENDPOINTS {
        let state = state.clone();
        let answer = async move |Query(parameters): Query<Parameters>| {
            check_parameters(endpoint, &parameters)
                .and_then(|()| (endpoint.answer)(&*state, &parameters))
                .unwrap_or_else(|Bad(why)| (StatusCode::BAD_REQUEST, text(why)).into_response())
        };
        let route = if endpoint.method == Method::GET {
            get(answer)
        } else {
            post(answer)
        };
        router = router.route(endpoint.path, route);
    }
    router
        .fallback(async |uri: Uri| not_found(uri.path()))
        .method_not_allowed_fallback(async |uri: Uri| wrong_method(uri.path()))
        .layer(from_fn(guarded))
}

async fn guarded(request: Request, next: Next) -> Response {
    let mut response = match check_sender(&request) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, text(why)).into_response(),
    };
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CACHE_CONTROL, fixed("no-cache, max-age=0"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    response
}

fn check_sender(request: &Request) -> Result<(), String> {
    let field = |name| {
        let value = request.headers().get(name);
        // Bytes that are no text become a host that is none of ours.
        value.map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    let authority = request.uri().authority();
    guard::check(Sender {
        host: authority
            .map(|authority| authority.as_str())
            .or_else(|| field(header::HOST)),
        origin: field(header::ORIGIN),
    })
}

fn check_parameters(endpoint: &Endpoint, parameters: &Parameters) -> Result<(), Bad> {
    let unknown = parameters
        .keys()
        .find(|name| !endpoint.parameters.contains(&name.as_str()));
    let Some(name) = unknown else {
        return Ok(());
    };
    let (path, known) = (endpoint.path, endpoint.parameters);
    Err(Bad(if known.is_empty() {
        format!("{path} has no parameter {name:?}, it has none at all\n")
    } else {
        format!(
            "{path} has no parameter {name:?}; it has: {}\n",
            known.join(", ")
        )
    }))
}

fn is_json(parameters: &Parameters) -> Result<bool, Bad> {
    match parameters.get("format").map(String::as_str) {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(Bad(format!("format is text or json, not {other:?}\n"))),
    }
}

fn part_kind(text: &str) -> Result<PartKind, Bad> {
    let word = |kind: PartKind| kind.called().replace(' ', "_");
    let found = PartKind::ALL.iter().find(|kind| word(**kind) == text);
    found.copied().ok_or_else(|| {
        let known: Vec<String> = PartKind::ALL.iter().map(|kind| word(*kind)).collect();
        Bad(format!(
            "kind is one of {}, not {text:?}\n",
            known.join(", ")
        ))
    })
}

#[allow(clippy::unnecessary_wraps, reason = "it is an entry of the list")]
fn help(_: &dyn AdminState, _: &Parameters) -> Answer {
    let mut list = String::from("The admin endpoint of ringmain proxy:\n");
    for endpoint in &ENDPOINTS {
        let Endpoint {
            method, path, help, ..
        } = endpoint;
        let method = method.as_str();
        list.push_str(&format!("  {method:<4} {path:<20} {help}\n"));
    }
    Ok(text(list))
}

fn not_found(path: &str) -> Response {
    let hint = match nearest(path, ENDPOINTS.iter().map(|endpoint| endpoint.path)) {
        Some(near) => format!("did you mean {near}?"),
        None => "see /help".into(),
    };
    (
        StatusCode::NOT_FOUND,
        text(format!("there is no {path}; {hint}\n")),
    )
        .into_response()
}

fn wrong_method(path: &str) -> Response {
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path);
    let method = endpoint.map_or(&Method::GET, |endpoint| &endpoint.method);
    let body = text(format!(
        "{path} wants {method}: curl -X {method} ...{path}\n"
    ));
    (StatusCode::METHOD_NOT_ALLOWED, body).into_response()
}

fn text(body: String) -> Response {
    body.into_response()
}

fn ok() -> Response {
    text("OK\n".into())
}

fn json(body: &impl Serialize) -> Response {
    let kind = HeaderValue::from_static("application/json");
    let mut bytes =
        serde_json::to_vec_pretty(body).expect("bodies have only string keys and finite values");
    bytes.push(b'\n');
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}
