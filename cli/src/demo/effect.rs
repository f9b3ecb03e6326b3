//! When a change of the files has reached the proxies, as the control plane tells it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Generation that each proxy uses, by name.
pub(super) type Held = BTreeMap<String, u64>;

/// How far a change has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not all proxies that it changes use it; which one does not, if one is known.
    Pending(Option<String>),
    /// All proxies use what they are meant to.
    Applied,
    /// It will not be used, and why.
    Refused(String),
}

/// What the control plane's status says of a change, before which the proxies used `before`.
pub(super) fn progress(status: &Value, before: &Held) -> Progress {
    if let Some(problem) = first_problem(&status["source"]) {
        return Progress::Refused(problem);
    }
    let mut has_newer = false;
    for proxy in proxies(status) {
        let name = proxy["name"].as_str().unwrap_or_default();
        match proxy["sync"].as_str() {
            Some("in_sync") => {}
            Some("refused" | "withheld") => {
                let problem = first_problem(proxy).unwrap_or_default();
                return Progress::Refused(format!("{name} does not use it: {problem}"));
            }
            _ => return Progress::Pending(Some(name.to_owned())),
        }
        has_newer |= generation(proxy) > before.get(name).copied().unwrap_or(0);
    }
    match has_newer {
        true => Progress::Applied,
        false => Progress::Pending(None),
    }
}

/// What the proxies use.
pub(super) fn held(status: &Value) -> Held {
    proxies(status)
        .filter_map(|proxy| Some((proxy["name"].as_str()?.to_owned(), generation(proxy))))
        .collect()
}

fn proxies(status: &Value) -> impl Iterator<Item = &Value> {
    status["proxies"].as_array().into_iter().flatten()
}

fn generation(proxy: &Value) -> u64 {
    proxy["generation_held"].as_u64().unwrap_or(0)
}

/// The first error of a proxy, or of the source and its files.
fn first_problem(of: &Value) -> Option<String> {
    let files = of["files"].as_array().into_iter().flatten();
    let lists = [&of["refused"], &of["problems"]]
        .into_iter()
        .chain(files.map(|file| &file["problems"]));
    lists
        .filter_map(Value::as_array)
        .flatten()
        .find(|problem| problem["severity"] == "error")
        .map(|problem| {
            let text = |field: &str| problem[field].as_str().unwrap_or_default();
            format!("{}: {}", text("path"), text("message"))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_come_through() {
        let before = Held::from([("a".to_owned(), 3), ("b".to_owned(), 3)]);
        let problem = json!([{"severity": "error", "path": "p", "message": "m"}]);
        let pending = |name: Option<&str>| Progress::Pending(name.map(str::to_owned));
        let refused = |text: &str| Progress::Refused(text.to_owned());
        let proxy = |name, sync, generation_held| {
            json!({"name": name, "sync": sync, "generation_held": generation_held,
                "problems": problem})
        };
        for (proxies, source, expected) in [
            (
                json!([proxy("a", "in_sync", 3), proxy("b", "in_sync", 3)]),
                json!({}),
                pending(None),
            ),
            (
                json!([proxy("a", "sending", 3), proxy("b", "in_sync", 3)]),
                json!({}),
                pending(Some("a")),
            ),
            (
                json!([proxy("a", "in_sync", 4), proxy("b", "sent", 3)]),
                json!({}),
                pending(Some("b")),
            ),
            (
                json!([proxy("a", "in_sync", 4), proxy("b", "in_sync", 3)]),
                json!({}),
                Progress::Applied,
            ),
            (
                json!([proxy("a", "refused", 3), proxy("b", "in_sync", 3)]),
                json!({}),
                refused("a does not use it: p: m"),
            ),
            (json!([]), json!({"refused": problem}), refused("p: m")),
            (
                json!([]),
                json!({"files": [{"problems": problem}]}),
                refused("p: m"),
            ),
            (
                json!([proxy("a", "in_sync", 4)]),
                json!({"files": [{"problems": [{"severity": "warning"}]}]}),
                Progress::Applied,
            ),
        ] {
            let status = json!({"proxies": proxies, "source": source});
            assert_eq!(progress(&status, &before), expected, "{status}");
        }
    }

    #[test]
    fn generations_by_name() {
        let status = json!({"proxies": [
            {"name": "a", "generation_held": 7},
            {"name": "b"},
        ]});
        let expected = Held::from([("a".to_owned(), 7), ("b".to_owned(), 0)]);
        assert_eq!(held(&status), expected);
    }
}
