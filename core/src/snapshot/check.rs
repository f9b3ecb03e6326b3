//! What is wrong with a cluster as such: settings that it could not be used with.

use ringmain_config::{
    cluster::{Cluster, HashCookie, HashKey, HttpConnections, Transport},
    document::Document,
};

use crate::{
    balance,
    header::{is_control_byte, is_token},
    place::{Place, Problems},
    tls,
};

/// Reports what is wrong with `cluster`; says whether its balancer can be used.
pub(super) fn cluster(cluster: &Cluster, document: &Document, problems: &mut Problems) -> bool {
    let place = Place::top("cluster", &cluster.name, cluster.origin.as_ref());
    match &cluster.transport {
        Transport::Plaintext => {}
        Transport::Tls(own) | Transport::Mesh(own) => tls::client(own, document, &place, problems),
    }
    if let Some(key) = &cluster.hash {
        let place = Place::below(&place, "hash", "", None);
        hash_key(key, &place, problems);
    }
    let http = Place::below(&place, "connections", "", None);
    http_connections(&cluster.connections.http, &http, problems);
    if let Some(budget) = &cluster.retry_budget
        && budget.share > BUDGET_SHARE_MAX
    {
        let place = Place::below(&place, "retry budget", "", None);
        let share = budget.share;
        let message = format!("a share of {share} hundredths of a percent is over 10000");
        problems.add(&place, message);
    }
    let place = Place::below(&place, "balancer", "", None);
    balance::check(cluster.balancer, &place, problems)
}

/// All active requests, in hundredths of a percent.
const BUDGET_SHARE_MAX: u32 = 10_000;

fn hash_key(key: &HashKey, place: &Place<'_>, problems: &mut Problems) {
    match key {
        HashKey::SourceAddress => {}
        HashKey::Header(name) => {
            if !is_token(name.as_bytes()) {
                let message = format!("{name:?} is not a header name (RFC 9110 section 5.6.2)");
                problems.add(place, message);
            }
        }
        HashKey::QueryParameter(name) => {
            if name.is_empty() {
                problems.add(place, "the name of the query parameter is empty");
            }
        }
        HashKey::Cookie(cookie) => hash_cookie(cookie, place, problems),
    }
}

fn hash_cookie(cookie: &HashCookie, place: &Place<'_>, problems: &mut Problems) {
    let place = Place::below(place, "cookie", &cookie.name, None);
    if !is_token(cookie.name.as_bytes()) {
        problems.add(&place, "not the name of a cookie (RFC 6265 section 4.1.1)");
    }
    let is_value = |text: &str| {
        !text
            .bytes()
            .any(|byte| is_control_byte(byte) || byte == b';')
    };
    if !is_value(&cookie.path) {
        let path = &cookie.path;
        let message =
            format!("path {path:?} holds `;` or a control character (RFC 6265 section 4.1.1)");
        problems.add(&place, message);
    }
    for (name, value) in &cookie.attributes {
        if !is_token(name.as_bytes()) || !is_value(value) {
            let message = format!(
                "attribute {name:?} with value {value:?}: its name must be a token, its value \
                 without `;` and control characters (RFC 6265 section 4.1.1)"
            );
            problems.add(&place, message);
        }
    }
}

fn http_connections(http: &HttpConnections, place: &Place<'_>, problems: &mut Problems) {
    if http.streams_max == Some(0) {
        let message = "0 requests at a time on an HTTP/2 connection: none could be sent";
        problems.add(place, message);
    }
    let Some(keep_alive) = &http.keep_alive else {
        return;
    };
    let place = Place::below(place, "keep alive", "", None);
    for (name, duration) in [
        ("interval", keep_alive.interval),
        ("timeout", keep_alive.timeout),
    ] {
        if duration.is_zero() {
            problems.add(&place, format!("its {name} is 0"));
        }
    }
}
