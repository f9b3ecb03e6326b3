//! security.istio.io PeerAuthentication: whether workloads take connections without the mesh's TLS.

use std::collections::BTreeMap;

use super::{
    cursor::{Cursor, Fault, Report},
    document, format,
    metadata::{self, Labels, Metadata},
    schema::{Choice, Field, LABELS, Shape},
    span::Spanned,
};

/// What the workloads of a namespace, or some of them, take.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerAuthentication {
    /// Who it is.
    pub metadata: Metadata,
    /// Labels of the workloads; absent: all of the namespace, or of the mesh in the root namespace.
    pub selector: Option<Labels>,
    /// What holds for their ports; absent: what holds for the whole around.
    pub mode: Option<Spanned<MutualTls>>,
    /// By the workload's port: what differs there.
    pub ports: BTreeMap<u16, Spanned<Option<MutualTls>>>,
}

/// Which connections a workload takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutualTls {
    /// Those without the mesh's TLS.
    Disable,
    /// Both.
    #[default]
    Permissive,
    /// Those with the mesh's TLS.
    Strict,
}

static SPEC: [Field; 3] = [
    Field::new(
        "selector",
        Shape::Object(&[Field::new("matchLabels", LABELS)]),
    ),
    Field::new("mtls", Shape::Object(&MUTUAL_TLS)),
    Field::new(
        "portLevelMtls",
        Shape::Map(port, &Shape::Object(&MUTUAL_TLS)),
    ),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static MUTUAL_TLS: [Field; 1] = [Field::new("mode", Shape::Choice(&MODES))];

static MODES: [Choice; 4] = [
    Choice::new("UNSET"),
    Choice::new("DISABLE"),
    Choice::new("PERMISSIVE"),
    Choice::new("STRICT"),
];

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<PeerAuthentication> {
    let selector = spec.field("selector");
    let selector = selector.map(|at| metadata::labels(&at, "matchLabels"));
    let selector = selector.filter(|labels| !labels.is_empty());
    let mode = spec.field("mtls").and_then(|at| {
        let mode = mode(&at)?;
        Some(at.field("mode").unwrap_or(at).spanned(mode))
    });
    let mut ports = BTreeMap::new();
    for (number, at) in spec.each_of_map("portLevelMtls") {
        let Ok(number) = number.parse() else { continue };
        ports.insert(number, at.spanned(self::mode(&at)));
    }
    if let (None, Some(at)) = (&selector, spec.field("portLevelMtls"))
        && !ports.is_empty()
    {
        let fault = Fault::new("ports are those of a workload, and none is selected");
        report.error(&at, fault.hint("add `selector.matchLabels`"));
    }
    Some(PeerAuthentication {
        metadata,
        selector,
        mode,
        ports,
    })
}

fn mode(at: &Cursor<'_>) -> Option<MutualTls> {
    match at.text_of("mode")? {
        "DISABLE" => Some(MutualTls::Disable),
        "PERMISSIVE" => Some(MutualTls::Permissive),
        "STRICT" => Some(MutualTls::Strict),
        _ => None,
    }
}

fn port(text: &str) -> Result<(), Fault> {
    match text.parse::<u16>() {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => {
            let fault = Fault::new(format!("`{}` is not a port", format::shown(text)));
            Err(fault.hint("write the number of the workload's port: 1 to 65535"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Resource, parse};
    use super::*;

    fn document(spec: &str) -> String {
        format!(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
             metadata: {{name: a}}\nspec: {spec}\n"
        )
    }

    #[test]
    fn modes_of_workloads_and_their_ports() {
        use MutualTls::{Disable, Strict};
        for (spec, selects, mode, ports) in [
            ("{}", false, None, vec![]),
            ("{mtls: {mode: STRICT}}", false, Some(Strict), vec![]),
            ("{mtls: {mode: UNSET}}", false, None, vec![]),
            (
                "{selector: {matchLabels: {}}, mtls: {}}",
                false,
                None,
                vec![],
            ),
            (
                "{selector: {matchLabels: {a: b}}, \
                 portLevelMtls: {8080: {mode: DISABLE}, '9': {mode: UNSET}}}",
                true,
                None,
                vec![(9, None), (8080, Some(Disable))],
            ),
        ] {
            let loaded = parse("file.yaml", &document(spec));
            assert_eq!(loaded.problems, [], "{spec}");
            let Resource::PeerAuthentication(found) = &*loaded.resources[0] else {
                panic!("{spec}");
            };
            assert_eq!(found.selector.is_some(), selects, "{spec}");
            assert_eq!(found.mode.as_ref().map(|mode| mode.value), mode, "{spec}");
            let found: Vec<_> = found
                .ports
                .iter()
                .map(|(port, mode)| (*port, mode.value))
                .collect();
            assert_eq!(found, ports, "{spec}");
        }
    }

    #[test]
    fn what_is_wrong() {
        for (spec, expected) in [
            (
                "{portLevelMtls: {80: {mode: STRICT}}}",
                "ports are those of a workload",
            ),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: STRICT}}}",
                "`http` is not a port",
            ),
            ("{mtls: {mode: STRIKT}}", "`STRIKT` is not one of"),
        ] {
            let loaded = parse("file.yaml", &document(spec));
            let found: Vec<_> = loaded.problems.iter().map(ToString::to_string).collect();
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{spec}: {found:?}"
            );
        }
    }
}
