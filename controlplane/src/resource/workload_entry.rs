//! networking.istio.io WorkloadEntry: one workload that answers for services.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    cursor::{Cursor, Report},
    document, format, listener,
    metadata::{self, Labels, Metadata},
    schema::{COUNT, Field, LABELS, PORT, Shape},
    span::Spanned,
};

/// A workload that ServiceEntries and Services select by its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadEntry {
    /// Who it is.
    pub metadata: Metadata,
    /// What it is. Its labels include those of the metadata, which win.
    pub workload: Workload,
}

/// `WorkloadEntry.spec`, and an element of `ServiceEntry.spec.endpoints`.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Where it is reached.
    pub address: Spanned<WorkloadAddress>,
    /// Port of the service by name, to the port it listens on. A port that is not here is that of
    /// the service.
    pub ports: BTreeMap<String, u16>,
    /// For selectors and subsets.
    pub labels: Labels,
    /// Relative to the other endpoints; 1 when not written.
    pub weight: u32,
    /// Empty when not written.
    pub service_account: String,
    /// `region/zone/subzone`; empty when not written. Nothing depends on it yet, as in a mesh
    /// without outlier detection.
    pub locality: String,
}

/// Where a workload is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadAddress {
    /// At an address.
    Ip(IpAddr),
    /// At the addresses that a name resolves to.
    Dns(String),
}

/// `WorkloadEntry.spec`, and an element of `ServiceEntry.spec.endpoints`.
pub(super) static SPEC: [Field; 7] = [
    Field::new("address", Shape::Text).required(),
    Field::new("ports", Shape::Map(format::port_name, &PORT)),
    Field::new("labels", LABELS),
    Field::new("network", Shape::Text).later("every workload counts as of one network"),
    Field::new("locality", Shape::Text),
    Field::new("weight", COUNT),
    Field::new("serviceAccount", Shape::Text),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<WorkloadEntry> {
    let mut workload = read_workload(spec, report)?;
    workload.labels.extend(metadata.labels.clone());
    Some(WorkloadEntry { metadata, workload })
}

/// Reads what [`SPEC`] describes; none for an address that cannot be reached yet, which is
/// reported.
pub(super) fn read_workload(at: &Cursor<'_>, report: &mut Report) -> Option<Workload> {
    let ports = at.field("ports").map_or_else(Vec::new, |map| map.entries());
    let ports = ports
        .into_iter()
        .filter_map(|(name, port)| Some((name.to_owned(), u16::try_from(port.integer()?).ok()?)));
    Some(Workload {
        address: read_address(&at.field("address")?, report)?,
        ports: ports.collect(),
        labels: metadata::labels(at, "labels"),
        // The API cannot tell 0 from nothing.
        weight: at.integer_of("weight").unwrap_or(0).max(1),
        service_account: at.text_of("serviceAccount").unwrap_or_default().to_owned(),
        locality: at.text_of("locality").unwrap_or_default().to_owned(),
    })
}

fn read_address(at: &Cursor<'_>, report: &mut Report) -> Option<Spanned<WorkloadAddress>> {
    let text = at.text()?;
    if listener::is_unix(text) {
        let message = "Unix sockets are not supported yet: it is left out";
        report.warning(at, message);
        return None;
    }
    if let Ok(address) = text.parse() {
        return Some(at.spanned(WorkloadAddress::Ip(address)));
    }
    match format::host(text) {
        Ok(()) => Some(at.spanned(WorkloadAddress::Dns(text.to_ascii_lowercase()))),
        Err(fault) => {
            report.error(at, fault);
            None
        }
    }
}
