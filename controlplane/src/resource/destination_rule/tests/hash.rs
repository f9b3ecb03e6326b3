//! Endpoints that are chosen by a hash of the request.

use std::time::Duration;

use ringmain_config::cluster::{Balancer, HashCookie, HashKey};

use super::{check, read};

/// The balancer and key of a rule with this `consistentHash`.
fn hash(text: &str) -> (Balancer, Option<HashKey>) {
    let policy = format!("{{loadBalancer: {{consistentHash: {text}}}}}");
    let found = read(&format!("host: a\ntrafficPolicy: {policy}"))
        .settings(None, 80)
        .balancer;
    (found.balancer, found.hash)
}

const RING: Balancer = Balancer::RingHash { entries_min: 1024 };

#[test]
fn keys() {
    let cookie = |path: &str, ttl, attributes: &[(&str, &str)]| {
        let attributes = attributes.iter();
        let owned = attributes.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        HashKey::Cookie(HashCookie {
            name: "user".to_owned(),
            path: path.to_owned(),
            ttl,
            attributes: owned.collect(),
        })
    };
    for (text, expected) in [
        (
            "{httpHeaderName: X-User}",
            HashKey::Header("x-user".to_owned()),
        ),
        (
            "{httpHeaderName: ':authority'}",
            HashKey::Header("host".to_owned()),
        ),
        ("{useSourceIp: true}", HashKey::SourceAddress),
        (
            "{httpQueryParameterName: User}",
            HashKey::QueryParameter("User".to_owned()),
        ),
        (
            "{httpQueryParameterName: u, useSourceIp: false}",
            HashKey::QueryParameter("u".to_owned()),
        ),
        ("{httpCookie: {name: user}}", cookie("", None, &[])),
        (
            "{httpCookie: {name: user, ttl: 0s}}",
            cookie("", Some(Duration::ZERO), &[]),
        ),
        (
            "{httpCookie: {name: user, path: /a, ttl: 1h, attributes: [{name: SameSite, value: \
             Lax}, {name: Secure}]}}",
            cookie(
                "/a",
                Some(Duration::from_secs(3600)),
                &[("SameSite", "Lax"), ("Secure", "")],
            ),
        ),
    ] {
        assert_eq!(hash(text), (RING, Some(expected)), "{text}");
    }
}

#[test]
fn rings_and_tables() {
    let ring = |entries_min| Balancer::RingHash { entries_min };
    let table = |entries| Balancer::Maglev { entries };
    for (text, expected) in [
        ("", RING),
        (", ringHash: {}", RING),
        (", ringHash: {minimumRingSize: 0}", RING),
        (", ringHash: {minimumRingSize: 1}", ring(1)),
        (", minimumRingSize: 4096", ring(4096)),
        (", maglev: {}", table(65_537)),
        (", maglev: {tableSize: 0}", table(65_537)),
        (", maglev: {tableSize: 2}", table(2)),
        (", maglev: {tableSize: 5000011}", table(5_000_011)),
    ] {
        let found = hash(&format!("{{useSourceIp: true{text}}}"));
        assert_eq!(found, (expected, Some(HashKey::SourceAddress)), "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_hash() {
    let place = "spec.trafficPolicy.loadBalancer.consistentHash";
    for (text, column, expected) in [
        (
            "{}",
            "48 error",
            ": it says not what is hashed; add `httpHeaderName`, `httpCookie`, \
             `httpQueryParameterName` or `useSourceIp: true`",
        ),
        (
            "{useSourceIp: false}",
            "48 error",
            ": it says not what is hashed; add `httpHeaderName`, `httpCookie`, \
             `httpQueryParameterName` or `useSourceIp: true`",
        ),
        (
            "{useSourceIp: true, httpHeaderName: a}",
            "48 error",
            ": `httpHeaderName` and `useSourceIp` exclude each other; remove one of them",
        ),
        (
            "{useSourceIp: true, ringHash: {}, maglev: {}}",
            "90 error",
            ".maglev: `ringHash` and `maglev` exclude each other; remove one of them",
        ),
        (
            "{useSourceIp: true, minimumRingSize: 5, maglev: {}}",
            "85 warning",
            ".minimumRingSize: `minimumRingSize` has no effect beside `maglev`; remove it",
        ),
        (
            "{useSourceIp: true, minimumRingSize: 5, ringHash: {}}",
            "85 warning",
            ".minimumRingSize: `minimumRingSize` has no effect beside `ringHash`; remove it",
        ),
        (
            "{useSourceIp: true, maglev: {tableSize: 65536}}",
            "88 error",
            ".maglev.tableSize: 65536 is not a prime number of at most 5000011; 65537 is usual",
        ),
        (
            "{useSourceIp: true, maglev: {tableSize: 1}}",
            "88 error",
            ".maglev.tableSize: 1 is not a prime number of at most 5000011; 65537 is usual",
        ),
        (
            "{useSourceIp: true, maglev: {tableSize: 5000077}}",
            "88 error",
            ".maglev.tableSize: 5000077 is not a prime number of at most 5000011; 65537 is usual",
        ),
        (
            "{useSourceIp: true, maglev: {tableSize: 9223372036854775807}}",
            "88 error",
            ".maglev.tableSize: 9223372036854775807 is not a prime number of at most 5000011; \
             65537 is usual",
        ),
        (
            "{useSourceIp: true, ringHash: {minimumRingSize: 8388609}}",
            "96 error",
            ".ringHash.minimumRingSize: 8388609 is not between 0 and 8388608",
        ),
        (
            "{httpHeaderName: 'a b'}",
            "65 error",
            ".httpHeaderName: `a b` is not the name of a header",
        ),
        (
            "{httpHeaderName: ':path'}",
            "65 error",
            ".httpHeaderName: `:path` is not the name of a header; of what begins with a colon, \
             only `:authority` can be hashed",
        ),
        (
            "{httpQueryParameterName: ''}",
            "73 error",
            ".httpQueryParameterName: it is empty",
        ),
        (
            "{httpCookie: {path: /}}",
            "61 error",
            ".httpCookie.name: `name` is missing",
        ),
        (
            "{httpCookie: {name: 'a=b', ttl: 1s}}",
            "68 error",
            ".httpCookie.name: `a=b` is not the name of a cookie",
        ),
        (
            "{httpCookie: {name: a, ttl: 1s, path: '/;x'}}",
            "86 error",
            ".httpCookie.path: it cannot hold `;`, a line break or another control character",
        ),
        (
            "{httpCookie: {name: a, ttl: 1s, attributes: [{name: b, value: \"c\\r\\nd: e\"}]}}",
            "110 error",
            ".httpCookie.attributes[0].value: it cannot hold `;`, a line break or another control \
             character",
        ),
        (
            "{httpCookie: {name: a, path: /}}",
            "77 warning",
            ".httpCookie.path: `path` has no effect without `ttl`: no cookie is given; add `ttl`; \
             `0s` is a session's",
        ),
    ] {
        let spec = format!("host: a\ntrafficPolicy: {{loadBalancer: {{consistentHash: {text}}}}}");
        let mut lines = vec![format!("2:{column}: {place}{expected}")];
        if text.contains("{path: /}") {
            let warning = "2:68 warning";
            lines.push(format!(
                "{warning}: {place}.httpCookie.path: `path` has no effect without `ttl`: no \
                 cookie is given; add `ttl`; `0s` is a session's"
            ));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check("DestinationRule", &spec, &lines);
    }
    check(
        "DestinationRule",
        "host: a\ntrafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: \
         true}}}",
        &[
            "2:31 error: spec.trafficPolicy.loadBalancer: `simple` and `consistentHash` exclude \
             each other; remove one of them",
        ],
    );
}
