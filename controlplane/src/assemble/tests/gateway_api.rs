//! Documents of proxies that Gateways and routes of the Gateway API are for.

mod hosts;
mod mesh;
mod precedence;
mod rules;

use ringmain_config::{
    document::Document,
    node::{GatewayScope, Node},
};
use serde_json::{Value, json};

use super::{check, warnings, workload, world};
use crate::{assemble::assemble, resource::gateway_api::GATEWAY_NAME_LABEL};

/// A Gateway for everything on port 80 and services to send to.
const MESH: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: ringmain
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: prod}
spec: {selector: {app: other}, ports: [{name: http, port: 81}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-1}
spec: {address: 10.0.0.1, labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: every, namespace: istio-system}
spec: {egress: [{port: {number: 80}, captureMode: NONE, hosts: ['*/*']}]}
";

const WEB: &str = "outbound|80||web.default.svc.cluster.local";
const ROUTES: &str = "route_tables/http.80/virtual_hosts/0/routes";
const BACKEND: &str = "backendRefs: [{name: web, port: 80}]";

fn edge() -> Node {
    workload("default", &[(GATEWAY_NAME_LABEL, "edge")])
}

/// A route in the form of one line: kind, `namespace/name` and spec.
fn resource(kind: &str, name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let group = match kind {
        "VirtualService" => "networking.istio.io",
        _ => "gateway.networking.k8s.io",
    };
    format!(
        "---\n{{apiVersion: {group}/v1, kind: {kind}, metadata: {{name: {name}, namespace: \
         {namespace}}}, spec: {{{spec}}}}}\n"
    )
}

/// `MESH` with an HTTPRoute of one rule at the Gateway.
fn with_rule(rule: &str) -> String {
    let spec = format!("parentRefs: [{{name: edge}}], rules: [{{{rule}}}]");
    format!("{MESH}{}", resource("HTTPRoute", "shop", &spec))
}

/// For each virtual host of a table its first domain and the names of its routes.
fn hosts(document: &Document, table: &str) -> Vec<String> {
    let Some(table) = document.route_tables.get(table) else {
        return Vec::new();
    };
    let hosts = table.value.virtual_hosts.iter();
    hosts
        .map(|host| {
            let routes: Vec<_> = host.routes.iter().map(|route| &*route.name).collect();
            format!("{}: {}", host.domains[0], routes.join(" "))
        })
        .collect()
}
