//! Whatever a file holds, reading it ends, and says where each problem is.

use proptest::prelude::*;
use ringmain_controlplane::resource::{Loaded, parse};

/// A resource of every kind, with most of what each can say.
const SEED: &str = r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: prod, labels: {app: edge}}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
    hosts: ["*", "./*.example.com"]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews, "*.example.com"]
  gateways: [prod/edge, mesh]
  http:
  - name: canary
    match:
    - uri: {prefix: /api}
      ignoreUriCase: true
      headers: {end-user: {exact: jason}, x-any: {}}
      queryParams: {q: {regex: "a+"}}
    timeout: 1.5s
    headers: {request: {set: {host: a}, remove: [x-a]}}
    rewrite: {uri: /, authority: b}
    retries: {attempts: 2, perTryTimeout: 1s, retryOn: "5xx, 503,reset", backoff: 10ms}
    mirrors: [{destination: {host: ratings}, percentage: {value: 0.5}}]
    corsPolicy: {allowOrigins: [{regex: "https://.*"}], allowMethods: [GET], maxAge: 1m}
    route:
    - destination: {host: reviews, subset: v1, port: {number: 9080}}
      weight: 90
    - destination: {host: reviews, subset: v2}
      weight: 10
  - fault: {delay: {fixedDelay: 1s, percent: 5}, abort: {grpcStatus: ABORTED, percent: 1}}
    match: [{method: {exact: POST}}]
    rewrite: {uriRegexRewrite: {match: "^/([a-z]+)", rewrite: "/x/\\1"}}
    route: [{destination: {host: reviews}}]
  - redirect: {uri: "%PREFIX()%/b", redirectCode: 308, derivePort: FROM_REQUEST_PORT}
  - directResponse: {status: 200, body: {bytes: aGVsbG8=}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: &policy
    loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s}, maglev: {tableSize: 11}}}
    connectionPool: {tcp: {connectTimeout: 1s}, http: {maxRetries: 9, useClientProtocol: true}}
    retryBudget: {percent: 12.5}
  subsets:
  - {name: v1, labels: {version: v1}, trafficPolicy: *policy}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.example.com]
  addresses: [10.0.0.0/8]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, ports: {http: 81}, labels: {version: v1}, weight: 2}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: vm.example.com, labels: {app: vm}, serviceAccount: vm}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: vm}
spec:
  workloadSelector: {labels: {app: vm}}
  ingress: [{port: {number: 80}, captureMode: NONE, defaultEndpoint: "127.0.0.1:81"}]
  egress: [{hosts: ["./*"], captureMode: NONE}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: any
  addresses: [{value: 127.0.0.1}]
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    hostname: "*.example.com"
    allowedRoutes:
      namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: b}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews}
spec:
  parentRefs: [{name: edge, sectionName: http}, {group: "", kind: Service, name: reviews, port: 80}]
  hostnames: [a.example.com]
  rules:
  - name: first
    matches: [{path: {value: /a}, method: GET, headers: [{name: x-a, value: b}]}]
    filters:
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}
    - {type: RequestMirror, requestMirror: {percent: 5, backendRef: {name: reviews, port: 80}}}
    - {type: CORS, cors: {allowOrigins: ["https://*.example.com"]}}
    backendRefs: [{name: reviews, port: 9080, weight: 3}]
    timeouts: {request: 10s, backendRequest: 1s500ms}
    retry: {codes: [503], attempts: 2, backoff: 100ms}
  - filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 308}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches:
    - {method: {service: a.B, method: C}}
    - {method: {type: RegularExpression, service: "a.*"}}
    backendRefs: [{name: reviews, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080, targetPort: http}]
"#;

/// What holds for every text.
fn check(text: &str) -> Loaded {
    let loaded = parse("file.yaml", text);
    let lines = u32::try_from(text.split('\n').count()).expect("texts are short");
    for problem in &loaded.problems {
        assert!((1..=lines).contains(&problem.line), "{problem}\n{text:?}");
        assert!(problem.column > 0, "{problem}\n{text:?}");
        assert!(!problem.message.is_empty() && !problem.path.is_empty());
    }
    check_next_document(text);
    loaded
}

/// A sound document that follows is read, and changes nothing of what was said of the others. Only
/// characters that no YAML holds there make the whole file unreadable.
fn check_next_document(text: &str) {
    let text = &format!("{text}\n");
    let loaded = &parse("file.yaml", text);
    let whole_file = |message: &str| {
        [
            "which no text may hold",
            "byte order mark",
            "carriage return",
        ]
        .iter()
        .any(|said| message.contains(said))
    };
    if loaded
        .problems
        .iter()
        .any(|problem| whole_file(&problem.message))
    {
        return;
    }
    let next = "{apiVersion: v1, kind: Service, metadata: {name: next}, spec: {}}";
    let both = parse("file.yaml", &format!("{text}---\n{next}\n"));
    let said = |loaded: &Loaded| -> Vec<(String, String)> {
        let problems = loaded.problems.iter();
        problems
            .map(|problem| (problem.path.clone(), problem.message.clone()))
            .collect()
    };
    assert_eq!(said(&both), said(loaded), "{text:?}");
    assert_eq!(both.resources.len(), loaded.resources.len() + 1, "{text:?}");
}

#[test]
fn the_seed_is_sound() {
    let loaded = check(SEED);
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.resources.len(), 10);
}

/// Something put into the seed, and how many characters give way to it.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let fragments = prop::sample::select(vec![
        "",
        "\n",
        "  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "&a ",
        "*a",
        "*policy",
        "<<: ",
        "|\n",
        ">-",
        "---\n",
        "...\n",
        "#",
        "!",
        "!!str ",
        "? ",
        "%",
        "~",
        "null",
        "true",
        "0",
        "-1",
        "1e9",
        "99999999999999999999",
        "*",
        "/",
        "\t",
        "\r",
        "\0",
        "ä",
        "\u{feff}",
        "name: ",
        "spec:",
        "http:",
        "route",
        ",",
    ]);
    let text = prop_oneof![3 => fragments.prop_map(str::to_owned), 1 => ".{0,4}"];
    (any::<prop::sample::Index>(), 0_usize..12, text)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_text(text in "(?s).{0,200}") {
        check(&text);
    }

    #[test]
    fn text_of_the_characters_of_yaml(text in "[-a:{}\\[\\],&*!|>'\"%#? \t\n\r0.~<]{0,80}") {
        check(&text);
    }

    #[test]
    fn mutated_resources(mutations in prop::collection::vec(mutation(), 1..6)) {
        let mut characters: Vec<char> = SEED.chars().collect();
        for (index, removed, inserted) in mutations {
            let start = index.index(characters.len());
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        check(&characters.into_iter().collect::<String>());
    }

    /// Documents do not depend on each other: resources come in the order of their documents.
    #[test]
    fn documents_in_any_order(order in Just((0..7).collect::<Vec<usize>>()).prop_shuffle()) {
        let documents: Vec<&str> = SEED.split("---\n").collect();
        let shuffled: Vec<&str> = order.iter().map(|index| documents[*index]).collect();
        let loaded = check(&shuffled.join("---\n"));
        let sound = parse("file.yaml", SEED);
        let kinds: Vec<&str> = loaded.resources.iter().map(|resource| resource.kind()).collect();
        let expected = order.iter().map(|index| sound.resources[*index].kind());
        prop_assert_eq!(kinds, expected.collect::<Vec<_>>());
    }
}
