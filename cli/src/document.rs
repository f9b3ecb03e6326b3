//! The Document that a proxy runs, asked from the proxy itself or from its control plane.

use std::{net::SocketAddr, path::Path};

use ringmain_config::{
    document::{Document, Part, PartKind},
    wire::Query,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{admin, fault::Fault, plane};

/// What the proxy with this admin endpoint runs.
pub(crate) fn of_proxy(address: SocketAddr) -> Result<Document, Fault> {
    let dump = admin::json(address, "/config_dump")?;
    from_dump(dump).map_err(|error| {
        Fault::with(
            format!("http://{address}/config_dump is not understood: {error}"),
            "use the `ringmain` of the proxy's version",
        )
    })
}

/// What the control plane at `socket` publishes to the proxy of this name: `NAME` in namespace
/// `default`, or `NAMESPACE/NAME`.
pub(crate) fn of_plane(socket: &Path, proxy: &str) -> Result<Document, Fault> {
    let (namespace, name) = proxy.split_once('/').unwrap_or(("default", proxy));
    let query = Query::Document {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    plane::ask(socket, query)
}

/// Body of `/config_dump`; fields that are only for people are left out.
#[derive(Deserialize)]
struct Dump {
    generation: u64,
    parts: Vec<DumpedPart>,
}

#[derive(Deserialize)]
struct DumpedPart {
    kind: PartKind,
    /// Hexadecimal.
    version: String,
    value: Value,
}

fn from_dump(dump: Value) -> Result<Document, String> {
    let dump: Dump = serde_json::from_value(dump).map_err(|error| error.to_string())?;
    let mut document = Document {
        generation: dump.generation,
        ..Document::default()
    };
    for part in dump.parts {
        let version = u64::from_str_radix(&part.version, 16).map_err(|error| error.to_string())?;
        let value = Part::of_json(part.kind, part.value).map_err(|error| error.to_string())?;
        document.upsert_versioned(value, version);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use ringmain_config::endpoint::EndpointSet;
    use serde_json::json;

    use super::from_dump;

    #[test]
    fn a_dump_becomes_a_document() {
        let dump = json!({
            "generation": 7,
            "source": "control_plane",
            "parts": [{
                "kind": "endpoint_set",
                "name": "a",
                "version": "00000000000000ff",
                "origins": [],
                "value": { "cluster": "a", "endpoints": [] },
            }],
        });
        let document = from_dump(dump).unwrap();
        let set = &document.endpoint_sets["a"];
        assert_eq!((document.generation, set.version), (7, 255));
        let expected = EndpointSet {
            cluster: "a".to_owned(),
            endpoints: Vec::new(),
        };
        assert_eq!(*set.value, expected);
    }

    #[test]
    fn anything_else_is_refused() {
        for dump in [
            json!(null),
            json!({ "parts": [] }),
            json!({ "generation": 1, "parts": [{ "kind": "x", "version": "1", "value": {} }] }),
            json!({ "generation": 1, "parts": [{ "kind": "cluster", "version": "1", "value": {} }] }),
            json!({ "generation": 1, "parts": [
                { "kind": "endpoint_set", "version": "g", "value": { "cluster": "", "endpoints": [] } },
            ] }),
        ] {
            assert!(from_dump(dump.clone()).is_err(), "{dump}");
        }
    }
}
