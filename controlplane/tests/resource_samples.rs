//! What the samples that every mesh user starts with look like, and how each is answered: sound
//! ones in silence, the others with exactly what is not supported yet.

use ringmain_controlplane::resource::{Loaded, parse};

/// Every rendered problem of some documents; the first one begins in line 2.
#[track_caller]
fn check(documents: &[&str], expected: &[&str]) -> Loaded {
    let text: String = documents
        .iter()
        .map(|document| format!("---\n{document}\n"))
        .collect();
    let loaded = parse("sample.yaml", &text);
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, expected, "{text}");
    loaded
}

const GATEWAY: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: shop-gateway
spec:
  selector:
    istio: ingressgateway # a comment
  servers:
  - port:
      number: 8080
      name: http
      protocol: HTTP
    hosts:
    - \"*\"";

#[test]
fn a_gateway_and_what_it_serves() {
    let service = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts:
  - \"*\"
  gateways:
  - shop-gateway
  http:
  - match:
    - uri:
        exact: /cart
    - uri:
        prefix: /static
    route:
    - destination:
        host: cart
        port:
          number: 9080";
    assert_eq!(check(&[GATEWAY, service], &[]).resources.len(), 2);
}

#[test]
fn shares_of_subsets() {
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: cart
spec:
  host: cart
  trafficPolicy:
    loadBalancer:
      simple: RANDOM
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v2
    labels:
      version: v2";
    let service = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: cart
spec:
  hosts:
    - cart
  http:
  - match:
    - headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: cart
        subset: v2
  - route:
    - destination:
        host: cart
        subset: v1
      weight: 90
    - destination:
        host: cart
        subset: v2
      weight: 10
---";
    assert_eq!(check(&[rule, service], &[]).resources.len(), 2);
}

#[test]
fn faults_for_one_user() {
    let service = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: ratings
spec:
  hosts:
  - ratings
  http:
  - match:
    - headers:
        end-user:
          exact: jason
    fault:
      delay:
        percentage:
          value: 100.0
        fixedDelay: 7s
    route:
    - destination:
        host: ratings
        subset: v1";
    assert_eq!(check(&[service], &[]).resources.len(), 1);
}

#[test]
fn a_breaker_of_circuits() {
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: cart
spec:
  host: cart
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: 2
      http:
        http1MaxPendingRequests: 3
        maxRequestsPerConnection: 4
    outlierDetection:
      consecutive5xxErrors: 1
      interval: 1s
      baseEjectionTime: 3m
      maxEjectionPercent: 100";
    let expected = ["sample.yaml:15:5: warning: DestinationRule default/cart > \
         spec.trafficPolicy.outlierDetection: `outlierDetection` is not supported yet: failing \
         endpoints stay in use"];
    assert_eq!(check(&[rule], &expected).resources.len(), 1);
}

#[test]
fn a_copy_for_the_next_version() {
    let service = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: cart
spec:
  hosts:
    - cart
  http:
  - route:
    - destination:
        host: cart
        subset: v1
      weight: 100
    mirror:
      host: cart
      subset: v2
    mirrorPercentage:
      value: 100.0";
    assert_eq!(check(&[service], &[]).resources.len(), 1);
}

#[test]
fn mutual_tls_of_the_mesh() {
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: cart
spec:
  host: cart
  trafficPolicy:
    tls:
      mode: ISTIO_MUTUAL
  subsets:
  - name: v1
    labels:
      version: v1";
    assert_eq!(check(&[rule], &[]).resources.len(), 1);
}

#[test]
fn tcp_is_carried() {
    let gateway = GATEWAY.replace("protocol: HTTP", "protocol: TCP");
    let service = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: echo
spec:
  hosts:
  - \"*\"
  gateways:
  - shop-gateway
  tcp:
  - match:
    - port: 31400
    route:
    - destination:
        host: echo
        port:
          number: 9000
        subset: v1
      weight: 80";
    let kubernetes = "apiVersion: v1
kind: Service
metadata:
  name: echo
spec:
  ports:
  - name: tcp
    port: 9000
  selector:
    app: echo
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: echo
spec:
  replicas: 1";
    check(
        &[&gateway, service, kubernetes],
        &[
            "sample.yaml:48:1: warning: Deployment default/echo: Deployment means nothing on a \
             host: it is ignored",
        ],
    );
}

#[test]
fn services_outside_of_the_mesh() {
    let entry = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: api
spec:
  hosts:
  - api.example.com
  ports:
  - number: 80
    name: http
    protocol: HTTP
  - number: 443
    name: https
    protocol: HTTPS
  resolution: DNS";
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: api
spec:
  host: api.example.com
  trafficPolicy:
    portLevelSettings:
    - port:
        number: 443
      tls:
        mode: SIMPLE";
    assert_eq!(check(&[entry, rule], &[]).resources.len(), 2);
}

#[test]
fn routes_of_the_gateway_api() {
    let route = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: cart
spec:
  parentRefs:
  - name: shop-gateway
  rules:
  - matches:
    - path:
        type: PathPrefix
        value: /cart
    backendRefs:
    - name: cart
      port: 80";
    let loaded = check(&[route], &[]);
    assert_eq!(loaded.resources[0].kind(), "HTTPRoute");
}
