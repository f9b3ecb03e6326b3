use super::*;
use crate::resource::{
    destination_rule, gateway, peer_authentication, service, service_entry, sidecar,
    virtual_service, workload_entry,
};

/// Every kind's table.
fn tables() -> [(&'static str, &'static [Field]); 8] {
    [
        ("Gateway", &gateway::DOCUMENT),
        ("VirtualService", &virtual_service::DOCUMENT),
        ("DestinationRule", &destination_rule::DOCUMENT),
        ("ServiceEntry", &service_entry::DOCUMENT),
        ("WorkloadEntry", &workload_entry::DOCUMENT),
        ("Sidecar", &sidecar::DOCUMENT),
        ("Service", &service::DOCUMENT),
        ("PeerAuthentication", &peer_authentication::DOCUMENT),
    ]
}

/// Calls `visit` with every field below `shape` and the way to it.
fn walk(path: &str, shape: &Shape, visit: &mut dyn FnMut(&str, &[Field])) {
    match shape {
        Shape::Object(fields) => {
            visit(path, fields);
            for field in *fields {
                walk(&format!("{path}.{}", field.name), &field.shape, visit);
            }
        }
        Shape::List(shape) | Shape::FullList(shape) | Shape::Map(_, shape) => {
            walk(path, shape, visit);
        }
        Shape::Text
        | Shape::Form(_)
        | Shape::Boolean
        | Shape::Integer(..)
        | Shape::Number(..)
        | Shape::Duration(_)
        | Shape::PortOrName
        | Shape::Choice(_)
        | Shape::Any => {}
    }
}

#[test]
fn no_field_stands_twice_in_a_message() {
    for (kind, fields) in tables() {
        walk(kind, &Shape::Object(fields), &mut |path, fields| {
            let mut names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{path}: {names:?}");
        });
    }
}

#[test]
fn the_api_is_complete_at_the_top() {
    for (kind, expected) in [
        ("Gateway", "selector servers"),
        ("VirtualService", "exportTo gateways hosts http tcp tls"),
        (
            "DestinationRule",
            "exportTo host subsets trafficPolicy workloadSelector",
        ),
        (
            "ServiceEntry",
            "addresses endpoints exportTo hosts location ports resolution subjectAltNames \
             workloadSelector",
        ),
        (
            "WorkloadEntry",
            "address labels locality network ports serviceAccount weight",
        ),
        ("PeerAuthentication", "mtls portLevelMtls selector"),
        (
            "Sidecar",
            "egress inboundConnectionPool ingress outboundTrafficPolicy workloadSelector",
        ),
    ] {
        let table = tables().into_iter().find(|(name, _)| *name == kind);
        let (_, fields) = table.expect("the kind has a table");
        let spec = fields
            .iter()
            .find(|field| field.name == "spec")
            .expect("it has a spec");
        let Shape::Object(spec) = spec.shape else {
            panic!("{kind}");
        };
        let mut names: Vec<&str> = spec.iter().map(|field| field.name).collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), expected, "{kind}");
    }
}

/// A field that carries security must never be passed over with a warning.
#[test]
fn what_carries_security_has_its_effect_or_is_refused() {
    let secure = [
        "tls",
        "mtls",
        "portLevelMtls",
        "subjectAltNames",
        "loadBalancerSourceRanges",
    ];
    for (kind, fields) in tables() {
        walk(kind, &Shape::Object(fields), &mut |path, fields| {
            let is_secure = |field: &&Field| secure.contains(&field.name) || path.ends_with(".tls");
            for field in fields.iter().filter(is_secure) {
                let stands = matches!(field.support, Support::Full | Support::Refused(_));
                assert!(stands, "{path}.{}", field.name);
            }
        });
    }
}
