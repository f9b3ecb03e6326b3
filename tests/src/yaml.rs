//! Mesh resources as text.

use std::{fmt::Write as _, net::SocketAddr};

/// A Gateway that the workload with label `app: NAME` serves, for every host.
pub fn gateway(name: &str, address: SocketAddr) -> String {
    gateway_at(name, &address.ip().to_string(), address.port())
}

/// As [`gateway`], bound to this text; empty for every address.
pub fn gateway_at(name: &str, bind: &str, port: u16) -> String {
    let bind = if bind.is_empty() {
        String::new()
    } else {
        format!("    bind: {bind:?}\n")
    };
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec:\n  \
         selector: {{app: {name}}}\n  servers:\n  - port: {{number: {port}, name: http, protocol: HTTP}}\n\
         {bind}    hosts: [\"*\"]\n"
    )
}

/// A VirtualService for every host at a gateway; `http` is the list of its routes.
pub fn virtual_service(gateway: &str, http: &str) -> String {
    let routes = http
        .trim_matches('\n')
        .lines()
        .map(|line| format!("  {line}\n"));
    let routes: String = routes.collect();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {gateway}}}\n\
         spec:\n  hosts: [\"*\"]\n  gateways: [{gateway}]\n  http:\n{routes}"
    )
}

/// The list of routes that sends everything to a host.
pub fn all_to(host: &str) -> String {
    format!("- name: all\n  route:\n  - destination: {{host: {host}}}\n")
}

/// A service `NAME.test` with these endpoints.
pub fn service(name: &str, endpoints: &[SocketAddr]) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|&endpoint| (endpoint, "")).collect();
    labelled_service(name, &endpoints)
}

/// As [`service`], of endpoints that speak HTTP/2.
pub fn http2_service(name: &str, endpoints: &[SocketAddr]) -> String {
    service(name, endpoints).replace(
        "name: http, protocol: HTTP}",
        "name: http, protocol: HTTP2}",
    )
}

/// As [`service`], each endpoint with label `version`.
pub fn labelled_service(name: &str, endpoints: &[(SocketAddr, &str)]) -> String {
    let mut text = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\n\
         spec:\n  hosts: [{name}.test]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  \
         ports: [{{number: 80, name: http, protocol: HTTP}}]\n  endpoints:\n"
    );
    for (address, version) in endpoints {
        let (ip, port) = (address.ip(), address.port());
        write!(text, "  - {{address: {ip}, ports: {{http: {port}}}").unwrap();
        if !version.is_empty() {
            write!(text, ", labels: {{app: {name}, version: {version}}}").unwrap();
        }
        text += "}\n";
    }
    text
}
