//! v1 Service: a name, its ports, and the labels of the workloads that answer.

use super::{
    cursor::{Cursor, Report},
    document, format,
    metadata::{self, Labels, Metadata},
    port::{self, NOT_ROUTED, ServicePort, TargetPort, Unique},
    schema::{Choice, Field, LABELS, PORT, Shape, TEXTS},
    span::Spanned,
};

/// A service of the mesh, with the host name `name.namespace.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Who it is.
    pub metadata: Metadata,
    /// Numbers and names are unique.
    pub ports: Vec<Spanned<ServicePort>>,
    /// Labels of the workloads of the same namespace that answer; empty: none does.
    pub selector: Labels,
}

impl Service {
    /// `reviews.default.svc.cluster.local`.
    pub fn host(&self) -> String {
        super::host::full_name(&self.metadata.name, &self.metadata.namespace)
    }
}

static SPEC: [Field; 20] = [
    Field::new("ports", Shape::List(&Shape::Object(&SERVICE_PORT))),
    Field::new("selector", LABELS),
    Field::new("type", Shape::Choice(&TYPES)),
    Field::new("clusterIP", Shape::Text).inert(),
    Field::new("clusterIPs", TEXTS).inert(),
    Field::new("externalIPs", TEXTS).inert(),
    Field::new("externalName", Shape::Text),
    Field::new("externalTrafficPolicy", Shape::Text).inert(),
    Field::new("internalTrafficPolicy", Shape::Text).inert(),
    Field::new("trafficDistribution", Shape::Text).later("near endpoints are not preferred"),
    Field::new("healthCheckNodePort", Shape::Any).inert(),
    Field::new("publishNotReadyAddresses", Shape::Boolean).inert(),
    Field::new("sessionAffinity", Shape::Choice(&AFFINITIES)),
    Field::new("sessionAffinityConfig", Shape::Any).inert(),
    Field::new("ipFamilies", TEXTS).inert(),
    Field::new("ipFamilyPolicy", Shape::Text).inert(),
    Field::new("allocateLoadBalancerNodePorts", Shape::Boolean).inert(),
    Field::new("loadBalancerClass", Shape::Text).inert(),
    Field::new("loadBalancerIP", Shape::Text).inert(),
    Field::new("loadBalancerSourceRanges", TEXTS).refused("every client would be let in"),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static SERVICE_PORT: [Field; 6] = [
    Field::new("name", Shape::Form(format::port_name)),
    Field::new("protocol", Shape::Choice(&TRANSPORTS)),
    Field::new("appProtocol", Shape::Text),
    Field::new("port", PORT).required(),
    Field::new("targetPort", Shape::PortOrName),
    Field::new("nodePort", Shape::Any).inert(),
];

static TYPES: [Choice; 4] = [
    Choice::new("ClusterIP"),
    Choice::new("NodePort"),
    Choice::new("LoadBalancer"),
    Choice::new("ExternalName").later("the service has no endpoints; write a ServiceEntry"),
];

static AFFINITIES: [Choice; 2] = [
    Choice::new("None"),
    Choice::new("ClientIP").later("requests of one client go to any endpoint"),
];

static TRANSPORTS: [Choice; 3] = [Choice::new("TCP"), Choice::new("UDP"), Choice::new("SCTP")];

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(metadata: Metadata, spec: &Cursor<'_>, report: &mut Report) -> Option<Service> {
    Some(Service {
        ports: read_ports(spec, report),
        selector: metadata::labels(spec, "selector"),
        metadata,
    })
}

fn read_ports(spec: &Cursor<'_>, report: &mut Report) -> Vec<Spanned<ServicePort>> {
    let items = spec.list("ports");
    let mut unique = Unique::default();
    let mut ports = Vec::new();
    for at in &items {
        if items.len() > 1 && at.field("name").is_none() {
            report.missing(at, "name");
        }
        if let Some(port) = read_port(at, report) {
            unique.check(at, &port, report);
            ports.push(at.spanned(port));
        }
    }
    ports
}

fn read_port(at: &Cursor<'_>, report: &mut Report) -> Option<ServicePort> {
    let number = at.integer_of("port")?;
    let name = at.text_of("name").unwrap_or_default();
    if let Some(transport) = at.field("protocol")
        && let Some(text @ ("UDP" | "SCTP")) = transport.text()
    {
        let message = format!("protocol {text} is not supported yet: {NOT_ROUTED}");
        report.warning(&transport, message);
        return None;
    }
    let app_protocol = at.text_of("appProtocol");
    let protocol = app_protocol
        .and_then(port::of_app_protocol)
        .or_else(|| port::of_name(name))
        .unwrap_or_else(|| port::undeclared(number));
    let said_by = match app_protocol.and_then(port::of_app_protocol) {
        Some(_) => "appProtocol",
        None => "name",
    };
    port::warn_unless_supported(at, said_by, protocol, NOT_ROUTED, report);
    let target = at.field("targetPort");
    let target = target.and_then(|target| match target.text() {
        Some(name) => Some(TargetPort::Name(name.to_owned())),
        None => Some(TargetPort::Number(u16::try_from(target.integer()?).ok()?)),
    });
    Some(ServicePort {
        number,
        name: name.to_owned(),
        protocol,
        target: target.unwrap_or(TargetPort::Number(number)),
    })
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
    use crate::resource::port::Protocol;

    fn read(spec: &str) -> Service {
        match &*testing::read("Service", spec) {
            Resource::Service(service) => service.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ports_and_selector() {
        let service = read(
            "selector: {app: reviews}\ntype: ClusterIP\nclusterIP: None\nports:\n\
             - {name: http, port: 9080}\n\
             - {name: web, port: 80, targetPort: 8080, nodePort: 30080}\n\
             - {name: admin, port: 81, targetPort: admin, appProtocol: http}",
        );
        assert_eq!(service.host(), "name.default.svc.cluster.local");
        assert_eq!(
            service.selector,
            [("app".to_owned(), "reviews".to_owned())].into()
        );
        let port = |number, name: &str, protocol, target| ServicePort {
            number,
            name: name.to_owned(),
            protocol,
            target,
        };
        let ports: Vec<_> = service.ports.into_iter().map(|port| port.value).collect();
        assert_eq!(
            ports,
            [
                port(9080, "http", Protocol::Http, TargetPort::Number(9080)),
                port(80, "web", Protocol::Detect, TargetPort::Number(8080)),
                port(
                    81,
                    "admin",
                    Protocol::Http,
                    TargetPort::Name("admin".to_owned())
                ),
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_a_service() {
        for (spec, expected) in [
            (
                "ports: [{port: 9000, protocol: UDP}]",
                "1:32 warning: spec.ports[0].protocol: protocol UDP is not supported yet: \
                 requests to the port are not routed",
            ),
            (
                "ports: [{port: 53, protocol: UDP}]",
                "1:30 warning: spec.ports[0].protocol: protocol UDP is not supported yet: \
                 requests to the port are not routed",
            ),
            (
                "ports: [{name: a, port: 1}, {port: 2}]",
                "1:29 error: spec.ports[1].name: `name` is missing",
            ),
            (
                "ports: [{name: a, port: 1}, {name: b, port: 1}]",
                "1:29 error: spec.ports[1]: port 1 stands here twice",
            ),
            (
                "ports: [{name: a, port: 1}, {name: a, port: 2}]",
                "1:29 error: spec.ports[1]: two ports are named `a`",
            ),
            (
                "ports: [{port: 80, targetPort: 70000}]",
                "1:32 error: spec.ports[0].targetPort: 70000 is not between 1 and 65535",
            ),
            (
                "loadBalancerSourceRanges: [10.0.0.0/8]",
                "1:1 error: spec.loadBalancerSourceRanges: `loadBalancerSourceRanges` is not \
                 supported yet: every client would be let in; remove it only if doing without is \
                 safe",
            ),
            (
                "type: ExternalName\nexternalName: example.com",
                "1:7 warning: spec.type: `ExternalName` is not supported yet: the service has no \
                 endpoints; write a ServiceEntry",
            ),
            (
                "selektor: {app: a}",
                "1:1 error: spec.selektor: there is no field `selektor`; did you mean `selector`?",
            ),
        ] {
            check("Service", spec, &[expected]);
        }
    }
}
