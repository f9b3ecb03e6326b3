//! Where a part of a Document was written, so that a decision can name its cause.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};

/// The resource, file and line that a listener, route or cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Kind and `namespace/name`, for example `VirtualService default/reviews`.
    #[serde(deserialize_with = "text")]
    pub resource: Arc<str>,
    /// The file as it was named to the control plane.
    #[serde(deserialize_with = "text")]
    pub file: Arc<str>,
    /// 1-based line of the deciding element inside the file.
    pub line: u32,
}

impl Origin {
    /// What comes from the same file or resource as the element before it keeps no text of its own.
    pub(crate) fn share(origin: &mut Option<Self>, before: &Option<Self>) {
        let (Some(origin), Some(before)) = (origin, before) else {
            return;
        };
        if origin.resource == before.resource {
            origin.resource = Arc::clone(&before.resource);
        }
        if origin.file == before.file {
            origin.file = Arc::clone(&before.file);
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}:{})", self.resource, self.file, self.line)
    }
}

/// Reads a text into where it is to stay, rather than into a `String` first.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    deserializer.deserialize_str(Text)
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Arc<str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::Origin;
    use crate::route::{RouteTable, VirtualHost};

    #[test]
    fn neighbours_share_their_texts() {
        let origin = |line: usize| {
            let resource = format!("r-{line}");
            json!({"resource": resource, "file": "a \"file\"", "line": line})
        };
        let route = |resource: usize| {
            json!({"name": "", "match": {}, "action": {"direct": {"status": 200}},
                "origin": origin(resource)})
        };
        let hosts = [
            vec![0, 0, 1],
            vec![],
            vec![1, 2],
            vec![2],
            vec![2, 3, 4, 4, 0],
        ];
        let table = json!({"name": "", "virtual_hosts": hosts.clone().map(|routes| json!({
            "name": "", "domains": [], "origin": origin(routes.len()),
            "routes": routes.into_iter().map(route).collect::<Vec<_>>(),
        }))});
        let table: RouteTable = serde_json::from_value(table).expect("sound");
        let of_routes = |host: &VirtualHost| -> Vec<Origin> {
            let routes = host.routes.iter();
            routes.filter_map(|route| route.origin.clone()).collect()
        };
        let of_hosts = table
            .virtual_hosts
            .iter()
            .filter_map(|host| host.origin.clone());
        for (origins, resources) in table.virtual_hosts.iter().map(of_routes).zip(hosts.clone()) {
            check(&origins, &resources);
        }
        check(
            &of_hosts.collect::<Vec<_>>(),
            &hosts.clone().map(|routes| routes.len()),
        );
        // From one host to the next, as long as there are routes.
        let across = [
            &table.virtual_hosts[2],
            &table.virtual_hosts[3],
            &table.virtual_hosts[4],
        ];
        check(&across.map(of_routes).concat(), &hosts[2..].concat());
    }

    fn check(origins: &[Origin], resources: &[usize]) {
        let found: Vec<String> = origins.iter().map(ToString::to_string).collect();
        let expected = resources
            .iter()
            .map(|resource| format!("r-{resource} (a \"file\":{resource})"));
        assert_eq!(found, expected.collect::<Vec<_>>());
        for pair in origins.windows(2) {
            assert!(Arc::ptr_eq(&pair[0].file, &pair[1].file), "{pair:?}");
            let is_same = pair[0].resource == pair[1].resource;
            assert_eq!(
                Arc::ptr_eq(&pair[0].resource, &pair[1].resource),
                is_same,
                "{pair:?}"
            );
        }
    }

    #[test]
    fn a_text_is_nothing_else() {
        serde_json::from_str::<Origin>(r#"{"resource":1,"file":"a","line":1}"#).expect_err("1");
    }
}
