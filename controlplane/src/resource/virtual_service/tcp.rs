//! Reads the rules of `tcp`.

use ringmain_config::tcp as config;

use super::{
    super::{
        cursor::{Cursor, Fault, Report},
        format,
        metadata::{self, Metadata},
        span::Spanned,
    },
    GatewayReference, TcpDestination, TcpMatch, TcpRoute, TlsMatch, TlsRoute,
    read::{check_weights, read_destination},
};

/// In the order written.
pub(super) fn read(
    spec: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Vec<Spanned<TcpRoute>> {
    let rules = spec.list("tcp");
    let read = rules.iter().map(|at| {
        let matches = at.list("match");
        at.spanned(TcpRoute {
            matches: matches
                .iter()
                .map(|item| item.spanned(read_match(item, metadata)))
                .collect(),
            destinations: read_destinations(at, metadata, report),
        })
    });
    read.filter(|rule| !rule.destinations.is_empty()).collect()
}

/// Rules of `tls`, in the order written.
pub(super) fn read_tls(
    spec: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Vec<Spanned<TlsRoute>> {
    let rules = spec.list("tls");
    let read = rules.iter().map(|at| {
        let matches = at.list("match");
        at.spanned(TlsRoute {
            matches: matches
                .iter()
                .map(|item| item.spanned(read_tls_match(item, metadata)))
                .collect(),
            destinations: read_destinations(at, metadata, report),
        })
    });
    read.filter(|rule| !rule.destinations.is_empty()).collect()
}

fn read_tls_match(at: &Cursor<'_>, metadata: &Metadata) -> TlsMatch {
    let names = at.each_of_list("sniHosts");
    let names = names.filter_map(|name| Some(name.spanned(name.text()?.to_ascii_lowercase())));
    TlsMatch {
        server_names: names.collect(),
        connection: read_match(at, metadata),
    }
}

fn read_match(at: &Cursor<'_>, metadata: &Metadata) -> TcpMatch {
    let parse = |text: Option<&str>| text?.parse::<config::Subnet>().ok();
    let destinations = at.list("destinationSubnets");
    let gateways = at.list("gateways");
    TcpMatch {
        addresses: config::TcpMatch {
            destinations: destinations
                .iter()
                .filter_map(|subnet| parse(subnet.text()))
                .collect(),
            sources: parse(at.text_of("sourceSubnet")).into_iter().collect(),
        },
        port: at.integer_of("port"),
        source_labels: metadata::labels(at, "sourceLabels"),
        source_namespace: at.text_of("sourceNamespace").map(str::to_owned),
        gateways: gateways
            .iter()
            .filter_map(|gateway| Some(GatewayReference::of(gateway.text()?, metadata)))
            .collect(),
    }
}

fn read_destinations(
    rule: &Cursor<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> Vec<Spanned<TcpDestination>> {
    let Some(list) = rule.field("route") else {
        return Vec::new();
    };
    let mut destinations = Vec::new();
    for at in &list.items() {
        let destination = at.field("destination");
        let Some(destination) = destination.and_then(|at| read_destination(&at, metadata)) else {
            continue;
        };
        destinations.push(at.spanned(TcpDestination {
            destination,
            weight: at.integer_of("weight").unwrap_or(0),
        }));
    }
    if let [only] = destinations.as_mut_slice()
        && only.weight == 0
    {
        // The API cannot tell 0 from nothing.
        only.value.weight = 100;
    }
    let weights = destinations.iter().map(|destination| destination.weight);
    check_weights(&list, weights, report);
    destinations
}

/// An address, or a block of addresses.
pub(super) fn subnet(text: &str) -> Result<(), Fault> {
    match text.parse::<config::Subnet>() {
        Ok(_) => Ok(()),
        Err(config::NotSubnet) => Err(Fault::new(format!(
            "`{}` is not a subnet",
            format::shown(text)
        ))
        .hint("write an address, or a block like `10.0.0.0/8`")),
    }
}
