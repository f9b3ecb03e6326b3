//! What a proxy says of its workload to the proxy at the other end, so that both know who the other
//! is beyond its identity: name, canonical service, version.
//!
//! The form is that of Istio's header fields: `x-envoy-peer-metadata` is a `google.protobuf.Struct`
//! in base64, `x-envoy-peer-metadata-id` says whose. They are believed only from a peer that has
//! shown a certificate of the mesh, and the namespace and service account are always those of its
//! certificate.

use std::collections::BTreeMap;

use data_encoding::{BASE64, BASE64_NOPAD};
use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use ringmain_config::endpoint::Workload;

use crate::peer::Principal;

/// Longest value that is looked at, in bytes: what a proxy sends takes a few hundred.
pub const BYTES_MAX: usize = 4096;

/// Longest text of a field; what is longer is not believed.
const TEXT_BYTES_MAX: usize = 253;

const NAMESPACE: &str = "NAMESPACE";
const WORKLOAD_NAME: &str = "WORKLOAD_NAME";
const LABELS: &str = "LABELS";
const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";
const APP: &str = "app";
const VERSION: &str = "version";

/// Value of `x-envoy-peer-metadata` for a workload.
pub fn encode(workload: &Workload) -> String {
    let texts = |fields: &[(&str, &str)]| -> BTreeMap<String, Value> {
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let text = |value: &str| Value {
            kind: Some(Kind::StringValue(value.to_owned())),
        };
        fields
            .map(|(name, value)| ((*name).to_owned(), text(value)))
            .collect()
    };
    let labels = texts(&[
        (APP, &workload.app),
        (VERSION, &workload.version),
        (CANONICAL_NAME, &workload.canonical_service),
        (CANONICAL_REVISION, &workload.canonical_revision),
    ]);
    let mut fields = texts(&[
        (NAMESPACE, &workload.namespace),
        (WORKLOAD_NAME, &workload.name),
    ]);
    let labels = Kind::StructValue(Struct { fields: labels });
    let kind = Some(labels);
    fields.insert(LABELS.to_owned(), Value { kind });
    BASE64.encode(&Struct { fields }.encode_to_vec())
}

/// Value of `x-envoy-peer-metadata-id` for a workload: kind, name, namespace and the mesh's domain.
pub fn id(kind: &str, workload: &Workload, domain: &str) -> String {
    let Workload {
        name, namespace, ..
    } = workload;
    format!("{kind}~~{name}.{namespace}~{namespace}.svc.{domain}")
}

/// The workload that a peer with this identity says it is. `None`: the value has not the form; then
/// nothing but its identity is known of it ([`known`]).
pub fn decode(value: &[u8], principal: &Principal) -> Option<Workload> {
    if value.len() > BYTES_MAX {
        return None;
    }
    let bytes = match value.len() % 4 {
        0 => BASE64.decode(value),
        _ => BASE64_NOPAD.decode(value),
    };
    let Struct { fields } = Struct::decode(bytes.ok()?.as_slice()).ok()?;
    let nothing = BTreeMap::new();
    let labels = match fields.get(LABELS).and_then(|labels| labels.kind.as_ref()) {
        Some(Kind::StructValue(labels)) => &labels.fields,
        _ => &nothing,
    };
    let workload = Workload {
        name: text(&fields, WORKLOAD_NAME),
        app: text(labels, APP),
        version: text(labels, VERSION),
        canonical_service: text(labels, CANONICAL_NAME),
        canonical_revision: text(labels, CANONICAL_REVISION),
        ..known(principal)
    };
    Some(workload)
}

/// What an identity alone says of a workload.
pub fn known(principal: &Principal) -> Workload {
    Workload {
        namespace: principal.namespace().to_owned(),
        service_account: principal.service_account().to_owned(),
        ..Workload::default()
    }
}

/// A text that may stand in a log line and as the value of a metric's label; else empty.
fn text(fields: &BTreeMap<String, Value>, name: &str) -> String {
    let is_plain = |text: &&String| {
        text.len() <= TEXT_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Some(text).filter(is_plain).cloned(),
        _ => None,
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use proptest::prelude::*;
    use prost::Message;
    use prost_types::{Struct, Value, value::Kind};
    use ringmain_config::endpoint::Workload;

    use super::{BYTES_MAX, Principal, decode, encode, id, known};

    fn principal() -> Principal {
        Principal::new("cluster.local", "shop", "reviews").unwrap()
    }

    fn workload() -> Workload {
        Workload {
            name: "reviews-v2".to_owned(),
            namespace: "shop".to_owned(),
            app: "reviews".to_owned(),
            version: "v2".to_owned(),
            canonical_service: "reviews".to_owned(),
            canonical_revision: "v2".to_owned(),
            service_account: "reviews".to_owned(),
        }
    }

    #[test]
    fn what_is_said_is_known() {
        let value = encode(&workload());
        assert_eq!(decode(value.as_bytes(), &principal()), Some(workload()));
        let unpadded = value.trim_end_matches('=');
        assert_eq!(decode(unpadded.as_bytes(), &principal()), Some(workload()));
        assert_eq!(
            id("sidecar", &workload(), "cluster.local"),
            "sidecar~~reviews-v2.shop~shop.svc.cluster.local"
        );
    }

    #[test]
    fn the_certificate_has_the_last_word() {
        let lie = Workload {
            namespace: "other".to_owned(),
            service_account: "root".to_owned(),
            ..workload()
        };
        let found = decode(encode(&lie).as_bytes(), &principal());
        assert_eq!(found, Some(workload()));
    }

    #[test]
    fn what_cannot_be_said_is_not_known() {
        let long = "a".repeat(254);
        for name in ["a\nb", "a b", "caf\u{e9}", "", &long] {
            let odd = Workload {
                name: name.to_owned(),
                ..workload()
            };
            let found = decode(encode(&odd).as_bytes(), &principal()).unwrap();
            assert_eq!(found.name, "", "{name:?}");
            assert_eq!(found.app, "reviews");
        }
        let wrong = Value {
            kind: Some(Kind::NumberValue(1.0)),
        };
        let names = ["LABELS", "WORKLOAD_NAME"].map(|name| (name.to_owned(), wrong.clone()));
        let fields = names.into_iter().collect();
        let value = BASE64.encode(&Struct { fields }.encode_to_vec());
        let found = decode(value.as_bytes(), &principal());
        assert_eq!(found, Some(known(&principal())));
        let too_long = "A".repeat(BYTES_MAX + 4);
        for value in ["*", "AAA=A", "/////w==", &too_long] {
            assert_eq!(decode(value.as_bytes(), &principal()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_answered(bytes: Vec<u8>) {
            let _ = decode(&bytes, &principal());
            let _ = decode(BASE64.encode(&bytes).as_bytes(), &principal());
        }
    }
}
