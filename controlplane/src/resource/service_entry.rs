//! networking.istio.io ServiceEntry: services that no Kubernetes announces. On plain hosts it is
//! the service registry itself.

use std::{collections::HashSet, net::IpAddr};

use ringmain_config::problem::{Severity, nearest};

use super::{
    cursor::{Cursor, Fault, Report},
    document, export, format,
    metadata::{self, Labels, Metadata},
    port::{self, ServicePort, TargetPort, Unique},
    schema::{Choice, Field, PORT, SELECTOR, Shape, TEXTS},
    span::Spanned,
    workload_entry::{self, Workload},
};

/// Services and who answers for them.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceEntry {
    /// Who it is.
    pub metadata: Metadata,
    /// `*.x` or names as written, in lower case; never empty. Each is a service of its own.
    pub hosts: Vec<Spanned<String>>,
    /// Virtual addresses of the services.
    pub addresses: Vec<Spanned<AddressBlock>>,
    /// Numbers and names are unique; never empty.
    pub ports: Vec<Spanned<ServicePort>>,
    /// In the mesh, or outside of it.
    pub location: Location,
    /// How the address to connect to is found.
    pub resolution: Resolution,
    /// Who answers; never together with `selector`.
    pub endpoints: Vec<Spanned<Workload>>,
    /// Labels of the workloads of the same namespace that answer.
    pub selector: Option<Labels>,
    /// `subjectAltNames`: one of these is in the certificate of whoever answers. Empty: nothing is
    /// said of it.
    pub names: Vec<String>,
}

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressBlock {
    /// As written.
    pub address: IpAddr,
    /// 32 or 128 for a single address.
    pub prefix_bits: u8,
}

/// Whether a service is part of the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// `MESH_EXTERNAL`, the default.
    #[default]
    External,
    /// `MESH_INTERNAL`.
    Internal,
}

/// How the address to connect to is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// `NONE`, the default: the client has already connected to the right address.
    #[default]
    None,
    /// `STATIC`: the endpoints have addresses.
    Static,
    /// `DNS`: the endpoints have names, or there are none and the host is the name.
    Dns,
}

static SPEC: [Field; 9] = [
    Field::new(
        "hosts",
        Shape::FullList(&Shape::Form(format::partial_wildcard_host)),
    )
    .required(),
    Field::new("addresses", Shape::List(&Shape::Form(address_block_form))),
    Field::new("ports", Shape::FullList(&Shape::Object(&SERVICE_PORT))).required(),
    Field::new("location", Shape::Choice(&LOCATIONS)),
    Field::new("resolution", Shape::Choice(&RESOLUTIONS)),
    Field::new(
        "endpoints",
        Shape::List(&Shape::Object(&workload_entry::SPEC)),
    ),
    Field::new("workloadSelector", SELECTOR),
    Field::new("exportTo", export::SHAPE),
    Field::new("subjectAltNames", TEXTS),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static SERVICE_PORT: [Field; 4] = [
    Field::new("number", PORT).required(),
    Field::new("protocol", Shape::Form(port::protocol_name)),
    Field::new("name", Shape::Form(format::port_name)).required(),
    Field::new("targetPort", PORT),
];

static LOCATIONS: [Choice; 2] = [Choice::new("MESH_EXTERNAL"), Choice::new("MESH_INTERNAL")];

static RESOLUTIONS: [Choice; 5] = [
    Choice::new("NONE"),
    Choice::new("STATIC"),
    Choice::new("DNS"),
    Choice::new("DNS_ROUND_ROBIN").later("it is taken for `DNS`"),
    Choice::new("DYNAMIC_DNS").later("it is taken for `NONE`"),
];

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<ServiceEntry> {
    let entry = ServiceEntry {
        hosts: texts(spec, "hosts", str::to_ascii_lowercase),
        addresses: spec
            .list("addresses")
            .iter()
            .filter_map(|address| Some(address.spanned(address_block(address.text()?)?)))
            .collect(),
        ports: read_ports(spec, report),
        location: match spec.text_of("location") {
            Some("MESH_INTERNAL") => Location::Internal,
            _ => Location::External,
        },
        resolution: match spec.text_of("resolution") {
            Some("STATIC") => Resolution::Static,
            Some("DNS" | "DNS_ROUND_ROBIN") => Resolution::Dns,
            _ => Resolution::None,
        },
        endpoints: spec
            .list("endpoints")
            .iter()
            .filter_map(|at| Some(at.spanned(workload_entry::read_workload(at, report)?)))
            .collect(),
        selector: metadata::workload_selector(spec),
        names: spec
            .each_of_list("subjectAltNames")
            .filter_map(|name| name.text().map(str::to_owned))
            .collect(),
        metadata,
    };
    export::warn(spec, report);
    check_duplicate_hosts(spec, report);
    check_resolution(&entry, spec, report);
    check_endpoint_ports(&entry, spec, report);
    Some(entry)
}

fn texts(at: &Cursor<'_>, name: &str, form: fn(&str) -> String) -> Vec<Spanned<String>> {
    at.list(name)
        .iter()
        .filter_map(|item| Some(item.spanned(form(item.text()?))))
        .collect()
}

fn read_ports(spec: &Cursor<'_>, report: &mut Report) -> Vec<Spanned<ServicePort>> {
    let mut unique = Unique::default();
    let mut ports = Vec::new();
    for at in &spec.list("ports") {
        let Some(number) = at.integer_of("number") else {
            continue;
        };
        let protocol = port::declared(at, "protocol").unwrap_or_else(|| port::undeclared(number));
        port::warn_unless_supported(at, "protocol", protocol, port::NOT_ROUTED, report);
        let port = ServicePort {
            number,
            name: at.text_of("name").unwrap_or_default().to_owned(),
            protocol,
            target: TargetPort::Number(at.integer_of("targetPort").unwrap_or(number)),
        };
        unique.check(at, &port, report);
        ports.push(at.spanned(port));
    }
    ports
}

fn check_duplicate_hosts(spec: &Cursor<'_>, report: &mut Report) {
    let mut hosts = HashSet::new();
    for at in spec.list("hosts") {
        if let Some(host) = at.text()
            && !hosts.insert(host.to_ascii_lowercase())
        {
            report.error(&at, format!("the host `{host}` stands here twice"));
        }
    }
}

/// Which hosts and endpoints each way of resolution allows.
fn check_resolution(entry: &ServiceEntry, spec: &Cursor<'_>, report: &mut Report) {
    let at = spec.field("resolution").unwrap_or(*spec);
    let endpoints = spec
        .field("endpoints")
        .filter(|list| !list.items().is_empty());
    if let (Some(_), Some(selector)) = (&endpoints, spec.field("workloadSelector")) {
        let fault = Fault::new("`endpoints` and `workloadSelector` exclude each other");
        report.error(&selector, fault.hint("remove one of them"));
    }
    match entry.resolution {
        Resolution::None => {
            if let Some(endpoints) = endpoints {
                let fault = Fault::new("resolution `NONE` has no endpoints");
                report.error(
                    &endpoints,
                    fault.hint("write `resolution: STATIC` for addresses, `DNS` for names"),
                );
            }
        }
        Resolution::Static => {
            if endpoints.is_none() && entry.selector.is_none() {
                let fault = Fault::new("resolution `STATIC` needs endpoints");
                report.error(&at, fault.hint("add `endpoints`, or a `workloadSelector`"));
            }
            for endpoint in spec.list("endpoints") {
                check_static_address(&endpoint, report);
            }
        }
        Resolution::Dns => {
            let resolvable = endpoints.is_some() || entry.selector.is_some();
            for host in spec.list("hosts").iter().filter(|_| !resolvable) {
                if host.text().is_some_and(|host| host.starts_with('*')) {
                    let fault = Fault::new("a wildcard cannot be resolved");
                    report.error(host, fault.hint("add `endpoints`, or name the hosts"));
                }
            }
        }
    }
}

fn check_static_address(endpoint: &Cursor<'_>, report: &mut Report) {
    let Some(address) = endpoint.field("address") else {
        return;
    };
    if address.text().is_some_and(|text| {
        !text.starts_with("unix:") && text.parse::<IpAddr>().is_err() && format::host(text).is_ok()
    }) {
        let fault = Fault::new("resolution `STATIC` needs an address, this is a name");
        report.error(&address, fault.hint("write `resolution: DNS`"));
    }
}

/// An endpoint's port must be one of the service's.
fn check_endpoint_ports(entry: &ServiceEntry, spec: &Cursor<'_>, report: &mut Report) {
    for endpoint in spec.list("endpoints") {
        let ports = endpoint.field("ports");
        for (name, at) in ports.map_or_else(Vec::new, |ports| ports.entries()) {
            if !entry.ports.iter().any(|port| port.name == name) {
                let names = entry.ports.iter().map(|port| port.name.as_str());
                let fault = Fault::new(format!("the service has no port `{name}`"));
                report.key(
                    Severity::Error,
                    &at,
                    match nearest(name, names) {
                        Some(nearest) => fault.hint(format!("did you mean `{nearest}`?")),
                        None => fault,
                    },
                );
            }
        }
    }
}

/// An address, or one with the length of its prefix.
fn address_block(text: &str) -> Option<AddressBlock> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let bits_max = match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let prefix_bits = bits.unwrap_or(bits_max);
    (prefix_bits <= bits_max).then_some(AddressBlock {
        address,
        prefix_bits,
    })
}

fn address_block_form(text: &str) -> Result<(), Fault> {
    match address_block(text) {
        Some(_) => Ok(()),
        None => Err(Fault::new(format!(
            "`{}` is not an IP address or block",
            format::shown(text)
        ))
        .hint("write it like `10.0.0.1` or `10.0.0.0/8`")),
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

    fn read(spec: &str) -> ServiceEntry {
        match &*testing::read("ServiceEntry", spec) {
            Resource::ServiceEntry(resource) => resource.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn hosts_ports_and_endpoints() {
        let entry = read(
            "hosts: [Reviews.example.com, '*.example.org']\naddresses: [240.0.0.1, 10.0.0.0/8]\n\
             location: MESH_INTERNAL\nresolution: STATIC\nports:\n\
             - {number: 80, name: http, protocol: HTTP, targetPort: 8080}\n\
             - {number: 81, name: any}\nendpoints:\n\
             - {address: 10.0.0.1, ports: {http: 8081}, labels: {version: v1}}\n\
             - {address: '::1', weight: 2}",
        );
        let hosts: Vec<&str> = entry.hosts.iter().map(|host| host.as_str()).collect();
        assert_eq!(hosts, ["reviews.example.com", "*.example.org"]);
        let bits: Vec<u8> = entry
            .addresses
            .iter()
            .map(|block| block.prefix_bits)
            .collect();
        assert_eq!(bits, [32, 8]);
        assert_eq!(
            (entry.location, entry.resolution),
            (Location::Internal, Resolution::Static)
        );
        assert_eq!(entry.ports[0].target, TargetPort::Number(8080));
        assert_eq!(entry.ports[1].target, TargetPort::Number(81));
        assert_eq!(entry.ports[1].protocol, port::Protocol::Detect);
        assert_eq!(entry.endpoints[0].ports["http"], 8081);
        assert_eq!(entry.endpoints[1].weight, 2);
        assert_eq!(entry.selector, None);
    }

    #[test]
    fn what_is_not_written_has_a_default() {
        let entry = read("hosts: [a.example.com]\nports: [{number: 80, name: http}]");
        assert_eq!(
            (entry.location, entry.resolution),
            (Location::External, Resolution::None)
        );
        let entry = read(
            "hosts: [a.example.com]\nports: [{number: 80, name: http}]\nresolution: STATIC\n\
             workloadSelector: {labels: {app: a}}",
        );
        assert_eq!(
            entry.selector,
            Some([("app".to_owned(), "a".to_owned())].into())
        );
    }

    #[test]
    fn what_is_wrong_with_a_service_entry() {
        let ports = "ports: [{number: 80, name: http}]";
        for (spec, expected) in [
            (
                "hosts: ['*']".to_owned(),
                "2:9 error: spec.hosts[0]: `*` is not a host of its own; name a domain: \
`*.example.com`",
            ),
            (
                "hosts: []".to_owned(),
                "2:8 error: spec.hosts: the list is empty",
            ),
            (
                "hosts: [a, A]".to_owned(),
                "2:12 error: spec.hosts[1]: the host `A` stands here twice",
            ),
            (
                "hosts: [a]\naddresses: [10.0.0.0/33]".to_owned(),
                "3:13 error: spec.addresses[0]: `10.0.0.0/33` is not an IP address or block; \
                 write it like `10.0.0.1` or `10.0.0.0/8`",
            ),
            (
                "hosts: [a]\nresolution: STATIC".to_owned(),
                "3:13 error: spec.resolution: resolution `STATIC` needs endpoints; add \
                 `endpoints`, or a `workloadSelector`",
            ),
            (
                "hosts: [a]\nresolution: STATIC\nendpoints: [{address: b.example.com}]".to_owned(),
                "4:23 error: spec.endpoints[0].address: resolution `STATIC` needs an address, \
                 this is a name; write `resolution: DNS`",
            ),
            (
                "hosts: [a]\nendpoints: [{address: 10.0.0.1}]".to_owned(),
                "3:12 error: spec.endpoints: resolution `NONE` has no endpoints; write \
                 `resolution: STATIC` for addresses, `DNS` for names",
            ),
            (
                "hosts: ['*.a']\nresolution: DNS".to_owned(),
                "2:9 error: spec.hosts[0]: a wildcard cannot be resolved; add `endpoints`, or \
                 name the hosts",
            ),
            (
                "hosts: [a]\nresolution: DNS_ROUND_ROBIN".to_owned(),
                "3:13 warning: spec.resolution: `DNS_ROUND_ROBIN` is not supported yet: it is \
                 taken for `DNS`",
            ),
            (
                "hosts: [a]\nresolution: DNS\nendpoints: [{address: b, ports: {htp: 1}}]"
                    .to_owned(),
                "4:34 error: spec.endpoints[0].ports.htp: the service has no port `htp`; did you \
                 mean `http`?",
            ),
            (
                "hosts: [a]\nresolution: DNS\nendpoints: [{address: b}]\nworkloadSelector: \
{labels: {a: b}}"
                    .to_owned(),
                "5:19 error: spec.workloadSelector: `endpoints` and `workloadSelector` exclude \
                 each other; remove one of them",
            ),
        ] {
            check("ServiceEntry", &format!("{ports}\n{spec}"), &[expected]);
        }
        for (ports, expected) in [
            ("[]", "1:21 error: spec.ports: the list is empty"),
            (
                "[{number: 80}]",
                "1:22 error: spec.ports[0].name: `name` is missing",
            ),
            (
                "[{number: 443, name: udp, protocol: UDP}]",
                "1:57 warning: spec.ports[0].protocol: protocol UDP is not supported yet: \
                 requests to the port are not routed",
            ),
            (
                "[{number: 1, name: a}, {number: 1, name: b}]",
                "1:44 error: spec.ports[1]: port 1 stands here twice",
            ),
        ] {
            check(
                "ServiceEntry",
                &format!("{{hosts: [a], ports: {ports}}}"),
                &[expected],
            );
        }
    }
}
