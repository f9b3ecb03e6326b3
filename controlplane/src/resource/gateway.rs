//! networking.istio.io Gateway: ports at the edge of the mesh and the hosts served there.

use std::{collections::HashSet, net::IpAddr};

use super::{
    cursor::{Cursor, Report},
    document, format,
    host::{NamespaceScope, ScopedHost},
    listener,
    metadata::{self, Labels, Metadata},
    port::{self, PORT_FIELDS, Port, Protocol},
    schema::{Field, LABELS, Shape},
    server_tls::{self, ServerTls},
    span::Spanned,
};

/// Ports that the proxies with certain labels open to the outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Who it is.
    pub metadata: Metadata,
    /// Labels of the proxies that serve it, of any namespace; empty: every gateway proxy.
    pub selector: Labels,
    /// In the order written. Those that nothing can be opened for yet (a Unix socket) are left out.
    pub servers: Vec<Spanned<Server>>,
}

/// A port and the hosts that are served on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Empty when not named.
    pub name: String,
    /// Where it listens. A protocol that is neither HTTP in plain text nor TCP was warned about;
    /// nothing is to be opened for it.
    pub port: Spanned<Port>,
    /// The address to listen on; absent: all.
    pub bind: Option<IpAddr>,
    /// Which VirtualServices may bind here, and for which hosts; never empty.
    pub hosts: Vec<Spanned<ScopedHost>>,
    /// How it speaks TLS; absent: not at all.
    pub tls: Option<ServerTls>,
}

/// `spec`.
static SPEC: [Field; 2] = [
    Field::new("servers", Shape::FullList(&Shape::Object(&SERVER))).required(),
    Field::new("selector", LABELS),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static SERVER: [Field; 6] = [
    Field::new("port", Shape::Object(&PORT_FIELDS)).required(),
    Field::new("bind", Shape::Text),
    Field::new("hosts", Shape::FullList(&Shape::Form(format::gateway_host))).required(),
    Field::new("tls", Shape::Object(&server_tls::TLS)),
    Field::new("defaultEndpoint", Shape::Text).later("it has no effect"),
    Field::new("name", Shape::Form(format::some_text)),
];

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(metadata: Metadata, spec: &Cursor<'_>, report: &mut Report) -> Option<Gateway> {
    let mut servers = Vec::new();
    for at in spec.list("servers") {
        if let Some(server) = read_server(&at, &metadata, report) {
            servers.push(at.spanned(server));
        }
    }
    check_names(spec, report);
    Some(Gateway {
        selector: metadata::labels(spec, "selector"),
        servers,
        metadata,
    })
}

fn read_server(at: &Cursor<'_>, metadata: &Metadata, report: &mut Report) -> Option<Server> {
    let port_at = at.field("port")?;
    let port = port::read_gateway_port(&port_at, report)?;
    let tls = match at.field("tls") {
        None if matches!(port.protocol, Protocol::Https | Protocol::Tls) => {
            report.missing(at, "tls");
            return None;
        }
        None => None,
        Some(own) => {
            let ends_tls = port.protocol == Protocol::Https;
            Some(server_tls::read(&own, ends_tls, report)?)
        }
    };
    Some(Server {
        tls,
        name: at.text_of("name").unwrap_or_default().to_owned(),
        port,
        bind: listener::bind(at, report)?,
        hosts: at
            .list("hosts")
            .iter()
            .filter_map(|host| Some(host.spanned(scoped_host(host.text()?, metadata))))
            .collect(),
    })
}

/// `namespace/host`, where a missing namespace stands for any.
fn scoped_host(text: &str, metadata: &Metadata) -> ScopedHost {
    let (namespace, host) = text.split_once('/').unwrap_or(("*", text));
    ScopedHost {
        namespace: NamespaceScope::of(namespace, &metadata.namespace),
        host: host.to_ascii_lowercase(),
    }
}

/// Server names are the handle of other tools; two of one name are a slip.
fn check_names(spec: &Cursor<'_>, report: &mut Report) {
    let mut names = HashSet::new();
    for server in spec.list("servers") {
        if let Some(name) = server.field("name")
            && let Some(text) = name.text()
            && !names.insert(text)
        {
            report.error(&name, format!("two servers are named `{text}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Resource,
            testing::{self, check},
        },
        *,
    };

    fn read(spec: &str) -> Gateway {
        match &*testing::read("Gateway", spec) {
            Resource::Gateway(resource) => resource.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn servers() {
        let gateway = read(
            "selector: {istio: ingressgateway}\nservers:\n\
             - name: web\n  bind: 127.0.0.1\n  port: {number: 8080, name: http, protocol: http}\n  \
             hosts: ['*', ./*.Example.com, prod/a.example.com, '*/b']",
        );
        assert_eq!(
            gateway.selector,
            [("istio".to_owned(), "ingressgateway".to_owned())].into()
        );
        let [server] = gateway.servers.as_slice() else {
            panic!("{:?}", gateway.servers);
        };
        assert_eq!(server.span.line, 8);
        assert_eq!(server.name, "web");
        assert_eq!(server.bind, Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(server.port.number, 8080);
        assert_eq!(server.port.protocol, Protocol::Http);
        let hosts: Vec<String> = server.hosts.iter().map(|host| host.to_string()).collect();
        assert_eq!(
            hosts,
            ["*/*", "default/*.example.com", "prod/a.example.com", "*/b"]
        );
    }

    #[test]
    fn what_is_wrong_with_a_gateway() {
        let http = "port: {number: 80, name: http, protocol: HTTP}";
        for (server, expected) in [
            (
                "hosts: ['*'], port: {number: 31400, name: udp, protocol: UDP}".to_owned(),
                "1:69 warning: spec.servers[0].port.protocol: protocol UDP is not supported yet: \
                 nothing listens on it",
            ),
            (
                format!("hosts: [], {http}"),
                "1:19 error: spec.servers[0].hosts: the list is empty",
            ),
            (
                http.to_owned(),
                "1:11 error: spec.servers[0].hosts: `hosts` is missing",
            ),
            (
                "hosts: ['*']".to_owned(),
                "1:11 error: spec.servers[0].port: `port` is missing",
            ),
            (
                "hosts: ['*'], port: {number: 80, name: http}".to_owned(),
                "1:32 error: spec.servers[0].port.protocol: `protocol` is missing",
            ),
            (
                "hosts: ['*'], port: {number: 80, name: http, protocol: HTPP}".to_owned(),
                "1:67 error: spec.servers[0].port.protocol: `HTPP` is not a protocol; did you \
                 mean `HTTP`?",
            ),
            (
                "hosts: ['*'], port: {number: 70000, name: http, protocol: HTTP}".to_owned(),
                "1:41 error: spec.servers[0].port.number: 70000 is not between 1 and 65535",
            ),
            (
                format!("hosts: ['*foo.com'], {http}"),
                "1:20 error: spec.servers[0].hosts[0]: `*foo.com` is not a host name; `*` stands \
                 alone or as the whole first label: `*.example.com`",
            ),
            (
                format!("hosts: ['*'], bind: localhost, {http}"),
                "1:32 error: spec.servers[0].bind: `localhost` is not an IP address",
            ),
            (
                format!("hosts: ['*'], bind: unix:///run/edge, {http}"),
                "1:32 warning: spec.servers[0].bind: Unix sockets are not supported yet: nothing \
                 listens on it",
            ),
        ] {
            check("Gateway", &format!("servers: [{{{server}}}]"), &[expected]);
        }
        check(
            "Gateway",
            "servers: []",
            &["1:10 error: spec.servers: the list is empty"],
        );
        check(
            "Gateway",
            &format!(
                "servers:\n- {{name: a, hosts: ['*'], {http}}}\n- {{name: a, hosts: [b], {http}}}"
            ),
            &["3:10 error: spec.servers[1].name: two servers are named `a`"],
        );
        check(
            "Gateway",
            "servers: [{hosts: ['*'], port: {number: 443, name: https, protocol: HTTPS}}]",
            &["1:11 error: spec.servers[0].tls: `tls` is missing"],
        );
    }
}
