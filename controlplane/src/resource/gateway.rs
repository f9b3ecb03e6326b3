//! networking.istio.io Gateway: ports at the edge of the mesh and the hosts served there.

use std::{collections::HashSet, net::IpAddr};

use super::{
    cursor::{Cursor, Fault, Report},
    document, format,
    host::{NamespaceScope, ScopedHost},
    listener,
    metadata::{self, Labels, Metadata},
    port::{self, PORT_FIELDS, Port, Protocol},
    schema::{Field, LABELS, Shape},
    span::Spanned,
    tls::{self, ServerMode, ServerSettings},
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
    /// Where it listens. UDP was warned about; nothing is to be opened for it.
    pub port: Spanned<Port>,
    /// The address to listen on; absent: all.
    pub bind: Option<IpAddr>,
    /// Which VirtualServices may bind here, and for which hosts; never empty.
    pub hosts: Vec<Spanned<ScopedHost>>,
    /// TLS; there with the protocols HTTPS and TLS, never with TCP. With HTTP it only redirects.
    pub tls: Option<Box<Spanned<ServerSettings>>>,
}

/// How a server serves connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Requests in plain text.
    Http,
    /// Requests in plain text, each of which is sent to `https`.
    Redirect,
    /// Bytes.
    Tcp,
    /// TLS that ends here, with requests in it.
    Https,
    /// TLS that ends here, with bytes in it.
    Tls,
    /// TLS that goes on as it is.
    PassThrough,
    /// Not at all, which was reported.
    Not,
}

impl Server {
    /// How connections are served.
    pub fn served(&self) -> Served {
        let protocol = self.port.protocol;
        match self.tls.as_deref().map(|tls| (tls.mode, tls.redirects)) {
            _ if protocol == Protocol::Udp => Served::Not,
            None if protocol.is_tcp() => Served::Tcp,
            None if protocol.is_http() => Served::Http,
            None => Served::Not,
            Some((_, redirects)) if is_plain(protocol) => match redirects {
                true => Served::Redirect,
                false => Served::Http,
            },
            Some((ServerMode::PassThrough, _)) => Served::PassThrough,
            Some(_) if protocol == Protocol::Tls => Served::Tls,
            Some(_) => Served::Https,
        }
    }
}

/// A protocol that is never within TLS. HTTP/2 and gRPC are with `tls`, else not.
fn is_plain(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::GrpcWeb)
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
    Field::new("tls", Shape::Object(&tls::SERVER)),
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
    let port = port::read_port(&port_at, report)?;
    if matches!(port.protocol, Protocol::Https | Protocol::Tls) && at.field("tls").is_none() {
        report.missing(at, "tls");
    }
    let settings = at.field("tls");
    let settings = settings.map(|tls| Box::new(tls.spanned(tls::read_server(&tls, report))));
    check_protocol(at, port.protocol, settings.as_deref(), report);
    Some(Server {
        tls: settings,
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

/// TLS that has no meaning with the protocol.
fn check_protocol(
    at: &Cursor<'_>,
    protocol: Protocol,
    settings: Option<&Spanned<ServerSettings>>,
    report: &mut Report,
) {
    let (Some(tls), Some(settings)) = (at.field("tls"), settings) else {
        return;
    };
    let terminates = settings.mode != ServerMode::PassThrough;
    if protocol.is_tcp() || is_plain(protocol) && terminates {
        let other = if protocol.is_tcp() { "TLS" } else { "HTTPS" };
        let fault = Fault::new(format!("the protocol {protocol} is spoken without TLS"));
        report.error(
            &tls,
            fault.hint(format!("write `protocol: {other}`, or remove `tls`")),
        );
    } else if settings.redirects && !is_plain(protocol) {
        let fault = Fault::new("`httpsRedirect` has no effect: the port takes no plain text");
        let hint = "write it at a server of its own with the protocol HTTP";
        report.warning(&tls, fault.hint(hint));
    } else if protocol == Protocol::Https && !terminates && tls.field("mode").is_none() {
        let fault = Fault::new("without a `mode` connections are passed through as they are");
        report.warning(&tls, fault.hint("write the `mode`: SIMPLE ends TLS here"));
    }
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
    fn how_servers_are_served() {
        let simple = "tls: {mode: SIMPLE, credentialName: a}, ";
        for (tls, protocol, expected) in [
            ("", "HTTP", Served::Http),
            ("tls: {httpsRedirect: true}, ", "HTTP", Served::Redirect),
            ("tls: {httpsRedirect: false}, ", "HTTP", Served::Http),
            ("", "GRPC", Served::Http),
            ("", "TCP", Served::Tcp),
            (simple, "HTTPS", Served::Https),
            (simple, "HTTP2", Served::Https),
            (simple, "GRPC", Served::Https),
            (simple, "TLS", Served::Tls),
            ("tls: {mode: PASSTHROUGH}, ", "HTTPS", Served::PassThrough),
            ("tls: {}, ", "TLS", Served::PassThrough),
            ("tls: {mode: ISTIO_MUTUAL}, ", "TLS", Served::Tls),
        ] {
            let port = format!("port: {{number: 1, name: a, protocol: {protocol}}}");
            let gateway = read(&format!("servers: [{{{tls}hosts: ['*'], {port}}}]"));
            assert_eq!(gateway.servers[0].served(), expected, "{tls}{protocol}");
        }
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
                format!("hosts: ['*'], tls: {{mode: SIMPLE, credentialName: a}}, {http}"),
                "1:31 error: spec.servers[0].tls: the protocol HTTP is spoken without TLS; write \
                 `protocol: HTTPS`, or remove `tls`",
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
