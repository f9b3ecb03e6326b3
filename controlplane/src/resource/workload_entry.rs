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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Resource,
            testing::{self, check},
        },
        *,
    };

    fn read(spec: &str) -> WorkloadEntry {
        match &*testing::read("WorkloadEntry", spec) {
            Resource::WorkloadEntry(resource) => resource.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_ports_and_labels() {
        let entry = read(
            "address: 10.0.0.1\nports: {http: 8080}\nlabels: {app: reviews, version: v1}\n\
             weight: 3\nserviceAccount: reviews\nlocality: eu/eu-1",
        );
        let workload = entry.workload;
        assert_eq!(
            workload.address.value,
            WorkloadAddress::Ip(IpAddr::from([10, 0, 0, 1]))
        );
        assert_eq!(workload.ports, [("http".to_owned(), 8080)].into());
        assert_eq!(workload.labels["version"], "v1");
        assert_eq!(workload.weight, 3);
        assert_eq!(workload.service_account, "reviews");
        assert_eq!(workload.locality, "eu/eu-1");
    }

    #[test]
    fn defaults() {
        let workload = read("address: Vm.Example.com").workload;
        let name = "vm.example.com".to_owned();
        assert_eq!(workload.address.value, WorkloadAddress::Dns(name));
        assert_eq!(workload.weight, 1);
        assert_eq!(read("address: ::1\nweight: 0").workload.weight, 1);
    }

    #[test]
    fn labels_of_the_metadata_win() {
        let text = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  \
                    name: a\n  labels: {version: v2, zone: z}\nspec:\n  address: 10.0.0.1\n  \
                    labels: {version: v1, app: a}\n";
        let loaded = crate::resource::parse("file.yaml", text);
        let Some(Resource::WorkloadEntry(entry)) = loaded.resources.first().map(|entry| &**entry)
        else {
            panic!("{loaded:?}");
        };
        let labels: Vec<_> = entry.workload.labels.iter().collect();
        let expected = [("app", "a"), ("version", "v2"), ("zone", "z")];
        assert!(
            labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .eq(expected)
        );
    }

    #[test]
    fn what_is_wrong_with_a_workload_entry() {
        for (spec, expected) in [
            (
                "labels: {app: a}",
                "1:1 error: spec.address: `address` is missing",
            ),
            (
                "address: a b",
                "1:10 error: spec.address: `a b` is not a host name",
            ),
            (
                "address: 10.0.0.1:80",
                "1:10 error: spec.address: `10.0.0.1:80` is not a host name; leave the port out",
            ),
            (
                "address: unix:///run/app",
                "1:10 warning: spec.address: Unix sockets are not supported yet: it is left out",
            ),
            (
                "address: 10.0.0.1\nnetwork: vm",
                "2:1 warning: spec.network: `network` is not supported yet: every workload counts \
                 as of one network",
            ),
            (
                "address: 10.0.0.1\nports: {http: 0}",
                "2:15 error: spec.ports.http: 0 is not between 1 and 65535",
            ),
            (
                "address: 10.0.0.1\nlabels: {version: 1.10}",
                "2:19 error: spec.labels.version: expected text, found the number `1.10`; put it \
                 in quotes: \"1.10\"",
            ),
            (
                "address: 10.0.0.1\nweight: -1",
                "2:9 error: spec.weight: -1 is not between 0 and 4294967295",
            ),
        ] {
            check("WorkloadEntry", spec, &[expected]);
        }
    }
}
