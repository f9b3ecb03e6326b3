//! Envoy.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Carries, Running, Task, Version, fill, free_port};
use crate::{certificates, process::Program};

/// Of a cluster whose endpoints speak HTTP/2.
const HTTP2_UPSTREAM: &str = "typed_extension_protocol_options: { \
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { \"@type\": \
    type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
    explicit_http_config: { http2_protocol_options: {} } } }";

/// Of a listener that speaks TLS.
const TLS: &str = "transport_socket: { name: envoy.transport_sockets.tls, typed_config: { \
    \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, \
    common_tls_context: { alpn_protocols: [http/1.1], \
    tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3 }, \
    tls_certificates: [ { certificate_chain: { filename: @CERTIFICATE@ }, \
    private_key: { filename: @KEY@ } } ] } } }";

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, cores: &str, task: &Task) -> Result<Running> {
    let config = directory.join("envoy.yaml");
    let port = free_port()?;
    let (client, upstream) = task.carries.versions();
    let codec = match client {
        Version::One => "HTTP1",
        Version::Two => "HTTP2",
    };
    let upstream = match upstream {
        Version::One => "",
        Version::Two => HTTP2_UPSTREAM,
    };
    let (template, hosts) = match task.carries.table() {
        Some(table) => (
            include_str!("../../peers/envoy/http.yaml"),
            table.envoy_virtual_hosts(),
        ),
        None => (include_str!("../../peers/envoy/tcp.yaml"), String::new()),
    };
    let transport = match task.carries {
        Carries::Tls => {
            let shown = certificates::make(directory)?;
            let values: [(&str, &dyn Display); 2] = [
                ("CERTIFICATE", &shown.certificate.display()),
                ("KEY", &shown.key.display()),
            ];
            fill(TLS, &values)
        }
        Carries::Http(..) | Carries::Versions(..) | Carries::Tcp(_) => String::new(),
    };
    let text = fill(
        template,
        &[
            ("PORT", &port),
            ("ORIGIN", &task.origin.port()),
            ("VIRTUAL_HOSTS", &hosts),
            ("CODEC", &codec),
            ("UPSTREAM", &upstream),
            ("TRANSPORT", &transport),
        ],
    );
    fs::write(&config, text)?;
    let process = Program::on_cores(cores, &[], &PathBuf::from("envoy"), "envoy")
        .args([Path::new("--config-path"), &config])
        .args(["--concurrency", &task.workers.to_string()])
        .args(["--disable-hot-restart", "--log-level", "error"])
        .start(directory)?;
    Running::ready(process, port, task.carries)
}
