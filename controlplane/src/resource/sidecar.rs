//! networking.istio.io Sidecar: what a workload's proxy listens on and what it can reach.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{
    cursor::{Cursor, Fault, Report},
    destination_rule::CONNECTION_POOL,
    document, format,
    host::{self, NamespaceScope, ScopedHost},
    listener,
    metadata::{self, Labels, Metadata},
    port::{self, Port, SIDECAR_PORT_FIELDS},
    schema::{Choice, Field, PORT, SELECTOR, Shape},
    span::Spanned,
    tls::{self, ServerMode, ServerSettings},
};

/// Listeners and scope of the proxies of some workloads.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecar {
    /// Who it is.
    pub metadata: Metadata,
    /// Labels of the workloads of the same namespace it applies to; absent: all of them that no
    /// other Sidecar selects.
    pub selector: Option<Labels>,
    /// Ports where the workload is served to others.
    pub ingress: Vec<Spanned<IngressListener>>,
    /// Ports where the workload reaches others; none: everything is in scope.
    pub egress: Vec<Spanned<EgressListener>>,
    /// What becomes of requests to hosts that nothing in scope stands for.
    pub outbound: OutboundMode,
}

/// A port where the workload is served to others.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressListener {
    /// Where it listens.
    pub port: Spanned<Port>,
    /// The address to listen on; absent: all.
    pub bind: Option<IpAddr>,
    /// How connections get there.
    pub capture: Capture,
    /// Where the workload itself listens; `127.0.0.1` and the port's number when not written. The
    /// unspecified address stands for the workload's own.
    pub default_endpoint: SocketAddr,
    /// TLS of the port's own, in the place of the mesh's. Its mode is `Simple` or `Mutual`.
    pub tls: Option<Box<Spanned<ServerSettings>>>,
}

/// A port where the workload reaches others, or, without a port, what it can reach at all.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressListener {
    /// Where it listens; absent: at the ports of the services in scope.
    pub port: Option<Spanned<Port>>,
    /// The address to listen on; absent: `127.0.0.1`.
    pub bind: Option<IpAddr>,
    /// How connections get there.
    pub capture: Capture,
    /// Services in scope; never empty.
    pub hosts: Vec<Spanned<ScopedHost>>,
}

/// How connections get to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// `NONE`: the application connects to it, or clients do.
    None,
    /// `DEFAULT` and `IPTABLES`: the host's packet filter redirects them.
    #[default]
    Redirect,
}

/// What becomes of requests to unknown hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundMode {
    /// `ALLOW_ANY`, the default: they are sent where they were going.
    #[default]
    AllowAny,
    /// `REGISTRY_ONLY`: they are refused.
    RegistryOnly,
}

static SPEC: [Field; 5] = [
    Field::new("workloadSelector", SELECTOR),
    Field::new("ingress", Shape::List(&Shape::Object(&INGRESS))),
    Field::new("egress", Shape::List(&Shape::Object(&EGRESS))),
    Field::new("inboundConnectionPool", Shape::Object(&CONNECTION_POOL))
        .later("inbound connections have the default limits"),
    Field::new(
        "outboundTrafficPolicy",
        Shape::Object(&OUTBOUND_TRAFFIC_POLICY),
    ),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static INGRESS: [Field; 6] = [
    Field::new("port", Shape::Object(&SIDECAR_PORT_FIELDS)).required(),
    Field::new("bind", Shape::Text),
    Field::new("captureMode", Shape::Choice(&CAPTURE_MODES)),
    Field::new("defaultEndpoint", Shape::Text),
    Field::new("tls", Shape::Object(&tls::SERVER)),
    Field::new("connectionPool", Shape::Object(&CONNECTION_POOL))
        .later("connections have the default limits"),
];

static EGRESS: [Field; 4] = [
    Field::new("port", Shape::Object(&SIDECAR_PORT_FIELDS)),
    Field::new("bind", Shape::Text),
    Field::new("captureMode", Shape::Choice(&CAPTURE_MODES)),
    Field::new("hosts", Shape::FullList(&Shape::Form(format::egress_host))).required(),
];

static CAPTURE_MODES: [Choice; 3] = [
    Choice::new("NONE"),
    Choice::new("DEFAULT"),
    Choice::new("IPTABLES"),
];

static OUTBOUND_TRAFFIC_POLICY: [Field; 2] = [
    Field::new("mode", Shape::Choice(&OUTBOUND_MODES)),
    Field::new("egressProxy", Shape::Object(&EGRESS_PROXY))
        .later("requests to unknown hosts go straight there"),
];

static OUTBOUND_MODES: [Choice; 3] = [
    Choice::new("REGISTRY_ONLY"),
    Choice::new("ALLOW_ANY"),
    Choice::new("ALLOW_ANY_DYNAMIC_DNS").later("it is taken for `ALLOW_ANY`"),
];

static EGRESS_PROXY: [Field; 3] = [
    Field::new("host", Shape::Form(format::host)).required(),
    Field::new("subset", Shape::Text),
    Field::new(
        "port",
        Shape::Object(&[Field::new("number", PORT).required()]),
    ),
];

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(metadata: Metadata, spec: &Cursor<'_>, report: &mut Report) -> Option<Sidecar> {
    let mut ingress = Vec::new();
    for at in spec.list("ingress") {
        ingress.extend(read_ingress(&at, report).map(|listener| at.spanned(listener)));
    }
    let mut egress = Vec::new();
    for at in spec.list("egress") {
        egress.extend(read_egress(&at, &metadata, report).map(|listener| at.spanned(listener)));
    }
    check_listeners(spec, report);
    let policy = spec.field("outboundTrafficPolicy");
    let mode = policy.and_then(|policy| policy.text_of("mode").map(str::to_owned));
    Some(Sidecar {
        selector: metadata::workload_selector(spec),
        ingress,
        egress,
        outbound: match mode.as_deref() {
            Some("REGISTRY_ONLY") => OutboundMode::RegistryOnly,
            _ => OutboundMode::AllowAny,
        },
        metadata,
    })
}

fn read_ingress(at: &Cursor<'_>, report: &mut Report) -> Option<IngressListener> {
    let port = port::read_port(&at.field("port")?, report)?;
    let capture = read_capture(at, report);
    let bind = listener::bind(at, report);
    let default_endpoint = default_endpoint(at, port.number, report);
    Some(IngressListener {
        tls: read_tls(at, report),
        bind: bind?,
        capture,
        default_endpoint: default_endpoint?,
        port,
    })
}

fn read_tls(at: &Cursor<'_>, report: &mut Report) -> Option<Box<Spanned<ServerSettings>>> {
    let tls = at.field("tls")?;
    let settings = tls::read_server(&tls, report);
    match settings.mode {
        ServerMode::Simple | ServerMode::Mutual => {}
        ServerMode::PassThrough | ServerMode::OptionalMutual | ServerMode::IstioMutual => {
            let fault = Fault::new("a workload's port has TLS of the mode SIMPLE or MUTUAL");
            let hint = "write one of them; the mesh's own TLS is PeerAuthentication's";
            report.error(&tls.field("mode").unwrap_or(tls), fault.hint(hint));
        }
    }
    Some(Box::new(tls.spanned(settings)))
}

fn read_egress(
    at: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Option<EgressListener> {
    let port = match at.field("port") {
        Some(port) => Some(port::read_port(&port, report)?),
        None => None,
    };
    let hosts = at.list("hosts");
    let hosts = hosts.iter().filter_map(|host| {
        let scoped = scoped_host(host.text()?, metadata)?;
        Some(host.spanned(scoped))
    });
    Some(EgressListener {
        port,
        capture: read_capture(at, report),
        bind: listener::bind(at, report)?,
        hosts: hosts.collect(),
    })
}

/// `namespace/host`. A short host is that of a service in the namespace.
fn scoped_host(text: &str, metadata: &Metadata) -> Option<ScopedHost> {
    let (namespace, host) = text.split_once('/')?;
    let namespace = NamespaceScope::of(namespace, &metadata.namespace);
    let host = match &namespace {
        NamespaceScope::Only(name) => host::full_name(host, name),
        NamespaceScope::Any | NamespaceScope::None => host.to_ascii_lowercase(),
    };
    Some(ScopedHost { namespace, host })
}

fn read_capture(at: &Cursor<'_>, report: &mut Report) -> Capture {
    let field = at.field("captureMode");
    if field.as_ref().and_then(Cursor::text) == Some("NONE") {
        return Capture::None;
    }
    let fault = Fault::new(
        "redirecting connections with iptables is not supported yet: only \
connections to the listener itself arrive",
    );
    let fault = fault.hint("write `captureMode: NONE`");
    report.warning(field.as_ref().unwrap_or(at), fault);
    Capture::Redirect
}

/// Where the workload listens; none for what cannot be reached yet or is wrong, both reported.
fn default_endpoint(at: &Cursor<'_>, port: u16, report: &mut Report) -> Option<SocketAddr> {
    let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let Some(field) = at.field("defaultEndpoint") else {
        return Some(loopback);
    };
    let text = field.text()?;
    if listener::is_unix(text) {
        let message = "Unix sockets are not supported yet: nothing listens on the port";
        report.warning(&field, message);
        return None;
    }
    let allowed = |address: &SocketAddr| {
        let ip = address.ip();
        (ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST)
            && address.port() != 0
    };
    let address = text.parse().ok().filter(allowed);
    if address.is_none() {
        let message = format!("`{}` is not a place of this workload", format::shown(text));
        let hint = "write it like `127.0.0.1:8080`, `[::1]:8080` or, for the workload's own \
                    address, `0.0.0.0:8080`";
        report.error(&field, Fault::new(message).hint(hint));
    }
    address
}

/// Two listeners cannot share a port and address; only the last may have no port.
fn check_listeners(spec: &Cursor<'_>, report: &mut Report) {
    for direction in ["ingress", "egress"] {
        let mut places = HashSet::new();
        for at in spec.list(direction) {
            let port = at
                .field("port")
                .and_then(|port| port.integer_of::<u16>("number"));
            let place = (port, at.text_of("bind").unwrap_or_default());
            if !places.insert(place) {
                let message = match port {
                    Some(port) => format!("two listeners have port {port}"),
                    None => "two listeners have no port".to_owned(),
                };
                report.error(&at, message);
            }
        }
    }
    let egress = spec.list("egress");
    let Some((_, before_last)) = egress.split_last() else {
        return;
    };
    for at in before_last.iter().filter(|at| at.field("port").is_none()) {
        let fault = Fault::new("the listener without a port is not the last");
        report.error(at, fault.hint("move it to the end of the list"));
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

    fn read(spec: &str) -> Sidecar {
        match &*testing::read("Sidecar", spec) {
            Resource::Sidecar(resource) => resource.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn listeners() {
        let sidecar = read(
            "workloadSelector: {labels: {app: a}}\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n\
             ingress:\n\
             - {port: {number: 9080, protocol: HTTP, name: http}, captureMode: NONE, \
             defaultEndpoint: '127.0.0.1:9081'}\n\
             - {port: {number: 81}, captureMode: NONE, defaultEndpoint: '0.0.0.0:82', bind: \
             10.0.0.1}\n\
             - {port: {number: 83}, captureMode: NONE}\n\
             egress:\n\
             - {port: {number: 8080}, captureMode: NONE, hosts: [./reviews, '*/*.Example.com']}\n\
             - {captureMode: NONE, hosts: [~/*]}",
        );
        assert_eq!(
            sidecar.selector,
            Some([("app".to_owned(), "a".to_owned())].into())
        );
        assert_eq!(sidecar.outbound, OutboundMode::RegistryOnly);
        let endpoints: Vec<String> = sidecar
            .ingress
            .iter()
            .map(|listener| listener.default_endpoint.to_string())
            .collect();
        assert_eq!(endpoints, ["127.0.0.1:9081", "0.0.0.0:82", "127.0.0.1:83"]);
        assert_eq!(sidecar.ingress[1].bind, Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(sidecar.ingress[0].capture, Capture::None);
        let hosts = |index: usize| -> Vec<String> {
            let hosts = sidecar.egress[index].hosts.iter();
            hosts.map(|host| host.to_string()).collect()
        };
        assert_eq!(
            hosts(0),
            [
                "default/reviews.default.svc.cluster.local",
                "*/*.example.com"
            ]
        );
        assert_eq!(hosts(1), ["~/*"]);
        assert_eq!(
            sidecar.egress[0].port.as_ref().map(|port| port.number),
            Some(8080)
        );
        assert_eq!(sidecar.egress[1].port, None);
    }

    #[test]
    fn an_empty_one_allows_everything() {
        let sidecar = read("{}");
        assert_eq!(sidecar.outbound, OutboundMode::AllowAny);
        assert_eq!(sidecar.selector, None);
    }

    #[test]
    fn what_is_wrong_with_a_sidecar() {
        let none = "captureMode: NONE";
        for (spec, expected) in [
            (
                "egress: [{hosts: [./*]}]".to_owned(),
                "1:10 warning: spec.egress[0]: redirecting connections with iptables is not \
                 supported yet: only connections to the listener itself arrive; write \
                 `captureMode: NONE`",
            ),
            (
                "egress: [{hosts: [./*], captureMode: IPTABLES}]".to_owned(),
                "1:38 warning: spec.egress[0].captureMode: redirecting connections with iptables \
                 is not supported yet: only connections to the listener itself arrive; write \
                 `captureMode: NONE`",
            ),
            (
                format!("egress: [{{hosts: [reviews], {none}}}]"),
                "1:19 error: spec.egress[0].hosts[0]: `reviews` names no namespace; write \
                 `./reviews` for this namespace, `*/reviews` for all",
            ),
            (
                format!(
                    "egress: [{{hosts: [./*], {none}}}, {{hosts: [./*], {none}, port: {{number: \
1}}}}]"
                ),
                "1:10 error: spec.egress[0]: the listener without a port is not the last; move \
                 it to the end of the list",
            ),
            (
                format!(
                    "ingress: [{{port: {{number: 1}}, {none}}}, {{port: {{number: 1}}, {none}}}]"
                ),
                "1:51 error: spec.ingress[1]: two listeners have port 1",
            ),
            (
                format!("ingress: [{{{none}}}]"),
                "1:11 error: spec.ingress[0].port: `port` is missing",
            ),
            (
                format!(
                    "ingress: [{{port: {{number: 1}}, {none}, defaultEndpoint: '10.0.0.1:80'}}]"
                ),
                "1:67 error: spec.ingress[0].defaultEndpoint: `10.0.0.1:80` is not a place of \
                 this workload; write it like `127.0.0.1:8080`, `[::1]:8080` or, for the \
                 workload's own address, `0.0.0.0:8080`",
            ),
            (
                format!(
                    "ingress: [{{port: {{number: 1}}, {none}, defaultEndpoint: 'unix:///run/a'}}]"
                ),
                "1:67 warning: spec.ingress[0].defaultEndpoint: Unix sockets are not supported \
                 yet: nothing listens on the port",
            ),
            (
                format!("ingress: [{{port: {{number: 1}}, {none}, tls: {{mode: SIMPLE}}}}]"),
                "1:55 error: spec.ingress[0].tls: there is no certificate to show; add \
                 `credentialName`, or `serverCertificate` and `privateKey`",
            ),
            (
                format!("ingress: [{{port: {{number: 1}}, {none}, tls: {{mode: PASSTHROUGH}}}}]"),
                "1:62 error: spec.ingress[0].tls.mode: a workload's port has TLS of the mode \
                 SIMPLE or MUTUAL; write one of them; the mesh's own TLS is PeerAuthentication's",
            ),
            (
                "outboundTrafficPolicy: {mode: DENY}".to_owned(),
                "1:31 error: spec.outboundTrafficPolicy.mode: `DENY` is not one of \
                 `REGISTRY_ONLY`, `ALLOW_ANY`, `ALLOW_ANY_DYNAMIC_DNS`",
            ),
        ] {
            check("Sidecar", &spec, &[expected]);
        }
    }
}
