use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
};

use proptest::prelude::*;

use super::*;
use crate::failure::Flag;

fn workload(name: &str) -> Arc<Workload> {
    Arc::new(Workload {
        name: format!("{name}-v1"),
        namespace: "default".to_owned(),
        app: name.to_owned(),
        version: "v1".to_owned(),
        canonical_service: name.to_owned(),
        canonical_revision: "v1".to_owned(),
        service_account: format!("bookinfo-{name}"),
    })
}

fn labels() -> RequestLabels {
    RequestLabels {
        reporter: Reporter::Source,
        source: workload("productpage"),
        destination: workload("reviews"),
        service: Arc::new(Service {
            host: "reviews.default.svc.cluster.local".to_owned(),
            name: "reviews".to_owned(),
            namespace: "default".to_owned(),
        }),
        protocol: RequestProtocol::HTTP,
        status: 200,
        flags: Flags::NONE,
    }
}

fn check(labels: RequestLabels, expected: &str) {
    let mut out = Vec::new();
    Labels::Requests(labels).write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn labels_are_istios() {
    check(
        labels(),
        "reporter=\"source\",source_workload=\"productpage-v1\",\
         source_canonical_service=\"productpage\",source_canonical_revision=\"v1\",\
         source_workload_namespace=\"default\",source_principal=\"unknown\",\
         source_app=\"productpage\",source_version=\"v1\",source_cluster=\"unknown\",\
         destination_workload=\"reviews-v1\",destination_workload_namespace=\"default\",\
         destination_principal=\"unknown\",destination_app=\"reviews\",\
         destination_version=\"v1\",\
         destination_service=\"reviews.default.svc.cluster.local\",\
         destination_canonical_service=\"reviews\",destination_canonical_revision=\"v1\",\
         destination_service_name=\"reviews\",destination_service_namespace=\"default\",\
         destination_cluster=\"unknown\",request_protocol=\"http\",response_code=\"200\",\
         grpc_response_status=\"\",response_flags=\"-\",connection_security_policy=\"unknown\"",
    );
    check(
        RequestLabels {
            reporter: Reporter::Destination,
            source: Arc::default(),
            destination: Arc::default(),
            service: Arc::default(),
            protocol: RequestProtocol::HTTP,
            status: 0,
            flags: Flag::Dc.into(),
        },
        "reporter=\"destination\",source_workload=\"unknown\",\
         source_canonical_service=\"unknown\",source_canonical_revision=\"latest\",\
         source_workload_namespace=\"unknown\",source_principal=\"unknown\",\
         source_app=\"unknown\",source_version=\"unknown\",source_cluster=\"unknown\",\
         destination_workload=\"unknown\",destination_workload_namespace=\"unknown\",\
         destination_principal=\"unknown\",destination_app=\"unknown\",\
         destination_version=\"unknown\",destination_service=\"unknown\",\
         destination_canonical_service=\"unknown\",destination_canonical_revision=\"latest\",\
         destination_service_name=\"unknown\",destination_service_namespace=\"unknown\",\
         destination_cluster=\"unknown\",request_protocol=\"http\",response_code=\"0\",\
         grpc_response_status=\"\",response_flags=\"DC\",connection_security_policy=\"none\"",
    );
}

/// The number of values is bounded, whatever a server says.
#[test]
fn requests_of_grpc_have_their_status() {
    let (grpc, told) = (RequestProtocol::GRPC, RequestProtocol::told);
    for (protocol, status, expected) in [
        (RequestProtocol::HTTP, 200, "http "),
        (RequestProtocol::HTTP, 0, "http "),
        (told(0), 200, "grpc 0"),
        (told(16), 200, "grpc 16"),
        (told(17), 200, "grpc other"),
        (told(300), 200, "grpc other"),
        (told(u32::MAX), 200, "grpc other"),
        (told(5), 0, "grpc 5"),
        // Nothing was told: what clients make of that.
        (grpc, 0, "grpc "),
        (grpc, 200, "grpc 2"),
        (grpc, 404, "grpc 12"),
        (grpc, 503, "grpc 14"),
    ] {
        let protocol = protocol.ended(status);
        let found = format!("{} {}", protocol.name(), protocol.status());
        assert_eq!(found, expected, "{protocol:?} {status}");
    }
    let all: std::collections::HashSet<_> = (0..1000).map(told).collect();
    assert_eq!(all.len(), 18);
    let mut out = Vec::new();
    let protocol = told(14);
    Labels::Requests(RequestLabels {
        protocol,
        ..labels()
    })
    .write(&mut out);
    let out = String::from_utf8(out).unwrap();
    let expected = "request_protocol=\"grpc\",response_code=\"200\",grpc_response_status=\"14\"";
    assert!(out.contains(expected), "{out}");
}

fn connection_labels() -> ConnectionLabels {
    let RequestLabels {
        reporter,
        source,
        destination,
        service,
        ..
    } = labels();
    ConnectionLabels {
        reporter,
        source,
        destination,
        service,
        flags: Flags::NONE,
    }
}

/// Istio's labels of TCP metrics: those of requests but for the two that need an answer.
#[test]
fn labels_of_connections_are_istios() {
    let written = |labels: Labels| {
        let mut out = Vec::new();
        labels.write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let of_requests = written(Labels::Requests(labels()));
    let expected = of_requests
        .replace("request_protocol=\"http\"", "request_protocol=\"tcp\"")
        .replace("response_code=\"200\",grpc_response_status=\"\",", "");
    assert_eq!(written(Labels::Connections(connection_labels())), expected);
    assert_eq!(expected.split(',').count(), LABEL_NAMES.len() - 2);

    let failed = ConnectionLabels {
        reporter: Reporter::Destination,
        source: Arc::default(),
        destination: Arc::default(),
        service: Arc::default(),
        flags: Flags::from(Flag::Uf).with(Flag::Urx),
    };
    let failed = written(Labels::Connections(failed));
    for label in [
        "reporter=\"destination\"",
        "destination_workload=\"unknown\"",
        "destination_canonical_revision=\"latest\"",
        "request_protocol=\"tcp\"",
        "response_flags=\"UF,URX\"",
        "connection_security_policy=\"none\"",
    ] {
        assert!(failed.contains(label), "{label} in {failed}");
    }

    // When there is no series of their own, connections still have no labels of requests.
    let mut overflow = Vec::new();
    Labels::Overflow.write_of_connections(&mut overflow);
    let overflow = String::from_utf8(overflow).unwrap();
    let names = |text: &str| -> Vec<String> {
        let pairs = text.replace("UF,URX", "UF");
        let names = pairs.split(',').map(|pair| pair.split('=').next());
        names.map(|name| name.unwrap().to_owned()).collect()
    };
    assert_eq!(names(&overflow), names(&failed));
}

#[test]
fn connections_and_requests_are_different_series() {
    let hashes = HashMap::<(), ()>::new();
    let of = |labels: ConnectionLabels| Labels::Connections(labels);
    assert_eq!(of(connection_labels()), of(connection_labels()));
    let hash = |labels: &Labels| hashes.hasher().hash_one(labels);
    assert_eq!(
        hash(&of(connection_labels())),
        hash(&of(connection_labels()))
    );
    assert_ne!(of(connection_labels()), Labels::Requests(labels()));
    let reset = ConnectionLabels {
        flags: Flag::Uc.into(),
        ..connection_labels()
    };
    assert_ne!(of(connection_labels()), of(reset));
}

#[test]
fn overflow_names_every_label() {
    let mut out = Vec::new();
    Labels::Overflow.write(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.split(',').count(), LABEL_NAMES.len());
    assert!(text.split(',').all(|pair| pair.ends_with("=\"overflow\"")));
}

#[test]
fn reporters() {
    assert_eq!(Reporter::of(Direction::Gateway), Reporter::Source);
    assert_eq!(Reporter::of(Direction::Outbound), Reporter::Source);
    assert_eq!(Reporter::of(Direction::Inbound), Reporter::Destination);
}

#[test]
fn series_are_equal_by_content() {
    let hashes = HashMap::<(), ()>::new();
    let hash = |labels: RequestLabels| hashes.hasher().hash_one(Labels::Requests(labels));
    assert_eq!(Labels::Requests(labels()), Labels::Requests(labels()));
    assert_eq!(hash(labels()), hash(labels()));
    let mut other = labels();
    other.status = 503;
    assert_ne!(hash(labels()), hash(other.clone()));
    assert_ne!(Labels::Requests(labels()), Labels::Requests(other));
    assert_ne!(Labels::Requests(labels()), Labels::Overflow);
}

#[test]
fn values_and_help_are_escaped() {
    let mut out = Vec::new();
    write_label(&mut out, "app", "a\"b\\c\nd é");
    let family = Family {
        name: "x",
        help: "a \"b\"\\\nc",
        kind: Kind::Gauge,
    };
    out.push(b'\n');
    family.write_head(&mut out);
    family.write_sample(&mut out, "", b"");
    family.write_sample(&mut out, "_sum", b"a=\"b\"");
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "app=\"a\\\"b\\\\c\\nd é\"\n# HELP x a \"b\"\\\\\\nc\n# TYPE x gauge\nx x_sum{a=\"b\"} "
    );
}

#[test]
fn the_proxys_own_workload() {
    let check = |pairs: &[(&str, &str)], expected: [&str; 4]| {
        let node = Node {
            name: "reviews-v2-1".to_owned(),
            namespace: "shop".to_owned(),
            labels: pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            ..Node::default()
        };
        let workload = workload_of(&node);
        assert_eq!(workload.name, "reviews-v2-1");
        assert_eq!(workload.namespace, "shop");
        assert_eq!(
            [
                &*workload.app,
                &*workload.version,
                &*workload.canonical_service,
                &*workload.canonical_revision
            ],
            expected
        );
    };
    check(&[], ["", "", "reviews-v2-1", ""]);
    check(
        &[("app", "reviews"), ("version", "v2")],
        ["reviews", "v2", "reviews", "v2"],
    );
    check(
        &[
            ("app", "reviews"),
            ("version", "v2"),
            ("app.kubernetes.io/name", "reviews-k8s"),
            ("app.kubernetes.io/version", "2.0"),
        ],
        ["reviews", "v2", "reviews-k8s", "2.0"],
    );
    check(
        &[
            ("service.istio.io/canonical-name", "canonical"),
            ("service.istio.io/canonical-revision", "7"),
            ("app.kubernetes.io/name", "reviews-k8s"),
            ("version", "v2"),
        ],
        ["", "v2", "canonical", "7"],
    );
}

#[test]
fn bounds_agree() {
    for (index, bound) in BOUNDS.iter().enumerate() {
        let bound: f64 = bound.parse().unwrap();
        assert_eq!(BOUNDS_MICROS[index] as f64, bound * 1000.0);
        assert_eq!(BOUNDS_BYTES[index] as f64, bound.floor());
    }
}

proptest! {
    #[test]
    fn buckets_hold_what_their_bounds_say(exponent in 0..40u32, offset in 0..3u64) {
        let value = (1u64 << exponent).saturating_add(offset).saturating_sub(1);
        check_bucket(value);
        for bound in BOUNDS_MICROS.into_iter().chain(BOUNDS_BYTES) {
            check_bucket((bound + offset).saturating_sub(1));
        }
    }
}

/// `le` is inclusive, and the bucket is the first that holds the value.
fn check_bucket(value: u64) {
    let expected = |value: f64| {
        let fits = |bound: &&str| value <= bound.parse().unwrap();
        BOUNDS.iter().position(fits).unwrap_or(BUCKETS - 1)
    };
    assert_eq!(duration_bucket(value), expected(value as f64 / 1000.0));
    assert_eq!(size_bucket(value), expected(value as f64));
}
