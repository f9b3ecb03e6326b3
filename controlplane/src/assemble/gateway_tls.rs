//! HTTPS at the edge: a listener for each address, a chain in it for each server of a Gateway, and
//! plain HTTP that sends its clients there.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use ringmain_config::{
    listener::{Direction, ListenerProtocol},
    origin::Origin,
    problem::Severity,
    route::{Action, Redirect, RedirectPath, RedirectPort, RouteTable, VirtualHost},
    secret::{Secret, SecretFiles, SecretSource},
    tls::{ClientCertificate, ListenerTls, PeerNames, PeerRules, ServerTls, TlsAction, TlsChain},
};

use super::{
    Assembly, Wanted,
    domains::{VirtualHosts, with_port},
    gateway::{Bound, add_hosts},
    retries,
    routes::everything,
};
use crate::resource::server_tls::{self, Mode};

/// Opens a listener at `address` for servers of HTTPS.
pub(super) fn open(assembly: &mut Assembly<'_>, address: SocketAddr, servers: &[Bound<'_>]) {
    let Some(first) = servers.first() else {
        return;
    };
    let mut chains: Vec<TlsChain> = Vec::new();
    let mut tables = Vec::new();
    for bound in servers {
        let Some(own) = bound.server.tls.as_ref() else {
            continue;
        };
        let Some(server_names) = server_names(assembly, bound, &chains) else {
            continue;
        };
        let metadata = &bound.gateway.metadata;
        let name = format!(
            "https.{}.{}.{}.{}",
            address.port(),
            bound.server.port.name,
            metadata.name,
            metadata.namespace
        );
        // Ports of one name in one Gateway, which only Istio's own check refuses.
        let name = match chains.iter().any(|chain| chain.name == name) {
            true => format!("{name}.{}", bound.index),
            false => name,
        };
        let mut hosts = VirtualHosts::default();
        let taken = BTreeMap::new();
        add_hosts(assembly, &[*bound], address.port(), &taken, &mut hosts);
        tables.push(RouteTable {
            name: name.clone(),
            retry: Some(retries::of_table()),
            virtual_hosts: hosts.finish(),
        });
        let origin = metadata.origin_at(bound.server.span);
        let tls = server(assembly, own, &origin);
        chains.push(TlsChain {
            server_names,
            offered: Vec::new(),
            action: TlsAction::Terminate {
                tls: Arc::new(tls),
                protocol: ListenerProtocol::Http {
                    route_table: name.clone(),
                },
            },
            origin: Some(origin),
            name,
        });
    }
    if chains.is_empty() {
        return;
    }
    let wanted = Wanted {
        address,
        direction: Direction::Gateway,
        metadata: &first.gateway.metadata,
        span: first.server.span,
        path: &format!("spec.servers[{}]", first.index),
    };
    let tls = ListenerTls {
        accepts_plaintext: false,
        chains,
    };
    assembly.listen_tls(&wanted, tls, tables);
}

/// The names that a server is asked for by; empty: any. `None` when there is none that another
/// server has not.
fn server_names(
    assembly: &mut Assembly<'_>,
    bound: &Bound<'_>,
    chains: &[TlsChain],
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for host in &bound.server.hosts {
        let name = &host.host;
        let holder = chains.iter().find(|chain| match name.as_str() {
            "*" => chain.server_names.is_empty(),
            name => chain.server_names.iter().any(|own| own == name),
        });
        if let Some(holder) = holder {
            let by = holder.origin.as_ref().map(Origin::to_string);
            let message = format!(
                "clients that ask for {name} here are served by {}",
                by.unwrap_or_default()
            );
            let path = format!("spec.servers[{}].hosts", bound.index);
            let metadata = &bound.gateway.metadata;
            let problem = metadata.problem(Severity::Warning, host.span, &path, message);
            assembly.warn(problem.hint("give each server of a port hosts of its own"));
            continue;
        }
        if name == "*" {
            return Some(Vec::new());
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    (!names.is_empty()).then_some(names)
}

fn server(assembly: &mut Assembly<'_>, tls: &server_tls::ServerTls, origin: &Origin) -> ServerTls {
    let mut certificates = Vec::new();
    for files in &tls.certificates {
        let (certificate, key) = (&files.certificate, &files.key);
        let name = format!("file-cert:{}~{}", certificate.display(), key.display());
        assembly.secret(Secret {
            name: name.clone(),
            source: SecretSource::Files(SecretFiles {
                certificate: Some(certificate.clone()),
                key: Some(key.clone()),
                ..SecretFiles::default()
            }),
            origin: Some(origin.clone()),
        });
        certificates.push(name);
    }
    let mut rules = || {
        let authorities = tls.authorities.clone();
        let mut name = "file-root:".to_owned();
        for path in [&authorities, &tls.revoked].into_iter().flatten() {
            if name.len() > "file-root:".len() {
                name.push('~');
            }
            name.push_str(&path.display().to_string());
        }
        assembly.secret(Secret {
            name: name.clone(),
            source: SecretSource::Files(SecretFiles {
                authorities,
                revoked: tls.revoked.clone(),
                ..SecretFiles::default()
            }),
            origin: Some(origin.clone()),
        });
        PeerRules {
            authorities: vec![name],
            names: match tls.names.is_empty() {
                true => PeerNames::Any,
                false => PeerNames::OneOf(tls.names.clone()),
            },
            spki_sha256: tls.spki_sha256.clone(),
            certificate_sha256: tls.certificate_sha256.clone(),
        }
    };
    let client = match tls.mode {
        None | Some(Mode::Simple) => ClientCertificate::Ignored,
        Some(Mode::Mutual) => ClientCertificate::Required(rules()),
        Some(Mode::OptionalMutual) => ClientCertificate::Optional(rules()),
    };
    ServerTls {
        certificates,
        client,
        parameters: tls.parameters.clone(),
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
    }
}

/// Every request for the hosts of those servers that ask for it is sent to where there is TLS.
pub(super) fn add_redirects(servers: &[Bound<'_>], port: u16, hosts: &mut VirtualHosts) {
    let redirecting = servers.iter().filter(|bound| {
        let tls = bound.server.tls.as_ref();
        tls.is_some_and(|tls| tls.https_redirect)
    });
    for bound in redirecting {
        for scope in &bound.server.hosts {
            let host = &scope.host;
            let origin = Some(bound.gateway.metadata.origin_at(scope.span));
            let action = Action::Redirect(Redirect {
                scheme: Some("https".to_owned()),
                status: 301,
                port: RedirectPort::FromProtocolDefault,
                authority: None,
                path: RedirectPath::Keep,
            });
            let virtual_host = VirtualHost {
                name: format!("{host}:{port}"),
                domains: with_port(host, port),
                routes: vec![everything("https-redirect", action, origin.clone())],
                origin,
            };
            hosts.push(virtual_host, Vec::new());
        }
    }
}
